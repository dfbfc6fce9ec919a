"""The interactive page: the fit's numbers, one script known by its hash, a figure that answers."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cogfit
from cogfit import cli
from cogfit.show import interactive
from cogfit.show import page as report

SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
NODE = shutil.which("node") or shutil.which("nodejs")


@pytest.fixture(scope="module")
def fit() -> cogfit.FitResult:
    x = np.concatenate([np.arange(40.0, 81.0), np.arange(1.0, 40.0)])  # not in the order of x
    return cogfit.fit(x, 0.9 * x**-0.43 + np.random.default_rng(3).normal(0.0, 0.01, x.size))


@pytest.fixture(scope="module")
def text(fit: cogfit.FitResult) -> str:
    return report.page(fit, is_interactive=True)


def held(text: str) -> dict[str, Any]:
    """Numbers that a page holds."""
    (data,) = re.findall(r'data-fit="([^"]*)"', text)
    return json.loads(html.unescape(data))


# ----------------------------------------------------------------------------------------------------- what it holds


def test_the_policy_is_that_of_every_page_and_the_hash_of_the_one_script(fit: cogfit.FitResult, text: str) -> None:
    (code,) = SCRIPT.findall(text)
    assert text.count("<script") == 1
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    (usual,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', report.page(fit))
    assert policy == f"{usual}; script-src 'sha256-{digest}'"
    assert usual.startswith("default-src 'none'")
    assert "script-src" not in usual
    assert report.page(fit, is_interactive=True) == text


def test_nothing_outside_the_page_is_named(text: str) -> None:
    assert set(re.findall(r"\w+://[^\s\"'<>]+", text)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    (code,) = SCRIPT.findall(text)
    for way in ("fetch(", "XMLHttpRequest", "import(", "import ", "WebSocket", "eval(", "innerHTML", "document.write"):
        assert way not in code
    assert not re.findall(r"<(link|iframe|img|object|embed|base)\b", text)


def test_the_numbers_are_those_of_the_fit(fit: cogfit.FitResult, text: str) -> None:
    data = held(text)
    order = np.argsort(fit.x)
    assert data["x"] == fit.x[order].tolist()
    assert data["y"] == fit.y[order].tolist()
    assert data["forms"][0]["title"] == fit.selected.title
    assert {form["title"] for form in data["forms"]} == {item.title for item in fit.forms}
    by_title = {form["title"]: form for form in data["forms"]}
    power = fit["power"].params
    np.testing.assert_allclose(by_title["power"]["at"], power["A"] * fit.x[order] ** -power["gamma"], rtol=1e-6)
    np.testing.assert_allclose(
        by_title["power"]["curve"], power["A"] * np.array(data["grid"]) ** -power["gamma"], rtol=1e-6
    )
    reported = next(form for form in data["forms"] if form["title"] == fit.selected.title)
    np.testing.assert_allclose(reported["at"], fit.fitted[order], rtol=1e-6)
    low, high = (np.array(limit) for limit in data["band"])
    assert np.all((low <= np.array(reported["curve"])) & (np.array(reported["curve"]) <= high))
    # the same forms are shown first as in the figure that does not move
    drawn = fit.plot().axes[0].get_legend_handles_labels()[1][1:]
    assert [form["label"] for form in data["forms"] if form["shown"]] == drawn
    looks = [(form["color"], form["dash"]) for form in data["forms"]]
    assert len(set(looks)) == len(looks)


def test_names_from_a_log_are_text(fit: cogfit.FitResult) -> None:
    name = '\u202e"><script>alert(1)</script>\x9b'
    text = report.page(replace(fit, y_label=name), is_interactive=True)
    assert text.count("<script") == 1
    assert held(text)["y_label"] == r'\u202e"><script>alert(1)</script>\x9b'


def test_very_many_points_are_means_and_the_page_says_so(
    fit: cogfit.FitResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interactive, "MOST_DRAWN", 20)
    text = report.page(fit, is_interactive=True)
    data = held(text)
    assert len(data["x"]) == len(data["y"]) == 20
    assert np.mean(data["y"]) == pytest.approx(fit.y.mean())
    assert "Each point is a mean of neighbours: 20 stand for 80." in text


def test_what_has_no_value_is_null(fit: cogfit.FitResult) -> None:
    x = np.arange(0.0, 40.0)
    line = cogfit.fit(x, 1.0 - 0.01 * x + 0.001 * np.sin(x), form="exponential")
    data = interactive.chart_data(line)
    assert data["x"][0] == 0.0
    assert data["grid"][0] == 0.0
    json.dumps(data, allow_nan=False)


# ------------------------------------------------------------------------------------------------------- the command


def test_the_command_writes_it_for_a_saved_fit_too(
    fit: cogfit.FitResult, text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fit.save(tmp_path / "fit.json")
    command = ["report", str(tmp_path / "fit.json"), "--html", str(tmp_path / "page.html")]
    assert cli.main([*command, "--interactive"]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert held(page) == held(text)
    assert "--interactive</td>" in page  # the command stands in the provenance
    assert cli.main(command) == 0
    assert "<script" not in (tmp_path / "page.html").read_text(encoding="utf-8")
    fit.report(tmp_path / "page.html", interactive=True)
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == text
    capfd.readouterr()
    assert cli.main([*command, "--json", "-"]) == 0
    out = capfd.readouterr().out
    assert json.loads(out)["form"] == fit.form  # and nothing else on standard output


def test_interactive_without_a_page_is_a_usage_error_that_names_the_option(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", str(tmp_path), "--interactive"]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert "--html" in err


# ------------------------------------------------------------------------------------- the script's pure functions


def in_node(expression: str) -> Any:
    """Value of an expression of the script's functions."""
    if NODE is None:
        pytest.skip("no Node.js here")
    program = (
        "const read = require('fs').readFileSync(0, 'utf8'); const module_ = {};"
        "new Function('module', read)(module_);"
        "const { scale, limits, ticks, inWords, nearest, path, sentence } = module_.exports;"
        f"console.log(JSON.stringify({expression}))"
    )
    done = subprocess.run(
        [NODE, "-e", program],
        input=interactive.script(),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_places_on_linear_and_logarithmic_axes() -> None:
    assert in_node("[0, 5, 10, null].map(scale([0, 10], false, 100, 200))") == [100, 150, 200, None]
    assert in_node("[1, 10, 100, 0, -1].map(scale([1, 100], true, 100, 0))") == [100, 50, 0, None, None]


def test_ticks_lie_within_the_axis_in_order_and_are_few_but_not_too_few() -> None:
    rng = np.random.default_rng(0)
    low = 10.0 ** rng.uniform(-9, 9, 300)
    ranges = [[a, a * (1.0 + 10.0 ** rng.uniform(-3, 6))] for a in low] + [[-3.0, 7.0], [-1e-6, 1e-6]]
    for is_log in ("false", "true"):
        cases = ranges[:300] if is_log == "true" else ranges
        found = in_node(f"{json.dumps(cases)}.map((range) => ticks(range, {is_log}, 6))")
        for (start, end), places in zip(cases, found, strict=True):
            assert 2 <= len(places) <= 10, (start, end, places)
            assert all(start <= place <= end * (1 + 1e-12) for place in places)
            assert places == sorted(set(places))


def test_an_axis_has_room_for_all_values_even_where_they_are_equal() -> None:
    assert in_node("[[0, 10], [3, 3], [0, 0], [-2, -2]].map((values) => limits(values, false, 0.1))") == [
        [-1, 11], [2.7, 3.3], [-1, 1], [-2.2, -1.8],
    ]  # fmt: skip
    assert in_node("[[1, 100, null, 0, -5], [3, 3]].map((values) => limits(values, true, 0.5))") == [
        [0.1, 1000],
        [1.5, 6],
    ]


def test_the_nearest_point_is_that_of_a_search_over_all() -> None:
    rng = np.random.default_rng(1)
    points, places = rng.integers(0, 20, (50, 2)), rng.uniform(0, 20, (40, 2))
    found = in_node(f"{json.dumps(places.tolist())}.map((place) => nearest({json.dumps(points.tolist())}, place))")
    for place, number in zip(places, found, strict=True):
        far = np.abs(points - place)
        assert tuple(far[number]) == min(map(tuple, far))
    assert in_node("nearest([[null, 1], [2, null]], [0, 0])") == -1


def test_numbers_and_sentences() -> None:
    assert in_node("[[-1234.5, 6], [0.000012345, 3], [0, 3], [null, 3]].map(([v, n]) => inWords(v, n))") == [
        "−1,234.5", "1.23e−5", "0", "no value",
    ]  # fmt: skip
    data = '{x: [1, 2], y: [3, 4], x_label: "step", y_label: "use", forms: [{title: "power", at: [5, null]}]}'
    assert in_node(f"sentence({data}, 0, [true])") == "step: 1; use: 3; power: 5"
    assert in_node(f"sentence({data}, 1, [true])") == "step: 2; use: 4; power: no value"
    assert in_node(f"sentence({data}, 1, [false])") == "step: 2; use: 4"
    assert in_node("path([[0, 0], [1, 1], [null, 1], [2, 2], [3, 3]])") == "M0.00,0.00L1.00,1.00M2.00,2.00L3.00,3.00"


# ------------------------------------------------------------------------------------------------------- a browser


@pytest.fixture
def page(browser: Any, text: str, tmp_path: Path) -> Any:
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    browser.open(tmp_path / "page.html", 900)
    return browser


def hover(browser: Any, number: int) -> None:
    """Move the pointer to a point of the figure."""
    at = """(() => {
        const matrix = document.querySelector('.chart > svg').getScreenCTM();
        const dots = document.querySelector('.points').getAttribute('d').split('M').slice(1);
        const [x, y] = dots[%d].split(/[,h]/);
        return [matrix.a * x + matrix.e, matrix.d * y + matrix.f];
    })()"""
    browser.value("document.querySelector('.chart').scrollIntoView()")
    x, y = browser.value(at % number)
    browser.ask("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x, "y": y})


def test_the_pointer_and_the_keyboard_read_the_fits_numbers(page: Any, fit: cogfit.FitResult, text: str) -> None:
    assert page.value("document.querySelector('.chart').hidden") is False
    assert page.value("getComputedStyle(document.querySelector('figure.main')).display") == "none"
    data = held(text)
    hover(page, 30)
    told = page.value("document.querySelector('.told').textContent")
    parts = dict(part.split(": ") for part in told.split("; "))
    assert float(parts[fit.x_label]) == data["x"][30]
    assert float(parts[fit.y_label]) == pytest.approx(data["y"][30], rel=1e-4)
    shown = [form for form in data["forms"] if form["shown"]]
    assert len(shown) >= 2
    for form in shown:
        assert float(parts[form["title"]]) == pytest.approx(form["at"][30], rel=1e-4)
    page.value("document.querySelector('.chart input[type=range]').focus()")
    for kind in ("keyDown", "keyUp"):
        page.ask("Input.dispatchKeyEvent", {"type": kind, "key": "ArrowRight", "windowsVirtualKeyCode": 39})
    told = page.value("document.querySelector('.told').textContent")
    assert told.startswith(f"{fit.x_label}: {data['x'][31]:g}; ")
    assert page.value("document.activeElement.getAttribute('aria-valuetext')") == told
    assert page.complaints() == []


def test_forms_go_on_and_off_and_axes_change(page: Any, text: str) -> None:
    forms = held(text)["forms"]
    lines = "document.querySelectorAll('.chart > svg .form').length"
    boxes = "document.querySelectorAll('.chart fieldset')[{}].querySelectorAll('input')[{}].click()"
    assert page.value(lines) == sum(form["shown"] for form in forms)
    page.value(boxes.format(0, 1))
    assert page.value(lines) == sum(form["shown"] for form in forms) - 1
    page.value(boxes.format(0, len(forms) - 1))
    assert page.value(lines) == sum(form["shown"] for form in forms)
    ticks = "[...document.querySelectorAll('.chart > svg text')].map((text) => text.textContent)"
    before = page.value(ticks)
    assert {"1", "10"} <= set(before)
    page.value(boxes.format(1, 0))  # x becomes linear
    between = page.value(ticks)
    assert {"20", "40", "60"} <= set(between)
    page.value(boxes.format(1, 0))
    assert page.value(ticks) == before
    assert page.complaints() == []


def test_on_a_phone_and_in_the_dark_nothing_leaves_the_screen(
    browser: Any, fit: cogfit.FitResult, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    replace(fit, y_label="y" * 300).report(path, interactive=True)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.ask("Emulation.setEmulatedMedia", dark)
    try:
        browser.open(path, 360)
        assert browser.value("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
        assert browser.value("document.querySelector('.chart > svg').getBoundingClientRect().width") > 300
        ink = browser.value("getComputedStyle(document.querySelector('.chart > svg text')).fill")
        assert min(map(int, re.findall(r"\d+", ink))) > 200  # light on dark
        assert browser.loaded() == [path.as_uri()]
        assert browser.complaints() == []
    finally:
        browser.ask("Emulation.setEmulatedMedia", {"features": []})


def test_without_scripts_or_with_another_script_the_figure_stands_still(
    browser: Any, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    shown = "getComputedStyle(document.querySelector('{}')).display != 'none'"
    path.write_text(text.replace('"use strict";', '"use strict"; ', 1), encoding="utf-8")
    browser.open(path, 900)
    assert browser.value(shown.format("figure.main"))
    assert not browser.value(shown.format(".chart"))
    assert "Content Security Policy" in json.dumps(browser.complaints())
    path.write_text(text, encoding="utf-8")
    browser.ask("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.open(path, 900)
        assert browser.value(shown.format("figure.main"))
        assert not browser.value(shown.format(".chart"))
    finally:
        browser.ask("Emulation.setScriptExecutionDisabled", {"value": False})


def test_on_paper_the_figure_stands_still(page: Any) -> None:
    page.ask("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert page.value("getComputedStyle(document.querySelector('figure.main')).display") == "block"
        assert page.value("getComputedStyle(document.querySelector('.chart')).display") == "none"
    finally:
        page.ask("Emulation.setEmulatedMedia", {"media": ""})
