"""One table of human data and its curves.

A :class:`Dataset` knows axis, unit of repetition, convention, measure, scale, level of averaging and citation; a
:class:`Series` is one curve of it, ready for :func:`cogfit.fit`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError, nearest, shortlist
from cogfit.formulas.form import MEASURES as FITTED_MEASURES
from cogfit.formulas.form import Array
from cogfit.people.shares import count_shares
from cogfit.records.codec import Document, wire

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.curves.curve import Curve

KINDS: dict[str, str] = {
    "curve": "y against a number: forms are fitted",
    "contrast": "y under a few conditions (two delays, say): differences with intervals, never an exponent",
    "estimates": "one estimate per subject: their distribution is described",
}
"""What a table holds."""

AXES: dict[str, str] = {
    "repetition": "how often something was done",
    "delay": "time since learning",
    "lag": "items between study and test",
    "age": "age of the memory",
}
"""What x counts."""

REPEATED: dict[str, str] = {
    "item": "one and the same item (a pair, an equation, a word)",
    "task": "one and the same task as a whole",
    "page": "material of the same kind, new every time",
}
"""What is repeated, on a repetition axis."""

CONVENTIONS: dict[str, str] = {
    "prior": "k = earlier presentations (k = 0 has no power-law value)",
    "inclusive": "k = presentations including this one",
    "block": "y is a mean over a block of presentations k_first … k_last, this one included",
    "elapsed": "time from the end of learning to the test",
    "intervening": "items between study and test",
}
"""How x is counted."""

MEASURES: dict[str, str] = {
    "latency": "a time",
    "error": "a proportion of errors",
    "probability": "a proportion recalled",
    "strategy": "a share of trials solved by the slow route (the algorithm; attention)",
    "savings": "share of work saved at relearning",
    "effect": "a difference of ratings",
    "count": "a number of details",
    "utilization": "a share of computation",
    "other": "something else",
}
"""What y is."""

ROUTES: dict[str, str] = {
    "recollection": "remembering the occasion ('remember')",
    "knowing": "recognising without remembering ('know'); what recollection leaves over",
    "familiarity": "recognising where one does not remember, taken as independent of remembering: K/(1 − R)",
    "algorithm": "working the answer out",
    "retrieval": "having the answer at once",
    "slow route of a model": "attention over stored episodes",
}
"""By which way an answer comes, where a measure is a share of answers."""

SHARES = ("error", "probability", "strategy")
"""Measures that may be shares of counted trials."""

LEVELS: dict[str, str] = {
    "subject": "one subject",
    "list": "one list of one subject",
    "team": "one team",
    "subject mean": "means over subjects, or over the lists of each subject, with known uncertainty or subjects",
    "group mean": "means over a group whose members are not known",
    "unknown": "not known",
}
"""Level of averaging of a value."""

UNCERTAINTIES: dict[str, str] = {
    "none": "no uncertainty is known",
    "standard error": "standard error of the mean",
    "probable error": "probable error of the mean, 0.6745 standard errors",
    "standard deviation": "standard deviation; divided by √n where n is known",
}
"""What the column of uncertainty holds."""

VERIFICATIONS: dict[str, str] = {
    "read": "read in the named source",
    "secondary": "read in a source that quotes the original",
    "computed": "summarised from raw data that were read",
    "unverified": "not stated",
}
"""How a value is known."""

PROBABLE_ERROR = 0.6744897501960817
"""Probable error of a normal mean in standard errors."""

NUMERIC = ("integer", "number")
TYPES = ("string", *NUMERIC)
"""Types of columns."""


@dataclass(frozen=True)
class Field:
    """One column of a table.

    Attributes
    ----------
    name, type, title : str
        Type is ``"string"``, ``"integer"`` or ``"number"``.
    unit : str or None
    """

    name: str
    type: str
    title: str
    unit: str | None = None


@dataclass(frozen=True)
class Columns:
    """Which column of a table plays which part.

    Attributes
    ----------
    y : str or None
        The measure; None where it is the share of successes in the trials.
    x : str or None
        The axis.
    uncertainty : str or None
    n, trials : str or None
        Subjects, and yes/no outcomes, behind each value.
    successes : str or None
        How many of the trials y counts (errors, where y is their share).
    cluster : str or None
        Whose values belong together (subject, list, team).
    category : str or None
        Condition of a contrast.
    first, last : str or None
        Ends of the block of which y is a mean.
    keep : str or None
        0 where the authors drop the value, else 1.
    series : tuple of str
        Columns whose values tell the curves of the table apart.
    """

    y: str | None = None
    x: str | None = None
    uncertainty: str | None = None
    n: str | None = None
    trials: str | None = None
    successes: str | None = None
    cluster: str | None = None
    category: str | None = None
    first: str | None = None
    last: str | None = None
    keep: str | None = None
    series: tuple[str, ...] = ()

    @property
    def value(self) -> str:
        """Column of y, or of what it counts."""
        return self.y or self.successes or ""


@dataclass(frozen=True, eq=False)
class Series:
    """One curve of a data set.

    Attributes
    ----------
    dataset : Dataset
        Where measure, scale, axis, unit, level and citation stand.
    labels : mapping of str to str
        What tells this curve from the others of its table; empty where there is one only.
    x, y : ndarray, shape (n,)
        x is NaN where a contrast has a condition without a number.
    convention : str
        A key of :data:`CONVENTIONS`.
    n : int or None
        Subjects behind the curve.
    se : ndarray or None
        Standard errors (of probable errors and of standard deviations with known n, too); of estimates NaN where one
        has none.
    subjects, trials : ndarray or None
        Behind each y.
    clusters, category : ndarray of str or None
        Label of each y.
    first, last : ndarray or None
        Ends of the blocks.
    kept : ndarray of bool or None
        False where the authors drop the value.
    notes : tuple of str
        What was done to the values of the table, in words.
    """

    dataset: Dataset = field(repr=False)
    labels: Mapping[str, str]
    x: Array
    y: Array
    convention: str
    n: int | None = None
    se: Array | None = None
    subjects: Array | None = None
    trials: Array | None = None
    clusters: NDArray[Any] | None = None
    category: NDArray[Any] | None = None
    first: Array | None = None
    last: Array | None = None
    kept: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Labels in words.

        Where there is one curve only, the data set's title.
        """
        return ", ".join(self.labels.values()) or self.dataset.title

    @property
    def weights(self) -> Array | None:
        """1/SE², None where standard errors are not known."""
        return None if self.se is None else 1.0 / self.se**2

    @property
    def is_counted(self) -> bool:
        """Whether y are shares of counted trials.

        Known standard errors go before counts: they hold what differs between subjects, too.
        """
        return self.trials is not None and self.se is None and self.dataset.measure in SHARES

    @property
    def noise(self) -> str:
        """Noise model of the values, "" where not known.

        Weights are known variances of y, not of log y.
        """
        if self.is_counted:
            return "binomial"
        return "" if self.se is None else "gaussian"

    @property
    def weighted_by(self) -> str:
        """What weights the points: standard errors, trials or none."""
        if self.is_counted:
            return "trials"
        return "none" if self.se is None else "standard errors"

    def take(self, keep: NDArray[np.bool_]) -> Series:
        """Return the curve at the points where `keep` is true."""
        names = ("x", "y", "se", "subjects", "trials", "clusters", "category", "first", "last", "kept")
        whole = {name: getattr(self, name) for name in names}
        parts: dict[str, Any] = {name: None if v is None else v[keep] for name, v in whole.items()}
        return replace(self, **parts)

    def under(self, convention: str) -> Series:
        """Count repetitions by another convention.

        Parameters
        ----------
        convention : {"prior", "inclusive"}

        Returns
        -------
        Series
            With x (and the ends of blocks) moved by one where needed. Blocks stay blocks: theirs is the count that
            includes the presentation, and ``under("prior")`` moves their ends.

        Raises
        ------
        InputError
            If the axis does not count repetitions.

        Examples
        --------
        >>> import cogfit
        >>> curve = cogfit.human("anderson1981_latency").series()[0]
        >>> curve.x[0], curve.under("prior").x[0]
        (np.float64(2.0), np.float64(1.0))
        """
        if self.dataset.axis != "repetition":
            raise InputError(f"'{self.dataset.id}' has no repetitions to count: its axis is {self.dataset.axis}")
        if convention not in ("prior", "inclusive"):
            raise InputError(f"unknown convention {convention!r}", hint="choose from prior, inclusive")
        move = {"prior": 0.0}.get(convention, 1.0) - {"prior": 0.0}.get(self.convention, 1.0)
        if move == 0.0:
            return self
        first, last = (None if v is None else v + move for v in (self.first, self.last))
        return replace(self, x=self.x + move, first=first, last=last, convention=convention)

    def mean(self) -> Series:
        """Average over clusters at every x or condition.

        Returns
        -------
        Series
            With standard errors over clusters; this one where nothing is clustered. Shares of counted trials are pooled
            over the clusters, as the likelihood pools them.
        """
        if self.clusters is None:
            return self
        key = self.x if self.category is None else self.category
        values, first, code = np.unique(key, return_index=True, return_inverse=True)
        order = np.argsort(first, kind="stable") if self.category is not None else np.arange(values.size)
        weight = self.trials if self.is_counted and self.trials is not None else np.ones(self.y.size)
        count, total = np.bincount(code).astype(float), np.bincount(code, weight).astype(float)
        y = np.bincount(code, weight * self.y) / total
        # of a ratio of sums over clusters; with equal weights that of the mean
        spread = np.bincount(code, (weight * (self.y - y[code])) ** 2) * count / np.maximum(count - 1.0, 1.0)
        se = (np.sqrt(spread) / total)[order] if count.min() > 1 else None
        category = None if self.category is None else values[order]
        return Series(
            dataset=self.dataset,
            labels=self.labels,
            x=self.x[first][order],
            y=y[order],
            convention=self.convention,
            n=self.n,
            se=se,
            subjects=count[order],
            trials=total[order] if self.is_counted else None,
            category=category,
        )

    def curve(self, weighted: bool = True) -> Curve:
        """Return the curve as :func:`cogfit.fit` takes it.

        Axis, measure and labels are filled in.

        Parameters
        ----------
        weighted : bool
            Whether to weight by known standard errors, or numbers of trials. Clustered values are averaged; their
            clusters are resampled where there are enough.

        Returns
        -------
        Curve
            Whose noise model is that of the values: :func:`cogfit.fit` takes it by default.

        Raises
        ------
        InputError
            If the data set is no curve.
        """
        from cogfit.curves.arrays import array_curve

        about = self.dataset
        if about.kind != "curve":
            raise InputError(f"'{about.id}' is no curve but {about.kind}: {KINDS[about.kind]}")
        curve = array_curve(
            self.x,
            self.y,
            weights=self.weights if weighted else None,
            groups=self.clusters,
            axis=about.axis,
            trials=self.trials if self.is_counted and weighted else None,
        )
        return replace(
            curve,
            noise=self.noise if weighted else "",
            convention=CONVENTIONS[self.convention],
            measure=about.fit_measure,
            clusters=curve.clusters and replace(curve.clusters, kind=f"{about.level}s"),
            serial=about.axis == "repetition",  # at every delay there are other items, or other people
            x_label=about.unit,
            y_label=f"{about.measure} ({about.scale})",
            warnings=(*self.notes, *self._cautions(weighted)),
        )

    def _cautions(self, weighted: bool) -> tuple[str, ...]:
        """What the interval of a fit rests on."""
        if self.clusters is not None:
            return ()
        if self.is_counted and weighted:
            known = "" if self.n == 1 else ": trials count as independent, whoever made them"
            return (f"the interval rests on counts of trials (binomial){known}",)
        if self.se is None:
            known = "the number of subjects is" if self.n is None else "standard errors are"
            return (f"{known} not known: the interval comes from the residuals about the curve alone",)
        if not weighted:
            return ("known standard errors were not used as weights",)
        return ("standard errors weight the points; the size of the interval comes from the residuals",)


