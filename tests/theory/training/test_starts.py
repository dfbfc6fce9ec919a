"""Starts that cannot be: one clear error, and a folder that the corrected command can use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from cogfit.cli import main
from cogfit.errors import InputError
from theory.models import kinds
from theory.training.divergence import Diverged
from theory.training.ensemble import train_many
from theory.training.folder import load_run, open_run
from theory.training.loop import train
from theory.training.memory import check_memory, machine_memory, meta_model, naming_memory, needs
from theory.training.runs import RUN
from theory.training.setup import Setup, load_setup, make_setup
from theory.training.stopping import Stopped

pytestmark = pytest.mark.slow  # models are trained
torch.set_num_threads(1)

CPU = torch.device("cpu")
SMALL = {
    "data.length": 32, "data.patterns": 5, "data.novel_keys": 10, "model.d_model": 8, "training.batch": 2,
    "training.steps": 2, "training.evaluation_streams": 4, "training.final_streams": 4,
}  # fmt: skip

Documents = Callable[..., Iterator[Any]]


def small(config: str = "mamba-n256", **changes: object) -> Setup:
    return load_setup(config, SMALL | {name.replace("__", "."): value for name, value in changes.items()})


def changed(setting: str, value: float) -> Setup:
    return load_setup("mamba-n256", SMALL | {setting: value})


# ------------------------------------------------------------------------------------------------- folders


def test_a_start_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(InputError, match="holds no finished run"):
        train(small(transfer__source=str(tmp_path / "nope")), folder, device="cpu")
    assert not folder.exists()
    setups = [small(transfer__source=str(tmp_path / "nope"), training__seed=seed) for seed in (0, 1)]
    with pytest.raises(InputError, match="holds no finished run"):
        train_many(setups, [tmp_path / "a", tmp_path / "b"], how="stacked", device="cpu")
    assert not list(tmp_path.iterdir())


def test_a_folder_in_which_nothing_was_trained_is_taken_over(tmp_path: Path) -> None:
    # at step 0 already the numbers are not finite
    with pytest.raises(InputError, match="diverged at step 0"):
        train(small(data__beta=1e38), tmp_path, device="cpu")
    assert (tmp_path / RUN).exists()
    run = train(small(), tmp_path, device="cpu")
    assert run.setup == small()
    assert json.loads((tmp_path / RUN).read_text())["config"]["data"]["beta"] == 0.25


def test_a_folder_in_which_something_was_trained_is_not(tmp_path: Path) -> None:
    looks = iter([0])
    with pytest.raises(Stopped):
        train(small(), tmp_path, device="cpu", stop=lambda: next(looks, 15))
    with pytest.raises(InputError, match="holds a run with other settings"):
        train(small(training__seed=1), tmp_path, device="cpu")
    (tmp_path / "checkpoint.safetensors").unlink()
    with pytest.raises(InputError, match="holds a run with other settings"):
        train(small(training__seed=1), tmp_path, device="cpu")


def test_a_start_of_another_program_is_left_alone(tmp_path: Path) -> None:
    document = {"schema": "cogfit.run/1", "name": "x", "status": "running", "kind": "language", "config": {}}
    (tmp_path / RUN).write_text(json.dumps(document))
    with pytest.raises(InputError):
        train(small(), tmp_path, device="cpu")


@pytest.mark.parametrize("name", ["x" * 300, f"{'y' * 300}/run"])
def test_a_folder_that_cannot_be_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(tmp_path / name)
    assert main(["theory", "train", "mamba-n256", "--out", place]) == 2
    assert "cannot be used (File name too long)" in capsys.readouterr().err
    with pytest.raises(InputError, match="cannot be used"):
        train(small(transfer__source=place), tmp_path / "run", device="cpu")


def test_a_stack_whose_checkpoint_cannot_be_named_is_refused(tmp_path: Path) -> None:
    setups, folders = [small(), small(training__seed=1)], [tmp_path / (letter * 250) for letter in "ab"]
    with pytest.raises(InputError, match="cannot be used"):
        train_many(setups, folders, how="stacked", device="cpu")
    assert not list(tmp_path.iterdir())


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match="cannot be used"):
            train(small(), place, device="cpu")


# ------------------------------------------------------------------------------------------ damaged run.json


def test_a_damaged_record_of_a_run_that_goes_on_is_refused(tmp_path: Path, damaged_documents: Documents) -> None:
    setup, looks = small(), iter([0])
    with pytest.raises(Stopped):
        train(setup, tmp_path, device="cpu", stop=lambda: next(looks, 15))
    document = json.loads((tmp_path / RUN).read_text())
    refused = 0
    values: tuple[object, ...] = (None, [1], "x", 1, True, 1.5, {}, {"data": {"self": 1}}, {"model": None})
    for damaged in (*({**document, "config": value} for value in values), *damaged_documents(document, share=0.2)):
        (tmp_path / RUN).write_text(json.dumps(damaged))
        try:
            assert open_run(tmp_path, setup) is None
        except InputError as error:
            refused += str(tmp_path) in str(error)
    assert refused > 50
    for value in values:
        (tmp_path / RUN).write_text(json.dumps({**document, "config": value}))
        with pytest.raises(InputError, match=RUN):
            train(setup, tmp_path, device="cpu")


# ------------------------------------------------------------------------------------------------- memory

_ENDLESS = {"steps", "euler_steps", "seed", "table_seed", "final_streams"}  # they take time, or nothing


def integer_settings(kind: str) -> Iterator[str]:
    """Settings of a kind of model that are whole numbers."""
    for name, field in kinds()[kind].config.model_fields.items():
        if field.annotation in (int, int | None) and name not in _ENDLESS:
            yield name


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_a_model_of_any_huge_size_is_refused_or_small(kind: str) -> None:
    base = {"kind": kind}
    for name in integer_settings(kind):
        tables = {"data": {"length": 32}, "model": {**base, name: 10**12}}
        try:
            setup = make_setup(tables)
            check_memory([setup], CPU)
        except InputError:
            continue
        # what is not refused says nothing of the number of weights
        weights = sum(value.numel() for value in meta_model(setup.model, setup.data).state_dict().values())
        assert weights < 10**7, f"{kind}: {name}"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("model.d_model", 10**9),
        ("model.d_model", 10**6),
        ("data.patterns", 10**15),
        ("data.novel_keys", 10**15),
        ("data.values", 10**15),
        ("training.batch", 10**12),
    ],
)
def test_settings_that_need_more_memory_than_there_is_are_named(tmp_path: Path, setting: str, value: int) -> None:
    with pytest.raises(InputError, match=f"{setting} = {value}"):
        train(changed(setting, value), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_numbers_that_float32_cannot_hold_are_refused() -> None:
    for setting in ("data.gap_clip", "data.beta", "data.omega", "data.noise", "training.rate", "training.clip"):
        with pytest.raises(InputError, match="is a number that is too large"):
            changed(setting, 1e300)
    assert small(data__gap_clip=3e38).data.gap_clip == 3e38


@pytest.mark.parametrize("setting", ["gap_clip", "beta", "omega", "noise", "gap_shape", "zipf"])
def test_the_largest_numbers_of_the_task_end_in_a_run_or_an_error(tmp_path: Path, setting: str) -> None:
    for value in (3.4e38, 1e30):
        with suppress(Diverged):
            train(changed(f"data.{setting}", value), tmp_path / str(value), device="cpu")


def test_an_allocation_that_fails_is_an_input_error() -> None:
    for message in ("DefaultCPUAllocator: can't allocate memory: you tried", "CUDA out of memory. Tried"):
        with pytest.raises(InputError, match="more memory than there is"), naming_memory():
            raise RuntimeError(message)
    with pytest.raises(InputError, match="more memory"), naming_memory():
        torch.zeros(2**60)
    with pytest.raises(RuntimeError, match="another reason"), naming_memory():
        raise RuntimeError("another reason")


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_the_estimate_is_from_below(kind: str) -> None:
    setup = make_setup({"data": {"length": 64}, "model": {"kind": kind}})
    found = {need.what: need.size for need in needs([setup], setup.data)}
    model = meta_model(setup.model, setup.data)
    assert found["parameters"] <= 16 * sum(value.numel() for value in model.state_dict().values())
    assert sum(found.values()) < 1e-2 * machine_memory(CPU)


# ----------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vary", "model.d_model=[8]", "--vary", "model.d_model=[16]"], "'model.d_model' is given twice"),
        (["--set", "model.d_model=8", "--set", "model.d_model=16"], "'model.d_model' is given twice"),
        (["--set", "model.d_model=8", "--vary", "model.d_model=[8,16]"], "given twice, by --set and --vary"),
        (["--set", "training.seed=8", "--seeds", "1,2"], "'training.seed' is given twice, by --set and --seeds"),
        (["--vary", "training.seed=[1,2]", "--seeds", "1,2"], "'training.seed' is given twice, by --vary and --seeds"),
        (["--seeds", "0-999999999"], "names too many seeds; give 10000 at most"),
        (["--seeds", "9" * 5000], "names no seeds"),
        (["--seeds", "1-"], "names no seeds"),
        (["--set", "training=3"], "'training' is no setting; training has settings such as training.steps"),
        (["--set", "data.=3"], "'data.' is no setting; data has settings such as data.length"),
    ],
)
def test_settings_given_twice_or_by_halves_are_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["theory", "train", "mamba-n256", *arguments, "--out", str(tmp_path / "x")]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "x").exists()


def test_a_run_that_is_finished_is_found_again(tmp_path: Path) -> None:
    train(small(), tmp_path, device="cpu")
    found = open_run(tmp_path, small())
    assert found is not None
    assert found.measures == load_run(tmp_path).measures
