"""Reviews of a spaced-repetition program as retention against elapsed time.

A person's own file (Anki, FSRS) becomes a table of counts: of the cards seen on r earlier days, how many were recalled
at their next review after d days. Repetition is held fixed; the delays were set by the scheduler, from how the card
was answered before, and what follows from that is said. Texts of cards are not read.
"""

from __future__ import annotations

import json
import math
import os
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError, nearest
from cogfit.files import write_atomic
from cogfit.records.sentence import number_of

if TYPE_CHECKING:
    import pandas as pd

DATASET = "reviews"
"""Id of the data set that an import makes."""

LEAST_DELAYS = 4
"""Different delays that a curve needs."""

LEAST_REVIEWS = 50
"""Reviews at one repetition that a curve needs."""

MODAL_SHARE = 0.9
"""Share of one and the same delay from which there is no curve."""

_DAY = 86_400.0
_SAME_DAY = 0.5  # days up to which a review belongs to the day before it, wherever midnight is
_SET_BY_HAND = 4  # type of a review in Anki
_MEMBERS = ("collection.anki21", "collection.anki2")  # newest first; newer ones still are compressed otherwise
_CLEARLY = 3.0  # standard errors from which delays are said to follow the answers
_LARGEST = 4_000_000_000  # bytes of a collection


@dataclass(frozen=True)
class Reviews:
    """First reviews of a day, counted.

    Attributes
    ----------
    table : pandas.DataFrame
        ``repetition`` (earlier days on which the card was seen), ``days`` since the last of them, ``n`` reviews and
        ``recalled``.
    notes : tuple of str
        What cannot be identified, and why.
    n_read, n_used : int
        Rows of the file, and first reviews of a day that follow an earlier day.
    left_out : tuple of (str, int)
        The others, by reason.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]
    n_read: int
    n_used: int
    left_out: tuple[tuple[str, int], ...]


def import_reviews(kind: str, path: str | os.PathLike[str]) -> Reviews:
    r"""Count the reviews of a person's own file.

    Parameters
    ----------
    kind : {"anki", "fsrs"}
        ``"anki"``: a collection (``.anki2``, ``.anki21``, ``.apkg``, ``.colpkg``) or its table ``revlog`` as CSV.
        ``"fsrs"``: a CSV file with card, time or elapsed days, and rating.
    path : path

    Raises
    ------
    InputError
        If the file is no such file, or holds no card that was seen on two days.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "log.csv"
    ...     rows = [f"{card},{day},3" for card in range(60) for day in (0, 1 + card % 4)]
    ...     _ = file.write_text("card_id,day_offset,rating\n" + "\n".join(rows))
    ...     import_reviews("fsrs", file).table.values.tolist()
    [[1, 1, 15, 15], [1, 2, 15, 15], [1, 3, 15, 15], [1, 4, 15, 15]]
    """
    if kind not in READERS:
        raise InputError(f"unknown kind of reviews {kind!r}", hint=nearest(kind, READERS))
    file = Path(path)
    if not file.is_file():
        raise InputError("there is no such file", path=file)
    rows = READERS[kind](file)
    return _counted(rows, file)


# ------------------------------------------------------------------------------------------------------ reading


def _read_anki(file: Path) -> pd.DataFrame:
    """Reviews of an Anki collection."""
    if file.suffix.lower() == ".csv":
        table = _read_csv(file)
        names = {"id": "id", "cid": "cid", "ease": "ease", "type": "type"}
        table = _columns(table, names, file, needed=("id", "cid", "ease"))
    elif zipfile.is_zipfile(file):
        table = _read_packed(file)
    else:
        table = _read_collection(file)
    is_answer = table.get("type", 1) != _SET_BY_HAND
    return _as_rows(table["cid"], table["id"] / 1000.0 / _DAY, table["ease"], is_answer)


def _read_packed(file: Path) -> pd.DataFrame:
    """Reviews of a packed collection."""
    try:
        with zipfile.ZipFile(file) as archive, tempfile.TemporaryDirectory() as folder:
            names = archive.namelist()
            member = next((name for name in _MEMBERS if name in names), None)
            if member is None or "collection.anki21b" in names:
                hint = "export it again with 'support older Anki versions', or name collection.anki2 itself"
                raise InputError("holds no collection that can be read", path=file, hint=hint)
            if archive.getinfo(member).file_size > _LARGEST:
                raise InputError("holds a collection of more than 4 GB", path=file)
            return _read_collection(Path(archive.extract(member, folder)), told=file)
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise InputError(f"cannot be unpacked ({error})", path=file) from error


def _read_collection(file: Path, told: Path | None = None) -> pd.DataFrame:
    """Table of reviews of a collection, opened for reading only."""
    import pandas as pd

    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            rows = connection.execute("SELECT id, cid, ease, type FROM revlog").fetchall()
    except sqlite3.Error as error:
        hint = "name a collection.anki2, an .apkg, or the table revlog as CSV"
        raise InputError(f"is no Anki collection ({error})", path=told or file, hint=hint) from error
    table = pd.DataFrame(rows, columns=["id", "cid", "ease", "type"])
    return _numeric(table, told or file)


_FSRS = {
    "card": ("card_id", "cid"),
    "rating": ("rating", "review_rating"),
    "time": ("review_time",),
    "day": ("day_offset",),
    "elapsed": ("elapsed_days", "delta_t"),
}
"""What the columns of FSRS's files are called."""


