"""The verdict on one curve, and what it rests on, as ``cogfit fit`` finds them but without intervals."""

from __future__ import annotations

import numpy as np

from cogfit.curves.curve import Curve
from cogfit.fitting.comparing import rank_forms
from cogfit.fitting.options import Options
from cogfit.inference.selection import JUDGED_REPLICATES, Selection


def judge(curve: Curve, rng: np.random.Generator) -> Selection:
    """Choose the noise, fit every form, and judge."""
    return rank_forms(curve, Options(rng, most=JUDGED_REPLICATES)).selected
