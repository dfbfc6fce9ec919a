"""Does a false certificate verify? Certificates altered at random, against judges of their own.

A base certificate (of every kind, true) is altered in one to three places: a digit, a decimal of twenty places that
rounds to its neighbour as a float, a sign, a relation, a name, an entry; or facts are added that were made at random,
half of them false by a little. Each mutant is judged by the verifier and by ``certificate_readers.py``. A row per kind:
how often the verifier accepts what is so, rejects what is not so, refuses a document, accepts what is not so (never),
and leaves with another error than ``InputError`` (never). "Rejected though so": a witness that does not fit, say.

Run by ``make benchmark-certificates``; ``--mutants 2000`` for a quick look.
"""

from __future__ import annotations

import argparse
import copy
import csv
import random
import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from certificate_readers import JUDGES, Undefined, evaluate
from command_line import positive_whole, run_script

import theory
from cogfit.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "data" / "benchmarks" / "certificate_mutants.csv"
MUTANTS = 105_000
SEED = 20260

_COIN = [{"probability": "1/3", "hit": "1"}, {"probability": "2/3", "hit": "0"}]
_FAIR = ["1/4", "1/2", "1/4"]
BASES: dict[str, list[dict[str, Any]]] = {
    "arithmetic": [
        {"definitions": {"x": "1/3", "y": "x**2 + 0.25"}, "facts": ["y == 13/36", "x > y - 1/10"]},
        {"facts": ["sum(k, 1, 9, k/(k + 1)) < 7.1", "floor(2.5) == 2", "max(1, 3/2) == 1.5"]},
        {"definitions": {"m": "(1, 2, 3)"}, "facts": ["put(m, 1, 0.5)[1] < m[0] and len(m) == 3", "5 % 3 == 2"]},
        {"facts": ["sum(k, 1, 4, sum(j, k, 4, 1)) == 10", "(2 if 0.1 + 0.2 == 0.3 else 3) == 2"]},
    ],
    "chain": [
        {"definitions": {"p": "1/3"}, "start": {"hits": "0", "runs": "0", "last": "0"}, "outcomes": _COIN,
         "let": {"new": "1 if hit > last else 0"}, "steps": 4,
         "update": {"hits": "hits + hit", "runs": "runs + new", "last": "hit"},
         "always": ["runs <= hits", "hits <= t0 + steps"], "expect": {"mean": "hits", "begun": "runs"},
         "facts": ["mean == steps*p", "begun == p + (steps - 1)*p*(1 - p)"]},
        {"start": {"w": "1"}, "update": {"w": "w - 0.5*(w - 1/4)"}, "steps": 5, "always": ["w >= 1/4"],
         "expect": {"end": "w"}, "facts": ["end == 1/4 + (3/4)*0.5**5"]},
    ],
    "codebook": [
        {"patterns": 2, "values": 2, "bits": 1, "probabilities": ["1/2", "1/2"], "price": "100", "value": "1/2"},
        {"patterns": 2, "values": 3, "bits": 0, "probabilities": ["1/4", "3/4"], "price": "2", "value": "1"},
    ],
    "counterexample": [
        {"patterns": 2, "values": 2, "queries": {"length": 2, "probabilities": ["1/2", "1/4", "1/4"]}, "coin": 2,
         "die": 2, "memory": {"known": "repeat(0, K + 1)"}, "attend": "1/2 if known[z] == 0 and coin == 0 else 0",
         "guess": "max(known[z], 1) if die == 0 else repeat(1/2, 2)",
         "update": {"known": "put(known, z, value) if attended else known"},
         "facts": ["0 < attention < queries", "error <= queries / 2", "distinct <= K", "unrevealed_error <= error"]},
        {"patterns": 1, "values": 3, "queries": [1, 1, 1], "memory": {"known": "0"}, "guess": "max(known, 1)",
         "attend": "1 if known == 0 else 0", "update": {"known": "value if attended else known"},
         "facts": ["attention == 1", "error == 0", "contents <= 3"]},
        {"patterns": 2, "values": 3, "queries": {"length": 2, "probabilities": _FAIR}, "attend": "1 - 1/5 * 3/2",
         "guess": "repeat(1/3, 3)", "facts": ["error == 1/5 * queries", "attention == (1 - 1/5*V/(V - 1))*queries"]},
    ],
    "identity": [
        {"definitions": {"d": "x - y"}, "left": "d*(x + y)/(x - y)**2", "right": "(y + x)/d"},
        {"left": "sum(k, 0, 4, x**k)", "right": "(1 - x**5)/(1 - x)"},
        {"left": "(a + b)**2 - 4*a*b", "right": "(a - b)**2"},
    ],
    "interval": [
        {"box": {"s": ["1.5", "2"], "x": ["0", "1"]}, "definitions": {"g": "1 - 1/s"},
         "facts": ["zeta(s) > 1.6", "g*x*(1 - x) <= 0.3", "gamma(g) > 1 + x/2"], "digits": 15, "boxes": 60},
        {"facts": ["exp(1) > 2.718281828", "log(2) < 0.6931471806", "2**0.5 < 1.41421357"], "digits": 20, "boxes": 4},
        {"box": {"x": ["1/10", "1/2"]}, "facts": ["sum(k, 1, 3, x**k/k) < log(1.01/(1 - x))"], "boxes": 60},
    ],
    "lp-dual": [
        {"objective": ["1", "2", "0"], "rows": [
            {"terms": [[0, "1"], [1, "1"]], "relation": ">=", "bound": "1"},
            {"terms": [[0, "1"], [2, "1"]], "relation": "==", "bound": "1/2"},
            {"terms": [[1, "1"]], "relation": "<=", "bound": "3"}],
         "free": [2], "primal": ["1", "0", "-1/2"], "dual": ["1", "0", "0"], "value": "2 - 1"},
        {"objective": ["2", "3"], "rows": [{"terms": [[0, "1"], [1, "1"]], "relation": ">=", "bound": "1"}],
         "primal": ["1", "0"], "dual": ["2"], "value": "2"},
    ],
    "sturm": [
        {"coefficients": ["1", "-3", "1"], "interval": ["1", "3"], "roots": 1, "sign": -1},
        {"coefficients": ["-2", "0", "1"], "interval": ["0", None], "roots": 1},
        {"coefficients": ["0.25", "-1", "1"], "interval": ["0", "1/2"], "roots": 1, "sign": 1},
    ],
    "value-function": [
        {"horizon": 2, "stages": [
            {"wait": {"cost": "1/2", "to": [["1/2", 0], ["1/2", 1]]}, "pay": {"cost": "3/4", "to": [["1", 1]]}},
            {"rest": {"cost": "0", "to": [["1", 1]]}}],
         "values": [["3/4", "0"], ["1/2", "0"], ["0", "0"]], "policy": [["wait", "rest"], ["wait", "rest"]],
         "start": 0, "value": "3/4"},
    ],
}  # fmt: skip
BASES["chain"][0]["definitions"]["t0"] = "0"
_SHARES = {
    "arithmetic": 0.7,
    "chain": 0.01,
    "codebook": 0.03,
    "counterexample": 0.005,
    "identity": 0.02,
    "interval": 0.005,
    "lp-dual": 0.08,
    "sturm": 0.05,
    "value-function": 0.1,
}
"""Share of each kind: what is judged fast is judged often, and all formulas take the path of ``arithmetic``."""


