"""Which sentences the machine-checked statements cover.

Each covered statement of a file ``*.v`` follows a comment ``(*| T1 ... *)`` that names the theorem or claim, quotes the
sentence of the documentation and the one of the Python docstring, and says in what scope it is covered. The quotes are
compared with both texts by a test, so that the three cannot drift apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

FOLDER = Path(__file__).parent
LIBRARY = "Cogfit"

_STATEMENT = re.compile(
    r"\(\*\|\s*(?P<claims>[^\n]+)\n(?P<body>.*?)\*\)\s*(?:Theorem|Corollary|Lemma)\s+(?P<name>\w+)", re.DOTALL
)
_QUOTE = r'{}: "(?P<quote>.*?)"\n'
_SCOPE = re.compile(r"Scope: (?P<scope>.*)", re.DOTALL)
_REQUIRE = re.compile(rf"From {LIBRARY} Require Import ([\w ]+)\.")
_HOLES = ("Admitted", "admit", "Abort", "Axiom", "Axioms", "Conjecture", "Parameter", "Parameters", "give_up")


@dataclass(frozen=True)
class Statement:
    """A machine-checked statement and what it covers.

    Attributes
    ----------
    claims : tuple of str
        Theorems (``"T1"``) or claims (``"cram-static"``) that it belongs to.
    module, name : str
        File without ``.v``, and name in it.
    english, python : str
        The sentence of the documentation, and of the docstring, that it covers. Empty for statements of no page yet.
    scope : str
        How much of them.
    """

    claims: tuple[str, ...]
    module: str
    name: str
    english: str
    python: str
    scope: str

    @property
    def full_name(self) -> str:
        """Name with its module."""
        return f"{self.module}.{self.name}"


def modules(wanted: Iterable[str] | None = None) -> tuple[str, ...]:
    """Files of proofs, each after those that it needs.

    Parameters
    ----------
    wanted : iterable of str, optional
        Only these and what they need; default: all.

    Examples
    --------
    >>> modules(["t9_drift"])
    ('finite', 't3_compulsory', 't9_drift')
    """
    everything = sorted(path.stem for path in FOLDER.glob("*.v"))
    needs = {name: _needs(name) for name in everything}
    reached, ahead = set[str](), list(everything if wanted is None else wanted)
    while ahead:
        name = ahead.pop()
        reached.add(name)
        ahead += [other for other in needs[name] if other not in reached]
    order = TopologicalSorter({name: needs[name] for name in everything}).static_order()
    return tuple(name for name in order if name in reached)


def _needs(module: str) -> list[str]:
    lines: list[str] = _REQUIRE.findall(source(module).read_text(encoding="utf-8"))
    return [word for line in lines for word in line.split()]


def source(module: str) -> Path:
    """The file of a module."""
    return FOLDER / f"{module}.v"


def statements() -> tuple[Statement, ...]:
    """All covered statements, in the order of the files.

    Examples
    --------
    >>> {"T1", "T2", "T3"} <= {claim for statement in statements() for claim in statement.claims}
    True
    """
    found = [s for module in modules() for s in _in_text(module, source(module).read_text(encoding="utf-8"))]
    return tuple(sorted(found, key=lambda s: (s.claims, s.full_name)))


def _in_text(module: str, text: str) -> Iterator[Statement]:
    for match in _STATEMENT.finditer(text):
        body = match["body"]
        scope = _SCOPE.search(body)
        yield Statement(
            claims=tuple(match["claims"].split()),
            module=module,
            name=match["name"],
            english=_quoted(body, "English"),
            python=_quoted(body, "Python"),
            scope=" ".join(scope["scope"].split()) if scope else "",
        )


def _quoted(body: str, language: str) -> str:
    match = re.search(_QUOTE.format(language), body, re.DOTALL)
    return plain(match["quote"]) if match else ""


def plain(text: str) -> str:
    """Text without markup and line breaks.

    Examples
    --------
    >>> plain("**α ≥ 1 − Q** (*i*)")
    'α ≥ 1 − Q (i)'
    """
    return " ".join(re.sub(r"[*\\`]", "", re.sub(r"(?m)^\s*>", " ", text)).split())


def holes(text: str) -> list[str]:
    """Words in a file that would leave a hole.

    Examples
    --------
    >>> holes("(* no Axiom *) Lemma x : 1 = 2. Admitted.")
    ['Admitted']
    """
    code = _without_comments(text)
    return [word for word in _HOLES if re.search(rf"\b{word}\b", code)]


def _without_comments(text: str) -> str:
    """The text without comments, which may be nested."""
    kept, depth = [], 0
    for part in re.split(r"(\(\*|\*\))", text):
        if part == "(*":
            depth += 1
        elif part == "*)":
            depth -= 1
        elif not depth:
            kept.append(part)
    return "".join(kept)
