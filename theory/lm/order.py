"""Which of two segments of a text came first (SORT; Pink et al. 2024, arXiv 2410.08133).

A model is asked with the text in its context, and without it. Each pair is asked in both ways, A before B and B before
A: the answer to a pair is which way speaks more for A, so that a liking for a letter cancels out. Documents are the
units of the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from cogfit.errors import InputError
from cogfit.progress import Progress
from theory.lm.heads import logits_of
from theory.lm.intervals import mean_ratio, share
from theory.lm.records import CannotBeAsked
from theory.redundancy.models import LanguageModel

BANDS = (("near", 0.0, 1 / 3), ("middle", 1 / 3, 2 / 3), ("far", 2 / 3, 1.01))
"""Distances of the segments as parts of the longest: name, from, below."""

_QUESTION = (
    "Question: Two passages of the text are shown. Which of them comes first in the text?\n"
    "Passage A: {a}\nPassage B: {b}\nAnswer: The passage that comes first in the text is passage"
)


@dataclass(frozen=True)
class Pair:
    """Two segments of a text.

    Attributes
    ----------
    text : str
        What is in the context.
    first, second : str
        Segments of it, in their order.
    distance : float
        Between their beginnings, as part of the longest that is possible.
    """

    text: str
    first: str
    second: str
    distance: float


def make_pairs(text: str, count: int, *, words: int, segment: int, rng: np.random.Generator) -> list[Pair]:
    """Draw pairs of segments from the beginning of a text.

    Parameters
    ----------
    text : str
    count : int
    words : int
        Of the text that are in the context.
    segment : int
        Words of a segment; two do not overlap.
    rng : Generator

    Raises
    ------
    InputError
        If two segments do not fit into the text.

    Examples
    --------
    >>> pair = make_pairs("a b c d e f", 1, words=6, segment=2, rng=np.random.default_rng(0))[0]
    >>> pair.text.index(pair.first) < pair.text.index(pair.second)
    True
    """
    every = text.split()[:words]
    last = len(every) - segment
    if last < segment:
        raise InputError(f"{len(every)} words for two segments of {segment}", hint="give longer texts")
    out = list[Pair]()
    while len(out) < count:
        begin, end = sorted(rng.integers(0, last + 1, 2).tolist())
        if end - begin >= segment:
            first, second = (" ".join(every[at : at + segment]) for at in (begin, end))
            out.append(Pair(" ".join(every), first, second, (end - begin) / last))
    return out


def _prompts(model: LanguageModel, pair: Pair, *, with_text: bool) -> list[tuple[int, ...]]:
    """Tokens of the question, with the first segment as A, then as B."""
    text = f"Text: {pair.text}\n\n" if with_text else ""
    ways = ((pair.first, pair.second), (pair.second, pair.first))
    return [model.tokens_of(text + _QUESTION.format(a=a, b=b)) for a, b in ways]


def prefers_first(model: LanguageModel, pair: Pair, *, with_text: bool) -> tuple[float, bool, bool]:
    """Compare how a model speaks for A, asked both ways.

    Returns
    -------
    float, bool, bool
        Log-odds of A against B in nats where A is first, less those where it is not; and whether the letter is right,
        asked either way.
    """
    letters = [model.tokens_of(f" {letter}")[0] for letter in "AB"]
    odds = []
    for ids in _prompts(model, pair, with_text=with_text):
        logits = logits_of(model, ids)[-1].float()
        odds.append(float(logits[letters[0]] - logits[letters[1]]))
    return odds[0] - odds[1], odds[0] > 0, odds[1] < 0


def _draw(
    model: LanguageModel,
    documents: Sequence[str],
    pairs: int,
    most: int | None,
    words: int,
    segment: int,
    seed: int,
) -> list[list[Pair]]:
    """Pairs of the documents that can be asked of."""
    every = (
        make_pairs(text, pairs, words=words, segment=segment, rng=np.random.default_rng([seed, number]))
        for number, text in enumerate(documents)
        if len(text.split()) >= 2 * segment
    )
    drawn = list(islice((own for own in every if all(_fits(model, pair) for pair in own)), most))
    if len(drawn) < 2:
        what = f"{len(drawn)} of {len(documents)} texts with two segments fit into {model.context} tokens"
        raise CannotBeAsked(what, hint="use a model that reads more, or fewer words")
    return drawn


def _fits(model: LanguageModel, pair: Pair) -> bool:
    """Whether the longer question is not longer than the model reads."""
    return max(map(len, _prompts(model, pair, with_text=True))) <= model.context


def measure_order(
    model: LanguageModel,
    documents: Sequence[str],
    pairs: int,
    *,
    most: int | None = None,
    words: int = 128,
    segment: int = 16,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Recall of the order of segments, against their distance.

    Parameters
    ----------
    model : LanguageModel
    documents : sequence of str
    pairs : int
        Of each document.
    most : int, optional
        Documents that are asked of; by default all. Those that are too short for two segments, or whose questions are
        longer than the model reads, are left out.
    words, segment : int
        Of a text, and of a segment.
    seed : int
    progress : callable, optional

    Returns
    -------
    list of dict
        ``text`` ("in context" or "none"), ``distance`` (of :data:`BANDS`, or "all"), ``pairs``, ``order_right`` (share
        of the pairs that are told apart; those that are not are half right), ``letter_right`` (share of right letters)
        and ``above_none`` (order_right less that without the text, pair by pair), with intervals over documents.

    Raises
    ------
    CannotBeAsked
        If fewer than two texts fit.
    """
    drawn = _draw(model, documents, pairs, most, words, segment, seed)
    rows, done, without = list[dict[str, Any]](), 0, np.zeros((len(drawn), pairs))
    for title, with_text in (("none", False), ("in context", True)):
        right, letters = np.zeros((len(drawn), pairs)), np.zeros((len(drawn), pairs))
        for i, own in enumerate(drawn):
            for j, pair in enumerate(own):
                more, *letter = prefers_first(model, pair, with_text=with_text)
                # in the numbers that a model computes with, differences of exactly nothing are common
                right[i, j], letters[i, j] = 0.5 * (1 + np.sign(more)), np.mean(letter)
            done += 1
            if progress is not None:
                progress(done, 2 * len(drawn), "order of segments")
        without = right if title == "none" else without
        distance = np.array([[pair.distance for pair in own] for own in drawn])
        for band, low, high in (("all", 0.0, 2.0), *BANDS):
            chosen = (distance >= low) & (distance < high)
            of_each = chosen.sum(1).astype(float)
            if (of_each > 0).sum() < 2:  # no interval from one document
                continue
            rows.append(
                {"text": title, "distance": band, "pairs": int(chosen.sum())}
                | {"order_right": share((right * chosen).sum(1), of_each, 0.95),
                   "letter_right": share((letters * chosen).sum(1), of_each, 0.95),
                   "above_none": mean_ratio(((right - without) * chosen).sum(1), of_each, 0.95)}
            )  # fmt: skip
    return rows
