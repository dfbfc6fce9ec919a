"""The compiled engine: C kernels, and how Python loads and calls them."""
