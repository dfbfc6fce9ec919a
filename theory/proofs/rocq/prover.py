"""Find the prover and let its kernel check files."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cogfit.errors import CogfitError, InputError
from theory.proofs.rocq.statements import LIBRARY

PACKAGES = ("coq", "libcoq-mathcomp-ssreflect", "libcoq-mathcomp-algebra")
"""Debian packages that hold the prover and its libraries."""

INSTALL = f"apt-get install --no-install-recommends {' '.join(PACKAGES)}"


class NoProverError(CogfitError):
    """No prover, or one without its libraries.

    Parameters
    ----------
    lacking : str
        What is not there.
    """

    exit_code = 2

    def __init__(self, lacking: str) -> None:
        self.lacking = lacking
        super().__init__(f"a kernel that checks proofs needs {lacking}; on Debian: {INSTALL}")

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.lacking,))


_PROBE = "From mathcomp Require Import all_ssreflect all_algebra.\nFrom Coq Require Import Reals QArith.\n"
_OPENING = re.compile(r"(?m)^(?:From|Import|Local Open Scope|Open Scope) .*\.$")
_SECONDS = 600


@dataclass(frozen=True)
class Prover:
    """A prover that works here.

    Attributes
    ----------
    command : str
        Path of ``coqc``.
    version : str
        Its version.
    libraries : Mapping
        Versions of the packages, where the system knows them.
    """

    command: str
    version: str
    libraries: Mapping[str, str]


def find_prover(folder: Path) -> Prover:
    """Find a prover with its libraries.

    Parameters
    ----------
    folder : Path
        Where a file of one line may be compiled.

    Raises
    ------
    NoProverError
        If there is none, or it lacks a library.
    """
    command = shutil.which("coqc")
    if command is None:
        raise NoProverError("Rocq (the command coqc)")
    probe = folder / "probe.v"
    probe.write_text(_PROBE, encoding="utf-8")
    if _run(command, folder, probe.name).returncode:
        raise NoProverError("mathcomp (ssreflect and algebra)")
    shown = subprocess.run([command, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"version (\S+)", shown)
    return Prover(command, version[1] if version else "unknown", _package_versions())


def check_files(prover: Prover, folder: Path, names: Iterable[str]) -> None:
    """Let the kernel check files of a folder, in order.

    Raises
    ------
    InputError
        If it refuses one.
    """
    for name in names:
        done = _run(prover.command, folder, name)
        if done.returncode:
            raise InputError(f"the kernel refuses {name}: {_first_lines(done.stderr)}", path=folder / name)


def ask(prover: Prover, folder: Path, module: str, commands: Mapping[str, str]) -> dict[str, str]:
    """Answers of the prover about a module, by key.

    Parameters
    ----------
    prover : Prover
    folder : Path
        Where the files were checked.
    module : str
        The module; its notations are open.
    commands : Mapping
        Key -> command without the final stop.

    Returns
    -------
    dict
        Key -> answer, in one line.
    """
    opened = _OPENING.findall((folder / f"{module}.v").read_text(encoding="utf-8"))
    lines = [*opened, f"From {LIBRARY} Require Import {module}.", "Set Printing Width 110."]
    files = {key: f"answer-{module}-{i}" for i, key in enumerate(commands)}
    lines += [f'Redirect "{files[key]}" {command}.' for key, command in commands.items()]
    (folder / f"ask_{module}.v").write_text("\n".join(lines) + "\n", encoding="utf-8")
    check_files(prover, folder, [f"ask_{module}.v"])
    answers = {key: (folder / f"{name}.out").read_text(encoding="utf-8") for key, name in files.items()}
    return {key: " ".join(answer.split()) for key, answer in answers.items()}


def recheck(folder: Path, names: Iterable[str]) -> str:
    """Let the independent checker read the compiled files.

    Raises
    ------
    InputError
        If it refuses one.
    """
    command = shutil.which("coqchk")
    if command is None:
        raise NoProverError("the command coqchk")
    modules = [f"{LIBRARY}.{name}" for name in names]
    done = subprocess.run(
        [command, "-silent", "-o", "-R", ".", LIBRARY, *modules],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"coqchk refuses: {_first_lines(done.stderr)}", path=folder)
    return " ".join((done.stdout + done.stderr).split())


def _run(command: str, folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    arguments = [command, "-q", "-w", "none", "-R", ".", LIBRARY, name]
    try:
        return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{name} takes the kernel more than {_SECONDS} s", path=folder / name) from error


def _package_versions() -> dict[str, str]:
    """Versions of the Debian packages; empty elsewhere."""
    tool = shutil.which("dpkg-query")
    if tool is None:
        return {}
    asked = [tool, "-W", "-f", "${Package} ${Version}\n", *PACKAGES]
    lines = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()
    return dict(line.split(maxsplit=1) for line in lines if " " in line)


def _first_lines(text: str, most: int = 6) -> str:
    return " ".join(" ".join(text.splitlines()[:most]).split())
