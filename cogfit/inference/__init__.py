"""Questions to a fitted curve: intervals, which form, patterns, transitions, averaging."""
