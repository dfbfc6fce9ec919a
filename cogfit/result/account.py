"""Where the points of a fit came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from cogfit.errors import shortlist


class Account(TypedDict):
    """Where the points came from.

    Attributes
    ----------
    path : str or None
    format : str
    rows_read, rows_used : int
        Rows of the log, and those behind the points.
    rows_dropped : dict of str to int
        The others, by reason.
    notes : list of str
    choices : list of dict
        ``kind`` (split, run, training or column), ``name`` and ``others``, where there were several.
    averaged_over : dict of str to int
        Number of runs, layers or heads that a mean was taken over.
    restarts : list of dict
        ``reached``, ``step``, ``rows_void``, ``declared`` and the ``branch`` that was left, with its labels.
    course : dict
        Mean value of the rows that count by step, where there were restarts.
    """

    path: str | None
    format: str
    rows_read: int
    rows_dropped: dict[str, int]
    notes: list[str]
    rows_used: NotRequired[int]
    choices: NotRequired[list[dict[str, Any]]]
    averaged_over: NotRequired[dict[str, int]]
    restarts: NotRequired[list[dict[str, Any]]]
    course: NotRequired[dict[str, list[float]]]


def choice_in_words(choice: Mapping[str, Any]) -> str:
    """What was chosen, and what else there is."""
    kind, name, others = str(choice["kind"]), str(choice["name"]), [str(other) for other in choice["others"]]
    what = name if kind == "training" else f"{kind} {name}"
    if not others:
        return what
    ways = {"split": f"also there: {shortlist(others)}; --split", "training": f"{len(others)} before it: --by run"}
    counted = "1 other" if len(others) == 1 else f"{len(others)} others"
    return f"{what} ({ways.get(kind, f'{counted}: --by run')})"
