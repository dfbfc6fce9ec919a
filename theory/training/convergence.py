"""Whether training longer would have paid: what a forecast says of twice the streams.

And how a run ended: a forecast alone does not tell a limit from a plateau that other seeds left, or from what was lost.
Needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from theory.training.runs import Record

GAIN = 0.01
"""A gain in accuracy that counts, as a share: one point."""

LEAST_EVALUATIONS = 10
"""With fewer there is no forecast: the tests of a fit need some points to be held out."""

FALL = 0.1
"""A loss of accuracy, as a share, from the best evaluation to the end after which a run has fallen back."""

KNOWN, GUESSED = 0.95, 0.05
"""On the plateau at least this share of recurring queries is answered, and novel ones no further above chance."""

Ending = Literal["converged", "still climbing", "plateau", "fell back"]
ENDINGS: dict[Ending, str] = {
    "converged": "less than a point of accuracy is left to be gained, or more than that is not expected",
    "still climbing": "a point more is expected of twice the streams, or cannot be excluded, or nothing can be said",
    "plateau": "no gain is expected, but novel patterns are guessed: other seeds left this plateau without a warning",
    "fell back": "an earlier evaluation was better by ten points or more",
}
"""How a run ended, and what that means."""


@dataclass(frozen=True)
class Convergence:
    """What is expected of a run if it were trained on twice as many streams.

    Attributes
    ----------
    still_climbing : bool
        Whether a gain of :data:`GAIN` or more is expected, or cannot be excluded.
    gain, low, high : float
        Gain in accuracy that is forecast, and its interval at 95 %, wide: between the extreme ends of the intervals of
        both accuracies. NaN where nothing was forecast.
    reason : str
        In a sentence.
    """

    still_climbing: bool
    gain: float
    low: float
    high: float
    reason: str

    def to_json(self) -> dict[str, Any]:
        """JSON-ready mapping, without NaN."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def convergence(record: Record) -> Convergence:
    """Whether a run had converged.

    That is said where less than a point of accuracy is left to be gained, or where the forecast of its errors says
    so. What cannot be forecast counts as still climbing.

    Parameters
    ----------
    record : Record
        If its document has a ``convergence``, that is returned.

    Returns
    -------
    Convergence
    """
    noted = record.document["final"].get("convergence")
    if isinstance(noted, Mapping):
        return _noted(noted)
    errors = 1 - float(record.final.get("accuracy", math.nan))
    if errors < GAIN:
        return Convergence(False, math.nan, math.nan, math.nan, f"{errors:.2%} of the answers are wrong at the end")
    rows = [row for row in record.free_evaluation if math.isfinite(row.get("accuracy", math.nan))]
    if len(rows) < LEAST_EVALUATIONS:
        return _unknown(f"{len(rows)} evaluations are too few for a forecast")
    streams = np.array([row["step"] for row in rows], float) * record.batch
    return _forecast(streams, np.array([1 - row["accuracy"] for row in rows]))


def ending(record: Record, found: Convergence | None = None) -> Ending:
    """How a run ended: one of :data:`ENDINGS`.

    Parameters
    ----------
    record : Record
    found : Convergence, optional
        That of the run, where it is at hand.
    """
    accuracy = float(record.final.get("accuracy", math.nan))
    best = max(filter(math.isfinite, (row.get("accuracy", math.nan) for row in record.evaluation)), default=math.nan)
    if best - accuracy >= FALL:
        return "fell back"
    if (found or convergence(record)).still_climbing:
        return "still climbing"
    return "plateau" if guesses_novel(record) else "converged"


def guesses_novel(record: Record) -> bool:
    """Whether recurring patterns are known and novel ones guessed.

    The accuracy is then p_rec + (1 − p_rec)/V.
    """
    values, final = record.document["config"].get("data", {}).get("values", math.nan), record.final
    known, novel = (float(final.get(f"accuracy_{kind}", math.nan)) for kind in ("recurring", "novel"))
    return known >= KNOWN and novel <= 1 / values + GUESSED


def _forecast(streams: np.ndarray[Any, Any], errors: np.ndarray[Any, Any]) -> Convergence:
    """Convergence by the curve of errors."""
    import cogfit

    last = streams[-1]
    ahead = cogfit.fit(streams, errors).predict([last, 2 * last])
    if not all(ahead.answered):
        return _unknown(f"no forecast ({ahead.reason or 'the forms disagree'})")
    gain = float(ahead.value[0] - ahead.value[1])
    low, high = float(ahead.curve_low[0] - ahead.curve_high[1]), float(ahead.curve_high[0] - ahead.curve_low[1])
    # a forecast of a fall says that the form does not hold, and not that nothing is left to gain
    is_climbing = not (abs(gain) < GAIN and high < GAIN)
    said = f"twice the streams would add {100 * gain:.1f} points [{100 * low:.1f}, {100 * high:.1f}]"
    return Convergence(is_climbing, gain, low, high, said)


def _unknown(reason: str) -> Convergence:
    return Convergence(True, math.nan, math.nan, math.nan, reason)


def _noted(document: Mapping[str, Any]) -> Convergence:
    numbers = {
        name: math.nan if document.get(name) is None else float(document[name]) for name in ("gain", "low", "high")
    }
    return Convergence(bool(document["still_climbing"]), reason=str(document.get("reason", "")), **numbers)
