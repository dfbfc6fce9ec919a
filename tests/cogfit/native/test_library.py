"""The compiled library: levels, and every way in which it can be missing, damaged or out of date."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cogfit.errors import EngineError, InputError
from cogfit.native import library

ROOT = Path(__file__).resolve().parents[3]
PROBE = library.kernel("probe", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


@pytest.fixture(autouse=True)
def same_level_afterwards() -> Iterator[None]:
    before = library.level()
    yield
    library.use_level(before)


def exponentials(x: np.ndarray) -> np.ndarray:
    out = np.full_like(x, np.nan)
    PROBE(x.ctypes.data, out.ctypes.data, x.size, 1)
    return out


def building() -> ModuleType:
    """The script that compiles, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("building_kernels", ROOT / "building" / "kernels.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def in_new_process(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with this checkout and these variables of the environment."""
    environment = {key: value for key, value in os.environ.items() if key != library.VARIABLE}
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


# ------------------------------------------------------------------------------------------------------------- levels


def test_the_best_level_is_used_and_baseline_always_works() -> None:
    assert library.levels()[-1] == "baseline"
    assert set(library.levels()) <= set(library.LEVELS)
    assert in_new_process("from cogfit.native import library as l; print(l.level())").stdout.split() == [
        library.levels()[0]
    ]


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="the processor is asked through /proc/cpuinfo")
@pytest.mark.parametrize(("level", "flag"), [("avx2", "avx2"), ("avx512", "avx512vl")])
def test_levels_are_those_that_the_system_reports(level: str, flag: str) -> None:
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    assert (level in library.levels()) == (flag in flags)


@pytest.mark.parametrize("level", library.levels())
@pytest.mark.parametrize("n", [0, 1, 7, 8, 203])
def test_every_level_computes_exponentials(level: str, n: int) -> None:
    library.use_level(level)
    assert library.level() == level
    x = np.linspace(-20.0, 20.0, n)
    np.testing.assert_allclose(exponentials(x), np.exp(x), rtol=1e-15)


@pytest.mark.parametrize("level", library.levels())
def test_the_environment_forces_a_level(level: str) -> None:
    done = in_new_process("from cogfit.native import library as l; print(l.level())", **{library.VARIABLE: level})
    assert done.stdout.split() == [level]


def test_an_unknown_level_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="there is no engine level 'sse9'; choose from avx2, avx512, baseline"):
        library.use_level("sse9")
    code = "from cogfit.cli import main; raise SystemExit(main(['--version', '--verbose']))"
    done = in_new_process(code, **{library.VARIABLE: "avx-512"})
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    where = "environment variable COGFIT_ENGINE_LEVEL"
    assert line == f"cogfit: {where}: there is no engine level 'avx-512'; did you mean 'avx512' or 'avx2'?"


def test_a_level_beyond_the_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        """A library on a processor with AVX2 and no more."""

        def cogfit_use_level(self, level: int) -> int:
            return 0 if level < 2 else -1

        def cogfit_levels(self) -> int:
            return 0b011

    monkeypatch.setattr(library, "_library", Old)
    assert library.levels() == ("avx2", "baseline")
    library.use_level("avx2")
    with pytest.raises(InputError, match=r"cannot run AVX-512 .*; the best that it can run is 'avx2'"):
        library.use_level("avx512")
    monkeypatch.undo()


def test_the_library_itself_refuses_levels_that_do_not_exist() -> None:
    loaded = library.load(library.LIBRARY)
    before = library.level()
    assert [loaded.cogfit_use_level(number) for number in (-2, -1, 3, 1000)] == [-1] * 4
    assert library.level() == before


def test_kernels_run_in_threads() -> None:
    x = np.linspace(-3.0, 3.0, 10_007)
    with ThreadPoolExecutor(4) as pool:
        for out in pool.map(lambda _: exponentials(x), range(40)):
            np.testing.assert_allclose(out, np.exp(x), rtol=1e-15)


# -------------------------------------------------------------------------------------------------- what may be wrong


