"""Verify an SMT-LIB 2 script (kind ``smt``).

Its satisfiability is decided again by z3.

``script``: the text. ``expect``: ``"unsat"`` or ``"sat"``. ``seconds``: time allowed (default 20). Only declarations,
definitions and assertions are let through, because a script could otherwise read and write files. "unknown" is never
taken for an answer.
"""

from __future__ import annotations

import re

from cogfit.errors import InputError, MissingDependencyError
from theory.proofs.certificates import Check, Document, entry

_COMMANDS = frozenset(
    {
        "set-logic",
        "declare-const",
        "declare-fun",
        "declare-sort",
        "define-fun",
        "define-sort",
        "define-const",
        "assert",
        "check-sat",
        "exit",
    }
)
_TOKENS = re.compile(r'\s+|;[^\n]*|"(?:[^"]|"")*"|\|[^|]*\||[()]|[^\s()";|]+')
_MAX_LENGTH = 1_000_000


def verify(document: Document) -> Check:
    """Verifier of the kind ``smt``.

    Examples
    --------
    >>> script = "(declare-const x Real) (assert (< (+ (* x x) 1) (* 2 x)))"
    >>> print(verify({"script": script, "expect": "unsat"}))
    holds: z3 finds the script unsat
    """
    script, expect = entry(document, "script", str), entry(document, "expect", str)
    if expect not in ("sat", "unsat"):
        raise InputError(f"certificate: 'expect' is {expect!r}", hint="write sat or unsat")
    seconds = entry(document, "seconds", int, 20)
    _only_assertions(script)
    try:
        import z3
    except ImportError as error:
        raise MissingDependencyError("z3-solver", "theory", "checking an SMT certificate") from error
    solver = z3.Solver()
    solver.set("timeout", 1000 * max(1, seconds))
    try:
        solver.from_string(script)
        answer = str(solver.check())
    except z3.Z3Exception as error:
        raise InputError(f"certificate: z3 cannot read the script ({error})") from error
    if answer == "unknown":
        return Check(False, f"z3 cannot decide the script ({solver.reason_unknown()}, {seconds} s allowed)")
    return Check(answer == expect, f"z3 finds the script {answer}" + ("" if answer == expect else f", not {expect}"))


def _only_assertions(script: str) -> None:
    """Raise InputError unless every top-level command is in the list."""
    if len(script) > _MAX_LENGTH:
        raise InputError(f"certificate: an SMT script of more than {_MAX_LENGTH} characters")
    depth, position, expects_command = 0, 0, False
    asserted = False
    while position < len(script):
        match = _TOKENS.match(script, position)
        if match is None:
            raise InputError(f"certificate: the SMT script cannot be read at {script[position : position + 20]!r}")
        position, token = match.end(), match.group()
        if token[0].isspace() or token[0] == ";":
            continue
        if depth == 0 and token != "(":
            raise InputError(f"certificate: {token[:20]!r} stands outside of any SMT command")
        if expects_command:
            if token not in _COMMANDS:
                raise InputError(
                    f"certificate: the SMT command {token[:20]!r} is not allowed",
                    hint=f"only {', '.join(sorted(_COMMANDS))}",
                )
            asserted |= token == "assert"
        expects_command = depth == 0 and token == "("
        depth += {"(": 1, ")": -1}.get(token, 0)
    if depth != 0 or not asserted:
        raise InputError(
            "certificate: the SMT script is cut off" if depth else "certificate: the SMT script asserts nothing"
        )
