"""Memories that learn while a stream goes by: special cases, gates and biases against their formulas, bad settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.errors import InputError
from theory.policies import find
from theory.policies.memories import BIASES, GATES, Linear, Miras, Perceptron, Rule
from theory.policies.policy import Played, play
from theory.policies.states import signs
from theory.policies.streams import LAWS, Array, Setting, Vectors, embed

SMALL = Setting(length=96, patterns=24, interval=20)


def played(name: str, budget: int = 20, law: str = "mix", **parameters: Any) -> Played:
    rng = np.random.default_rng(3)
    streams, training = LAWS[law](SMALL, rng, 5), LAWS[law](SMALL, rng, 5)
    return play(find(name).policy(**parameters), streams, budget, training=training, record=True)


def vectors(law: str = "mix") -> Vectors:
    return embed(LAWS[law](SMALL, np.random.default_rng(3), 5))


def same(one: Played, other: Played) -> bool:
    assert one.signal is not None
    assert other.signal is not None
    return bool((one.signal == other.signal).all() and (one.answers == other.answers).all())


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("budget", [7, 16, 33])
def test_lightning_attention_and_titans_are_special_cases_to_the_bit(law: str, budget: int) -> None:
    assert same(played("lightning", budget, law), played("miras", budget, law, bias="dot", forgetting=0.005))
    titans = {"bias": "l2", "retention": "l2", "rate": 0.5, "momentum": 0.3, "forgetting": 0.005}
    assert same(played("titans", budget, law), played("miras", budget, law, **titans))
    assert played("titans", budget, law).memory_bits == played("miras", budget, law, **titans).memory_bits


@pytest.mark.parametrize("name", ["lightning", "titans"])
def test_they_are_the_recurrences_of_their_papers_to_the_bit(name: str) -> None:
    """S ← λS + k vᵀ; and S ← ηS − θ∇½‖Mk − v‖², M ← (1 − α)M + S: in 16 bits, token by token."""
    seen, budget = vectors(), 33
    query, key = signs(seen, budget)
    size, _, length = seen.shape
    memory = np.zeros((size, budget, seen.value.shape[2]), np.float16)
    surprise, signal = np.zeros_like(memory), np.zeros((length, size, len(seen.codes)), np.float32)
    if name == "titans":
        query, key = query / np.sqrt(budget), key / np.sqrt(budget)
    for t in range(length):
        recalled = np.einsum("br,brm->bm", query[:, t], memory.astype(np.float32))
        value = seen.value[:, t]
        if name == "lightning":
            signal[t] = (recalled / budget) @ seen.codes.T
            memory[:] = 0.995 * memory + key[:, t, :, None] * value[:, None]
        else:
            signal[t] = recalled @ seen.codes.T
            error = np.einsum("br,brm->bm", key[:, t], memory.astype(np.float32)) - value
            error[~value.any(1)] = 0
            surprise[:] = 0.3 * surprise - 0.5 * (key[:, t, :, None] * error[:, None])
            memory[:] = (1 - 0.005) * memory + surprise
    found = played(name, budget)
    assert found.signal is not None
    np.testing.assert_array_equal(found.signal, signal)


def test_named_systems_are_settings() -> None:
    assert same(played("moneta"), played("miras", bias="lp", retention="lq", p=3.0, q=4.0, rate=0.1))
    assert same(played("yaad"), played("miras", bias="huber", retention="l2"))
    assert same(played("memora"), played("miras", bias="l2", retention="kl"))


@pytest.mark.parametrize(
    "settings", [{"memory": "mlp"}, {"retention": "lq", "rate": 0.2}, {"retention": "kl"}, {"bias": "lp", "rate": 0.2},
                 {"bias": "huber", "momentum": 0.5, "rate": 0.5}, {"bias": "dot", "retention": "kl"}]
)  # fmt: skip
def test_every_choice_recalls_better_than_chance(settings: dict[str, Any]) -> None:
    found = played("miras", 48, "recurrent", **settings)
    assert found.per_query(found.wrong).mean() < 0.6  # chance: 15/16


# ------------------------------------------------------------------------------------------------- biases and gates


def objective(bias: str, error: Array, rule: Rule, unit: float) -> Array:
    """The losses as the paper writes them, for a value of 0; up to the units that the rule is in."""
    if bias == "l2":
        return 0.5 * (error**2).sum(1)
    if bias == "lp":
        return (np.abs(error) ** rule.p).sum(1) / rule.p * unit ** (rule.p - 2)
    size, most = np.abs(error), rule.delta / unit
    return np.where(size <= most, size**2 / 2, most * (size - most / 2)).sum(1)


@pytest.mark.parametrize("bias", ["l2", "lp", "huber"])
@given(seed=st.integers(0, 999), p=st.floats(1.5, 5), delta=st.floats(0.1, 3))
@settings(max_examples=25, deadline=None)
def test_slopes_are_the_gradients_of_the_losses(bias: str, seed: int, p: float, delta: float) -> None:
    rng, rule = np.random.default_rng(seed), Rule(bias=bias, p=p, delta=delta)
    recalled = rng.standard_normal((1, 9))
    value, step, slope = np.zeros_like(recalled), 1e-6, np.zeros_like(recalled)
    for j in range(9):
        nudge = step * (np.arange(9) == j)
        above, below = (objective(bias, recalled + sign * nudge, rule, 3.0) for sign in (1, -1))
        slope[:, j] = (above - below) / (2 * step)
    np.testing.assert_allclose(BIASES[bias].slope(recalled, value, rule), slope, rtol=1e-4, atol=1e-6)


def test_the_lp_bias_at_2_and_a_wide_huber_bias_are_the_l2_bias() -> None:
    assert same(played("miras", bias="lp", p=2.0), played("miras", bias="l2"))
    assert same(played("miras", bias="huber", delta=1e3), played("miras", bias="l2"))


@given(seed=st.integers(0, 999), q=st.floats(2, 6))
@settings(max_examples=25, deadline=None)
def test_the_lq_gate_is_the_gradient_of_half_the_squared_norm(seed: int, q: float) -> None:
    a, rule = np.random.default_rng(seed).standard_normal((1, 4, 3)), Rule(q=q)

    def half_square(x: Array) -> float:
        return float((np.abs(x) ** q).sum() ** (2 / q) / 2)

    slope, step = np.zeros_like(a), 1e-6
    for index in np.ndindex(a.shape):
        nudge = np.zeros_like(a)
        nudge[index] = step
        slope[index] = (half_square(a + nudge) - half_square(a - nudge)) / (2 * step)
    found = GATES["lq"].weights(a, rule)
    np.testing.assert_allclose(found, slope, rtol=1e-4, atol=1e-6)
    # so ‖W‖ with the conjugate exponent is ‖A‖_q (Young), and the gate grows in proportion to A
    conjugate = q / (q - 1)
    assert (np.abs(found) ** conjugate).sum() ** (1 / conjugate) == pytest.approx((np.abs(a) ** q).sum() ** (1 / q))
    np.testing.assert_allclose(GATES["lq"].weights(1e-3 * a, rule), 1e-3 * found, rtol=1e-5)
    if q == 2:
        np.testing.assert_allclose(found, a, rtol=1e-6)


def test_an_lq_gate_of_2_is_l2_decay_and_an_empty_memory_is_zero() -> None:
    a = np.random.default_rng(0).standard_normal((2, 5, 3))
    np.testing.assert_allclose(GATES["lq"].weights(a, Rule(q=2.0)), a, rtol=1e-6)
    assert not GATES["lq"].weights(np.zeros((2, 5, 3)), Rule()).any()


def test_the_kl_gate_keeps_a_simplex_and_its_update_is_printed_in_the_paper() -> None:
    """W_t = c·softmax((1 − λ)·log W_{t−1} − η∇): what the state A does, without ever taking a logarithm."""
    rng, rule = np.random.default_rng(1), Rule(retention="kl", scale=1.5)
    state, weights = np.zeros((1, 6, 4)), GATES["kl"].weights(np.zeros((1, 6, 4)), rule)
    mass = 1.5 * np.sqrt(6 / 4)
    for _ in range(5):
        gradient = rng.standard_normal((1, 6, 4))
        state = 0.9 * state - 0.3 * gradient
        raised = np.exp(0.9 * np.log(weights) - 0.3 * gradient)
        printed = mass * raised / raised.sum(1, keepdims=True)
        weights = GATES["kl"].weights(state, rule)
        np.testing.assert_allclose(weights, printed, rtol=1e-5)
        np.testing.assert_allclose(weights.sum(1), mass, rtol=1e-5)
        assert (weights >= 0).all()


@pytest.mark.parametrize("memory", [Linear(5, 3), Perceptron(5, 3)], ids=["linear", "mlp"])
def test_gradients_of_a_memory_are_those_of_finite_differences(memory: Linear | Perceptron) -> None:
    rng = np.random.default_rng(2)
    x, slope = rng.standard_normal((1, 5)), rng.standard_normal((1, 3))
    weights = [rng.standard_normal((1, *shape)) for shape in memory.shapes]
    for i, found in enumerate(memory.gradient(weights, x, slope)):
        for index in list(np.ndindex(weights[i].shape))[::7]:
            ends = []
            for step in (1e-5, -1e-5):
                moved = [w.copy() for w in weights]
                moved[i][index] += step
                ends.append(float((memory.recall(moved, x) * slope).sum()))
            assert found[index] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=1e-5)


# ---------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bias": "hubert"}, "there is no bias 'hubert'; did you mean 'huber'"),
        ({"retention": "l3"}, "there is no retention 'l3'"),
        ({"memory": "deep"}, "there is no memory 'deep'"),
        ({"momentum": 1.0}, "'momentum' cannot be 1"),
        ({"rate": 0}, "'rate' cannot be 0"),
        ({"forgetting": float("nan")}, "'forgetting' cannot be nan"),
        ({"p": 0.5}, "'p' cannot be 0.5"),
        ({"q": 1.5}, "'q' cannot be 1.5"),
        ({"memory": "mlp", "retention": "kl"}, "two layers cannot be forgotten by the KL gate"),
        ({"bias": 2}, "'bias' of miras cannot be 2; use a word such as l2"),
        ({"rate": "fast"}, "'rate' of miras cannot be 'fast'; use a number such as 1.0"),
    ],
)
def test_settings_that_make_no_memory_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        find("miras").policy(**parameters)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("parameters", [{"bias": "lp", "rate": 8.0}, {"retention": "lq", "rate": 4.0, "momentum": 0.9}])
def test_a_memory_that_diverges_says_so(parameters: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="the memory diverges; use a smaller step"):
        played("miras", **parameters)


def test_outliers_move_a_huber_memory_by_a_bounded_step() -> None:
    """The same stream with one value a thousand times too large: the bound on the step is in the loss."""
    seen = vectors()
    far = replace(seen, value=np.where(np.arange(96)[None, :, None] == 40, 1000 * seen.value, seen.value))
    moved = {}
    for bias in ("l2", "huber"):
        memories = []
        for x in (seen, far):
            policy = Miras(bias=bias)
            policy.begin(x, 20, np.random.default_rng(0), x)
            for t in range(41):
                policy.observe(t, np.zeros((5, 4, t)), np.zeros((5, 16)))
            memories.append(policy.carried()["memory 0"].astype(float))
        moved[bias] = np.abs(memories[0] - memories[1]).max()
    assert moved["l2"] > 50
    assert moved["huber"] <= 2 * 0.5 / 4 / np.sqrt(20) + 1e-3  # twice the largest slope times a key's coordinate
