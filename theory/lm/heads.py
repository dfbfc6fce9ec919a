"""What heads of a language model do: sinks, copying, induction.

- **sink share**: the share of its attention that a head gives to the first token of the window;
- **copy score** (Wu et al. 2024, arXiv 2404.15574): of the tokens that the model copies out of a needle, the share at
  which the head attends most to the very token that is copied;
- **induction score** (Olsson et al. 2022, arXiv 2209.11895): random tokens are repeated; attention from a token to the
  one that followed it the first time.

Documents, needles and sequences are the units of the intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cogfit.errors import InputError, MissingDependencyError
from cogfit.progress import Progress
from theory.lm.attention import Intervention, KnockOut, can_intervene, intervening
from theory.lm.intervals import mean_ratio, share
from theory.lm.needles import Needle
from theory.lm.records import SINK_FROM
from theory.redundancy.models import LanguageModel
from theory.redundancy.tables import Array, ratio
from theory.redundancy.texts import Document

try:
    import torch
    from torch import Tensor
except ImportError:
    raise MissingDependencyError("torch", "lm", "theory.lm.heads") from None


@dataclass(frozen=True)
class HeadScores:
    """A score of every head, unit by unit.

    Attributes
    ----------
    name : str
    part, whole : ndarray
        (units, layers, heads) and (units, 1, 1): sums, and what they are divided by.
    level : float
    """

    name: str
    part: Array
    whole: Array
    level: float = 0.95

    def estimate(self) -> tuple[Array, Array, Array]:
        """Score, lower and upper limit of each head, (layers, heads)."""
        whole = np.broadcast_to(self.whole, self.part.shape)
        value, low, high = ratio(self.part, whole, self.level)
        return value, np.maximum(low, 0), np.minimum(high, 1)

    def mean(self) -> tuple[float, float, float]:
        """Mean over all heads, with interval."""
        found = ratio(self.part.mean((1, 2)), self.whole[:, 0, 0], self.level)
        return float(found[0]), float(found[1]), float(found[2])

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document: the mean, and every head."""
        value, low, high = self.estimate()
        return {
            "name": self.name,
            "units": len(self.part),
            "level": self.level,
            "mean": dict(zip(("estimate", "low", "high"), self.mean(), strict=True)),
            "heads": [
                {"layer": i + 1, "head": j + 1, "estimate": value[i, j], "low": low[i, j], "high": high[i, j]}
                for i, j in np.ndindex(value.shape)
            ],
        }

    def share_above(self, threshold: float) -> float:
        """Share of the heads with a score above a threshold."""
        return float((self.estimate()[0] > threshold).mean())

    def top(self, count: int) -> dict[int, tuple[int, ...]]:
        """Heads of the highest scores, by layer, numbered from 1."""
        return highest(self.estimate()[0], count)


