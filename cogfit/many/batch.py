"""The fits of ``cogfit.fit`` for very many curves.

Whatever comes in becomes a :class:`~cogfit.many.collection.Collection`: curves end to end, which the engine solves in
one call for each form. A curve that cannot be fitted is a row with a reason and never stops the others. What needs the
whole machinery of ``fit`` (verdicts, noise that least squares do not solve) goes through its functions curve by curve,
so that the answers are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cogfit import fitting
from cogfit.curves.curve import Curve
from cogfit.engine import noise as noises
from cogfit.engine.estimate import STATUSES, Estimates, estimate, estimate_many
from cogfit.engine.separable import Index
from cogfit.errors import InputError, nearest
from cogfit.formulas.form import MEASURES, Form
from cogfit.formulas.registry import candidate_forms, get_form
from cogfit.inference.noise_choice import choose_noise, constant_fit
from cogfit.inference.ranking import CLOSE, pick_simplest
from cogfit.logs.model import Source
from cogfit.many.collection import Collection, Columns, examine, from_table, without
from cogfit.native.blas import single_threaded
from cogfit.progress import Progress

if TYPE_CHECKING:
    import pandas as pd


_BLOCK = 1 << 22  # points worked on between two reports of progress
_SLOW_BLOCK = 1 << 12
_MISSING = ("fail", "drop")


@dataclass(frozen=True)
class Options:
    """How curves are fitted.

    See :func:`cogfit.fit_many`.

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
            get_form(name)
        if self.noise != "auto":
            noises.get(self.noise)
        _check_choice("`missing`", self.missing, _MISSING)
        if self.measure is not None:
            _check_choice("measure", self.measure, MEASURES)
        if not 0.0 < self.level < 1.0:
            raise InputError(f"`level` must lie between 0 and 1, not {self.level!r}")
        self._check_combination()
        if self.threads is not None and self.threads < 1:
            raise InputError(f"`threads` must be at least 1, not {self.threads}")

    def _check_combination(self) -> None:
        """Refuse options that exclude each other."""
        if self.verdicts and self.form is not None:
            raise InputError("verdicts compare all forms", hint="leave `form` out")
        if self.device != "cpu" and (self.verdicts or self.noise != "gaussian"):
            raise InputError(f"device '{self.device}' fits Gaussian noise without verdicts only")

    def family(self, collection: Collection) -> tuple[Form, ...]:
        """Forms that are fitted."""
        if self.form is not None:
            return tuple(get_form(name) for name in self.form)
        return candidate_forms(self.axis or collection.axis, self.measure or collection.measure)


