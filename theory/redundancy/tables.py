"""Tables of attention redundancy.

Mean of R, share of operations, explained variance, with intervals. Needs no torch.

R_t is that of :mod:`theory.redundancy.probes`. For layers, heads and kinds of tokens:

- ``r``: the mean of R_t over tokens, which is the number that the CRAM paper gives;
- ``share``: the share of operations (tokens × layers, or tokens × heads) with R_t above a threshold: what "x % of
  attention operations are redundant" says, and what a mean of norm ratios is not;
- ``r2``: explained variance 1 − Σ‖a − â‖² / Σ‖a − ā‖²; ``r_pooled``: 1 − √(Σ‖a − â‖² / Σ‖a‖²);
- ``r_constant``: the mean of R_t if the constant ā is the prediction: what needs no hidden state at all.

ā is the mean over the documents that probes were fitted on. All are ratios of sums over documents, and their intervals
take documents as the independent unit (linearised ratio estimator, Cochran 1977, *Sampling Techniques*, §6.3, with
Student's t).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cogfit.errors import InputError, shortlist
from cogfit.records.codec import encode

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]
ProbeInput = Literal["layer", "attention"]

THRESHOLD = 0.8
"""R above which the paper calls an operation redundant."""

ENOUGH_TOKENS = 20
"""Tokens per input of a probe below which R is not to be trusted (docs/language-model.md)."""

STILL_RISING = 0.01
"""Growth of R over the last half of the text that is worth a warning."""

TYPES = ("first", "word", "number", "space", "punctuation", "other")
"""Kinds of tokens. The first of a window attends to nothing but itself."""

LATER = "later"
"""All tokens but the first of a window."""

STATISTICS = ("n", "r", "above", "residual", "constant", "norm", "r_constant")
"""What is summed over tokens: 1, R_t, R_t > threshold, ‖a − â‖², ‖a − ā‖², ‖a‖², and R_t of the constant."""

_N, _R, _ABOVE, _RESIDUAL, _CONSTANT, _NORM, _R_CONSTANT = range(len(STATISTICS))

COLUMNS: dict[str, tuple[str, str, tuple[float, float] | None]] = {
    "unit": (
        "string",
        "layer: what attention puts out; head: what a head puts out, before the output projection",
        None,
    ),
    "layer": ("integer", "number of the layer, from 1; 0: all layers", None),
    "head": ("integer", "number of the head, from 1; 0: all heads, or the layer itself", None),
    "tokens": ("string", "kind of token: all, later (all but first), or one of " + ", ".join(TYPES), None),
    "n": ("integer", "operations: tokens × layers or heads of this row", None),
    "r": ("number", "mean over operations of R = 1 − ‖a − â‖/‖a‖ (CRAM, Eq. 1)", (-np.inf, 1)),
    "r_low": ("number", "lower limit of r", (-np.inf, 1)),
    "r_high": ("number", "upper limit of r", (-np.inf, 1)),
    "share": ("number", "share of operations with R above the threshold", (0, 1)),
    "share_low": ("number", "lower limit of share", (0, 1)),
    "share_high": ("number", "upper limit of share", (0, 1)),
    "r2": ("number", "explained variance 1 − Σ‖a − â‖²/Σ‖a − ā‖²", (-np.inf, 1)),
    "r2_low": ("number", "lower limit of r2", (-np.inf, 1)),
    "r2_high": ("number", "upper limit of r2", (-np.inf, 1)),
    "r_pooled": ("number", "1 − √(Σ‖a − â‖²/Σ‖a‖²)", (-np.inf, 1)),
    "r_constant": ("number", "mean of R if the constant ā is the prediction", (-np.inf, 1)),
}
"""Columns of :meth:`Redundancy.table`: type, meaning, range."""


def type_of(piece: str) -> str:
    r"""Kind of a token by its text.

    One of :data:`TYPES` but the first.

    Examples
    --------
    >>> [type_of(piece) for piece in (" the", "42", "\n    ", ");", "x2y", "a-b", "\ufffd")]
    ['word', 'number', 'space', 'punctuation', 'word', 'other', 'other']
    """
    text = piece.strip()
    if not text:
        return "space" if piece else "other"
    if text.isdecimal():
        return "number"
    if text.replace("_", "").isalnum():
        return "word"
    return "punctuation" if text.isascii() and text.isprintable() and not any(map(str.isalnum, text)) else "other"


def ratio(part: Array, whole: Array, level: float) -> tuple[Array, Array, Array]:
    """Ratio of two sums over documents, with interval.

    Documents are the unit.

    Parameters
    ----------
    part, whole : ndarray
        (documents, ...). A document without anything (``whole`` 0) does not count.
    level : float

    Returns
    -------
    ratio, low, high : ndarray
        NaN limits with fewer than two documents.

    Examples
    --------
    >>> found = ratio(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]), 0.95)
    >>> [round(float(x), 3) for x in found]  # that of a mean, where all documents have one size
    [1.0, -0.242, 2.242]
    """
    from scipy.special import stdtrit

    total, count = whole.sum(0), (whole > 0).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = part.sum(0) / total
        variance = count / (count - 1) * ((part - value * whole) ** 2).sum(0) / total**2
        half = stdtrit(np.maximum(count - 1, 1), (1 + level) / 2) * np.sqrt(variance)
    return value, value - half, value + half


@dataclass(frozen=True)
class Redundancy:
    """Sums over tokens, and the redundancy they give.

    Over the tokens of each measured document.

    Attributes
    ----------
    model : str
    sums : ndarray
        (documents, layers, 1 + heads, types, statistics); the first along the third axis is the layer's output.
    losses : ndarray
        (documents, 2): sum of the cross-entropies of next tokens in nats, and their number.
    fitted : tuple of int
        Documents and tokens that the probes were fitted on.
    probe_input : {"layer", "attention"}
        What the probes see: what enters the layer, or what enters its attention after the norm.
    ridges : ndarray
        (layers, 1 + heads): the penalty of each.
    threshold, level : float
    layers : tuple of int
        Numbers of the layers, from 1.
    inputs : int
        Of a probe.
    curve : tuple of (int, int, ndarray)
        Documents and tokens that probes were fitted on, ever more, and sums (documents, 2, statistics) over layers and
        over heads. The last are those of ``sums``.
    """

    model: str
    sums: Array
    losses: Array
    fitted: tuple[int, int]
    probe_input: ProbeInput
    ridges: Array
    threshold: float
    level: float
    layers: tuple[int, ...]
    inputs: int
    curve: tuple[tuple[int, int, Array], ...]

    @property
    def loss(self) -> tuple[float, float, float]:
        """Mean cross-entropy of the next token, with interval.

        On the measured documents, in nats.
        """
        mean, low, high = ratio(self.losses[:, 0], self.losses[:, 1], self.level)
        return float(mean), float(low), float(high)

    def table(self) -> pd.DataFrame:
        """Table by part of the model and token kind.

        One row for each that two or more measured documents have.

        Returns
        -------
        DataFrame
            The columns of :data:`COLUMNS`.
        """
        import pandas as pd

        parts = self._parts()
        cells = np.stack([part for *_, part in parts], axis=1)  # (documents, parts, types, statistics)
        later = cells[:, :, 1:].sum(2, keepdims=True)  # what follows the first token of a window
        cells = np.concatenate([cells.sum(2, keepdims=True), later, cells], axis=2)
        s, total = np.moveaxis(cells, -1, 0), cells.sum(0)
        r, share = ratio(s[_R], s[_N], self.level), ratio(s[_ABOVE], s[_N], self.level)
        unexplained = ratio(s[_RESIDUAL], s[_CONSTANT], self.level)
        with np.errstate(invalid="ignore"):
            pooled = 1 - np.sqrt(total[..., _RESIDUAL] / total[..., _NORM])
            constant = total[..., _R_CONSTANT] / total[..., _N]
        columns = {
            "n": total[..., _N].astype(np.int64),
            "r": r[0],
            "r_low": r[1],
            "r_high": np.minimum(r[2], 1),
            "share": share[0],
            "share_low": np.maximum(share[1], 0),
            "share_high": np.minimum(share[2], 1),
            "r2": 1 - unexplained[0],
            "r2_low": 1 - unexplained[2],
            "r2_high": np.minimum(1 - unexplained[1], 1),
            "r_pooled": pooled,
            "r_constant": constant,
        }
        enough = (s[_N] > 0).sum(0) > 1
        rows = [
            {"unit": unit, "layer": layer, "head": head, "tokens": kind}
            | {name: value[i, j].item() for name, value in columns.items()}
            for i, (unit, layer, head, _) in enumerate(parts)
            for j, kind in enumerate(("all", LATER, *TYPES))
            if enough[i, j]
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def _parts(self) -> list[tuple[str, int, int, Array]]:
        """Parts that get rows of their own.

        Unit, layer, head and sums (documents, types, statistics).
        """
        units = self.sums.shape[2]
        parts = [("layer", 0, 0, self.sums[:, :, 0].sum(1))]
        parts += [("layer", layer, 0, self.sums[:, i, 0]) for i, layer in enumerate(self.layers)]
        parts += [("head", 0, 0, self.sums[:, :, 1:].sum((1, 2)))]
        for i, layer in enumerate(self.layers):
            parts += [("head", layer, 0, self.sums[:, i, 1:].sum(1))]
            parts += [("head", layer, head, self.sums[:, i, head]) for head in range(1, units)]
        return parts

    def learning_curve(self) -> list[dict[str, float]]:
        """R and explained variance against the text of the probes.

        Returns
        -------
        list of dict
            ``documents`` and ``tokens`` that probes were fitted on, ``r``, ``r_low``, ``r_high``, ``r2`` over tokens ×
            layers, and ``r_heads``, ``r2_heads`` over tokens × heads.
        """
        points = []
        for documents, tokens, sums in self.curve:
            s = np.moveaxis(sums, -1, 0)
            r, unexplained = ratio(s[_R], s[_N], self.level), ratio(s[_RESIDUAL], s[_CONSTANT], self.level)
            point = {"documents": documents, "tokens": tokens, "r": r[0][0], "r_low": r[1][0], "r_high": r[2][0]}
            point |= {"r2": 1 - unexplained[0][0], "r_heads": r[0][1], "r2_heads": 1 - unexplained[0][1]}
            points.append({name: float(value) for name, value in point.items()})
        return points

    def limit(self) -> tuple[float, float, float] | None:
        """R of probes fitted on endless text, with interval.

        Extrapolated from the last three points of the learning curve, each of about twice the documents of the one
        before: 1 − R that falls to its floor by a power law falls by a constant factor (Aitken's Δ²). The interval is
        a jackknife over the measured documents; how far a power law holds it does not say.

        Returns
        -------
        tuple of float or None
            None where the curve has fewer points, or does not flatten.
        """
        if len(self.curve) < 3 or len(self.sums) < 3:
            return None
        s = np.stack([sums[:, 0] for *_, sums in self.curve[-3:]])  # (3, documents, statistics)
        value = _aitken(*(s[:, :, _R].sum(1) / s[:, :, _N].sum(1)))
        part, whole = (s[:, :, k].sum(1, keepdims=True) - s[:, :, k] for k in (_R, _N))
        left_out = np.array([_aitken(*point) for point in (part / whole).T])
        if not (np.isfinite(value) and np.isfinite(left_out).all()):
            return None
        from scipy.special import stdtrit

        n = len(left_out)
        error = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
        half = float(stdtrit(n - 1, (1 + self.level) / 2) * error)
        return value, value - half, value + half

    def warnings(self) -> tuple[str, ...]:
        """Reasons not to take R at face value."""
        table = self.table()
        out = []
        per_input = self.fitted[1] / self.inputs
        if per_input < ENOUGH_TOKENS:
            out.append(
                f"probes were fitted on {per_input:.1f} tokens per input, and R grows up to {ENOUGH_TOKENS} and more: "
                "raise --fit-documents and --tokens"
            )
        parts = table[(table["tokens"] == "all") & ((table["head"] > 0) | (table["unit"] == "layer"))]
        parts = parts[parts["layer"] > 0]
        below = [_name(row) for row in parts[parts["r_high"] < parts["r_constant"]].itertuples()]
        worse = [_name(row) for row in parts[parts["r2_high"] < 0].itertuples()]
        if below:
            out.append(f"R lies below that of a constant in {shortlist(below, 6)}: there the probe is over-fitted")
        if worse:
            out.append(f"R² lies below 0 in {shortlist(worse, 6)}: there the probe is worse than a constant")
        points = self.learning_curve()
        rise = points[-1]["r"] - points[-2]["r"] if len(points) > 1 else 0.0
        if rise > STILL_RISING:
            limit = self.limit()
            where = f"; about {limit[0]:.3f} ({limit[1]:.3f}–{limit[2]:.3f}) with endless text" if limit else ""
            out.append(f"R still rose by {rise:.3f} over the last half of the text{where}")
        return tuple(out)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document: what was measured, and the table."""
        table, limit = self.table(), self.limit()
        loss = dict(zip(("estimate", "low", "high"), self.loss, strict=True), unit="nats per token")
        document: dict[str, Any] = encode(
            {
                "model": self.model,
                "probe": {
                    "input": self.probe_input,
                    "inputs": self.inputs,
                    "ridges": [[None if np.isnan(ridge) else ridge for ridge in layer] for layer in self.ridges],
                    "documents": self.fitted[0],
                    "tokens": self.fitted[1],
                },
                "layers": list(self.layers),
                "learning_curve": self.learning_curve(),
                "limit": None if limit is None else dict(zip(("estimate", "low", "high"), limit, strict=True)),
                "warnings": list(self.warnings()),
                "measured": {"documents": len(self.sums), "tokens": int(self.sums[:, 0, 0, :, _N].sum())},
                "threshold": self.threshold,
                "level": self.level,
                "loss": loss if self.losses[:, 1].any() else None,
                "heads": bands(table),
                "table": table.to_dict("records"),
            }
        )
        return document


def _aitken(first: float, second: float, third: float) -> float:
    """Limit of a sequence whose differences shrink by a factor.

    NaN where they do not shrink.
    """
    before, after = second - first, third - second
    factor = after / before if before else math.nan
    return float(third + after * factor / (1 - factor)) if 0 <= factor < 1 else math.nan


def _name(row: Any) -> str:
    """A layer or head in words."""
    return f"head {row.layer}.{row.head}" if row.unit == "head" else f"layer {row.layer}"


def rows_of(table: pd.DataFrame, unit: str, *, tokens: str = "all", each: bool = False) -> pd.DataFrame:
    """Rows of a table for layers or heads.

    All of them together, or each by itself.
    """
    chosen = table[(table["unit"] == unit) & (table["tokens"] == tokens)]
    return chosen[chosen["layer" if unit == "layer" else "head"] > 0] if each else chosen[chosen["layer"] == 0]


def bands(table: pd.DataFrame) -> dict[str, float]:
    """Shares of heads by their mean R.

    In the bands of the paper (34, 41 and 25 %).

    Returns
    -------
    dict
        ``above_0.8``, ``0.5_to_0.8``, ``below_0.5``.
    """
    r = rows_of(table, "head", each=True)["r"].to_numpy()
    return {
        "above_0.8": float((r > 0.8).mean()),
        "0.5_to_0.8": float(((r >= 0.5) & (r <= 0.8)).mean()),
        "below_0.5": float((r < 0.5).mean()),
    }


# ------------------------------------------------------------------------------------------------ recorded runs

KIND, TABLE, LOSS = "redundancy", "redundancy.csv", "loss.csv"


def read_recorded(folder: str | Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of a training run: R and loss by step.

    A run by :func:`theory.redundancy.language_model.train_language`.

    Raises
    ------
    InputError
        If the folder holds no such run.
    """
    from theory.training.runs import read_document

    folder = Path(folder)
    document = read_document(folder)
    if document is None or document.get("kind") != KIND or document.get("status") != "finished":
        raise InputError("holds no finished run", path=folder, hint="cogfit theory redundancy --train makes one")
    table, loss = _read_columns(folder / TABLE, COLUMNS), _read_columns(folder / LOSS, {"loss": ("number",)})
    for unit in ("layer", "head"):
        missing = set(loss["step"]) - set(rows_of(table, unit)["step"])
        if missing:
            raise InputError(f"lacks the mean of all {unit}s at step {min(missing)}", path=folder / TABLE)
    return table, loss


def _read_columns(path: Path, columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """A table by step, its columns of the kinds that they should be."""
    import pandas as pd

    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", path=path) from None
    for name, (kind, *_) in {"step": ("integer",), **columns}.items():
        if name not in table:
            raise InputError("is not there", path=path, column=name)
        is_right = {"integer": pd.api.types.is_integer_dtype, "number": pd.api.types.is_numeric_dtype}.get(kind)
        if is_right is not None and not is_right(table[name]):
            raise InputError(f"holds what is no {kind}", path=path, column=name)
    return table


def over_training(table: pd.DataFrame, loss: pd.DataFrame) -> list[list[str]]:
    """Table over training, as text.

    Header first, one row per checkpoint, layers and heads together.
    """
    header = ["step", "loss", "R layers", "R > 0.8", "R²", "R constant", "R heads", "R > 0.8", "R²", "heads > 0.8"]
    rows = [header]
    for step, nats in zip(loss["step"], loss["loss"], strict=True):
        part = table[table["step"] == step]
        cells = [f"{step:,}" if step else "0 (random)", f"{nats:.3f}"]
        for unit in ("layer", "head"):
            row = rows_of(part, unit).iloc[0]
            cells += [_estimate(row, "r"), _percent(row), f"{row['r2']:.3f}"]
            cells += [f"{row['r_constant']:.3f}"] if unit == "layer" else []
        rows.append([*cells, f"{100 * bands(part)['above_0.8']:.0f} %"])
    return rows


def is_our_run(folder: Path) -> bool:
    """Whether a folder is a model that was trained here.

    By :func:`theory.redundancy.language_model.train_language`, on part of the texts.
    """
    from theory.training.runs import read_document

    if not (folder / "run.json").is_file():
        return False
    return (read_document(folder) or {}).get("kind") == KIND


def by_part(table: pd.DataFrame, sinks: Array | None = None) -> list[list[str]]:
    """Table by part of the model, as text.

    Header first: the whole, then layer by layer, head by head, kind by kind of token.

    Parameters
    ----------
    table : DataFrame
        Of :meth:`Redundancy.table`.
    sinks : ndarray, optional
        (layers, heads): share of attention on the first token, of all layers of the model.
    """
    rows = [["operations", "R", "R > threshold", "R²", "R pooled", "R constant", "sink"]]
    names: Sequence[tuple[str, pd.DataFrame]] = [
        ("tokens × layers", rows_of(table, "layer")),
        ("tokens × heads", rows_of(table, "head")),
        *((f"layer {row.layer}", table.loc[[row.Index]]) for row in rows_of(table, "layer", each=True).itertuples()),
        *(
            (f"head {row.layer}.{row.head}", table.loc[[row.Index]])
            for row in rows_of(table, "head", each=True).itertuples()
        ),
        *((f"{kind} tokens × layers", rows_of(table, "layer", tokens=kind)) for kind in (LATER, *TYPES)),
    ]
    for name, part in names:
        for _, row in part.iterrows():
            tail = [f"{row[column]:.3f}" for column in ("r2", "r_pooled", "r_constant")]
            rows.append([name, _estimate(row, "r"), _percent(row), *tail, _sink(row, sinks)])
    return rows if sinks is not None else [row[:-1] for row in rows]


def _sink(row: Any, sinks: Array | None) -> str:
    """Sink share of the heads that a row is about; nothing for kinds of tokens."""
    if sinks is None or row["tokens"] != "all":
        return ""
    part = sinks if row["layer"] == 0 else sinks[row["layer"] - 1]
    return f"{(part if row['head'] == 0 else part[row['head'] - 1]).mean():.3f}"


def shown_curve(measured: Redundancy) -> str:
    """R against the text of the probes, in a sentence.

    Empty where there is no curve.
    """
    points = measured.learning_curve()
    if len(points) < 2:
        return ""
    limit = measured.limit()
    shown = ", ".join(f"{point['tokens']:,.0f}: {point['r']:.3f}" for point in points)
    end = f"; endless text: {limit[0]:.3f} ({limit[1]:.3f}–{limit[2]:.3f})" if limit else ""
    return f"\nR of layers by tokens that probes were fitted on: {shown}{end}."


def _estimate(row: Any, name: str) -> str:
    return f"{row[name]:.3f} ({row[name + '_low']:.3f}–{row[name + '_high']:.3f})"


def _percent(row: Any) -> str:
    low, high = 100 * row["share_low"], 100 * row["share_high"]
    return f"{100 * row['share']:.1f} % ({low:.1f}–{high:.1f})"
