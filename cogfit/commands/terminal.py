"""What the commands share: options, output, progress bars, Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

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
    """Write to standard output at once."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosed from None


def write_json(document: Callable[[], Mapping[str, Any]], json_file: str | None) -> None:
    """Write a result as JSON, where a file is named.

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
        print_text(dump(document()))
    elif json_file is not None:
        write_atomic(json_file, dump(document()))


def console() -> Any:
    """Return a console on standard output.

    Where no person reads along, its lines are as long as the text.
    """
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise PipeClosed

    return Output(highlight=False, soft_wrap=not sys.stdout.isatty())


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


def print_table(out: Any, table: Any) -> None:
    """Print a table.

    Where no person reads along, it is as wide as it wants to be.
    """
    from rich.measure import Measurement

    if not out.is_terminal:
        out.width = max(out.width, Measurement.get(out, out.options.update(max_width=10_000), table).maximum)
    out.print(table)


def warn(warnings: tuple[str, ...]) -> None:
    """Print warnings, one a line."""
    from rich.text import Text as Plain

    out = console()
    for warning in warnings:
        out.print(Plain(f"warning: {warning}", style="yellow"))


class ProgressBars:
    """Progress bars on standard error, for a person.

    They appear at a terminal when the work takes more than a second.
    """

    DELAY = 1.0

    def __init__(self) -> None:
        import threading

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

        bar = RichProgress(console=Console(stderr=True), transient=True)
        with self._lock:
            self._bar = bar
            bar.start()
            for task, (done, total) in self._state.items():
                self._tasks[task] = bar.add_task(task, completed=done, total=total)

    def report(self, done: int, total: int, task: str) -> None:
        """Show how much of a task is done.

        Raises KeyboardInterrupt after Ctrl-C.
        """
        if Interrupt.seen:
            raise KeyboardInterrupt
        with self._lock:
            self._state[task] = (done, total)
            if self._bar is None:
                return
            if task not in self._tasks:
                self._tasks[task] = self._bar.add_task(task, total=total)
            self._bar.update(self._tasks[task], completed=done, total=total)

    def stage(self, name: str) -> Progress:
        """Return the progress of one task, whatever its parts."""
        return lambda done, total, what: self.report(done, total, name)


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
