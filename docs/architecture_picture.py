"""Draw docs/images/architecture.svg: the floors of the packages, each importing only from those below.

    python docs/architecture_picture.py

The floors are listed here; `misplaced` and `forbidden` compare them with the code (tests/project/test_docs.py).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"

# From top to bottom: what a floor is for, and its modules or subpackages.
FLOORS: dict[str, list[tuple[str, str]]] = {
    "cogfit": [
        ("command line", "cli commands"),
        ("how a result looks", "show"),
        ("many curves, people", "many people"),
        ("one call", "fitting"),
        ("what comes out", "result"),
        ("questions to a curve", "inference"),
        ("what is fitted", "curves"),
        ("estimation, callbacks", "engine integrations"),
        ("from files to logs", "logs"),
        ("forms", "formulas"),
        ("ground", "files errors"),
    ],
    "theory": [
        ("the papers' figures", "ledger"),
        ("a log, a language model, policies against the bounds", "audit redundancy policies"),
        ("training (torch)", "training"),
        ("models (torch)", "models"),
        ("claims of the papers", "claims"),
        ("theorems", "bounds"),
        ("statements and certificates", "proofs"),
        ("tasks", "tasks"),
        ("settings", "settings"),
    ],
}


def floor_of(package: str) -> dict[str, int]:
    """Number of the floor of each module, 0 at the top."""
    return {name: number for number, (_, names) in enumerate(FLOORS[package]) for name in names.split()}


def modules(package: str) -> dict[str, list[Path]]:
    """Files of each module or subpackage, by name."""
    out: dict[str, list[Path]] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        inside = path.relative_to(ROOT / package)
        if inside.name != "__init__.py" or len(inside.parts) > 1:
            out.setdefault(inside.parts[0].removesuffix(".py"), []).append(path)
    return out


def misplaced(package: str) -> set[str]:
    """Modules that are not in the picture, or in the picture and not there."""
    return set(modules(package)) ^ set(floor_of(package))


def imports(body: list[ast.stmt], package: str) -> Iterator[str]:
    """Modules of `package` that are imported when a file is loaded, not those for type checkers or in functions."""
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module == package:
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(package + "."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith(package + "."))
        elif isinstance(node, ast.Try):
            yield from imports(node.body, package)


def forbidden(package: str) -> list[str]:
    """Imports that go up, as sentences."""
    floor = floor_of(package)
    out = []
    for name, paths in modules(package).items():
        for path in paths:
            for other in imports(ast.parse(path.read_text(encoding="utf-8")).body, package):
                if other in floor and floor[other] < floor.get(name, 0):
                    out.append(f"{path.relative_to(ROOT)} imports {package}.{other} from a floor above")
    return out


WIDTH, HEIGHT, GAP, LEFT, TOP = 600, 46, 6, 20, 64
COLORS = {"cogfit": "#0072B2", "theory": "#D55E00"}


def svg() -> str:
    """The picture."""
    rows = max(map(len, FLOORS.values()))
    width = 2 * (WIDTH + LEFT) + LEFT
    height = TOP + rows * (HEIGHT + GAP) + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        'role="img" aria-label="Floors of cogfit and theory">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    bottom = TOP + rows * (HEIGHT + GAP)
    for column, (package, floors) in enumerate(FLOORS.items()):
        x = LEFT + column * (WIDTH + LEFT)
        out.append(
            f'<text x="{x}" y="{TOP - 36}" font-size="17" font-weight="bold" fill="{COLORS[package]}">{package}</text>'
        )
        note = "a file imports only from its own floor and those below" if column == 0 else "uses cogfit's public face"
        out.append(f'<text x="{x}" y="{TOP - 16}" font-size="12" fill="#555">{escape(note)}</text>')
        for number, (purpose, names) in enumerate(floors):
            y = bottom - (len(floors) - number) * (HEIGHT + GAP)
            shade = 0.08 + 0.02 * number
            out.append(
                f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{COLORS[package]}" '
                f'fill-opacity="{shade:.2f}" stroke="{COLORS[package]}" stroke-opacity="0.5"/>'
            )
            out.append(f'<text x="{x + 10}" y="{y + 18}" font-size="13" font-weight="bold">{escape(purpose)}</text>')
            shown = " · ".join(names.split())
            out.append(
                f'<text x="{x + 10}" y="{y + 36}" font-size="10" font-family="monospace" fill="#333">{shown}</text>'
            )
    out.append(
        f'<text x="{LEFT}" y="{bottom + 20}" font-size="12" fill="#555">'
        "paper_figures stands on both; the command line alone reaches from cogfit to theory</text>"
    )
    return "\n".join([*out, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(svg(), encoding="utf-8")
