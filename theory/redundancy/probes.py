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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cogfit.errors import InputError, MissingDependencyError
from cogfit.progress import Progress
from theory.redundancy.tables import STATISTICS, THRESHOLD, TYPES, Array, ProbeInput, Redundancy, type_of
from theory.redundancy.texts import Document, Texts

try:
    import torch
    from torch import Tensor, nn
except ImportError:
    raise MissingDependencyError("torch", "huggingface", "theory.redundancy.probes") from None

PROJECTIONS = ("c_proj", "o_proj", "out_proj", "dense", "wo")
"""Names of output projections: GPT-2; Llama and its kin; OPT, GPT-J, GPT-Neo; GPT-NeoX, Falcon, BLOOM; others."""


# ------------------------------------------------------------------------------------------------------ probes


@dataclass(frozen=True)
class Probe:
    """An affine map from inputs to outputs.

    ŷ = ȳ + (x − x̄) B.

    Attributes
    ----------
    weight : Tensor
        B, (inputs, outputs).
    centre : Tensor
        x̄, (inputs,).
    constant : Tensor
        ȳ, (outputs,): the best prediction without x.
    """

    weight: Tensor
    centre: Tensor
    constant: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Predict: (tokens, inputs) to (tokens, outputs)."""
        return self.constant + (x - self.centre) @ self.weight


class NormalEquations:
    """Moments of inputs and outputs in double precision.

    Their size does not depend on the number of tokens.

    Batches are centred before they are multiplied and then merged (Chan, Golub & LeVeque 1983, Am. Stat. 37, 242), so
    that large means cost no digits.

    Parameters
    ----------
    inputs, outputs : int
    device : torch.device or str

    Examples
    --------
    >>> x = torch.arange(8.0)[:, None]
    >>> equations = NormalEquations(1, 1)
    >>> for part in x.split(3):
    ...     equations.add(part, 2 * part + 1)
    >>> probe = equations.solve(ridge=1e-12)
    >>> round(float(probe(torch.tensor([[10.0]], dtype=torch.float64))), 6)
    21.0
    """

    def __init__(self, inputs: int, outputs: int, device: torch.device | str = "cpu") -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        self.n = 0
        self.x, self.y = zeros(inputs), zeros(outputs)
        self.xx, self.xy = zeros(inputs, inputs), zeros(inputs, outputs)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Take in a batch: (tokens, inputs) and (tokens, outputs)."""
        if not len(x):
            return
        x, y = x.double(), y.double()
        mean_x, mean_y = x.mean(0), y.mean(0)
        total = self.n + len(x)
        step_x, step_y, factor = mean_x - self.x, mean_y - self.y, self.n * len(x) / total
        x = x - mean_x
        self.xx += x.T @ x + factor * torch.outer(step_x, step_x)
        self.xy += x.T @ (y - mean_y) + factor * torch.outer(step_x, step_y)
        self.x += step_x * (len(x) / total)
        self.y += step_y * (len(x) / total)
        self.n = total

    def solve(self, ridge: float) -> Probe:
        """Solve the ridge regression.

        Minimise Σ‖y − ŷ‖²/n + ridge·‖B‖² over inputs scaled to unit variance; the constant is not shrunk.

        Parameters
        ----------
        ridge : float
            Above 0; the same for all outputs.
        """
        spread = (self.xx.diagonal() / self.n).sqrt()
        spread = torch.where(spread > 0, spread, 1.0)
        gram = self.xx / self.n / torch.outer(spread, spread)
        gram.diagonal().add_(ridge)
        weight = torch.linalg.solve(gram, self.xy / self.n / spread[:, None]) / spread[:, None]
        return Probe(weight, self.x, self.y)


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


# ------------------------------------------------------------------------------------------------------ models


@dataclass(frozen=True)
class LanguageModel:
    """A model and how it reads text.

    Attributes
    ----------
    name : str
    module : nn.Module
        A causal language model of `transformers`.
    encode : callable
        From bytes to numbers of tokens.
    pieces : tuple of str
        The text of each token.
    context : int
        The longest window.
    """

    name: str
    module: nn.Module
    encode: Callable[[bytes], Sequence[int]]
    pieces: tuple[str, ...]
    context: int


BYTES = tuple(chr(i) if i < 128 else "\ufffd" for i in range(256))
"""Texts of the 256 bytes; above 127 one alone is no character."""


def byte_level(model: nn.Module, name: str = "model", context: int = 1024) -> LanguageModel:
    """A model whose tokens are bytes.

    Parameters
    ----------
    model, name, context
        See :func:`with_tokenizer`.

    Raises
    ------
    InputError
        If its vocabulary is smaller.
    """
    config: Any = model.config
    if config.vocab_size < 256:
        raise InputError(f"{name} has {config.vocab_size} tokens, not 256", hint="a byte-level model needs 256")
    return LanguageModel(name, model, list, BYTES, min(context, getattr(config, "max_position_embeddings", context)))


