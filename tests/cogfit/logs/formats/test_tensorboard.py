"""TensorBoard reader, against TensorBoard's own accumulator with a size guidance of 0 (no subsampling)."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cogfit.errors import CogfitError, InputError
from cogfit.logs.formats import tensorboard
from cogfit.logs.formats.reader import HEAD_BYTES, Raw, ReadOptions
from cogfit.logs.formats.tensorboard import READER

pytest.importorskip("tensorboard", reason="needs the extra 'logs'")
zstandard = pytest.importorskip("zstandard", reason="needs the extra 'logs'")
google_crc32c = pytest.importorskip("google_crc32c", reason="needs the extra 'logs'")

from google.protobuf.message import DecodeError  # noqa: E402
from tensorboard.compat.proto.event_pb2 import Event, SessionLog  # noqa: E402
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata  # noqa: E402
from tensorboard.compat.proto.tensor_pb2 import TensorProto  # noqa: E402
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto  # noqa: E402

NAME = "events.out.tfevents.1700000000.host"


def masked(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def scalar(step: int, value: float, tag: str = "attention_utilization", wall_time: float = 0.0) -> bytes:
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
    return record(Event(wall_time=wall_time or 1.7e9 + step, step=step, summary=summary).SerializeToString())


def tensor(step: int, proto: TensorProto, tag: str = "u", plugin: str = "scalars") -> bytes:
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin))
    summary = Summary(value=[Summary.Value(tag=tag, tensor=proto, metadata=metadata)])
    return record(Event(wall_time=1.0, step=step, summary=summary).SerializeToString())


def version(wall_time: float = 1.7e9) -> bytes:
    return record(Event(wall_time=wall_time, file_version="brain.Event:2").SerializeToString())


def write(path: Path, *records: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(records))
    return path


def read(path: Path) -> Raw:
    return READER.read(path, ReadOptions())


def accumulated(path: Path) -> dict[str, list[tuple[int, float, float]]]:
    """(step, wall time, value) by tag, as TensorBoard itself sees them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    found = {}
    for tag in accumulator.Tags()["scalars"]:
        found[tag] = [(event.step, event.wall_time, event.value) for event in accumulator.Scalars(tag)]
    for tag in accumulator.Tags()["tensors"]:
        found[tag] = [
            (event.step, event.wall_time, make_ndarray(event.tensor_proto).item()) for event in accumulator.Tensors(tag)
        ]
    return found


def test_scalars_and_scalar_tensors_of_torch_equal_the_accumulator(tmp_path: Path) -> None:
    writer_module = pytest.importorskip("torch.utils.tensorboard", reason="needs the extra 'train'")
    writer = writer_module.SummaryWriter(str(tmp_path))
    rng = np.random.default_rng(0)
    for step in [*range(300), 10**6, 2**40]:
        writer.add_scalar("attention_utilization", rng.random(), step)
        writer.add_scalar("größe/β", rng.normal(), step, new_style=True)
        if step % 7 == 0:
            writer.add_scalar("loss", rng.normal(), step)
    writer.close()
    raw = read(tmp_path)
    expected = accumulated(tmp_path)
    assert set(expected) == set(raw.frame.columns) - {"step", "wall_time"}
    for tag, events in expected.items():
        mine = raw.frame[["step", tag]].dropna()
        assert mine["step"].tolist() == [step for step, _, _ in events]
        assert mine[tag].tolist() == [value for _, _, value in events]
    assert len(raw.frame) == 302
    assert raw.frame["wall_time"].tolist() == [time for _, time, _ in expected["attention_utilization"]]
    assert (raw.rows_read, raw.dropped, raw.notes) == (302, {}, ())
    assert raw.frame["step"].dtype == np.int64