_LITERAL = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e-?\d+)?")
_SIGNS = ["+", "-", "*", "/", "<", "<=", ">", ">=", "==", "!=", "**", "//", "%", " and ", " or "]
_SIGN = re.compile(r"\*\*|//|<=|>=|==|!=|[-+*/%<>]| and | or ")


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Numbers and texts inside a document, with their places."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        if isinstance(part, dict | list):
            yield from leaves(part, (*path, key))
        elif isinstance(part, str | int) and not isinstance(part, bool):
            yield (*path, key), part


def near(literal: str, rng: random.Random) -> str:
    """A number of twenty places beside another, the same as a float; or one that is written otherwise."""
    value, tail = Fraction(literal), rng.choice(["0" * 19 + "1", "9" * 20, "0" * 17 + "5"])
    whole = value.numerator // value.denominator
    return rng.choice(
        [
            f"{whole}.{tail}",
            f"{max(whole - 1, 0)}.{'9' * 20}",
            f"{9007199254740993 + whole}.0 - 9007199254740992" if rng.random() < 0.5 else f"{whole}.{'0' * 25}",
            f"{whole}e{rng.choice([-1, 0, 1, 2])}",
            str(whole + rng.choice([-1, 1, 2])),
            f"floor({whole}.{'9' * 20})",
            f"0x{whole}",
        ]
    )


def alter_text(text: str, rng: random.Random) -> str:
    """A text altered in one place."""
    pattern, literals = (_SIGN, False) if rng.random() < 0.3 else (_LITERAL, True)
    matches = list(pattern.finditer(text)) or list(_LITERAL.finditer(text))
    if not matches or rng.random() < 0.08:
        names = re.findall(r"[a-zA-Z_]\w*", text)
        if not names:
            return text + rng.choice(["", " + 0", " - 1", " and 2"])
        return re.sub(rf"\b{rng.choice(names)}\b", rng.choice([*names, "K", "x", "(x)", "1"]), text, count=1)
    match = rng.choice(matches)
    new = near(match.group(), rng) if literals and match.group()[0].isdigit() else rng.choice(_SIGNS)
    return text[: match.start()] + new + text[match.end() :]


