"""Who is left: the fixed set tells how anyone learns, the pooled one who stays."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cogfit
from cogfit import cli
from cogfit.logs import read_log
from cogfit.people.fits import fit_human
from cogfit.people.survivorship import survivorship_of, survivorship_of_patterns


def people(folder: Path, levels: np.ndarray, last: np.ndarray, gamma: float) -> cogfit.Dataset:
    """Times of people of different speed who all learn alike, and stay until `last`."""
    rng = np.random.default_rng(0)
    rows = ["who,k,s"]
    for i, (level, end) in enumerate(zip(levels, last, strict=True)):
        rows += [f"p{i},{k},{level * k**-gamma * np.exp(0.01 * rng.normal()):.5f}" for k in range(1, int(end) + 1)]
    (folder / "a.csv").write_text("\n".join(rows) + "\n")
    fields = [{"name": "who", "type": "string"}, {"name": "k", "type": "integer"}, {"name": "s", "type": "number"}]
    about = {
        "axis": "repetition", "repeated": "item", "unit": "tests", "convention": "inclusive", "measure": "latency",
        "level": "subject", "columns": {"x": "k", "y": "s", "cluster": "who"},
    }  # fmt: skip
    resource = {"name": "a", "path": "a.csv", "schema": {"fields": fields}, "cogfit": about}
    (folder / "datapackage.json").write_text(json.dumps({"resources": [resource]}))
    return cogfit.human("a", extra=folder)


@pytest.mark.parametrize("order", [1, -1])
def test_the_fixed_set_has_the_exponent_of_everyone_when_the_fast_or_the_slow_leave(tmp_path, order):
    levels = np.linspace(1.0, 4.0, 24)[::order]
    data = people(tmp_path, levels, np.where(np.arange(24) < 10, 12, np.arange(24) % 10 + 2), gamma=0.4)
    (found,) = fit_human(data, full=False).survivorship
    assert (found.n_leave, found.n_enter, found.n_stay) == (14, 0, 10)
    assert found.fixed.gamma == pytest.approx(0.4, abs=0.02)
    assert found.differs
    assert (found.pooled.gamma - 0.4) * order > 0.05  # who are left are fast, or slow
    assert "the pooled curve shows who is left" in found.statement
    whole = cogfit.fit(data.series()[0].curve(), form="power", noise="gaussian")
    assert found.pooled.gamma == pytest.approx(whole.gamma, rel=1e-9)


def test_leaving_at_random_does_not_show(tmp_path):
    last = np.where(np.arange(60) % 2, 12, np.random.default_rng(3).integers(6, 13, 60))
    data = people(tmp_path, np.full(60, 2.0), last, gamma=0.4)
    (found,) = fit_human(data, full=False).survivorship
    assert not found.differs
    assert "does not show" in found.statement


def test_nobody_leaves(tmp_path):
    data = people(tmp_path, np.full(12, 2.0), np.full(12, 8), gamma=0.4)
    assert survivorship_of(data.series()[0]) is None


def test_adaptive_words_hide_most_of_the_learning():
    found = fit_human(cogfit.human("sense2016_all_words"), full=False)
    (one,) = found.survivorship
    assert one.fixed_set == "sense2016_fixed_words_latency"
    assert (one.x_min, one.x_max) == (2, 10)
    fixed = cogfit.fit(cogfit.human(one.fixed_set).series()[0].curve(), form="power")
    assert one.fixed.gamma == pytest.approx(fixed.gamma)
    assert one.fixed.gamma == pytest.approx(0.337, abs=5e-4)
    assert one.pooled.gamma == pytest.approx(0.055, abs=5e-4)
    assert one.differs
    assert any("survivorship" in text for text in found.statements)


@pytest.fixture
def leaving(tmp_path):
    """A log whose patterns stop coming once they are learned: all still there at the end are slow."""
    rng, rows = np.random.default_rng(1), []
    for pattern in range(30):
        slow = pattern < 15
        for k in range(60 if slow else pattern - 5):
            p = (0.9 if slow else 0.3) * (k + 1.0) ** -0.3
            rows.append((rng.integers(0, 10**6), pattern, k, p * np.exp(0.02 * rng.normal())))
    frame = pd.DataFrame(rows, columns=["step", "pattern", "exposure", "p_episodic"])
    frame = frame.sort_values(["exposure", "pattern"]).assign(step=range(len(frame)))
    frame.to_csv(tmp_path / "routing.csv", index=False)
    return tmp_path / "routing.csv"


def test_patterns_that_leave_a_log_are_kept_apart(leaving):
    routing = read_log(leaving).routing
    found = survivorship_of_patterns(routing)
    assert (found.kind, found.n_leave, found.n_enter, found.n_stay) == ("patterns", 15, 0, 15)
    assert found.fixed.gamma == pytest.approx(cogfit.fit(cogfit.exposure_curve(routing), form="power").gamma)
    assert found.fixed.gamma > 0.2
    assert found.pooled.gamma < found.fixed.gamma - 0.1
    assert found.differs
    everyone = cogfit.exposure_curve(routing, k_max=int(found.x_max), everyone=True)
    assert everyone.n_rows > cogfit.exposure_curve(routing, k_max=int(found.x_max)).n_rows


def test_the_command_says_that_patterns_leave_in_text_document_and_page(leaving, tmp_path, capsys):
    found = survivorship_of_patterns(read_log(leaving).routing)
    file, page = tmp_path / "fit.json", tmp_path / "fit.html"
    assert cli.main(["fit", str(leaving), "--form", "power", "--json", str(file)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    sentence = f"pooled γ = {found.pooled} over x = {found.x_min:g}–{found.x_max:g}, but {found.fixed}"
    assert "15 patterns leave and 0 enter along the curve, 15 stay (survivorship)" in text
    assert sentence in text
    document = json.loads(file.read_text())["trajectories"]
    assert document["survivorship"]["differs"]
    assert document["survivorship"]["fixed"]["gamma"] == pytest.approx(found.fixed.gamma)
    assert cli.main(["report", str(leaving), "--html", str(page)]) == 0
    assert sentence in html.unescape(page.read_text(encoding="utf-8"))
    # a saved fit keeps it, and another window is that of the fit
    assert "(survivorship)" in " ".join(cogfit.load(file).findings)
    assert cli.main(["fit", str(leaving), "--form", "power", "--x-max", "20", "--json", str(file)]) == 0
    assert json.loads(file.read_text())["trajectories"]["survivorship"]["x_max"] == 20


def test_nothing_is_said_where_all_patterns_stay(tmp_path, capsys):
    rows = [(60 * k + p, p, k, 0.9 * (k + 1.0) ** (-0.2 - 0.01 * p)) for k in range(40) for p in range(10)]
    frame = pd.DataFrame(rows, columns=["step", "pattern", "exposure", "p_episodic"])
    frame.to_csv(tmp_path / "routing.csv", index=False)
    assert cli.main(["fit", str(tmp_path / "routing.csv"), "--form", "power", "--json", "-"]) == 0
    assert "survivorship" not in capsys.readouterr().out
