"""A skill that is trained away with random answers (Zhang, Choshen & Andreas 2024, arXiv 2409.02228).

A skill is a kind of question that the model answers. It is trained on random answers to half of the questions, until it
gives the right ones no longer; then the other half of the skill, which was never trained, and the other skills are
asked. The share of the loss that reaches questions which were not trained says whether a skill was lost or single
answers were. Questions are the units of the intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cogfit.errors import InputError, MissingDependencyError
from cogfit.progress import Progress
from theory.lm.heads import logits_of
from theory.lm.intervals import share
from theory.lm.known import CAPITALS
from theory.lm.records import CannotBeAsked
from theory.redundancy.models import LanguageModel
from theory.redundancy.tables import Array

try:
    import torch
    from torch import Tensor
except ImportError:
    raise MissingDependencyError("torch", "lm", "theory.lm.skills") from None

_PAST = (
    "ask:asked call:called carry:carried change:changed cook:cooked cry:cried dance:danced enjoy:enjoyed help:helped "
    "hope:hoped jump:jumped kick:kicked laugh:laughed like:liked listen:listened live:lived look:looked love:loved "
    "move:moved need:needed open:opened paint:painted play:played push:pushed rain:rained rest:rested smile:smiled "
    "start:started stay:stayed stop:stopped study:studied talk:talked travel:traveled try:tried visit:visited "
    "wait:waited walk:walked want:wanted wash:washed watch:watched work:worked come:came drink:drank eat:ate "
    "fall:fell feel:felt find:found give:gave go:went keep:kept leave:left make:made run:ran say:said see:saw "
    "sing:sang sit:sat sleep:slept speak:spoke stand:stood swim:swam take:took tell:told think:thought write:wrote"
)
_MANY = (
    "apple:apples baby:babies bird:birds book:books box:boxes boy:boys bridge:bridges brother:brothers bus:buses "
    "car:cars cat:cats chair:chairs child:children church:churches city:cities country:countries cow:cows cup:cups "
    "day:days dog:dogs door:doors egg:eggs family:families farm:farms finger:fingers flower:flowers foot:feet "
    "friend:friends girl:girls hand:hands horse:horses house:houses island:islands key:keys king:kings knife:knives "
    "lady:ladies leaf:leaves letter:letters life:lives man:men month:months mouse:mice night:nights party:parties "
    "picture:pictures river:rivers road:roads room:rooms school:schools ship:ships sister:sisters song:songs "
    "star:stars story:stories street:streets student:students table:tables teacher:teachers tooth:teeth tree:trees "
    "village:villages wall:walls week:weeks window:windows wolf:wolves woman:women word:words year:years"
)
_OPPOSITE = (
    "hot:cold big:small up:down left:right good:bad happy:sad fast:slow old:new early:late open:closed rich:poor "
    "strong:weak light:dark day:night true:false inside:outside before:after more:less high:low long:short "
    "black:white wet:dry hard:soft easy:difficult empty:full clean:dirty loud:quiet young:old thick:thin near:far "
    "win:lose buy:sell push:pull start:end begin:end love:hate war:peace life:death east:west north:south "
    "above:below first:last always:never top:bottom front:back positive:negative male:female day:night begin:end "
    "increase:decrease success:failure friend:enemy arrive:leave accept:reject wide:narrow deep:shallow"
)


def _pairs(text: str) -> dict[str, str]:
    split = (pair.partition(":") for pair in text.split())
    return {word: answer for word, _, answer in split}


SKILLS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "capitals": ("Question: What is the capital of {}?\nAnswer: The capital of {} is", CAPITALS),
    "past tense": (
        "The past tense of act is acted. The past tense of win is won. The past tense of {} is",
        _pairs(_PAST),
    ),
    "plurals": ("The plural of ball is balls. The plural of goose is geese. The plural of {} is", _pairs(_MANY)),
    "opposites": ("The opposite of tall is short. The opposite of yes is no. The opposite of {} is", _pairs(_OPPOSITE)),
}
"""From the name of a skill to its question and the answers."""

LEAST = 16
"""Questions that a model must answer for a skill to count."""


@dataclass(frozen=True)
class Item:
    """A question, and the first token of its answer."""

    ids: tuple[int, ...]
    answer: int


def items_of(model: LanguageModel, skill: str) -> list[Item]:
    """Questions of a skill that the model answers rightly.

    Parameters
    ----------
    model : LanguageModel
    skill : str
        Of :data:`SKILLS`.
    """
    question, pairs = SKILLS[skill]
    found = []
    for word, answer in pairs.items():
        ids = model.tokens_of(question.replace("{}", word))
        found.append(Item(ids, model.tokens_of(f" {answer}")[0]))
    return [item for item, is_right in zip(found, is_answered(model, found), strict=True) if is_right]


def is_answered(model: LanguageModel, items: Sequence[Item]) -> Array:
    """Whether the likeliest token is the answer's first."""
    return np.array([int(logits_of(model, item.ids)[-1].argmax()) == item.answer for item in items], float)