def put(document: Any, path: tuple[Any, ...], value: Any) -> None:
    """Set what stands at a place."""
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


def formula(rng: random.Random, depth: int = 3) -> str:
    """A formula of numbers, made at random."""
    if depth == 0 or rng.random() < 0.2:
        return rng.choice([str(rng.randint(0, 9)), f"{rng.randint(0, 9)}.{rng.randint(0, 10**22):022d}", "0.1", "2/3"])
    a, b = formula(rng, depth - 1), formula(rng, depth - 1)
    return rng.choice(
        [
            f"({a} {rng.choice('+-*/')} {b})",
            f"sum(k, floor({a}) % 3, floor({b}) % 7, {b} + k)",
            f"max({a}, {b})",
            f"({a} if {a} {rng.choice(['<', '<=', '=='])} {b} else {b})",
            f"({a})**(floor({b}) % 4)",
            f"floor({a}*1e{rng.randint(0, 22)})",
            f"({a}, {b})[floor({a}) % 2]",
            f"ceil({a}) % 5",
        ]
    )


def fact(rng: random.Random) -> str:
    """A comparison that is so, or is not so by a little."""
    text = formula(rng)
    try:
        value = evaluate(text, {})
    except Undefined:
        return f"{text} == 0"
    off = rng.choice(["", "", " + 1e-20", " - 1e-30", " + 0.0000000000000000000001"])
    return f"{text} {rng.choice(['==', '==', '<=', '>=', '<'])} {value}{off}"


def mutant(kind: str, rng: random.Random) -> dict[str, Any]:
    """A certificate of this kind, altered."""
    document = {"kind": kind, **copy.deepcopy(rng.choice(BASES[kind]))}
    if "facts" in document and kind != "interval" and rng.random() < 0.3:
        document["facts"] = [*document["facts"], fact(rng)]
        if rng.random() < 0.7:
            return document
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        path, value = rng.choice([leaf for leaf in leaves(document) if leaf[0][0] not in ("kind", "boxes", "digits")])
        if isinstance(value, int):
            put(document, path, value + rng.choice([-1, 1]))
        else:
            put(document, path, alter_text(value, rng))
    return document


def judge(document: dict[str, Any], rng: random.Random) -> str:
    """What the verifier says, beside what is so."""
    try:
        accepted: bool | None = theory.verify(document).ok
    except InputError:
        return "refused"
    except Exception as error:
        return f"broke: {type(error).__name__}"
    try:
        holds = JUDGES[document["kind"]](document, rng)
    except (Undefined, ArithmeticError, ValueError, TypeError, LookupError):
        return "accepted, not judged" if accepted else "rejected"
    return {(True, True): "accepted", (False, False): "rejected", (True, False): "accepted though false"}.get(
        (bool(accepted), holds), "rejected though so"
    )


OUTCOMES = ("accepted", "rejected", "refused", "rejected though so", "accepted, not judged", "accepted though false")


def study(mutants: int, seed: int = SEED) -> dict[str, Counter[str]]:
    """Outcomes of each kind.

    Raises
    ------
    SystemExit
        At the first mutant that is accepted though false, or makes the verifier break down.
    """
    out: dict[str, Counter[str]] = {}
    for kind, share in _SHARES.items():
        rng, counts = random.Random(f"{seed} {kind}"), Counter[str]()
        for _ in range(max(5, round(mutants * share))):
            document = mutant(kind, rng)
            outcome = judge(document, rng)
            if outcome == "accepted though false" or outcome.startswith("broke"):
                raise SystemExit(f"{outcome}: {document}")
            counts[outcome] += 1
        out[kind] = counts
    return out


def main() -> None:
    """Run the study and write its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mutants", type=positive_whole, default=MUTANTS)
    parser.add_argument("--out", type=Path, default=TABLE)
    arguments = parser.parse_args()
    found = study(arguments.mutants)
    with arguments.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", "mutants", *OUTCOMES])
        for kind, counts in [*found.items(), ("all", sum(found.values(), Counter()))]:
            row = [kind, counts.total(), *(counts[outcome] for outcome in OUTCOMES)]
            writer.writerow(row)
            print(*row)


if __name__ == "__main__":
    raise SystemExit(run_script(main))
