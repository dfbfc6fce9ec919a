"""All policies on the same streams over budgets.

Accuracy, cost, class by test, bounds; table, JSON and picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import cogfit
from cogfit.errors import InputError
from cogfit.records.codec import Document, wire
from theory.policies import System, find, systems
from theory.policies.classify import Traits, classify_on
from theory.policies.limits import Comparison, Mean, Traffic, carried_bits, compare, mean_of, traffic
from theory.policies.parameters import check_length
from theory.policies.policy import Played
from theory.policies.sample import Sample
from theory.policies.streams import LAWS, Setting, Streams, law

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cogfit.progress import Progress

SCHEMA = "theory.policies/1"
BUDGETS = (1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Budgets by default, as shares of the stream's length."""

_TRAINING = 16  # streams that policies learn from
_EXAMINED = 2  # streams of each law on which interventions are made


@dataclass(frozen=True)
class Cell(Document):
    """One policy under one budget on one law.

    Means over streams with 95 % limits.

    Attributes
    ----------
    policy, law : str
    budget : float
        Share of the stream's length.
    accuracy : Mean
        Share of the queries that are answered rightly.
    tokens : Mean
        Tokens attended to, as a share of what full attention attends to.
    tokens_per_token : float
        The same, per token of the stream.
    rows : float
        Share of tokens and heads at which attention is executed.
    read : Mean
        Share of the queries at which the value asked for is attended to.
    kept : int
        Most tokens held at a time.
    memory_bits, carried_bits, score_bits : float
        Bits of the state from which is answered without attention; the same with the cache; bits of bookkeeping.
    compared : float
        Vectors compared with in order to choose tokens, per token and head.
    bytes_read : Traffic
        Bytes read per token.
    comparisons : tuple of Comparison
    """

    policy: str
    law: str
    budget: float
    accuracy: Mean
    tokens: Mean
    tokens_per_token: float
    rows: float
    read: Mean
    kept: int
    memory_bits: float
    carried_bits: float
    score_bits: float
    compared: float
    bytes_read: Traffic
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class Study(Document):
    """What :func:`study` found.

    Attributes
    ----------
    setting : Setting
    streams, seed : int
    budgets : tuple of float
    systems : tuple of System
    traits : Mapping
        Policy -> what the interventions found.
    cells : tuple of Cell
    parameters : Mapping
        Parameters that were given; the others have their defaults.
    asked : Mapping
        Law -> queries per token.
    distinct : Mapping
        Law -> keys asked for per query: what every learner must read (T3).
    frequencies : Mapping
        Law -> probabilities of the keys where queries are independent.
    """

    SCHEMA: ClassVar[str] = SCHEMA
    DERIVED: ClassVar[Mapping[str, str]] = {
        "policies": "_policies",
        "limits": "_limits",
        "below_their_bound": "_below",
        "versions": "_versions",
    }

    setting: Setting
    streams: int
    seed: int
    budgets: tuple[float, ...]
    systems: tuple[System, ...] = field(metadata=wire(skip=True))
    traits: Mapping[str, Traits] = field(metadata=wire(skip=True))
    cells: tuple[Cell, ...]
    parameters: Mapping[str, float | str]
    asked: Mapping[str, float] = field(metadata=wire(skip=True))
    distinct: Mapping[str, float] = field(metadata=wire(skip=True))
    frequencies: Mapping[str, tuple[float, ...]] = field(metadata=wire(skip=True))

    @property
    def laws(self) -> tuple[str, ...]:
        """Laws played, in order."""
        return tuple(self.distinct)

    @property
    def beaten(self) -> tuple[Cell, ...]:
        """Cells below the bound of their class.

        None, unless a theorem or the code is wrong.
        """
        return tuple(cell for cell in self.cells if any(c.beaten for c in cell.comparisons))

    def at(self, policy: str, law: str) -> tuple[Cell, ...]:
        """Cells of a policy on a law, by budget."""
        return tuple(cell for cell in self.cells if (cell.policy, cell.law) == (policy, law))

    def plot(self) -> Figure:
        """Draw accuracy against attention, and against the limits (:func:`theory.policies.study_plot.plot_study`)."""
        from theory.policies.study_plot import plot_study

        return plot_study(self)

    @property
    def _policies(self) -> list[dict[str, Any]]:
        return [
            {
                "id": system.id,
                "title": system.title,
                "source": system.source,
                "rule": system.rule,
                "listed_as": system.kind,
                "parameters": system.parameters | dict(self.parameters),
                "found": self.traits[system.id],
            }
            for system in self.systems
        ]

    @property
    def _limits(self) -> list[dict[str, Any]]:
        return [
            {
                "law": name,
                "queries_per_token": self.asked[name],
                "least_read_by_any_learner": share,
                "frequencies": self.frequencies.get(name),
            }
            for name, share in self.distinct.items()
        ]

    @property
    def _below(self) -> int:
        return len(self.beaten)

    @property
    def _versions(self) -> dict[str, str]:
        return {"cogfit": cogfit.__version__, "numpy": np.__version__}


