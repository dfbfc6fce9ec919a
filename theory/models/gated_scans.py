"""Recurrences of gated linear attention, computed in chunks.

Within a chunk all pairs of positions meet in a matrix; a loop carries the state from chunk to chunk. Decays are
products of factors at most 1, never quotients, so that nothing overflows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from theory.models.scan import chunks, decays


def gated_scan(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, *, chunk: int = 16) -> Tensor:
    """Run gated linear attention.

    Every key coordinate has a decay of its own. States S_t = diag(a_t) S_{t−1} + k_t v_tᵀ from zero, read as
    y_t = S_tᵀ q_t.

    Parameters
    ----------
    q, k : Tensor, shape (B, N, H, K)
    v : Tensor, shape (B, N, H, V)
    log_decay : Tensor, shape (B, N, H, K)
        log a_t ≤ 0.
    chunk : int
        Positions in a chunk; memory grows with it.

    Returns
    -------
    Tensor, shape (B, N, H, V)

    References
    ----------
    Yang et al. 2023, arXiv 2312.06635.
    """
    n = q.shape[1]
    q, k, v, log = (chunks(x, chunk).transpose(2, 3) for x in (q, k, v, log_decay))  # (B, G, H, C, ·)
    inner = decays(log.transpose(3, 4))  # (B, G, H, K, C[t], C[s])
    scores = torch.einsum("bghtk,bghsk,bghkts->bghts", q, k, inner)
    local = scores @ v
    since_start = log.cumsum(3).exp()
    to_end = inner[..., -1, :].transpose(3, 4)  # decay from each position to the end of its chunk
    written = (k * to_end).mT @ v
    reading, leaving = q * since_start, since_start[..., -1, :]
    state = torch.zeros_like(written[:, 0])
    parts = []
    for g in range(q.shape[1]):
        parts.append(local[:, g] + reading[:, g] @ state)
        state = leaving[:, g].unsqueeze(-1) * state + written[:, g]
    return torch.stack(parts, 1).transpose(2, 3).flatten(1, 2)[:, :n]


def gated_delta_scan(
    q: Tensor, k: Tensor, v: Tensor, strength: Tensor, log_decay: Tensor, *, chunk: int = 32
) -> Tensor:
    """Run the gated delta rule.

    States S_t = a_t (I − β_t k_t k_tᵀ) S_{t−1} + β_t k_t v_tᵀ from zero, read as y_t = S_tᵀ q_t.

    The corrections u_t = β_t (v_t − a_t S_{t−1}ᵀ k_t) of a chunk solve one unit triangular system, which is linear in
    the state that the chunk begins with.

    Parameters
    ----------
    q, k : Tensor, shape (B, N, H, K)
        Keys of unit norm.
    v : Tensor, shape (B, N, H, V)
    strength, log_decay : Tensor, shape (B, N, H)
        β_t in [0, 1] and log a_t ≤ 0.
    chunk : int
        Positions in a chunk.

    Returns
    -------
    Tensor, shape (B, N, H, V)

    References
    ----------
    Yang, Kautz & Hatamizadeh 2024, arXiv 2412.06464.
    """
    n, width = q.shape[1], v.shape[-1]
    q, k, v, beta, log = (
        chunks(x, chunk).transpose(2, 3) for x in (q, k, v, strength.unsqueeze(-1), log_decay.unsqueeze(-1))
    )
    inner = decays(log.squeeze(-1))  # (B, G, H, C[t], C[s])
    since_start = log.cumsum(3).exp()
    # one solve for what the chunk's own values and its first state contribute to the corrections
    system = (beta * (k @ k.mT) * inner).tril(-1) + torch.eye(chunk, dtype=q.dtype, device=q.device)
    sides = torch.cat([beta * v, beta * since_start * k], -1)
    solved = torch.linalg.solve_triangular(system, sides, upper=False, unitriangular=True)
    own, of_state = solved[..., :width], solved[..., width:]
    scores = (q @ k.mT) * inner
    to_end = inner[..., -1, :].unsqueeze(-1) * k
    reading, leaving = q * since_start, since_start[..., -1, :].unsqueeze(-1)
    state = q.new_zeros(*q.shape[:1], *q.shape[2:3], k.shape[-1], width)
    parts = []
    for g in range(q.shape[1]):
        corrections = own[:, g] - of_state[:, g] @ state
        parts.append(reading[:, g] @ state + scores[:, g] @ corrections)
        state = leaving[:, g] * state + to_end[:, g].mT @ corrections
    return torch.stack(parts, 1).transpose(2, 3).flatten(1, 2)[:, :n]
