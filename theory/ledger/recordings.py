"""Recorded data and published figures that rows measure from."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.errors import InputError, MissingDependencyError
from theory.claims import find
from theory.ledger.quantities import Quantity
from theory.training.convergence import Convergence, Ending, convergence, ending
from theory.training.runs import Record, find_records
from theory.training.sets import EQUAL, FEWEST, find_set

if TYPE_CHECKING:
    import pandas as pd

    from cogfit.progress import Progress
    from theory.proofs.verdict import Verdict


class NotHere(Exception):
    """A row cannot be measured from recorded data.

    The message says why, and what to do.
    """


class Recordings:
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
        figure = next(row for row in rows if row["id"] == name)
        unit = {"%": "%", "fold": "×", "training step": "steps", "training steps": "steps"}.get(
            str(figure["unit"]).split(" of")[0], ""
        )
        scale = 0.01 if unit == "%" else 1.0
        value, low, high = (scale * float(figure[key]) for key in ("value", "low", "high"))
        if math.isfinite(figure["plus_minus"]):
            low, high = value - float(figure["plus_minus"]), value + float(figure["plus_minus"])
        return Quantity(shown or str(figure["quantity"]), value, low, high, unit)

    def published(self, table: str, name: str, unit: str = "", **where: Any) -> Quantity:
        """A figure of another table of ``published``.

        By the columns that single it out.
        """
        table_rows = self.table(f"published/{table}.csv")
        for column, value in where.items():
            table_rows = table_rows[table_rows[column] == value]
        (value,) = table_rows["value"]
        percent = unit == "%" and ("unit" not in table_rows or table_rows["unit"].iloc[0] == "%")
        return Quantity(name, float(value) * (0.01 if percent else 1.0), unit=unit)

    def records(self, name: str) -> list[Record]:
        """A set of runs, by seed."""
        folder = self.runs / name

        def read() -> list[Record]:
            try:
                return [record for record in find_records(folder) if record.title == name]
            except InputError:
                return []

        records: list[Record] = self._once("records", name, read)
        if not records:
            raise NotHere(f"no finished runs in runs/{name}; run first: {find_set(name).command}")
        return records

    def fairest(self, name: str) -> list[Record]:
        """A set of runs, the fairest on record.

        That of equal training, if it has enough seeds.
        """
        equal = self.optional(name + EQUAL)
        return equal if len(equal) >= FEWEST else self.records(name)

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
            raise NotHere(f"runs/{record.title} has no routing log; run first: {find_set(record.title).command}")

        def work() -> dict[str, Any]:
            import cogfit

            if self.progress is not None:
                self.progress(0, 0, f"{record.title} seed {record.seed}")
            return dict(cogfit.fit(record.folder).to_json())

        made: dict[str, Any] = self._once("fit", str(record.folder), work)
        return made

    def convergence(self, record: Record) -> Convergence:
        """Whether a run had converged."""
        made: Convergence = self._once("convergence", str(record.folder), lambda: convergence(record))
        return made

    def ending(self, record: Record) -> Ending:
        """How a run ended."""
        return ending(record, self.convergence(record))

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
        from cogfit import human
        from cogfit.people.fits import fit_human

        return [
            Quantity(
                ", ".join([f"γ of {data.id}", *map(str, condition.labels.values())]),
                condition.mean,
                condition.low,
                condition.high,
                n=condition.n,
            )
            for data in human().values()
            if data.axis == "repetition"
            for condition in (fit_human(data, full=False).populations if data.level in ("subject", "team") else ())
        ]
