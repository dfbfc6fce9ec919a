"""Chunked linear attention is its recurrence, and hybrids have the attention that their ratio says."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from theory.models import build, model_config
from theory.models.gated_scans import gated_delta_scan, gated_scan
from theory.models.linear_attention import (
    GLA,
    HGRN2,
    GatedDeltaNet,
    GatedDeltaNetConfig,
    GLAConfig,
    HGRN2Config,
    LinearAttentionLayer,
)
from theory.models.scan import delta_update, selective_scan
from theory.tasks.srcd import SRCD


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def decaying(q: Tensor, k: Tensor, v: Tensor, log: Tensor) -> Tensor:
    """S_t = diag(a_t) S_{t−1} + k_t v_tᵀ, token by token."""
    state, read = torch.zeros(*k.shape[:1], *k.shape[2:], v.shape[-1], dtype=k.dtype), []
    for t in range(q.shape[1]):
        state = log[:, t].exp().unsqueeze(-1) * state + k[:, t].unsqueeze(-1) * v[:, t].unsqueeze(-2)
        read.append((state * q[:, t].unsqueeze(-1)).sum(-2))
    return torch.stack(read, 1)


def corrected(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log: Tensor) -> Tensor:
    """S_t = a_t (I − β_t k_t k_tᵀ) S_{t−1} + β_t k_t v_tᵀ, token by token."""
    state, read = torch.zeros(*k.shape[:1], *k.shape[2:], v.shape[-1], dtype=k.dtype), []
    identity = torch.eye(k.shape[-1], dtype=k.dtype)
    for t in range(q.shape[1]):
        key, b = k[:, t].unsqueeze(-1), beta[:, t, :, None, None]
        state = log[:, t, :, None, None].exp() * (identity - b * key @ key.mT) @ state + b * key * v[:, t].unsqueeze(-2)
        read.append((state * q[:, t].unsqueeze(-1)).sum(-2))
    return torch.stack(read, 1)


def delta_inputs(seed: int, n: int, heads: int, scale: float) -> tuple[Tensor, ...]:
    q, k, v = draw(seed, 2, n, heads, 5), draw(seed + 1, 2, n, heads, 5), draw(seed + 2, 2, n, heads, 3)
    beta, log = draw(seed + 3, 2, n, heads).sigmoid().round(decimals=1), -scale * draw(seed + 4, 2, n, heads).abs()
    return q, torch.nn.functional.normalize(k, dim=-1), v, beta, log


SIZES = {"n": st.integers(1, 40), "chunk": st.integers(1, 16), "heads": st.integers(1, 3), "seed": st.integers(0, 999),
         "scale": st.sampled_from([0.01, 1.0, 60.0])}  # fmt: skip


@given(**SIZES)
@settings(max_examples=40, deadline=None)
def test_gated_scan_is_the_recurrence(n: int, chunk: int, heads: int, seed: int, scale: float) -> None:
    q, k, v = draw(seed, 2, n, heads, 4), draw(seed + 1, 2, n, heads, 4), draw(seed + 2, 2, n, heads, 3)
    log = -scale * draw(seed + 3, 2, n, heads, 4).abs()
    torch.testing.assert_close(gated_scan(q, k, v, log, chunk=chunk), decaying(q, k, v, log))


@given(**SIZES)
@settings(max_examples=40, deadline=None)
def test_gated_delta_scan_is_the_recurrence(n: int, chunk: int, heads: int, seed: int, scale: float) -> None:
    inputs = delta_inputs(seed, n, heads, scale)
    torch.testing.assert_close(gated_delta_scan(*inputs, chunk=chunk), corrected(*inputs))


def test_one_decay_for_all_key_coordinates_is_the_selective_scan() -> None:
    q, k, v, log = draw(0, 2, 50, 2, 4), draw(1, 2, 50, 2, 4), draw(2, 2, 50, 2, 3), -draw(3, 2, 50, 2).abs()
    same = gated_scan(q, k, v, log.unsqueeze(-1).expand_as(k))
    torch.testing.assert_close(same, selective_scan(v, log, k, q))


def test_without_decay_the_gated_delta_rule_is_the_delta_rule() -> None:
    _, k, v, beta, log = delta_inputs(7, 30, 1, 1.0)
    last = torch.eye(5, dtype=k.dtype)
    state = delta_update(torch.zeros(2, 5, 3, dtype=k.dtype), k.squeeze(2), v.squeeze(2), beta.squeeze(2))
    for coordinate in range(5):  # read the final state, one row after the other
        q = last[coordinate].expand_as(k)
        found = gated_delta_scan(q, k, v, beta, torch.zeros_like(log))[:, -1, 0]
        torch.testing.assert_close(found, state[:, coordinate])


def test_a_gated_memory_that_forgets_at_once_reads_the_present_token_only() -> None:
    q, k, v = draw(0, 1, 20, 1, 4), draw(1, 1, 20, 1, 4), draw(2, 1, 20, 1, 3)
    torch.testing.assert_close(gated_scan(q, k, v, torch.full_like(k, -800.0)), (q * k).sum(-1, keepdim=True) * v)


@pytest.mark.parametrize("which", ["gated", "delta"])
def test_single_precision_keeps_its_digits_over_a_long_stream(which: str) -> None:
    if which == "gated":
        inputs: tuple[Tensor, ...] = (draw(0, 1, 2048, 1, 4), draw(1, 1, 2048, 1, 4), draw(2, 1, 2048, 1, 4),
                                      -20 * draw(3, 1, 2048, 1, 4).abs())  # fmt: skip
    else:
        inputs = delta_inputs(3, 2048, 1, 0.02)
    scan = gated_scan if which == "gated" else gated_delta_scan
    exact = scan(*inputs)
    rough = scan(*(x.float() for x in inputs))
    torch.testing.assert_close(rough.double(), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("which", ["gated", "delta"])
def test_gradients_are_those_of_finite_differences(which: str) -> None:
    if which == "gated":
        inputs: tuple[Tensor, ...] = (draw(0, 1, 7, 1, 3), draw(1, 1, 7, 1, 3), draw(2, 1, 7, 1, 2),
                                      -draw(3, 1, 7, 1, 3).abs())  # fmt: skip
    else:
        inputs = tuple(x[:1] for x in delta_inputs(5, 7, 1, 0.5))
    scan = gated_scan if which == "gated" else gated_delta_scan
    inputs = tuple(x.clone().requires_grad_() for x in inputs)
    assert torch.autograd.gradcheck(lambda *x: scan(*x, chunk=3), inputs)


@pytest.mark.parametrize(
    "mixer",
    [
        lambda: GLA(GLAConfig(d_model=8, rank=2), 0),
        lambda: HGRN2(HGRN2Config(d_model=8), 1),
        lambda: GatedDeltaNet(GatedDeltaNetConfig(d_model=8), 0),
    ],
    ids=["gla", "hgrn2", "gated_deltanet"],
)
def test_a_layer_is_the_recurrence_of_its_paper(mixer: object) -> None:
    torch.manual_seed(0)
    layer = mixer().double()  # type: ignore[operator]
    x = draw(9, 2, 25, 8)

    def heads(y: Tensor) -> Tensor:
        return y.view(2, 25, 2, 4)

    if isinstance(layer, GLA):
        decay = layer.forget(x).sigmoid() ** (1 / 16)  # α = σ(·)^(1/τ), τ = 16
        read = decaying(heads(layer.query(x)) / 2, heads(layer.key(x)), heads(layer.value(x)), heads(decay).log())
    elif isinstance(layer, HGRN2):
        low = layer.bound.detach().sigmoid()
        assert low.item() == pytest.approx(2 / 5)  # the second of four layers
        f = heads(low + (1 - low) * layer.forget(x).sigmoid())
        read = decaying(heads(torch.nn.functional.silu(layer.query(x))), 1 - f, heads(layer.value(x)), f.log())
    else:
        taps, parts = layer.convolution.weight[:, 0], []
        mixed = torch.cat([layer.query(x), layer.key(x), layer.value(x)], -1)
        for t in range(25):
            past = sum(taps[:, 3 - lag] * mixed[:, t - lag] for lag in range(min(4, t + 1)))
            parts.append(torch.nn.functional.silu(past + layer.convolution.bias))
        q, k, v = (heads(part) for part in torch.stack(parts, 1).split(8, -1))
        q, k = (part / part.norm(dim=-1, keepdim=True) for part in (q, k))
        step = torch.nn.functional.softplus(layer.step(x) + layer.step_bias) * layer.log_rate.exp()
        read = corrected(q, k, v, layer.strength(x).sigmoid(), -step)
    expected = layer.output(layer.norm(read).flatten(2) * torch.nn.functional.silu(layer.gate(x)))
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize(
    ("ratio", "attends"),
    [(None, "......"), (0, "AAAAAA"), (1, ".A.A.A"), (2, "..A..A"), (3, "...A.."), (5, ".....A")],
)
def test_a_ratio_says_which_layers_attend(ratio: int | None, attends: str) -> None:
    task = SRCD(length=32, patterns=4, novel_keys=8)
    config = model_config({"kind": "hgrn2", "layers": 6, "d_model": 16, "ratio": ratio})
    model = build(config, task, 0)
    found = ["." if isinstance(layer, LinearAttentionLayer) else "A" for layer in model.layers]
    assert "".join(found) == attends
