"""What is shipped: the wheel works outside the checkout, imports stay light, metadata are valid."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("cogfit", "theory", "paper_figures")
HEAVY = {"torch", "matplotlib", "pandas", "scipy.optimize", "seaborn", "statsmodels"}


def clean_environment() -> dict[str, str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_"))}
    return env | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_COLOR": "1"}


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (path,) = out.glob("*.whl")
    return path


def borrowing_environment(folder: Path) -> Path:
    """A fresh environment whose dependencies are borrowed from this one: nothing is downloaded."""
    venv.create(folder, with_pip=False)
    paths = {key: sysconfig.get_path(key) for key in ("purelib", "platlib")}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    # A plain path: the .pth files over there, among them that of an editable install, are not followed.
    (folder / "lib" / version / "site-packages" / "borrowed.pth").write_text("\n".join(sorted(set(paths.values()))))
    return folder


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    folder = borrowing_environment(tmp_path_factory.mktemp("elsewhere") / "env")
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    return folder


@pytest.mark.long
def test_wheel_holds_package_data_and_marker_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names} == {*PACKAGES, f"cogfit-{PROJECT['version']}.dist-info"}
    assert {"cogfit/py.typed", "theory/py.typed", "cogfit/show/interactive.js"} <= names
    configs = {p.relative_to(ROOT).as_posix() for p in (ROOT / "theory" / "configs").iterdir()}
    assert configs == {name for name in names if name.startswith("theory/configs/")}
    assert "theory/configs/cram.toml" in configs
    assert f"cogfit-{PROJECT['version']}.dist-info/licenses/LICENSE" in names
    shipped = {name.removeprefix("cogfit/_data/") for name in names if name.startswith("cogfit/_data/")}
    data = {p.relative_to(ROOT / "data").as_posix() for p in (ROOT / "data").rglob("*") if p.is_file()}
    assert shipped == {name for name in data if not name.endswith((".py", ".pyc"))}
    assert sum(info.file_size for info in zipfile.ZipFile(wheel).infolist()) < 40e6
    modules = {p.relative_to(ROOT).as_posix() for name in PACKAGES for p in (ROOT / name).rglob("*.py")}
    assert modules == {name for name in names if name.endswith(".py")}
    assert {name for name in names if name.startswith("cogfit/native/") and not name.endswith(".py")} == {
        "cogfit/native/kernels.bin"
    }


@pytest.mark.long
def test_wheel_serves_every_python_on_this_platform(wheel):
    tag = re.fullmatch(rf"cogfit-{re.escape(PROJECT['version'])}-py3-none-(\w+)\.whl", wheel.name)
    assert tag is not None
    assert tag[1] != "any"
    described = zipfile.ZipFile(wheel).read(f"cogfit-{PROJECT['version']}.dist-info/WHEEL").decode()
    assert "Root-Is-Purelib: false" in described
    assert f"Tag: py3-none-{tag[1]}" in described


@pytest.mark.long
def test_engine_of_the_wheel_works_outside_the_checkout(installed, tmp_path):
    shown = run(installed / "bin" / "cogfit", "--version", "--verbose", cwd=tmp_path).stdout
    assert "engine level " in shown
    code = "from cogfit.native import library as l; print(l.LIBRARY, l.fingerprint(), *l.levels())"
    path, fingerprint, *levels = run(installed / "bin" / "python", "-c", code, cwd=tmp_path).stdout.split()
    assert installed in Path(path).parents
    assert fingerprint == "None"
    assert levels[-1] == "baseline"


@pytest.mark.long
def test_source_distribution_holds_what_is_needed_to_build_and_test(wheel, tmp_path):
    run(sys.executable, "-m", "build", "--sdist", "--no-isolation", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    (path,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    needed = {"pyproject.toml", "README.md", "LICENSE", "CITATION.cff", "CHANGELOG.md", "Makefile", "constraints.txt"}
    assert needed <= names
    assert {
        "cogfit/py.typed",
        "theory/py.typed",
        "cogfit/show/interactive.js",
        "tests/fixtures/nist/Misra1a.json",
        "data/runs/srcd-n256-gradual/run.json",
    } <= names
    assert {"data/human/datapackage.json", "data/human/references.bib", "data/published/cram_table1.csv"} <= names
    assert {"docs/conf.py", "docs/index.md", "docs/_templates/autosummary/class.rst"} <= names
    assert {"building/hook.py", "building/kernels.py", "building/wheels.py"} <= names
    native = {p.relative_to(ROOT).as_posix() for p in (ROOT / "cogfit" / "native").iterdir() if p.is_file()}
    assert {name for name in native if not name.endswith(".bin")} == {
        name for name in names if name.startswith("cogfit/native/")
    }
    made = (".ci", ".venv", "demo-output", "docs/_build", "docs/generated")
    assert not [name for name in names if name.startswith(made) or "__pycache__" in name]
    unpacked = tmp_path / "unpacked"
    with tarfile.open(path) as archive:
        archive.extractall(unpacked, filter="data")
    (source,) = unpacked.iterdir()
    # Outside git, in a folder with spaces in its name.
    source = source.rename(tmp_path / "a folder with spaces")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, source, cwd=tmp_path)
    (again,) = tmp_path.glob("*.whl")
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.long
def test_the_wheel_is_what_gets_imported(installed, tmp_path):
    code = (
        "import json, pathlib, cogfit;"
        "print(json.dumps([cogfit.__file__, str(cogfit.data_dir()), cogfit.__version__,"
        " sorted(p.name for p in (pathlib.Path(cogfit.data_dir()) / 'runs').iterdir() if p.is_dir())]))"
    )
    file, data, version, runs = json.loads(run(installed / "bin" / "python", "-c", code, cwd=tmp_path).stdout)
    assert installed in Path(file).parents
    assert Path(data) == Path(file).parent / "_data"
    assert version == PROJECT["version"]
    assert runs == sorted(p.name for p in (ROOT / "data" / "runs").iterdir() if p.is_dir())


@pytest.mark.long
def test_editable_install_compiles_into_the_source_tree(tmp_path):
    source = tmp_path / "a checkout"
    for name in (*PACKAGES, "building", "data/human"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.bin"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    folder = borrowing_environment(tmp_path / "env")
    python = folder / "bin" / "python"
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--quiet")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, "-e", source, cwd=tmp_path)
    library = source / "cogfit" / "native" / "kernels.bin"
    made = library.stat().st_mtime_ns
    code = "from cogfit.native import library as l; print(l.LIBRARY); print(l.fingerprint()); print(l.level())"
    path, fingerprint, _ = run(python, "-c", code, cwd=tmp_path).stdout.splitlines()
    assert (Path(path), fingerprint != "None") == (library, True)
    # Nothing is compiled at import, whatever has changed: the error names the command.
    unit = source / "cogfit" / "native" / "unit.c"
    before = unit.read_text(encoding="utf-8")
    unit.write_text(before + "\n/* changed */\n", encoding="utf-8")
    shown = run(folder / "bin" / "cogfit", "--version", "--verbose", cwd=tmp_path).stdout
    assert "it was compiled from other sources than those beside it" in shown
    assert "make kernels" in shown
    assert library.stat().st_mtime_ns == made
    unit.write_text(before, encoding="utf-8")
    assert "engine level " in run(folder / "bin" / "cogfit", "--version", "--verbose", cwd=tmp_path).stdout


@pytest.mark.long
def test_a_compiler_that_does_not_work_ends_the_build_in_one_line(tmp_path):
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    environment = clean_environment() | {"CC": "nonsense"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode != 0
    line = "cogfit: the C compiler of the environment variable CC, 'nonsense', does not work: there is no such command"
    assert line in (done.stdout + done.stderr).splitlines()
    assert not list(tmp_path.glob("*.whl"))


def test_data_dir_of_this_installation_has_the_runs():
    import cogfit

    assert (Path(cogfit.data_dir()) / "runs" / "srcd-n256-gradual" / "run.json").is_file()


@pytest.mark.long
def test_command_line_of_the_wheel_outside_the_checkout(installed, tmp_path):
    assert "fit" in run(installed / "bin" / "cogfit", "--help", cwd=tmp_path).stdout
    data = run(installed / "bin" / "python", "-c", "import cogfit; print(cogfit.data_dir())", cwd=tmp_path).stdout
    log = Path(data.strip()) / "runs" / "srcd-n256-gradual"
    document = json.loads(run(installed / "bin" / "cogfit", "fit", log, "--json", "-", cwd=tmp_path).stdout)
    assert document["schema"] == "cogfit.fit/1"
    assert document["axis"] == "exposure"
    assert document["source"]["rows_read"] > 0
    shown = run(installed / "bin" / "cogfit", "human", "ebbinghaus1885_savings", "--json", "-", cwd=tmp_path).stdout
    assert json.loads(shown)["dataset"]["rows"][0][:3] == ["1885", 19, 0.582]
    assert "mosteller1970_recall" in run(installed / "bin" / "cogfit", "human", cwd=tmp_path).stdout
    assert list(tmp_path.iterdir()) == []
    run(installed / "bin" / "cogfit", "figures", "--only", "runs", "--only", "coverage", cwd=tmp_path)
    assert len(list((tmp_path / "figures").iterdir())) == 10


MODULES = """
import sys
before = set(sys.modules)
sys.path.insert(0, {root!r})
{code}
sys.stderr.write("\\nLOADED " + " ".join(sorted(set(sys.modules) - before)))
"""


def modules_loaded_by(code: str, cwd: Path) -> set[str]:
    done = run(sys.executable, "-c", MODULES.format(root=str(ROOT), code=code), cwd=cwd)
    return set(done.stderr.rsplit("LOADED ", 1)[1].split())


def test_import_loads_numpy_and_the_standard_library_only(tmp_path):
    loaded = {name.split(".")[0] for name in modules_loaded_by("import cogfit", tmp_path)}
    assert "cogfit" in loaded
    assert loaded - set(sys.stdlib_module_names) <= {"cogfit", "numpy"}


def test_importing_the_theory_loads_no_solver_and_no_learning_library(tmp_path):
    loaded = {name.split(".")[0] for name in modules_loaded_by("import theory; theory.theorems()", tmp_path)}
    assert "theory" in loaded
    assert not loaded & {"torch", "z3", "sympy", "scipy", "mpmath", "hypothesis", "pandas"}


def test_help_loads_nothing_heavy(tmp_path):
    code = "sys.argv = ['cogfit', '--help']\nfrom cogfit.cli import main\ntry: main()\nexcept SystemExit: pass"
    loaded = modules_loaded_by(code, tmp_path)
    assert "cogfit.cli" in loaded
    assert not loaded & HEAVY


PLAIN_FIT = """
import numpy as np
rows = np.random.default_rng(1).normal(0.0, 0.01, 300)
with open("log.csv", "w") as file:
    file.write("step,attn_util,loss\\n")
    for k, error in enumerate(rows, 1):
        file.write(f"{10 * k},{0.1 + 0.8 * k**-0.4 + error:.6f},{4 * k**-0.1 * (1 + error):.5f}\\n")
