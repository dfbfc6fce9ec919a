"""A model beside people: refused where it must be, aligned where it may be, and the difference right where it is."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit import cli
from cogfit.curves.arrays import array_curve
from cogfit.curves.exposure import CONVENTIONS
from cogfit.errors import InputError
from cogfit.logs.splitting import split
from cogfit.people import human_side
from cogfit.people.dataset import Dataset
from cogfit.people.exponent import ASPECTS, DISTRIBUTION, MEAN, PERSON

X = np.arange(1.0, 61.0)


def routing(seed: int, gamma: float = 0.43) -> cogfit.FitResult:
    rng = np.random.default_rng(seed)
    y = 0.9 * X**-gamma * np.exp(0.02 * rng.normal(size=X.size))
    curve = replace(array_curve(X, y, axis="exposure"), measure="probability", convention=CONVENTIONS["prior"])
    return cogfit.fit(curve, form="power", noise="gaussian")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """Strategy shares as a package of one's own: the same exponent counted in two ways, and subjects' means."""
    folder = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(5)
    resources = []
    for name, convention, level, shift in (
        ("one2020_person", "prior", "subject", 0.0),
        ("two2020_means", "inclusive", "subject mean", 1.0),
    ):
        rows = ["k,p,se"]
        for k in range(1, 41):
            value = 0.9 * float(k) ** -0.30 * math.exp(0.02 * rng.normal())
            rows.append(f"{k + shift:g},{value:.6f},{0.02 * value:.6f}")
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        resources.append(
            {
                "name": name, "path": f"{name}.csv", "title": name,
                "schema": {"fields": [{"name": n, "type": "number"} for n in ("k", "p", "se")]},
                "cogfit": {
                    "axis": "repetition", "repeated": "item", "unit": "presentations", "convention": convention,
                    "measure": "strategy", "scale": "share of trials", "level": level,
                    "n": 1 if level == "subject" else 20, "uncertainty": "standard error",
                    "columns": {"x": "k", "y": "p", "uncertainty": "se"},
                },
            }
        )  # fmt: skip
    (folder / "datapackage.json").write_text(json.dumps({"name": "own", "resources": resources}), encoding="utf-8")
    catalogue = cogfit.human(extra=folder)
    return {name: catalogue[name] for name in ("one2020_person", "two2020_means")}


def test_like_with_like_gives_the_difference(people: dict[str, Dataset]) -> None:
    found = cogfit.compare(routing(0), people["one2020_person"])
    (row,) = found.rows
    assert row.comparable
    assert row.difference is not None
    gap, low, high = row.difference
    assert low < 0.13 < high
    assert gap == pytest.approx(0.13, abs=0.03)
    assert "the two differ" in found.verdict
    assert "Nothing is pooled: 0 independent studies" in found.pooling or "1 independent study" in found.pooling


def test_delays_and_times_are_refused_with_the_reason() -> None:
    found = cogfit.compare(routing(0), cogfit.human("ebbinghaus1885_savings"), align=True)
    assert not found.compared
    names = {item.aspect.name for row in found.rows for item in row.obstacles}
    assert {"measure", "axis"} <= names
    assert "None of the" in found.verdict


def test_contrasts_have_no_exponent() -> None:
    found = cogfit.compare(routing(0), cogfit.human("audrain2022_recall"))
    assert found.rows == ()
    assert found.silent[0][0] == "audrain2022_recall"


def test_one_run_is_no_mean_over_people(people: dict[str, Dataset]) -> None:
    found = cogfit.compare(routing(0), people["two2020_means"], align=True)
    assert [item.aspect.name for item in found.rows[0].obstacles] == ["averaging"]


def test_several_runs_are_aligned_and_tested_for_equivalence(people: dict[str, Dataset]) -> None:
    runs = [routing(seed, 0.30 + 0.01 * (seed % 3)) for seed in range(6)]
    plain = cogfit.compare(runs, people["two2020_means"])
    assert plain.rows[0].mendable
    assert "--align" in plain.verdict
    found = cogfit.compare(runs, people["two2020_means"], align=True, margin=0.15)
    (row,) = found.rows
    assert row.comparable
    assert row.human.averaging == MEAN
    assert row.human.done[0] == "k counts earlier presentations"
    assert row.human.gamma == pytest.approx(0.30, abs=0.03)  # by its own count it would be another number
    assert row.equivalent is True
    assert cogfit.compare(runs, people["two2020_means"], align=True, margin=0.001).rows[0].equivalent is False
    assert found.runs is not None
    assert found.runs.n == 6
    assert [one.averaging for one in found.model] == [PERSON] * 6 + [MEAN, DISTRIBUTION]


def test_too_few_runs_show_no_equivalence(people: dict[str, Dataset]) -> None:
    found = cogfit.compare([routing(0), routing(1)], people["two2020_means"], align=True, margin=0.2)
    assert found.rows[0].equivalent is None
    assert "cannot be tested" in found.equivalence
    assert "speak of themselves" in found.verdict


def test_the_papers_figures_are_claims() -> None:
    claimed = {one.label: one for one in human_side.claims()}
    assert all(one.side == "claimed" for one in claimed.values())
    assert (claimed["CRAM's own γ"].low, claimed["CRAM's own γ"].high) == pytest.approx((0.39, 0.47))
    assert math.isnan(claimed["people, 'across studies'"].gamma)


def test_runs_under_different_options_are_not_averaged() -> None:
    other = cogfit.fit(X, X**-0.4, form="power", axis="exposure", measure="latency")
    with pytest.raises(InputError, match="differ in measure"):
        cogfit.compare([routing(0), other], cogfit.human("ebbinghaus1885_savings"))


def recall_log(runs: int, column: str = "delay") -> pd.DataFrame:
    """Recall after a delay, as the study of practice logs it: some runs with values that have no logarithm."""
    rng = np.random.default_rng(3)
    t = np.arange(1.0, 25.0)
    y = [0.5 * t**-0.3 + 0.01 * rng.normal(size=t.size) for _ in range(runs)]
    y[0][-1] = -0.01
    labels = np.repeat([f"seed-{run}" for run in range(runs)], t.size)
    return pd.DataFrame({"run": labels, column: np.tile(t, runs), "recall": np.concatenate(y)})


@pytest.mark.slow
def test_the_raw_log_of_several_runs_is_compared_on_the_chosen_axis() -> None:
    """What a log does not say is unknown of all its runs alike: that keeps no run from the others."""
    log = cogfit.read_log(recall_log(2), x="delay", y="recall")
    people = cogfit.human("mosteller1970_recall")
    found = cogfit.compare(log, people, axis="delay", measure="probability")
    assert [item.averaging for item in found.model] == [PERSON, PERSON, MEAN, DISTRIBUTION]
    assert {item.noise for item in found.model} == {"gaussian"}
    assert [str(item) for item in found.rows[0].obstacles] == [
        "counting convention: x = 'delay' as logged against elapsed"
    ]
    assert not found.rows[0].mendable


def test_a_convention_may_be_said_of_what_was_not_counted() -> None:
    log = cogfit.read_log(recall_log(2), x="delay", y="recall")
    fits = [cogfit.fit(run, form="power", noise="gaussian") for _, run in split(log, ("run",))]
    said = {"axis": "delay", "measure": "probability", "convention": "elapsed"}
    assert cogfit.compare(fits, cogfit.human("mosteller1970_recall"), **said).rows[0].comparable


VOCABULARY = st.fixed_dictionaries(
    {},
    optional={
        "axis": st.sampled_from(["exposure", "delay", "lag", "stream"]),
        "measure": st.sampled_from(["probability", "latency", "error"]),
        "repeated": st.sampled_from(["item", "task"]),
        "convention": st.sampled_from(["prior", "inclusive", "elapsed"]),
    },
)


@lru_cache
def two_fits(axis: str, has_limits: bool) -> tuple[cogfit.FitResult, cogfit.FitResult]:
    error = 0.02 if has_limits else 0.0  # without residuals an interval has no width, and there is no mean of exponents
    rng = np.random.default_rng(2)
    one, other = (X**-0.4 * np.exp(error * rng.normal(size=X.size)) for _ in range(2))
    return (
        cogfit.fit(X, one, form="power", noise="gaussian", axis=axis),
        cogfit.fit(X, other, form="power", noise="gaussian", axis=axis),
    )


@settings(max_examples=8, deadline=None)
@given(VOCABULARY, st.sampled_from(["x", "exposure", "delay"]), st.booleans())
def test_what_is_known_of_one_run_is_known_of_several(said: dict[str, str], axis: str, has_limits: bool) -> None:
    """Only the level of averaging depends on the number of runs."""
    fits = two_fits(axis, has_limits)
    people = cogfit.human("audrain2022_recall")  # contrasts: nothing is fitted on this side
    one, two = (cogfit.compare(model, people, **said) for model in (fits[0], fits))
    for item in two.model:
        assert [getattr(item, aspect.name) for aspect in ASPECTS if aspect.name != "averaging"] == [
            getattr(one.model[0], aspect.name) for aspect in ASPECTS if aspect.name != "averaging"
        ]
    assert (one.model[0].axis, one.model[0].repeated) != ("exposure", "")
    assert ("there is no mean" in two.verdict) is not has_limits


def test_runs_whose_x_means_something_else_are_not_averaged() -> None:
    fits = [
        cogfit.fit(cogfit.read_log(recall_log(1, name), x=name, y="recall"), form="power", noise="gaussian")
        for name in ("delay", "lag")
    ]
    with pytest.raises(InputError, match="x = 'delay' as logged against x = 'lag' as logged"):
        cogfit.compare(fits, cogfit.human("ebbinghaus1885_savings"), axis="delay")


def test_an_unknown_convention_is_named() -> None:
    with pytest.raises(InputError, match="unknown convention 'elapsd'.*did you mean 'elapsed'"):
        cogfit.compare(routing(0), cogfit.human("ebbinghaus1885_savings"), convention="elapsd")


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan])
def test_a_margin_is_positive(margin: float) -> None:
    with pytest.raises(InputError, match="margin"):
        cogfit.compare(routing(0), cogfit.human("ebbinghaus1885_savings"), margin=margin)


def test_table_and_json_hold_the_same_and_no_infinity(people: dict[str, Dataset]) -> None:
    found = cogfit.compare(routing(0), list(people.values()))
    table = found.table()
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert len(table) == 1 + 2 + 3
    assert document["schema"] == "cogfit.compare/1"
    assert [row["comparable"] for row in document["human"]] == [True, False]
    assert table.loc[1, "difference"] == pytest.approx(document["human"][0]["difference"]["estimate"])


def test_json_of_several_runs_holds_the_spread_between_them(people: dict[str, Dataset]) -> None:
    comparison = cogfit.compare([routing(seed) for seed in range(3)], people["one2020_person"])
    document = json.loads(json.dumps(comparison.to_json(), allow_nan=False))
    assert comparison.runs is not None
    assert document["between_runs"] == json.loads(json.dumps(comparison.runs.to_json()))
    assert document["between_runs"]["n"] == 3
    assert document["between_runs"]["labels"] == {}


def test_the_forest_plot_shows_everything_and_pools_nothing(people: dict[str, Dataset]) -> None:
    found = cogfit.compare(routing(0), list(people.values()))
    axes = found.plot().axes[0]
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert len(labels) == 1 + 2 + 3
    assert not any("pooled" in label.lower() for label in labels)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fit") / "fit.json"
    routing(0).save(path)
    return path


def test_a_wrong_comparison_ends_with_2_and_one_line(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", str(saved), "--to", "ebbinghaus1885_savings"]) == 2
    out, err = capsys.readouterr()
    assert "None of the" in out
    assert err.count("\n") == 1
    assert "cannot be compared: measure: strategy against savings" in err


@pytest.mark.slow
def test_compare_prints_model_people_and_claims(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", str(saved)]) == 0
    out = capsys.readouterr().out
    for text in ("zbrodoff1995", "As claimed by the paper", "Nothing is pooled", "algorithm"):
        assert text in out


def test_json_goes_to_standard_output_alone(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", str(saved), "--to", "anderson1981_latency", "--json", "-"]) == 2
    assert json.loads(capsys.readouterr().out)["schema"] == "cogfit.compare/1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "ebinghaus1885_savings"], "did you mean 'ebbinghaus1885_savings'"),
        (["--form", "exponential"], "holds no form 'exponential'"),
        (["--convention", "inclusive"], "a saved fit cannot be fitted anew"),
        (["--margin", "-1"], "margin"),
    ],
)
def test_bad_input_is_one_clear_line(
    saved: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", str(saved), *options]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
