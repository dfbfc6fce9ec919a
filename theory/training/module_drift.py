"""Drift and forgetting module by module, between two states of a model.

Learning something new does not change all parameters alike, and not all that changes is forgotten (Zhao et al. 2023,
arXiv 2304.04158). Drift is how far a module has moved. Forgetting is measured by putting back one module at a time:
what of the lost performance comes back with it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cogfit.errors import InputError
from cogfit.records.codec import Document
from theory.training.evaluation import evaluate
from theory.training.folder import load_model, load_run


@dataclass(frozen=True)
class ModuleDrift(Document):
    """How far a module has moved.

    Attributes
    ----------
    module : str
        Such as ``layers.0.episodic``.
    parameters : int
    change : float
        ‖θ − θ₀‖ / ‖θ₀‖; infinite for one that began at 0.
    step : float
        Mean of |θ − θ₀| over the parameters.
    cosine : float
        Between θ and θ₀; NaN where either is 0.
    """

    module: str
    parameters: int
    change: float
    step: float
    cosine: float


@dataclass(frozen=True)
class ModuleForgetting(Document):
    """What comes back with a module.

    Attributes
    ----------
    module : str
    error : float
        On the old task, with this module as it was before and all others as they are now.
    recovered : float
        Share of the error that was added since then which this takes away; negative where it adds more.
    """

    module: str
    error: float
    recovered: float


@dataclass(frozen=True)
class DriftReport(Document):
    """Drift and forgetting of all modules.

    Attributes
    ----------
    before, after : float
        Error on the old task.
    drift : tuple of ModuleDrift
        The farthest moved first.
    forgetting : tuple of ModuleForgetting
        The most recovered first.
    """

    SCHEMA: ClassVar[str] = "theory.module_drift/1"

    before: float
    after: float
    drift: tuple[ModuleDrift, ...]
    forgetting: tuple[ModuleForgetting, ...]


def module_of(name: str) -> str:
    """Module that a parameter belongs to.

    A direct part of the model, or of one of its layers.

    Examples
    --------
    >>> module_of("layers.0.episodic.attention.key.weight"), module_of("answer.bias")
    ('layers.0.episodic', 'answer')
    """
    parts = name.split(".")
    return ".".join(parts[:3] if parts[0] == "layers" else parts[:1])


def modules_of(state: Mapping[str, Tensor]) -> list[str]:
    """List the modules of a state, in its order.

    Examples
    --------
    >>> modules_of({"answer.weight": torch.ones(1), "answer.bias": torch.ones(1), "carry": torch.ones(1)})
    ['answer', 'carry']
    """
    return list(dict.fromkeys(module_of(name) for name in state))


def put_back(before: nn.Module, after: nn.Module, modules: Collection[str]) -> nn.Module:
    """Copy a model with some modules as they were.

    Parameters
    ----------
    before, after : Module
        The same model before and after it learned something else. Neither is changed.
    modules : collection of str
        See :func:`module_of`.
    """
    old, new, mixed = before.state_dict(), after.state_dict(), copy.deepcopy(after)
    mixed.load_state_dict({name: (old if module_of(name) in modules else new)[name] for name in old})
    return mixed


def module_drift(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> tuple[ModuleDrift, ...]:
    """Measure how far every module has moved.

    Parameters
    ----------
    before, after : mapping of str to Tensor
        States of the same model (``state_dict()``, or the file of a run or checkpoint).

    Returns
    -------
    tuple of ModuleDrift
        The farthest moved first.

    Raises
    ------
    InputError
        If they are not of the same model, or a number in them is not finite.

    Examples
    --------
    >>> start = {"answer.weight": torch.tensor([3.0, 4.0])}
    >>> module_drift(start, {"answer.weight": torch.tensor([3.0, 5.0])})[0].change
    0.2
    """
    _check_alike(before, after)
    flat: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for name, value in before.items():
        if value.is_floating_point():
            flat.setdefault(module_of(name), []).append((value.double().flatten(), after[name].double().flatten()))
    found = []
    for module, pairs in flat.items():
        old, new = (torch.cat(side) for side in zip(*pairs, strict=True))
        moved, norms = new - old, float(old.norm()) * float(new.norm())
        found.append(
            ModuleDrift(
                module=module,
                parameters=old.numel(),
                change=float(moved.norm() / old.norm()) if old.any() else (float("inf") if moved.any() else 0.0),
                step=float(moved.abs().mean()),
                cosine=float(old @ new) / norms if norms else float("nan"),
            )
        )
    return tuple(sorted(found, key=lambda item: -item.change))


def module_forgetting(
    before: nn.Module, after: nn.Module, error: Callable[[Any], float]
) -> tuple[float, float, tuple[ModuleForgetting, ...]]:
    """Put back one module at a time.

    What is measured is the error on the old task.

    Parameters
    ----------
    before, after : Module
        The same model before and after it learned something else. Neither is changed.
    error : callable
        Error of a model on the old task.

    Returns
    -------
    before, after : float
        Their errors.
    forgetting : tuple of ModuleForgetting
        The most recovered first.

    Raises
    ------
    InputError
        If they are not the same model, or nothing was forgotten.
    """
    old = before.state_dict()
    _check_alike(old, after.state_dict())
    low, high = error(before), error(after)
    if high <= low:
        raise InputError(
            f"the error on the old task went from {low:.4g} to {high:.4g}: nothing was forgotten",
            hint="measure on the task that was learned first, and name the earlier run first",
        )
    found = []
    for module in modules_of(old):
        one = error(put_back(before, after, [module]))
        found.append(ModuleForgetting(module, one, (high - one) / (high - low)))
    return low, high, tuple(sorted(found, key=lambda item: -item.recovered))


def drift_of_runs(first: str | Path, second: str | Path, *, streams: int = 256) -> DriftReport:
    """Compare a run with one that went on from it.

    On another task.

    Parameters
    ----------
    first, second : str or Path
        Folders of finished runs; the second began with the weights of the first (``[transfer]``).
    streams : int
        Of the first run's task, on which the share of wrong answers is measured.

    Raises
    ------
    InputError
        If the models differ, or the second has forgotten nothing.
    """
    old, new, task = load_model(first), load_model(second), load_run(first).setup.data
    low, high, forgotten = module_forgetting(
        old, new, lambda model: 1 - evaluate(model, task, streams=streams).accuracy
    )
    return DriftReport(low, high, module_drift(old.state_dict(), new.state_dict()), forgotten)


def _check_alike(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    differing = [name for name in before if name not in after or before[name].shape != after[name].shape]
    differing += [name for name in after if name not in before]
    if differing:
        raise InputError(
            f"these are states of different models ('{differing[0]}')", hint="compare runs of one configuration"
        )
    for name, value in before.items():
        if not (torch.isfinite(value).all() and torch.isfinite(after[name]).all()):
            raise InputError(f"'{name}' holds numbers that are not finite", hint="the run has diverged")
