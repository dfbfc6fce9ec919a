"""What a fit says: a frozen, picklable record with its tables, its JSON document and its methods paragraph."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NotRequired, Self, TypedDict, overload

from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.estimate import Estimate
from cogfit.errors import InputError, shortlist
from cogfit.files import write_atomic
from cogfit.forecasting.records import Forecast, Prediction, Reach
from cogfit.formulas.form import Array
from cogfit.formulas.registry import POWER, get_form
from cogfit.inference import windows
from cogfit.inference.form_tests import FormTest
from cogfit.inference.interval import Interval, format_interval, standard_errors
from cogfit.inference.rates import Audit
from cogfit.inference.standing import Standing, standing_of
from cogfit.inference.verdict import Verdict
from cogfit.inference.windows import Law, Window
from cogfit.records.codec import Document, High, Nan, dump, read_json, wire
from cogfit.records.sentence import Explanation, Sentence

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from cogfit.forecasting.ensemble import Ensemble, Refusal
    from cogfit.show.exports import Summary, TableName

SCHEMA = "cogfit.fit/1"


class Account(TypedDict):
    """Where the points came from.

    Attributes
    ----------
    path : str or None
    format : str
    rows_read, rows_used : int
        Rows of the log, and those behind the points.
    rows_dropped : dict of str to int
        The others, by reason.
    notes : list of str
    choices : list of dict
        ``kind`` (split, run, training or column), ``name`` and ``others``, where there were several.
    averaged_over : dict of str to int
        Number of runs, layers or heads that a mean was taken over.
    restarts : list of dict
        ``reached``, ``step``, ``rows_void``, ``declared`` and the ``branch`` that was left, with its labels.
    course : dict
        Mean value of the rows that count by step, where there were restarts.
    """

    path: str | None
    format: str
    rows_read: int
    rows_dropped: dict[str, int]
    notes: list[str]
    rows_used: NotRequired[int]
    choices: NotRequired[list[dict[str, Any]]]
    averaged_over: NotRequired[dict[str, int]]
    restarts: NotRequired[list[dict[str, Any]]]
    course: NotRequired[dict[str, list[float]]]


def choice_in_words(choice: Mapping[str, Any]) -> str:
    """What was chosen, and what else there is."""
    kind, name, others = str(choice["kind"]), str(choice["name"]), [str(other) for other in choice["others"]]
    what = name if kind == "training" else f"{kind} {name}"
    if not others:
        return what
    ways = {"split": f"also there: {shortlist(others)}; --split", "training": f"{len(others)} before it: --by run"}
    counted = "1 other" if len(others) == 1 else f"{len(others)} others"
    return f"{what} ({ways.get(kind, f'{counted}: --by run')})"


@dataclass(frozen=True, eq=False)
class FormFit(Document):
    """One form's fit within a result.

    Attributes
    ----------
    estimate : Estimate
        Parameters at the maximum of the likelihood that the intervals come from, and their status; likelihood (at its
        own maximum) and standard errors for independent errors of even variance (see there).
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

    DERIVED: ClassVar[Mapping[str, str]] = {
        "stderr": "stderr",
        "standing": "_standings",
        "autocorrelation_time": "autocorrelation_time",
    }

    estimate: Estimate = field(metadata=wire(flat=True))
    intervals: dict[str, Interval]
    covariance: Array
    title: str
    formula: str
    gamma_name: str | None
    units: dict[str, str]
    meanings: dict[str, str]
    delta_aicc: High = math.inf
    delta_bic: High = math.inf
    errors: Arma = WHITE
    test: FormTest | None = None
    extrapolation: Nan = field(default=math.nan, metadata=wire("extrapolation_rmse"))
    sensitivity: dict[str, Interval] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<FormFit {self.name}: {self.short}>"

    @property
    def short(self) -> str:
        """γ with its interval, or the parameters, in brief."""
        if self.estimate.status == "failed":
            return "failed"
        return self.described(self.gamma_name) if self.gamma_name else ", ".join(map(self.described, self.params))

    def described(self, name: str) -> str:
        """A parameter with its interval, or what it is worth.

        Parameters
        ----------
        name : str
        """
        symbol = "γ" if name == self.gamma_name else name
        standing, limits = self.standing(name), self.intervals.get(name)
        if not standing.is_measured:
            return f"{symbol} {standing.words}"
        interval = "" if limits is None else f" {format_interval((limits.low, limits.high))}"
        return f"{symbol} = {self.params[name]:.3g}{interval}{f' ({standing.doubt})' if standing.doubt else ''}"

    @property
    def name(self) -> str:
        """Identifier of the form."""
        return self.estimate.form

    @property
    def params(self) -> dict[str, float]:
        """Estimates of the parameters."""
        return dict(self.estimate.params)

    @property
    def stderr(self) -> dict[str, float]:
        """Standard errors from :attr:`covariance`.

        NaN at a bound, inf where not identified.
        """
        return standard_errors(self.estimate, self.covariance)

    @property
    def gamma(self) -> float | None:
        """Estimate of γ, if there is one.

        None where the form has no γ or did not fit.
        """
        value = self.estimate.params.get(self.gamma_name) if self.gamma_name else None
        return None if value is None or math.isnan(value) else value

    @property
    def interval(self) -> tuple[float, float] | None:
        """Confidence interval of γ.

        Limits may be infinite. None where the form has no γ.
        """
        limits = self.intervals.get(self.gamma_name or "")
        return None if limits is None else (limits.low, limits.high)

    def conf_int(self) -> pd.DataFrame:
        """Confidence limits of all parameters.

        Returns
        -------
        pandas.DataFrame
            Columns ``low`` and ``high``, by parameter: infinite where the data set no limit, NaN where no interval was
            made.

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> x = np.arange(1.0, 31.0)
        >>> fit = cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power")
        >>> bool(fit["power"].conf_int().loc["gamma", "low"] == fit.interval[0])
        True
        """
        from cogfit.show import exports

        return exports.confidence_limits(self)

    def standing(self, name: str | None = None) -> Standing:
        """Whether a parameter is a measurement.

        γ by default.
        """
        name = name or self.gamma_name or ""
        return standing_of(name, self.estimate, self.intervals.get(name), self.test)

    @property
    def _standings(self) -> dict[str, str]:
        return {name: self.standing(name).kind for name in self.estimate.params}

    def contradictions(self, n: int) -> Iterator[str]:
        """Say which numbers do not fit `n` points."""
        count, fit = len(self.estimate.params), self.estimate
        if not self.covariance.shape == fit.covariance.shape == (count, count):
            yield f"a covariance of '{self.name}' is not {count} × {count}"
        if fit.n != n or not 1 <= fit.k <= n + count + 1:
            yield f"'{self.name}' counts points or parameters that the curve does not have"
        if self.gamma is not None and self.gamma_name not in self.intervals:
            yield f"'{self.name}' has a γ without an interval"
        if not self.errors.is_stationary:
            yield f"the errors of '{self.name}' are not stationary"

    @property
    def autocorrelation_time(self) -> float:
        """Points that carry the information of one.

        At least 1.
        """
        return self.estimate.n / self.errors.points(self.estimate.n)


