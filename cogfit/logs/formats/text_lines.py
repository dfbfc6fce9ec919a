"""Reader of what training prints: lines of names and numbers.

Such as ``step 10 | loss 0.5``, ``iter 100: loss 1.23, lr 0.001``, ``Epoch 3/10 - loss: 0.4``, ``loss=0.4 step=3`` or
``{'loss': 2.1, 'epoch': 0.02}``, with or without time stamps and levels before them. Nothing is evaluated: numbers are
found by their names. Updates of a progress bar, which a carriage return separates, count as lines.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError
from cogfit.logs.formats.contents import TRUNCATED, bare_suffix, decoded, is_text, text_bytes
from cogfit.logs.formats.reader import Evidence, Raw, Reader, ReadOptions
from cogfit.logs.formats.wide import MAX_CELLS

if TYPE_CHECKING:
    import pandas as pd

NO_MEASUREMENT = "line without a step and a value"

_LONGEST = 10_000
"""Characters of a line beyond which it is no line of a log."""

_STEPS = frozenset({"step", "global_step", "iter", "iters", "iteration", "it", "itr", "update"}) | frozenset(
    {"train_step", "training_step", "optimizer_step"}
)
_EPOCH = "epoch"
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".yaml", ".yml", ".py", ".md", ".html", ".xml")

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x08")
_LEVEL = re.compile(r"^.{0,100}?\b(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL)\b[\]:\s|-]*")
_BAR = re.compile(r"\d{1,3}%\|[^|]{0,400}\|\s*(\d{1,18})/(\d{1,18})\s*\[[^\],]*(?:,\s*[\d.?]+\s*\w+/\w+)?")

# possessive (*+, ++): what fails is given up at once, however long a word or number is
_WORD = r"[^\W\d][\w./@+-]*+"
_NUMBER = r"[-+]?(?:[1-9]\d{0,2}(?:,\d{3})++(?:\.\d++)?|\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?"
_UNIT = (
    r"%|[A-Za-zµ]{1,7}(?:/[A-Za-z]{1,8})?"
    r"|\s(?:%|[mnµu]?s|secs?|seconds|mins?|h|(?:it|tok|tokens|samples|steps|examples)/s(?:ec)?|[KMGT]i?B)(?!\s?[:=])"
)
_PAIR = re.compile(
    rf"(?<![\w./@+-])(?P<quote>['\"]?)(?P<key>{_WORD}(?: {_WORD}){{0,2}}(?: ?\([^()]{{1,20}}\))?)(?P=quote)"
    rf"(?P<sep>\s{{0,3}}[:=]|(?=\s))\s{{0,20}}(?:\[\s{{0,5}}|#)?(?:(?:np\.\w{{1,12}}|tensor)\()?['\"]?"
    rf"(?:(?P<number>{_NUMBER})(?P<of>\s?/\s?\d+)?(?P<unit>{_UNIT})?|(?P<special>[-+]?(?:nan|inf(?:inity)?)))"
    r"(?=[\s;|)\]}'\"]|,(?!\.?\d)|[.:](?:\s|$)|$)",
    re.IGNORECASE,
)
_DECIMAL_COMMA = re.compile(r"[:=\s]-?0,\d+(?=[\s;|,]|$)")


@dataclass
class _Row:
    """The numbers of one line."""

    line: int
    values: dict[tuple[str, str], float] = field(default_factory=dict)  # by name and unit
    last: str = ""  # the last number as it is written

    def add(self, name: str, unit: str, text: str) -> None:
        """Add a number; a name that comes again gets its place."""
        key, again = (name, unit), 1
        while key in self.values:
            again += 1
            key = (f"{name} ({again})", unit)
        self.values[key] = float(text.replace(",", ""))
        self.last = text

    def steps(self) -> list[str]:
        """Names of the steps."""
        return [name for name, _ in self.values if name in _STEPS]

    def is_measurement(self, chosen: str | None) -> bool:
        """Whether the line says when, and what then was."""
        names = {name for name, _ in self.values}
        when = {name for name in names if name in _STEPS or name in (_EPOCH, chosen)}
        return bool(when) and bool(names - when)


def pairs(line: str) -> Iterator[tuple[str, str, str]]:
    """Name, number and unit of each measurement of a line.

    Examples
    --------
    >>> list(pairs("INFO iter 1,000: train loss 2.5, time 12ms"))
    [('iter', '1,000', ''), ('train loss', '2.5', ''), ('time', '12', 'ms')]
    """
    end = 0
    for match in _PAIR.finditer(line):
        key, number, unit = match["key"], match["number"] or match["special"], (match["unit"] or "").strip()
        last_word = key.rsplit(" ", 1)[-1]
        after_words = any(character.isalpha() for character in line[end : match.start()])
        end = match.end()
        if (when := last_word.casefold()) in _STEPS or when == _EPOCH:
            if not unit:  # a step of "1.2k" has lost its digits
                yield when, number, ""
        elif match["of"] is not None or (after_words and not match["sep"].strip()):
            continue  # 3/100 of something; a number within a sentence
        else:
            yield (last_word if after_words else key), number, unit


class _Lines:
    """Rows of a text, as they are read.

    What lines before have said is kept in mind: the epoch, and how far a progress bar came.
    """

    def __init__(self, chosen: str | None) -> None:
        self.chosen = chosen
        self.epoch: str | None = None
        self.bar = (0, 0, 0)  # steps of bars that have ended, last step and size of this one

    def row(self, line: str, number: int) -> _Row | None:
        """The measurement of a line."""
        if len(line) > _LONGEST:
            return None
        line = _ESCAPES.sub("", line)
        if level := _LEVEL.match(line):
            line = line[level.end() :]
        row = _Row(number)
        bar = _BAR.search(line)
        if bar is not None:
            line = f"{line[: bar.start()]}, {line[bar.end() :]}"
        for name, text, unit in pairs(line):
            row.add(name, unit, text)
        names = {name for name, _ in row.values}
        if names == {_EPOCH}:
            self.epoch = row.last
        if bar is not None:
            row.add("batch" if _EPOCH in names or self.epoch else "step", "", str(self._advance(bar)))
            names = {name for name, _ in row.values}
        if names and self.epoch is not None and not names & {*_STEPS, _EPOCH, self.chosen}:
            row.add(_EPOCH, "", self.epoch)
        return row if row.is_measurement(self.chosen) else None

    def _advance(self, bar: re.Match[str]) -> int:
        """Step that a progress bar shows, counted on from the bars before it."""
        before, last, size = self.bar
        step, total = int(bar[1]), int(bar[2])
        if step < last and last == size:
            before += size
        self.bar = (before, step, total)
        return before + step


def _segments(text: str) -> Iterator[tuple[int, str]]:
    """Lines and their numbers; updates of a progress bar apart."""
    for number, line in enumerate(text.split("\n"), 1):
        for segment in line.split("\r"):
            if segment.strip():
                yield number, segment


def recognise(path: Path, head: bytes) -> bool:
    """Whether lines of a text hold steps and values.

    Most of its lines must not be rows of a table.
    """
    if bare_suffix(path) in _TABLES or not is_text(head):
        return False
    text = head.decode("utf-8", "ignore").removeprefix("\ufeff")
    if _is_json(text):
        return False
    lines, n_rows, n_cells = _Lines(None), 0, 0
    for number, line in _segments(text):
        if lines.row(line, number) is not None:
            n_rows += 1
        else:
            n_cells += _is_table_row(line)
    return n_rows >= 2 and n_rows > n_cells


def _is_json(text: str) -> bool:
    first = text.lstrip().partition("\n")[0].strip()
    if not first.startswith(("{", "[")):
        return False
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return first in ("{", "[") or first.startswith(("[{", "{{", "[["))
    return True


def _is_table_row(line: str) -> bool:
    cells = re.split(r"[,;\t]", line[:_LONGEST])
    return len(cells) > 1 and all(re.fullmatch(rf"\s*(?:{_NUMBER}|nan)?\s*", cell, re.IGNORECASE) for cell in cells)


def read(path: Path, options: ReadOptions) -> Raw:
    """Read the lines that hold a step and a value.

    Parameters
    ----------
    path : Path
    options : ReadOptions
        A chosen `x` may stand in for the step.

    Returns
    -------
    Raw
        One column for each name, in the order of appearance; a name with several units has one for each. All names of
        the step are one column where no line has two of them.

    Raises
    ------
    InputError
        No line holds a step and a value, or numbers have decimal commas.
    """
    data = text_bytes(path, options)
    text = decoded(data, path)
    lines, rows, n_lines = _Lines(options.x), [], 0
    for number, line in _segments(text):
        n_lines += 1
        row = lines.row(line, number)
        if row is not None:
            rows.append(row)
        if _DECIMAL_COMMA.search(line[:_LONGEST]) and any(name in _STEPS for name, _, _ in pairs(line[:_LONGEST])):
            raise InputError("has a number with a decimal comma", path=path, line=number, hint="write decimal points")
    dropped = {}
    if rows and not data.endswith((b"\n", b"\r")) and _is_cut(rows, number, text):
        del rows[-1]
        dropped[TRUNCATED] = 1
    if not rows:
        raise InputError(
            "holds no line with a step and a value", path=path, hint="write lines such as 'step 10 | loss 0.5'"
        )
    if n_lines > len(rows) + len(dropped):
        dropped[NO_MEASUREMENT] = n_lines - len(rows) - len(dropped)
    names = {key for row in rows for key in row.values}
    if len(rows) * len(names) > MAX_CELLS:
        raise InputError(
            f"{len(rows)} lines × {len(names)} names make too large a table",
            path=path,
            hint="keep the lines that matter, with grep for instance",
        )
    frame, notes = _frame(rows)
    return Raw(frame, READER.name, n_lines, dropped, notes, lambda row: rows[row].line)


READER = Reader(
    name="text",
    title="Text log",
    recognise=recognise,
    read=read,
    is_text=True,
    suffixes=(".txt", ".log", ".out", ".err"),
    rank=10,
    other_names=("text_log", "stdout"),
    evidence=Evidence.KEYS,
    gives_way=True,
)


def _is_cut(rows: Sequence[_Row], last_line: int, text: str) -> bool:
    """Whether the last line breaks off.

    It then lacks names of the lines like it, or decimals that all of them have.
    """
    row = rows[-1]
    if row.line != last_line:
        return False
    alike = [other for other in rows[:-1] if list(other.values)[: len(row.values)] == list(row.values)][-20:]
    if alike and all(len(other.values) > len(row.values) for other in alike):
        return True
    decimals = {len(other.last.partition(".")[2]) for other in alike}
    is_number_last = text.rstrip(" \t").endswith(row.last)
    return is_number_last and len(decimals) == 1 and len(row.last.partition(".")[2]) < decimals.pop()


def _frame(rows: Sequence[_Row]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """One column for each name, and notes."""
    import pandas as pd

    notes = []
    columns: dict[tuple[str, str], NDArray[np.float64]] = {}
    merged = _merged_steps(rows)
    if len(merged) > 1:
        notes.append(f"{', '.join(map(repr, merged))} were read as one column 'step'")
    for place, row in enumerate(rows):
        for (name, unit), value in row.values.items():
            key = (merged.get(name, name), unit)
            if key not in columns:
                columns[key] = np.full(len(rows), np.nan)
            columns[key][place] = value
    units: dict[str, list[str]] = defaultdict(list)
    for name, unit in columns:
        units[name].append(unit)
    cells = {}
    taken = Counter(name for name, _ in columns)
    for (name, unit), values in columns.items():
        own = f"{name} [{unit}]" if taken[name] > 1 and unit else name
        cells[own] = values
    notes += [
        f"'{name}' has several units ({', '.join(unit or 'none' for unit in several)}), a column each"
        for name, several in units.items()
        if len(several) > 1
    ]
    return pd.DataFrame(cells), tuple(notes)


def _merged_steps(rows: Sequence[_Row]) -> Mapping[str, str]:
    """The column of each name of the step.

    Where no line has two of them, they are one column.
    """
    used = list(dict.fromkeys(name for row in rows for name in row.steps()))
    if any(len(row.steps()) > 1 for row in rows):
        return {}
    if len(used) == 1 and used[0] not in ("it", "itr", "iters"):
        return {}
    return dict.fromkeys(used, "step")
