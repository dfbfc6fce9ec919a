"""Labels of runs, layers, heads and patterns.

They are categoricals of texts, in natural order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.logs.model import GROUP_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

NO_LABEL = "(none)"
"""Run, layer or head of rows that do not name one although others do."""


def one_label(label: str, n: int) -> pd.Categorical:
    """The same label n times."""
    import pandas as pd

    return pd.Categorical.from_codes(np.zeros(n, dtype=np.int8), categories=pd.Index([label], dtype="str"))


def natural_key(text: str) -> tuple[int, int, tuple[tuple[int, int, str], ...]]:
    """Sort key that puts 'layer 2' before 'layer 10'.

    Numbers come before words.

    Examples
    --------
    >>> sorted(["b10", "b9", "-1", "12", "3"], key=natural_key)
    ['-1', '3', '12', 'b9', 'b10']
    """
    if re.fullmatch(r"-?\d{1,18}", text):
        return (0, int(text), ())
    pieces = [piece for piece in re.split(r"(\d+)", text) if piece]
    digits = [piece.lstrip("0") if piece.isdecimal() else None for piece in pieces]
    return (1, 0, tuple((1, 0, p) if d is None else (0, len(d), d) for p, d in zip(pieces, digits, strict=True)))


def relabelled(codes: NDArray[np.integer[Any]], names: Sequence[str]) -> pd.Categorical:
    """Labels under other names, of which some may be equal.

    Negative codes are missing.
    """
    import pandas as pd

    known = sorted(set(names), key=natural_key)
    place = {name: number for number, name in enumerate(known)}
    lookup = np.array([place[name] for name in names] + [-1], dtype=np.int32)
    return pd.Categorical.from_codes(lookup[codes], categories=pd.Index(known, dtype="str"))  # −1 picks the last


def concatenated(frames: Sequence[pd.DataFrame], labelled: Sequence[str] = GROUP_COLUMNS) -> pd.DataFrame:
    """Rows of several frames, one after the other.

    Labels that a frame lacks become `NO_LABEL`.
    """
    import pandas as pd
    from pandas.api.types import union_categoricals

    if len(frames) == 1:
        return frames[0].reset_index(drop=True)
    labels: dict[str, pd.Categorical] = {}
    for name in labelled:
        if any(name in frame for frame in frames):
            pieces = [
                pd.Categorical(frame[name]) if name in frame else one_label(NO_LABEL, len(frame)) for frame in frames
            ]
            merged = union_categoricals(pieces)
            labels[name] = merged.reorder_categories(sorted(merged.categories, key=natural_key))
    frame = pd.concat([frame.drop(columns=list(labels), errors="ignore") for frame in frames], ignore_index=True)
    frame = frame.assign(**labels)
    order = list(dict.fromkeys(name for part in frames for name in part.columns))
    return frame[order]


def trimmed(frame: pd.DataFrame) -> pd.DataFrame:
    """Forget the labels of rows that are gone."""
    import pandas as pd

    labelled = [name for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    return frame.assign(**{str(name): frame[name].cat.remove_unused_categories() for name in labelled})
