"""One log for each run, layer, head or pattern."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cogfit.errors import InputError
from cogfit.logs.model import GROUP_COLUMNS, Log


def split(log: Log, by: tuple[str, ...]) -> Iterator[tuple[dict[str, str], Log]]:
    """Yield (labels, log) for every value of the columns `by` (run, layer, head; pattern in routing logs)."""
    table = log.routing or log.utilization
    assert table is not None
    allowed = [c for c in GROUP_COLUMNS if c in table.frame] + (["pattern"] if log.routing else [])
    if not by:
        raise InputError("nothing to split by", hint="name one or more of " + (", ".join(allowed) or "no columns"))
    for name in by:
        if name not in allowed:
            have = ", ".join(allowed) or "none"
            raise InputError(f"the log has no column '{name}' to split by", path=log.path, hint=f"it has: {have}")
    frame = table.frame
    if "pattern" in by:
        frame = frame[frame["pattern"] >= 0]
    for key, part in frame.groupby(list(by), sort=True, observed=True):
        labels = {name: str(value) for name, value in zip(by, key, strict=True)}
        if "pattern" in labels and log.routing:
            labels["pattern"] = log.routing.pattern_names[int(labels["pattern"])]
        part = part.reset_index(drop=True)
        if log.routing:
            yield labels, replace(log, routing=replace(log.routing, frame=part), utilization=None)
        elif log.utilization:
            yield labels, replace(log, utilization=replace(log.utilization, frame=part))
