"""Attention to a pattern that recurs within one context.

Does it fall with the repetitions?

A context is a list of lines ``name: word``. Names recur; in the *consistent* condition a name has the same word each
time, in the *shuffled* one a new word each time, so that there is nothing to consolidate. At the place where a word is
foretold, the attention of copy heads to the earlier words of this name is what the CRAM paper calls P_episodic(k)
(arXiv 2602.12204, Eq. 14), k the times that the name was seen before.

Position is controlled by design: names recur with unequal frequencies, so that at every place of a context names with
many and with few earlier lines occur; ``late`` rows are those of the last half of the lines alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cogfit.errors import InputError, MissingDependencyError
from cogfit.progress import Progress
from theory.lm.heads import per_head, surprise_of
from theory.lm.intervals import mean_ratio, share
from theory.lm.needles import NAMES, WORDS
from theory.redundancy.models import LanguageModel
from theory.redundancy.tables import Array

try:
    import torch
    from torch import Tensor
except ImportError:
    raise MissingDependencyError("torch", "lm", "theory.lm") from None

if TYPE_CHECKING:
    import pandas as pd

CONDITIONS = ("consistent", "shuffled")
"""Whether a name keeps its word."""


@dataclass(frozen=True)
class Line:
    """A line of a context.

    Attributes
    ----------
    name : int
        Number of the name.
    exposure : int
        Times that the name was seen before.
    query : int
        Place of the token before the word: there the word is foretold.
    words : tuple of int
        Places of the first tokens of the earlier words of this name.
    others : tuple of int
        Those of other names.
    """

    name: int
    exposure: int
    query: int
    words: tuple[int, ...]
    others: tuple[int, ...]


def make_context(
    model: LanguageModel, condition: str, lines: int, rng: np.random.Generator
) -> tuple[list[int], list[Line]]:
    """Draw a context: its tokens, and its lines.

    Names are drawn with frequencies 1, 1/2, 1/3 … in an order of their own in every context.
    """
    frequency = 1 / np.arange(1, len(NAMES) + 1)
    drawn = rng.permutation(len(NAMES))[rng.choice(len(NAMES), lines, p=frequency / frequency.sum())]
    words = rng.permutation(len(WORDS))[: len(NAMES)]
    ids, out, seen = list[int](), list[Line](), dict[int, list[int]]()
    for name in drawn.tolist():
        word = int(words[name]) if condition == "consistent" else int(rng.integers(len(WORDS)))
        ids += model.encode(f"{NAMES[name]}:".encode())
        mine = seen.setdefault(name, [])
        others = tuple(place for other, places in seen.items() if other != name for place in places)
        out.append(Line(name, len(mine), len(ids) - 1, tuple(mine), others))
        mine.append(len(ids))
        ids += model.encode(f" {WORDS[word]}\n".encode())
    return ids, out


def read_contexts(
    model: LanguageModel,
    heads: Mapping[int, tuple[int, ...]],
    *,
    contexts: int = 40,
    lines: int = 72,
    seed: int = 0,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """A routing log of repeated lines, one row per line.

    Parameters
    ----------
    model : LanguageModel
    heads : mapping from int to tuple of int
        Copy heads by layer, from 1 (:meth:`theory.lm.heads.HeadScores.top`); of other texts than these.
    contexts : int
        Of each condition.
    lines : int
        Of a context.
    seed : int
    progress : callable, optional

    Returns
    -------
    DataFrame
        The columns ``condition``, ``run`` (context), ``step`` (line), ``pattern`` (name), ``exposure``, ``p_episodic``,
        ``p_other``, ``correct`` and ``nats`` as in :data:`theory.lm.records.COLUMNS`.

    Raises
    ------
    InputError
        If there are no heads, or a context is longer than the model can read.
    """
    import pandas as pd

    if not heads:
        raise InputError("no heads are given", hint="take those of the highest copy score")
    rng, rows = np.random.default_rng(seed), []
    for i in range(contexts):
        for condition in CONDITIONS:
            ids, found = make_context(model, condition, lines, rng)
            if len(ids) > model.context:
                hint = "lower --lines, or raise --context"
                raise InputError(f"a context has {len(ids)} tokens, the model reads {model.context}", hint=hint)
            rows += [{"condition": condition, "run": f"context-{i}", **row} for row in _rows(model, heads, ids, found)]
        if progress is not None:
            progress(i + 1, contexts, "contexts")
    return pd.DataFrame(rows)


def _rows(
    model: LanguageModel, heads: Mapping[int, tuple[int, ...]], ids: Sequence[int], lines: Sequence[Line]
) -> list[dict[str, Any]]:
    """Rows of one context."""

    def masses(weights: Tensor) -> Tensor:
        places = [(line.query, list(words)) for line in lines for words in (line.words, line.others)]
        return torch.stack([weights[:, query, words].sum(1) for query, words in places], 1)

    mass, logits = per_head(model, ids, masses)  # (layers, heads, 2 × lines)
    chosen = np.mean([mass[layer - 1, head - 1] for layer, each in heads.items() for head in each], axis=0)
    nats, best = surprise_of(logits, ids)
    return [
        {
            "step": i,
            "pattern": line.name,
            "exposure": line.exposure,
            "p_episodic": chosen[2 * i],
            "p_other": chosen[2 * i + 1],
            "correct": int(best[line.query] == ids[line.query + 1]),
            "nats": nats[line.query],
        }
        for i, line in enumerate(lines)
    ]


def curve_in_context(log: pd.DataFrame, *, late: bool = False, level: float = 0.95) -> pd.DataFrame:
    """P_episodic and accuracy by exposure, with intervals over contexts.

    Parameters
    ----------
    log : DataFrame
        Of :func:`read_contexts`.
    late : bool
        Whether lines of the last half alone count: there exposures differ and places do not.
    level : float

    Returns
    -------
    DataFrame
        ``condition``, ``exposure``, ``n``, then value, lower and upper limit of ``p_episodic``, ``p_other`` and
        ``correct``. Exposures that fewer than five contexts reach are left out.
    """
    import pandas as pd

    if late:
        log = log[log["step"] >= (log["step"].max() + 1) // 2]
    rows = []
    for (condition, exposure), part in log.groupby(["condition", "exposure"], sort=False):
        each = part.groupby("run")
        if len(each) < 5:
            continue
        row: dict[str, Any] = {"condition": condition, "exposure": exposure, "n": len(part)}
        for name in ("p_episodic", "p_other", "correct"):
            part_of, whole = np.array(each[name].sum(), float), np.array(each.size(), float)
            interval = share if name == "correct" else mean_ratio
            value, low, high = interval(part_of, whole, level)
            row |= {name: value, f"{name}_low": max(low, 0.0), f"{name}_high": min(high, 1.0)}
        rows.append(row)
    if not rows:
        raise InputError("fewer than five contexts reach any exposure", hint="measure more contexts")
    return pd.DataFrame(rows).sort_values(["condition", "exposure"], ignore_index=True)


def fit_in_context(curve: pd.DataFrame, condition: str) -> Any:
    """Fit P_episodic(k), k ≥ 1, with every form.

    At k = 0 there is nothing to attend to.

    Returns
    -------
    cogfit.FitResult
    """
    import cogfit

    part = curve[(curve["condition"] == condition) & (curve["exposure"] >= 1)]
    x, y = _columns(part)
    return cogfit.fit(x, y, axis="exposure", measure="probability")


def _columns(part: pd.DataFrame) -> tuple[Array, Array]:
    return part["exposure"].to_numpy(float), part["p_episodic"].to_numpy(float)
