"""A package of somebody else's, installed offline, adds a log format, a form and a policy without a fork."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "somebodys-extension"
version = "1.0"

[project.entry-points."cogfit.formats"]
columns = "somebodys_extension.formats:COLUMNS"
broken = "somebodys_extension.not_there:READER"

[project.entry-points."cogfit.forms"]
square_root = "somebodys_extension.forms:SQUARE_ROOT"

[project.entry-points."theory.policies"]
every_second = "somebodys_extension.policies:EVERY_SECOND"

[tool.hatch.build.targets.wheel]
packages = ["somebodys_extension"]
"""

FORMATS = '''
"""Logs whose lines are `name|value value value`, one column a line."""

from cogfit.errors import InputError
from cogfit.logs.formats.reader import Raw, Reader


def recognise(path, head):
    return path.suffix == ".columns"


def read(path, options):
    import pandas as pd

    rows = [line.split("|") for line in path.read_text(encoding="utf-8").splitlines()]
    try:
        frame = pd.DataFrame({name: [float(value) for value in values.split()] for name, values in rows})
    except ValueError as error:
        raise InputError(f"is no table of columns: {error}", path=path) from None
    return Raw(frame, "columns", len(frame))


COLUMNS = Reader("columns", recognise, read, title="columns by line", suffixes=(".columns",), is_text=True)
'''

FORMS = '''
"""A / sqrt(x): a power law whose exponent is known."""

import numpy as np

from cogfit import Form, Parameter

SQUARE_ROOT = Form(
    "square_root",
    "one over the square root",
    r"A / \\\\sqrt{x}",
    "A/sqrt(x)",
    (Parameter("A", "A", "value at x = 1", "user", "free"),),
    function=lambda x, a: a / np.sqrt(x),
    reference="somebody 2026",
)
'''

POLICIES = '''
"""Attend to every second token."""

from dataclasses import dataclass

import numpy as np

from theory.policies import System
from theory.policies.policy import Policy


@dataclass
class EverySecond(Policy):
    """Every second token before this one."""

    def attend(self, t):
        """One head, one kind of token: those at even places."""
        return np.broadcast_to((np.arange(t) % 2 == 0)[None, None, :], (1, 1, t)).copy()


EVERY_SECOND = System(
    id="every-second",
    title="every second token",
    source="",
    rule="attend to the tokens at even places",
    kind="fixed",
    place="somebodys_extension.policies:EverySecond",
)
'''


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder into which the package was installed, with no network."""
    source = tmp_path_factory.mktemp("source")
    package = source / "somebodys_extension"
    package.mkdir()
    (source / "pyproject.toml").write_text(PROJECT)
    files = {"__init__": '"""Extensions."""\n', "formats": FORMATS, "forms": FORMS, "policies": POLICIES}
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
               "--disable-pip-version-check", "--target", str(target), str(source)]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def cogfit_command(site: Path, tmp_path: Path):
    """Run the command line beside the package."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "NO_COLOR": "1"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cogfit.cli", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)

    return run


def write_log(path: Path, gamma: float) -> None:
    """A log in the package's format."""
    steps = range(1, 41)
    path.write_text(
        "step|" + " ".join(map(str, steps)) + "\n"
        "attention_utilization|" + " ".join(f"{0.9 * k**-gamma:.9f}" for k in steps) + "\n"
    )


def test_its_format_is_read_as_a_file_and_in_a_folder(cogfit_command, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        write_log(tmp_path / "runs" / name / "log.columns", 0.5)
    done = cogfit_command("fit", "runs/a/log.columns", "--form", "power", "--json", "-")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["source"]["format"] == "columns"
    assert document["gamma"]["estimate"] == pytest.approx(0.5, abs=1e-6)
    folder = cogfit_command("fit", "runs", "--form", "power", "--by", "run", "--json", "-")
    assert folder.returncode == 0, folder.stderr
    gammas = [item["fit"]["gamma"]["estimate"] for item in json.loads(folder.stdout)["fits"]]
    assert gammas == pytest.approx([0.5, 0.5], abs=1e-6)
    named = cogfit_command("fit", "runs/a/log.columns", "--format", "columnz")
    assert named.returncode == 2
    assert "columns" in named.stderr


def test_a_broken_entry_point_is_one_warning_and_stands_in_nobodys_way(cogfit_command, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "step,attention_utilization\n" + "\n".join(f"{k},{0.9 * k**-0.5:.9f}" for k in range(1, 41)) + "\n"
    )
    done = cogfit_command("fit", "log.csv", "--form", "power", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "γ = 0.5" in done.stdout
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("warning: plug-in 'broken' of the package somebodys-extension")


def test_its_form_is_fitted_by_name_and_listed(cogfit_command, tmp_path: Path, site: Path) -> None:
    write_log(tmp_path / "log.columns", 0.5)
    done = cogfit_command("fit", "log.columns", "--form", "square_root", "--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["forms"][0]["params"]["A"] == pytest.approx(0.9, abs=1e-6)
    code = "import cogfit; print(list(cogfit.forms())[-1])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert listed.stdout.strip() == "square_root"


def test_its_policy_is_played_and_classified(cogfit_command) -> None:
    options = ["--policy", "every-second", "--stream", "mix", "--budget", "0.25", "--streams", "8"]
    done = cogfit_command("theory", "policies", *options, "--json", "-")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert "every-second" in json.dumps(document)
    wrong = cogfit_command("theory", "policies", "--policy", "every-secnd")
    assert wrong.returncode == 2
    assert "every-second" in wrong.stderr


def test_nothing_of_it_is_imported_before_it_is_needed(site: Path) -> None:
    code = "import sys, cogfit, theory, cogfit.cli, theory.policies; print([n for n in sys.modules if 'somebody' in n])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"
