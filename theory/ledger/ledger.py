"""The replication ledger: what the two papers print, what is measured here, and what follows. Needs no torch.

A row (:mod:`theory.ledger.rows`) names figures of a paper, says how to measure the same from recorded runs, tables and
certificates, and has a rule that turns both into a verdict. Nothing is typed in but the papers' figures, which stand in
``data/published`` and :mod:`theory.claims`. Where a recording is missing the row says what to run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cogfit.errors import InputError, MissingDependencyError, nearest
from theory.claims import PAPERS, find
from theory.training.runs import Record, find_records

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.progress import Progress
    from theory.proofs.verdict import Verdict

Outcome = Literal["reproduced", "reproduced under conditions", "not reproduced", "not testable here"]
OUTCOMES: tuple[Outcome, ...] = ("reproduced", "reproduced under conditions", "not reproduced", "not testable here")
SCHEMA = "cogfit.ledger/1"
LEVEL = 0.95
"""Of all intervals."""

SETS: Mapping[str, tuple[str, str]] = {
    "cram-n256": ("cram-n256", "11-15"),
    "cram-n256-no-consolidation": ("cram-n256-no-consolidation", "11-15"),
    "cram-n256-state-router": ("cram-n256 --set model.router=state", "11-13"),
    "cram-n256-costs-from-start": (
        "cram-n256 --set training.attend_until=0 --set training.costs_from=0 --set training.steps=1200",
        "11-12",
    ),
    "cram-n256-fast-consolidation": ("cram-n256 --set training.slow_rate=3e-3", "11-12"),
    **{
        f"{kind}-n256": (f"{kind}-n256", "11-13")
        for kind in ("transformer", "mamba", "jamba", "seqboat", "transmamba", "retention", "fast-weights")
    },
}
"""Recorded sets of runs: configuration with changes, and seeds."""


def training_command(name: str) -> str:
    """The command that makes a set of runs.

    Examples
    --------
    >>> training_command("mamba-n256")
    'cogfit theory train mamba-n256 --seeds 11-13 --out runs/mamba-n256'
    """
    config, seeds = SETS[name]
    return f"cogfit theory train {config} --seeds {seeds} --out runs/{name}"


@dataclass(frozen=True)
class Quantity:
    """A number with its name, as printed or as measured.

    Attributes
    ----------
    name : str
        In words; a printed and a measured number of the same name are the same quantity.
    value : float
    low, high : float
        95 % limits, or the ends of a printed range; NaN where there are none.
    unit : {"", "%", "×", "steps"}
        Shares are kept as shares and shown in per cent.
    n : int
        Runs, documents or people behind an interval; 0 where that has no meaning.

    Examples
    --------
    >>> str(Quantity("attention", 0.0143, 0.0141, 0.0145, "%", 5))
    'attention 1.43 % [1.41, 1.45] (n = 5)'
    """

    name: str
    value: float
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    n: int = 0

    @property
    def shown(self) -> str:
        """The number with unit and interval."""
        unit = {"%": " %", "×": "-fold", "steps": ""}.get(self.unit, "")
        span = math.isfinite(self.low) and math.isfinite(self.high)
        if not math.isfinite(self.value):
            return f"{self._digits(self.low)}–{self._digits(self.high)}{unit}" if span else "none"
        interval = f" [{self._digits(self.low)}, {self._digits(self.high)}]" if span else ""
        return f"{self._digits(self.value)}{unit}{interval}{f' (n = {self.n})' if self.n else ''}"

    def _digits(self, value: float) -> str:
        if self.unit == "%":
            return f"{100 * value:.4g}"
        return f"{value:,.0f}" if self.unit == "steps" else f"{value:.3g}"

    def __str__(self) -> str:
        return f"{self.name} {self.shown}"

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping.

        What is not finite is null.
        """
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in vars(self).items()}


