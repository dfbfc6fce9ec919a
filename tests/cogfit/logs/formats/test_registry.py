"""One list of formats, from which messages, names and preferences follow; plug-ins join it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from cogfit import plugins
from cogfit.commands.fit import HELP
from cogfit.errors import InputError, MissingDependencyError
from cogfit.logs import read_log
from cogfit.logs.formats import registry
from cogfit.logs.formats.json_files import JSONL
from cogfit.logs.formats.reader import Raw, Reader, ReadOptions

CSV_TEXT = "step,attention_utilization\n" + "".join(f"{step},0.25\n" for step in range(4))


def is_own(path: Path, head: bytes) -> bool:
    return path.suffix == ".mylog"


OWN = Reader("my-log", is_own, JSONL.read, title="My log", other_names=("ml", "csv"))


def write_own(path: Path, value: float = 0.5) -> Path:
    path.parent.mkdir(exist_ok=True)
    rows = [{"step": step, "attention_utilization": value} for step in range(5)]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def values(path: Path, **options: Any) -> list[float]:
    log = read_log(path, **options).utilization
    assert log is not None
    found: list[float] = log.frame["attention_utilization"].tolist()
    return found


def _forget() -> None:
    for function in (plugins._loaded, plugins.plugins, registry.readers, registry.text_suffixes):
        function.cache_clear()  # type: ignore[attr-defined]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Make records known as if an installed package had named them."""

    def add(*records: Any) -> None:
        points = [EntryPoint(f"point{n}", f"mypackage:READER{n}", registry.GROUP) for n in range(len(records))]
        monkeypatch.setattr(EntryPoint, "load", lambda self: records[int(self.name.removeprefix("point"))])
        monkeypatch.setattr(
            "cogfit.plugins.entry_points",
            lambda *, group: points if group == registry.GROUP else [],
        )
        _forget()

    yield add
    monkeypatch.undo()
    _forget()


# --- one list ---------------------------------------------------------------------------------------------------------


def test_the_sentence_of_formats_follows_from_the_list() -> None:
    assert registry.titles() == (
        "CSV or TSV, JSON, JSON lines, Text log, Parquet, TensorBoard, Hugging Face trainer_state.json, W&B export, "
        "MLflow file store, MLflow"
    )


def test_help_names_every_format() -> None:
    for reader in registry.built_in_readers():
        assert reader.title.split()[0] in HELP, reader.name


def test_the_order_of_preference_names_every_format_once() -> None:
    ordered = sorted(registry.built_in_readers(), key=lambda reader: reader.rank)
    names = ["parquet", "csv", "jsonl", "json", "wandb", "huggingface", "tensorboard", "mlflow", "mlflow_files", "text"]
    assert [reader.name for reader in ordered] == names
    assert len({reader.rank for reader in ordered}) == len(ordered)


def test_other_names_are_those_of_one_format() -> None:
    names = [name for reader in registry.built_in_readers() for name in (reader.name, *reader.other_names)]
    assert len(set(names)) == len(names)


# --- plug-ins ---------------------------------------------------------------------------------------------------------


def test_formats_are_looked_up_on_the_first_read_only(install: Callable[..., None]) -> None:
    install(OWN)
    assert plugins._loaded.cache_info().currsize == 0
    assert registry.readers.cache_info().currsize == 0
    assert OWN in registry.readers()


def test_a_plug_in_reads_a_file(tmp_path: Path, install: Callable[..., None]) -> None:
    path = write_own(tmp_path / "seed0.mylog")
    assert read_log(path).utilization.source.format == "jsonl"  # type: ignore[union-attr]
    install(OWN)
    log = read_log(path).utilization
    assert log is not None
    assert log.source.format == "my-log"
    assert log.frame["attention_utilization"].tolist() == [0.5] * 5


def test_a_plug_in_reads_a_folder_with_two_runs(tmp_path: Path, install: Callable[..., None]) -> None:
    install(OWN)
    write_own(tmp_path / "a" / "log.mylog", 0.5)
    write_own(tmp_path / "b" / "log.mylog", 0.75)
    log = read_log(tmp_path).utilization
    assert log is not None
    assert log.frame.groupby("run")["attention_utilization"].first().to_dict() == {"a": 0.5, "b": 0.75}


def test_a_plug_in_gives_way_to_csv_in_one_folder(tmp_path: Path, install: Callable[..., None]) -> None:
    install(OWN)
    write_own(tmp_path / "log.mylog")
    (tmp_path / "log.csv").write_text(CSV_TEXT)
    log = read_log(tmp_path)
    expected = ".: the log is there as csv and as my-log, with other values; the first was read (choose with --format)"
    assert log.warnings == (expected,)
    assert values(tmp_path) == [0.25] * 4
    assert values(tmp_path, format="my-log") == [0.5] * 5


