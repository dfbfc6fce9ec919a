"""What cogfit did not write stays as it is: the content decides, for every command that writes a file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import cogfit
from cogfit import cli
from cogfit.commands.outputs import is_ours
from cogfit.records.codec import dump
from cogfit.show.page import page
from cogfit.show.plots import FORMATS, render

pytestmark = pytest.mark.slow

X = np.arange(1.0, 31.0)


def figure(rng: np.random.Generator, text: str = "") -> object:
    from matplotlib.figure import Figure

    made = Figure(figsize=(2, 1))
    made.subplots().plot(rng.normal(size=5), label=text)
    made.suptitle(text)
    return made


def foreign(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Files of somebody else: names end as ours do, and some speak of cogfit where it is no mark."""
    from PIL import Image, PngImagePlugin

    words = rng.choice(["mine", "cogfit", "Software", '"schema": "cogfit.fit/1"'], size=2)
    for kind in FORMATS:  # by matplotlib, with its own mark, without any, and with ours in the wrong place
        for metadata in ({}, {"Title": "cogfit"}):
            buffer = io.BytesIO()
            figure(rng, " ".join(words)).savefig(buffer, format=kind, metadata=metadata)  # type: ignore[attr-defined]
            yield f"a.{kind}", buffer.getvalue()
        yield f"a.{kind}", rng.bytes(300)
        yield f"a.{kind}", b""
        yield f"a.{kind}", render(figure(rng), kind)[: int(rng.integers(1, 30))]  # type: ignore[arg-type]
    for software in ("cogfit 2, by others", "Cogfit", ""):
        entries = PngImagePlugin.PngInfo()
        entries.add_text("Comment", "cogfit")
        entries.add_text("Software", software)
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (4, 4), dtype=np.uint8)).save(buffer, "png", pnginfo=entries)
        yield "a.png", buffer.getvalue()
    yield "a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><title>cogfit</title><text>made by cogfit</text></svg>'
    for document in (
        {"mine": int(rng.integers(9))},
        {"mine": {"schema": "cogfit.fit/1"}},
        {"schema": "other.fit/1"},
        ["schema", "cogfit."],
    ):
        yield "a.json", json.dumps(document).encode()
    yield "a.json", b"not JSON " + rng.bytes(20)
    yield "a.html", b"<!DOCTYPE html><html><head><title>cogfit</title></head></html>"
    yield "a.html", b'<p>&lt;meta name="generator" content="cogfit 1"&gt;</p>'