Quantities = Mapping[str, Quantity]


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes
    ----------
    quantities : tuple of Quantity
    basis : str
        What the numbers rest on, in words.
    status : str
        For a claim with a certificate: proved, verified, conditional or refuted.
    notes : tuple of str
        Findings that are no numbers.
    """

    quantities: tuple[Quantity, ...] = ()
    basis: str = ""
    status: str = ""
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Quantity:
        return next(one for one in self.quantities if one.name == name)


@dataclass(frozen=True)
class Ruling:
    """Verdict of a row, with its reason in one sentence."""

    outcome: Outcome
    reason: str


class NotHere(Exception):
    """A row cannot be measured from recorded data.

    The message says why, and what to do.
    """


@dataclass(frozen=True)
class Row:
    """A number or claim of a paper.

    Attributes
    ----------
    id, title : str
    paper : str
        Key of :data:`theory.claims.PAPERS`.
    place : str
        Where in the paper.
    printed : callable
        Data -> the paper's figures.
    measure : callable
        Data -> :class:`Measured`; raises :class:`NotHere`.
    judge : callable
        (printed by name, measured) -> :class:`Ruling`.
    command : str
        Repeats it.
    folder : str
        Recorded data, below the data folder; empty where there are none.
    certificate : str
        Claim identifier for ``cogfit theory check``; empty where there is none.
    page : str
        Page of the documentation, or a figure there.
    """

    id: str
    title: str
    paper: str
    place: str
    printed: Callable[[Data], tuple[Quantity, ...]]
    measure: Callable[[Data], Measured]
    judge: Callable[[Quantities, Measured], Ruling]
    command: str
    folder: str = ""
    certificate: str = ""
    page: str = ""


@dataclass(frozen=True)
class Entry:
    """A row with what came out of it."""

    row: Row
    printed: tuple[Quantity, ...]
    measured: Measured
    ruling: Ruling

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping."""
        row, found = self.row, self.measured
        return {
            "id": row.id, "title": row.title, "paper": PAPERS[row.paper], "place": row.place,
            "printed": [one.to_json() for one in self.printed],
            "measured": [one.to_json() for one in found.quantities],
            "basis": found.basis, "notes": list(found.notes), "certificate_status": found.status or None,
            "verdict": self.ruling.outcome, "reason": self.ruling.reason,
            "command": row.command, "folder": row.folder or None,
            "certificate": f"cogfit theory check {row.certificate}" if row.certificate else None,
            "page": row.page or None,
        }  # fmt: skip


