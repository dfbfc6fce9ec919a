"""The tutorial: its cells run, and what is printed below them is what they print now."""

from __future__ import annotations

import ast
import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "tutorial.ipynb"
NUMBER = re.compile(r"-?\d+\.\d+")


def code_cells() -> list[dict[str, Any]]:
    cells = json.loads(TUTORIAL.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def as_program(cells: list[dict[str, Any]]) -> str:
    """The cells as one program that appends what each of them shows to `shown`."""
    program = ["import contextlib, io", "shown = []"]
    for cell in cells:
        body = ast.parse("".join(cell["source"])).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        program += ["_out = io.StringIO()", "with contextlib.redirect_stdout(_out):"]
        program += [f"    {line}" for node in body for line in ast.unparse(node).splitlines()] or ["    pass"]
        program += [f"    _value = {ast.unparse(last) if last else None}", "shown.append((_out.getvalue(), _value))"]
    return "\n".join(program)


def stored(cell: dict[str, Any], kind: str) -> str:
    texts = [output.get("text") or output["data"].get("text/plain", "") for output in cell["outputs"]
             if output["output_type"] == kind]  # fmt: skip
    return "".join("".join(text) for text in texts)


def assert_alike(now: str, before: str) -> None:
    """Compare texts, their numbers to some digits: other processors round otherwise."""
    assert NUMBER.sub("#", now) == NUMBER.sub("#", before)
    for new, old in zip(NUMBER.findall(now), NUMBER.findall(before), strict=True):
        assert float(new) == pytest.approx(float(old), rel=0.02, abs=0.02)


@pytest.mark.slow
def test_the_cells_of_the_tutorial_show_what_is_stored_below_them(tmp_path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    cells = code_cells()
    (tmp_path / "tutorial.py").write_text(as_program(cells), encoding="utf-8")
    shown = runpy.run_path(str(tmp_path / "tutorial.py"))["shown"]
    assert len(shown) == len(cells) >= 10
    for cell, (printed, value) in zip(cells, shown, strict=True):
        assert_alike(printed.strip(), stored(cell, "stream").strip())
        result = stored(cell, "execute_result")
        if result:
            assert_alike(repr(value), result)
