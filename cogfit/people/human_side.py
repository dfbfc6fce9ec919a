"""People's side of a comparison: from data sets to exponents.

Curves are fitted by themselves, estimates of single subjects averaged, block means pooled; contrasts have no exponent
(:func:`human_exponents`). Beside them stand the figures that the paper states (:func:`claims`).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cogfit import fitting
from cogfit.curves.curve import Curve
from cogfit.errors import InputError
from cogfit.files import data_dir
from cogfit.formulas.registry import POWER_LAWS
from cogfit.inference.interval import format_interval
from cogfit.people.by_subject import LEAST_POINTS
from cogfit.people.catalogue import Catalogue, human
from cogfit.people.dataset import Dataset, Series
from cogfit.people.exponent import COUNTS, DISTRIBUTION, MEAN, PERSON, Exponent, form_title, obstacles
from cogfit.people.fits import PLANS, Plan, fit_human
from cogfit.records.given import listed

_CLAIMED = {
    "gamma_model": "CRAM's own γ",
    "gamma_human": "people, 'across studies'",
    "gamma_fast_semantic": "CRAM, semantic rate × 10",
}
"""Labels of the figures that the paper states."""

_LEVELS = {"subject": PERSON, "subject mean": MEAN, "group mean": MEAN}
"""Levels of averaging of the catalogue in words that hold for runs, too; other levels are their own."""


@dataclass(frozen=True)
class _Choice:
    """How human data are fitted.

    Attributes
    ----------
    form : str or None
        None: the better of the power laws.
    noise : str
        "": that of the data, or Gaussian.
    convention : str or None
        None: that of the data.
    level : float
        Of the intervals.
    """

    form: str | None
    noise: str
    convention: str | None
    level: float


# ------------------------------------------------------------------------------------------------------ data sets


def chosen_datasets(people: Catalogue | Dataset | Sequence[Dataset] | None) -> list[Dataset]:
    """Return the chosen data sets, by default all."""
    if people is None:
        return list(human().values())
    if isinstance(people, Catalogue):
        return list(people.values())
    hint = "choose one: cogfit.human(id), or take all: cogfit.human()"
    return listed("people", people, Dataset, "a data set of people, or a list of these", hint)


def human_exponents(
    data: Dataset, model: Exponent, form: str | None, align: bool, level: float
) -> tuple[list[Exponent], str]:
    """Return the exponents of a data set, or a reason.

    Parameters
    ----------
    data : Dataset
    model : Exponent
        With which they will be compared.
    form : str or None
        Form to fit; None: the better of the power laws.
    align : bool
        Whether to fit as the model was fitted, where this removes an obstacle.
    level : float
        Of the intervals.
    """
    try:
        data.series()
    except InputError as error:
        return [], f"cannot be used: {error}"
    if data.kind == "contrast":
        return [], "a few conditions give contrasts, never an exponent"
    exponents = _determined(data, _Choice(form, "", None, level))
    if align and any(item.refit for exponent in exponents for item in obstacles(model, exponent)):
        convention = model.convention if data.axis == "repetition" else None
        aligned = _determined(data, _Choice(model.form, model.noise, convention, level))
        if len(aligned) == len(exponents):
            pairs = zip(exponents, aligned, strict=True)
            exponents = [replace(after, done=_changes(before, after)) for before, after in pairs]
    if data.convention == "block":
        return exponents, _share_of_algorithm(data, level)
    return exponents, "" if exponents else "no exponent is determined"


def _determined(data: Dataset, choice: _Choice) -> list[Exponent]:
    """Exponents of a data set that have a value."""
    kind = data.convention if data.convention in _KINDS else data.kind
    return [exponent for exponent in _KINDS[kind](data, choice) if not math.isnan(exponent.gamma)]


def _changes(before: Exponent, after: Exponent) -> tuple[str, ...]:
    """How fitting anew changed what was fitted, in words."""
    words = {
        "convention": f"k counts {COUNTS.get(after.convention, after.convention)}",
        "form": f"fitted as {form_title(after.form)}",
        "noise": f"under {after.noise} noise",
    }
    return tuple(text for name, text in words.items() if getattr(before, name) != getattr(after, name))


def _share_of_algorithm(data: Dataset, level: float) -> str:
    """What the fitted share of trials by the algorithm says."""
    fits = fit_human(data, level=level, full=False).pooled
    mixtures = [fit for fit in fits if fit.model == "two_process_constant"]
    if not mixtures:  # the mixture is one of times
        return ""
    rate = min(mixtures, key=lambda fit: fit.aicc).params["r"]
    return (
        "the share of trials solved by the algorithm, which would be comparable, is fitted as "
        f"p(k) = e^(−{rate:.3f} k), an exponential: it has no γ"
    )


# ------------------------------------------------------------------------------------------------- kinds of data


def _of_curves(data: Dataset, choice: _Choice) -> list[Exponent]:
    """Exponent of each curve that has enough points."""
    exponents = []
    for series in data.series():
        if choice.convention in COUNTS and choice.convention != series.convention:
            series = series.under(choice.convention)
        curve = series.curve()
        keep = _in_window(curve, PLANS.get(data.id, Plan()))
        has_logarithms = choice.noise != "lognormal" or not np.any(curve.y[keep] <= 0)
        if np.unique(curve.x[keep]).size >= LEAST_POINTS and has_logarithms:
            exponents.append(_of_curve(series, curve.take(keep), choice))
    return exponents


def _in_window(curve: Curve, plan: Plan) -> NDArray[np.bool_]:
    """Which points lie in the window of the plan.

    At x = 0 a power law has no value.
    """
    return (curve.x > 0) & (curve.x >= (plan.x_min or 0.0)) & (curve.x <= (plan.x_max or math.inf))


def _of_curve(series: Series, curve: Curve, choice: _Choice) -> Exponent:
    """Exponent of one curve, under the chosen form."""
    plan = PLANS.get(series.dataset.id, Plan())
    names = [choice.form] if choice.form else [name for name in POWER_LAWS if plan.form in (None, name)]
    noise = choice.noise or curve.noise or "gaussian"
    fits = [fitting.fit(curve, form=name, noise=noise, level=choice.level) for name in names]
    best = min(fits, key=lambda fit: fit.aicc)
    gamma = math.nan if best.gamma is None else best.gamma
    exponent = describe_series(series, best.form, best.noise, gamma, best.interval or (math.nan, math.nan))
    return replace(exponent, notes=best.warnings)


def _of_subjects(data: Dataset, choice: _Choice) -> list[Exponent]:
    """Mean over subjects of their power laws' exponents."""
    exponents = []
    for spread in fit_human(data, level=choice.level, full=False).populations:
        (series,) = data.series(**spread.labels)
        exponent = describe_series(series, "power", "gaussian", spread.mean, (spread.low, spread.high))
        limits = format_interval((spread.new_low, spread.new_high))
        notes = (f"SD between {spread.n} subjects {spread.sd:.3f}; one more is expected in {limits}", spread.method)
        exponents.append(replace(exponent, averaging=DISTRIBUTION, n=spread.n, subjects_known=True, notes=notes))
    return exponents


