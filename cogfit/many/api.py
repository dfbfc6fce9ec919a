"""``cogfit.fit_many``: one row for each of many curves."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from cogfit.errors import InputError
from cogfit.logs.model import Log
from cogfit.many.batch import Options, fit_collection, fit_partitions, fit_table
from cogfit.many.collection import Collection, Columns, from_arrays, from_log
from cogfit.progress import Progress
from cogfit.records.given import check_path, missing_y


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
    """Fit many curves, one row for each.

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
        Called as ``progress(done, total, name)`` with numbers of curves.

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
    Parameters, standard errors and status are those of maximum likelihood for independent errors of even variance, from
    which :func:`cogfit.fit` starts; with ``verdicts=True`` they are those of that function. The results of a curve
    depend neither on the number of threads nor on the other curves.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> k = np.arange(1.0, 101.0)
    >>> Y = np.array([0.1 + 0.8 * k**-0.5, 0.2 + 0.7 * k**-0.9])
    >>> table = cogfit.fit_many(k, Y, form="power_floor")
    >>> table["status"].tolist(), table["gamma"].round(6).tolist()
    (['ok', 'ok'], [0.5, 0.9])
    """
    names, forms = _as_tuple(by), _as_tuple(form)
    if verdicts and forms == ("power_floor",):
        forms = None  # the default of `form`: verdicts compare all forms
    # refuse options that cannot be used before any data are read
    options = Options(
        form=forms,
        noise=noise,
        verdicts=verdicts,
        missing=missing,
        axis=axis,
        measure=measure,
        level=level,
        rng=rng,
        device=device,
        threads=threads,
    )
    # logs and arrays are collections of curves; tables may not fit into memory
    if isinstance(data, Log):
        return fit_collection(from_log(data, names), options, progress)
    if not _is_table(data):
        curves = _checked_arrays(data, y, weights, trials, names)
        return fit_collection(curves, options, progress)
    return _fit_table(data, _named_columns(names, x, y, weights, trials), options, progress)


def _as_tuple(names: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """One name or several as a tuple."""
    if names is None:
        return None
    return (names,) if isinstance(names, str) else tuple(names)


def _is_dask(data: Any) -> bool:
    return type(data).__module__.startswith("dask")


def _is_table(data: Any) -> bool:
    """Whether data have columns.

    They are a data frame, or a file of one.
    """
    return (
        _is_dask(data) or isinstance(data, str | os.PathLike) or (hasattr(data, "groupby") and hasattr(data, "columns"))
    )


def _checked_arrays(
    x: Any,
    y: ArrayLike | str | None,
    weights: ArrayLike | str | None,
    trials: ArrayLike | str | None,
    names: tuple[str, ...] | None,
) -> Collection:
    """Curves from arrays.

    Names of columns have no meaning for them.
    """
    if y is None or isinstance(y, str):
        raise missing_y(x, "call cogfit.fit_many(x, Y) with Y of shape (curves, points)")
    if isinstance(weights, str) or isinstance(trials, str) or names is not None:
        raise InputError("names of columns go with a table, not with arrays")
    return from_arrays(x, y, weights, trials)


def _named_columns(
    by: tuple[str, ...] | None,
    x: str,
    y: ArrayLike | str | None,
    weights: ArrayLike | str | None,
    trials: ArrayLike | str | None,
) -> Columns:
    """The columns of a table by name."""
    return Columns(
        by or ("curve",),
        x,
        _column_name("y", y) or "y",
        _column_name("weights", weights),
        _column_name("trials", trials),
    )


def _column_name(label: str, value: ArrayLike | str | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise InputError(f"`{label}` must name a column of the table")


def _fit_table(data: Any, columns: Columns, options: Options, progress: Progress | None) -> Any:
    """Fit a tidy table where it is.

    It may be spread over a cluster, on disk or in memory.
    """
    if _is_dask(data):
        return fit_partitions(data, columns, options)
    if isinstance(data, str | os.PathLike):
        from cogfit.many.streaming import fit_table_file

        check_path("data", data, "name a Parquet or CSV file, or a folder of such")
        return fit_table_file(data, columns, options, progress)
    return fit_table(data, columns, options, progress)
