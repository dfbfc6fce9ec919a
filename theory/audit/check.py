"""Is this attention possible? A routing log against the bounds T1 to T3.

For each class of routers: the least attention at the measured errors, the excess of the log over it, and whether chance
explains a log below it. No test takes queries for a sample (:mod:`theory.audit.e_values`); all of them keep their level
however often one looks at a log to which rows are appended. Proofs: docs/checking-a-log.md.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

import cogfit
from cogfit.errors import InputError
from cogfit.logs.growing import watch
from theory.audit import e_values
from theory.audit.arrivals import Arrivals, MissingMass, exchangeability, missing_mass
from theory.audit.bets import Bets
from theory.audit.counts import Booleans, Histogram, Queries, Tally, inside
from theory.audit.e_values import Floats, Guesses
from theory.audit.endings import endings
from theory.audit.report import Finding, Judgement, LogReport, Look, Settings, Unit, p_value_of
from theory.bounds import t1_memoryless, t2_memory_bits, t3_compulsory

if TYPE_CHECKING:
    import pandas as pd

    from cogfit import Log, RoutingLog, Source, UtilizationLog


ACCURACY_COLUMNS = ("retrieval_accuracy", "accuracy")
"""Columns of a utilisation log that are taken for the accuracy on queries."""


def check_log(
    log: str | os.PathLike[str] | Log | RoutingLog | UtilizationLog,
    *,
    values: int | None = None,
    side_information: float | None = None,
    memory_bits: float | None = None,
    f: float | None = None,
    accuracy: float | None = None,
    labels: bool = True,
    unit: Unit = "auto",
    one_table: bool = False,
    planned_lengths: bool = False,
    x_min: float | None = None,
    x_max: float | None = None,
    level: float = 0.95,
) -> LogReport:
    r"""Find the routers for which a log's attention is possible.

    Parameters
    ----------
    log : path, Log, RoutingLog or UtilizationLog
        A routing log with the executed decisions (``attended``) and ``correct``. A query without pattern is novel: its
        value is fresh. Of a utilisation log (with ``f``) only the bound of T1 follows, without a test.
    values : int, optional
        V: values are uniform on V. Either this or ``side_information`` is needed.
    side_information : float, optional
        Ḡ: chance of the best guess without attention, in place of 1/V.
    memory_bits : float, optional
        S, to judge a memory of S bits. Default: only say how many bits are in use at least.
    f : float, optional
        Share of the tokens that are queries; with it bounds are given per token, too.
    accuracy : float, optional
        Share of right answers to assume where the log has none; attended ones are then taken to be right.
    labels : bool
        Whether the value is shown after each query, as in supervised training. The bounds with labels hold without
        them, too; ``labels=False`` sharpens T3.
    unit : {"auto", "pattern", "table"}
        What T1 counts once. ``pattern``: the entry of a table for a pattern; the router's decisions and guesses know
        nothing of the table. ``table``: a whole table; the router may know other entries than the one asked for.
        ``auto``: ``pattern``, whatever the log; the unit is part of the null hypothesis, so it does not change as a log
        grows.
    one_table : bool
        Whether all runs share one table of values. Default: each run has its own.
    planned_lengths : bool
        Whether the length of each run was fixed beforehand and no run was left out. Tests then use all answers, too.
        Default: tests that hold however a run ends, by its answers included. They use the answers without attention
        for each pattern of a run until one is right; with ``unit="table"`` the first query of each table.
    x_min, x_max : float, optional
        Judge these steps only, both included; choose them before you look. What was shown earlier counts as shown.
    level : float
        Confidence level.

    Returns
    -------
    LogReport

    Raises
    ------
    InputError
        If the log has no executed decisions or cannot be read, or an option is impossible.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "routing.csv")
    >>> rows = [f"{t},{t % 7},{int(t < 7)},1" for t in range(700)]  # each of 7 patterns attended once, then known
    >>> _ = file.write_text("\n".join(["step,pattern,attended,correct", *rows]))
    >>> report = check_log(file, values=16)
    >>> [finding.verdict for finding in report.findings]
    ['impossible', 'not judged', 'not excluded']
    >>> report["T1"].bound, round(report.attention, 9), report["T3"].bound
    (1.0, 0.01, 0.01)
    >>> folder.cleanup()
    """
    settings = _settings(
        values,
        side_information,
        memory_bits=memory_bits,
        f=f,
        accuracy=accuracy,
        labels=labels,
        unit=unit,
        one_table=one_table,
        planned_lengths=planned_lengths,
        x_min=x_min,
        x_max=x_max,
        level=level,
    )
    table, warnings = _read(log)
    return _check(table, settings, warnings)


def follow_log(
    path: str | os.PathLike[str],
    *,
    poll: float = 2.0,
    idle: float | None = None,
    read: Callable[[str | os.PathLike[str]], Log] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    **options: Any,
) -> Iterator[LogReport]:
    """Check a log again whenever rows were appended to it.

    Parameters
    ----------
    path : path
        Of a routing log.
    poll : float
        Seconds between two looks at the file.
    idle : float, optional
        Leave after so many seconds without new rows. Default: go on for ever.
    read : callable, optional
        Reads the log. Default: :func:`cogfit.read_log`.
    sleep : callable
        Waits so many seconds.
    **options
        As of :func:`check_log`.

    Yields
    ------
    LogReport
        For each theorem all verdicts and limits together hold with probability ``level``, however many there are.

    Raises
    ------
    InputError
        As :func:`check_log`; and if rows that were there before have changed or gone.
    """
    settings = _settings(options.pop("values", None), options.pop("side_information", None), **options)

    def read_rows() -> tuple[pd.DataFrame, RoutingLog | UtilizationLog, tuple[str, ...]]:
        log, warnings = _read(path if read is None else read(path))
        return _rows(log, path), log, warnings

    before: pd.DataFrame | None = None
    for frame, log, warnings in watch(path, read_rows, lambda found: len(found[0]), every=poll, idle=idle, sleep=sleep):
        _appended(before, frame, path)
        before = frame
        yield _check(log, settings, warnings)


def _settings(values: int | None, side_information: float | None, **options: Any) -> Settings:
    if (values is None) == (side_information is None):
        raise InputError(
            "a guess is right with which chance?",
            hint="give the number of values V, such as `values=16`, or `side_information`, not both",
        )
    if values is not None and (values < 2 or values != int(values)):
        raise InputError(f"{values} values are no choice", hint="`values` is a whole number, 2 or more")
    chance = 1 / values if values is not None else side_information
    assert chance is not None
    return Settings(chance, values, **options)


def _read(log: object) -> tuple[RoutingLog | UtilizationLog, tuple[str, ...]]:
    """Read the table to judge.

    With the routing log where there is one, and what its reader warned of.
    """
    warnings: tuple[str, ...] = ()
    if isinstance(log, str | os.PathLike):
        log = cogfit.read_log(log)
    if isinstance(log, cogfit.Log):
        warnings, log = log.warnings, log.routing or log.utilization
    if not isinstance(log, cogfit.RoutingLog | cogfit.UtilizationLog):
        raise InputError(f"a {type(log).__name__} is no log", hint="give a path or what cogfit.read_log returns")
    return log, warnings


def _check(log: RoutingLog | UtilizationLog, settings: Settings, warnings: tuple[str, ...]) -> LogReport:
    report = _check_routing(log, settings) if isinstance(log, cogfit.RoutingLog) else _check_utilization(log, settings)
    return replace(report, warnings=(*_parts_judged(log.source), *warnings, *report.warnings))


def _parts_judged(source: Source) -> list[str]:
    """Say which part of a log is judged, or which unlike parts together."""
    found = [
        f"only {choice.name if choice.kind == 'training' else f'{choice.kind} {choice.name}'} is judged; "
        f"the log also holds {', '.join(choice.others)}"
        for choice in source.choices
        if choice.others
    ]
    if source.unlike_runs:
        found.append(
            f"{len(source.unlike_runs)} runs are judged together, whose names or columns say that they are no "
            "replicates; judge one with --run NAME"
        )
    return found


# --- routing logs -----------------------------------------------------------------------------------------------------


def _check_routing(log: RoutingLog, settings: Settings) -> LogReport:
    queries = Queries.of(
        log, labels=settings.labels, one_table=settings.one_table, x_min=settings.x_min, x_max=settings.x_max
    )
    rows, tables = queries.step.size, int(queries.table.max()) + 1
    logged = queries.right is not None
    unit = _unit(settings, logged=logged)
    whole = Tally.of(queries, rows, settings.accuracy)
    looked = [Tally.of(queries, n, settings.accuracy) for n in e_values.looks(rows)]
    arrivals = exchangeability(queries.pattern, table=queries.table, step=queries.step)
    novel = rows - int(np.count_nonzero(queries.recurring))
    warnings = queries.warnings
    if logged and settings.accuracy is not None:
        warnings += ("the log says which answers were right; the assumed accuracy was not used",)
    if not novel:
        warnings += ("no query of the log is novel; if novel ones were left out, nothing here concerns them",)
    return LogReport(
        source=_account(log),
        settings=settings,
        queries=rows,
        novel=novel,
        patterns=int(np.count_nonzero(whole.asked)),
        tables=tables,
        attention=whole.attended / rows,
        wrong=None if whole.wrong is None else whole.wrong / rows,
        wrong_attended=float((queries.attended & ~queries.right).mean()) if queries.right is not None else None,
        accuracy="logged" if logged else "missing" if settings.accuracy is None else "assumed",
        unit=unit,
        findings=(
            _memoryless(whole, looked, settings, queries, unit),
            _memory(whole, looked, settings, arrivals, tables),
            _learner(whole, looked, settings, queries),
        ),
        arrivals=arrivals,
        endings=None if queries.right is None else endings(queries.table, ~queries.attended, queries.right),
        unseen=_unseen(looked, settings, arrivals),
        path=tuple(_look(j, tally, settings, unit, arrivals) for j, tally in enumerate(looked)),
        warnings=warnings,
    )


def _unit(settings: Settings, *, logged: bool) -> Literal["pattern", "table"]:
    if settings.unit == "table" and not logged:
        raise InputError(
            "tables cannot be the unit of an assumed accuracy", hint="use unit 'pattern', or log 'correct'"
        )
    return "pattern" if settings.unit == "auto" else settings.unit


# --- one finding per theorem ------------------------------------------------------------------------------------------


_Evidence = Callable[[Tally, float], float]
_NO_ACCURACY = "the log does not say which answers were right; give an accuracy to learn what would follow from it"


_EVERY_RUN = "this presupposes that all runs are in the log, those that failed included"


def _memoryless(whole: Tally, looked: list[Tally], settings: Settings, queries: Queries, unit: str) -> Finding:
    router = "without memory"
    attention = whole.attended / whole.rows
    if whole.wrong is None:
        return Finding("T1", router, "not judged", _NO_ACCURACY, attention)
    bound = _t1(whole, settings)
    mask = queries.opening & ~queries.attended if unit == "table" else _betting(queries, settings)
    tests = _tests(looked, settings, _bets(queries, mask), _by_table if unit == "table" else _by_entry)
    if not tests:
        return Finding("T1", router, "not judged", _TOO_SHORT, attention, bound)
    p_value, chance = _judge(tests, settings)
    if p_value <= 1 - settings.level:
        known = f"as by a best guess of chance {chance:.3g} at least; without memory it has {settings.chance:.3g}"
        return Finding(
            "T1",
            router,
            "impossible",
            f"answers without attention are right {known}; {_EVERY_RUN}",
            attention,
            bound,
            p_value,
            chance,
        )
    reason = (
        "attention is not below the bound"
        if attention >= bound
        else f"below the bound, but lucky guesses of {_many(whole, unit)} explain it"
    )
    return Finding("T1", router, "not excluded", reason, attention, bound, p_value, chance)


def _learner(whole: Tally, looked: list[Tally], settings: Settings, queries: Queries) -> Finding:
    router = "any learner"
    attention = whole.attended / whole.rows
    if whole.wrong is None:
        return Finding("T3", router, "not judged", _NO_ACCURACY, attention)
    bound = _t3(whole, settings) if settings.labels else _t3_without_labels(whole, settings, queries)
    new = f"{whole.compulsory:,} values were asked for that had not been shown"
    if whole.wrong_hidden is None:
        reason = f"{new}; which answers were right is not logged"
        return Finding("T3", router, "not judged", reason, attention, bound)
    mask = _betting(queries, settings) & queries.hidden
    tests = _tests(looked, settings, _bets(queries, mask), _by_hidden_entry)
    if not tests:
        return Finding("T3", router, "not judged", _TOO_SHORT, attention, bound)
    p_value, chance = _judge(tests, settings)
    if p_value <= 1 - settings.level:
        why = _why_known(queries, mask, settings) or "a leak, or tables that are not fresh"
        known = f"values are known before they were shown (best guess of chance {chance:.3g} at least)"
        reason = f"{known}: {why}; {_EVERY_RUN}"
        return Finding("T3", router, "impossible", reason, attention, bound, p_value, chance)
    return Finding("T3", router, "not excluded", new, attention, bound, p_value, chance)


def _why_known(queries: Queries, mask: Booleans, settings: Settings) -> str:
    """What would explain values that are known too early, short of a leak; empty if nothing does."""

    def refuted(mask: Booleans, most_chance: Floats | None = None) -> bool:
        bets = _bets(queries, mask, most_chance)
        return bets is not None and bets.log_p(settings.chance) <= math.log(1 - settings.level)

    named = mask & queries.recurring
    if not refuted(named):
        return (
            "all of them at queries without a pattern; a novel binding that is asked for again is none: give such "
            "queries a name in the column 'pattern'. Otherwise a leak"
        )
    if settings.values is not None and not refuted(named, 1 / np.maximum(settings.values - queries.shown, 1)):
        return (
            "as if no value stood twice in a table (drawn without replacement), so that the last ones can be told: "
            "give the chance of the best guess by --side-information, 1/(V − K + 1) for K patterns. Otherwise a leak"
        )
    return ""


def _memory(whole: Tally, looked: list[Tally], settings: Settings, arrivals: Arrivals, tables: int) -> Finding:
    """T2, on the queries to recurring patterns."""
    bits = settings.memory_bits
    router = "with S bits of memory" if bits is None else f"with {bits:,g} bits of memory"
    if whole.wrong is None:
        return Finding("T2", router, "not judged", _NO_ACCURACY)
    if not whole.asked.any():
        return Finding("T2", router, "not judged", "every query is novel")
    attention = 1 - float(whole.free.sum() / whole.asked.sum())
    if arrivals.status != "passed":
        return Finding("T2", router, "not judged", f"the bound needs independent queries: {arrivals}", attention)
    if tables > 1 and not settings.planned_lengths:
        reason = "the bits of several runs are judged only if their lengths were planned (--planned-lengths)"
        return Finding("T2", router, "not judged", reason, attention)
    if not looked:
        return Finding("T2", router, "not judged", _TOO_SHORT, attention)
    odds = -math.log(1 - settings.level)
    limits = [_bits(tally, settings, odds + e_values.penalty(j)) for j, tally in enumerate(looked)]
    best = int(np.argmax(limits))
    used = f"at least {limits[best]:,.4g} bits about the values are in use"
    if bits is None:
        return Finding(
            "T2", router, "not judged", f"{used}; name a size to judge it", attention, explained_by=limits[best]
        )
    p_value = p_value_of(
        e_values.log_p_of_bits(lambda odds: _bits(looked[best], settings, odds), bits) + e_values.penalty(best)
    )
    bound = _t2(whole, settings)
    verdict: Judgement = "impossible" if limits[best] > bits else "not excluded"
    return Finding("T2", router, verdict, used, attention, bound, p_value, limits[best])


def _many(tally: Tally, unit: str) -> str:
    if unit == "table" and tally.tables is not None:
        return f"{tally.tables[2].size:,} tables"
    return f"{int(tally.unattended.entries.sum()):,} values"


_TOO_SHORT = "the log has too few queries"


_Test = Callable[[float], float]
"""Logarithm of a p-value as a function of the chance of a best guess; it grows with the chance."""


def _tests(looked: list[Tally], settings: Settings, bets: Bets | None, evidence: _Evidence) -> list[_Test]:
    """Tests of one null hypothesis, each valid at all times.

    First answers, however runs end; and all answers where the lengths were planned, or an accuracy is only assumed, so
    that there is no order of answers.
    """
    tests: list[_Test] = []
    if bets is not None:
        tests.append(bets.log_p)
    if looked and (settings.planned_lengths or bets is None):
        tests.append(
            lambda chance: min(e_values.penalty(j) - evidence(tally, chance) for j, tally in enumerate(looked))
        )
    return tests


def _judge(tests: list[_Test], settings: Settings) -> tuple[float, float]:
    """Judge by all tests together (Bonferroni).

    Returns the p-value, and the least chance of a best guess that explains the log.
    """

    def log_p(chance: float) -> float:
        return math.log(len(tests)) + min(test(chance) for test in tests)

    level = math.log(1 - settings.level)
    return p_value_of(log_p(settings.chance)), e_values.least_chance(log_p, settings.chance, level)


def _bets(queries: Queries, mask: Booleans, most_chance: Floats | None = None) -> Bets | None:
    """Answers that bet; None where the log does not say which were right."""
    if queries.right is None:
        return None
    tries = np.maximum(queries.tries[mask], 0)  # the first query of a table bets whatever was answered
    return Bets(queries.right[mask], tries, None if most_chance is None else most_chance[mask])


def _betting(queries: Queries, settings: Settings) -> Booleans:
    """Answers that bet: all until one is right, or the first ones.

    What a wrong answer tells of a value that is known in part depends on who knows what.
    """
    return (queries.tries >= 0) if settings.values is not None else (queries.tries == 0)


def _by_entry(tally: Tally, chance: float) -> float:
    assert tally.right is not None
    return Guesses(*tally.unattended, chance).log_evidence(tally.right)


def _by_hidden_entry(tally: Tally, chance: float) -> float:
    assert tally.right_hidden is not None
    return Guesses(*tally.hidden_unattended, chance).log_evidence(tally.right_hidden)


def _by_table(tally: Tally, chance: float) -> float:
    assert tally.tables is not None
    return e_values.log_evidence_of_tables(*tally.tables, chance)


def _bits(tally: Tally, settings: Settings, log_odds: float) -> float:
    assert tally.right_recurring is not None
    right, chance = tally.right_recurring, settings.chance
    return e_values.least_bits(tally.asked, tally.free, right, chance, log_odds, tally.share)


def _t1(tally: Tally, settings: Settings) -> float:
    assert tally.wrong is not None
    return float(t1_memoryless.with_side_information(tally.wrong / tally.rows, settings.chance))


def _t2(tally: Tally, settings: Settings) -> float:
    assert tally.wrong_recurring is not None
    assert settings.memory_bits is not None
    n = int(tally.asked.sum())
    law, error = (tally.asked / n).tolist(), tally.wrong_recurring / n
    return t2_memory_bits.least_attention_with_errors(law, settings.memory_bits, settings.chance, error)


def _t3(tally: Tally, settings: Settings) -> float:
    wrong = tally.wrong if tally.wrong_hidden is None else tally.wrong_hidden
    assert wrong is not None
    return max(0.0, tally.compulsory - wrong / (1 - settings.chance)) / tally.rows


def _t3_without_labels(tally: Tally, settings: Settings, queries: Queries) -> float:
    assert tally.wrong is not None
    hist = Histogram.of(queries.entry[queries.pending])
    counts = np.repeat(hist.sizes, hist.entries).tolist()
    return (
        float(tally.compulsory - t3_compulsory.spared_patterns(counts, tally.wrong / (1 - settings.chance)))
        / tally.rows
    )


def _look(look: int, tally: Tally, settings: Settings, unit: str, arrivals: Arrivals) -> Look:
    out = Look(tally.rows, tally.step, tally.attended / tally.rows)
    if tally.wrong is None:
        return out
    bound, limit, memory = _t1(tally, settings), None, None
    if unit == "pattern" and (settings.planned_lengths or settings.accuracy is not None):
        guesses = Guesses(*tally.unattended, settings.chance)
        most = min(guesses.total, guesses.most_right(e_values.penalty(look) - math.log(1 - settings.level)))
        limit = max(0.0, bound - (most - settings.chance * guesses.total) / (tally.rows * (1 - settings.chance)))
    if settings.memory_bits is not None and arrivals.status == "passed" and tally.asked.sum() == tally.rows:
        memory = _t2(tally, settings)
    return replace(out, memoryless=bound, memoryless_limit=limit, memory=memory, learner=_t3(tally, settings))


def _unseen(looked: list[Tally], settings: Settings, arrivals: Arrivals) -> MissingMass | None:
    if not looked or arrivals.status != "passed" or settings.x_min is not None:
        return None
    tally, odds = looked[-1], e_values.penalty(len(looked) - 1) - math.log(1 - settings.level)
    return missing_mass(int(tally.all.entries[tally.all.sizes == 1].sum()), tally.rows, odds)


# --- utilisation logs -------------------------------------------------------------------------------------------------


def _check_utilization(log: UtilizationLog, settings: Settings) -> LogReport:
    """Check a utilisation log against the expectation of T1.

    Without patterns nothing says how much luck with the table may do.
    """
    path = log.source.path
    if settings.f is None:
        hint = "give f, the share of the tokens that are queries, as `f=0.05`"
        raise InputError("tells attention per token, not per query", path=path, hint=hint)
    frame = log.frame[inside(log.frame["step"].to_numpy(), settings.x_min, settings.x_max, path)]
    attention = float(frame["attention_utilization"].mean()) / settings.f
    column = next((name for name in ACCURACY_COLUMNS if name in frame), None)
    right = settings.accuracy if column is None else _mean(frame, column, path)
    accuracy: Literal["logged", "assumed", "missing"] = (
        "logged" if column is not None else "assumed" if right is not None else "missing"
    )
    bound = None if right is None else float(t1_memoryless.with_side_information(1 - right, settings.chance))
    silent = "the log does not tell patterns apart"
    reason = _NO_ACCURACY if right is None else f"{silent}, so nothing says how much luck with the table may do"
    bits = "S" if settings.memory_bits is None else f"{settings.memory_bits:,g}"
    return LogReport(
        source=_account(log),
        settings=settings,
        queries=0,
        novel=0,
        patterns=0,
        tables=0,
        attention=attention,
        wrong=None if right is None else 1 - right,
        wrong_attended=None,
        accuracy=accuracy,
        unit="none",
        findings=(
            Finding("T1", "without memory", "not judged", reason, attention, bound),
            Finding("T2", f"with {bits} bits of memory", "not judged", silent),
            Finding("T3", "any learner", "not judged", silent),
        ),
        arrivals=None,
        endings=None,
        unseen=None,
        path=(),
        warnings=(
            "this is a utilisation log: all attention is counted as spent on queries, all errors as made without it",
        ),
    )


def _mean(frame: pd.DataFrame, column: str, path: str) -> float:
    import pandas as pd

    try:
        mean = float(pd.to_numeric(frame[column]).mean())
    except (TypeError, ValueError) as error:
        raise InputError(f"holds no numbers ({error})", path=path, column=column, hint="give fractions") from error
    if not 0 <= mean <= 1:
        raise InputError(
            f"has a mean of {mean:g}", path=path, column=column, hint="give fractions, one a step at least"
        )
    return mean


# --- shared -----------------------------------------------------------------------------------------------------------


def _account(log: RoutingLog | UtilizationLog) -> dict[str, Any]:
    source = log.source
    return {
        "path": source.path,
        "format": source.format,
        "rows_read": source.rows_read,
        "rows_dropped": dict(source.rows_dropped),
    }


def _rows(log: RoutingLog | UtilizationLog, path: str | os.PathLike[str]) -> pd.DataFrame:
    """Rows of a routing log with names instead of codes.

    Codes change as patterns come.
    """
    if not isinstance(log, cogfit.RoutingLog):
        raise InputError("is a utilisation log", path=str(path), hint="follow a routing log")
    names = np.array([*log.pattern_names, ""])  # −1, novel, picks the last
    kept = log.frame[[name for name in ("step", "attended", "correct", "run") if name in log.frame]].astype(
        {name: float for name in ("attended", "correct") if name in log.frame}
    )
    texts = {"run": kept["run"].astype(str)} if "run" in kept else {}
    return kept.assign(pattern=names[log.frame["pattern"].to_numpy()], **texts)


def _appended(before: pd.DataFrame | None, now: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    if before is not None and not now.iloc[: len(before)].equals(before):
        raise InputError(
            "rows that were there before have changed, gone, or others came between them",
            path=str(path),
            hint="limits hold for logs to which rows are appended; after a restart begin anew; follow runs one by one",
        )
