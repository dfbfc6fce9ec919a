"""One form's fit: parameters, intervals, and what they are worth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from cogfit.engine.arma import WHITE, Arma
from cogfit.engine.estimate import Estimate
from cogfit.formulas.form import Array
from cogfit.inference.form_tests import FormTest
from cogfit.inference.interval import Interval, format_interval, standard_errors
from cogfit.inference.standing import Standing, standing_of
from cogfit.records.codec import Document, High, Nan, wire

if TYPE_CHECKING:
    import pandas as pd


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
