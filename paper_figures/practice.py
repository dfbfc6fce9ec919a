"""Figures 3 and 4: human curves of practice and retention.

Each with the form that is reported for it and with the power law.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from paper_figures import style
from paper_figures.build import Data, Drawing

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from cogfit.people.dataset import Dataset, Series

Panels = tuple[tuple[str, dict[str, str]], ...]

PRACTICE: Panels = (
    ("anderson1981_latency", {}),
    ("remington2016_latency", {}),
    ("zbrodoff1995_alphabet_arithmetic", {"group": "control"}),
    ("kolers1976_reading", {"text": "inverted"}),
    ("alteneder1935_jigsaw", {}),
    ("lui_chan2006_reprogramming", {}),
    ("anderson1981_errors", {}),
    ("remington2016_errors", {}),
)
"""Data sets of practice and, of those with many curves, the ones shown."""

RETENTION: Panels = (
    ("ebbinghaus1885_savings", {}),
    ("murre_dros2015_savings", {"basis": "repetitions"}),
    ("dros2015_lists", {}),
    ("mosteller1970_recall", {}),
    ("rubin1999_recall", {"condition": "all three"}),
    ("rubin1999_latency", {"response": "correct", "condition": "all three"}),
)
"""The same of retention."""

_DELAYS = {1: "1 min", 10: "10 min", 60: "1 h", 1440: "1 d", 10080: "1 wk", 44640: "1 mo"}
"""Ticks of an axis of minutes; a month is the 31 days of Ebbinghaus."""

_COLUMNS = 3
_GRID = 120
_LINES: dict[str, dict[str, Any]] = {
    "form reported": {"ls": "-", "lw": 1.1},
    "power law": {"ls": (0, (3, 1.5)), "lw": 0.8},
}


def draw_practice(data: Data) -> Drawing:
    """Draw a panel per data set of practice."""
    note = (
        "Both axes are logarithmic: a power law is a straight line. Horizontal bars are blocks: the power law is "
        "averaged over them, with a γ of each addend."
    )
    return _draw_panels(data, PRACTICE, note, log_y=True)


def draw_retention(data: Data) -> Drawing:
    """Draw a panel per data set of retention."""
    note = (
        "Where the horizontal axis is logarithmic, a straight line is logarithmic forgetting. Lists are averaged, "
        "their standard errors are over lists; points at 0 are not fitted."
    )
    return _draw_panels(data, RETENTION, note, log_y=False)


def _draw_panels(data: Data, panels: Panels, note: str, log_y: bool) -> Drawing:
    """Draw a panel per data set.

    Values, the form reported (solid) and the power law (dashed).
    """
    import pandas as pd

    rows = -(-len(panels) // _COLUMNS)
    figure = style.figure(style.PAGE, 0.35 + 1.95 * rows)
    grid = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for axes in grid[len(panels) :]:
        axes.remove()
    figure.legend(handles=_key(), loc="outside lower center", ncols=2)
    parts, texts = [], []
    for axes, (id, labels) in zip(grid, panels, strict=False):
        curves = data.human()[id].series(**labels)
        tables = [[_observed(curve), *_forms(data, curve)] for curve in curves]
        _draw_panel(axes, curves, tables, labels, log_y)
        parts += [table for each in tables for table in each]
        texts += [_caption(data, curve) for curve in curves]
    style.letter(grid[: len(panels)], (style.cited(data.human()[id]) for id, _ in panels))
    caption = (
        f"Values (bars: standard errors, where known), the form reported and the power law A·x^−γ. {note} Form "
        f"reported and γ of the power law: {'; '.join(texts)}."
    )
    return Drawing(figure, pd.concat(parts, ignore_index=True), caption)


def _about(curve: Series) -> dict[str, str]:
    return {
        "dataset": curve.dataset.id,
        "curve": curve.name,
        "x_unit": curve.dataset.unit,
        "measure": curve.dataset.measure,
    }


def _observed(curve: Series) -> pd.DataFrame:
    import pandas as pd

    seen = curve.mean()
    ends = {} if seen.first is None else {"first": seen.first, "last": seen.last}
    se = np.full(seen.y.size, np.nan) if seen.se is None else seen.se
    return pd.DataFrame({**_about(curve), "series": "observed", "x": seen.x, "y": seen.y, "se": se, **ends})


def _forms(data: Data, curve: Series) -> Iterator[pd.DataFrame]:
    """The reported form and the power law.

    On a grid of x.
    """
    import pandas as pd

    import cogfit

    if curve.last is not None:
        fit = data.block_fit(curve.dataset)
        k = np.geomspace(1.0, curve.last.max(), _GRID)
        y = fit.levels[curve.labels[fit.by]] * k ** -fit.params[f"gamma[{curve.labels[fit.by]}]"]
        yield pd.DataFrame({**_about(curve), "series": "power", "x": k, "y": y})
        return
    human_fit = data.human_fit(curve)
    x = np.geomspace(human_fit.x[human_fit.x > 0].min(), human_fit.x.max(), _GRID)
    for name in dict.fromkeys((human_fit.form, "power")):
        y = cogfit.forms()[name].evaluate(x, human_fit[name].estimate.params)
        yield pd.DataFrame({**_about(curve), "series": name, "x": x, "y": y})


def _draw_panel(
    axes: Axes,
    curves: Sequence[Series],
    tables: Sequence[Sequence[pd.DataFrame]],
    chosen: Mapping[str, str],
    log_y: bool,
) -> None:

    for number, (curve, (seen, *forms)) in enumerate(zip(curves, tables, strict=True)):
        look, label = style.marker(number), style.labelled(curve.labels, chosen)
        blocks = None if "first" not in seen else [seen["x"] - seen["first"], seen["last"] - seen["x"]]
        axes.errorbar(
            seen["x"],
            seen["y"],
            yerr=seen["se"].fillna(0.0),
            xerr=blocks,
            ls="none",
            ms=2.8,
            lw=0.6,
            mfc="white",
            mew=0.7,
            **look,
            label=label,
        )
        for form in forms:
            reported = form is forms[0] and curve.last is None
            dashes = _LINES["form reported" if reported else "power law"]
            axes.plot(form["x"], form["y"], color=look["color"], zorder=3, **dashes)
    _set_axes(axes, curves[0].dataset, tables, log_y)
    if len(curves) > 1:
        corner = 3 if log_y else 1  # the lower left, the upper right
        axes.legend(loc=corner, fontsize=6.0, handletextpad=0.2, borderaxespad=0.1, labelspacing=0.25)


def _set_axes(axes: Axes, about: Dataset, tables: Sequence[Sequence[pd.DataFrame]], log_y: bool) -> None:
    """Set scales, ticks and labels of a panel."""
    from cogfit.show.plots import plain_ticks

    x, y = (np.concatenate([table[name].to_numpy() for each in tables for table in each]) for name in "xy")
    axes.set_xlabel(about.unit)
    if x.min() > 0:
        axes.set_xscale("log")
        if about.unit == "minutes":
            shown = [at for at in _DELAYS if x.min() <= at <= 1.05 * x.max()]
            axes.set_xticks(shown, [_DELAYS[at] for at in shown])
            axes.minorticks_off()
            axes.set_xlabel("delay")
        else:
            plain_ticks(axes.xaxis, float(x.min()), float(x.max()))
    if log_y and y.min() > 0:
        axes.set_yscale("log")
        plain_ticks(axes.yaxis, float(y.min()), float(y.max()))
    else:
        axes.set_ylim(0.0, 1.08 * axes.get_ylim()[1])
        axes.yaxis.set_major_formatter(style.thousands)
    axes.set_ylabel(f"latency ({about.scale.split(',')[0]})" if about.measure == "latency" else about.measure)


def _key() -> list[Line2D]:
    """What the lines of all panels mean."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], color="0.2", label=name, **look) for name, look in _LINES.items()]


def _caption(data: Data, curve: Series) -> str:
    name = f"{style.cited(curve.dataset)} {curve.dataset.measure}"
    labels = f" ({style.labelled(curve.labels)})" if curve.labels else ""
    if curve.last is not None:
        fit = data.block_fit(curve.dataset)
        return f"{name}{labels} {fit.params[f'gamma[{curve.labels[fit.by]}]']:.2f}"
    human_fit = data.human_fit(curve)
    power = human_fit["power"]
    form = "" if human_fit.form == "power" else f" {human_fit.selected.title},"
    return f"{name}{labels}{form} {'no γ' if power.gamma is None else f'{power.gamma:.2f}'}"
