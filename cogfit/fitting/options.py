"""What is asked of a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cogfit.inference.form_tests import MOST_REPLICATES
from cogfit.inference.selection import REPLICATES, THOROUGH_REPLICATES
from cogfit.progress import Progress


@dataclass(frozen=True)
class Options:
    """What is asked of a fit.

    Attributes
    ----------
    rng : numpy Generator
    form, noise, start, level, thorough, schedule, progress, preview
        See :func:`fit`.
    discrete : bool
        Whether y are fractions of trials.
    audit : bool
        Whether the verdict is tried on curves like the log's own.
    workers : int
        Processes that do so.
    first, most : int
        Curves made around each form before it is first asked whether it is refused, and at most, where that is not
        clear.
    """

    rng: np.random.Generator
    form: str | None = None
    noise: str = "auto"
    start: Mapping[str, float] | None = None
    level: float = 0.95
    discrete: bool = False
    thorough: bool = False
    schedule: Sequence[str] = ()
    progress: Progress | None = None
    audit: bool = False
    workers: int = 1
    preview: Callable[[str], None] | None = None
    first: int = REPLICATES
    most: int = MOST_REPLICATES

    @property
    def replicates(self) -> int:
        """Curves made around each form at first."""
        return THOROUGH_REPLICATES if self.thorough else self.first
