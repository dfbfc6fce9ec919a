"""Chunked recurrences are the recurrences."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.models.scan import delta_update, moving_average, selective_scan
from theory.models.ssm import MambaConfig, SelectiveSSM
from theory.models.transmamba import SwitchLayer, TransMambaConfig


@given(
    n=st.integers(1, 40), chunk=st.integers(1, 16), heads=st.integers(1, 3), seed=st.integers(0, 999),
    scale=st.sampled_from([0.01, 1.0, 60.0]),
)  # fmt: skip
@settings(max_examples=60)
def test_selective_scan(n: int, chunk: int, heads: int, seed: int, scale: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    u, b, c = (torch.randn(2, n, heads, width, generator=rng, dtype=torch.float64) for width in (3, 4, 4))
    log = -scale * torch.rand(2, n, heads, generator=rng, dtype=torch.float64)
    state, expected = torch.zeros(2, heads, 3, 4, dtype=torch.float64), []
    for t in range(n):
        state = log[:, t].exp()[..., None, None] * state + u[:, t, :, :, None] * b[:, t, :, None, :]
        expected.append((state * c[:, t, :, None, :]).sum(-1))
    torch.testing.assert_close(selective_scan(u, log, b, c, chunk=chunk), torch.stack(expected, 1))


def test_selective_scan_keeps_its_digits_over_a_long_stream() -> None:
    """Strong decays summed over thousands of steps would cancel: single precision stays near double."""
    rng = torch.Generator().manual_seed(0)
    u, b, c = (torch.randn(1, 4096, 1, 2, generator=rng) for _ in range(3))
    log = -20 * torch.rand(1, 4096, 1, generator=rng)
    exact = selective_scan(u.double(), log.double(), b.double(), c.double())
    torch.testing.assert_close(selective_scan(u, log, b, c).double(), exact, rtol=1e-4, atol=1e-4)


@given(n=st.integers(1, 150), a=st.floats(0.01, 0.99), seed=st.integers(0, 99))
@settings(max_examples=30)
def test_moving_average(n: int, a: float, seed: int) -> None:
    x = torch.randn(2, n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    m, expected = torch.zeros(2, 3, dtype=torch.float64), []
    for t in range(n):
        m = a * m + (1 - a) * x[:, t]
        expected.append(m)
    torch.testing.assert_close(moving_average(x, a), torch.stack(expected, 1))


@given(n=st.integers(1, 24), chunk=st.integers(1, 24), seed=st.integers(0, 999))
@settings(max_examples=40)
def test_delta_update(n: int, chunk: int, seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    keys, values = (torch.randn(2, n, width, generator=rng, dtype=torch.float64) for width in (5, 3))
    keys = keys / keys.norm(dim=-1, keepdim=True)
    beta = torch.rand(2, n, generator=rng, dtype=torch.float64).round(decimals=1)
    slow = fast = torch.zeros(2, 5, 3, dtype=torch.float64)
    for t in range(n):
        error = values[:, t] - (slow.mT @ keys[:, t, :, None]).squeeze(-1)
        slow = slow + beta[:, t, None, None] * keys[:, t, :, None] * error[:, None, :]
    for at in range(0, n, chunk):
        fast = delta_update(fast, keys[:, at : at + chunk], values[:, at : at + chunk], beta[:, at : at + chunk])
    torch.testing.assert_close(fast, slow)


def test_the_delta_rule_recalls_the_last_value_of_each_key() -> None:
    keys = torch.eye(4)[[0, 1, 0, 2]][None]
    values = torch.arange(4.0)[None, :, None]
    state = delta_update(torch.zeros(1, 4, 1), keys, values, torch.ones(1, 4))
    torch.testing.assert_close(state[0, :, 0], torch.tensor([2.0, 1.0, 3.0, 0.0]))


def test_the_state_space_block_is_its_recurrence() -> None:
    torch.manual_seed(0)
    block = SelectiveSSM(MambaConfig(d_model=8, state=3, ssm_heads=2, convolution=3)).double()
    x = torch.randn(2, 20, 8, dtype=torch.float64)
    gate, mixed, step = torch.split(block.input(x), [16, 22, 2], -1)
    taps = block.convolution.weight[:, 0]
    state, expected = torch.zeros(2, 2, 8, 3, dtype=torch.float64), []
    for t in range(20):
        past = sum(taps[:, 2 - lag] * mixed[:, t - lag] for lag in range(min(3, t + 1))) + block.convolution.bias
        u, b, c = torch.split(torch.nn.functional.silu(past), [16, 3, 3], -1)
        u, width = u.view(2, 2, 8), torch.nn.functional.softplus(step[:, t] + block.step_bias)
        decay = (-width * block.log_rate.exp()).exp()
        state = decay[..., None, None] * state + (width[..., None] * u)[..., None] * b[:, None, None, :]
        y = (state * c[:, None, None, :]).sum(-1) + block.skip[:, None] * u
        expected.append(block.output(block.norm(y.flatten(1)) * torch.nn.functional.silu(gate[:, t])))
    torch.testing.assert_close(block(x), torch.stack(expected, 1))


def test_nothing_is_lost_at_the_switch_from_attention_to_recurrence() -> None:
    """After the switch the recurrence stands where it would had it run from the first token on."""
    torch.manual_seed(0)
    config = TransMambaConfig(d_model=8, heads=2, layers=1, switch=[0.5])
    late, early = SwitchLayer(config, 12).double(), SwitchLayer(config, 0).double()
    early.load_state_dict(late.state_dict())
    x, context = torch.randn(2, 20, 8, dtype=torch.float64), None
    found = [layer.eval()(x, _Plain(context))[0] for layer in (late, early)]
    torch.testing.assert_close(found[0][:, 12:], found[1][:, 12:])
    assert not torch.allclose(found[0][:, 1:12], found[1][:, 1:12])


class _Plain:
    """A context in which nothing is forced."""

    attend_all = False

    def __init__(self, _: object) -> None: ...
