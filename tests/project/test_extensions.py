"""The steps of docs/contributing.md, and only those, add each kind of thing; the result is used end to end.

All additions go into one copy of the packages, each by the files that its row of the page names.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.long

BASIS = """
/* x^-1/2 */
INLINE void square_root_prepare(const double *theta, double *c) { (void)theta, (void)c; }
INLINE void square_root_at(const double *c, Lanes x, Lanes log_x, Lanes *phi, Lanes *dphi) {
    (void)c, (void)x, (void)dphi;
    phi[0] = exponential_of(all(-0.5) * log_x);
}

enum basis {"""

FORM = """
    Form(
        "square_root", "one over the square root", r"A / \\sqrt{x}", "A/sqrt(x)",
        (_amplitude("value at x = 1"),),
        reference="an extension", basis="square_root",
    ),
)"""

READER = '''"""Logs whose lines are `name|value value value`, one column a line."""

from __future__ import annotations

from pathlib import Path

from cogfit.logs.formats.reader import Raw, Reader, ReadOptions


def recognise(path: Path, head: bytes) -> bool:
    """By the suffix."""
    return path.suffix == ".columns"


def read(path: Path, options: ReadOptions) -> Raw:
    """Read the columns."""
    import pandas as pd

    rows = [line.split("|") for line in path.read_text(encoding="utf-8").splitlines()]
    frame = pd.DataFrame({name: [float(value) for value in values.split()] for name, values in rows})
    return Raw(frame, "columns", len(frame))


COLUMNS = Reader("columns", recognise, read, title="columns by line", suffixes=(".columns",), is_text=True)
'''

FIGURE = '''"""A figure of two points."""

from __future__ import annotations

import pandas as pd

from paper_figures import style
from paper_figures.build import Data, Drawing


def draw(data: Data) -> Drawing:
    """Draw two points."""
    figure = style.figure(style.COLUMN, 2.0)
    axes = figure.subplots()
    axes.plot([1, 2], [3, 4], "o")
    return Drawing(figure, pd.DataFrame({"x": [1, 2], "y": [3, 4]}), "Two points.")
'''

THEOREM = '''"""T99, an example: one third of three is one.

**Statement.** 3 · 1/3 = 1.

**Assumptions.** None.

**Reference.** An extension.

**Check.** In exact fractions.
"""

from __future__ import annotations

from theory.proofs.verdict import Verdict


def check() -> Verdict:
    """Rule on the theorem."""
    return Verdict(
        claim="T99",
        source="an extension",
        status="proved",
        statement="3 · 1/3 = 1",
        certificate={"kind": "arithmetic", "definitions": {"x": "1/3"}, "facts": ["3*x == 1"]},
    )
'''

CLAIM = THEOREM.replace("T99, an example", "An example").replace('claim="T99"', 'claim="cram-extension"')

POLICY = '''

@dataclass
class Newest(Policy):
    """The newest tokens within the budget."""

    def attend(self, t: int) -> Array | None:
        """A window."""
        return sinks_and_recent(t, 0, self.budget)
'''

MODEL = '''"""The Transformer under another name."""

from __future__ import annotations

from typing import Literal

from theory.models import transformer
from theory.models.base import Layer
from theory.tasks.srcd import SRCD


class TwinConfig(transformer.TransformerConfig):
    """Settings of the twin."""

    kind: Literal["twin"] = "twin"  # type: ignore[assignment]


def layers(config: TwinConfig, task: SRCD) -> list[Layer]:
    """Layers of the model."""
    return transformer.layers(config, task)
'''

CONFIG = """# The twin on short streams.
[data]
length = 64
query_fraction = 0.1
patterns = 8
novel_keys = 16
values = 4

[model]
kind = "twin"
layers = 1
d_model = 8
heads = 2

