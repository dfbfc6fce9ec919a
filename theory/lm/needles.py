"""Needles in prose: a fact in a text, and a question at its end.

A needle says that the password of somebody is a few words; the words are drawn from :data:`WORDS`, so a guess is right
with a chance of 1/V each, V = 32. The question repeats the sentence up to the words, so what is asked for is to find
and to copy, not to reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cogfit.errors import InputError
from theory.redundancy.models import LanguageModel

WORDS = [
    "purple",
    "lantern",
    "marble",
    "falcon",
    "river",
    "copper",
    "velvet",
    "anchor",
    "window",
    "tiger",
    "garden",
    "silver",
    "piano",
    "rocket",
    "candle",
    "pepper",
    "orange",
    "castle",
    "ribbon",
    "desert",
    "thunder",
    "pencil",
    "harbor",
    "butter",
    "jungle",
    "mirror",
    "cotton",
    "hammer",
    "planet",
    "forest",
    "violin",
    "ticket",
]
"""The V values, equally likely."""

NAMES = ["Alice", "Peter", "Sandra", "Martin", "Julia", "Robert", "Emma", "Oscar", "Helen", "Victor", "Nina", "Paul"]
"""Whose password it is."""

LEAST_CONTEXT = 64
"""Tokens of the shortest prose that a needle is put into."""


@dataclass(frozen=True)
class Needle:
    """A text with a fact in it and a question at its end.

    Attributes
    ----------
    ids : tuple of int
        Numbers of its tokens, the answer included.
    source : tuple of int
        Places of the answer's tokens within the needle.
    answer : int
        Place of the first token of the answer at the end.
    depth : float
        Where the needle stands: 0 at the beginning of the prose, 1 at its end.
    prose : tuple of int
        Places of tokens that are prose, second half: what perplexity is measured on.
    """

    ids: tuple[int, ...]
    source: tuple[int, ...]
    answer: int
    depth: float
    prose: tuple[int, ...]


def make_needles(
    model: LanguageModel,
    prose: Sequence[Sequence[int]],
    count: int,
    *,
    tokens: int = 420,
    words: int = 3,
    seed: int = 0,
) -> list[Needle]:
    """Put a needle into each text, at even depths.

    Parameters
    ----------
    model : LanguageModel
        Whose tokens they are made of.
    prose : sequence of sequence of int
        Tokens of documents; a document is the unit of intervals, so no two needles share one.
    count : int
        How many are wanted; fewer where there are fewer documents of enough tokens.
    tokens : int
        Of prose.
    words : int
        That are asked for.
    seed : int

    Raises
    ------
    InputError
        If there are fewer than two documents of that length.
    """
    if tokens < LEAST_CONTEXT:
        raise InputError(f"needles in {tokens} tokens of prose", hint=f"use {LEAST_CONTEXT} or more")
    rng = np.random.default_rng(seed)
    long = [ids for ids in prose if len(ids) >= tokens][:count]
    if len(long) < 2:
        raise InputError(
            f"{len(long)} documents have {tokens} tokens", hint="give longer texts with --texts, or lower --tokens"
        )
    depths = rng.permutation((np.arange(len(long)) + 0.5) / len(long))
    return [_make(model, ids[:tokens], float(depth), words, rng) for ids, depth in zip(long, depths, strict=True)]


def _make(model: LanguageModel, prose: Sequence[int], depth: float, words: int, rng: np.random.Generator) -> Needle:
    name = NAMES[int(rng.integers(len(NAMES)))]
    said = "".join(f" {WORDS[i]}" for i in rng.permutation(len(WORDS))[:words])
    fact, question = f"The secret password of {name} is", f"Question: What is the secret password of {name}?"

    def encode(text: str) -> list[int]:
        return list(model.encode(text.encode()))

    opening, answer = encode(f" {fact}"), encode(said)
    needle = [*opening, *answer, *encode(".")]
    place = round(depth * len(prose))
    body = [*prose[:place], *needle, *prose[place:]]
    ids = [*body, *encode(f"\n\n{question}\nAnswer: {fact}"), *answer]
    begin = place + len(opening)
    half = len(body) // 2
    inside = range(place, place + len(needle))
    return Needle(
        ids=tuple(ids),
        source=tuple(range(begin, begin + len(answer))),
        answer=len(ids) - len(answer),
        depth=depth,
        prose=tuple(i for i in range(half, len(body)) if i not in inside),
    )
