"""What the commands share: options, output, progress bars, Ctrl-C.

Whatever they print goes through this module, which lets no text through that a terminal obeys, and spells out what the
encoding of the output lacks (:mod:`cogfit.records.printable`).
"""

from __future__ import annotations

import copy
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from cogfit.records.printable import printable, spelled

if TYPE_CHECKING:
    from cogfit.progress import Progress

Text = str | None
Number = float | None
"""Types of options that may be left out."""


class PipeClosed(Exception):
    """The reader of our output went away.

    A BrokenPipeError would be exit code 1 to click.
    """


def split_names(text: str | None) -> tuple[str, ...]:
    """Split names at commas."""
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def print_text(text: str) -> None:
    """Write lines for a person to standard output at once."""
    _write(lambda: sys.stdout.write(_shown(text, sys.stdout)))


def print_error(text: str) -> None:
    """Write one line to standard error."""
    print(_shown(" ".join(text.split()), sys.stderr), file=sys.stderr)


def _shown(text: str, stream: Any) -> str:
    """A text as a stream may show it."""
    return spelled(printable(text, keeps_lines=True), getattr(stream, "encoding", None) or "utf-8")


def _write(write: Callable[[], Any]) -> None:
    try:
        write()
        sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosed from None


def write_json(document: Callable[[], Mapping[str, Any]], json_file: str | None) -> None:
    """Write a result as JSON, where a file is named.

    It is UTF-8, in a pipe as in a file.

    Parameters
    ----------
    document : callable
        Makes the document; called only if it is wanted.
    json_file : str or None
        ``-`` is standard output.
    """
    from cogfit.files import write_atomic
    from cogfit.records.codec import dump

    if json_file == "-":
        text = dump(document())
        sys.stdout.flush()  # what was printed before comes first
        binary = getattr(sys.stdout, "buffer", None)
        _write(lambda: sys.stdout.write(text) if binary is None else binary.write(text.encode()))
    elif json_file is not None:
        write_atomic(json_file, dump(document()))


