"""Check that no tracked file holds the marks of a merge that was not finished.

    python tests/project/merge_marks.py [FILE ...]

Without arguments every file that git tracks is read; files that are no UTF-8 text are passed over.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BEGIN, BETWEEN, END = "<" * 7 + " ", "=" * 7, ">" * 7 + " "


def marked_lines(text: str) -> list[int]:
    """Numbers of the lines that are merge marks; a line of ``=`` is one only after a beginning."""
    out = []
    is_open = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith((BEGIN, END)):
            is_open = line.startswith(BEGIN)
            out.append(number)
        elif is_open and line == BETWEEN:
            out.append(number)
    return out


def tracked_files(root: Path) -> list[Path]:
    """Every file that git tracks and that is there."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True).stdout
    paths = (root / name for name in listed.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def complaints(paths: Iterable[Path]) -> list[str]:
    """File and line of each mark."""
    out = []
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        out += [f"{path}:{number}: mark of an unfinished merge" for number in marked_lines(text)]
    return out


def main(names: list[str]) -> int:
    """Print the marks and return the exit code."""
    messages = complaints(map(Path, names) if names else tracked_files(ROOT))
    print("\n".join(messages) if messages else "No marks of a merge.")
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
