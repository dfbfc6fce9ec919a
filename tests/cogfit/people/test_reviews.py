"""Reviews of a spaced-repetition program: repetition fixed, the scheduler named, nothing claimed that it hides."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats

import cogfit
from cogfit import cli
from cogfit.people.fits import fit_human
from cogfit.people.reviews import import_reviews, write_package

DAY = 86_400_000


def history(
    seed: int, cards: int, gamma: float, is_adaptive: bool = False, only_day: int = 0
) -> list[tuple[int, int, int]]:
    """(card, day, rating): recall falls with the delay as 0.95·d^−γ; hard cards are recalled less."""
    rng, rows = np.random.default_rng(seed), []
    for card in range(cards):
        day, rating, hardness = 0, 3, rng.uniform(0.5, 1.5) if is_adaptive else 1.0
        rows.append((card, 0, rating))
        for _ in range(3):
            delay = only_day or int(rng.choice([1, 2, 4, 8, 16, 32]))
            if is_adaptive:  # failed cards soon, others late
                delay = int(rng.choice([1, 2, 4] if rating == 1 else [8, 16, 32]))
            day += delay
            rating = 3 if rng.random() < 0.95 * delay ** (-gamma * hardness) else 1
            rows.append((card, day, rating))
            if rating == 1:  # and again, later on the same day: not counted
                rows.append((card, day, 3))
    return rows


def fsrs(folder: Path, rows: list[tuple[int, int, int]]) -> Path:
    path = folder / "log.csv"
    path.write_text("card_id,day_offset,rating\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    return path


def anki(folder: Path, rows: list[tuple[int, int, int]], is_packed: bool = False) -> Path:
    path = folder / "collection.anki2"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE revlog (id INTEGER, cid INTEGER, ease INTEGER, ivl INTEGER, type INTEGER)")
        hours = 20 * 3600 * 1000  # in the evening, so that some days pass midnight between two reviews
        start = 1_700_000_000_000 + hours
        values = [(start + day * DAY + i, card, ease, 1, 1) for i, (card, day, ease) in enumerate(rows)]
        connection.executemany("INSERT INTO revlog VALUES (?, ?, ?, ?, ?)", values)
        connection.execute("INSERT INTO revlog VALUES (1700000000001, 0, 0, 1, 4)")  # set by hand
    connection.close()
    if not is_packed:
        return path
    packed = folder / "deck.apkg"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(path, "collection.anki2")
    return packed


def test_all_containers_count_alike(tmp_path):
    rows = history(0, 400, 0.2)
    wanted = import_reviews("fsrs", fsrs(tmp_path, rows))
    for file in (anki(tmp_path / "", rows), anki(tmp_path_of(tmp_path, "b"), rows, is_packed=True)):
        found = import_reviews("anki", file)
        assert found.table.equals(wanted.table)
        assert dict(found.left_out)["without card, time or a rating from 1 to 4, or set by hand"] == 1
    assert wanted.n_used + sum(n for _, n in wanted.left_out) == wanted.n_read == len(rows)
    assert wanted.table["n"].sum() == 3 * 400


def tmp_path_of(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def test_retention_at_fixed_repetition_gives_the_exponent_back(tmp_path):
    found = import_reviews("fsrs", fsrs(tmp_path, history(1, 3000, 0.2)))
    assert not any("scheduler sets the delay" in note for note in found.notes)
    data = cogfit.human("reviews", extra=write_package(found, "fsrs", "log.csv", tmp_path / "out"))
    fits = fit_human(data, full=False)
    for slope in (one for one in fits.slopes if (one.form, one.scale) == ("power", "raw")):
        assert (slope.noise, slope.weights) == ("binomial", "trials")
        assert slope.low < 0.2 < slope.high
        part = found.table[found.table["repetition"] == int(slope.labels["repetition"])]

        def loss(theta: np.ndarray, part=part) -> float:
            share = np.exp(theta[0]) * part["days"].to_numpy(float) ** -theta[1]
            return np.inf if np.any(share > 1) else -stats.binom.logpmf(part["recalled"], part["n"], share).sum()

        best = optimize.minimize(loss, [-0.2, 0.1], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
        assert slope.gamma == pytest.approx(best.x[1], abs=5e-4)


def test_an_adaptive_scheduler_is_named_and_hides_forgetting(tmp_path):
    found = import_reviews("fsrs", fsrs(tmp_path, history(2, 2500, 0.2, is_adaptive=True)))
    (note,) = (note for note in found.notes if "the scheduler sets the delay" in note)
    assert "cards seen late are easier ones" in note
    assert any("conditional on this scheduler" in note for note in found.notes)


def test_one_and_the_same_delay_gives_no_curve(tmp_path):
    message = r"no repetition at which delays differ.*100% of 300 reviews come after 1"
    with pytest.raises(cogfit.InputError, match=message):
        import_reviews("fsrs", fsrs(tmp_path, history(3, 300, 0.2, only_day=1)))


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("anki", "not a database", "is no Anki collection"),
        ("fsrs", "a,b\n1,2\n", "has not the columns of reviews; it has a, b"),
        ("fsrs", "card_id,day_offset,rating\n1,0,3\n1,x,3\n", "line 3, column 'day_offset': is not a number: 'x'"),
        ("fsrs", "card_id,day_offset,rating\n1,0,3\n2,0,3\n", "no card that was seen on two days"),
        ("mnemosyne", "", "unknown kind of reviews 'mnemosyne'"),
    ],
)
def test_what_is_no_file_of_reviews_is_refused(tmp_path, kind, text, message):
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(cogfit.InputError) as caught:
        import_reviews(kind, path)
    assert message in str(caught.value)


def test_the_command_shows_and_keeps_them(tmp_path, capsys):
    path = fsrs(tmp_path, history(4, 500, 0.2))
    arguments = ["human", "--import", "fsrs", str(path), "--no-fit", "--out", str(tmp_path / "kept")]
    assert cli.main([*arguments, "--json", str(tmp_path / "out.json")]) == 0
    assert "conditional on this scheduler" in capsys.readouterr().out
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["dataset"]["measure"] == "probability"
    assert cogfit.human("reviews", extra=tmp_path / "kept").series()
    assert cli.main(["human", "--import", "fsrs", str(tmp_path / "nothing")]) == 2
    assert "no such file" in capsys.readouterr().err
    assert cli.main(["human", "--out", str(tmp_path)]) == 2
