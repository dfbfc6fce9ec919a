"""Callback for the Trainer of Lightning.

Lightning may be imported as ``lightning.pytorch`` or as ``pytorch_lightning``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError, MissingDependencyError
from cogfit.integrations import Metric, MetricRecorder
from cogfit.integrations.boards import Board

_LIBRARIES = ("lightning.pytorch", "pytorch_lightning")


def _callback_classes() -> tuple[type, ...]:
    """Base classes of the library in use.

    It is the one that the training code has imported, or else one that is there.
    """
    imported = [name for name in _LIBRARIES if name in sys.modules]
    classes = []
    for name in imported or _LIBRARIES:
        try:
            classes.append(importlib.import_module(name).Callback)
        except ImportError:
            continue
        if not imported:
            break
    if not classes:
        raise MissingDependencyError("lightning", "lightning", "cogfit.integrations.lightning")
    return tuple(classes)


if TYPE_CHECKING:

    class _Callback:
        """The base class, as a type checker needs it.

        It is the same for both libraries.
        """

else:
    _Callback = type("_Callback", _callback_classes(), {})


class UtilizationCallback(_Callback):
    """Write attention utilisation to ``utilization.jsonl`` every few training steps.

    Only the process of global rank zero writes. The path goes into checkpoints, so that a resumed run goes on in the
    same file; where steps were repeated, the reader lets the last value count.

    Parameters
    ----------
    metric : str or callable, optional
        Name given to ``self.log`` in the training step, by default ``attention_utilization`` or whatever else the
        readers of logs would recognise (`cogfit.integrations.MetricRecorder`); or a function of the LightningModule
        that returns the utilisation, or a mapping ``{"attention_utilization": …, "layer": …}``, or a list of these.
    every_n_steps : int, default 1
        Write at every n-th optimizer step. Lightning keeps the last value of a metric, so that one logged less often
        than this is repeated.
    path : str or Path, optional
        Folder or file to write to, by default the Trainer's ``log_dir``, or its ``default_root_dir`` without a logger.
    run : str, optional
        Name of the run.
    boards : sequence of Board, optional
        Where verdict and γ are shown: ``TensorBoard()`` and ``WandB()`` of :mod:`cogfit.integrations.boards`.

    Examples
    --------
    >>> from cogfit.integrations.lightning import UtilizationCallback
    >>> callback = UtilizationCallback("attention_utilization", every_n_steps=10)
    >>> trainer = Trainer(callbacks=[callback])  # doctest: +SKIP
    """

    def __init__(
        self,
        metric: Metric = None,
        *,
        every_n_steps: int = 1,
        path: str | Path | None = None,
        run: str | None = None,
        boards: Sequence[Board] = (),
    ) -> None:
        super().__init__()
        if every_n_steps < 1:
            raise InputError(f"`every_n_steps` must be at least 1, not {every_n_steps}")
        self.recorder = MetricRecorder(metric, run=run, boards=boards)
        self.every_n_steps = every_n_steps
        self.path = path
        self._folder: str | None = None
        self._last_step = -1

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Find out where to write. All ranks do, because Lightning's ``log_dir`` is agreed on between them."""
        default = str(trainer.log_dir or trainer.default_root_dir)
        if self._folder is None:
            self._folder = str(self.path or default)
        self._last_step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, *unused: Any
    ) -> None:
        """Write what the training step has logged."""
        step = trainer.global_step
        # Accumulating gradients leaves the step as it is: write once a step.
        if not trainer.is_global_zero or step == self._last_step or step % self.every_n_steps or self._folder is None:
            return
        self._last_step = step
        metrics: Mapping[str, Any] = {**trainer.logged_metrics, **trainer.callback_metrics}
        self.recorder.record(step, metrics, model=pl_module, folder=self._folder)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Close the file."""
        self.recorder.close()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Close the file."""
        self.recorder.close(expected=False)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: where this run is written."""
        return {"folder": self._folder}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on writing where the checkpoint's run did.

        Not if that no longer exists or a path was given.
        """
        folder = state_dict.get("folder")
        if self.path is None and isinstance(folder, str) and Path(folder).exists():
            self._folder = folder
