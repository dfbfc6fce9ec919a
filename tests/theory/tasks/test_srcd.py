"""SRCD: what every batch must satisfy, the laws it is drawn from, and that no query gives its answer away."""

from __future__ import annotations

import dataclasses
import itertools
import math
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cogfit.errors import InputError
from theory.settings import read_toml, shipped
from theory.tasks.srcd import BINDING, PLAIN, QUERY, SRCD, recurrence, violations

ROOT = Path(__file__).resolve().parents[3]


@st.composite
def tasks(draw: st.DrawFn) -> SRCD:
    layout = draw(st.sampled_from(["interleaved", "header"]))
    length = draw(st.integers(64, 200))
    return SRCD(
        length=length,
        query_fraction=draw(st.floats(0.02, 0.45)),
        recurring_fraction=1.0 if layout == "header" else draw(st.floats(0, 1)),
        patterns=draw(st.integers(1, 60)),
        zipf=draw(st.sampled_from([0.0, 1.0, 2.5])),
        novel_keys=100,
        values=draw(st.integers(2, 20)),
        table=draw(st.sampled_from(["fixed", "fresh"])),
        table_seed=draw(st.integers(0, 5)),
        layout=layout,
        dynamics=draw(st.floats(0, 0.99)),
        noise=draw(st.floats(0, 1)),
        gap=draw(st.sampled_from(["pareto", "lomax"])),
    )


@given(tasks(), st.integers(0, 2**32))
@settings(max_examples=60)
def test_every_query_is_answered_by_an_earlier_binding_of_its_key(task: SRCD, seed: int) -> None:
    """Read off the tokens one by one; nothing of the sampler or of `violations` is used."""
    batch = task.sample(seed, size=3)
    assert violations(task, batch) == ()
    seen = batch.tokens
    for row in range(3):
        bound: dict[int, int] = {}
        novel: list[int] = []
        v = 0.0
        for t in range(task.length):
            kind, key, value, answer = (int(x[row, t]) for x in (seen.kind, seen.key, seen.value, batch.answer))
            assert seen.signal[row, t] == v
            v = batch.target[row, t]
            assert task.gap_clip >= seen.gap[row, t] >= (1 if task.gap == "pareto" else 0)
            if kind == BINDING:
                assert 1 <= value <= task.values
                assert bound.setdefault(key, value) == value
                if task.table == "fixed" and key <= task.patterns:
                    assert value == task.fixed_table()[key - 1]
            else:
                assert value == 0
            if kind == QUERY:
                assert bound[key] == answer
                novel += [key] if key > task.patterns else []
                assert batch.pattern[row, t] == (key if key <= task.patterns else 0)
            else:
                assert answer == 0 == batch.pattern[row, t]
            assert (key == 0) == (kind == PLAIN)
        assert len(novel) == len(set(novel))
        if task.layout == "interleaved":
            assert (seen.kind[row] == QUERY).sum() == math.floor(task.query_fraction * task.length + 1e-9)
            assert (seen.kind[row] == BINDING).sum() == (seen.kind[row] == QUERY).sum()
        else:
            assert sorted(seen.key[row, : task.patterns]) == list(range(1, task.patterns + 1))


