"""Simulated routers of known class get the right verdicts, from a log file to the report."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import cogfit
import theory
from cogfit.errors import InputError
from theory.audit.report import LogReport
from theory.bounds import t3_compulsory
from theory.bounds.t1_memoryless import Memoryless
from theory.bounds.t2_memory_bits import FrequentPatterns
from theory.tasks.retrieval import FirstExposures, Stream, play, uniform, zipf

WriteLog = Callable[..., Path]
Integers = NDArray[np.int64]


class Constant(Memoryless):
    """Never attends; one guess for each pattern, chosen by a coin at the start."""

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        self._said = rng.integers(1, stream.values + 1, (size, stream.patterns + 1))

    def decide(self, t, z):
        return np.zeros(z.size, bool), self._said[np.arange(z.size), z]


class Recent(FirstExposures):
    """Keeps the values of the m patterns that were attended last: m log₂V bits."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        super().begin(stream, size, rng)
        self._queue: list[list[int]] = [[] for _ in range(size)]

    def observe(self, t, z, attended, value):
        for stream in np.flatnonzero(attended):
            self._queue[stream].append(int(z[stream]))
            self._known[stream, z[stream]] = value[stream]
            if len(self._queue[stream]) > self.cells:
                self._known[stream, self._queue[stream].pop(0)] = 0


class Leaking(FirstExposures):
    """Is told the values beforehand, with probability 1/2 each."""

    def __init__(self, table: Integers) -> None:
        super().__init__()
        self.table = table

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        super().begin(stream, size, rng)
        self._known[:, 1:] = np.where(rng.random((size, stream.patterns)) < 0.5, self.table, 0)


class Others(Memoryless):
    """Knows all values but the one asked for, and bets that the sum of all is a multiple of V."""

    def __init__(self, tables: Integers) -> None:
        self.tables = tables

    def begin(self, stream: Stream, size: int, rng: np.random.Generator) -> None:
        self._values = stream.values

    def decide(self, t, z):
        others = self.tables.sum(axis=1) - self.tables[np.arange(z.size), z - 1]
        return np.zeros(z.size, bool), (-others - 1) % self._values + 1


LAW = Stream.independent(uniform(30), values=8, length=3000)


def verdicts(report: LogReport) -> list[str]:
    return [finding.verdict for finding in report.findings]


def test_a_router_without_memory_is_recognised(write_log: WriteLog) -> None:
    report = theory.check_log(write_log(play(LAW, Memoryless(0.7), 1, 1)), values=8, memory_bits=0, f=0.1)
    assert verdicts(report) == ["not excluded"] * 3
    assert report["T1"].bound == pytest.approx(report.attention, abs=0.03)
    assert report["T2"].bound == pytest.approx(report["T1"].bound, abs=5e-3)  # no bits: T1
    assert report["T1"].explained_by == pytest.approx(1 / 8)
    assert report.arrivals is not None
    assert report.arrivals.status == "passed"
    assert report.unit == "pattern"
    assert report.wrong_attended == 0


@pytest.mark.slow
def test_a_lucky_router_on_one_table_is_rarely_excluded(write_log: WriteLog) -> None:
    """The charge per query lies far below 1 again and again; the report knows that this is luck with few values."""
    law, excluded, leaks, below = Stream.independent(uniform(3), values=2, length=200), 0, 0, 0
    for seed in range(60):
        report = theory.check_log(write_log(play(law, Constant(0), seed, 1)), values=2, level=0.9, labels=False)
        excluded += report["T1"].verdict == "impossible"
        leaks += report["T3"].verdict == "impossible"
        excess = report["T1"].excess
        assert excess is not None
        below += excess < -0.1
    assert max(excluded, leaks) / 60 <= 0.1
    assert below / 60 > 0.3


def test_a_memory_of_s_bits_is_told_from_a_smaller_one(write_log: WriteLog) -> None:
    law = Stream.independent(zipf(60, 1), values=16, length=15_000)
    file = write_log(play(law, FrequentPatterns(30), 2, 1))  # 120 bits
    used = theory.check_log(file, values=16)["T2"]
    assert used.verdict == "not judged"
    assert used.explained_by is not None
    assert 30 < used.explained_by < 120
    right, small = (theory.check_log(file, values=16, memory_bits=bits) for bits in (120, 20))
    assert verdicts(right) == ["impossible", "not excluded", "not excluded"]
    assert verdicts(small) == ["impossible", "impossible", "not excluded"]
    assert right["T2"].excess == pytest.approx(0, abs=0.01)
    assert small["T2"].p_value is not None
    assert small["T2"].p_value < 0.05 < (right["T2"].p_value or 0)


