"""What `cogfit.inspect` finds: records with a JSON document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from cogfit.formulas.form import Array
from cogfit.records.codec import Document, Nan, wire

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SCHEMA = "cogfit.inspect/1"

Trend = Literal["falls", "rises", "neither"]
"""How values go along x; see :data:`cogfit.inspection.trend.CLEAR`."""


@dataclass(frozen=True)
class FileRows(Document):
    """A file that was read.

    Attributes
    ----------
    path, format : str
    rows : int
    """

    path: str
    format: str
    rows: int


@dataclass(frozen=True)
class Axis(Document):
    """A column that may be x.

    Attributes
    ----------
    name : str
        ``"row"`` counts the rows.
    low, high : float
    is_used : bool
        Whether the commands take it.
    x_offset : float
        What the commands add to it: 1 to epochs that count from 0.
    """

    name: str
    low: Nan
    high: Nan
    is_used: bool = False
    x_offset: float = 0.0


@dataclass(frozen=True)
class RunRows(Document):
    """A run, with the rows of it that count.

    Attributes
    ----------
    name : str
    rows : int
    first, last : float
        Lowest and highest x.
    trainings : int
        How often it was trained from the beginning.
    """

    name: str
    rows: int
    first: float
    last: float
    trainings: int = 1


@dataclass(frozen=True)
class SplitRows(Document):
    """A split of the data.

    Attributes
    ----------
    name : str
    rows : int
        That count; 0 where columns belong to splits, not rows.
    """

    name: str
    rows: int


@dataclass(frozen=True)
class Restarted(Document):
    """A restart of training.

    Attributes
    ----------
    run, split : str
        Empty where the log has none.
    reached, step : float
        Highest x before, and the x that training went on from.
    rows_void : int
        Rows that do not count any more.
    is_declared : bool
        Whether the log itself says so.
    """

    run: str
    split: str
    reached: float
    step: float
    rows_void: int
    is_declared: bool


@dataclass(frozen=True)
class PatternRows(Document):
    """Patterns of a routing log.

    Attributes
    ----------
    patterns : int
    fewest, most : int
        Rows of a pattern.
    median : float
    novel : int
        Rows without a pattern.
    overridden : int
        Rows whose decision is not the router's own.
    """

    patterns: int
    fewest: int
    most: int
    median: float
    novel: int
    overridden: int


@dataclass(frozen=True)
class Line(Document):
    """Values against x, for pictures.

    Attributes
    ----------
    run : str
        Empty where it is a mean, or the only one.
    x, y : ndarray
    """

    run: str
    x: Array
    y: Array


@dataclass(frozen=True)
class ColumnFacts(Document):
    """A column of numbers, and how to fit it.

    Attributes
    ----------
    name : str
    split : str
        Empty where the log has no splits.
    role : str
        What its name says that it is; empty if nothing.
    x : str
        What the command takes as x, with what it adds; empty where there is no command.
    logged : int
        Finite values in the files.
    n : int
        Values that the command fits; the following speak of these. All that were logged where there is no command.
    low, high : float
    first, last : float
        Mean value at the lowest and at the highest x.
    trend : {"falls", "rises", "neither"}
    warnings : tuple of str
    command : str
        Empty if none fits it.
    problem : str
        Why there is no command.
    lines : tuple of Line
        Of the first columns only.
    """

    name: str
    split: str
    role: str
    x: str
    logged: int
    n: int
    low: Nan
    high: Nan
    first: Nan
    last: Nan
    trend: Trend
    warnings: tuple[str, ...] = ()
    command: str = ""
    problem: str = ""
    lines: tuple[Line, ...] = field(default=(), repr=False, metadata=wire(omit=True))


@dataclass(frozen=True)
class Suggestion(Document):
    """A command, and what it does.

    Attributes
    ----------
    what, command : str
    """

    what: str
    command: str


@dataclass(frozen=True)
class Inspection(Document):
    """What :func:`cogfit.inspect` finds.

    Attributes
    ----------
    path, format : str
    files : tuple of FileRows
    rows : int
        Rows in the files, before anything is left out.
    kind : {"utilization", "routing", "both", ""}
        Kind of log that is recognised without options.
    refusal : str
        Why ``cogfit fit`` without options refuses it; empty if it does not.
    axes : tuple of Axis
        Candidates for x, the one that is used first.
    runs : tuple of RunRows
    unlike_runs : tuple of str
        Runs that are no replicates by their names, over which no mean is taken.
    splits : tuple of SplitRows
    restarts : tuple of Restarted
    counted_in : str
        Column whose values runs, splits and restarts are counted by.
    labels : dict of str to int
        Number of layers, heads and patterns.
    patterns : PatternRows or None
    columns : tuple of ColumnFacts
        Attention utilisation first, then columns that fall.
    texts : tuple of str
        Columns that hold no numbers.
    suggestions : tuple of Suggestion
        Commands that fit the log as a whole.
    notes, warnings : tuple of str
        What reading noticed.

    Examples
    --------
    >>> import cogfit
    >>> found = cogfit.inspect(cogfit.data_dir() / "runs" / "srcd-n256-consolidates")
    >>> found.kind, found.patterns.patterns
    ('both', 100)
    """

    SCHEMA: ClassVar[str] = SCHEMA

    path: str
    format: str
    files: tuple[FileRows, ...]
    rows: int
    kind: Literal["utilization", "routing", "both", ""]
    refusal: str
    axes: tuple[Axis, ...]
    runs: tuple[RunRows, ...]
    unlike_runs: tuple[str, ...]
    splits: tuple[SplitRows, ...]
    restarts: tuple[Restarted, ...]
    counted_in: str
    labels: dict[str, int]
    patterns: PatternRows | None
    columns: tuple[ColumnFacts, ...]
    texts: tuple[str, ...]
    suggestions: tuple[Suggestion, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Inspection {self.path}: {self.kind or 'nothing recognised'}, {self.rows:,} rows>"

    def __str__(self) -> str:
        """Say it in lines of text."""
        from cogfit.show.inspection import inspection_text

        return inspection_text(self)

    def table(self) -> pd.DataFrame:
        """One row for each column of numbers.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd

        documents = [column.to_json() for column in self.columns]
        return pd.DataFrame([{key: row[key] for key in row if key != "lines"} for row in documents])

    def plot(self) -> Figure:
        """Draw each column against x, the first twelve.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from cogfit.show.inspection import plot_inspection

        return plot_inspection(self)
