"""Softmax attention over the past, and bounded buffers.

For all rows or for those that were chosen.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attend(q: Tensor, k: Tensor, v: Tensor, *, mask: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
    """Σ_s softmax_s(q_tᵀ k_s/√d) v_s.

    Parameters
    ----------
    q : Tensor, shape (B, H, T, P)
    k, v : Tensor, shape (B, H, S, P)
    mask : Tensor, shape (B or 1, T, S), optional
        True where t may see s, or numbers to be added to the scores. Default: s ≤ t.
    rows : Tensor of bool, shape (B, T), optional
        Rows to compute; the others are not computed and come out as 0. Default: all.

    Returns
    -------
    Tensor, shape (B, H, T, P)
    """
    if rows is None:
        dense = None if mask is None else mask.unsqueeze(1)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=dense, is_causal=mask is None)
    if not rows.any():
        return torch.zeros_like(q)
    # Chosen rows first; streams with fewer of them than the most are filled up with others, which are thrown away.
    chosen = rows.int().argsort(dim=1, descending=True, stable=True)[:, : int(rows.sum(1).max())]
    index = chosen[:, None, :, None].expand(-1, q.shape[1], -1, q.shape[3])
    if mask is None:
        seen = torch.arange(k.shape[2], device=q.device) <= chosen.unsqueeze(-1)
    else:
        seen = mask.expand(q.shape[0], -1, -1).gather(1, chosen.unsqueeze(-1).expand(-1, -1, k.shape[2]))
    output = F.scaled_dot_product_attention(q.gather(2, index), k, v, attn_mask=seen.unsqueeze(1))
    real = rows.gather(1, chosen)[:, None, :, None]
    return torch.zeros_like(q).scatter(2, index, output * real)


def attend_biased(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Causal attention with a bias per key.

    The bias is added to all scores of its key. It rides along as one more coordinate of the key, so that its gradient
    needs no matrix of scores.

    Parameters
    ----------
    q, k, v : Tensor, shape (B, H, N, P)
    bias : Tensor, shape (B, N)

    Returns
    -------
    Tensor, shape (B, H, N, P)
    """
    width = q.shape[-1]
    extra = bias[:, None, :, None].expand(-1, k.shape[1], -1, -1)
    query, value = F.pad(q, (0, 1), value=width**0.5), F.pad(v, (0, 1))
    key = torch.cat([k, extra], -1)
    return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=width**-0.5)[..., :width]


def attend_taught(q: Tensor, k: Tensor, v: Tensor, *, rows: Tensor, mask: Tensor | None = None) -> Tensor:
    """All rows of :func:`attend`, gradients through some.

    Where the gradient of all other rows is zero anyway, this is the gradient of ``attend`` at the price of the rows
    that have one.

    Parameters
    ----------
    q, k, v, mask
        See :func:`attend`.
    rows : Tensor of bool, shape (B, T)
        Rows that pass gradients.

    Returns
    -------
    Tensor, shape (B, H, T, P)
    """
    with torch.no_grad():
        every = attend(q, k, v, mask=mask)
    rows = rows.clone()
    rows[0, 0] = True  # never none: parameters without a gradient would not be updated at all
    taught = attend(q, k, v, mask=mask, rows=rows)
    return torch.where(rows[:, None, :, None], taught, every)


