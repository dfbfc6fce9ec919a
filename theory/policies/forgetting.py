"""How a single write is forgotten: its recall against its age, and the form of that curve.

In every stream one association is shown once and asked for once, at a set age. Between the two come plain tokens only
(*alone*), or those of SRCD with other associations and queries (*among others*). What is measured is the evidence for
the right value, 1 where it is recalled in full; :func:`cogfit.fit` names the form of its mean against age, from the
greatest recall on, if there is one that fits.

``python -m theory.policies.forgetting_page > docs/forgetting.md`` writes the page and its picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import chdtrc

import cogfit
from cogfit.errors import InputError
from cogfit.records.codec import Document
from theory.policies import find
from theory.policies.parameters import check_length
from theory.policies.policy import play
from theory.policies.streams import Array, Setting, Streams, embed, mix
from theory.tasks.srcd import BINDING, QUERY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cogfit.progress import Progress

SCHEMA = "theory.forgetting/1"
SURROUNDINGS = ("alone", "among others")
"""What lies between the write and the query."""

AGES = (1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64, 90, 128, 180)
"""Ages by default, as far as streams of 256 tokens reach."""

_GATE = {"rate": 0.25, "forgetting": 0.02}
MEMORIES: tuple[tuple[str, Mapping[str, float | str]], ...] = (
    # the retention gates, everything else the same
    ("miras", {"retention": "l2", **_GATE}),
    ("miras", {"retention": "lq", **_GATE}),
    ("miras", {"retention": "kl", "scale": 0.5, **_GATE}),
    # systems with names
    ("lightning", {}),
    ("titans", {}),
    ("moneta", {}),
    ("yaad", {}),
    ("memora", {}),
    ("based", {}),
    ("aaren", {}),
    ("sparsey", {}),
    ("cram", {}),
    # caches of bounded size
    ("streaming", {}),
    ("h2o", {}),
    ("a2sf", {}),
    ("lazy-eviction", {}),
    ("sirllm", {}),
    ("adaptive-retention", {}),
)
"""Policies that hold less than everything, with the parameters that differ from their defaults."""

_AT_ONCE = 200  # streams that are played together, so that the scores of attention take 200 MB at most
_TRAINING = 16
_START = 0.25  # share of the stream that comes before the write
_CHANGE = 0.02  # a curve that changes by a smaller share has no form
_FEWEST = 8  # ages from the greatest recall on, below which no form is sought
_REFUSED = 0.05  # level of the lack of fit
_ROUNDED = 0.01**2 / 12  # variance of rounding to two decimals


@dataclass(frozen=True)
class Curve(Document):
    """Recall of a single write against its age.

    Attributes
    ----------
    policy : str
    parameters : Mapping
        Those that differ from the defaults.
    surroundings : {"alone", "among others"}
    ages : tuple of int
        Tokens between write and query.
    recall, error : tuple of float
        Mean evidence for the right value, and its standard error over streams.
    since : int or None
        Age of the greatest recall, from which on a form was sought; None where the curve does not change.
    form : str or None
        The first of `forms`, that which :func:`cogfit.fit` reports if it is one of them; None where no form fits.
    forms : tuple of str
        All forms that cannot be told from it and that miss the points by no more than the errors say, at 5 %.
    power_law : str or None
        Verdict on a power law.
    """

    policy: str
    parameters: Mapping[str, float | str]
    surroundings: str
    ages: tuple[int, ...]
    recall: tuple[float, ...]
    error: tuple[float, ...]
    since: int | None
    form: str | None
    forms: tuple[str, ...]
    power_law: str | None

    @property
    def name(self) -> str:
        """Policy with its parameters."""
        given = ", ".join(
            f"{key}={value}" if isinstance(value, str) else f"{key}={value:g}" for key, value in self.parameters.items()
        )
        return f"{self.policy} ({given})" if given else self.policy

    @property
    def half_life(self) -> float | None:
        """Age at which half of the greatest recall is left.

        By interpolation; None beyond the last age.
        """
        recall = np.array(self.recall)
        best = int(recall.argmax())
        below = np.flatnonzero(recall[best:] < recall[best] / 2)
        if not below.size:
            return None
        after = best + int(below[0])
        ages, sides = np.array(self.ages[after - 1 : after + 1], float), recall[after - 1 : after + 1]
        share = (sides[0] - recall[best] / 2) / (sides[0] - sides[1])
        return float(ages[0] + share * (ages[1] - ages[0]))


@dataclass(frozen=True)
class Forgetting(Document):
    """What :func:`forgetting` found.

    Attributes
    ----------
    setting : Setting
    budget : float
        Share of the stream's length.
    streams, seed : int
        Streams per age.
    curves : tuple of Curve
    """

    SCHEMA: ClassVar[str] = SCHEMA

    setting: Setting
    budget: float
    streams: int
    seed: int
    curves: tuple[Curve, ...]

    def plot(self) -> Figure:
        """Draw recall against age (:func:`theory.policies.forgetting_page.plot_forgetting`)."""
        from theory.policies.forgetting_page import plot_forgetting

        return plot_forgetting(self)


def forgetting(
    setting: Setting | None = None,
    *,
    memories: Sequence[tuple[str, Mapping[str, float | str]]] = MEMORIES,
    ages: Sequence[int] = AGES,
    budget: float = 0.25,
    streams: int = 24,
    seed: int = 0,
    progress: Progress | None = None,
) -> Forgetting:
    """Measure how policies forget a single write.

    Every age has streams of its own, so that the points of a curve are independent.

    Parameters
    ----------
    setting : Setting, optional
    memories : sequence of (str, Mapping)
        Policies and their parameters.
    ages : sequence of int
        At least 8, increasing.
    budget : float
        Share of the stream's length.
    streams : int
        For each age, at least 8.
    seed : int
    progress : callable, optional
        Called as ``progress(done, total, policy)`` before each policy.

    Raises
    ------
    InputError
        If a policy or parameter does not exist, or a number is out of range.

    Examples
    --------
    >>> found = forgetting(Setting(length=64, patterns=8, interval=12), memories=[("lightning", {"decay": 0.9})],
    ...                    ages=range(1, 25, 3), streams=8)
    >>> found.curves[0].form, round(found.curves[0].half_life)
    ('exponential', 8)
    """
    setting = Setting() if setting is None else setting
    ages = tuple(int(age) for age in ages)
    _check(setting, ages, budget, streams, seed)
    for name, parameters in memories:
        check_length(find(name).policy(**parameters), setting.length)
    training = mix(setting, np.random.default_rng([seed, 21]), _TRAINING)
    curves: list[Curve] = []
    for done, (name, parameters) in enumerate(memories):
        if progress is not None:
            progress(done, len(memories), name)
        for surroundings in SURROUNDINGS:
            evidence = _evidence(setting, name, parameters, surroundings, (ages, budget, streams, seed), training)
            curves.append(_curve(name, parameters, surroundings, ages, evidence))
    if progress is not None:
        progress(len(memories), len(memories), "")
    return Forgetting(setting, budget, streams, seed, tuple(curves))


def _check(setting: Setting, ages: tuple[int, ...], budget: float, streams: int, seed: int) -> None:
    longest = setting.length - round(_START * setting.length) - 1
    if len(ages) < 8 or list(ages) != sorted(set(ages)) or ages[0] < 1 or ages[-1] > longest:
        raise InputError(
            f"these ages make no curve: {ages}", hint=f"use at least 8 increasing ones from 1 to {longest}"
        )
    if not 0 < budget <= 1:
        raise InputError(f"`budget={budget:g}` is out of range", hint="use a share of the stream's length up to 1")
    if not 8 <= streams <= 2000:
        raise InputError(f"`streams={streams}` for each age", hint="use 8 to 2000; they are the unit of the errors")
    if seed < 0:
        raise InputError(f"`seed={seed}` is negative", hint="use 0 or more")


def single_writes(setting: Setting, rng: np.random.Generator, ages: Array, *, alone: bool) -> tuple[Streams, Array]:
    """Draw streams with one write of a key.

    The key is its own, and there is one query for it, at an age.

    Parameters
    ----------
    setting : Setting
    rng : numpy Generator
    ages : ndarray of int, shape (B,)
    alone : bool
        Whether all other tokens are plain.

    Returns
    -------
    streams : Streams
        Up to the last query.
    at : ndarray of int, shape (B,)
        Where each query is.
    """
    base, rows, write = mix(setting, rng, len(ages)), np.arange(len(ages)), round(_START * setting.length)
    at = write + ages
    fields = {name: getattr(base, name) * (not alone) for name in ("kind", "key", "value", "answer")}
    key = setting.patterns + setting.length // 2 + 1 + rows  # beyond all others
    value = rng.integers(1, setting.values + 1, len(ages))
    for name, written, asked in (
        ("kind", BINDING, QUERY),
        ("key", key, key),
        ("value", value, 0),
        ("answer", 0, value),
    ):
        fields[name][:, write], fields[name][rows, at] = written, asked
    end = int(at.max()) + 1
    cut = {name: array[:, :end] for name, array in fields.items()}
    return replace(base, **cut, local=base.local[:, :end]), at


def _evidence(
    setting: Setting,
    name: str,
    parameters: Mapping[str, float | str],
    surroundings: str,
    plan: tuple[tuple[int, ...], float, int, int],
    training: Streams,
) -> Array:
    """Evidence for the right value, (ages, streams)."""
    ages, budget, streams, seed = plan
    trained_on = embed(training, seed)
    rng = np.random.default_rng([seed, 22, SURROUNDINGS.index(surroundings)])
    every = np.repeat(ages, streams)
    parts = []
    for some in np.array_split(every, -(-every.size // _AT_ONCE)):
        drawn, at = single_writes(setting, rng, some, alone=surroundings == "alone")
        played = play(
            find(name).policy(**parameters),
            drawn,
            setting.budget(budget),
            training=training,
            seen=embed(drawn, seed),
            trained_on=trained_on,
            seed=seed,
            record=True,
        )
        rows = np.arange(some.size)
        assert played.signal is not None
        parts.append(played.signal[at, rows, drawn.answer[rows, at] - 1])
    return np.concatenate(parts).reshape(len(ages), streams)


def _curve(
    name: str, parameters: Mapping[str, float | str], surroundings: str, ages: tuple[int, ...], evidence: Array
) -> Curve:
    mean = evidence.mean(1).astype(float)
    error = evidence.std(1, ddof=1) / np.sqrt(evidence.shape[1])
    since: int | None = None
    forms: tuple[str, ...] = ()
    power_law: str | None = None
    if np.ptp(mean) > _CHANGE * np.abs(mean).max():
        # below a hundredth of the greatest recall lies what 16-bit numbers lose on the way, with a form of its own
        share, precision = np.round(mean / np.abs(mean).max(), 2), error / np.abs(mean).max()
        # what rises is not forgotten
        first = int(share.argmax())
        since = ages[first]
        if len(ages) - first >= _FEWEST:
            forms, power_law = _forms(ages[first:], share[first:], precision[first:])
    return Curve(
        policy=name,
        parameters=dict(parameters),
        surroundings=surroundings,
        ages=ages,
        recall=tuple(mean.tolist()),
        error=tuple(error.tolist()),
        since=since,
        form=forms[0] if forms else None,
        forms=forms,
        power_law=power_law,
    )


def _forms(ages: tuple[int, ...], share: Array, precision: Array) -> tuple[tuple[str, ...], str]:
    """Find the forms that fit, the reported one first, and the verdict on a power law."""
    # the errors are those of cross-talk, alike at all ages and independent between them
    fit = cogfit.fit(ages, share, axis="delay", measure="other", noise="gaussian", serial=False)
    # The tests of `cogfit.fit` take the size of the errors from the residuals. Here it is known from the streams, so
    # that a form that misses the points by more is found out: chi-squared, with what rounding adds.
    variance = float(np.mean(precision**2)) + _ROUNDED
    names = dict.fromkeys((fit.form, *fit.indistinguishable_forms))
    fitting = [
        name
        for name in names
        if chdtrc(len(ages) - len(fit[name].params), fit[name].estimate.rss / variance) > _REFUSED
    ]
    return tuple(fitting), str(fit.verdict.power_law)
