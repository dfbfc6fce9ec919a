"""Adaptive Retention on a pre-trained encoder (Rafiuddin & Khan 2025, arXiv 2510.08798).

Each layer has a score of its own, s_t = vᵀ tanh(W h_t + U m_{t−1}) + b, a Hard-Concrete gate in training and a budget
M = ⌊ρT⌋ under a multiplier; in use the M tokens of the highest p_t = σ(s_t) are kept. The encoder is frozen: gates and
a linear classifier are trained. Then, for the gates as for every other way to choose tokens, the classifier is fitted
anew on what the encoder makes of the tokens that are kept, so that ways differ in the tokens and in nothing else.

The task is to say of a passage to which section of a text its page belongs. Of every page every other passage is
trained on, and those between are judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from cogfit.errors import InputError, MissingDependencyError
from cogfit.progress import Progress
from theory.lm.encoder import Encoder, Gates
from theory.redundancy.texts import Document, Texts

try:
    import torch
    from torch import Tensor, nn
except ImportError:
    raise MissingDependencyError("torch", "lm", "theory.lm") from None

from theory.models.gates import HardConcrete, ascend
from theory.models.retention import RetentionScore

WAYS = ("full", "attention", "random", "gates")
"""How tokens are chosen: all, those that get most attention when all attend to all, at random, by learned gates."""


@dataclass(frozen=True)
class RetentionSizes:
    """How much is trained and judged.

    Attributes
    ----------
    tokens : int
        Of a passage, with those that begin and end it.
    passages : int
        Of a page, evenly spread.
    budgets : tuple of float
        Shares of the tokens that are kept in each layer.
    seeds : int
    epochs, batch : int
        Of the gates.
    rate, dual_rate : float
        Learning rate, and that of the multipliers; budgets count shares of the tokens.
    ridge : float
        On the weights of the classifier, per passage.
    """

    tokens: int = 64
    passages: int = 8
    budgets: tuple[float, ...] = (0.3, 0.5)
    seeds: int = 3
    epochs: int = 3
    batch: int = 16
    rate: float = 1e-3
    dual_rate: float = 0.1
    ridge: float = 0.1


# ------------------------------------------------------------------------------------------------------------- task


@dataclass(frozen=True)
class Passages:
    """Passages with labels.

    Attributes
    ----------
    ids : Tensor
        (passages, tokens).
    labels : Tensor
        Numbers of the sections.
    pages : tuple of str
        Page of each passage.
    """

    ids: Tensor
    labels: Tensor
    pages: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """What is trained on, and what is judged.

    Attributes
    ----------
    sections : tuple of str
    trained, judged : Passages
    """

    sections: tuple[str, ...]
    trained: Passages
    judged: Passages


_SECTION = re.compile(r"-sec([A-Z])\d+\.txt$")


def section_of(name: str) -> str | None:
    """Section that a page belongs to.

    Its folder, else the letter in the name of a fetched page.

    Examples
    --------
    >>> section_of("anarchism-secB3.txt"), section_of("sports/7.txt"), section_of("anarchism-biblio.txt")
    ('B', 'sports', None)
    """
    folder, slash, _ = name.rpartition("/")
    found = _SECTION.search(name)
    return folder if slash else found[1] if found else None


def make_task(encoder: Encoder, texts: Texts, sizes: RetentionSizes) -> Task:
    """Cut pages into passages.

    Of each page every other one is judged.

    Raises
    ------
    InputError
        If fewer than two sections have a page of enough text.
    """
    sections: dict[str, list[tuple[str, list[list[int]]]]] = {}
    for document in texts.documents:
        section = section_of(document.name)
        cut = [] if section is None else _cut(encoder, document, sizes)
        if section is not None and len(cut) > 1:
            sections.setdefault(section, []).append((document.name, cut))
    if len(sections) < 2:
        what = f"{len(sections)} sections have a page of two passages of {sizes.tokens} tokens"
        raise InputError(what, hint="give a folder with a folder of pages for each section with --texts")
    names = tuple(sorted(sections))
    trained, judged = (_passages([sections[name] for name in names], part) for part in (0, 1))
    return Task(names, trained, judged)


def _passages(sections: Sequence[Sequence[tuple[str, list[list[int]]]]], part: int) -> Passages:
    """Every other passage of each page, from the first or the second."""
    rows = [(ids, number, page) for number, pages in enumerate(sections) for page, cut in pages for ids in cut[part::2]]
    ids, labels, pages = zip(*rows, strict=True)
    return Passages(torch.tensor(ids), torch.tensor(labels), tuple(pages))


def _cut(encoder: Encoder, document: Document, sizes: RetentionSizes) -> list[list[int]]:
    """Evenly spread passages of a page that do not overlap."""
    ids, length = list(encoder.encode(document.read().decode(errors="replace"))), sizes.tokens - 2
    starts = np.arange(0, len(ids) - length + 1, length)
    chosen = (
        starts[np.unique(np.linspace(0, len(starts) - 1, sizes.passages).round().astype(int))] if len(starts) else []
    )
    first, last = encoder.ends
    return [[first, *ids[start : start + length], last] for start in chosen]


# ------------------------------------------------------------------------------------------------ choosing of tokens


def top(scores: Tensor, budget: float) -> Tensor:
    """Gates that keep the highest scores of a text.

    ⌊ρT⌋ of them, at least one.
    """
    kept = max(1, int(budget * scores.shape[1] + 1e-9))
    return torch.zeros_like(scores).scatter(1, scores.topk(kept, dim=1).indices, 1.0)


def keep_all(number: int, states: Tensor) -> Tensor:
    """Gates that keep everything."""
    return torch.ones(states.shape[:2])


def keep_attended(encoder: Encoder, budget: float, number: int, states: Tensor) -> Tensor:
    """Gates that keep what gets most attention."""
    return top(encoder.attention_received(number, states), budget)


def keep_random(rng: torch.Generator, budget: float, number: int, states: Tensor) -> Tensor:
    """Gates that keep tokens at random, others in every layer."""
    return top(torch.rand(states.shape[:2], generator=rng), budget)


class RetentionGates(nn.Module):
    """A score for each layer, with its multiplier.

    Parameters
    ----------
    encoder : Encoder
    budget : float
    """

    def __init__(self, encoder: Encoder, budget: float) -> None:
        super().__init__()
        self.budget, self.gate = budget, HardConcrete()
        self.scores = nn.ModuleList(RetentionScore(encoder.width, 0.9, 1.0) for _ in encoder.layers)
        self.register_buffer("multipliers", torch.zeros(len(self.scores)))

    multipliers: Tensor

    def sample(self, number: int, states: Tensor, probabilities: list[Tensor]) -> Tensor:
        """Gates for training.

        What they are drawn from is noted.
        """
        score = self.scores[number](states)
        probabilities.append(score.sigmoid())
        return self.gate.sample(score)

    def keep_top(self, number: int, states: Tensor) -> Tensor:
        """Gates for use."""
        return top(self.scores[number](states), self.budget)

    def cost(self, probabilities: Sequence[Tensor]) -> Tensor:
        """Price of what is kept above the budget.

        In shares of the tokens.
        """
        excess = torch.stack([p.mean() for p in probabilities]) - self.budget
        return (self.multipliers * excess).sum()

    def raise_multipliers(self, probabilities: Sequence[Tensor], rate: float) -> None:
        """Dual ascent of each layer."""
        kept = torch.stack([p.detach().mean() for p in probabilities])
        self.multipliers.copy_(ascend(self.multipliers, kept, self.budget, rate))


def train_gates(
    encoder: Encoder,
    trained: Passages,
    sections: int,
    budget: float,
    sizes: RetentionSizes,
    seed: int,
    progress: Progress | None = None,
) -> RetentionGates:
    """Train gates, together with a classifier."""
    torch.manual_seed(seed)
    gates, classifier = RetentionGates(encoder, budget), nn.Linear(encoder.width, sections)
    optimiser = torch.optim.AdamW([*gates.parameters(), *classifier.parameters()], lr=sizes.rate)
    rng, count = np.random.default_rng(seed), len(trained.labels)
    batches = [
        order[i : i + sizes.batch] for order in _orders(rng, sizes.epochs, count) for i in range(0, count, sizes.batch)
    ]
    for done, rows in enumerate(batches):
        if progress is not None:
            progress(done, len(batches), f"gates at {budget:.0%}, seed {seed}")
        probabilities: list[Tensor] = []
        pooled, _ = encoder.run(encoder.embed(trained.ids[rows]), partial(gates.sample, probabilities=probabilities))
        loss = nn.functional.cross_entropy(classifier(pooled), trained.labels[rows]) + gates.cost(probabilities)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        gates.raise_multipliers(probabilities, sizes.dual_rate)
    return gates


def _orders(rng: np.random.Generator, epochs: int, count: int) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return [rng.permutation(count) for _ in range(epochs)]


# ---------------------------------------------------------------------------------------------------------- judging


@torch.no_grad()
def pooled_states(encoder: Encoder, ids: Tensor, gates: Gates, at_once: int = 32) -> Tensor:
    """What the encoder makes of passages, (passages, width)."""
    return torch.cat([encoder.run(encoder.embed(ids[i : i + at_once]), gates)[0] for i in range(0, len(ids), at_once)])


def fit_classifier(features: Tensor, labels: Tensor, sections: int, ridge: float) -> Callable[[Tensor], Tensor]:
    """Multinomial logistic regression on standardised features, with a ridge.

    Returns
    -------
    callable
        From features to the most probable section.
    """
    centre, scale = features.mean(0), features.std(0).clamp_min(1e-6)
    standard = ((features - centre) / scale).double()
    weight = torch.zeros(features.shape[1], sections, dtype=torch.double, requires_grad=True)
    bias = torch.zeros(sections, dtype=torch.double, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = nn.functional.cross_entropy(standard @ weight + bias, labels) + ridge * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    fixed_weight, fixed_bias = weight.detach(), bias.detach()
    return lambda other: (((other - centre) / scale).double() @ fixed_weight + fixed_bias).argmax(1)


def judge(encoder: Encoder, task: Task, gates: Gates, ridge: float) -> list[dict[str, object]]:
    """Fit the classifier on what is kept, and ask it.

    On the passages between; a row per page.
    """
    trained, judged = (pooled_states(encoder, part.ids, gates) for part in (task.trained, task.judged))
    classify = fit_classifier(trained, task.trained.labels, len(task.sections), ridge)
    right = (classify(judged) == task.judged.labels).tolist()
    rows: dict[str, dict[str, object]] = {}
    counts: Mapping[str, list[bool]] = {page: [] for page in task.judged.pages}
    for page, label, is_right in zip(task.judged.pages, task.judged.labels.tolist(), right, strict=True):
        counts[page].append(is_right)
        rows[page] = {"page": page, "section": task.sections[label]}
    return [row | {"passages": len(counts[page]), "correct": sum(counts[page])} for page, row in rows.items()]


@torch.no_grad()
def retention_by_layer(encoder: Encoder, gates: RetentionGates, passages: Passages) -> list[dict[str, object]]:
    """Share of tokens that gates would keep, by layer.

    The mean of p, and the share of tokens with p > 1/2.
    """
    means: list[list[Tensor]] = [[] for _ in encoder.layers]

    def note(number: int, states: Tensor) -> Tensor:
        score = gates.scores[number](states)
        means[number].append(score.sigmoid().flatten())
        return top(score, gates.budget)

    pooled_states(encoder, passages.ids, note)
    noted = [torch.cat(parts) for parts in means]
    return [
        {"layer": number, "expected": float(p.mean()), "above_half": float((p > 0.5).double().mean())}
        for number, p in enumerate(noted, start=1)
    ]
