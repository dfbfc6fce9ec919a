"""The documentation: links lead somewhere, its programs run, pages and pictures keep up with the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))

import architecture_picture  # noqa: E402

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
WITH_PROGRAMS = ("start.md", "fitting-your-log.md")
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]*(?:\([^()]*\))?[^()\s]*)\)")


def prose(page: Path) -> str:
    """Text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, made as GitHub makes them."""
    out: set[str] = set()
    for title in re.findall(r"^#{1,6} (.+?)\s*$", prose(page), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower()).replace(" ", "-")
        count = 0
        while (name := slug if not count else f"{slug}-{count}") in out:
            count += 1
        out.add(name)
    return out


def broken(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere."""
    out = []
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = unquote(target).partition("#")
        path = (page.parent / file).resolve() if file else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors(path)):
            out.append(target)
    return out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_and_anchors_lead_somewhere(page):
    assert broken(page) == []


def test_a_broken_link_or_anchor_is_found(tmp_path):
    (tmp_path / "other.md").write_text("# One & two\n\n```sh\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text("# T\n[a](other.md#one--two) [b](other.md#no-heading) [c](none.md) [d](#t) [e](https://x.org/y)\n")
    assert broken(page) == ["other.md#no-heading", "none.md"]


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_PROGRAMS)
def test_programs_of_the_guides_run(name, tmp_path):
    text = (DOCS / name).read_text(encoding="utf-8")
    programs = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert programs
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(programs)], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "PYTHONWARNINGS": "error::DeprecationWarning:__main__"},
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_every_page_is_in_the_table_of_contents():
    contents = (DOCS / "index.md").read_text(encoding="utf-8").split("\n")
    assert [page.stem for page in DOCS.glob("*.md") if page.stem != "index" and page.stem not in contents] == []


def test_examples_compile_and_have_a_title_and_something_to_see():
    examples = sorted((DOCS / "examples").rglob("*.py"))
    assert len(examples) >= 10
    for path in examples:
        text = path.read_text(encoding="utf-8")
        compile(text, path, "exec")
        assert re.match(r'"""\n(.+)\n=+\n', text), path
        assert "subplots(" in text, path
        assert path.parent.name != "pitfalls" or "# What to do: " in text, path


def test_settings_of_the_task_the_loop_and_the_models_are_described():
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from theory.models.registry import kinds
    from theory.tasks.srcd import SRCD
    from theory.training.setup import Training

    page = (DOCS / "configs.md").read_text(encoding="utf-8")
    groups = re.split(r"^## ", page, flags=re.MULTILINE)
    for group, settings in (("`[data]`", SRCD.model_fields), ("`[training]`", Training.model_fields)):
        (section,) = (part for part in groups if part.startswith(group))
        rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
        told = {name: value for names, values in rows for name, value in pairs(names, values)}
        assert told == {name: field.default for name, field in settings.items()}
    (section,) = (part for part in groups if part.startswith("`[model]`"))
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == set(kinds())


def pairs(names: str, values: str) -> list[tuple[str, object]]:
    """Settings of a row of the table with their defaults."""
    plain = [value.strip().strip("`") for value in values.split(",")]
    read = [value.strip('"') if value.startswith('"') else float(value) for value in plain]
    return list(zip(re.findall(r"`(\w+)`", names), read, strict=True))


