"""A figure that answers: values under the pointer, forms on and off, axes.

The script beside this file draws it from numbers in the page. Without scripts, on paper, and until the script has
drawn, the figure that does not move stands in its place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from cogfit.curves.curve import thinned
from cogfit.formulas.form import Array
from cogfit.formulas.registry import get_form
from cogfit.records.printable import printable
from cogfit.result import FitResult
from cogfit.show.markup import Markup, tag
from cogfit.show.plots import band, form_label, form_style, has_failed, has_log_axes, interesting, x_grid

MOST_DRAWN = 20_000
"""Points that the figure holds; of more, means of neighbours."""

_DASHES = ("none", "7 3", "8 3 2 3", "2 3", "14 3")  # five, as there are six colours: 30 forms look different
_DIGITS = 7  # of the values of forms: more than a screen shows, and half of the bytes

STYLE = """
.chart { max-width: 38rem; }
.chart > svg { display: block; width: 100%; height: auto; touch-action: pan-y; cursor: crosshair; }
.chart text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.chart .grid { stroke: var(--line); stroke-width: .5; }
.chart .axis { stroke: var(--ink); fill: none; }
.chart .points { stroke: var(--soft); stroke-width: 5; stroke-linecap: round; opacity: .6; }
.chart .many { stroke-width: 2.5; opacity: .4; }
.chart .band { opacity: .2; }
.chart .form { fill: none; stroke-width: 2; }
.chart .mark { fill: none; stroke: var(--ink); stroke-width: 2; }
.chart .sample { width: 1.75rem; height: .5rem; vertical-align: middle; }
.chart p { margin: .2rem 0; font-size: .9rem; }
.chart .along { text-align: center; }
.chart .told { min-height: 3em; font-variant-numeric: tabular-nums; }
.chart .move { display: flex; gap: .6rem; align-items: center; font-size: .9rem; }
.chart .move input { flex: 1; min-width: 0; }
.chart fieldset { border: 1px solid var(--line); border-radius: 4px; margin: .4rem 0; min-width: 0; font-size: .9rem;
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr)); gap: .1rem 1rem; }
.chart fieldset label { min-height: 1.6rem; display: flex; gap: .4rem; align-items: baseline; }
.chart .sample { flex: none; }
@media screen { .chart:not([hidden]) ~ figure.main { display: none; } }
@media print { .chart { display: none; } }
"""
"""Rules of the figure; it stands in for the one that does not move on screens only."""


@cache
def script() -> str:
    """Return the script that draws the figure.

    Examples
    --------
    >>> "</" in script()
    False
    """
    return files("cogfit.show").joinpath("interactive.js").read_text(encoding="utf-8")


def chart(result: FitResult) -> Markup:
    """Return the place of the figure, with its numbers.

    Parameters
    ----------
    result : FitResult

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> x = np.arange(1.0, 31.0)
    >>> chart(cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power"))[:34]
    '<div id="chart" class="chart" data'
    """
    numbers = json.dumps(chart_data(result), allow_nan=False, separators=(",", ":"))
    notes = (tag("p", note, class_="note") for note in _notes(result))
    return tag("div", *notes, id="chart", class_="chart", data_fit=numbers, hidden="hidden")


def chart_data(result: FitResult) -> dict[str, Any]:
    """Numbers and names that the figure shows.

    Parameters
    ----------
    result : FitResult

    Returns
    -------
    dict
        ``x``, ``y`` in the order of x; of each form its values there (``at``) and on ``grid`` (``curve``); of the form
        reported, which comes first, the limits of its band.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> x = np.arange(1.0, 31.0)
    >>> data = chart_data(cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power"))
    >>> [form["title"] for form in data["forms"]]
    ['power']
    """
    order = np.argsort(result.x, kind="stable")
    x, y = thinned(result.x[order], result.y[order], MOST_DRAWN)
    log_x, log_y = has_log_axes(result)
    # a form stays smooth when the axis changes between linear and logarithmic
    grid = x_grid(result.x, False)
    if np.any(result.x > 0):
        grid = np.union1d(grid, x_grid(result.x, True))
    shown = interesting(result)
    names = [*shown, *(item.name for item in result.forms if item.name not in shown)]
    forms: list[dict[str, Any]] = []
    limits: list[Array] = []
    for number, name in enumerate(names):
        item = result[name]
        if has_failed(item):
            continue
        if name == result.form:
            _, *limits = band(item, grid, result.level)
        red, green, blue = (round(255 * part) for part in form_style(number)[0])
        form, params = get_form(name), item.estimate.params
        forms.append(
            {
                "title": printable(item.title),
                "label": printable(form_label(item)),
                "color": f"#{red:02x}{green:02x}{blue:02x}",
                "dash": _DASHES[number % len(_DASHES)],
                "shown": name in shown,
                "at": _numbers(form.evaluate(x, params), _DIGITS),
                "curve": _numbers(form.evaluate(grid, params), _DIGITS),
            }
        )
    return {
        "x": _numbers(x),
        "y": _numbers(y),
        "x_label": printable(result.x_label),
        "y_label": printable(result.y_label),
        "log_x": log_x,
        "log_y": log_y,
        "grid": _numbers(grid),
        "forms": forms,
        "band": [_numbers(limit, _DIGITS) for limit in limits],
    }


def _numbers(values: Array, digits: int = 17) -> list[float | None]:
    """Numbers as JSON has them: None for what is infinite or not known."""
    return [float(f"{value:.{digits}g}") if math.isfinite(value) else None for value in values.tolist()]


def _notes(result: FitResult) -> Iterator[str]:
    """What one must know of the figure."""
    if not has_failed(result.selected):
        yield f"Band: {result.level:.0%} interval of {result.selected.title} at each x."
    if result.n > MOST_DRAWN:
        yield f"Each point is a mean of neighbours: {MOST_DRAWN:,} stand for {result.n:,}."
