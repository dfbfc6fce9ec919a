"""What a kernel has checked, here or as recorded.

The file ``record.json`` holds, for every covered statement, the digest of the files it rests on, the statement and the
axioms as the prover prints them, and the versions of prover and libraries. It is written by
``python -m theory.proofs.rocq --record`` and compared with the files by a test.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cogfit.errors import InputError
from cogfit.files import write_atomic
from cogfit.progress import Progress
from theory.proofs.certificates import Document
from theory.proofs.rocq import export, prover
from theory.proofs.rocq.prover import Prover
from theory.proofs.rocq.statements import FOLDER, Statement, modules, source, statements

SCHEMA = "theory.rocq/1"
RECORD = FOLDER / "record.json"

FOR_CERTIFICATES = ("documents", "streams")
"""Files in whose terms certificates are exported."""

CHECKED = "checked by the kernel"
REFUSED = "refused by the kernel"

Standing = Literal["kernel-checked here", "kernel-checked as recorded", ""]


@dataclass(frozen=True)
class Session:
    """A folder in which the kernel has checked the files.

    Attributes
    ----------
    prover : Prover
    folder : Path
        The compiled files; removed at the end.
    """

    prover: Prover
    folder: Path


@contextmanager
def checked(wanted: Iterable[str] | None = None, progress: Progress | None = None) -> Iterator[Session]:
    """Let the kernel check files in a new folder.

    Parameters
    ----------
    wanted : iterable of str, optional
        These and what they need; default: all.
    progress : callable, optional

    Raises
    ------
    NoProverError
        If there is no prover.
    InputError
        If the kernel refuses a file.
    """
    with tempfile.TemporaryDirectory(prefix="cogfit-proofs-") as name:
        folder = Path(name)
        found = prover.find_prover(folder)
        order = modules(wanted)
        for done, module in enumerate(order):
            if progress is not None:
                progress(done, len(order), f"{module}.v")
            shutil.copyfile(source(module), folder / f"{module}.v")
            prover.check_files(found, folder, [f"{module}.v"])
        yield Session(found, folder)


def describe(session: Session) -> dict[str, Any]:
    """The record of a session."""
    covered = statements()
    answers: dict[str, str] = {}
    for module in sorted({s.module for s in covered}):
        names = [s.name for s in covered if s.module == module]
        commands = {f"check {module}.{name}": f"Check {name}" for name in names}
        commands |= {f"axioms {module}.{name}": f"Print Assumptions {name}" for name in names}
        answers |= prover.ask(session.prover, session.folder, module, commands)
    return {
        "schema": SCHEMA,
        "prover": session.prover.version,
        "libraries": dict(session.prover.libraries),
        "files": digests(session.folder),
        "statements": {
            s.full_name: {
                "claims": list(s.claims),
                "check": answers[f"check {s.full_name}"],
                "axioms": answers[f"axioms {s.full_name}"],
            }
            for s in covered
        },
    }


def digests(folder: Path = FOLDER) -> dict[str, str]:
    """SHA-256 of every file of proofs.

    Those in ``folder``: what was checked, or what is here.
    """
    return {module: hashlib.sha256((folder / f"{module}.v").read_bytes()).hexdigest() for module in sorted(modules())}


def load() -> dict[str, Any]:
    """The committed record."""
    document: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return document


def save(document: Mapping[str, Any]) -> None:
    """Write the record."""
    write_atomic(RECORD, json.dumps(document, ensure_ascii=False, indent=1) + "\n")


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Files and statements in which two records differ.

    Another version of the prover may print the same statement in another way: then only axioms are compared.

    Examples
    --------
    >>> old = {"prover": "8.16", "files": {"a": "1"}, "statements": {"a.b": {"check": "x = x", "axioms": "none"}}}
    >>> differences(old, old | {"prover": "9.0", "statements": {"a.b": {"check": "eq x x", "axioms": "none"}}})
    []
    >>> differences(old, old | {"files": {"a": "2"}})
    ['file a']
    """
    if not old:
        return ["everything: nothing is recorded"]
    compared = ("check", "axioms") if old["prover"] == new["prover"] else ("axioms",)
    before, after = (
        {f"file {name}": digest for name, digest in document["files"].items()}
        | {f"statement {name}": [s[part] for part in compared] for name, s in document["statements"].items()}
        for document in (old, new)
    )
    return [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]


def check_certificate(session: Session, document: Document) -> list[tuple[str, str]]:
    """Let the kernel check a certificate, part by part.

    Parameters
    ----------
    session : Session
    document : Mapping

    Returns
    -------
    list of (str, str)
        Title and outcome of every part: :data:`CHECKED`, :data:`REFUSED` with what the kernel says, or why the part is
        not for it.
    """
    outcomes = []
    for i, part in enumerate(export.parts(document)):
        title = ": ".join(str(part[name]) for name in ("kind", "title") if part.get(name))
        outcomes.append((title, _outcome(session, part, f"certificate{i}.v")))
    return outcomes


def _outcome(session: Session, part: Document, name: str) -> str:
    if part.get("kind") not in export.KINDS:
        return "not for the kernel: no certificate of this kind is"
    try:
        text = export.exported(part)
    except InputError as error:
        return f"not for the kernel: {error}"
    (session.folder / name).write_text(text, encoding="utf-8")
    try:
        prover.check_files(session.prover, session.folder, [name])
    except InputError as error:
        return f"{REFUSED}: {error.what}"
    return CHECKED


def covering(claim: str) -> list[Statement]:
    """Statements that cover part of a theorem or claim."""
    return [statement for statement in statements() if claim in statement.claims]


def is_recorded(claim: str) -> bool:
    """Whether the record covers a claim.

    And the files are those recorded.
    """
    names = [statement.full_name for statement in covering(claim)]
    document = load()
    return bool(names) and document["files"] == digests() and set(names) <= set(document["statements"])


def standing(claim: str, here: Iterable[str] = ()) -> Standing:
    """What may be said about a theorem or claim.

    Parameters
    ----------
    claim : str
        Its identifier.
    here : iterable of str
        Claims whose statements the kernel of this machine has just checked.

    Returns
    -------
    str
        Empty where no statement covers it, or the files are not those recorded.

    Examples
    --------
    >>> standing("T1", here=["T1"]), standing("T1"), standing("no such claim")
    ('kernel-checked here', 'kernel-checked as recorded', '')
    """
    if claim in here:
        return "kernel-checked here"
    return "kernel-checked as recorded" if is_recorded(claim) else ""


def axioms(document: Mapping[str, Any], statement: str) -> str:
    """Axioms that a recorded statement rests on.

    Empty for none.

    Examples
    --------
    >>> axioms({"statements": {"a.b": {"axioms": "Closed under the global context"}}}, "a.b")
    ''
    """
    printed: str = document["statements"][statement]["axioms"]
    return "" if printed == "Closed under the global context" else printed.removeprefix("Axioms: ")


def table() -> str:
    """What is machine-checked, as the table of the documentation."""
    document = load()
    rows = ["| | statement | covers | axioms |", "|---|---|---|---|"]
    for statement in statements():
        resting = axioms(document, statement.full_name)
        kind = "those of the real numbers" if resting else "none"
        sentence = f"*{statement.english}.* " if statement.english else ""
        scope = statement.scope[:1].upper() + statement.scope[1:]
        cell = f"{sentence}{scope}".replace("|", "\\|")
        rows.append(f"| {', '.join(statement.claims)} | `{statement.full_name}` | {cell} | {kind} |")
    return "\n".join(rows)