@dataclass(frozen=True, eq=False)
class Dataset(Document):
    """One table of human data.

    Attributes
    ----------
    id, title : str
    kind : str
        A key of :data:`KINDS`.
    axis : str
        A key of :data:`AXES`.
    repeated : str or None
        A key of :data:`REPEATED`.
    unit : str
        What x counts, in words.
    convention : str
        A key of :data:`CONVENTIONS`.
    measure : str
        A key of :data:`MEASURES`.
    scale : str
        Unit and range of y, and whether a floor is in it.
    route : str or None
        A key of :data:`ROUTES`, where y is the share of answers that come by it.
    fixed_set : str or None
        Data set of the same measure over the items that stay, where here items leave or enter along the curve.
    level : str
        A key of :data:`LEVELS`.
    n : int, mapping of str to int, or None
        Subjects (teams, persons) behind a curve, by label where they differ; None where it is not known.
    uncertainty : str
        A key of :data:`UNCERTAINTIES`.
    citation : str
        The originals, in words.
    links : tuple of str
    read : str
        Where the values were read.
    licence : str
    verification : str
        A key of :data:`VERIFICATIONS`.
    notes : tuple of str
        What one has to know before using the values.
    columns : Columns
    schema : tuple of Field
    contrast : tuple of str
        Conditions compared, in order.
    paired : bool
        Whether the same clusters stand behind all conditions.
    path : Path
        The CSV file.

    Examples
    --------
    >>> import cogfit
    >>> data = cogfit.human("remington2016_latency")
    >>> data.measure, data.level, data.uncertainty
    ('latency', 'subject mean', 'standard error')
    >>> [curve.name for curve in data.series()]
    ['menu', 'shortcut']
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"columns": "_roles", "fields": "schema"}

    id: str
    title: str
    kind: str
    axis: str
    repeated: str | None
    unit: str
    convention: str
    measure: str
    scale: str
    level: str
    n: int | Mapping[str, int] | None
    uncertainty: str
    citation: str
    links: tuple[str, ...]
    read: str
    licence: str
    verification: str
    notes: tuple[str, ...]
    columns: Columns = field(metadata=wire(skip=True))
    schema: tuple[Field, ...] = field(metadata=wire(skip=True))
    contrast: tuple[str, ...]
    paired: bool
    path: Path = field(metadata=wire(skip=True))
    route: str | None = None
    fixed_set: str | None = None

    @property
    def _roles(self) -> dict[str, Any]:
        """Columns by what they are; a role that no column has is left out."""
        roles = {part.name: getattr(self.columns, part.name) for part in fields(self.columns)}
        return {name: value for name, value in roles.items() if value not in (None, ())}

    @property
    def fit_measure(self) -> str:
        """The measure as :func:`cogfit.fit` knows it."""
        if self.measure == "strategy":
            return "probability"
        return self.measure if self.measure in FITTED_MEASURES else "other"

    @cached_property
    def _frame(self) -> pd.DataFrame:
        return _read_table(self.path, self.schema)

    @property
    def table(self) -> pd.DataFrame:
        """The whole table.

        It is read on first use, and this is a copy. Raises InputError for a damaged file.
        """
        return self._frame.copy()

    def series(self, **labels: str) -> tuple[Series, ...]:
        """Return the curves of the table.

        They come in the order of the file.

        Parameters
        ----------
        **labels : str
            Only the curves with these labels, e.g. ``condition="shortcut"``.

        Raises
        ------
        InputError
            If no curve has such labels.
        """
        for name, value in labels.items():
            if name not in self.columns.series:
                raise InputError(f"'{self.id}' has no label '{name}'", hint=nearest(name, self.columns.series))
            known = list(dict.fromkeys(self._frame[name].astype(str)))
            if str(value) not in known:
                raise InputError(f"'{self.id}' has no {name} '{value}'", hint=nearest(str(value), known))
        chosen = [curve for curve in self._series if all(curve.labels[k] == str(v) for k, v in labels.items())]
        if not chosen:
            raise InputError(f"'{self.id}' has no curve with " + ", ".join(f"{k}={v!r}" for k, v in labels.items()))
        return tuple(chosen)

    @cached_property
    def _series(self) -> tuple[Series, ...]:
        names = list(self.columns.series)
        frame, note = self._usable()
        if not names:
            return (self._curve({}, frame, note),)
        parts = frame.groupby(names, sort=False, observed=True)
        return tuple(
            self._curve({name: str(value) for name, value in zip(names, key, strict=True)}, part, note)
            for key, part in parts
        )

    def _usable(self) -> tuple[pd.DataFrame, str]:
        """Rows that can be used, and what was left out."""
        roles = self.columns
        needed = [roles.value, *(name for name in (roles.trials, roles.successes) if name and self.measure in SHARES)]
        if self.kind == "curve":
            needed.append(roles.x or "")
        is_there = self._frame[needed].notna().all(axis=1)
        if roles.trials in needed:
            is_there &= self._frame[roles.trials].fillna(0) > 0
        lacking = self._frame[~is_there]
        if lacking.empty:
            return self._frame, ""
        whose = ""
        if roles.cluster is not None and self.kind == "curve":
            gone = set(lacking[roles.cluster].astype(str)) - set(self._frame.loc[is_there, roles.cluster].astype(str))
            whose = f", among them all of {self.level} {shortlist(sorted(gone))}" if gone else ""
        count = f"{len(lacking)} row" + ("s" if len(lacking) > 1 else "")
        return self._frame[is_there], f"{count} without {' or '.join(dict.fromkeys(needed))} left out{whose}"

    def _curve(self, labels: dict[str, str], part: pd.DataFrame, note: str) -> Series:
        """Curve of these rows of the table."""

        def numbers(name: str | None) -> Array | None:
            return None if name is None else part[name].to_numpy(dtype=float)

        def words(name: str | None) -> NDArray[Any] | None:
            return None if name is None else part[name].astype(str).to_numpy(dtype=str)

        roles = self.columns
        x, subjects, trials, keep = (numbers(name) for name in (roles.x, roles.n, roles.trials, roles.keep))
        n = self.n
        if isinstance(n, Mapping):
            n = next((n[value] for value in labels.values() if value in n), None)
        se = self._standard_errors(numbers(roles.uncertainty), subjects, n)
        y, counted = self._values(part, is_counted=se is None)
        return Series(
            dataset=self,
            labels=labels,
            x=np.full(y.size, math.nan) if x is None else x,
            y=y,
            convention=self.convention,
            n=n,
            se=se,
            subjects=subjects,
            trials=trials,
            clusters=words(roles.cluster),
            category=words(roles.category),
            first=numbers(roles.first),
            last=numbers(roles.last),
            kept=None if keep is None else keep != 0,
            notes=tuple(text for text in (note, counted) if text),
        )

    def _values(self, part: pd.DataFrame, is_counted: bool) -> tuple[Array, str]:
        """The measure, and how shares became counts."""
        roles = self.columns
        if roles.trials is None or self.measure not in SHARES or (self.kind != "curve" and roles.successes is None):
            return part[roles.value].to_numpy(dtype=float), ""
        trials = part[roles.trials].to_numpy(dtype=float)
        self._refuse(part, trials != np.rint(trials), roles.trials, "is no whole number of trials")
        exact = None
        if roles.successes is not None:
            successes = part[roles.successes].to_numpy(dtype=float)
            is_wrong = (successes != np.rint(successes)) | (successes < 0) | (successes > trials)
            self._refuse(part, is_wrong, roles.successes, f"is no count out of the trials in '{roles.trials}'")
            exact = successes / trials
        if roles.y is None:
            assert exact is not None
            return exact, ""
        shares = part[roles.y].to_numpy(dtype=float)
        if not is_counted:
            return shares, ""
        self._refuse(part, (shares < 0) | (shares > 1), roles.y, "is no share from 0 to 1")
        return self._as_counts(part, shares, trials, exact)

    def _as_counts(self, part: pd.DataFrame, shares: Array, trials: Array, exact: Array | None) -> tuple[Array, str]:
        """Shares of whole counts, and what was rounded."""
        roles = self.columns
        digits = int(self._frame.attrs["digits"][roles.y])
        counts = count_shares(shares, trials, digits)
        if exact is not None:
            is_off = np.abs(shares - exact) > 0.5001 * 10.0**-digits + 1e-9
            self._refuse(part, is_off, str(roles.y), f"is not '{roles.successes}' over '{roles.trials}'")
            return exact, ""
        if counts.mismatch is not None:
            is_first = np.arange(shares.size) == counts.mismatch
            count, size = counts.successes[counts.mismatch], trials[counts.mismatch]
            what = f"is no count out of {size:.0f} trials to {digits} digits (the nearest, {count:.0f}, is"
            hint = "leave 'trials' out of 'columns' if y is a mean of shares, or name 'successes'"
            self._refuse(part, is_first, str(roles.y), f"{what} {count / size:.{digits + 1}f})", hint)
        if not counts.was_rounded:
            return shares, ""
        slack = f", to within {counts.slack:.0f} outcomes" if counts.slack else ""
        note = f"shares printed to {digits} digits stand for whole counts of their trials: rounded to these{slack}"
        return counts.successes / trials, note

    def _refuse(self, part: pd.DataFrame, is_wrong: NDArray[Any], name: str, what: str, hint: str = "") -> None:
        """Raise InputError for the first wrong value."""
        if np.any(is_wrong):
            row = int(np.flatnonzero(is_wrong)[0])
            line, value = int(part.index[row]) + 2, part[name].iloc[row]
            hint = hint or "correct the cell or leave it empty"
            raise InputError(f"{value:g} {what}", path=self.path, line=line, column=name, hint=hint)

    def _standard_errors(self, printed: Array | None, subjects: Array | None, n: int | None) -> Array | None:
        """Standard errors from the uncertainties as printed.

        None where they cannot be had. Each estimate stands for itself, so one without a standard error has NaN; a
        curve is weighted only if all of its points are.
        """
        if printed is None:
            return None
        is_known = printed > 0
        if not (np.any(is_known) if self.kind == "estimates" else np.all(is_known)):
            return None
        printed = np.where(is_known, printed, math.nan)
        if self.uncertainty == "standard error":
            return printed
        if self.uncertainty == "probable error":
            return printed / PROBABLE_ERROR
        count = subjects if subjects is not None else n
        return None if count is None else np.asarray(printed / np.sqrt(count))

    def rows(self) -> list[list[Any]]:
        """Values of the table by row, JSON-ready.

        Missing ones are None.
        """
        plain = self._frame.astype(object)
        return [list(row) for row in plain.where(plain.notna(), None).itertuples(index=False)]

    def __repr__(self) -> str:
        return f"<Dataset {self.id}: {self.title}>"


def _read_table(path: Path, schema: tuple[Field, ...]) -> pd.DataFrame:
    """Read a CSV file with the columns of a schema.

    An empty cell is missing.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"cannot be read as a CSV table ({error})", path=path) from error
    names = [column.name for column in schema]
    digits = {str(name): _digits(frame[name]) for name in frame.columns}
    for name in frame.columns:
        if name not in names:
            raise InputError("is not described in the schema", path=path, column=str(name), hint=nearest(name, names))
    for column in schema:
        if column.name not in frame:
            hint = nearest(column.name, [str(name) for name in frame.columns])
            raise InputError("is described but not there", path=path, column=column.name, hint=hint)
        if column.type != "string":
            frame[column.name] = _numbers(frame[column.name], column, path)
    frame.attrs["digits"] = digits  # how precise a printed share is, which its number does not say
    return frame


