"""Time the reading of a TensorBoard event file by cogfit, tbparse and TensorBoard's own accumulator.

Run ``python benchmarks/tensorboard_reading.py`` (``--help`` for the options). All readers read the same file in the
same process, after a warm-up on a small file; the best of the repetitions counts. Their values must be equal.
"""

from __future__ import annotations

import argparse
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from command_line import positive_number, positive_whole, run_script

TAGS = ("attention_utilization", "loss", "train/grad_norm", "lr")


def write(folder: Path, n: int, *, tensors: bool) -> None:
    """Write n scalars: as TensorBoard and torch do by default, or as scalar tensors like TensorFlow 2."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.plugins.scalar.metadata import create_summary_metadata
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    metadata = create_summary_metadata("", "")
    writer = EventFileWriter(str(folder), max_queue_size=10_000, flush_secs=600)
    rng = np.random.default_rng(0)
    for i, number in enumerate(rng.random(n).astype(np.float32).tolist()):
        tag = TAGS[i % len(TAGS)]
        if tensors:
            content = struct.pack("<f", number)
            tensor = TensorProto(dtype=1, tensor_shape=TensorShapeProto(), tensor_content=content)
            value = Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
        else:
            value = Summary.Value(tag=tag, simple_value=number)
        event = Event(wall_time=1.7e9 + 0.01 * i, step=i // len(TAGS), summary=Summary(value=[value]))
        writer.add_event(event)
    writer.close()


def by_cogfit(folder: Path) -> pd.DataFrame:
    from cogfit.logs.formats.reader import ReadOptions
    from cogfit.logs.formats.tensorboard import READER

    return READER.read(folder, ReadOptions()).frame


def by_tbparse(folder: Path) -> pd.DataFrame:
    from tbparse import SummaryReader

    reader = SummaryReader(str(folder), event_types={"scalars", "tensors"})
    return reader.scalars if len(reader.scalars) else reader.tensors


def by_accumulator(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    accumulator.Reload()
    values = {tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}
    for tag in accumulator.Tags()["tensors"]:
        values[tag] = [(e.step, make_ndarray(e.tensor_proto).item()) for e in accumulator.Tensors(tag)]
    return values


def check_same(ours: pd.DataFrame, tbparse: pd.DataFrame, accumulated: dict[str, list[tuple[int, float]]]) -> None:
    for tag in TAGS:
        frame = ours[["step", tag]].dropna()
        theirs = tbparse[tbparse["tag"] == tag]
        steps, values = (np.array(column) for column in zip(*accumulated[tag], strict=True))
        np.testing.assert_array_equal(frame["step"], steps)
        np.testing.assert_array_equal(frame[tag], values)
        np.testing.assert_array_equal(frame["step"], theirs["step"])
        np.testing.assert_array_equal(frame[tag], theirs["value"].astype(float))


def check_damage(folder: Path) -> None:
    """Change one byte of a value in a copy of the log: the reader must report a damaged record."""
    from cogfit.logs.formats.reader import ReadOptions
    from cogfit.logs.formats.tensorboard import DAMAGED, READER

    with tempfile.TemporaryDirectory() as temporary:
        file = next(folder.glob("events*"))
        data = bytearray(file.read_bytes())
        data[-6] ^= 1  # in the last value: four bytes of checksum follow
        Path(temporary, file.name).write_bytes(data)
        assert READER.read(Path(temporary), ReadOptions()).dropped[DAMAGED] == 1


def best_time(function: Callable[[Path], object], folder: Path, repetitions: int) -> tuple[float, object]:
    times = []
    result: object = None
    for _ in range(repetitions):
        start = time.perf_counter()
        result = function(folder)
        times.append(time.perf_counter() - start)
    return min(times), result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=positive_whole, nargs="+", default=[200_000, 1_000_000], help="numbers of scalars")
    parser.add_argument("--repetitions", type=positive_whole, default=1, help="best of how many")
    parser.add_argument(
        "--require", type=positive_number, default=4.0, help="fail below this ratio of tbparse's time to ours"
    )
    arguments = parser.parse_args()
    readers: dict[str, Callable[[Path], object]] = {
        "cogfit": by_cogfit,
        "tbparse": by_tbparse,
        "EventAccumulator": by_accumulator,
    }
    worst = float("inf")
    print(f"{'kind':<15}{'scalars':>10}  {'reader':<18}{'seconds':>9}{'time / ours':>13}")
    with tempfile.TemporaryDirectory() as temporary:
        for tensors in (False, True):
            kind = "scalar tensors" if tensors else "simple values"
            warm_up = Path(temporary, kind, "warm-up")
            write(warm_up, 100, tensors=tensors)
            for reader in readers.values():
                reader(warm_up)
            for n in arguments.n:
                folder = Path(temporary, kind, str(n))
                write(folder, n, tensors=tensors)
                timed = {name: best_time(reader, folder, arguments.repetitions) for name, reader in readers.items()}
                ours = timed["cogfit"][0]
                for name, (seconds, _) in timed.items():
                    print(f"{kind:<15}{n:>10,}  {name:<18}{seconds:>9.3f}{seconds / ours:>12.1f}×", flush=True)
                check_same(*(result for _, result in timed.values()))  # type: ignore[arg-type]
                worst = min(worst, timed["tbparse"][0] / ours)
    print(f"values equal; smallest ratio to tbparse {worst:.1f}")
    return 0 if worst >= arguments.require else 1


if __name__ == "__main__":
    raise SystemExit(run_script(main))