@given(tasks(), st.integers(0, 2**32))
@settings(max_examples=30)
def test_what_is_seen_does_not_depend_on_the_values(task: SRCD, seed: int) -> None:
    """Other values, same randomness: every token but the bindings' values stays as it was, queries to the last bit."""
    other = SRCD(**{**task.to_json(), "values": task.values + 1, "table_seed": task.table_seed + 1})
    one, two = (t.sample(seed, size=2).tokens for t in (task, other))
    for name in ("kind", "key", "signal", "gap"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert not one.value[one.kind == QUERY].any()
    assert not two.value[two.kind == QUERY].any()


def test_fresh_values_are_independent_of_everything_at_the_query() -> None:
    task = SRCD(length=256, patterns=10, values=4, table="fresh", query_fraction=0.1)
    batch = task.sample(3, size=2000)
    asked = batch.answer > 0
    answer = batch.answer[asked] - 1
    assert stats.chisquare(np.bincount(answer)).pvalue > 1e-3
    for seen in (batch.tokens.gap, batch.tokens.signal):
        quartile = np.digitize(seen[asked], np.quantile(seen[asked], [0.25, 0.5, 0.75]))
        table = np.zeros((4, 4))
        np.add.at(table, (quartile, answer), 1)
        assert stats.chi2_contingency(table).pvalue > 1e-3
    first = np.array([row[row > 0][0] for row in batch.pattern])  # one query a stream: they are independent
    where = (batch.pattern > 0).argmax(1)
    table = np.zeros((10, 4))
    np.add.at(table, (first - 1, batch.answer[np.arange(2000), where] - 1), 1)
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_a_leak_shows_the_answer_as_often_as_asked_for() -> None:
    task = SRCD(length=512, leak=0.25)
    batch = task.sample(0, size=200)
    asked = batch.answer > 0
    shown = batch.tokens.value[asked]
    assert (shown[shown > 0] == batch.answer[asked][shown > 0]).all()
    assert stats.binomtest(int((shown > 0).sum()), int(asked.sum()), 0.25).pvalue > 1e-3
    assert violations(task, batch) == ()


def test_shares_are_those_of_the_paper() -> None:
    task = SRCD()
    assert (task.length, task.dynamics, task.patterns, task.gap_shape) == (2048, 0.95, 100, 1.5)
    assert task.queries == 102
    assert task.static_bound == pytest.approx(0.05, abs=3e-4)
    assert task.optimum == pytest.approx(0.015, abs=1e-4)
    assert SRCD(length=256).queries == 12
    batch = task.sample(0, size=100)
    assert stats.binomtest(int((batch.pattern > 0).sum()), 10200, 0.7).pvalue > 1e-3


@pytest.mark.parametrize("zipf", [0.0, 1.3])
def test_patterns_come_at_their_frequencies(zipf: float) -> None:
    task = SRCD(length=512, patterns=20, zipf=zipf)
    batch = task.sample(1, size=300)
    count = np.bincount(batch.pattern[batch.pattern > 0] - 1, minlength=20)
    expected = np.arange(1, 21.0) ** -zipf
    assert stats.chisquare(count, expected / expected.sum() * count.sum()).pvalue > 1e-3


@pytest.mark.parametrize("gap", ["pareto", "lomax"])
def test_gaps_and_noise_have_their_laws(gap: str) -> None:
    task = SRCD(length=1024, gap=gap, gap_clip=1e6, beta=0.4, noise=0.2)
    batch = task.sample(5, size=40)
    law = stats.pareto(1.5) if gap == "pareto" else stats.lomax(1.5)
    assert stats.kstest(batch.tokens.gap.ravel(), law.cdf).pvalue > 1e-3
    left = batch.target - 0.95 * batch.tokens.signal - 0.4 * np.sin(batch.tokens.gap)
    assert stats.kstest(left.ravel() / 0.2, "norm").pvalue > 1e-3


@given(st.integers(1, 130), st.floats(0, 0.999), st.integers(0, 100))
def test_recurrence_is_the_loop(n: int, a: float, seed: int) -> None:
    u = np.random.default_rng(seed).normal(size=(2, n))
    v, expected = np.zeros(2), []
    for t in range(n):
        v = a * v + u[:, t]
        expected.append(v)
    np.testing.assert_allclose(recurrence(np, u, a), np.stack(expected, 1), rtol=1e-9, atol=1e-12)


def test_streams_are_repeatable_and_long_ones_are_made_at_once() -> None:
    task = SRCD(length=8192, zipf=1.0)
    one, two, other = task.sample(7, size=2), task.sample(7, size=2), task.sample(8, size=2)
    for name in ("answer", "target", "pattern"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert not np.array_equal(one.target, other.target)
    assert violations(task, one) == ()


@pytest.mark.parametrize(
    ("field", "complaint"),
    [("answer", "answer"), ("pattern", "recurring"), ("target", "signal")],
)
def test_violations_finds_what_is_wrong(field: str, complaint: str) -> None:
    task = SRCD(length=64)
    batch = task.sample(0, size=4)
    changed = getattr(batch, field).copy()
    changed[:, ::2] += 1
    assert any(complaint in sentence for sentence in violations(task, dataclasses.replace(batch, **{field: changed})))


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        ("kind", "queries or bindings"),
        ("key", "plain token"),
        ("value", "outside"),
        ("gap", "gap"),
        ("signal", "dynam"),
    ],
)
def test_violations_finds_what_is_wrong_with_tokens(field: str, complaint: str) -> None:
    task = SRCD(length=64)
    batch = task.sample(0, size=4)
    changed = getattr(batch.tokens, field).copy()
    changed[:, 1::2] = 51 if field == "gap" else 1
    broken = dataclasses.replace(batch, tokens=dataclasses.replace(batch.tokens, **{field: changed}))
    assert any(complaint in sentence for sentence in violations(task, broken))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lenght": 64}, "SRCD has no setting 'lenght'; did you mean 'length'"),
        ({"length": "64"}, "'length' cannot be '64'"),
        ({"length": 15}, "greater than or equal to 16"),
        ({"length": 8193}, "less than or equal to 8192"),
        ({"values": True}, "'values' cannot be True"),
        ({"beta": math.nan}, "finite"),
        ({"table": "new"}, "'fixed' or 'fresh'"),
        ({"query_fraction": 0.001, "length": 64}, "change query_fraction"),
        ({"query_fraction": 0.6}, "change query_fraction"),
        ({"novel_keys": 20}, "set novel_keys"),
        ({"layout": "header"}, "set recurring_fraction = 1.0"),
        ({"layout": "header", "recurring_fraction": 1.0, "length": 64}, "use fewer patterns"),
    ],
)
def test_bad_settings_are_refused_in_one_line(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        SRCD(**fields)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_configuration_files_are_refused_by_name_and_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such configuration; did you mean 'cram'"):
        read_toml("crm")
    broken = tmp_path / "mine.toml"
    broken.write_text("[data\nlength = 64")
    with pytest.raises(InputError, match=r"mine\.toml: is not TOML .*line 1"):
        read_toml(broken)
    with pytest.raises(InputError, match=r"mine\.toml: SRCD has no setting 'size'"):
        SRCD.parse({"size": 64}, path=broken)


@pytest.mark.parametrize("name", shipped())
def test_shipped_tasks_are_sound(name: str) -> None:
    tables, path = read_toml(name)
    task = SRCD.parse(tables["data"], path=path)
    assert violations(task, task.sample(0, size=2)) == ()


def test_the_task_needs_no_learning_library() -> None:
    code = (
        "import sys, theory, theory.settings, theory.tasks.srcd; theory.tasks.srcd.SRCD(length=64).sample(0, 1);"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "theory" in loaded
    assert not loaded & {"torch", "scipy", "pandas", "matplotlib"}


# ------------------------------------------------------------------------------------------------ values that change


def test_values_that_stay_are_drawn_as_before() -> None:
    """Answers that were recorded before values could change."""
    task = SRCD(length=64, patterns=20, novel_keys=64)
    assert zlib.crc32(task.sample(5, 4).answer.astype("<i8").tobytes()) == 3207977549
    first, later = (next(itertools.islice(task.tables(), at, None)) for at in (0, 50))
    for table, where in (first, later):
        assert np.array_equal(table, task.fixed_table())
        assert not where.any()


def test_tables_change_as_the_theorem_assumes() -> None:
    """Rate, uniform new values, independence of the old ones, of each other, and in time."""
    task = SRCD(length=64, patterns=50, novel_keys=64, values=5, redraw=0.07)
    tables, where = map(np.array, zip(*itertools.islice(task.tables(), 1500), strict=True))
    assert np.array_equal(tables[0], task.fixed_table())
    drawn = where[1:]
    assert not where[0].any()
    assert np.array_equal(tables[1:][~drawn], tables[:-1][~drawn])
    assert abs(drawn.mean() - 0.07) < 4 * math.sqrt(0.07 * 0.93 / drawn.size)
    counts = np.zeros((5, 5))
    np.add.at(counts, (tables[:-1][drawn] - 1, tables[1:][drawn] - 1), 1)
    assert stats.chi2_contingency(counts).pvalue > 1e-3
    assert stats.chisquare(counts.sum(0)).pvalue > 1e-3
    for one, two in ((drawn[1:], drawn[:-1]), (drawn[:, 1:], drawn[:, :-1])):
        assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 4 / math.sqrt(one.size)
    assert all(np.array_equal(task.table_at(batch), tables[batch]) for batch in (0, 1, 20, 333))


def test_a_batch_may_have_another_table() -> None:
    task = SRCD(length=64, patterns=8, novel_keys=64, redraw=0.5, recurring_fraction=1.0)
    table = task.table_at(3)
    batch = task.sample(0, 5, table)
    asked = batch.pattern > 0
    assert np.array_equal(batch.answer[asked], table[batch.pattern[asked] - 1])
    still = dataclasses.replace(batch, answer=task.sample(0, 5).answer)
    assert (still.answer != batch.answer).any()


def test_fresh_values_cannot_be_redrawn_too() -> None:
    with pytest.raises(InputError, match="cannot be redrawn too; set table = 'fixed'"):
        SRCD.parse({"length": 64, "patterns": 8, "novel_keys": 64, "table": "fresh", "redraw": 0.1})
