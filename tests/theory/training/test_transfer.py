"""Beginning from the weights of another run: what is taken, what stays as it is, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cogfit.errors import InputError
from theory.models import build
from theory.training.ensemble import groups, train_models
from theory.training.folder import load_model
from theory.training.loop import train
from theory.training.setup import Setup, load_setup
from theory.training.trainer import start

pytestmark = pytest.mark.slow  # models are trained

SMALL = {
    "data.length": 32, "data.patterns": 4, "data.novel_keys": 8, "model.d_model": 16, "model.semantic_rank": 8,
    "training.batch": 2, "training.attend_until": 0, "training.evaluation_streams": 2, "training.steps": 3,
}  # fmt: skip
FROZEN, FRESH = ["semantic", "quality", "router", "key"], ["answer"]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    train(setup(), folder, device="cpu")
    return folder


def setup(**changes: object) -> Setup:
    return load_setup("cram-n256", SMALL | {name.replace("__", "."): value for name, value in changes.items()})


def moved(model: torch.nn.Module, source: Path) -> set[str]:
    before = load_model(source).state_dict()
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def test_what_is_frozen_stays_and_the_rest_learns_alone_and_in_a_stack(source: Path, tmp_path: Path) -> None:
    transfer = {"transfer__source": str(source), "transfer__freeze": FROZEN, "transfer__fresh": FRESH}
    one, two = (setup(training__seed=seed, data__zipf=1.5, **transfer) for seed in (1, 2))
    assert groups([one, two, setup(transfer__source=str(source)), setup()]) == [[0, 1], [2], [3]]
    run = train(one, tmp_path / "one", device="cpu")
    assert run.record.document["config"]["transfer"]["freeze"] == FROZEN
    for model in (run.model(), *train_models([one, two])):
        changed = moved(model, source)
        assert "layers.0.episodic.attention.key.weight" in changed  # "key" is the embedding
        for part in FROZEN:
            assert not any(name.removeprefix("layers.0.").startswith(part + ".") for name in changed)
        untouched = {"key.weight", "layers.0.semantic.up.weight", "layers.0.router.body.0.weight"}
        assert untouched < load_model(source).state_dict().keys() - changed


def test_fresh_parts_begin_at_random_and_all_others_where_the_source_ended(source: Path) -> None:
    given = setup(training__seed=7, transfer__source=str(source), transfer__fresh=FRESH)
    model, new = start(given), build(given.model, given.data, 7)
    assert moved(model, source) == {"answer.weight", "answer.bias"}
    assert torch.equal(model.answer.weight, new.answer.weight)
    assert all(p.requires_grad for p in model.parameters())


def test_a_transfer_goes_on_after_a_kill_to_the_same_weights(source: Path, tmp_path: Path) -> None:
    changes = {"transfer__source": str(source), "transfer__freeze": FROZEN, "training__checkpoint_every": 1}
    given = setup(training__steps=4, **changes)

    class Killed(Exception):
        pass

    def kill(done: int, total: int, found: object) -> None:
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        train(given, tmp_path / "killed", device="cpu", watch=kill)
    again, whole = (train(given, tmp_path / name, device="cpu").model() for name in ("killed", "whole"))
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), whole.state_dict().values(), strict=True))


def test_a_setup_without_transfer_is_written_as_before() -> None:
    assert set(setup().to_json()) == {"data", "model", "training"}


def test_what_does_not_fit_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no part 'rooter'; did you mean 'router'"):
        start(setup(transfer__source=str(source), transfer__freeze=["rooter"]))
    with pytest.raises(InputError, match=r"'key.weight' have another shape.*as many keys"):
        start(setup(transfer__source=str(source), data__patterns=5))
    with pytest.raises(InputError, match="no finished run"):
        start(setup(transfer__source=str(tmp_path)))
    with pytest.raises(InputError, match="no setting 'frozen'"):
        setup(transfer__source=str(source), transfer__frozen=[])
    with pytest.raises(InputError, match="needs the setting 'source'"):
        setup(transfer__freeze=[])
