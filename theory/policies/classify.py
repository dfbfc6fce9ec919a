"""Classify a policy by intervention.

Histories, values, labels and carried states are changed; what counts is whether decisions or answers change.

Each test plays a policy twice on streams that differ in one thing, with the same coins. The label under which a system
is published plays no part. What follows for the bounds: T1 needs that values not read leave no trace, T3 that all trace
comes from reading, T2 the size of the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Literal, get_args

import numpy as np

from cogfit.records.codec import Document
from theory.policies.policy import Disturb, Played, Policy, play
from theory.policies.streams import Array, Setting, Streams, embed, recurrent
from theory.tasks.srcd import BINDING, PLAIN, QUERY

Memory = Literal["none", "selection", "attention", "tokens"]
Rows = Literal["none", "always", "present token", "history"]
Class = Literal["memoryless", "S-bit", "closed-loop", "looks ahead"]

_SETTING = Setting(length=96, patterns=24, interval=14, query_fraction=0.12, recurring=0.5)
_STREAMS = 10
_SHARE = 0.25
_TARGETS = 2  # keys of each stream whose values are changed in turn
_TINY = 1e-5
_CUTS = {True: range(1, 8), False: (3, 6)}  # eighths at which the future is replaced: more on short streams


@dataclass(frozen=True)
class Traits(Document):
    """What the interventions found.

    Attributes
    ----------
    by_position : bool
        Other streams altogether: the same positions are attended to.
    by_query : bool
        The token at hand asks for another key: it attends to other tokens.
    by_history : bool
        What attention returned earlier is falsified: other tokens are attended to.
    by_values : bool
        A value is another one: other tokens are attended to.
    by_head : bool
        Heads attend to different tokens.
    on_schedule : bool
        The number of tokens attended to goes up and down in time alike in all streams.
    rows : {"none", "always", "present token", "history"}
        Whether attention is executed at all: never; at every token; as the present token is; as what was attended to
        before has left its mark.
    memory : {"none", "selection", "attention", "tokens"}
        Whether a value leaves a trace where it is not read: no; in which tokens are attended to; in a state, once it
        has been read by attention; in a state, from when its token went by.
    declared : bool
        After carried states have been exchanged between streams, answers without reading know nothing of the own
        stream's values any more.
    labels : bool
        Labels after queries make a difference.
    drops : bool
        Tokens are dropped for good.
    ahead : bool
        Later tokens are other ones: earlier decisions or answers differ. No bound holds for that.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"class": "klass", "kind": "kind"}

    by_position: bool
    by_query: bool
    by_history: bool
    by_values: bool
    by_head: bool
    on_schedule: bool
    rows: Rows
    memory: Memory
    declared: bool
    labels: bool
    drops: bool
    ahead: bool = False

    @property
    def klass(self) -> Class:
        """The class of the theorems.

        Without reading nothing is known; a state tells something; and it also steers.
        """
        if self.ahead:
            return "looks ahead"
        if self.memory == "none":
            return "memoryless"
        return "closed-loop" if self.rows == "history" else "S-bit"

    def joined(self, other: Traits) -> Traits:
        """What was seen to change in either."""
        seen = {
            name: getattr(self, name) or getattr(other, name)
            for name in ("by_query", "by_history", "by_values", "by_head", "labels", "drops", "ahead")
        }
        alike = {
            name: getattr(self, name) and getattr(other, name) for name in ("by_position", "on_schedule", "declared")
        }
        rows = max(self.rows, other.rows, key=get_args(Rows).index)
        return Traits(**seen, **alike, rows=rows, memory=max(self.memory, other.memory, key=get_args(Memory).index))

    @property
    def kind(self) -> str:
        """The findings in words."""
        if self.rows == "none":
            what = ["no attention"]
        elif self.by_position:
            what = ["fixed by position" + (", by head" if self.by_head else "")]
        elif self.by_history:
            what = ["steered by past attention"]
        elif self.by_query:
            what = ["routed by the query"]
        else:
            what = ["by the tokens' own content"]
        what += ["on a schedule"] * (self.on_schedule and not self.by_position)
        what += {"present token": ["executed as the token is"], "history": ["executed as needed"]}.get(self.rows, [])
        what += ["drops tokens"] * (self.drops and self.rows != "none")
        what += {
            "none": [],
            "selection": ["values steer the selection"],
            "attention": ["state learns from attention"],
            "tokens": ["state takes in every token"],
        }[self.memory]
        what += ["looks ahead"] * self.ahead
        return "; ".join(what)


