"""Needles in prose: facts in a text, and questions at its end.

A fact says that the password of somebody is a few words; the words are drawn from :data:`WORDS`, so a guess is right
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
class Fact:
    """What a needle says and is asked for.

    Attributes
    ----------
    source, answer : tuple of int
        Places of the tokens of its words: where it is said, and where it is answered.
    depth : float
        Where it is said: 0 at the beginning of the prose, 1 at its end.
    """

    source: tuple[int, ...]
    answer: tuple[int, ...]
    depth: float


@dataclass(frozen=True)
class Needle:
    """A text with facts in it and questions at its end.

    Attributes
    ----------
    ids : tuple of int
        Numbers of its tokens, the answers included.
    facts : tuple of Fact
        In the order in which they are asked for.
    prose : tuple of int
        Places of tokens that are prose, second half: what perplexity is measured on.
    """

    ids: tuple[int, ...]
    facts: tuple[Fact, ...]
    prose: tuple[int, ...]

    @property
    def queries(self) -> list[int]:
        """Places where the answers' tokens are foretold."""
        return [place - 1 for fact in self.facts for place in fact.answer]

    @property
    def sources(self) -> list[int]:
        """Places that the answers' tokens are copied from."""
        return [place for fact in self.facts for place in fact.source]


def make_needles(
    model: LanguageModel,
    prose: Sequence[Sequence[int]],
    count: int,
    *,
    tokens: int = 420,
    words: int = 3,
    facts: int = 1,
    seed: int = 0,
) -> list[Needle]:
    """Put facts into each text, at even depths.

    Parameters
    ----------
    model : LanguageModel
        Whose tokens they are made of.
    prose : sequence of sequence of int
        Tokens of documents; a document is the unit of intervals, so no two needles share one.
    count : int
        How many are wanted; fewer where there are fewer documents of enough tokens.
    tokens : int
        Of prose, at most: a few less where names and words are longer, so that all needles have one length.
    words : int
        That are asked for.
    facts : int
        Of each needle, about different people, asked for one after the other.
    seed : int

    Raises
    ------
    InputError
        If there are fewer than two documents of that length, or too few words or names.
    """
    if tokens < LEAST_CONTEXT:
        raise InputError(f"needles in {tokens} tokens of prose", hint=f"use {LEAST_CONTEXT} or more")
    if not (1 <= facts <= len(NAMES) and 1 <= words * facts <= len(WORDS)):
        raise InputError(f"{facts} facts of {words} words", hint=f"there are {len(NAMES)} names, {len(WORDS)} words")
    rng = np.random.default_rng(seed)
    long = [ids for ids in prose if len(ids) >= tokens][:count]
    if len(long) < 2:
        raise InputError(
            f"{len(long)} documents have {tokens} tokens", hint="give longer texts with --texts, or lower --tokens"
        )
    depths = np.stack([rng.permutation((np.arange(len(long)) + 0.5) / len(long)) for _ in range(facts)], 1)
    drawn = [_draw(model, facts, words, rng) for _ in long]
    sizes = [sum(said.size for said in each) for each in drawn]
    rests = [tokens - (size - min(sizes)) for size in sizes]
    return [
        _make(ids[:rest], said, depth.tolist())
        for ids, said, depth, rest in zip(long, drawn, depths, rests, strict=True)
    ]


@dataclass(frozen=True)
class _Said:
    """Tokens of a fact: as it is said, and as it is asked for."""

    opening: list[int]
    words: list[int]
    closing: list[int]
    question: list[int]

    @property
    def size(self) -> int:
        return len(self.opening) + 2 * len(self.words) + len(self.closing) + len(self.question)


def _draw(model: LanguageModel, facts: int, words: int, rng: np.random.Generator) -> list[_Said]:
    """Draw names and words of the facts of a needle."""

    def encode(text: str) -> list[int]:
        return list(model.encode(text.encode()))

    names, order = rng.permutation(len(NAMES))[:facts], rng.permutation(len(WORDS))
    out = []
    for i, name in enumerate(NAMES[j] for j in names):
        values = "".join(f" {WORDS[j]}" for j in order[i * words : (i + 1) * words])
        fact, question = f"The secret password of {name} is", f"Question: What is the secret password of {name}?"
        asked = f"\n\n{question}\nAnswer: {fact}"
        out.append(_Said(encode(f" {fact}"), encode(values), encode("."), encode(asked)))
    return out


def _make(prose: Sequence[int], said: Sequence[_Said], depths: Sequence[float]) -> Needle:
    """Put facts into prose, and ask for them at its end."""
    ids, places, sources = list[int](), list[int](), dict[int, tuple[int, ...]]()
    begin = 0
    for i in sorted(range(len(said)), key=lambda i: depths[i]):
        end = round(depths[i] * len(prose))
        places += range(len(ids), len(ids) + end - begin)
        ids += [*prose[begin:end], *said[i].opening]
        sources[i] = tuple(range(len(ids), len(ids) + len(said[i].words)))
        ids += [*said[i].words, *said[i].closing]
        begin = end
    places += range(len(ids), len(ids) + len(prose) - begin)
    ids += prose[begin:]
    half, facts = len(ids) // 2, []
    for i, fact in enumerate(said):
        ids += fact.question
        facts.append(Fact(sources[i], tuple(range(len(ids), len(ids) + len(fact.words))), depths[i]))
        ids += fact.words
    return Needle(tuple(ids), tuple(facts), tuple(place for place in places if place >= half))