@pytest.mark.slow
@pytest.mark.parametrize("chunk", [1, 100, 1 << 24])
def test_no_row_is_left_out_or_reordered_whatever_the_chunks(
    tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 12,000 values: more than the 10,000 that TensorBoard keeps by default.
    values = np.random.default_rng(1).random(12_000).astype(np.float32) if chunk > 1 else np.ones(50, np.float32)
    write(tmp_path / NAME, version(), *(scalar(step, float(value)) for step, value in enumerate(values)))
    monkeypatch.setattr(tensorboard, "CHUNK_BYTES", chunk)
    seen: list[tuple[int, int]] = []
    raw = READER.read(tmp_path / NAME, ReadOptions(progress=lambda done, total, _: seen.append((done, total))))
    np.testing.assert_array_equal(raw.frame["attention_utilization"], values.astype(float))
    np.testing.assert_array_equal(raw.frame["step"], np.arange(len(values)))
    size = (tmp_path / NAME).stat().st_size
    assert seen[-1] == (size, size)


@pytest.mark.parametrize(
    ("proto", "value"),
    [
        (TensorProto(dtype=1, float_val=[0.5]), 0.5),
        (TensorProto(dtype=2, double_val=[0.1]), 0.1),
        (TensorProto(dtype=3, int_val=[-7]), -7.0),
        (TensorProto(dtype=9, int64_val=[2**40]), 2.0**40),
        (TensorProto(dtype=10, bool_val=[True]), 1.0),
        (TensorProto(dtype=19, half_val=[0x3800]), 0.5),
        (TensorProto(dtype=14, half_val=[0x3F00]), 0.5),
        (TensorProto(dtype=1, tensor_content=struct.pack("<f", 0.25)), 0.25),
        (TensorProto(dtype=2, tensor_content=struct.pack("<d", 0.1)), 0.1),
        (TensorProto(dtype=19, tensor_content=np.float16(0.5).tobytes()), 0.5),
        (TensorProto(dtype=14, tensor_content=b"\x00\x3f"), 0.5),
        (TensorProto(dtype=6, tensor_content=b"\xff"), -1.0),
        (TensorProto(dtype=4, tensor_content=b"\xff"), 255.0),
    ],
)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_scalar_tensors_of_every_type(tmp_path: Path, proto: TensorProto, value: float, shape: tuple[int, ...]) -> None:
    proto.tensor_shape.CopyFrom(TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in shape]))
    raw = read(write(tmp_path / NAME, version(), tensor(3, proto)))
    assert raw.frame[["step", "u"]].values.tolist() == [[3, value]]


@pytest.mark.parametrize("data_class", [0, 1])
@pytest.mark.parametrize(
    "proto",
    [
        None,
        TensorProto(dtype=1, float_val=[0.5]),
        TensorProto(dtype=1, float_val=[0.5], tensor_shape=TensorShapeProto()),
        TensorProto(dtype=1, tensor_content=struct.pack("<f", 0.5), tensor_shape=TensorShapeProto()),
    ],
)
def test_what_torch_and_tensorflow_write_takes_the_fast_way(
    tmp_path: Path, proto: TensorProto | None, data_class: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"), data_class=data_class)
    value = Summary.Value(tag="u", simple_value=0.5)
    if proto is not None:
        value = Summary.Value(tag="u", tensor=proto, metadata=metadata)
    data = Event(wall_time=1.0, step=300, summary=Summary(value=[value])).SerializeToString()
    path = write(tmp_path / NAME, record(data))
    # Without the slow way, which would find nothing now, the value must still be there.
    monkeypatch.setattr(tensorboard, "_decode_any", lambda records, which, *rest: (tensorboard.join([]), which[:0]))
    assert read(path).frame.to_dict("list") == {"step": [300], "u": [0.5], "wall_time": [1.0]}


@pytest.mark.parametrize("kept", range(1, 25))
def test_tensors_near_the_usual_shape_are_decoded_as_protobuf_says(tmp_path: Path, kept: int) -> None:
    # Whatever byte of a usual record differs, our own decoding must agree with the generated class.
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"), data_class=1)
    proto = TensorProto(dtype=1, tensor_shape=TensorShapeProto(), tensor_content=struct.pack("<f", 0.5))
    value = Summary.Value(tag="u", tensor=proto, metadata=metadata)
    data = Event(wall_time=1.0, step=300, summary=Summary(value=[value])).SerializeToString()
    changed = bytearray(data)
    changed[-kept] ^= 0x01
    try:
        event = Event.FromString(bytes(changed))
        expected = [
            (event.step, struct.unpack("<f", item.tensor.tensor_content)[0])
            for item in event.summary.value
            if item.tensor.dtype == 1
            and item.metadata.plugin_data.plugin_name in ("", "scalars")
            and len(item.tensor.tensor_content) == 4
        ]
    except DecodeError:
        expected = []
    raw = read(write(tmp_path / NAME, version(), scalar(1, 0.25, "other"), record(data), record(bytes(changed))))
    found = [
        (step, value) for tag in raw.frame.columns[1:-1] for step, value in raw.frame[["step", tag]].dropna().values
    ]
    assert sorted(found) == sorted([(1, 0.25), (300, 0.5), *expected])


def test_what_is_no_scalar_is_left_out_and_counted(tmp_path: Path) -> None:
    vector = TensorProto(dtype=1, float_val=[1, 2], tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=2)]))
    histogram = Summary(value=[Summary.Value(tag="h", histo=HistogramProto(num=1))])
    raw = read(
        write(
            tmp_path / NAME,
            version(),
            record(Event(step=1, session_log=SessionLog(status=SessionLog.START)).SerializeToString()),
            tensor(1, vector, "vector"),
            tensor(1, TensorProto(dtype=7, string_val=[b"hello"]), "text", "text"),
            tensor(1, TensorProto(dtype=1, float_val=[1.0]), "parameters", "hparams"),
            record(Event(step=1, summary=histogram).SerializeToString()),
            scalar(1, 0.5, wall_time=5.0),
        )
    )
    assert raw.frame.to_dict("list") == {"step": [1], "attention_utilization": [0.5], "wall_time": [5.0]}
    assert len(raw.notes) == 1
    assert raw.notes[0].startswith("4 summaries are no scalars")


