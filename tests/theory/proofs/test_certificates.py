"""Certificates: true ones pass, altered ones fail, malformed ones are named as such, nothing in them is executed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from fractions import Fraction
from math import comb
from pathlib import Path
from typing import Any

import mpmath
import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

import theory
from cogfit.errors import CogfitError, InputError, MissingDependencyError
from theory.proofs import certificates
from theory.proofs.verifiers import intervals

STREAM = {
    "kind": "counterexample",
    "patterns": 2,
    "values": 2,
    "queries": {"length": 2, "probabilities": ["1/2", "1/4", "1/4"]},
    "feedback": False,
    "coin": 2,
    "die": 2,
    "memory": {"known": "repeat(0, K + 1)"},
    "attend": "1/2 if known[z] == 0 and coin == 0 else 0",
    "guess": "max(known[z], 1) if die == 0 else repeat(1/2, 2)",
    "update": {"known": "put(known, z, value) if attended else known"},
    "facts": ["0 < attention < queries", "error <= queries / 2", "distinct <= K", "unrevealed_error <= error"],
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "all": {"kind": "all", "parts": [{"kind": "arithmetic", "facts": ["1 < 2"]}]},
    "arithmetic": {"kind": "arithmetic", "definitions": {"x": "1/3", "y": "x**2"}, "facts": ["y == 1/9", "x > y"]},
    "chain": {
        "kind": "chain", "definitions": {"p": "1/3"}, "start": {"hits": "0", "runs": "0", "last": "0"},
        "outcomes": [{"probability": "1/3", "hit": "1"}, {"probability": "2/3", "hit": "0"}],
        "let": {"new": "1 if hit > last else 0"},
        "update": {"hits": "hits + hit", "runs": "runs + new", "last": "hit"}, "steps": 4,
        "always": ["runs <= hits", "hits <= steps"], "expect": {"mean": "hits", "begun": "runs", "none": "0**hits"},
        "facts": ["mean == steps*p", "begun == p + (steps - 1)*p*(1 - p)", "none == (1 - p)**steps"],
    },
    "codebook": {
        "kind": "codebook", "patterns": 3, "values": 2, "bits": 1, "probabilities": ["1/3", "1/3", "1/3"], "price": "2",
        "value": "1/2",
    },
    "counterexample": STREAM,
    "identity": {
        "kind": "identity", "definitions": {"d": "x - y"}, "left": "d*(x + y)/(x - y)**2", "right": "(y + x)/d",
    },
    "interval": {
        "kind": "interval", "box": {"s": ["1.5", "2"], "x": ["0", "1"]}, "definitions": {"g": "1 - 1/s"},
        "facts": ["zeta(s) > 1.6", "g*x*(1 - x) <= 0.13", "gamma(g) > 1 + x/2"], "digits": 20, "boxes": 200,
    },
    "lp-dual": {
        "kind": "lp-dual", "objective": ["1", "2", "0"],
        "rows": [
            {"terms": [[0, "1"], [1, "1"]], "relation": ">=", "bound": "1"},
            {"terms": [[0, "1"], [2, "1"]], "relation": "==", "bound": "1/2"},
            {"terms": [[1, "1"]], "relation": "<=", "bound": "3"},
        ],
        "free": [2], "primal": ["1", "0", "-1/2"], "dual": ["1", "0", "0"], "value": "2 - 1",
    },
    "smt": {
        "kind": "smt", "script": "; AM-GM\n(declare-const x Real)\n(assert (> (* 2 x) (+ 1 (* x x))))\n(check-sat)",
        "expect": "unsat", "seconds": 5,
    },
    "sturm": {"kind": "sturm", "coefficients": ["1", "-3", "1"], "interval": ["1", "3"], "roots": 1, "sign": -1},
    "value-function": {
        "kind": "value-function", "horizon": 2,
        "stages": [
            {"wait": {"cost": "1/2", "to": [["1/2", 0], ["1/2", 1]]}, "pay": {"cost": "3/4", "to": [["1", 1]]}},
            {"rest": {"cost": "0", "to": [["1", 1]]}},
        ],
        "values": [["3/4", "0"], ["1/2", "0"], ["0", "0"]], "policy": [["wait", "rest"], ["wait", "rest"]],
        "start": 0, "value": "3/4",
    },
}  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything inside a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield (*path, key)
        yield from places(part, (*path, key))


def altered(document: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    out = copy.deepcopy(document)
    inner: Any = out
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return out


def outcome(document: dict[str, Any]) -> str:
    """What came out: the check, or the message of an error of our own."""
    try:
        return str(theory.verify(document))
    except CogfitError as error:
        return str(error)


@pytest.mark.parametrize("kind", certificates.KINDS)
def test_an_example_of_every_kind_holds(kind: str) -> None:
    check = theory.verify(EXAMPLES[kind])
    assert check.ok, check.detail
    assert str(check).startswith("holds: ")


@pytest.mark.slow
@pytest.mark.parametrize("kind", certificates.KINDS)
def test_junk_anywhere_is_an_error_with_one_line_or_fails(kind: str) -> None:
    """Whatever stands in a document, nothing but our own errors come out, in short time."""
    junk = [None, True, -1, 10**9, 0.5, "", "x", "1/0", "__import__('os')", "1" * 5000, [], {}, [[]], {"kind": "all"}]
    for path in places(EXAMPLES[kind]):
        for value in junk:
            said = outcome(altered(EXAMPLES[kind], path, value))
            assert said
            assert "\n" not in said


@pytest.mark.parametrize(
    ("kind", "path", "value", "reason"),
    [
        ("all", ("parts", 0, "facts", 0), "2 < 1", "part 1: 2 < 1 is false"),
        ("arithmetic", ("definitions", "x"), "1/4", "y == 1/9 is false"),
        ("chain", ("facts", 0), "mean > steps*p", "mean > steps*p is false"),
        ("chain", ("definitions", "p"), "1/4", "mean == steps*p is false"),
        ("chain", ("always", 1), "hits < steps", "after step 4, at hits = 4"),
        ("chain", ("update", "runs"), "runs + hit", "begun == p"),
        ("codebook", ("value",), "4/9", "the least expected cost is 1/2, not 4/9"),
        ("codebook", ("bits",), 0, "the least expected cost is 1, not 1/2"),
        ("counterexample", ("facts", 1), "error < queries / 4", "is false"),
        ("identity", ("right",), "(y - x)/d", "differ"),
        ("interval", ("facts", 0), "zeta(s) > 1.7", "is not proved on s in"),
        ("interval", ("boxes",), 1, "is not proved"),
        ("lp-dual", ("primal", 0), "9/10", "violates row 0"),
        ("lp-dual", ("primal", 2), "0", "violates row 1"),
        ("lp-dual", ("primal", 1), "4", "violates row 2"),
        ("lp-dual", ("free",), [], "is negative in variable 2"),
        ("lp-dual", ("dual", 0), "-1", "wrong sign in row 0"),
        ("lp-dual", ("dual", 2), "1", "wrong sign in row 2"),
        ("lp-dual", ("dual", 0), "2", "constraint of variable 0"),
        ("lp-dual", ("dual", 1), "1", "constraint of variable"),
        ("lp-dual", ("dual", 0), "1/2", "values differ"),
        ("lp-dual", ("value",), "2", "values differ"),
        ("smt", ("expect",), "sat", "z3 finds the script unsat, not sat"),
        ("sturm", ("roots",), 0, "1 distinct real root(s) in (1, 3], not 0"),
        ("sturm", ("sign",), 1, "the value at 1 is -1"),
        ("value-function", ("values", 0, 0), "1/2", "does not attain"),
        ("value-function", ("values", 0, 0), "4/5", "costs less"),
        ("value-function", ("values", 2, 0), "1", "not all zero"),
        ("value-function", ("policy", 1, 0), "pay", "does not attain"),
        ("value-function", ("value",), "2/3", "the least expected cost is 3/4, not 2/3"),
    ],
)
def test_what_is_not_so_fails_with_its_reason(kind: str, path: tuple[Any, ...], value: Any, reason: str) -> None:
    check = theory.verify(altered(EXAMPLES[kind], path, value))
    assert not check.ok
    assert reason in check.detail


def test_files_are_written_whole_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    theory.save_certificate(STREAM, path)
    assert theory.load_certificate(path) == STREAM
    nested = {**STREAM, "facts": ["1 == 2"], "certificate": STREAM}  # nothing nested is taken
    path.write_text(json.dumps(nested))
    assert theory.load_certificate(path) == nested
    assert not theory.verify(nested).ok
    theory.save_certificate(STREAM, path)
    with pytest.raises(InputError, match="unknown kind"):
        theory.save_certificate({"kind": "pickle"}, path)
    assert theory.load_certificate(path) == STREAM


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no JSON document"),
        ("[1, 2]", "no 'kind'"),
        ('{"kind": "lp-duall"}', "did you mean 'lp-dual'"),
        ('{"kind": "arithmetic", "x": NaN}', "NaN is not a number"),
        ("\x80\x04pickle", "no JSON document"),
        ("[" * 100_000, "no JSON document"),
    ],
)
def test_bad_files_are_named_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "certificate.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=reason) as caught:
        theory.load_certificate(path)
    assert str(path) in str(caught.value)
    with pytest.raises(InputError, match="cannot be read"):
        theory.load_certificate(tmp_path / "absent.json")


def test_documents_cannot_be_nested_without_end() -> None:
    document: dict[str, Any] = {"kind": "arithmetic", "facts": ["1 < 2"]}
    for _ in range(5000):
        document = {"kind": "all", "parts": [document]}
    with pytest.raises(InputError, match="deep"):
        theory.verify(document)


NEVER = {"attend": "0", "guess": "1", "memory": {"m": "0"}}


@pytest.mark.parametrize(
    ("router", "is_static", "is_memoryless"),
    [
        ({"attend": "1/2", "guess": "1"}, True, True),
        ({"attend": "1 if die == 0 and z == 1 else coin/2", "guess": "z", "die": 2, "coin": 2}, True, True),
        ({"attend": "1 if t < 3 else 0", "guess": "1"}, False, True),
        ({"attend": "1 if counts[z] == 0 else 0", "guess": "1"}, False, True),
        ({"attend": "1/2", "guess": "max(m, 1)", "memory": {"m": "0"}, "update": {"m": "value"}}, True, False),
        ({**NEVER, "update": {"m": "m + attended"}, "attend": "m/9"}, False, True),
        ({**NEVER, "update": {"m": "value"}}, True, True),
        ({**NEVER, "memory": {"m": "table"}, "guess": "m[z]"}, True, False),
        ({**NEVER, "memory": {"m": "0", "o": "0"}, "update": {"m": "value", "o": "m"}, "guess": "max(o, 1)"},
         True, False),
        ({**NEVER, "memory": {"m": "0", "o": "0"}, "update": {"m": "value", "o": "1 if attended == 1 else o"},
          "attend": "m/9", "guess": "1 + o"}, False, False),
    ],
)  # fmt: skip
def test_classes_of_routers_are_found_from_their_formulas(
    router: dict[str, Any], is_static: bool, is_memoryless: bool
) -> None:
    stream = {"kind": "counterexample", "patterns": 2, "values": 2, "queries": [1, 2, 1, 2], **router}
    for name, holds in (("static", is_static), ("memoryless", is_memoryless)):
        assert theory.verify({**stream, "facts": [name]}).ok is holds
        assert theory.verify({**stream, "facts": [f"not {name}"]}).ok is not holds
        # what the title calls the router is a fact
        assert theory.verify({**stream, "facts": ["queries == 4"], "title": f"A {name.upper()} one"}).ok is holds


@given(st.integers(0, 4), st.integers(1, 3), st.integers(2, 3))
def test_bits_are_counted_from_the_contents_of_memory(bits: int, patterns: int, values: int) -> None:
    stream = {"kind": "counterexample", "patterns": patterns, "values": values, "queries": [1], **NEVER}
    stream |= {"memory": {"m": "table"}, "facts": [f"bits({bits})"]}
    assert theory.verify(stream).ok is (values**patterns <= 2**bits)


@pytest.mark.parametrize(
    "script",
    [
        '(set-option :regular-output-channel "stolen.txt") (assert true)',
        '(include "secrets.smt2") (assert true)',
        "(assert true) (eval (+ 1 2))",
        "(assert true) (get-model)",
        "(declare-const x Real)",
        "(assert true",
        "(assert true))",
        "assert true",
        '(assert true) ; fine\n(echo "x")',
        '(assert (= "(" "a")) (help)',
        "(assert |a\n(b|)\n(reset)",
    ],
)
def test_smt_scripts_may_only_declare_and_assert(script: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="SMT"):
        theory.verify({"kind": "smt", "script": script, "expect": "sat"})
    assert not list(tmp_path.iterdir())


def test_unknown_is_no_proof(monkeypatch: Any) -> None:
    hard = "(declare-const x Real)(declare-const y Real)(assert (= (^ x y) (^ 2.5 (* x y))))(assert (> x y 3.1))"
    for expect in ("sat", "unsat"):
        check = theory.verify({"kind": "smt", "script": hard, "expect": expect, "seconds": 1})
        assert not check.ok
        assert "cannot decide" in check.detail
    monkeypatch.setitem(__import__("sys").modules, "z3", None)
    with pytest.raises(MissingDependencyError, match=r"cogfit\[theory\]"):
        theory.verify(EXAMPLES["smt"])


FUNCTIONS = {
    "exp(x)": lambda x: mpmath.exp(x),
    "log(x)": lambda x: mpmath.log(x),
    "log2(x)": lambda x: mpmath.log(x, 2),
    "sqrt(x)": lambda x: mpmath.sqrt(x),
    "gamma(x)": lambda x: mpmath.gamma(x),
    "loggamma(x)": lambda x: mpmath.loggamma(x),
    "zeta(1 + x)": lambda x: mpmath.zeta(1 + x),
    "x**2.5 - x**(-3) + abs(-x)": lambda x: x**2.5 - x**-3 + x,
    "sum(k, 1, 6, x**k/k)": lambda x: sum(x**k / k for k in range(1, 7)),
    "(2*x - 3)**3 * pi / e": lambda x: (2 * x - 3) ** 3 * mpmath.pi / mpmath.e,
}


@pytest.mark.slow
@pytest.mark.parametrize("text", FUNCTIONS)
@given(
    low=st.fractions("1/50", 8, max_denominator=50), width=st.fractions(0, 1, max_denominator=50), at=st.floats(0, 1)
)
def test_enclosures_hold_the_value(text: str, low: Fraction, width: Fraction, at: float) -> None:
    """Against mpmath's point functions at fifty digits, at any place of the interval."""
    point = low + width * Fraction(at)
    with mpmath.workdps(50):
        value = FUNCTIONS[text](mpmath.mpf(point.numerator) / point.denominator)
        enclosure = intervals.enclose(text, {"x": intervals.interval(low, low + width)})
        slack = mpmath.mpf(10) ** -45 * (1 + abs(value))
        assert mpmath.mpf(enclosure.a) - slack <= value <= mpmath.mpf(enclosure.b) + slack


