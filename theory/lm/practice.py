"""Practise invented facts on a language model, then train on something else.

Only the last layers are trained, in single precision; what the layers below make of a sentence never changes, so it is
computed once and kept. The loss is that of a language model, over all tokens of a sentence but the first, with a
softmax over the tokens that occur in anything that is trained or asked; what is reported is a probability among all
tokens.

The protocol is that of Chang et al. 2024 (arXiv 2406.11813) and Orhan 2023 (arXiv 2303.17557) at a smaller scale: facts
are shown 0 to 32 times, each once a session, with updates on prose between the sessions, all for the last time in the
same session; after that come updates on prose and on other facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cogfit.errors import InputError, MissingDependencyError, nearest
from cogfit.progress import Progress
from theory.lm.facts import Prompt, in_other_templates, make_prompts, sessions, share_out, words_of
from theory.redundancy.models import LanguageModel

try:
    import torch
    from torch import Tensor, nn
except ImportError:
    raise MissingDependencyError("torch", "lm", "theory.lm") from None

INTERFERENCE: Mapping[str, str | None] = {"same": "studied:new", "other": "other", "prose": None}
"""What stands beside prose in updates after practice: new facts in the same sentences, in others, or nothing."""

WORDINGS = ("same", "all")
"""A fact is shown in one sentence, or in the templates of its kind in turn, beginning with the one it is asked in."""

PARAPHRASES = "studied:again"
"""Set of the studied facts in the other templates."""

OPTIMISERS = ("adamw", "adamw-reset", "sgd")
"""AdamW; the same with its state forgotten after practice; plain gradient descent."""


@dataclass(frozen=True)
class Cell:
    """A condition.

    Attributes
    ----------
    id : str
    interference : str
        A key of :data:`INTERFERENCE`.
    optimiser : str
        One of :data:`OPTIMISERS`.
    batch : int
        Sentences of an update.
    seeds : int
        How many, from 0.
    wording : str
        One of :data:`WORDINGS`.
    """

    id: str
    interference: str = "same"
    optimiser: str = "adamw"
    batch: int = 8
    seeds: int = 3
    wording: str = "same"


@dataclass(frozen=True)
class PracticeSizes:
    """How much is practised, and for how long.

    Attributes
    ----------
    exposures : tuple of int
        How often facts are shown; 0 for controls.
    facts : int
        With each of these.
    words : int
        That facts end with.
    gap : int
        Updates on prose between two sessions.
    delay : int
        Updates after the last session.
    new_facts, prose : int
        Other facts of each kind, and pieces of prose, that are drawn from.
    tokens : int
        Of the longest sentence that is trained on, without its word.
    layers : int
        Last layers, which are trained.
    rate, sgd_rate : float
        Learning rates of AdamW and of plain gradient descent: of 0.03 and 0.1 the latter's is the larger with
        which the loss does not jump in the first session (seed 99, which no study uses).
    """

    exposures: tuple[int, ...] = (0, 1, 2, 4, 8, 16, 32)
    facts: int = 16
    words: int = 64
    gap: int = 2
    delay: int = 1024
    new_facts: int = 512
    prose: int = 1024
    tokens: int = 12
    layers: int = 2
    rate: float = 5e-4
    sgd_rate: float = 0.03


class Upper(nn.Module):
    """The last layers of a model, in single precision.

    Parameters
    ----------
    model : LanguageModel
        Of the Llama kind; it stays as it is.
    layers : int
    """

    def __init__(self, model: LanguageModel, layers: int) -> None:
        super().__init__()
        body, head = parts_of(model)
        first = _first_trained(body, layers)
        self.layers = nn.ModuleList(deepcopy(layer) for layer in body.layers[first:]).float().train()
        self.norm = deepcopy(body.norm).float()
        self.rotary = body.rotary_emb
        self.register_buffer("output", head.weight.detach().float())

    output: Tensor

    def forward(self, states: Tensor) -> Tensor:
        """Map what enters the layers to what leaves the model.

        Both (sentences, tokens, width).
        """
        places = torch.arange(states.shape[1])[None]
        position = self.rotary(states, places)
        for layer in self.layers:
            out = layer(states, position_embeddings=position, position_ids=places, attention_mask=None)
            states = out[0] if isinstance(out, tuple) else out
        normed: Tensor = self.norm(states)
        return normed


def parts_of(model: LanguageModel) -> tuple[Any, Any]:
    """Body and head of a model of the Llama kind.

    Raises
    ------
    InputError
        If it is of another kind.
    """
    module: Any = model.module
    body, head = getattr(module, "model", None), getattr(module, "lm_head", None)
    if head is None or not all(hasattr(body, name) for name in ("layers", "norm", "rotary_emb")):
        hint = "try a Llama, Qwen or SmolLM2"
        raise InputError(f"the last layers of {type(module).__name__} cannot be trained apart", hint=hint)
    return body, head


def _first_trained(body: Any, layers: int) -> int:
    """Place of the first of the last layers."""
    count = len(body.layers)
    if not 1 <= layers <= count:
        raise InputError(f"{layers} layers to train of {count}", hint=f"name 1 to {count}")
    return count - layers


def states_below(model: LanguageModel, ids: Tensor, layers: int, *, at_once: int = 64) -> Tensor:
    """What enters the last layers, in single precision.

    Shape (sentences, tokens, width).
    """
    body, _ = parts_of(model)
    kept: list[Tensor] = []

    def keep(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        kept.append((given[0] if given else named["hidden_states"]).float().clone())

    handle = body.layers[_first_trained(body, layers)].register_forward_pre_hook(keep, with_kwargs=True)
    try:
        with torch.no_grad():
            for start in range(0, len(ids), at_once):
                body(input_ids=ids[start : start + at_once], use_cache=False)
    finally:
        handle.remove()
    return torch.cat(kept)


@dataclass(frozen=True)
class Sentences:
    """Sentences as they are trained on.

    Attributes
    ----------
    states : Tensor
        What enters the trained layers, (sentences, tokens, width).
    targets : Tensor
        Token that follows each, numbered within the vocabulary of the loss.
    counts : Tensor
        Whether a token's successor counts in the loss.
    last : Tensor
        Place of the last token: there the word of a fact is foretold.
    """

    states: Tensor
    targets: Tensor
    counts: Tensor
    last: Tensor

    def ending_with(self, words: Tensor) -> Sentences:
        """The same sentences, each with its word."""
        targets = self.targets.clone()
        targets[torch.arange(len(targets)), self.last] = words
        return Sentences(self.states, targets, self.counts, self.last)


@dataclass(frozen=True)
class Material:
    """Everything that units of a study share.

    Attributes
    ----------
    model : LanguageModel
    sizes : PracticeSizes
    prompts : dict
        Sentences of facts by set.
    words : dict of str to int
        Words and their tokens.
    vocabulary : Tensor
        Tokens that the loss tells apart.
    sets : dict of str to Sentences
        Sets of facts, and ``prose``.
    """

    model: LanguageModel
    sizes: PracticeSizes
    prompts: Mapping[str, list[Prompt]]
    words: Mapping[str, int]
    vocabulary: Tensor
    sets: Mapping[str, Sentences]

    @property
    def answers(self) -> Tensor:
        """Tokens of the words."""
        return torch.tensor(list(self.words.values()))


def gather_material(
    model: LanguageModel,
    documents: Sequence[Sequence[int]],
    sizes: PracticeSizes,
    *,
    words: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> Material:
    """Make the sentences, and compute the layers below once.

    Parameters
    ----------
    model : LanguageModel
    documents : sequence of sequence of int
        Tokens of prose.
    sizes : PracticeSizes
    words : sequence of str, optional
        That facts end with; by default :data:`theory.lm.facts.WORDS`.
    progress : callable, optional

    Raises
    ------
    InputError
        If there is too little prose, or sentences are longer than ``sizes.tokens``.
    """
    counts = {"studied": len(sizes.exposures) * sizes.facts, "studied:new": sizes.new_facts, "other": sizes.new_facts}
    prompts = make_prompts(model, counts)
    prompts[PARAPHRASES] = in_other_templates(model, prompts["studied"], "studied")
    longest = max(len(prompt.ids) for made in prompts.values() for prompt in made)
    if longest > sizes.tokens:
        raise InputError(f"sentences have up to {longest} tokens of this model", hint=f"set tokens={longest}")
    answers = words_of(model, sizes.words) if words is None else words_of(model, sizes.words, words)
    # One token more than is read: the last is foretold only.
    rows = {"prose": _pieces(documents, sizes.prose, sizes.tokens + 1)}
    rows |= {kind: [[*prompt.ids, 0] for prompt in made] for kind, made in prompts.items()}
    used = {token for made in rows.values() for ids in made for token in ids} | set(answers.values())
    vocabulary = torch.tensor(sorted(used))
    sets = {}
    for done, (kind, made) in enumerate(rows.items()):
        if progress is not None:
            progress(done, len(rows), "layers below")
        sets[kind] = _sentences(model, made, sizes, vocabulary)
    return Material(model, sizes, prompts, answers, vocabulary, sets)


def _pieces(documents: Sequence[Sequence[int]], count: int, length: int) -> list[list[int]]:
    """Pieces of prose, an equal share from the beginning of each document."""
    share = -(-count // max(len(documents), 1))
    pieces = [
        list(ids[start : start + length])
        for ids in documents
        for start in range(0, min(len(ids) - length + 1, share * length), length)
    ]
    if len(pieces) < count:
        what = f"{len(documents)} documents give {len(pieces)} pieces of {length} tokens, and {count} are needed"
        raise InputError(what, hint="give more text with --texts")
    return pieces[:count]


def _sentences(
    model: LanguageModel, rows: Sequence[Sequence[int]], sizes: PracticeSizes, vocabulary: Tensor
) -> Sentences:
    """Pad rows on the right, where causal attention does not look, and run the layers below."""
    lengths = torch.tensor([len(row) - 1 for row in rows])
    ids = torch.zeros(len(rows), sizes.tokens + 1, dtype=torch.long)
    for row, tokens in zip(ids, rows, strict=True):
        row[: len(tokens)] = torch.tensor(list(tokens))
    # A padded target need not be in the vocabulary: it is never counted.
    targets = torch.searchsorted(vocabulary, ids[:, 1:].contiguous()).clamp_max(len(vocabulary) - 1)
    counts = torch.arange(sizes.tokens)[None] < lengths[:, None]
    return Sentences(states_below(model, ids[:, :-1], sizes.layers), targets, counts, lengths - 1)


# ---------------------------------------------------------------------------------------------------- one training


@dataclass
class Course:
    """A training under way.

    Attributes
    ----------
    material : Material
    cell : Cell
    seed : int
    upper : Upper
    optimiser : Optimizer
    words : dict of str to ndarray
        Number of each fact's word, by set.
    facts : dict of str to Sentences
        Sets with their words.
    planned : ndarray
        How often each studied fact is to be shown.
    shown : ndarray
        How often it was.
    updates : int
        So far.
    """

    material: Material
    cell: Cell
    seed: int
    rng: np.random.Generator = field(init=False)
    upper: Upper = field(init=False)
    optimiser: torch.optim.Optimizer = field(init=False)
    words: dict[str, Any] = field(init=False)
    facts: dict[str, Sentences] = field(init=False)
    planned: Any = field(init=False)
    shown: Any = field(init=False)
    updates: int = 0

    def __post_init__(self) -> None:
        material, sizes = self.material, self.material.sizes
        check_cell(self.cell)
        self.rng = np.random.default_rng([self.seed, 0])
        self.upper = Upper(material.model, sizes.layers)
        self.optimiser = self._new_optimiser()
        self.words = {
            kind: share_out(len(prompts), len(material.words), self.rng)
            for kind, prompts in material.prompts.items()
            if kind != PARAPHRASES
        }
        # a fact keeps its word in other sentences
        others = len(material.prompts[PARAPHRASES]) // len(material.prompts["studied"])
        self.words[PARAPHRASES] = np.repeat(self.words["studied"], others)
        places = torch.searchsorted(material.vocabulary, material.answers)
        self.facts = {
            kind: material.sets[kind].ending_with(places[torch.from_numpy(words)]) for kind, words in self.words.items()
        }
        self.planned = self.rng.permutation(np.repeat(sizes.exposures, sizes.facts))
        self.shown = np.zeros_like(self.planned)
        self._head = self.upper.output[material.vocabulary]

    def _new_optimiser(self) -> torch.optim.Optimizer:
        sizes, trained = self.material.sizes, list(self.upper.layers.parameters())
        if self.cell.optimiser == "sgd":
            return torch.optim.SGD(trained, lr=sizes.sgd_rate)
        return torch.optim.AdamW(trained, lr=sizes.rate, weight_decay=0.0)

    def forget_moments(self) -> None:
        """Begin with a new optimiser."""
        self.optimiser = self._new_optimiser()

    def update(self, rows: Mapping[str, Sequence[int]]) -> None:
        """One update on sentences of sets."""
        sets = [(self.facts.get(kind, self.material.sets[kind]), list(chosen)) for kind, chosen in rows.items()]
        states = torch.cat([sentences.states[chosen] for sentences, chosen in sets])
        targets = torch.cat([sentences.targets[chosen] for sentences, chosen in sets])
        counts = torch.cat([sentences.counts[chosen] for sentences, chosen in sets])
        logits = self.upper(states)[counts] @ self._head.T
        loss = nn.functional.cross_entropy(logits, targets[counts])
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.updates += 1

    def practise(self, facts: Sequence[int]) -> None:
        """One session: each of these facts once, in random order."""
        order, batch = self.rng.permutation(facts), self.cell.batch
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            self.update(self._sentences_of(chosen))
            self.shown[chosen] += 1

    def _sentences_of(self, facts: Any) -> dict[str, list[int]]:
        """Sentences of facts, by set."""
        if self.cell.wording == "same":
            return {"studied": facts.tolist()}
        others = len(self.words[PARAPHRASES]) // len(self.words["studied"])
        turn = self.shown[facts] % (others + 1)
        again = facts * others + turn - 1
        return {"studied": facts[turn == 0].tolist(), PARAPHRASES: again[turn > 0].tolist()}

    def draw(self, kind: str, count: int) -> list[int]:
        """Draw sentences of a set."""
        return [int(i) for i in self.rng.integers(len(self.material.sets[kind].states), size=count)]

    def read_prose(self) -> None:
        """One update on prose."""
        self.update({"prose": self.draw("prose", self.cell.batch)})

    def interfere(self) -> None:
        """One update after practice."""
        kind = INTERFERENCE[self.cell.interference]
        if kind is None:
            self.read_prose()
            return
        half = self.cell.batch // 2
        self.update({kind: self.draw(kind, half), "prose": self.draw("prose", self.cell.batch - half)})

    @torch.no_grad()
    def examine(self, facts: Sequence[int], session: int, since: int) -> dict[str, Any]:
        """Ask for the words of facts.

        Columns of the log.
        """
        chosen = list(facts)
        sentences, words = self.facts["studied"], torch.from_numpy(self.words["studied"])[chosen]
        last = self.upper(sentences.states[chosen])[torch.arange(len(chosen)), sentences.last[chosen]]
        logs = (last @ self.upper.output.T).log_softmax(-1)[:, self.material.answers]
        own = logs.gather(1, words[:, None])
        # Against every other word; the half that a word gives against itself is taken out of the mean.
        versus = ((own - logs).sigmoid().sum(1) - 0.5) / (logs.shape[1] - 1)
        return {
            "run": f"{self.cell.id}-{self.seed}",
            "step": self.updates,
            "session": session,
            "since": since,
            "pattern": chosen,
            "planned": self.planned[chosen],
            "exposure": self.shown[chosen],
            "recall": own[:, 0].exp().double().numpy(),
            "recognition": versus.double().numpy(),
            "nats": -own[:, 0].double().numpy(),
        }


def check_cell(cell: Cell) -> None:
    """Refuse a condition that there is not."""
    conditions = ((cell.interference, INTERFERENCE), (cell.optimiser, OPTIMISERS), (cell.wording, WORDINGS))
    for value, known in conditions:
        if value not in known:
            raise InputError(f"no condition '{value}'", hint=nearest(value, known))
    if cell.batch < 2:
        raise InputError(f"updates of {cell.batch} sentences", hint="an update needs 2 or more")


def looks_at(delay: int, per_octave: int = 3) -> list[int]:
    """Updates after practice at which facts are asked for.

    Examples
    --------
    >>> looks_at(20)
    [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20]
    """
    octaves = max(delay, 1).bit_length()
    steps = {round(2 ** (i / per_octave)) for i in range(per_octave * octaves + 1)} | {0, delay}
    return sorted(step for step in steps if step <= delay)


def train_unit(material: Material, cell: Cell, seed: int, progress: Progress | None = None) -> dict[str, Any]:
    """Practise and forget once.

    Parameters
    ----------
    material : Material
    cell : Cell
    seed : int
    progress : callable, optional
        Called as ``progress(done, total, run)``.

    Returns
    -------
    dict of str to ndarray
        Columns of the log, a row per fact and time that it was asked for
        (:data:`theory.lm.practice_records.COLUMNS`).
    """
    course = Course(material, cell, seed)
    parts = list(_run(course, progress))
    repeated = {
        name: np.concatenate([np.broadcast_to(part[name], len(part["pattern"])) for part in parts]) for name in parts[0]
    }
    return repeated


def _run(course: Course, progress: Progress | None) -> Iterator[dict[str, Any]]:
    """Practice session by session, then the delay; what was answered."""
    sizes = course.material.sizes
    every = range(len(course.planned))
    plan = sessions(course.planned.tolist())
    controls = np.flatnonzero(course.planned == 0).tolist()
    total = len(plan) + sizes.delay
    yield course.examine(every, 0, -1)
    for number, due in enumerate(plan, start=1):
        course.practise(due)
        if number < len(plan):
            for _ in range(sizes.gap):
                course.read_prose()
            # Just before they are shown again: those that were shown, and the controls beside them.
            yield course.examine([*due, *controls], number, -1)
        _report(course, progress, number, total)
    if course.cell.optimiser == "adamw-reset":
        course.forget_moments()
    looks = set(looks_at(sizes.delay))
    for since in range(sizes.delay + 1):
        if since:
            course.interfere()
        if since in looks:
            yield course.examine(every, len(plan), since)
            _report(course, progress, len(plan) + since, total)


def _report(course: Course, progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total, f"{course.cell.id}, seed {course.seed}")
