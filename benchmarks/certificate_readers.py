"""Certificates judged without theory.proofs: an evaluator of formulas, and one judge for each kind.

Formulas are read by a small parser by precedence; numbers through ``decimal``. Each judge finds out in another way than
the verifier whether what a document asserts is so: by HiGHS, backward induction, enumeration of paths, sympy, or points
chosen at random. ``certificate_mutants.py`` holds the verifiers to them.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import scipy.optimize
import sympy

Known = Mapping[str, Any]
Document = Mapping[str, Any]


class Undefined(Exception):
    """A formula that has no value, or a document that asserts nothing."""


# --- formulas ---------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)(?![\w.])|(?P<name>[a-z_]\w*)"
    r"|(?P<sign>\*\*|//|<=|>=|==|!=|[-+*/%()\[\],<>]))",
    re.ASCII | re.IGNORECASE,
)
_INFIX = {"or": 1, "and": 2, "<": 4, "<=": 4, ">": 4, ">=": 4, "==": 4, "!=": 4, "+": 5, "-": 5, "*": 6, "/": 6}
_INFIX |= {"//": 6, "%": 6, "**": 8}


class Numbers:
    """Arithmetic of a formula: exact, or mpmath's at 60 digits."""

    exact = True

    def read(self, text: str) -> Any:
        """Number of the text, exactly."""
        value = Decimal(text.replace("_", ""))
        if abs(value.adjusted()) > 5000:
            raise Undefined
        return Fraction(value)

    def power(self, base: Any, exponent: Any) -> Any:
        """Integer powers only."""
        if exponent.denominator != 1 or abs(exponent) > 10**6:
            raise Undefined
        return base ** int(exponent)

    def call(self, name: str, values: list[Any]) -> Any:
        """Functions of numbers and lists."""
        one: dict[str, Callable[..., Any]] = {
            "floor": lambda x: Fraction(x // 1),
            "ceil": lambda x: Fraction(-((-x) // 1)),
            "abs": lambda x: x if x >= 0 else -x,
            "len": lambda x: Fraction(len(x)),
            "repeat": lambda x, n: (x,) * _whole(n),
            "put": lambda x, i, y: tuple(y if j == _whole(i) else old for j, old in enumerate(x)),
            "max": lambda *x: max(x[0] if isinstance(x[0], tuple) else x),
            "min": lambda *x: min(x[0] if isinstance(x[0], tuple) else x),
        }
        if name not in one:
            raise Undefined
        return one[name](*values)


class Reals(Numbers):
    """The same functions of reals as the intervals have."""

    exact = False

    def read(self, text: str) -> Any:
        """Number at 60 digits."""
        value = super().read(text)
        return mpmath.mpf(value.numerator) / value.denominator

    def power(self, base: Any, exponent: Any) -> Any:
        """Real powers of positive numbers."""
        if base <= 0 and exponent != int(exponent):
            raise Undefined
        return base**exponent

    def call(self, name: str, values: list[Any]) -> Any:
        """Functions of one real."""
        functions = {
            "exp": mpmath.exp, "log": mpmath.log, "log2": lambda x: mpmath.log(x, 2), "sqrt": mpmath.sqrt,
            "gamma": mpmath.gamma, "loggamma": mpmath.loggamma, "zeta": mpmath.zeta, "abs": abs,
        }  # fmt: skip
        if name not in functions or len(values) != 1:
            raise Undefined
        value = functions[name](values[0])
        if not isinstance(value, mpmath.mpf):
            raise Undefined
        return value


class Formula:
    """A formula, evaluated as it is parsed: once for each set of values."""

    def __init__(self, text: str, numbers: Numbers | None = None) -> None:
        self.numbers = numbers or Numbers()
        self.tokens: list[tuple[str, str]] = []
        position, text = 0, text.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise Undefined(text)
            self.tokens.append((str(match.lastgroup), match.group(str(match.lastgroup))))
            position = match.end()
        self.tokens.append(("end", ""))

    def __call__(self, known: Known) -> Any:
        try:
            tree, at = self._parse(0, 0)
            if self.tokens[at][0] != "end":
                raise Undefined
            return self._value(tree, known)
        except (ArithmeticError, TypeError, ValueError, LookupError, RecursionError) as error:
            raise Undefined(str(error)) from error

    def _parse(self, at: int, least: int) -> tuple[Any, int]:
        left, at = self._prefix(at)
        while True:
            kind, word = self.tokens[at]
            if word == "[":
                index, at = self._parse(at + 1, 0)
                left, at = ("entry", left, index), self._expect(at, "]")
            elif word == "if" and least == 0:
                test, at = self._parse(at + 1, 1)
                other, at = self._parse(self._expect(at, "else"), 0)
                left = ("if", test, left, other)
            elif kind != "number" and _INFIX.get(word, 0) > least:
                left, at = self._infix(left, at)
            else:
                return left, at

    def _infix(self, left: Any, at: int) -> tuple[Any, int]:
        word = self.tokens[at][1]
        if word == "**":  # to the right; a sign binds on that side only
            right, at = self._parse(at + 1, 7)
            return ("binary", "**", left, right), at
        right, at = self._parse(at + 1, _INFIX[word])
        chain = [(word, right)]
        while _INFIX[word] == 4 and _INFIX.get(self.tokens[at][1]) == 4:
            word = self.tokens[at][1]
            right, at = self._parse(at + 1, 4)
            chain.append((word, right))
        return (("compare", left, chain) if _INFIX[word] == 4 else ("binary", word, left, right)), at

    def _prefix(self, at: int) -> tuple[Any, int]:
        kind, word = self.tokens[at]
        if kind == "number":
            return ("number", self.numbers.read(word)), at + 1
        if word in ("-", "+"):
            inner, at = self._parse(at + 1, 7)
            return (inner if word == "+" else ("minus", inner)), at
        if word == "not":
            inner, at = self._parse(at + 1, 3)
            return ("not", inner), at
        if word == "(":
            items, at, is_list = self._items(at + 1, ")")
            return (("list", items) if is_list or not items else items[0]), at
        if kind != "name" or word in ("and", "or", "if", "else"):
            raise Undefined
        if self.tokens[at + 1][1] != "(":
            return ("name", word), at + 1
        items, at, _ = self._items(at + 2, ")")
        return ("call", word, items), at

    def _items(self, at: int, end: str) -> tuple[list[Any], int, bool]:
        items, has_comma = [], False
        while self.tokens[at][1] != end:
            item, at = self._parse(at, 0)
            items.append(item)
            if self.tokens[at][1] == ",":
                at, has_comma = at + 1, True
            elif self.tokens[at][1] != end:
                raise Undefined
        return items, at + 1, has_comma

    def _expect(self, at: int, word: str) -> int:
        if self.tokens[at][1] != word:
            raise Undefined
        return at + 1

    def _value(self, tree: Any, known: Known) -> Any:
        return getattr(self, f"_{tree[0]}")(known, *tree[1:])

    def _number(self, known: Known, value: Any) -> Any:
        return value

    def _name(self, known: Known, name: str) -> Any:
        return known[name]

    def _minus(self, known: Known, inner: Any) -> Any:
        return -_number(self._value(inner, known))

    def _not(self, known: Known, inner: Any) -> bool:
        return not _truth(self._value(inner, known))

    def _list(self, known: Known, items: list[Any]) -> tuple[Any, ...]:
        return tuple(_number(self._value(item, known)) for item in items)

    def _entry(self, known: Known, values: Any, index: Any) -> Any:
        listed, i = self._value(values, known), _whole(self._value(index, known))
        if i < 0 or not isinstance(listed, tuple):
            raise Undefined
        return listed[i]

    def _if(self, known: Known, test: Any, yes: Any, no: Any) -> Any:
        chosen = self._value(test, known)
        return self._value(yes if (chosen if isinstance(chosen, bool) else _flag(chosen)) else no, known)

    def _binary(self, known: Known, word: str, left: Any, right: Any) -> Any:
        if word in ("and", "or"):
            first = _truth(self._value(left, known))
            return first if first is (word == "or") else _truth(self._value(right, known))
        a, b = _number(self._value(left, known)), _number(self._value(right, known))
        if word == "**":
            return self.numbers.power(a, b)
        result = {
            "+": lambda: a + b,
            "-": lambda: a - b,
            "*": lambda: a * b,
            "/": lambda: a / b,
            "//": lambda: Fraction(a // b),
            "%": lambda: a % b,
        }
        return result[word]()

    def _compare(self, known: Known, first: Any, chain: list[tuple[str, Any]]) -> bool:
        left, holds = self._value(first, known), True
        for word, tree in chain:
            right = self._value(tree, known)
            if isinstance(left, tuple) != isinstance(right, tuple) or isinstance(left, bool) != isinstance(right, bool):
                raise Undefined
            signs = {"<": left < right, ">": left > right, "==": left == right}
            signs |= {"<=": not signs[">"], ">=": not signs["<"], "!=": not signs["=="]}
            holds, left = holds and signs[word], right
            if not holds:
                return False
        return True

    def _call(self, known: Known, name: str, items: list[Any]) -> Any:
        if name != "sum":
            return self.numbers.call(name, [self._value(item, known) for item in items])
        index, first, last, term = items
        if index[0] != "name":
            raise Undefined
        ends = [_whole(self._value(end, known)) for end in (first, last)]
        if ends[1] - ends[0] > 3000:
            raise Undefined
        one = Fraction(1) if self.numbers.exact else mpmath.mpf(1)
        total = 0 * one
        for k in range(ends[0], ends[1] + 1):
            total += _number(self._value(term, {**known, index[1]: k * one}))
        return total


def _number(value: Any) -> Any:
    if isinstance(value, bool | tuple):
        raise Undefined
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Undefined
    return value


def _flag(value: Any) -> bool:
    if value not in (0, 1):
        raise Undefined
    return bool(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or value != int(value):
        raise Undefined
    return int(value)


def evaluate(text: str, known: Known) -> Any:
    """Exact value of a formula."""
    return Formula(text)(known)


def _holds(facts: list[str], known: Known) -> bool:
    if not facts:
        raise Undefined
    return all(_truth(evaluate(fact, known)) for fact in facts)


def _defined(document: Document, known: Known) -> dict[str, Any]:
    out = dict(known)
    for name, text in document.get("definitions", {}).items():
        out[name] = evaluate(text, out)
    return out


# --- kinds ------------------------------------------------------------------------------------------------------------


def arithmetic(document: Document, rng: random.Random) -> bool:
    """Facts one by one."""
    return _holds(document["facts"], _defined(document, {}))


def identity(document: Document, rng: random.Random) -> bool:
    """Both sides at points chosen at random (Schwartz and Zippel)."""
    compared = 0
    for _ in range(40):
        names = {"x", "y", "z", "a", "b", "k", "n"}
        point = {name: Fraction(rng.randint(-(10**6), 10**6), rng.randint(1, 10**6)) for name in names}
        try:
            known = _defined(document, point)
            sides = [evaluate(document[side], known) for side in ("left", "right")]
        except Undefined:
            continue
        if sides[0] != sides[1]:
            return False
        compared += 1
        if compared == 5:
            return True
    raise Undefined


def chain(document: Document, rng: random.Random) -> bool:
    """Every path, one after the other."""
    constants = _defined(document, {}) | {"steps": Fraction(document["steps"])}
    outcomes = document.get("outcomes") or [{"probability": "1"}]
    if len(outcomes) ** document["steps"] > 3000:
        raise Undefined
    law = [Fraction(outcome["probability"]) for outcome in outcomes]
    if sum(law) != 1 or min(law) < 0:
        raise Undefined
    start = {name: evaluate(text, constants) for name, text in document["start"].items()}
    expected = dict.fromkeys(document.get("expect", {}), Fraction(0))
    for path in itertools.product(range(len(outcomes)), repeat=document["steps"]):
        state, mass = dict(start), Fraction(1)
        for t, i in enumerate((None, *path)):
            if i is not None:
                mass *= law[i]
                known = constants | state | {"t": Fraction(t)}
                known |= {k: Fraction(v) for k, v in outcomes[i].items() if k != "probability"}
                for name, text in document.get("let", {}).items():
                    known[name] = evaluate(text, known)
                state |= {name: _number(evaluate(text, known)) for name, text in document.get("update", {}).items()}
            always = document.get("always", [])
            if mass and always and not _holds(always, constants | state):
                return False
        for name, text in document.get("expect", {}).items():
            expected[name] += mass * evaluate(text, constants | state)
    facts = document.get("facts", [])
    return _holds(facts, constants | expected) if facts or not document.get("always") else True


def counterexample(document: Document, rng: random.Random) -> bool:
    """Every table, sequence of queries, coin, die and decision, one path at a time."""
    k, v, queries = document["patterns"], document["values"], document["queries"]
    coin, die = document.get("coin", 1), document.get("die", 1)
    if isinstance(queries, dict):
        law = [Fraction(p) for p in queries["probabilities"]]
        steps, options = queries["length"], list(enumerate(law))
        if sum(law) != 1 or min(law) < 0 or len(law) != k + 1:
            raise Undefined
        choices = [options] * steps
    else:
        if not all(0 <= z <= k for z in queries):
            raise Undefined
        choices = [[(z, Fraction(1))] for z in queries]
    totals = dict.fromkeys(("attention", "error", "queries", "unrevealed_error", "distinct"), Fraction(0))
    contents: dict[tuple[int, int], set[Any]] = {}
    for throw in range(coin):
        for table in itertools.product(range(1, v + 1), repeat=k):
            fixed = {"K": Fraction(k), "V": Fraction(v), "coin": Fraction(throw)}
            listed = (Fraction(0), *map(Fraction, table))
            memory = {
                name: evaluate(text, fixed | {"table": listed}) for name, text in document.get("memory", {}).items()
            }
            run = _Run(document, fixed, listed, v, die, choices, totals, contents)
            run.walk(0, Fraction(1, coin * v**k), memory, (Fraction(0),) * (k + 1), frozenset(), frozenset())
    size = max(len(kept) for kept in contents.values())
    return _holds(document["facts"], totals | {"K": Fraction(k), "V": Fraction(v), "contents": Fraction(size)})


class _Run:
    """A router on one table: all that can happen, by recursion."""

    def __init__(self, document: Document, fixed: Known, table: tuple[Fraction, ...], values: int, die: int,
                 choices: list[Any], totals: dict[str, Fraction], contents: dict[Any, set[Any]]) -> None:  # fmt: skip
        self.document, self.fixed, self.table, self.values, self.die = document, fixed, table, values, die
        self.choices, self.totals, self.contents = choices, totals, contents

    def walk(self, t: int, mass: Fraction, memory: dict[str, Any], counts: Any, shown: Any, seen: Any) -> None:
        """Go on from step t."""
        self.contents.setdefault((int(self.fixed["coin"]), t), set()).add(tuple(memory.values()))
        if t == len(self.choices):
            return
        for (z, chance), throw in itertools.product(self.choices[t], range(self.die)):
            if not chance:
                continue
            known = {**self.fixed, **memory, "t": Fraction(t + 1), "z": Fraction(z), "die": Fraction(throw)}
            known["counts"] = counts
            p = mass * chance / self.die
            attend = _number(evaluate(self.document["attend"], known)) if z else Fraction(0)
            if not 0 <= attend <= 1:
                raise Undefined
            if z:
                self._count(z, p, attend, known, shown, seen)
            for attended in (1, 0):
                part = p * (attend if attended else 1 - attend)
                if part:
                    after, now = self._after(z, attended, known, memory)
                    more = tuple(c + (i == z and z > 0) for i, c in enumerate(counts))
                    self.walk(t + 1, part, now, more, shown | {z} if after else shown, seen | {z})

    def _count(self, z: int, p: Fraction, attend: Fraction, known: Known, shown: Any, seen: Any) -> None:
        wrong = Fraction(0)
        if attend < 1:
            guess = evaluate(self.document["guess"], known)
            if isinstance(guess, tuple):
                if len(guess) != self.values or sum(guess) != 1 or min(guess) < 0:
                    raise Undefined
                wrong = 1 - guess[int(self.table[z]) - 1]
            elif 1 <= _whole(guess) <= self.values:
                wrong = Fraction(guess != self.table[z])
            else:
                raise Undefined
        error = p * (1 - attend) * wrong
        self.totals["queries"] += p
        self.totals["attention"] += p * attend
        self.totals["error"] += error
        self.totals["unrevealed_error"] += error * (z not in shown)
        self.totals["distinct"] += p * (z not in seen)

    def _after(self, z: int, attended: int, known: Known, memory: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
        is_shown = bool(z) and bool(attended or self.document.get("feedback", False))
        after = {**known, "attended": Fraction(attended), "value": self.table[z] if is_shown else Fraction(0)}
        changed = {name: evaluate(text, after) for name, text in self.document.get("update", {}).items()}
        return is_shown, {name: changed.get(name, old) for name, old in memory.items()}


def lp_dual(document: Document, rng: random.Random) -> bool:
    """The optimum by HiGHS, and the primal solution in exact numbers."""
    cost = [Fraction(c) for c in document["objective"]]
    x = [Fraction(value) for value in document["primal"]]
    value = evaluate(document["value"], {})
    free = set(document.get("free", []))
    matrix, lower, upper = np.zeros((len(document["rows"]), len(cost))), [], []
    for i, row in enumerate(document["rows"]):
        left, bound = Fraction(0), Fraction(row["bound"])
        for j, a in row["terms"]:
            matrix[i, j] += float(Fraction(a))
            left += Fraction(a) * x[j]
        lower.append(-np.inf if row["relation"] == "<=" else float(bound))
        upper.append(np.inf if row["relation"] == ">=" else float(bound))
        if not {">=": left >= bound, "<=": left <= bound, "==": left == bound}[row["relation"]]:
            return False
    if any(v < 0 for j, v in enumerate(x) if j not in free) or sum(map(lambda c, v: c * v, cost, x)) != value:
        return False
    bounds = scipy.optimize.Bounds([-np.inf if j in free else 0.0 for j in range(len(cost))], np.inf)
    rows = scipy.optimize.LinearConstraint(matrix, lower, upper)
    found = scipy.optimize.milp([float(c) for c in cost], constraints=rows, bounds=bounds)
    return bool(found.status == 0 and abs(found.fun - float(value)) <= 1e-7 * (1 + abs(float(value))))


def value_function(document: Document, rng: random.Random) -> bool:
    """Backward induction from the last step, without the values of the document."""
    stages = document["stages"]
    if isinstance(stages[0], dict):
        stages = [stages] * document["horizon"]
    worth = [Fraction(0)] * len(stages[0])
    for stage in reversed(stages):
        costs = []
        for state in stage:
            options = []
            for action in state.values():
                law = [(Fraction(p), j) for p, j in action["to"]]
                if sum(p for p, _ in law) != 1 or min(p for p, _ in law) < 0:
                    raise Undefined
                options.append(Fraction(action["cost"]) + sum(p * worth[j] for p, j in law))
            costs.append(min(options))
        worth = costs
    return bool(worth[document["start"]] == evaluate(document["value"], {}))


def codebook(document: Document, rng: random.Random) -> bool:
    """Every set of decoders."""
    k, v, size = document["patterns"], document["values"], 2 ** document["bits"]
    law, price = [Fraction(p) for p in document["probabilities"]], Fraction(document["price"])
    if len(law) != k or sum(law) != 1 or min(law) < 0 or price < 0 or (v + 1) ** (k * size) > 10**6:
        raise Undefined
    tables = list(itertools.product(range(1, v + 1), repeat=k))
    decoders = list(itertools.product(range(v + 1), repeat=k))
    costs = [
        [sum(p * (1 if y == 0 else price * (y != x)) for p, y, x in zip(law, d, t, strict=True)) for t in tables]
        for d in decoders
    ]
    best = min(sum(map(min, zip(*chosen, strict=True))) for chosen in itertools.combinations(costs, size))
    return bool(best / len(tables) == evaluate(document["value"], {}))


def sturm(document: Document, rng: random.Random) -> bool:
    """Roots that sympy isolates."""
    x = sympy.Symbol("x")
    given = [Fraction(c) for c in document["coefficients"]]
    exact = [sympy.Rational(c.numerator, c.denominator) for c in given]
    polynomial = sympy.Poly(exact[::-1], x)
    if polynomial.is_zero:
        raise Undefined
    low, high = (None if end is None else sympy.Rational(str(Fraction(end))) for end in document["interval"][:2])
    if high is not None and low > high:
        raise Undefined
    real = set(polynomial.real_roots()) if polynomial.degree() > 0 else set()
    inside = {root for root in real if root > low and (high is None or root <= high)}
    sign = document.get("sign")
    return len(inside) == document["roots"] and (sign is None or sympy.sign(polynomial.eval(low)) == sign)


def interval(document: Document, rng: random.Random) -> bool:
    """Corners and points chosen at random, at 60 digits."""
    box = {name: [Fraction(end) for end in ends] for name, ends in document.get("box", {}).items()}
    if not document["facts"] or any(low > high for low, high in box.values()):
        raise Undefined
    shares = [*itertools.product((Fraction(0), Fraction(1)), repeat=len(box))][:8]
    shares += [tuple(Fraction(rng.random()) for _ in box) for _ in range(8)]
    with mpmath.workdps(60):
        for share in shares:
            known: dict[str, Any] = {"pi": mpmath.pi(), "e": mpmath.e()}
            for (name, (low, high)), s in zip(box.items(), share, strict=True):
                at = low + s * (high - low)
                known[name] = mpmath.mpf(at.numerator) / at.denominator
            for name, text in document.get("definitions", {}).items():
                known[name] = Formula(text, Reals())(known)
            if not all(_truth(Formula(fact, Reals())(known)) for fact in document["facts"]):
                return False
    return True


JUDGES: dict[str, Callable[[Document, random.Random], bool]] = {
    "arithmetic": arithmetic,
    "chain": chain,
    "codebook": codebook,
    "counterexample": counterexample,
    "identity": identity,
    "interval": interval,
    "lp-dual": lp_dual,
    "sturm": sturm,
    "value-function": value_function,
}
"""Kind of certificate -> whether what the document asserts is so; raises Undefined where it asserts nothing."""
