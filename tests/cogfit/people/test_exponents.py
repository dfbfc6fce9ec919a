"""Where the human exponent is: rows equal fits, shares are of people, nothing unlike is pooled."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import cogfit
from cogfit import cli
from cogfit.people.by_subject import People, SubjectExponents, people_of_estimates
from cogfit.people.exponents import survey_exponents
from cogfit.people.share_between import share_between
from cogfit.show.forest import plot_exponents

NAMES = [
    "remington2016_subjects",
    "reder2000_know_old",
    "memphis_cloze_subjects",
    "garner2015_subjects",
    "du2023_errors",
]


@pytest.fixture(scope="module")
def survey():
    return survey_exponents([cogfit.human(name) for name in NAMES], full=False)


def people(seed: int, sd: float, error: float, count: int) -> People:
    """Estimates of people whose γ is normal with mean 0.45."""
    rng = np.random.default_rng(seed)
    gamma = rng.normal(0.45, sd, count) + rng.normal(0.0, error, count)
    (series,) = cogfit.human("memphis_cloze_subjects").series()
    names = tuple(str(i) for i in range(count))
    return people_of_estimates(SubjectExponents.of_estimates(series, names, gamma, np.full(count, error), np.inf))


def test_rows_are_fits_of_the_same_series(survey):
    rows = {row.exponent.label: row for row in survey.rows}
    for series in cogfit.human("reder2000_know_old").series():
        fit = cogfit.fit(series.curve(), form="power")
        row = rows[f"reder2000_know_old: {series.name}"]
        assert row.exponent.gamma == pytest.approx(fit.gamma, rel=1e-9)
        assert (row.exponent.low, row.exponent.high) == pytest.approx(fit.interval, rel=1e-9)
        other = cogfit.fit(series.under("inclusive").curve(), form="power")
        assert row.other_choices["k inclusive"] == pytest.approx(other.gamma, rel=1e-9)


def test_the_share_of_people_is_refused_where_estimates_say_little(survey):
    by_label = {row.exponent.label: row for row in survey.rows}
    assert np.isnan(by_label["garner2015_subjects"].share.share)
    assert "no standard errors" in by_label["garner2015_subjects"].share.method
    noisy = people(0, sd=0.05, error=0.3, count=200)
    found = share_between(noisy, (0.4, 0.5))
    assert found.reliability < 0.3
    assert np.isnan(found.share)
    assert "refused" in found.method
    memphis = by_label["memphis_cloze_subjects"].share
    assert memphis.raw == pytest.approx(0.0901, abs=5e-4)
    assert memphis.low < memphis.share < memphis.high


def test_the_share_of_people_is_that_of_their_distribution():
    """Where errors are as large as differences, the raw share is too low; the estimate covers the truth."""
    truth = np.diff(stats.norm(0.45, 0.15).cdf([0.35, 0.55]))[0]
    covered, raw = [], []
    for seed in range(12):
        one = people(seed, sd=0.15, error=0.15, count=80)
        found = share_between(one, (0.35, 0.55), rng=seed)
        raw.append(found.raw)
        if found.reliability >= 0.3:
            covered.append(found.low < truth < found.high)
    assert len(covered) >= 10
    assert np.mean(covered) >= 0.8  # 94 % of 120 simulations of this kind
    assert np.mean(raw) < truth - 0.1


def test_curves_of_single_people_are_one_model(survey):
    """The row is what `cogfit.fit_population` gives of the same counts."""
    (row,) = (row for row in survey.rows if row.id == "du2023_errors")
    table = cogfit.human("du2023_errors").table
    table["errors"] /= table["n"] if table["errors"].max() > 1 else 1
    model = cogfit.fit_population(
        table, "errors", by="subject", x="block", form="power", noise="binomial", trials="n", logit=["A"]
    )
    gamma = model.gamma
    assert (row.population.mean, row.population.sd) == pytest.approx((gamma.mean, gamma.sd), rel=1e-6)
    assert row.population.reliability == pytest.approx(gamma.reliability, rel=1e-6)
    share = model.share(0.4, 0.5)
    assert (row.share.share, row.share.low, row.share.high) == pytest.approx((share.share, share.low, share.high))
    assert row.subjects.gamma == pytest.approx(model.members.own[:, 1])
    assert row.subjects.shrunken_stderr == pytest.approx(model.members.stderr[:, 1])


def test_every_person_has_a_standard_error_in_document_and_table(tmp_path, capsys):
    file = tmp_path / "e.json"
    assert cli.main(["human", "du2023_errors", "--exponents", "--no-fit", "--verbose", "--json", str(file)]) == 0
    (row,) = json.loads(file.read_text())["rows"]
    people = row["subjects"]
    assert len(people["names"]) == len(people["gamma"]) == len(people["stderr"]) == len(people["shrunken_stderr"]) == 28
    assert all(error > 0 for error in people["stderr"])
    out = capsys.readouterr().out
    assert "γ among all subjects" in out
    assert all(f"{error:.3f}" in out for error in people["stderr"])


def test_the_form_and_the_verdict_are_those_of_fit():
    from cogfit.people.fits import fit_series, judge_series

    for name in ("mosteller1970_recall", "anderson1981_latency", "rubin1999_recall"):
        series = cogfit.human(name).series()[0]
        result = fit_series(series).result
        assert judge_series(series) == (result.form, result.verdict.power_law)


def test_nothing_is_pooled_over_measures_axes_counts_or_from_few_studies(survey):
    assert all(one.population is None for one in survey.pooled)
    assert all("of 5 independent studies" in one.reason for one in survey.pooled)
    assert len({one.title for one in survey.pooled}) == len(survey.pooled)


def test_five_studies_of_one_kind_are_pooled_as_statsmodels_does(tmp_path):
    from statsmodels.stats.meta_analysis import combine_effects

    rng, resources = np.random.default_rng(4), []
    fields = [{"name": "who", "type": "string"}, {"name": "g", "type": "number"}, {"name": "se", "type": "number"}]
    for i in range(6):
        rows = "".join(f"p{j},{rng.normal(0.3 + 0.05 * i, 0.1):.4f},0.05\n" for j in range(15))
        (tmp_path / f"s{i}.csv").write_text("who,g,se\n" + rows)
        about = {
            "kind": "estimates", "axis": "repetition", "repeated": "item", "unit": "tests", "convention": "prior",
            "measure": "latency", "level": "subject", "n": 15, "uncertainty": "standard error",
            "columns": {"y": "g", "cluster": "who", "uncertainty": "se"},
        }  # fmt: skip
        source = [{"title": f"Study {i}"}]
        resources.append(
            {"name": f"s{i}", "path": f"s{i}.csv", "sources": source, "schema": {"fields": fields}, "cogfit": about}
        )
    (tmp_path / "datapackage.json").write_text(json.dumps({"resources": resources}))
    catalogue = cogfit.human(extra=tmp_path)
    found = survey_exponents([catalogue[f"s{i}"] for i in range(6)])
    (pooled,) = found.pooled
    rows = [row.exponent for row in found.rows]
    errors = np.array([row.high - row.low for row in rows]) / (2 * stats.norm.ppf(0.975))
    gammas = np.array([row.gamma for row in rows])
    oracle = combine_effects(gammas, errors**2, method_re="iterated", use_t=True)
    assert pooled.population.mean == pytest.approx(oracle.mean_effect_re, rel=1e-5)
    assert pooled.population.sd**2 == pytest.approx(oracle.tau2, rel=1e-3)


def test_the_statement_says_no_more_than_the_rows(survey):
    gammas = [row.exponent.gamma for row in survey.falling]
    assert f"{len(gammas)} centres run from {min(gammas):.2g} to {max(gammas):.2g}" in survey.statement
    assert "There is no single value." in survey.statement
    (one,) = (row for row in survey.rows if row.exponent.label.endswith("shortcut"))
    assert replace(survey, rows=(one,)).statement == "The one centre over repetition is 0.29, outside 0.4–0.5."
    nothing = replace(survey, rows=())
    assert nothing.statement == "No exponent of practice is determined here."


def test_table_document_and_picture_hold_the_same(survey):
    table = survey.table()
    document = json.loads(json.dumps(survey.to_json(), allow_nan=False))
    assert document["schema"] == "cogfit.human-exponents/1"
    assert len(table) == len(document["rows"]) == len(survey.rows)
    assert table["gamma"].tolist() == pytest.approx([row["exponent"]["gamma"] for row in document["rows"]])
    figure = plot_exponents(survey)
    assert figure.get_figheight() <= 11.0
    assert len(figure.axes[0].get_yticklabels()) == len(survey.rows) + len(survey.claims)


def test_the_command_answers_for_one_set_and_refuses_an_empty_range(tmp_path, capsys):
    assert cli.main(["human", "reder2000_know_old", "--exponents", "--no-fit", "--json", str(tmp_path / "e.json")]) == 0
    out = capsys.readouterr().out
    assert "There is no single value." in out
    assert json.loads((tmp_path / "e.json").read_text())["between"] == [0.4, 0.5]
    assert cli.main(["human", "--exponents", "--between", "0.5", "0.4"]) == 2
    assert "is empty" in capsys.readouterr().err


def test_pictures_show_every_person_every_route_and_who_is_left(survey):
    from cogfit.people.survivorship import survivorship_of
    from cogfit.show.people_in_pictures import plot_over_people, plot_routes, plot_survivorship

    axes = plot_over_people(survey).axes[0]
    people = [row for row in survey.rows if row.subjects is not None]
    assert len(axes.get_yticklabels()) == len(people)
    drawn = sum(line.get_xdata().size for line in axes.get_lines() if line.get_marker() == ".")
    assert drawn == sum(row.subjects.gamma.size for row in people)
    found = survivorship_of(cogfit.human("sense2016_all_words").series()[0], find=cogfit.human)
    axes = plot_survivorship(found).axes[0]
    points = [line.get_ydata() for line in axes.get_lines() if line.get_marker() in "os"]
    np.testing.assert_array_equal(points[0], found.pooled.y)
    np.testing.assert_array_equal(points[1], found.fixed.y)
    k = np.arange(1.0, 40.0)
    fit = cogfit.fit(k, 0.9 * k**-0.43, form="power", axis="exposure", measure="probability")
    routes = cogfit.compare(fit, [cogfit.human("reder2000_know_old"), cogfit.human("reder2000_familiarity")]).routes
    left, right = plot_routes(routes).axes
    assert len(left.get_legend().get_texts()) == 2
    np.testing.assert_array_equal(right.get_lines()[0].get_ydata(), fit.y)
