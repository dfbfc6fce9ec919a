"""Facts that a language model knows, and which heads bring them.

- **recall** (Geva et al. 2023, arXiv 2304.14767): heads that bring the capital from the name of a country to where it
  is asked for, found by the derivative of the answer with respect to that attention, and judged by cutting it;
- **conflict** (Jin et al. 2024, arXiv 2402.18154): a context contradicts what the model knows; memory heads speak for
  what it knows and context heads for what it is told, found by the derivative with respect to their output, and judged
  by pruning them.

Heads are chosen on one half of the countries and judged on the other; countries are the units of the intervals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cogfit.errors import MissingDependencyError
from cogfit.progress import Progress
from theory.lm.attention import Gates, Intervention, KnockOut, Tilt, intervening, shape_of
from theory.lm.heads import SetsOfHeads, highest, logits_of, sets_of_heads
from theory.lm.intervals import mean_ratio, share
from theory.lm.records import CannotBeAsked
from theory.redundancy.models import LanguageModel
from theory.redundancy.tables import Array

try:
    import torch
    from torch import Tensor
except ImportError:
    raise MissingDependencyError("torch", "lm", "theory.lm.known") from None

CAPITALS: Mapping[str, str] = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Germany": "Berlin", "Russia": "Moscow",
    "China": "Beijing", "Japan": "Tokyo", "Egypt": "Cairo", "Greece": "Athens", "Portugal": "Lisbon",
    "England": "London", "Austria": "Vienna", "Poland": "Warsaw", "Hungary": "Budapest", "Sweden": "Stockholm",
    "Norway": "Oslo", "Finland": "Helsinki", "Denmark": "Copenhagen", "Ireland": "Dublin", "Scotland": "Edinburgh",
    "Belgium": "Brussels", "Turkey": "Ankara", "Iran": "Tehran", "Iraq": "Baghdad", "Syria": "Damascus",
    "Lebanon": "Beirut", "Kenya": "Nairobi", "Nigeria": "Abuja", "Ghana": "Accra", "Ethiopia": "Addis Ababa",
    "Cuba": "Havana", "Peru": "Lima", "Chile": "Santiago", "Argentina": "Buenos Aires", "Brazil": "Brasilia",
    "Colombia": "Bogota", "Venezuela": "Caracas", "Mexico": "Mexico City", "Canada": "Ottawa",
    "Australia": "Canberra", "Thailand": "Bangkok", "Vietnam": "Hanoi", "Indonesia": "Jakarta",
    "Malaysia": "Kuala Lumpur", "India": "New Delhi", "Nepal": "Kathmandu", "Pakistan": "Islamabad",
    "Afghanistan": "Kabul", "Bangladesh": "Dhaka", "Cambodia": "Phnom Penh", "Mongolia": "Ulaanbaatar",
    "Romania": "Bucharest", "Bulgaria": "Sofia", "Serbia": "Belgrade", "Croatia": "Zagreb", "Ukraine": "Kyiv",
    "Uruguay": "Montevideo", "Ecuador": "Quito", "Jamaica": "Kingston", "Senegal": "Dakar", "Morocco": "Rabat",
    "Tunisia": "Tunis", "Libya": "Tripoli", "Iceland": "Reykjavik", "Latvia": "Riga", "Zimbabwe": "Harare",
    "Uganda": "Kampala", "Somalia": "Mogadishu", "Angola": "Luanda",
}  # fmt: skip
"""Countries and their capitals."""

_QUESTION = "Question: What is the capital of {country}?\nAnswer: The capital of {country} is"
_STORY = "In this story, the capital of {country} is {told}.\n"


@dataclass(frozen=True)
class Asked:
    """A question, and what may follow.

    Attributes
    ----------
    country : str
    ids : tuple of int
        Numbers of its tokens.
    subject : tuple of int
        Places of the tokens of the country, wherever it stands.
    answer : int
        First token of the capital.
    told : int
        First token of the capital that the context gives; -1 where there is no context.
    """

    country: str
    ids: tuple[int, ...]
    subject: tuple[int, ...]
    answer: int
    told: int = -1


def ask_for(model: LanguageModel, country: str, told: str | None = None) -> Asked:
    """Ask for a capital, after a context or none.

    Parameters
    ----------
    model : LanguageModel
    country : str
    told : str, optional
        The capital that the context gives.
    """
    story = "" if told is None else _STORY.format(country=country, told=told)
    text = story + _QUESTION.format(country=country)
    places = [match.span() for match in re.finditer(f" {country}", text)]
    subject = [
        place
        for begin, end in places
        for place in range(len(model.tokens_of(text[:begin])), len(model.tokens_of(text[:end])))
    ]
    first = [model.tokens_of(f" {capital}")[0] for capital in (CAPITALS[country], told) if capital is not None]
    return Asked(country, model.tokens_of(text), tuple(subject), first[0], *first[1:])


def known(model: LanguageModel) -> list[str]:
    """Countries whose capital the model names.

    Raises
    ------
    CannotBeAsked
        If it knows fewer than eight.
    """
    asked = [ask_for(model, country) for country in CAPITALS]
    found = [each.country for each in asked if int(_last(model, each).argmax()) == each.answer]
    if len(found) < 8:
        raise CannotBeAsked(f"the model knows {len(found)} of {len(CAPITALS)} capitals", hint="try a larger model")
    return found


def conflicts(model: LanguageModel, countries: Sequence[str], seed: int = 0) -> list[Asked]:
    """Questions after a context that gives another capital.

    That of another of the countries, with another first token.
    """
    rng, out = np.random.default_rng(seed), list[Asked]()
    for country in countries:
        others = [CAPITALS[other] for other in rng.permutation(list(countries)).tolist()]
        told = next((ask_for(model, country, other) for other in others if _differs(model, country, other)), None)
        out += [] if told is None else [told]
    return out


def _differs(model: LanguageModel, country: str, other: str) -> bool:
    asked = ask_for(model, country, other)
    return asked.told != asked.answer


def _last(model: LanguageModel, asked: Asked) -> Tensor:
    """Logits of what follows."""
    return logits_of(model, asked.ids)[-1].float()


Objective = Callable[[Tensor, Asked], Tensor]
"""From the logits of what follows (vocabulary) and the question to a number."""


def effects(model: LanguageModel, asked: Sequence[Asked], objective: Objective) -> Array:
    """Derivative of an objective by each head's output.

    Shape (questions, layers, heads).
    """
    ones = torch.ones(shape_of(model.module), device=_device(model))
    return np.stack([_derivative(model, each, ones, Gates, objective) for each in asked])


def pull(model: LanguageModel, asked: Sequence[Asked]) -> Array:
    """Derivative of log p(answer) by attention to the subject.

    Of the last token, in nats per nat that a head's scores are raised by, (questions, layers, heads).
    """
    zeros = torch.zeros(shape_of(model.module), device=_device(model))

    def make(each: Asked) -> Callable[[Tensor], Tilt]:
        return lambda amounts: Tilt(amounts, each.subject, (len(each.ids) - 1,))

    return np.stack([_derivative(model, each, zeros, make(each), _log_p) for each in asked])


def _log_p(logits: Tensor, asked: Asked) -> Tensor:
    return logits.log_softmax(-1)[asked.answer]


def for_the_context(logits: Tensor, asked: Asked) -> Tensor:
    """Return the logit of the told less the known."""
    return logits[asked.told] - logits[asked.answer]


def _derivative(
    model: LanguageModel,
    asked: Asked,
    start: Tensor,
    make: Callable[[Tensor], Intervention],
    objective: Objective,
) -> Array:
    """Derivative of an objective by the amounts of an intervention, at the start."""
    amounts = start.clone().requires_grad_()
    ids = torch.tensor([list(asked.ids)], device=start.device)
    with torch.enable_grad(), intervening(model.module, make(amounts)):
        logits = model.module(input_ids=ids, use_cache=False).logits[0, -1].float()
        (found,) = torch.autograd.grad(objective(logits, asked), amounts)
    return np.asarray(found.double().cpu().numpy())


def _device(model: LanguageModel) -> torch.device:
    return next(model.module.parameters()).device


def halves(asked: Sequence[Asked]) -> tuple[list[Asked], list[Asked]]:
    """Every other question, and the rest."""
    return list(asked[::2]), list(asked[1::2])


@dataclass(frozen=True)
class Answers:
    """What a model says under an intervention.

    Attributes
    ----------
    known, told : ndarray
        (questions,): whether the likeliest token is the answer, or what the context says.
    nats : ndarray
        (questions,): surprise of the answer's first token.

    Under several sets of heads, an axis for them stands in front.
    """

    known: Array
    told: Array
    nats: Array

    def summary(self, level: float = 0.95) -> dict[str, Any]:
        """Shares and nats, with intervals.

        Over questions, and over sets of heads where there are several.
        """
        ones = np.ones(self.nats.shape[-1])
        return {
            "answers_known": share(self.known, ones, level),
            "answers_told": share(self.told, ones, level),
            "answer_nats": mean_ratio(self.nats, ones, level),
        }


def answers(model: LanguageModel, asked: Sequence[Asked], make: Callable[[Asked], Intervention]) -> Answers:
    """Let a model answer under interventions."""
    rows = []
    for each in asked:
        with intervening(model.module, make(each)):
            logits = _last(model, each)
        likeliest = int(logits.argmax())
        rows.append((likeliest == each.answer, likeliest == each.told, -float(_log_p(logits, each))))
    said, told, nats = np.array(rows, float).T
    return Answers(said, told, nats)


def cut(heads: Mapping[int, tuple[int, ...]], shape: tuple[int, int]) -> Callable[[Asked], Intervention]:
    """Take away attention of some heads to the subject.

    That of the last token.
    """
    amounts = torch.zeros(shape)
    for layer, numbers in heads.items():
        amounts[layer - 1, [number - 1 for number in numbers]] = -torch.inf
    return lambda each: Tilt(amounts, each.subject, (len(each.ids) - 1,))


def measure_recall(
    model: LanguageModel,
    countries: Sequence[str],
    counts: Sequence[int],
    *,
    draws: int = 10,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Recall capitals with attention to the country cut.

    Parameters
    ----------
    model : LanguageModel
    countries : sequence of str
        Those that it knows.
    counts : sequence of int
        Numbers of heads.
    draws : int
        Sets of random heads for each number; they are taken as drawn at random, as countries are.
    seed : int
    progress : callable, optional

    Returns
    -------
    list of dict
        ``heads`` ("none", "top", "random", "all"), ``count``, and :meth:`Answers.summary`.
    """
    shape = shape_of(model.module)
    chosen, judged = halves([ask_for(model, country) for country in countries])
    every = {layer: tuple(range(1, shape[1] + 1)) for layer in range(1, shape[0] + 1)}
    plan = sets_of_heads(pull(model, chosen).mean(0), "top", counts, draws=draws, seed=seed)
    plan += [("all", shape[0] * shape[1], [every])]
    return _judged(model, judged, plan, lambda heads: cut(heads, shape), progress, "cutting attention to the subject")


