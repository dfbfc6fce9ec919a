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
