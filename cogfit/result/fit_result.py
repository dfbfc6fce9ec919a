"""What a fit says: a frozen, picklable record with its tables and its JSON document."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self, overload

from cogfit.errors import InputError
from cogfit.files import write_atomic
from cogfit.forecasting.records import Forecast, Prediction, Reach
from cogfit.formulas.form import Array
from cogfit.formulas.registry import get_form
from cogfit.inference import windows
from cogfit.inference.rates import Audit
from cogfit.inference.verdict import Verdict
from cogfit.inference.windows import Law, Window
from cogfit.records.codec import Document, dump, wire
from cogfit.records.sentence import Explanation, Sentence
from cogfit.result import wording
from cogfit.result.account import Account
from cogfit.result.checks import contradictions
from cogfit.result.form_fit import FormFit
from cogfit.result.shortcuts import Shortcuts

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from cogfit.forecasting.ensemble import Ensemble, Refusal
    from cogfit.show.exports import Summary, TableName

SCHEMA = "cogfit.fit/1"


@dataclass(frozen=True, eq=False)
class FitResult(Shortcuts, Document):
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
        return wording.headline(self)

    @property
    def scope(self) -> str:
        """What of the log was fitted, where it holds more.

        Empty where it holds a single curve.
        """
        return wording.scope(self)

    @property
    def choice(self) -> str:
        """How the form reported was chosen, in words.

        Empty where nothing was compared.
        """
        return wording.choice(self)

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
        return wording.methods(self)

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

        See :func:`cogfit.show.diagnostics.plot_diagnostics`.
        """
        from cogfit.show.diagnostics import plot_diagnostics

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
        problem = next(contradictions(result), "")
        if problem:
            raise InputError(f"is a damaged {SCHEMA}: {problem}")
        return result

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
