"""What a fit says: a frozen, picklable record with its tables, its JSON document and its methods paragraph."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.estimate import Estimate
from cogfit.errors import InputError
from cogfit.files import write_atomic
from cogfit.formulas.form import Array
from cogfit.inference import windows
from cogfit.inference.form_tests import FormTest
from cogfit.inference.interval import Interval, format_interval, standard_errors
from cogfit.inference.verdict import Verdict
from cogfit.inference.windows import Window

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SCHEMA = "cogfit.fit/1"


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _number(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else float(value)


def _rows(matrix: Array) -> list[list[float | None]]:
    return [[_finite(v) for v in row] for row in matrix]


def _matrix(rows: list[list[float | None]]) -> Array:
    return np.array([[_number(v, math.nan) for v in row] for row in rows], dtype=float)


@dataclass(frozen=True)
class FormFit:
    """One form's fit within a result.

    Attributes
    ----------
    estimate : Estimate
        Parameters, likelihood, status, and standard errors for independent errors of even variance (see there).
    intervals : dict of str to Interval
    covariance : ndarray, shape (p, p)
        Of the parameters, with autocorrelated errors, uneven variance or clusters allowed for.
    title, formula : str
        Name in words, LaTeX.
    gamma_name : str or None
        Which parameter is γ.
    units : dict of str to str
        Unit of each parameter: that of y, of x, of 1/x, or none.
    meanings : dict of str to str
    delta_aicc, delta_bic : float
        AICc and BIC at the effective number of points, above the lowest.
    errors : Arma
        Model of the errors along the curve.
    test : FormTest or None
        Bootstrap test of "this form is the truth"; None where one form only was fitted.
    extrapolation : float
        Root mean square error of predicting the last 30 % of the points from the others, in units of y.
    sensitivity : dict of str to Interval
        Block-bootstrap intervals, made on request (``thorough=True``).
    """

    estimate: Estimate
    intervals: dict[str, Interval]
    covariance: Array
    title: str
    formula: str
    gamma_name: str | None
    units: dict[str, str]
    meanings: dict[str, str]
    delta_aicc: float = math.inf
    delta_bic: float = math.inf
    errors: Arma = WHITE
    test: FormTest | None = None
    extrapolation: float = math.nan
    sensitivity: dict[str, Interval] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Identifier of the form."""
        return self.estimate.form

    @property
    def stderr(self) -> dict[str, float]:
        """Standard errors from :attr:`covariance`; NaN at a bound, inf where not identified."""
        return standard_errors(self.estimate, self.covariance)

    @property
    def gamma(self) -> float | None:
        """Estimate of γ, or None where the form has none or did not fit."""
        value = self.estimate.params.get(self.gamma_name) if self.gamma_name else None
        return None if value is None or math.isnan(value) else value

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping, without NaN."""
        e = self.estimate
        return {
            "form": e.form,
            "title": self.title,
            "formula": self.formula,
            "gamma_name": self.gamma_name,
            "params": {k: _finite(v) for k, v in e.params.items()},
            "units": self.units,
            "meanings": self.meanings,
            "stderr": {k: _finite(v) for k, v in self.stderr.items()},
            "stderr_independent": {k: _finite(v) for k, v in e.stderr.items()},
            "stderr_unbounded": [k for k, v in e.stderr.items() if math.isinf(v)],
            "covariance": _rows(self.covariance),
            "covariance_independent": _rows(e.covariance),
            "intervals": {k: v.to_json() for k, v in self.intervals.items()},
            "noise": e.noise,
            "n": e.n,
            "k": e.k,
            "rss": _finite(e.rss),
            "loglik": _finite(e.loglik),
            "aicc": _finite(e.aicc),
            "bic": _finite(e.bic),
            "delta_aicc": _finite(self.delta_aicc),
            "delta_bic": _finite(self.delta_bic),
            "errors": {"model": self.errors.title, "phi": list(self.errors.phi), "theta": list(self.errors.theta)},
            "autocorrelation_time": max(self.errors.time, 1.0),
            "test": None
            if self.test is None
            else {
                "p_value": self.test.p_value,
                "goodness_of_fit_p_value": _finite(self.test.fit_p_value),
                "replicates": self.test.replicates,
            },
            "extrapolation_rmse": _finite(self.extrapolation),
            "sensitivity": {k: v.to_json() for k, v in self.sensitivity.items()},
            "status": e.status,
            "reason": e.reason,
            "at_bound": list(e.at_bound),
            "not_identified": list(e.not_identified),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FormFit:
        """Inverse of :meth:`to_json`."""
        loose = tuple(data["not_identified"])
        params = {k: _number(v, math.nan) for k, v in data["params"].items()}
        endless = data["stderr_unbounded"]
        independent = data["stderr_independent"]
        stderr = {k: _number(v, math.inf if k in endless else math.nan) for k, v in independent.items()}
        covariance = _matrix(data["covariance_independent"])
        estimate = Estimate(
            data["form"], data["noise"], params, stderr, covariance, _number(data["rss"], math.nan),
            _number(data["loglik"], -math.inf), int(data["n"]), int(data["k"]), data["status"], data["reason"],
            tuple(data["at_bound"]), loose,
        )  # fmt: skip
        intervals = {k: Interval.from_json(v) for k, v in data["intervals"].items()}
        return cls(
            estimate, intervals, _matrix(data["covariance"]), data["title"], data["formula"], data["gamma_name"],
            dict(data["units"]), dict(data["meanings"]), _number(data["delta_aicc"], math.inf),
            _number(data.get("delta_bic"), math.inf),
            Arma(tuple(data["errors"]["phi"]), tuple(data["errors"]["theta"])), _test_from_json(data["test"]),
            _number(data["extrapolation_rmse"], math.nan),
            {k: Interval.from_json(v) for k, v in data["sensitivity"].items()},
        )  # fmt: skip


def _test_from_json(data: Mapping[str, Any] | None) -> FormTest | None:
    if data is None:
        return None
    fit = _number(data["goodness_of_fit_p_value"], math.nan)
    return FormTest(float(data["p_value"]), fit, int(data["replicates"]))


@dataclass(frozen=True, eq=False)
class FitResult:
    """The answer of :func:`cogfit.fit`.

    Attributes
    ----------
    form : str
        The form that ``gamma`` and the other short-cuts refer to: the one asked for, or the simplest of the
        indistinguishable ones.
    forms : tuple of FormFit
        All forms fitted, best first.
    verdict : Verdict
        What the data say about "this is a power law".
    axis, convention, measure : str
        What x counts, in words, and what y is.
    n : int
        Points fitted.
    n_effective : float
        Points after allowing for autocorrelation.
    noise : str
    level : float
    source : dict
        ``path``, ``format``, ``rows_read``, ``rows_dropped`` by reason, ``notes``.
    trajectories, averaging, transition : dict or None
    warnings : tuple of str
    indistinguishable_forms : tuple of str
    versions : dict of str to str
    x, y, weights : ndarray, shape (n,)
        The curve that was fitted.
    x_label, y_label : str
    windows : tuple of Window
        γ of the power law over parts of the curve.

    Examples
    --------
    >>> import cogfit, numpy as np
    >>> x = np.arange(1.0, 101.0)
    >>> fit = cogfit.fit(x, x**-0.43 + np.random.default_rng(0).normal(0, 0.01, 100))
    >>> fit.verdict.power_law
    'supported'
    >>> fit.interval[0] < 0.43 < fit.interval[1]
    True
    """

    form: str
    forms: tuple[FormFit, ...]
    verdict: Verdict
    axis: str
    convention: str
    measure: str
    n: int
    n_effective: float
    noise: str
    level: float
    source: Mapping[str, Any]
    trajectories: Mapping[str, Any] | None
    averaging: Mapping[str, Any] | None
    transition: Mapping[str, Any] | None
    warnings: tuple[str, ...]
    indistinguishable_forms: tuple[str, ...]
    versions: Mapping[str, str]
    x: Array = field(repr=False)
    y: Array = field(repr=False)
    weights: Array = field(repr=False)
    x_label: str = "x"
    y_label: str = "y"
    windows: tuple[Window, ...] = ()

    # ------------------------------------------------------------------------------------------- short-cuts

    def __getitem__(self, name: str) -> FormFit:
        """Return the fit of a form by name."""
        for item in self.forms:
            if item.name == name:
                return item
        raise KeyError(f"form '{name}' was not fitted; there are {', '.join(f.name for f in self.forms)}")

    @property
    def selected(self) -> FormFit:
        """The fit of :attr:`form`."""
        return self[self.form]

    @property
    def gamma(self) -> float | None:
        """Power-law exponent of :attr:`form`; None where that form has none."""
        return self.selected.gamma

    @property
    def interval(self) -> tuple[float, float] | None:
        """Confidence interval of γ (limits may be infinite); None where the form has no γ."""
        name = self.selected.gamma_name
        if name is None or name not in self.selected.intervals:
            return None
        found = self.selected.intervals[name]
        return found.low, found.high

    @property
    def params(self) -> dict[str, float]:
        """Parameters of :attr:`form`."""
        return dict(self.selected.estimate.params)

    @property
    def stderr(self) -> dict[str, float]:
        """Standard errors of :attr:`params` (see :attr:`FormFit.stderr`)."""
        return self.selected.stderr

    @property
    def rss(self) -> float:
        """Weighted residual sum of squares of :attr:`form`."""
        return self.selected.estimate.rss

    @property
    def loglik(self) -> float:
        """Log-likelihood of :attr:`form`."""
        return self.selected.estimate.loglik

    @property
    def aicc(self) -> float:
        """AICc of :attr:`form`, for independent errors."""
        return self.selected.estimate.aicc

    @property
    def status(self) -> str:
        """``ok``, ``at_bound``, ``not_identified`` or ``failed``: of :attr:`form`."""
        return self.selected.estimate.status

    @property
    def reason(self) -> str:
        """Why the status is not ``ok``."""
        return self.selected.estimate.reason

    @property
    def findings(self) -> tuple[str, ...]:
        """Reasons of the verdict, and what windows, patterns, averaging and transitions say; one sentence each."""
        parts = [self.verdict.reasons, (windows.summary(self.windows),)]
        parts += [(part or {}).get("statements", ()) for part in (self.trajectories, self.averaging, self.transition)]
        return tuple(text for part in parts for text in part if text)

    # ---------------------------------------------------------------------------------------------- tables

    def table(self) -> pd.DataFrame:
        """One row per form, best first.

        Returns
        -------
        pandas.DataFrame
            Columns ``form``, ``gamma``, ``low``, ``high``, ``delta_aicc``, ``aicc``, ``rss``, ``parameters``,
            ``status``, ``reason``.
        """
        import pandas as pd

        rows = []
        for item in self.forms:
            e = item.estimate
            limits = item.intervals.get(item.gamma_name or "")
            rows.append(
                {
                    "form": item.name,
                    "gamma": math.nan if item.gamma is None else item.gamma,
                    "low": math.nan if limits is None or item.gamma is None else limits.low,
                    "high": math.nan if limits is None or item.gamma is None else limits.high,
                    "delta_aicc": item.delta_aicc,
                    "aicc": e.aicc,
                    "rss": e.rss,
                    "parameters": ", ".join(f"{k} = {v:.4g}" for k, v in e.params.items() if not math.isnan(v)),
                    "status": e.status,
                    "reason": e.reason,
                }
            )
        return pd.DataFrame(rows)

    def headline(self) -> str:
        """The answer in one or two sentences."""
        lines = [] if self.verdict.power_law == "not_compared" else [f"Power law: {self.verdict}."]
        if self.gamma is not None and self.interval is not None:
            lines.append(
                f"γ = {self.gamma:.3g}, {self.level:.0%} interval {format_interval(self.interval)} "
                f"({self.selected.title}; {self.axis} axis)."
            )
        elif (power := next((f for f in self.forms if f.name == "power" and f.gamma is not None), None)) is None:
            return " ".join(lines)
        elif "gamma" in power.estimate.at_bound:
            lines.append(f"The best form, {self.selected.title}, has no γ, and no log–log slope describes this window.")
        else:
            low_high = power.intervals["gamma"]
            lines.append(
                f"The best form, {self.selected.title}, has no γ; the log–log slope over this window is "
                f"{power.gamma:.3g} {format_interval((low_high.low, low_high.high))}, a description and no parameter."
            )
        return " ".join(lines)

    def __repr__(self) -> str:
        return f"<FitResult: {self.headline()}>"

    def __str__(self) -> str:
        """Readable report."""
        from cogfit.show import tables

        lines = [self.headline(), ""]
        lines += [f"  · {finding}" for finding in self.findings]
        lines += [
            "",
            f"{self.n:,} points, {self.n_effective:,.0f} effective · {self.noise} noise · {self.convention}",
            "",
        ]
        lines.append(tables.to_plain(tables.forms_table(self, tables.PLAIN)))
        lines += [f"warning: {text}" for text in self.warnings]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        from cogfit.show import tables

        warnings = "".join(f"<li>{escape(text)}</li>" for text in self.warnings)
        reasons = "".join(f"<li>{escape(text)}</li>" for text in self.findings)
        table = tables.to_notebook(tables.forms_table(self, tables.NOTEBOOK))
        return f"<p><b>{escape(self.headline())}</b></p><ul>{reasons}</ul>{table}<ul>{warnings}</ul>"

    def methods(self) -> str:
        """Paragraph for a paper's methods section, with the numbers of this fit."""
        item = self.selected
        names = ", ".join(f.title for f in self.forms)
        text = (
            f"Curves of {self.y_label} against {self.x_label} ({self.convention}; n = {self.n}) were fitted with "
            f"cogfit {self.versions.get('cogfit', '?')} by maximum likelihood under {self.noise} noise, using "
            f"multi-start variable projection or least squares on deviance residuals. "
        )
        if len(self.forms) > 1:
            text += (
                f"{len(self.forms)} forms were compared ({names}), ordered by AICc and tested by bootstrap around each "
                f"form ({self._replicates} replicates; effective sample size {self.n_effective:.0f}); not refused at "
                "5 %: "
                f"{', '.join(self[name].title for name in self.indistinguishable_forms) or 'none'}. "
            )
        if self.gamma is not None and self.interval is not None:
            how = item.intervals[item.gamma_name or ""]
            text += (
                f"The exponent of the form {item.title} was γ = {self.gamma:.3g} ({self.level:.0%} interval "
                f"{format_interval(self.interval)}; {how.method}; scope: {how.scope}). "
            )
        else:
            text += f"The form retained was {item.title}, which has no power-law exponent. "
        if self.verdict.power_law == "not_compared":
            return text + "No other form was fitted."
        text += f"The power law was {self.verdict}"
        text += ": " + "; ".join(self.findings) + "." if self.findings else "."
        if self.source.get("rows_dropped"):
            dropped = ", ".join(f"{count} ({reason})" for reason, count in self.source["rows_dropped"].items())
            text += f" Rows left out: {dropped}."
        return text

    @property
    def _replicates(self) -> int:
        return max((item.test.replicates for item in self.forms if item.test is not None), default=0)

    def plot(self, **options: Any) -> Figure:
        """Draw data, forms and residuals; see :func:`cogfit.show.plots.plot_fit`."""
        from cogfit.show.plots import plot_fit

        return plot_fit(self, **options)

    def plot_diagnostics(self, **options: Any) -> Figure:
        """Draw profile of γ, windows, residuals and switch times; see :func:`cogfit.show.plots.plot_diagnostics`."""
        from cogfit.show.plots import plot_diagnostics

        return plot_diagnostics(self, **options)

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a self-contained web page; see :func:`cogfit.show.page.save_report`."""
        from cogfit.show.page import save_report

        save_report(self, path)

    # ------------------------------------------------------------------------------------------------ JSON

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document (schema ``cogfit.fit/1``): no NaN, an infinite limit is null plus ``unbounded``."""
        gamma = None
        if self.gamma is not None and self.selected.gamma_name in self.selected.intervals:
            gamma = {"estimate": self.gamma, **self.selected.intervals[self.selected.gamma_name].to_json()}
        return {
            "schema": SCHEMA,
            "source": dict(self.source),
            "axis": self.axis,
            "convention": self.convention,
            "measure": self.measure,
            "n": self.n,
            "n_effective": self.n_effective,
            "noise": self.noise,
            "level": self.level,
            "gamma": gamma,
            "form": self.form,
            "forms": [item.to_json() for item in self.forms],
            "indistinguishable_forms": list(self.indistinguishable_forms),
            "verdict": {"power_law": self.verdict.power_law, "reasons": list(self.verdict.reasons)},
            "trajectories": None if self.trajectories is None else dict(self.trajectories),
            "averaging": None if self.averaging is None else dict(self.averaging),
            "transition": None if self.transition is None else dict(self.transition),
            "windows": [window.to_json() for window in self.windows],
            "warnings": list(self.warnings),
            "versions": dict(self.versions),
            "curve": {
                "x_label": self.x_label,
                "y_label": self.y_label,
                "x": self.x.tolist(),
                "y": self.y.tolist(),
                "weights": self.weights.tolist(),
            },
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON document, whole or not at all; :func:`cogfit.load` reads it back."""
        write_atomic(path, dump(self.to_json()))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FitResult:
        """Inverse of :meth:`to_json`; raises InputError for anything else."""
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        if found != SCHEMA:
            raise InputError(f"not a fit: expected the schema '{SCHEMA}', found {found!r}")
        try:
            plain = {f.name for f in fields(cls)} & set(data)
            special = {"forms", "verdict", "warnings", "indistinguishable_forms", "windows"}
            values = {name: data[name] for name in plain - special}
            curve = data["curve"]
            return cls(
                forms=tuple(FormFit.from_json(item) for item in data["forms"]),
                verdict=Verdict(data["verdict"]["power_law"], tuple(data["verdict"]["reasons"])),
                warnings=tuple(data["warnings"]),
                indistinguishable_forms=tuple(data["indistinguishable_forms"]),
                windows=tuple(Window.from_json(item) for item in data["windows"]),
                x=np.array(curve["x"], dtype=float),
                y=np.array(curve["y"], dtype=float),
                weights=np.array(curve["weights"], dtype=float),
                x_label=str(curve["x_label"]),
                y_label=str(curve["y_label"]),
                **values,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the document is damaged ({type(error).__name__}: {error})") from error


def dump(document: Mapping[str, Any]) -> str:
    """JSON text of a document: indented, lists of numbers on one line, never NaN."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return _NUMBERS.sub(lambda match: re.sub(r"\s+", " ", match.group()), text) + "\n"


_NUMBERS = re.compile(r"\[\s+(?:(?:-?[\d.eE+-]+|null),\s+)*(?:-?[\d.eE+-]+|null)\s+\]")


def load(path: str | os.PathLike[str]) -> FitResult:
    """Read a fit that was saved with :meth:`FitResult.save`.

    Raises
    ------
    InputError
        If the file cannot be read or is no such document.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise InputError(f"cannot be read as a saved fit ({error})", path=Path(path)) from error
    try:
        return FitResult.from_json(data)
    except InputError as error:
        raise InputError(
            error.what, path=Path(path), hint="save one with fit.save(...) or cogfit fit --json"
        ) from error
