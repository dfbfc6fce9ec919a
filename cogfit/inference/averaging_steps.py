"""Whether single patterns are steps at scattered places."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cogfit.formulas.form import Array
from cogfit.formulas.registry import POWER, POWER_LAWS, get_form
from cogfit.inference.averaging_fits import Data, Fits, aicc_penalty, critical_z, fit_form, r_squared, vuong_z
from cogfit.inference.averaging_result import BINARY, Averaging
from cogfit.inference.survival import Times, central_range
from cogfit.records.sentence import say

_DECADES = 0.5  # spread of the switches (10–90 %) from which their survival curve is gradual and no step itself


@dataclass(frozen=True)
class Steps:
    """Best step of each pattern.

    Its place, whether it is a switch, its values, by how much it beats smooth forms. Patterns that never come down are
    right-censored at their last k.
    """

    at: Times
    switched: NDArray[np.bool_]
    values: Array
    better: Array
    near_binary: float


def find_steps(first: Fits, near_binary: float | None) -> Steps:
    """Split each pattern into a higher and a lower level.

    The bin in which it switches may have any mean.
    """
    data, size, row = first.data, first.data.size, np.arange(len(first.data.y))
    count, total, square = (np.cumsum(data.n * data.y**p, axis=1) for p in (0, 1, 2))
    n_after = count[:, -1:] - count
    n_before = count - data.n
    with np.errstate(invalid="ignore", divide="ignore"):
        before, after = (total - data.n * data.y) / n_before, (total[:, -1:] - total) / n_after
        rss = square[:, -1:] - data.n * data.y**2 - n_before * before**2 - n_after * after**2
    rss = np.where((n_before > 0) & (n_after > 0) & (before > after), rss, np.inf)
    split, level = rss.argmin(axis=1), total[:, -1] / count[:, -1]
    has_step = np.isfinite(rss[row, split])
    high, low = np.where(has_step, before[row, split], level), np.where(has_step, after[row, split], level)
    switched = (high > 0.8) & (low < 0.2)
    if near_binary is None:
        never = ~((high > 0.5) & (low < 0.5)) & ((level > 0.8) | (level < 0.2))
        near_binary = float((switched | never).mean())
    order = np.arange(data.x.size)
    values = np.where(order < split[:, None], high[:, None], low[:, None])
    values = np.where((order == split[:, None]) & (data.n > 0), data.y, values)
    smallest = 1e-12 * square[:, -1] + 1e-300
    rss_step = np.maximum(np.where(has_step, rss[row, split], square[:, -1] - count[:, -1] * level**2), smallest)
    smooth = [
        size * np.log(np.maximum(fit.rss, smallest)) + aicc_penalty(len(get_form(name).parameters) + 1, size)
        for name, fit in first.by.items()
    ]
    better = 0.5 * (np.min(smooth, axis=0) - size * np.log(rss_step) - aicc_penalty(4, size))
    return Steps(_switch_times(data, split, high, low), switched, values, better, near_binary)


def _switch_times(data: Data, split: NDArray[np.int64], high: Array, low: Array) -> Times:
    """Place of each switch, in k: within its bin, if there is one."""
    edges = np.sqrt(data.x[1:] * data.x[:-1])
    edges = np.concatenate([data.x[:1], edges, data.x[-1:]])
    seen = data.n > 0
    first, last = seen.argmax(axis=1), data.x.size - 1 - seen[:, ::-1].argmax(axis=1)
    is_never, is_low = low > 0.5, high <= 0.5
    lower = np.where(is_never, data.x[last], np.where(is_low, 0.0, edges[split]))
    return Times.between(lower, np.where(is_never, np.inf, np.where(is_low, data.x[first], edges[split + 1])))


def judge_steps(first: Fits, steps: Steps, kind: str) -> Averaging:
    """Rule on patterns that are steps."""
    data, patterns = first.data, len(first.data.y)
    spread = central_range(steps.at)
    decades = math.log10(spread.high / spread.low)
    who = "all, with those that never switch counted as later ones" if spread.with_censored else "those that do"
    if steps.switched.all():
        who = "these"
    z = vuong_z(steps.better)
    gamma = float(fit_form(get_form(POWER), data.pooled()).params[0, 1])
    single = say(
        "single {kind} are steps: {near_binary:.0%} are near-binary, {switched} of {patterns} switch (z = {z:.1f} "
        "against smooth forms), 80 % of {who} between k = {low:,.0f} and {high:,.0f}",
        kind=kind,
        near_binary=steps.near_binary,
        switched=int(steps.switched.sum()),
        patterns=patterns,
        z=z,
        who=who,
        low=spread.low,
        high=spread.high,
        threshold=f"share ≥ {BINARY:g}",
        by=judge_steps,
    )
    if decades >= _DECADES:
        text = "the pooled slope (γ = {gamma:.2f}) is an averaging artefact of steps"
        reasons = (say(text, gamma=gamma, threshold=f"decades ≥ {_DECADES:g}", by=judge_steps), single)
    else:
        text = "they switch so close together that the pooled curve is a step, too, and no power law"
        reasons = (single, say(text, threshold=f"decades < {_DECADES:g}", by=judge_steps))
    return Averaging(
        status="artefact" if decades >= _DECADES else "none",
        reasons=reasons,
        patterns=patterns,
        kind=kind,
        z=z,
        critical=critical_z(patterns),
        per_pattern_form="step",
        share_better=float((steps.better > 0.0).mean()),
        near_binary=steps.near_binary,
        decades=decades,
        gamma_form=POWER,
        gamma_pooled=gamma,
        reproduced=r_squared(data, steps.values),
        reproduced_power=r_squared(data, first.best(POWER_LAWS)[1]),
    )
