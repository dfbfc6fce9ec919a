"""The page for psychologists says what the data say now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import cogfit
from cogfit.people.by_subject import fit_people, people_of_estimates
from cogfit.people.fits import estimated_subjects, fit_human
from cogfit.people.share_between import share_between

PAGE = Path(__file__).resolve().parents[3] / "docs" / "human-memory.md"
TEXT = " ".join(PAGE.read_text(encoding="utf-8").split())
ROWS = {
    ("remember", "all words seen before"): "reder2000_remember_old",
    ("remember", "recognised words"): "reder2000_remember_recognised",
    ("know", "all words seen before"): "reder2000_know_old",
    ("know", "recognised words"): "reder2000_know_recognised",
    ("familiarity, K/(1 − R)", "words not remembered"): "reder2000_familiarity",
}


@pytest.mark.parametrize("row", ROWS)
def test_the_table_of_routes_is_current(row):
    (series,) = cogfit.human(ROWS[row]).series(frequency="all")
    fit = cogfit.fit(series.curve(), form="power")
    direction = "falls" if fit.interval[0] > 0 else "grows" if fit.interval[1] < 0 else "?"
    gamma = f"{fit.gamma:.2f}".replace("-", "−")
    assert f"| {row[0]} | {row[1]} | {gamma} | {direction} |" in TEXT


def test_the_figures_of_people_are_current():
    (series,) = cogfit.human("memphis_cloze_subjects").series()
    found = people_of_estimates(estimated_subjects(series))
    people, share = found.population, share_between(found, (0.4, 0.5))
    assert f"Of their {people.n} exponents" in TEXT
    assert f"{share.raw:.0%} lie in 0.4–0.5".replace("%", " %") in TEXT
    assert f"only {people.reliability:.0%} of the variance".replace("%", " %") in TEXT
    assert f"standard deviation of {people.sd:.2f} about {people.mean:.2f}" in TEXT
    assert f"{share.share:.0%} [{100 * share.low:.0f}, {100 * share.high:.0f}]".replace("%", " %") in TEXT


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("lui_chan2006_reprogramming", "solo"),
        ("lui_chan2006_reprogramming", "pair"),
        ("du2023_latency", ""),
        ("dros2015_lists", ""),
        ("du2023_errors", ""),
        ("cochrane2019_errors", ""),
    ],
)
def test_the_table_of_models_and_two_stages_is_current(name, label):
    (series,) = cogfit.human(name).series(**({"mode": label} if label else {}))
    found = fit_people(series)
    cells = [
        f"{one.mean:.2f}, {one.sd:.2f}, {one.reliability:.2f}"
        for one in (people_of_estimates(found.subjects).population, found.population)
    ]
    title = f"`{name}`, {label}" if label else f"`{name}`"
    assert f"| {title} | {cells[0]} | {cells[1]} |" in PAGE.with_name("human-data.md").read_text(encoding="utf-8")


def test_who_is_left_is_current():
    (found,) = fit_human(cogfit.human("sense2016_all_words"), full=False).survivorship
    assert f"γ = {found.pooled.gamma:.2g}. For the *same* words throughout it is {found.fixed.gamma:.2f}" in TEXT


def test_commands_of_the_page_name_sets_that_exist():
    names = re.findall(r"cogfit human (\w+)", TEXT)
    assert names
    assert all(name in cogfit.human() for name in names)
