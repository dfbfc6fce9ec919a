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
_COUNTERS = "seed|version|v|rep|replicate|trial|fold|run|id|rank|index"
_SETTING = re.compile(  # a number after the name of a setting or '=', and numbers that count nothing
    rf"(?<![a-z])(?:{_SETTINGS})[_\-=]?\d[\d.]*(?:e[-+]?\d+)?"
    rf"|(?<![a-z_])(?!(?:{_COUNTERS})=)[a-z_]+=[-+]?\d[\d.]*(?:e[-+]?\d+)?"
    r"|(?<![\d.v])0\.\d+|(?<![a-z0-9.])\d+(?:\.\d+)?e-\d+(?![a-z0-9])",
    re.IGNORECASE,
)
_REPLICATE = re.compile(
    r"(?<![a-z])(?:seed|version|replicate|trial|fold)(?![a-z])(?:[_\-=]?[^/_\-.]+|$)"
    rf"|(?<![a-z])(?:v|rep)[_\-=]?\d+|{_MONTHS}|\d+",
    re.IGNORECASE,
)
_HEX, _WORD_OF = "[0-9a-f]", "(?<![a-z0-9]){}(?![a-z0-9])"
_IDENTIFIER = re.compile(  # hashes, and words in which letters and digits alternate
    _WORD_OF.format(rf"{_HEX}{{8}}(?:-{_HEX}{{4}}){{3}}-{_HEX}{{12}}")
    + "|"
    + _WORD_OF.format(rf"(?=[a-f]*\d)(?=\d*[a-f]){_HEX}{{6,}}")
    + "|"
    + _WORD_OF.format(r"(?=[a-z0-9]{6,}(?![a-z0-9]))(?:[a-z]+\d+[a-z]+\d|\d+[a-z]+\d+[a-z])[a-z0-9]*"),
    re.IGNORECASE,
)
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
