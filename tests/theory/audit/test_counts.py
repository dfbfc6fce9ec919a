"""Counts of a routing log against a loop over its rows."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cogfit import RoutingLog
from cogfit.errors import InputError
from cogfit.logs.clean import prepare
from cogfit.logs.formats.reader import Raw, ReadOptions
from cogfit.logs.joining import join_routing
from theory.audit.counts import Histogram, Queries, Tally, inside

HERE = Path("log.csv")


def log_of(frame: pd.DataFrame) -> RoutingLog:
    parts = prepare(Raw(frame, "csv", len(frame)), ReadOptions(), HERE)
    return join_routing([part for part in parts if part.kind == "routing"], HERE)[0]


def random_log(seed: int, size: int = 40) -> RoutingLog:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "step": np.arange(size),
        "pattern": rng.choice([-1, 0, 1, 2, 3], size),
        "run": np.sort(rng.choice(["a", "b"], size)),
        "attended": rng.integers(0, 2, size),
        "correct": rng.integers(0, 2, size),
    })  # fmt: skip
    return log_of(frame)


def histogram_of(entries: list[Any]) -> dict[int, int]:
    """How many entries have each number of queries; None stands for a novel query."""
    times = Counter(name for name in entries if name is not None)
    novel = sum(name is None for name in entries)
    out = Counter(times.values())
    if novel:
        out[1] += novel
    return dict(out)


def as_dict(histogram: Histogram) -> dict[int, int]:
    return dict(zip(histogram.sizes.tolist(), histogram.entries.tolist(), strict=True))


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("one_table", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_queries_and_tallies_are_those_of_a_loop(seed: int, one_table: bool, labels: bool) -> None:
    log = random_log(seed)
    queries = Queries.of(log, labels=labels, one_table=one_table, x_min=5, x_max=35)
    rows: list[Any] = log.frame.to_dict("records")
    # a value is hidden until a query before shows it: any with labels, else one that is attended
    shown: set[Any] = set()
    kept: list[dict[str, Any]] = []
    for row in rows:
        name = None if row["pattern"] < 0 else (0 if one_table else row["run"], row["pattern"])
        row |= {"entry": name, "hidden": name not in shown}
        if name is not None and (labels or row["attended"]):
            shown.add(name)
        if 5 <= row["step"] <= 35:
            kept.append(row)
    first = {row["entry"]: row["hidden"] for row in reversed(kept)}  # at the first of the queries judged
    pending = [row["entry"] is None or first[row["entry"]] for row in kept]
    assert queries.step.tolist() == [row["step"] for row in kept]
    assert queries.hidden.tolist() == [row["hidden"] for row in kept]
    assert queries.pending.tolist() == pending
    assert queries.recurring.tolist() == [row["entry"] is not None for row in kept]
    assert queries.attended.tolist() == [row["attended"] for row in kept]
    assert queries.right is not None
    assert queries.right.tolist() == [bool(row["correct"]) for row in kept]
    assert queries.warnings == ()

    for n in (1, 12, len(kept)):
        some, tally = kept[:n], Tally.of(queries, n)
        free = [row for row in some if not row["attended"]]
        assert (tally.rows, tally.attended, tally.step) == (n, n - len(free), some[-1]["step"])
        for where, chosen in (
            ("", free),
            ("_recurring", [row for row in free if row["entry"] is not None]),
            ("_hidden", [row for row in free if row["hidden"]]),
        ):
            right = sum(bool(row["correct"]) for row in chosen)
            assert getattr(tally, f"right{where}") == right
            assert getattr(tally, f"wrong{where}") == len(chosen) - right
        assert as_dict(tally.all) == histogram_of([row["entry"] for row in some])
        assert as_dict(tally.unattended) == histogram_of([row["entry"] for row in free])
        assert as_dict(tally.hidden_unattended) == histogram_of([row["entry"] for row in free if row["hidden"]])
        waiting = [row["entry"] for row, is_pending in zip(some, pending, strict=False) if is_pending]
        assert tally.compulsory == sum(histogram_of(waiting).values())
        for pattern in range(4):
            asked = [row for row in some if row["pattern"] == pattern]
            assert tally.asked[pattern : pattern + 1].sum() == len(asked)
            assert tally.free[pattern : pattern + 1].sum() == sum(not row["attended"] for row in asked)
        assert tally.asked.size == tally.free.size == max([0, *(row["pattern"] for row in some)]) + 1
        runs = Counter(0 if one_table else row["run"] for row in some if row["entry"] is not None)
        assert tally.share == (max(runs.values()) / runs.total() if runs else 1.0)
        assert tally.tables is not None
        tables = list(dict.fromkeys(0 if one_table else row["run"] for row in kept))  # numbered as they appear
        right_of, free_of, all_of = (values.tolist() for values in tally.tables)
        for k, run in enumerate(tables):
            here = [row for row in some if one_table or row["run"] == run]
            assert all_of[k] == len(here)
            assert free_of[k] == sum(not row["attended"] for row in here)
            assert right_of[k] == sum(not row["attended"] and bool(row["correct"]) for row in here)
        assert len(all_of) == len(tables)


def small(**columns: list[Any]) -> RoutingLog:
    size = len(columns["pattern"])
    return log_of(pd.DataFrame({"step": list(range(size)), "attended": [0] * size} | columns))


def test_every_novel_query_is_an_entry_of_its_own() -> None:
    assert as_dict(Histogram.of(np.array([0, 0, 0, 1, -1, -1]))) == {1: 3, 3: 1}
    assert as_dict(Histogram.of(np.array([-1, -1]))) == {1: 2}
    assert as_dict(Histogram.of(np.array([2, 2, 5, 5]))) == {2: 2}
    assert as_dict(Histogram.of(np.array([], np.int64))) == {}


def test_an_entry_seen_before_the_log_began_is_not_hidden() -> None:
    log = small(pattern=[3, 4, 3, 4, -1], exposure=[2, 0, 3, 1, -1])
    queries = Queries.of(log, labels=True, one_table=True)
    assert queries.hidden.tolist() == [False, True, False, False, True]
    assert queries.pending.tolist() == [False, True, False, True, True]
    unlabelled = Queries.of(log, labels=False, one_table=True)  # nothing was attended, so nothing was shown since
    assert unlabelled.hidden.tolist() == [False, True, False, True, True]
    first = Queries.of(small(pattern=[3, 4, 3, 4, -1], exposure=[1, 0, 2, 1, -1]), labels=True, one_table=True)
    assert first.hidden.tolist() == [False, True, False, False, True]


def test_without_answers_nothing_is_right_or_wrong() -> None:
    queries = Queries.of(small(pattern=[1, 1, 2]), labels=True, one_table=True)
    assert queries.right is None
    tally = Tally.of(queries, 3)
    assert (tally.right, tally.wrong, tally.right_recurring, tally.right_hidden) == (None,) * 4
    assert tally.tables is None
    assert tally.share == 1.0
    novel = Tally.of(Queries.of(small(pattern=[-1, -1]), labels=True, one_table=True), 2)
    assert novel.share == 1.0
    assert novel.compulsory == 2


@pytest.mark.parametrize("attended", [[0] * 10, [1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [1] * 10])
@pytest.mark.parametrize("accuracy", [0.0, 0.35, 0.3, 0.8, 1.0])
def test_an_accuracy_leaves_room_for_the_fewest_right_answers(attended: list[int], accuracy: float) -> None:
    """Over all ways to be right: attended answers are, and as few others as the accuracy allows."""
    log = small(pattern=[0, 1, -1, 0, 1, 2, -1, -1, 0, 1], attended=attended)
    tally = Tally.of(Queries.of(log, labels=True, one_table=True), 10, accuracy)
    free = 10 - sum(attended)
    novel = sum(p < 0 and not a for p, a in zip(log.frame["pattern"], attended, strict=True))
    hits = min(right for right in range(free + 1) if right + sum(attended) >= round(10 * accuracy, 6))
    assert (tally.right, tally.wrong) == (hits, free - hits)
    # novel queries may have been the right ones, or the wrong ones
    possible = [r for r in range(free - novel + 1) if 0 <= hits - r <= novel]
    assert tally.right_recurring == min(possible)
    assert tally.wrong_recurring == free - novel - min(possible)
    assert tally.right_hidden is None
    assert tally.tables is None


def test_answers_that_are_missing_count_as_wrong_and_others_are_refused() -> None:
    log = small(pattern=[1, 1, 2, 2], correct=[1.0, math.nan, 0.0, math.nan])
    queries = Queries.of(log, labels=True, one_table=True)
    assert queries.right is not None
    assert queries.right.tolist() == [True, False, False, False]
    (warning,) = queries.warnings
    assert warning.startswith("2 queries without a value")
    with pytest.raises(InputError, match="not 0 or 1 everywhere"):
        Queries.of(small(pattern=[1, 1, 2], correct=[1.0, 0.5, math.nan]), labels=True, one_table=True)


def test_steps_to_judge_include_their_ends() -> None:
    step = np.array([3, 5, 8])
    assert inside(step, 3, 8, "a").tolist() == [True, True, True]
    assert inside(step, 4, None, "a").tolist() == [False, True, True]
    assert inside(step, None, 5, "a").tolist() == [True, True, False]
    assert inside(step, None, None, "a").tolist() == [True, True, True]
    with pytest.raises(InputError, match="no row between the steps 6 and 7"):
        inside(step, 6, 7, "a")


def layers(second: dict[str, list[Any]]) -> pd.DataFrame:
    """Four queries of two layers."""
    columns = {"step": [0, 1, 2, 3], "pattern": [1, 2, 1, 2], "attended": [1, 0, 0, 0], "correct": [1, 0, 1, 0]}
    parts = [pd.DataFrame(columns | change).assign(layer=k) for k, change in enumerate(({}, second))]
    return pd.concat(parts, ignore_index=True)


def test_a_query_is_attended_if_any_layer_attends() -> None:
    queries = Queries.of(log_of(layers({"attended": [0, 0, 1, 0]})), labels=True, one_table=True)
    assert queries.attended.tolist() == [True, False, True, False]
    assert queries.step.tolist() == [0, 1, 2, 3]
    assert queries.right is not None
    assert queries.right.tolist() == [True, False, True, False]


@pytest.mark.parametrize(
    "second",
    [{"pattern": [1, 2, 2, 2]}, {"step": [0, 1, 2, 4]}, {"correct": [0, 0, 1, 0]}],
    ids=lambda c: next(iter(c)),
)
def test_layers_with_other_queries_do_not_belong_together(second: dict[str, list[Any]]) -> None:
    with pytest.raises(InputError, match="2 layers or heads are not the same queries"):
        Queries.of(log_of(layers(second)), labels=True, one_table=True)
    with pytest.raises(InputError, match="not the same queries"):
        Queries.of(log_of(layers({}).iloc[:-1]), labels=True, one_table=True)


def test_a_log_of_probabilities_is_refused() -> None:
    frame = pd.DataFrame({"step": [0, 1], "pattern": [0, 0], "p_episodic": [0.5, 0.25]})
    with pytest.raises(InputError, match="probabilities of attending"):
        Queries.of(log_of(frame), labels=True, one_table=True)