def measure_conflicts(
    model: LanguageModel,
    countries: Sequence[str],
    counts: Sequence[int],
    *,
    draws: int = 10,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Answers under a context that contradicts, without some heads.

    Parameters
    ----------
    model, countries, counts, draws, seed, progress
        See :func:`measure_recall`.

    Returns
    -------
    list of dict
        ``heads`` ("none", "memory", "context", "random"), ``count``, and :meth:`Answers.summary`.
    """
    chosen, judged = halves(conflicts(model, countries, seed))
    scores = effects(model, chosen, for_the_context).mean(0)
    plan = sets_of_heads(scores, "context", counts, draws=draws, seed=seed)
    plan += [("memory", count, [highest(-scores, count)]) for count in counts]
    return _judged(model, judged, plan, lambda heads: lambda each: KnockOut(heads), progress, "pruning heads")


def _judged(
    model: LanguageModel,
    asked: Sequence[Asked],
    plan: SetsOfHeads,
    make: Callable[[Mapping[int, tuple[int, ...]]], Callable[[Asked], Intervention]],
    progress: Progress | None,
    step: str,
) -> list[dict[str, Any]]:
    """Answers under each set of heads."""
    rows, total = list[dict[str, Any]](), sum(len(sets) for *_, sets in plan)
    done = 0
    for name, count, sets in plan:
        found = []
        for heads in sets:
            found.append(answers(model, asked, make(heads)))
            done += 1
            if progress is not None:
                progress(done, total, step)
        together = Answers(*(np.stack([getattr(each, key) for each in found]) for key in ("known", "told", "nats")))
        rows.append({"heads": name, "count": count, "countries": len(asked), **together.summary()})
    return rows
