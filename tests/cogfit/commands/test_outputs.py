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


@pytest.mark.long
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


EVERY_OUTPUT = [
    *(["fit", "{0}", option, f"{{0}}/{name}"] for option, name in (
        ("--json", "run.json"), ("--plot", "a.png"), ("--diagnostics", "a.svg"), ("--fan", "a.pdf"))),
    ["fit", "{0}", "--pool", "--by", "run", "--json", "{0}/run.json"],
    ["inspect", "{0}", "--json", "{0}/run.json"],
    ["inspect", "{0}", "--plot", "{0}/a.png"],
    ["report", "{0}", "--html", "{0}/a.html"],
    ["report", "{0}", "--html", "a.html", "--json", "{0}/run.json"],
    ["claim", "{0}", "gamma = 0.4", "--json", "{0}/run.json"],
    ["compare", "fit.json", "{0}", "--json", "{0}/run.json"],
    ["compare", "{0}", "--plot-routes", "{0}/a.png"],
    ["design", "--like", "{0}", "--json", "{0}/run.json"],
    ["fit-many", "{0}", "--out", "a.csv", "--plot", "{0}/a.png"],
    ["human", "--json", "{0}/run.json"],
    ["human", "--exponents", "--plot", "{0}/a.png"],
    ["figures", "--list", "--json", "{0}/run.json"],
    ["ledger", "--runs", "{0}", "--json", "{0}/run.json"],
    ["ledger", "--json", "{0}/run.json"],
    ["theory", "runs", "{0}", "--json", "{0}/run.json"],
    ["theory", "runs", "{0}", "--json", "{0}/model.safetensors"],
    ["theory", "runs", "{0}", "--plot", "{0}/new.png"],
    ["theory", "runs", "{0}/..", "--json", "{0}/new.json"],
    ["theory", "runs", "--json", "{0}/model.safetensors"],
    ["theory", "check", "T2", "--certificate", "{0}/run.json"],
    ["theory", "bound", "{0}", "--json", "{0}/run.json"],
    ["theory", "copies", "{0}", "--values", "4", "--json", "{0}/run.json"],
    ["theory", "policies", "--json", "{0}/run.json"],
    ["theory", "redundancy", "--json", "{0}/run.json"],
    ["theory", "lm", "show", "{0}", "--json", "{0}/run.json"],
    ["theory", "lm", "recall", "{0}", "--plot", "{0}/a.png"],
    ["theory", "lm", "budgets", "{0}", "--json", "{0}/run.json"],
]  # fmt: skip


@pytest.mark.parametrize("beside", [False, True], ids=["from above", "from a sibling"])
@pytest.mark.parametrize("arguments", EVERY_OUTPUT, ids=" ".join)
def test_no_output_replaces_a_file_of_a_run(
    arguments: list[str], beside: bool, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever one stands."""
    run = folder / "runs" / "one"
    run.mkdir(parents=True)
    (run / "run.json").write_text(dump({"schema": "cogfit.run/1", "name": "one", "status": "finished"}))
    for word in arguments:
        if word.startswith("{0}/") and not (run / word.removeprefix("{0}/")).exists():
            (run / word.removeprefix("{0}/")).write_bytes(b"mine")
    if beside:
        (folder / "runs" / "two").mkdir()
        monkeypatch.chdir(folder / "runs" / "two")
        (folder / "runs" / "two" / "fit.json").write_bytes((folder / "fit.json").read_bytes())
    before = {path: path.read_bytes() for path in run.iterdir()}
    place = "../one" if beside else "runs/one"
    code = cli.main([word.format(place) for word in arguments])
    out, err = capfd.readouterr()
    assert (code, out) == (2, "")
    assert "name another file for the output" in err
    assert {path: path.read_bytes() for path in run.iterdir()} == before


def test_an_output_may_stand_beside_a_run(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A new file, and again over itself."""
    run = folder / "runs" / "one"
    run.mkdir(parents=True)
    (run / "run.json").write_text(dump({"schema": "cogfit.run/1", "name": "one", "status": "finished"}))
    for _ in range(2):
        assert cli.main(["inspect", "log.csv", "--plot", str(run / "a.png"), "--json", str(run / "a.json")]) == 0
    assert {path.name for path in run.iterdir()} == {"run.json", "a.png", "a.json"}


def test_results_of_other_commands_are_replaced_nowhere(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "fit.json"
    elsewhere.write_bytes((folder / "fit.json").read_bytes())
    for target in ("fit.json", str(elsewhere)):
        assert cli.main(["inspect", "log.csv", "--json", target]) == 2
        assert "is no earlier output of this command but cogfit.fit; name another file" in capfd.readouterr().err
    assert cli.main(["fit", "log.csv", "--form", "power", "--quiet", "--json", str(elsewhere)]) == 0


def test_all_inputs_stay(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["compare", "log.csv", "fit.json", "--json", "fit.json"],
        ["compare", "log.csv", "--extra", "package/datapackage.json", "--json", "package/datapackage.json"],
    ):
        content = Path(arguments[-1]).read_bytes()
        assert cli.main(arguments) == 2
        assert "is the log itself" in capfd.readouterr().err
        assert Path(arguments[-1]).read_bytes() == content
