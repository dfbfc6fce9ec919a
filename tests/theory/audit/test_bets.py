"""Bets: honest routers are rarely excluded however runs end, p never rises, and every bet is a fair one."""

from __future__ import annotations

import math
import sys
from fractions import Fraction
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import theory
from theory.audit.bets import Bets, counts_judged
from theory.audit.counts import count_tries
from theory.audit.endings import endings

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "benchmarks"))

import stopping  # noqa: E402
from grid import recorded  # noqa: E402

LOGS = 40


@pytest.mark.parametrize("rule", stopping.RULES)
def test_honest_routers_are_rarely_excluded_however_their_runs_end(rule: str) -> None:
    """A few routers without memory and two learners, a binomial margin above 5 % each."""
    most = 0.05 * LOGS + 4 * math.sqrt(0.05 * 0.95 * LOGS)
    names = ("one guess for each pattern", "one guess for all runs", "guesses in turn")
    routers = {name: stopping.NO_MEMORY[name] for name in names}
    routers["one"] = stopping.LEARNERS["knows after one exposure"]
    routers["labels"] = stopping.LEARNERS["learns from labels"]
    for i, (name, router) in enumerate(routers.items()):
        rng, is_learner = np.random.default_rng([3, i]), name not in stopping.NO_MEMORY
        logs = (stopping.world(rng, 12, 16, 3, 2) for _ in range(LOGS))
        excluded = sum(stopping.judge(log, router, rule, 1 / 2, hidden=is_learner)[0] for log in logs)
        assert excluded <= most, name


def test_the_recorded_study_keeps_the_level_and_its_page() -> None:
    rows = recorded(stopping.STUDY.name)
    assert [stopping.STUDY.key(row) for row in rows] == [stopping.STUDY.key(cell) for cell in stopping.STUDY.cells]
    assert min(int(row["repeats"]) for row in rows) >= 2000
    honest = [row for row in rows if row["what"].endswith("honest")]
    assert len({row["router"] for row in honest}) >= 12
    assert max(float(row["excluded"]) for row in honest) <= stopping.ALPHA
    text = stopping.PAGE.read_text(encoding="utf-8")
    assert stopping.page(text, rows) == text, "run: python benchmarks/stopping.py --page"


@pytest.mark.parametrize("name", ["holds the three likeliest", "the commonest of three", "Hamming's code"])
def test_memories_of_the_study_hold_the_bits_that_they_are_said_to(name: str) -> None:
    """What is answered to each pattern without attention takes 2^S forms, over all tables."""
    store, rng = stopping.MEMORIES[name], np.random.default_rng(7)
    tables = rng.integers(0, store.values, (4000, store.patterns))
    z = np.broadcast_to(np.arange(store.patterns), tables.shape)
    held = store.memory(stopping.World(z, tables, store.values, rng))
    assert len(np.unique(held, axis=0)) == 2**store.bits


def test_the_test_for_planned_lengths_needs_them() -> None:
    """Negative control: runs that go on while the one guess is right are long just when it is."""
    rng, router = np.random.default_rng(4), stopping.NO_MEMORY["one guess for all patterns"]
    logs = [stopping.world(rng, 60, 100, 1, 2) for _ in range(40)]
    judged = np.array([stopping.judge(log, router, "goes on while right", 1 / 2, hidden=False) for log in logs])
    assert judged[:, 0].mean() <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 40)
    assert judged[:, 1].mean() > 0.5


def expected_evidence(values: int, steps: int, choose: int) -> Fraction:
    """E[e] of one entry by enumeration: any fixed guesses, and a run that ends by any rule of its answers."""
    rng, total = np.random.default_rng(choose), 0.0
    guesses = rng.integers(0, values, steps)
    goes_on = rng.random((2,) * steps) < 0.7
    for value in range(values):
        right = guesses == value
        length = next((t for t in range(1, steps) if not goes_on[(*right[:t].astype(int), *[0] * (steps - t))]),
                      steps)  # fmt: skip
        tries = count_tries(np.zeros(length, np.int64), np.ones(length, bool), right[:length])
        bets = Bets(right[:length][tries >= 0], tries[tries >= 0])
        total += math.exp(bets.log_evidence(1 / values)[-1]) / values
    return Fraction(total).limit_denominator(10**9)


