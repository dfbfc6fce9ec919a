"""Many curves at once: from tables, logs and files."""
