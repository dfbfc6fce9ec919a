"""Restarts against brute force, and what looks like one and is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.errors import InputError
from cogfit.logs import read_log
from cogfit.logs.clean import prepare
from cogfit.logs.formats.reader import Raw, ReadOptions, Restart
from cogfit.logs.joining import count_exposures, join_routing, join_utilization
from cogfit.logs.model import RoutingLog, UtilizationLog
from cogfit.logs.restarts import resolve_restarts
from cogfit.logs.rows import Wanted

HERE = Path("log.csv")


def utilization_of(steps: list[int], values: list[float] | None = None, **columns: list[str]) -> UtilizationLog:
    values = values if values is not None else np.linspace(0.9, 0.1, len(steps)).tolist()
    frame = pd.DataFrame({"step": steps, "attn_util": values, **columns})
    (part,) = prepare(Raw(frame, "csv", len(frame)), ReadOptions(), HERE)
    return join_utilization([part], HERE)[0]


def brute_restarts(steps: list[int], groups: list[int]) -> list[bool]:
    """Walk through the file; where a step falls back, strike out what is superseded."""
    kept = [True] * len(steps)
    last: dict[int, int] = {}
    for i, (step, group) in enumerate(zip(steps, groups, strict=True)):
        if group in last and step < last[group]:
            for j in range(i):
                if groups[j] == group and steps[j] >= step:
                    kept[j] = False
        last[group] = step
    return kept


@st.composite
def restarted_runs(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Steps that repeat and rise, with a few restarts, in one or two groups side by side."""
    steps, groups = [], []
    for group in range(draw(st.integers(1, 2))):
        begin = 0
        for _ in range(draw(st.integers(1, 4))):
            length = draw(st.integers(12, 20))
            for step in range(begin, begin + length):
                repeat = draw(st.integers(1, 2))
                steps += [step] * repeat
                groups += [group] * repeat
            begin = draw(st.integers(min(begin + 3, begin + length - 2), begin + length - 2))
    order = draw(st.randoms(use_true_random=False))
    merged: list[tuple[int, int]] = []
    lanes = [[pair for pair in zip(steps, groups, strict=True) if pair[1] == lane] for lane in sorted(set(groups))]
    while any(lanes):
        lane = order.choice([lane for lane in lanes if lane])
        merged.append(lane.pop(0))
    return [step for step, _ in merged], [group for _, group in merged]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(restarted_runs())
def test_restarts_equal_brute_force(rows: tuple[list[int], list[int]]) -> None:
    steps, groups = rows
    resolution = resolve_restarts(np.array(steps), np.array(groups, dtype=np.int64))
    assert not resolution.n_unordered
    assert resolution.kept.tolist() == brute_restarts(steps, groups)
    assert sum(fall.n_void for fall in resolution.falls) == int(np.count_nonzero(~resolution.kept))
    order = np.arange(len(steps)) if resolution.order is None else resolution.order
    kept = order[resolution.kept[order]]
    for group in set(groups):
        own = [steps[row] for row in kept if groups[row] == group]
        assert own == sorted(own)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(20, 400), st.floats(0.2, 0.95), st.integers(2, 60), st.integers(1, 25))
def test_a_utilisation_log_forgets_the_branch_that_was_left(n: int, back: float, more: int, every: int) -> None:
    first = np.arange(1, n + 1) * every
    begin = max(int(n * back), 3)
    second = np.arange(begin, begin + more) * every
    steps = np.concatenate([first, second])
    branch = np.concatenate([np.full(n, 0.25), np.full(more, 0.75)])
    log = utilization_of(steps.tolist(), branch.tolist())
    assert log.frame["step"].tolist() == [*first[: begin - 1].tolist(), *second.tolist()]
    assert log.frame["attention_utilization"].tolist() == [0.25] * (begin - 1) + [0.75] * more
    assert log.source.rows_used == len(log.frame)
    (made,) = log.source.branches
    assert (made.step, made.reached, made.rows) == (begin * every, n * every, n - begin + 1)
    assert made.x.tolist() == first[begin - 1 :].tolist()
    assert any("restarted" in note for note in log.source.notes)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.data())
