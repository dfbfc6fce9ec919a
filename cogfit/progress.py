"""How long work reports on its progress.

One type, and stages of a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what comes next): bytes, points, forms or whatever the work counts."""


@dataclass(frozen=True)
class Stages:
    """Report one stage's progress as that of the whole.

    Attributes
    ----------
    report : Progress or None
        Where the whole is reported; None: nowhere.
    total : int
        Size of all stages together.
    done : int
        Size of the stages that have ended.

    Examples
    --------
    >>> stages = Stages(print, 100)
    >>> stages(10, 40, "reading")
    10 100 reading
    >>> stages.after(40)(20, 60, "fitting")
    60 100 fitting
    """

    report: Progress | None
    total: int
    done: int = 0

    def after(self, done: int) -> Stages:
        """Stages of which `done` have ended."""
        return replace(self, done=done)

    def __call__(self, done: int, total: int, what: str) -> None:
        """Report how much of this stage is done.

        Its size `total` may be left to the whole.
        """
        if self.report is not None:
            self.report(min(self.done + done, self.total), self.total, what)
