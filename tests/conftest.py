"""Settings for the whole suite: no display, repeatable property tests."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

os.environ["MPLBACKEND"] = "Agg"
# Wheels and copies of the checkout are built from what was compiled before (building/kernels.py).
os.environ.setdefault("COGFIT_OBJECTS", str(Path(__file__).resolve().parents[1] / ".objects"))

from hypothesis import settings

# Where torch is not installed (make test-oldest and others) what cannot do without it is left out; single tests skip.
collect_ignore = [] if find_spec("torch") else ["theory/lm", "theory/models", "theory/redundancy", "theory/training"]

# `ci` is the default everywhere, so that a red test is red for everybody; `pytest --hypothesis-profile deep` looks for
# new examples. Numerical code has no 200 ms deadline.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("deep", deadline=None, max_examples=1000)
settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for the trained models that the bounds are tested on."""
    group = parser.getgroup("trained models")
    group.addoption("--members", type=int, default=1, metavar="N", help="N times as many trained models (default 1)")
    group.addoption("--members-device", default="cpu", metavar="DEVICE", help="cpu or cuda (default cpu)")


@pytest.fixture(autouse=True)
def _no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no terminal's width decide how tables look: readline sets these when it is loaded."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)


# ------------------------------------------------------------------------------------------------------- damage

_OTHERS = (
    None,
    True,
    0,
    -1,
    2**63,
    10**400,
    1e308,
    -0.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\0",
    [],
    [[]],
    {},
    [None],
)


def _places(part: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if at:
        yield at
    keys = list(part) if isinstance(part, dict) else range(min(len(part), 2)) if isinstance(part, list) else ()
    for key in keys:
        yield from _places(part[key], (*at, key))


def _changed(document: Any, at: tuple[Any, ...], value: Any) -> Any:
    document = copy.deepcopy(document)
    part = document
    for key in at[:-1]:
        part = part[key]
    if value is ...:
        del part[at[-1]]
    else:
        part[at[-1]] = value
    return document


@pytest.fixture(scope="session")
def damaged_documents() -> Callable[..., Iterator[Any]]:
    """Generator of damaged documents: values of other types and sizes at every place, and nothing; a sample of all."""

    def damage(document: Any, share: float = 1.0) -> Iterator[Any]:
        drawn = random.Random(0)
        for at in _places(document):
            for value in (..., *_OTHERS):
                if drawn.random() < share:
                    yield _changed(document, at, value)

    return damage


@pytest.fixture(scope="session")
def damaged_bytes() -> Callable[..., Iterator[bytes]]:
    """Generator of damaged files: cut, with a bit turned, not UTF-8, nested deeply, empty, with endless digits."""

    def damage(content: bytes, count: int = 20) -> Iterator[bytes]:
        drawn = random.Random(0)
        for _ in range(count):
            yield content[: drawn.randrange(len(content))]
            turned = bytearray(content)
            turned[drawn.randrange(len(content))] ^= 1 << drawn.randrange(8)
            yield bytes(turned)
        middle = len(content) // 2
        yield content[:middle] + b"\xff\xfe" + content[middle:]
        yield from (b"", b"\0" * 99, b"[" * 100_000, b'{"a":' * 100_000, b'{"a": ' + b"9" * 5000 + b"}")
        yield from (b"a = " + b"[" * 100_000, b"a" + b".a" * 100_000 + b" = 1", b"a = " + b"9" * 5000)

    return damage