class Data:
    """Recorded data and published figures.

    Each is read, and each routing log fitted, once.

    Parameters
    ----------
    folder : Path
        With ``published``, ``runs``, ``benchmarks`` and ``human``.
    runs : Path, optional
        Folder of sets of runs to be used in place of the recorded ones.
    progress : callable, optional
        Called as ``progress(done, total, name)`` before each fit; how many there are is not known.
    """

    def __init__(self, folder: Path, runs: Path | None = None, progress: Progress | None = None) -> None:
        self.folder, self.runs = folder, runs or folder / "runs"
        self.progress = progress
        self._kept: dict[tuple[str, str], Any] = {}

    def _once(self, kind: str, name: str, make: Callable[[], Any]) -> Any:
        if (kind, name) not in self._kept:
            self._kept[kind, name] = make()
        return self._kept[kind, name]

    def table(self, path: str) -> pd.DataFrame:
        """A CSV file of the data folder.

        Cells are as they stand there.
        """
        import pandas as pd

        if not (self.folder / path).exists():
            raise NotHere(f"data/{path} is not there")
        table: pd.DataFrame = self._once("table", path, lambda: pd.read_csv(self.folder / path))
        return table

    def number(self, name: str, shown: str = "") -> Quantity:
        """A figure of ``published/cram_numbers.csv`` by its identifier."""
        rows = self.table("published/cram_numbers.csv").to_dict("records")
        one = next(row for row in rows if row["id"] == name)
        unit = {"%": "%", "fold": "×", "training step": "steps", "training steps": "steps"}.get(
            str(one["unit"]).split(" of")[0], ""
        )
        scale = 0.01 if unit == "%" else 1.0
        value, low, high = (scale * float(one[key]) for key in ("value", "low", "high"))
        if math.isfinite(one["plus_minus"]):
            low, high = value - float(one["plus_minus"]), value + float(one["plus_minus"])
        return Quantity(shown or str(one["quantity"]), value, low, high, unit)

    def published(self, table: str, name: str, unit: str = "", **where: Any) -> Quantity:
        """A figure of another table of ``published``.

        By the columns that single it out.
        """
        found = self.table(f"published/{table}.csv")
        for column, value in where.items():
            found = found[found[column] == value]
        (value,) = found["value"]
        percent = unit == "%" and ("unit" not in found or found["unit"].iloc[0] == "%")
        return Quantity(name, float(value) * (0.01 if percent else 1.0), unit=unit)

    def records(self, name: str) -> list[Record]:
        """A set of runs, by seed."""
        folder = self.runs / name

        def read() -> list[Record]:
            try:
                return [record for record in find_records(folder) if record.title == name]
            except InputError:
                return []

        found: list[Record] = self._once("records", name, read)
        if not found:
            raise NotHere(f"no finished runs in runs/{name}; run first: {training_command(name)}")
        return found

    def optional(self, name: str) -> list[Record]:
        """A set of runs, or none."""
        try:
            return self.records(name)
        except NotHere:
            return []

    def fit(self, record: Record) -> dict[str, Any]:
        """The result of ``cogfit fit`` on a run.

        On its routing log.
        """
        if not (record.folder / "routing.parquet").exists():
            raise NotHere(f"runs/{record.title} has no routing log; run first: {training_command(record.title)}")

        def work() -> dict[str, Any]:
            import cogfit

            if self.progress is not None:
                self.progress(0, 0, f"{record.title} seed {record.seed}")
            return dict(cogfit.fit(record.folder).to_json())

        made: dict[str, Any] = self._once("fit", str(record.folder), work)
        return made

    def verdict(self, claim: str) -> Verdict:
        """Verdict on a claim.

        Its certificate has been re-checked.
        """

        def work() -> Verdict:
            verdict = find(claim).check()
            check = verdict.verify()
            if not check.ok:
                raise NotHere(f"the certificate fails: {check.detail}")
            return verdict

        try:
            made: Verdict = self._once("claim", claim, work)
        except MissingDependencyError as error:
            raise NotHere(str(error)) from None
        return made

    @cached_property
    def population(self) -> list[Quantity]:
        """Mean γ over the people of each condition.

        Or teams; of the data on practice that have single subjects.
        """
        from cogfit.people.catalogue import human
        from cogfit.people.fits import fit_human

        return [
            Quantity(f"γ of {data.id}, {' '.join(map(str, one.labels.values()))}", one.mean, one.low, one.high, n=one.n)
            for data in human().values()
            if data.axis == "repetition"
            for one in (fit_human(data).populations if data.level in ("subject", "team") else ())
        ]


def over_seeds(name: str, values: Sequence[float], unit: str = "") -> Quantity:
    """Mean over runs, with Student's interval.

    Examples
    --------
    >>> str(over_seeds("x", [1.0, 2.0, 3.0]))
    'x 2 [-0.484, 4.48] (n = 3)'
    """
    import numpy as np
    from scipy.special import stdtrit

    found = np.asarray(values, float)
    mean, n = float(found.mean()), len(found)
    if n < 2:
        return Quantity(name, mean, unit=unit, n=n)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2) * found.std(ddof=1) / math.sqrt(n))
    low, high = mean - half, mean + half
    if unit == "%" and found.min() >= 0.0 and found.max() <= 1.0:  # a share; what is saved may be negative
        low, high = max(low, 0.0), min(high, 1.0)
    return Quantity(name, mean, low, high, unit, n)


def assess(row: Row, data: Data) -> Entry:
    """Measure a row and rule on it."""
    printed: tuple[Quantity, ...] = ()
    try:
        printed = row.printed(data)
        measured = row.measure(data)
        return Entry(row, printed, measured, row.judge({one.name: one for one in printed}, measured))
    except NotHere as reason:
        return Entry(row, printed, Measured(), Ruling("not testable here", str(reason)))