def with_tokenizer(model: nn.Module, tokenizer: Any, name: str = "model", context: int = 1024) -> LanguageModel:
    """A model with a tokenizer of `transformers`.

    Parameters
    ----------
    model, tokenizer : object
    name : str
    context : int
        The longest window; shorter if the model cannot read so far.
    """
    config: Any = model.config

    def encode(content: bytes) -> Sequence[int]:
        ids: Sequence[int] = tokenizer(content.decode(errors="replace"), add_special_tokens=False)["input_ids"]
        return ids

    pieces = tuple(tokenizer.batch_decode([[i] for i in range(len(tokenizer))]))
    return LanguageModel(name, model, encode, pieces, min(context, getattr(config, "max_position_embeddings", context)))


def load_language_model(folder: str | Path, *, context: int = 1024) -> LanguageModel:
    """Load a model from a local folder.

    As ``save_pretrained`` writes it; nothing is fetched, unpickled or executed.

    Parameters
    ----------
    folder : str or Path
        With ``config.json``, weights as safetensors, and a tokenizer; without one a model of 256 tokens reads bytes.
    context : int
        The longest window.

    Raises
    ------
    InputError
        If that is not what the folder holds.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("is no folder", path=folder, hint="give a local checkpoint; nothing is downloaded")
    if not (folder / "config.json").is_file():
        raise InputError("holds no model (no config.json)", path=folder, hint="save one there with save_pretrained")
    if not any(folder.glob("*.safetensors")):
        pickled = sorted(p.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for p in folder.glob(pattern))
        what = f"holds pickled weights ({pickled[0]}), which could execute anything" if pickled else "holds no weights"
        hint = "save the model again with save_pretrained(..., safe_serialization=True)"
        raise InputError(what, path=folder, hint=hint)
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as messages
    except ImportError:
        raise MissingDependencyError("transformers", "huggingface", "a language model") from None
    logging: Any = messages
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        model: nn.Module = AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **local)
        named = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "tokenizer.model")
        if not any((folder / name).exists() for name in named):
            if getattr(model.config, "vocab_size", None) == 256:
                return byte_level(model.eval(), folder.name, context)
            raise InputError("holds no tokenizer", path=folder, hint="save the tokenizer into it, too")
        return with_tokenizer(model.eval(), AutoTokenizer.from_pretrained(folder, **local), folder.name, context)
    except InputError:
        raise
    except Exception as error:  # a library's many ways to say no, all of them about the folder
        raise InputError(f"cannot be loaded ({error})", path=folder) from error
    finally:
        if bars:
            logging.enable_progress_bar()


# --------------------------------------------------------------------------------------------------- measuring


def measure(
    model: LanguageModel,
    texts: Texts,
    *,
    documents: int = 100,
    tokens: int = 2048,
    ridge: float = 1e-6,
    probe_input: ProbeInput = "layer",
    threshold: float = THRESHOLD,
    level: float = 0.95,
    progress: Progress | None = None,
) -> Redundancy:
    """Fit probes on some documents and measure R on others.

    Memory grows with the width of the model and, by some kilobytes each, with the measured documents; not with tokens.

    Parameters
    ----------
    model : LanguageModel
        Its module is left in the mode that it was in; it is measured without dropout.
    texts : Texts
        Probes are fitted on :attr:`Texts.fitted` and measured on :attr:`Texts.measured`.
    documents : int
        The most documents of either kind.
    tokens : int
        The most tokens of a document; they are read in windows of the model's context that do not overlap.
    ridge : float
        See :meth:`NormalEquations.solve`.
    probe_input : {"layer", "attention"}
        See :func:`watching`.
    threshold : float
        R above which an operation counts as redundant.
    level : float
        Of the intervals.
    progress : callable, optional
        Called as ``progress(done, total, name)`` after every document.

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
    >>> from theory.redundancy.texts import standard_library
    >>> config = GPT2Config(n_layer=1, n_head=2, n_embd=8, n_positions=32, bos_token_id=0, eos_token_id=0)
    >>> found = measure(byte_level(GPT2LMHeadModel(config)), standard_library(), documents=4, tokens=64)
    >>> found.table()[["unit", "layer", "head"]].drop_duplicates().values.tolist()
    [['layer', 0, 0], ['layer', 1, 0], ['head', 0, 0], ['head', 1, 0], ['head', 1, 1], ['head', 1, 2]]
    """
    if not (ridge > 0 and 0 < level < 1 and threshold < 1 and documents >= 2 and tokens >= 2):
        raise InputError("ridge > 0, 0 < level < 1, threshold < 1, documents ≥ 2 and tokens ≥ 2 are needed")
    sites = find_sites(model.module)
    kinds = np.array([TYPES.index(type_of(piece)) for piece in model.pieces])
    fit, held_out = texts.fitted[:documents], texts.measured[:documents]
    was = model.module.training
    model.module.eval()
    try:
        reading = _Reading(model, sites, tokens, probe_input, progress)
        probes, seen = _fit(reading, fit, ridge)
        sums, losses = _score(reading, held_out, probes, kinds, threshold)
    finally:
        model.module.train(was)
    return Redundancy(model.name, sums, losses, (len(fit), seen), probe_input, ridge, threshold, level)


@dataclass(frozen=True)
class _Reading:
    """How documents are read by the model."""

    model: LanguageModel
    sites: Sequence[Site]
    tokens: int
    probe_input: ProbeInput
    progress: Progress | None

    def report(self, done: int, total: int, stage: str) -> None:
        """Report that so many documents are read."""
        if self.progress is not None:
            self.progress(done, total, stage)


def _fit(reading: _Reading, documents: Sequence[Document], ridge: float) -> tuple[list[Probe], int]:
    """Fit one probe per site.

    For all heads and the layer at once: ridge regression treats outputs one by one.
    """
    equations: dict[int, NormalEquations] = {}
    valid = torch.empty(0)

    def visit(i: int, x: Tensor, z: Tensor, a: Tensor) -> None:
        if i not in equations:
            equations[i] = NormalEquations(x.shape[1], z.shape[1] + a.shape[1], x.device)
        equations[i].add(x[valid], torch.cat([z, a], 1)[valid])

    with torch.no_grad(), watching(reading.sites, visit, reading.probe_input):
        for done, document in enumerate(documents):
            ids, valid = _windows(reading.model, document, reading.tokens)
            reading.model.module(input_ids=ids, use_cache=False)
            reading.report(done + 1, len(documents), "fitting")
    needed = 2 * max(len(equation.x) for equation in equations.values())
    if equations[0].n < needed:
        what = (
            f"probes of this width need {needed} tokens or more, and the documents to fit them on have {equations[0].n}"
        )
        raise InputError(what, hint="give more text, or raise --documents and --tokens")
    return [equations[i].solve(ridge) for i in range(len(reading.sites))], equations[0].n


def _score(
    reading: _Reading, documents: Sequence[Document], probes: Sequence[Probe], kinds: Array, threshold: float
) -> tuple[Array, Array]:
    """Sums of statistics, and losses, of each document."""
    model, sites = reading.model, reading.sites
    heads = max(site.heads for site in sites)
    sums = np.zeros((len(documents), len(sites), 1 + heads, len(TYPES), len(STATISTICS)))
    losses = np.zeros((len(documents), 2))
    valid = kind = torch.empty(0)
    place = 0

    def visit(i: int, x: Tensor, z: Tensor, a: Tensor) -> None:
        actual = torch.cat([z, a], 1)[valid].double()
        statistics = _statistics(
            actual, probes[i](x[valid].double()), probes[i].constant, sites[i].heads, z.shape[1], threshold
        )
        sums[place, i] = torch.einsum("tk,tus->uks", kind, statistics).cpu().numpy()

    with torch.no_grad(), watching(sites, visit, reading.probe_input):
        for place, document in enumerate(documents):
            ids, valid = _windows(model, document, reading.tokens)
            number = torch.as_tensor(kinds[ids.cpu().numpy()], device=ids.device)
            number[:, 0] = TYPES.index("first")
            kind = nn.functional.one_hot(number.flatten()[valid], len(TYPES)).double()
            logits = model.module(input_ids=ids, use_cache=False).logits
            losses[place] = _loss(logits, ids, valid.view_as(ids))
            reading.report(place + 1, len(documents), "measuring")
    return sums, losses


def _statistics(
    actual: Tensor, predicted: Tensor, constant: Tensor, heads: int, width: int, threshold: float
) -> Tensor:
    """Statistics per token, to be summed.

    (tokens, 1 + heads, statistics); nothing where the output is zero.
    """

    def squares(value: Tensor) -> Tensor:
        value = value.square()
        each = value[:, :width].reshape(len(value), heads, -1).sum(2)
        return torch.cat([value[:, width:].sum(1, keepdim=True), each], 1)

    norm, residual, level = squares(actual), squares(actual - predicted), squares(actual - constant)
    r, r_constant = (1 - (value / norm).sqrt() for value in (residual, level))
    statistics = torch.stack([torch.ones_like(r), r, (r > threshold).double(), residual, level, norm, r_constant], -1)
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
