"""Margins below which a loss counts as none.

An interval that reaches zero is no evidence that nothing is lost: the fewer the measurements, the wider it is. So a
claim that something stays, or costs nothing, is shown where the whole interval lies within a margin. The margins are
conventions, one for each kind of number.
"""

from __future__ import annotations

from theory.ledger.measures.printed_and_measured import POINTS
from theory.ledger.quantities import Quantity

SHARE = POINTS
"""Of accuracies and other shares: two points, as on streams."""

NATS = 0.1
"""Of the surprise of an answer: it keeps nine tenths of its probability."""

RELATIVE = 0.1
"""Of an error, as a share of the error it is compared with."""


def is_negligible(loss: Quantity, margin: float) -> bool:
    """Whether a loss is shown to be below a margin.

    A number without an interval shows nothing.

    Examples
    --------
    >>> is_negligible(Quantity("loss", 0.01, -0.03, 0.05), NATS)
    True
    >>> is_negligible(Quantity("loss", 0.01, -0.3, 0.5), NATS), is_negligible(Quantity("loss", 0.01), NATS)
    (False, False)
    """
    return loss.high < margin


def is_same(change: Quantity, margin: float) -> bool:
    """Whether a change is shown to be small.

    Examples
    --------
    >>> is_same(Quantity("change", 0.0, -0.05, 0.05), RELATIVE), is_same(Quantity("change", -0.1, -0.3, 0.1), RELATIVE)
    (True, False)
    """
    return -margin < change.low and change.high < margin


def loss_between(name: str, whole: Quantity, part: Quantity) -> Quantity:
    """What is lost from one number to another, neither paired.

    The limits are the widest that both intervals allow, as where two policies are compared.

    Examples
    --------
    >>> str(loss_between("lost", Quantity("all", 0.75, 0.5, 1.0, "%", 24), Quantity("some", 0.5, 0.25, 0.75, "%")))
    'lost 25 % [-25, 75] (n = 24)'
    """
    return Quantity(name, whole.value - part.value, whole.low - part.high, whole.high - part.low, whole.unit, whole.n)
