"""Solvers: a field, a start and a grid in; an end point and the evaluations it took out.

``catalogue`` declares them without torch; ``ode`` adapts torchdiffeq; ``exponential`` holds the
integrators of the diffusion literature. None of them knows a path or a model.
"""