def test_intervals_are_narrow_at_a_point_and_know_their_domain() -> None:
    for text in FUNCTIONS:
        x = intervals.interval(Fraction(7, 3), Fraction(7, 3))
        assert float(intervals.enclose(text, {"x": x}).delta) < 1e-11
    for text in ("log(x - 1)", "gamma(x - 1)", "zeta(x)", "(x - 1)**(1/2)", "1/(x - 1/2)"):
        document = {"kind": "interval", "box": {"x": ["0", "1"]}, "facts": [f"{text} < 100"], "boxes": 64}
        assert not outcome(document).startswith("holds")


COEFFICIENTS = st.lists(st.integers(-9, 9), min_size=2, max_size=7)


@given(COEFFICIENTS, st.integers(-4, 3), st.integers(1, 6))
def test_sturm_counts_the_roots_that_sympy_isolates(coefficients: list[int], low: int, width: int) -> None:
    assume(any(coefficients[1:]))
    x = sympy.Symbol("x")
    polynomial = sympy.Poly(coefficients[::-1], x)
    roots = {root for root in polynomial.real_roots() if low < root <= low + width}
    document = {
        "kind": "sturm",
        "coefficients": [str(c) for c in coefficients],
        "interval": [str(low), str(low + width)],
    }
    assert theory.verify({**document, "roots": len(roots)}).ok
    beyond = {root for root in polynomial.real_roots() if low < root}
    assert theory.verify({**document, "interval": [str(low), None], "roots": len(beyond)}).ok