class Attention(nn.Module):
    """Causal attention with projections.

    Parameters
    ----------
    d, heads : int
    identity : float
        Where positive, query and key projections start at this multiple of the identity, so that tokens with the same
        key find each other from the first step on.
    past_only : bool
        Whether a token sees earlier tokens and an empty slot (key and value 0) instead of itself: a row that matches
        nothing then retrieves nothing.
    """

    def __init__(self, d: int, heads: int, *, identity: float = 0.0, past_only: bool = False) -> None:
        super().__init__()
        self.heads, self.past_only = heads, past_only
        self.query, self.key = nn.Linear(d, d, bias=False), nn.Linear(d, d, bias=False)
        self.value, self.output = nn.Linear(d, d, bias=False), nn.Linear(d, d, bias=False)
        if identity > 0:
            with torch.no_grad():
                for projection in (self.query, self.key):
                    projection.weight.mul_(0.1).add_(identity * torch.eye(d))

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (B, H, N, P).

        With ``past_only`` keys and values of the token before.
        """
        q, k, v = (self._split(layer(x)) for layer in (self.query, self.key, self.value))
        return (q, _after_nothing(k), _after_nothing(v)) if self.past_only else (q, k, v)

    def finish(self, heads: Tensor) -> Tensor:
        """Join the heads and project.

        (B, H, T, P) to (B, T, d).
        """
        joined: Tensor = self.output(heads.transpose(1, 2).flatten(2))
        return joined

    def biased(self, x: Tensor, bias: Tensor) -> Tensor:
        """Attend with a bias per key, see :func:`attend_biased`."""
        return self.finish(attend_biased(*self.project(x), bias))

    def forward(
        self, x: Tensor, *, rows: Tensor | None = None, taught: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Attend.

        See :func:`attend`, and :func:`attend_taught` for rows that are ``taught``. The mask is (B, N[t], N[s]); with
        ``past_only``, s = t in it has no effect.

        Returns
        -------
        Tensor, shape (B, N, d)
        """
        q, k, v = self.project(x)
        if mask is not None and self.past_only:
            mask = torch.cat([torch.ones_like(mask[..., :1]), mask[..., :-1]], -1) & causal(x)
        if taught is not None:
            return self.finish(attend_taught(q, k, v, rows=taught, mask=mask))
        return self.finish(attend(q, k, v, mask=mask, rows=rows))

    def _split(self, x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


def _after_nothing(x: Tensor) -> Tensor:
    """Shift (B, H, N, P) by one position.

    The first one is empty.
    """
    return F.pad(x[:, :, :-1], (0, 0, 1, 0))


def newest(written: Tensor, capacity: int) -> Tensor:
    """Buffer that holds the last tokens written.

    Parameters
    ----------
    written : Tensor of bool, shape (B, N)
    capacity : int
        M.

    Returns
    -------
    Tensor of bool, shape (B, N[t], N[s])
        Whether token s is in the buffer once token t has come.
    """
    count = written.cumsum(1, dtype=torch.int16)  # streams have at most 8,192 tokens; (B, N, N) is large
    later = count.unsqueeze(2) - count.unsqueeze(1)  # written in (s, t]
    return written.unsqueeze(1) & (later >= 0) & (later < capacity) & causal(written)


def largest(score: Tensor, written: Tensor, capacity: int, *, block: int = 256) -> Tensor:
    """Buffer that holds the tokens of the largest scores.

    Of the tokens written so far; of equal ones the earlier.

    Parameters
    ----------
    score : Tensor, shape (B, N)
    written : Tensor of bool, shape (B, N)
    capacity : int
        M.
    block : int
        Tokens s that are ranked at a time, which bounds the memory.

    Returns
    -------
    Tensor of bool, shape (B, N[t], N[s])
    """
    score = score.masked_fill(~written, -torch.inf)
    place = torch.arange(score.shape[1], device=score.device)
    parts = []
    for s in torch.split(place, block):
        ours, theirs = score[:, None, s], score[:, :, None]  # [r, s]: is r better than s?
        better = (theirs > ours) | ((theirs == ours) & (place[:, None] < s))
        parts.append((better & written.unsqueeze(2)).cumsum(1, dtype=torch.int16) < capacity)
    return torch.cat(parts, 2) & written.unsqueeze(1) & causal(written)


def causal(like: Tensor) -> Tensor:
    """Mask that is true where s ≤ t.

    Shape (N[t], N[s]), for N and the device of a tensor (B, N, ...).
    """
    return torch.ones(like.shape[1], like.shape[1], dtype=torch.bool, device=like.device).tril()
