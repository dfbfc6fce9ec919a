"""Estimation of one form: least squares, noise, correlated errors."""
