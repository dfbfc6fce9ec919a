"""Compile the engine: cogfit/native/*.c become cogfit/native/kernels.bin.

    python building/kernels.py            # compile
    python building/kernels.py --fetch    # the same; where there is no compiler, fetch one for this once
    python building/kernels.py --check    # say which compiler would be used

The result is a shared library that Python loads with ctypes. It needs no Python headers, and one build serves every
version of Python. All kernels are compiled once per level of the processor; the library chooses at run time.

Compilers are tried in this order, each with a small program that is compiled, loaded and called: that of the
environment variable CC (an error if it does not work), cc, gcc, clang, zig, and the package `ziglang` of this Python.
CFLAGS are not read: flags such as -march=native would make every level need the newest processor.

Where the environment variable COGFIT_OBJECTS names a folder, what was compiled is kept there and used again for the
same sources, flags and compiler.

Only the standard library is used here. The build hook runs the same code.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import math
import os
import platform
import re
import shlex
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "cogfit" / "native"
LIBRARY = SOURCES / "kernels.bin"

ZIG = "ziglang==0.17.1"
"""The compiler that is fetched where there is none; constraints.txt has the same."""

LANES = {"avx512": 8, "avx2": 4, "baseline": 2}
"""Doubles in a vector at each level."""

FLAGS = ("-std=c11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
"""Not -ffast-math: kernels tell NaN and infinity apart, and sums keep the order in which they are written."""

ARCHITECTURES = {"avx512": "x86-64-v4", "avx2": "x86-64-v3", "baseline": "x86-64"}

_AVX2 = ("avx2", "fma", "bmi", "bmi2", "f16c", "lzcnt", "movbe", "popcnt", "sse4.2", "cx16")
_AVX512 = ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
FEATURES = {"avx512": (*_AVX2, *_AVX512), "avx2": _AVX2, "baseline": ()}
"""The same for compilers that do not know the names of the architectures (gcc before 11, clang before 12)."""

HELP = (
    "install gcc or clang (Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc; macOS: "
    "xcode-select --install), or: python -m pip install ziglang"
)

TRIAL = """
#include <math.h>
#include <stdint.h>
#include <string.h>
_Static_assert(sizeof(void *) == {bytes}, "for another kind of process than this Python");
#if defined(_WIN32)
__declspec(dllexport)
#else
__attribute__((visibility("default")))
#endif
int32_t trial(double x) {{ return (int32_t)(exp(x) + 0.5); }}
"""


class BuildError(Exception):
    """The kernels cannot be compiled; the message is one line that says what to do."""


@dataclass(frozen=True)
class Compiler:
    """A C compiler that works here.

    Attributes
    ----------
    command : tuple of str
    version : str
        First line of what it says of itself.
    knows_architectures : bool
        Whether it takes names such as x86-64-v3.
    """

    command: tuple[str, ...]
    version: str
    knows_architectures: bool = True

    @property
    def is_zig(self) -> bool:
        """Whether this is clang as zig brings it."""
        return "zig" in self.version.lower() or "zig" in Path(self.command[0]).name or "ziglang" in self.command

    def flags(self, level: str) -> list[str]:
        """Flags for a level of the processor."""
        flags = list(FLAGS)
        if os.name != "nt":  # code can lie anywhere on Windows, and some compilers refuse the flags there
            flags += ["-fPIC", "-fvisibility=hidden"]
        if self.is_zig:
            # Without these it compiles for the processor and the C library at hand, and traps what it takes for errors.
            flags += ["-target", zig_target(), "-fno-sanitize=undefined"]
        if not is_x86_64():
            return flags
        name = ARCHITECTURES[level]
        if level == "avx512":
            flags.append("-mprefer-vector-width=512")  # clang would vectorise plain loops with half of it
        if self.is_zig:
            return [*flags, f"-mcpu={name.replace('-', '_')}"]
        if self.knows_architectures:
            return [*flags, f"-march={name}"]
        return [*flags, "-march=x86-64", *(f"-m{feature}" for feature in FEATURES[level])]

    def run(self, arguments: Sequence[str | Path], cache: Path) -> subprocess.CompletedProcess[str]:
        """Run it; what zig keeps goes into the folder `cache`."""
        folders = {"ZIG_GLOBAL_CACHE_DIR": str(cache / "zig"), "ZIG_LOCAL_CACHE_DIR": str(cache / "zig")}
        return subprocess.run(
            [*self.command, *map(str, arguments)],
            env={**os.environ, **folders},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )


def is_x86_64() -> bool:
    """Whether this Python runs as a 64-bit process on an x86-64 processor."""
    return platform.machine().lower() in ("x86_64", "amd64") and struct.calcsize("P") == 8


def levels() -> list[str]:
    """Levels to compile, the best first."""
    return list(LANES) if is_x86_64() else ["baseline"]


def zig_target() -> str:
    """Platform of this Python, as zig spells it.

    On Linux the C library is an old one, so that what is built here runs on all later ones.
    """
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64", "arm64": "aarch64", "i686": "x86", "i386": "x86"}.get(machine, machine)
    if sys.platform == "darwin":
        return f"{machine}-macos.{'11.0' if machine == 'aarch64' else '10.15'}"
    if os.name == "nt":
        return f"{machine}-windows-gnu"
    if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or ""):
        return f"{machine}-linux-musl"
    return f"{machine}-linux-gnu.2.17"


# ------------------------------------------------------------------------------------------------- finding a compiler


def candidates() -> Iterator[tuple[str, ...]]:
    """Compilers that may be there, in the order in which they are tried."""
    yield from (("cc",), ("gcc",), ("clang",), ("zig", "cc"))
    if find_spec("ziglang") is not None:
        yield (sys.executable, "-m", "ziglang", "cc")


def find_compiler() -> Compiler | None:
    """Find a C compiler that works; None if there is none.

    Raises
    ------
    BuildError
        If the environment variable CC names one that does not work.
    """
    with tempfile.TemporaryDirectory(prefix="cogfit-trial-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        named = os.environ.get("CC", "").strip()
        if named:
            compiler, reason = try_compiler(tuple(shlex.split(named, posix=os.name != "nt")), folder)
            if compiler is None:
                raise BuildError(f"the C compiler of the environment variable CC, '{named}', does not work: {reason}")
            return compiler
        for command in candidates():
            if shutil.which(command[0]) is not None:
                compiler, _ = try_compiler(command, folder)
                if compiler is not None:
                    return compiler
    return None


def try_compiler(command: tuple[str, ...], folder: Path) -> tuple[Compiler | None, str]:
    """Compile, load and call a small program; the compiler, or the reason why it does not work."""
    if not command or shutil.which(command[0]) is None:
        return None, "there is no such command"
    compiler = Compiler(command, "")
    try:
        said = compiler.run(["--version"], folder)
        lines = (said.stdout or said.stderr).strip().splitlines()
        compiler = Compiler(command, lines[0] if lines else "")
        reason = _failure_of_trial(compiler, folder)
        if reason and is_x86_64() and not compiler.is_zig:
            older = Compiler(command, compiler.version, knows_architectures=False)
            if not _failure_of_trial(older, folder):
                return older, ""
    except OSError as error:
        return None, str(error)
    return (None, reason) if reason else (compiler, "")


def _failure_of_trial(compiler: Compiler, folder: Path) -> str:
    """Why the trial program fails, in one line; empty if it works."""
    source = folder / "trial.c"
    source.write_text(TRIAL.format(bytes=struct.calcsize("P")), encoding="utf-8")
    for level in levels():  # the last, which every processor can run, is loaded
        done = compiler.run([*compiler.flags(level), "-c", source, "-o", folder / "trial.o"], folder)
        if done.returncode:
            return _first_error(done)
    # A new name each time: a library that is loaded keeps its file.
    handle, name = tempfile.mkstemp(prefix="trial-", suffix=".bin", dir=folder)
    os.close(handle)
    done = compiler.run([*_link_flags(compiler), folder / "trial.o", "-o", name, *_libraries(compiler)], folder)
    if done.returncode:
        return _first_error(done)
    try:
        trial = ctypes.CDLL(name).trial
        trial.argtypes, trial.restype = [ctypes.c_double], ctypes.c_int32
        return "" if trial(math.log(42.0)) == 42 else "a trial program computed a wrong result"
    except (OSError, AttributeError) as error:
        return f"what it compiles cannot be loaded ({error})"


def _first_error(done: subprocess.CompletedProcess[str]) -> str:
    """The line of a compiler's output that says most."""
    lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    errors = [line for line in lines if re.search(r"\b(error|cannot|not found)\b", line, re.IGNORECASE)]
    return (errors or lines or [f"exit code {done.returncode}"])[0]