def _digits(cells: pd.Series[str]) -> int:
    """The most digits after the point in a column."""
    decimals = cells.str.extract(r"^\s*[+-]?\d*\.(\d+)", expand=False).str.len()
    exponents = cells.str.extract(r"[eE]([+-]?\d+)\s*$", expand=False).astype(float)
    most = (decimals.fillna(0.0) - exponents.fillna(0.0)).max()
    return max(0, int(most)) if most == most else 0


def _numbers(cells: pd.Series[str], column: Field, path: Path) -> pd.Series[Any]:
    """Cells of a column as numbers.

    Integers stay integers where some are missing.
    """
    import pandas as pd

    is_integer = column.type == "integer"
    values = pd.to_numeric(cells, errors="coerce").astype(float)
    is_wrong = (values.isna() & cells.notna()) | np.isinf(values)
    if is_integer:
        is_wrong |= values.notna() & (values != values.round())
    if is_wrong.any():
        row = int(np.flatnonzero(is_wrong)[0])
        raise InputError(
            f"is not a{'n integer' if is_integer else ' number'}: {cells.iloc[row]!r}",
            path=path,
            line=row + 2,
            column=column.name,
            hint="correct the cell or leave it empty",
        )
    if not is_integer:
        return values
    return values.astype("Int64" if values.isna().any() else "int64")
