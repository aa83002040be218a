"""The stages of an experiment: one file a verb, each run as a job of its own.

Every stage writes an ``outcome.json`` through :func:`bench.stages.running.outcome.run_guarded`.
Modules are importable without torch; it is imported when a stage has work to do.
"""
