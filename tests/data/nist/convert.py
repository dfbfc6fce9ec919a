"""Turn the NIST StRD nonlinear regression files (NAME.dat) into one JSON file per problem, digits kept as printed.

Usage: python convert.py FOLDER_WITH_DAT_FILES [OUTPUT_FOLDER]

The data sets are the Statistical Reference Datasets of the U.S. National Institute of Standards and Technology
(https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml), in the public domain. The same files come with the source
distribution of `lmfit` (folder NIST_STRD).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

SOURCE = "NIST Statistical Reference Datasets, nonlinear regression, https://www.itl.nist.gov/div898/strd/nls/"
PROBLEMS = [
    "Bennett5",
    "BoxBOD",
    "Chwirut1",
    "Chwirut2",
    "DanWood",
    "ENSO",
    "Eckerle4",
    "Gauss1",
    "Gauss2",
    "Gauss3",
    "Hahn1",
    "Kirby2",
    "Lanczos1",
    "Lanczos2",
    "Lanczos3",
    "MGH09",
    "MGH10",
    "MGH17",
    "Misra1a",
    "Misra1b",
    "Misra1c",
    "Misra1d",
    "Nelson",
    "Rat42",
    "Rat43",
    "Roszman1",
    "Thurber",
]


def literal(text: str) -> str:
    """Return a printed number as a JSON literal with the same digits.

    >>> [literal(t) for t in ("-.5", "12.", "+1.50E+01", "0001.2")]
    ['-0.5', '12.0', '1.50E+01', '1.2']
    """
    match = re.fullmatch(r"([+-]?)(\d*)\.?(\d*)([eEdD][+-]?\d+)?", text)
    if match is None or not (match[2] or match[3]):
        raise ValueError(f"not a number: {text!r}")
    sign, whole, fraction, exponent = match[1], match[2].lstrip("0") or "0", match[3], match[4] or ""
    point = f".{fraction or '0'}" if "." in text else ""
    out = f"{'-' if sign == '-' else ''}{whole}{point}{exponent.upper().replace('D', 'E')}"
    if float(out) != float(text.upper().replace("D", "E")):
        raise AssertionError(f"{text!r} became {out!r}")
    return out


def field(lines: list[str], label: str) -> str:
    """Return the number after a label such as ``Residual Sum of Squares:``."""
    (line,) = (line for line in lines if line.strip().startswith(label))
    return literal(line.split(":")[1].strip())


def convert(path: Path) -> str:
    """Return the JSON text of one .dat file."""
    lines = path.read_text(encoding="ascii").splitlines()
    name = lines[1].split("Dataset Name:")[1].split()[0]
    level = next(line for line in lines if "Level of Difficulty" in line).split()[0].lower()

    first = next(i for i, line in enumerate(lines) if line.startswith("Model:"))
    last = next(i for i, line in enumerate(lines) if line.strip().lower().startswith("starting values") and i > first)
    kind = lines[first].split("Model:")[1].strip()
    block = [" ".join(line.split()) for line in lines[first + 1 : last] if line.strip()]
    count = int(re.match(r"(\d+) Parameters", block[0])[1])  # type: ignore[index]
    formula = re.sub(r" (?=\w+ = )", "; ", " ".join(block[1:]))  # one statement a line in the file

    parameters = [m for line in lines[last:] if (m := re.match(r"\s*(b\d+) =\s+(.*)", line))]
    rows = [match[2].split() for match in parameters]
    names = [match[1] for match in parameters]
    if names != [f"b{i}" for i in range(1, count + 1)] or any(len(row) != 4 for row in rows):
        raise AssertionError(f"{path}: parameter block not understood")

    observations = int(field(lines, "Number of Observations"))
    head = max(i for i, line in enumerate(lines) if line.startswith("Data:"))
    table = [line.split() for line in lines[head + 1 :] if line.strip()]
    predictors = lines[head].split()[2:]
    if len(table) != observations or any(len(row) != 1 + len(predictors) for row in table):
        raise AssertionError(f"{path}: data block not understood")

    def mapping(column: int) -> str:
        return "{" + ", ".join(f'"{n}": {literal(row[column])}' for n, row in zip(names, rows, strict=True)) + "}"

    def vector(column: int) -> str:
        return "[" + ", ".join(literal(row[column]) for row in table) + "]"

    xs = [vector(i + 1) for i in range(len(predictors))]
    entries = {
        "name": json.dumps(name),
        "source": json.dumps(SOURCE),
        "licence": json.dumps("public domain (U.S. Government work)"),
        "level": json.dumps(level),
        "class": json.dumps(kind),
        "model": json.dumps(formula),
        "start1": mapping(0),
        "start2": mapping(1),
        "certified": mapping(2),
        "certified_sd": mapping(3),
        "certified_rss": field(lines, "Residual Sum of Squares"),
        "residual_sd": field(lines, "Residual Standard Deviation"),
        "observations": str(observations),
        "x": xs[0] if len(xs) == 1 else "[" + ",\n        ".join(xs) + "]",
        "y": vector(0),
    }
    text = "{\n" + ",\n".join(f'  "{key}": {value}' for key, value in entries.items()) + "\n}\n"
    json.loads(text)
    return text


def main() -> None:
    """Convert all problems."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    source, target = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else Path(__file__).parent
    for problem in PROBLEMS:
        (target / f"{problem}.json").write_text(convert(source / f"{problem}.dat"), encoding="ascii")


if __name__ == "__main__":
    main()
