"""Numbers out of whatever the cells of a column hold.

What counts as a number is said here, for reading a log and for looking at it alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import shortened
from cogfit.logs.labels import MISSING

if TYPE_CHECKING:
    import pandas as pd

_LONGEST = 40  # characters of a cell that a message quotes


@dataclass(frozen=True, eq=False)
class Cells:
    """A column as numbers, and the cells that are none.

    Attributes
    ----------
    values : ndarray
        NaN for cells that are missing or no number.
    bad : int array
        Rows of the cells that are no number.
    n_filled : int
        Cells that hold anything.
    first : object
        The first cell that is no number; None if there is none.
    """

    values: NDArray[np.float64]
    bad: NDArray[np.intp]
    n_filled: int
    first: object = None

    @property
    def are_numbers(self) -> bool:
        """Whether most of what is there is numbers."""
        return 2 * self.bad.size < self.n_filled

    @property
    def complaint(self) -> str:
        """What is wrong with the cells that are no number."""
        which = "the only one" if self.bad.size == 1 else f"the first of {self.bad.size:,}"
        return f"{quoted(self.first)} is not a number, {which} among {self.n_filled:,} cells"

    @property
    def remedy(self) -> str:
        """What to do about them."""
        return f"correct or remove {'this row' if self.bad.size == 1 else 'these rows'}"


def number_in(cell: object) -> float | None:
    """The number that a cell holds.

    NaN for a missing one, None if it is no number.

    Examples
    --------
    >>> number_in(" 2.5 "), number_in("n/a"), number_in("n/a?"), number_in("1_000")
    (2.5, nan, None, None)
    """
    if cell is None:
        return math.nan
    try:
        if isinstance(cell, str):
            text = cell.strip()
            if text.casefold() in MISSING:
                return math.nan
            return None if "_" in text else float(text)
        if isinstance(cell, (bool, int, float, Decimal, np.number, np.bool_)):
            return float(cell)
    except OverflowError:
        return math.inf
    except (ValueError, TypeError):
        return None
    return None


def read_cells(column: pd.Series[Any]) -> Cells:
    """Read every cell of a column as a number.

    For columns that are not stored as numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> cells = read_cells(pd.Series(["1", None, "n/a?", "2.5", "3"]))
    >>> cells.values, cells.complaint
    (array([1. , nan, nan, 2.5, 3. ]), "'n/a?' is not a number, the only one among 4 cells")
    """
    import pandas as pd

    cells = column.astype(object)
    try:  # each text is looked at once
        codes, different = pd.factorize(cells)
    except TypeError:  # lists and objects
        is_missing = np.array([cell is None or cell is pd.NA or cell is pd.NaT for cell in cells], dtype=bool)
        codes, different = np.where(is_missing, -1, np.arange(len(cells))), cells.array
    numbers = [number_in(cell) for cell in different]
    table = np.array([math.nan if number is None else number for number in numbers] + [math.nan])
    is_bad = np.array([number is None for number in numbers] + [False], dtype=bool)[codes]
    values, bad = table[codes], np.flatnonzero(is_bad)
    n_filled = int(np.count_nonzero(~np.isnan(values))) + bad.size
    return Cells(values, bad, n_filled, cells.iloc[bad[0]] if bad.size else None)


def quoted(cell: object) -> str:
    """A cell as messages show it."""
    return repr(shortened(str(cell), _LONGEST))
