"""The judging: records, what they are worth together, and verdicts. Torch-free."""
