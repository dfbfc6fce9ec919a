"""Settings for the whole suite: no display, repeatable property tests."""

from __future__ import annotations

import os

os.environ["MPLBACKEND"] = "Agg"

from hypothesis import settings

# `ci` is the default everywhere, so that a red test is red for everybody; HYPOTHESIS_PROFILE=explore looks for new
# examples. Numerical code has no 200 ms deadline.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
