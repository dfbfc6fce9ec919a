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
        1, "utilization", "Attention utilisation and its transition", utilization.draw,
        ("runs/srcd-n256-consolidates", "runs/srcd-n256-collapses"), _DROPS[:1],
    ),
    PaperFigure(
        2, "exposure", "P_episodic(k) and the forms that compete for it", exposure_curves.draw,
        ("runs/srcd-n256-consolidates", "runs/srcd-n256-gradual"), _DROPS,
    ),
    PaperFigure(3, "practice", "People: practice curves", practice.draw_practice, ("human",), (), practice.PRACTICE),
    PaperFigure(4, "retention", "People: retention curves", practice.draw_retention, ("human",), (), practice.RETENTION),
    PaperFigure(
        5, "exponents", "Exponents by measure", exponents.draw,
        ("human", "published/cram_numbers.csv", "runs/srcd-n256-consolidates", "runs/srcd-n256-gradual"),
        _DROPS, (*practice.PRACTICE, *practice.RETENTION),
    ),
    PaperFigure(
        6, "sensitivity", "How window and convention move γ", sensitivity.draw,
        ("runs/srcd-n256-consolidates", "runs/srcd-n256-gradual", "human"), _DROPS,
    ),
    PaperFigure(
        7, "coverage", "Coverage of 95 % intervals for γ", coverage_of_intervals.draw,
        ("benchmarks/interval_coverage.csv",),
    ),
    PaperFigure(8, "runs", "The recorded runs side by side", recorded_runs.draw, ("runs",)),
    *(PaperFigure(number, name, title, theorems.drawer(theorem), ()) for number, theorem, name, title in (
        (9, "T0", "chow", "Theorem T0: least attention for what is known"),
        (10, "T1", "memoryless", "Theorem T1: routers without memory"),
        (11, "T2", "memory", "Theorem T2: routers with S bits of memory"),
        (12, "T3", "compulsory", "Theorem T3: the compulsory attention of any learner"),
        (13, "T4", "zipf", "Theorem T4: Zipf's law makes a power law of stream length"),
        (14, "T5", "routers", "Theorem T5: attention of four classes of routers"),
        (15, "T6", "sharpness", "Theorem T6: an average is never sharper than one pattern"),
        (16, "T7", "consolidation", "Theorem T7: laws on the exposure axis"),
    )),
    PaperFigure(
        17, "learners", "Learners on Zipf-distributed patterns", zipf_learners.draw, ("benchmarks/zipf_sweep.csv",),
    ),
    PaperFigure(
        18, "redundancy", "Attention redundancy of a language model as it is trained", redundancy.draw,
        (f"runs/{redundancy.RUN}",),
    ),
    PaperFigure(19, "trained", "The models trained here", trained_runs.draw, ("runs",)),
)  # fmt: skip
"""All figures, in the order of the paper."""

__all__ = ["FIGURES", "Data", "Drawing", "PaperFigure", "build", "choose"]
