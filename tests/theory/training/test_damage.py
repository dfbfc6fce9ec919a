"""Damaged runs, weights, checkpoints and configurations: the right model, or one clear error that names the file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from cogfit.commands.training import parse_settings
from cogfit.errors import InputError
from theory.training.folder import load_model, load_run
from theory.training.loop import train
from theory.training.reproducibility import CHECKPOINT, WEIGHTS
from theory.training.runs import EVALUATION, RUN, find_records, format_table, load_record, table
from theory.training.setup import Setup, load_setup, make_setup

pytestmark = pytest.mark.slow  # a model is trained
torch.set_num_threads(1)

Documents = Callable[..., Iterator[Any]]
Files = Callable[..., Iterator[bytes]]


def tiny() -> Setup:
    changes = {"data.length": 64, "data.patterns": 8, "data.novel_keys": 16, "model.d_model": 16}
    sizes = {"steps": 4, "batch": 2, "evaluation_streams": 2, "final_streams": 2, "checkpoint_every": 2}
    return load_setup("cram-n256", changes | {f"training.{name}": size for name, size in sizes.items()})


class Stop(Exception):
    """Training was stopped."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "finished"
    train(tiny(), folder, device="cpu")
    return folder


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed after a checkpoint."""

    def stop(done: int, total: int, found: object) -> None:
        if done == 3:
            raise Stop

    folder = tmp_path_factory.mktemp("runs") / "stopped"
    with suppress(Stop):
        train(tiny(), folder, device="cpu", watch=stop)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def use_record(folder: Path) -> None:
    """All that is read of a finished run without its model."""
    for record in (load_record(folder), *find_records(folder)):
        _ = record.title, record.seed, record.streams, record.optimum, record.final, record.initial_attention
        assert record.first_step(0.5) != 0
    format_table(table(find_records(folder)))
    load_run(folder)


def test_a_damaged_record_is_refused(run: Path, damaged_documents: Documents, damaged_bytes: Files) -> None:
    content = (run / RUN).read_bytes()
    texts = (json.dumps(document).encode() for document in damaged_documents(json.loads(content), share=0.2))
    refused = 0
    for text in (*texts, *damaged_bytes(content)):
        (run / RUN).write_bytes(text)
        try:
            use_record(run)
        except InputError as error:
            refused += str(run) in str(error)
    assert refused > 100


def test_a_damaged_evaluation_is_refused(run: Path, damaged_bytes: Files) -> None:
    content = (run / EVALUATION).read_bytes()
    head = content.split(b"\n")[0]
    for text in (
        *damaged_bytes(content),
        content.replace(b"0.", b"x."),
        b"step\n1\n",
        head + b"\n",
        head + b"\n1,,,,\n",
    ):
        (run / EVALUATION).write_bytes(text)
        with suppress(InputError):
            use_record(run)


def header_of(content: bytes) -> tuple[dict[str, Any], bytes]:
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def with_header(header: Any, tensors: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def lying(content: bytes, damaged_documents: Documents) -> Iterator[bytes]:
    """Files of tensors whose headers lie: about their own length, names, types, shapes, places."""
    for size in (0, 1, len(content), 2**31, 2**63, 2**64 - 1):
        yield size.to_bytes(8, "little") + content[8:]
    header, tensors = header_of(content)
    names = [name for name in header if name != "__metadata__"]
    for name in (names[0], names[-1]):
        for part in damaged_documents({name: header[name]}):
            yield with_header({**header, **part}, tensors)
        for dtype in ("F64", "F16", "BF16", "I64", "BOOL", "F8_E5M2", "?"):
            yield with_header({**header, name: {**header[name], "dtype": dtype}}, tensors)
    for part in damaged_documents({"__metadata__": {"step": "1"}}):
        yield with_header({**header, **part}, tensors)
    yield from (with_header([], tensors), with_header({}, b""))


def test_weights_that_are_not_those_of_the_run_are_refused(
    run: Path, damaged_documents: Documents, damaged_bytes: Files
) -> None:
    content = (run / WEIGHTS).read_bytes()
    for damaged in (*lying(content, damaged_documents), *damaged_bytes(content)):
        (run / WEIGHTS).write_bytes(damaged)
        with suppress(InputError):  # a bit that is turned within a number makes another number
            load_model(run)
    weights = load(content)
    name = next(name for name, value in weights.items() if value.ndim > 1)
    for other, message in (
        ({**weights, name: weights[name].double()}, "holds torch.float64"),
        ({**weights, name: weights[name].to(torch.complex64)}, "holds torch.complex64"),
        ({**weights, name: weights[name].flatten()}, "has the shape"),
        ({**weights, "new": torch.zeros(3)}, "'new' is unknown"),
        ({key: value for key, value in weights.items() if key != name}, "is missing"),
    ):
        (run / WEIGHTS).write_bytes(save(other))
        with pytest.raises(InputError, match=f"{WEIGHTS}.*does not fit the settings of its run.*{message}"):
            load_model(run)
    (run / WEIGHTS).write_bytes(content)
    load_model(run)


def test_a_damaged_vocabulary_takes_no_memory(run: Path, damaged_documents: Documents) -> None:
    document = json.loads((run / RUN).read_text())
    sizes = [{**document["vocabulary"], "patterns": 10**12}, {"patterns": 10**18}, {"no": 1}]
    for vocabulary in (*damaged_documents(document["vocabulary"]), *sizes, None, [], "x"):
        if vocabulary == {} or (isinstance(vocabulary, dict) and None in vocabulary.values()):
            continue
        (run / RUN).write_text(json.dumps({**document, "vocabulary": vocabulary}))
        with suppress(InputError):
            load_model(run)
    for vocabulary in sizes:
        (run / RUN).write_text(json.dumps({**document, "vocabulary": vocabulary}))
        with pytest.raises(InputError):
            load_model(run)


def test_a_damaged_checkpoint_is_refused_before_a_step_is_done(
    stopped: Path, tmp_path: Path, damaged_bytes: Files
) -> None:
    content = (stopped / CHECKPOINT).read_bytes()
    header, tensors = header_of(content)
    notes, state = header["__metadata__"], load(content)
    assert notes["step"] == "2"
    damaged = [
        with_header({**header, "__metadata__": {**notes, "step": step}}, tensors)
        for step in ("", "x", "-1", "5", "2.0", "²", "9" * 5000)
    ]
    damaged.append(with_header({**header, "__metadata__": {"setup": notes["setup"]}}, tensors))
    shapes = {tuple(value.shape) for value in state.values()}
    other = next(n for n in range(2, 1000) if (n,) not in shapes)  # a shape that no tensor has
    models = sorted(name for name in state if name.startswith(("model/", "optimizer/")))
    for name in ("random/torch", "random/streams0", "exposures/0", *models[::4]):
        damaged.append(save({key: value for key, value in state.items() if key != name}, notes))
        damaged.append(save({**state, name: torch.ones(other, dtype=state[name].dtype)}, notes))
        if "random/" in name:
            damaged.append(save({**state, name: torch.full_like(state[name], 200)}, notes))
        if name.startswith("optimizer/"):
            damaged.append(save({**state, name: state[name].int()}, notes))
        if name.endswith(".step"):
            damaged.append(save({**state, name: torch.zeros(())}, notes))
            damaged.append(save({**state, name: torch.full((), torch.nan)}, notes))
    damaged.append(save({**state, "exposures/7": torch.zeros(3)}, notes))
    damaged.append(save({**state, "optimizer/999.step": torch.zeros(())}, notes))
    folder = tmp_path / "run"
    for file in (*damaged, *(part for part in damaged_bytes(content, count=4) if len(part) < len(content))):
        shutil.copytree(stopped, folder)
        (folder / CHECKPOINT).write_bytes(file)
        with pytest.raises(InputError, match=CHECKPOINT):
            train(tiny(), folder, device="cpu")
        shutil.rmtree(folder)


@pytest.mark.parametrize("log", ["routing.jsonl", "utilization.jsonl"])
def test_a_damaged_log_beside_a_checkpoint_is_refused(stopped: Path, tmp_path: Path, log: str) -> None:
    lines = (stopped / log).read_bytes().splitlines(keepends=True)
    for number, line in enumerate((b"{}\n", b"[]\n", b"\xff\n", b'{"step":"1"}\n', b"[" * 100_000 + b"\n")):
        folder = Path(shutil.copytree(stopped, tmp_path / str(number)))
        (folder / log).write_bytes(b"".join([line, *lines]))
        with pytest.raises(InputError, match=f"{log}, line 1: is damaged"):
            train(tiny(), folder, device="cpu")


def test_a_damaged_configuration_is_refused(tmp_path: Path, damaged_documents: Documents, damaged_bytes: Files) -> None:
    path = tmp_path / "mine.toml"
    content = b'[data]\nlength = 64\n[model]\nkind = "cram"\nd_model = 16\n[training]\nsteps = 10\nrate = 1e-3\n'
    path.write_bytes(content)
    load_setup(path)
    values = (b"nan", b"inf", b"0x" + b"f" * 5000, b"1979-05-27", b"[]", b"{}", b"'10'", b"true", b"-1", b"10.0")
    files = [content.replace(b"steps = 10", b"steps = " + value) for value in values]
    for file in (
        *damaged_bytes(content, count=100),
        *files,
        content + content,
        b"model = 1",
        b"[[model]]",
        b"[model]\n",
    ):
        path.write_bytes(file)
        with suppress(InputError):
            load_setup(path)
    for file in files:
        path.write_bytes(file)
        with pytest.raises(InputError, match="mine.toml"):
            load_setup(path)
    for tables in damaged_documents({"data": {"length": 64}, "model": {"kind": "cram", "layers": 2}, "training": {}}):
        with suppress(InputError):
            make_setup(tables, path=path)
    for name in ("\0", "x" * 5000, "/", str(tmp_path)):
        with pytest.raises(InputError):
            load_setup(name)


@pytest.mark.parametrize("value", ["[" * 10_000, "9" * 5000, "1979-05-27", "nan", "{a=1}", "'", "\0"])
def test_damaged_settings_of_the_command_line_are_refused(value: str) -> None:
    with pytest.raises(InputError):
        load_setup("cram-n256", parse_settings([f"training.steps={value}"]))