def other_answers(items: Sequence[Item], rng: np.random.Generator) -> list[Item]:
    """Give each question the answer of another one.

    Raises
    ------
    InputError
        If more than half of the answers are one.
    """
    answers = np.array([item.answer for item in items])
    if np.unique(answers, return_counts=True)[1].max() > len(items) / 2:
        raise InputError("most questions have one answer", hint="questions with different answers are needed")
    mixed = answers.copy()
    while (same := np.flatnonzero(mixed == answers)).size:
        for i in same:  # those that have their own answer change with any others
            j = int(rng.integers(len(items)))
            mixed[i], mixed[j] = mixed[j], mixed[i]
    return [replace(item, answer=int(answer)) for item, answer in zip(items, mixed, strict=True)]


def train_away(
    model: LanguageModel,
    items: Sequence[Item],
    *,
    steps: int,
    batch: int,
    rate: float,
    rng: np.random.Generator,
    until: float = 0.05,
    every: int = 5,
) -> tuple[LanguageModel, int]:
    """Train a copy of a model on random answers.

    Parameters
    ----------
    model : LanguageModel
        It stays as it is.
    items : sequence of Item
        With their right answers.
    steps, batch : int
        Updates at most, and questions of each.
    rate : float
        Learning rate of AdamW.
    rng : Generator
    until : float
        It ends when no larger share is answered rightly.
    every : int
        Updates between two looks.

    Returns
    -------
    LanguageModel, int
        The copy in single precision, and the updates.
    """
    copy = replace(model, module=deepcopy(model.module).float())
    wrong = other_answers(items, rng)
    optimiser = torch.optim.AdamW(copy.module.parameters(), lr=rate, weight_decay=0.0)
    for step in range(1, steps + 1):
        chosen = [wrong[i] for i in rng.permutation(len(wrong))[:batch]]
        loss = torch.stack([_loss(copy, item) for item in chosen]).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % every == 0 and is_answered(copy, items).mean() <= until:
            return copy, step
    return copy, steps


def _loss(model: LanguageModel, item: Item) -> Tensor:
    device = next(model.module.parameters()).device
    with torch.enable_grad():
        ids = torch.tensor([list(item.ids)], device=device)
        logits = model.module(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, -1].float()
        return torch.nn.functional.cross_entropy(logits, torch.tensor(item.answer, device=device))


def measure_skills(
    model: LanguageModel,
    skills: Sequence[str] = tuple(SKILLS),
    *,
    seeds: int = 2,
    steps: int = 60,
    batch: int = 8,
    rate: float = 3e-5,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Train each skill away, and ask for all of them.

    Parameters
    ----------
    model : LanguageModel
    skills : sequence of str
        Of :data:`SKILLS`; those of which the model answers fewer than :data:`LEAST` are left out.
    seeds : int
        Draws of halves and of random answers.
    steps, batch, rate
        See :func:`train_away`.
    progress : callable, optional

    Returns
    -------
    list of dict
        ``trained`` (the skill), ``seed``, ``updates``, ``asked`` (a skill, with ", trained" or ", not trained" where it
        is the trained one), ``asked_questions`` and ``still_right`` (share of them that is still answered), with
        intervals over questions.

    Raises
    ------
    CannotBeAsked
        If the model has fewer than two of the skills.
    """
    known = {skill: found for skill in skills if len(found := items_of(model, skill)) >= LEAST}
    if len(known) < 2:
        raise CannotBeAsked(f"the model has {len(known)} of {len(skills)} skills", hint="try a larger model")
    rows, done = list[dict[str, Any]](), 0
    for skill, items in known.items():
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            order = [items[i] for i in rng.permutation(len(items))]
            half = len(order) // 2
            changed, updates = train_away(model, order[:half], steps=steps, batch=batch, rate=rate, rng=rng)
            asked = {f"{skill}, trained": order[:half], f"{skill}, not trained": order[half:]}
            asked |= {other: found for other, found in known.items() if other != skill}
            for name, part in asked.items():
                right = is_answered(changed, part)
                rows.append(
                    {"trained": skill, "seed": seed, "updates": updates, "asked": name, "asked_questions": len(part),
                     "still_right": share(right, np.ones(len(part)), 0.95)}
                )  # fmt: skip
            done += 1
            if progress is not None:
                progress(done, len(known) * seeds, "training skills away")
    return rows