@pytest.mark.parametrize(("values", "steps"), list(product((2, 3, 5), (1, 2, 4))))
def test_expected_evidence_is_at_most_one_by_enumeration(values: int, steps: int) -> None:
    for choose in range(12):
        assert expected_evidence(values, steps, choose) <= 1 + Fraction(1, 10**6)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=60), st.integers(2, 9))
def test_p_never_rises_as_answers_are_added(answers: list[tuple[bool, int]], values: int) -> None:
    right, tries = (np.array(column) for column in zip(*answers, strict=True))
    path = [Bets(right[:n], tries[:n]).log_p(1 / values) for n in range(1, len(answers) + 1)]
    assert all(after <= before + 1e-12 for before, after in pairwise(path))


@given(st.integers(1, 5000), st.integers(0, 3000))
def test_what_is_judged_early_stays_judged(n: int, more: int) -> None:
    early, late = counts_judged(n), counts_judged(n + more)
    assert (late[: early.size] == early).all()
    assert early[-1] > 0.98 * n


@given(st.lists(st.tuples(st.integers(-1, 3), st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_tries_are_counted_until_one_is_right(rows: list[tuple[int, bool, bool]]) -> None:
    entry, free, right = (np.array(column) for column in zip(*rows, strict=True))
    wrong: dict[int, int] = {}
    expected = []
    for u, is_free, is_right in rows:
        if not is_free or wrong.get(u, 0) < 0:
            expected.append(-1)
        elif u < 0:
            expected.append(0)
        else:
            expected.append(wrong.get(u, 0))
            wrong[u] = -1 if is_right else wrong.get(u, 0) + 1
    assert count_tries(entry, free, right).tolist() == expected


def test_runs_that_end_by_their_answers_are_seen() -> None:
    rng, router = np.random.default_rng(5), stopping.NO_MEMORY["one guess for each pattern"]
    seen = {}
    for rule in stopping.RULES:
        found = []
        for _ in range(20):
            log = stopping.world(rng, 80, 20, 3, 2)
            attended, answers = router(log)
            right = answers == log.asked
            kept = np.arange(20) < stopping.ends(rule, attended, right)[:, None]
            run = np.repeat(np.arange(80), kept.sum(1))
            found.append(endings(run, ~attended[kept], right[kept]))
        seen[rule] = np.mean([test is not None and test.depend for test in found])
    assert seen.pop("length fixed beforehand") == 0
    assert all(share > 0.9 for share in seen.values()), seen
    random = []
    for _ in range(200):  # lengths that are random, and independent of the answers
        run = np.repeat(np.arange(60), rng.integers(1, 12, 60))
        test = endings(run, np.ones(run.size, bool), rng.random(run.size) < 0.4)
        random.append(test is not None and test.depend)
    assert np.mean(random) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 200)


def test_reports_say_what_they_presuppose_and_what_would_help(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    rng = np.random.default_rng(6)
    rows = []
    for run in range(40):  # values are a permutation, and the learner knows that: the last one needs no attention
        rows += [f"{t},{run},{k},{int(t < 5)},1" for t, k in enumerate(rng.permutation(6))]
    file.write_text("step,run,pattern,attended,correct\n" + "\n".join(rows))
    reason = theory.check_log(file, values=6)["T3"].reason
    assert "without replacement" in reason
    assert "--side-information" in reason
    assert "all runs are in the log" in reason
    assert theory.check_log(file, side_information=0.999)["T3"].verdict == "not excluded"
    novel = [f"{t},,{1 - t % 2},1" for t in range(60)]  # each novel binding is asked for twice
    file.write_text("step,pattern,attended,correct\n" + "\n".join([*novel, "60,a,1,1", "61,b,1,1"]))
    reason = theory.check_log(file, values=16)["T3"].reason
    assert "give such queries a name in the column 'pattern'" in reason
