"""Estimation of one form: least squares, noise, errors along the curve."""
