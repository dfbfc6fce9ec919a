"""Splits of the data: training, validation, test.

Their values are no replicates of each other. A split is named by a folder, a file, a prefix of a column or a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

SPLITS = {
    "train": ("train", "training"),
    "eval": ("eval", "evaluation"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""Splits, with the words that name them; the first that a log has is fitted unless another is chosen."""

_BY_WORD = {word: split for split, words in SPLITS.items() for word in words}
_WORDS = re.compile(r"[_\-.\s]+")


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
    return None if None in available else next(split for split in SPLITS if split in available)


def separated(path: str) -> tuple[str, str | None]:
    """Take the name of a split out of a path.

    Examples
    --------
    >>> separated("seed0/validation"), separated("metrics_val"), separated("seed0/latest")
    (('seed0', 'validation'), ('metrics', 'validation'), ('seed0/latest', None))
    """
    parts, split = [], None
    for part in PurePosixPath(path).parts:
        words = _WORDS.split(part)
        named = [word for word in words if split_named(word)]
        if len(named) == 1 and split is None:
            split = split_named(named[0])
            words = [word for word in words if word != named[0]]
            part = "_".join(words)
        parts += [part] if part else []
    return "/".join(parts) or ".", split
