"""What types cannot tell of a document: parts that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cogfit.result.fit_result import FitResult


def contradictions(result: FitResult) -> Iterator[str]:
    """What types cannot tell: parts that do not fit together."""
    names = [item.name for item in result.forms]
    if len(set(names)) < len(names):
        yield "two of its forms have the same name"
    for name in (result.form, *result.indistinguishable_forms):
        if name not in names:
            yield f"it holds no form '{name}'"
    if not result.x.shape == result.y.shape == result.weights.shape == (result.n,):
        yield f"the curve does not have {result.n} points"
    for item in result.forms:
        yield from item.contradictions(result.n)
    for label in ("trajectories", "averaging", "transition"):
        if not _has_sentences(getattr(result, label)):
            yield f"the statements of '{label}' are no list of sentences"


def _has_sentences(part: Mapping[str, Any] | None) -> bool:
    """Whether the statements of a part, if it has any, are sentences."""
    statements = (part or {}).get("statements", [])
    return isinstance(statements, list | tuple) and all(isinstance(text, str) for text in statements)
