"""Callback for the Trainer of Hugging Face transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cogfit.errors import MissingDependencyError
from cogfit.integrations import Metric, MetricRecorder
from cogfit.integrations.boards import Board

try:
    from transformers import TrainerCallback
except ImportError:
    raise MissingDependencyError("transformers", "huggingface", "cogfit.integrations.huggingface") from None


class UtilizationCallback(TrainerCallback):
    """Write attention utilisation whenever the Trainer logs.

    It goes to ``utilization.jsonl`` in the output folder.

    Only the world's first process writes. A run resumed from a checkpoint goes on in the same file; where steps were
    repeated, the reader lets the last value count.

    Parameters
    ----------
    metric : str or callable, optional
        Name of the entry in the Trainer's logs, by default ``attention_utilization`` or whatever else the readers of
        logs would recognise (`cogfit.integrations.MetricRecorder`); or a function of the model that returns the
        utilisation, or a mapping ``{"attention_utilization": …, "layer": …}``, or a list of these.
    path : str or Path, optional
        Folder or file to write to, by default the Trainer's ``output_dir``.
    run : str, optional
        Name of the run.
    boards : sequence of Board, optional
        Where verdict and γ are shown: ``TensorBoard()`` and ``WandB()`` of :mod:`cogfit.integrations.boards`.

    Examples
    --------
    >>> from cogfit.integrations.huggingface import UtilizationCallback
    >>> callback = UtilizationCallback(lambda model: model.router.fraction_attended)
    >>> trainer = Trainer(model, args, train_dataset=data, callbacks=[callback])  # doctest: +SKIP
    """

    def __init__(
        self,
        metric: Metric = None,
        *,
        path: str | Path | None = None,
        run: str | None = None,
        boards: Sequence[Board] = (),
    ) -> None:
        self.recorder = MetricRecorder(metric, run=run, boards=boards)
        self.path = path

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, model: Any = None, **kwargs: Any) -> None:
        """Write what the Trainer has just logged."""
        if state.is_world_process_zero:
            self.recorder.record(state.global_step, logs or {}, model=model, folder=self.path or args.output_dir)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the file."""
        self.recorder.close()