def study(
    setting: Setting | None = None,
    *,
    policies: Sequence[str] = (),
    laws: Sequence[str] = (),
    budgets: Sequence[float] = BUDGETS,
    streams: int = 40,
    seed: int = 0,
    parameters: Mapping[str, float | str] | None = None,
    progress: Progress | None = None,
) -> Study:
    """Play, classify and compare policies with their bounds.

    All are played on the same streams.

    Parameters
    ----------
    setting : Setting, optional
    policies, laws : sequence of str
        Default: all.
    budgets : sequence of float
        Shares of the stream's length, each between 0 and 1.
    streams : int
        Per law, at least 8; every stream has values of its own and is the unit of the intervals.
    seed : int
    parameters : Mapping, optional
        Parameters of the policy, where there is one only.
    progress : callable, optional
        Called as ``progress(done, total, policy)`` before each part.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        If a policy, law or parameter does not exist, or a number is out of range.

    Examples
    --------
    >>> found = study(Setting(length=64, patterns=8, interval=12), policies=["streaming"], laws=["mix"],
    ...               budgets=[0.25], streams=8)
    >>> found.traits["streaming"].klass, len(found.beaten)
    ('memoryless', 0)
    """
    setting = Setting() if setting is None else setting
    played_systems = tuple(find(name) for name in dict.fromkeys(policies)) or systems()
    chosen = {name: law(name) for name in (laws or LAWS)}
    given = dict(parameters or {})
    _check(streams, budgets, given, played_systems, setting.length, seed)
    parts = _Parts(progress, len(played_systems) * (1 + len(chosen) * len(budgets)))

    def drawn(setting: Setting) -> dict[str, Sample]:
        return {
            name: Sample.drawn(draw, setting, (streams, _TRAINING), [seed, number])
            for number, (name, draw) in enumerate(chosen.items())
        }

    samples = drawn(setting)

    # what each policy is, by interventions: on some of the streams of every law, under the budgets of the study
    examined = samples if not setting.redraw else drawn(replace(setting, redraw=0.0))  # interventions change values
    some = np.arange(_EXAMINED)
    judged = Streams.together([sample.streams.chosen(some) for sample in examined.values()])
    training = Streams.together([sample.training.chosen(some) for sample in examined.values()])
    ends = setting.budget(max(budgets)), setting.budget(min(budgets))
    traits: dict[str, Traits] = {}
    for system in played_systems:
        parts.begin(system.id)
        make = partial(system.policy, **given)
        traits[system.id] = classify_on(make, judged, training, ends, seed=seed)

    # what each policy can do: all of them on the same streams, under each budget
    cells: list[Cell] = []
    share_asked, distinct, frequencies = {}, {}, {}
    for name, sample in samples.items():
        if sample.streams.law is not None:
            frequencies[name] = sample.streams.law
        for system in played_systems:
            for share in budgets:
                parts.begin(system.id)
                played = sample.play(system.policy(**given), share)
                cells.append(_cell(system, name, share, sample, played, traits[system.id]))
        asked = played.query.sum(1)  # the same for all policies
        share_asked[name] = float(asked.mean()) / setting.length
        distinct[name] = float((played.distinct[asked > 0] / asked[asked > 0]).mean())
    parts.end()
    return Study(
        setting=setting,
        streams=streams,
        seed=seed,
        budgets=tuple(budgets),
        systems=played_systems,
        traits=traits,
        cells=tuple(cells),
        parameters=given,
        asked=share_asked,
        distinct=distinct,
        frequencies=frequencies,
    )


def _check(
    streams: int,
    budgets: Sequence[float],
    parameters: Mapping[str, float | str],
    played: Sequence[System],
    length: int,
    seed: int,
) -> None:
    if not 8 <= streams <= 2000:
        raise InputError(f"`streams={streams}` streams", hint="use 8 to 2000; they are the unit of the intervals")
    if not budgets or not all(0 < share <= 1 for share in budgets):
        hint = "they lie between 0 and 1"
        raise InputError("`budgets` has one that is no share of the stream's length", hint=hint)
    if parameters and len(played) != 1:
        raise InputError("`parameters` belong to one policy", hint="name it with `policies`")
    if seed < 0:
        raise InputError(f"`seed={seed}` is negative", hint="use 0 or more")
    for system in played:
        check_length(system.policy(**parameters), length)


@dataclass
class _Parts:
    """Parts of the work, each reported before it begins."""

    progress: Progress | None
    total: int
    done: int = 0

    def begin(self, policy: str) -> None:
        """Report a part of the work on a policy."""
        if self.progress is not None:
            self.progress(self.done, self.total, policy)
        self.done += 1

    def end(self) -> None:
        """Report that everything is done."""
        if self.progress is not None:
            self.progress(self.total, self.total, "")


def _cell(system: System, law: str, share: float, sample: Sample, played: Played, traits: Traits) -> Cell:
    """Means over streams of what a policy did."""
    setting, per_token = sample.setting, played.tokens[:, 1:].mean(1)
    return Cell(
        policy=system.id,
        law=law,
        budget=share,
        accuracy=mean_of(1 - played.per_query(played.wrong)),
        tokens=mean_of(per_token / (setting.length / 2)),
        tokens_per_token=float(per_token.mean()),
        rows=float(played.rows[:, 1:].mean()),
        read=mean_of(played.per_query(played.read)),
        kept=played.kept,
        memory_bits=played.memory_bits,
        carried_bits=carried_bits(played, setting.values, traits.by_values),
        score_bits=played.score_bits,
        compared=played.compared,
        bytes_read=traffic(played, sample.seen.shape[1], sample.seen.key.shape[3], sample.seen.value.shape[2]),
        comparisons=compare(played, sample.streams, traits),
    )
