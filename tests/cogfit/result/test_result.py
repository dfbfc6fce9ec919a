"""Saved fits: read back whole, or refused in one line; a damaged file never gets further than that."""

from __future__ import annotations

import json
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cogfit
from cogfit.errors import InputError
from cogfit.show.exports import to_html

X = np.arange(1.0, 41.0)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Document of a fit with patterns, transitions and windows in it."""
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(12), X.size)
    y = np.concatenate([X**-0.5 + rng.normal(0, 0.05, X.size) for _ in range(12)])
    return cogfit.fit(np.tile(X, 12), y, groups=groups, rng=0).to_json()


@pytest.fixture(scope="module")
def text(document: dict[str, Any]) -> str:
    """The same as JSON (short in Hypothesis' reports)."""
    return json.dumps(document)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where saved fits go."""
    return tmp_path_factory.mktemp("saved")


def places(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of all values in a document, those of long lists by their first two."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:2])
    out = []
    for key, item in items:
        out.append((*where, key))
        if isinstance(item, dict | list):
            out += places(item, (*where, key))
    return out


def use(fit: cogfit.FitResult, folder: Path) -> None:
    """Whatever a reader of a saved fit may do with it."""
    _ = fit.headline(), fit.methods(), str(fit), fit.findings, fit.table(), to_html(fit, has_picture=False)
    _ = fit.gamma, fit.interval, fit.params, fit.stderr, fit.status
    fit.save(folder / "again.json")


def test_a_saved_fit_is_read_back_whole(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "fit.json").write_text(json.dumps(document))
    fit = cogfit.load(tmp_path / "fit.json")
    use(fit, tmp_path)
    assert fit.to_json() == document
    assert cogfit.load(tmp_path / "again.json").to_json() == document


def test_every_sentence_names_what_decided_and_says_so_after_loading(document: dict[str, Any]) -> None:
    fit = cogfit.FitResult.from_json(document)
    explained = fit.explain()
    assert [item.sentence for item in explained] == [*fit.findings, *fit.warnings]
    for item in explained[: len(fit.findings)]:
        module, _, name = item.decided_by.rpartition(".")
        while module not in sys.modules:  # a method: the class stands between
            module, _, owner = module.rpartition(".")
            name = f"{owner}.{name}"
        assert attrgetter(name)(sys.modules[module])
        for value in item.numbers.values():
            assert not isinstance(value, float) or f"{value:.6g}" in str(item)
    again = cogfit.FitResult.from_json(fit.to_json())
    assert again.explain() == explained
    with_rule = [item for item in explained if item.threshold]
    assert len(with_rule) >= 4
    assert all(f"rule: {item.threshold}" in str(item) for item in with_rule)


OTHERS = (..., None, True, "text", "<script>", [], {}, [1.5], {"a": 1}, 1.5, -3, 10**400, 1e308)


@pytest.mark.slow
@settings(max_examples=400)
@given(data=st.data())
def test_a_damaged_fit_is_refused_or_works(text: str, folder: Path, data: st.DataObject) -> None:
    broken = json.loads(text)
    *parents, last = data.draw(st.sampled_from(places(broken)))
    here = broken
    for key in parents:
        here = here[key]
    value = data.draw(st.sampled_from(OTHERS))
    if value is ...:
        del here[last]
    else:
        here[last] = value
    try:
        fit = cogfit.FitResult.from_json(broken)
    except InputError:
        return
    use(fit, folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"form": "nothing"}, "holds no form 'nothing'"),
        ({"n": 7}, "does not have 7 points"),
        ({"transition": {"statements": [1]}}, "statements of 'transition'"),
    ],
)
def test_parts_that_contradict_each_other_are_refused(document: dict[str, Any], change: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        cogfit.FitResult.from_json({**document, **change})


@pytest.mark.parametrize("coefficients", [{"phi": [1.0]}, {"phi": [3.0]}, {"phi": [0.5, 0.6]}, {"theta": [-2.0]}])
def test_errors_that_cannot_be_are_refused(document: dict[str, Any], coefficients: dict[str, list[float]]) -> None:
    damaged = json.loads(json.dumps(document))
    damaged["forms"][0]["errors"] |= coefficients
    with pytest.raises(InputError, match="are not stationary"):
        cogfit.FitResult.from_json(damaged)
