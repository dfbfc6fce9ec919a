"""Memory that training takes, and what the machine has.

An estimate from below, made before anything is allocated: whatever it refuses cannot be trained here. What it lets pass
may still be too much, which the allocator then says.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from cogfit.errors import InputError
from theory.models import Model, build
from theory.models.base import ModelConfig
from theory.tasks.srcd import SRCD
from theory.training.setup import Setup

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_FLOAT, _INT = 4, 8  # bytes of float32 and int64
_ORDINARY = 2**30  # weights of layers that are not worth the two seconds in which torch learns to count shapes


class Need(NamedTuple):
    """Bytes that something takes, and the settings that decide."""

    what: str
    size: int
    settings: dict[str, int]


def check_memory(setups: Sequence[Setup], device: torch.device, task: SRCD | None = None) -> None:
    """Refuse settings that need more memory than there is.

    Parameters
    ----------
    setups : sequence of Setup
        Of models that train together.
    device : torch.device
    task : SRCD, optional
        With the vocabulary of all models. Default: that of the first.

    Raises
    ------
    InputError
        It names what takes most and the settings that decide how much.
    """
    needed, has = needs(setups, task or setups[0].data), machine_memory(device)
    total = sum(need.size for need in needed)
    if total <= has:
        return
    most = max(needed, key=lambda need: need.size)
    raise InputError(
        f"training needs {total / 1e9:,.0f} GB of memory at least, {has / 1e9:,.0f} GB are there; "
        f"the {most.what} take most",
        hint=_lower(most.settings),
    )


def needs(setups: Sequence[Setup], task: SRCD) -> list[Need]:
    """What models that train together take at least.

    Examples
    --------
    >>> from theory.training.setup import load_setup
    >>> setup = load_setup("cram-n256")
    >>> {need.what: round(need.size / 1e6, 1) for need in needs([setup], setup.data)}
    {'parameters': 0.5, 'streams': 0.3, 'states': 1.3, 'tables': 0.0}
    """
    setup, members = setups[0], len(setups)
    streams = members * setup.training.batch
    sizes = _sizes(setup.model)
    weights = sizes["model.d_model"] * (task.keys + 2 * task.values)
    if sizes["model.d_model"] * math.prod(sizes.values()) > _ORDINARY:
        weights = sum(value.numel() for value in meta_model(setup.model, task).state_dict().values())
    # weights, gradients and two moments, unless a part is frozen
    copies = 1 if setup.transfer is not None and setup.transfer.freeze else 4
    drawn = _FLOAT * (4 * task.length + task.novel_keys + task.keys) + _INT * (task.keys + 4 * task.length)
    states = _FLOAT * task.length * (setup.model.d_model * setup.model.layers + task.values)
    keys = {"data.patterns": task.patterns, "data.novel_keys": task.novel_keys}
    values = {"data.values": task.values}
    batch = {"training.batch": setup.training.batch, "data.length": task.length}
    return [
        Need("parameters", _FLOAT * copies * members * weights, sizes | keys | values),
        Need("streams", streams * drawn, batch | keys),
        Need("states", streams * states, batch | sizes | values),
        Need("tables", members * 4 * _INT * task.patterns, keys),
    ]


def _sizes(config: ModelConfig) -> dict[str, int]:
    """Whole-numbered settings of a model, by name."""
    return {f"model.{name}": value for name, value in vars(config).items() if type(value) is int and value > 0}


def _lower(settings: Mapping[str, int]) -> str:
    """Hint that names the three largest settings."""
    largest = sorted(settings.items(), key=lambda item: -item[1])[:3]
    return "lower " + ", ".join(f"{name} = {value}" for name, value in largest)


def meta_model(config: ModelConfig, task: SRCD) -> Model:
    """A model of shapes, without memory for its numbers.

    Raises
    ------
    InputError
        If the settings make none.
    """
    try:
        with torch.device("meta"):
            return build(config, task, 0)
    except (RuntimeError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"the settings of the model are too large ({error})", hint=_lower(_sizes(config))) from None


def machine_memory(device: torch.device) -> float:
    """Bytes that a device has.

    Infinite where it does not say.
    """
    if device.type == "cuda":
        return float(torch.cuda.get_device_properties(device).total_memory)
    try:
        installed = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):  # not on Windows
        return math.inf
    return min([installed, *_container_limits()])


def _container_limits() -> Iterator[float]:
    """Limits that a container sets to its processes."""
    for place in _LIMITS:
        try:
            text = Path(place).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if text.isdecimal():  # not "max"
            yield float(text)


_ALLOCATION = ("can't allocate memory", "out of memory", "Storage size calculation overflowed", "not enough memory")
"""What torch says where memory ends."""


@contextmanager
def naming_memory() -> Iterator[None]:
    """Context in which a failed allocation is an input error."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(text in str(error) for text in _ALLOCATION):
            raise
        what = str(error).partition("\n")[0]
        raise InputError(
            f"training needs more memory than there is ({what:.200})",
            hint="lower training.batch, data.length or model.d_model",
        ) from None