def test_importing_loads_no_library_and_compiles_nothing() -> None:
    code = (
        "import sys, time; begin = time.process_time();"
        "from cogfit.native import library; seconds = time.process_time() - begin;"
        "import json; print(json.dumps([library._library.cache_info().currsize, 'numpy' in sys.modules, seconds]))"
    )
    loaded, has_numpy, seconds = json.loads(in_new_process(code).stdout)
    assert (loaded, has_numpy) == (0, False)
    assert seconds < 0.4


def test_an_unknown_kernel_is_an_error_of_the_package() -> None:
    with pytest.raises(EngineError, match=r"it has no kernel 'nonsense'; .*make kernels"):
        library.kernel("nonsense")()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the library without its sources."""
    return Path(shutil.copyfile(library.LIBRARY, tmp_path / "kernels.bin"))


def test_a_copy_without_sources_works(copy: Path) -> None:
    assert library.load(copy).cogfit_levels() == library.load(library.LIBRARY).cogfit_levels()
    assert library.fingerprint(copy.parent) is None


def test_a_missing_library_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"absent.bin: .*it is missing; .*run: make kernels"):
        library.load(tmp_path / "absent.bin")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_library_that_is_cut_short_is_refused_before_it_is_loaded(copy: Path, share: float) -> None:
    whole = copy.read_bytes()
    copy.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(EngineError, match=r"cannot be used: .*make kernels"):
        library.load(copy)


def test_a_file_that_is_no_library_is_refused(copy: Path) -> None:
    copy.write_text("nothing of the kind\n" * 100)
    with pytest.raises(EngineError, match=r"it cannot be loaded .*make kernels"):
        library.load(copy)
    copy.write_bytes(library.LIBRARY.read_bytes().replace(b"cogfit_", b"gofcit_"))
    with pytest.raises(EngineError, match=r"cannot be used: .*make kernels"):
        library.load(copy)


@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed"])
def test_a_library_of_other_sources_is_refused(copy: Path, change: str) -> None:
    for path in library.FOLDER.iterdir():
        if path.suffix in (".c", ".h", ".def"):
            shutil.copyfile(path, copy.parent / path.name)
    library.load(copy)
    unit = copy.parent / "unit.c"
    match change:
        case "edited":
            unit.write_text(unit.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        case "added":
            (copy.parent / "more.h").write_text("")
        case "removed":
            unit.unlink()
        case "renamed":
            unit.rename(copy.parent / "unit2.c")
    with pytest.raises(EngineError, match="compiled from other sources than those beside it; .*make kernels"):
        library.load(copy)


def test_an_installed_package_says_how_to_install_it_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library, "FOLDER", tmp_path / "site-packages" / "cogfit" / "native")
    with pytest.raises(EngineError, match="run: pip install --force-reinstall --no-deps cogfit$"):
        library.load(tmp_path / "kernels.bin")


# ---------------------------------------------------------------------------------------------------------- compiling


def test_the_script_and_the_package_compute_the_same_fingerprint() -> None:
    assert building().fingerprint() == library.fingerprint()
    assert library.load(library.LIBRARY).cogfit_fingerprint().decode() == library.fingerprint()


def test_the_library_says_what_built_it() -> None:
    assert "-O3" in library.built_by()
    assert "-ffast-math" not in library.built_by()
    assert library.describe() == library.Engine(library.level(), library.levels(), library.built_by())


def test_version_and_verbose_describe_the_engine(capfd: pytest.CaptureFixture[str]) -> None:
    from cogfit.cli import main

    assert main(["--version", "--verbose"]) == 0
    first, python, numpy, level, built_by = capfd.readouterr().out.splitlines()
    assert first.startswith("cogfit ")
    assert python.startswith(f"Python {sys.version.split()[0]}")
    assert numpy == f"NumPy {np.__version__}"
    assert level == f"engine level {library.level()} (this machine can run {', '.join(library.levels())})"
    assert built_by == f"engine built by {library.built_by()}"
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"{first}\n"
    assert main(["--verbose"]) == 2
    assert "goes with --version" in capfd.readouterr().err


def test_version_and_verbose_survive_a_broken_engine(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from cogfit.cli import main

    monkeypatch.setattr(library, "_library", lambda: library.load(tmp_path / "kernels.bin"))
    assert main(["--version", "--verbose"]) == 0
    assert "the compiled engine cannot be used: it is missing" in capfd.readouterr().out
    monkeypatch.undo()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of what compiling needs, in a folder with spaces in its name."""
    root = tmp_path / "a folder with spaces"
    (root / "cogfit" / "native").mkdir(parents=True)
    shutil.copytree(ROOT / "building", root / "building", ignore=shutil.ignore_patterns("__pycache__"))
    for path in library.FOLDER.iterdir():
        if path.suffix in (".c", ".h", ".def"):
            shutil.copyfile(path, root / "cogfit" / "native" / path.name)
    return root


