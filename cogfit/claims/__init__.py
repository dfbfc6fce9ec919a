"""A claim about a parameter, held against a log."""