def test_a_memory_that_changes_is_measured_in_bits_held_at_a_time(write_log: WriteLog) -> None:
    law = Stream.independent(uniform(40), values=16, length=12_000)
    used = theory.check_log(write_log(play(law, Recent(20), 3, 1)), values=16)["T2"].explained_by
    assert used is not None
    assert 20 < used < 80


def test_bits_are_judged_only_where_queries_are_independent(write_log: WriteLog) -> None:
    """The fixed sequence of T2: one cell serves queries in blocks; the bound would call it impossible."""
    blocks = Stream.fixed(np.repeat(np.arange(1, 201), 8).tolist(), values=2)
    report = theory.check_log(write_log(play(blocks, Recent(1), 0, 1)), values=2, memory_bits=1)
    assert verdicts(report) == ["impossible", "not judged", "not excluded"]
    assert "not independent" in report["T2"].reason
    assert report.unseen is None


def test_a_learner_that_consolidates_at_first_sight_meets_the_compulsory_cost(write_log: WriteLog) -> None:
    report = theory.check_log(write_log(play(LAW, FirstExposures(), 4, 1)), values=8)
    assert verdicts(report) == ["impossible", "not judged", "not excluded"]
    assert report["T3"].excess == 0
    assert report.reduction == 1
    assert report.attention == pytest.approx(30 / 3000)
    twice = theory.check_log(write_log(play(LAW, FirstExposures(2), 4, 1)), values=8)
    assert twice.reduction == pytest.approx(2)


def test_known_values_are_a_leak(write_log: WriteLog) -> None:
    table = np.random.default_rng(8).integers(1, 9, 30)
    report = theory.check_log(write_log(play(LAW, Leaking(table), 5, 1, table)), values=8)
    assert report["T3"].verdict == "impossible"
    assert "leak" in report["T3"].reason
    assert report["T3"].excess is not None
    assert report["T3"].excess < 0


def test_tables_are_the_unit_for_routers_that_know_other_values(write_log: WriteLog) -> None:
    law = Stream.independent(uniform(6), values=2, length=40)
    tables = np.random.default_rng(9).integers(1, 3, (60, 6))
    file = write_log(play(law, Others(tables), 6, 60, tables))
    report = theory.check_log(file, values=2, unit="table")
    assert (report.unit, report.tables) == ("table", 60)
    assert report["T1"].verdict == "not excluded"
    assert theory.check_log(file, values=2, unit="table", planned_lengths=True)["T1"].verdict == "not excluded"
    single = play(law, Others(tables), 6, 60, tables)
    known = [not row.any() for row in single.error]  # on half of the tables all guesses are right together
    assert 0.3 < np.mean(known) < 0.7
    # a learner attends to the first query of every table, so only planned lengths let the others count
    file = write_log(play(law, FirstExposures(), 6, 60))
    assert theory.check_log(file, values=2, unit="table")["T1"].verdict == "not excluded"
    assert theory.check_log(file, values=2, unit="table", planned_lengths=True)["T1"].verdict == "impossible"
    assert theory.check_log(file, values=2)["T1"].verdict == "impossible"


def test_one_table_for_all_runs_is_counted_once(write_log: WriteLog) -> None:
    law, table = Stream.independent(uniform(4), values=4, length=60), np.array([1, 1, 2, 3])
    file = write_log(play(law, FirstExposures(), 0, 8, table))
    apart, together = (theory.check_log(file, values=4, one_table=one) for one in (False, True))
    assert (apart.tables, together.tables) == (8, 1)
    assert (apart["T1"].p_value or 0) < 1e-12
    assert (together["T1"].p_value or 0) > 4.0**-4  # four lucky guesses
    assert apart["T3"].bound == pytest.approx(32 / 480)
    assert together["T3"].bound == pytest.approx(4 / 480)


def test_novel_queries_are_never_known(write_log: WriteLog) -> None:
    law = Stream.independent(zipf(300, 1), values=8, length=2000)
    run = play(law, FirstExposures(), 7, 1)
    report = theory.check_log(write_log(run, novel=20), values=8)
    novel = int((run.queries >= 20).sum())
    seen = np.unique(run.queries[run.queries < 20]).size
    assert (report.novel, report.patterns) == (novel, seen)
    assert report["T3"].bound == pytest.approx((novel + seen) / 2000)
    assert report["T3"].verdict == "impossible"  # here "novel" values return and are known: the log says that they leak
    assert report.unseen is not None
    looked = report.path[-1].queries
    once = np.unique(run.queries[0, :looked][run.queries[0, :looked] < 20], return_counts=True)[1] == 1
    assert report.unseen.estimate == pytest.approx(((run.queries[0, :looked] >= 20).sum() + once.sum()) / looked)
    assert not any("novel" in warning for warning in report.warnings)