def test_unusual_events_go_the_long_way_and_keep_their_place(tmp_path: Path) -> None:
    two = Summary(value=[Summary.Value(tag="a", simple_value=1.0), Summary.Value(tag="b", simple_value=2.0)])
    records = [
        scalar(0, 0.25, "a"),  # protobuf leaves out a step of 0
        scalar(5, 0.5, "a"),
        record(Event(wall_time=1.0, step=3, summary=two).SerializeToString()),
        scalar(-1, 0.75, "a"),  # a varint of ten bytes
        scalar(4, 0.125, "a" * 300),
        scalar(2**62, float("nan"), "b"),
    ]
    frame = read(write(tmp_path / NAME, version(), *records)).frame
    assert frame["step"].tolist() == [0, 5, 3, -1, 4, 2**62]
    np.testing.assert_array_equal(frame["a"], [0.25, 0.5, 1.0, 0.75, np.nan, np.nan])
    np.testing.assert_array_equal(frame["b"], [np.nan, np.nan, 2.0, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(frame["a" * 300], [np.nan] * 4 + [0.125, np.nan])


def test_a_step_logged_again_opens_another_row_further_down(tmp_path: Path) -> None:
    records = [scalar(step, value) for step, value in [(1, 0.5), (2, 0.25), (3, 0.125), (2, 0.75), (3, 1.0)]]
    frame = read(write(tmp_path / NAME, version(), *records)).frame
    assert frame["step"].tolist() == [1, 2, 3, 2, 3]
    assert frame["attention_utilization"].tolist() == [0.5, 0.25, 0.125, 0.75, 1.0]


def test_a_resumed_run_shares_no_rows_with_what_it_supersedes(tmp_path: Path) -> None:
    # Named so that the order of names is not the order of time.
    write(
        tmp_path / "events.out.tfevents.999.host",
        version(999.0),
        *(scalar(1, 0.5), scalar(1, 3.0, "loss"), scalar(2, 0.25), scalar(2, 2.0, "loss"), scalar(3, 9.0, "loss")),
    )
    write(
        tmp_path / "events.out.tfevents.1000.host",
        version(1000.0),
        *(scalar(2, 0.75), scalar(2, 2.5, "loss"), scalar(3, 1.0), scalar(3, 1.5, "loss")),
    )
    frame = read(tmp_path).frame
    assert frame["step"].tolist() == [1, 2, 3, 2, 3]
    # The old loss of step 3 must not end up in the row of the new utilisation.
    np.testing.assert_array_equal(frame["attention_utilization"], [0.5, 0.25, np.nan, 0.75, 1.0])
    np.testing.assert_array_equal(frame["loss"], [3.0, 2.0, 9.0, 2.5, 1.5])
    assert "run" not in frame


def test_two_writers_side_by_side_share_rows(tmp_path: Path) -> None:
    write(tmp_path / f"{NAME}.1", version(1.0), scalar(1, 0.5), scalar(2, 0.25))
    write(tmp_path / f"{NAME}.2", version(2.0), scalar(2, 2.0, "loss"), scalar(3, 1.0, "loss"))
    frame = read(tmp_path).frame
    assert frame["step"].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(frame["loss"], [np.nan, 2.0, 1.0])


def test_nested_folders_are_runs(tmp_path: Path) -> None:
    write(tmp_path / NAME, version(), scalar(1, 0.5))
    write(tmp_path / "b" / "seed 1" / NAME, version(), scalar(1, 0.25), scalar(2, 0.125))
    write(tmp_path / "a" / NAME, version(), scalar(7, 0.75))
    (tmp_path / "a" / "notes.txt").write_text("nothing")
    frame = read(tmp_path).frame
    assert frame[["run", "step", "attention_utilization"]].values.tolist() == [
        [".", 1, 0.5],
        ["a", 7, 0.75],
        ["b/seed 1", 1, 0.25],
        ["b/seed 1", 2, 0.125],
    ]


def test_tags_that_clash_with_own_columns_are_kept_under_another_name(tmp_path: Path) -> None:
    raw = read(write(tmp_path / NAME, version(), scalar(3, 7.0, "step"), scalar(3, 0.5)))
    assert raw.frame["step"].tolist() == [3]
    assert raw.frame["step (logged)"].tolist() == [7.0]
    assert "'step (logged)'" in raw.notes[0]


# --- restarts that the files declare ----------------------------------------------------------------------------------


def start(step: int) -> bytes:
    return record(
        Event(wall_time=1.7e9, step=step, session_log=SessionLog(status=SessionLog.START)).SerializeToString()
    )


def surviving(raw: Raw) -> dict[str, list[tuple[int, float]]]:
    """(step, value) by tag without what the declared restarts void, sorted."""
    step, kept = raw.frame["step"].to_numpy(), np.ones(len(raw.frame), bool)
    for restart in raw.restarts:
        kept[restart.first : restart.row] &= step[restart.first : restart.row] < restart.step
    frame = raw.frame[kept].drop(columns=["wall_time", "run"], errors="ignore").set_index("step")
    found = {str(tag): sorted(frame[tag].dropna().items()) for tag in frame}
    return {tag: values for tag, values in found.items() if values}  # type: ignore[misc]


def kept_by_tensorboard(path: Path) -> dict[str, list[tuple[int, float]]]:
    found = {tag: sorted((step, value) for step, _, value in rows) for tag, rows in accumulated(path).items()}
    return {tag: values for tag, values in found.items() if values}


def test_purge_step_of_torch_voids_what_tensorboard_purges(tmp_path: Path) -> None:
    writer_module = pytest.importorskip("torch.utils.tensorboard", reason="needs the extra 'train'")
    for number, (purge, steps) in enumerate([(None, range(1, 40)), (20, range(20, 60)), (55, range(55, 70))]):
        writer = writer_module.SummaryWriter(str(tmp_path), purge_step=purge, filename_suffix=f".{number}")
        for step in steps:
            writer.add_scalar("loss", step + number / 8, step)
        writer.close()
        next(tmp_path.glob(f"*.{number}")).rename(tmp_path / f"events.out.tfevents.{100 + number}.host")
    raw = read(tmp_path)
    assert surviving(raw) == kept_by_tensorboard(tmp_path)
    assert len(raw.frame) == 39 + 40 + 15  # nothing is left out by the reader itself
    assert [(restart.row, restart.step) for restart in raw.restarts] == [(39, 20.0), (79, 55.0)]


@pytest.mark.slow
@settings(max_examples=150)
@given(
    files=st.lists(
        st.lists(
            st.one_of(
                st.tuples(st.just("start"), st.integers(-1, 8)),
                st.tuples(st.sampled_from(["loss", "acc", "attention_utilization"]), st.integers(-1, 9)),
            ),
            max_size=14,
        ),
        min_size=1,
        max_size=4,
    ),
    chunk=st.sampled_from([60, 1 << 24]),
)
def test_restarts_void_what_tensorboard_purges(
    files: list[list[tuple[str, int]]], chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("events")
    value = 0.0
    for number, events in enumerate(files):
        records = [version(1e9 + number)]
        for what, step in events:
            value += 0.25
            records.append(start(step) if what == "start" else scalar(step, value, what, 1e9 + number))
        write(folder / f"events.out.tfevents.{100 + number}.host", *records)
    expected = kept_by_tensorboard(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensorboard, "CHUNK_BYTES", chunk)
        if any(what != "start" for events in files for what, _ in events):
            assert surviving(read(folder)) == expected
        else:
            with pytest.raises(InputError, match="holds no scalar"):
                read(folder)


def test_values_on_the_two_sides_of_a_restart_never_share_a_row(tmp_path: Path) -> None:
    # other names and other steps after the restart: nothing but the session log tells that training went on
    write(tmp_path / NAME, version(), scalar(1, 0.5), scalar(2, 0.25), start(2), scalar(2, 3.0, "loss"))
    raw = read(tmp_path)
    assert raw.frame["step"].tolist() == [1, 2, 2]
    assert surviving(raw) == {"attention_utilization": [(1, 0.5)], "loss": [(2, 3.0)]}


def test_a_restart_voids_rows_of_its_own_run_only(tmp_path: Path) -> None:
    write(tmp_path / "a" / NAME, version(), scalar(1, 0.5), scalar(2, 0.25), start(2))  # nothing logged since
    write(tmp_path / "b" / NAME, version(), scalar(1, 0.5), scalar(2, 0.25), start(1), scalar(1, 0.75))
    raw = read(tmp_path)
    assert [(restart.first, restart.row, restart.step) for restart in raw.restarts] == [(0, 2, 2.0), (2, 4, 1.0)]
    assert surviving(raw)["attention_utilization"] == [(1, 0.5), (1, 0.75)]


def test_session_logs_of_files_without_version_declare_nothing(tmp_path: Path) -> None:
    raw = read(write(tmp_path / NAME, scalar(1, 0.5), scalar(2, 0.25), start(1), scalar(3, 0.125)))
    assert raw.restarts == ()
    assert surviving(raw) == kept_by_tensorboard(tmp_path)


# --- damage -----------------------------------------------------------------------------------------------------------


def test_a_truncated_last_record_is_counted(tmp_path: Path) -> None:
    whole = version() + scalar(1, 0.5) + scalar(2, 0.25)
    last = len(scalar(2, 0.25))
    for cut in (1, 4, last - 12, last - 5, last - 1):
        raw = read(write(tmp_path / NAME, whole[:-cut]))
        assert raw.frame["step"].tolist() == [1]
        assert raw.dropped == {"truncated last record": 1}
        assert raw.rows_read == 2


def test_damaged_data_cost_one_record(tmp_path: Path) -> None:
    middle = bytearray(scalar(2, 0.25))
    middle[-6] ^= 1  # within the value
    raw = read(write(tmp_path / NAME, version(), scalar(1, 0.5), bytes(middle), scalar(3, 0.125)))
    assert raw.frame["step"].tolist() == [1, 3]
    assert raw.frame["attention_utilization"].tolist() == [0.5, 0.125]
    assert raw.dropped == {"damaged record": 1}


def test_right_checksums_around_nonsense_cost_one_record(tmp_path: Path) -> None:
    raw = read(write(tmp_path / NAME, version(), record(b"\xff" * 20), record(b""), scalar(3, 0.125)))
    assert raw.frame["step"].tolist() == [3]
    assert raw.dropped == {"damaged record": 1}


def test_a_tag_that_is_no_text_is_damage(tmp_path: Path) -> None:
    bad = scalar(2, 0.25, "abcdef")[12:-4].replace(b"abcdef", b"abc\xffef")
    raw = read(write(tmp_path / NAME, version(), scalar(1, 0.5), record(bad)))
    assert raw.frame.columns.tolist() == ["step", "attention_utilization", "wall_time"]
    assert raw.dropped == {"damaged record": 1}


def test_a_damaged_length_ends_the_file_and_says_what_is_lost(tmp_path: Path) -> None:
    second = bytearray(scalar(2, 0.25))
    second[0] ^= 1
    third = scalar(3, 0.125)
    raw = read(write(tmp_path / NAME, version(), scalar(1, 0.5), bytes(second), third))
    assert raw.frame["step"].tolist() == [1]
    assert raw.dropped == {"damaged record": 1}
    assert f"{len(second) + len(third)} bytes" in raw.notes[0]


@pytest.mark.parametrize("length", [2**31, 2**63, 2**64 - 1])
def test_a_length_beyond_the_file_allocates_nothing(tmp_path: Path, length: int) -> None:
    import tracemalloc

    header = struct.pack("<Q", length)
    path = write(tmp_path / NAME, version(), scalar(1, 0.5), header, masked(header), b"abc")
    read(path)  # imports
    tracemalloc.start()
    raw = read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
    assert raw.frame["step"].tolist() == [1]
    assert raw.dropped == {"truncated last record": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"abc", "no complete"),
        (bytes(1000), "no valid"),
        (b"PAR1" + bytes(range(256)) * 10, "no valid"),
        (version(), "holds no scalar"),
        (version()[:-3], "no complete"),
        (struct.pack("<Q", 2**31) + b"\0" * 4, "no valid"),
    ],
)
def test_files_without_anything_are_input_errors(tmp_path: Path, content: bytes, message: str) -> None:
    path = write(tmp_path / NAME, content)
    for target in (path, tmp_path):
        with pytest.raises(InputError, match=message) as caught:
            read(target)
        assert caught.value.path == target
        assert caught.value.hint


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_compressed_event_file_is_read_like_any_other(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    data = version() + scalar(1, 0.5) + scalar(2, 0.25)
    expected = read(write(tmp_path / "plain" / NAME, data))
    path = write(tmp_path / "packed" / f"{NAME}.gz", pack(data))
    for place in (path, path.parent):
        pd.testing.assert_frame_equal(read(place).frame, expected.frame)
    with pytest.raises(InputError, match="decompresses to more than 100 bytes"):
        READER.read(path, ReadOptions(max_bytes=100))


def test_a_damaged_compressed_event_file_does_not_hide_others(tmp_path: Path) -> None:
    write(tmp_path / NAME, version(), scalar(1, 0.5))
    write(tmp_path / f"{NAME}.1.gz", gzip.compress(version() + scalar(2, 0.5) * 99)[:-20])
    raw = read(tmp_path)
    assert raw.frame["step"].tolist() == [1]
    assert "cannot be read" in raw.notes[0]


def test_missing_files_and_empty_folders_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / NAME)
    with pytest.raises(InputError, match="no TensorBoard event file"):
        read(tmp_path)


def test_one_bad_file_in_a_folder_does_not_hide_the_good_one(tmp_path: Path) -> None:
    write(tmp_path / f"{NAME}.1", b"")
    write(tmp_path / f"{NAME}.2", version(), scalar(1, 0.5))
    raw = read(tmp_path)
    assert raw.frame["step"].tolist() == [1]
    assert raw.notes == (f"{NAME}.1 holds no complete record",)


def test_a_table_that_would_be_too_large_wants_a_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cogfit.logs.formats.wide.MAX_CELLS", 100)
    path = write(tmp_path / NAME, version(), *(scalar(step, 0.5, f"tag{step}") for step in range(1, 21)))
    with pytest.raises(InputError, match="--y"):
        read(path)
    raw = READER.read(path, ReadOptions(y="tag3"))
    assert raw.frame.columns.tolist() == ["step", "tag3", "wall_time"]
    assert raw.notes


# --- recognition ------------------------------------------------------------------------------------------------------


def test_recognition_by_name_by_content_and_of_folders(tmp_path: Path) -> None:
    assert READER.recognise(tmp_path / NAME, b"")
    assert READER.recognise(tmp_path / "renamed.bin", version() + scalar(1, 0.5))
    assert not READER.recognise(tmp_path / "renamed.bin", b"step,attention_utilization\n1,0.5\n")
    assert not READER.recognise(tmp_path / "tfevents-export.csv", b"step,attention_utilization\n")
    damaged = bytearray(version())
    damaged[8] ^= 1
    assert not READER.recognise(tmp_path / "renamed.bin", bytes(damaged))
    assert not READER.recognise(tmp_path, b"")
    write(tmp_path / "deep" / "er" / NAME, version())
    assert READER.recognise(tmp_path, b"")


@given(st.binary(max_size=200))
@settings(deadline=None, derandomize=True)
def test_recognition_never_raises(head: bytes) -> None:
    assert READER.recognise(Path("x.bin"), head[:HEAD_BYTES]) in (True, False)


# --- fuzz -------------------------------------------------------------------------------------------------------------

STEPS = 12
CONTENT = version() + b"".join(
    scalar(step, 1 / (step + 2), tag, wall_time=float(step))
    if step % 3
    else tensor(step, TensorProto(dtype=2, double_val=[step / 8]), tag)
    for step in range(STEPS)
    for tag in ("attention_utilization", "loss")
)


def truth() -> dict[tuple[str, int], float]:
    values = {}
    for tag in ("attention_utilization", "loss"):
        for step in range(STEPS):
            values[tag, step] = float(np.float32(1 / (step + 2))) if step % 3 else step / 8
    return values


@pytest.mark.slow
@given(
    flips=st.lists(st.tuples(st.integers(0, len(CONTENT) - 1), st.integers(1, 255)), min_size=1, max_size=6),
    cut=st.integers(0, len(CONTENT)),
)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_no_damage_escapes_or_changes_a_surviving_value(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[int, int]], cut: int
) -> None:
    content = bytearray(CONTENT)
    for position, mask in flips:
        content[position] ^= mask
    keep = bytes(content[:cut] if cut % 2 else content)
    path = write(tmp_path_factory.getbasetemp() / "fuzz" / NAME, keep)
    try:
        raw = read(path)
    except CogfitError:
        return
    expected = truth()
    survivors = 0
    for tag in {"attention_utilization", "loss"} & set(raw.frame.columns):
        for step, value in raw.frame[["step", tag]].dropna().itertuples(index=False):
            assert expected[tag, step] == value
            survivors += 1
    assert set(raw.frame.columns) <= {"step", "wall_time", "attention_utilization", "loss"}
    assert survivors == len(expected) or raw.dropped or len(keep) < len(CONTENT)
    assert raw.rows_read == len(raw.frame) + sum(raw.dropped.values())


