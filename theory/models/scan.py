"""Linear recurrences over a stream.

Computed in chunks by matrix products. Each stands here twice: as the reference, and with fewer operations for
``compute = "fast"``, where sums run in another order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def selective_scan(u: Tensor, log_decay: Tensor, b: Tensor, c: Tensor, *, chunk: int = 64) -> Tensor:
    """Run the recurrence of a selective state-space model.

    States h_t = a_t h_{t−1} + u_t b_tᵀ from zero, read as y_t = h_t c_t.

    Within a chunk all pairs of positions meet in one matrix of decays; between chunks states are carried by another
    one. Decays are products of factors at most 1, never quotients, so that nothing overflows.

    Parameters
    ----------
    u : Tensor, shape (B, N, H, P)
        Inputs of H heads.
    log_decay : Tensor, shape (B, N, H)
        log a_t ≤ 0.
    b, c : Tensor, shape (B, N, H, S)
        What is written where in the state, and what is read.
    chunk : int
        Positions in a chunk.

    Returns
    -------
    Tensor, shape (B, N, H, P)

    References
    ----------
    Dao & Gu 2024, arXiv 2405.21060 (state space duality).
    """
    n = u.shape[1]
    u, b, c = (chunks(x, chunk) for x in (u, b, c))  # (B, G, C, H, ·)
    log = chunks(log_decay.unsqueeze(-1), chunk).squeeze(-1).permute(0, 1, 3, 2)  # (B, G, H, C)
    inner = decays(log)
    scores = torch.einsum("bgthn,bgshn->bghts", c, b) * inner
    y = torch.einsum("bghts,bgshp->bgthp", scores, u)
    ends = torch.einsum("bghs,bgshn,bgshp->bghpn", inner[..., -1, :], b, u)
    # Carried into chunk g: the state that chunk g − 1 ends with.
    across = decays(log.sum(-1).permute(0, 2, 1))
    carried = torch.einsum("bhgj,bjhpn->bghpn", across, ends).roll(1, 1)
    carried = torch.cat([torch.zeros_like(carried[:, :1]), carried[:, 1:]], 1)
    y = y + torch.einsum("bgthn,bghpn,bght->bgthp", c, carried, log.cumsum(-1).exp())
    return y.flatten(1, 2)[:, :n]


def moving_average(x: Tensor, decay: float) -> Tensor:
    """m_t = a·m_{t−1} + (1−a)·x_t from zero.

    Parameters
    ----------
    x : Tensor, shape (B, N, D)
    decay : float
        a, between 0 and 1.

    Returns
    -------
    Tensor, shape (B, N, D)
    """
    ones = torch.ones_like(x[:, :, :1, None])
    log = torch.log(torch.full_like(x[:, :, :1], decay))
    return selective_scan((1 - decay) * x.unsqueeze(2), log, ones, ones).squeeze(2)


def fast_scan(u: Tensor, log_decay: Tensor, b: Tensor, c: Tensor, *, chunk: int = 32) -> Tensor:
    """The recurrence of :func:`selective_scan`, in fewer operations.

    Sums of logarithms are taken along the stream, in double precision, and then subtracted: their error is far below
    that of single precision. What heads share is multiplied once.

    Parameters
    ----------
    u, log_decay
        See :func:`selective_scan`.
    b, c : Tensor, shape (B, N, H or 1, S)
        One head stands for all.
    chunk : int
        Of 16, 32 and 64, this was the fastest on a processor (8 streams of 256, 4 heads).

    Returns
    -------
    Tensor, shape (B, N, H, P)
    """
    n = u.shape[1]
    u, b, c = (chunks(x, chunk).transpose(2, 3) for x in (u, b, c))  # (B, G, H, C, ·)
    log = chunks(log_decay.unsqueeze(-1), chunk).squeeze(-1).transpose(2, 3)  # (B, G, H, C)
    inner = _pair_decays(log)
    y = (inner * (c @ b.mT)) @ u
    if u.shape[1] == 1:
        return y.transpose(2, 3).flatten(1, 2)[:, :n]
    ends = (inner[..., -1, :].unsqueeze(-1) * u).mT @ b  # (B, G, H, P, S): states at the ends of chunks, from zero
    # Carried into chunk g: what was left of the ends of all chunks before it.
    across = _pair_decays(log.sum(-1).transpose(1, 2))  # (B, H, G, G)
    flat = ends.transpose(1, 2).flatten(3)  # (B, H, G, P·S)
    before = F.pad(across[..., :-1, :-1] @ flat[:, :, :-1], (0, 0, 1, 0))
    carried = before.reshape(*before.shape[:3], *ends.shape[3:]).transpose(1, 2)
    out: Tensor = y + log.cumsum(-1).exp().unsqueeze(-1) * (c @ carried.mT)
    return out.transpose(2, 3).flatten(1, 2)[:, :n]


def fast_average(x: Tensor, decay: float, *, chunk: int = 64) -> Tensor:
    """The moving average of :func:`moving_average`, in fewer operations.

    One matrix of weights serves all chunks.

    Parameters
    ----------
    x : Tensor, shape (B, N, D)
    decay : float

    Returns
    -------
    Tensor, shape (B, N, D)
    """
    n = x.shape[1]
    parts = F.pad(x, (0, 0, 0, -n % chunk)).reshape(x.shape[0], -1, chunk, x.shape[2])  # (B, G, C, D)
    y: Tensor = (1 - decay) * _powers(decay, chunk, like=x) @ parts
    groups = parts.shape[1]
    if groups > 1:
        carried = F.pad(_powers(decay**chunk, groups - 1, like=x) @ y[:, :-1, -1], (0, 0, 1, 0))  # (B, G, D)
        fading = decay ** torch.arange(1, chunk + 1, dtype=x.dtype, device=x.device)
        y = y + fading[:, None] * carried.unsqueeze(2)
    return y.flatten(1, 2)[:, :n]


SCANS: Mapping[str, Callable[..., Tensor]] = {"reference": selective_scan, "fast": fast_scan}
AVERAGES: Mapping[str, Callable[[Tensor, float], Tensor]] = {"reference": moving_average, "fast": fast_average}
"""By the setting ``compute``."""


def delta_update(state: Tensor, keys: Tensor, values: Tensor, strength: Tensor) -> Tensor:
    """Write a chunk into a fast-weight memory.

    By the delta rule, S_t = S_{t−1} + β_t k_t (v_t − S_{t−1}ᵀ k_t)ᵀ.

    The corrections u_t = β_t (v_t − S_{t−1}ᵀ k_t) of all positions solve one unit triangular system.

    Parameters
    ----------
    state : Tensor, shape (B, K, V)
        S before the chunk.
    keys : Tensor, shape (B, C, K)
        Of unit norm.
    values : Tensor, shape (B, C, V)
    strength : Tensor, shape (B, C)
        β_t in [0, 1].

    Returns
    -------
    Tensor, shape (B, K, V)

    References
    ----------
    Schlag, Irie & Schmidhuber 2021, arXiv 2102.11174; Yang et al. 2024, arXiv 2406.06484 (chunks).
    """
    beta = strength.unsqueeze(-1)
    overlap = (beta * (keys @ keys.mT)).tril(-1)
    system = overlap + torch.eye(keys.shape[1], dtype=keys.dtype, device=keys.device)
    corrections = torch.linalg.solve_triangular(system, beta * (values - keys @ state), upper=False, unitriangular=True)
    written: Tensor = state + keys.mT @ corrections
    return written


def chunks(x: Tensor, chunk: int) -> Tensor:
    """Cut into chunks, with zeros at the end.

    (B, N, H, ·) -> (B, G, C, H, ·).
    """
    padded = F.pad(x, (0, 0, 0, 0, 0, -x.shape[1] % chunk))
    return padded.reshape(x.shape[0], -1, chunk, *x.shape[2:])


def decays(log: Tensor) -> Tensor:
    """Decay between all pairs of steps.

    exp(Σ_{s<i≤t} log_i) for t ≥ s, else 0: (..., C) -> (..., C[t], C[s]). Sums start at s: none cancel.
    """
    size = log.shape[-1]
    strict = torch.ones(size, size, dtype=torch.bool, device=log.device).tril(-1)
    sums = log.unsqueeze(-1).expand(*log.shape, size).masked_fill(~strict, 0.0).cumsum(-2)
    return sums.exp().tril()


class _PairDecays(torch.autograd.Function):
    """exp(Σ_{s<i≤t} log_i) for t ≥ s, else 0; see :func:`decays`."""

    @staticmethod
    def forward(ctx: Any, log: Tensor) -> Tensor:
        total = log.double().cumsum(-1)
        decays = (total.unsqueeze(-1) - total.unsqueeze(-2)).to(log.dtype).exp_().tril_()
        ctx.save_for_backward(decays)
        return decays

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (decays,) = ctx.saved_tensors
        weighted = gradients[0] * decays
        by_total = weighted.sum(-1) - weighted.sum(-2)
        reverse: Tensor = by_total.flip(-1).cumsum(-1).flip(-1)
        return reverse


def _pair_decays(log: Tensor) -> Tensor:
    decays: Tensor = _PairDecays.apply(log)  # type: ignore[no-untyped-call]
    return decays


def _powers(base: float, size: int, *, like: Tensor) -> Tensor:
    """Matrix of base^(t−s) for t ≥ s, else 0."""
    place = torch.arange(size, dtype=like.dtype, device=like.device)
    return (base ** (place[:, None] - place).clamp_min(0)).tril()