def test_without_labels_rare_patterns_may_stay_wrong(write_log: WriteLog) -> None:
    """T3 (c) for a router that guesses a third of its queries, against the function of the theorem."""
    run = play(Stream.independent(zipf(40, 1), values=4, length=500), Memoryless(0.6), 3, 1)
    report = theory.check_log(write_log(run), values=4, labels=False)
    counts = np.bincount(run.queries[0])[1:].tolist()
    expected = t3_compulsory.least_attention(counts, 4, float(run.error.mean())) / 500
    assert report["T3"].bound == pytest.approx(float(expected))
    learner = play(Stream.independent(zipf(40, 1), values=4, length=500), FirstExposures(), 3, 1)
    assert theory.check_log(write_log(learner), values=4, labels=False)["T3"].excess == 0


def test_values_shown_before_the_window_count_as_shown(write_log: WriteLog) -> None:
    file = write_log(play(LAW, FirstExposures(), 4, 1))
    report = theory.check_log(file, values=8, x_min=1000, x_max=1999)
    assert (report.queries, report["T3"].bound, report.reduction, report.unseen) == (1000, 0, None, None)
    with pytest.raises(InputError, match="steps run from 0 to 2999"):
        theory.check_log(file, values=8, x_min=5000)


def test_a_log_without_answers_tells_what_an_accuracy_would_mean(write_log: WriteLog) -> None:
    run = play(LAW, FirstExposures(), 4, 1)
    logged = theory.check_log(write_log(run), values=8, memory_bits=8)
    file = write_log(run, correct=False)
    silent = theory.check_log(file, values=8)
    assert verdicts(silent) == ["not judged"] * 3
    assert (silent.accuracy, silent.wrong, silent["T1"].bound) == ("missing", None, None)
    assert "give an accuracy" in silent["T1"].reason
    assumed = theory.check_log(file, values=8, memory_bits=8, accuracy=1.0)
    assert assumed["T1"].p_value == pytest.approx(logged["T1"].p_value)
    assert assumed["T2"].explained_by == pytest.approx(logged["T2"].explained_by)
    assert verdicts(assumed) == ["impossible", "impossible", "not judged"]
    chance = theory.check_log(file, values=8, accuracy=0.1)
    assert verdicts(chance) == ["not excluded", "not judged", "not judged"]
    ignored = theory.check_log(write_log(run), values=8, accuracy=0.1)
    assert ignored.findings == theory.check_log(write_log(run), values=8).findings
    assert any("not used" in warning for warning in ignored.warnings)


def test_layers_of_one_query_are_put_together(tmp_path: Path) -> None:
    rows = ["step,pattern,layer,attended,correct"]
    for t in range(400):
        rows += [f"{t},{t % 9},{layer},{int(layer == t % 2)},1" for layer in (0, 1)]
    file = tmp_path / "layers.csv"
    file.write_text("\n".join(rows))
    report = theory.check_log(file, values=4)
    assert (report.queries, report.attention, report["T1"].verdict) == (400, 1.0, "not excluded")
    file.write_text("\n".join(rows[:-1]))
    with pytest.raises(InputError, match="not the same queries"):
        theory.check_log(file, values=4)


def test_answers_that_are_missing_are_wrong(tmp_path: Path) -> None:
    file = tmp_path / "some.csv"
    rows = [f"{t},{t % 5},0,{'' if t % 4 == 0 else 1}" for t in range(200)]
    file.write_text("\n".join(["step,pattern,attended,correct", *rows]))
    report = theory.check_log(file, values=4)
    assert report.wrong == 0.25
    assert any("50 queries without a value" in warning for warning in report.warnings)
    file.write_text("\n".join(["step,pattern,attended,correct", *[row.replace(",1", ",0.5") for row in rows]]))
    with pytest.raises(InputError, match="column 'correct': is not 0 or 1"):
        theory.check_log(file, values=4)


