"""Is a damaged log read as what is in it? Small logs are written, damaged and read, and each row is compared.

    python benchmarks/fuzz_logs.py                                  # 20,000 inputs a container
    python benchmarks/fuzz_logs.py --inputs 2000 --only csv jsonl --keep found
    python benchmarks/fuzz_logs.py --only csv --number 1234         # one input, with what is wrong about it

An input is a log of 3 to 36 rows (utilisation with runs, layers, splits, gaps and further columns, or routing with
names of patterns that look like numbers, dates or missing values), written to a container and then changed by none to
four faults (``fuzz_inputs.py``): of rows and lines (left out, repeated, swapped, blank, cells without a number, headers
again or changed, restarts, a second training, rows in any order) or of bytes (bits, insertions, deletions, truncation,
zeros, two files spliced). Three in ten are read with an option. A *refusal* is the package's own error. All else is a
*disagreement*:

1. another exception, a warning, or anything printed;
2. an account that does not add up: counts, and rows behind the frame;
3. another number of rows than the bytes hold by a reader of their own (``fuzz_readers.py``), or another number of
   those that a reader leaves out by name;
4. a step, value or label that is not in the file, or a row of the file that is neither in the log nor superseded.

What can be known of damaged bytes differs. Text, JSON and TensorBoard's records are compared in full (a TensorBoard
value is the float32 that was stored). Where the pages of a Parquet file have no checksums, and in SQLite, damage may
change a value unseen: the reference reads the same bytes with Arrow or SQLite, a database only if SQLite's own check of
its integrity passes, so that what is compared is all that is done after it. Of a text log the lines are known that were
written on purpose; where there are others, only the number of lines and that step and value stand on one line are
compared. Which rows a restart makes void is taken from the log's own account (that each row that is missing has a
restart before it, or a later row of its step), not found again.

Columns of ``data/benchmarks/fuzz_logs.csv``: container, where the damage is (none, rows, bytes, both), inputs, read,
refused, disagreements, seed. Finished parts are kept in ``runs/fuzz_logs`` until the readers or these scripts change.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import shutil
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from command_line import positive_whole, run_script, whole
from fuzz_comparison import disagreements
from fuzz_inputs import CONTAINERS, Case, Fault, make
from fuzz_readers import Unreadable, read

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "data" / "benchmarks" / "fuzz_logs.csv"
PARTS = ROOT / "runs" / "fuzz_logs"
COLUMNS = ("container", "damage", "inputs", "read", "refused", "disagreements", "seed")
DAMAGE = ("none", "rows", "bytes", "both")
PART = 500
"""Inputs that are read at a time."""
SEED = 20261205


@contextmanager
def watched() -> Iterator[Any]:
    """What is printed meanwhile, by whatever means, in a file."""
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        sys.stderr.flush()
        kept = os.dup(1), os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        texts = io.TextIOWrapper(file, "utf-8", write_through=True)
        try:
            with redirect_stdout(texts), redirect_stderr(texts):
                yield file
        finally:
            texts.detach()
            for place, descriptor in enumerate(kept, 1):
                os.dup2(descriptor, place)
                os.close(descriptor)


def printed(file: Any) -> str:
    """What has been printed since the last time."""
    file.flush()
    if not os.fstat(file.fileno()).st_size:
        return ""
    text = os.pread(file.fileno(), 2000, 0).decode("utf-8", "replace")
    os.ftruncate(file.fileno(), 0)
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return text


def place(case: Case, folder: Path) -> None:
    """Write an input into a folder that is emptied before."""
    for old in folder.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    for name, data in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def check(case: Case, folder: Path, file: Any) -> tuple[str, list[str]]:
    """Read an input: ``"read"`` or ``"refused"``, and what is wrong about it."""
    from cogfit import read_log
    from cogfit.errors import CogfitError

    place(case, folder)
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            log = read_log(folder / case.target, **case.options)
        except CogfitError as error:
            log, refusal = None, str(error)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return "refused", ["".join(traceback.format_exception(error))[-1500:]]
        found += [f"warning: {warning.message}" for warning in caught]
    if text := printed(file):
        found.append(f"printed: {text}")
    if log is None:
        return "refused", [*found, f"refused: {refusal}"] if case.damage == "none" else found
    try:
        table = read(case, folder)
    except Unreadable as error:
        is_known = case.container != "mlflow" and case.target in case.files
        found += disagreements(log, None, case.options)
        return "read", [*found, f"read, although {error}"] if is_known else found
    return "read", found + disagreements(log, table, case.options)


def run_part(container: str, first: int, last: int, seed: int, keep: Path | None) -> dict[str, Any]:
    """Read some inputs; how many ended how, and which are in disagreement."""
    counts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    wrong = []
    with tempfile.TemporaryDirectory(dir=_memory()) as name, watched() as file:
        folder = Path(name)
        for number in range(first, last):
            case = make(container, number, seed)
            outcome, found = check(case, folder, file)
            counts[f"{case.damage} {outcome}"] += 1
            faults.update(f"{fault.name} {outcome}" for fault in {fault.name: fault for fault in case.faults}.values())
            if found:
                counts[f"{case.damage} disagreements"] += 1
                case, found = smallest(case, number, seed, folder, file, found)
                wrong.append({"number": number, "faults": [fault.name for fault in case.faults], "found": found})
                if keep is not None:
                    keep_input(case, number, found, keep)
    return {"counts": dict(counts), "faults": dict(faults), "wrong": wrong}


def smallest(case: Case, number: int, seed: int, folder: Path, file: Any, found: list[str]) -> tuple[Case, list[str]]:
    """The same input with as few faults as are still in disagreement."""
    faults: list[Fault] = list(case.faults)
    for fault in list(faults):
        fewer = make(case.container, number, seed, [other for other in faults if other is not fault])
        if still := check(fewer, folder, file)[1]:
            faults.remove(fault)
            case, found = fewer, still
    return case, found


def keep_input(case: Case, number: int, found: Sequence[str], keep: Path) -> None:
    """Keep the files of an input and what is wrong about it."""
    folder = keep / f"{case.container}_{number}"
    folder.mkdir(parents=True, exist_ok=True)
    place(case, folder)
    account = {"options": case.options, "target": case.target, "faults": [fault.name for fault in case.faults]}
    (folder / "found.json").write_text(json.dumps({**account, "found": found}, indent=1, ensure_ascii=False))


def _memory() -> str | None:
    """A folder in memory, if there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


