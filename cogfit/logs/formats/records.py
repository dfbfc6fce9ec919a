"""Split text into records and fields, and say where each one stands.

Quotes are read as Python's csv module and Arrow read them. Unlike these, it tells on which line a quote opens, and
fields may be as long as they like.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

QUOTE = '"'

_LINE_END = re.compile(r"\r\n|\r|\n")
_QUOTED = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"')  # possessive: a doubled quote is never one that closes


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a text table.

    Attributes
    ----------
    line : int
        Line on which it begins, from 1.
    fields : list of str
    text : str
        The record as it is written, without its line end.
    quote_line : int or None
        Line on which a quote opens that takes in a line end; the first such quote.
    is_closed : bool
        False if that quote never closes.
    is_clean : bool
        False if text follows the quote that closes a field with line ends.
    is_ended : bool
        Whether a line end follows.
    """

    line: int
    fields: list[str]
    text: str
    quote_line: int | None = None
    is_closed: bool = True
    is_clean: bool = True
    is_ended: bool = True

    @property
    def is_blank(self) -> bool:
        """Whether it holds nothing."""
        return not self.text.strip()


def split_records(text: str, delimiter: str, first_line: int = 1) -> Iterator[Record]:
    r"""Records of a text, blank lines included.

    Parameters
    ----------
    text : str
    delimiter : str
        One character.
    first_line : int
        Number of the line on which the text begins.

    Yields
    ------
    Record

    Examples
    --------
    >>> records = list(split_records('1,"a\nb"\n2,c,"d', ","))
    >>> [(record.line, record.fields, record.quote_line, record.is_closed) for record in records]
    [(1, ['1', 'a\nb'], 1, True), (3, ['2', 'c', 'd'], 3, False)]
    """
    position, line = 0, first_line
    while position < len(text):
        end = _LINE_END.search(text, position)
        stop = end.start() if end else len(text)
        if text.find(QUOTE, position, stop) < 0:
            written = text[position:stop]
            yield Record(line, written.split(delimiter), written, is_ended=end is not None)
            lines, position = 1, end.end() if end else len(text)
        else:
            record, stop = _quoted_record(text, position, delimiter, line)
            end = _LINE_END.match(text, stop)
            yield record if end else replace(record, is_ended=False)
            lines, position = 1 + _count_line_ends(record.text), end.end() if end else len(text)
        line += lines


def _quoted_record(text: str, start: int, delimiter: str, line: int) -> tuple[Record, int]:
    """The record that begins at an offset, and where it ends."""
    plain = _plain(delimiter)
    fields: list[str] = []
    quote_line: int | None = None
    is_clean, position = True, start
    while True:
        content = ""
        if text.startswith(QUOTE, position):
            quoted = _QUOTED.match(text, position)
            content = (quoted[1] if quoted else text[position + 1 :]).replace(QUOTE * 2, QUOTE)
            has_line_end = "\n" in content or "\r" in content
            if quote_line is None and (has_line_end or not quoted):
                quote_line = line + _count_line_ends(text[start:position])
            if quoted is None:
                return Record(line, [*fields, content], text[start:], quote_line, is_closed=False), len(text)
            position = quoted.end()
            is_clean = is_clean and not (
                has_line_end and text[position : position + 1] not in ("", delimiter, "\r", "\n")
            )
        rest = plain.match(text, position)
        assert rest is not None  # it matches nothing, too
        fields.append(content + rest[0])
        position = rest.end()
        if not text.startswith(delimiter, position):
            return Record(line, fields, text[start:position], quote_line, is_clean=is_clean), position
        position += 1


@cache
def _plain(delimiter: str) -> re.Pattern[str]:
    return re.compile(rf"[^{re.escape(delimiter)}\r\n]*")


def _count_line_ends(text: str) -> int:
    return len(_LINE_END.findall(text))
