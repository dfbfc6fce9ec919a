"""Values that change: attention and accuracy of all learners over rates of redraws, beside the least of theorem T9.

Run ``python benchmarks/drift.py`` (``--help`` for the options; a quarter of an hour on one core), then
``python benchmarks/drift_page.py``, which writes docs/values-that-change.md and its picture.

Before each step each value is drawn anew with probability ``redraw``, uniformly on all V, and nothing says so. Groups:
*exact* learners know values and queries as symbols (48 patterns by Zipf's law, 16 values, a query in a quarter of 2,000
steps); *policies* are all that ``theory.policies`` has, on streams of 256 tokens of the same law, after a header that
shows all values, with a budget of a quarter of the stream; *trained* models are small CRAMs on SRCD, where a step is a
batch of 8 streams (N = 64, d = 32, 100 recurring patterns, 8 values, Zipf 1.754; ``SEEDS`` in one stack), measured
while they are trained, from the step on at which the router is free. ``labels``: the value is shown after each query.

Columns of results, means over ``streams`` with 95 % limits ``_low``, ``_high``: ``parameter`` of the rule that attends
again, the best for this rate by ``theory.bounds.refreshing``; ``accuracy``; ``attention``: share of the queries that
are read; ``owed``: epochs asked for per query, which T9 says must be paid for; ``owed_exact``: its expectation, where
queries are independent; ``least``: least attention at this many errors, by T9; ``cost``: attention + V/(V−1)·errors
without attention; ``excess``: cost less what is owed; ``below``: whether it is below 0 at a level of 1e-5; ``tokens``:
attended tokens in percent of full attention (policies); ``memory``: what the policy's state learns from, by
intervention.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from grid import Cell, Study, main
from kept import Kept
from numpy.typing import NDArray

from theory.bounds.learners import AsRouter, Learner
from theory.bounds.refreshing import Refreshing, best
from theory.bounds.t9_drift import LEARNERS, queried_epochs
from theory.policies import POLICIES, find
from theory.policies.classify import Traits, classify
from theory.policies.limits import above, epoch_excess, mean_of
from theory.policies.sample import Sample
from theory.policies.streams import Setting, embed, independent
from theory.tasks.retrieval import Router, Stream, play, zipf

Array = NDArray[Any]

RATES = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3)
BUDGET = 0.25
SEEDS = 4
SETTING = Setting()
STREAM = Stream.independent(zipf(48, 1), values=16, length=2000, retrieval=0.25)
FREE = 200  # trained models: all attend in the first 100 steps, and costs grow over as many
STEPS = 600
TYPICAL = 0.03  # the rate that a learner is set to which is not told the rate
_SAMPLE = (20261130, 9)  # the same streams for all policies
_TRAINED = {
    "data.length": 64, "data.query_fraction": 0.1, "data.patterns": 100, "data.novel_keys": 64, "data.values": 8,
    "data.zipf": 1.754, "model.d_model": 32, "model.semantic_rank": 64, "model.lambda_episodic": 0.35,
    "model.lambda_semantic": 0.35, "training.steps": STEPS, "training.batch": 8, "training.rate": 5e-3,
    "training.slow_rate": 3e-3, "training.attend_until": FREE // 2, "training.costs_from": FREE // 2,
    "training.costs_over": FREE // 2, "training.evaluate_every": STEPS,
}  # fmt: skip

Make = Callable[[Stream], tuple[Router, float]]


def _again(rule: str) -> Make:
    """Attend again by one rule, its parameter the best for this rate, the same for all patterns."""

    def make(stream: Stream) -> tuple[Router, float]:
        rate = float(stream.redraw)
        if not rate:
            return Refreshing(), math.nan
        parameter, _ = best(rule, [float(stream.retrieval * p) for p in stream.probabilities], rate)
        if rule == "chance":
            return Refreshing(chance=parameter), parameter
        return (Refreshing(age=int(parameter)) if rule == "age" else Refreshing(every=int(parameter))), parameter

    return make


def _untold(stream: Stream) -> tuple[Router, float]:
    """Attend again at the age that is best at one rate, whatever the rate is."""
    parameter, _ = best("age", [float(stream.retrieval * p) for p in stream.probabilities], TYPICAL)
    return Refreshing(age=int(parameter)), parameter


def _known(router: Router) -> Make:
    return lambda stream: (router, math.nan)


EXACT: dict[str, tuple[str, Make]] = {
    "seen": ("sees redraws, attends once an epoch (T9)", lambda s: (LEARNERS["seen"].router(s), math.nan)),
    "labels": ("labels: answers what was shown last (T9)", lambda s: (LEARNERS["labels"].router(s), math.nan)),
    "blind": ("attends again at the best age of each pattern (T9)", lambda s: (LEARNERS["blind"].router(s), math.nan)),
    "age": ("attends again at one age", _again("age")),
    "count": ("attends at every j-th query", _again("count")),
    "chance": ("attends again by chance", _again("chance")),
    "untold": (f"attends again at the best age for ρ = {TYPICAL}, whatever ρ is", _untold),
    "always": ("attends at every query", _known(Refreshing(every=1))),
    "c1": ("attends once, never again (c = 1)", _known(AsRouter(Learner()))),
    "c5": ("attends five times, never again (c = 5)", _known(AsRouter(Learner(c=5)))),
    "eta": ("until an exposure counts (η = 0.2), never again", _known(AsRouter(Learner(eta=0.2)))),
    "batch": ("once, learning in batches of 64, never again", _known(AsRouter(Learner(batch=64)))),
}
"""Exact learners: title, and the router for a stream with the parameter of its rule."""


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Play or train one learner at one rate."""
    how = {"exact": exact, "policy": policy, "trained": trained}[str(cell["group"])]
    return {name: "" if isinstance(v, float) and math.isnan(v) else v for name, v in how(cell, repeats, rng).items()}