def test_a_plug_in_of_lower_rank_is_preferred(tmp_path: Path, install: Callable[..., None]) -> None:
    install(dataclasses.replace(OWN, rank=0))
    write_own(tmp_path / "log.mylog")
    (tmp_path / "log.csv").write_text(CSV_TEXT)
    assert values(tmp_path) == [0.5] * 5


def test_names_and_lists_know_plug_ins(tmp_path: Path, install: Callable[..., None]) -> None:
    install(OWN)
    assert registry.titles().endswith("MLflow, My log")
    assert {registry.reader_named(name) for name in ("my-log", "My Log", "my_log", "ml")} == {OWN}
    assert registry.reader_named("csv").read is not OWN.read
    with pytest.raises(InputError, match="did you mean 'my-log'"):
        registry.reader_named("mylgo")
    (tmp_path / "notes").write_bytes(b"\1\2\3")
    with pytest.raises(InputError, match="MLflow, My log"):
        read_log(tmp_path)
    with pytest.raises(InputError, match="MLflow, My log"):
        read_log(tmp_path / "notes")


def test_the_suffix_of_a_text_format_is_one_of_text_files(tmp_path: Path, install: Callable[..., None]) -> None:
    write_own(tmp_path / "log.mylog")
    install(dataclasses.replace(OWN, is_text=True))
    with pytest.raises(InputError, match="holds no log"):
        read_log(tmp_path)
    install(dataclasses.replace(OWN, is_text=True, suffixes=(".mylog",)))
    assert values(tmp_path) == [0.5] * 5


def test_a_plug_in_takes_no_file_that_is_known_for_sure(tmp_path: Path, install: Callable[..., None]) -> None:
    import pandas as pd

    install(dataclasses.replace(OWN, recognise=lambda path, head: True))
    frame = pd.DataFrame({"step": range(4), "attention_utilization": 0.25})
    frame.to_parquet(tmp_path / "log.parquet")
    history = [{"step": step, "attention_utilization": 0.25} for step in range(4)]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    for name, format in (("log.parquet", "parquet"), ("trainer_state.json", "huggingface")):
        log = read_log(tmp_path / name).utilization
        assert log is not None
        assert log.source.format == format
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, history)))
    assert read_log(tmp_path / "log.jsonl").utilization.source.format == "my-log"  # type: ignore[union-attr]


def test_a_plug_in_that_cannot_recognise_is_passed_over(tmp_path: Path, install: Callable[..., None]) -> None:
    def fail(path: Path, head: bytes) -> bool:
        raise KeyError("broken")

    install(dataclasses.replace(OWN, recognise=fail))
    (tmp_path / "log.csv").write_text(CSV_TEXT)
    for path in (tmp_path / "log.csv", tmp_path):
        with pytest.warns(plugins.PluginWarning, match=r"'my-log' was passed over: `recognise` raised KeyError"):
            assert values(path) == [0.25] * 4
    with pytest.warns(plugins.PluginWarning, match="my-log"), pytest.raises(InputError, match="holds no log"):
        read_log(tmp_path, format="my-log")


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), SystemExit(3), ValueError("oops")])
def test_what_a_plug_in_raises_names_file_and_plug_in(
    tmp_path: Path, install: Callable[..., None], error: BaseException
) -> None:
    def fail(path: Path, options: ReadOptions) -> Raw:
        raise error

    install(dataclasses.replace(OWN, read=fail))
    path = write_own(tmp_path / "a.mylog")
    (tmp_path / "log.csv").write_text(CSV_TEXT)
    for place in (path, tmp_path):
        with pytest.raises(InputError, match=rf"a\.mylog: .*'my-log': {type(error).__name__}"):
            read_log(place)
    assert values(tmp_path, format="csv") == [0.25] * 4


def test_errors_of_the_package_pass_through_plug_ins(tmp_path: Path, install: Callable[..., None]) -> None:
    def fail(path: Path, options: ReadOptions) -> Raw:
        raise MissingDependencyError("h5py", "logs", "reading my log")

    install(dataclasses.replace(OWN, read=fail))
    with pytest.raises(MissingDependencyError, match="h5py"):
        read_log(write_own(tmp_path / "a.mylog"))


