"""What is fitted: points and what they mean, from logs or arrays."""