@dataclass(frozen=True, eq=False)
class FitResult(Document):
    """The answer of :func:`cogfit.fit`.

    Attributes
    ----------
    form : str
        The form that ``gamma`` and the other short-cuts refer to: the one asked for, the power law that is supported,
        or the simplest form that is not refused.
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
        γ over parts of the curve, with the floor and the shift of :attr:`law` held.
    audit : Audit or None
        The verdict tried on curves like these, where that was asked for.
    forecast : Forecast or None
        What was asked of the future of the curve (see :meth:`with_forecast`).
    explanation : tuple of Explanation
        What a document says of its sentences (see :meth:`explain`); empty for a fit that was just made.

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

    SCHEMA: ClassVar[str] = SCHEMA
    DERIVED: ClassVar[Mapping[str, str]] = {"gamma": "_gamma_document", "explanation": "explain"}

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
    source: Account
    trajectories: Mapping[str, Any] | None
    averaging: Mapping[str, Any] | None
    transition: Mapping[str, Any] | None
    warnings: tuple[str, ...]
    indistinguishable_forms: tuple[str, ...]
    versions: dict[str, str]
    x: Array = field(repr=False, metadata=wire("curve.x"))
    y: Array = field(repr=False, metadata=wire("curve.y"))
    weights: Array = field(repr=False, metadata=wire("curve.weights"))
    x_label: str = field(default="x", metadata=wire("curve.x_label"))
    y_label: str = field(default="y", metadata=wire("curve.y_label"))
    windows: tuple[Window, ...] = ()
    audit: Audit | None = field(default=None, metadata=wire(omit=True))
    forecast: Forecast | None = field(default=None, metadata=wire(omit=True))
    explanation: tuple[Explanation, ...] = field(default=(), repr=False, compare=False)

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
        """Power-law exponent of :attr:`form`.

        None where that form has none.
        """
        return self.selected.gamma

    @property
    def interval(self) -> tuple[float, float] | None:
        """Confidence interval of γ.

        Limits may be infinite. None where the form has no γ.
        """
        return self.selected.interval

    @property
    def params(self) -> dict[str, float]:
        """Parameters of :attr:`form`."""
        return self.selected.params

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
        """All that the fit says, one sentence each.

        Reasons of the verdict, then its audit, windows, patterns, averaging and transitions.
        """
        audited = () if self.audit is None else (self.audit.statement,)
        parts = [self.verdict.reasons, audited, self.window_statements]
        parts += [(part or {}).get("statements", ()) for part in (self.trajectories, self.averaging, self.transition)]
        return tuple(text for part in parts for text in part if text)

    @property
    def key_findings(self) -> tuple[str, ...]:
        """The findings to read first, four at the most.

        Up to two reasons of the verdict, then one each of transition, averaging, windows and patterns.
        """
        parts = (self.transition, self.averaging, {"statements": self.window_statements}, self.trajectories)
        first = [text for part in parts for text in (part or {}).get("statements", ())[:1] if text]
        return (*self.verdict.reasons[:2], *first)[:4]

    def explain(self) -> tuple[Explanation, ...]:
        """What stands behind each finding and warning.

        Returns
        -------
        tuple of Explanation
            With the function that decided, its rule in figures, and the numbers; printing one shows all.

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> x = np.arange(1.0, 101.0)
        >>> fit = cogfit.fit(x, x**-0.43 + np.random.default_rng(0).normal(0, 0.01, 100))
        >>> fit.explain()[0].threshold, fit.explain()[0].decided_by
        ('p > 0.05', 'cogfit.inference.verdict.judge_power_law')
        """
        stored = {item.sentence: item for item in self.explanation}
        texts = (*self.findings, *self.warnings)
        return tuple(
            Explanation.of_sentence(text) if isinstance(text, Sentence) or text not in stored else stored[text]
            for text in texts
        )

    @property
    def law(self) -> Law | None:
        """The law whose exponent :attr:`windows` show.

        See :func:`cogfit.inference.windows.law_of`.
        """
        params = {item.name: item.estimate.params for item in self.forms}
        return windows.law_of(self.form, self.indistinguishable_forms, params)

    @property
    def window_statements(self) -> tuple[str, ...]:
        """How γ changes over windows of x, in sentences."""
        return windows.statements(self.windows, self.law, self.level)

    # ---------------------------------------------------------------------------------------------- tables

    def table(self) -> pd.DataFrame:
        """One row per form, best first.

        Returns
        -------
        pandas.DataFrame
            Columns ``form``, ``gamma``, ``low``, ``high``, ``standing`` (what γ is worth, ``"measured"`` at best),
            ``delta_aicc``, ``aicc``, ``rss``, ``parameters``, ``status``, ``reason``.
        """
        from cogfit.show import exports

        return exports.to_frame(self)

    def tidy(self, form: str | None = None) -> pd.DataFrame:
        """One row per parameter of the form reported.

        Parameters
        ----------
        form : str, optional
            Another form that was fitted, or ``"all"``.

        Returns
        -------
        pandas.DataFrame
            Columns ``form``, ``term``, ``estimate``, ``std_error``, ``conf_low``, ``conf_high``, ``standing``: what the
            number is worth, ``"measured"`` at best.

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> x = np.arange(1.0, 31.0)
        >>> fit = cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power")
        >>> fit.tidy()[["term", "estimate"]].round(2).values.tolist()
        [['A', 1.0], ['gamma', 0.5]]
        """
        from cogfit.show import exports

        return exports.tidy(self.forms if form == "all" else [self[form or self.form]])

    def glance(self) -> pd.DataFrame:
        """One row that sums the fit up.

        Returns
        -------
        pandas.DataFrame
            Verdict, form, γ and its limits, points, likelihood and criteria; rows of several fits can be stacked.

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> x = np.arange(1.0, 31.0)
        >>> cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power").glance()[["form", "nobs"]].values.tolist()
        [['power', 30]]
        """
        from cogfit.show import exports

        return exports.glance(self)

    def augment(self) -> pd.DataFrame:
        """One row per point: data, fitted value, residual.

        Returns
        -------
        pandas.DataFrame
            Columns ``x``, ``y``, ``weight``, ``fitted``, ``residual``.

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> x = np.arange(1.0, 31.0)
        >>> cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power").augment().shape
        (30, 5)
        """
        from cogfit.show import exports

        return exports.augment(self)

    def conf_int(self) -> pd.DataFrame:
        """Confidence limits of the parameters of :attr:`form`.

        At the level that was asked of the fit. See ``conf_int`` of each form.
        """
        return self.selected.conf_int()

    def summary(self) -> Summary:
        """Answer, parameters, statistics and warnings, to be printed.

        Returns
        -------
        Summary
            Shown as text in a terminal, as a table in a notebook.

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> x = np.arange(1.0, 31.0)
        >>> "std. error" in str(cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power").summary())
        True
        """
        from cogfit.show import exports

        return exports.summarise(self)

    def to_latex(self, table: TableName = "parameters") -> str:
        r"""A table of the fit as LaTeX (package booktabs).

        Parameters
        ----------
        table : {"parameters", "forms", "windows"}

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> x = np.arange(1.0, 31.0)
        >>> cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power").to_latex().splitlines()[0]
        '\\begin{tabular}{lrll}'
        """
        from cogfit.show import exports

        return exports.to_latex(self, table)

    def to_markdown(self, table: TableName = "parameters") -> str:
        """A table of the fit as Markdown.

        Parameters
        ----------
        table : {"parameters", "forms", "windows"}

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> x = np.arange(1.0, 31.0)
        >>> print(cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power").to_markdown().splitlines()[1])
        | --- | ---: | --- | --- |
        """
        from cogfit.show import exports

        return exports.to_markdown(self, table)

    # --------------------------------------------------------------------------------------------- the curve

    @property
    def fitted(self) -> Array:
        """Values of :attr:`form` at :attr:`x`, shape (n,)."""
        return get_form(self.form).evaluate(self.x, self.params)

    @property
    def residuals(self) -> Array:
        """Observed less :attr:`fitted` values, shape (n,).

        In units of y, in the order of :attr:`x`.
        """
        return self.y - self.fitted

    # ----------------------------------------------------------------------------------------------- forecasts

    @cached_property
    def _ensemble(self) -> Ensemble | Refusal:
        """Curves that the data allow, drawn once."""
        from cogfit.forecasting.of_fit import ensemble_of_fit

        return ensemble_of_fit(self)

    def predict(self, x: ArrayLike, level: float | None = None) -> Prediction:
        """Forecast the curve and a new observation.

        Averaged over the forms that are not refused, each with its held-out error; refused where they disagree.

        Parameters
        ----------
        x : array_like
            Where; beyond the data or within.
        level : float, optional
            Of the intervals; that of the fit by default.

        Returns
        -------
        Prediction

        Raises
        ------
        InputError
            For x that are no finite numbers, or where the forms have no value.

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> x = np.arange(1.0, 101.0)
        >>> fit = cogfit.fit(x, x**-0.43 + np.random.default_rng(0).normal(0, 0.01, 100), form="power")
        >>> ahead = fit.predict(200)
        >>> bool(ahead.curve_low[0] < 200**-0.43 < ahead.curve_high[0])
        True
        """
        from cogfit.forecasting import answers

        return answers.predict(self._ensemble, x, self.level if level is None else level)

    def reach(self, value: float, level: float | None = None) -> Reach:
        """Tell when the curve reaches a value.

        Parameters
        ----------
        value : float
            Of y.
        level : float, optional
            Of the interval; that of the fit by default.

        Returns
        -------
        Reach

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> x = np.arange(1.0, 101.0)
        >>> fit = cogfit.fit(x, x**-0.5 + np.random.default_rng(0).normal(0, 0.001, 100), form="power")
        >>> round(fit.reach(0.05).x, -1)
        400.0
        """
        from cogfit.forecasting import answers

        return answers.reach(self._ensemble, value, self.level if level is None else level)

    def with_forecast(self, at: ArrayLike = (), reach: ArrayLike = ()) -> FitResult:
        """The fit with forecasts, which its outputs then show.

        Parameters
        ----------
        at : array_like
            x at which y is asked for.
        reach : array_like
            Values of y whose x is asked for.

        Returns
        -------
        FitResult

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> x = np.arange(1.0, 31.0)
        >>> fit = cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power").with_forecast(at=60, reach=0.1)
        >>> fit.forecast.reach[0].status
        'expected'
        """
        from cogfit.forecasting import answers

        return replace(self, forecast=answers.forecast(self._ensemble, at, reach, self.level))

    # ---------------------------------------------------------------------------------------------- sentences

    def headline(self) -> str:
        """The answer in one or two sentences.

        With how the form was chosen, and what was chosen or averaged to get there.
        """
        return " ".join(text for text in (self._answer(), self.scope) if text)

    @property
    def scope(self) -> str:
        """What of the log was fitted, where it holds more.

        Empty where it holds a single curve.
        """
        parts = [choice_in_words(choice) for choice in self.source.get("choices", [])]
        averaged = self.source.get("averaged_over", {})
        if averaged:
            counted = " and ".join(f"{n} {name}s" for name, n in averaged.items())
            parts.append(f"averaged over {counted} (one by one: --by {','.join(averaged)})")
        return f"Fitted: {'; '.join(parts)}." if parts else ""

    @property
    def choice(self) -> str:
        """How the form reported was chosen, in words.

        Empty where nothing was compared.
        """
        others = self.indistinguishable_forms
        if self.verdict.power_law == "not_compared" or self.selected.test is None:
            return ""
        if self.form not in others:
            return "every form is refused; one of the lowest AICc" if not others else ""
        if len(others) == 1:
            return "the only form not refused"
        return f"the simplest of {len(others)} forms not refused"

    def _answer(self) -> str:
        lines = [] if self.verdict.power_law == "not_compared" else [f"Power law: {self.verdict}."]
        item, limits = self.selected, self.interval
        about = "; ".join(filter(None, (item.title, f"{self.axis} axis", self.choice)))
        if self.gamma is not None and limits is not None:
            standing = item.standing()
            if standing.is_measured:
                doubt = f", unreliable: {standing.why}" if standing.why else ""
                lines.append(
                    f"γ = {self.gamma:.3g}, {self.level:.0%} interval {format_interval(limits)}{doubt} ({about})."
                )
            else:
                lines.append(f"γ is no measurement here: {standing.reason} ({about}).")
        else:
            lines += self._description()
        return " ".join(lines)

    def _description(self) -> list[str]:
        """What may be said where the form reported has no γ."""
        if self.verdict.power_law == "not_compared":
            return [self._parameters_in_words()]
        power = next((item for item in self.forms if item.name == POWER and item.gamma is not None), None)
        if power is None:
            return []
        named = self.selected.title + (f" ({self.choice})" if self.choice else "")
        standing, limits = power.standing(), power.intervals["gamma"]
        if standing.kind in ("at_bound", "not_identified"):
            return [f"The form reported, {named}, has no γ, and no log–log slope describes this window."]
        shown = format_interval((limits.low, limits.high)) if standing.is_measured else "(a power law misses the curve)"
        return [
            f"The form reported, {named}, has no γ; the log–log slope over this window is {power.gamma:.3g} {shown}, a "
            "description and no parameter."
        ]

    def _parameters_in_words(self) -> str:
        """The answer of a form without γ that was asked for."""
        item = self.selected
        if item.estimate.status == "failed":
            return f"{item.title} did not fit: {item.estimate.reason} ({self.axis} axis)."
        about = f"{self.level:.0%} intervals; {self.axis} axis"
        return f"{item.title}: {', '.join(map(item.described, item.params))} ({about})."

    def __repr__(self) -> str:
        verdict = "" if self.verdict.power_law == "not_compared" else f"power law {self.verdict}; "
        return f"<FitResult: {verdict}{self.form}, {self.selected.short}; {self.n:,} points>"

    def __str__(self) -> str:
        """Readable report."""
        from cogfit.show import exports

        return exports.to_text(self)

    def _repr_html_(self) -> str:
        from cogfit.show import exports

        return exports.to_html(self)

    def methods(self) -> str:
        """Write a paragraph for a methods section.

        With the numbers of this fit.
        """
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
    def _replicates(self) -> str:
        """Fewest and most of the forms that needed any."""
        counts = {item.test.replicates for item in self.forms if item.test is not None} - {0} or {0}
        return f"{min(counts):,}" if len(counts) == 1 else f"{min(counts):,} to {max(counts):,}"

    @overload
    def plot(self, *, ax: Axes, **options: Any) -> Axes: ...

    @overload
    def plot(self, *, ax: None = None, **options: Any) -> Figure: ...

    def plot(self, *, ax: Axes | None = None, **options: Any) -> Figure | Axes:
        """Draw data, forms and residuals.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Draw data and forms here, as a panel of a figure of your own, without the residuals.
        **options
            See :func:`cogfit.show.plots.plot_fit` and :func:`~cogfit.show.plots.draw_fit`.

        Returns
        -------
        matplotlib.figure.Figure, or the axes that were given

        Examples
        --------
        >>> import cogfit, numpy as np
        >>> from matplotlib.figure import Figure
        >>> x = np.arange(1.0, 31.0)
        >>> fit = cogfit.fit(x, x**-0.5 + 0.001 * np.sin(x), form="power")
        >>> ax = Figure().subplots()
        >>> fit.plot(ax=ax) is ax
        True
        """
        from cogfit.show.plots import draw_fit, plot_fit

        return plot_fit(self, **options) if ax is None else draw_fit(self, ax, **options)

    def plot_diagnostics(self, **options: Any) -> Figure:
        """Draw profile of γ, windows, residuals and switch times.

        See :func:`cogfit.show.plots.plot_diagnostics`.
        """
        from cogfit.show.plots import plot_diagnostics

        return plot_diagnostics(self, **options)

    def report(self, path: str | os.PathLike[str], *, command: str = "", interactive: bool = False) -> None:
        """Write a self-contained web page, whole or not.

        Parameters
        ----------
        path : path
            The file, ``.html``.
        command : str
            What was typed, for the provenance.
        interactive : bool
            Whether the figure tells values under the pointer, and lets forms and axes be chosen.

        Raises
        ------
        InputError
            If the file cannot be written.
        """
        from cogfit.show.page import page

        write_atomic(path, page(self, command=command, is_interactive=interactive))

    # ------------------------------------------------------------------------------------------------ JSON

    @classmethod
    def from_json(cls, document: Any) -> Self:
        """Read a document back.

        Raises
        ------
        InputError
            If it is no fit, or its parts contradict each other.
        """
        result = super().from_json(document)
        problem = next(result._contradictions(), "")
        if problem:
            raise InputError(f"is a damaged {SCHEMA}: {problem}")
        return result

    def _contradictions(self) -> Iterator[str]:
        """What types cannot tell: parts that do not fit together."""
        names = [item.name for item in self.forms]
        if len(set(names)) < len(names):
            yield "two of its forms have the same name"
        for name in (self.form, *self.indistinguishable_forms):
            if name not in names:
                yield f"it holds no form '{name}'"
        if not self.x.shape == self.y.shape == self.weights.shape == (self.n,):
            yield f"the curve does not have {self.n} points"
        for item in self.forms:
            yield from item.contradictions(self.n)
        for label in ("trajectories", "averaging", "transition"):
            if not _has_sentences(getattr(self, label)):
                yield f"the statements of '{label}' are no list of sentences"

    @property
    def _gamma_document(self) -> dict[str, Any] | None:
        """γ with its interval, for those who read nothing else."""
        limits = self.selected.intervals.get(self.selected.gamma_name or "")
        if self.gamma is None or limits is None:
            return None
        return {"estimate": self.gamma, **limits.to_json()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON document, whole or not at all.

        :func:`cogfit.load` reads it back.
        """
        write_atomic(path, dump(self.to_json()))


def _has_sentences(part: Mapping[str, Any] | None) -> bool:
    """Whether the statements of a part, if it has any, are sentences."""
    statements = (part or {}).get("statements", [])
    return isinstance(statements, list | tuple) and all(isinstance(text, str) for text in statements)


def is_fit(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a saved fit."""
    file = Path(path)
    try:
        if not file.is_file():
            return False
        with open(file, "rb") as handle:
            return b'"schema": "cogfit.fit/' in handle.read(200)
    except OSError:  # what reads logs says why it cannot be read
        return False


def load(path: str | os.PathLike[str]) -> FitResult:
    """Read a fit that was saved with :meth:`FitResult.save`.

    Raises
    ------
    InputError
        If the file cannot be read or is no such document.
    """
    path = Path(path)
    try:
        return FitResult.from_json(read_json(path))
    except InputError as error:
        hint = "save one with fit.save(...) or cogfit fit --json"
        raise InputError(error.what, path=path, hint=hint) from None
