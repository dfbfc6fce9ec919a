"""Questions to a fitted curve.

Intervals, which form, single patterns, transitions, averaging.
"""
