"""Machine-checked proofs: no holes, in step with the texts, as recorded, and honest about where they were checked."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path

import pytest

from cogfit import cli
from theory.bounds import theorems
from theory.claims import CLAIMS
from theory.proofs.rocq import record
from theory.proofs.rocq.__main__ import main
from theory.proofs.rocq.statements import holes, modules, plain, source, statements

ROOT = Path(__file__).resolve().parents[3]
MODULES = {t.id: f"theory/bounds/{t.module}.py" for t in theorems()} | {
    claim.id: f"theory/claims/{claim.id.replace('-', '_')}.py" for claim in CLAIMS
}
PAGES = {claim: "docs/theory.md" if claim.startswith("T") else "docs/claims.md" for claim in MODULES}
WITH_A_PAGE = [(s, claim) for s in statements() for claim in s.claims if claim in MODULES]


def names(pairs):
    return [f"{statement.full_name}-{claim}" for statement, claim in pairs]


@pytest.mark.parametrize("module", modules())
def test_no_file_has_a_hole(module):
    assert holes(source(module).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(("statement", "claim"), WITH_A_PAGE, ids=names(WITH_A_PAGE))
def test_a_statement_quotes_the_page_and_the_docstring_as_they_stand(statement, claim):
    page = (ROOT / PAGES[claim]).read_text(encoding="utf-8")
    if claim.startswith("T"):
        (page,) = re.findall(rf"(?ms)^## {claim}\..*?(?=^## |\Z)", page)
    assert statement.english
    assert statement.english in plain(page)
    docstring = ast.get_docstring(ast.parse((ROOT / MODULES[claim]).read_text(encoding="utf-8"))) or ""
    assert statement.python
    assert statement.python in plain(docstring)
    assert statement.scope


def test_the_record_is_that_of_these_files_and_statements():
    document = record.load()
    assert document["files"] == record.digests(), "run make proofs-record where there is a prover"
    assert set(document["statements"]) == {s.full_name for s in statements()}
    assert {name: tuple(entry["claims"]) for name, entry in document["statements"].items()} == {
        s.full_name: s.claims for s in statements()
    }


def test_only_the_real_numbers_of_t5_and_t8_rest_on_axioms():
    document = record.load()
    resting = {name: record.axioms(document, name) for name in document["statements"]}
    assert {name.split(".")[0] for name, axioms in resting.items() if axioms} <= {
        "t5_static_routers",
        "t8_static_price",
    }
    for axioms in filter(None, resting.values()):
        assert set(re.findall(r"(\S+\.\S+) :", axioms)) <= {
            "ClassicalDedekindReals.sig_not_dec",
            "ClassicalDedekindReals.sig_forall_dec",
            "FunctionalExtensionality.functional_extensionality_dep",
        }


def test_a_changed_file_is_no_longer_checked_as_recorded(monkeypatch):
    assert record.standing("T1") == "kernel-checked as recorded"
    monkeypatch.setattr(record, "digests", lambda: record.load()["files"] | {"t1_memoryless": "0" * 64})
    assert record.standing("T1") == ""
    assert record.standing("T1", here=["T1"]) == "kernel-checked here"


def test_without_a_prover_one_line_says_so_or_it_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr("sys.argv", ["rocq"])
    monkeypatch.delenv("COGFIT_REQUIRE_PROOFS", raising=False)
    assert main() == 0
    shown = capsys.readouterr().out
    assert shown.startswith("SKIPPED: proofs")
    assert shown.count("\n") == 1
    monkeypatch.setenv("COGFIT_REQUIRE_PROOFS", "1")
    assert main() == 2


@pytest.mark.parametrize(
    "text",
    [
        "Lemma a : True. Admitted.",
        "Axiom a : False.",
        "Parameter a : nat.",
        "Goal True. admit. Abort.",
        "(* (* nested *) *) Conjecture a : False.",
    ],
)
def test_holes_are_found(text):
    assert holes(text)


def test_words_in_comments_are_no_holes():
    assert holes("(* no Axiom (* and nothing Admitted *) here *) Lemma parameter_free : True.") == []


def test_the_documentation_shows_the_table_of_the_record():
    assert record.table() in (ROOT / "docs" / "machine-checked.md").read_text(encoding="utf-8")


def test_the_command_says_as_recorded_and_never_here_without_having_checked(tmp_path, capfd):
    file = tmp_path / "verdicts.json"
    assert cli.main(["theory", "check", "cram-static", "cram-opt", "--json", str(file)]) == 0
    shown = capfd.readouterr().out
    assert "as recorded" in shown
    assert "here" not in shown
    kernels = [entry["kernel"] for entry in json.loads(file.read_text(encoding="utf-8"))["verdicts"]]
    assert kernels == ["kernel-checked as recorded", ""]


def test_the_command_shows_the_scope_in_full(capfd):
    assert cli.main(["theory", "check", "cram-static"]) == 0
    shown = " ".join(capfd.readouterr().out.split())
    (statement,) = record.covering("cram-static")
    assert f"kernel: kernel-checked as recorded {statement.full_name}: {statement.scope}" in shown


def test_without_a_prover_the_command_says_how_to_get_one(monkeypatch, capfd):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert cli.main(["theory", "check", "cram-static", "--rocq"]) == 2
    assert "apt-get install" in capfd.readouterr().err