@given(st.binary(max_size=400))
@settings(deadline=None, derandomize=True)
def test_any_event_with_right_checksums_is_read_or_dropped(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "fuzz" / NAME, version(), scalar(1, 0.5), record(b"\x09" + data))
    frame = read(path).frame
    assert frame.loc[0, "attention_utilization"] == 0.5


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63), 2**63 - 1),
            st.floats(width=32),
            st.floats(),
            st.text(max_size=20),
        ),
        min_size=1,
        max_size=10,
    )
)
@settings(deadline=None, derandomize=True)
def test_every_scalar_event_survives_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, float, float, str]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz" / NAME
    records = [
        record(
            Event(
                wall_time=time, step=step, summary=Summary(value=[Summary.Value(tag=f"tag {tag}", simple_value=value)])
            ).SerializeToString()
        )
        for step, value, time, tag in events
    ]
    frame = read(write(path, version(), *records)).frame
    for tag in {tag for *_, tag in events}:
        written = [(step, value) for step, value, _, other in events if other == tag]
        column = frame[["step", f"tag {tag}"]]
        for step in {step for step, _ in written}:
            mine = column.loc[column["step"] == step, f"tag {tag}"].tolist()
            theirs = [value for other, value in written if other == step]
            assert [v for v in mine if v == v] == [v for v in theirs if v == v]


def test_the_frame_is_a_plain_numeric_table(tmp_path: Path) -> None:
    frame = read(write(tmp_path / NAME, version(), scalar(1, 0.5), scalar(2, 0.25))).frame
    pd.testing.assert_frame_equal(
        frame,
        pd.DataFrame({"step": [1, 2], "attention_utilization": [0.5, 0.25], "wall_time": [1.7e9 + 1, 1.7e9 + 2]}),
    )
