"""Stopping a training run on request, between two steps.

Ctrl-C and SIGTERM may come at any moment, also in the middle of an update. While a run trains they are only noted; the
loop saves a checkpoint after the step and then stops.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

StopAsked = Callable[[], int]
"""Returns the number of the signal that asked to stop, 0 while none has."""


def never() -> int:
    """Return 0: nobody asks to stop."""
    return 0


class Stopped(KeyboardInterrupt):
    """A run was stopped on request, and can go on.

    Parameters
    ----------
    message : str
        What was done, and what is kept.
    signal_number : int
        Of the signal that asked.
    """

    def __init__(self, message: str, signal_number: int = signal.SIGINT) -> None:
        super().__init__(message, signal_number)
        self.signal_number = int(signal_number)

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def exit_code(self) -> int:
        """The exit code that shells give to this signal."""
        return 128 + self.signal_number


@contextmanager
def held_signals() -> Iterator[StopAsked]:
    """Context in which Ctrl-C and SIGTERM are noted.

    Yields what tells whether one came. A second Ctrl-C interrupts at once, as without this context. Outside of the
    main thread, where Python handles no signals, nothing changes.

    Examples
    --------
    >>> with held_signals() as asked:
    ...     asked()
    0
    """
    if threading.current_thread() is not threading.main_thread():
        yield never
        return
    came = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if came == signal.SIGINT == number:
            signal.signal(signal.SIGINT, before[signal.SIGINT])
            signal.raise_signal(signal.SIGINT)
        came = number

    before: dict[int, Any] = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: came
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python
