"""The experiment file, and all that follows from it without running anything."""
