"""Numbers as the two papers print them, exact, each with its place."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

# CRAM, SRCD benchmark
SEQUENCE = 2048
"""Positions of a sequence, N."""
QUERY_SHARE = Fraction("0.05")
"""f: share of the positions that need a retrieval."""
RECURRING_SHARE = Fraction("0.70")
"""Share of the bindings that come from the fixed set."""
RECURRING_PATTERNS = 100
"""Size of the fixed set, K."""
OPT = Fraction("0.015")
"""Least attention as stated."""
STATIC = Fraction("0.05")
"""Attention that a static router needs as stated."""

# CRAM, abstract, Figs. 1-2, Sec. on dynamics
REDUCTION = Fraction("37.8")
AXIS_END = Fraction("0.40")
"""Upper end of the attention axis of Fig. 2."""
TRANSITION_STEP = 3100
GAMMA, GAMMA_ERROR = Fraction("0.43"), Fraction("0.04")


class TableRow(NamedTuple):
    """A row of CRAM's Table 1.

    Retrieval accuracy, attention operations, consolidation ratio (None: not given).
    """

    model: str
    accuracy: Fraction
    attention: Fraction
    ratio: Fraction | None


TABLE_1 = (
    TableRow("Transformer", Fraction("0.680"), Fraction("1.00"), Fraction("1.00")),
    TableRow("Mamba", Fraction("0.680"), Fraction("0"), None),
    TableRow("Jamba (1:7)", Fraction("0.000"), Fraction("0.125"), Fraction("1.00")),
    TableRow("SeqBoat", Fraction("0.680"), Fraction("0.23"), Fraction("0.98")),
    TableRow("CRAM", Fraction("1.000"), Fraction("0.016"), Fraction("0.019")),
    TableRow("CRAM without consolidation", Fraction("1.000"), Fraction("0.167"), Fraction("0.95")),
)

# Adaptive Retention
BETA, STRETCH_LOW, STRETCH_HIGH = Fraction("0.66"), Fraction("-0.1"), Fraction("1.1")
"""Temperature and stretch (γ, ζ) of the Hard-Concrete gate."""
DUAL_RATE, WEIGHT_RATE = Fraction("0.01"), Fraction("0.00003")
"""Step of the multiplier; AdamW learning rate of the weights."""
LAYERS_AT_30 = tuple(Fraction(x) / 100 for x in ("45.2", "43.9", "42.5", "41.2", "39.9", "38.5"))
"""Retention of DistilBERT's layers under a budget of 30 %."""
SECONDS_AT_30, SECONDS_FULL = Fraction("0.27"), Fraction("0.48")
"""Per batch."""
MEMORY_SAVED = (Fraction("0.35"), Fraction("0.45"))
"""Reduction of the peak memory, the two ends of the range in the abstract."""


def percent(share: Fraction | float, digits: int = 1) -> str:
    """A share in per cent, as it is printed.

    Examples
    --------
    >>> percent(0.016), percent(0.68, 0)
    ('1.6 %', '68 %')
    """
    return f"{float(100 * share):.{digits}f} %"