def _read_fsrs(file: Path) -> pd.DataFrame:
    """Reviews of a CSV file in FSRS's format."""
    table = _read_csv(file)
    names = {role: next((name for name in known if name in table.columns), "") for role, known in _FSRS.items()}
    if not names["card"] or not names["rating"] or not (names["time"] or names["day"] or names["elapsed"]):
        hint = "it needs card_id, rating and one of review_time (milliseconds), day_offset or elapsed_days"
        there = ", ".join(map(str, table.columns))
        raise InputError(f"has not the columns of reviews; it has {there}", path=file, hint=hint)
    table = _numeric(table[[name for name in names.values() if name]].copy(), file)
    if names["day"]:
        day = table[names["day"]]
    elif names["time"]:
        day = table[names["time"]] / 1000.0 / _DAY
    else:  # rows of a card are in order; the first has no elapsed time, or −1
        day = table[names["elapsed"]].clip(lower=0).fillna(0).groupby(table[names["card"]]).cumsum()
    return _as_rows(table[names["card"]], day, table[names["rating"]], True)


READERS: Mapping[str, Callable[[Path], pd.DataFrame]] = {"anki": _read_anki, "fsrs": _read_fsrs}
"""Programs whose reviews can be read."""


def _read_csv(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_csv(file, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"cannot be read as a CSV table ({error})", path=file) from error


def _columns(table: pd.DataFrame, names: Mapping[str, str], file: Path, needed: tuple[str, ...]) -> pd.DataFrame:
    """The named columns as numbers."""
    for name in needed:
        if name not in table.columns:
            hint = "export the table revlog: id, cid, ease, type"
            raise InputError("is missing", path=file, column=name, hint=hint)
    return _numeric(table[[name for name in names if name in table.columns]].copy(), file)


def _numeric(table: pd.DataFrame, file: Path) -> pd.DataFrame:
    """Columns as numbers.

    An error names the first cell that is none.
    """
    import pandas as pd

    for name in table.columns:
        values = pd.to_numeric(table[name], errors="coerce")
        is_wrong = values.isna() & table[name].notna()
        if is_wrong.any():
            line = int(np.flatnonzero(is_wrong)[0]) + 2
            raise InputError(f"is not a number: {table[name].iloc[line - 2]!r}", path=file, line=line, column=str(name))
        table[name] = values
    return table


def _as_rows(card: Any, day: Any, rating: Any, counts: Any) -> pd.DataFrame:
    """Rows of one kind, whatever the program."""
    import pandas as pd

    return pd.DataFrame({"card": card, "day": day, "rating": rating, "counts": counts})


# ------------------------------------------------------------------------------------------------------ counting


def _counted(rows: pd.DataFrame, file: Path) -> Reviews:
    """Count first reviews of a day by repetition and delay."""
    n_read = len(rows)
    is_review = rows["card"].notna() & rows["day"].notna() & rows["rating"].between(1, 4) & rows["counts"]
    kept = rows[is_review].sort_values(["card", "day"], kind="stable")
    elapsed = kept.groupby("card", sort=False)["day"].diff()
    is_first = ~(elapsed < _SAME_DAY)  # of a card's day
    first = kept[is_first].assign(days=elapsed[is_first].round().clip(lower=1.0))
    by_card = first.groupby("card", sort=False)
    first = first.assign(repetition=by_card.cumcount(), before=by_card["rating"].shift() > 1)
    later = first[first["repetition"] > 0]
    if later.empty:
        raise InputError("holds no card that was seen on two days", path=file)
    later = later.assign(recalled=later["rating"] > 1)
    table = (
        later.groupby(["repetition", "days"]).agg(n=("recalled", "size"), recalled=("recalled", "sum")).reset_index()
    )
    table = table.astype(np.int64)
    left_out = (
        ("without card, time or a rating from 1 to 4, or set by hand", int((~is_review).sum())),
        ("further reviews of a card on the same day", len(kept) - len(first)),
        ("first days of a card", int((first["repetition"] == 0).sum())),
    )
    usable, notes = _identified(later)
    if not usable:
        hint = "; ".join(notes[:3])
        raise InputError("holds no repetition at which delays differ enough for a curve", path=file, hint=hint)
    table = table[table["repetition"].isin(usable)].reset_index(drop=True)
    return Reviews(table, tuple(notes), n_read, len(later), tuple((why, n) for why, n in left_out if n))


def _identified(later: pd.DataFrame) -> tuple[list[int], list[str]]:
    """Repetitions that give a curve, and what is unknown."""
    usable, notes = [], []
    for repetition in np.unique(later["repetition"]):
        delays, counts = np.unique(later.loc[later["repetition"] == repetition, "days"], return_counts=True)
        share, n = counts.max() / counts.sum(), int(counts.sum())
        if n < LEAST_REVIEWS:
            continue
        if share >= MODAL_SHARE:
            usual = delays[counts.argmax()]
            after = number_of(usual, "day")
            notes.append(f"repetition {repetition}: {share:.0%} of {n:,} reviews come after {after}: no curve")
        elif delays.size < LEAST_DELAYS:
            too_few = number_of(delays.size, "delay is too few", "different delays are too few")
            notes.append(f"repetition {repetition}: {too_few} for a curve")
        else:
            usable.append(int(repetition))
    notes.append(_say_scheduler(later[later["repetition"].isin(usable)]))
    notes.append("γ is conditional on this scheduler and these cards; over repetitions there is no curve at all")
    return usable, [note for note in notes if note]


def _say_scheduler(later: pd.DataFrame) -> str:
    """How the delays follow from the answers before.

    Median delays of one day are too coarse to differ, so means of log delays are compared.
    """
    seen = later.loc[later["repetition"] > 1]  # at the first there is nothing yet to go by
    logs = [np.log(seen.loc[seen["before"] == ok, "days"].to_numpy(dtype=float)) for ok in (False, True)]
    if min(log.size for log in logs) < 2:
        return ""
    gap = float(logs[1].mean() - logs[0].mean())
    error = math.sqrt(sum(float(log.var(ddof=1)) / log.size for log in logs))
    if gap <= _CLEARLY * error:
        return ""
    failed, recalled = (math.exp(float(log.mean())) for log in logs)
    return (
        f"the scheduler sets the delay: {failed:.2g} days on average after a failure and {recalled:.2g} after a "
        "success, so cards seen late are easier ones, and γ is smaller than that of forgetting"
    )


# ------------------------------------------------------------------------------------------------------ a package


def write_package(reviews: Reviews, kind: str, source: str, folder: str | os.PathLike[str]) -> Path:
    """Write reviews as a data package that :func:`cogfit.human` reads.

    Parameters
    ----------
    reviews : Reviews
    kind : str
        Program they come from.
    source : str
        Name of the file.
    folder : path
        Made where it is missing.

    Returns
    -------
    Path
        Of the descriptor.
    """
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    write_atomic(place / f"{DATASET}.csv", reviews.table.to_csv(index=False))
    fields = [{"name": name, "type": "integer"} for name in reviews.table.columns]
    about = {
        "axis": "delay",
        "unit": "days since the card was seen",
        "convention": "elapsed",
        "measure": "probability",
        "scale": "share of cards recalled at the first review of a day, 0 to 1",
        "level": "subject",
        "n": 1,
        "read": f"{source}: {reviews.n_used:,} of {reviews.n_read:,} reviews; "
        + ", ".join(f"{count:,} {why}" for why, count in reviews.left_out),
        "verification": "computed",
        "columns": {"x": "days", "successes": "recalled", "trials": "n", "series": ["repetition"]},
        "notes": list(reviews.notes),
    }
    resource = {
        "name": DATASET,
        "path": f"{DATASET}.csv",
        "title": f"Reviews of {kind}: recall after a delay, by earlier days on which the card was seen",
        "sources": [{"title": f"your own reviews ({kind})"}],
        "schema": {"fields": fields},
        "cogfit": about,
    }
    descriptor = place / "datapackage.json"
    text = json.dumps({"name": "own-reviews", "resources": [resource]}, ensure_ascii=False, indent=1)
    write_atomic(descriptor, text + "\n")
    return descriptor