[training]
steps = 6
batch = 2
attend_until = 0
costs_from = 0
evaluate_every = 3
evaluation_streams = 2
final_streams = 4
"""

MEASURES = '''"""Three times a third."""

from __future__ import annotations

from theory.ledger.quantities import Quantities, Quantity
from theory.ledger.recordings import Recordings
from theory.ledger.records import Measured, Ruling


def measure_thirds(data: Recordings) -> Measured:
    """Product of three and a third."""
    return Measured((Quantity("product", 1.0),), basis="arithmetic")


def judge_thirds(printed: Quantities, measured: Measured) -> Ruling:
    """Ask whether it is one."""
    return Ruling("reproduced", "it is one")
'''

LEDGER = """
    LedgerRow(
        id="an-extension",
        title="three times a third",
        paper="CRAM",
        place="nowhere",
        printed=print_nothing,
        measure=measure_thirds,
        judge=judge_thirds,
        command="python -c 'print(3 / 3)'",
    ),
)"""


def write(root: Path, name: str, text: str) -> None:
    """A new file; there must be none yet."""
    path = root / name
    assert not path.exists()
    path.write_text(text, encoding="utf-8")


def put(root: Path, name: str, before: str, text: str, *, last: bool = False) -> None:
    """Text in the place of a marker in a file."""
    path = root / name
    content = path.read_text(encoding="utf-8")
    at = content.rindex(before) if last else content.index(before)
    path.write_text(content[:at] + text + content[at + len(before) :], encoding="utf-8")


def close_tuple(root: Path, name: str, start: str, text: str) -> None:
    """An item at the end of the tuple that begins with a line; `text` ends with the closing bracket."""
    path = root / name
    content = path.read_text(encoding="utf-8")
    begin = content.index(start)
    end = re.compile(r"^\)", re.MULTILINE).search(content, begin)
    assert end is not None
    path.write_text(content[: end.start()] + text.lstrip("\n") + content[end.end() :], encoding="utf-8")


def add_form(root: Path) -> None:
    put(root, "cogfit/native/bases.h", "\nenum basis {", BASIS)
    put(root, "cogfit/native/bases.h", "DO(truncated_zipf, 1, 2)", "DO(truncated_zipf, 1, 2) DO(square_root, 1, 0)")
    close_tuple(root, "cogfit/formulas/built_in.py", "BUILT_IN", FORM)


def add_format(root: Path) -> None:
    write(root, "cogfit/logs/formats/columns_by_line.py", READER)
    registry = "cogfit/logs/formats/registry.py"
    put(
        root,
        registry,
        "    from cogfit.logs.formats import mlflow",
        "    from cogfit.logs.formats import columns_by_line, mlflow",
    )
    put(root, registry, "mlflow.READER)", "mlflow.READER, columns_by_line.COLUMNS)")


def add_dataset(root: Path) -> None:
    package = root / "data" / "human" / "datapackage.json"
    document = json.loads(package.read_text(encoding="utf-8"))
    resource = json.loads(json.dumps(next(r for r in document["resources"] if r["name"] == "kolers1976_reading")))
    shutil.copy(package.with_name(resource["path"]), package.with_name("extension2026_reading.csv"))
    resource |= {"name": "extension2026_reading", "path": "extension2026_reading.csv", "title": "An extension"}
    resource.pop("hash", None), resource.pop("bytes", None)
    document["resources"].append(resource)
    package.write_text(json.dumps(document, ensure_ascii=False, indent=2), encoding="utf-8")


def add_figure(root: Path) -> None:
    write(root, "paper_figures/two_points.py", FIGURE)
    registry = "paper_figures/__init__.py"
    put(root, registry, "    trained_runs,\n", "    trained_runs,\n    two_points,\n")
    line = '    PaperFigure(number=99, name="points", title="Two points", draw=two_points.draw, needs=()),\n)'
    close_tuple(root, registry, "FIGURES: ", line)


def add_theorem(root: Path) -> None:
    write(root, "theory/bounds/t99_example.py", THEOREM)
    line = '    Theorem("T99", "one third of three is one", "t99_example"),\n)'
    close_tuple(root, "theory/bounds/__init__.py", "_LIST = (", line)


def add_claim(root: Path) -> None:
    write(root, "theory/claims/cram_extension.py", CLAIM)
    line = '    Claim("cram-extension", "one third of three is one", "CRAM", "nowhere"),\n)'
    close_tuple(root, "theory/claims/__init__.py", "CLAIMS: ", line)


def add_policy(root: Path) -> None:
    path = root / "theory/policies/fixed.py"
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n") + "\n" + POLICY, encoding="utf-8")
    line = (
        '    System(id="newest", title="newest", source="", rule="the newest tokens", kind="fixed", '
        'place="fixed.Newest"),\n)'
    )
    close_tuple(root, "theory/policies/__init__.py", "POLICIES: ", line)


def add_model(root: Path) -> None:
    write(root, "theory/models/twin.py", MODEL)
    registry = "theory/models/registry.py"
    put(root, registry, "transformer, transmamba\n", "transformer, transmamba, twin\n")
    line = '    Kind("twin", "Twin", twin.TwinConfig, twin.layers, "every token, in every layer"),\n)'
    close_tuple(root, registry, "_LIST = (", line)
    write(root, "theory/configs/twin-n64.toml", CONFIG)


def add_row(root: Path) -> None:
    write(root, "theory/ledger/measures/thirds.py", MEASURES)
    rows = "theory/ledger/rows.py"
    import_line = "from theory.ledger.measures.table_1 import (\n"
    put(
        root,
        rows,
        import_line,
        "from theory.ledger.measures.thirds import judge_thirds, measure_thirds\n" + import_line,
    )
    close_tuple(root, rows, "ROWS: ", LEDGER)


STEPS = {
    "a form": add_form,
    "a log format": add_format,
    "a human data set": add_dataset,
    "a figure": add_figure,
    "a theorem": add_theorem,
    "a claim of a paper": add_claim,
    "a policy": add_policy,
    "a model": add_model,
    "a row of the ledger": add_row,
}


def snapshot(root: Path) -> dict[str, bytes]:
    """Content of every file that an extension may touch."""
    folders = ("cogfit", "theory", "paper_figures", "data/human")
    paths = (path for folder in folders for path in (root / folder).rglob("*") if "__pycache__" not in path.parts)
    sources = (path for path in paths if path.is_file() and path.suffix != ".bin")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sources}


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, set[str]]]:
    """A copy of the packages with one addition of every kind, and the files that each touched."""
    root = tmp_path_factory.mktemp("extended")
    for name in ("cogfit", "theory", "paper_figures", "building"):
        shutil.copytree(ROOT / name, root / name)
    (root / "data").mkdir()
    for path in (ROOT / "data").iterdir():
        if path.name == "human":
            shutil.copytree(path, root / "data" / "human")
        else:
            (root / "data" / path.name).symlink_to(path)
    touched: dict[str, set[str]] = {}
    before = snapshot(root)
    for kind, add in STEPS.items():
        add(root)
        after = snapshot(root)
        touched[kind] = {name for name, content in after.items() if before.get(name) != content}
        before = after
    # Without what an optimiser would gain: compiling would take longer than all else.
    compiler = tmp_path_factory.mktemp("compiler") / "cc"
    compiler.write_text('#!/bin/bash\nexec cc "${@/#-O3/-O1}"\n')
    compiler.chmod(0o755)
    fast = {"CC": str(compiler)} if os.name == "posix" and shutil.which("cc") and shutil.which("bash") else {}
    environment = {**os.environ, **fast, "COGFIT_OBJECTS": ""}
    subprocess.run([sys.executable, "building/kernels.py"], cwd=root, check=True, env=environment)
    return root, touched


@pytest.fixture
def run(extended: tuple[Path, dict[str, set[str]]], tmp_path: Path):
    """Run the command line of the extended copy."""
    root, _ = extended
    environment = {**os.environ, "PYTHONPATH": str(root), "NO_COLOR": "1", "COLUMNS": "200"}

    def command(*arguments: str, code: int = 0) -> str:
        line = [sys.executable, "-m", "cogfit.cli", *arguments]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout + done.stderr

    return command


@pytest.mark.parametrize("kind", STEPS)
def test_the_page_names_every_file_that_an_addition_touches(
    kind: str, extended: tuple[Path, dict[str, set[str]]]
) -> None:
    page = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    section = re.search(rf"^#+ .*{kind}.*?(?=^#)", page, re.MULTILINE | re.DOTALL | re.IGNORECASE)
    rows = [line for line in page.splitlines() if line.startswith(f"| {kind} ")]
    assert section is not None or rows, kind
    told = " ".join([*rows, section[0] if section else ""])
    for name in extended[1][kind]:
        folder = name.rsplit("/", 1)[0] + "/"
        assert name in told or folder in told, f"{name} is not named for {kind}"


def write_log(path: Path) -> None:
    """A power law with γ = 1/2 in the format that was added."""
    steps, errors = range(1, 41), random.Random(1)
    values = " ".join(f"{0.9 * k**-0.5 * (1 + errors.gauss(0.0, 0.01)):.9f}" for k in steps)
    path.write_text(f"step|{' '.join(map(str, steps))}\nattention_utilization|{values}\n")


def test_a_form_and_a_log_format_are_fitted_compared_and_drawn(run, tmp_path: Path) -> None:
    write_log(tmp_path / "log.columns")
    run("fit", "log.columns", "--json", "fit.json", "--plot", "fit.png")
    document = json.loads((tmp_path / "fit.json").read_text())
    assert document["source"]["format"] == "columns"
    forms = {form["form"]: form for form in document["forms"]}
    assert forms["square_root"]["params"]["A"] == pytest.approx(0.9, rel=0.01)
    assert forms["square_root"]["test"]["p_value"] > 0.05
    assert "one over the square root" in run("fit", "log.columns", "--form", "square_root")
    assert "square_root" in run("fit", "log.columns", "--form", "square_rot", code=2)


def test_a_log_format_is_read_in_a_folder_beside_others(run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_log(tmp_path / "runs" / name / "log.columns")
    (tmp_path / "runs" / "a" / "log.csv").write_text("step,attention_utilization\n1,0.9\n2,0.8\n3,0.7\n")
    run("fit", "runs", "--by", "run", "--form", "power", "--json", "fits.json")
    fits = json.loads((tmp_path / "fits.json").read_text())["fits"]
    assert [item["labels"]["run"] for item in fits] == ["a", "b"]
    assert {item["fit"]["source"]["format"] for item in fits} <= {"columns", "csv", "csv+columns", "columns+csv"}


def test_a_human_data_set_is_listed_fitted_and_compared(run) -> None:
    assert "extension2026_reading" in run("human")
    assert "γ" in run("human", "extension2026_reading")


def test_a_figure_is_listed_and_made(run, tmp_path: Path) -> None:
    assert "Two points" in run("figures", "--list")
    run("figures", "--only", "points", "--out", "figures")
    assert (tmp_path / "figures" / "figure99_points.png").stat().st_size > 1000
    assert (tmp_path / "figures" / "figure99_points.csv").read_text().splitlines()[0] == "x,y"


def test_a_theorem_and_a_claim_are_ruled_on_and_their_certificates_verify(run, tmp_path: Path) -> None:
    told = run("theory", "check", "T99", "cram-extension", "--json", "verdicts.json", "--certificate", "c.json")
    assert told.count("proved") >= 2
    verdicts = json.loads((tmp_path / "verdicts.json").read_text())
    assert "cram-extension" in json.dumps(verdicts)
    run("theory", "check", "--verify", "c.json")


def test_a_policy_is_played_classified_and_held_against_the_bounds(run, tmp_path: Path) -> None:
    options = ("--policy", "newest", "--stream", "mix", "--budget", "0.25", "--streams", "8")
    run("theory", "policies", *options, "--json", "policies.json", "--plot", "policies.png")
    assert "newest" in (tmp_path / "policies.json").read_text()


def test_a_model_is_trained_from_its_configuration_and_its_log_fitted(run, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert "twin-n64" in run("theory", "train", "--list")
    run("theory", "train", "twin-n64", "--out", "trained", "--device", "cpu")
    document = json.loads((tmp_path / "trained" / "run.json").read_text())
    assert document["config"]["model"]["kind"] == "twin"
    told = run("fit", "trained", "--form", "constant", "--quiet")
    assert told.strip()


def test_a_row_of_the_ledger_is_judged(run) -> None:
    told = run("ledger", "--row", "an-extension")
    assert "REPRODUCED" in told
    assert "it is one" in told
