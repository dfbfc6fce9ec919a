"""From settings to a recorded run."""