def test_a_log_without_repeated_steps_never_loses_a_row(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 60))
    steps = np.cumsum(data.draw(st.lists(st.integers(1, 3), min_size=n, max_size=n)))
    kind = data.draw(st.sampled_from(["shuffled", "reversed", "late row", "writers", "parts in another order"]))
    order = np.arange(n)
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    if kind == "shuffled":
        order = rng.permutation(n)
    elif kind == "reversed":
        order = order[::-1]
    elif kind == "late row":
        row = int(rng.integers(n))
        order = np.insert(np.delete(order, row), int(rng.integers(row, n)), row)
    elif kind == "writers":  # each flushes a few rows at a time
        writer = rng.integers(0, int(rng.integers(2, 5)), n)
        order = np.lexsort((order, writer, order // int(rng.integers(2, 12))))
    else:
        cut = int(rng.integers(n))
        order = np.roll(order, cut)
    log = utilization_of(steps[order].tolist(), np.linspace(1, 0, n)[order].tolist())
    assert log.frame["step"].tolist() == steps.tolist()
    assert log.frame["attention_utilization"].tolist() == np.linspace(1, 0, n).tolist()
    assert log.source.rows_dropped == {}
    assert log.source.branches == ()


def test_sparse_validation_rows_are_no_restart() -> None:
    frame = pd.DataFrame({"step": [50, 100, 0, 150, 200, 0], "loss": [3, 2.5, None, 2, 1.8, None]})
    (part,) = prepare(Raw(frame, "csv", 6), ReadOptions(y="loss"), HERE)
    log, _ = join_utilization([part], HERE)
    assert log.frame["step"].tolist() == [50, 100, 150, 200]
    assert log.source.branches == ()


def test_validation_rows_at_step_zero_are_explained() -> None:
    frame = pd.DataFrame({"step": [50, 0, 100, 0], "val_loss": [None, 2.0, None, 1.5], "epoch": [0, 0, 1, 1]})
    (part,) = prepare(Raw(frame, "csv", 4), ReadOptions(y="val_loss"), HERE)
    with pytest.raises(InputError, match="all 1 values|only one usable|at step = 0"):
        join_utilization([part], HERE)


def test_writers_that_log_the_same_steps_are_no_restart() -> None:
    # two ranks, one some steps behind the other
    steps = [step for pair in zip(range(4, 40), range(0, 36), strict=True) for step in pair]
    resolution = resolve_restarts(np.array(steps), np.zeros(len(steps), dtype=np.int64))
    assert resolution.kept.all()
    assert not resolution.falls


def test_a_few_rows_written_again_void_nothing_else() -> None:
    steps = [*range(1, 101), 41, 42, *range(101, 120)]
    log = utilization_of(steps, [0.5] * 100 + [0.25] * 2 + [0.5] * 19)
    assert log.frame["step"].tolist() == list(range(1, 120))
    assert log.frame.loc[40:41, "attention_utilization"].tolist() == [0.25, 0.25]
    assert log.source.rows_dropped == {"superseded by a later row of the same step": 2}


def test_a_restart_that_logs_other_steps_is_one() -> None:
    steps = [*range(10, 1001, 10), *range(505, 1500, 10)]
    log = utilization_of(steps)
    assert log.frame["step"].tolist() == [*range(10, 501, 10), *range(505, 1500, 10)]


def test_a_declared_restart_needs_no_repeated_step() -> None:
    frame = pd.DataFrame({"step": [10, 20, 30, 25, 35], "attn_util": [0.9, 0.8, 0.7, 0.6, 0.5]})
    (part,) = prepare(Raw(frame, "tensorboard", 5, restarts=(Restart(3, 21),)), ReadOptions(), HERE)
    log, _ = join_utilization([part], HERE)
    assert log.frame["step"].tolist() == [10, 20, 25, 35]
    assert log.source.branches[0].is_declared


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.tuples(st.integers(10, 40), st.integers(1, 4)), min_size=2, max_size=4), st.integers(0, 1))
def test_the_last_of_several_trainings_is_chosen(trainings: list[tuple[int, int]], first: int) -> None:
    pieces = [np.arange(first, n + first) * every for n, every in trainings]
    steps = np.concatenate(pieces)
    number = np.repeat(np.arange(len(pieces)), [len(piece) for piece in pieces])
    log = utilization_of(steps.tolist(), (number / 10).tolist())
    chosen = log.source.choices[-1]
    assert chosen.kind == "training"
    assert set(log.frame["run"]) == {chosen.name}
    assert log.frame["attention_utilization"].nunique() == 1
    assert log.frame["attention_utilization"].iloc[0] == number[-1] / 10
    assert log.frame["step"].tolist() == pieces[-1].tolist()
    assert log.others is not None
    assert len(log.others) + len(log.frame) == len(steps)
    assert log.source.rows_used == len(log.frame)


