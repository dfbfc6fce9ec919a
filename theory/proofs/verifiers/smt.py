"""Verify an SMT-LIB 2 script (kind ``smt``).

Its satisfiability is decided again, by every solver that is installed.

``script``: the text. ``expect``: ``"unsat"`` or ``"sat"``. ``seconds``: time allowed each solver (1 to 60, default 20).
Only declarations, definitions and assertions are let through, because a script could otherwise read and write files.
z3 must find what is expected. A second solver (cvc5), where it is installed, must not contradict it. "unknown" is never
taken for an answer.

A solver runs as a process of its own, ended when its time is up: z3 minds its own limit only now and then (expanding
(x + 1)^100000 took 46 seconds with 2 allowed).
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec

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
_MAX_SECONDS = 60

# Each program reads the script from its input and the seconds from its argument; it prints the answer in its first
# line, or "error" and what is wrong with the script.
_Z3 = """
import sys, z3
z3.set_param("memory_max_size", 4000)
solver = z3.Solver()
solver.set("timeout", 1000 * int(sys.argv[1]))
try:
    solver.from_string(sys.stdin.read())
    print(solver.check())
except z3.Z3Exception as error:
    print("error", " ".join(str(error).split()))
"""
_CVC5 = """
import sys, cvc5
solver = cvc5.Solver(cvc5.TermManager()) if hasattr(cvc5, "TermManager") else cvc5.Solver()
solver.setOption("tlimit", str(1000 * int(sys.argv[1])))
solver.setOption("nl-cov", "true")  # decides (x - 1)^2 < 0, which the default leaves open
text = sys.stdin.read()
if "(set-logic" not in text:
    text = "(set-logic ALL)" + text
parser = cvc5.InputParser(solver)
parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "script")
try:
    while not (command := parser.nextCommand()).isNull():
        if command.getCommandName() not in ("check-sat", "exit"):
            command.invoke(solver, parser.getSymbolManager())
    result = solver.checkSat()
    print("sat" if result.isSat() else "unsat" if result.isUnsat() else "unknown")
except Exception:
    print("unknown")
"""
SOLVERS = {"z3": _Z3, "cvc5": _CVC5}
"""Name of a module -> program that decides a script with it; the first one must."""


def verify(document: Document) -> Check:
    """Verifier of the kind ``smt``.

    Examples
    --------
    >>> script = "(declare-const x Real) (assert (< (+ (* x x) 1) (* 2 x)))"
    >>> print(verify({"script": script, "expect": "unsat"}).detail.split(";")[0])
    z3 finds the script unsat
    """
    script, expect = entry(document, "script", str), entry(document, "expect", str)
    if expect not in ("sat", "unsat"):
        raise InputError(f"certificate: 'expect' is {expect!r}", hint="write sat or unsat")
    seconds = entry(document, "seconds", int, 20)
    if not 1 <= seconds <= _MAX_SECONDS:
        raise InputError(f"certificate: 'seconds' lies in 1..{_MAX_SECONDS}")
    _only_assertions(script)
    first, *others = SOLVERS
    if not _is_installed(first):
        raise MissingDependencyError("z3-solver", "theory", "checking an SMT certificate")
    answer, reason = decide(first, script, seconds)
    if answer == "error":
        raise InputError(f"certificate: z3 cannot read the script ({reason})")
    if answer == "unknown":
        return Check(False, f"z3 cannot decide the script ({reason or 'unknown'}, {seconds} s allowed)")
    if answer != expect:
        return Check(False, f"z3 finds the script {answer}, not {expect}")
    detail = f"z3 finds the script {answer}"
    for solver in filter(_is_installed, others):
        second, _ = decide(solver, script, seconds)
        if second in ("sat", "unsat") and second != answer:
            return Check(False, f"the solvers disagree: z3 finds {answer}, {solver} {second}")
        detail += f"; {solver} {'agrees' if second == answer else 'cannot decide it'}"
    return Check(True, detail)


def decide(solver: str, script: str, seconds: int) -> tuple[str, str]:
    """Answer of a solver, and what it says besides.

    Parameters
    ----------
    solver : str
        Key of :data:`SOLVERS`.
    script : str
        Nothing but declarations and assertions.
    seconds : int
        Time allowed; the process is ended a second later.

    Returns
    -------
    tuple of str
        ``sat``, ``unsat``, ``unknown`` or ``error``, and a reason.

    Examples
    --------
    >>> decide("z3", "(declare-const x Int) (assert (= (* x x) 2))", 5)[0]
    'unsat'
    """
    command = [sys.executable, "-I", "-c", SOLVERS[solver], str(seconds)]
    try:
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=seconds + 1, check=False)
    except subprocess.TimeoutExpired:
        return "unknown", "timeout"
    answer, _, reason = done.stdout.strip().partition(" ")
    return (answer, reason[:200]) if answer in ("sat", "unsat", "unknown", "error") else ("unknown", "it broke down")


def _is_installed(module: str) -> bool:
    # None stands in sys.modules where an import is barred
    return (sys.modules[module] is not None) if module in sys.modules else find_spec(module) is not None


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
