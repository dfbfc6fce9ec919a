"""Tables that are wider than the output.

A number that is cut reads as another number. So columns of text break into lines, and where that is not enough columns
of numbers go below, beside the first columns once more. No cell is shortened.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Column, Table

_LONGEST_WORD = 24
"""Characters of a word that is not broken; paths and identifiers may be longer."""


def fitted(table: Table, width: int, natural: int) -> list[Table]:
    """Break a table into parts that fit a width.

    Parameters
    ----------
    table : rich.table.Table
        Without lines between its columns.
    width : int
        Characters of a line.
    natural : int
        Characters of a line of the table as it is.
    """
    if natural <= width or not table.columns:
        return [table]
    columns = [_Sized(column, table.padding[3] + table.padding[1]) for column in table.columns]
    keys = _keys(columns, width)
    parts, chosen = [], list(keys)
    for number in range(len(keys), len(columns)):
        if len(chosen) > len(keys) and sum(columns[i].least for i in (*chosen, number)) > width:
            parts.append(chosen)
            chosen = list(keys)
        chosen.append(number)
    parts.append(chosen)
    return [_with_columns(table, [columns[i] for i in part], width) for part in parts]


class _Sized:
    """A column, and how wide it is with its padding: at least, and at most."""

    def __init__(self, column: Column, padding: int) -> None:
        texts = [str(cell) for cell in (column.header, *column.cells)]
        self.column, self.padding = column, padding
        self.is_text = column.justify != "right" or not column.no_wrap
        self.most = padding + max(column.min_width or 0, *map(_cells, texts))
        words = [min(_cells(word), _LONGEST_WORD) for text in texts for word in text.split()]
        self.least = padding + max(column.min_width or 0, 1, *words) if self.is_text else self.most

    def of_width(self, width: int, index: int) -> Column:
        """The column at a width with its padding."""
        inner = max(1, width - self.padding)
        no_wrap = False if self.is_text or width < self.most else self.column.no_wrap
        return replace(self.column, width=inner, min_width=None, no_wrap=no_wrap, overflow="fold", _index=index)


def _keys(columns: Sequence[_Sized], room: int) -> list[int]:
    """The first columns of text, which say what a row is: all that leave half of the room."""
    keys = [0]
    for number, sized in enumerate(columns[1:], 1):
        if not sized.is_text or sum(columns[i].least for i in keys) + sized.least > room / 2:
            break
        keys.append(number)
    return keys


def _with_columns(table: Table, columns: Sequence[_Sized], room: int) -> Table:
    """The table with some of its columns, the widest ones of text as narrow as need be."""
    widths = [sized.most for sized in columns]
    least = [sized.least for sized in columns]
    while sum(widths) > room and widths != least:
        # the widest gives way first
        widest = max((i for i in range(len(widths)) if widths[i] > least[i]), key=lambda i: widths[i])
        widths[widest] -= 1
    while sum(widths) > room and max(widths) > 1:  # not even two columns have room
        widths[widths.index(max(widths))] -= 1
    part: Table = copy.copy(table)
    part.columns = [sized.of_width(width, i) for i, (sized, width) in enumerate(zip(columns, widths, strict=True))]
    return part


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split("\n")))
