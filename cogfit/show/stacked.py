"""Rows of estimates with intervals, one below the other: what every forest plot is made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_T = TypeVar("_T")


@dataclass(frozen=True)
class Look:
    """How an interval and its estimate are drawn.

    Attributes
    ----------
    marker, color : str
    line : str or tuple
        Style of the line.
    width, edge : float
        Of the line, and of the edge of the marker.
    size, arrow : float
        Of the marker, and of the arrows.
    is_filled : bool
    """

    marker: str
    color: Any
    line: Any = "-"
    width: float = 1.3
    edge: float = 1.0
    size: float = 5.0
    arrow: float = 4.5
    is_filled: bool = True


def draw_interval(
    axes: Axes, y: float, values: tuple[float, float, float], limits: tuple[float, float], look: Look
) -> None:
    """Draw one interval and its estimate.

    An arrow shows where it goes beyond the axis. Limits that are NaN are none.

    Parameters
    ----------
    axes : matplotlib Axes
    y : float
        Where.
    values : tuple of float
        Estimate, NaN for none, and the two limits.
    limits : tuple of float
        Of the axis.
    look : Look

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> axes = Figure().subplots()
    >>> draw_interval(axes, 0.0, (0.4, 0.3, float("inf")), (0.0, 1.0), Look("o", "black"))
    >>> [line.get_marker() for line in axes.lines]
    ['None', '>', 'o']
    """
    estimate, low, high = values
    left, right = max(low, limits[0]), min(high, limits[1])
    if not (math.isnan(low) or math.isnan(high)):
        axes.plot([left, right], [y, y], color=look.color, lw=look.width, ls=look.line)
        for is_beyond, end, arrow in ((low < limits[0], left, "<"), (high > limits[1], right, ">")):
            if is_beyond:
                axes.plot([end], [y], arrow, color=look.color, ms=look.arrow, clip_on=False)
    if limits[0] <= estimate <= limits[1]:
        face = look.color if look.is_filled else "white"
        axes.plot([estimate], [y], look.marker, color=look.color, ms=look.size, mew=look.edge, mfc=face, zorder=4)


def stacked(
    groups: Sequence[tuple[str, Sequence[_T]]], gap: float
) -> Iterator[tuple[str, float, list[tuple[float, _T]]]]:
    """Places of groups of rows from top to bottom.

    Parameters
    ----------
    groups : sequence of (heading, rows)
        Groups without rows are left out.
    gap : float
        Between two groups, in rows.

    Yields
    ------
    heading : str
    place : float
        Of the heading.
    rows : list of (place, row)

    Examples
    --------
    >>> list(stacked([("people", ["a", "b"]), ("none", []), ("model", ["c"])], gap=0.5))
    [('people', 0.0, [(1.0, 'a'), (2.0, 'b')]), ('model', 3.5, [(4.5, 'c')])]
    """
    place = 0.0
    for heading, rows in groups:
        if not rows:
            continue
        yield heading, place, [(place + number, row) for number, row in enumerate(rows, 1)]
        place += 1.0 + len(rows) + gap
