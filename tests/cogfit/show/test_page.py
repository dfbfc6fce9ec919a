"""The web page of a fit: the answer first, nothing that a log could inject, nothing that leaves the screen."""

from __future__ import annotations

import base64
import html
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import cogfit
from cogfit import cli
from cogfit.show import page as report

EVIL = "<script>alert('x')</script>&\"$\\frac{$"
VOID = {"meta", "path", "use", "image", "rect"}


class Page(HTMLParser):
    """Elements, text and tables of a page; fails on tags that do not close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._rows: list[list[str]] = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self._open.pop() == tag
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        if data.strip():
            self.text.append(data.strip())
        if self._open and self._open[-1] in ("td", "th"):
            self._rows[-1][-1] += data
        if self._open[-1:] == ["p"] and self.elements[-1][1].get("class") == "caption":
            self._caption = data
            assert self.elements[-1][1]["id"]

    def table(self, start: str) -> list[list[str]]:
        return next(rows for caption, rows in self.tables.items() if caption.startswith(start))


@pytest.fixture(scope="module")
def curve() -> cogfit.FitResult:
    x = np.arange(1.0, 81.0)
    return cogfit.fit(x, 0.9 * x**-0.43 + np.random.default_rng(3).normal(0.0, 0.01, x.size))


@pytest.fixture(scope="module")
def patterns(tmp_path_factory: pytest.TempPathFactory) -> cogfit.FitResult:
    path = tmp_path_factory.mktemp("log") / "routing.parquet"
    cogfit.simulate("power", kind="routing", patterns=30, n=100, rng=2).to_parquet(path)
    return cogfit.fit(cogfit.read_log(path), outcome="hard")


def test_the_answer_comes_first_in_plain_words(curve: cogfit.FitResult) -> None:
    page = Page(report.page(curve))
    body = page.text[page.text.index("Is it a power law?") :]
    assert body[2] == "Yes: the data support a power law."
    assert body[3] == curve.headline()
    assert body[4] == curve.verdict.reasons[0]
    assert set(report.ANSWERS) == {
        "supported",
        "not_supported",
        "not_distinguishable",
        "not_identified",
        "not_compared",
    }


def test_tables_hold_the_numbers_of_the_fit(curve: cogfit.FitResult) -> None:
    page = Page(report.page(curve, command="cogfit report log.csv --html out.html"))
    forms = page.table("Forms")
    assert [row[0] for row in forms[1:]] == [item.title for item in curve.forms]
    power = next(row for row in forms if row[0] == "power")
    assert float(power[1]) == pytest.approx(curve["power"].gamma, rel=1e-2)
    parameters = {row[0]: row for row in page.table("Parameters")}
    assert float(parameters["gamma"][1]) == pytest.approx(curve.gamma, rel=1e-4)
    low, high = (float(v) for v in parameters["gamma"][2].strip("[]").split(","))
    assert (low, high) == pytest.approx(curve.interval, rel=1e-2)
    windows = page.table("γ over parts")
    assert [float(row[2]) for row in windows[1:]] == pytest.approx([w.gamma for w in curve.windows], rel=1e-2)
    provenance = dict(page.table("Where"))
    assert provenance["rows read"] == "80"
    assert provenance["cogfit"] == cogfit.__version__
    assert provenance["command"] == "cogfit report log.csv --html out.html"
    assert curve.methods() in page.text


@pytest.mark.slow
def test_patterns_averaging_and_transition_have_their_sections(patterns: cogfit.FitResult) -> None:
    page = Page(report.page(patterns))
    assert dict(page.table("Patterns behind"))["patterns"] == "30"
    assert page.table("Averaging over 30 patterns")
    step = np.arange(1.0, 241.0)
    y = np.where(step < 120, 0.8, 0.3) + np.random.default_rng(1).normal(0, 0.02, step.size)
    dropped = cogfit.fit(step, y)
    assert dropped.transition is not None
    page = Page(report.page(dropped))
    changes = page.table("Abrupt changes")
    assert float(changes[1][0]) == pytest.approx(dropped.transition["t50"], rel=1e-4)
    assert dropped.transition["statements"][0] in page.text
    nothing = Page(report.page(cogfit.fit(step, np.full(step.size, 0.3))))
    assert "Undecided: these data do not determine an exponent." in nothing.text
    assert "Transition" not in nothing.text


@pytest.mark.slow
def test_structure_is_accessible_and_self_contained(patterns: cogfit.FitResult) -> None:
    text = report.page(patterns)
    page = Page(text)
    tags = [tag for tag, _ in page.elements]
    assert page.elements[0] == ("html", {"lang": "en"})
    for name in ("title", "h1", "main"):
        assert tags.count(name) >= 1
    assert tags.count("h1") == 1
    pictures = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(pictures) >= 4
    for attributes in pictures:
        assert attributes["role"] == "img"
        assert len(attributes["aria-label"] or "") > 20
    captions = [attributes["id"] for _, attributes in page.elements if attributes.get("class") == "caption"]
    tables = [attributes["aria-labelledby"] for tag, attributes in page.elements if tag == "table"]
    assert captions == tables
    assert len(tables) == len(page.tables)
    heads = [attributes for tag, attributes in page.elements if tag == "th"]
    assert {attributes["scope"] for attributes in heads} == {"row", "col"}
    assert not {"script", "iframe", "object", "embed", "form", "img", "base"} & set(tags)
    for tag, attributes in page.elements:
        assert not [key for key in attributes if key.startswith("on")]
        known = ("#", "data:text/csv;base64,") if tag == "a" else ("#", "data:image/png;base64,")
        for key in ("src", "href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith(known), (tag, attributes)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))
    assert used <= set(ids)
    assert all(url.startswith("http://www.w3.org/") for url in re.findall(r"\w+://[^\s\"'<>]+", text))  # namespaces
    assert "@import" not in text
    assert report.page(patterns) == text


def test_points_can_be_saved_and_methods_copied(curve: cogfit.FitResult, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(report.page(curve))
    (link,) = [attributes for tag, attributes in page.elements if tag == "a"]
    assert link["download"] == "points.csv"
    saved = pd.read_csv(io.BytesIO(base64.b64decode((link["href"] or "").partition(",")[2])))
    np.testing.assert_allclose(saved["x"], curve.x)
    np.testing.assert_allclose(saved["fitted"] + saved["residual"], curve.y)
    assert ("p", {"class": "copied"}) in page.elements
    assert curve.methods() in page.text
    monkeypatch.setattr(report, "MOST_POINTS", curve.n - 1)
    assert "points are too many for this page" in report.page(curve)


@pytest.mark.slow
def test_what_the_log_says_is_text_and_nothing_else(tmp_path: Path) -> None:
    step = np.arange(1, 61)
    frame = pd.DataFrame({"step": step, EVIL: 0.9 * step**-0.5 + np.random.default_rng(0).normal(0, 0.01, 60)})
    path = tmp_path / "<b>&amp;.csv"
    frame.to_csv(path, index=False)
    fit = cogfit.fit(cogfit.read_log(path, y=EVIL))
    text = report.page(fit, command="cogfit report '<i>'")
    page = Page(text)
    assert not {"script", "b", "i"} & {tag for tag, _ in page.elements}
    assert any(EVIL in part for part in page.text)
    assert str(path) in dict(page.table("Where"))["source"]
    assert "cogfit report '<i>'" in page.text
    assert html.escape("<script>alert(") in text
    fit.report(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_nothing_turns_a_page_round_and_labels_are_no_attributes(patterns: cogfit.FitResult) -> None:
    name = 'x\u202egnp\x9b\x00 "#y id="z url(#w \udcff'
    text = report.page(replace(patterns, y_label=name))
    text.encode()
    assert not {"\u202e", "\x9b", "\x00"} & set(text)
    shown = html.escape(r'x\u202egnp\x9b\x00 "#y id="z url(#w \udcff', quote=False)
    assert shown in text  # in the picture, too, where ids are made its own
    assert shown in text[text.index("<svg") : text.index("</svg>")]


# ------------------------------------------------------------------------------------------------- the command


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main(["report", *(str(a) for a in arguments)])
    out, err = capfd.readouterr()
    return code, out, err


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    cogfit.simulate("power", {"A": 0.9, "gamma": 0.43}, n=60, sigma=0.01, rng=1).to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_the_command_takes_a_log_or_a_saved_fit(log: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target, saved = tmp_path / "page.html", tmp_path / "fit.json"
    code, out, err = run(capfd, log, "--html", target, "--json", saved, "--x-min", 2)
    assert (code, err) == (0, "")
    assert out.startswith(f"{target}: Power law:")
    first = Page(target.read_text(encoding="utf-8"))
    command = dict(first.table("Where"))["command"]
    assert command == f"cogfit report {log} --html {target} --x-min 2.0 --json {saved}"
    assert cogfit.load(saved).n == 59
    code, _, _ = run(capfd, saved, "--html", target)  # our own page may be replaced
    assert code == 0
    again = Page(target.read_text(encoding="utf-8"))
    assert again.tables.keys() == first.tables.keys()
    assert again.table("Forms") == first.table("Forms")
    code, _, err = run(capfd, saved, "--html", target, "--level", 0.9)
    assert code == 2
    assert "--level cannot change a fit that was saved" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.csv", "--html", "{dir}/a.html"], "missing.csv"),
        (["{log}", "--html", "{dir}/a.pdf"], "use .html"),
        (["{log}", "--html", "{dir}/none/a.html"], "create it first"),
        (["{log}", "--html", "{log}"], "is the log itself"),
        (["{log}", "--html", "{dir}/a.html", "--y", "attention_utilisatio"], "did you mean"),
        (["{log}"], "--html"),
    ],
)
def test_bad_input_is_exit_code_2_and_writes_nothing(
    arguments: list[str], message: str, log: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    code, out, err = run(capfd, *(a.format(log=log, dir=tmp_path) for a in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# ------------------------------------------------------------------------------------------------- a browser


def test_nothing_leaves_a_phones_screen_and_nothing_is_loaded(
    browser: Any, patterns: cogfit.FitResult, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    replace(patterns, y_label="y" * 300, source={**patterns.source, "path": "folder/" * 60}).report(path)
    for width in (360, 1200):
        browser.open(path, width)
        value = browser.value
        assert width - 20 <= int(value("document.documentElement.clientWidth")) <= width  # a scroll bar, at most
        assert value("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert value("[...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().width > 200)")
        assert value("document.scripts.length") == 0
        assert browser.loaded() == [path.as_uri()]
        assert browser.complaints() == []
