"""What was recorded of facts and of the encoder stands in the pages of the documentation, and is described."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cogfit.files import data_dir
from theory.lm import practice_records, retention_records

DOCS = Path(__file__).resolve().parents[3] / "docs"
STUDIES: list[tuple[Any, str]] = [
    (records, page)
    for records, page in (
        (practice_records, "practice-of-facts.md"),
        (retention_records, "encoder-retention.md"),
    )
    if (data_dir() / "runs" / records.RECORDED).exists()
]


@pytest.mark.parametrize(("records", "page"), STUDIES)
def test_the_tables_of_a_page_are_those_of_the_record(records: Any, page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for title, rows in records.shown_tables(data_dir() / "runs" / records.RECORDED):
        for row in rows:
            assert f"| {' | '.join(row)} |" in text, (title, row)


@pytest.mark.parametrize("records", [records for records, _ in STUDIES])
def test_files_of_a_record_are_what_its_description_says(records: Any) -> None:
    folder = data_dir() / "runs" / records.RECORDED
    document = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert (document["name"], document["kind"]) == (folder.name, records.KIND)
    assert {path.name for path in folder.iterdir()} - {"run.json"} == {entry["path"] for entry in document["files"]}
    for entry in document["files"]:
        path = folder / entry["path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"]
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        assert len(table) == entry["rows"]
        assert list(table.columns) == [column["name"] for column in entry["columns"]]
        assert all(column["meaning"] for column in entry["columns"])
    for unit in document["units"].values():
        assert unit["cpu"] > 0
        assert len(unit["code_revision"]) == 40  # made by committed code


def _row(rows: list[list[str]], *begin: str) -> list[str]:
    """The row of a table that begins with these cells."""
    (found,) = [row for row in rows if tuple(row[: len(begin)]) == begin]
    return found


def said_of_facts() -> list[str]:
    """Sentences of the page on facts, with the numbers of its tables."""
    folder = data_dir() / "runs" / practice_records.RECORDED
    tables = dict(practice_records.shown_tables(folder))
    practice, forgetting, forms = tables["Practice"], tables["Forgetting"], tables["Forms"]
    verdicts = [row[forms[0].index("power law")] for row in forms[1:]]

    def recall(cell: str, shown: int) -> str:
        return _row(practice, cell, str(shown))[3].split()[0]

    def net(cell: str, exposures: int) -> list[float]:
        return [float(each.split()[0]) for each in _row(forgetting, cell, str(exposures))[3:]]

    main = net("main", 32)
    return [
        f"After 32 presentations a net recall of {main[0]:.2f} falls to {main[2]:.2f} in a hundred updates",
        f"after a thousand updates it is {net('other-template', 32)[3]:.2f} and {net('prose', 32)[3]:.2f}, "
        f"from {net('prose', 32)[0]:.2f}",
        f"In the main cell {main[3]:.2f} is left after a thousand updates",
        f"Of {len(verdicts)} fits the power law is supported in {verdicts.count('supported')}, "
        f"refused in {verdicts.count('not supported')}",
        f"is {recall('main', 16)} at sixteen",
        f"two sentences an update reach {recall('batch-2', 16)} at sixteen presentations, and "
        f"{net('batch-2', 32)[4]:.0f} % of the net recall is left after a thousand updates (main: {main[4]:.0f} %). "
        f"Sixteen reach {recall('batch-16', 16)} at sixteen",
        f"(recall {recall('sgd', 31)}, recognition {_row(practice, 'sgd', '31')[5].split()[0]} after 31)",
        f"{net('main', 8)[4]:.0f} % of the maximum after 8 presentations, {main[4]:.0f} % after 32",
        f"{recall('paraphrases', 16)} at sixteen presentations and {recall('paraphrases', 31)} at 31, beside "
        f"{recall('main', 16)} and {recall('main', 31)} in one sentence",
    ]


def test_what_is_said_of_facts_is_what_the_tables_hold() -> None:
    text = " ".join((DOCS / "practice-of-facts.md").read_text(encoding="utf-8").split())
    assert [sentence for sentence in said_of_facts() if sentence not in text] == []
