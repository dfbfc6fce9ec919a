"""Instructions of several turns, one of which may change another (Han et al. 2025, Findings of EMNLP).

A conversation gives people passwords, turn by turn, and asks for one. **single**: it was given once, first; **late**:
once, after two others; **revised**: a
later turn replaces it; **restored**: a still later one takes the change back, so that the first holds again. The turns
between are about other people. The kinds differ in what the turns do to each other only: people, words and the number
of turns are the same. Conversations are the units of the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cogfit.progress import Progress
from theory.lm.heads import logits_of, surprise_of
from theory.lm.intervals import mean_ratio, share
from theory.lm.needles import NAMES, WORDS
from theory.lm.records import CannotBeAsked
from theory.redundancy.models import LanguageModel
from theory.redundancy.tables import Array

KINDS: dict[str, tuple[str, ...]] = {
    "single": ("The password of {name} is {first}.",),
    "late": ("The password of {name} is {first}.",),
    "revised": (
        "The password of {name} is {first}.",
        "I have changed my mind: the password of {name} is {second} now.",
    ),
    "restored": (
        "The password of {name} is {first}.",
        "I have changed my mind: the password of {name} is {second} now.",
        "I take the change back: what I said of {name} in the beginning holds again.",
    ),
}
"""Turns about the person who is asked for."""

ALONE = {"single": "single", "late": "late", "revised": "late", "restored": "single"}
"""The kind without interaction whose right word stands in the same place: what stands first is recalled better."""

MOST_BETWEEN = len(NAMES) - 3
"""Turns about other people that there can be."""


def conversation(kind: str, between: int, rng: np.random.Generator) -> tuple[str, str, str]:
    """A conversation up to the answer.

    Parameters
    ----------
    kind : str
        Of :data:`KINDS`.
    between : int
        Turns about other people before the question; others stand after the first turn for those that a kind lacks.
    rng : Generator

    Returns
    -------
    str, str, str
        The text, the right word, and the word that is wrong (that of another person where nothing was changed).

    Examples
    --------
    >>> text, right, wrong = conversation("revised", 1, np.random.default_rng(0))
    >>> right in text and wrong in text
    True
    """
    names = [NAMES[i] for i in rng.permutation(len(NAMES))]
    words = [WORDS[i] for i in rng.permutation(len(WORDS))]
    first, second = words.pop(), words.pop()
    others = [f"The password of {name} is {words.pop()}." for name in names[1:]]
    own = [turn.format(name=names[0], first=first, second=second) for turn in KINDS[kind]]
    missing = max(map(len, KINDS.values())) - len(own)
    # the first instruction opens every conversation: what stands first is recalled better
    fill = others[between : between + missing]
    begin = [*fill, *own] if kind == "late" else [own[0], *fill, *own[1:]]
    turns = [*begin, *others[:between]]
    said = "".join(f"User: {turn}\nAssistant: I will remember that.\n" for turn in turns)
    text = f"{said}User: What is the password of {names[0]}?\nAssistant: The password of {names[0]} is"
    right, wrong = (second, first) if kind == "revised" else (first, second)
    return text, right, wrong


def measure_turns(
    model: LanguageModel,
    conversations: int,
    between: Sequence[int],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Answers after turns that interact, against their distance.

    Parameters
    ----------
    model : LanguageModel
    conversations : int
        Of each kind and distance; the same people and words in all of them.
    between : sequence of int
        Turns about other people between, at most :data:`MOST_BETWEEN`.
    seed : int
    progress : callable, optional

    Returns
    -------
    list of dict
        ``kind``, ``between``, ``conversations``, ``turn_right`` (share that is answered rightly), ``turn_wrong`` (by
        what no longer holds), ``turn_nats`` (surprise of the right word) and ``below_single`` (share that is right
        where nothing interacts and the right word stands in the same place, less that of this kind, conversation by
        conversation), with intervals over conversations.
    """
    rows, ones, alone = list[dict[str, Any]](), np.ones(conversations), dict[tuple[str, int], Array]()
    for done, (kind, distance) in enumerate([(kind, n) for kind in KINDS for n in between], 1):
        rng, found = np.random.default_rng(seed), []
        for _ in range(conversations):
            text, right, wrong = conversation(kind, distance, rng)
            ids = model.tokens_of(text)
            if len(ids) >= model.context:
                raise CannotBeAsked(f"a conversation has {len(ids)} tokens, the model reads {model.context}")
            target, other = (model.tokens_of(f" {word}")[0] for word in (right, wrong))
            nats, likeliest = surprise_of(logits_of(model, [*ids, target]), [*ids, target])
            found.append((likeliest[-1] == target, likeliest[-1] == other, nats[-1]))
        right_answers, wrong_answers, surprise = np.array(found, float).T
        alone.setdefault((kind, distance), right_answers)
        less = alone[ALONE[kind], distance] - right_answers
        rows.append(
            {"kind": kind, "between": distance, "conversations": conversations}
            | {"turn_right": share(right_answers, ones, 0.95), "turn_wrong": share(wrong_answers, ones, 0.95)}
            | {
                name: mean_ratio(values, ones, 0.95)
                for name, values in (("turn_nats", surprise), ("below_single", less))
            }
        )
        if progress is not None:
            progress(done, len(KINDS) * len(between), "turns")
    return rows
