"""What a log holds, before anything is fitted."""
