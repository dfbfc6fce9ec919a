"""Sinks beyond the first token, and more or less attention to them.

- **later sinks** (Yu et al. 2024, arXiv 2406.15765): tokens after the first that get more than :data:`TIMES` / N of a
  head's attention, on average over the N tokens of a text;
- **tilts**: attention to the first token (Han et al. 2025, arXiv 2505.11739) or to later sinks is scaled in some heads,
  those in which the derivative of the answer says that this helps.

Heads and factors are chosen on some texts and judged on others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogfit.errors import InputError, MissingDependencyError
from cogfit.progress import Progress
from theory.lm.attention import Attending, Intervention, Tilt, intervening, shape_of
from theory.lm.heads import logits_of
from theory.lm.intervals import mean_ratio, share
from theory.lm.records import SINK_FROM
from theory.redundancy.models import LanguageModel
from theory.redundancy.tables import Array

try:
    import torch
    from torch import Tensor
except ImportError:
    raise MissingDependencyError("torch", "lm", "theory.lm.sinks") from None

TIMES = 5.0
"""Shares of 1/N above which a token is a sink of a head (Yu et al. 2024)."""


def later_sinks(weights: Tensor) -> Tensor:
    """Find tokens after the first that are sinks.

    Attention that a token gets is the mean over all queries, those before it included, which give it none: a head that
    reads the latest tokens gives each of them an even share, and none of them is a sink.

    Parameters
    ----------
    weights : Tensor
        (..., tokens, tokens) of heads.

    Returns
    -------
    Tensor
        Booleans (..., tokens): more than :data:`TIMES` / tokens, and not the first.

    Examples
    --------
    >>> weights = torch.tril(torch.ones(64, 64))
    >>> weights[10:, 5] = 40.0
    >>> later_sinks(weights / weights.sum(-1, keepdim=True)).nonzero().ravel().tolist()
    [5]
    """
    tokens = weights.shape[-1]
    found: Tensor = weights.mean(-2) > TIMES / tokens
    return found & (torch.arange(tokens, device=weights.device) > 0)


@dataclass
class LessToSinks(Intervention):
    """More or less attention to later sinks, head by head.

    Sinks are found with the whole text, and anew in every layer.

    Attributes
    ----------
    amounts : Tensor
        (layers, heads), in nats: log f makes these weights f times as large beside the others.
    """

    amounts: Tensor

    def tilt(self, seen: Attending) -> Tensor:
        """The amounts at the later sinks of each head."""
        sinks = later_sinks(seen.scores.detach().softmax(-1))
        return torch.where(sinks[..., None, :], self.amounts[seen.layer - 1].to(seen.scores)[:, None, None], 0.0)


ORDINARY = 8
"""A token that is like any other, for comparison with the first one."""

TILTS: dict[str, Callable[[Tensor], Intervention]] = {
    "first token": Tilt,
    "ordinary token": lambda amounts: Tilt(amounts, (ORDINARY,)),
    "later sinks": LessToSinks,
}
"""What attention is scaled to, from amounts (layers, heads)."""


def sinks_by_layer(
    model: LanguageModel, documents: Sequence[Sequence[int]], *, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Count later sinks, layer by layer.

    Parameters
    ----------
    model : LanguageModel
    documents : sequence of sequence of int
        Tokens; read up to the context of the model.
    progress : callable, optional

    Returns
    -------
    list of dict
        ``layer`` (0: all), ``later_sinks`` (mean number per head), ``sink_heads`` (share of the heads with one or
        more) and ``later_share`` (attention that they get, of tokens :data:`~theory.lm.records.SINK_FROM` and later),
        with intervals over documents.

    Raises
    ------
    InputError
        If no document is long enough.
    """
    long = [ids[: model.context] for ids in documents if min(len(ids), model.context) > SINK_FROM]
    if not long:
        raise InputError(f"no document has more than {SINK_FROM} tokens", hint="give longer texts")
    found = np.zeros((len(long), shape_of(model.module)[0], 3))

    class Count(Intervention):
        def look(self, layer: int, weights: Tensor) -> None:
            sinks = later_sinks(weights[0].float())
            given = (weights[0, :, SINK_FROM:].float() * sinks[:, None]).sum(-1).mean()
            found[number, layer - 1] = torch.stack(
                [sinks.sum(-1).float().mean(), sinks.any(-1).float().mean(), given]
            ).cpu()

    for number, ids in enumerate(long):
        with intervening(model.module, Count()):
            logits_of(model, ids)
        if progress is not None:
            progress(number + 1, len(long), "later sinks")
    ones, names = np.ones(len(long)), ("later_sinks", "sink_heads", "later_share")
    layers = [(0, found.mean(1)), *((layer + 1, found[:, layer]) for layer in range(found.shape[1]))]
    return [
        {"layer": layer, "documents": len(long)}
        | {name: mean_ratio(values[:, i], ones, 0.95) for i, name in enumerate(names)}
        for layer, values in layers
    ]


@dataclass(frozen=True)
class Question:
    """A text and the tokens that answer it.

    Attributes
    ----------
    ids : tuple of int
        Numbers of all tokens, the answer included.
    answer : tuple of int
        Their places.
    """

    ids: tuple[int, ...]
    answer: tuple[int, ...]


