"""Make the files of a figure from the data.

Picture in three formats, plotted numbers, caption.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cogfit
from cogfit.errors import InputError, nearest
from cogfit.files import csv_for_people, write_atomic
from paper_figures import style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from cogfit import FitResult, Log
    from cogfit.people.block_means import BlockFit
    from cogfit.people.catalogue import Catalogue
    from cogfit.people.dataset import Dataset, Series
    from cogfit.progress import Progress

FORMATS = ("png", "pdf", "svg")

_NOTHING: Callable[..., None] = lambda *_: None  # noqa: E731 - a progress report nobody reads


@dataclass(frozen=True)
class Drawing:
    """What a figure's function returns.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
    data : pandas.DataFrame
        The numbers plotted, tidy: one row per point.
    caption : str
        With the numbers that matter, taken from the data.
    """

    figure: Figure
    data: pd.DataFrame
    caption: str


@dataclass(frozen=True)
class PaperFigure:
    """One line of the registry.

    Attributes
    ----------
    number : int
        In the paper.
    name : str
        For ``--only`` and the names of the files.
    title : str
    draw : callable
        ``draw(data) -> Drawing``.
    needs : tuple of str
        Files and folders of the data folder that it is made from.
    fits : tuple of str
        Recorded runs that it fits.
    curves : tuple of (str, mapping)
        Human data sets that it fits, with the labels of their curves.
    """

    number: int
    name: str
    title: str
    draw: Callable[[Data], Drawing]
    needs: tuple[str, ...]
    fits: tuple[str, ...] = ()
    curves: tuple[tuple[str, Mapping[str, str]], ...] = ()

    @property
    def stem(self) -> str:
        """Name of its files without suffix."""
        return f"figure{self.number}_{self.name}"


@dataclass
class Data:
    """The data folder, read once for all figures.

    So is every log, and every fit is made once.

    Parameters
    ----------
    folder : Path, optional
        By default the one that ships with the package.
    progress : callable, optional
        Called during fits as ``progress(done, total, name)``.
    """

    folder: Path = field(default_factory=lambda: cogfit.data_dir())
    progress: Progress = _NOTHING
    _kept: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)

    def _once(self, kind: str, name: str, make: Callable[[], Any]) -> Any:
        if (kind, name) not in self._kept:
            self._kept[kind, name] = make()
        return self._kept[kind, name]

    def runs(self) -> tuple[str, ...]:
        """Names of the recorded runs, in alphabetical order.

        Those with a utilisation log.
        """
        return tuple(sorted(path.parent.name for path in (self.folder / "runs").glob("*/utilization.csv")))

    def run(self, name: str) -> dict[str, Any]:
        """Description of a recorded run (its ``run.json``)."""
        path = self.folder / "runs" / name / "run.json"
        return dict(self._once("run", name, lambda: json.loads(path.read_text(encoding="utf-8"))))

    def log(self, name: str) -> Log:
        """Log of a recorded run."""
        log: Log = self._once("log", name, lambda: cogfit.read_log(self.folder / "runs" / name))
        return log

    def fit(self, name: str) -> FitResult:
        """Fit of a recorded run, with the defaults of :func:`cogfit.fit`."""
        made: FitResult = self._once("fit", name, lambda: cogfit.fit(self.log(name), progress=self.progress))
        return made

    def prepare(self, runs: Sequence[str], human: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """Make fits in processes of their own.

        Two at a time; what is not prepared is fitted when it is asked for.

        Parameters
        ----------
        runs : sequence of str
        human : sequence of (str, mapping)
            Data sets and the labels of their curves.
        """
        from concurrent.futures import ProcessPoolExecutor, as_completed
        from multiprocessing import get_context

        tasks: list[tuple[tuple[str, str], Callable[..., FitResult], tuple[Any, ...]]] = []
        for name in runs:
            tasks.append((("fit", name), _fit_run, (self.folder / "runs" / name,)))
        for id, labels in human:
            for series in self.human()[id].series(**labels):
                if series.dataset.convention != "block":
                    key = ("human fit", f"{series.dataset.id} {series.name}")
                    tasks.append((key, _fit_series, (self.folder / "human", id, dict(series.labels))))
        tasks = [task for task in tasks if task[0] not in self._kept]
        if len(tasks) < 2:
            return
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            waiting = {pool.submit(make, *arguments): key for key, make, arguments in tasks}
            try:
                for number, future in enumerate(as_completed(waiting)):
                    self._kept[waiting[future]] = future.result()
                    self.progress(number + 1, len(tasks), waiting[future][1])
            except BaseException:  # Ctrl-C, too: what has not begun is not begun
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def human(self) -> Catalogue:
        """Human data of this folder."""
        from cogfit.people.catalogue import read_package

        made: Catalogue = self._once("human", "", lambda: read_package(self.folder / "human"))
        return made

    def human_fit(self, series: Series) -> FitResult:
        """Fit of a human curve.

        As it is counted in its table, by the plan of its data set.
        """
        from cogfit.people.fits import fit_series

        name = f"{series.dataset.id} {series.name}"
        made: FitResult = self._once("human fit", name, lambda: fit_series(series, progress=self.progress).result)
        return made

    def block_fit(self, dataset: Dataset) -> BlockFit:
        """Power law of a table of block means.

        With a level and a γ of each of its groups.
        """
        from cogfit.people.block_means import cells_of, fit_blocks
        from cogfit.people.fits import PLANS

        def make() -> BlockFit:
            cells = cells_of(dataset.series(), PLANS[dataset.id].pool or "", "blocks")
            return fit_blocks(cells, "power_by_group", "blocks")

        made: BlockFit = self._once("block fit", dataset.id, make)
        return made

    def published(self, name: str) -> pd.DataFrame:
        """Read a table of numbers that a paper gives."""
        import pandas as pd

        path = self.folder / "published" / f"{name}.csv"
        made: pd.DataFrame = self._once("published", name, lambda: pd.read_csv(path))
        return made

    def table(self, name: str) -> pd.DataFrame:
        """Read a committed table of simulations, its text as text."""
        import pandas as pd

        path = self.folder / "benchmarks" / f"{name}.csv"
        made: pd.DataFrame = self._once("table", name, lambda: pd.read_csv(path, dtype={"floor": str}))
        return made

    def redundancy(self, name: str) -> pd.DataFrame:
        """Attention redundancy of a language model over training.

        A row per step, part and kind of token.
        """
        import pandas as pd

        path = self.folder / "runs" / name / "redundancy.csv"
        made: pd.DataFrame = self._once("redundancy", name, lambda: pd.read_csv(path))
        return made

    def steps(self, name: str, width: int) -> pd.DataFrame:
        """Columns of the utilisation log in bins.

        Bins of `width` steps; no bin holds forced and free steps.

        Returns
        -------
        pandas.DataFrame
            Columns ``run``, ``column``, ``step`` (middle of the bin), ``mean``, ``low``, ``high`` (5 and 95 %
            quantiles of the steps), ``forced`` (whether every token was made to attend).
        """
        import numpy as np
        import pandas as pd

        log = self.log(name)
        assert log.utilization is not None
        frame = log.utilization.frame
        step = frame["step"].to_numpy(dtype=float)
        forced = self.run(name)["forced_attention_steps"]
        start = 0 if forced is None else forced[1] + 1
        label = np.floor((step - start) / width)
        parts = []
        for column in ("attention_utilization", "retrieval_accuracy"):
            bins = frame[column].groupby(label)
            table = pd.DataFrame({"mean": bins.mean(), "low": bins.quantile(0.05), "high": bins.quantile(0.95)})
            table.insert(0, "step", pd.Series(step).groupby(label).mean())
            table.insert(0, "column", column)
            parts.append(table)
        out = pd.concat(parts, ignore_index=True)
        out.insert(0, "run", name)
        out["forced"] = out["step"] < start
        return out


def _fit_run(folder: Path) -> FitResult:
    """Fit a recorded run.

    In a process of its own.
    """
    return cogfit.fit(folder)


def _fit_series(folder: Path, id: str, labels: dict[str, str]) -> FitResult:
    """Fit a human curve.

    In a process of its own.
    """
    from cogfit.people.catalogue import read_package
    from cogfit.people.fits import fit_series

    return fit_series(read_package(folder)[id].series(**labels)[0]).result


def choose(figures: Sequence[PaperFigure], names: Sequence[str]) -> tuple[PaperFigure, ...]:
    """Return the figures with these names or numbers.

    All, where none is named, in the order of the paper.

    Raises
    ------
    InputError
        For a name that no figure has.
    """
    known = {key: item for item in figures for key in (item.name, str(item.number))}
    for name in names:
        if name not in known:
            raise InputError(f"there is no figure '{name}'", hint=nearest(name, [item.name for item in figures]))
    chosen = {known[name].number for name in names} if names else {item.number for item in figures}
    return tuple(sorted((item for item in figures if item.number in chosen), key=lambda item: item.number))


def build(figures: Sequence[PaperFigure], out: Path, data: Data) -> Iterator[tuple[PaperFigure, list[Path]]]:
    """Make figures one after the other.

    A figure's files are written when all of them are ready.

    Parameters
    ----------
    figures : sequence of PaperFigure
    out : Path
        Folder; made where it does not exist.
    data : Data

    Yields
    ------
    PaperFigure, list of Path
        What was written.

    Raises
    ------
    InputError
        If data are missing or the folder cannot be written.
    """
    for item in figures:
        for need in item.needs:
            if not (data.folder / need).exists():
                raise InputError(
                    f"figure '{item.name}' needs it, and it is missing",
                    path=data.folder / need,
                    hint="reinstall the package, or leave the figure out with --only",
                )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made a folder ({error.strerror})", path=out, hint="name another --out") from error
    curves = {(id, tuple(labels.items())): (id, labels) for item in figures for id, labels in item.curves}
    data.prepare(list(dict.fromkeys(name for item in figures for name in item.fits)), list(curves.values()))
    for item in figures:
        content = contents(item, data)
        for suffix, payload in content.items():
            write_atomic(out / f"{item.stem}.{suffix}", payload)
        yield item, [out / f"{item.stem}.{suffix}" for suffix in content]


def contents(item: PaperFigure, data: Data) -> dict[str, bytes]:
    """Draw a figure and return its files' bytes.

    By suffix; the same data give the same bytes.
    """
    import matplotlib

    from cogfit.show.plots import render

    with matplotlib.rc_context(style.RC):
        drawing = item.draw(data)
        drawing.figure.draw_without_rendering()  # places the parts; once is enough for all formats
        drawing.figure.set_layout_engine("none")
        out = {kind: render(drawing.figure, kind, style.DPI, is_placed=True) for kind in FORMATS}
    out["csv"] = csv_for_people(drawing.data, float_format="%.6g", lineterminator="\n").encode()
    out["txt"] = f"Figure {item.number}. {item.title}. {drawing.caption}\n".encode()
    return out
