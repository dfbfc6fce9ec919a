"""Certificates as files that the kernel checks.

A document becomes a definition of what it speaks of (a program, a decision process, two expressions, a stream and a
router) and a theorem about it in the terms of ``documents.v`` and ``streams.v``. The numbers of the document are
written as they stand; formulas of numbers (an asserted optimum) are evaluated first.

A new kind is one function here and one line in :data:`KINDS`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from cogfit.errors import InputError
from theory.proofs.certificates import Document, entry, exact, items, numbers
from theory.proofs.expressions import Expression, constant

_RELATIONS = {">=": "AtLeast", "==": "Equal", "<=": "AtMost"}
_HEAD = """From Coq Require Import QArith List String.
From Cogfit Require Import {module}.
Import ListNotations.
Open Scope Q_scope.
Open Scope string_scope.
"""


def exported(document: Document) -> str:
    """Write a certificate as a file for the kernel.

    Its theorem is called ``certificate``.

    Raises
    ------
    InputError
        If its kind is not exported, or it is malformed.

    Examples
    --------
    >>> print(exported({"kind": "identity", "left": "(x + 1)**2", "right": "x**2 + 2*x + 1"}).splitlines()[-2])
    Theorem certificate : same_everywhere left_side right_side.
    """
    kind = document.get("kind")
    if kind not in KINDS:
        raise InputError(f"certificates of the kind {kind!r} are not exported", hint=f"these are: {', '.join(KINDS)}")
    return KINDS[str(kind)](document)


def parts(document: Document) -> Iterator[Document]:
    """Parts of a certificate, in order.

    A document of another kind than ``all`` is its only part.
    """
    if document.get("kind") == "all":
        for part in items(document, "parts", dict, least=1):
            yield from parts(part)
    else:
        yield document


def _file(module: str, lines: Iterable[str], theorem: str, proof: str) -> str:
    head = _HEAD.format(module=module)
    return head + "\n".join([*lines, f"Theorem certificate : {theorem}.", f"Proof. {proof} Qed."]) + "\n"


# ------------------------------------------------------------------------------------------------ linear programs


def _linear_program(document: Document) -> str:
    cost = numbers(document.get("objective"), "'objective'")
    free = set(items(document, "free", int))
    rows = [_row(row, len(cost)) for row in items(document, "rows", dict, least=1)]
    lines = [
        "Definition rows_of : list row := [",
        ";\n".join(rows),
        "].",
        f"Definition the_program := Program {_list(map(_q, cost))} rows_of",
        f"  {_list('true' if j in free else 'false' for j in range(len(cost)))}.",
    ]
    primal, dual = (_list(map(_q, numbers(document.get(name), name))) for name in ("primal", "dual"))
    value = constant(document.get("value"), "'value'")
    proof = f"apply solves_is_sound with (x := {primal}) (y := {dual}). vm_compute. reflexivity."
    return _file("documents", lines, f"least_value the_program {_q(value)}", proof)


def _row(row: Document, width: int) -> str:
    relation = _RELATIONS.get(entry(row, "relation", str))
    terms = items(row, "terms", list)
    if relation is None or any(len(term) != 2 or not _is_index(term[0], width) for term in terms):
        raise InputError("certificate: a row cannot be read", hint="see theory.proofs.verifiers.linear")
    pairs = _list(f"({j}%nat, {_q(exact(a))})" for j, a in terms)
    return f"  Row (sparse {width} {pairs}) {relation} {_q(exact(row.get('bound')))}"


# ---------------------------------------------------------------------------------------------- decision processes


def _decision_process(document: Document) -> str:
    raw = items(document, "stages", object, least=1)
    rows = [numbers(row, "values") for row in items(document, "values", list, least=2)]
    size, horizon = len(rows[0]), len(rows) - 1
    if isinstance(raw[0], dict):
        lines = [f"Definition the_stage : stage := {_stage(raw, size)}."]
        stages = f"List.repeat the_stage {horizon}"
    else:
        lines = [f"Definition stage{i} : stage := {_stage(stage, size)}." for i, stage in enumerate(raw)]
        stages = _list(f"stage{i}" for i in range(len(raw)))
    lines += [f"Definition the_process : list stage := {stages}."]
    start, value = entry(document, "start", int), constant(document.get("value"), "'value'")
    values = "[" + ";\n  ".join(_list(map(_q, row)) for row in rows) + "]"
    proof = f"apply decides_is_sound with (n := {size}%nat) (values := {values}). vm_compute. reflexivity."
    return _file("documents", lines, f"least_cost the_process {start}%nat {_q(value)}", proof)


def _stage(raw: Any, size: int) -> str:
    if not isinstance(raw, list) or not all(isinstance(state, dict) and state for state in raw):
        raise InputError("certificate: a stage is a list of states, each an object with at least one action")
    return _list((_list(_action(action, size) for action in state.values()) for state in raw), ";\n  ")


def _action(raw: Any, size: int) -> str:
    if not isinstance(raw, dict) or any(len(p) != 2 or not _is_index(p[1], size) for p in items(raw, "to", list)):
        raise InputError("certificate: an action cannot be read", hint="see theory.proofs.verifiers.bellman")
    law = [(exact(p), s) for p, s in items(raw, "to", list, least=1)]
    if sum(p for p, _ in law) != 1:
        raise InputError("certificate: the probabilities of an action are not a distribution")
    return f"Action {_q(exact(raw.get('cost')))} {_list(f'({_q(p)}, {s}%nat)' for p, s in law)}"


# -------------------------------------------------------------------------------------------- rational expressions


def _identity(document: Document) -> str:
    definitions = entry(document, "definitions", dict, {})
    known: dict[str, str] = {}
    for name, text in definitions.items():
        known[name] = _Term(known).translate(text)
    left, right = (_Term(known).translate(document.get(side)) for side in ("left", "right"))
    lines = [f"Definition left_side : term := {left}.", f"Definition right_side : term := {right}."]
    proof = (
        "apply crosswise_is_sound. intro e. unfold left_side, right_side. cbn [fraction fst snd times]. "
        "repeat match goal with |- context [e ?n] => generalize (e n); intro end. ring."
    )
    return _file("documents", lines, "same_everywhere left_side right_side", proof)


@dataclass
class _Term:
    """Translates a formula without logic to a ``term``.

    Unknown names become variables, numbered by their letters so that both sides agree.
    """

    known: Mapping[str, str]
    text: str = ""

    def translate(self, text: object) -> str:
        self.text = Expression(text).text
        return self._term(ast.parse(self.text, mode="eval").body)

    def _term(self, node: ast.expr) -> str:
        match node:
            case ast.Constant():
                return f"(Number {_q(_literal(self.text, node))})"
            case ast.Name():
                return self.known.get(node.id, f"(Name {_numbered(node.id)})")
            case ast.UnaryOp(op=ast.USub()):
                return f"(Sub (Number 0) {self._term(node.operand)})"
            case ast.BinOp(op=ast.Pow()):
                return self._power(node)
            case ast.BinOp(op=operator) if type(operator) in _TERMS:
                return f"({_TERMS[type(operator)]} {self._term(node.left)} {self._term(node.right)})"
        raise InputError(f"certificate: {self.text[:60]!r} uses {type(node).__name__}, which is not exported here")

    def _power(self, node: ast.BinOp) -> str:
        exponent = constant(ast.get_source_segment(self.text, node.right))
        if exponent.denominator != 1 or abs(exponent) > _MAX_EXPONENT:
            raise InputError(f"certificate: the exponent {exponent} is not exported", hint="use small integers")
        power = f"(Pow {self._term(node.left)} {abs(exponent)})"
        return power if exponent >= 0 else f"(Div (Number 1) {power})"


_MAX_EXPONENT = 50
_MAX_TABLES = 10_000
_MAX_LENGTH = 1000
_TERMS: dict[type, str] = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul", ast.Div: "Div"}


def _numbered(name: str) -> int:
    """A number of its own for every name, as small as its letters allow."""
    return int.from_bytes(name.encode("ascii", "strict"), "big") if name.isascii() else _refuse(name)


def _refuse(name: str) -> int:
    raise InputError(f"certificate: the name {name!r} is not exported", hint="use ASCII letters")


# ------------------------------------------------------------------------------------------------ counterexamples


def _counterexample(document: Document) -> str:
    memory, update = entry(document, "memory", dict, {}), entry(document, "update", dict, {})
    facts = items(document, "facts", str, least=1)
    attend, guess = entry(document, "attend", str), entry(document, "guess", str)
    used = {name for text in (attend, guess, *update.values()) for name in Expression(text).names}
    asked = {name for fact in facts for name in Expression(fact).names}
    flags = (entry(document, "feedback", bool, False), "counts" in used, bool(asked & {"unrevealed_error", "distinct"}))
    feedback, counts, track = ("true" if flag else "false" for flag in flags)
    sizes = [_size(document, name, most) for name, most in (("patterns", 64), ("values", 64))]
    throws = [_size(document, name, 1000, 1) for name in ("coin", "die")]
    if sizes[1] ** sizes[0] * throws[0] > _MAX_TABLES:
        raise InputError("certificate: too many tables for the kernel", hint=f"at most {_MAX_TABLES}")
    lines = [
        f"Definition the_stream := Stream {sizes[0]} {sizes[1]} {_queries(document)} {feedback}",
        f"  {throws[0]} {throws[1]} {counts} {track}.",
        f"Definition the_router := Router {_formulas(memory)}",
        f"  ({_Formula().translate(attend)})",
        f"  ({_Formula().translate(guess)})",
        f"  {_formulas(update)}.",
    ]
    claimed = _list((f"({_Formula().translate(fact)})" for fact in facts), ";\n  ")
    return _file("streams", lines, f"holds the_stream the_router {claimed} = true", "vm_compute. reflexivity.")


def _queries(document: Document) -> str:
    raw = document.get("queries")
    if isinstance(raw, dict):
        law = _list(
            f"({z}%nat, {_q(p)})" for z, p in enumerate(numbers(raw.get("probabilities"), "'probabilities'")) if p
        )
        return f"(List.repeat {law} {_size(raw, 'length', _MAX_LENGTH)})"
    return f"(map (fun z => [(z, 1)]) {_list(f'{z}%nat' for z in items(document, 'queries', int, least=1))})"


def _size(document: Document, name: str, most: int, default: int | None = None) -> int:
    size = entry(document, name, int, default)
    if not 1 <= size <= most:
        raise InputError(f"certificate: '{name}' is {size}", hint=f"the kernel takes 1 to {most}")
    return size


def _formulas(formulas: Mapping[str, Any]) -> str:
    for name in formulas:
        if not (name.isascii() and name.isidentifier()):
            raise InputError(f"certificate: {name!r} is no name", hint="use ASCII letters, digits and _")
    return _list((f'("{name}", {_Formula().translate(text)})' for name, text in formulas.items()), ";\n  ")


@dataclass
class _Formula:
    """Translates a formula to a function of an environment."""

    text: str = ""
    bound: list[str] = field(default_factory=list)

    def translate(self, text: object) -> str:
        self.text = Expression(text).text
        return f"fun e => {self._value(ast.parse(self.text, mode='eval').body)}"

    def _value(self, node: ast.expr) -> str:
        match node:
            case ast.Constant():
                return f"(Num {_q(_literal(self.text, node))})"
            case ast.Name():
                return f"bound_{node.id}" if node.id in self.bound else f'(e "{node.id}")'
            case ast.UnaryOp(op=operator) if type(operator) in _UNARY:
                return f"({_UNARY[type(operator)]} {self._value(node.operand)})"
            case ast.BinOp(op=operator) if type(operator) in _BINARY:
                return f"({_BINARY[type(operator)]} {self._value(node.left)} {self._value(node.right)})"
            case ast.BoolOp():
                return self._folded("conjunction" if isinstance(node.op, ast.And) else "disjunction", node.values)
            case ast.IfExp():
                return f"(choose {' '.join(map(self._value, (node.test, node.body, node.orelse)))})"
            case ast.Tuple() | ast.List():
                return f"(Many {_list(map(self._value, node.elts))})"
            case ast.Subscript():
                return f"(entry {self._value(node.value)} {self._value(node.slice)})"
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=ast.Name(id=name)):
                return self._call(name, node.args)
        raise self._error(type(node).__name__)

    def _comparison(self, node: ast.Compare) -> str:
        terms = list(map(self._value, (node.left, *node.comparators)))
        relations = [_COMPARISONS.get(type(op), "") for op in node.ops]
        if not all(relations):
            raise self._error("a comparison")
        single = [r.format(u, v) for r, u, v in zip(relations, terms, terms[1:], strict=False)]
        return single[0] if len(single) == 1 else f"(conjunction {single[0]} {' '.join(single[1:])})"

    def _call(self, name: str, arguments: list[ast.expr]) -> str:
        if name == "sum" and len(arguments) == 4 and isinstance(arguments[0], ast.Name):
            index = arguments[0].id
            low, high = map(self._value, arguments[1:3])
            self.bound.append(index)
            term = self._value(arguments[3])
            self.bound.pop()
            return f"(sum_over {low} {high} (fun bound_{index} => {term}))"
        if name in ("max", "min") and len(arguments) >= 2:
            return self._folded({"max": "largest", "min": "smallest"}[name], arguments)
        if name not in _FUNCTIONS or len(arguments) != _FUNCTIONS[name][1]:
            raise self._error(f"the function '{name}'")
        return f"({_FUNCTIONS[name][0]} {' '.join(map(self._value, arguments))})"

    def _folded(self, operation: str, nodes: list[ast.expr]) -> str:
        *others, folded = map(self._value, nodes)
        for term in reversed(others):
            folded = f"({operation} {term} {folded})"
        return folded

    def _error(self, what: str) -> InputError:
        return InputError(f"certificate: {self.text[:60]!r} uses {what}, which is not exported")


_UNARY: dict[type, str] = {ast.USub: "negate", ast.Not: "opposite"}
_BINARY: dict[type, str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.FloorDiv: "floor_divide",
    ast.Mod: "modulo",
    ast.Pow: "power",
}
_COMPARISONS: dict[type, str] = {
    ast.Lt: "(less {0} {1})",
    ast.LtE: "(at_most {0} {1})",
    ast.Gt: "(less {1} {0})",
    ast.GtE: "(at_most {1} {0})",
    ast.Eq: "(equal {0} {1})",
    ast.NotEq: "(opposite (equal {0} {1}))",
}
_FUNCTIONS = {"put": ("put", 3), "repeat": ("repeated", 2), "len": ("size", 1)}
"""Function of the language -> its name in ``streams.v``, and how many arguments it takes."""


# ------------------------------------------------------------------------------------------------------- numbers


def _q(value: Fraction) -> str:
    """An exact number as the prover writes it."""
    return f"({value.numerator} # {value.denominator})"


def _list(terms: Iterable[str], separator: str = "; ") -> str:
    return f"[{separator.join(terms)}]"


def _is_index(value: object, size: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < size


def _literal(text: str, node: ast.Constant) -> Fraction:
    """The number as it is written: 0.1 means one tenth."""
    return constant(ast.get_source_segment(text, node))


KINDS: dict[str, Callable[[Document], str]] = {
    "lp-dual": _linear_program,
    "value-function": _decision_process,
    "identity": _identity,
    "counterexample": _counterexample,
}
"""Kind of certificate -> function that writes it for the kernel."""
