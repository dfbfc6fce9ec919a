"""Routing logs of simulated routers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from theory.tasks.retrieval import Run

WriteLog = Callable[..., Path]


@pytest.fixture
def write_log(tmp_path: Path) -> WriteLog:
    """Write streams as the runs of a routing log; queries without pattern number ``novel`` and above are novel."""

    def write(run: Run, name: str = "routing.csv", novel: int | None = None, correct: bool = True) -> Path:
        lines = ["run,step,pattern,attended" + ",correct" * correct]
        for stream, t in np.argwhere(run.queries > 0).tolist():
            z = int(run.queries[stream, t])
            pattern = "" if novel is not None and z >= novel else str(z)
            row = [stream, t, pattern, int(run.attended[stream, t]), int(not run.error[stream, t])]
            lines.append(",".join(map(str, row[: 4 + correct])))
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write