# ---------------------------------------------------------------------------------------------------------- compiling


def _link_flags(compiler: Compiler) -> list[str]:
    """Arguments that come before the object files."""
    flags = ["-dynamiclib"] if sys.platform == "darwin" else ["-shared"]
    if compiler.is_zig:
        flags += ["-target", zig_target()]
    if _takes_libraries_from_python(compiler):
        return [*flags, "-nostdlib"]
    if sys.platform.startswith("linux"):
        flags += ["-Wl,--no-undefined"]  # a kernel that is declared and not written fails here, not at a user's
    return flags


def _libraries(compiler: Compiler) -> list[str]:
    """Arguments that come after the object files."""
    return [] if os.name == "nt" or _takes_libraries_from_python(compiler) else ["-lm"]


def _takes_libraries_from_python(compiler: Compiler) -> bool:
    """Whether the functions of libc and libm are those that the Python process has loaded.

    zig would first compile the C library's stubs and its own runtime, for half a minute, to no effect: every Python on
    Linux has both libraries loaded before ours.
    """
    return compiler.is_zig and sys.platform.startswith("linux")


def fingerprint(folder: Path = SOURCES) -> str:
    """Checksum of the C sources; `cogfit.native.library` computes the same."""
    checksum = 0
    for path in sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h", ".def")):
        checksum = zlib.crc32(path.read_bytes(), zlib.crc32(path.name.encode(), checksum))
    return f"{checksum:08x}"


