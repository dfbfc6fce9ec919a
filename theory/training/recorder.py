"""The logs of a run.

What is written in every step, what is counted, and how it is cut back to a checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cogfit import UtilizationLogger
from cogfit.errors import InputError
from cogfit.files import write_atomic
from theory.tasks.srcd import Batch
from theory.training.evaluation import Measures
from theory.training.runs import EVALUATION, read_evaluation, write_evaluation
from theory.training.setup import Training

UTILIZATION, ROUTING, PARQUET = "utilization.jsonl", "routing.jsonl", "routing.parquet"
LOGS = (UTILIZATION, ROUTING)
"""Files that grow with the steps."""

AGAIN = "delete the run to begin anew"


class Observer(Protocol):
    """What the loop tells of one member of a trainer.

    Attributes
    ----------
    exposures : ndarray of int, shape (K + 1,)
        How often each pattern has been asked for, in all steps so far; part of a checkpoint.
    """

    exposures: NDArray[np.int64]

    def begin(self, step: int, exposures: NDArray[np.int64], sizes: Mapping[str, int] | None = None) -> None:
        """Start, or go on, at a step.

        With what :meth:`sync` returned there, if a checkpoint has it.
        """

    def step(self, step: int, seen: Mapping[str, Tensor], batch: Batch[Tensor]) -> None:
        """Record a step.

        With what was observed, if anything was, and its streams, of this member.
        """

    def evaluation(self, step: int, measures: Measures) -> None:
        """The member was measured after so many steps."""

    def sync(self) -> dict[str, int]:
        """Wait until the disk has what was recorded.

        Returns the bytes of each log; part of a checkpoint, which would otherwise survive a power cut alone.
        """

    def finish(self) -> None:
        """All steps are done."""


class Recorder:
    """Writes the logs of one run.

    It can cut them back to a step.

    Parameters
    ----------
    folder : Path
    training : Training
    patterns : int
        K.
    """

    def __init__(self, folder: Path, training: Training, patterns: int) -> None:
        self.folder, self.training = folder, training
        self.exposures = np.zeros(patterns + 1, np.int64)
        self.measured: list[dict[str, Any]] = []
        self.logger: UtilizationLogger | None = None

    def begin(self, step: int, exposures: NDArray[np.int64], sizes: Mapping[str, int] | None = None) -> None:
        """Start, or go on, at a step.

        What was logged from there on is dropped.

        Raises
        ------
        InputError
            If what was logged before the step is not all there.
        """
        self.exposures = exposures.copy()
        logs = {name: _lines_before(self.folder / name, step) for name in LOGS}
        self.measured = [row for row in read_evaluation(self.folder) if row["step"] <= step]
        if sizes is not None:
            self._check_complete(step, logs, sizes)
        for name, lines in logs.items():
            if lines:
                write_atomic(self.folder / name, b"".join(lines))
            else:
                (self.folder / name).unlink(missing_ok=True)
        self.logger = UtilizationLogger(self.folder, rank=0)

    def _check_complete(self, step: int, logs: Mapping[str, Sequence[bytes]], sizes: Mapping[str, int]) -> None:
        """Refuse logs that do not lead up to the checkpoint.

        Going on with them would leave a gap that nobody sees.
        """
        for name, lines in logs.items():
            # a run that was killed just before its end has turned its routing log into Parquet
            is_turned = name == ROUTING and step == self.training.steps and (self.folder / PARQUET).exists()
            if sum(map(len, lines)) != sizes.get(name, 0) and not (is_turned and not lines):
                last = _step_of(lines[-1], self.folder / name, len(lines)) if lines else None
                raise _incomplete(self.folder / name, last, step)
        measured = [row["step"] for row in self.measured]
        if measured != self.training.evaluated_steps(step):
            raise _incomplete(self.folder / EVALUATION, measured[-1] if measured else None, step)

    def step(self, step: int, seen: Mapping[str, Tensor], batch: Batch[Tensor]) -> None:
        """Log a step: arrays (B, N) of one member."""
        assert self.logger is not None
        pattern = batch.pattern.cpu().numpy()
        asked = pattern[pattern > 0]
        exposure = self.exposures[asked] + _times_before(asked)
        np.add.at(self.exposures, asked, 1)
        if not seen:
            return
        numbers = {name: value.float().cpu().numpy() for name, value in seen.items()}
        if step % self.training.log_every == 0:
            self._log_utilization(self.logger, step, numbers, (batch.answer > 0).cpu().numpy())
        if self.training.routing_every and step % self.training.routing_every == 0 and asked.size:
            where = pattern > 0
            rounded = np.round(numbers["quality"][where].astype(float), 4)
            self.logger.log_routing(
                step,
                asked,
                attended=numbers["attended"][where] > 0,
                p_episodic=np.round(numbers["p_episodic"][where].astype(float), 6).clip(0, 1),
                exposure=exposure,
                correct=numbers["correct"][where] > 0,
                quality=None if np.isnan(rounded).all() else rounded,
            )

    @staticmethod
    def _log_utilization(
        logger: UtilizationLogger, step: int, numbers: Mapping[str, NDArray[Any]], query: NDArray[np.bool_]
    ) -> None:
        quality = numbers["quality"][query].mean()
        logger.log(
            step,
            float(numbers["attention"]),
            attention_on_queries=float(numbers["attended"][query].mean()),
            retrieval_accuracy=float(numbers["correct"][query].mean()),
            retrieval_loss=float(numbers["retrieval"]),
            dynamics_mse=float(numbers["dynamics"]),
            predicted_quality=float(quality),
        )

    def evaluation(self, step: int, measures: Measures) -> None:
        """Note an evaluation after so many steps."""
        self.measured.append({"step": step, **asdict(measures)})
        write_evaluation(self.folder, self.measured)

    def sync(self) -> dict[str, int]:
        """Wait until the disk has the logs.

        Returns how many bytes each has.
        """
        assert self.logger is not None
        self.logger.flush(sync=True)
        paths = {name: self.folder / name for name in LOGS}
        return {name: path.stat().st_size for name, path in paths.items() if path.exists()}

    def finish(self) -> None:
        """Close the logs and put the routing log into Parquet."""
        assert self.logger is not None
        self.logger.close()
        source = self.folder / ROUTING
        if source.exists():
            routing_to_parquet(source, self.folder / PARQUET)
            source.unlink()


def _times_before(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each value came before in the same array.

    Examples
    --------
    >>> _times_before(np.array([3, 5, 3, 3, 5]))
    array([0, 0, 1, 2, 1])
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.searchsorted(ordered, ordered, side="left")
    out = np.empty(len(values), np.int64)
    out[order] = np.arange(len(values)) - first
    return out


def _lines_before(path: Path, step: int) -> list[bytes]:
    """The lines of a log before a step.

    Its last line may be torn.
    """
    kept: list[bytes] = []
    if step == 0 or not path.exists():
        return kept
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n") or _step_of(line, path, number) >= step:
                break
            kept.append(line)
    return kept


def _incomplete(path: Path, last: int | None, step: int) -> InputError:
    """The error for a log that lacks rows.

    Or has others than it had when the checkpoint was written.
    """
    if last is None:
        what = "holds no rows" if path.exists() else "is missing"
    else:
        what = f"ends at step {last:.0f}" if last < step - 1 else "is not what was logged"
    return InputError(f"is damaged: {what}, the checkpoint is at {step}", path=path, hint=AGAIN)


def _step_of(line: bytes, path: Path, number: int) -> int:
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError, RecursionError):
        step = None
    if type(step) is not int:
        raise InputError("is damaged: it names no step", path=path, line=number, hint=AGAIN)
    return step


def routing_to_parquet(source: Path, target: Path) -> None:
    """Turn a routing log into Parquet.

    From JSON lines, with the narrowest types that hold them.
    """
    import pyarrow as pa
    import pyarrow.json
    import pyarrow.parquet

    narrow = {"step": pa.int32(), "pattern": pa.int32(), "exposure": pa.int32(), "p_episodic": pa.float32()}
    narrow |= {"attended": pa.bool_(), "correct": pa.bool_(), "quality": pa.float32()}
    table = pyarrow.json.read_json(source)
    columns = {name: table[name].cast(narrow.get(name, table[name].type)) for name in table.column_names}
    out = pa.BufferOutputStream()
    pyarrow.parquet.write_table(pa.table(columns), out, compression="zstd", compression_level=9)
    write_atomic(target, out.getvalue().to_pybytes())
