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
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cogfit.errors import InputError
from cogfit.files import write_atomic
from cogfit.records.codec import Document, Nan, read_json
from theory.training.convergence import ending

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
    _check_evaluation(table, path)
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _check_evaluation(table: pd.DataFrame, path: Path) -> None:
    """Refuse evaluations that cannot be."""
    from pandas.api.types import is_numeric_dtype

    for name in table.columns:
        if not is_numeric_dtype(table[name]):
            raise InputError("holds what is no number", path=path, column=str(name))
    for name in ("step", "attention"):
        if name not in table:
            raise InputError("is not there", path=path, column=name)
        if not np.isfinite(table[name]).all():
            raise InputError("has gaps", path=path, column=name)
    if not (table["step"].is_monotonic_increasing and table["step"].is_unique) or (table["step"] < 0).any():
        raise InputError("does not grow from row to row", path=path, column="step")
    for name in table.columns.drop("step"):
        wrong = [value for value in table[name] if not _is_possible(str(name), value)]
        if wrong:
            raise InputError(f"holds {wrong[0]:g}, which is no {_kind_of(str(name))}", path=path, column=str(name))


def write_evaluation(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``evaluation.csv``.

    Six digits are enough for shares of some thousand queries.
    """
    import pandas as pd

    write_atomic(folder / EVALUATION, pd.DataFrame(list(rows)).to_csv(index=False, float_format="%.6g"))


ERROR = "dynamics_mse"
"""The one measure that is no share."""


def _kind_of(name: str) -> str:
    return "mean squared error" if name == ERROR else "share between 0 and 1"


def _is_possible(name: str, value: float) -> bool:
    """Whether a measure can have this value; NaN says that there was nothing to measure."""
    return math.isnan(value) or (math.isfinite(value) and value >= 0 and (name == ERROR or value <= 1))


# what must stand in ``run.json`` of a finished run, and as what; there is more in it for a person


@dataclass(frozen=True)
class _Training:
    steps: int
    batch: int


@dataclass(frozen=True)
class _Data:
    values: int = 1


@dataclass(frozen=True)
class _Config:
    training: _Training
    data: _Data = _Data()


@dataclass(frozen=True)
class _Number:
    value: float


@dataclass(frozen=True)
class _Noted:
    still_climbing: bool
    gain: Nan = math.nan
    low: Nan = math.nan
    high: Nan = math.nan
    reason: str = ""


@dataclass(frozen=True)
class _Final:
    measures: dict[str, float]
    convergence: _Noted | None = None


@dataclass(frozen=True)
class _Finished(Document):
    SCHEMA: ClassVar[str] = SCHEMA

    seed: int
    config: _Config
    optimum: _Number
    static_bound: _Number
    final: _Final
    forced_attention_steps: tuple[int, int] | None = None
    parameters: int | None = None


def _check_finished(document: Mapping[str, Any], path: Path) -> None:
    """Refuse a finished run whose document is damaged."""
    try:
        facts = _Finished.from_json(document)
    except InputError as error:
        raise InputError(error.what, path=path, hint=error.hint) from None
    measures = facts.final.measures
    if "attention" not in measures:
        raise InputError("is damaged: it lacks the attention of the trained model", path=path)
    shares = {"optimum": facts.optimum.value, "static_bound": facts.static_bound.value, **measures}
    for name, value in shares.items():
        if math.isnan(value) or not _is_possible(name, value):
            raise InputError(f"is damaged: {name} is {value:g}, which is no {_kind_of(name)}", path=path)
    training = facts.config.training
    counts = {"steps": (training.steps, 1), "batch": (training.batch, 1), "seed": (facts.seed, 0)}
    for name, (count, least) in (counts | {"values": (facts.config.data.values, 1)}).items():
        if count < least:
            raise InputError(f"is damaged: {name} is {count}", path=path)


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
        return self.updates * self.batch

    @property
    def updates(self) -> int:
        """Steps of training."""
        return int(self.document["config"]["training"]["steps"])

    @property
    def parameters(self) -> int:
        """Numbers that are trained, 0 where not recorded."""
        return int(self.document.get("parameters") or 0)

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
    if document is None or document.get("status") != "finished" or "final" not in document:
        raise InputError("holds no finished run of this package", path=folder, hint="cogfit theory train makes one")
    _check_finished(document, folder / RUN)
    if not rows:
        raise InputError("is missing or empty, though the run is finished", path=folder / EVALUATION)
    return Record(folder, document, rows)


def find_records(folder: str | Path) -> list[Record]:
    """All finished runs in a folder and below.

    By set and seed.

    Raises
    ------
    InputError
        If there is no such folder, or no finished run in it.
    """
    records = [load_record(place) for place, is_finished in _places(Path(folder)) if is_finished]
    if not records:
        raise InputError("holds no finished run of this package", path=folder, hint="cogfit theory train makes one")
    return sorted(records, key=lambda record: (record.title, record.seed))


def unfinished(folder: str | Path) -> list[Path]:
    """Folders of runs that were begun and not finished."""
    return [place for place, is_finished in _places(Path(folder)) if not is_finished]


def _places(folder: Path) -> list[tuple[Path, bool]]:
    """Folders with a run, and whether it is finished; studies of another kind have a ``run.json``, too."""
    try:
        is_folder = folder.is_dir()
    except OSError as error:  # such as a name that is too long
        raise InputError(f"cannot be read ({error.strerror})", path=folder) from None
    if not is_folder:
        raise InputError("is no folder", path=folder)
    found = []
    for place in sorted(path.parent for path in folder.rglob(RUN)):
        document = read_document(place) or {}
        if "status" in document and "kind" not in document:
            found.append((place, document["status"] == "finished"))
    return found


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

TRAINED = ("streams", "updates", "parameters")
"""Columns that say how a set was trained."""


def table(records: Sequence[Record]) -> pd.DataFrame:
    """Table of runs.

    One row per run, then mean and standard deviation of every set with more than one run.

    Returns
    -------
    DataFrame
        Columns ``set``, ``seed`` (a number, "mean" or "SD"), ``streams`` (steps × batch of training), ``updates``
        (steps), ``parameters``, ``ending`` (how the run ended, see :data:`theory.training.convergence.ENDINGS`, or how
        many of a set converged) and those of :data:`COLUMNS`.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    # folders of one name may hold other models: only runs that differ in their seed have a mean
    for key, group in groupby(sorted(records, key=_set_of), key=_set_of):
        own, title = [_row(record) for record in group], key[0]
        rows += own
        if len(own) > 1:
            numbers = pd.DataFrame(own)[list(COLUMNS)]
            same = {
                "set": title,
                **{name: " / ".join(dict.fromkeys(row[name] for row in own)) for name in TRAINED},
                "ending": f"{sum(row['ending'] == 'converged' for row in own)} of {len(own)} converged",
            }
            rows += [{**same, "seed": "mean", **numbers.mean()}, {**same, "seed": "SD", **numbers.std()}]
    return pd.DataFrame(rows)


def _set_of(record: Record) -> tuple[str, str, str]:
    """What the runs of a set have in common: name, folder, and settings but for the seed."""
    config = json.loads(json.dumps(record.document["config"]))
    config["training"].pop("seed", None)
    place = record.folder.resolve()
    return record.title, str(place.parent if place.name != record.title else place), json.dumps(config, sort_keys=True)


def _row(record: Record) -> dict[str, Any]:
    last, initial = record.final, record.initial_attention
    return {
        "set": record.title,
        "seed": str(record.seed),
        "streams": f"{record.streams:,}",
        "updates": f"{record.updates:,}",
        "parameters": f"{record.parameters:,}" if record.parameters else "–",
        "ending": ending(record),
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

    header = ["run", "seed", "streams", "updates", "at the end", *COLUMNS.values()]
    names = ["set", "seed", "streams", "updates", "ending", *COLUMNS]
    return [header, *([cell(name, row[name]) for name in names] for row in frame.to_dict("records"))]
