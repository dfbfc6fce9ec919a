"""A fit in the shapes of other tools: the same numbers in each of them, and repr() that says one line."""

from __future__ import annotations

import base64
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import cogfit
import theory
from cogfit.show import exports

X = np.arange(1.0, 61.0)
Y = X**-0.5 + np.random.default_rng(1).normal(0.0, 0.01, X.size)


@pytest.fixture(scope="module")
def fit() -> cogfit.FitResult:
    return cogfit.fit(X, Y)


@pytest.fixture(scope="module")
def decay() -> cogfit.FitResult:
    """A form of a user, without γ."""
    cogfit.register("own_decay", lambda x, a, b: a * np.exp(-b * x), replace=True)
    return cogfit.fit(X, 0.5 * np.exp(-0.1 * X) + 1e-4 * np.cos(X), form="own_decay", noise="gaussian")


def test_all_tables_hold_the_numbers_of_the_fit(fit: cogfit.FitResult) -> None:
    tidy = fit.tidy("all").set_index(["form", "term"])
    assert len(tidy) == sum(len(item.params) for item in fit.forms)
    for item in fit.forms:
        limits = item.conf_int()
        for name, value in item.params.items():
            row = tidy.loc[(item.name, name)]
            np.testing.assert_equal([row.estimate, row.std_error], [value, item.stderr[name]])
            interval = item.intervals.get(name)
            expected = [np.nan, np.nan] if interval is None else [interval.low, interval.high]
            np.testing.assert_equal(limits.loc[name].tolist(), expected)
            np.testing.assert_equal([row.conf_low, row.conf_high], expected)
            assert row.standing == item.standing(name).kind
    assert fit.tidy().form.unique().tolist() == [fit.form]
    (row,) = fit.glance().to_dict("records")
    assert (row["gamma"], row["conf_low"], row["conf_high"]) == (fit.gamma, *fit.interval)  # type: ignore[misc]
    assert (row["nobs"], row["form"], row["power_law"]) == (X.size, fit.form, fit.verdict.power_law)
    assert fit["power"].interval == (fit["power"].intervals["gamma"].low, fit["power"].intervals["gamma"].high)
    assert fit.to_dict() == fit.to_json()


def test_markdown_and_latex_hold_the_rows_of_the_terminal(fit: cogfit.FitResult) -> None:
    for name in ("parameters", "forms", "windows"):
        markdown = fit.to_markdown(name).splitlines()  # type: ignore[arg-type]
        latex = [line for line in fit.to_latex(name).splitlines() if line.endswith(r"\\")]  # type: ignore[arg-type]
        assert len({line.count("|") for line in markdown}) == 1
        assert len(markdown) == len(latex) + 1
    with pytest.raises(cogfit.InputError, match="did you mean 'forms'"):
        fit.to_latex("form")  # type: ignore[arg-type]


def test_residuals_are_what_the_form_leaves(fit: cogfit.FitResult) -> None:
    np.testing.assert_allclose(fit.fitted, fit.params["A"] * X ** -fit.params["gamma"])
    np.testing.assert_array_equal(fit.residuals, Y - fit.fitted)
    assert fit.residuals @ fit.residuals == pytest.approx(fit.rss)
    columns = [fit.x, fit.y, fit.weights, fit.fitted, fit.residuals]
    np.testing.assert_array_equal(fit.augment().to_numpy(), np.column_stack(columns))


def test_a_fit_equals_what_was_saved_and_nothing_else(fit: cogfit.FitResult, tmp_path: Path) -> None:
    fit.save(tmp_path / "fit.json")
    for again in (cogfit.load(tmp_path / "fit.json"), pickle.loads(pickle.dumps(fit))):
        assert again == fit
        assert hash(again) == hash(fit)
        assert again["power"] == fit["power"]
        assert hash(again["power"]) == hash(fit["power"])
    assert fit["power"] != fit["power_floor"]
    assert fit != cogfit.fit(X, Y + 1e-9 * (X == 3), form="power")
    assert fit != fit.to_json()


