"""Columns, order, duplicates, restarts and exposures, against brute force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.errors import InputError
from cogfit.logs import read_log
from cogfit.logs.clean import prepare
from cogfit.logs.columns import ALIASES, NoLogColumns, find_columns, recognised_role
from cogfit.logs.formats.reader import Raw, ReadOptions
from cogfit.logs.joining import count_exposures, join_routing, join_utilization
from cogfit.logs.labels import natural_key
from cogfit.logs.model import RoutingLog, UtilizationLog

HERE = Path("log.csv")


def utilization_of(frame: pd.DataFrame, **options: str) -> UtilizationLog:
    parts = prepare(Raw(frame, "csv", len(frame)), ReadOptions(**options), HERE)  # type: ignore[arg-type]
    return join_utilization([part for part in parts if part.kind == "utilization"], HERE)[0]


def routing_of(frame: pd.DataFrame, **options: str) -> tuple[RoutingLog, tuple[str, ...]]:
    parts = prepare(Raw(frame, "csv", len(frame)), ReadOptions(**options), HERE)  # type: ignore[arg-type]
    return join_routing([part for part in parts if part.kind == "routing"], HERE)


# --- columns ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "alias"), [(role, name) for role in ALIASES for group in ALIASES[role] for name in group]
)
def test_every_alias_is_recognised_in_any_spelling(role: str, alias: str) -> None:
    spellings = [alias, alias.upper(), alias.replace("_", "-") if not alias.startswith("_") else alias]
    spellings += [f"train/{alias}", f"model/router/{alias}"]
    assert {recognised_role(spelling) for spelling in spellings} == {role}


@pytest.mark.parametrize(
    ("names", "step", "y"),
    [
        (["step", "global_step", "attn_util"], "step", "attn_util"),
        (["_step", "trainer/global_step", "attn_util"], "trainer/global_step", "attn_util"),
        (["step", "attention_rate", "attention_utilization"], "step", "attention_utilization"),
        (["step", "eval/attention_utilization", "attention_utilization"], "step", "attention_utilization"),
        (["Iter", "Attention Utilisation"], "Iter", "Attention Utilisation"),
        (["step", "eval_attention_utilization"], "step", "eval_attention_utilization"),
        (["step", "attention_utilization", "attention_utilization/layer_0"], "step", "attention_utilization"),
    ],
)
def test_the_best_column_wins(names: list[str], step: str, y: str) -> None:
    columns = find_columns(names, ReadOptions(), HERE)
    assert (columns.step, [level.column for level in columns.utilization]) == (step, [y])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["step", "one/attn_util", "two/attn_util"], r"'one/attn_util' and 'two/attn_util'.*--y"),
        (["step", "attn_util", "attention_rate"], r"'attn_util' and 'attention_rate'.*--y"),
        (["a/step", "b/step", "attn_util"], r"'a/step' and 'b/step'.*--x"),
        (["a/attn_util/layer_0", "b/attn_util/layer_0", "step"], "--y"),
        (["step", "layer", "attn_util/layer_0", "attn_util/layer_1"], "--y"),
    ],
)
def test_equal_candidates_are_not_guessed(names: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_columns(names, ReadOptions(), HERE)


def test_missing_columns_are_told_apart() -> None:
    with pytest.raises(NoLogColumns, match=r"training step.*--x"):
        find_columns(["attn_util", "time"], ReadOptions(), HERE)
    with pytest.raises(NoLogColumns, match="did you mean 'atention_utilization'"):
        find_columns(["step", "atention_utilization"], ReadOptions(), HERE)
    with pytest.raises(NoLogColumns, match=r"attention was used.*--y"):
        find_columns(["step", "pattern", "loss"], ReadOptions(), HERE)
    with pytest.raises(NoLogColumns, match="no column 'los'; did you mean 'loss'"):
        find_columns(["step", "loss", "attn_util"], ReadOptions(y="los"), HERE)


def test_a_chosen_column_wins_and_its_namesake_is_kept() -> None:
    frame = pd.DataFrame({"step": [0, 1], "tokens": [0, 512], "attention_utilization": [1.0, 0.5], "loss": [9.0, 4.0]})
    log = utilization_of(frame, x="tokens", y="loss")
    assert (log.x_name, log.y_name) == ("tokens", "loss")
    assert log.frame["step"].tolist() == [0, 512]
    assert log.frame["attention_utilization"].tolist() == [9.0, 4.0]
    assert log.frame["step_logged"].tolist() == [0, 1]
    assert log.frame["attention_utilization_logged"].tolist() == [1.0, 0.5]


def test_range_is_checked_for_columns_known_by_name_only() -> None:
    frame = pd.DataFrame({"step": [0, 1], "share": [90.0, 50.0], "attn_util": [90.0, 50.0], "p_attend": [0.5, 1.5]})
    assert utilization_of(frame, y="share").frame["attention_utilization"].tolist() == [90.0, 50.0]
    with pytest.raises(InputError, match=r"line 1, column 'attn_util'.*percentages"):
        utilization_of(frame)
    with pytest.raises(InputError, match="line 2, column 'p_attend'"):
        utilization_of(frame, y="p_attend")
    rounded = pd.DataFrame({"step": [0, 1], "attn_util": [1 + 1e-10, -1e-10]})
    assert utilization_of(rounded).frame["attention_utilization"].tolist() == [1.0, 0.0]
    assert rounded["attn_util"].tolist() == [1 + 1e-10, -1e-10]  # the caller's table is left alone


def test_chosen_column_of_a_routing_log() -> None:
    frame = pd.DataFrame({"step": [0, 1, 2], "pattern": [1, 1, 1], "used": [1, 0, 1], "soft": [0.9, 0.1, 0.5]})
    hard, _ = routing_of(frame, y="used")
    assert hard.frame["attended"].tolist() == [True, False, True]
    soft, _ = routing_of(frame, y="soft")
    assert soft.frame["p_episodic"].tolist() == [0.9, 0.1, 0.5]
    with pytest.raises(InputError, match="not a fraction"):
        routing_of(frame.assign(soft=[0.1, 2.0, 0.3]), y="soft")


@pytest.mark.parametrize(
    "name", ["attention_utilization/layer_{}", "layers.{}.attn_util", "model/layer_{}/attn_util", "Layer {} attn-util"]
)
def test_layers_in_names_become_rows(name: str) -> None:
    frame = pd.DataFrame({"step": [0, 1], name.format(0): [0.9, 0.8], name.format(10): [0.5, np.nan]})
    frame[name.format(2)] = [0.7, 0.6]
    log = utilization_of(frame)
    assert log.frame["layer"].tolist() == ["0", "0", "2", "2", "10"]
    assert log.frame["attention_utilization"].tolist() == [0.9, 0.8, 0.7, 0.6, 0.5]
    assert (log.source.rows_read, log.source.rows_used, log.source.rows_dropped) == (2, 2, {})
    assert "by layer" in " ".join(log.source.notes)


def test_layers_and_heads_in_names() -> None:
    names = [f"attn_util/layer_{layer}/head_{head}" for layer in (0, 1) for head in (0, 1, 2)]
    frame = pd.DataFrame({"step": [0, 1]} | {name: [index / 10, index / 20] for index, name in enumerate(names)})
    log = utilization_of(frame)
    assert log.frame[["layer", "head"]].drop_duplicates().to_numpy().tolist() == [
        [layer, head] for layer in "01" for head in "012"
    ]
    assert utilization_of(frame, y=names[4]).frame["attention_utilization"].tolist() == [0.4, 0.2]


# --- utilisation ------------------------------------------------------------------------------------------------------


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.data())
def test_order_of_rows_does_not_matter_where_steps_are_unique(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 30))
    steps = data.draw(st.lists(st.integers(-5, 1000), min_size=n, max_size=n, unique=True))
    frame = pd.DataFrame({"step": steps, "attn_util": np.linspace(0, 1, n), "seed": np.arange(n) % 3})
    shuffled = frame.iloc[data.draw(st.permutations(range(n)))].reset_index(drop=True)
    first, second = utilization_of(frame), utilization_of(shuffled)
    pd.testing.assert_frame_equal(first.frame, second.frame)
    expected = frame.sort_values(["seed", "step"])
    assert first.frame["step"].tolist() == expected["step"].tolist()
    assert first.frame["run"].tolist() == expected["seed"].astype(str).tolist()
    assert first.source.rows_dropped == {}


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from("ab"), st.floats(0, 1)), min_size=2, max_size=40))
def test_the_last_row_of_a_step_counts(rows: list[tuple[int, str, float]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])  # stable: rows of one step stay in their order
    frame = pd.DataFrame(rows, columns=["step", "run", "attn_util"])
    last = {(run, step): value for step, run, value in rows}  # later rows overwrite
    if len({step for _, step in last}) < 2:
        return
    log = utilization_of(frame)
    got = log.frame
    assert list(zip(got["run"], got["step"], got["attention_utilization"], strict=True)) == [
        (*key, last[key]) for key in sorted(last)
    ]
    superseded = log.source.rows_dropped.get("superseded by a later row of the same step", 0)
    assert superseded == len(rows) - len(last)


def test_missing_and_infinite_values_are_dropped_by_reason() -> None:
    frame = pd.DataFrame(
        {"step": [0, 1, np.nan, 3, 4, 5], "attn_util": ["1", "NaN", "0.5", "inf", " 0.25 ", None]}, dtype=object
    )
    log = utilization_of(frame)
    assert log.frame["step"].tolist() == [0, 4]
    assert log.frame["step"].dtype == np.int64
    assert dict(log.source.rows_dropped) == {
        "no value in 'step'": 1,
        "no value in 'attn_util'": 2,
        "infinite value in 'attn_util'": 1,
    }


def test_fractional_steps_stay_fractional() -> None:
    log = utilization_of(pd.DataFrame({"step": [0.5, 0.25], "attn_util": [0.1, 0.2]}))
    assert log.frame["step"].tolist() == [0.25, 0.5]
    assert "sorted" in " ".join(log.source.notes)


# --- routing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[1, 0, 1], [True, False, True], ["true", "False", "TRUE"], [1.0, 0.0, 1.0]])
def test_decisions_in_any_spelling(values: list[Any]) -> None:
    log, _ = routing_of(pd.DataFrame({"step": [0, 1, 2], "pattern": ["a", "b", "a"], "attended": values}))
    assert log.frame["attended"].dtype == np.bool_
    assert log.frame["attended"].tolist() == [True, False, True]


def test_novel_rows_are_kept_without_exposure() -> None:
    for novel in (-1, None, np.nan):
        frame = pd.DataFrame({"step": [0, 0, 1, 1], "pattern": [5, novel, 5, novel], "attended": [1, 1, 0, 1]})
        log, _ = routing_of(frame)
        assert log.pattern_names == ("5",)
        assert log.frame["pattern"].tolist() == [0, -1, 0, -1]
        assert log.frame["exposure"].tolist() == [0, -1, 1, -1]
    log, warnings = routing_of(pd.DataFrame({"step": [0, 1, 2], "pattern": ["", "novel", "x"], "attended": [1, 1, 1]}))
    assert log.pattern_names == ("novel", "x")
    assert "novel" in warnings[0]


def test_an_empty_column_does_not_cost_the_rows_of_the_other() -> None:
    frame = pd.DataFrame({"step": [0, 1], "pattern": [1, 1], "attended": [None, None], "p_episodic": [0.5, 0.25]})
    log, _ = routing_of(frame)
    assert "attended" not in log.frame
    assert log.frame["p_episodic"].tolist() == [0.5, 0.25]


def test_optional_columns_never_stop_a_log() -> None:
    frame = pd.DataFrame({"step": [0, 1], "pattern": [1, 1], "attended": [1, 0], "quality": ["good", "bad"]})
    log, _ = routing_of(frame.assign(correct=[1, 0]))
    assert "quality" not in log.frame
    assert log.frame["correct"].tolist() == [True, False]
    assert any("quality" in note for note in log.source.notes)


def brute_exposures(pattern: list[int], groups: list[int]) -> list[int]:
    return [
        -1 if pattern[i] < 0 else sum(pattern[j] == pattern[i] and groups[j] == groups[i] for j in range(i))
        for i in range(len(pattern))
    ]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 2)), max_size=60))
def test_exposures_equal_brute_force(rows: list[tuple[int, int]]) -> None:
    pattern, groups = [row[0] for row in rows], [row[1] for row in rows]
    got = count_exposures(np.array(pattern, dtype=np.int32), np.array(groups, dtype=np.int64))
    assert got.tolist() == brute_exposures(pattern, groups)


def test_exposures_of_many_patterns() -> None:
    rng = np.random.default_rng(0)
    pattern = rng.integers(-1, 100_000, 200_000).astype(np.int32)
    expected = pd.Series(pattern).groupby(pattern).cumcount().where(pattern >= 0, -1)
    np.testing.assert_array_equal(count_exposures(pattern, np.zeros(len(pattern), dtype=np.int64)), expected)


def test_a_restart_drops_the_superseded_tail_and_counts_from_there() -> None:
    steps = [0, 0, 1, 2, 3, 2, 3, 4]
    frame = pd.DataFrame({"step": steps, "pattern": ["a"] * 8, "attended": [1, 1, 1, 1, 1, 0, 0, 0]})
    log, warnings = routing_of(frame)
    assert warnings == ()
    assert log.frame["step"].tolist() == [0, 0, 1, 2, 3, 4]
    assert log.frame["exposure"].tolist() == [0, 1, 2, 3, 4, 5]
    assert log.frame["attended"].tolist() == [True] * 3 + [False] * 3
    assert log.source.rows_dropped == {"superseded after a restart": 2}
    assert log.source.rows_read == 8


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.integers(40, 200), st.integers(0, 10**6))
def test_a_shuffled_table_is_sorted_not_restarted(n: int, seed: int) -> None:
    places = np.random.default_rng(seed).permutation(n)
    frame = pd.DataFrame({"step": np.arange(n), "pattern": np.arange(n) % 3, "attended": np.arange(n) % 2})
    log, warnings = routing_of(frame.iloc[places].reset_index(drop=True))
    assert "cannot be told" in warnings[0]
    assert log.frame["step"].tolist() == list(range(n))
    assert log.source.rows_dropped == {}
    np.testing.assert_array_equal(log.frame["exposure"], np.arange(n) // 3)


def test_reversed_table_is_sorted() -> None:
    frame = pd.DataFrame({"step": [3, 2, 1, 0], "pattern": [1, 1, 1, 1], "attended": [0, 0, 1, 1]})
    log, _ = routing_of(frame)
    assert log.frame["step"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("exposure", "doubt"), [([0, 1, 2, 3], None), ([0, 1, 0, 1], "decreases"), ([1, 2, 3, 4], "start at 1")]
)
def test_logged_exposures_are_kept_and_doubted(exposure: list[int], doubt: str | None) -> None:
    frame = pd.DataFrame({"step": range(4), "pattern": [1] * 4, "attended": [1, 1, 0, 0], "exposure": exposure})
    log, warnings = routing_of(frame)
    assert log.exposure_logged
    assert log.frame["exposure"].tolist() == exposure
    assert (warnings == ()) if doubt is None else (doubt in warnings[0])


@pytest.mark.parametrize("exposure", [[0, -2, 1], [0, 0.5, 1]])
def test_impossible_exposures(exposure: list[float]) -> None:
    frame = pd.DataFrame({"step": range(3), "pattern": [1] * 3, "attended": [1, 1, 0], "exposure": exposure})
    with pytest.raises(InputError, match="line 2, column 'exposure'"):
        routing_of(frame)


def test_exposures_by_layer_and_head() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "step": np.repeat(np.arange(50), 8),
            "layer": np.tile([0, 0, 1, 1], 100),
            "head": np.tile([0, 1], 200),
            "pattern": rng.integers(0, 4, 400),
            "attended": rng.integers(0, 2, 400),
        }
    )
    log, _ = routing_of(frame)
    np.testing.assert_array_equal(log.frame["exposure"], frame.groupby(["layer", "head", "pattern"]).cumcount())
    assert log.frame["layer"].cat.categories.tolist() == ["0", "1"]
    assert list(log.frame.columns) == ["step", "pattern", "exposure", "attended", "layer", "head"]


def test_a_table_with_both_kinds_of_rows() -> None:
    frame = pd.DataFrame(
        {
            "step": [0, 0, 1, 1],
            "attention_utilization": [0.9, np.nan, 0.5, np.nan],
            "pattern": [None, "a", None, None],
            "attended": [None, True, None, False],
        }
    )
    routing, utilization = prepare(Raw(frame, "jsonl", 4), ReadOptions(), HERE)
    assert utilization.frame["attention_utilization"].tolist() == [0.9, 0.5]
    assert routing.frame["attended"].tolist() == [True, False]
    assert (routing.rows_read, utilization.rows_read) == (2, 2)
    dense = frame.assign(attention_utilization=0.5, pattern="a", attended=True)
    (only,) = prepare(Raw(dense, "jsonl", 4), ReadOptions(), HERE)
    assert only.kind == "routing"
    assert any("repeats" in note for note in only.notes)


def test_parts_with_different_labels_are_put_together() -> None:
    first = pd.DataFrame({"step": [0, 1], "pattern": ["b", "a"], "attended": [1, 0], "layer": [1, 1]})
    second = pd.DataFrame({"step": [5, 6], "pattern": ["a", "c"], "attended": [1, 0]})
    parts = [prepare(Raw(frame, "csv", 2), ReadOptions(), HERE)[0] for frame in (first, second)]
    log, _ = join_routing(parts, HERE)
    assert [log.pattern_names[code] for code in log.frame["pattern"]] == ["b", "a", "a", "c"]
    assert log.frame["layer"].astype(str).tolist() == ["1", "1", "(none)", "(none)"]
    assert log.frame["exposure"].tolist() == [0, 0, 0, 0]
    assert log.source.rows_read == 4


@given(st.lists(st.text(max_size=6) | st.integers(-10, 10**20).map(str), max_size=12))
@settings(deadline=None, derandomize=True, max_examples=60)
def test_natural_order_is_that_of_numbers(texts: list[str]) -> None:
    assert sorted(sorted(texts, key=natural_key)) == sorted(texts)  # any texts can be compared
    numbers = [text for text in texts if text.isascii() and text.removeprefix("-").isdigit() and len(text) < 18]
    assert [int(text) for text in sorted(numbers, key=natural_key)] == sorted(int(text) for text in numbers)


@pytest.mark.parametrize("name", ["log.csv", "log.parquet"])
def test_a_frame_that_was_read_may_be_written_to(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    table = pd.DataFrame({"step": [1, 2, 3], "attention_utilization": [0.9, 0.5, 0.4], "loss": [3.0, 2.0, 1.0]})
    table.to_csv(path, index=False) if name.endswith("csv") else table.to_parquet(path)
    log = read_log(path).utilization
    assert log is not None
    for column in table:  # Arrow's own memory is read-only
        log.frame.loc[1, column] = 7
    assert (log.frame.loc[1] == 7).all()
    again = read_log(path).utilization
    assert again is not None
    pd.testing.assert_frame_equal(again.frame, table)
