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
from theory.lm.attention import Attending, Intervention, intervening
from theory.lm.heads import Recall, judge, logits_of, logits_of_all, surprise_of
from theory.lm.intervals import mean_ratio, share
from theory.lm.needles import Needle
from theory.policies import POLICIES, find
from theory.policies.eviction import SirLLM
from theory.policies.policy import Policy
from theory.policies.streams import Array
from theory.redundancy.models import LanguageModel

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
        (texts, heads, tokens, width); keys of a group are repeated for each of its heads.
    surprise : ndarray
        (texts, tokens): of each token, given those before, in nats.
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

    DuoAttention with heads that were found on needles; the others keep half the budget.

    Attributes
    ----------
    full : tuple of bool
        For every head of this layer, whether it keeps all.
    sinks : int
        First tokens that the others keep.
    """

    full: tuple[bool, ...] = ()
    sinks: int = 4

    def attend(self, t: int) -> Array:
        """All, or first and latest tokens."""
        return self.kept(t)

    def kept(self, t: int) -> Array:
        """The same."""
        at = np.arange(t)
        near = (at < self.sinks) | (at >= t - max(self.budget // 2 - self.sinks, 1))
        return (np.array(self.full)[:, None] | near)[None]


Maker = Callable[[int], Policy]
"""Makes the policy of a layer, by its number from 1."""


def _plain(name: str) -> Callable[[Mapping[int, tuple[int, ...]], int], Maker]:
    return lambda heads, count: lambda layer: find(name).policy()


def _copy_heads(heads: Mapping[int, tuple[int, ...]], count: int) -> Maker:
    return lambda layer: CopyHeads(tuple(head + 1 in heads.get(layer, ()) for head in range(count)))


WINDOW = "window"
"""StreamingLLM without its sinks; the unit ``sinks`` plays it beside the other."""

PLAYABLE: Mapping[str, Callable[[Mapping[int, tuple[int, ...]], int], Maker]] = {
    "full": _plain("full"),
    "streaming": _plain("streaming"),
    WINDOW: lambda heads, count: lambda layer: find("streaming").policy(sinks=0),
    "h2o": _plain("h2o"),
    "a2sf": _plain("a2sf"),
    "lazy-eviction": _plain("lazy-eviction"),
    "sirllm": lambda heads, count: lambda layer: ModelSurprise(),
    "recycled": _plain("recycled"),
    "routing-transformer": _plain("routing-transformer"),
    "hip": _plain("hip"),
    "hcam": _plain("hcam"),
    "think-in-memory": _plain("think-in-memory"),
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
        (texts, tokens) of the windows, in nats.
    """

    def __init__(self, make: Maker, budget: int, surprise: Array) -> None:
        self._make, self._budget, self._surprise = make, budget, surprise
        self.counts: list[Array] = []

    def allow(self, seen: Attending) -> Tensor:
        """Play the policy through the windows."""
        scores = seen.scores.cpu().numpy()
        query, key = seen.query.float().cpu().numpy(), seen.key.float().repeat_interleave(seen.group, 1).cpu().numpy()
        view: Any = SeenByPolicy(query, key, self._surprise, np.moveaxis(scores, 2, 0))
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


