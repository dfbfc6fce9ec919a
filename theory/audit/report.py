"""Report of a log against the bounds.

Findings, looks, the report.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np

import cogfit
from cogfit.errors import InputError
from cogfit.records.codec import Document, encode, wire
from theory.audit import e_values
from theory.audit.arrivals import Arrivals, MissingMass
from theory.audit.endings import Endings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Unit = Literal["auto", "pattern", "table"]

Judgement = Literal["impossible", "not excluded", "not judged"]

SCHEMA = "theory.bound/1"

_LEAST_LOG_P = -690.0  # p-values are given down to 1e-300


@dataclass(frozen=True)
class Settings:
    """What a report was asked for.

    See :func:`check_log`.
    """

    chance: float
    values: int | None = None
    memory_bits: float | None = None
    f: float | None = None
    accuracy: float | None = None
    labels: bool = True
    unit: Unit = "auto"
    one_table: bool = False
    planned_lengths: bool = False
    x_min: float | None = None
    x_max: float | None = None
    level: float = 0.95

    def __post_init__(self) -> None:
        e_values.check_chance(self.chance)
        if self.memory_bits is not None and not 0 <= self.memory_bits < math.inf:
            raise InputError(f"a memory of {self.memory_bits} bits", hint="`memory_bits` is a number, 0 or more")
        if self.f is not None and not 0 < self.f <= 1:
            raise InputError(f"the share f of queries is {self.f}", hint="`f` lies between 0 and 1")
        if self.accuracy is not None and not 0 <= self.accuracy <= 1:
            raise InputError(f"the accuracy is {self.accuracy}", hint="`accuracy` is a fraction between 0 and 1")
        if self.unit not in get_args(Unit):
            raise InputError(f"no unit '{self.unit}'", hint=f"`unit` is one of {', '.join(get_args(Unit))}")
        if not 0 < self.level < 1:
            raise InputError(f"the level is {self.level}", hint="`level` lies between 0 and 1")


@dataclass(frozen=True)
class Finding(Document):
    """What the log says about one class of routers.

    Attributes
    ----------
    theorem : {"T1", "T2", "T3"}
    router : str
        The class: without memory; with S bits of memory; any learner.
    verdict : {"impossible", "not excluded", "not judged"}
        ``impossible``: no router of the class gives such a log, except with probability 1 − level over the draw of the
        tables (and, for T2, of the queries).
    reason : str
        What the verdict rests on.
    attention : float or None
        Share of the queries concerned that were attended (T2: of those to recurring patterns).
    bound : float or None
        Least share that a router of the class attends in expectation, at the errors of the log.
    p_value : float or None
        Valid however often one looks and however runs end (T1 and T3; see :func:`theory.check_log`); at least 1e-300.
    explained_by : float or None
        Lower confidence limit of what explains the log: for T1 the chance of the best guess without attention, for T2
        the bits of memory, for T3 the chance of the best guess at a query whose value was not shown yet.
    """

    DERIVED: ClassVar[Mapping[str, str]] = {"excess": "excess"}

    theorem: str
    router: str
    verdict: Judgement
    reason: str
    attention: float | None = None
    bound: float | None = None
    p_value: float | None = None
    explained_by: float | None = None

    @property
    def excess(self) -> float | None:
        """Attention above the bound.

        Negative below it.
        """
        return None if self.attention is None or self.bound is None else self.attention - self.bound


@dataclass(frozen=True)
class Look:
    """The log up to one number of rows.

    One of those at which a log is looked at; shares are of the queries up to there.

    Attributes
    ----------
    queries : int
    step : int
        Of the last of them.
    attention : float
    memoryless, memoryless_limit : float or None
        Least attention without memory (T1), and the attention below which luck with the values does not explain it.
    memory : float or None
        Least attention with the given bits of memory (T2), where the stream allows it and no query is novel.
    learner : float or None
        Least attention of any learner (T3).
    """

    queries: int
    step: int
    attention: float
    memoryless: float | None = None
    memoryless_limit: float | None = None
    memory: float | None = None
    learner: float | None = None


@dataclass(frozen=True)
class LogReport(Document):
    """What :func:`check_log` found.

    Attributes
    ----------
    source : Mapping
        Path, format, rows read and dropped.
    settings : Settings
    queries, novel, patterns, tables : int
        Rows judged; those that ask for no recurring pattern; patterns; tables of values.
    attention : float
        Share of the queries that were attended; for a utilisation log the share of all tokens, divided by f.
    wrong : float or None
        Answers that were wrong without attention, per query; None where that is not known.
    wrong_attended : float or None
        Answers that were wrong in spite of attention, per query; no bound charges them.
    accuracy : {"logged", "assumed", "missing"}
        Where ``wrong`` is from.
    unit : {"pattern", "table", "none"}
        What the tests count once.
    findings : tuple of Finding
        For T1, T2 and T3.
    arrivals : Arrivals or None
        Whether queries look independent; without that no verdict on bits and no missing mass.
    endings : Endings or None
        Whether the ends of the runs look independent of their answers; None where that cannot be seen.
    unseen : MissingMass or None
        Good-Turing estimate of the share of coming queries for something not seen yet, with limits; None where queries
        do not look independent, or ``x_min`` leaves out the beginning.
    path : tuple of Look
        How attention and bounds went along.
    warnings : tuple of str
    """

    SCHEMA: ClassVar[str] = SCHEMA
    DERIVED: ClassVar[Mapping[str, str]] = {
        "findings": "_findings",
        "attention.per_token": "_attention_per_token",
        "reduction": "_reduction",
        "versions": "_versions",
    }

    source: Mapping[str, Any]
    settings: Settings
    queries: int = field(metadata=wire("queries.rows"))
    novel: int = field(metadata=wire("queries.novel"))
    patterns: int = field(metadata=wire("queries.patterns"))
    tables: int = field(metadata=wire("queries.tables"))
    attention: float = field(metadata=wire("attention.per_query"))
    wrong: float | None = field(metadata=wire("errors.unattended"))
    wrong_attended: float | None = field(metadata=wire("errors.attended"))
    accuracy: Literal["logged", "assumed", "missing"] = field(metadata=wire("errors.accuracy"))
    unit: Literal["pattern", "table", "none"]
    findings: tuple[Finding, ...] = field(metadata=wire(skip=True))
    arrivals: Arrivals | None
    endings: Endings | None
    unseen: MissingMass | None
    path: tuple[Look, ...]
    warnings: tuple[str, ...]

    def __getitem__(self, theorem: str) -> Finding:
        """Finding by theorem, such as ``report["T1"]``."""
        return {finding.theorem: finding for finding in self.findings}[theorem]

    @property
    def least(self) -> float | None:
        """Least attention of any learner at these errors, per query.

        Least attention that the data leave to any learner at these errors, per query.
        """
        return self["T3"].bound

    @property
    def reduction(self) -> float | None:
        """Factor by which attention could still fall.

        On these queries at these errors; infinite if to nothing.
        """
        if self.least is None or self.attention == 0:
            return None
        return self.attention / self.least if self.least > 0 else math.inf

    @property
    def _findings(self) -> list[dict[str, Any]]:
        return [{**encode(finding), "bound_per_token": self._per_token(finding.bound)} for finding in self.findings]

    @property
    def _attention_per_token(self) -> float | None:
        return self._per_token(self.attention)

    @property
    def _reduction(self) -> dict[str, Any]:
        factor = self.reduction
        return {"least_attention": self.least, "factor": factor, "unbounded": factor == math.inf}

    @property
    def _versions(self) -> dict[str, str]:
        return {"cogfit": cogfit.__version__, "numpy": np.__version__}

    def plot(self) -> Figure:
        """Draw attention against the bounds as the log grows."""
        from theory.audit.report_plot import plot_report

        return plot_report(self)

    def headline(self) -> str:
        """Length of the log, attention and verdicts, in one line."""
        verdicts = ", ".join(f"{item.router}: {item.verdict}" for item in self.findings)
        return f"{self.queries:,} queries, {_percent(self.attention)} attended; {verdicts}"

    def __str__(self) -> str:
        """Readable text of several lines, without a final newline."""
        lines = [*self._head(), "", *self._table(), ""]
        if self.arrivals is not None:
            lines.append(f"Arrivals: {self.arrivals}.")
        if self.endings is not None:
            lines.append(f"Ends of runs: {self.endings}.")
        if self.unseen is not None:
            low, high = _percent(self.unseen.low), _percent(self.unseen.high)
            lines.append(f"Not seen yet (Good–Turing): {_percent(self.unseen.estimate)} of queries [{low}, {high}].")
        if self.reduction is not None and self.least is not None:
            how = "without limit" if math.isinf(self.reduction) else f"{self.reduction:,.4g}-fold"
            lines.append(
                f"Largest further reduction on these queries at these errors: {how}, to {_percent(self.least)}."
            )
        return "\n".join([*lines, *(f"warning: {text}" for text in self.warnings)])

    def _head(self) -> list[str]:
        novel = f", {self.novel:,} of them novel" if self.novel else ", none of them novel"
        tables = "one table of values" if self.tables == 1 else f"{self.tables:,} tables of values"
        what = f"{self.queries:,} queries{novel}; {self.patterns:,} patterns, {tables}"
        errors = {
            "missing": "accuracy not logged",
            "assumed": f"accuracy taken to be {_percent(self.settings.accuracy)}",
            "logged": f"wrong without attention: {_percent(self.wrong)} of queries",
        }[self.accuracy]
        if self.wrong_attended:
            errors += f", in spite of it: {_percent(self.wrong_attended)}"
        shares = [] if self.unit == "none" else [f"{_percent(self.attention)} of queries"]
        if self.settings.f is not None:
            shares.append(f"{_percent(self._per_token(self.attention))} of tokens")
        head = f"{self.source['path']} ({self.source['format']})"
        first = f"{head}: a utilisation log" if self.unit == "none" else f"{head}: {what}"
        return [first, f"attended: {', '.join(shares)}; {errors}"]

    def _table(self) -> list[str]:
        rows = [("router", "needs at least", "the log is", "verdict")]
        for item in self.findings:
            p = "" if item.p_value is None else f" ({_p(item.p_value)})"
            bound, difference = _percent(self._shown(item.bound)), _points(self._shown(item.excess))
            rows.append((f"{item.router} ({item.theorem})", bound, difference, item.verdict + p))
        width = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = []
        for row, reason in zip(rows, ("", *(item.reason for item in self.findings)), strict=True):
            lines.append(f"{row[0]:<{width[0]}}  {row[1]:>{width[1]}}  {row[2]:>{width[2]}}  {row[3]}")
            lines += textwrap.wrap(reason, 104, initial_indent="    ", subsequent_indent="    ")
        return lines

    def _shown(self, share: float | None) -> float | None:
        """Share as the text gives it.

        Of the tokens for a utilisation log, of the queries otherwise.
        """
        return self._per_token(share) if self.unit == "none" else share

    def _per_token(self, share: float | None) -> float | None:
        return None if share is None or self.settings.f is None else share * self.settings.f


def p_value_of(log_p: float) -> float:
    """p-value from its logarithm, not below 1e-300."""
    return math.exp(min(0.0, max(log_p, _LEAST_LOG_P)))


def _p(p_value: float) -> str:
    return "p < 1e-299" if p_value < 1e-299 else f"p = {p_value:.2g}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{_hundredths(share)} %".replace("-", "−")


def _points(difference: float | None) -> str:
    """A difference of shares in percentage points, from the bound."""
    if not difference:
        return "–" if difference is None else "at the bound"
    return f"{_hundredths(abs(difference))} points {'below' if difference < 0 else 'above'}"


def _hundredths(share: float) -> str:
    digits = 2 if abs(share) >= 1e-3 or share == 0 else 2 - math.floor(math.log10(abs(share)) + 3)
    return f"{100 * share:.{digits}f}"
