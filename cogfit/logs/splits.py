"""Splits of the data: training, validation, test.

Their values are no replicates of each other. A split is named by a folder, a file, a prefix of a column or a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

SPLITS = {
    "train": ("train", "training"),
    "eval": ("eval", "evaluation", "evaluate"),
    "validation": ("val", "valid", "validation", "validate", "dev"),
    "test": ("test", "testing"),
}
"""Splits, with the words that name them; the first that a log has is fitted unless another is chosen."""

_BY_WORD = {word: split for split, words in SPLITS.items() for word in words}
WORDS = "|".join(sorted(_BY_WORD, key=len, reverse=True))
"""Pattern of all words that name a split."""

_WORDS = re.compile(r"[_\-.\s]+")
_NUMBERED = re.compile(rf"({WORDS})(?=\d)", re.IGNORECASE)


def split_named(word: str) -> str | None:
    """The split that a word names, if any.

    Examples
    --------
    >>> split_named("Val"), split_named("loss")
    ('validation', None)
    """
    return _BY_WORD.get(word.strip().casefold())


def preferred(splits: Iterable[str | None]) -> str | None:
    """The split that is fitted unless another is chosen.

    What bears the name of no split was logged while training.

    Examples
    --------
    >>> preferred(["validation", "train"]), preferred(["validation", None]), preferred(["test", "validation"])
    ('train', None, 'validation')
    """
    available = set(splits)
    if "train" in available:
        return "train"
    named = sorted((split for split in available if split is not None), key=split_key)
    return None if None in available else named[0]


def separated(path: str) -> tuple[str, str | None]:
    """Take the name of a split out of a path.

    Examples
    --------
    >>> separated("seed0/validation"), separated("metrics_val2"), separated("seed0/latest")
    (('seed0', 'validation'), ('metrics_2', 'validation'), ('seed0/latest', None))
    """
    parts, split = [], None
    for part in PurePosixPath(path).parts:
        words = [word for text in _WORDS.split(part) for word in _without_number(text)]
        named = [word for word in words if split_named(word)]
        if len(named) == 1 and split is None:
            split = split_named(named[0])
            words = [word for word in words if word != named[0]]
            part = "_".join(words)
        parts += [part] if part else []
    return "/".join(parts) or ".", split


def _without_number(word: str) -> list[str]:
    """A word, taken apart if it is the name of a split with a number."""
    named = _NUMBERED.match(word)
    return [named[0], word[named.end() :]] if named else [word]


def split_key(label: str) -> tuple[int, str]:
    """Sort key of the labels of splits.

    Usual ones come first, in the order in which they are preferred.

    Examples
    --------
    >>> sorted(["holdout", "test", "train"], key=split_key)
    ['train', 'test', 'holdout']
    """
    return (list(SPLITS).index(label), "") if label in SPLITS else (len(SPLITS), label)
