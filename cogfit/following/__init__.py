"""Fits of a log that grows, and what looking again and again does to them."""
