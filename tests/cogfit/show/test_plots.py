"""Pictures: what is drawn is what was fitted."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import cogfit
from cogfit.show import plots
from cogfit.show.people import plot_human

X = np.arange(1.0, 101.0)


@pytest.fixture(scope="module")
def fit() -> cogfit.FitResult:
    return cogfit.fit(X, 0.9 * X**-0.43 + np.random.default_rng(0).normal(0.0, 0.01, X.size))


def test_the_lines_are_the_fitted_forms(fit: cogfit.FitResult) -> None:
    figure = fit.plot(forms=["power", "exponential"])
    upper, lower = figure.axes
    lines = {line.get_label().split(",")[0].split(" (")[0]: line for line in upper.get_lines()}
    for name in ("power", "exponential"):
        x, y = lines[name].get_data()
        np.testing.assert_allclose(y, cogfit.forms()[name].evaluate(x, fit[name].estimate.params))
    assert upper.get_xscale() == "log"
    assert upper.get_yscale() == "log"
    residual = lower.get_lines()[-1].get_ydata()
    np.testing.assert_allclose(residual, fit.y - cogfit.forms()[fit.form].evaluate(fit.x, fit.params))
    with pytest.raises(cogfit.InputError, match="was not fitted"):
        fit.plot(forms=["nothing"])


def test_the_band_covers_the_truth_mostly(fit: cogfit.FitResult) -> None:
    figure = fit.plot(forms=["power"])
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    x, truth = band[:, 0], 0.9 * band[:, 0] ** -0.43
    inside = [
        band[np.isclose(x, at), 1].min() <= t <= band[np.isclose(x, at), 1].max()
        for at, t in zip(x, truth, strict=True)
    ]
    assert np.mean(inside) > 0.5


def test_a_constant_or_zero_curve_is_drawn_without_a_log_axis() -> None:
    assert cogfit.fit(X, np.full(100, 0.3)).plot().axes[0].get_yscale() == "linear"
    y = np.where(X < 40, 0.9, 0.0) + np.random.default_rng(0).normal(0, 0.001, 100)
    assert cogfit.fit(X, y).plot().axes[0].get_yscale() == "linear"


def test_plotting_leaves_the_users_settings_alone(fit: cogfit.FitResult) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    fit.plot()
    assert dict(mpl.rcParams) == before


def test_diagnostics_draw_every_panel_and_say_what_is_missing(fit: cogfit.FitResult) -> None:
    fit = cogfit.fit(X, fit.y, form="power", noise="gaussian")
    figure = fit.plot_diagnostics()
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert len(titles) == 6
    profile = figure.axes[titles.index("profile of γ")]
    x, y = profile.get_lines()[0].get_data()
    low, high = fit.interval  # type: ignore[misc]
    threshold = float(np.interp(high, x, y))
    assert threshold == pytest.approx(np.interp(low, x, y), rel=0.05)  # both limits at the same height, near 1.98²
    assert threshold == pytest.approx(3.94, rel=0.05)
    assert any("no switch times" in text.get_text().replace("\n", " ") for text in figure.axes[4].texts)
    assert any("no windows" in text.get_text().replace("\n", " ") for text in figure.axes[3].texts)


@pytest.mark.slow
def test_diagnostics_of_a_routing_log_show_its_switch_times() -> None:
    run = cogfit.data_dir() / "runs" / "srcd-n256-gradual"
    fit = cogfit.fit(run, bins=20)
    figure = fit.plot_diagnostics()
    switched = figure.axes[4].get_lines()[0].get_xdata()
    assert len(switched) == 78


NAMES = (
    "$\\frac",
    "\x1b[31m",
    "\x00\x02\ufffe",
    "日本",
    "\u202egnp",
    "<b>]]>&\"'",
    'x"#y',
    "\udcff",
    "{}%s",
    "\N{PILE OF POO}",
)


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_any_name_can_stand_in_a_picture(fit: cogfit.FitResult, kind: str) -> None:
    name = " ".join(NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # not even for what the font lacks
        content = plots.render(replace(fit, y_label=name, x_label=name).plot(), kind)
    if kind == "svg":
        texts = "".join(ElementTree.fromstring(content).itertext())  # it is XML
        assert "$\\frac" in texts
        assert "\\x1b[31m" in texts
        assert "\u202e" not in texts


def test_names_of_people_and_models_are_no_formulas(tmp_path: Path) -> None:
    names = [f"{name} {i}" for i, name in enumerate(NAMES) if name != "\udcff"]
    rows = [{"who": name, "trial": k, "time": 2.0 * k**-0.4} for name in names for k in (1, 2, 4, 8, 16)]
    pd.DataFrame(rows).to_csv(tmp_path / "t.csv", index=False)
    fields = [{"name": name, "type": "string" if name == "who" else "number"} for name in ("who", "trial", "time")]
    about = {"axis": "repetition", "unit": "$\\frac", "convention": "inclusive", "measure": "latency"}
    about["columns"] = {"x": "trial", "y": "time", "series": ["who"]}  # type: ignore[assignment]
    resource = {"name": "mine", "title": "$_", "path": "t.csv", "schema": {"fields": fields}, "cogfit": about}
    (tmp_path / "datapackage.json").write_text(json.dumps({"resources": [resource]}))
    data = cogfit.human("mine", extra=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert plots.render(plot_human(data), "svg")
        figure = cogfit.compare(cogfit.fit(X, X**-0.4, form="power", measure="latency"), data).plot()
        texts = "".join(ElementTree.fromstring(plots.render(figure, "svg")).itertext())
    assert "$\\frac" in texts
