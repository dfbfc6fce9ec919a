"""Policies on the real queries, keys and values of a language model.

Every layer is played token by token under the policy, each head seeing the attention that the policy left it: what is
evicted stays evicted, while decoding, too. Policies whose decisions need nothing but queries, keys, weights and the
surprise of tokens run here; the others of :data:`theory.policies.POLICIES` read more of their streams than a language
model has (``reads``), and are refused with that reason. ``copy-heads`` stands for DuoAttention, calibrated on needles.

A key and value are freed only where no head of their group keeps them, so what counts is the union over the group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cogfit.errors import InputError, MissingDependencyError, nearest
from cogfit.progress import Progress
from theory.lm.attention import Attending, Intervention
from theory.lm.heads import Recall, ask, logits_of, surprise_of
from theory.lm.needles import Needle
from theory.policies import POLICIES, find
from theory.policies.eviction import SirLLM
from theory.policies.policy import Policy
from theory.policies.streams import Array
from theory.redundancy.models import LanguageModel
from theory.redundancy.tables import ratio

try:
    import torch
    from torch import Tensor
except ImportError:
    raise MissingDependencyError("torch", "lm", "theory.lm") from None

NOT_HERE: Mapping[str, str] = {system.id: system.reads for system in POLICIES if system.reads}
"""Policies that do not run on a language model as it is, and what they would need to read."""


@dataclass(frozen=True)
class SeenByPolicy:
    """What a policy sees of a layer: no label, no value, no answer.

    Attributes
    ----------
    query, key : ndarray
        (1, heads, tokens, width); keys of a group are repeated for each of its heads.
    surprise : ndarray
        (1, tokens): of each token, given those before, in nats.
    """

    query: Array
    key: Array
    surprise: Array
    logits: Array = field(repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Streams, heads, tokens."""
        return self.key.shape[0], self.key.shape[1], self.key.shape[2]


@dataclass
class ModelSurprise(SirLLM):
    """SirLLM with the model's own surprise.

    On synthetic streams a unigram model stands for it.
    """

    def begin(self, seen: Any, budget: int, rng: np.random.Generator, training: Any) -> None:
        """Start with an empty cache."""
        super(SirLLM, self).begin(seen, budget, rng, training)

    def rate(self, t: int, weights: Array) -> None:
        """Let old scores decay, score the token that came."""
        seen: Any = self.seen
        self._score[:, :, : t + 1] *= self.decay
        self._score[:, :, t] = seen.surprise[:, t, None]

    def score_bits(self) -> float:
        """One 32-bit score per token in the cache."""
        return 32.0 * self.seen.shape[1] * self.budget


@dataclass
class CopyHeads(Policy):
    """Copy heads keep all, the others first and latest tokens.

    DuoAttention with heads that were found on needles.

    Attributes
    ----------
    full : tuple of bool
        For every head of this layer, whether it keeps all.
    sinks, window : int
        What the others keep.
    """

    full: tuple[bool, ...] = ()
    sinks: int = 4
    window: int = 28

    def attend(self, t: int) -> Array:
        """All, or first and latest tokens."""
        return self.kept(t)

    def kept(self, t: int) -> Array:
        """The same."""
        at = np.arange(t)
        near = (at < self.sinks) | (at >= t - self.window)
        return (np.array(self.full)[:, None] | near)[None]


Maker = Callable[[int], Policy]
"""Makes the policy of a layer, by its number from 1."""


def _plain(name: str) -> Callable[[Mapping[int, tuple[int, ...]], int], Maker]:
    return lambda heads, count: lambda layer: find(name).policy()


def _copy_heads(heads: Mapping[int, tuple[int, ...]], count: int) -> Maker:
    return lambda layer: CopyHeads(tuple(head + 1 in heads.get(layer, ()) for head in range(count)))


PLAYABLE: Mapping[str, Callable[[Mapping[int, tuple[int, ...]], int], Maker]] = {
    "full": _plain("full"),
    "streaming": _plain("streaming"),
    "h2o": _plain("h2o"),
    "a2sf": _plain("a2sf"),
    "lazy-eviction": _plain("lazy-eviction"),
    "sirllm": lambda heads, count: lambda layer: ModelSurprise(),
    "recycled": _plain("recycled"),
    "routing-transformer": _plain("routing-transformer"),
    "hip": _plain("hip"),
    "hcam": _plain("hcam"),
    "copy-heads": _copy_heads,
}
"""Policies that run, from the copy heads by layer and the number of heads."""


class Evicting(Intervention):
    """Masks attention by a policy, and counts what is kept and read.

    Parameters
    ----------
    make : callable
        See :data:`Maker`.
    budget : int
        Tokens.
    surprise : ndarray
        (tokens,) of the window, in nats.
    """

    def __init__(self, make: Maker, budget: int, surprise: Array) -> None:
        self._make, self._budget, self._surprise = make, budget, surprise
        self.counts: list[tuple[float, ...]] = []

    def allow(self, seen: Attending) -> Tensor:
        """Play the policy through the window."""
        scores = seen.scores.cpu().numpy()
        query, key = seen.query.float().cpu().numpy(), seen.key.float().repeat_interleave(seen.group, 1).cpu().numpy()
        view: Any = SeenByPolicy(query, key, self._surprise[None], np.moveaxis(scores, 2, 0))
        policy = self._make(seen.layer)
        policy.begin(view, self._budget, np.random.default_rng(0), view)
        mask = _play(policy, scores)
        kept = policy.kept(scores.shape[-1])
        self.counts.append(_count(mask, kept, seen.group))
        return torch.from_numpy(mask).to(seen.scores.device)


