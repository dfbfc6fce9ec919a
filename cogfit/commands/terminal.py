"""What the commands share: option types, console, progress bars, Ctrl-C."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn, Optional

if TYPE_CHECKING:
    from cogfit.progress import Progress

Text = Optional[str]  # noqa: UP045 - typer evaluates the annotation at run time
Number = Optional[float]  # noqa: UP045


class PipeClosed(Exception):
    """The reader of our output went away; a BrokenPipeError would be exit code 1 to click."""


def print_text(text: str) -> None:
    """Write to standard output at once."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosed from None


def console() -> Any:
    """A console on standard output whose lines are as long as the text where no person reads along."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise PipeClosed

    return Output(highlight=False, soft_wrap=not sys.stdout.isatty())


def print_table(out: Any, table: Any) -> None:
    """Print a table, as wide as it wants to be where no person reads along."""
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
    """Progress bars on standard error, for a person at a terminal, when the work takes more than a second."""

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
        """Show how much of a task is done; raise KeyboardInterrupt after Ctrl-C."""
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
        """Progress of one task, whatever the work calls its parts."""
        return lambda done, total, what: self.report(done, total, name)


class Interrupt:
    """Remembers Ctrl-C: one that falls into a foreign callback (a compiler's, say) is swallowed there."""

    seen = False

    @classmethod
    def handle(cls, *_: object) -> None:
        """Signal handler."""
        cls.seen = True
        raise KeyboardInterrupt