def _check_choice(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(f"unknown {what} {value!r}", hint=nearest(value, known))


def fit_table(
    table: pd.DataFrame, columns: Columns, options: Options, progress: Progress | None = None
) -> pd.DataFrame:
    """Fit the curves of a tidy table.

    See :func:`cogfit.fit_many`.
    """
    return fit_collection(from_table(table, columns), options, progress)


def fit_partitions(table: Any, columns: Columns, options: Options) -> Any:
    """Fit the curves of a Dask DataFrame.

    Every curve is brought into one partition, and each partition is fitted by itself.
    """
    columns.check([str(name) for name in table.columns])
    small = table[list(columns.names)]
    empty = fit_table(small._meta, columns, options)
    return small.shuffle(on=list(columns.by)).map_partitions(fit_table, columns, options, meta=empty)


# ------------------------------------------------------------------------------------------------ a collection


@single_threaded()
def fit_collection(collection: Collection, options: Options, progress: Progress | None = None) -> pd.DataFrame:
    """Fit all curves of a collection.

    See :func:`cogfit.fit_many` for the columns of the table.

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
            progress(end, len(whole), "curves")
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _estimates(part: Collection, family: tuple[Form, ...], options: Options) -> pd.DataFrame:
    """One row per curve, without verdicts.

    It tells of the form, or of the best of several.
    """
    problems, constant = examine(part)
    noise, reasons = _choose_noise(part, family, options, problems, constant)
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
    """Fit one form to some of the curves.

    Under one noise model.
    """
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
            out.reason[at] = _failure_reason(error)
    return out


def _failure_reason(error: Exception) -> str:
    """Reason of a failed curve.

    One that breaks must not stop the others.
    """
    return error.what if isinstance(error, InputError) else f"internal error ({type(error).__name__}: {error})"


def _choose_noise(
    part: Collection,
    family: tuple[Form, ...],
    options: Options,
    problems: NDArray[np.object_],
    constant: NDArray[np.bool_],
) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Noise model of each curve.

    Also return why it cannot be fitted ("" where it can).
    """
    noise, reasons = np.full(len(part), options.noise, dtype=object), problems.copy()
    if options.noise == "gaussian":
        return noise, reasons
    noise[:] = "" if options.noise == "auto" else options.noise
    for i in np.flatnonzero(problems == ""):
        try:
            curve = _known_curve(part, int(i), options)
            name, _ = choose_noise(curve, family, options.noise, part.counted, bool(constant[i]))
            noises.get(name).check(curve.y, curve.weights)
            noise[i] = name
        except Exception as error:
            reasons[i] = _failure_reason(error)
    return noise, reasons


def _known_curve(part: Collection, i: int, options: Options) -> Curve:
    """One curve with what is known of it."""
    known = part.sources[i] if part.sources else None
    if known is None:
        x, y, w = part.points(i)
        known = Curve(x, y, w, w if part.counted else None, part.axis, "x as given", part.measure)
    return replace(known, axis=options.axis or known.axis, measure=options.measure or known.measure)


def _put_constant(out: Estimates, part: Collection, rows: Index) -> None:
    """Fit the curves that do not change.

    Nothing of their shape is identified.
    """
    for i in rows.tolist():
        out.put_one(i, constant_fit(out.form, _known_curve(part, i, Options())))


def _label(options: Options) -> str:
    """Noise model of curves for which none was chosen."""
    return "gaussian" if options.noise == "auto" else options.noise


def _table(part: Collection, fits: Sequence[Estimates]) -> pd.DataFrame:
    """Columns of the result.

    Of several forms the simplest within ΔAICc 2 of the best is reported, by the rule of a single fit.
    """
    import pandas as pd

    count = len(part)
    aicc = np.array([np.where(fit.status < 3, fit.aicc, np.inf) for fit in fits])
    aicc[~np.isfinite(aicc)] = np.inf
    lowest = aicc.min(axis=0)
    with np.errstate(invalid="ignore"):
        delta = np.where(np.isfinite(lowest), aicc - lowest, np.inf)
    bic = np.array([fit.bic for fit in fits])
    is_at_bound = np.array([fit.at_bound.any(axis=1) for fit in fits])
    pick = pick_simplest(delta <= CLOSE, aicc, bic, [len(fit.form.parameters) for fit in fits], is_at_bound)
    pick = np.where(pick >= 0, pick, _fallback(fits))
    noise = np.array([fit.noise for fit in fits], dtype=object)[pick, np.arange(count)]
    columns: dict[str, Any] = {"n": part.bundle.size, "noise": _texts(noise)}
    columns["form"] = _chosen([fit.form.name for fit in fits], pick)
    for fit in fits:
        for name in fit.form.names:
            for key in (name, f"{name}_se"):
                columns.setdefault(key, np.full(count, np.nan))
    for key in ("rss", "loglik", "aicc"):
        columns[key] = np.full(count, np.nan)
    status, reason = np.empty(count, dtype=np.int64), np.empty(count, dtype=object)
    for number, fit in enumerate(fits):
        rows = np.flatnonzero(pick == number)
        for j, name in enumerate(fit.form.names):
            columns[name][rows], columns[f"{name}_se"][rows] = fit.params[rows, j], fit.stderr[rows, j]
        columns["rss"][rows], columns["loglik"][rows] = fit.rss[rows], fit.loglik[rows]
        columns["aicc"][rows] = fit.aicc[rows]
        status[rows], reason[rows] = fit.status[rows], fit.reason[rows]
    if len(fits) > 1:
        columns |= {f"delta_aicc_{fit.form.name}": delta[i] for i, fit in enumerate(fits)}
    return pd.DataFrame({**columns, "status": _chosen(STATUSES, status), "reason": _texts(reason)})


def _texts(values: NDArray[np.object_]) -> Any:
    """Texts as a column of a table.

    Most are the same few, which are converted once.
    """
    import pandas as pd

    codes, known = pd.factorize(values)
    return _chosen(known.tolist(), codes)


def _chosen(texts: Sequence[str], codes: Index) -> Any:
    """Texts by their numbers, as a column of a table."""
    import pandas as pd

    return pd.Series(texts, dtype=object).astype(str).array.take(codes)


def _fallback(fits: Sequence[Estimates]) -> Index:
    """Form to report where none can be ranked.

    The power law, if it fits at all (as in ``fit``).
    """
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
        "n": n,
        "noise": _label(options),
        "form": "",
        **parameters,
        "low": nan,
        "high": nan,
        "rss": nan,
        "loglik": nan,
        "aicc": nan,
        **delta,
        "verdict": "",
        "reasons": "",
        "indistinguishable": "",
        "status": "failed",
        "reason": "",
    }


def _verdict(
    part: Collection, i: int, problem: str, names: Sequence[str], family: tuple[Form, ...], options: Options
) -> dict[str, Any]:
    row = _verdict_row(int(part.bundle.size[i]), names, family, options)
    if problem:
        return {**row, "reason": problem}
    try:
        asked = fitting.Options(
            rng=np.random.default_rng(options.rng), noise=options.noise, level=options.level, discrete=part.counted
        )
        result = fitting.fit_curve(_known_curve(part, i, options), Source("", "batch", row["n"]), asked)
    except Exception as error:
        return {**row, "reason": _failure_reason(error)}
    for name, value in result.params.items():
        row[name], row[f"{name}_se"] = value, result.stderr[name]
    for item in result.forms:
        row[f"delta_aicc_{item.name}"] = item.delta_aicc
    if result.interval is not None:
        row["low"], row["high"] = result.interval
    return {
        **row,
        "n": result.n,
        "noise": result.noise,
        "form": result.form,
        "rss": result.rss,
        "loglik": result.loglik,
        "aicc": result.aicc,
        "verdict": result.verdict.power_law,
        "reasons": "; ".join(result.verdict.reasons),
        "indistinguishable": ",".join(result.indistinguishable_forms),
        "status": result.status,
        "reason": result.reason,
    }
