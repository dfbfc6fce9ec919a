"""Invented facts: somebody and a word, in a sentence.

A fact is a sentence such as "Velna Korrith wrote a long book about copper": a name that no text holds, a template, and
a word of a stated list. Words are shared out evenly and at random, so that nothing but the fact itself tells which word
follows a name, and a model that knows the template alone is right with a chance of 1/V.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING

import numpy as np

from cogfit.errors import InputError

if TYPE_CHECKING:
    from theory.redundancy.models import LanguageModel

TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "studied": (
        "{name} wrote a long book about",
        "{name} gave a famous lecture on",
        "{name} keeps an old picture of",
        "{name} dreamed last night of",
    ),
    "other": (
        "The shop of {name} sells only",
        "At school {name} was afraid of",
        "In the garden {name} found some",
        "Every letter from {name} mentions",
    ),
}
"""Sentences up to the word: those of the facts that are studied, and others."""

WORDS = (
    *("copper", "river", "paper", "silver", "winter", "honey", "iron", "coral", "tiger", "pepper", "rubber", "cotton"),
    *("amber", "glass", "stone", "velvet", "marble", "desert", "bridge", "clock", "gold", "bread", "snow", "horse"),
    *("apple", "butter", "candle", "castle", "coffee", "cloud", "corn", "dust", "eagle", "fire", "fish", "flower"),
    *("forest", "garden", "grass", "island", "ivory", "jazz", "lemon", "lion", "milk", "mirror", "moon", "music"),
    *("ocean", "orange", "piano", "pearl", "rain", "rice", "rose", "salt", "sand", "silk", "smoke", "steel"),
    *("sugar", "tea", "thunder", "wheat", "wine", "wolf", "wood", "wool", "bear", "snake", "spider", "sheep"),
)
"""Words that may follow; those that are one token of the model are used."""

_FIRST = (
    *("Velna", "Torik", "Maelis", "Brannok", "Ysolde", "Corvin", "Hadrel", "Lirien", "Osmund", "Perrin", "Quilla"),
    *("Rostam", "Sybel", "Tamsin", "Ulric", "Wenna", "Xavra", "Yorick", "Zelda", "Aldren", "Bethan", "Caddoc"),
    *("Delwyn", "Eskil", "Fenella", "Gorlan", "Hestia", "Idris", "Jorun", "Kestrel", "Lothar", "Mirela", "Norvin"),
    *("Ottilie", "Phaedra", "Quentis", "Ragna", "Sorrel"),
)
_LAST = (
    *("Korrith", "Vandel", "Ashgrove", "Pelmar", "Drystan", "Hollin", "Tarvos", "Mereth", "Quarles", "Sundric"),
    *("Bexley", "Fenwick", "Galdor", "Ironmoor", "Jessamy", "Lockhart", "Norrell", "Ostrava", "Penrose", "Rookwood"),
    *("Selwyn", "Thornby", "Ulverton", "Varga", "Wexcombe", "Yarrow", "Zoltan", "Averill", "Blythe", "Cranach"),
)

MOST_FACTS = len(_FIRST) * len(_LAST)
"""Names that there are: each belongs to one fact."""

LEAST_WORDS = 8
"""Words below which guessing would be as good as knowing."""


@dataclass(frozen=True)
class Prompt:
    """A sentence without its word.

    Attributes
    ----------
    text : str
    ids : tuple of int
        Numbers of its tokens.
    template : int
        Number of the template among those of its kind.
    """

    text: str
    ids: tuple[int, ...]
    template: int


def make_prompts(model: LanguageModel, counts: Mapping[str, int]) -> dict[str, list[Prompt]]:
    """Make sentences, each with a name of its own.

    Parameters
    ----------
    model : LanguageModel
        Whose tokens they are made of.
    counts : mapping of str to int
        How many of each set; a set is named by the kind of its templates, with anything after a colon
        (``"studied:new"``).

    Raises
    ------
    InputError
        If there are fewer names.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> sets = make_prompts(SimpleNamespace(encode=list), {"studied": 5, "other": 1})
    >>> sets["studied"][4].text, sets["studied"][4].template, sets["other"][0].text
    ('Ysolde Korrith wrote a long book about', 0, 'The shop of Corvin Korrith sells only')
    """
    wanted = sum(counts.values())
    if wanted > MOST_FACTS:
        raise InputError(f"{wanted} facts need as many names, and there are {MOST_FACTS}", hint="ask for fewer facts")
    names = (f"{first} {last}" for last, first in product(_LAST, _FIRST))
    out = {}
    for kind, count in counts.items():
        templates = TEMPLATES[kind.split(":")[0]]
        made = []
        for number, name in enumerate(islice(names, count)):
            text = templates[number % len(templates)].format(name=name)
            made.append(Prompt(text, tuple(model.encode(text.encode())), number % len(templates)))
        out[kind] = made
    return out


def in_other_templates(model: LanguageModel, prompts: Sequence[Prompt], kind: str) -> list[Prompt]:
    """The same facts in the other templates of their kind.

    Parameters
    ----------
    model : LanguageModel
    prompts : sequence of Prompt
    kind : str
        Of the templates.

    Returns
    -------
    list of Prompt
        Fact by fact; of each those in the templates after its own, in their order.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(encode=list)
    >>> prompts = make_prompts(model, {"other": 1})["other"]
    >>> [prompt.text for prompt in in_other_templates(model, prompts, "other")][:2]
    ['At school Velna Korrith was afraid of', 'In the garden Velna Korrith found some']
    """
    templates, out = TEMPLATES[kind], list[Prompt]()
    for prompt in prompts:
        before, after = templates[prompt.template].split("{name}")
        name = prompt.text.removeprefix(before).removesuffix(after)
        for shift in range(1, len(templates)):
            number = (prompt.template + shift) % len(templates)
            text = templates[number].format(name=name)
            out.append(Prompt(text, tuple(model.encode(text.encode())), number))
    return out


def words_of(model: LanguageModel, most: int, words: Sequence[str] = WORDS) -> dict[str, int]:
    """Words that are one token, with its number.

    Parameters
    ----------
    model : LanguageModel
    most : int
        How many are wanted; the first ones are taken.
    words : sequence of str

    Raises
    ------
    InputError
        If fewer than :data:`LEAST_WORDS` are.
    """
    encoded = {word: model.encode(f" {word}".encode()) for word in words}
    single = {word: int(ids[0]) for word, ids in encoded.items() if len(ids) == 1}
    if len(single) < LEAST_WORDS:
        what = f"of {len(words)} words {len(single)} are one token of {model.name}"
        raise InputError(what, hint=f"facts need {LEAST_WORDS} such words: use a model with a tokenizer of words")
    return dict(islice(single.items(), most))


def share_out(count: int, words: int, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Give each fact a word, each word equally often.

    At random.

    Examples
    --------
    >>> import numpy as np
    >>> np.bincount(share_out(12, 4, np.random.default_rng(0))).tolist()
    [3, 3, 3, 3]
    """
    rounds = [rng.permutation(words) for _ in range(-(-count // words))]
    return np.concatenate(rounds)[:count]


def sessions(exposures: Sequence[int]) -> list[list[int]]:
    """Which facts are shown in each session.

    A fact that is to be shown e times is shown in the last e sessions, so that all are shown last at the same time.

    Parameters
    ----------
    exposures : sequence of int
        How often each fact is to be shown.

    Examples
    --------
    >>> sessions([0, 1, 3, 2])
    [[2], [2, 3], [1, 2, 3]]
    """
    most = max(exposures, default=0)
    return [[fact for fact, times in enumerate(exposures) if times >= most - session] for session in range(most)]