def _quoted(text: str) -> str:
    """A C string."""
    return '"' + re.sub(r'["\\]', "'", text) + '"'


def compile_kernels(compiler: Compiler, target: Path = LIBRARY) -> None:
    """Compile all levels and link them; `target` is replaced at the end, in one step.

    Raises
    ------
    BuildError
        If the compiler refuses; the message is what it says.
    """
    with tempfile.TemporaryDirectory(prefix="cogfit-kernels-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        common = [flag for flag in compiler.flags("baseline") if all(flag in compiler.flags(one) for one in levels())]
        built_by = f"{compiler.version}; {shlex.join(common)}"
        about = [f"-DCOGFIT_FINGERPRINT={_quoted(fingerprint())}", f"-DCOGFIT_BUILT_BY={_quoted(built_by)}"]
        jobs = [(SOURCES / "dispatch.c", "dispatch.o", [*compiler.flags("baseline"), *about])]
        for level in levels():
            given = [f"-DCOGFIT_LEVEL={level}", f"-DCOGFIT_LANES={LANES[level]}"]
            jobs.insert(0, (SOURCES / "unit.c", f"{level}.o", [*compiler.flags(level), *given]))

        def compile_one(job: tuple[Path, str, list[str]]) -> None:
            source, out, flags = job
            kept = kept_object(compiler, source, flags)
            if kept is not None and kept.is_file():
                shutil.copyfile(kept, folder / out)
                return
            done = compiler.run([*flags, "-c", source, "-o", folder / out], folder)
            if done.returncode:
                raise BuildError(f"{' '.join(compiler.command)} cannot compile {source.name}:\n{done.stderr.strip()}")
            if kept is not None:
                put_file(folder / out, kept)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(compile_one, jobs))
        objects = [folder / out for _, out, _ in jobs]
        done = compiler.run(
            [*_link_flags(compiler), *objects, "-o", folder / "kernels.bin", *_libraries(compiler)], folder
        )
        if done.returncode:
            raise BuildError(f"{' '.join(compiler.command)} cannot link the kernels:\n{done.stderr.strip()}")
        try:
            ctypes.CDLL(str(folder / "kernels.bin")).cogfit_level()
        except (OSError, AttributeError) as error:
            raise BuildError(f"what {' '.join(compiler.command)} made of the kernels does not load: {error}") from None
        try:
            put_file(folder / "kernels.bin", target)
        except PermissionError as error:  # Windows keeps files that are in use
            raise BuildError(f"{target} cannot be replaced ({error}); end the programs that use it") from None