def test_one_training_can_be_asked_for_by_name() -> None:
    frame = pd.DataFrame({"step": [1, 2, 3, 4, 1, 2, 3], "attn_util": [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]})
    (part,) = prepare(Raw(frame, "csv", 7), ReadOptions(), HERE)
    log, _ = join_utilization([part], HERE, Wanted(run="training 1 of 2"))
    assert log.frame["attention_utilization"].tolist() == [0.9, 0.8, 0.7, 0.6]
    assert log.source.rows_dropped == {"of another run": 3}


def test_a_step_that_counts_within_epochs_is_doubted() -> None:
    frame = pd.DataFrame({"step": [*range(20)] * 4, "attn_util": np.linspace(1, 0, 80)})
    (part,) = prepare(Raw(frame, "csv", 80), ReadOptions(), HERE)
    _, warnings = join_utilization([part], HERE)
    assert "--x row" in warnings[0]


def test_trainings_of_a_routing_log_are_told_apart() -> None:
    steps = [0, 1, 2, 3, 4, 0, 1, 2]
    frame = pd.DataFrame({"step": steps, "pattern": ["a"] * 8, "attended": [1] * 5 + [0] * 3})
    (part,) = prepare(Raw(frame, "csv", 8), ReadOptions(), HERE)
    log, _ = join_routing([part], HERE)
    assert log.frame["exposure"].tolist() == [0, 1, 2]
    assert not log.frame["attended"].any()
    assert log.others is not None
    assert log.others["exposure"].tolist() == [0, 1, 2, 3, 4]
    assert log.source.rows_dropped == {"of an earlier training": 5}


@pytest.mark.parametrize("is_declared", [False, True])
def test_a_restart_is_one_of_rows_whichever_cells_they_have(is_declared: bool) -> None:
    steps = [*range(1, 21), *range(11, 31)]
    one, two = np.linspace(0.9, 0.3, 40), np.linspace(0.8, 0.2, 40)
    two[20] = np.nan  # the first row after the restart has no value for the second layer
    frame = pd.DataFrame({"step": steps, "layer0/attn_util": one, "layer1/attn_util": two})
    declared = (Restart(20, 11.0),) if is_declared else ()
    (part,) = prepare(Raw(frame, "csv", 40, restarts=declared), ReadOptions(), HERE)
    log, _ = join_utilization([part], HERE)
    by_layer = log.frame.groupby("layer")["step"].apply(list).to_dict()
    assert by_layer == {"0": list(range(1, 31)), "1": [*range(1, 11), *range(12, 31)]}
    assert log.source.rows_dropped == {"superseded after a restart": 10}
    (branch,) = log.source.branches
    assert (branch.rows, branch.is_declared, dict(branch.labels)) == (10, is_declared, {})


def routing_of(steps: list[int], patterns: list[str]) -> tuple[RoutingLog, tuple[str, ...]]:
    attended = [number % 3 == 0 for number in range(len(steps))]
    frame = pd.DataFrame({"step": steps, "pattern": patterns, "attended": attended})
    (part,) = prepare(Raw(frame, "csv", len(steps)), ReadOptions(), HERE)
    return join_routing([part], HERE)