def _of_blocks(data: Dataset, choice: _Choice) -> list[Exponent]:
    """One γ for all cells of block means.

    The form is averaged over each block, and k includes this presentation.
    """
    scale = "log" if choice.noise == "lognormal" else "raw"
    names = [choice.form] if choice.form else POWER_LAWS
    fits = [
        fit
        for fit in fit_human(data, level=choice.level, full=False).pooled
        if (fit.at, fit.scale) == ("blocks", scale) and fit.model in names
    ]
    if not fits:
        return []
    best = min(fits, key=lambda fit: fit.aicc)
    limits = best.interval("gamma", choice.level)
    exponent = describe_series(data.series()[0], best.model, choice.noise or "gaussian", best.params["gamma"], limits)
    label = exponent.label.split(":")[0] + ": all cells, one γ"
    notes = (f"the mean of the form over each block; {best.title}",)
    return [replace(exponent, label=label, convention="inclusive", notes=notes)]


_KINDS: dict[str, Callable[[Dataset, _Choice], list[Exponent]]] = {
    "curve": _of_curves,
    "estimates": _of_subjects,
    "block": _of_blocks,
}
"""How exponents are had of data sets, by convention or kind."""


def describe_series(series: Series, form: str, noise: str, gamma: float, limits: tuple[float, float]) -> Exponent:
    """Return an exponent with the description of its curve."""
    data = series.dataset
    # the limits speak of other subjects where these were resampled, or their standard errors known
    subjects_known = series.clusters is not None or (series.se is not None and (series.n or 0) > 1)
    return Exponent(
        label=f"{data.id}: {series.name}" if series.labels else data.id,
        side="human",
        gamma=gamma,
        low=limits[0],
        high=limits[1],
        form=form,
        noise=noise,
        measure=data.measure,
        scale=data.scale,
        axis=data.axis,
        repeated=data.repeated or "",
        convention=series.convention,
        averaging=PERSON if series.n == 1 else _LEVELS.get(data.level, data.level),
        n=series.n,
        source=data.citation,
        study=data.citation,
        subjects_known=subjects_known,
    )


# --------------------------------------------------------------------------------------------------------- claims


def claims() -> tuple[Exponent, ...]:
    """Return the exponents that the paper states, as claimed."""
    with open(data_dir() / "published" / "cram_numbers.csv", encoding="utf-8", newline="") as file:
        return tuple(_claim(row) for row in csv.DictReader(file) if row["id"].startswith("gamma"))


def _claim(row: dict[str, str]) -> Exponent:
    gamma, low, high, half = (float(row[name] or "nan") for name in ("value", "low", "high", "plus_minus"))
    if not math.isnan(half):
        low, high = gamma - half, gamma + half
    return Exponent(
        label=_CLAIMED.get(row["id"], row["quantity"]),
        side="claimed",
        gamma=gamma,
        low=low,
        high=high,
        notes=(row["note"],),
        source=f"arXiv:2602.12204, {row['place']}",
    )