def kept_object(compiler: Compiler, source: Path, flags: Sequence[str]) -> Path | None:
    """Where an object file is kept for later builds; None if none are (COGFIT_OBJECTS)."""
    folder = os.environ.get("COGFIT_OBJECTS", "").strip()
    if not folder:
        return None
    sources = sorted(path for path in SOURCES.iterdir() if path.suffix in (".c", ".h", ".def"))
    digest = hashlib.sha256(repr((compiler.command, compiler.version, source.name, *flags)).encode())
    for path in sources:
        digest.update(path.name.encode() + path.read_bytes())
    return Path(folder) / f"{digest.hexdigest()[:32]}.o"


def put_file(made: Path, target: Path) -> None:
    """Copy a file to its place in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # Next to the target first: a rename is one step only within a file system.
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(made, beside)
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def needed_compiler() -> Compiler:
    """Find a C compiler.

    Raises
    ------
    BuildError
        If there is none; the message is one line that says what to install.
    """
    compiler = find_compiler()
    if compiler is None:
        raise BuildError(f"there is no C compiler here; {HELP}")
    return compiler


def fetch_and_compile(target: Path = LIBRARY) -> Compiler:
    """Compile with a compiler from the package registry, which is not kept."""
    print(f"There is no C compiler here. Fetching one for this build ({ZIG}, 100 MB) ...", flush=True)
    with tempfile.TemporaryDirectory(prefix="cogfit-zig-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        venv.create(folder, with_pip=True)
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        done = subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-cache-dir", ZIG], check=False)
        if done.returncode:
            raise BuildError(f"no C compiler is here, and none could be fetched; {HELP}")
        compiler, reason = try_compiler((str(python), "-m", "ziglang", "cc"), folder)
        if compiler is None:
            raise BuildError(f"the C compiler that was fetched ({ZIG}) does not work: {reason}; {HELP}")
        compile_kernels(compiler, target)
        return compiler


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fetch", action="store_true", help="fetch a compiler for this once, where there is none")
    parser.add_argument("--check", action="store_true", help="say which compiler would be used, and leave")
    options = parser.parse_args()
    try:
        compiler = find_compiler()
        if options.check:
            missing = f"no C compiler is here: one will be fetched ({ZIG}, 100 MB); if that fails, {HELP}"
            print(missing if compiler is None else f"{shlex.join(compiler.command)}: {compiler.version}")
            return 0
        if compiler is None and options.fetch:
            compiler = fetch_and_compile()
        elif compiler is None:
            compiler = needed_compiler()
        else:
            compile_kernels(compiler)
    except BuildError as error:
        print(f"building/kernels.py: {error}", file=sys.stderr)
        return 1
    where = os.path.relpath(LIBRARY, ROOT)
    print(f"{where}: {', '.join(levels())}, by {compiler.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
