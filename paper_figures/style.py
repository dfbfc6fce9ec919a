"""How the figures look.

Two widths, one size of type, colours told apart by everybody and in grey.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cogfit.people.dataset import Dataset

COLUMN, PAGE = 3.3, 6.9
"""Widths of one column and of the page, in inches."""

DPI = 300.0

RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that the letters are the same everywhere
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 4.0,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.5,
    "text.parse_math": False,
}
"""Settings of matplotlib under which every figure is drawn and written."""

GREY = "0.45"

COLORS = ("#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#000000")
"""Okabe & Ito's palette (2008, jfly.uni-koeln.de/color), told apart by the colour-blind."""

DASHES: tuple[Any, ...] = (
    "-",
    (0, (4, 1.5)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (1, 1.2)),
    (0, (8, 2)),
    (0, (3, 1, 1, 1)),
    "-",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def line(number: int) -> dict[str, Any]:
    """Colour and dashes of the line with this number.

    Told apart in grey by the dashes.
    """
    return {"color": COLORS[number % len(COLORS)], "ls": DASHES[number % len(DASHES)]}


def marker(number: int) -> dict[str, Any]:
    """Colour and shape of the marker with this number."""
    return {"color": COLORS[number % len(COLORS)], "marker": MARKERS[number % len(MARKERS)]}


def percent(value: float, _: object = None) -> str:
    """Label of a tick: a share in per cent."""
    return f"{100 * value:.10g} %"


def thousands(value: float, _: object = None) -> str:
    """Label of a tick: a count."""
    return f"{value:,.10g}"


def decade(value: float, _: object = None) -> str:
    """Label of a tick of a logarithmic axis.

    0.01 … 10,000 written out, others as powers of ten; none in between.
    """
    power = math.log10(value) if value > 0 else 0.5
    if abs(power - round(power)) > 1e-9:
        return ""
    if -2 <= round(power) <= 4:
        return f"{value:,.10g}"
    return "10" + str(round(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def short(run: str) -> str:
    """Short name of a recorded run.

    The part of its name after the size of the model.
    """
    return " ".join(run.split("-")[2:]) or run


def cited(dataset: Dataset) -> str:
    """Author and year of a human data set.

    And what its values belong to where that is no mean; three authors and more are "the first et al.".
    """
    match = re.match(r"(.*?),? (\d{4})", dataset.citation)
    each = f", {dataset.level}s" if dataset.columns.cluster else ""
    if match is None:
        return dataset.id + each
    authors = re.split(r", | & ", match[1])
    return f"{match[1] if len(authors) < 3 else authors[0] + ' et al.'} {match[2]}{each}"


def labelled(labels: Mapping[str, str], without: Mapping[str, str] | None = None) -> str:
    """Labels of a human curve in words.

    Less those that go without saying.
    """
    shown = {key: value for key, value in labels.items() if key not in (without or {})}
    return ", ".join(f"{key} {value}" if value.isdigit() else value for key, value in shown.items())


def figure(width: float, height: float) -> Figure:
    """Return an empty figure of a size in inches.

    Its parts make room for each other.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def letter(panels: Iterable[Axes], titles: Iterable[str]) -> None:
    """Name panels a, b, c … with a title each."""
    for number, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        axes.set_title(f"({chr(ord('a') + number)}) {title}")
