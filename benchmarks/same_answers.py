"""Record what the package says about its own data, and compare two such records.

    python benchmarks/same_answers.py record before    # on the old code
    python benchmarks/same_answers.py record after     # on the new code
    python benchmarks/same_answers.py compare before after

A reorganisation must not change an answer. The record holds the JSON of the four runs of ``make demo``, of
``cogfit theory check`` and of ``cogfit ledger``, and the numbers behind every paper figure. `compare` lists each place
where two records differ: numbers to a relative 1e-12, everything else exactly; exit code 1 where anything differs.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from command_line import run_script

ROOT = Path(__file__).resolve().parents[1]
RUNS = {
    "srcd-n256-consolidates": (),
    "srcd-n256-gradual": (),
    "srcd-n256-never-drops": ("--x-min", "500"),
    "srcd-n256-collapses": (),
}
# What tells where and when something was computed, not what was found.
IGNORED = frozenset({"versions", "seconds", "path", "created"})
RELATIVE = 1e-12
KINDS = frozenset({".json", ".csv", ".txt"})


def commands(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Name and arguments of each command whose answer is recorded."""
    for run, options in RUNS.items():
        target = str(folder / f"{run}.json")
        yield run, ["fit", f"data/runs/{run}", *options, "--quiet", "--json", target]
    yield "theory", ["theory", "check", "--json", str(folder / "theory.json")]
    yield "ledger", ["ledger", "--json", str(folder / "ledger.json")]
    yield "figures", ["figures", "--out", str(folder / "figures")]


def record(folder: Path) -> None:
    """Run every command of this checkout and keep what it writes."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    program = "import sys; from cogfit.cli import main; sys.argv[0] = 'cogfit'; main()"
    for name, arguments in commands(folder):
        print(f"{name} ...", flush=True)
        subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def differences(a: Any, b: Any, place: str = "") -> Iterator[str]:
    """Places where two JSON documents differ, one line each."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            if key in IGNORED:
                continue
            if key not in a or key not in b:
                yield f"{place}.{key}: only in the {'second' if key in b else 'first'}"
            else:
                yield from differences(a[key], b[key], f"{place}.{key}")
    elif isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            yield f"{place}: {len(a)} and {len(b)} items"
        for number, (one, other) in enumerate(zip(a, b, strict=False)):
            yield from differences(one, other, f"{place}[{number}]")
    elif isinstance(a, float) and isinstance(b, int | float) and not isinstance(b, bool):
        if not math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-300):
            yield f"{place}: {a!r} and {b!r}"
    elif a != b:
        yield f"{place}: {a!r} and {b!r}"


def cells(path: Path) -> list[list[Any]]:
    """Rows of a CSV file, numbers as floats."""
    import csv

    def value(text: str) -> Any:
        try:
            return float(text)
        except ValueError:
            return text

    with path.open(encoding="utf-8", newline="") as file:
        return [[value(cell) for cell in row] for row in csv.reader(file)]


def compare(first: Path, second: Path) -> list[str]:
    """All differences between two records."""
    out: list[str] = []
    files = ((folder, path) for folder in (first, second) for path in folder.rglob("*"))
    names = {path.relative_to(folder).as_posix() for folder, path in files if path.suffix in KINDS}
    for name in sorted(names):
        pair = first / name, second / name
        if not all(path.exists() for path in pair):
            out.append(f"{name}: only in one of the records")
        elif name.endswith(".json"):
            a, b = (json.loads(path.read_text(encoding="utf-8")) for path in pair)
            out += [f"{name}{line}" for line in differences(a, b)]
        elif name.endswith(".csv"):
            out += [f"{name}{line}" for line in differences(cells(pair[0]), cells(pair[1]))]
        elif pair[0].read_text(encoding="utf-8") != pair[1].read_text(encoding="utf-8"):
            out.append(f"{name}: the texts differ")
    return out


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("record", help="run the commands and keep what they write").add_argument("folder", type=Path)
    both = actions.add_parser("compare", help="list the differences between two records")
    both.add_argument("first", type=Path)
    both.add_argument("second", type=Path)
    given = parser.parse_args()
    if given.action == "record":
        record(given.folder)
        return 0
    found = compare(given.first, given.second)
    print("\n".join(found) or "the same answers")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(run_script(main))
