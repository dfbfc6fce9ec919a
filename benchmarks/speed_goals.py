"""The goals of ``batch_speed.py``: what is measured, beside what, and what it has to reach.

Every goal has a row in the table, measured or not; what was not measured says why.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

LEVELS = ("avx512", "avx2", "baseline")

_FIT = "power + floor, 200 points: estimate, standard error, status (a curve)"
_OWN = "the same, every curve with its own x (a curve)"
_COMMAND = "cogfit fit, 300 points (a command)"


@dataclass(frozen=True)
class Goal:
    """What is measured.

    Attributes
    ----------
    name : str
    task, beside : str
        What is done, and what it is compared with ("" for a time by itself).
    unit : str
        "×": so many times as fast as what it is compared with. "s": seconds. "× limit": so many times the limit.
    bound : float or None
        The least ratio, or the most seconds or times the limit; None: stated without a goal.
    """

    name: str
    task: str
    beside: str
    unit: str = "×"
    bound: float | None = None

    def is_met(self, value: float) -> bool | None:
        """Whether a value reaches the goal; None where there is none."""
        if self.bound is None:
            return None
        return value >= self.bound if self.unit == "×" else value <= self.bound

    @property
    def words(self) -> str:
        """The goal as it stands in the table."""
        if self.bound is None:
            return ""
        return f"{'≥' if self.unit == '×' else '≤'} {self.bound:,g} {self.unit}"


def _of_level(level: str) -> tuple[Goal, ...]:
    """The same fits and the distance to the limit at one level of the engine."""
    four, lmfit = (300.0, 700.0) if level == "baseline" else (600.0, 1300.0)
    return (
        Goal(f"{level}_four", f"{_FIT}, engine level {level}", "curve_fit, four starts", "×", four),
        Goal(f"{level}_lmfit", f"{_FIT}, engine level {level}", "lmfit, one start", "×", lmfit),
        Goal(f"{level}_limit", f"least squares on one core, engine level {level}", "840 exponentials", "× limit", 4.5),
    )


GOALS = (
    Goal("four", _FIT, "curve_fit, four starts", "×", 600),
    Goal("bounds", _FIT, "curve_fit, four starts, in bounds"),
    Goal("lmfit", _FIT, "lmfit, one start", "×", 1300),
    Goal("jax_one", _FIT, "optimistix on JAX, Gauss–Newton, one start, compiled"),
    Goal("jax_four", _FIT, "optimistix on JAX, Levenberg–Marquardt, four starts, compiled"),
    Goal("own_four", _OWN, "curve_fit, four starts, own x"),
    Goal("own_lmfit", _OWN, "lmfit, one start, own x"),
    Goal("all", "all 14 forms with selection, 200 points (a curve)", "curve_fit, four starts a form", "×", 80),
    Goal("bootstrap", "2,000 bootstrap refits of a curve of 400 points (a refit)", "curve_fit, warm start", "×", 120),
    Goal("limit", "least squares on one core, power + floor, 200 points", "840 exponentials", "× limit", 4.5),
    *(goal for level in LEVELS for goal in _of_level(level)),
    Goal("long_1e5", "cogfit fit, 10⁵ points, all forms (processor time)", "", "s", 4),
    Goal("long_1e6", "cogfit fit, 10⁶ points, all forms (processor time)", "", "s", 15),
    Goal("long_one_form", "cogfit.fit, 10⁵ points, one form", "", "s", 0.3),
    Goal("cold", f"{_COMMAND}, with empty caches", "", "s", 3),
    Goal("warm", _COMMAND, "", "s", 1),
    Goal("ledger_row", "cogfit ledger --row gamma (processor time)", "", "s"),
    Goal("tensorboard", "TensorBoard, 10⁶ scalars", "tbparse", "×", 5),
    Goal("csv", "CSV, 10⁶ rows: read and checked", "pandas.read_csv, unchecked", "×", 0.8),
    Goal("parquet", "Parquet, a routing log of 1,075,413 rows: read", "pandas.read_parquet", "×", 1),
    Goal("plain", "Parquet, a routing log of 1,075,413 rows: read, checked, P(k)",
         "pandas.read_parquet, groupby, mean, unchecked"),
)  # fmt: skip
BY_NAME = {goal.name: goal for goal in GOALS}

COLUMNS = ("name", "task", "beside", "unit", "goal", "measured", "least", "most", "beside_seconds", "cogfit_seconds",
           "met", "reason")  # fmt: skip


@dataclass
class Results:
    """What was measured, by the names of the goals.

    Attributes
    ----------
    measured : dict of dict
        Columns of the table.
    reasons : dict of str
        Why something was not measured.
    failures : set of str
        What was not measured because it is so slow that its goal is missed.
    """

    measured: dict[str, dict[str, Any]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    failures: set[str] = field(default_factory=set)

    def note(self, name: str, values: Sequence[float], **seconds: float) -> None:
        """Keep the median of some values, the least and the most."""
        self.measured[name] = {
            "measured": statistics.median(values), "least": min(values), "most": max(values), **seconds,
        }  # fmt: skip
        print(line(self.row(BY_NAME[name])), flush=True)

    def miss(self, name: str, reason: str, *, is_failure: bool = False) -> None:
        """Keep why something was not measured, and whether its goal is missed by that."""
        self.reasons[name] = reason
        if is_failure:
            self.failures.add(name)
        print(line(self.row(BY_NAME[name])), flush=True)

    def compare(
        self, ours: Callable[[], float], peers: dict[str, Callable[[], float]], rounds: int, *, warm_up: bool = True
    ) -> None:
        """Take each peer's time and ours in turn, and keep the ratios.

        Parameters
        ----------
        ours : callable
            Returns seconds.
        peers : dict of callable
            Likewise, by the names of the goals.
        rounds : int
        warm_up : bool
            Whether a first call of ours does not count.
        """
        if warm_up:
            ours()
        for name, peer in peers.items():
            pairs = [(peer(), ours()) for _ in range(rounds)]
            self.note(
                name, [a / b for a, b in pairs],
                beside_seconds=statistics.median(a for a, _ in pairs),
                cogfit_seconds=statistics.median(b for _, b in pairs),
            )  # fmt: skip

    def row(self, goal: Goal) -> dict[str, Any]:
        """The row of a goal."""
        found = self.measured.get(goal.name, {})
        met = goal.is_met(found["measured"]) if found else False if goal.name in self.failures else None
        return {
            **dict.fromkeys(COLUMNS, ""),
            "name": goal.name,
            "task": goal.task,
            "beside": goal.beside,
            "unit": goal.unit,
            "goal": goal.words,
            "met": "" if met is None else "yes" if met else "no",
            "reason": "" if found else self.reasons.get(goal.name, "its part was not run"),
            **found,
        }

    def rows(self) -> list[dict[str, Any]]:
        """The table, with a row for every goal."""
        return [self.row(goal) for goal in GOALS]


HEADER = "| what | beside | measured | least – most | goal | met |\n|---|---|---|---|---|---|"


def line(row: dict[str, Any]) -> str:
    """A row as it stands in the documentation."""
    if row["reason"]:
        measured, span = f"not measured: {row['reason']}", ""
    else:
        measured = f"{number(row['measured'])} {row['unit']}"
        span = f"{number(row['least'])} – {number(row['most'])}" if row["least"] != row["most"] else ""
    return f"| {row['task']} | {row['beside']} | {measured} | {span} | {row['goal']} | {row['met']} |"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