def _count(mask: Array, kept: Array | None, group: int) -> Array:
    """Shares of what full attention attends to, reads and keeps.

    (texts, 4): attended per head; read per key and value of a group; kept at the end per head, and per group.
    """
    size, heads, tokens, _ = mask.shape
    full = tokens * (tokens + 1) / 2
    by_group = mask.reshape(size, heads // group, group, tokens, tokens).any(2)
    held = np.ones((size, heads, tokens), bool) if kept is None else np.broadcast_to(kept, (size, heads, tokens))
    held_by_group = held.reshape(size, heads // group, group, tokens).any(2)
    attended, read = (each.sum((2, 3)).mean(1) / full for each in (mask, by_group))
    return np.stack([attended, read, held.mean((1, 2)), held_by_group.mean((1, 2))], 1)


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
        row["nats_above_full"] = self._above(full, np.ones(full.nats.shape, bool), level)
        prose = self.recall.prose[:, 0] - full.prose[:, 0]
        row["prose_above_full"] = mean_ratio(prose, full.prose[:, 1], level)
        names = ("attended", "read", "kept_by_head", "kept")
        for name, values in zip(names, self.costs.T, strict=True):
            row[name] = mean_ratio(values, ones, level)
        row["kv_bytes_kept"] = round(row["kept"][0] * tokens * bytes_per_token)
        row["kv_bytes_read_per_token"] = round(row["read"][0] * (tokens + 1) / 2 * bytes_per_token)
        return row

    def by_place(self, full: Recall, needles: Sequence[Needle], level: float = 0.95) -> list[dict[str, Any]]:
        """Recall by depth of a fact and order of questions.

        Parameters
        ----------
        full : Recall
            Of full attention on the same needles.
        needles : sequence of Needle
        level : float

        Returns
        -------
        list of dict
            ``by`` ("depth" or "question"), ``band``, ``facts``, and values with intervals.
        """
        depths = np.array([[fact.depth for fact in needle.facts] for needle in needles])
        order = np.broadcast_to(np.arange(depths.shape[1]), depths.shape)
        parts = [("depth", name, (depths >= low) & (depths < high)) for name, low, high in DEPTHS]
        parts += [("question", f"{i + 1}", order == i) for i in range(depths.shape[1])]
        rows = []
        for by, band, chosen in parts:
            if chosen.any(1).sum() < 2:  # no interval from one needle
                continue
            exact = share((self.recall.exact * chosen).sum(1), chosen.sum(1).astype(float), level)
            row = {"policy": self.policy, "budget": self.budget, "by": by, "band": band, "facts": int(chosen.sum())}
            rows.append(row | {"needle_exact": exact, "nats_above_full": self._above(full, chosen, level)})
        return rows

    def _above(self, full: Recall, chosen: Array, level: float) -> tuple[float, float, float]:
        """Nats of chosen answers above those under full attention."""
        above = ((self.recall.nats - full.nats) * chosen).sum(1)
        return mean_ratio(above, chosen.sum(1).astype(float), level)


DEPTHS = (("first third", 0.0, 1 / 3), ("middle third", 1 / 3, 2 / 3), ("last third", 2 / 3, 1.01))
"""Bands of the depths of facts: name, from, below."""


def play_policies(
    model: LanguageModel,
    needles: Sequence[Needle],
    heads: Mapping[int, tuple[int, ...]],
    *,
    policies: Sequence[str] = tuple(PLAYABLE),
    budgets: Sequence[int] = (64,),
    progress: Progress | None = None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Play policies on needles, full attention first.

    Parameters
    ----------
    model : LanguageModel
    needles : sequence of Needle
        All of one length.
    heads : mapping from int to tuple of int
        Copy heads, found on other needles.
    policies : sequence of str
        Of :data:`PLAYABLE`.
    budgets : sequence of int
        Tokens that a head may keep or attend to.
    progress : callable, optional

    Returns
    -------
    list of dict, list of dict
        :meth:`PolicyResult.row` and :meth:`PolicyResult.by_place`. Full attention has the whole length as its budget.

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
    surprises = np.stack([_surprise(model, needle) for needle in needles])
    length = len(needles[0].ids)
    plan = [("full", length), *((name, budget) for budget in budgets for name in policies if name != "full")]
    results = list[PolicyResult]()
    for done, (name, budget) in enumerate(plan, 1):
        make = PLAYABLE[name](heads, int(config.num_attention_heads))
        results.append(_play_on(model, needles, surprises, name, make, budget))
        if progress is not None:
            progress(done, len(plan), "policies")
    full, per_token = results[0].recall, bytes_per_token(model)
    rows = [result.row(full, per_token, float(length)) for result in results]
    return rows, [row for result in results for row in result.by_place(full, needles)]


def bytes_per_token(model: LanguageModel) -> int:
    """Bytes of a token's keys and values in all layers.

    Two bytes a number.
    """
    config: Any = model.module.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * 2 * int(config.num_key_value_heads) * int(width) * int(config.num_hidden_layers)


AT_ONCE = 4
"""Needles that are played together: most of the time of one is that of Python, token by token."""


def _play_on(
    model: LanguageModel, needles: Sequence[Needle], surprises: Array, name: str, make: Maker, budget: int
) -> PolicyResult:
    recalls, costs = [], []
    for begin in range(0, len(needles), AT_ONCE):
        part = needles[begin : begin + AT_ONCE]
        evicting = Evicting(make, budget, surprises[begin : begin + AT_ONCE])
        with intervening(model.module, evicting):
            recalls.append(judge(logits_of_all(model, [needle.ids for needle in part]), part))
        costs.append(np.mean(evicting.counts, axis=0))
    recall = Recall(
        exact=np.concatenate([recall.exact for recall in recalls]),
        nats=np.concatenate([recall.nats for recall in recalls]),
        prose=np.concatenate([recall.prose for recall in recalls]),
    )
    return PolicyResult(name, budget, recall, np.concatenate(costs))


def _surprise(model: LanguageModel, needle: Needle) -> Array:
    """Surprise of every token; that of the first is not known."""
    nats, _ = surprise_of(logits_of(model, needle.ids), needle.ids)
    return np.concatenate([[float(nats.mean())], nats])
