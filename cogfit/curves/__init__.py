"""What is fitted: points and their meaning."""
