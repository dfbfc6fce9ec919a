"""``cogfit.fit_many``: the fits of ``cogfit.fit`` for curves by the hundred thousand, one row for each.

Whatever comes in becomes a :class:`~cogfit.many.collection.Collection`: curves end to end, which the engine solves in
one call for each form. A curve that cannot be fitted is a row with a reason and never stops the others. What needs the
whole machinery of ``fit`` (verdicts, noise that least squares do not solve) goes through its functions curve by curve,
so that the answers are the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cogfit import fitting as api
from cogfit.curves.exposure import Curve
from cogfit.engine import noise as noises
from cogfit.engine.estimate import STATUSES, Estimates, estimate, estimate_many
from cogfit.engine.separable import Index
from cogfit.errors import InputError, nearest
from cogfit.formulas import built_in as curves
from cogfit.formulas.built_in import Form
from cogfit.inference import selection
from cogfit.logs.model import Log, Source
from cogfit.many.collection import Collection, Columns, examine, from_arrays, from_log, from_table, without

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[int, int], None]
"""Called with (curves done, curves in all)."""

_BLOCK = 1 << 22  # points worked on between two reports of progress
_SLOW_BLOCK = 1 << 12
_TEXTS = ("noise", "form", "status", "reason")
_MISSING = ("fail", "drop")


@dataclass(frozen=True)
class Options:
    """How curves are fitted; see :func:`fit_many`.

    Attributes
    ----------
    form : tuple of str or None
    noise, missing, device : str
    verdicts : bool
    axis, measure : str or None
    level : float
    rng : int
    threads : int or None
    """

    form: tuple[str, ...] | None = ("power_floor",)
    noise: str = "gaussian"
    verdicts: bool = False
    missing: str = "fail"
    axis: str | None = None
    measure: str | None = None
    level: float = 0.95
    rng: int = 0
    device: str = "cpu"
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if self.form is not None and not self.form:
            raise InputError("`form` names no form", hint="pass None for all")
        for name in self.form or ():
            curves.get(name)
        if self.noise != "auto":
            noises.get(self.noise)
        if self.missing not in _MISSING:
            raise InputError(f"unknown `missing` {self.missing!r}", hint=nearest(self.missing, _MISSING))
        if self.measure is not None and self.measure not in curves.MEASURES:
            raise InputError(f"unknown measure {self.measure!r}", hint=nearest(self.measure, curves.MEASURES))
        if not 0.0 < self.level < 1.0:
            raise InputError(f"`level` must lie between 0 and 1, not {self.level!r}")
        if self.verdicts and self.form is not None:
            raise InputError("verdicts compare all forms", hint="leave `form` out, or pass form=None")
        if self.device != "cpu" and (self.verdicts or self.noise != "gaussian"):
            raise InputError(f"device '{self.device}' fits Gaussian noise without verdicts only")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"`threads` must be at least 1, not {self.threads}")

    def family(self, collection: Collection) -> tuple[Form, ...]:
        """Forms that are fitted."""
        if self.form is not None:
            return tuple(curves.get(name) for name in self.form)
        return curves.candidates(self.axis or collection.axis, self.measure or collection.measure)


def fit_many(
    data: Any,
    y: ArrayLike | str | None = None,
    *,
    form: str | Sequence[str] | None = "power_floor",
    noise: str = "gaussian",
    by: str | Sequence[str] | None = None,
    x: str = "x",
    weights: ArrayLike | str | None = None,
    trials: ArrayLike | str | None = None,
    verdicts: bool = False,
    missing: str = "fail",
    axis: str | None = None,
    measure: str | None = None,
    level: float = 0.95,
    rng: int = 0,
    device: str = "cpu",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """Fit many curves; one row for each, whatever becomes of it.

    Parameters
    ----------
    data : array_like, DataFrame, Log, path or Dask DataFrame
        The x values of all curves, shape (points,), or of each, (curves, points). Or a tidy table with one row per
        point (curves may have any length and lie in any order). Or a training log (:func:`cogfit.read_log`). Or the
        path of a tidy table, a Parquet or CSV file or a folder of such, which may be larger than memory. Of a Dask
        DataFrame the rows are shuffled so that every curve lies in one partition, each partition is fitted by itself,
        and the result is a Dask DataFrame.
    y : array_like, shape (curves, points), or str
        Values; for tables the name of their column (default ``"y"``).
    form : str, sequence of str, or None, default "power_floor"
        One form; or several, of which one is reported; None: all that have a meaning here. Of several it is the
        simplest within ΔAICc 2 of the best, for independent errors; `verdicts` says more.
    noise : {"gaussian", "lognormal", "binomial", "auto"}, default "gaussian"
        As in :func:`cogfit.fit`, whose default is "auto": a choice for each curve. Only Gaussian noise is fast.
    by : str or sequence of str, optional
        Columns of a table that tell the curves apart (default ``"curve"``); of a log: run, layer, head, pattern.
    x : str, default "x"
        Column of a table that holds x.
    weights, trials : array_like or str, optional
        As in :func:`cogfit.fit`, in the shape of x or y; for tables the name of a column.
    verdicts : bool, default False
        Rule on the power law as :func:`cogfit.fit` does (with ``form=None``), with error models, tests and intervals:
        the answers of that function, at its speed (tenths of a second a curve). The columns ``low``, ``high`` (interval
        of γ), ``verdict``, ``reasons`` and ``indistinguishable`` are then there.
    missing : {"fail", "drop"}
        What NaN in y means: a curve that cannot be fitted, or a point that is not there.
    axis, measure : str, optional
        What x and y are; see :func:`cogfit.fit`.
    level, rng
        Of the intervals, and of the resampling of each curve, for verdicts.
    device : str, default "cpu"
        Where the engine runs: ``"cuda"`` is a graphics processor, by torch, in double precision; not for all forms
        (those with a break, and two with special functions, are refused). ``"torch"`` is the same code on the
        processor, where it is much slower than the default.
    threads : int, optional
        The most that work at once; by default as many as there are cores.
    progress : callable, optional
        Called as ``progress(done, total)`` with numbers of curves.

    Returns
    -------
    pandas.DataFrame
        Labels of the curve, ``n`` points used, ``dropped`` (at x = 0, where a power law has no value, or missing),
        ``noise``, ``form``, the parameters and their standard errors (``gamma``, ``gamma_se``, …; NaN at a bound, inf
        where the data do not determine them), ``rss``, ``loglik``, ``aicc``, with several forms ``delta_aicc_<form>``
        for each, ``status`` ("ok", "at_bound", "not_identified", "failed") and ``reason``.

    Raises
    ------
    InputError
        For options that cannot be used, and for data of which no curves can be made; never for a single curve.

    Notes
    -----
    Parameters, standard errors and status are those of ``cogfit.fit(x, y, form=..., noise="gaussian")``. The results of
    a curve depend neither on the number of threads nor on the other curves.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> k = np.arange(1.0, 101.0)
    >>> Y = np.array([0.1 + 0.8 * k**-0.5, 0.2 + 0.7 * k**-0.9])
    >>> table = cogfit.fit_many(k, Y, form="power_floor")
    >>> table["status"].tolist(), table["gamma"].round(6).tolist()
    (['ok', 'ok'], [0.5, 0.9])
    """
    names = None if by is None else (by,) if isinstance(by, str) else tuple(by)
    forms = None if form is None else (form,) if isinstance(form, str) else tuple(form)
    if verdicts and forms == ("power_floor",):
        forms = None
    options = Options(forms, noise, verdicts, missing, axis, measure, level, rng, device, threads)
    if isinstance(data, Log):
        return fit_collection(from_log(data, names), options, progress)
    dask, path = type(data).__module__.startswith("dask"), isinstance(data, str | os.PathLike)
    if not (dask or path or hasattr(data, "groupby")):
        if y is None or isinstance(y, str):
            raise InputError("`y` is missing", hint="call cogfit.fit_many(x, Y) with Y of shape (curves, points)")
        if isinstance(weights, str) or isinstance(trials, str) or names is not None:
            raise InputError("names of columns go with a table, not with arrays")
        return fit_collection(from_arrays(data, y, weights, trials), options, progress)
    for label, value in (("y", y), ("weights", weights), ("trials", trials)):
        if not (value is None or isinstance(value, str)):
            raise InputError(f"`{label}` must name a column of the table")
    columns = Columns(names or ("curve",), x, y or "y", weights, trials)  # type: ignore[arg-type]
    if dask:
        return _by_partition(data, columns, options)
    if path:
        from cogfit.many.streaming import fit_table_file

        return fit_table_file(data, columns, options, progress)
    return fit_table(data, columns, options, progress)


def fit_table(
    table: pd.DataFrame, columns: Columns, options: Options, progress: Progress | None = None
) -> pd.DataFrame:
    """Fit the curves of a tidy table; see :func:`fit_many`."""
    return fit_collection(from_table(table, columns), options, progress)


def _by_partition(table: Any, columns: Columns, options: Options) -> Any:
    """The same for a Dask DataFrame: every curve in one partition, partition by partition."""
    columns.check([str(name) for name in table.columns])
    small = table[list(columns.names)]
    empty = fit_table(small._meta, columns, options)
    return small.shuffle(on=list(columns.by)).map_partitions(fit_table, columns, options, meta=empty)


# ------------------------------------------------------------------------------------------------ a collection


def fit_collection(collection: Collection, options: Options, progress: Progress | None = None) -> pd.DataFrame:
    """Fit all curves of a collection; see :func:`fit_many` for the columns of the table.

    Raises
    ------
    InputError
        If the noise model needs what the collection does not have.
    """
    import pandas as pd

    if options.noise == "binomial" and not collection.counted and not collection.sources:
        raise InputError("binomial noise needs the number of trials behind each y", hint="pass trials=")
    family = options.family(collection)
    zero = any(form.positive_x for form in family)
    whole, dropped = without(collection, zero=zero, missing=options.missing == "drop")
    fast = options.noise == "gaussian" and not options.verdicts and all(form.basis is not None for form in family)
    frames = []
    for begin, end in whole.bundle.parts(_BLOCK if fast else _SLOW_BLOCK) or [(0, 0)]:
        part = whole.part(begin, end)
        table = _verdicts(part, family, options) if options.verdicts else _estimates(part, family, options)
        table.insert(1, "dropped", dropped[begin:end])
        frames.append(pd.concat([part.labels.reset_index(drop=True), table], axis=1))
        if progress is not None:
            progress(end, len(whole))
    return pd.concat(frames, ignore_index=True)


def _estimates(part: Collection, family: tuple[Form, ...], options: Options) -> pd.DataFrame:
    """One row per curve: the form, or the best of several."""
    problems, constant = examine(part)
    noise, reasons = _noise_of(part, family, options, problems, constant)
    fits = []
    for form in family:
        names, waiting = dict.fromkeys(noise[noise != ""]), ~constant & (reasons == "")
        if waiting.all() and len(names) == 1:
            fits.append(_fit_form(form, part, np.arange(len(part)), next(iter(names)), options))
            continue
        out = Estimates.failed(form, _label(options), part.bundle.size)
        out.reason[:] = reasons
        _put_constant(out, part, np.flatnonzero(constant & (reasons == "")))
        for name in names:
            rows = np.flatnonzero((noise == name) & waiting)
            out.put(rows, _fit_form(form, part, rows, name, options))
        fits.append(out)
    return _table(part, fits)


def _fit_form(form: Form, part: Collection, rows: Index, noise: str, options: Options) -> Estimates:
    """One form on some of the curves under one noise model."""
    if noise == "gaussian" and form.basis is not None:
        bundle = part.bundle if rows.size == len(part) else part.bundle.take(rows)
        return estimate_many(form, bundle, threads=options.threads, device=options.device)
    out = Estimates.failed(form, noise, part.bundle.size[rows])
    for at, i in enumerate(rows.tolist()):
        x, y, w = part.points(i)
        known = part.sources[i] if part.sources else None
        if noise == "binomial" and known is not None and known.counts is not None:
            w = known.counts
        try:
            out.put_one(at, estimate(form, x, y, w, noise))
        except Exception as error:
            out.reason[at] = _said(error)
    return out


def _said(error: Exception) -> str:
    """Reason of a failed curve: one that breaks must not stop the others."""
    return error.what if isinstance(error, InputError) else f"internal error ({type(error).__name__}: {error})"


def _noise_of(
    part: Collection, family: tuple[Form, ...], options: Options, problems: NDArray[np.object_],
    constant: NDArray[np.bool_],
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:  # fmt: skip
    """Noise model of each curve, and why it cannot be fitted ("" where it can)."""
    noise, reasons = np.full(len(part), options.noise, dtype=object), problems.copy()
    if options.noise == "gaussian":
        return noise, reasons
    noise[:] = "" if options.noise == "auto" else options.noise
    for i in np.flatnonzero(problems == ""):
        try:
            curve = _curve_of(part, int(i), options)
            name, _ = api.choose_noise(curve, family, options.noise, part.counted, bool(constant[i]))
            noises.get(name).check(curve.y, curve.weights)
            noise[i] = name
        except Exception as error:
            reasons[i] = _said(error)
    return noise, reasons


def _curve_of(part: Collection, i: int, options: Options) -> Curve:
    """One curve with what is known of it."""
    known = part.sources[i] if part.sources else None
    if known is None:
        x, y, w = part.points(i)
        known = Curve(x, y, w, w if part.counted else None, part.axis, "x as given", part.measure)
    return replace(known, axis=options.axis or known.axis, measure=options.measure or known.measure)


def _put_constant(out: Estimates, part: Collection, rows: Index) -> None:
    """What is said of curves that do not change at all: nothing of their shape is identified."""
    for i in rows.tolist():
        out.put_one(i, api.constant_fit(out.form, _curve_of(part, i, Options())))


def _label(options: Options) -> str:
    """Noise model of curves for which none was chosen."""
    return "gaussian" if options.noise == "auto" else options.noise


def _table(part: Collection, fits: Sequence[Estimates]) -> pd.DataFrame:
    """Columns of the result; of several forms the simplest within ΔAICc 2 of the best."""
    import pandas as pd

    count = len(part)
    aicc = np.array([np.where(fit.status < 3, fit.aicc, np.inf) for fit in fits])
    aicc[~np.isfinite(aicc)] = np.inf
    lowest = aicc.min(axis=0)
    sizes = np.array([len(fit.form.parameters) for fit in fits])
    with np.errstate(invalid="ignore"):
        delta = np.where(np.isfinite(lowest), aicc - lowest, np.inf)
    rank = np.where(delta <= selection.CLOSE, sizes[:, None] * (1.0 + selection.CLOSE) + delta, np.inf)
    pick = np.where(np.isfinite(lowest), rank.argmin(axis=0), _fallback(fits))
    noise = np.array([fit.noise for fit in fits], dtype=object)[pick, np.arange(count)]
    columns: dict[str, Any] = {"n": part.bundle.size, "noise": noise}
    columns["form"] = np.array([fit.form.name for fit in fits], dtype=object)[pick]
    for fit in fits:
        for name in fit.form.names:
            for key in (name, f"{name}_se"):
                columns.setdefault(key, np.full(count, np.nan))
    for key in ("rss", "loglik", "aicc"):
        columns[key] = np.full(count, np.nan)
    status, reason = np.empty(count, dtype=object), np.empty(count, dtype=object)
    for number, fit in enumerate(fits):
        mine = np.flatnonzero(pick == number)
        for j, name in enumerate(fit.form.names):
            columns[name][mine], columns[f"{name}_se"][mine] = fit.params[mine, j], fit.stderr[mine, j]
        columns["rss"][mine], columns["loglik"][mine] = fit.rss[mine], fit.loglik[mine]
        columns["aicc"][mine] = fit.aicc[mine]
        status[mine] = np.array(STATUSES, dtype=object)[fit.status[mine]]
        reason[mine] = fit.reason[mine]
    if len(fits) > 1:
        columns |= {f"delta_aicc_{fit.form.name}": delta[i] for i, fit in enumerate(fits)}
    table = pd.DataFrame({**columns, "status": status, "reason": reason})
    return table.astype(dict.fromkeys(_TEXTS, str))


def _fallback(fits: Sequence[Estimates]) -> Index:
    """What to report where nothing can be ranked: the power law, if it fits at all (as in ``fit``)."""
    names = [fit.form.name for fit in fits]
    order = sorted(range(len(fits)), key=lambda i: {"power": 0, "constant": 1}.get(names[i], 2))
    worked = np.array([fits[i].status < 3 for i in order])
    return np.asarray(np.array(order)[worked.argmax(axis=0)])


def _verdicts(part: Collection, family: tuple[Form, ...], options: Options) -> pd.DataFrame:
    """One row per curve by the whole of ``fit``."""
    import pandas as pd

    problems, _ = examine(part)
    names = list(dict.fromkeys(name for form in family for name in form.names))
    rows = [_verdict(part, i, str(problems[i]), names, family, options) for i in range(len(part))]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(_verdict_row(0, names, family, options)))


def _verdict_row(n: int, names: Sequence[str], family: tuple[Form, ...], options: Options) -> dict[str, Any]:
    """Row of a curve of which nothing is known."""
    nan = float("nan")
    parameters = {key: nan for name in names for key in (name, f"{name}_se")}
    delta = {f"delta_aicc_{form.name}": np.inf for form in family}
    return {
        "n": n, "noise": _label(options), "form": "", **parameters, "low": nan, "high": nan, "rss": nan, "loglik": nan,
        "aicc": nan, **delta, "verdict": "", "reasons": "", "indistinguishable": "", "status": "failed", "reason": "",
    }  # fmt: skip


def _verdict(
    part: Collection, i: int, problem: str, names: Sequence[str], family: tuple[Form, ...], options: Options
) -> dict[str, Any]:
    row = _verdict_row(int(part.bundle.size[i]), names, family, options)
    if problem:
        return {**row, "reason": problem}
    try:
        result = api.fit_curve(
            _curve_of(part, i, options), Source("", "batch", row["n"]), form=None, noise_name=options.noise, start=None,
            level=options.level, rng=np.random.default_rng(options.rng), discrete=part.counted,
        )  # fmt: skip
    except Exception as error:
        return {**row, "reason": _said(error)}
    for name, value in result.params.items():
        row[name], row[f"{name}_se"] = value, result.stderr[name]
    for item in result.forms:
        row[f"delta_aicc_{item.name}"] = item.delta_aicc
    if result.interval is not None:
        row["low"], row["high"] = result.interval
    return {
        **row, "n": result.n, "noise": result.noise, "form": result.form, "rss": result.rss, "loglik": result.loglik,
        "aicc": result.aicc, "verdict": result.verdict.power_law, "reasons": "; ".join(result.verdict.reasons),
        "indistinguishable": ",".join(result.indistinguishable_forms), "status": result.status, "reason": result.reason,
    }  # fmt: skip