def test_utilisation_logs_give_the_bound_and_no_verdict(tmp_path: Path) -> None:
    file = tmp_path / "utilization.csv"
    rows = [f"{t},{0.02},{0.75}" for t in range(100)]
    file.write_text("\n".join(["step,attention_utilization,retrieval_accuracy", *rows]))
    report = theory.check_log(file, values=2, f=0.05)
    assert verdicts(report) == ["not judged"] * 3
    assert report["T1"].bound == pytest.approx(0.5)
    assert report["T1"].excess == pytest.approx(-0.1)
    assert report.to_json()["findings"][0]["bound_per_token"] == pytest.approx(0.025)
    with pytest.raises(InputError, match="give f"):
        theory.check_log(file, values=2)
    with pytest.raises(InputError, match="nothing to draw"):
        report.plot()
    for bad in ("75", "high"):
        file.write_text("\n".join(["step,attention_utilization,accuracy", *[f"{t},0.02,{bad}" for t in range(9)]]))
        with pytest.raises(InputError, match="column 'accuracy': .*give fractions"):
            theory.check_log(file, values=2, f=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give the number of values V"),
        ({"values": 16, "side_information": 0.2}, "not both"),
        ({"values": 1}, "2 or more"),
        ({"side_information": 1.0}, "strictly between 0 and 1"),
        ({"values": 8, "memory_bits": -1}, "0 or more"),
        ({"values": 8, "f": 0}, "between 0 and 1"),
        ({"values": 8, "accuracy": 98}, "fraction"),
        ({"values": 8, "level": 1}, "between 0 and 1"),
        ({"values": 8, "unit": "query"}, "pattern, table"),
    ],
)
def test_impossible_options_are_refused(write_log: WriteLog, options: dict[str, object], message: str) -> None:
    file = write_log(play(Stream.independent(uniform(3), values=8, length=20), Memoryless(0.5), 0, 1))
    with pytest.raises(InputError, match=message):
        theory.check_log(file, **options)


def test_logs_without_decisions_and_other_things_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "soft.csv"
    file.write_text("step,pattern,p_episodic,correct\n" + "\n".join(f"{t},{t % 3},0.5,1" for t in range(30)))
    with pytest.raises(InputError, match="log the decision as a column 'attended'"):
        theory.check_log(file, values=8)
    with pytest.raises(InputError, match="is no log"):
        theory.check_log(3, values=8)  # type: ignore[arg-type]


def test_short_logs_are_judged_by_what_luck_may_do(tmp_path: Path) -> None:
    file = tmp_path / "short.csv"
    file.write_text("step,pattern,attended,correct\n" + "\n".join(f"{t},{t % 3},0,1" for t in range(15)))
    report = theory.check_log(file, values=2)  # three lucky guesses
    assert verdicts(report) == ["not excluded", "not judged", "not excluded"]
    assert report["T1"].p_value is not None
    assert report["T1"].p_value > 2.0**-3
    assert theory.check_log(file, values=64)["T1"].verdict == "impossible"
    assert report.path == ()
    json.dumps(report.to_json(), allow_nan=False)


def test_report_as_json_text_and_picture(write_log: WriteLog) -> None:
    report = theory.check_log(write_log(play(LAW, FirstExposures(), 4, 1)), values=8, memory_bits=16, f=0.05)
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["schema"] == "theory.bound/1"
    assert document["findings"][0]["bound_per_token"] == pytest.approx(0.05)
    assert [look["queries"] for look in document["path"]][:2] == [16, 20]
    text = str(report)
    for part in ("3,000 queries", "without memory (T1)", "impossible (p = ", "any learner (T3)", "Good–Turing"):
        assert part in text
    assert all(len(line) <= 120 for line in text.splitlines()[1:])
    axes = report.plot().axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    assert list(drawn) == [
        "needed without memory (T1)", "needed with 16 bits of memory (T2)", "needed by any learner (T3)", "measured"
    ]  # fmt: skip
    assert (np.asarray(drawn["measured"]) >= np.asarray(drawn["needed by any learner (T3)"]) - 1e-12).all()


def test_a_growing_log_is_checked_again_and_the_same_rows_give_the_same_report(write_log: WriteLog) -> None:
    run = play(LAW, FirstExposures(), 4, 1)
    lines = write_log(run).read_text().splitlines(keepends=True)
    file = write_log(run, "growing.csv")
    parts = [lines[:101], lines[101:900], [], lines[900:]]
    file.write_text("".join(parts.pop(0)))

    def grow(seconds: float) -> None:
        assert seconds == 0.5
        if parts:
            with open(file, "a") as out:
                out.write("".join(parts.pop(0)))

    reports = list(theory.follow_log(file, poll=0.5, idle=1.0, sleep=grow, values=8))
    assert [report.queries for report in reports] == [100, 899, 3000]
    assert reports[-1].to_json()["findings"] == theory.check_log(write_log(run), values=8).to_json()["findings"]
    for earlier, later in itertools.pairwise(reports):
        assert later.path[: len(earlier.path)] == earlier.path
    assert "3,000 queries" in reports[-1].headline()