def compile_in(root: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "building" / "kernels.py")]
    environment = {key: value for key, value in os.environ.items() if key not in ("CC", "CFLAGS")}
    return subprocess.run(
        command, env=environment | variables, cwd=root.parent, capture_output=True, text=True, check=False, timeout=300
    )


HAS_COMPILER = building().find_compiler() is not None
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="no C compiler")


@needs_compiler
@pytest.mark.long
def test_compiling_replaces_the_library_and_leaves_nothing_else(sources: Path) -> None:
    native = sources / "cogfit" / "native"
    (native / "kernels.bin").write_text("an old one")
    before = {path.name for path in native.iterdir()}
    done = compile_in(sources)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in native.iterdir()} == before
    assert library.load(native / "kernels.bin").cogfit_levels() == library.load(library.LIBRARY).cogfit_levels()


@needs_compiler
@pytest.mark.slow
def test_sources_that_do_not_compile_leave_the_old_library(sources: Path) -> None:
    native = sources / "cogfit" / "native"
    (native / "kernels.bin").write_text("an old one")
    (native / "unit.c").write_text("this is no C\n")
    done = compile_in(sources)
    assert done.returncode == 1
    assert "cannot compile unit.c" in done.stderr
    assert "Traceback" not in done.stderr
    assert (native / "kernels.bin").read_text() == "an old one"


@needs_compiler
@pytest.mark.slow
def test_a_kernel_that_is_listed_and_not_written_does_not_link(sources: Path) -> None:
    native = sources / "cogfit" / "native"
    (native / "kernels.def").write_text("KERNEL(void, unwritten, (double x), (x))\n")
    (native / "unit.c").write_text("typedef int nothing;\n")  # compiled in a moment
    done = compile_in(sources, COGFIT_OBJECTS="", CFLAGS="-no-such-flag")  # which is not read
    assert done.returncode == 1
    assert "unwritten" in done.stderr


@needs_compiler
@pytest.mark.slow
def test_what_was_compiled_is_used_again_for_the_same_sources_only(sources: Path, tmp_path: Path) -> None:
    native, kept = sources / "cogfit" / "native", tmp_path / "kept"

    def objects() -> dict[str, int]:
        compile_in(sources, COGFIT_OBJECTS=str(kept))
        return {path.name: path.stat().st_mtime_ns for path in kept.iterdir()}

    (native / "kernels.def").write_text("\n")
    (native / "unit.c").write_text("typedef int nothing;\n")
    first = objects()
    assert len(first) == len(building().levels()) + 1
    assert objects() == first
    (native / "rows.h").write_text("\n")  # a header on which all depends
    second = objects()
    assert {name: second[name] for name in first} == first
    assert len(second) == 2 * len(first)


@pytest.mark.parametrize("named", ["nonsense", "false", "true", f"{sys.executable} -c pass"])
def test_a_compiler_that_does_not_work_is_an_error_in_one_line(sources: Path, named: str) -> None:
    done = compile_in(sources, CC=named)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"building/kernels.py: the C compiler of the environment variable CC, '{named}', does not")
    assert not (sources / "cogfit" / "native" / "kernels.bin").exists()


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is not None, reason="ziglang is a compiler")
def test_without_a_compiler_one_line_says_what_to_install(sources: Path) -> None:
    done = compile_in(sources, PATH=str(sources))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "there is no C compiler here; install gcc or clang" in line
    assert "pip install ziglang" in line
