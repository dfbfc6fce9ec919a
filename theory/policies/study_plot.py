"""Picture of a study.

Accuracy against attention on each law, and against the limits of T1, T2 and T3.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from theory.policies.limits import least_error

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from theory.policies import System
    from theory.policies.study import Study

_MARKERS = "osD^v<>"
_DASHES = ("-", "--", "-.", ":")
_FAMILIES = {
    "fixed before the stream": ("fixed", "static", "open-loop"),
    "evicting by what was attended": ("state",),
    "routed by content": ("content-routed",),
    "bounded state": ("bounded",),
    "learning at test time": ("memory",),
    "closed loop with memory": ("closed-loop",),
}
"""Groups of systems, and how the names of their classes begin: one colour each."""
_TITLES = {
    "mix": "SRCD: recurring and novel keys",
    "independent": "independent queries after a header",
    "recurrent": "keys that recur at intervals",
}


def plot_study(study: Study, *, width: float = 12.0) -> Figure:
    """Draw a study.

    Parameters
    ----------
    study : Study
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        Above: accuracy against attended tokens, one panel per law. Below: against the share of the queries that are
        read, with the limits of T1 and T3; where queries are independent, against the bits carried, with that of T2.
        Bars are 95 % intervals over streams.
    """
    import seaborn as sns
    from matplotlib.figure import Figure

    laws = study.laws
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width * (0.25 + 0.25 * len(laws)), 0.62 * width), layout="constrained")
        panels = figure.subplots(2, len(laws), squeeze=False, sharey=True)
    looks = _looks(study)
    for column, law in enumerate(laws):
        upper, lower = panels[:, column]
        bits = law in study.frequencies
        for system in study.systems:
            cells, look = study.at(system.id, law), looks[system.id]
            y = np.array([cell.accuracy.value for cell in cells])
            bars = np.array([[c.accuracy.value - c.accuracy.low, c.accuracy.high - c.accuracy.value] for c in cells]).T
            label = system.title if column == 0 else None
            upper.errorbar([cell.tokens.value for cell in cells], y, bars, label=label, **look)
            below = [max(cell.carried_bits, 1.0) if bits else cell.read.value for cell in cells]
            lower.errorbar(below, y, bars, **look)
        _upper(upper, study, law)
        upper.set_title(_TITLES[law], fontsize="medium", loc="left")
        (_bits if bits else _read)(lower, study, law)
        for axes in (upper, lower):
            sns.despine(ax=axes)
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy at queries")
        axes.set_ylim(0, 1.04)
    handles, labels = _key(study, panels[0, 0])
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize="small")
    return figure


def _family(system: System) -> str:
    (name,) = (name for name, starts in _FAMILIES.items() if system.kind.startswith(starts))
    return name


def _looks(study: Study) -> dict[str, dict[str, Any]]:
    """Look of each system: a colour per family, within it a marker and dashes."""
    import seaborn as sns

    colors = dict(zip(_FAMILIES, sns.color_palette("colorblind", len(_FAMILIES)), strict=True))
    met: Counter[str] = Counter()
    found = {}
    for system in study.systems:
        family = _family(system)
        number = met[family]
        met[family] += 1
        look = {"marker": _MARKERS[number % len(_MARKERS)], "ls": _DASHES[number % len(_DASHES)]}
        found[system.id] = look | {"color": colors[family], "ms": 4, "lw": 1, "elinewidth": 0.7}
    return found


def _key(study: Study, axes: Axes) -> tuple[list[Any], list[str]]:
    """Handles and labels by family, under its name."""
    from matplotlib.lines import Line2D

    known = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    titles = {system.title for system in study.systems}
    labels = [label for label in known if label not in titles]
    handles = [known[label] for label in labels]
    for family in _FAMILIES:
        members = [system.title for system in study.systems if _family(system) == family]
        if members:
            handles += [Line2D([], [], ls="none"), *(known[title] for title in members)]
            labels += [family, *members]
    return handles, labels


def _limit(axes: Axes, x: Any, y: Any, text: str, style: str = "--") -> None:
    axes.plot(x, y, style, color="0.35", lw=1.4, label=text, zorder=1)
    handles, labels = axes.get_legend_handles_labels()
    own = [(h, t) for h, t in zip(handles, labels, strict=True) if t.startswith(("T1", "T2", "T3"))]
    axes.legend(*zip(*own, strict=True), frameon=False, fontsize="x-small", loc="lower right")


def _upper(axes: Axes, study: Study, law: str) -> None:
    chance, full = 1 / study.setting.values, study.setting.length / 2
    x = np.concatenate([np.linspace(0, 0.002, 50), [1.0]])
    axes.plot(
        x,
        chance + (1 - chance) * np.minimum(1, x * full / study.asked[law]),
        "--",
        color="0.35",
        lw=1.4,
        zorder=1,
        label="T1: one token a query, none elsewhere",
    )
    axes.set_xscale("symlog", linthresh=0.002)
    axes.set_xlim(-0.0002, 1.2)
    ticks = [0, 0.002, 0.01, 0.05, 0.2, 1]
    axes.set_xticks(ticks, [f"{100 * tick:g}" for tick in ticks])
    axes.set_xlabel("attended tokens, % of full attention")


def _read(axes: Axes, study: Study, law: str) -> None:
    chance, least = 1 / study.setting.values, study.distinct[law]
    x = np.linspace(0, 1, 201)
    _limit(axes, x, chance + (1 - chance) * x, "T1: no memory")
    learner = np.minimum(1, 1 - (1 - chance) * (least - x))
    _limit(axes, x, learner, "T3: knows what it has read", ":")
    axes.set_xlabel("share of the queries that are read")


def _bits(axes: Axes, study: Study, law: str) -> None:
    frequencies, values = study.frequencies[law], study.setting.values
    table = len(frequencies) * math.log2(values)
    x = np.concatenate([np.geomspace(1, table, 60), [1e5]])
    y = [1 - least_error(frequencies, bits, values) for bits in x.tolist()]
    _limit(axes, x, y, "T2: bits of state and cache")
    axes.set_xscale("log")
    axes.set_xlabel("bits carried, state and cache")
