"""Pictures of the theory package, on bare Figure objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


Floats = NDArray[np.float64]


def plot_redundancy(table: pd.DataFrame, *, width: float = 7.0) -> Figure:
    """Draw the redundancy of a model, layer by layer.

    Parameters
    ----------
    table : DataFrame
        Of :meth:`theory.redundancy.tables.Redundancy.table`.
    width : float
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        Left the mean of R of each layer and head, beside that of a constant; right the share of operations above the
        threshold and explained variance.
    """
    import seaborn as sns
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from theory.redundancy.tables import rows_of

    layers, heads = (rows_of(table, unit, each=True) for unit in ("layer", "head"))
    with sns.axes_style("ticks"), sns.plotting_context("paper"):
        figure = Figure(figsize=(width, 0.45 * width), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
    colors = sns.color_palette("colorblind")
    left.plot(heads["layer"], heads["r"], "o", ms=3, color="0.6", label="heads")
    left.plot(layers["layer"], layers["r_constant"], ":", color=colors[3], label="layers, constant for a probe")
    for axes, name, label, look in (
        (left, "r", "layers: mean of R", "o-"),
        (right, "share", "share of tokens with R above the threshold", "s--"),
        (right, "r2", "explained variance R²", "^-."),
    ):
        off = [layers[name] - layers[f"{name}_low"], layers[f"{name}_high"] - layers[name]]
        color = colors[("r", "share", "r2").index(name)]
        axes.errorbar(layers["layer"], layers[name], off, fmt=look, color=color, capsize=2, label=label)
    for axes in (left, right):
        axes.set_xlabel("layer")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0.0, 1.0))
    left.set_ylabel("R = 1 − ‖a − â‖/‖a‖")
    right.tick_params(labelleft=True)
    sns.despine(figure)
    return figure


def _scaled(factor: float, y: Floats) -> Floats:
    return factor * y
