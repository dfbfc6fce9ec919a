"""Predict attention's output by linear probes.

How much of it a probe explains (CRAM, Definition 1), for any causal language model.

For token t and layer l, CRAM (arXiv 2602.12204, Eq. 1) defines the redundancy R_t = 1 − ‖a_t − â_t‖₂ / ‖a_t‖₂, where
a_t is the output of the layer's attention and â_t what a linear probe predicts of it from the hidden state that enters
the layer. Here the probe is affine, fitted in closed form (ridge regression on streamed moments) on some documents and
measured on others; a_t is the output of the output projection, or of one head the part of its input that this head
makes. What is reported of it: :mod:`theory.redundancy.tables`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cogfit.errors import InputError, MissingDependencyError
from cogfit.progress import Progress
from theory.redundancy.equations import NormalEquations, Probe, choose_ridges
from theory.redundancy.models import LanguageModel
from theory.redundancy.tables import STATISTICS, THRESHOLD, TYPES, Array, ProbeInput, Redundancy, type_of
from theory.redundancy.texts import Document, Texts

try:
    import torch
    from torch import Tensor, nn
except ImportError:
    raise MissingDependencyError("torch", "huggingface", "theory.redundancy.probes") from None

PROJECTIONS = ("c_proj", "o_proj", "out_proj", "dense", "wo")
"""Names of output projections: GPT-2; Llama and its kin; OPT, GPT-J, GPT-Neo; GPT-NeoX, Falcon, BLOOM; others."""


# ------------------------------------------------------------------------------------------------------- hooks


@dataclass(frozen=True)
class Site:
    """Where a layer attends.

    Attributes
    ----------
    layer : int
        Number of the layer among those that attend, from 1.
    block, attention, projection : nn.Module
        The layer, its attention, and the output projection of that.
    heads : int
    """

    layer: int
    block: nn.Module
    attention: nn.Module
    projection: nn.Module
    heads: int


def find_sites(model: nn.Module) -> list[Site]:
    """Layers of a causal language model that attend, in order.

    Raises
    ------
    InputError
        If the model attends to another text, or its attention is not recognised.

    Examples
    --------
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=8, bos_token_id=0, eos_token_id=0))
    >>> [(site.layer, type(site.block).__name__, site.heads) for site in find_sites(model)]
    [(1, 'GPT2Block', 2), (2, 'GPT2Block', 2)]
    """
    config: Any = getattr(model, "config", None)
    heads = getattr(config, "num_attention_heads", None)
    name = type(model).__name__
    if getattr(config, "is_encoder_decoder", False) or getattr(config, "add_cross_attention", False):
        raise InputError(f"{name} attends to another text", hint="give a causal language model")
    if not isinstance(heads, int):
        raise InputError(f"{name} does not say how many heads it has", hint="give a causal language model")
    sites: list[Site] = []
    for path, module in model.named_modules():
        parent, _, last = path.rpartition(".")
        if last not in PROJECTIONS or "attention" not in type(model.get_submodule(parent)).__name__.lower():
            continue
        block = _block(model, parent)
        if block is None or any(site.block is block for site in sites):
            raise InputError(f"{name} is built in a way that is not known ({path})", hint="see docs/redundancy.md")
        sites.append(Site(len(sites) + 1, block, model.get_submodule(parent), module, heads))
    if not sites:
        raise InputError(f"{name} has no attention that is recognised", hint="see docs/redundancy.md")
    return sites


def _block(model: nn.Module, path: str) -> nn.Module | None:
    """The layer that holds a module.

    That is the entry of a list of layers.
    """
    while path:
        parent, _, _ = path.rpartition(".")
        if isinstance(model.get_submodule(parent), nn.ModuleList):
            return model.get_submodule(path)
        path = parent
    return None


@contextmanager
def watching(
    sites: Sequence[Site], visit: Callable[[int, Tensor, Tensor, Tensor], None], probe_input: ProbeInput = "layer"
) -> Iterator[None]:
    """Within, every forward pass reports each site.

    It calls ``visit(i, x, z, a)``.

    Parameters
    ----------
    sites : sequence of Site
    visit : callable
        ``x`` (tokens, d): what enters. ``z`` (tokens, heads × width): what the heads put out, before the output
        projection. ``a`` (tokens, d): what attention puts out.
    probe_input : {"layer", "attention"}
        Whether ``x`` is what enters the layer (the residual stream), or what enters its attention (after the norm).
    """
    entered: dict[int, Tensor] = {}
    handles = []

    def enter(i: int) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            entered[i] = args[0] if args else named["hidden_states"]

        return hook

    def leave(i: int) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
            visit(i, *(value.detach().flatten(0, -2) for value in (entered.pop(i), args[0], output)))

        return hook

    for i, site in enumerate(sites):
        place = site.block if probe_input == "layer" else site.attention
        handles.append(place.register_forward_pre_hook(enter(i), with_kwargs=True))
        handles.append(site.projection.register_forward_hook(leave(i)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


# --------------------------------------------------------------------------------------------------- measuring


@dataclass(frozen=True)
class Plan:
    """How probes are fitted, and on what they are measured.

    Attributes
    ----------
    documents : int
        The most documents to measure on.
    fit_documents : int, optional
        The most to fit on; by default as many.
    tokens : int
        The most tokens of a document; they are read in windows of the model's context that do not overlap.
    ridge : float, optional
        Penalty (:meth:`theory.redundancy.equations.NormalEquations.solve`). By default one is chosen for each layer
        and head: the best on a fifth of the documents to fit on, by probes of the other four; then all five are used.
    halvings : int
        Points of the learning curve beside the last: probes of a half, a quarter … of the documents.
    layers : tuple of int, optional
        Numbers of the layers to measure, from 1; by default all.
    probe_input : {"layer", "attention"}
        See :func:`watching`.
    threshold : float
        R above which an operation counts as redundant.
    level : float
        Of the intervals.
    """

    documents: int = 100
    fit_documents: int | None = None
    tokens: int = 2048
    ridge: float | None = None
    halvings: int = 0
    layers: tuple[int, ...] | None = None
    probe_input: ProbeInput = "layer"
    threshold: float = THRESHOLD
    level: float = 0.95

    def __post_init__(self) -> None:
        fit_documents = self.documents if self.fit_documents is None else self.fit_documents
        if not (0 < self.level < 1 and self.threshold < 1 and min(self.documents, fit_documents, self.tokens) >= 2):
            raise InputError("0 < level < 1, threshold < 1, documents ≥ 2 and tokens ≥ 2 are needed")
        if self.ridge is not None and not self.ridge > 0:
            raise InputError(f"the ridge is {self.ridge}", hint="it lies above 0; without one it is chosen")

    def sites(self, model: nn.Module) -> list[Site]:
        """Layers of a model that are measured.

        Raises
        ------
        InputError
            If one that is named is not there.
        """
        found = find_sites(model)
        wrong = sorted(set(self.layers or ()) - {site.layer for site in found})
        if wrong:
            raise InputError(f"there is no layer {wrong[0]}", hint=f"the model has layers 1 to {len(found)}")
        return [site for site in found if self.layers is None or site.layer in self.layers]


def measure(
    model: LanguageModel, texts: Texts, *, progress: Progress | None = None, plan: Plan | None = None, **options: Any
) -> Redundancy:
    """Fit probes on some documents and measure R on others.

    Memory grows with the width of the model and, by some kilobytes each, with the measured documents; not with tokens.

    Parameters
    ----------
    model : LanguageModel
        Its module is left in the mode that it was in; it is measured without dropout.
    texts : Texts
        Probes are fitted on :attr:`Texts.fitted` and measured on :attr:`Texts.measured`.
    progress : callable, optional
        Called as ``progress(done, total, name)`` after every document.
    plan : Plan, optional
    **options
        Fields of the plan, where none is given.

    Returns
    -------
    Redundancy

    Raises
    ------
    InputError
        If there are fewer tokens than a probe needs, or a setting is out of range.

    Examples
    --------
    >>> from transformers import GPT2Config, GPT2LMHeadModel
    >>> from theory.redundancy.models import byte_level
    >>> from theory.redundancy.texts import standard_library
    >>> config = GPT2Config(n_layer=1, n_head=2, n_embd=8, n_positions=32, bos_token_id=0, eos_token_id=0)
    >>> found = measure(byte_level(GPT2LMHeadModel(config)), standard_library(), documents=4, tokens=64)
    >>> found.table()[["unit", "layer", "head"]].drop_duplicates().values.tolist()
    [['layer', 0, 0], ['layer', 1, 0], ['head', 0, 0], ['head', 1, 0], ['head', 1, 1], ['head', 1, 2]]
    """
    plan = plan or Plan(**options)
    reading = _Reading(model, plan.sites(model.module), plan, progress)
    kinds = np.array([TYPES.index(type_of(piece)) for piece in model.pieces])
    fit, held_out = texts.fitted[: plan.fit_documents or plan.documents], texts.measured[: plan.documents]
    was = model.module.training
    model.module.eval()
    try:
        fits = _fit(reading, fit)
        sums, curve, losses = _score(reading, held_out, fits, kinds)
    finally:
        model.module.train(was)
    last = fits[-1]
    return Redundancy(
        model=model.name,
        sums=sums,
        losses=losses,
        fitted=(last.documents, last.tokens),
        probe_input=plan.probe_input,
        ridges=last.ridges,
        threshold=plan.threshold,
        level=plan.level,
        layers=tuple(site.layer for site in reading.sites),
        inputs=len(last.probes[0].centre),
        curve=tuple((fit.documents, fit.tokens, part) for fit, part in zip(fits, curve, strict=True)),
    )


@dataclass(frozen=True)
class _Reading:
    """How documents are read by the model."""

    model: LanguageModel
    sites: Sequence[Site]
    plan: Plan
    progress: Progress | None

    def report(self, done: int, total: int, stage: str) -> None:
        """Report that so many documents are read."""
        if self.progress is not None:
            self.progress(done, total, stage)

    def read(
        self,
        documents: Sequence[Document],
        stage: str,
        visit: Callable[[int, Tensor, Tensor, Tensor], None],
        after: Callable[[int, Document, Tensor, Tensor, Tensor], None] = lambda *_: None,
        before: Callable[[Tensor, Tensor], None] = lambda *_: None,
    ) -> None:
        """Let the model read documents, and look at its sites.

        ``visit(i, x, z, a)`` gets the tokens that are text; ``before(ids, valid)`` and
        ``after(place, document, ids, valid, logits)`` frame each document.
        """
        valid = torch.empty(0)

        def look(i: int, x: Tensor, z: Tensor, a: Tensor) -> None:
            visit(i, x[valid], z[valid], a[valid])

        with torch.no_grad(), watching(self.sites, look, self.plan.probe_input):
            for place, document in enumerate(documents):
                ids, valid = _windows(self.model, document, self.plan.tokens)
                before(ids, valid)
                logits = self.model.module(input_ids=ids, use_cache=False).logits
                after(place, document, ids, valid, logits)
                self.report(place + 1, len(documents), stage)


@dataclass(frozen=True)
class _Fit:
    """Probes of all sites, and what they were fitted on."""

    probes: Sequence[Probe]
    ridges: Array  # (sites, 1 + heads)
    documents: int
    tokens: int


def _fit(reading: _Reading, documents: Sequence[Document]) -> list[_Fit]:
    """Fit probes of all sites, on ever more documents.

    One set serves all heads and the layer: ridge regression treats outputs one by one.
    """
    # a fifth is held out to choose ridges on, and used like the others in the end
    place = min(4, len(documents) - 1)
    held_out = [] if reading.plan.ridge is not None else list(documents[place::5])
    fitted = [document for document in documents if document not in held_out]
    marks = {len(documents) >> k for k in range(1, reading.plan.halvings + 1)}
    judges = _Moments(reading, held_out, "choosing ridges on")
    moments, fits = _Moments(reading, (), "fitting"), []
    for count, document in enumerate(fitted, 1):
        moments.take_in(document)
        reading.report(count, len(fitted), "fitting")
        if count in marks and moments.tokens > 1:
            fits.append(_solve(reading, moments, judges, count, last=False))
    _check_size(moments.equations, moments.tokens + judges.tokens)
    return [*fits, _solve(reading, moments, judges, len(documents), last=True)]


class _Moments:
    """Normal equations of all sites over some documents."""

    def __init__(self, reading: _Reading, documents: Sequence[Document], stage: str) -> None:
        self.reading, self.equations = reading, dict[int, NormalEquations]()
        self.units = dict[int, Tensor]()
        for count, document in enumerate(documents, 1):
            self.take_in(document)
            reading.report(count, len(documents), stage)

    @property
    def tokens(self) -> int:
        """Tokens that were taken in."""
        return self.equations[0].n if self.equations else 0

    def take_in(self, document: Document) -> None:
        """Let the model read a document."""
        quiet = replace(self.reading, progress=None)
        quiet.read([document], "", self._visit)

    def _visit(self, i: int, x: Tensor, z: Tensor, a: Tensor) -> None:
        if i not in self.equations:
            heads, width = self.reading.sites[i].heads, z.shape[1]
            self.equations[i] = NormalEquations(x.shape[1], width + a.shape[1], x.device)
            # unit 0 is the layer's output, which comes after those of the heads
            each = torch.arange(width, device=x.device) // (width // heads) + 1
            self.units[i] = torch.cat([each, torch.zeros(a.shape[1], dtype=torch.long, device=x.device)])
        self.equations[i].add(x, torch.cat([z, a], 1))


def _solve(reading: _Reading, moments: _Moments, judges: _Moments, documents: int, *, last: bool) -> _Fit:
    """Probes of all sites from moments, each unit with its ridge.

    The last ones are of all documents, those that chose the ridge included.
    """
    fixed, heads = reading.plan.ridge, max(site.heads for site in reading.sites)
    probes, ridges = [], np.full((len(reading.sites), 1 + heads), np.nan if fixed is None else fixed)
    for i in range(len(reading.sites)):
        equations = moments.equations[i]
        if fixed is None:
            by_unit, by_output = choose_ridges(equations, judges.equations[i], moments.units[i])
            ridges[i, : len(by_unit)] = by_unit.cpu().numpy()
            if last:
                equations.merge(judges.equations[i])
            probe = equations.solve(by_output)
        else:
            probe = equations.solve(fixed)
        probes.append(probe if last else probe.single())
    return _Fit(probes, ridges, documents, moments.tokens)


def _check_size(equations: dict[int, NormalEquations], tokens: int) -> None:
    """Refuse to fit probes on fewer tokens than they have inputs for."""
    needed = 2 * max(len(equation.x) for equation in equations.values())
    if tokens < needed:
        what = f"probes of this width need {needed} tokens or more, and the documents to fit them on have {tokens}"
        raise InputError(what, hint="give more text, or raise --documents and --tokens")


def _score(
    reading: _Reading, documents: Sequence[Document], fits: Sequence[_Fit], kinds: Array
) -> tuple[Array, list[Array], Array]:
    """Sums of statistics, and losses, of each document.

    The statistics of the last fit by site, unit and kind of token; of every fit by unit alone.
    """
    sites, threshold = reading.sites, reading.plan.threshold
    heads = max(site.heads for site in sites)
    sums = np.zeros((len(documents), len(sites), 1 + heads, len(TYPES), len(STATISTICS)))
    curve = [np.zeros((len(documents), 2, len(STATISTICS))) for _ in fits]
    losses = np.zeros((len(documents), 2))
    kind, place = torch.empty(0), 0

    def before(ids: Tensor, valid: Tensor) -> None:
        nonlocal kind
        number = torch.as_tensor(kinds[ids.cpu().numpy()], device=ids.device)
        number[:, 0] = TYPES.index("first")
        kind = nn.functional.one_hot(number.flatten()[valid], len(TYPES)).double()

    def visit(i: int, x: Tensor, z: Tensor, a: Tensor) -> None:
        actual, width = torch.cat([z, a], 1), z.shape[1]
        for fit, points in zip(fits, curve, strict=True):
            probe = fit.probes[i]
            exact = probe.weight.dtype
            predicted = probe(x.to(exact))
            each = _statistics(actual.to(exact), predicted, probe.constant, sites[i].heads, width, threshold).double()
            if fit is fits[-1]:
                sums[place, i] = torch.einsum("tk,tus->uks", kind, each).cpu().numpy()
            total = each.sum(0).cpu().numpy()
            points[place, 0] += total[0]
            points[place, 1] += total[1:].sum(0)

    def after(done: int, _: Document, ids: Tensor, valid: Tensor, logits: Tensor) -> None:
        nonlocal place
        losses[done] = _loss(logits, ids, valid.view_as(ids))
        place = done + 1

    reading.read(documents, "measuring", visit, after, before)
    return sums, curve, losses


def _statistics(
    actual: Tensor, predicted: Tensor, constant: Tensor, heads: int, width: int, threshold: float
) -> Tensor:
    """Statistics per token, to be summed.

    (tokens, 1 + heads, statistics); nothing where the output is zero.
    """

    def squares(value: Tensor) -> Tensor:
        value = value.square()
        each = value[:, :width].reshape(len(value), heads, width // heads).sum(2)
        return torch.cat([value[:, width:].sum(1, keepdim=True), each], 1)

    norm, residual, level = squares(actual), squares(actual - predicted), squares(actual - constant)
    r, r_constant = (1 - (value / norm).sqrt() for value in (residual, level))
    statistics = torch.stack(
        [torch.ones_like(r), r, (r > threshold).to(r.dtype), residual, level, norm, r_constant], -1
    )
    return torch.where((norm > 0).unsqueeze(-1), statistics, 0.0)


def _windows(model: LanguageModel, document: Document, tokens: int) -> tuple[Tensor, Tensor]:
    """Numbers of tokens (windows, context).

    And which of them, flattened, are text and not filled up.

    The filling comes last, where no token of a causal model sees it.
    """
    numbers = torch.as_tensor(list(model.encode(document.read()))[:tokens], dtype=torch.long)
    width = max(1, min(model.context, len(numbers)))
    count = max(1, -(-len(numbers) // width))
    ids = torch.zeros(count * width, dtype=torch.long)
    ids[: len(numbers)] = numbers
    valid = torch.arange(count * width) < len(numbers)
    device = next(model.module.parameters()).device
    return ids.view(count, width).to(device), valid.to(device)


def _loss(logits: Tensor, ids: Tensor, valid: Tensor) -> tuple[float, float]:
    """Sum of the cross-entropies of next tokens.

    Within windows, and their number.
    """
    each = nn.functional.cross_entropy(logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    counted = each.double()[valid[:, 1:].flatten()]
    return float(counted.sum()), float(len(counted))
