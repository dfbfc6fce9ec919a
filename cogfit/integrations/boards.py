"""Verdict and γ, written back to TensorBoard and W&B while training runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cogfit.errors import InputError, MissingDependencyError

if TYPE_CHECKING:
    from cogfit.following.records import Look

NAMES = ("cogfit/gamma", "cogfit/gamma_low", "cogfit/gamma_high")
"""Curves on a board: γ and its limits, where they are measured."""

TEXT = "cogfit/verdict"
"""Text on a board: the headline, and what repeated looking does to it."""


class Board(Protocol):
    """Where a look at a run is shown."""

    def write(self, look: Look, step: int, folder: Path) -> None:
        """Show a look that was made at a step.

        Parameters
        ----------
        look : Look
        step : int
        folder : Path
            Of the log.
        """

    def close(self) -> None:
        """Write what is left."""


class TensorBoard:
    """Write verdict and γ as TensorBoard events.

    Parameters
    ----------
    folder : str or Path, optional
        Where event files go, by default beside the log. In the folder of the run's own events they appear as one run.

    Examples
    --------
    >>> from cogfit.integrations.boards import TensorBoard
    >>> callback = UtilizationCallback(boards=[TensorBoard("out/runs/seed0")])  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        try:
            import tensorboard  # noqa: F401
        except ImportError:
            raise MissingDependencyError("tensorboard", "logs", "cogfit.integrations.boards.TensorBoard") from None
        self.folder = folder
        self._writer: Any = None

    def write(self, look: Look, step: int, folder: Path) -> None:
        """Append events."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
        from tensorboard.util.tensor_util import make_tensor_proto

        if self._writer is None:
            self._writer = EventFileWriter(str(self.folder or folder), filename_suffix=".cogfit")
        values = [Summary.Value(tag=name, simple_value=value) for name, value in numbers_of(look)]
        plugin = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        said = make_tensor_proto([_words(look).encode()])
        values.append(Summary.Value(tag=TEXT, metadata=plugin, tensor=said))
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class WandB:
    """Write verdict and γ to a run of Weights & Biases.

    It may be offline; nothing here needs a network.

    Parameters
    ----------
    run : object, optional
        What ``wandb.init`` returned, by default the run of this process.

    Examples
    --------
    >>> from cogfit.integrations.boards import WandB
    >>> callback = UtilizationCallback(boards=[WandB()])  # doctest: +SKIP
    """

    def __init__(self, run: Any = None) -> None:
        self._run = run

    def write(self, look: Look, step: int, folder: Path) -> None:
        """Log γ, and put the verdict into the summary."""
        run = self._run or _run_of_process()
        # a step of its own: W&B refuses those that lie behind what was logged last
        run.log({"cogfit/step": step, **dict(numbers_of(look))})
        run.summary[TEXT] = _words(look)

    def close(self) -> None:
        """Leave the run to whoever began it."""


def _run_of_process() -> Any:
    """The run that training began."""
    try:
        import wandb
    except ImportError:
        raise InputError("wandb is not installed", hint="pip install wandb") from None
    if wandb.run is None:
        raise InputError("there is no run of W&B", hint="call wandb.init first, or give its run")
    return wandb.run


def numbers_of(look: Look) -> Iterator[tuple[str, float]]:
    """Name and value of γ and its limits, if measured.

    Parameters
    ----------
    look : Look
    """
    fit = look.fit
    if fit.gamma is None or fit.interval is None or fit.selected.standing().kind != "measured":
        return
    yield from zip(NAMES, (fit.gamma, *fit.interval), strict=True)


def _words(look: Look) -> str:
    return f"{look.fit.headline()}\n\n{look.caution}"


class Feedback:
    """Fit the log of a run at twice the points and at the end, and show it.

    Nothing here ever ends a training run: what fails is told by one warning.

    Parameters
    ----------
    boards : sequence of Board
    """

    def __init__(self, boards: Sequence[Board]) -> None:
        self.boards = tuple(boards)
        self._steps = 0
        self._last: Look | None = None

    def after_step(self, path: Path, step: int) -> None:
        """Show the log if it has twice the points.

        Parameters
        ----------
        path : Path
            Of the log.
        step : int
            The last one that was written.
        """
        from cogfit.following.records import FIRST

        self._steps += 1
        due = FIRST if self._last is None else self._last.next_points
        if self.boards and 0 < due <= self._steps:
            self._show(path, step)

    def finish(self, path: Path, step: int) -> None:
        """Show the whole log, and close the boards."""
        if self.boards:
            self._show(path, step)
            for board in self.boards:
                board.close()

    def _show(self, path: Path, step: int) -> None:
        from cogfit import fitting
        from cogfit.following.api import next_look, rows_of
        from cogfit.logs import read_log

        log = read_log(path)
        self._last = next_look(self._last, rows_of(log), fitting.fit(log), path)
        for board in self.boards:
            board.write(self._last, step, path.parent)