@given(st.integers(0, 12), st.fractions("1/20", "19/20", max_denominator=20), st.integers(0, 12))
def test_chains_have_the_binomial_law(steps: int, p: Fraction, least: int) -> None:
    tail = sum(comb(steps, k) * p**k * (1 - p) ** (steps - k) for k in range(least, steps + 1))
    document = {
        "kind": "chain",
        "start": {"n": "0"},
        "outcomes": [{"probability": str(p), "x": "1"}, {"probability": str(1 - p), "x": "0"}],
        "update": {"n": "n + x"},
        "steps": steps,
        "expect": {"tail": f"1 if n >= {least} else 0", "square": "n**2"},
    }
    variance = steps * p * (1 - p)
    facts = [f"tail == {tail}", f"square == {variance + (steps * p) ** 2}"]
    assert theory.verify({**document, "facts": facts}).ok
    assert not theory.verify({**document, "facts": [f"tail == {tail} + 1/10**40"]}).ok


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"update": {"x": "x*x"}, "steps": 60}, "bits"),
        ({"steps": 10**6}, "'steps' is 1000000"),
        ({"outcomes": [{"probability": "1/2", "u": "1"}, {"probability": "1/2", "v": "1"}]}, "different names"),
        ({"outcomes": [{"probability": "1/2"}]}, "no distribution"),
        ({"outcomes": [{"u": "1"}]}, "no distribution"),
        ({"outcomes": [{"probability": "1", "x": "1"}]}, "'x' twice"),
        ({"update": {"y": "1"}}, "'y', which is not in 'start'"),
        ({"update": {"x": "(x, x)"}}, "no number"),
        ({"update": {"x": "y"}}, "unknown name 'y'"),
        ({"facts": []}, "'facts'"),
        (
            {"outcomes": [{"probability": "1/2", "u": u} for u in "01"], "update": {"x": "2*x + u"}, "steps": 40},
            "moves",
        ),
    ],
)
def test_chains_that_cannot_be_carried_out_are_named(change: dict[str, Any], reason: str) -> None:
    chain = {"kind": "chain", "start": {"x": "2"}, "update": {"x": "x + 1"}, "steps": 3, "facts": ["1 < 2"]}
    with pytest.raises(InputError, match=reason):
        theory.verify({**chain, **change})


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("(x + y)**5", "sum(k, 0, 5, 0*k) + x**5 + 5*x**4*y + 10*x**3*y**2 + 10*x**2*y**3 + 5*x*y**4 + y**5", True),
        ("(1 - x**4)/(1 - x)", "1 + x + x**2 + x**3", True),
        ("x**(-2)", "1/x/x", True),
        ("1 - d*V/(V - 1)", "((V - 1) - d*V)/(V - 1)", True),
        ("x*y", "y*x + 1/10**30", False),
        ("(x + y)**2", "x**2 + y**2", False),
    ],
)
def test_identities_are_those_of_rational_functions(left: str, right: str, same: bool) -> None:
    assert theory.verify({"kind": "identity", "left": left, "right": right}).ok is same


@pytest.mark.slow
def test_identities_refuse_what_is_no_rational_function() -> None:
    for left in ("x**y", "x**(1/2)", "1/(x - x)", "exp(x)", "(x + y + z + w)**60"):
        with pytest.raises(InputError):
            theory.verify({"kind": "identity", "left": left, "right": "x"})