def _play(policy: Policy, scores: Array) -> Array:
    """Tokens attended to, (windows, heads, tokens, tokens); a token always sees itself."""
    size, heads, tokens, _ = scores.shape
    mask = np.zeros(scores.shape, bool)
    nothing = np.zeros((size, 1), np.float32)  # no policy here looks at what attention returned
    mask[..., 0, 0] = True
    policy.observe(0, np.zeros((size, heads, 0), np.float32), nothing)
    for t in range(1, tokens):
        chosen = policy.attend(t)
        mask[:, :, t, :t] = False if chosen is None else chosen
        mask[:, :, t, t] = True
        row = np.where(mask[:, :, t, : t + 1], scores[:, :, t, : t + 1], -np.inf)
        weights = np.exp(row - row.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        policy.observe(t, weights[:, :, :t], nothing)
    return mask


def _count(mask: Array, kept: Array | None, group: int) -> tuple[float, ...]:
    """Shares of what full attention attends to, reads and keeps.

    Attended per head; read per key and value of a group; kept at the end per head, and per group.
    """
    size, heads, tokens, _ = mask.shape
    full = tokens * (tokens + 1) / 2
    by_group = mask.reshape(size, heads // group, group, tokens, tokens).any(2)
    held = np.ones((size, heads, tokens), bool) if kept is None else np.broadcast_to(kept, (size, heads, tokens))
    held_by_group = held.reshape(size, heads // group, group, tokens).any(2)
    shares = (mask.sum((2, 3)).mean() / full, by_group.sum((2, 3)).mean() / full, held.mean(), held_by_group.mean())
    return tuple(float(share) for share in shares)


@dataclass(frozen=True)
class PolicyResult:
    """How a policy fares on needles, and what it costs.

    Attributes
    ----------
    policy : str
    budget : int
    recall : Recall
    costs : ndarray
        (needles, 4): shares of the tokens attended to, of keys and values read, of tokens kept by a head, and of keys
        and values kept, of those of full attention.
    """

    policy: str
    budget: int
    recall: Recall
    costs: Array

    def row(self, full: Recall, bytes_per_token: int, tokens: float, level: float = 0.95) -> dict[str, Any]:
        """Recall and costs with intervals over needles, as a record.

        Parameters
        ----------
        full : Recall
            Of full attention on the same needles, for differences.
        bytes_per_token : int
            Of keys and values in all layers.
        tokens : float
            Of a needle's text, on average.
        level : float
        """
        ones = np.ones(len(self.costs))
        row: dict[str, Any] = {"policy": self.policy, "budget": self.budget, **self.recall.summary(level)}
        row["nats_above_full"] = _triple(ratio(self.recall.nats - full.nats, ones, level))
        names = ("attended", "read", "kept_by_head", "kept")
        for name, values in zip(names, self.costs.T, strict=True):
            row[name] = _triple(ratio(values, ones, level))
        row["kv_bytes_kept"] = round(row["kept"][0] * tokens * bytes_per_token)
        row["kv_bytes_read_per_token"] = round(row["read"][0] * (tokens + 1) / 2 * bytes_per_token)
        return row


def _triple(found: tuple[Array, Array, Array]) -> tuple[float, float, float]:
    return float(found[0]), float(found[1]), float(found[2])


def play_policies(
    model: LanguageModel,
    needles: Sequence[Needle],
    heads: Mapping[int, tuple[int, ...]],
    *,
    policies: Sequence[str] = tuple(PLAYABLE),
    budget: int = 64,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Play policies on needles, full attention first.

    Parameters
    ----------
    model : LanguageModel
    needles : sequence of Needle
    heads : mapping from int to tuple of int
        Copy heads, found on other needles.
    policies : sequence of str
        Of :data:`PLAYABLE`.
    budget : int
        Tokens that a head may keep or attend to.
    progress : callable, optional

    Returns
    -------
    list of dict
        See :meth:`PolicyResult.row`.

    Raises
    ------
    InputError
        If a policy does not run here; the message says why.
    """
    config: Any = model.module.config
    for name in policies:
        if name not in PLAYABLE:
            why = NOT_HERE.get(name)
            what = f"{name} reads {why}, and a language model has none" if why else f"no policy '{name}'"
            raise InputError(what, hint=nearest(name, PLAYABLE))
    surprises = [_surprise(model, needle) for needle in needles]
    results, names = list[PolicyResult](), list(dict.fromkeys(["full", *policies]))
    for done, name in enumerate(names, 1):
        make = PLAYABLE[name](heads, int(config.num_attention_heads))
        results.append(_play_on(model, needles, surprises, name, make, budget))
        if progress is not None:
            progress(done, len(names), "policies")
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_token = 2 * 2 * config.num_key_value_heads * width * config.num_hidden_layers  # keys and values, two bytes each
    tokens = float(np.mean([len(needle.ids) for needle in needles]))
    return [result.row(results[0].recall, per_token, tokens) for result in results]


def _play_on(
    model: LanguageModel, needles: Sequence[Needle], surprises: Sequence[Array], name: str, make: Maker, budget: int
) -> PolicyResult:
    recalls, costs = [], []
    for needle, surprise in zip(needles, surprises, strict=True):
        evicting = Evicting(make, budget, surprise)
        recalls.append(ask(model, [needle], evicting))
        costs.append(np.mean(evicting.counts, axis=0))
    recall = Recall(
        exact=np.concatenate([recall.exact for recall in recalls]),
        nats=np.concatenate([recall.nats for recall in recalls]),
        prose=np.concatenate([recall.prose for recall in recalls]),
    )
    return PolicyResult(name, budget, recall, np.array(costs))


def _surprise(model: LanguageModel, needle: Needle) -> Array:
    """Surprise of every token; that of the first is not known."""
    nats, _ = surprise_of(logits_of(model, needle.ids), needle.ids)
    return np.concatenate([[float(nats.mean())], nats])