def test_a_missing_answer_or_a_new_pattern_changes_no_earlier_row(tmp_path: Path) -> None:
    file = tmp_path / "growing.csv"
    head = "step,pattern,attended,correct\n" + "".join(f"{t},{t % 3 + 5},0,1\n" for t in range(40))
    file.write_text(head)
    reports = theory.follow_log(file, poll=0.5, sleep=lambda _: None, values=4)
    assert next(reports).queries == 40
    file.write_text(head + "40,1,0,\n41,,0,0\n")
    later = next(reports)
    assert (later.queries, later.novel, later.patterns) == (42, 1, 4)


def test_what_the_reader_warns_of_is_passed_on(tmp_path: Path) -> None:
    file = tmp_path / "inclusive.csv"
    rows = [f"{t},{t % 3},{t // 3 + 1},0,1" for t in range(60)]
    file.write_text("\n".join(["step,pattern,exposure,attended,correct", *rows]))
    report = theory.check_log(file, values=4)
    assert any("exposures start at 1" in warning for warning in report.warnings)
    assert report["T3"].bound == 0  # taken to be shown before the log began


def test_a_log_whose_rows_change_is_not_followed(write_log: WriteLog) -> None:
    file = write_log(play(LAW, FirstExposures(), 4, 1))
    text = file.read_text()

    def rewrite(seconds: float) -> None:
        file.write_text(text.replace("0,50,", "0,49,") + "0,3000,1,0,1\n")

    with pytest.raises(InputError, match="rows that were there before"):
        list(theory.follow_log(file, poll=0.5, idle=1, sleep=rewrite, values=8))
    with pytest.raises(InputError, match="more than 0"):
        next(theory.follow_log(file, poll=0, values=8))
    with pytest.raises(InputError, match="does not exist"):
        next(theory.follow_log(file.with_name("absent.csv"), values=8))


@pytest.mark.slow
def test_the_recorded_runs() -> None:
    """What the logs of data/runs allow: their router holds a table of fixed values, and needs no attention for it."""
    runs = cogfit.data_dir() / "runs"
    gradual = theory.check_log(runs / "srcd-n256-gradual", values=16, f=12 / 256, memory_bits=64)
    assert verdicts(gradual) == ["impossible", "impossible", "not excluded"]
    assert gradual.queries == 941_764
    assert gradual.arrivals is not None
    assert gradual.arrivals.status == "passed"
    assert 64 < (gradual["T2"].explained_by or 0) < 100 * math.log2(16)
    assert gradual["T3"].bound == pytest.approx(100 / 941_764)
    page = Path(__file__).parents[3] / "docs" / "checking-a-log.md"
    assert "\n".join(str(gradual).splitlines()[1:]) in page.read_text(encoding="utf-8")
    collapses = theory.check_log(runs / "srcd-n256-collapses", values=16, f=12 / 256, x_min=1000)
    assert collapses.attention < 0.01 < 0.6 < (collapses["T1"].bound or 0)
    never = theory.check_log(runs / "srcd-n256-never-drops", values=16, f=12 / 256, x_min=500)
    assert (never["T1"].excess or 0) > -0.1


def test_what_of_a_log_is_judged_is_said(tmp_path: Path) -> None:
    rows = [f"{t},{t % 9},{int(t < 9)},1" for t in range(120)]
    header = "step,pattern,attended,correct"
    (tmp_path / "twice.csv").write_text("\n".join([header, *rows, *rows]))
    twice = theory.check_log(tmp_path / "twice.csv", values=4)
    assert twice.queries == 120
    assert any("only training 2 of 2 is judged" in warning for warning in twice.warnings)
    splits = [f"{row},{split}" for split in ("train", "val") for row in rows]
    (tmp_path / "splits.csv").write_text("\n".join([f"{header},split", *splits]))
    warnings = theory.check_log(tmp_path / "splits.csv", values=4).warnings
    assert any("only split train is judged; the log also holds validation" in warning for warning in warnings)
    (tmp_path / "runs").mkdir()
    for name in ("base", "ours"):
        (tmp_path / "runs" / f"{name}.csv").write_text("\n".join([header, *rows]))
    together = theory.check_log(tmp_path / "runs", values=4)
    assert any("2 runs are judged together" in warning for warning in together.warnings)
