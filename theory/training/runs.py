"""Recorded training runs.

Their documents, their evaluations, and a table of several. Needs no torch.

A run is a folder with ``run.json`` (schema ``cogfit.run/1``) and ``evaluation.csv``; :mod:`theory.training.loop` writes
it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cogfit.errors import InputError
from cogfit.files import write_atomic
from cogfit.records.codec import Document, read_json
from theory.training.convergence import convergence

if TYPE_CHECKING:
    import pandas as pd

SCHEMA, RUN, EVALUATION = "cogfit.run/1", "run.json", "evaluation.csv"


def read_document(folder: str | Path) -> dict[str, Any] | None:
    """``run.json`` of a folder, or None where there is none.

    Raises
    ------
    InputError
        If it cannot be read or describes no run.
    """
    path = Path(folder) / RUN
    if not path.exists():
        return None
    document = read_json(path)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise InputError("describes no run", path=path, hint=f"its schema should be {SCHEMA}")
    return document


def write_document(folder: Path, document: Mapping[str, Any]) -> None:
    """Write ``run.json``, the schema first."""
    text = json.dumps({"schema": SCHEMA, **document}, indent=2, allow_nan=False)
    write_atomic(folder / RUN, text + "\n")


def read_evaluation(folder: str | Path) -> list[dict[str, Any]]:
    """Rows of ``evaluation.csv``, in order.

    None if there is no such file.

    Raises
    ------
    InputError
        If it cannot be read, or its cells are no numbers.
    """
    import pandas as pd

    path = Path(folder) / EVALUATION
    if not path.exists():
        return []
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", path=path) from None
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise InputError("holds what is no number", path=path, column=str(name))
    for name in ("step", "attention"):
        if name not in table:
            raise InputError("is not there", path=path, column=name)
        if not np.isfinite(table[name]).all():
            raise InputError("has gaps", path=path, column=name)
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def write_evaluation(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``evaluation.csv``.

    Six digits are enough for shares of some thousand queries.
    """
    import pandas as pd

    write_atomic(folder / EVALUATION, pd.DataFrame(list(rows)).to_csv(index=False, float_format="%.6g"))


# what must stand in ``run.json`` of a finished run, and as what; there is more in it for a person


@dataclass(frozen=True)
class _Training:
    steps: int
    batch: int


@dataclass(frozen=True)
class _Config:
    training: _Training


@dataclass(frozen=True)
class _Number:
    value: float


@dataclass(frozen=True)
class _Final:
    measures: dict[str, float]


@dataclass(frozen=True)
class _Finished(Document):
    SCHEMA: ClassVar[str] = SCHEMA

    seed: int
    config: _Config
    optimum: _Number
    static_bound: _Number
    final: _Final
    forced_attention_steps: tuple[int, int] | None = None


def _check_finished(document: Mapping[str, Any], path: Path) -> None:
    """Refuse a finished run whose document is damaged."""
    try:
        facts = _Finished.from_json(document)
    except InputError as error:
        raise InputError(error.what, path=path, hint=error.hint) from None
    measures = facts.final.measures
    if "attention" not in measures:
        raise InputError("is damaged: it lacks the attention of the trained model", path=path)
    if not all(map(math.isfinite, (*measures.values(), facts.optimum.value, facts.static_bound.value))):
        raise InputError("is damaged: a measure is no finite number", path=path)


@dataclass(frozen=True)
class Record:
    """A finished run as it was recorded.

    Attributes
    ----------
    folder : Path
    document : dict
        ``run.json``.
    evaluation : list of dict
        Rows of ``evaluation.csv``: ``step`` and the fields of :class:`theory.training.evaluation.Measures`.
    """

    folder: Path
    document: dict[str, Any]
    evaluation: list[dict[str, Any]]

    @property
    def title(self) -> str:
        """Name of the set of runs.

        That is the folder above if this one is called seed and a number, else this one.
        """
        name = self.folder.resolve().name
        return self.folder.resolve().parent.name if re.fullmatch(r"seed\d+", name) else name

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.document["seed"])

    @property
    def streams(self) -> int:
        """Streams that it was trained on."""
        return int(self.document["config"]["training"]["steps"]) * self.batch

    @property
    def batch(self) -> int:
        """Streams per step."""
        return int(self.document["config"]["training"]["batch"])

    @property
    def optimum(self) -> float:
        """Attention with which every novel query, and nothing else, attends."""
        return float(self.document["optimum"]["value"])

    @property
    def static_bound(self) -> float:
        """Attention with which every query, and nothing else, attends."""
        return float(self.document["static_bound"]["value"])

    @property
    def final(self) -> dict[str, Any]:
        """Measures of the trained model.

        On more streams than the rows of ``evaluation.csv``.
        """
        return dict(self.document["final"]["measures"])

    @property
    def initial_attention(self) -> float:
        """Attention at the first evaluation in which the router decided."""
        return float(self.free_evaluation[0]["attention"])

    @property
    def free_evaluation(self) -> list[dict[str, Any]]:
        """Evaluations in which the router decided.

        All of them, if it never did.
        """
        forced = self.document.get("forced_attention_steps")
        return [row for row in self.evaluation if forced is None or row["step"] > forced[1] + 1] or self.evaluation

    def first_step(self, share: float) -> float:
        """First evaluation with lastingly low attention.

        It has fallen to OPT + share·(static − OPT) and stays there; NaN: never.

        The recurring queries that still attend are then at most this share of all recurring queries, if nothing but
        queries attends.
        """
        limit = self.optimum + share * (self.static_bound - self.optimum)
        step = math.nan
        for row in reversed(self.evaluation):
            if row["attention"] > limit:
                break
            step = row["step"]
        return step


