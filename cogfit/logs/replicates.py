"""Whether runs are replicates of each other, by their names.

Runs whose names differ in digits, seed or version only repeat one configuration, and their mean means something.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?=[\d_\-])"
_SETTINGS = (
    "lr|learning_rate|wd|weight_decay|bs|batch|batch_size|dropout|temp|temperature|width|depth|dim|d_model|hidden"
    "|layers?|n_layers|heads?|n_heads|lambda|alpha|beta|gamma|momentum|size|budget|eps|epsilon|k"
)
_SETTING = re.compile(rf"(?<![a-z])(?:{_SETTINGS})[_\-=]?\d[\d.]*(?:e[-+]?\d+)?", re.IGNORECASE)
_REPLICATE = re.compile(
    rf"(?<![a-z])(?:seed|version|v|rep|replicate|trial|fold)[_\-=]?[^/_\-]*|{_MONTHS}|\d+", re.IGNORECASE
)
_IDENTIFIER = re.compile(r"(?<![a-z0-9])(?=[a-z]*\d)(?=\d*[a-z])[a-z0-9]{6,}(?![a-z0-9])", re.IGNORECASE)
_HIDE_DIGITS = str.maketrans("0123456789", "ghijklmnop")


def configuration(name: str) -> str:
    """What a run's name says besides number and seed.

    Numbers of settings, such as a learning rate, belong to the configuration.

    Examples
    --------
    >>> configuration("base_seed3") == configuration("base_seed12")
    True
    >>> configuration("lr0.1") == configuration("lr0.01"), configuration("a") == configuration("b")
    (False, False)
    """
    text = _SETTING.sub(lambda setting: setting[0].translate(_HIDE_DIGITS), name.casefold())
    return _REPLICATE.sub("#", _IDENTIFIER.sub("#", text))


def are_replicates(names: Iterable[str]) -> bool:
    """Whether runs repeat one configuration, by their names."""
    return len({configuration(name) for name in names}) < 2
