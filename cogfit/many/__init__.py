"""Many curves at once."""
