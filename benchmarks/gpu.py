"""Everything that runs on a CUDA device, run once: does it work, are the answers the processor's, how fast is it.

    python benchmarks/gpu.py                             # all parts, at most five minutes on one card
    python benchmarks/gpu.py --parts batch training      # some of them
    python benchmarks/gpu.py --device cpu                # all of it small on the processor, to check the script

| part | what |
|---|---|
| tests | the tests that are skipped where there is no CUDA device |
| batch | `fit_many(device="cuda")` beside the processor: minima of every form, and the rate up to 10⁶ curves |
| tensors | tensors of the device as arguments of `fit`, `fit_many` and `UtilizationLogger` |
| ensembles | stacks of 256 models beside the same models one by one, and `train_many` |
| training | a step of CRAM at N = 2048 beside the processor, and of every other model |
| redundancy | R of a byte-level GPT-2 beside the processor, and its training |

Needed are torch ≥ 2.3 and `pip install -e .`; what else a part needs and does not find, it names. Each part runs in a
process of its own with a limit of time: what one of them breaks or does not finish, the others do not lose. One table
is printed, and after each part ``data/benchmarks/gpu.json`` is written anew (``runs/gpu_cpu.json`` for the processor),
with device, driver, versions and commit; parts that were run before on the same device and commit stay in it. The exit
status is 1 if a part fails, differs or runs out of time, and 2 if there is no device.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from command_line import positive_number, run_script

ROOT = Path(__file__).resolve().parents[1]
SECONDS = {
    "tests": 60,
    "batch": 80,
    "tensors": 20,
    "ensembles": 45,
    "training": 35,
    "redundancy": 30,
    "language-model": 30,
}
"""Limit of each part; together five minutes."""
COMMAND = "make benchmark-gpu"
LIBRARIES = ("cogfit", "torch", "numpy", "scipy", "pandas", "transformers")


def run_part(command: Sequence[str], rows: Path, seconds: float) -> dict[str, Any]:
    """Run a part in a process of its own: how it ended, and its lines, as far as it came.

    Parameters
    ----------
    command : sequence of str
    rows : Path
        The file that the process writes its lines to, and how it ended.
    seconds : float
        After these it is ended, with all processes that it began.
    """
    begin, out_of_time = time.perf_counter(), False
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen(
            command, stdout=printed, stderr=subprocess.STDOUT, cwd=ROOT, env=environment(), start_new_session=True
        )
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            out_of_time = True
        finally:
            end(process)
        printed.seek(0)
        last = printed.read()[-2000:]
    written = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()] if rows.is_file() else []
    ended = next((entry["end"] for entry in written if "end" in entry), None)
    if out_of_time:
        ended = {"state": "out of time", "message": f"ended after {seconds:.0f} s"}
    elif ended is None:  # it was killed, or the interpreter itself broke
        ended = {"state": "failed", "message": f"exit status {process.returncode}"}
    found = {**ended, "seconds": time.perf_counter() - begin, "lines": [e["line"] for e in written if "line" in e]}
    if ended["state"] in ("failed", "out of time"):
        found["printed"] = last
    return found


def environment() -> dict[str, str]:
    """Variables for a part: this repository first, and what deterministic matrix products ask for."""
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "PYTHONPATH": path, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process and those that it began."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass
    process.wait()


def about(device: str) -> dict[str, Any]:
    """Device, driver, versions and commit."""
    import torch

    found: dict[str, Any] = {"device": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    if device == "cuda":
        card = torch.cuda.get_device_properties(0)
        found |= {
            "device": card.name,
            "memory_gib": round(card.total_memory / 2**30, 1),
            "capability": f"{card.major}.{card.minor}",
            "devices": torch.cuda.device_count(),
        }
    return {
        **found,
        "driver": driver(),
        "cuda": torch.version.cuda,
        "machine": platform.platform(),
        "versions": {"python": platform.python_version(), **{name: version_of(name) for name in LIBRARIES}},
        "commit": commit(),
    }


def version_of(name: str) -> str:
    """Version of a library, and that it is not installed where it is not."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def output_of(*command: str) -> str | None:
    """What a command prints; None where there is none, or it fails."""
    path = shutil.which(command[0])
    if path is None:
        return None
    try:
        done = subprocess.run([path, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def driver() -> str | None:
    """Version of the driver, as its own tool tells it."""
    told = output_of("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return told.splitlines()[0] if told else None


def commit() -> str | None:
    """Revision of the source, with "+" where it was changed; None outside of a checkout."""
    revision, changed = output_of("git", "rev-parse", "HEAD"), output_of("git", "status", "--porcelain", "-uno")
    return revision + ("+" if changed else "") if revision else None


# ----------------------------------------------------------------------------------------------------------- table


def has_passed(part: Mapping[str, Any]) -> bool:
    """Whether a part ran to its end and every answer agreed."""
    return part["state"] == "done" and all(line["holds"] is not False for line in part["lines"])


def table(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """The table in Markdown: all lines, and how each part ended."""
    rows = ["| part | what | measured | beside | its time / ours | agreement |", "|---|---|---|---|---|---|"]
    for name, part in parts.items():
        for line in part["lines"]:
            unit, beside = line["unit"], line["beside"]
            value = "" if line["value"] is None else f"{number(line['value'])} {unit}"
            other = "" if line["beside_value"] is None else f"{beside}: {number(line['beside_value'])} {unit}"
            faster = "" if line["times_faster"] is None else f"{number(line['times_faster'])} ×"
            said = {True: "yes: ", False: "**no**: ", None: ""}[line["holds"]] + line["agreement"]
            rows.append(f"| {name} | {line['what']} | {value} | {other} | {faster} | {said} |")
        message = f": {part['message']}" if part["message"] else ""
        rows.append(f"| {name} | **{part['state']}**{' '.join(message.split('|'))} | {part['seconds']:.0f} s | | | |")
    return "\n".join(rows) + "\n"


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=SECONDS, default=list(SECONDS), metavar="PART")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument(
        "--seconds", type=positive_number, default=sum(SECONDS.values()), help="for all parts (default 300)"
    )
    parser.add_argument("--out", type=Path, help="the JSON file")
    options = parser.parse_args(arguments)
    try:
        import torch
    except ImportError:
        print("not run: torch is not installed; pip install -e '.[train]'", file=sys.stderr)
        return 2
    if options.device == "cuda" and not torch.cuda.is_available():
        print("not run: this machine has no CUDA device that torch can use; --device cpu checks the script itself",
              file=sys.stderr)  # fmt: skip
        return 2
    default = ROOT / "runs" / "gpu_cpu.json" if options.device == "cpu" else ROOT / "data" / "benchmarks" / "gpu.json"
    parts = run_all(options.parts, options.device, options.seconds, options.out or default)
    print(table(parts))
    for name, part in parts.items():
        if part.get("printed"):
            print(f"--- {name}: the end of what it printed\n{part['printed']}", file=sys.stderr)
    return int(any(part["state"] != "missing" and not has_passed(part) for part in parts.values()))


def run_all(names: Sequence[str], device: str, seconds: float, out: Path) -> dict[str, dict[str, Any]]:
    """Run parts one after the other, and write what there is after each of them."""
    document = {"study": "gpu", "about": str(__doc__).splitlines()[0], "command": COMMAND, **about(device)}
    parts: dict[str, dict[str, Any]] = {}
    kept = earlier(out, document)
    whole, begin = sum(SECONDS.values()), time.perf_counter()
    for name in names:
        limit = min(SECONDS[name] * seconds / whole, seconds - (time.perf_counter() - begin))
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder, "rows.jsonl")
            script = str(Path(__file__).with_name("gpu_parts.py"))
            command = [sys.executable, script, name, "--device", device, "--seconds", str(limit), "--rows", str(rows)]
            parts[name] = run_part(command, rows, limit)
        print(f"{name}: {parts[name]['state']} in {parts[name]['seconds']:.0f} s", file=sys.stderr, flush=True)
        together = {**kept, **parts}
        write(out, {**document, "parts": {part: together[part] for part in SECONDS if part in together}})
    return parts


def earlier(path: Path, document: Mapping[str, Any]) -> dict[str, Any]:
    """Parts in a file that was written for the same device, versions and commit."""
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        parts = old.pop("parts")
    except (OSError, ValueError, KeyError, AttributeError):
        return {}
    return dict(parts) if old == json.loads(as_json(document)) else {}


def as_json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Write the JSON file, all or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(as_json(document), encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    raise SystemExit(run_script(main))
