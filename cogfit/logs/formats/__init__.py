"""How each container of a log is recognised and read."""