def classify(make: Callable[[], Policy], *, seed: int = 0, share: float = _SHARE) -> Traits:
    """Find out what a policy is.

    Parameters
    ----------
    make : callable
        Makes a fresh policy.
    seed : int
    share : float
        Budget, as a share of the stream; what is remembered is looked at under a third of it, too.

    Returns
    -------
    Traits
        What was seen to change did change; what was not may still do so on other streams.

    Examples
    --------
    >>> from theory.policies import find
    >>> found = classify(find("streaming").policy)
    >>> found.klass, found.kind
    ('memoryless', 'fixed by position; drops tokens')
    """
    rng = np.random.default_rng([seed, 3])
    streams, other, training = (recurrent(_SETTING, rng, _STREAMS) for _ in range(3))
    budget = _SETTING.budget(share)
    return _examine(make, streams, other, training, (budget, budget // 3), seed)


def classify_on(
    make: Callable[[], Policy], streams: Streams, training: Streams, budgets: tuple[int, int], *, seed: int = 0
) -> Traits:
    """Classify a policy where it is judged.

    And on the streams of :func:`classify`. A policy could behave on other streams than these, shorter ones say, or
    under another budget.

    Parameters
    ----------
    make : callable
        Makes a fresh policy.
    streams, training : Streams
        To judge it on, and to learn from.
    budgets : (int, int)
        Greatest and least, in tokens.
    seed : int

    Returns
    -------
    Traits
        What was seen to change here, or on the streams of :func:`classify`.
    """
    asking = np.flatnonzero((streams.kind == QUERY).any(1))
    found = classify(make, seed=seed)
    if not asking.size:
        return found
    judged, other = streams.chosen(asking), training.chosen(np.arange(asking.size) % training.size)
    return found.joined(_examine(make, judged, other, training, budgets, seed))


def _examine(
    make: Callable[[], Policy], streams: Streams, other: Streams, training: Streams, budgets: tuple[int, int], seed: int
) -> Traits:
    """Intervene on these streams, under a large and a small budget."""
    rng, vectors = np.random.default_rng([seed, 4]), embed(training)

    def run(on: Streams, disturb: Disturb | None = None, swap_at: int | None = None, tight: bool = False) -> Played:
        return play(
            make(),
            on,
            budgets[1] if tight else budgets[0],
            training=training,
            trained_on=vectors,
            seed=seed,
            disturb=disturb,
            swap_at=swap_at,
            record=True,
        )

    # undisturbed, on other streams, with false attention, and with another present token
    base, elsewhere = run(streams), run(other)
    falsified = run(streams, disturb=_falsify)
    last, asking, plain = _last_query(streams, rng)
    asked_else, made_plain = run(asking), run(plain)
    rows, at = np.arange(streams.size), last
    executed = base.rows > 0
    count = _selected(base).sum((2, 3))
    # what is remembered: also under a small budget, where a cache must forget
    interventions = [_memory(run, streams, base), _memory(partial(run, tight=True), streams, run(streams, tight=True))]
    memory = max((memory for memory, _ in interventions), key=get_args(Memory).index)
    # labels: the same streams with right and with wrong answers shown
    wrong_labels = replace(
        streams.labelled(), value=np.where(streams.kind == QUERY, streams.answer % streams.values + 1, streams.value)
    )
    right, wrong = run(streams.labelled()), run(wrong_labels)
    gated = bool((executed[rows, at] != (made_plain.rows[rows, at] > 0)).any())
    return Traits(
        by_position=bool((_selected(base) == _selected(elsewhere)).all()),
        by_query=_differs(_selected(base)[at, rows], _selected(asked_else)[at, rows]),
        by_history=_differs(_selected(base), _selected(falsified)),
        by_values=interventions[0][1] or interventions[1][1],
        by_head=bool((_selected(base) != _selected(base)[:, :, :1]).any()),
        on_schedule=bool((count == count[:, :1]).all() and (np.diff(count[:, 0]) < 0).any()),
        rows=_rows(executed, falsified.rows > 0, gated),
        memory=memory,
        declared=memory in ("none", "selection") or _declared(run, streams),
        labels=_differs(_selected(right), _selected(wrong)) or bool(_apart(right, wrong).any()),
        drops=base.kept < streams.length,
        ahead=any(
            _looks_ahead(run, streams, other, base, streams.length * part // 8)
            for part in _CUTS[streams.length <= _SETTING.length]
        ),
    )


def _looks_ahead(run: Callable[..., Played], streams: Streams, other: Streams, base: Played, at: int) -> bool:
    """Replace all that comes from a token on; nothing before it may change.

    Nor may the decision at the token, but for what its own query and key say.
    """
    changed = run(streams.followed_by(other, at))
    return (
        _differs(_selected(base)[:at], _selected(changed)[:at])
        or bool((base.rows[:, :at] != changed.rows[:, :at]).any())
        or bool(_apart(base, changed)[:, :at].any())
    )


def _rows(executed: Array, under_false_attention: Array, is_gated: bool) -> Rows:
    """What decides whether attention is executed."""
    if not executed.any():
        return "none"
    if (executed != under_false_attention).any():
        return "history"
    return "present token" if is_gated else "always"


def _falsify(t: int, weights: Array, output: Array) -> tuple[Array, Array]:
    """Falsify what attention returns.

    Weights are reversed in time, the output is zero.
    """
    return weights[:, :, ::-1], np.zeros_like(output)


def _last_query(streams: Streams, rng: np.random.Generator) -> tuple[Array, Streams, Streams]:
    """Locate the last query of each stream.

    With streams in which it asks for another bound key, or is a plain token.
    """
    rows = np.arange(streams.size)
    last = streams.length - 1 - (streams.kind[:, ::-1] == QUERY).argmax(1)
    bound = (streams.kind == BINDING) & (streams.key != streams.key[rows, last][:, None])
    bound &= np.arange(streams.length) < last[:, None]
    chosen = (rng.random(bound.shape) * bound).argmax(1)
    key, kind, answer = streams.key.copy(), streams.kind.copy(), streams.answer.copy()
    key[rows, last], answer[rows, last] = streams.key[rows, chosen], streams.value[rows, chosen]
    asking = replace(streams, key=key, answer=answer)
    key, answer = key.copy(), answer.copy()
    key[rows, last] = answer[rows, last] = 0
    kind[rows, last] = PLAIN
    return last, asking, replace(streams, key=key, kind=kind, answer=answer)


def _memory(run: Callable[..., Played], streams: Streams, base: Played) -> tuple[Memory, bool]:
    """Change the value of one key at a time.

    Queries for it that do not read it, and the selection, must not change.
    """
    steered, traced, unread_traced = False, False, False
    for target in _targets(streams):
        changed = run(streams.revalued(target, np.full(streams.size, 1 + streams.values // 2)))
        steered |= _differs(_selected(base), _selected(changed))
        same = base.query & (streams.key == target[:, None]) & ~base.read & ~changed.read
        trace = same & _apart(base, changed)
        traced |= bool(trace.any())
        unread_traced |= bool((trace & base.unrevealed & changed.unrevealed).any())
    carried = base.memory_bits > 0
    if unread_traced and carried:
        return "tokens", steered
    if traced and carried:
        return "attention", steered
    return ("selection" if steered else "tokens" if unread_traced else "attention" if traced else "none"), steered


def _declared(run: Callable[..., Played], streams: Streams) -> bool:
    """Exchange the carried states half-way.

    After that an unread value of one's own must have left no trace.
    """
    half, even = streams.length // 2, np.arange(streams.size) % 2 == 0
    before = run(streams, swap_at=half)
    for target in _targets(streams):
        shift = np.where(even, 1 + streams.values // 2, 0)
        after = run(streams.revalued(target, shift), swap_at=half)
        is_affected = (streams.key == target[:, None]) & (np.arange(streams.length) >= half)
        bound = ((streams.key == target[:, None]) & (streams.kind == BINDING)).argmax(1) < half
        fresh = np.cumsum((before.read | after.read) & is_affected, axis=1) == 0
        seen = before.query & is_affected & fresh & (even & bound)[:, None]
        if bool((seen & (before.answers != after.answers)).any()):
            return False
    return True


def _targets(streams: Streams) -> list[Array]:
    """Recurring keys of each stream, one after the other.

    Shape (B,) each.
    """
    keys = [np.unique(k[q == QUERY]) for k, q in zip(streams.key, streams.kind, strict=True)]
    most = min(_TARGETS, max(len(k) for k in keys))
    return [np.array([k[i % len(k)] for k in keys]) for i in range(most)]


def _selected(played: Played) -> Array:
    assert played.selection is not None
    return played.selection


def _apart(played: Played, other: Played) -> Array:
    """Tokens at which the evidence for the values differs.

    Shape (B, N).
    """
    assert played.signal is not None
    assert other.signal is not None
    return np.asarray(np.abs(played.signal - other.signal).max(2).T > _TINY)


def _differs(first: Array, second: Array) -> bool:
    return bool((first != second).any())
