"""Errors that end a command with one line and a known exit code."""

from __future__ import annotations


class InputError(Exception):
    """Bad input: exit code 2.

    The message is one line that names the file, the key, the value and the remedy.
    """


class BudgetError(Exception):
    """A network was evaluated outside its budget, or a budget could not be met."""


class RefusedNfeError(Exception):
    """A solver cannot spend exactly the requested number of network evaluations."""


class RunError(Exception):
    """A run is not sound: exit code 1. The message names everything that is wrong, a line each."""
