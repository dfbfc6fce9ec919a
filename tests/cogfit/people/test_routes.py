"""By which route: signs of remembering and knowing beside a model's, and a sentence that follows from them alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import cogfit
from cogfit import cli
from cogfit.curves.arrays import array_curve
from cogfit.curves.exposure import CONVENTIONS
from cogfit.people.exponent import PERSON, Exponent
from cogfit.people.routes import compare_routes

SETS = [f"reder2000_{name}" for name in ("remember_recognised", "remember_old", "know_recognised", "know_old")]
SETS.append("reder2000_familiarity")
SENTENCE = (
    "In people recollection grows with repetition; a model's falling P_episodic(k) has the sign of the know share and "
    "of the algorithm in Logan's theory, not of recollection."
)


def run(gamma: float) -> cogfit.FitResult:
    """A router's curve with this exponent."""
    k = np.arange(1.0, 61.0)
    y = 0.5 * (k / 8.0) ** -gamma * np.exp(0.01 * np.random.default_rng(0).normal(size=60))
    curve = replace(array_curve(k, y, axis="exposure"), measure="probability", convention=CONVENTIONS["prior"])
    return cogfit.fit(curve, form="power", noise="gaussian")


@pytest.fixture(scope="module")
def people() -> list[cogfit.Dataset]:
    return [cogfit.human(name) for name in SETS]


def test_a_falling_share_has_the_sign_of_knowing_and_not_of_remembering(people):
    found = cogfit.compare(run(0.43), people)
    routes = found.routes
    assert SENTENCE in found.verdict
    assert routes.model.direction == "falls"
    directions = {(one.route, one.share_of): one.direction for one in routes.people if "all" in one.exponent.label}
    assert directions == {
        ("recollection", "recognised words"): "rises",
        ("recollection", "all words seen before"): "rises",
        ("knowing", "recognised words"): "falls",
        ("knowing", "all words seen before"): "falls",
        ("familiarity", "words not remembered"): "rises",
    }


@pytest.mark.parametrize("gamma", [-0.3, 0.0])
def test_a_share_that_does_not_fall_is_not_said_to_fall(people, gamma):
    found = cogfit.compare(run(gamma), people)
    assert SENTENCE not in found.verdict
    words = "grows" if gamma else "is not known to fall or grow"
    assert f"The model's P_episodic(k) {words} with repetition; in people recollection grows" in found.verdict


def test_every_row_is_fit_of_its_series_and_names_what_differs(people):
    model = Exponent(
        "r", "model", 0.4, 0.3, 0.5, "power", "gaussian", "strategy", "", "repetition", "item", "prior", PERSON
    )
    fit = cogfit.fit(np.arange(5.0, 71.0), np.arange(5.0, 71.0) ** -0.4, form="power")
    found = compare_routes(model, fit, people)
    fits = [cogfit.fit(one.curve(), form="power") for data in people for one in data.series()]
    assert [one.exponent.gamma for one in found.people] == pytest.approx([fit.gamma for fit in fits])
    for one in found.people:
        starts = [text.split(":")[0] for text in one.differences]
        assert starts == ["route", "level", "range", "noise model", "confound", "confound"]
        assert "1–9 against 5–70 presentations" in one.differences[2]
    inclusive = compare_routes(replace(model, convention="inclusive"), fit, people[:1])
    assert {one.exponent.convention for one in inclusive.people} == {"inclusive"}


def test_remembering_and_knowing_are_the_same_fact_among_recognised_words(people):
    remember, know = (people[i].series(frequency="all")[0] for i in (0, 2))
    np.testing.assert_allclose(remember.y + know.y, 1.0)


def test_times_have_no_route(people):
    latency = cogfit.fit(np.arange(1.0, 30.0), np.arange(1.0, 30.0) ** -0.4, form="power", measure="latency")
    assert cogfit.compare(latency, people[:1]).routes is None
    assert cogfit.compare(run(0.4), cogfit.human("mosteller1970_recall")).routes is None


def test_the_command_prints_rows_and_sentence_and_writes_them(tmp_path, capsys):
    path = tmp_path / "fit.json"
    run(0.43).save(path)
    arguments = [text for name in SETS for text in ("--to", name)]
    assert cli.main(["compare", str(path), *arguments, "--json", str(tmp_path / "out.json")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert SENTENCE in out
    assert "They still differ in" in out
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["routes"]["sentence"] == SENTENCE
    assert {row["direction"] for row in document["routes"]["people"]} == {"falls", "rises"}
