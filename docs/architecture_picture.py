"""Draw docs/images/architecture.svg and fill in the tables of docs/architecture.md.

    python docs/architecture_picture.py

Floors come from the import contracts in pyproject.toml, what a folder or module is for from the first line of its
docstring. Neither stands anywhere else; tests/project/test_docs.py checks that picture and tables are current.
"""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = ("cogfit", "theory")
ABOVE = "paper_figures"


@dataclass(frozen=True)
class Floor:
    """Modules that stand beside each other.

    Attributes
    ----------
    names : tuple of str
        Modules or folders, without their package.
    is_independent : bool
        Whether they must not see each other.
    """

    names: tuple[str, ...]
    is_independent: bool


def contracts() -> list[dict[str, object]]:
    """All contracts of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    every: list[dict[str, object]] = project["tool"]["importlinter"]["contracts"]
    return every


def floors(package: str) -> list[Floor]:
    """Floors of a package from the top; names in parentheses only where the module exists."""
    (lines,) = (item["layers"] for item in contracts() if item.get("containers") == [package])
    assert isinstance(lines, list)
    out = []
    for line in lines:
        names = [name.strip() for name in re.split(r"[|:]", line)]
        there = [name.strip("()") for name in names if not name.startswith("(") or file_of(package, name.strip("()"))]
        out.append(Floor(tuple(there), "|" in line))
    return [floor for floor in out if floor.names]


def file_of(package: str, name: str) -> Path | None:
    """File that holds the docstring of a module or folder."""
    folder = ROOT / package / name
    return next((path for path in (folder / "__init__.py", folder.with_suffix(".py")) if path.is_file()), None)


def sentence(path: Path) -> str:
    """First line of the docstring of a file, as plain Markdown."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert text, f"{path} has no docstring"
    line = text.splitlines()[0].strip().rstrip(".")
    line = re.sub(r":\w+:`~?([\w.]+)`", lambda match: f"`{match[1].rsplit('.', 1)[-1]}`", line)
    return line.replace("``", "`")


def described(package: str, name: str) -> str:
    """What a module or folder is for."""
    path = file_of(package, name)
    assert path is not None, f"{package}.{name} stands in a contract and does not exist"
    return sentence(path)


def table(package: str) -> str:
    """Floors of a package as a Markdown table, the ground last."""
    every = floors(package)
    lines = ["| floor | folder or file | what it is for |", "|---|---|---|"]
    for number, floor in zip(range(len(every), 0, -1), every, strict=True):
        for name in floor.names:
            path = file_of(package, name)
            is_folder = path is not None and path.name == "__init__.py"
            shown = f"`{name}/`" if is_folder else f"`{name}`"
            note = " †" if floor.is_independent else ""
            lines.append(f"| {number}{note} | {shown} | {described(package, name)} |")
    return "\n".join(lines)


def rules() -> str:
    """The contracts as a Markdown list, each with its number of exceptions."""
    out = []
    for item in contracts():
        ignored = item.get("ignore_imports", [])
        assert isinstance(ignored, list)
        out.append(f"- {item['name']}" + (f" (let through: {len(ignored)})" if ignored else ""))
    return "\n".join(out)


def page(text: str) -> str:
    """The page with its tables made anew, between ``<!--NAME-->`` and ``<!--/NAME-->``."""
    parts = {package.upper(): table(package) for package in PACKAGES}
    parts |= {"RULES": rules(), "ABOVE": f"`{ABOVE}/`: {sentence(ROOT / ABOVE / '__init__.py')}."}
    for name, part in parts.items():
        begin, end = f"<!--{name}-->\n", f"<!--/{name}-->"
        made = begin + part + "\n" + end
        text, count = re.subn(f"{begin}.*?{end}", lambda _, made=made: made, text, flags=re.DOTALL)
        assert count == 1, f"{PAGE} has {count} parts named {name}"
    return text


WIDTH, LINE, PAD, GAP, LEFT, TOP = 620, 15, 8, 6, 20, 64
NAME_WIDTH, LETTERS = 96, 82
COLORS = {"cogfit": "#0072B2", "theory": "#D55E00"}
NOTES = {"cogfit": "a file imports only from its own floor and those below", "theory": "on the public face of cogfit"}


def lines_of(package: str, floor: Floor) -> list[tuple[str, str]]:
    """Lines of a floor in the picture: name, or nothing where a sentence goes on, and text."""
    out = []
    for name in floor.names:
        first, *others = textwrap.wrap(described(package, name).replace("`", ""), LETTERS)
        out += [(name, first), *(("", line) for line in others)]
    return out


def drawn(package: str, floor: Floor, x: int, y: int, height: int) -> list[str]:
    """One floor as SVG."""
    color = COLORS[package]
    out = [
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{height}" rx="5" fill="{color}" fill-opacity="0.1" '
        f'stroke="{color}" stroke-opacity="0.5"/>'
    ]
    for number, (name, text) in enumerate(lines_of(package, floor)):
        at = y + PAD + LINE * number + 11
        if name and number and floor.is_independent:
            # They must not see each other: a dashed line between them.
            out.append(
                f'<line x1="{x}" x2="{x + WIDTH}" y1="{at - 12}" y2="{at - 12}" stroke="{color}" '
                'stroke-opacity="0.5" stroke-dasharray="3 3"/>'
            )
        if name:
            out.append(
                f'<text x="{x + 10}" y="{at}" font-size="11" font-weight="bold" font-family="monospace">{name}</text>'
            )
        out.append(f'<text x="{x + 10 + NAME_WIDTH}" y="{at}" font-size="11" fill="#333">{escape(text)}</text>')
    return out


def svg() -> str:
    """The picture."""
    heights = {
        package: [2 * PAD + LINE * len(lines_of(package, floor)) for floor in floors(package)] for package in PACKAGES
    }
    bottom = TOP + max(sum(column) + GAP * len(column) for column in heights.values())
    width = 2 * (WIDTH + LEFT) + LEFT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 30}" font-family="sans-serif" '
        'role="img" aria-label="Floors of cogfit and theory">',
        f'<rect width="{width}" height="{bottom + 30}" fill="white"/>',
    ]
    for column, package in enumerate(PACKAGES):
        x = LEFT + column * (WIDTH + LEFT)
        out.append(
            f'<text x="{x}" y="{TOP - 36}" font-size="17" font-weight="bold" fill="{COLORS[package]}">{package}</text>'
        )
        out.append(f'<text x="{x}" y="{TOP - 16}" font-size="12" fill="#555">{escape(NOTES[package])}</text>')
        # Both packages stand on the same ground, so the shorter one begins lower.
        y = bottom - sum(heights[package]) - GAP * len(heights[package])
        for floor, height in zip(floors(package), heights[package], strict=True):
            out += drawn(package, floor, x, y, height)
            y += height + GAP
    out.append(
        f'<text x="{LEFT}" y="{bottom + 20}" font-size="12" fill="#555">'
        "paper_figures stands on both; the commands alone reach from cogfit to theory; "
        "a dashed line: neither sees the other</text>"
    )
    return "\n".join([*out, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(svg(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
