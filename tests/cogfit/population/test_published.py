"""Published fits of non-linear mixed models, and an independent program for linear ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cogfit

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"

AGES = np.array([118.0, 484.0, 664.0, 1004.0, 1231.0, 1372.0, 1582.0])
ORANGE = np.array(  # trunk circumferences of five orange trees (Draper & Smith 1981)
    [
        [30.0, 58.0, 87.0, 115.0, 120.0, 142.0, 145.0],
        [33.0, 69.0, 111.0, 156.0, 172.0, 203.0, 203.0],
        [30.0, 51.0, 75.0, 108.0, 115.0, 139.0, 140.0],
        [32.0, 62.0, 112.0, 167.0, 179.0, 209.0, 214.0],
        [30.0, 49.0, 81.0, 125.0, 142.0, 174.0, 177.0],
    ]
)


def logistic(age, Asym, xmid, scal):
    return Asym / (1.0 + np.exp((xmid - age) / scal))


def compartment(time, lKe, lKa, lCl, Dose):
    ke, ka = np.exp(lKe), np.exp(lKa)
    return Dose * np.exp(lKe + lKa - lCl) * (np.exp(-ke * time) - np.exp(-ka * time)) / (ka - ke)


def trees(**options):
    start = {"Asym": 192.0, "xmid": 728.0, "scal": 348.0}
    options = {"restricted": False, "random": ["Asym"], "start": start} | options
    return cogfit.fit_population(AGES, ORANGE, form=logistic, **options)


def people(**options):
    start = {"lKe": -2.5, "lKa": 0.5, "lCl": -3.0}
    return cogfit.fit_population(
        pd.read_csv(FIXTURES / "theoph.csv"),
        "conc",
        x="Time",
        by="Subject",
        form=compartment,
        covariates=["Dose"],
        start=start,
        restricted=False,
        method="linearised",
        **options,
    )


def means(fit):
    return [parameter.mean for parameter in fit.parameters]


def test_orange_trees_are_those_of_nlme():
    """Pinheiro & Bates 2000, section 8.1; the digits are those that nlme 3.1-162 prints."""
    fit = trees(method="linearised")
    assert means(fit) == pytest.approx([191.0500375, 722.5594850, 344.1685102], rel=3e-5)
    assert fit["Asym"].sd == pytest.approx(31.48255505, rel=1e-5)
    assert fit.sigma == pytest.approx(7.8462546, rel=1e-5)
    assert fit.log_likelihood == pytest.approx(-131.5845533, abs=1e-4)
    assert (fit.aic, fit.bic) == (pytest.approx(273.1691, abs=1e-3), pytest.approx(280.9458, abs=1e-3))
    errors = [parameter.stderr for parameter in fit.parameters]
    assert errors == pytest.approx([15.44629450, 33.61178046, 25.95850359], rel=0.01)


def test_orange_trees_by_laplace_are_those_of_nlmer():
    """The example of lme4's nlmer."""
    fit = trees(method="laplace")
    assert means(fit) == pytest.approx([192.05, 727.90, 348.07], abs=0.02)
    assert fit["Asym"].sd == pytest.approx(31.646, abs=0.01)
    assert fit.sigma == pytest.approx(7.843, abs=0.001)
    shrunken = dict(zip(fit.members.names, fit.members.params[:, 0] - fit["Asym"].mean, strict=True))
    assert shrunken["2"] == pytest.approx(-37.0, abs=1.0)  # the third tree is the smallest
    assert fit.status == "ok"
    assert any("5 members" in warning for warning in fit.warnings)


def test_theophylline_is_that_of_nlme():
    """Pinheiro & Bates 2000, section 8.2: full covariance over people."""
    fit = people(covariance="full")
    assert means(fit) == pytest.approx([-2.4326696, 0.4514089, -3.2144520], abs=2e-4)
    assert fit.sigma == pytest.approx(0.6818261, rel=1e-4)
    assert [p.sd for p in fit.parameters] == pytest.approx([0.1310431, 0.6377830, 0.2511759], rel=1e-3)
    assert fit.correlation[0] == pytest.approx([1.0, 0.012, 0.995], abs=2e-3)
    assert fit.log_likelihood == pytest.approx(-173.3208, abs=2e-3)


def test_theophylline_without_correlation_is_that_of_nlme():
    """There the elimination rate is the same in everybody, which a user is told."""
    fit = people(covariance="diagonal")
    assert means(fit) == pytest.approx([-2.4546458, 0.4655048, -3.2271983], abs=2e-4)
    assert [p.sd for p in fit.parameters] == pytest.approx([0.0, 0.6438571, 0.1669212], abs=5e-4)
    assert fit.sigma == pytest.approx(0.7092257, rel=1e-4)
    assert fit.log_likelihood == pytest.approx(-177.0235, abs=2e-3)
    assert fit.status == "at_bound"
    assert "lKe" in fit.reason


def practice(seed, m=25, n=20):
    rng = np.random.default_rng(seed)
    k, gamma, level = np.arange(1.0, n + 1), rng.normal(0.4, 0.12, m), rng.normal(6.0, 0.3, m)
    log_y = level[:, None] - gamma[:, None] * np.log(k) + rng.normal(0.0, 0.15, (m, n))
    names = np.repeat([f"s{i:02d}" for i in range(m)], n)
    return pd.DataFrame({"subject": names, "x": np.tile(k, m), "y": np.exp(log_y).ravel()})


@pytest.mark.parametrize("restricted", [True, False])
@pytest.mark.parametrize("method", ["laplace", "linearised"])
@pytest.mark.filterwarnings("ignore:The MLE may be on the boundary")
def test_a_power_law_with_relative_errors_is_the_linear_mixed_model_of_statsmodels(restricted, method):
    """It is linear in logarithms, so both approximations are exact."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    table = practice(5)
    fit = cogfit.fit_population(table, form="power", noise="lognormal", restricted=restricted, method=method)
    design = np.column_stack([np.ones(len(table)), -np.log(table["x"])])
    other = MixedLM(np.log(table["y"]), design, groups=table["subject"], exog_re=design)
    other = other.fit(reml=restricted, method=["bfgs"], gtol=1e-9)
    assert fit.log_likelihood + np.log(table["y"]).sum() == pytest.approx(other.llf, abs=1e-6)
    assert means(fit) == pytest.approx(other.fe_params.tolist(), rel=1e-6)
    assert [p.stderr for p in fit.parameters] == pytest.approx(other.bse_fe.tolist(), rel=1e-3)
    assert [p.sd for p in fit.parameters] == pytest.approx(np.sqrt(np.diag(other.cov_re)), rel=1e-3)
    assert fit.sigma == pytest.approx(np.sqrt(other.scale), rel=1e-5)
    shrunken = other.fe_params.to_numpy() + other.random_effects["s03"].to_numpy()
    assert fit.members.params[3] == pytest.approx(shrunken, rel=1e-4)
