"""Forecasts: what a curve does beyond its last point."""
