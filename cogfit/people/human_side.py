"""People's side of a comparison: exponents of data sets, fitted alike."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cogfit import fitting
from cogfit.files import data_dir
from cogfit.formulas.registry import POWER_LAWS
from cogfit.inference.interval import format_interval
from cogfit.people.catalogue import Catalogue, human
from cogfit.people.dataset import Dataset, Series
from cogfit.people.exponent import (
    DISTRIBUTION,
    MEAN,
    PERSON,
    Exponent,
    form_title,
    obstacles,
)
from cogfit.people.fits import LEAST_POINTS, PLANS, Plan, fit_human


def chosen_datasets(people: Catalogue | Dataset | Sequence[Dataset] | None) -> list[Dataset]:
    """Data sets that the caller chose; all of the catalogue by default."""
    if people is None:
        return list(human().values())
    if isinstance(people, Dataset):
        return [people]
    return list(people.values() if isinstance(people, Catalogue) else people)


_CLAIMED = {
    "gamma_model": "CRAM's own γ",
    "gamma_human": "people, 'across studies'",
    "gamma_fast_semantic": "CRAM, semantic rate × 10",
}


def claims() -> tuple[Exponent, ...]:
    """Exponents that CRAM states, as claimed: of the model, of people, and with a faster semantic memory."""
    out = []
    with open(data_dir() / "published" / "cram_numbers.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if not row["id"].startswith("gamma"):
                continue
            gamma, low, high, half = (float(row[name] or "nan") for name in ("value", "low", "high", "plus_minus"))
            if not math.isnan(half):
                low, high = gamma - half, gamma + half
            out.append(
                Exponent(_CLAIMED.get(row["id"], row["quantity"]), "claimed", gamma, low, high, notes=(row["note"],),
                         source=f"arXiv:2602.12204, {row['place']}")
            )  # fmt: skip
    return tuple(out)


def human_exponents(
    data: Dataset, mine: Exponent, form: str | None, align: bool, level: float
) -> tuple[list[Exponent], str]:
    """Exponents of a data set, or why it has none."""
    if data.kind == "contrast":
        return [], "a few conditions give contrasts, never an exponent"
    exponents = _KINDS.get(data.convention if data.convention in _KINDS else data.kind, _of_curves)
    out = [one for one in exponents(data, form, "gaussian", None, level) if not math.isnan(one.gamma)]
    if align and any(item.aspect.refit for one in out for item in obstacles(mine, one)):
        convention = mine.convention if data.axis == "repetition" else None
        made = [one for one in exponents(data, mine.form, mine.noise, convention, level) if not math.isnan(one.gamma)]
        if len(made) == len(out):
            out = [replace(new, done=_what_changed(old, new)) for old, new in zip(out, made, strict=True)]
    if data.convention == "block":
        return out, _share(data, level)
    return out, "" if out else "no exponent is determined"


def _share(data: Dataset, level: float) -> str:
    """What the fitted share of trials by the algorithm says of its own form."""
    mixtures = [one for one in fit_human(data, level=level, full=False).pooled if one.model == "two_process_constant"]
    rate = min(mixtures, key=lambda one: one.aicc).params["r"]
    return (
        "the share of trials solved by the algorithm, which would be comparable, is fitted as "
        f"p(k) = e^(−{rate:.3f} k), an exponential: it has no γ"
    )


def _what_changed(old: Exponent, new: Exponent) -> tuple[str, ...]:
    """How fitting anew changed what was fitted, in words."""
    said = {
        "convention": f"k counts {_COUNTS.get(new.convention, new.convention)}",
        "form": f"fitted as {form_title(new.form)}",
        "noise": f"under {new.noise} noise",
    }
    return tuple(words for name, words in said.items() if getattr(old, name) != getattr(new, name))


_COUNTS = {"prior": "earlier presentations", "inclusive": "presentations including this one"}

_LEVELS = {"subject": PERSON, "subject mean": MEAN, "group mean": MEAN}
"""Levels of averaging of the catalogue in words that hold for runs, too; other levels are their own."""


def _described(series: Series, form: str, noise: str, gamma: float, low: float, high: float) -> Exponent:
    """Exponent of a human curve with what the catalogue says of it."""
    data = series.dataset
    averaging = PERSON if series.n == 1 else _LEVELS.get(data.level, data.level)
    short = re.sub(r"(?<=\d{4})_.*", "", data.id)  # authors and year; measure and axis stand beside it
    label = f"{short}: {series.name}" if series.labels else short
    return Exponent(
        label=label, side="human", gamma=gamma, low=low, high=high, form=form, noise=noise, measure=data.measure,
        scale=data.scale, axis=data.axis, repeated=data.repeated or "", convention=series.convention,
        averaging=averaging, n=series.n, source=data.citation, study=data.citation,
    )  # fmt: skip


def _of_curves(data: Dataset, form: str | None, noise: str, convention: str | None, level: float) -> list[Exponent]:
    """Exponent of each curve, under one form or the better power law."""
    plan, out = PLANS.get(data.id, Plan()), []
    for series in data.series():
        if convention in _COUNTS and convention != series.convention:
            series = series.under(convention)
        curve = series.curve()
        keep = (curve.x > 0) & (curve.x >= (plan.x_min or 0.0)) & (curve.x <= (plan.x_max or math.inf))
        if np.unique(curve.x[keep]).size < LEAST_POINTS or (noise == "lognormal" and np.any(curve.y[keep] <= 0)):
            continue
        curve = curve.take(keep)
        names = [form] if form else [name for name in POWER_LAWS if plan.form in (None, name)]
        fits = [fitting.fit(curve, form=name, noise=noise, level=level) for name in names]
        best = min(fits, key=lambda fit: fit.aicc)
        limits = best.interval or (math.nan, math.nan)
        gamma = math.nan if best.gamma is None else best.gamma
        known = series.clusters is not None or (series.se is not None and (series.n or 0) > 1)
        one = _described(series, best.form, best.noise, gamma, *limits)
        out.append(replace(one, subjects_known=known, notes=best.warnings))
    return out


def _of_subjects(data: Dataset, form: str | None, noise: str, convention: str | None, level: float) -> list[Exponent]:
    """Mean over subjects of the power laws that were fitted to each."""
    out = []
    for series, found in zip(data.series(), fit_human(data, level=level, full=False).populations, strict=True):
        one = _described(series, "power", "gaussian", found.mean, found.low, found.high)
        limits = format_interval((found.new_low, found.new_high))
        notes = (f"SD between {found.n} subjects {found.sd:.3f}; one more is expected in {limits}", found.method)
        out.append(replace(one, averaging=DISTRIBUTION, n=found.n, subjects_known=True, notes=notes))
    return out


def _of_blocks(data: Dataset, form: str | None, noise: str, convention: str | None, level: float) -> list[Exponent]:
    """One γ for all cells of block means, the form averaged over each block; k includes this presentation."""
    scale = "log" if noise == "lognormal" else "raw"
    fits = [
        one for one in fit_human(data, level=level, full=False).pooled
        if (one.at, one.scale) == ("blocks", scale) and one.model in ([form] if form else POWER_LAWS)
    ]  # fmt: skip
    if not fits:
        return []
    best = min(fits, key=lambda fit: fit.aicc)
    one = _described(data.series()[0], best.model, noise, best.params["gamma"], *best.interval("gamma", level))
    label = one.label.split(":")[0] + ": all cells, one γ"
    notes = (f"the mean of the form over each block; {best.title}",)
    return [replace(one, label=label, convention="inclusive", notes=notes)]


_KINDS = {"block": _of_blocks, "estimates": _of_subjects}
"""How exponents are had of data sets that are no plain curves, by convention or kind."""
