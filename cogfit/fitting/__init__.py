"""From a log, file or arrays to a result, with a verdict on the power law."""

from cogfit.fitting.account import versions
from cogfit.fitting.api import fit, fit_curve
from cogfit.fitting.intake import Prepared, is_table, other_kind, prepare_curve
from cogfit.fitting.judging import Judge, Observed, judge_curve, judge_forms, judge_like, observe
from cogfit.fitting.options import Options

__all__ = [
    "Judge",
    "Observed",
    "Options",
    "Prepared",
    "fit",
    "fit_curve",
    "is_table",
    "judge_curve",
    "judge_forms",
    "judge_like",
    "observe",
    "other_kind",
    "prepare_curve",
    "versions",
]
