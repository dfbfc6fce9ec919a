"""The figures of the paper.

Each is made again from the recorded data by ``cogfit figures``.

A figure is a file with one function ``draw(data) -> Drawing``, and one line in :data:`FIGURES`.
"""

from __future__ import annotations

from paper_figures import (
    coverage_of_intervals,
    exponents,
    exposure_curves,
    practice,
    recorded_runs,
    redundancy,
    sensitivity,
    theorems,
    trained_runs,
    utilization,
    zipf_learners,
)
from paper_figures.build import Data, Drawing, PaperFigure, build, choose

_DROPS = ("srcd-n256-consolidates", "srcd-n256-gradual")

FIGURES: tuple[PaperFigure, ...] = (
    PaperFigure(
        number=1,
        name="utilization",
        title="Attention utilisation and its transition",
        draw=utilization.draw,
        needs=("runs/srcd-n256-consolidates", "runs/srcd-n256-collapses"),
        fits=_DROPS[:1],
    ),
    PaperFigure(
        number=2,
        name="exposure",
        title="P_episodic(k) and the forms that compete for it",
        draw=exposure_curves.draw,
        needs=("runs/srcd-n256-consolidates", "runs/srcd-n256-gradual"),
        fits=_DROPS,
    ),
    PaperFigure(
        number=3,
        name="practice",
        title="People: practice curves",
        draw=practice.draw_practice,
        needs=("human",),
        fits=(),
        curves=practice.PRACTICE,
    ),
    PaperFigure(
        number=4,
        name="retention",
        title="People: retention curves",
        draw=practice.draw_retention,
        needs=("human",),
        fits=(),
        curves=practice.RETENTION,
    ),
    PaperFigure(
        number=5,
        name="exponents",
        title="Exponents by measure",
        draw=exponents.draw,
        needs=("human", "published/cram_numbers.csv", "runs/srcd-n256-consolidates", "runs/srcd-n256-gradual"),
        fits=_DROPS,
        curves=(*practice.PRACTICE, *practice.RETENTION),
    ),
    PaperFigure(
        number=6,
        name="sensitivity",
        title="How window and convention move γ",
        draw=sensitivity.draw,
        needs=("runs/srcd-n256-consolidates", "runs/srcd-n256-gradual", "human"),
        fits=_DROPS,
    ),
    PaperFigure(
        number=7,
        name="coverage",
        title="Coverage of 95 % intervals for γ",
        draw=coverage_of_intervals.draw,
        needs=("benchmarks/interval_coverage.csv",),
    ),
    PaperFigure(
        number=8, name="runs", title="The recorded runs side by side", draw=recorded_runs.draw, needs=("runs",)
    ),
    PaperFigure(
        number=17,
        name="learners",
        title="Learners on Zipf-distributed patterns",
        draw=zipf_learners.draw,
        needs=("benchmarks/zipf_sweep.csv",),
    ),
    PaperFigure(
        number=18,
        name="redundancy",
        title="Attention redundancy of a language model as it is trained",
        draw=redundancy.draw,
        needs=(f"runs/{redundancy.RUN}",),
    ),
    PaperFigure(number=19, name="trained", title="The models trained here", draw=trained_runs.draw, needs=("runs",)),
    *theorems.FIGURES,
)
"""All figures."""

__all__ = ["FIGURES", "Data", "Drawing", "PaperFigure", "build", "choose"]
