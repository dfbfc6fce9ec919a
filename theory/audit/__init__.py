"""A routing log held against the bounds."""
