"""Labels of runs, layers, heads and patterns.

They are categoricals of texts, in natural order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.logs.columnar import ColumnTable, as_frame
from cogfit.logs.model import GROUP_COLUMNS

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.logs.columnar import Frame

NO_LABEL = "(none)"
"""Run, layer or head of rows that do not name one although others do."""

# What counts as missing is said here and nowhere else, for all containers.
MISSING = frozenset({"", "nan", "-nan", "na", "n/a", "#n/a", "null", "none", "<na>"})
"""Texts (folded) that mean a missing number."""
MISSING_LABELS = frozenset({""})
"""Texts that mean a missing label; every other one is a name, 'NA' (Namibia) and 'None' included."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_WHOLE = 18  # digits that an integer of 64 bits holds in any case


def one_label(label: str, n: int) -> pd.Categorical:
    """The same label n times."""
    import pandas as pd

    return pd.Categorical.from_codes(np.zeros(n, dtype=np.int8), categories=pd.Index([label], dtype="str"))


def natural_key(text: str) -> tuple[int, int, tuple[tuple[int, int, str], ...], str]:
    """Sort key that puts 'layer 2' before 'layer 10'.

    Numbers come before words.

    Examples
    --------
    >>> sorted(["b10", "b9", "-1", "12", "3"], key=natural_key)
    ['-1', '3', '12', 'b9', 'b10']
    """
    digits = text.removeprefix("-")
    if digits.isdecimal() and len(digits) <= _LONGEST_WHOLE:
        return (0, int(text), (), text)  # the text itself orders 1 and 01
    pieces = [piece for piece in re.split(r"(\d+)", text) if piece]
    bare = [piece.lstrip("0") if piece.isdecimal() else None for piece in pieces]
    return (1, 0, tuple((1, 0, p) if d is None else (0, len(d), d) for p, d in zip(pieces, bare, strict=True)), text)


# --- from cells to labels ---------------------------------------------------------------------------------------------


def label_text(value: Any) -> str | None:
    """Label that a cell holds, None if it is missing.

    Whole numbers read as such whatever their type; everything else is taken as it is written.

    Raises
    ------
    TypeError
        The cell holds a list or an object.
    UnicodeDecodeError
        It holds bytes that are no UTF-8.

    Examples
    --------
    >>> [label_text(value) for value in (3.0, 3, "3.0", " a ", True, "NA", float("nan"), "")]
    ['3', '3', '3.0', 'a', 'True', 'NA', None, None]
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if isinstance(value, str):
        text = encodable(value.strip())
        return None if text in MISSING_LABELS else text
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return str(value)
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, Decimal):
        return _decimal_text(value)
    if not isinstance(value, Hashable):
        raise TypeError("a label is a name or a number")
    import pandas as pd

    is_missing: bool = pd.isna(value)  # type: ignore[call-overload]  # a scalar of any other type
    return None if is_missing else str(value).strip()


def _decimal_text(value: Decimal) -> str | None:
    if value.is_nan():
        return None
    # 1E+999999 is whole, too, but nobody wants to see it written out
    is_whole = value.is_finite() and value.adjusted() < 400 and value == value.to_integral_value()
    return str(int(value)) if is_whole else str(value)


def encodable(text: str) -> str:
    r"""Text that can be shown and written.

    Halves of surrogate pairs, which JSON may hold, are made visible.

    Examples
    --------
    >>> ascii(encodable("a\ud800b"))
    "'a\\ufffd{d800}b'"
    """
    return _SURROGATE.sub(lambda half: f"\ufffd{{{ord(half[0]):x}}}", text)


def labels_of(values: pd.Series[Any]) -> pd.Categorical:
    """Labels of a column of cells, as a categorical.

    Raises
    ------
    TypeError
        A cell holds a list or an object.
    UnicodeDecodeError
        A cell holds bytes that are no UTF-8.

    Examples
    --------
    >>> import pandas as pd
    >>> labels = labels_of(pd.Series(["b", 10, 9.0, None, True], dtype=object))
    >>> labels.categories.tolist(), labels.codes.tolist()
    (['9', '10', 'True', 'b'], [3, 1, 0, -1, 2])
    """
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return labels_from_codes(values.cat.codes.to_numpy(), values.cat.categories)
    if values.dtype == object:  # to pandas, True and 1 are the same
        values = values.map(label_text)
    codes, distinct = pd.factorize(values)
    return labels_from_codes(codes, distinct)


def labels_from_codes(codes: NDArray[Any], distinct: Iterable[Any]) -> pd.Categorical:
    """Labels from codes and the cells that these stand for.

    Cells that mean the same label become one; the code −1 is a missing one.

    Examples
    --------
    >>> labels_from_codes(np.array([0, 1, -1, 2]), ["b", " b", ""]).codes.tolist()
    [0, 0, -1, -1]
    """
    import pandas as pd

    names = [label_text(value) for value in distinct]
    known = sorted({name for name in names if name is not None}, key=natural_key)
    place = {name: code for code, name in enumerate(known)}
    lookup = np.array([-1 if name is None else place[name] for name in names] + [-1], dtype=np.int32)
    return pd.Categorical.from_codes(lookup[codes], categories=pd.Index(known, dtype="str"))  # −1 picks the last


def concatenated(tables: Sequence[Frame], labelled: Sequence[str] = GROUP_COLUMNS) -> Frame:
    """Rows of several tables, one after the other.

    Labels that a table lacks become `NO_LABEL`.
    """
    if len(tables) == 1 and isinstance(tables[0], ColumnTable):
        return tables[0]
    import pandas as pd
    from pandas.api.types import union_categoricals

    frames = [as_frame(table) for table in tables]
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
