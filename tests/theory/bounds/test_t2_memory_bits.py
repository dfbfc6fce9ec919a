"""T2: no code and no router gets more out of S bits, and the i.i.d. assumption is needed."""

from __future__ import annotations

import hashlib
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr, zeta

import theory
from cogfit.errors import InputError
from theory.bounds import t1_memoryless, t2_memory_bits
from theory.bounds.confidence_sequences import mean_sequence
from theory.tasks.retrieval import Stream, play, tables_of, uniform, zipf


def hashed(*key: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=6).digest(), "big")


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 3), st.integers(0, 3), st.booleans())
def test_random_codes_use_at_most_their_bits(seed: int, size: int, values: int, bits: int, sensible: bool) -> None:
    """Any map of tables to 2^S contents, any decoder; or for each table the decoder with the fewest errors."""
    rng = np.random.default_rng(seed)
    tables = tables_of(size, values)
    decoders = rng.integers(0, values + 1, (2**bits, size))
    if sensible:
        wrong = (decoders[:, None] != tables) & (decoders[:, None] != 0)
        sent = (wrong.sum(axis=2) + 0.4 * (decoders == 0).sum(axis=1)[:, None]).argmin(axis=0)
    else:
        sent = rng.integers(0, 2**bits, len(tables))
    output = decoders[sent]
    a, e = (output == 0).mean(axis=0), ((output != 0) & (output != tables)).mean(axis=0)
    assert t2_memory_bits.information(a, e, values).sum() <= bits + 1e-9


@pytest.mark.parametrize("seed", range(40))
def test_random_online_routers_use_at_most_their_bits_at_every_step(seed: int) -> None:
    """A random automaton of 2^S states, free to use all past queries; all tables and all sequences are enumerated."""
    size, values, length, bits = 3, 2, 4, seed % 3
    tables = tables_of(size, values).tolist()
    seen = np.zeros((length, size, 3))  # queries, attended, wrong
    for queries in itertools.product(range(1, size + 1), repeat=length):
        for table in tables:
            memory = 0
            for t, z in enumerate(queries):
                past, value = queries[: t + 1], table[z - 1]
                attend = hashed("attend", seed, memory, past) % 3 == 0
                trusts, stores = (hashed(word, seed, past) % 2 for word in ("trust", "store"))
                guess = memory % values if trusts else hashed("guess", seed, memory, past) % values
                seen[t, z - 1] += 1, attend, not attend and guess != value - 1
                moved = hashed("move", seed, memory, past, attend and value)
                memory = (value - 1 if attend and stores else moved) % 2**bits
    a, e = seen[..., 1] / seen[..., 0], seen[..., 2] / seen[..., 0]
    assert (t2_memory_bits.information(a, e, values).sum(axis=1) <= bits + 1e-9).all()


def test_information_is_that_of_a_symmetric_channel() -> None:
    """R_V against the mutual information of the output that attains it, computed from its definition."""
    for values, a, e in ((2, 0.3, 0.1), (4, 0.0, 0.2), (5, 0.5, 0.3)):
        joint = np.full((values, values), e / (values * (values - 1)))
        np.fill_diagonal(joint, (1 - a - e) / values)
        joint = np.column_stack([joint, np.full(values, a / values)])
        product = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
        expected = rel_entr(joint, product).sum() / math.log(2)
        assert t2_memory_bits.information(a, e, values) == pytest.approx(expected)


def test_information_has_a_minimum_of_zero_at_guessing_symbolically() -> None:
    """g(x) = log₂V − h(x) − x·log₂(V−1) is convex with g = g′ = 0 at 1 − 1/V."""
    x, v = sympy.symbols("x V", positive=True)
    g = sympy.log(v) + x * sympy.log(x) + (1 - x) * sympy.log(1 - x) - x * sympy.log(v - 1)
    at = {x: 1 - 1 / v}
    assert sympy.simplify(sympy.diff(g, x, 2) - 1 / (x * (1 - x))) == 0
    for number in (2, 3, 16):
        assert sympy.simplify(g.subs(at).subs(v, number)) == 0
        assert sympy.simplify(sympy.diff(g, x).subs(at).subs(v, number)) == 0


@given(st.integers(0, 10**6), st.integers(2, 6))
def test_information_is_convex(seed: int, values: int) -> None:
    parts = np.random.default_rng(seed).dirichlet([1, 1, 1], 2)[:, :2]
    ends = t2_memory_bits.information(parts[:, 0], parts[:, 1], values)
    middle = t2_memory_bits.information(*parts.mean(axis=0), values)
    assert middle <= ends.mean() + 1e-12


