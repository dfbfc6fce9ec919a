"""Callbacks for training libraries: they write attention utilisation.

`cogfit.integrations.huggingface` and `cogfit.integrations.lightning` need their libraries; this module has what they
share and needs none.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cogfit.errors import InputError, nearest
from cogfit.integrations.boards import Board, Feedback
from cogfit.logs.columns import Level, NoLogColumns, find_columns, recognised_role
from cogfit.logs.formats.reader import ReadOptions
from cogfit.logs.writer import UtilizationLogger

METRIC = "attention_utilization"

_EVALUATION = re.compile(r"(?:eval|evaluation|val|valid|validation|test)[/_.]", re.IGNORECASE)

Measured = float | Mapping[str, Any] | Sequence[Mapping[str, Any]]
Metric = str | Callable[[Any], Measured] | None


class MetricRecorder:
    """Find attention utilisation among metrics, and write it.

    It may also be measured.

    Nothing here ever ends a training run: a value that cannot be written is told by one warning, and left out.

    Parameters
    ----------
    metric : str or callable, optional
        Name of the metric. By default it is recognised as the readers of logs do (`cogfit.logs.columns`), with its
        layer and head, and metrics of an evaluation are passed over. Or a function of the model that returns the
        utilisation, or a mapping of arguments of `UtilizationLogger.log` (``attention_utilization`` and, say,
        ``layer``), or a list of such mappings.
    run : str, optional
        Name of the run.
    boards : sequence of Board, optional
        Where verdict and γ are shown while training runs (:mod:`cogfit.integrations.boards`): when the log has 20, 40,
        80, … points, and at the end. Each takes a second or a few.

    Examples
    --------
    >>> import tempfile
    >>> recorder = MetricRecorder()
    >>> recorder.record(3, {"loss": 2.0, "train/attention_utilization": 0.5}, model=None, folder=tempfile.mkdtemp())
    >>> print(recorder.path.read_text(), end="")
    {"step":3,"attention_utilization":0.5}
    >>> recorder.close()
    """

    def __init__(self, metric: Metric = None, *, run: str | None = None, boards: Sequence[Board] = ()) -> None:
        if metric is not None and not isinstance(metric, str) and not callable(metric):
            raise InputError(f"`metric` must be a name or a function of the model, not {metric!r:.60}")
        self.metric, self.run = metric, run
        self.path: Path | None = None
        self._logger: UtilizationLogger | None = None
        self._last_step: int | None = None
        self._seen: set[str] = set()
        self._found: dict[tuple[str, ...], tuple[Level, ...]] = {}  # by the names that came together
        self._written = 0
        self._warned = False
        self._feedback = Feedback(boards)
        self._shown_step: int | None = None

    def record(self, step: int, metrics: Mapping[str, Any], *, model: Any, folder: str | Path) -> None:
        """Write the utilisation of a step.

        The file is opened the first time.
        """
        before = self._written
        try:
            for row in self._rows(step, metrics, model):
                if METRIC not in row:
                    raise InputError(f"`metric` returned a mapping without '{METRIC}'")
                if self._logger is None:
                    # The trainer knows who is the first process; the environment may know a rank within the node only.
                    self._logger = UtilizationLogger(folder, rank=0, run=self.run)
                    self.path = self._logger.utilization_path
                self._logger.log(step, **row)
                self._written += 1
        except (InputError, TypeError) as error:
            self._warn(f"attention utilisation was not written at step {step}: {error}")
        if self._written > before and self.path is not None:
            self._shown_step = step
            self._try_to_show(self._feedback.after_step)

    def _try_to_show(self, show: Callable[[Path, int], None]) -> None:
        """Show the log on the boards, whatever comes of it."""
        if self.path is None or self._shown_step is None:
            return
        try:
            show(self.path, self._shown_step)
        except Exception as error:  # whatever is wrong with a fit or a board, training goes on
            self._warn(f"no verdict was shown at step {self._shown_step}: {error}")

    def close(self, *, expected: bool = True) -> None:
        """Close the file.

        Warn if nothing was written although metrics came by.
        """
        if self._logger is not None:
            self._logger.close()
            self._logger = None
            self._try_to_show(self._feedback.finish)
        if expected and not self._written and self._seen:
            wanted = self.metric if isinstance(self.metric, str) else METRIC
            self._warn(
                f"no attention utilisation was written: no metric is called '{wanted}'; {nearest(wanted, self._seen)}"
            )
        self._last_step = None

    def _warn(self, message: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(message, RuntimeWarning, stacklevel=4)

    def _rows(self, step: int, metrics: Mapping[str, Any], model: Any) -> list[Mapping[str, Any]]:
        if not isinstance(self.metric, str | None):
            if step == self._last_step:  # trainers report several times at one step; measuring once is enough
                return []
            self._last_step = step
            measured = self.metric(model)
            if isinstance(measured, Mapping):
                return [measured]
            if isinstance(measured, list | tuple):
                return list(measured)
            return [{METRIC: measured}]
        names = tuple(map(str, metrics))
        if names not in self._found:
            self._seen.update(names)
            self._found[names] = self._find(names)
        return [
            {METRIC: metrics[level.column], "layer": level.layer, "head": level.head} for level in self._found[names]
        ]

    def _find(self, names: tuple[str, ...]) -> tuple[Level, ...]:
        chosen = self.metric if isinstance(self.metric, str) else None
        if chosen is not None:
            names = tuple(name for name in names if name == chosen or recognised_role(name) in (None, "utilization"))
        else:
            names = tuple(
                name for name in names if recognised_role(name) == "utilization" and not _EVALUATION.match(name)
            )
        try:
            return find_columns(["step", *names], ReadOptions(y=chosen), Path("metrics")).utilization
        except NoLogColumns:  # not logged this time
            return ()
