"""The tasks: the retrieval stream and SRCD."""
