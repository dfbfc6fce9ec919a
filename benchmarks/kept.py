"""What trained models did at queries for recurring patterns, kept in memory instead of in logs."""

from __future__ import annotations

from typing import Any

import numpy as np


class Kept:
    """An observer of the training loop that keeps queries for recurring patterns.

    Attributes
    ----------
    patterns, steps : list of ndarray of int
        Pattern of each query, and the step that it came in; one array per step.
    attended, correct : list of ndarray of bool
    measures : theory.training.evaluation.Measures
        At the end, on fresh streams.
    """

    exposures = np.zeros(0, np.int64)

    def begin(self, step: int, exposures: Any, sizes: Any = None) -> None:
        """Start with nothing."""
        self.patterns: list[Any] = []
        self.steps: list[Any] = []
        self.attended: list[Any] = []
        self.correct: list[Any] = []

    def step(self, step: int, seen: Any, batch: Any) -> None:
        """Keep the queries of a step."""
        asked = batch.pattern > 0
        self.patterns.append(batch.pattern[asked].numpy())
        self.steps.append(np.full(self.patterns[-1].size, step))
        self.attended.append(seen["attended"][asked].numpy())
        self.correct.append(seen["correct"][asked].numpy())

    def evaluation(self, step: int, found: Any) -> None:
        """Keep the last evaluation."""
        self.measures = found

    def sync(self) -> dict[str, int]:
        """Nothing is on a disk."""
        return {}

    def finish(self) -> None:
        """Do nothing: all is in memory."""