@pytest.mark.parametrize("result", [None, {"step": [1]}])
def test_a_plug_in_that_returns_no_table_is_named(tmp_path: Path, install: Callable[..., None], result: Any) -> None:
    install(dataclasses.replace(OWN, read=lambda path, options: result))
    with pytest.raises(InputError, match=r"a\.mylog: .*'my-log': TypeError: `read` must return a Raw"):
        read_log(write_own(tmp_path / "a.mylog"))


def test_the_table_of_a_plug_in_may_have_any_index_and_names(tmp_path: Path, install: Callable[..., None]) -> None:
    import pandas as pd

    frame = pd.DataFrame({"step": [0, 1], "attention_utilization": [1.0, 0.5], 7: [0, 0]}, index=[5, 5])
    install(dataclasses.replace(OWN, read=lambda path, options: Raw(frame, "whatever", 2)))
    assert values(write_own(tmp_path / "a.mylog")) == [1.0, 0.5]


def test_the_table_of_a_plug_in_is_numbered_from_0_under_the_name_of_its_format(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame([[0, 1.0], [1, 0.5]], columns=["step", 7], index=[5, 5])
    reader = dataclasses.replace(OWN, read=lambda path, options: Raw(frame, "whatever", 3, {"empty": 1}))
    raw = registry.read_raw(reader, tmp_path / "a.mylog", ReadOptions())
    assert (raw.format, raw.rows_read, raw.dropped) == ("my-log", 3, {"empty": 1})
    assert raw.frame.columns.tolist() == ["step", "7"]
    assert raw.frame.index.tolist() == [0, 1]
    assert raw.frame["7"].tolist() == [1.0, 0.5]


def test_a_reader_of_the_package_is_trusted_and_its_format_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(CSV_TEXT)
    csv = registry.reader_named("csv")
    assert registry.is_recognised(csv, path, CSV_TEXT.encode()) is True
    assert registry.is_recognised(csv, tmp_path / "x.bin", b"\x00\x01\x02") is False
    assert registry.read_raw(csv, path, ReadOptions()).format == "csv"
    found = registry.reader_for(path, CSV_TEXT.encode())
    assert found is not None
    assert found.name == "csv"
    assert registry.reader_for(tmp_path / "x.bin", b"\x00\x01\x02") is None


def test_what_a_plug_in_answers_is_yes_or_no(tmp_path: Path) -> None:
    for answer, is_own_file in ((1, True), ("yes", True), (0, False), (None, False)):
        reader = dataclasses.replace(OWN, recognise=lambda path, head, answer=answer: answer)
        assert registry.is_recognised(reader, tmp_path / "a", b"") is is_own_file


@pytest.mark.parametrize("error", [KeyError("broken"), SystemExit(2)])
def test_a_failing_plug_in_is_warned_of_where_it_was_asked(tmp_path: Path, error: BaseException) -> None:
    def fail(path: Path, head: bytes) -> bool:
        raise error

    with pytest.warns(plugins.PluginWarning) as caught:
        assert registry.is_recognised(dataclasses.replace(OWN, recognise=fail), tmp_path / "a", b"") is False
    assert caught[0].filename == __file__


def test_long_messages_of_plug_ins_are_cut(tmp_path: Path) -> None:
    def fail(path: Path, options: ReadOptions) -> Raw:
        raise ValueError("x" * 1000)

    with pytest.raises(InputError) as caught:
        registry.read_raw(dataclasses.replace(OWN, read=fail), tmp_path / "a.mylog", ReadOptions())
    assert str(caught.value).count("x") == 200 - len("ValueError: ")
    assert caught.value.hint == "tell the authors of the plug-in, or choose another format with --format"
    assert caught.value.path == tmp_path / "a.mylog"


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("CSV", "csv"), (" csv ", "csv"), ("TSV", "csv"), ("Trainer State", "huggingface"),
        ("trainer-state", "huggingface"), ("HuggingFace", "huggingface"), ("JSON-lines", "jsonl"),
    ],
)  # fmt: skip
def test_names_may_be_spelt_otherwise(name: str, own: str) -> None:
    assert registry.reader_named(name).name == own


def test_suffixes_of_text_are_those_of_text_formats() -> None:
    suffixes = registry.text_suffixes()
    assert {".csv", ".jsonl"} <= suffixes
    assert ".parquet" not in suffixes


def test_what_is_no_reader_or_has_a_name_that_is_taken_is_left_out(install: Callable[..., None]) -> None:
    install(dataclasses.replace(OWN, name="tsv"), "no reader")
    with pytest.warns(plugins.PluginWarning) as caught:
        assert len(registry.readers()) == len(registry.built_in_readers())
    assert len(caught) == 2
