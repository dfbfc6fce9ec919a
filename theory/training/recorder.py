"""The logs of a run.

What is written in every step, what is counted, and how it is cut back to a checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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
from theory.training.runs import read_evaluation, write_evaluation
from theory.training.setup import Training


class Observer(Protocol):
    """What the loop tells of one member of a trainer.

    Attributes
    ----------
    exposures : ndarray of int, shape (K + 1,)
        How often each pattern has been asked for, in all steps so far; part of a checkpoint.
    """

    exposures: NDArray[np.int64]

    def begin(self, step: int, exposures: NDArray[np.int64]) -> None:
        """Start, or go on, at a step."""

    def step(self, step: int, seen: Mapping[str, Tensor], batch: Batch[Tensor]) -> None:
        """Record a step.

        With what was observed, if anything was, and its streams, of this member.
        """

    def evaluation(self, step: int, measures: Measures) -> None:
        """The member was measured after so many steps."""

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

    def begin(self, step: int, exposures: NDArray[np.int64]) -> None:
        """Start, or go on, at a step.

        What was logged from there on is dropped.
        """
        self.exposures = exposures.copy()
        for name in ("utilization.jsonl", "routing.jsonl"):
            _keep_before(self.folder / name, step)
        self.measured = [row for row in read_evaluation(self.folder) if row["step"] <= step]
        self.logger = UtilizationLogger(self.folder, rank=0)

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

    def finish(self) -> None:
        """Close the logs and put the routing log into Parquet."""
        assert self.logger is not None
        self.logger.close()
        source = self.folder / "routing.jsonl"
        if source.exists():
            routing_to_parquet(source, self.folder / "routing.parquet")
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


def _keep_before(path: Path, step: int) -> None:
    """Drop the lines of a log from a step on.

    Its last line may be torn.
    """
    if not path.exists():
        return
    if step == 0:
        path.unlink()
        return
    kept = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n") or _step_of(line, path, number) >= step:
                break
            kept.append(line)
    write_atomic(path, b"".join(kept))


def _step_of(line: bytes, path: Path, number: int) -> int:
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError, RecursionError):
        step = None
    if type(step) is not int:
        raise InputError("is damaged: it names no step", path=path, line=number, hint="delete the run to begin anew")
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
