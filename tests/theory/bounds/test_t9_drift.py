"""T9: drift against enumeration, dynamic programs and learners that are played."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import theory
from cogfit.errors import InputError
from theory.bounds import t9_drift as t9
from theory.bounds.t3_compulsory import expected_distinct
from theory.tasks.retrieval import Stream, random_policy, uniform

SHARES = st.fractions(Fraction(1, 20), 1, max_denominator=20)
REDRAWS = st.fractions(Fraction(1, 20), Fraction(19, 20), max_denominator=20)


@given(SHARES, st.fractions(0, 1, max_denominator=20), st.integers(1, 12))
@settings(max_examples=30)
def test_the_closed_form_is_the_recursion(q: Fraction, rho: Fraction, steps: int) -> None:
    x, total = Fraction(1), Fraction(0)
    for _ in range(steps):
        total += q * x
        x = rho + (1 - rho) * (1 - q) * x
    assert t9.queried_epochs(q, rho, steps) == total
    assert total >= steps * t9.floor([1], rho, q)


@given(SHARES, st.integers(1, 20))
@settings(max_examples=30)
def test_without_drift_it_is_the_number_of_patterns_seen(q: Fraction, steps: int) -> None:
    assert t9.queried_epochs(q, Fraction(0), steps) == expected_distinct([q], steps)
    assert t9.floor([1], Fraction(1), q) == q  # all is drawn anew: nothing is worth remembering


def cost_of(policy: object, *, seen: bool, labels: bool, exclude: bool = False) -> Fraction:
    """Exact cost of a policy, K = V = 2, n = 2, f = 1/2, ρ = 1/4, over all tables, redraws and queries."""
    law = [(0, Fraction(1, 2)), (1, Fraction(1, 4)), (2, Fraction(1, 4))]
    decide = cache(policy)  # type: ignore[arg-type]
    total = Fraction(0)

    def redraws(table: tuple[int, ...]) -> list[tuple[tuple[int, ...], tuple[bool, ...], Fraction]]:
        out = []
        for moves in itertools.product((False, True), repeat=2):
            p = math.prod((Fraction(1, 4) if moved else Fraction(3, 4) for moved in moves), start=Fraction(1))
            options = [
                ((3 - v,) if exclude else (1, 2)) if moved else (v,) for v, moved in zip(table, moves, strict=True)
            ]
            size = math.prod(map(len, options))
            out += [(tuple(new), moves, p / size) for new in itertools.product(*options)]
        return out

    def walk(t: int, table: tuple[int, ...], history: tuple[object, ...], mass: Fraction) -> None:
        nonlocal total
        if t == 2:
            return
        moved = redraws(table) if t else [(table, (False, False), Fraction(1))]
        for now, marks, p in moved:
            before = (*history, marks) if seen else history
            for z, chance in law:
                weight = mass * p * chance
                if z == 0:
                    walk(t + 1, now, (*before, (0, False, 0)), weight)
                    continue
                attend, guess = decide(before, z)
                total += weight * (attend + 2 * (1 - attend) * (guess != now[z - 1]))
                for attended, part in ((True, weight * attend), (False, weight * (1 - attend))):
                    if part:
                        shown = now[z - 1] if attended or labels else 0
                        walk(t + 1, now, (*before, (z, attended, shown)), part)

    for table in itertools.product((1, 2), repeat=2):
        walk(0, table, (), Fraction(1, 4))
    return total


@pytest.mark.parametrize(("seen", "labels"), list(itertools.product((False, True), repeat=2)))
def test_no_learner_is_below_the_bound(seen: bool, labels: bool) -> None:
    bound = 2 * t9.queried_epochs(Fraction(1, 4), Fraction(1, 4), 2)
    costs = [cost_of(random_policy(seed, 2), seen=seen, labels=labels) for seed in range(8)]
    assert min(costs) >= bound
    assert len(set(costs)) > 4


def _first_of_epoch(history: tuple[object, ...], z: int) -> tuple[Fraction, int]:
    """Attend unless the value was shown after the last redraw of the pattern."""
    known = 0
    for event in history:
        if len(event) == 2:  # type: ignore[arg-type]
            known = 0 if event[z - 1] else known  # type: ignore[index]
        elif event[0] == z and event[2]:  # type: ignore[index]
            known = event[2]  # type: ignore[index]
    return (Fraction(0), known) if known else (Fraction(1), 1)


def test_attending_once_an_epoch_attains_it_exactly() -> None:
    bound = 2 * t9.queried_epochs(Fraction(1, 4), Fraction(1, 4), 2)
    assert cost_of(_first_of_epoch, seen=True, labels=False) == bound

    def flips(history: tuple[object, ...], z: int) -> tuple[Fraction, int]:
        known = 0
        for event in history:
            if len(event) == 2:  # type: ignore[arg-type]
                known = 3 - known if known and event[z - 1] else known  # type: ignore[index]
            elif event[0] == z and event[2]:  # type: ignore[index]
                known = event[2]  # type: ignore[index]
        return (Fraction(0), known) if known else (Fraction(1), 1)

    assert cost_of(flips, seen=True, labels=False, exclude=True) < bound  # a redraw that excludes the old value


@given(SHARES, REDRAWS, st.integers(1, 6))
@settings(max_examples=12)
def test_the_best_of_all_learners_attains_the_bound(q: Fraction, rho: Fraction, steps: int) -> None:
    bound = t9.queried_epochs(q, rho, steps)
    assert t9.dynamic_program(t9.seen(rho), q, steps)[0] == bound
    assert t9.dynamic_program(t9.unseen(rho, steps, labels=True), q, steps)[0] == bound
    blind, document = t9.dynamic_program(t9.unseen(rho, steps, labels=False), q, steps)
    assert blind >= bound
    assert theory.verify(document).ok
    assert not theory.verify({**document, "value": str(blind - Fraction(1, 10**6))}).ok


def test_recorded_values() -> None:
    """Worked out once with other code: enumeration at K = 2, and dynamic programs."""
    epochs = [t9.queried_epochs(Fraction(1, 2) * p, Fraction(1, 4), 3) for p in (Fraction(2, 3), Fraction(1, 3))]
    assert float(sum(epochs)) == pytest.approx(1.2369791667)
    q, rho = Fraction(1, 4), Fraction(1, 10)
    for steps, seen, blind in ((20, 2.0708, 2.9104), (40, 3.60947, 5.7789)):
        assert float(t9.queried_epochs(q, rho, steps)) == pytest.approx(seen, abs=1e-4)
        knowledge = t9.unseen(rho, steps, labels=False)
        assert float(t9.dynamic_program(knowledge, q, steps)[0]) == pytest.approx(blind, abs=1e-4)
    assert t9.blind_rate(0.25, 0.1)[1] == pytest.approx(0.14321, abs=1e-5)
    assert t9.zipf_floor(1e-4, 2.0, 0.3)[1] == pytest.approx(0.0067085, abs=1e-7)  # ρ' in place of ρ


def test_a_threshold_of_age_is_the_best_rule() -> None:
    """The policies of the program attend from one age on, and its cost grows by g* a step."""
    q, rho, steps = Fraction(1, 3), Fraction(1, 8), 45
    knowledge = t9.unseen(rho, steps, labels=False)
    costs = [float(t9.dynamic_program(knowledge, q, n)[0]) for n in (30, 45)]
    tau, rate = t9.blind_rate(float(q), float(rho))
    assert (costs[1] - costs[0]) / 15 == pytest.approx(rate, rel=5e-3)
    policy = t9.dynamic_program(knowledge, q, steps)[1]["policy"][5]
    ages = [age for age in range(1, 30) if policy[age] == "attend"]
    assert ages == list(range(tau, 30))


@given(st.floats(0.05, 1.0), st.floats(1e-6, 1e-5))
@settings(max_examples=20)
def test_the_price_of_not_seeing_redraws(q: float, rho: float) -> None:
    rate = t9.blind_rate(q, rho)[1]
    assert rate == pytest.approx(math.sqrt(2 * q * rho), rel=0.03)
    assert rate >= q * rho / (rho + q - rho * q)


@given(st.floats(1.1, 4.0), st.floats(1e-5, 0.5), st.floats(0.05, 1.0))
@settings(max_examples=30)
def test_the_zipf_floor_is_a_power_law(s: float, rho: float, f: float) -> None:
    low, high = t9.zipf_floor(rho, s, f)
    value = t9.zipf_floor_summed(rho, s, f, terms=3000)
    assert low - 1e-6 * high <= value <= high * (1 + 1e-6)


def test_played_learners_attain_the_bound_and_no_other_clock_does() -> None:
    stream = Stream.independent(uniform(4), values=6, length=200, retrieval=0.8)
    expected = 4 * float(t9.queried_epochs(0.2, 0.1, 200)) / 200
    for name in ("seen", "labels"):
        mean, low, high = t9.simulate(t9.LEARNERS[name], stream, 0.1, streams=250, rng=1)
        assert low < expected < high
        assert mean == pytest.approx(expected, rel=0.02)
    single = Stream.independent([1.0], values=6, length=400, retrieval=0.25)
    mean, _, _ = t9.simulate(t9.LEARNERS["blind"], single, 0.1, streams=250, rng=1)
    assert mean == pytest.approx(0.14321, rel=0.03)


def test_false_versions_of_the_certificate_fail() -> None:
    parts = theory.check_theorem("T9").certificate["parts"]
    chain, zipf = (next(part for part in parts if part["kind"] == kind) for kind in ("chain", "interval"))
    assert not theory.verify({**chain, "facts": ["mean < steps*q*rho/(rho + q - rho*q)"]}).ok
    late = {**chain["let"], "new": "1 if fresh == 1 or redrawn == 1 else 0"}
    assert theory.verify({**chain, "let": late}).ok  # at the first step everything is new anyway
    never = {**chain["let"], "new": "fresh"}
    assert not theory.verify({**chain, "let": never}).ok  # no redraws
    assert not theory.verify({**zipf, "facts": ["power <= low"]}).ok
    identity = next(part for part in parts if part["kind"] == "identity")
    assert not theory.verify({**identity, "right": "u + (1 - rho)*d"}).ok


@pytest.mark.parametrize(
    "call",
    [
        lambda: t9.queried_epochs(1.5, 0.1, 3),
        lambda: t9.floor([0.5], -0.1),
        lambda: t9.zipf_floor(0.1, 1.0),
        lambda: t9.zipf_floor(0.0, 2.0),
        lambda: t9.blind_rate(-1.0, 0.5),
    ],
)
def test_bad_input_is_named(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]


def test_the_verdict_and_the_table_for_the_figure() -> None:
    verdict = theory.check_theorem("T9")
    assert verdict.status == "proved"
    assert verdict.verify().ok
    table = t9.curves()
    zipf = table[table["curve"].str.startswith("Zipf")].pivot_table(
        index=["curve", "x"], columns="kind", values="value"
    )
    assert (zipf["exact"] <= zipf["bound"] * (1 + 1e-6)).all()
    slope = np.diff(np.log(zipf.loc["Zipf, s = 2", "exact"])) / np.diff(np.log(zipf.loc["Zipf, s = 2"].index))
    assert slope[0] == pytest.approx(0.5, abs=0.02)