def test_a_notebook_shows_picture_and_table(fit: cogfit.FitResult, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = fit._repr_html_()
    (picture,) = re.findall(r'src="data:image/png;base64,([^"]+)"', shown)
    assert base64.b64decode(picture).startswith(b"\x89PNG")
    assert exports.to_html(fit, has_picture=False) in re.sub(r"<img [^>]*>", "", shown)
    # a form that nobody registered in this process has no picture, and says why
    monkeypatch.setattr("cogfit.show.plots.get_form", _unknown)
    assert "no picture: unknown form" in fit._repr_html_()


def _unknown(name: str) -> None:
    raise cogfit.InputError(f"unknown form '{name}'")


def test_a_fit_is_drawn_into_axes_of_the_caller(fit: cogfit.FitResult) -> None:
    left, right = Figure().subplots(1, 2)
    assert fit.plot(ax=left) is left
    assert right.has_data() is False
    (observed,) = [line for line in left.lines if line.get_marker() == "o" and len(line.get_xdata())]
    np.testing.assert_array_equal(observed.get_ydata(), Y)
    with pytest.raises(cogfit.InputError, match="was not fitted"):
        fit.plot(ax=right, forms=["nothing"])


def test_a_form_of_a_user_has_a_headline_with_its_parameters(decay: cogfit.FitResult) -> None:
    low, high = decay.conf_int().loc["b"]
    assert low < 0.1 < high
    limits = r"\[[\d., ]+\]"
    assert re.match(rf"own_decay: a = 0\.5 {limits}, b = 0\.1 {limits} \(95% intervals; x axis\)", decay.headline())
    assert decay.headline() in str(decay)
    assert decay.headline() in str(decay.summary())


def test_a_summary_names_each_parameter_with_its_error(fit: cogfit.FitResult, decay: cogfit.FitResult) -> None:
    for result in (fit, decay):
        summary = result.summary()
        assert repr(summary) == str(summary) == summary.text
        for name, error in result.stderr.items():
            assert re.search(rf"^ *{name} +\S+ +{re.escape(f'{error:.4g}')} ", summary.text, re.MULTILINE)
            assert f"<td>{error:.4g}</td>" in summary._repr_html_()


@pytest.mark.parametrize("order", [["trial", "seconds"], ["seconds", "trial"]])
def test_a_table_of_two_columns_needs_the_name_of_y(order: list[str]) -> None:
    table = pd.DataFrame({"trial": X, "seconds": Y})[order]
    expected = cogfit.fit(X, Y, form="power").gamma
    assert cogfit.fit(table, "seconds", form="power").gamma == pytest.approx(expected)
    wide = table.assign(other=1.0)
    assert cogfit.fit(wide, "seconds", x="trial", form="power").gamma == pytest.approx(expected)
    for arguments in ((table,), (wide, "seconds"), (table, "second")):
        with pytest.raises(cogfit.InputError, match=r'cogfit\.fit\(table, "COLUMN OF Y", x="COLUMN OF X"\)'):
            cogfit.fit(*arguments)
    with pytest.raises(cogfit.InputError, match="`x` names a column"):
        cogfit.fit(X, Y, x="trial")


def test_what_people_hold_has_a_repr_of_one_line(fit: cogfit.FitResult) -> None:
    place = cogfit.data_dir() / "runs" / "srcd-n256-never-drops"
    log = cogfit.read_log(place)
    held = [
        *(fit, fit["power"], fit["constant"], fit["power"].estimate, fit.selected.intervals["A"]),
        *(log, log.utilization, cogfit.inspect(place), cogfit.transition(X, Y), cogfit.human()),
        *(*cogfit.human().values(), *cogfit.forms().values()),
    ]
    long = [repr(item) for item in held if len(repr(item)) > 160 or "\n" in repr(item)]
    assert long == []
    assert f"{fit.gamma:.3g}" in repr(fit)


def test_dir_shows_the_public_names_only() -> None:
    assert dir(cogfit) == sorted(cogfit.__all__)
    assert dir(theory) == sorted(theory.__all__)
