"""What the stages share: outcomes, journals, devices, and one model through its sweep."""
