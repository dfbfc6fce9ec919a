"""Real learning curves: LCDB 1.0, fetched once and condensed.

Run: python benchmarks/lcdb.py
Error of 20 learners on 246 data sets against the number of training examples, mean over the seeds of the splits (Mohr,
Viering, Loog & van Rijn 2022, ECML PKDD: LCDB 1.0). The PyPI source distribution `lcdb` 0.1.0 (MIT, 68 MB) is fetched
by pip, checked against its SHA-256 and read without running any of it; the curves of twelve anchors or more stay in
runs/lcdb/curves.parquet (0.6 MB), which is not committed.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from command_line import parser_of
from numpy.typing import NDArray

from cogfit.files import write_atomic

CURVES = Path(__file__).resolve().parents[1] / "runs" / "lcdb" / "curves.parquet"
SHA256 = "450ea69b249866298653f718d66a825e3d19a4024dd4ff140b89f2e04d4777ae"
MEMBER = "lcdb-0.1.0/lcdb/database-accuracy.csv"
FEWEST = 12  # anchors of a curve


@dataclass(frozen=True)
class LearningCurve:
    """Error of one learner on one data set.

    Attributes
    ----------
    dataset : int
        OpenML identifier.
    learner : str
    size : ndarray, shape (n,)
        Training examples, rising.
    error : ndarray, shape (n,)
        Share of test examples that are classified wrongly, mean over seeds.
    """

    dataset: int
    learner: str
    size: NDArray[np.float64]
    error: NDArray[np.float64]


def learning_curves() -> list[LearningCurve]:
    """All curves, by learner and data set; fetched where they are not there yet."""
    if not CURVES.exists():
        condense(fetch())
    table = pq.read_table(CURVES)
    return list(_curves(table))


def fetch() -> Path:
    """Download the source distribution and check it; its path, in a folder that the system cleans up."""
    folder = Path(tempfile.mkdtemp(prefix="lcdb-"))
    print("fetching lcdb 0.1.0 (68 MB) ...", file=sys.stderr)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "--no-build-isolation", "--dest", str(folder), "lcdb==0.1.0"], check=True)
    path = folder / "lcdb-0.1.0.tar.gz"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256:
        raise SystemExit(f"{path} is not what was expected: SHA-256 {digest}")
    return path


def condense(archive: Path) -> None:
    """Average over seeds, keep curves of enough anchors, and write them."""
    with tarfile.open(archive) as files:
        member = files.extractfile(MEMBER)
        assert member is not None
        columns = ["openmlid", "learner", "size_train", "score_test"]
        rows = pa.csv.read_csv(member, convert_options=pa.csv.ConvertOptions(include_columns=columns))
    rows = rows.filter(pc.is_finite(rows["score_test"]))
    keys = ["learner", "openmlid", "size_train"]
    means = rows.group_by(keys).aggregate([("score_test", "mean")])
    counts = means.group_by(keys[:2]).aggregate([("size_train", "count")])
    counts = counts.filter(pc.greater_equal(counts["size_train_count"], FEWEST))
    kept = means.join(counts.select(keys[:2]), keys[:2], join_type="inner")
    error = pc.subtract(1.0, kept["score_test_mean"])
    kept = kept.append_column("error", error).drop_columns(["score_test_mean"])
    kept = kept.sort_by([(key, "ascending") for key in keys])
    sink = pa.BufferOutputStream()
    pq.write_table(kept, sink)
    CURVES.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(CURVES, sink.getvalue().to_pybytes())


def _curves(table: pa.Table) -> Iterator[LearningCurve]:
    learner = np.array(table["learner"].to_pylist())
    dataset = table["openmlid"].to_numpy()
    size, error = table["size_train"].to_numpy().astype(float), table["error"].to_numpy()
    begin = np.flatnonzero((learner[1:] != learner[:-1]) | (dataset[1:] != dataset[:-1])) + 1
    for part in np.split(np.arange(size.size), begin):
        yield LearningCurve(int(dataset[part[0]]), str(learner[part[0]]), size[part], error[part])


if __name__ == "__main__":
    parser_of(__doc__).parse_args()
    found = learning_curves()
    print(f"{len(found):,} curves of {FEWEST} anchors or more in {CURVES}")
