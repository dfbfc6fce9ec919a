"""Check that no function is hard to follow.

    python tests/project/complexity.py [FOLDER]

Counts McCabe's cyclomatic complexity by radon. The limits, the files of compiled kernels and the functions that may
stay above the usual limit, each with its reason, stand in ``[tool.cogfit.complexity]`` of pyproject.toml.
"""

from __future__ import annotations

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from radon.complexity import cc_visit
from radon.visitors import Function

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("cogfit", "theory", "paper_figures")


@dataclass(frozen=True)
class Rules:
    """What is allowed.

    Attributes
    ----------
    most : int
        No function may be above it.
    usual : int
        A function above it needs a reason.
    exceptions : int
        So many functions may have one.
    reasons : dict of str
        ``path:function`` of each exception, and why it is one.
    """

    most: int
    usual: int
    exceptions: int
    reasons: dict[str, str]


def read_rules(project: Path) -> Rules:
    """Read the rules from a pyproject.toml."""
    table = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["cogfit"]["complexity"]
    return Rules(**table)


def measure(root: Path) -> dict[str, int]:
    """Complexity of each function and method, by ``path:function``."""
    out: dict[str, int] = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            for block in cc_visit(path.read_text(encoding="utf-8")):
                if isinstance(block, Function):
                    key = f"{name}:{block.fullname}"
                    out[key] = max(block.complexity, out.get(key, 0))
    return out


def complaints(measured: dict[str, int], rules: Rules) -> list[str]:
    """What breaks the rules, one sentence each, the worst function first."""
    out = []
    for key, value in sorted(measured.items(), key=lambda item: (-item[1], item[0])):
        if value > rules.most:
            out.append(f"{key} has complexity {value}, above {rules.most}: split it")
        elif value > rules.usual and not rules.reasons.get(key, "").strip():
            out.append(f"{key} has complexity {value}, above {rules.usual}: split it, or give a reason")
    for key in rules.reasons:
        if measured.get(key, 0) <= rules.usual:
            now = f"has complexity {measured[key]}" if key in measured else "does not exist"
            out.append(f"{key} {now}: take it off the list of exceptions")
    above = sum(value > rules.usual for value in measured.values())
    if above > rules.exceptions:
        out.append(f"{above} functions are above {rules.usual}; at most {rules.exceptions} may be")
    return out


def main(root: Path) -> int:
    """Print what breaks the rules and return the exit code."""
    rules = read_rules(root / "pyproject.toml")
    messages = complaints(measure(root), rules)
    print("\n".join(messages) if messages else "No function is too complex.")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