def _surprise(model: LanguageModel, question: Question) -> tuple[Tensor, bool]:
    """Mean surprise of an answer, and whether all of it is the likeliest."""
    ids = torch.tensor([list(question.ids)], device=next(model.module.parameters()).device)
    before = [place - 1 for place in question.answer]
    logits = model.module(input_ids=ids, use_cache=False).logits[0, before].float()
    target = ids[0, list(question.answer)]
    return torch.nn.functional.cross_entropy(logits, target), bool((logits.argmax(-1) == target).all())


def answer_questions(
    model: LanguageModel, questions: Sequence[Question], intervention: Intervention
) -> tuple[Array, Array]:
    """Answer questions: surprise in nats, and whether exact."""
    with torch.no_grad(), intervening(model.module, intervention):
        found = [_surprise(model, question) for question in questions]
    nats, exact = zip(*found, strict=True)
    return np.array([float(each) for each in nats]), np.array(exact, float)


def gain_by_head(model: LanguageModel, questions: Sequence[Question], make: Callable[[Tensor], Intervention]) -> Array:
    """What more attention would gain, head by head.

    Returns
    -------
    ndarray
        (layers, heads): derivative of −(mean surprise of the answers) by the amounts, at 0.
    """
    amounts = torch.zeros(shape_of(model.module), device=next(model.module.parameters()).device, requires_grad=True)
    total = np.zeros(amounts.shape)
    for question in questions:
        with torch.enable_grad(), intervening(model.module, make(amounts)):
            (found,) = torch.autograd.grad(_surprise(model, question)[0], amounts)
        total -= found.double().cpu().numpy() / len(questions)
    return total


FACTORS = (0.25, 0.5, 2.0, 4.0)
"""By which attention to a place is scaled."""


def _choices(gain: Array) -> dict[str, Array]:
    """Signs (layers, heads) of the tilts of each choice of heads, for a factor above 1."""
    return {
        "all": np.ones_like(gain),
        "up": (gain > 0).astype(float),
        "down": (gain < 0).astype(float),
        "each its way": np.sign(gain),
    }


def _sensible(heads: str, factor: float) -> bool:
    """Whether a choice of heads goes with a factor: those that gain from more get more, and the other way round."""
    return not ((heads in ("up", "each its way") and factor < 1) or (heads == "down" and factor > 1))


def measure_tilts(
    model: LanguageModel,
    tasks: dict[str, tuple[Sequence[Question], Sequence[Question]]],
    *,
    factors: Sequence[float] = FACTORS,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Choose tilts on some questions, judge the best on others.

    Parameters
    ----------
    model : LanguageModel
    tasks : dict
        From a name to the questions that tilts are chosen on, and those that they are judged on.
    factors : sequence of float
    progress : callable, optional

    Returns
    -------
    list of dict
        By ``task``, ``place`` (of :data:`TILTS`), ``heads`` and ``factor``: ``chosen_change``, mean change of the
        answers' surprise where it was chosen; of the best of each kind of heads also ``nats_change`` and
        ``exact_change`` where it is judged, with intervals over questions. ``best`` marks the one that is best where
        it was chosen, of all.
    """
    rows = list[dict[str, Any]]()
    choices = [(heads, f) for heads in ("all", "up", "down", "each its way") for f in factors if _sensible(heads, f)]
    total = len(tasks) * len(TILTS) * len(choices)
    for task, (chosen, judged) in tasks.items():
        before = [answer_questions(model, part, Intervention()) for part in (chosen, judged)]
        for number, (place, make) in enumerate(TILTS.items(), list(tasks).index(task) * len(TILTS)):
            gain = gain_by_head(model, chosen, make)
            if not gain.any():  # such as later sinks in a text of twenty tokens
                continue
            found, signs = list[dict[str, Any]](), _choices(gain)
            for done, (heads, factor) in enumerate(choices, 1):
                tilted = answer_questions(model, chosen, make(_amounts(signs[heads], factor)))[0]
                row: dict[str, Any] = {"task": task, "place": place, "heads": heads, "factor": factor}
                found.append(row | {"chosen_change": float((tilted - before[0][0]).mean())})
                if progress is not None:
                    progress(number * len(choices) + done, total, "scaling attention")
            # the best factor of each choice of heads is judged
            for heads in signs:
                row = min((row for row in found if row["heads"] == heads), key=lambda row: row["chosen_change"])
                nats, exact = answer_questions(model, judged, make(_amounts(signs[heads], row["factor"])))
                row |= _changes(nats - before[1][0], exact, before[1][1])
            least = min(row["chosen_change"] for row in found)
            rows += [row | {"best": row["chosen_change"] == least} for row in found]
    return rows


def _amounts(signs: Array, factor: float) -> Tensor:
    """Nats by head that make weights so many times as large, or as small where the sign says so."""
    return torch.tensor(math.log(factor) * signs)


def _changes(nats: Array, exact: Array, exact_before: Array) -> dict[str, Any]:
    """Paired changes with intervals over questions."""
    ones = np.ones(len(nats))
    return {
        "questions": len(nats),
        "exact_before": share(exact_before, ones, 0.95),
        "exact_after": share(exact, ones, 0.95),
        "nats_change": mean_ratio(nats, ones, 0.95),
    }