sys.argv = ["cogfit", "fit", "log.csv", *ARGUMENTS]
from cogfit.cli import main
assert main() == 0
"""


@pytest.mark.parametrize(
    "arguments",
    [["--x", "step", "--y", "attn_util"], ["--json", "-"], ["--y", "loss", "--noise", "gaussian", "--quiet"]],
    ids=["columns", "json", "quiet"],
)
def test_a_plain_fit_loads_no_tables_pictures_or_optimisers(arguments, tmp_path):
    loaded = modules_loaded_by(PLAIN_FIT.replace("ARGUMENTS", repr(arguments)), tmp_path)
    assert {"cogfit.engine.estimate", "pyarrow.lib"} <= loaded
    assert not loaded & {
        "matplotlib",
        "pandas",
        "pyarrow.compute",
        "scipy.fft",
        "scipy.optimize",
        "scipy.signal",
        "scipy.sparse.linalg",
        "scipy.stats",
        "seaborn",
        "sqlite3",
        "statsmodels",
        "sympy",
        "tensorboard",
        "torch",
    }


def test_no_submodule_has_the_name_of_a_public_object(tmp_path):
    # With lazy exports, importing such a submodule would replace the object by the module.
    code = (
        "import json, pkgutil, types, cogfit, theory;"
        "modules = [(p, m.name) for p in (cogfit, theory) for m in pkgutil.iter_modules(p.__path__)];"
        "both = [(p, name) for p, name in modules if name in p.__all__];"
        "print(json.dumps([n for p, n in both if not isinstance(getattr(p, n), types.ModuleType)]))"
    )
    prefix = f"import sys; sys.path.insert(0, {str(ROOT)!r});"
    assert json.loads(run(sys.executable, "-c", prefix + code, cwd=tmp_path).stdout) == []


def test_citation_file_is_valid_and_names_both_papers():
    from cffconvert import Citation

    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    Citation(text).validate()
    for needle in ("arXiv:2602.12204", "arXiv:2510.08798", "Learning to Forget Attention", "Learning What to Remember"):
        assert needle in text


def test_version_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    version = PROJECT["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert f"\nversion: {version}\n" in citation
    (released,) = re.findall(r"^date-released: (\S+)$", citation, re.MULTILINE)
    newest = re.search(r"^## \[(\d\S*)\] - (\S+)$", changes, re.MULTILINE)
    assert newest is not None
    assert newest.groups() == (version, released)


@pytest.mark.long
def test_metadata_of_the_wheel_name_python_versions_licence_and_extras(wheel):
    name = f"cogfit-{PROJECT['version']}.dist-info/METADATA"
    told = Parser().parsestr(zipfile.ZipFile(wheel).read(name).decode())
    assert told["Version"] == PROJECT["version"]
    assert told["Requires-Python"] == ">=3.11"
    assert told["License-Expression"] == "MIT"
    supported = {f"Programming Language :: Python :: 3.{minor}" for minor in (11, 12, 13)}
    assert {*supported, "Typing :: Typed"} <= set(told.get_all("Classifier"))
    assert {"theory", "train", "docs", "test"} <= set(told.get_all("Provides-Extra"))
    assert "# cogfit" in told.get_payload()


def requirements() -> dict[str, Requirement]:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    every = (Requirement(line) for group in groups for line in group)
    return {canonicalize_name(r.name): r for r in every if r.name != PROJECT["name"]}


def pins(name: str = "constraints.txt") -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!]+)", line) for line in lines if not line.startswith("#")]
    assert all(found), "a constraint must be NAME==VERSION without a local version such as +cpu"
    return {canonicalize_name(match[1]): match[2] for match in found if match}


def test_the_compiler_that_is_fetched_has_its_tested_version():
    text = (ROOT / "building" / "kernels.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^ZIG = "ziglang==(\S+)"$', text, re.MULTILINE)
    assert version == pins()["ziglang"]


@pytest.mark.parametrize("name", requirements())
def test_constraints_pin_every_direct_dependency_within_its_bounds(name):
    assert requirements()[name].specifier.contains(pins()[name], prereleases=True)


def test_the_oldest_versions_are_the_bounds_of_all_that_runs_without_torch():
    extras = PROJECT["optional-dependencies"]
    wanted = [PROJECT["dependencies"], *(extras[name] for name in ("logs", "theory", "thorough", "dask"))]
    needed = {canonicalize_name(Requirement(line).name): Requirement(line) for group in wanted for line in group}
    oldest = pins("constraints-oldest.txt")
    assert set(oldest) == set(needed)
    for name, requirement in needed.items():
        (bound,) = (item.version for item in requirement.specifier if item.operator == ">=")
        assert Version(oldest[name]) == Version(bound), name


def test_core_dependencies_do_not_bring_a_deep_learning_library():
    core = {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]}
    assert not core & {"torch", "transformers", "lightning", "tensorboard"}
    assert PROJECT["requires-python"] == ">=3.11"