@pytest.mark.parametrize(
    ("size", "values", "bits", "price"), [(3, 2, 1, Fraction(2)), (3, 2, 2, Fraction(3, 2)), (2, 3, 1, Fraction(3))]
)
def test_search_and_verifier_agree_on_the_best_code(size: int, values: int, bits: int, price: Fraction) -> None:
    law = tuple(Fraction(p) for p in zipf(size, 1))
    found = t2_memory_bits.best_code(law, values, bits, price)
    assert found.most_information <= bits + 1e-9
    check = theory.verify(t2_memory_bits.code_certificate(law, values, bits, price, found.cost))
    assert check.ok, check.detail


def test_exact_recall_bound_is_the_mass_of_the_frequent() -> None:
    law = zipf(10, 1)
    for m in range(11):
        assert t2_memory_bits.least_attention(law, 4 * m, 16) == pytest.approx(float(1 - sum(law[:m])), abs=1e-12)
    assert t2_memory_bits.least_attention(law, 100, 2) == 0


@given(st.integers(1, 30), st.floats(0, 40), st.integers(2, 16), st.floats(0, 0.9))
def test_bound_with_errors_is_the_boundary_of_the_region(size: int, bits: float, values: int, error: float) -> None:
    alpha = t2_memory_bits.least_attention_uniform(size, bits, values, error)
    assert 0 <= alpha <= 1

    def used(a: float) -> float:
        return size * float(t2_memory_bits.information(a, min(error, 1 - a), values))

    assert used(alpha) <= bits + 1e-6
    if alpha > 1e-6:
        assert used(alpha - 1e-6) > bits - 1e-6 * size
    assert alpha <= t1_memoryless.least_attention(error, values) + 1e-9
    if error == 0:
        assert alpha == pytest.approx(max(0.0, 1 - bits / (size * math.log2(values))), abs=1e-9)


def test_zipf_bound_lies_below_the_mass_beyond_the_memory() -> None:
    for s in (1.1, 1.754, 3.0):
        for m in (0, 1, 10, 1000):
            mass = zeta(s, m + 1) / zeta(s)
            bound = t2_memory_bits.least_attention_zipf(s, m)
            assert bound <= mass * (1 + 1e-12)
            assert m < 10 or bound > 0.85 * mass


@pytest.mark.parametrize("cells", [0, 8, 20])
def test_a_larger_memory_than_admitted_breaks_the_bound(cells: int) -> None:
    """A router that keeps m values obeys the bound for m·log₂V bits, and breaks that for half as many."""
    law = Stream.independent(zipf(60, 1), values=16, length=1500)
    run = play(law, t2_memory_bits.FrequentPatterns(cells), 0, 300)
    share = run.attended[:, 1000:].mean(axis=1)
    low, high = (limit[-1] for limit in mean_sequence(share, level=0.999))
    assert not run.error.any()
    assert high >= t2_memory_bits.least_attention(law.probabilities, 4 * cells, 16)
    if cells:
        assert high < t2_memory_bits.least_attention(law.probabilities, 2 * cells, 16)
    assert low <= high


def test_bad_numbers_are_refused() -> None:
    for call in (
        lambda: t2_memory_bits.information(0.6, 0.6, 2),
        lambda: t2_memory_bits.information(0.6, 0.1, 1),
        lambda: t2_memory_bits.least_attention(uniform(2), -1, 2),
        lambda: t2_memory_bits.least_attention_uniform(2, 1, 2, 1.5),
        lambda: t2_memory_bits.least_attention_zipf(1.0, 3),
        lambda: t2_memory_bits.best_code(uniform(5), 2, 3, Fraction(1)),
    ):
        with pytest.raises(InputError):
            call()


@pytest.mark.slow
def test_check() -> None:
    verdict = theory.check_theorem("T2")
    assert verdict.status == "proved"
    check = verdict.verify()
    assert check.ok, check.detail
    pairs = {name: (float(verdict.computed[name]), float(claimed)) for name, claimed in verdict.claimed.items()}
    for name, (computed, claimed) in pairs.items():
        if "Σ" in name:
            assert computed <= claimed + 1e-9
        elif "simulated" in name:
            assert claimed < computed < claimed + 0.02
        else:
            assert computed == claimed