# --- the study --------------------------------------------------------------------------------------------------------


def fingerprint() -> str:
    """Of everything that an outcome depends on."""
    files = [*sorted((ROOT / "cogfit" / "logs").rglob("*.py")), *sorted(Path(__file__).parent.glob("fuzz_*.py"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def study(containers: Sequence[str], inputs: int, seed: int, workers: int, keep: Path | None) -> list[dict[str, str]]:
    """Read all inputs, part by part, and return the rows of the table."""
    state = PARTS / f"{fingerprint()}-{seed}.jsonl"
    state.parent.mkdir(parents=True, exist_ok=True)
    done: dict[tuple[str, int, int], dict[str, Any]] = {}
    if state.is_file():
        for line in state.read_text(encoding="utf-8").splitlines():
            part = json.loads(line)
            done[part["container"], part["first"], part["last"]] = part
    todo = [(name, first, min(first + PART, inputs)) for name in containers for first in range(0, inputs, PART)]
    missing = [part for part in todo if part not in done]
    print(f"{len(todo)} parts of {PART} inputs, {len(missing)} to read", flush=True)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        jobs = {pool.submit(run_part, *part, seed, keep): part for part in missing}
        for number, job in enumerate(as_completed(jobs), 1):
            container, first, last = jobs[job]
            done[jobs[job]] = part = {"container": container, "first": first, "last": last, **job.result()}
            with state.open("a", encoding="utf-8") as file:
                file.write(json.dumps(part) + "\n")
            print(f"{number}/{len(missing)} {container} {first}–{last}: {len(part['wrong'])} disagreements", flush=True)
    parts = [done[part] for part in todo]
    for part in parts:
        for wrong in part["wrong"]:
            print(f"{part['container']} {wrong['number']} {wrong['faults']}: {wrong['found'][0][-300:]}")
    return [row for name in containers for row in rows([part for part in parts if part["container"] == name], seed)]


def rows(parts: Sequence[Mapping[str, Any]], seed: int) -> list[dict[str, str]]:
    """Rows of the table of one container."""
    counts = sum((Counter(part["counts"]) for part in parts), Counter[str]())
    found = []
    for damage in DAMAGE:
        outcomes = [counts[f"{damage} {outcome}"] for outcome in ("read", "refused", "disagreements")]
        cells = (parts[0]["container"], damage, outcomes[0] + outcomes[1], *outcomes, seed)
        found.append(dict(zip(COLUMNS, map(str, cells), strict=True)))
    faults = sum((Counter(part["faults"]) for part in parts), Counter[str]())
    names = sorted({name.rsplit(" ", 1)[0] for name in faults})
    shares = [f"{name} {faults[name + ' refused'] / (faults[name + ' read'] + faults[name + ' refused']):.0%}"
              for name in names]  # fmt: skip
    print(f"{parts[0]['container']}: refused with {', '.join(shares)}")
    return found


def write_table(new: Sequence[Mapping[str, str]], table: Path) -> None:
    """Put rows into the table, in place of earlier ones of these containers."""
    from cogfit.files import write_atomic

    kept: list[Mapping[str, str]] = []
    if table.is_file():
        names = {row["container"] for row in new}
        with table.open(encoding="utf-8", newline="") as file:
            kept = [row for row in csv.DictReader(file) if row["container"] not in names]
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(sorted([*kept, *new], key=lambda row: CONTAINERS.index(row["container"])))
    write_atomic(table, text.getvalue())


def show(container: str, number: int, seed: int, keep: Path | None) -> int:
    """One input and what is wrong about it."""
    case = make(container, number, seed)
    with tempfile.TemporaryDirectory(dir=_memory()) as name, watched() as file:
        folder = Path(name)
        outcome, found = check(case, folder, file)
        if found:
            case, found = smallest(case, number, seed, folder, file, found)
    print(f"{container} {number}: {outcome}, {case.options}, {[fault.name for fault in case.faults]}")
    for path, data in case.files.items():
        print(f"--- {path}\n{data.decode('utf-8', 'backslashreplace')}")
    print("\n".join(found) or "no disagreement")
    if keep is not None:
        keep_input(case, number, found, keep)
    return int(bool(found))


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=positive_whole, default=20_000, help="of each container (default 20,000)")
    parser.add_argument("--only", nargs="+", choices=CONTAINERS, default=CONTAINERS, metavar="CONTAINER")
    parser.add_argument("--seed", type=whole, default=SEED)
    parser.add_argument("--workers", type=positive_whole, default=2, help="processes (default 2)")
    parser.add_argument("--keep", type=Path, help="folder for inputs in disagreement")
    parser.add_argument("--number", type=whole, help="only this input of one container, shown in full")
    parser.add_argument("--out", type=Path, default=TABLE, help="table (default data/benchmarks/fuzz_logs.csv)")
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(ROOT))
    if options.number is not None:
        return max(show(name, options.number, options.seed, options.keep) for name in options.only)
    table = study(options.only, options.inputs, options.seed, options.workers, options.keep)
    write_table(table, options.out)
    return int(any(int(row["disagreements"]) for row in table))


if __name__ == "__main__":
    raise SystemExit(run_script(main))
