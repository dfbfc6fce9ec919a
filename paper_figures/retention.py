"""Figure 4: human retention curves, each with the form that is reported for it and with the power law."""

from __future__ import annotations

from paper_figures.build import Data, Drawing
from paper_figures.practice import draw_panels

PANELS: tuple[tuple[str, dict[str, str]], ...] = (
    ("ebbinghaus1885_savings", {}),
    ("murre_dros2015_savings", {"basis": "repetitions"}),
    ("dros2015_lists", {}),
    ("mosteller1970_recall", {}),
    ("rubin1999_recall", {"condition": "all three"}),
    ("rubin1999_latency", {"response": "correct", "condition": "all three"}),
)
"""Data sets and, of those with many curves, the ones shown."""


def draw(data: Data) -> Drawing:
    """Draw a panel per data set."""
    return draw_panels(
        data, PANELS, "Lists are averaged, their standard errors are over lists; points at 0 are not fitted."
    )
