"""Formulations: one file each, found by its name; see README.md one folder up."""
