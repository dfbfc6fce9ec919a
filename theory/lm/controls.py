"""What R would be without what a model has learned, and how much of it is the size of the sample.

Three controls stand beside the redundancy of a trained model, each with its learning curve R(n):

- **shuffled text**: the trained model reads the same tokens in an order drawn at random;
- **random weights**: models of the same architecture and several widths that were never trained read the same text;
- **linear teacher**: a = Bx + σe with Gaussian x and e of d numbers. Its R = 1 − E‖σe‖/‖a‖ is known, so that what a
  probe of width d finds with n tokens is error of estimation alone. Beside R on other documents stands R on the very
  tokens that the probe was fitted on, which a study without held-out text would report: for least squares the residual
  is smaller by 1 − (d + 1)/n there, and larger by about 1 + (d + 1)/(n − d − 2) on other tokens.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cogfit.errors import InputError, MissingDependencyError
from theory.redundancy.equations import NormalEquations, Probe
from theory.redundancy.models import LanguageModel, set_dtype
from theory.redundancy.tables import ratio

try:
    import torch
    from torch import Tensor
except ImportError:
    raise MissingDependencyError("torch", "lm", "theory.lm") from None


def shuffling(model: LanguageModel, seed: int = 0) -> LanguageModel:
    """The same model, reading tokens in random order.

    The order within a document depends on its content and the seed alone.
    """

    def encode(content: bytes) -> Sequence[int]:
        ids = np.array(model.encode(content), int)
        key = int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
        shuffled: list[int] = np.random.default_rng([seed, key]).permutation(ids).tolist()
        return shuffled

    return replace(model, name=f"{model.name}, shuffled text", encode=encode)


def with_random_weights(model: LanguageModel, width: int, layers: int, seed: int = 0) -> LanguageModel:
    """A model of the same architecture that was never trained.

    Heads keep their width and, where the number allows it, their groups; weights are normal with the standard deviation
    1/√width.

    Parameters
    ----------
    model : LanguageModel
        Whose architecture and tokens it has.
    width, layers : int
    seed : int

    Raises
    ------
    InputError
        If the width is no multiple of that of a head.
    """
    module: Any = model.module
    config = copy.deepcopy(module.config)
    old, head = config.hidden_size, config.hidden_size // config.num_attention_heads
    if width % head or width < head:
        raise InputError(f"a width of {width} is no multiple of {head}, that of a head")
    group = config.num_attention_heads // getattr(config, "num_key_value_heads", config.num_attention_heads)
    config.hidden_size, config.num_hidden_layers, config.num_attention_heads = width, layers, width // head
    config.initializer_range = width**-0.5
    if hasattr(config, "num_key_value_heads"):
        config.num_key_value_heads = width // head // (group if width // head % group == 0 else 1)
    if hasattr(config, "intermediate_size"):
        config.intermediate_size = round(config.intermediate_size * width / old)
    for per_layer in ("layer_types",):  # one entry for each layer
        if getattr(config, per_layer, None):
            setattr(config, per_layer, getattr(config, per_layer)[:layers])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random = type(module)(config).eval()
    parameter = next(module.parameters())
    set_dtype(random, parameter.dtype)
    return replace(model, name=f"random weights, width {width}", module=random.to(parameter.device))


def teach(
    width: int, r: float, *, documents: int, fit_documents: int, tokens: int, halvings: int = 3, seed: int = 0
) -> list[dict[str, float]]:
    """Learning curve of a linear teacher of known R.

    Probes are least squares with a ridge of 1e-6.

    Parameters
    ----------
    width : int
        Of inputs and outputs.
    r : float
        R of the teacher, 0 < r < 1.
    documents, fit_documents, tokens : int
        As for a language model; here tokens are independent.
    halvings : int
    seed : int

    Returns
    -------
    list of dict
        For each point ``documents``, ``tokens``, ``r`` with limits, ``r2``, ``r_true`` (of the teacher on the measured
        tokens), and ``r_in_sample``. Points of fewer tokens than inputs are left out.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    # ‖a‖² of d numbers is close to d (1 + σ²), ‖σe‖² to d σ²
    noise, teacher = (1 - r) / (1 - (1 - r) ** 2) ** 0.5, normal(width, width) / width**0.5

    def read(count: int) -> tuple[Tensor, Tensor]:
        x = normal(count, width)
        return x, x @ teacher + noise * normal(count, width)

    measured, equations, marks, curve = read(documents * tokens), NormalEquations(width, width), set[int](), []
    marks = {fit_documents >> k for k in range(halvings + 1)}
    truth = Probe(teacher, torch.zeros(width, dtype=torch.float64), torch.zeros(width, dtype=torch.float64))
    r_true = float(_redundancy(truth, *measured).mean())
    seen: list[tuple[Tensor, Tensor]] = []
    for count in range(1, fit_documents + 1):
        seen.append(read(tokens))
        equations.add(*seen[-1])
        if count not in marks or equations.n <= width:
            continue
        probe = equations.solve(1e-6)
        each = _redundancy(probe, *measured).view(documents, tokens).sum(1).numpy()
        value, low, high = ratio(each, np.full(documents, float(tokens)), 0.95)
        point = {"documents": count, "tokens": equations.n, "r": float(value), "r_low": float(low)}
        point |= {"r_high": float(high), "r2": _explained(probe, *measured), "r_true": r_true}
        inside = torch.cat([_redundancy(probe, x, y) for x, y in seen])
        curve.append(point | {"r_in_sample": float(inside.mean())})
    return curve


def _redundancy(probe: Probe, x: Tensor, y: Tensor) -> Tensor:
    """R of each token."""
    found: Tensor = 1 - (y - probe(x)).norm(dim=1) / y.norm(dim=1)
    return found


def _explained(probe: Probe, x: Tensor, y: Tensor) -> float:
    return 1 - float((y - probe(x)).square().sum() / (y - probe.constant).square().sum())
