"""The figures of the paper, each made again from the recorded data by ``cogfit figures``.

A figure is a file with one function ``draw(data) -> Drawing``, and one line in :data:`FIGURES`.
"""

from __future__ import annotations

from paper_figures import (
    coverage_of_intervals,
    exponents,
    exposure_curves,
    practice,
    recorded_runs,
    retention,
    sensitivity,
    utilization,
)
from paper_figures.build import Data, Drawing, PaperFigure, build, choose

FIGURES: tuple[PaperFigure, ...] = (
    PaperFigure(
        1, "utilization", "Attention utilisation and its transition", utilization.draw,
        ("runs/srcd-n256-consolidates", "runs/srcd-n256-collapses"),
    ),
    PaperFigure(
        2, "exposure", "P_episodic(k) and the forms that compete for it", exposure_curves.draw,
        ("runs/srcd-n256-consolidates", "runs/srcd-n256-gradual"),
    ),
    PaperFigure(3, "practice", "People: practice curves", practice.draw, ("human",)),
    PaperFigure(4, "retention", "People: retention curves", retention.draw, ("human",)),
    PaperFigure(
        5, "exponents", "Exponents by measure", exponents.draw,
        ("human", "published/cram_numbers.csv", "runs/srcd-n256-consolidates", "runs/srcd-n256-gradual"),
    ),
    PaperFigure(
        6, "sensitivity", "How window and convention move γ", sensitivity.draw,
        ("runs/srcd-n256-consolidates", "runs/srcd-n256-gradual", "human"),
    ),
    PaperFigure(
        7, "coverage", "Coverage of 95 % intervals for γ", coverage_of_intervals.draw,
        ("benchmarks/interval_coverage.csv",),
    ),
    PaperFigure(8, "runs", "The recorded runs side by side", recorded_runs.draw, ("runs",)),
)  # fmt: skip
"""All figures, in the order of the paper."""

__all__ = ["FIGURES", "Data", "Drawing", "PaperFigure", "build", "choose"]