def ours(rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    fit = cogfit.fit(X, X**-0.5 + rng.normal(0, 0.01, X.size), form="power")
    for kind in FORMATS:
        yield f"a.{kind}", render(figure(rng, "any"), kind)  # type: ignore[arg-type]
    yield "a.html", page(fit).encode()
    yield "a.json", dump(fit.to_json()).encode()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_the_content_says_whose_a_file_is(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    for writer, expected in ((foreign, False), (ours, True)):
        for name, content in writer(rng):
            path = tmp_path / name
            path.write_bytes(content)
            assert is_ours(path) == expected, (name, content[:200])
            renamed = tmp_path / "renamed.dat"  # neither name nor suffix matters
            renamed.write_bytes(content)
            assert is_ours(renamed) == expected, (name, content[:200])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder that is a log, too, and a package of human data."""
    monkeypatch.chdir(tmp_path)
    cogfit.simulate("power", n=40, rng=1).to_csv("log.csv", index=False)
    cogfit.fit(X, X**-0.5 + 0.01 * np.sin(X), form="power").save("fit.json")
    about = {
        "axis": "repetition",
        "unit": "trials",
        "convention": "inclusive",
        "measure": "latency",
        "columns": {"x": "k", "y": "y"},
    }
    schema = {"fields": [{"name": name, "type": "number"} for name in ("k", "y")]}
    resource = {"name": "own", "path": "own.csv", "schema": schema, "cogfit": about}
    package = tmp_path / "package"
    package.mkdir()
    rows = [f"{k},{k**-0.4:.4f}" for k in range(1, 9)]
    (package / "own.csv").write_text("\n".join(["k,y", *rows, ""]), encoding="utf-8")
    (package / "datapackage.json").write_text(json.dumps({"name": "own", "resources": [resource]}), encoding="utf-8")
    return tmp_path


COMMANDS = [
    ["fit", ".", "--plot", "a.png"],
    ["fit", ".", "--diagnostics", "a.svg"],
    ["fit", ".", "--form", "power", "--json", "a.json"],
    ["report", ".", "--html", "a.html"],
    ["report", ".", "--html", "b.html", "--json", "a.json"],
    ["compare", ".", "--plot", "a.pdf"],
    ["compare", ".", "--json", "a.json"],
    ["human", "--json", "a.json"],
    ["human", "own", "--extra", "package", "--no-fit", "--plot", "package/a.png"],
    ["human", "own", "--extra", "package", "--no-fit", "--json", "package/a.json"],
    ["figures", "--list", "--json", "a.json"],
    ["ledger", "--json", "a.json"],
    ["theory", "runs", "--json", "a.json"],
    ["theory", "check", "T2", "--json", "a.json"],
    ["theory", "check", "T2", "--certificate", "a.json"],
    ["theory", "bound", ".", "--plot", "a.png"],
    ["theory", "bound", ".", "--json", "a.json"],
    ["theory", "policies", "--plot", "a.svg"],
    ["theory", "policies", "--json", "a.json"],
    ["theory", "redundancy", "--plot", "a.png"],
    ["theory", "redundancy", "--json", "a.json"],
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments))
def test_no_command_replaces_a_foreign_file(
    arguments: list[str], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    target = folder / next(word for word in arguments if Path(word).stem == "a")
    files = dict(foreign(np.random.default_rng(len(arguments))))
    target.write_bytes(files[f"a{target.suffix}"])
    assert cli.main(arguments) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert "cogfit did not write" in err
    assert err.count("\n") == 1
    assert target.read_bytes() == files[f"a{target.suffix}"]


@pytest.mark.parametrize("suffix", [*(f".{kind}" for kind in FORMATS), ".csv", ".txt"])
def test_figures_replace_no_foreign_file(suffix: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from paper_figures import FIGURES

    (stem,) = (item.stem for item in FIGURES if item.name == "coverage")
    (folder / f"{stem}{suffix}").write_text("mine")
    assert cli.main(["figures", "--only", "coverage", "--out", "."]) == 2
    assert "cogfit did not write" in capfd.readouterr().err
    assert [path.name for path in folder.glob(f"{stem}.*")] == [f"{stem}{suffix}"]
    assert (folder / f"{stem}{suffix}").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", ".", "--form", "power", "--plot", "a.png", "--diagnostics", "b.svg", "--json", "a.json"],
        ["report", "fit.json", "--html", "a.html", "--json", "a.json"],
        ["human", "own", "--extra", "package", "--no-fit", "--plot", "package/a.pdf", "--json", "package/a.json"],
        ["figures", "--only", "coverage", "--out", ".", "--json", "a.json"],
        ["theory", "runs", "--json", "a.json"],
        ["theory", "redundancy", "--plot", "a.svg", "--json", "a.json"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_what_cogfit_wrote_may_be_replaced(
    arguments: list[str], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = set(folder.rglob("*"))
    assert cli.main(arguments) == 0
    written = {path: path.read_bytes() for path in set(folder.rglob("*")) - before}
    assert written
    assert cli.main(arguments) == 0, capfd.readouterr().err
    assert {path: path.read_bytes() for path in written} == written


def test_outside_the_input_a_file_is_replaced_as_by_any_tool(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path_factory.mktemp("elsewhere") / "mine.json"
    target.write_text('{"mine": 1}')
    assert cli.main(["fit", ".", "--form", "power", "--quiet", "--json", str(target)]) == 0
    assert is_ours(target)