def choose(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """Rows by identifier, in the order asked for.

    All of them by default.

    Raises
    ------
    InputError
        If there is no such row.
    """
    known = {row.id: row for row in rows}
    for name in names:
        if name.casefold() not in known:
            raise InputError(f"no row '{name}'", hint=nearest(name, known))
    return [known[name.casefold()] for name in dict.fromkeys(names)] if names else list(rows)


# -------------------------------------------------------------------------------------------------------- as text


def document(entries: Sequence[Entry], version: str) -> dict[str, Any]:
    """JSON-ready mapping."""
    return {
        "schema": SCHEMA,
        "level": LEVEL,
        "counts": {outcome: sum(e.ruling.outcome == outcome for e in entries) for outcome in OUTCOMES},
        "rows": [entry.to_json() for entry in entries],
        "versions": {"cogfit": version},
    }


def in_full(entry: Entry) -> str:
    """One row as text."""
    row, found = entry.row, entry.measured
    lines = [f"{row.id}: {entry.ruling.outcome.upper()}", f"  {row.title}", f"  why: {entry.ruling.reason}"]
    lines += [f"  source: {row.paper}, {row.place} ({PAPERS[row.paper]})"]
    lines += ["  the paper:", *(f"    {one}" for one in entry.printed)] if entry.printed else []
    lines += ["  here:", *(f"    {one}" for one in found.quantities)] if found.quantities else []
    lines += [f"    {note}" for note in found.notes]
    lines += [f"  measured on: {found.basis}"] if found.basis else []
    lines += [f"  recorded in: data/{row.folder}"] if row.folder else []
    lines += [f"  repeat it: {row.command}"]
    lines += (
        [f"  certificate: cogfit theory check {row.certificate} ({found.status or 'see there'})"]
        if (row.certificate and row.command != f"cogfit theory check {row.certificate}")
        else []
    )
    lines += [f"  more: docs/{row.page}"] if row.page else []
    return "\n".join(lines)


_HEAD = """# Replication ledger

Written by `cogfit ledger --markdown > docs/ledger.md`; a test checks that it is current. One row per number or claim of
the two papers. The papers' figures come from [data/published](../data/published) and from the
[claims](claims.md), ours from recorded runs, tables and certificates; verdicts are rules of `theory/ledger/rows.py`.
Intervals are {level:.0f} %, over seeds (Student's t), documents or people, as said under *measured on*.

- **reproduced**: the same within our interval, or proved.
- **reproduced under conditions**: true with a condition or a reading that the paper does not state.
- **not reproduced**: measured here and different, or refuted by a counterexample.
- **not testable here**: the data, the weights or a run are not at hand; the row says what to run.

{counts}
"""


def page(entries: Sequence[Entry]) -> str:
    """The page of the documentation.

    A table, then every row in full.
    """
    counts = (f"{sum(e.ruling.outcome == o for e in entries)} {o}" for o in OUTCOMES)
    parts = [_HEAD.format(level=100 * LEVEL, counts="; ".join(counts) + ".")]
    for paper, reference in PAPERS.items():
        own = [entry for entry in entries if entry.row.paper == paper]
        lines = [
            f"## {paper}",
            "",
            f"{reference}.",
            "",
            "| row | the paper | here | verdict |",
            "| --- | --- | --- | --- |",
        ]
        lines += [
            f"| [{e.row.id}](#{e.row.id}) | {_cell(e.printed, e.row.title)} | {_cell(e.measured.quantities, '–')} | "
            f"{e.ruling.outcome} |"
            for e in own
        ]
        parts += ["\n".join([*lines, ""]), *(_section(entry) for entry in own)]
    return "\n".join(parts)


def _cell(quantities: Sequence[Quantity], otherwise: str) -> str:
    return "<br>".join(map(str, quantities[:2])).replace("|", "\\|") or otherwise


def _section(entry: Entry) -> str:
    row, found = entry.row, entry.measured
    lines = [f"### {row.id}", "", f"{row.title[0].upper()}{row.title[1:]} ({row.place}).", ""]
    lines += [f"**{entry.ruling.outcome}**: {entry.ruling.reason}", ""]
    for title, items in (("The paper", entry.printed), ("Here", (*found.quantities, *found.notes))):
        lines += [f"- {title}: " + "; ".join(map(str, items))] if items else []
    lines += [f"- Measured on: {found.basis}"] if found.basis else []
    lines += [f"- Recorded in: `data/{row.folder}`"] if row.folder else []
    lines += [f"- Repeat it: `{row.command}`"]
    if row.certificate:
        lines += [f"- Certificate: `cogfit theory check {row.certificate}`, [claims](claims.md)"]
    lines += [f"- More: [{row.page}]({row.page})"] if row.page else []
    return "\n".join([*lines, ""])
