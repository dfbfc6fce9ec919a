"""cogfit: power-law exponents γ from training logs.

Estimate them and compare them, honestly, with human data.

>>> import cogfit, numpy as np
>>> k = np.arange(1.0, 201.0)
>>> fit = cogfit.fit(k, k**-0.43 + np.random.default_rng(1).normal(0, 0.01, 200))
>>> print(fit.verdict)
supported
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cogfit.claims.api import check_claim
    from cogfit.claims.records import ClaimCheck
    from cogfit.claims.statement import Claim
    from cogfit.curves.curve import Curve
    from cogfit.curves.exposure import exposure_curve
    from cogfit.curves.simulation import simulate
    from cogfit.designing import design
    from cogfit.errors import CogfitError, InputError, MissingDependencyError
    from cogfit.files import data_dir
    from cogfit.fitting import fit
    from cogfit.following.api import follow
    from cogfit.following.records import Look
    from cogfit.forecasting.records import Forecast, Prediction, Reach
    from cogfit.formulas.form import Form, Parameter
    from cogfit.formulas.registry import forms, register
    from cogfit.inference.interval import Interval
    from cogfit.inference.rates import Audit, Rates
    from cogfit.inference.transitions import Transition, transition
    from cogfit.inference.verdict import Verdict
    from cogfit.inspection.api import inspect
    from cogfit.inspection.records import Inspection
    from cogfit.logs import read_log
    from cogfit.logs.model import Log, RoutingLog, Source, UtilizationLog
    from cogfit.logs.writer import UtilizationLogger
    from cogfit.many.api import fit_many
    from cogfit.people.catalogue import Catalogue, human
    from cogfit.people.comparison import compare
    from cogfit.people.conclusions import Comparison
    from cogfit.people.dataset import Dataset, Series
    from cogfit.planning.records import Design, Need
    from cogfit.population.api import fit_population
    from cogfit.population.records import PopulationFit
    from cogfit.result import FitResult, load

_EXPORTS = {
    "check_claim": "claims.api",
    "Claim": "claims.statement",
    "ClaimCheck": "claims.records",
    "Comparison": "people.conclusions",
    "compare": "people.comparison",
    "fit": "fitting",
    "follow": "following.api",
    "Look": "following.records",
    "design": "designing",
    "Design": "planning.records",
    "Need": "planning.records",
    "Rates": "inference.rates",
    "Audit": "inference.rates",
    "fit_many": "many.api",
    "Forecast": "forecasting.records",
    "Prediction": "forecasting.records",
    "Reach": "forecasting.records",
    "fit_population": "population.api",
    "PopulationFit": "population.records",
    "Catalogue": "people.catalogue",
    "human": "people.catalogue",
    "Form": "formulas.form",
    "Parameter": "formulas.form",
    "forms": "formulas.registry",
    "register": "formulas.registry",
    "Dataset": "people.dataset",
    "Series": "people.dataset",
    "CogfitError": "errors",
    "InputError": "errors",
    "MissingDependencyError": "errors",
    "data_dir": "files",
    "Interval": "inference.interval",
    "read_log": "logs",
    "Log": "logs.model",
    "RoutingLog": "logs.model",
    "Source": "logs.model",
    "UtilizationLog": "logs.model",
    "UtilizationLogger": "logs.writer",
    "Curve": "curves.curve",
    "exposure_curve": "curves.exposure",
    "Inspection": "inspection.records",
    "inspect": "inspection.api",
    "FitResult": "result",
    "load": "result",
    "Verdict": "inference.verdict",
    "simulate": "curves.simulation",
    "Transition": "inference.transitions",
    "transition": "inference.transitions",
}

__all__ = [
    "Audit",
    "Catalogue",
    "Claim",
    "ClaimCheck",
    "CogfitError",
    "Comparison",
    "Curve",
    "Dataset",
    "Design",
    "FitResult",
    "Forecast",
    "Form",
    "InputError",
    "Inspection",
    "Interval",
    "Log",
    "Look",
    "MissingDependencyError",
    "Need",
    "Parameter",
    "PopulationFit",
    "Prediction",
    "Rates",
    "Reach",
    "RoutingLog",
    "Series",
    "Source",
    "Transition",
    "UtilizationLog",
    "UtilizationLogger",
    "Verdict",
    "__version__",
    "check_claim",
    "compare",
    "data_dir",
    "design",
    "exposure_curve",
    "fit",
    "fit_many",
    "fit_population",
    "follow",
    "forms",
    "human",
    "inspect",
    "load",
    "read_log",
    "register",
    "simulate",
    "transition",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562).

    Importing the package then stays cheap.
    """
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value: Any = version("cogfit")
        except PackageNotFoundError:  # a checkout on sys.path that was never installed
            value = "0+unknown"
    elif name in _EXPORTS:
        value = getattr(import_module(f"cogfit.{_EXPORTS[name]}"), name)
    else:
        raise AttributeError(f"module 'cogfit' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