@pytest.mark.parametrize("package", architecture_picture.PACKAGES)
def test_every_folder_and_module_has_its_floor(package):
    (contract,) = (item for item in architecture_picture.contracts() if item.get("containers") == [package])
    assert contract["exhaustive"] is True
    on_a_floor = [name for floor in architecture_picture.floors(package) for name in floor.names]
    there = {path.stem for path in (ROOT / package).glob("*.py")} - {"__init__"}
    there |= {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert sorted(on_a_floor) == sorted(there)


def test_the_picture_of_the_architecture_is_current():
    drawn = architecture_picture.PICTURE.read_text(encoding="utf-8")
    assert drawn == architecture_picture.svg(), "run: make architecture"


def test_the_tables_of_the_architecture_are_current():
    text = architecture_picture.PAGE.read_text(encoding="utf-8")
    assert text == architecture_picture.page(text), "run: make architecture"


def test_a_floor_or_sentence_that_has_changed_is_seen(monkeypatch, tmp_path):
    text, drawn = (
        architecture_picture.page(architecture_picture.PAGE.read_text(encoding="utf-8")),
        architecture_picture.svg(),
    )
    monkeypatch.setattr(architecture_picture, "sentence", lambda path: "Something else")
    assert architecture_picture.page(text) != text
    assert architecture_picture.svg() != drawn


def test_sentences_are_the_first_lines_of_docstrings_as_markdown(tmp_path):
    path = tmp_path / "a.py"
    path.write_text('"""Write :class:`~cogfit.result.FitResult` by ``fit``.\n\nMore.\n"""\n')
    assert architecture_picture.sentence(path) == "Write `FitResult` by `fit`"


# A group of entry points, which looks like the name of a module.
NO_MODULES = {"cogfit.formats"}


def unknown_names(text: str) -> list[str]:
    """Files, folders and dotted names of the packages that a page mentions in `code` and that do not exist."""
    out = []
    for path in re.findall(
        r"(?:cogfit|theory|paper_figures|benchmarks|tests)/[\w./]*\w\.py|(?:cogfit|theory)/[\w/]+/(?=`)", text
    ):
        is_placeholder = re.search(r"NAME|FAMILY", path)
        if not is_placeholder and not (ROOT / path).exists():
            out.append(path)
    for dotted in re.findall(r"`~?((?:cogfit|theory|paper_figures)(?:\.\w+)+)`", text):
        parts = dotted.split(".")
        files = [ROOT.joinpath(*parts[:i]) for i in range(1, len(parts) + 1)]
        depth = max(i for i, file in enumerate(files, 1) if file.is_dir() or file.with_suffix(".py").is_file())
        file = files[depth - 1]
        code = (file / "__init__.py" if file.is_dir() else file.with_suffix(".py")).read_text(encoding="utf-8")
        if dotted not in NO_MODULES and not all(re.search(rf"\b{name}\b", code) for name in parts[depth:]):
            out.append(dotted)
    return out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_and_names_that_a_page_mentions_exist(page):
    assert unknown_names(page.read_text(encoding="utf-8")) == []


SOURCES = [path for name in ("cogfit", "theory", "paper_figures") for path in sorted((ROOT / name).rglob("*.py"))]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_that_a_docstring_refers_to_exist(path):
    roles = re.findall(r":\w+:`~?\.?(?:cogfit|theory|paper_figures)\.[\w.]+`", path.read_text(encoding="utf-8"))
    assert unknown_names(" ".join(roles)) == []


def test_a_name_that_does_not_exist_is_found():
    text = "`cogfit/files.py` `cogfit/none.py` `theory/none/` `cogfit.fit` `cogfit.result.none_such` `theory.bounds`"
    assert unknown_names(text) == ["cogfit/none.py", "theory/none/", "cogfit.result.none_such"]


@pytest.mark.long
def test_the_page_for_r_runs_where_r_is(tmp_path):
    rscript = shutil.which("Rscript")
    asked = [rscript or "", "-e", "library(reticulate)"]
    if rscript is None or subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("needs R and its package reticulate")
    text = (DOCS / "from-r.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"^```r\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    (tmp_path / "page.R").write_text(program, encoding="utf-8")
    environment = os.environ | {"RETICULATE_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    command = [rscript, "page.R"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "[1] TRUE" in done.stdout  # a fit equals the one that was saved
    assert re.search(r"r_decay: a = 0\.9.*, b = 0\.(0\d|1)", done.stdout), done.stdout