def load_record(folder: str | Path) -> Record:
    """A finished run.

    Raises
    ------
    InputError
        If the folder holds none.
    """
    folder = Path(folder)
    document = read_document(folder)
    rows = read_evaluation(folder)
    if document is None or document.get("status") != "finished" or not rows or "final" not in document:
        raise InputError("holds no finished run of this package", path=folder, hint="cogfit theory train makes one")
    _check_finished(document, folder / RUN)
    return Record(folder, document, rows)


def find_records(folder: str | Path) -> list[Record]:
    """All finished runs in a folder and below.

    By set and seed.

    Raises
    ------
    InputError
        If there is no such folder, or no finished run in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("is no folder", path=folder)
    places = sorted(path.parent for path in folder.rglob(RUN) if (path.parent / EVALUATION).exists())
    documents = {place: read_document(place) or {} for place in places}
    records = [load_record(place) for place in places if "final" in documents[place]]
    if not records:
        raise InputError("holds no finished run of this package", path=folder, hint="cogfit theory train makes one")
    return sorted(records, key=lambda record: (record.title, record.seed))


COLUMNS = {
    "accuracy": "accuracy",
    "accuracy_recurring": "recurring",
    "accuracy_novel": "novel",
    "dynamics_mse": "dyn. MSE",
    "initial_attention": "initial attention",
    "attention": "final attention",
    "ratio": "final/initial",
    "optimum": "× OPT",
}
"""Columns of :func:`table` and how they are printed."""


def table(records: Sequence[Record]) -> pd.DataFrame:
    """Table of runs.

    One row per run, then mean and standard deviation of every set with more than one run.

    Returns
    -------
    DataFrame
        Columns ``set``, ``seed`` (a number, "mean" or "SD"), ``streams`` (steps × batch of training), ``climbing``
        (whether the run still climbed: "yes" or "no", or how many of a set did, see
        :mod:`theory.training.convergence`) and those of :data:`COLUMNS`.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for title in dict.fromkeys(record.title for record in records):
        own = [_row(record) for record in records if record.title == title]
        rows += own
        if len(own) > 1:
            numbers = pd.DataFrame(own)[list(COLUMNS)]
            climbing = f"{sum(row['climbing'] == 'yes' for row in own)} of {len(own)}"
            same = {
                "set": title,
                "streams": " / ".join(dict.fromkeys(row["streams"] for row in own)),
                "climbing": climbing,
            }
            rows += [{**same, "seed": "mean", **numbers.mean()}, {**same, "seed": "SD", **numbers.std()}]
    return pd.DataFrame(rows)


def _row(record: Record) -> dict[str, Any]:
    last, initial = record.final, record.initial_attention
    return {
        "set": record.title,
        "seed": str(record.seed),
        "streams": f"{record.streams:,}",
        "climbing": "yes" if convergence(record).still_climbing else "no",
        **{name: float(last.get(name, math.nan)) for name in COLUMNS},
        "initial_attention": initial,
        "ratio": last["attention"] / initial if initial else math.nan,
        "optimum": last["attention"] / record.optimum if record.optimum else math.nan,
    }


def format_table(frame: pd.DataFrame) -> list[list[str]]:
    """Cells as text, header first.

    Shares in percent, NaN as a dash.
    """
    percent = {"accuracy", "accuracy_recurring", "accuracy_novel", "initial_attention", "attention"}

    def cell(name: str, value: Any) -> str:
        if not isinstance(value, float):
            return str(value)
        if math.isnan(value):
            return "–"
        return (
            f"{100 * value:.2f} %" if name in percent else f"{value:.4f}" if name == "dynamics_mse" else f"{value:.3f}"
        )

    header = ["run", "seed", "streams", "still climbing", *COLUMNS.values()]
    names = ["set", "seed", "streams", "climbing", *COLUMNS]
    return [header, *([cell(name, row[name]) for name in names] for row in frame.to_dict("records"))]
