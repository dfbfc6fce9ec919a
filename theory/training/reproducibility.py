"""Training that can be repeated and continued.

Devices, determinism, states of generators and optimisers, provenance.

Nothing here knows what is trained.
"""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cogfit.errors import InputError, MissingDependencyError
from cogfit.files import write_atomic

try:
    from safetensors import SafetensorError
    from safetensors.torch import load as load_tensors
    from safetensors.torch import save as save_tensors
except ImportError:
    raise MissingDependencyError("safetensors", "train", "training of models") from None

CHECKPOINT, WEIGHTS = "checkpoint.safetensors", "model.safetensors"


# ---------------------------------------------------------------------------------------- tensors and states


def moments(optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    """The tensors that an optimiser remembers, by name.

    Names depend on nothing but their order.
    """
    for i, parameter in enumerate(p for group in optimizer.param_groups for p in group["params"]):
        for name, value in optimizer.state[parameter].items():
            yield f"{i}.{name}", value


def restore_moments(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """The inverse of :func:`moments`.

    Raises
    ------
    InputError
        If they are not those of the optimiser's parameters: a step would fail, or add up what does not belong together.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    own: list[dict[str, Tensor]] = [{} for _ in parameters]
    for name, value in state.items():
        number, _, moment = name.partition(".")
        if not number.isdecimal() or int(number) >= len(parameters):
            raise InputError(f"is damaged: the moment '{name}' belongs to no parameter")
        _check_moment(name, value, torch.Size() if moment == "step" else parameters[int(number)].shape)
        own[int(number)][moment] = value
    if len({frozenset(one) for one in own if one}) > 1:  # a parameter that was never updated has none
        raise InputError("is damaged: moments of some parameters are missing")
    for parameter, one in zip(parameters, own, strict=True):
        placed = {name: value if value.ndim == 0 else value.to(parameter.device) for name, value in one.items()}
        optimizer.state[parameter] = placed


def _check_moment(name: str, value: Tensor, shape: torch.Size) -> None:
    """Refuse a moment that no step could have left."""
    if value.shape != shape:
        raise InputError(f"is damaged: the moment '{name}' has the shape {tuple(value.shape)}, not {tuple(shape)}")
    if not value.is_floating_point():
        raise InputError(f"is damaged: the moment '{name}' holds {value.dtype}")
    if value.isnan().any():  # squares may have grown to infinity, and the step is then 0
        raise InputError(f"is damaged: the moment '{name}' holds nan")
    if name.endswith(".step") and not 1 <= value.item() < 2**24:
        raise InputError(f"is damaged: the moment '{name}' counts {value.item():g} steps")


def check_tensors(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], what: str) -> None:
    """Refuse tensors that cannot be those that are wanted.

    They have other names, shapes or types, or numbers that are not finite.

    Parameters
    ----------
    given, wanted : mapping of str to Tensor
    what : str
        How the message begins.

    Raises
    ------
    InputError
        It names the first tensor that differs.
    """
    for name in sorted(wanted.keys() | given.keys()):
        own, expected = given.get(name), wanted.get(name)
        if own is None or expected is None:
            raise InputError(f"{what}: '{name}' is {'missing' if own is None else 'unknown'}")
        if own.shape != expected.shape:
            raise InputError(f"{what}: '{name}' has the shape {tuple(own.shape)}, not {tuple(expected.shape)}")
        if own.dtype != expected.dtype:
            raise InputError(f"{what}: '{name}' holds {own.dtype}, not {expected.dtype}")
        if not bool(torch.isfinite(own).all()):
            raise InputError(f"is damaged: '{name}' holds numbers that are not finite")


def check_counts(counts: Mapping[str, Tensor], most: int) -> None:
    """Refuse counts that so many draws cannot have left.

    Raises
    ------
    InputError
        It names the first such tensor.
    """
    for name, value in sorted(counts.items()):
        wrong = value[(value < 0) | (value > most)]
        if len(wrong):
            raise InputError(f"is damaged: the count {int(wrong[0])} in 'exposures/{name}' is not within 0 to {most}")


def noted_sizes(notes: Mapping[str, str], members: int) -> list[dict[str, int] | None]:
    """Bytes of each member's logs at a checkpoint.

    None for a checkpoint that says nothing of them, from an earlier version.

    Raises
    ------
    InputError
        If they cannot be that.
    """
    text = notes.get("sizes")
    if text is None:
        return [None] * members
    try:
        sizes = json.loads(text)
    except (ValueError, RecursionError):
        sizes = None
    if not (isinstance(sizes, list) and len(sizes) == members and all(map(_is_sizes, sizes))):
        raise InputError(f"is damaged: the sizes of its logs cannot be {text!r:.40}")
    return sizes


def _is_sizes(value: object) -> bool:
    return isinstance(value, dict) and all(type(size) is int for size in value.values())


def noted_step(notes: Mapping[str, str], last: int) -> int:
    """The step that a checkpoint was written after.

    Raises
    ------
    InputError
        If it names none between 0 and the last.
    """
    text = str(notes.get("step"))
    step = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else -1
    if not 0 <= step <= last:
        raise InputError(f"is damaged: its step cannot be {text!r:.40}")
    return step


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Context in which errors of a checkpoint name its file."""
    try:
        yield
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(error.what, path=path, hint=error.hint or "delete it to begin anew") from None
    except RuntimeError as error:  # torch refuses states of random numbers that cannot be
        raise InputError(f"is damaged ({error})", path=path, hint="delete it to begin anew") from None


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put a prefix and a slash before tensors' names."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors whose names begin with a prefix.

    And a slash, without it.
    """
    return {name.removeprefix(f"{prefix}/"): v for name, v in tensors.items() if name.startswith(f"{prefix}/")}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str] | None = None) -> None:
    """Write tensors and notes, all or nothing."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    write_atomic(path, save_tensors(plain, metadata=dict(notes) if notes else None))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and notes of a file.

    Nothing in it is executed.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    try:
        content = path.read_bytes()
        tensors = load_tensors(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"cannot be read ({error})", path=path, hint="delete it to begin anew") from None
    return tensors, header.get("__metadata__", {})


def random_state(streams: Sequence[torch.Generator], device: torch.device) -> dict[str, Tensor]:
    """States of all generators of a device.

    Those that training draws from, those of its streams among them.
    """
    states = {"torch": torch.get_rng_state()}
    for i, generator in enumerate(streams):
        states[f"streams{i}"] = generator.get_state()
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random_state(streams: Sequence[torch.Generator], device: torch.device, state: Mapping[str, Tensor]) -> None:
    """The inverse of :func:`random_state`."""
    torch.set_rng_state(state["torch"])
    for i, generator in enumerate(streams):
        generator.set_state(state[f"streams{i}"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


# --------------------------------------------------------------------------------- devices and determinism


@contextmanager
def deterministic(seed: int, device: torch.device) -> Iterator[None]:
    """Context in which torch is deterministic.

    It draws from a seed and uses deterministic algorithms only; all is as before afterwards.
    """
    devices = [device] if device.type == "cuda" else []
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic
    fill, memory.fill_uninitialized_memory = memory.fill_uninitialized_memory, False  # costs 6 % of a step
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
            memory.fill_uninitialized_memory = fill


def keep_freed_memory() -> bool:
    """Tell glibc to keep freed memory in the process.

    By default it hands the top of the heap back after every step, and gets it again, zeroed, page by page. On other
    systems nothing is done. No number depends on it.

    Returns
    -------
    bool
        Whether it was told.
    """
    import ctypes

    trim_threshold, mmap_threshold, largest_mmap = -1, -3, 2**25  # malloc.h; 2^25 is the largest that glibc takes
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(mmap_threshold, largest_mmap)) and bool(mallopt(trim_threshold, 2**30))


def choose_device(name: str = "auto") -> torch.device:
    """A device by name.

    ``"auto"`` is CUDA where there is one, else the CPU.

    Raises
    ------
    InputError
        If there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("there is no CUDA device here", hint="use --device cpu, or leave the choice to 'auto'")
    if name not in ("cpu", "cuda"):
        raise InputError(f"there is no device '{name}'", hint="use auto, cpu or cuda")
    return torch.device(name)


# ------------------------------------------------------------------------------------------------ provenance


def versions() -> dict[str, str]:
    """Versions that a run depends on."""
    from importlib.metadata import version

    return {"python": platform.python_version()} | {
        name: version(name) for name in ("cogfit", "torch", "numpy", "safetensors", "pydantic")
    }


def hardware(device: torch.device) -> dict[str, Any]:
    """The device that trains, and how many threads it uses."""
    if device.type == "cuda":
        return {"device": "cuda", "name": torch.cuda.get_device_name(device)}
    return {"device": "cpu", "name": _processor(), "threads": torch.get_num_threads()}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def revision() -> str | None:
    """Revision of the source that runs.

    With "+" where it was changed; None outside of a checkout.
    """
    here = Path(__file__).resolve().parent
    try:
        revisions = [
            subprocess.run(["git", *command], cwd=here, capture_output=True, text=True, check=True, timeout=10).stdout
            for command in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return revisions[0].strip() + ("+" if revisions[1].strip() else "")