def console(stream: Any = None) -> Any:
    """Return a console on standard output, or another stream.

    Where no person reads along, its lines are as long as the text.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as Plain

    class Output(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise PipeClosed

        def print(self, *objects: Any, **options: Any) -> None:
            super().print(*map(self.shown, objects), **options)

        def shown(self, item: Any, *, is_cell: bool = False) -> Any:
            """What is printed of a text or a table: no markup, no controls.

            A line feed is one in a text of ours, but an escape in a cell.
            """
            if isinstance(item, str):
                item = Plain(item)
            if isinstance(item, Plain):
                text = spelled(printable(item.plain, keeps_lines=not is_cell), self.encoding)
                return item if text == item.plain else item.blank_copy(text)
            return self._shown_table(item) if isinstance(item, Table) else item

        def _shown_table(self, table: Table) -> Table:
            out = copy.copy(table)
            out.title, out.caption = (part and self.shown(part) for part in (table.title, table.caption))
            out.columns, out.rows = [column.copy() for column in table.columns], []
            for column in out.columns:
                column.header = self.shown(column.header, is_cell=True)
                if spelled("…", self.encoding) != "…":  # three dots in its place would shift what follows
                    column.overflow = "fold"
            for cells in zip(*(column.cells for column in table.columns), strict=True):
                out.add_row(*(self.shown(cell, is_cell=True) for cell in cells))
            return out

    stream = stream or sys.stdout
    return Output(file=stream, highlight=False, soft_wrap=not stream.isatty())


def new_table(left: Sequence[str], right: Sequence[str] = (), *, wrapped: Sequence[str] = (), **options: Any) -> Any:
    """Return an empty table without lines.

    Parameters
    ----------
    left, right : sequence of str
        Titles of columns, by the side on which their cells are aligned.
    wrapped : sequence of str
        Those whose cells may break into lines.
    **options
        Of :class:`rich.table.Table`.
    """
    from rich.table import Table
    from rich.text import Text as Plain

    table = Table(**{"box": None, "pad_edge": False, "header_style": "bold", **options})
    for name in left:
        table.add_column(Plain(name), no_wrap=name not in wrapped)
    for name in right:
        table.add_column(Plain(name), justify="right", no_wrap=name not in wrapped)
    return table


def add_rows(table: Any, *rows: Iterable[str]) -> None:
    """Add rows whose cells are text and never markup."""
    from rich.text import Text as Plain

    for cells in rows:
        table.add_row(*map(Plain, cells))


def is_read_by_a_person() -> bool:
    """Whether standard output is a terminal.

    What goes into a pipe or file is never shortened.
    """
    return sys.stdout.isatty()


def first_clause(text: str) -> str:
    """Return a sentence up to its first semicolon.

    Those in brackets do not count.

    Examples
    --------
    >>> first_clause("the curve drops near 40 (p = 0.005; AR(1)); a smooth curve does not explain it")
    'the curve drops near 40 (p = 0.005; AR(1))'
    """
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign in "([") - (sign in ")]")
        if sign == ";" and depth <= 0:
            return text[:place]
    return text


def print_items(out: Any, texts: Iterable[str], mark: str = "  · ") -> None:
    """Print texts as a list, wrapped at a terminal."""
    import textwrap

    from rich.text import Text as Plain

    for text in texts:
        width = max(out.width, 20) if out.is_terminal else sys.maxsize
        indent = " " * len(mark)
        lines = textwrap.wrap(
            printable(text), width, initial_indent=mark, subsequent_indent=indent, break_on_hyphens=False
        )
        out.print(Plain("\n".join(lines) or mark))


def print_table(out: Any, table: Any) -> None:
    """Print a table.

    Where no person reads along, it is as wide as it wants to be, and no line ends with blanks. A table that is too wide
    is printed in parts (:mod:`cogfit.commands.wide_tables`).
    """
    from rich.measure import Measurement

    from cogfit.commands.wide_tables import fitted

    table = out.shown(table)
    wanted = Measurement.get(out, out.options.update(max_width=10_000), table).maximum
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = max(out.width, wanted)
    for number, part in enumerate(fitted(table, out.width, wanted)):
        if number:
            out.print("")
        if out.is_terminal:
            out.print(part)
            continue
        with out.capture() as printed:
            out.print(part)
        lines = printed.get().removesuffix("\n").split("\n")
        out.out("\n".join(map(str.rstrip, lines)), highlight=False)  # cells are padded to the right


def warn(warnings: tuple[str, ...], out: Any = None) -> None:
    """Print warnings, one a line."""
    from rich.text import Text as Plain

    out = out or console()
    for warning in warnings:
        out.print(Plain(f"warning: {warning}", style="yellow"))


class ProgressBars:
    """Progress bars on standard error, for a person.

    They appear at a terminal when the work takes more than a second.

    Parameters
    ----------
    has_lines : bool
        Whether a line now and then stands for them where there is no terminal, as in a batch system's log.
    """

    DELAY = 1.0
    LINE_EVERY = 60.0  # seconds: a log of a night stays readable

    def __init__(self, *, has_lines: bool = False) -> None:
        import threading

        self._has_lines = has_lines and not sys.stderr.isatty()
        self._begin: dict[str, tuple[float, int]] = {}
        self._next_line = time.monotonic() + self.LINE_EVERY
        self._lock = threading.Lock()
        self._state: dict[str, tuple[int, int]] = {}
        self._tasks: dict[str, Any] = {}
        self._bar: Any = None
        self._timer = threading.Timer(self.DELAY, self._show)
        self._timer.daemon = True

    def __enter__(self) -> ProgressBars:
        if sys.stderr.isatty():
            self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._bar is not None:
                self._bar.stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress as RichProgress
        from rich.progress import TextColumn

        # a task may be called as a run is, which is no markup
        name = TextColumn("{task.description}", style="progress.description", markup=False)
        columns = (name, *RichProgress.get_default_columns()[1:])
        bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        with self._lock:
            self._bar = bar
            bar.start()
            for task, (done, total) in self._state.items():
                self._tasks[task] = bar.add_task(_shown_task(task), completed=done, total=total)

    def report(self, done: int, total: int, task: str) -> None:
        """Show how much of a task is done.

        Raises KeyboardInterrupt after Ctrl-C.
        """
        if Interrupt.seen:
            raise KeyboardInterrupt
        with self._lock:
            self._state[task] = (done, total)
            if self._has_lines:
                self._print_line(task, done, total)
            if self._bar is None:
                return
            if task not in self._tasks:
                self._tasks[task] = self._bar.add_task(_shown_task(task), total=total)
            self._bar.update(self._tasks[task], completed=done, total=total)

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        if not sys.stderr.isatty():
            return
        with self._lock:
            if self._bar is None:
                print_error(text)
            else:
                self._bar.console.print(_shown(text, sys.stderr), markup=False, highlight=False)

    def _print_line(self, task: str, done: int, total: int) -> None:
        """Say how far a task is, and how long it will take, once in a while."""
        now = time.monotonic()
        since, first = self._begin.setdefault(task, (now, done))
        if now < self._next_line or done <= first:
            return
        self._next_line = now + self.LINE_EVERY
        left = duration((now - since) / (done - first) * (total - done))
        print_error(f"{task}: {done:,} of {total:,} ({done / max(total, 1):.0%}), {left} left")

    def stage(self, name: str, *parts: str) -> Progress:
        """Return the progress of one task.

        Its parts that are named here have bars of their own.
        """
        return lambda done, total, what: self.report(done, total, what if what in parts else name)


def duration(seconds: float) -> str:
    """Write a span of time in words.

    Examples
    --------
    >>> duration(12.3), duration(754.0), duration(9000.0)
    ('12 s', '13 min', '2.5 h')
    """
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5400.0 else f"{seconds / 3600.0:.1f} h"


def _shown_task(task: str) -> str:
    return spelled(printable(task), sys.stderr.encoding or "utf-8")


class Interrupt:
    """Remembers Ctrl-C.

    One that falls into a foreign callback (a compiler's, say) is swallowed there.
    """

    seen = False

    @classmethod
    def handle(cls, *_: object) -> None:
        """Signal handler."""
        cls.seen = True
        raise KeyboardInterrupt
