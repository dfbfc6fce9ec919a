"""Counts and single subjects: one estimate, nobody lost without a word, and damage that stays where it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

import cogfit
from cogfit import cli
from cogfit.people.by_subject import fit_people
from cogfit.people.fits import fit_human
from cogfit.people.over_subjects import independent_contrast
from cogfit.people.shares import count_shares

ABOUT = {"axis": "repetition", "repeated": "item", "unit": "tests", "convention": "inclusive", "measure": "error"}


def resource(folder: Path, name: str, text: str, **about: object) -> dict[str, object]:
    """A table and its description; columns whose first cell is no number are text."""
    (folder / f"{name}.csv").write_text(text)
    head, first = (line.split(",") for line in text.splitlines()[:2])
    kinds = ["number" if cell.replace(".", "", 1).isdigit() else "string" for cell in first]
    fields = [{"name": column, "type": kind} for column, kind in zip(head, kinds, strict=True)]
    return {"name": name, "path": f"{name}.csv", "schema": {"fields": fields}, "cogfit": {**ABOUT, **about}}


def package(folder: Path, *resources: dict[str, object]) -> cogfit.Catalogue:
    (folder / "datapackage.json").write_text(json.dumps({"resources": resources}))
    return cogfit.human(extra=folder)


def rows(*columns: object) -> str:
    return "\n".join(",".join(map(str, cells)) for cells in zip(*columns, strict=True)) + "\n"


def binomial_gamma(k: np.ndarray, wrong: np.ndarray, n: np.ndarray) -> float:
    """Maximum of the likelihood, without the package."""

    def loss(theta: np.ndarray) -> float:
        share = np.exp(theta[0]) * k ** -theta[1]
        return np.inf if np.any(share > 1) else -stats.binom.logpmf(wrong, n, share).sum()

    return optimize.minimize(loss, [-0.7, 0.3], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x[1]


# ---------------------------------------------------------------------------------------------------- counts


@settings(deadline=None, max_examples=200, derandomize=True)
@given(data=st.data(), trials=st.integers(1, 5000), digits=st.integers(1, 6))
def test_a_printed_share_is_the_count_it_was_printed_from(data, trials, digits):
    successes = data.draw(st.integers(0, trials))
    counts = count_shares(np.array([round(successes / trials, digits)]), np.array([float(trials)]), digits)
    assert counts.mismatch is None
    assert abs(counts.successes[0] - successes) <= counts.slack
    if trials < 10**digits:
        assert counts.slack == 0


@pytest.mark.parametrize("digits", [3, 4, 17])
def test_rounded_shares_shares_and_counts_give_one_estimate(tmp_path, digits):
    rng = np.random.default_rng(digits)
    k, n = np.arange(1, 10), rng.integers(120, 400, 9)
    wrong = rng.binomial(n, 0.6 * k**-0.5)
    share = [f"{c / m:.{digits}f}" for c, m in zip(wrong, n, strict=True)]
    text = "k,n,errors,share\n" + rows(k, n, wrong, share)
    counted = {"x": "k", "successes": "errors", "trials": "n"}
    printed = {"x": "k", "y": "share", "trials": "n"}
    catalogue = package(
        tmp_path, resource(tmp_path, "a", text, columns=counted), resource(tmp_path, "b", text, columns=printed)
    )
    wanted = binomial_gamma(k.astype(float), wrong, n)
    given = cogfit.fit(k, wrong / n, trials=n, form="power")
    for name in ("a", "b"):
        found = fit_human(catalogue[name], full=False).slope()
        assert (found.noise, found.weights) == ("binomial", "trials")
        assert found.gamma == pytest.approx(given.gamma, rel=1e-9)
        assert (found.low, found.high) == pytest.approx(given.interval, rel=1e-9)
        assert found.gamma == pytest.approx(wanted, abs=5e-4)
    notes = catalogue["b"].series()[0].notes
    assert bool(notes) == (digits < 17)
    assert all(f"printed to {digits} digits" in text for text in notes)


@pytest.mark.parametrize(
    ("share", "n", "errors", "message"),
    [
        ("0.5557", 50, None, "line 2, column 'share': 0.5557 is no count out of 50 trials to 4 digits"),
        ("1.2000", 50, 28, "is no share from 0 to 1"),
        ("0.5600", 50, 27, "is not 'errors' over 'n'"),
        ("0.5600", 50, 51, "column 'errors': 51 is no count out of the trials"),
        ("0.5600", 50.5, 28, "column 'n': 50.5 is no whole number of trials"),
    ],
)
def test_shares_that_are_no_counts_say_where(tmp_path, share, n, errors, message):
    columns = {"x": "k", "y": "share", "trials": "n"} | ({} if errors is None else {"successes": "errors"})
    text = f"k,n,errors,share\n1,{n},{errors or 0},{share}\n2,50,25,0.5000\n"
    with pytest.raises(cogfit.InputError) as caught:
        package(tmp_path, resource(tmp_path, "a", text, columns=columns))
    assert message in str(caught.value)


def test_successes_need_their_trials(tmp_path):
    with pytest.raises(cogfit.InputError, match="needs the column of its 'trials'"):
        package(tmp_path, resource(tmp_path, "a", "k,e\n1,2\n", columns={"x": "k", "y": "e", "successes": "e"}))


# ------------------------------------------------------------------------------------------------ single subjects


def people(seed: int, count: int, odd: list[list[int]]) -> str:
    """Errors of 12 trials at k = 1 … 6 by people who learn, and by some of a kind of their own."""
    rng, k = np.random.default_rng(seed), np.arange(1, 7)
    wrong = [rng.binomial(12, 0.8 * k ** -rng.uniform(0.3, 0.9)).tolist() for _ in range(count)] + odd
    return "who,k,n,errors\n" + "".join(rows([f"s{i}"] * 6, k, [12] * 6, one) for i, one in enumerate(wrong))


# what one person may do: never learn, never err, err once, err at the end only, learn at once, and miss a test
KINDS = {
    "always wrong": [12] * 6,
    "never wrong": [0] * 6,
    "half wrong": [6] * 6,
    "wrong once": [1, 0, 0, 0, 0, 0],
    "wrong at the end": [0, 0, 0, 0, 0, 3],
    "learns at once": [12, 0, 0, 0, 0, 0],
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_person_of_any_kind_leaves_the_set_readable_and_is_accounted_for(tmp_path, kind):
    columns = {"x": "k", "successes": "errors", "trials": "n", "cluster": "who"}
    catalogue = package(
        tmp_path, resource(tmp_path, "a", people(1, 11, [KINDS[kind]]), level="subject", columns=columns)
    )
    found = fit_human(catalogue["a"], full=False)
    (population,) = found.populations
    assert (population.n, population.left_out) == (12, ())
    assert np.isfinite([population.mean, population.sd, population.low, population.high]).all()
    (one,) = found.people
    if "s11" not in one.subjects.names:
        assert [name for name, _ in one.subjects.left_out] == ["s11"]
    if kind in ("always wrong", "half wrong", "never wrong"):
        assert any("s11 (its values never change)" in text for text in found.statements)


def test_each_subject_is_fit_of_that_subject(tmp_path):
    text = people(2, 12, [])
    columns = {"x": "k", "successes": "errors", "trials": "n", "cluster": "who"}
    (series,) = package(tmp_path, resource(tmp_path, "a", text, level="subject", columns=columns))["a"].series()
    found = fit_people(series).subjects
    assert found.degrees_of_freedom == np.inf
    for name, gamma in zip(found.names, found.gamma, strict=True):
        part = series.take(series.clusters == name)
        wrong = np.rint(part.y * part.trials)
        assert gamma == pytest.approx(cogfit.fit(part.x, part.y, trials=part.trials, form="power").gamma, rel=1e-9)
        assert gamma == pytest.approx(binomial_gamma(part.x, wrong, part.trials), abs=2e-3)
    # the curve of all is that of the counts of all, and its interval that of resampled subjects
    k = np.arange(1.0, 7.0)
    wrong = np.array([(series.y * series.trials)[series.x == at].sum() for at in k])
    slope = fit_human(series.dataset, full=False).slope()
    assert slope.gamma == pytest.approx(binomial_gamma(k, np.rint(wrong), np.full(6, 12 * 12)), abs=5e-4)
    assert slope.low < slope.gamma < slope.high


def test_the_interval_of_pooled_counts_covers_when_people_differ():
    """Resampled subjects, where a binomial interval of the pooled counts would take trials as independent."""
    covered, k = [], np.arange(1.0, 7.0)
    truth = [np.mean([0.8 * k**-g for g in np.linspace(0.1, 1.1, 200)], axis=0)]
    centre = cogfit.fit(k, truth[0], trials=np.full(6, 10**6), form="power", noise="gaussian").gamma
    for seed in range(60):
        rng = np.random.default_rng(seed)
        share = 0.8 * k[None] ** -rng.uniform(0.1, 1.1, 40)[:, None]
        wrong = rng.binomial(20, share)
        fit = cogfit.fit(
            np.tile(k, 40), (wrong / 20).ravel(), trials=np.full(240, 20), groups=np.repeat(np.arange(40), 6),
            form="power", noise="binomial",
        )  # fmt: skip
        low, high = fit.interval
        covered.append(low < centre < high)
    assert 0.85 <= np.mean(covered) <= 1.0


def test_estimates_without_a_standard_error_are_named(tmp_path):
    text = "who,g,se\n" + rows([f"p{i}" for i in range(6)], [0.2, 0.3, 0.4, 0.5, 0.3, 0.4], [0.1, 0.1, 0, 0.1, "", 0.1])
    about = {"kind": "estimates", "level": "subject", "uncertainty": "standard error"}
    data = package(
        tmp_path, resource(tmp_path, "a", text, **about, columns={"y": "g", "cluster": "who", "uncertainty": "se"})
    )["a"]
    (population,) = fit_human(data).populations
    assert population.n == 4
    assert [text.split(":")[0] for text in population.left_out] == ["p2", "p4"]
    assert population.reliability == pytest.approx((population.sd / population.spread) ** 2)


def test_too_few_people_give_no_distribution_but_a_reason(tmp_path):
    columns = {"x": "k", "successes": "errors", "trials": "n", "cluster": "who"}
    text = people(3, 2, [])
    data = package(tmp_path, resource(tmp_path, "a", text, level="subject", columns=columns))["a"]
    found = fit_human(data, full=False)
    assert not found.populations
    assert any("only 2 subjects can be fitted, and a distribution needs 3" in text for text in found.skipped)
    with pytest.raises(cogfit.InputError, match="a distribution needs 3"):
        fit_people(data.series()[0])


def test_rows_that_lack_something_are_counted(tmp_path):
    errors = [7, 4, 3, "", *[""] * 4]
    text = "who,k,n,errors\n" + rows(["a"] * 4 + ["b"] * 4, [1, 2, 3, 4] * 2, [9] * 4 + [0] * 4, errors)
    columns = {"x": "k", "successes": "errors", "trials": "n", "cluster": "who"}
    (series,) = package(tmp_path, resource(tmp_path, "a", text, level="subject", columns=columns))["a"].series()
    assert series.y.size == 3
    assert series.notes == ("5 rows without errors or n or k left out, among them all of subject b",)


# ------------------------------------------------------------------------------------------------------- damage


def test_a_damaged_resource_blocks_only_itself(tmp_path, capsys):
    fine = "k,n,errors\n" + rows(range(1, 9), [100] * 8, [60, 45, 38, 31, 29, 26, 24, 22])
    columns = {"x": "k", "successes": "errors", "trials": "n"}
    damaged = {
        "cell": resource(tmp_path, "cell", fine.replace("38", "many"), columns=columns),
        "word": resource(tmp_path, "word", fine, columns=columns, axis="repetitions"),
        "share": resource(
            tmp_path, "share", "k,n,p\n1,50,0.5557\n2,50,0.5\n", columns={"x": "k", "y": "p", "trials": "n"}
        ),
    }
    catalogue = package(tmp_path, *damaged.values(), resource(tmp_path, "fine", fine, columns=columns))
    assert set(catalogue.damaged) == set(damaged)
    assert fit_human(catalogue["fine"], full=False).slopes
    assert "fine" in set(catalogue.table()["id"])
    for name in damaged:
        with pytest.raises(cogfit.InputError):
            catalogue[name]
    cli.main(["human", "--extra", str(tmp_path), "--json", "-"])
    document = json.loads(capsys.readouterr().out)
    assert {item["id"] for item in document["damaged"]} == set(damaged)
    assert all("datapackage.json" in item["reason"] or ".csv" in item["reason"] for item in document["damaged"])


# ------------------------------------------------------------------------------- what was measured independently

# Data set, labels, γ as fitted by scipy when the trials were counted: maximum likelihood of counts, or least squares
# weighted by standard errors.
MEASURED = [
    ("reder2000_know_recognised", {"frequency": "frequent"}, 0.582),
    ("reder2000_know_recognised", {"frequency": "rare"}, 0.765),
    ("reder2000_know_recognised", {"frequency": "all"}, 0.656),
    ("reder2000_know_old", {"frequency": "frequent"}, 0.490),
    ("reder2000_know_old", {"frequency": "rare"}, 0.693),
    ("reder2000_know_old", {"frequency": "all"}, 0.573),
    ("reder2000_remember_recognised", {"frequency": "all"}, -0.220),
    ("reder2000_remember_old", {"frequency": "all"}, -0.266),
    ("memphis_cloze_errors", {}, 0.637),
    ("sense2016_fixed_words_latency", {}, 0.337),
    ("sense2016_fixed_words_errors", {}, 1.322),
    ("garner2015_search", {}, 0.145),
    ("crossley2025_latency", {}, 0.033),
    ("nosofsky1994_errors", {"category_type": "3"}, 1.028),
]


@pytest.mark.parametrize(("name", "labels", "gamma"), MEASURED)
def test_shipped_counts_and_means_give_the_exponents_of_their_sources(name, labels, gamma):
    assert fit_human(cogfit.human(name), full=False).slope(**labels).gamma == pytest.approx(gamma, abs=6e-4)


def test_people_of_the_shipped_sets_are_distributed_as_measured():
    means = {
        "memphis_cloze_subjects": (477, 0.647, 0.257, 0.36),
        "reder2000_subjects": (20, 0.953, np.nan, np.nan),
        "garner2015_subjects": (50, 0.140, np.nan, np.nan),
    }
    for name, (count, mean, sd, reliability) in means.items():
        (found,) = fit_human(cogfit.human(name), full=False).populations
        assert found.n == count
        assert found.mean == pytest.approx(mean, abs=0.002)
        assert (found.sd, found.reliability) == pytest.approx((sd, reliability), abs=0.01, nan_ok=True)


def test_the_spread_between_people_is_near_that_of_scipy_fits():
    (series,) = cogfit.human("du2023_latency").series()
    gamma, error = [], []
    for name in dict.fromkeys(series.clusters):
        part = series.take(series.clusters == name)
        best, covariance = optimize.curve_fit(lambda x, a, g: a * x**-g, part.x, part.y, p0=[part.y[0], 0.1])
        gamma.append(best[1])
        error.append(np.sqrt(covariance[1, 1]))
    (found,) = fit_human(series.dataset, full=False).populations
    between = np.var(gamma, ddof=1) - np.mean(np.square(error))  # Hedges & Olkin 1985
    # one model weights by what each person's points say, and takes one error variance for all
    assert (found.n, found.mean) == (28, pytest.approx(np.mean(gamma), abs=0.1 * np.std(gamma)))
    assert found.sd == pytest.approx(np.sqrt(between), rel=0.15)
    assert found.reliability == pytest.approx(between / np.var(gamma, ddof=1), abs=0.15)


def test_familiarity_rises_where_knowing_falls():
    """With independent ways, K/(1 − R) is familiarity: it grows from 0.71 and 0.75 to more than 0.8."""
    know, familiarity, remember = (
        fit_human(cogfit.human(f"reder2000_{name}"), full=False).slope(frequency="all")
        for name in ("know_old", "familiarity", "remember_old")
    )
    assert familiarity.high < 0 < know.low
    assert remember.high < 0
    first = [s.y[0] for s in cogfit.human("reder2000_familiarity").series()[:2]]
    assert first == pytest.approx([154 / 217, 0.75], abs=0.005)


@pytest.mark.parametrize("measure", ["error", "latency"])
def test_blocks_without_a_logarithm_are_answered_or_refused_by_all_commands(tmp_path, measure):
    from cogfit.people.exponents import survey_exponents

    edges = [(1, 4), (5, 10), (11, 20), (21, 40), (41, 60), (61, 90), (91, 120), (121, 160)]
    y = [0.5, 0.3, 0.2, 0.15, 0.1, 0.05, 0.02, 0.0]
    text = "k,a,b,y\n" + "".join(f"{(a + b) / 2},{a},{b},{v}\n" for (a, b), v in zip(edges, y, strict=True))
    columns = {"x": "k", "y": "y", "first": "a", "last": "b"}
    about = {"convention": "block", "measure": measure, "columns": columns}
    data = package(tmp_path, resource(tmp_path, "a", text, **about))["a"]
    if measure == "latency":
        survey = survey_exponents([data], full=False)
        assert [row.exponent.noise for row in survey.rows] == ["gaussian"]
        return
    k = np.arange(1.0, 40.0)
    fit = cogfit.fit(k, 0.9 * k**-0.43, form="power", axis="exposure", measure="probability")
    assert not cogfit.compare(fit, data).compared


def test_conditions_without_any_spread_have_no_interval_to_divide_by():
    found = independent_contrast((2.0, 1.0), (0.0, 0.0), "early", "late", counts=(5, 5))
    assert (found.low, found.high, found.p_value) == (-1.0, -1.0, 0.0)
