"""The device's sampler: the same streams from the same random numbers, the same laws from its own."""

from __future__ import annotations

import zlib
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from theory.models import Sampler, to_torch
from theory.tasks.srcd import BINDING, QUERY, SRCD, Batch, Draws, Tokens, compose, violations, widths

TASKS = {
    "paper": SRCD(length=512),
    "zipf": SRCD(length=512, zipf=1.2, gap="lomax", table="fresh", patterns=30),
    "header": SRCD(length=512, layout="header", recurring_fraction=1.0, patterns=40, values=5, query_fraction=0.3),
}


def numpy_of(batch: Batch[Tensor]) -> Batch[np.ndarray]:
    def move(part: object) -> dict[str, np.ndarray]:
        return {f.name: getattr(part, f.name).cpu().numpy() for f in fields(part) if f.name != "tokens"}

    return Batch(tokens=Tokens(**move(batch.tokens)), **move(batch))


@pytest.mark.parametrize("name", TASKS)
def test_the_same_numbers_make_the_same_streams(name: str) -> None:
    task, rng = TASKS[name], np.random.default_rng(0)
    draws = {key: rng.random((8, width)) for key, width in widths(task).items()}
    draws["noise"] = rng.normal(size=(8, task.length))
    one = compose(np, task, Draws(**draws), task.frequencies(), task.fixed_table())
    tensors = Draws(**{key: torch.from_numpy(array) for key, array in draws.items()})
    two = compose(torch, task, tensors, torch.from_numpy(task.frequencies()), torch.from_numpy(task.fixed_table()))
    for left, right in ((one, numpy_of(two)), (one.tokens, numpy_of(two).tokens)):
        for f in fields(left):
            if f.name != "tokens":
                np.testing.assert_allclose(getattr(left, f.name), getattr(right, f.name), rtol=1e-9, atol=1e-9)


@given(st.sampled_from(sorted(TASKS)), st.integers(0, 2**31))
@settings(max_examples=20)
def test_its_streams_are_sound(name: str, seed: int) -> None:
    assert violations(TASKS[name], numpy_of(Sampler(TASKS[name], seed).sample(3))) == ()


@pytest.mark.parametrize("name", TASKS)
def test_it_draws_from_the_same_laws(name: str) -> None:
    """Kolmogorov–Smirnov for what is continuous or a position, chi-squared for labels, moments for the dynamics."""
    task = TASKS[name]
    one, two = task.sample(11, 1000), numpy_of(Sampler(task, 12).sample(1000))
    for seen in (lambda b: b.tokens.gap, lambda b: b.target[:, ::64], lambda b: (b.tokens.kind == QUERY).sum(1)):
        assert stats.ks_2samp(seen(one).ravel(), seen(two).ravel()).pvalue > 1e-3
    for kind in (BINDING, QUERY):
        where = [np.nonzero(b.tokens.kind == kind)[1] for b in (one, two)]
        assert stats.ks_2samp(*where).pvalue > 1e-3
    for label in (lambda b: b.pattern, lambda b: b.answer, lambda b: np.minimum(b.tokens.key, task.patterns + 1)):
        # One query per stream: those of a stream share their table.
        drawn = [label(b)[np.arange(len(b.answer)), (b.answer > 0).argmax(1)] for b in (one, two)]
        top = max(x.max() for x in drawn) + 1
        table = np.stack([np.bincount(x, minlength=top) for x in drawn])
        assert stats.chi2_contingency(table[:, table.sum(0) > 0]).pvalue > 1e-3
    signal = [b.target[:, 256:] for b in (one, two)]
    spread = np.sqrt(np.var([x.mean(1) for x in signal]) / 1000)
    assert abs(signal[0].mean() - signal[1].mean()) < 5 * spread
    assert signal[1].var() == pytest.approx(signal[0].var(), rel=0.1)
    assert np.corrcoef(signal[1][:, 1:].ravel(), signal[1][:, :-1].ravel())[0, 1] == pytest.approx(
        np.corrcoef(signal[0][:, 1:].ravel(), signal[0][:, :-1].ravel())[0, 1], abs=0.01
    )


def test_its_state_is_its_generator() -> None:
    sampler = Sampler(TASKS["paper"], 3)
    sampler.sample(2)
    state = sampler.generator.get_state()
    first = sampler.sample(2)
    sampler.generator.set_state(state)
    again = sampler.sample(2)
    assert torch.equal(first.target, again.target)
    assert torch.equal(first.tokens.key, again.tokens.key)


def test_values_that_stay_are_drawn_as_before() -> None:
    """Answers that were recorded before values could change."""
    sampler = Sampler(SRCD(length=64, patterns=20, novel_keys=64), 5)
    drawn = b"".join(sampler.sample(4).answer.numpy().astype("<i8").tobytes() for _ in range(3))
    assert zlib.crc32(drawn) == 2695659348


def test_values_change_from_batch_to_batch() -> None:
    task = SRCD(length=64, patterns=8, novel_keys=64, redraw=0.3)
    sampler, states, answers = Sampler(task, 3), [], []
    for number in range(6):
        states.append(sampler.generator.get_state())
        batch = sampler.sample(4)
        asked = batch.pattern > 0
        assert np.array_equal(batch.answer[asked].numpy(), task.table_at(number)[batch.pattern[asked].numpy() - 1])
        answers.append(batch.answer)
    # a sampler that goes on at a batch, and one whose values stay
    late, still = Sampler(task, 3), Sampler(task, 3, table=task.table_at(4))
    late.skip(4)
    for sampler in (late, still):
        sampler.generator.set_state(states[4])
        assert torch.equal(sampler.sample(4).answer, answers[4])
        sampler.generator.set_state(states[5])
        assert torch.equal(sampler.sample(4).answer, answers[5]) == (sampler is late)


def test_a_numpy_batch_becomes_tensors() -> None:
    batch = TASKS["paper"].sample(0, 2)
    moved = to_torch(batch)
    assert moved.target.dtype == moved.tokens.gap.dtype == torch.float32
    assert moved.answer.dtype == torch.int64
    np.testing.assert_array_equal(moved.tokens.key.numpy(), batch.tokens.key)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", TASKS)
def test_on_a_device(name: str) -> None:
    batch = Sampler(TASKS[name], 0, "cuda").sample(16)
    assert batch.target.is_cuda
    assert violations(TASKS[name], numpy_of(batch)) == ()
