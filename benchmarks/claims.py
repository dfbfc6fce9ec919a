"""How often each answer is given to claims that are true, false, or about no power law.

Run: python benchmarks/claims.py [--repeats 20] [--part 1/4] [--workers 2] [--only exponential]; the table of
docs/checking-a-claim.md is written from the result: python benchmarks/claims.py --page
Each log is fitted once, and several claims are held against it, all ± 0.04: the true γ = 0.43, a published estimate of
it that has this error (drawn anew for each log), and γ off by 0.05, 0.1 and 0.2. Of a log that is no power law every
claim is false.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from command_line import is_page_asked
from grid import Cell, Study, clopper_pearson, filled, main, markdown, recorded, wrapped

import cogfit
from cogfit.claims.records import ANSWERS

GAMMA, ERROR = 0.43, 0.04
OFF = (0.05, 0.1, 0.2)
TRUTHS: dict[str, Mapping[str, float]] = {
    "power": {"A": 0.9, "gamma": GAMMA},
    "power_floor": {"A": 0.8, "gamma": GAMMA, "c": 0.1},
    "exponential_floor": {"A": 0.8, "r": 0.02, "c": 0.1},
}
"""Forms of the logs; of the exponential, 0.02 at 300 points, in proportion at others."""


def claims_of(rng: np.random.Generator) -> dict[str, str]:
    """The claims that are held against a log, by name."""
    published = GAMMA + ERROR * rng.standard_normal()
    values = {"true": GAMMA, "published": published} | {f"off_{off:g}": GAMMA + off for off in OFF}
    return {name: f"gamma={value:.6f}±{ERROR}" for name, value in values.items()}


def draw(cell: Cell, rng: np.random.Generator) -> tuple[Any, Any]:
    """A log of a cell."""
    x = np.arange(1.0, cell["n"] + 1.0)
    form = cogfit.forms()[cell["truth"]]
    params = dict(TRUTHS[cell["truth"]])
    if "r" in params:
        params["r"] *= 300.0 / cell["n"]
    y = form.evaluate(x, params)
    return x, y * np.exp(cell["sd"] * rng.standard_normal(x.size))


def measure(cell: Cell, repeats: int, rng: np.random.Generator) -> dict[str, Any]:
    """Answers to all claims, as shares of the logs of a cell."""
    counts = Counter[tuple[str, str]]()
    for _ in range(repeats):
        fit = cogfit.fit(*draw(cell, rng), rng=rng)
        for name, claim in claims_of(rng).items():
            counts[name, cogfit.check_claim(claim, fit).answer] += 1
    names = claims_of(rng)
    shares = {f"{name}_{answer}": counts[name, answer] / repeats for name in names for answer in ANSWERS}
    wrong = counts["true", "contradicted"] if cell["truth"].startswith("power") else counts["true", "supported"]
    low, high = clopper_pearson(wrong, repeats, 0.95)
    return {**shares, "wrong_low": low, "wrong_high": high}


CELLS = [{"truth": truth, "n": n, "sd": sd} for truth in TRUTHS for n, sd in ((30, 0.02), (30, 0.1), (300, 0.02))]
STUDY = Study("claims", (__doc__ or "").split("\n")[0], CELLS, measure, 30)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "checking-a-claim.md"
_TITLES = {
    "true": "true",
    "published": "published",
    **{f"off_{off:g}": f"off by {off:g}" for off in OFF},
}


def table_of(rows: Sequence[Mapping[str, str]]) -> str:
    """Shares of "supported" and "contradicted" by log and claim, in per cent."""

    def shares(row: Mapping[str, str], name: str) -> str:
        return " / ".join(f"{100 * float(row[f'{name}_{answer}']):.0f}" for answer in ("supported", "contradicted"))

    lines = [
        (row["truth"].replace("_", " + "), row["n"], f"{float(row['sd']):.0%}", row["repeats"])
        + tuple(shares(row, name) for name in _TITLES)
        for row in rows
    ]
    return markdown(("log", "points", "errors", "logs", *_TITLES.values()), lines)


def pooled(rows: Sequence[Mapping[str, str]], column: str) -> tuple[int, int, float, float]:
    """Logs with an answer, all logs, and exact 95 % limits of the share."""
    total = sum(int(row["repeats"]) for row in rows)
    hits = sum(round(float(row[column]) * int(row["repeats"])) for row in rows)
    return (hits, total, *clopper_pearson(hits, total, 0.95))


def sentences(rows: Sequence[Mapping[str, str]]) -> str:
    """What the table says, pooled."""
    powers = [row for row in rows if row["truth"].startswith("power")]
    others = [row for row in rows if row not in powers]

    def said(found: tuple[int, int, float, float]) -> str:
        hits, total, low, high = found
        return f"{hits} of {total} ({low:.0%} to {high:.0%})"

    return (
        f"A true claim about a power law is contradicted in {said(pooled(powers, 'true_contradicted'))}, a published "
        f"estimate of it in {said(pooled(powers, 'published_contradicted'))}: the law itself is refused in up to 5 %, "
        f"and the interval misses in 5 %. A claim that is off by 0.2, five times its ±, is supported in "
        f"{said(pooled(powers, 'off_0.2_supported'))}. Of an exponential with a floor the claim is supported in "
        f"{said(pooled(others, 'true_supported'))}.\n"
    )


def page(text: str, rows: Sequence[Mapping[str, str]]) -> str:
    """The page with its table made anew, between ``<!--CLAIMS-->`` and ``<!--/CLAIMS-->``."""
    return filled(text, "CLAIMS", f"{wrapped(sentences(rows))}\n{table_of(rows)}")


if __name__ == "__main__":
    if is_page_asked(__doc__):
        PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), recorded(STUDY.name)), encoding="utf-8")
    else:
        for row in main(STUDY):
            print(row["truth"], row["n"], row["sd"], {name: row[f"true_{name}"] for name in ANSWERS})