def exact(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """An exact learner on the retrieval stream."""
    stream = replace(STREAM, redraw=float(cell["redraw"]), feedback=cell["labels"] == "yes")
    router, parameter = EXACT[str(cell["learner"])][1](stream)
    run = play(stream, router, rng, repeats)
    asked = np.maximum((run.queries > 0).sum(1), 1)
    attended, wrong, first = (x.sum(1) / asked for x in (run.attended, run.error, run.first))
    found = _columns(1 - wrong, attended, wrong, first, stream.values)
    return {"parameter": parameter, **found, "owed_exact": _expected(stream), "tokens": math.nan, "memory": ""}


def policy(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """A policy of the sources; all of them on the same streams."""
    setting, labels = replace(SETTING, redraw=float(cell["redraw"])), cell["labels"] == "yes"
    sample = Sample.drawn(independent, setting, (repeats, 16), _SAMPLE)
    if labels:
        streams, training = sample.streams.labelled(), sample.training.labelled()
        seen, trained_on = embed(streams, sample.seed), embed(training, sample.seed)
        sample = replace(sample, streams=streams, training=training, seen=seen, trained_on=trained_on)
    traits = _traits(str(cell["learner"]))
    played = sample.play(find(str(cell["learner"])).policy(), BUDGET)
    wrong, guessed = played.per_query(played.wrong), played.per_query(played.wrong & ~played.read)
    read, excess = played.per_query(played.read), epoch_excess(played, sample.streams, traits)
    price = setting.values / (setting.values - 1)
    found = _columns(1 - wrong, read, guessed, read + price * guessed - excess, setting.values)
    tokens = float(played.tokens[:, 1:].mean()) / (setting.length / 2)
    law = replace(STREAM, redraw=setting.redraw, length=setting.length - setting.patterns)
    is_told = traits.memory not in ("none", "attention")
    expected = math.nan if is_told else _expected(law)
    return {"parameter": math.nan, **found, "owed_exact": expected, "tokens": 100 * tokens, "memory": traits.memory}


@lru_cache
def _traits(name: str) -> Traits:
    return classify(find(name).policy)


def trained(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Small CRAMs while they are trained; the unit is a seed."""
    import torch

    from theory.training.ensemble import Stacked
    from theory.training.loop import Streams, loop
    from theory.training.reproducibility import deterministic
    from theory.training.setup import load_setup

    torch.set_num_threads(1)
    own = {"data.redraw": float(cell["redraw"])}
    setups = [
        load_setup("cram-n256", {**_TRAINED, **own, "training.seed": seed, "data.table_seed": seed})
        for seed in rng.integers(0, 2**31 - 1, SEEDS).tolist()
    ]
    training, cpu = setups[0].training, torch.device("cpu")
    kept = [Kept() for _ in setups]
    with deterministic(training.seed, cpu):
        loop(Stacked(setups, cpu), Streams([s.data for s in setups], training.batch, training.seed, cpu), kept, setups)
    rows = []
    for setup, member in zip(setups, kept, strict=True):
        epoch = np.cumsum([where for _, where in itertools.islice(setup.data.tables(), STEPS)], axis=0)
        patterns, steps, attended, correct = (
            np.concatenate(part) for part in (member.patterns, member.steps, member.attended, member.correct)
        )
        pairs = patterns * STEPS + epoch[steps, patterns - 1]
        first = np.zeros(pairs.size, bool)
        first[np.unique(pairs, return_index=True)[1]] = True
        free = steps >= FREE
        rows.append([x[free].mean() for x in (correct, attended, ~correct & ~attended, first)])
    found = _columns(*np.array(rows).T, setups[0].data.values)
    return {"parameter": math.nan, **found, "owed_exact": math.nan, "tokens": math.nan, "memory": ""}


def _expected(stream: Stream) -> float:
    """Expected number of epochs asked for, per expected query (T9)."""
    q = [float(stream.retrieval * p) for p in stream.probabilities]
    epochs = sum(float(queried_epochs(one, float(stream.redraw), stream.length)) for one in q)
    return epochs / (stream.length * float(stream.retrieval))


def _columns(accuracy: Array, attention: Array, guessed: Array, owed: Array, values: int) -> dict[str, Any]:
    """Results from shares of the queries, one per stream."""
    price = values / (values - 1)
    cost = attention + price * guessed
    out: dict[str, Any] = {"streams": accuracy.size}
    for name, x in (("accuracy", accuracy), ("attention", attention), ("excess", cost - owed)):
        mean = mean_of(x)
        out |= {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
    return out | {
        "owed": float(owed.mean()),
        "least": max(0.0, float((owed - price * guessed).mean())),
        "cost": float(cost.mean()),
        "below": above("T9", "", cost - owed).beaten,
    }


def _cell(group: str, learner: str, labels: str, redraw: float) -> Cell:
    return {"group": group, "learner": learner, "labels": labels, "redraw": redraw}


CELLS = (
    *(_cell("exact", name, "yes" if name == "labels" else "no", rate) for name in EXACT for rate in RATES),
    *(_cell("policy", system.id, how, rate) for system in POLICIES for how in ("no", "yes") for rate in RATES),
    *(_cell("trained", "cram", "yes", rate) for rate in RATES),
)
STUDY = Study("drift", (__doc__ or "").split("\n")[0], CELLS, measure, 80)

if __name__ == "__main__":
    main(STUDY)