@pytest.mark.parametrize("chunk", [10, 30, 45])
@pytest.mark.parametrize("writers", [2, 3])
@pytest.mark.parametrize("queries", [1, 4])
def test_writers_that_take_turns_are_no_restart(chunk: int, writers: int, queries: int) -> None:
    # each flushes its buffer when that is full; the last one was not flushed by all
    stretches = [range(begin, begin + chunk) for begin in range(0, 180, chunk) for _ in range(writers)]
    steps = [step for stretch in [*stretches, range(180, 180 + chunk)] for step in stretch for _ in range(queries)]
    log, warnings = routing_of(steps, ["a"] * len(steps))
    assert len(log.frame) == len(steps)
    assert log.source.branches == ()
    assert log.source.choices == ()
    assert log.frame["step"].is_monotonic_increasing
    assert any("restart" in warning for warning in warnings)


@pytest.mark.parametrize("n_patterns", [2, 5, 40])
def test_a_table_that_is_sorted_by_pattern_is_one_training(n_patterns: int) -> None:
    rng = np.random.default_rng(n_patterns)
    steps, patterns = np.repeat(np.arange(150), 4), rng.integers(0, n_patterns, 600)
    order = np.lexsort((steps, patterns))
    names = [f"p{code}" for code in patterns]
    expected, _ = routing_of(steps.tolist(), names)
    log, _ = routing_of(steps[order].tolist(), [names[row] for row in order])
    assert log.source.choices == ()
    assert len(log.frame) == 600
    columns = ["step", "pattern", "exposure"]
    assert sorted(map(tuple, log.frame[columns].to_numpy().tolist())) == sorted(
        map(tuple, expected.frame[columns].to_numpy().tolist())
    )


@pytest.mark.parametrize(("rounds", "length"), [(3, 20), (10, 20), (100, 5), (1500, 10), (40, 7)])
def test_a_step_that_counts_within_epochs_is_doubted_however_many_there_are(rounds: int, length: int) -> None:
    steps = [*range(length)] * rounds
    frame = pd.DataFrame({"step": steps, "attn_util": np.linspace(1, 0, len(steps))})
    (part,) = prepare(Raw(frame, "csv", len(frame)), ReadOptions(), HERE)
    log, warnings = join_utilization([part], HERE)
    assert f"anew {rounds - 1} times after the same {length - 1}" in warnings[0]
    assert log.frame["attention_utilization"].tolist() == frame["attn_util"].tolist()[-length:]
    assert bool(log.source.choices) == (rounds <= 100)


@pytest.mark.parametrize("name", ["rank", "local_rank", "worker"])
@pytest.mark.parametrize("chunk", [1, 30, 120])
def test_a_column_may_say_which_process_wrote_a_row(tmp_path: Path, name: str, chunk: int) -> None:
    rows = [(step, rank) for begin in range(0, 120, chunk) for rank in range(3) for step in range(begin, begin + chunk)]
    frame = pd.DataFrame(rows, columns=["step", name]).assign(pattern=lambda table: table["step"] % 7, attended=1)
    frame.to_csv(tmp_path / "log.csv", index=False)
    log = read_log(tmp_path / "log.csv").routing
    assert log is not None
    assert log.source.choices == ()
    assert log.source.rows_dropped == {}
    expected = count_exposures(np.repeat(np.arange(120) % 7, 3).astype(np.int32), np.zeros(360, dtype=np.int64))
    assert log.frame["exposure"].tolist() == expected.tolist()
    # restarts of all processes are seen all the same
    again = pd.concat(
        [frame, frame[frame["step"] >= 60], frame[frame["step"] >= 60].assign(step=lambda t: t["step"] + 60)]
    )
    again.to_csv(tmp_path / "log.csv", index=False)
    log = read_log(tmp_path / "log.csv").routing
    assert log is not None
    assert log.source.rows_dropped == {"superseded after a restart": 180}


@pytest.mark.parametrize("ranks", [(4, 8), (0, 7), (64, 3)])
def test_a_rank_of_something_else_is_no_process(tmp_path: Path, ranks: tuple[int, int]) -> None:
    tables = [pd.DataFrame({"step": range(40), "attn_util": 0.5 + i / 8, "rank": rank}) for i, rank in enumerate(ranks)]
    pd.concat(tables).to_csv(tmp_path / "log.csv", index=False)
    log = read_log(tmp_path / "log.csv").utilization
    assert log is not None
    assert [choice.name for choice in log.source.choices] == ["training 2 of 2"]