def highest(value: Array, count: int) -> dict[int, tuple[int, ...]]:
    """Choose the heads of the highest values, by layer.

    Parameters
    ----------
    value : ndarray
        (layers, heads).
    count : int

    Returns
    -------
    dict
        Heads of each layer, numbered from 1.

    Examples
    --------
    >>> highest(np.array([[0.0, 3.0], [2.0, 1.0]]), 2)
    {1: (2,), 2: (1,)}
    """
    order = np.argsort(-value, axis=None, kind="stable")[:count]
    return by_layer([(int(i) // value.shape[1] + 1, int(i) % value.shape[1] + 1) for i in order])


SetsOfHeads = list[tuple[str, int, list[dict[int, tuple[int, ...]]]]]
"""Name, number of heads, and one or more sets of so many, by layer."""


def sets_of_heads(value: Array, name: str, counts: Sequence[int], *, draws: int, seed: int) -> SetsOfHeads:
    """Sets of heads: none, the highest, and as many others.

    Parameters
    ----------
    value : ndarray
        (layers, heads): what the highest are chosen by.
    name : str
        Of the highest; the others are ``random``.
    counts : sequence of int
        Numbers of heads.
    draws, seed : int
        Sets of random heads for each number.
    """
    rng, plan = np.random.default_rng(seed), SetsOfHeads([("none", 0, [{}])])
    every = [(layer + 1, head + 1) for layer, head in np.ndindex(value.shape)]
    for count in counts:
        top = highest(value, count)
        others = [pair for pair in every if pair[1] not in top.get(pair[0], ())]
        drawn = [by_layer([others[i] for i in rng.permutation(len(others))[:count]]) for _ in range(draws)]
        plan += [(name, count, [top]), ("random", count, drawn)]
    return plan


def by_layer(heads: Sequence[tuple[int, int]]) -> dict[int, tuple[int, ...]]:
    """Heads, grouped by layer.

    Examples
    --------
    >>> by_layer([(2, 1), (1, 3), (2, 4)])
    {1: (3,), 2: (1, 4)}
    """
    return {layer: tuple(h for n, h in sorted(heads) if n == layer) for layer in sorted({n for n, _ in heads})}


def sink_share(
    model: LanguageModel,
    documents: Sequence[Sequence[int]],
    *,
    begin: int = SINK_FROM,
    progress: Progress | None = None,
) -> HeadScores:
    """Share of attention on the first token, of every head.

    Parameters
    ----------
    model : LanguageModel
    documents : sequence of sequence of int
        Tokens; a document is read up to the context of the model.
    begin : int
        First token whose attention counts.
    progress : callable, optional

    Raises
    ------
    InputError
        If no document is that long.
    """
    long = [ids[: model.context] for ids in documents if min(len(ids), model.context) > begin]
    if not long:
        raise InputError(f"no document has more than {begin} tokens", hint="give longer texts")
    part = []
    for done, ids in enumerate(long, 1):
        part.append(per_head(model, ids, lambda weights: weights[:, begin:, 0].mean(1))[0])
        if progress is not None:
            progress(done, len(long), "sinks")
    return HeadScores("sink share", np.stack(part), np.ones((len(long), 1, 1)))


def sinks_where_possible(
    model: LanguageModel, documents: Sequence[Document], *, progress: Progress | None = None
) -> HeadScores | None:
    """Sink shares on documents, where they can be measured.

    None where attention cannot be exchanged, or all documents are short.
    """
    if not can_intervene(model.module):
        return None
    tokens = encode_documents(model, [document.read() for document in documents])
    if all(min(len(ids), model.context) <= SINK_FROM for ids in tokens):
        return None
    return sink_share(model, tokens, progress=progress)


def mean_sinks(model: LanguageModel, documents: Sequence[Document]) -> tuple[float, float, float, float] | None:
    """Mean sink share with its interval, and heads above 0.3.

    None where sinks cannot be measured.
    """
    scores = sinks_where_possible(model, documents)
    return None if scores is None else (*scores.mean(), scores.share_above(0.3))


def induction_score(model: LanguageModel, sequences: int = 12, *, length: int = 64, seed: int = 0) -> HeadScores:
    """Attention to what followed a token the first time.

    Parameters
    ----------
    model : LanguageModel
    sequences : int
        Of random tokens, each repeated once.
    length : int
        Of each before it is repeated.
    seed : int
    """
    rng = np.random.default_rng(seed)
    queries = torch.arange(length, 2 * length - 1)
    part = []
    for _ in range(sequences):
        once = rng.integers(0, len(model.pieces), length).tolist()
        found, _ = per_head(model, [*once, *once], lambda weights: weights[:, queries, queries - length + 1].mean(1))
        part.append(found)
    return HeadScores("induction score", np.stack(part), np.ones((sequences, 1, 1)))


@dataclass(frozen=True)
class Recall:
    """How well needles are found, and prose foretold.

    Attributes
    ----------
    exact : ndarray
        (needles, facts): whether an answer is the most likely one, token by token.
    nats : ndarray
        (needles, facts): mean surprise of an answer's tokens.
    prose : ndarray
        (needles, 2): sum of the surprise of prose tokens, and their number.
    """

    exact: Array
    nats: Array
    prose: Array

    def summary(self, level: float = 0.95) -> dict[str, tuple[float, float, float]]:
        """Share of exact answers, nats of answers, perplexity of prose.

        Each with its interval over needles.
        """
        facts = np.full(len(self.nats), self.nats.shape[1], float)
        loss = mean_ratio(self.prose[:, 0], self.prose[:, 1], level)
        return {
            "needle_exact": share(self.exact.astype(float).sum(1), facts, level),
            "needle_nats": mean_ratio(self.nats.sum(1), facts, level),
            "perplexity": (math.exp(loss[0]), math.exp(loss[1]), math.exp(loss[2])),
        }


def ask(
    model: LanguageModel,
    needles: Sequence[Needle],
    intervention: Intervention | None = None,
    progress: Progress | None = None,
) -> Recall:
    """Let a model answer needles, under an intervention or none."""
    recalls = []
    with intervening(model.module, intervention or Intervention()):
        for done, needle in enumerate(needles, 1):
            recalls.append(_judge(logits_of(model, needle.ids), needle))
            if progress is not None:
                progress(done, len(needles), "needles")
    return _recall(recalls)


def _recall(judged: Sequence[tuple[list[bool], list[float], tuple[float, int]]]) -> Recall:
    exact, nats, prose = zip(*judged, strict=True)
    return Recall(np.array(exact), np.array(nats), np.array(prose, float))


def judge(logits: Tensor, needles: Sequence[Needle]) -> Recall:
    """Recall of needles from their logits.

    Parameters
    ----------
    logits : Tensor
        (needles, tokens, vocabulary).
    needles : sequence of Needle
    """
    return _recall([_judge(each, needle) for each, needle in zip(logits, needles, strict=True)])


def _judge(logits: Tensor, needle: Needle) -> tuple[list[bool], list[float], tuple[float, int]]:
    """Exactness and nats of each answer; nats of the prose."""
    surprise, best = surprise_of(logits, needle.ids)
    ids, exact, nats = np.array(needle.ids), list[bool](), list[float]()
    for fact in needle.facts:
        answer = np.array(fact.answer)
        exact.append(bool((best[answer - 1] == ids[answer]).all()))  # entry t is about token t + 1
        nats.append(float(surprise[answer - 1].mean()))
    prose = surprise[np.array(needle.prose) - 1]
    return exact, nats, (float(prose.sum()), len(prose))


def copy_score(
    model: LanguageModel, needles: Sequence[Needle], *, progress: Progress | None = None
) -> tuple[HeadScores, Recall]:
    """Copy score of every head, and recall of the needles.

    A needle of which nothing is copied does not count.
    """
    part, whole, recalls = [], [], []
    for done, needle in enumerate(needles, 1):
        queries, sources = needle.queries, torch.tensor(needle.sources)
        hits, logits = per_head(model, needle.ids, partial(_is_copied, queries=queries, sources=sources))
        copied = surprise_of(logits, needle.ids)[1][queries] == np.array(needle.ids)[np.array(queries) + 1]
        part.append(hits[:, :, copied].sum(2))
        whole.append(copied.sum())
        recalls.append(_judge(logits, needle))
        if progress is not None:
            progress(done, len(needles), "needles")
    scores = HeadScores("copy score", np.stack(part), np.array(whole, float)[:, None, None])
    return scores, _recall(recalls)


def _is_copied(weights: Tensor, queries: Sequence[int], sources: Tensor) -> Tensor:
    """Whether heads attend most to what is copied."""
    return weights[:, list(queries)].argmax(-1) == sources.to(weights.device)


def knock_out(
    model: LanguageModel,
    scores: HeadScores,
    needles: Sequence[Needle],
    counts: Sequence[int],
    *,
    draws: int = 3,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Recall without the top k heads, or k others.

    Parameters
    ----------
    model : LanguageModel
    scores : HeadScores
        Of other needles than these: heads must not be chosen by what they are judged on.
    needles : sequence of Needle
    counts : sequence of int
        The k.
    draws : int
        Sets of random heads for each k; their needles are averaged, and the interval is over needles alone.
    seed : int
    progress : callable, optional

    Returns
    -------
    list of dict
        One for each k and ``heads`` ("none", "top" or "random"), with :meth:`Recall.summary`.
    """
    rows, plan = list[dict[str, Any]](), sets_of_heads(scores.estimate()[0], "top", counts, draws=draws, seed=seed)
    total, done = sum(len(sets) for *_, sets in plan), 0
    for name, count, sets in plan:
        recalls = []
        for chosen in sets:
            recalls.append(ask(model, needles, KnockOut(chosen)))
            done += 1
            if progress is not None:
                progress(done, total, "knocking out heads")
        rows.append({"heads": name, "count": count, **_mean_recall(recalls).summary()})
    return rows


def _mean_recall(recalls: Sequence[Recall]) -> Recall:
    """Mean over sets of heads, needle by needle."""
    return Recall(*(np.mean([getattr(each, name) for each in recalls], 0) for name in ("exact", "nats", "prose")))


# -------------------------------------------------------------------------------------------------------- passes


def per_head(model: LanguageModel, ids: Sequence[int], statistic: Callable[[Tensor], Tensor]) -> tuple[Array, Tensor]:
    """Compute a statistic of every head in one pass.

    Parameters
    ----------
    model : LanguageModel
    ids : sequence of int
        Tokens.
    statistic : callable
        From the weights (heads, tokens, tokens) of a layer to (heads, ...).

    Returns
    -------
    ndarray, Tensor
        (layers, heads, ...), and the logits (tokens, vocabulary).
    """
    found: dict[int, Array] = {}

    class Statistic(Intervention):
        def look(self, layer: int, weights: Tensor) -> None:
            found[layer] = statistic(weights[0].double()).cpu().numpy()

    with intervening(model.module, Statistic()):
        logits = logits_of(model, ids)
    return np.stack([found[layer] for layer in sorted(found)]), logits


def logits_of(model: LanguageModel, ids: Sequence[int]) -> Tensor:
    """Logits (tokens, vocabulary) of one window."""
    return logits_of_all(model, [ids])[0]


def logits_of_all(model: LanguageModel, windows: Sequence[Sequence[int]]) -> Tensor:
    """Logits (windows, tokens, vocabulary) of windows of one length."""
    device = next(model.module.parameters()).device
    with torch.no_grad():
        ids = torch.tensor([list(window) for window in windows], device=device)
        logits: Tensor = model.module(input_ids=ids, use_cache=False).logits
    return logits


def surprise_of(logits: Tensor, ids: Sequence[int]) -> tuple[Array, Array]:
    """Surprise of next tokens in nats, and the likeliest."""
    scores = logits[:-1].float()
    target = torch.tensor(list(ids[1:]), device=logits.device)
    nats = torch.nn.functional.cross_entropy(scores, target, reduction="none")
    return nats.double().cpu().numpy(), scores.argmax(-1).cpu().numpy()


def encode_documents(model: LanguageModel, contents: Sequence[bytes]) -> list[list[int]]:
    """Tokens of documents."""
    return [list(model.encode(content)) for content in contents]
