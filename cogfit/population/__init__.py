"""Exponents over many members in one non-linear mixed-effects model."""
