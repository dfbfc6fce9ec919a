"""``cogfit theory``: verdicts with certificates, a log against bounds.

The commands of policies, redundancy and training are mounted here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isclose
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from cogfit.commands import copies, language_models, options, policies, redundancy, training
from cogfit.commands.outputs import check_outputs
from cogfit.commands.terminal import (
    Number,
    ProgressBars,
    console,
    new_table,
    print_table,
    print_text,
    write_json,
)

if TYPE_CHECKING:
    from cogfit.errors import MissingDependencyError
    from theory import Check, Claim, Theorem, Verdict
    from theory.audit.report import LogReport
    from theory.proofs.rocq.record import Session

HELP = "What attention must cost and what memory can save: verdicts with certificates, bounds on a log, trained models."

CHECK_HELP = """Rule on the theorems of this package and on the claims of the two papers.

Every certificate is made from scratch and re-checked by code that did not make it. \
A refuted claim is a result, not an error; exit code 3 means that a certificate fails.

[bold]Examples[/bold]

  cogfit theory check                             all, in a table

  cogfit theory check cram-theorem-1              one, with its counterexamples

  cogfit theory check T2 T3 --full --json verdicts.json

  cogfit theory check cram-opt --certificate opt.json

  cogfit theory check --verify opt.json           re-check that file alone

  cogfit theory check T1 --rocq                   let a kernel check proofs and certificates, too
"""

BOUND_HELP = """Is this attention possible? A routing log against the bounds T1 to T3.

T1 is for routers without memory, T2 for S bits of memory, T3 for any learner. \
The log needs the executed decisions (attended) and the answers (correct). \
Luck is counted once per value of the table, or once per table, never once per query: \
over the queries of one table a lucky guess repeats. \
The verdicts hold however often you look at a log that grows, and however runs end; \
with --planned-lengths they use more of the answers. They presuppose that no run is left out.

[bold]Examples[/bold]

  cogfit theory bound runs/seed0 --values 16 --f 0.05 --bits 64

  cogfit theory bound routing.csv --values 16 --plot bounds.pdf --json b.json

  cogfit theory bound runs/ --side-information 0.2 --no-labels

  cogfit theory bound routing.csv --values 16 --accuracy 0.98

  cogfit theory bound routing.jsonl --values 16 --follow --idle 600
"""

CHECK_SCHEMA = "theory.check/1"

_STATEMENTS, _MODELS = "Theorems, claims and logs", "Models and policies"
"""Groups of commands in the help."""

app = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")
app.command(help=copies.HELP, rich_help_panel=_STATEMENTS)(copies.copies)
app.command(help=training.TRAIN_HELP, rich_help_panel=_MODELS)(training.train)
app.command(help=training.RUNS_HELP, rich_help_panel=_MODELS)(training.runs)
app.command(help=policies.HELP, rich_help_panel=_MODELS)(policies.policies)
app.command(help=redundancy.REDUNDANCY_HELP, rich_help_panel=_MODELS)(redundancy.redundancy)
app.add_typer(language_models.app, name="lm", rich_help_panel=_MODELS)


@dataclass(frozen=True)
class _Ruling:
    """A theorem or claim with its verdict and re-checked certificate."""

    item: Theorem | Claim
    verdict: Verdict | None
    check: Check | None
    missing: MissingDependencyError | None
    kernel: str = ""


@app.command(help=CHECK_HELP, rich_help_panel=_STATEMENTS)
def check(
    claims: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CLAIM]...", help="Theorems (T0, ...) and claims; default: all.", show_default=False),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Print every verdict in full.")] = False,
    json_file: options.JsonFile = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Write the verdicts with their certificates to this file.")
    ] = None,
    verify: Annotated[
        Path | None, typer.Option(help="Only re-check this file: verdicts, as --json writes them, or a certificate.")
    ] = None,
    rocq: Annotated[
        bool, typer.Option("--rocq", help="Let the kernel of Rocq check proofs and certificates (minutes).")
    ] = False,
) -> None:
    """Rule on statements (its help text is CHECK_HELP)."""
    from cogfit.errors import InputError

    if verify is not None:
        if claims or full or certificate is not None or json_file is not None:
            raise InputError("--verify re-checks one file and does nothing else", hint="leave the other arguments out")
        _verify_by_kernel(verify) if rocq else _verify(verify)
        return
    written = ["theory.check", "theory.verdict"]
    check_outputs(Path(), json_file, others=[] if certificate is None else [certificate], schemas=written)
    rulings = _with_kernel(_rule_on(_chosen(claims or [])), here=rocq)
    if certificate is not None:
        _save(rulings, certificate)
    write_json(lambda: _document(rulings), json_file)
    if json_file != "-":
        _show_in_full(rulings) if full or len(rulings) == 1 else _show_table(rulings)
    _raise_failures(rulings)


@app.command(help=BOUND_HELP, rich_help_panel=_STATEMENTS)
def bound(
    context: typer.Context,
    log: options.LogPath,
    values: Annotated[int | None, typer.Option(help="V: how many values there are, equally likely.")] = None,
    side_information: Annotated[
        Number,
        typer.Option(help="Chance of the best guess without attention, in place of 1/V."),
    ] = None,
    bits: Annotated[Number, typer.Option(help="S: judge a memory of so many bits.")] = None,
    f: Annotated[Number, typer.Option("--f", help="Share of the tokens that are queries.")] = None,
    accuracy: Annotated[Number, typer.Option(help="Share of right answers to assume if none is logged.")] = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels/--no-labels",
            help="Whether the value is shown after each query (training).",
        ),
    ] = True,
    unit: Annotated[str, typer.Option(help="What the test counts once: pattern (auto) or table.")] = "auto",
    one_table: Annotated[bool, typer.Option("--one-table", help="All runs share one table of values.")] = False,
    planned_lengths: Annotated[
        bool,
        typer.Option(
            "--planned-lengths",
            help="The length of each run was fixed beforehand: a sharper test.",
        ),
    ] = False,
    x_min: Annotated[Number, typer.Option("--x-min", help="Judge steps from here on; choose before you look.")] = None,
    x_max: Annotated[Number, typer.Option("--x-max", help="Judge steps up to here.")] = None,
    level: Annotated[float, typer.Option(help="Confidence level.")] = 0.95,
    pattern: options.Pattern = None,
    run: options.TableRun = None,
    log_format: options.Format = None,
    follow: options.Follow = False,
    every: options.Every = 2.0,
    idle: options.Idle = None,
    json_file: options.JsonFile = None,
    plot: options.Plot = None,
) -> None:
    """Judge a log (its help text is BOUND_HELP)."""
    check_outputs(log, json_file, plot, schemas=["theory.bound"])
    from cogfit.errors import InputError
    from theory import check_log, follow_log

    if follow and json_file == "-":
        raise InputError("--follow makes many reports", hint="name a file for --json; it holds the last one")
    judged: dict[str, Any] = {
        "values": values,
        "side_information": side_information,
        "memory_bits": bits,
        "f": f,
        "accuracy": accuracy,
        "labels": labels,
        "unit": cast(Literal["auto", "pattern", "table"], unit),
        "one_table": one_table,
        "planned_lengths": planned_lengths,
        "x_min": x_min,
        "x_max": x_max,
        "level": level,
    }
    # once over the whole log, or again and again as it grows
    read = options.reader(context.params)
    if not follow:
        with ProgressBars() as progress:
            report = check_log(read(log, progress=progress.stage("reading")), **judged)
        _write_report(report, json_file, plot)
        if json_file != "-":
            print_text(f"{report}\n")
        return
    last = None
    for last in follow_log(log, read=read, poll=every, idle=idle, **judged):
        _write_report(last, json_file, plot)
        print_text(f"{last.headline()}\n")
    if last is not None:
        print_text(f"\n{last}\n")


def _write_report(report: LogReport, json_file: str | None, plot: Path | None) -> None:
    write_json(report.to_json, json_file)
    if plot is not None:
        from cogfit.show.plots import save_figure

        save_figure(report.plot(), plot)


# ------------------------------------------------------------------------------------------------------- check


def _chosen(names: list[str]) -> list[Theorem | Claim]:
    """Theorems and claims by name, by default all.

    They come in the order asked for.
    """
    from cogfit.errors import InputError, nearest
    from theory import theorems
    from theory.claims import CLAIMS

    items: list[Theorem | Claim] = [*theorems(), *CLAIMS]
    known = {item.id.casefold(): item for item in items}
    for name in names:
        if name.casefold() not in known:
            raise InputError(f"no theorem or claim '{name}'", hint=nearest(name, (item.id for item in items)))
    return [known[name.casefold()] for name in dict.fromkeys(names)] if names else items


def _rule_on(items: list[Theorem | Claim]) -> list[_Ruling]:
    rulings = []
    with ProgressBars() as progress:
        for done, item in enumerate(items):
            progress.report(done, len(items), "checking")
            rulings.append(_rule(item))
    return rulings


def _rule(item: Theorem | Claim) -> _Ruling:
    """Make the verdict and re-check its certificate.

    A solver that is not installed does not stop the others.
    """
    from cogfit.errors import MissingDependencyError
    from theory import verify as recheck

    verdict = None
    try:
        verdict = item.check()
        return _Ruling(item, verdict, recheck(verdict.certificate), None)
    except MissingDependencyError as error:
        return _Ruling(item, verdict, None, error)


def _with_kernel(rulings: list[_Ruling], *, here: bool) -> list[_Ruling]:
    """Say what a kernel has checked, here or as recorded."""
    from theory.proofs.rocq import record

    if not here:
        return [replace(ruling, kernel=record.standing(ruling.item.id)) for ruling in rulings]
    wanted = {s.module for ruling in rulings for s in record.covering(ruling.item.id)} | set(record.FOR_CERTIFICATES)
    with ProgressBars() as progress, record.checked(wanted, progress.stage("proofs")) as session:
        checked = [ruling.item.id for ruling in rulings if record.covering(ruling.item.id)]
        return [
            replace(ruling, kernel=_join(record.standing(ruling.item.id, checked), _in_kernel(ruling, session)))
            for ruling in rulings
        ]


def _in_kernel(ruling: _Ruling, session: Session) -> str:
    """How many parts of a certificate the kernel has checked."""
    from theory.proofs.rocq import record

    if ruling.verdict is None:
        return ""
    outcomes = [outcome for _, outcome in record.check_certificate(session, ruling.verdict.certificate)]
    refused = [outcome for outcome in outcomes if outcome.startswith(record.REFUSED)]
    counted = f"{outcomes.count(record.CHECKED)} of {len(outcomes)} parts of the certificate"
    return _join(counted, *refused)


def _verify_by_kernel(path: Path) -> None:
    """Let the kernel check the certificate in a file, part by part."""
    from theory import load_certificate
    from theory.proofs.rocq import record

    document = load_certificate(path)
    with ProgressBars() as progress, record.checked(record.FOR_CERTIFICATES, progress.stage("proofs")) as session:
        outcomes = record.check_certificate(session, document)
    lines = [f"{path}, by the kernel of Rocq {session.prover.version}:"]
    lines += [f"  {title}\n    {outcome}" for title, outcome in outcomes]
    print_text("\n".join(lines) + "\n")
    if any(outcome != record.CHECKED for _, outcome in outcomes):
        raise typer.Exit(3)


def _join(*words: str) -> str:
    return "; ".join(filter(None, words))


def _raise_failures(rulings: list[_Ruling]) -> None:
    """Leave with an error unless all certificates hold."""
    for ruling in rulings:
        if ruling.missing is not None:
            raise ruling.missing
    if not all(ruling.check for ruling in rulings):
        raise typer.Exit(3)


def _verify(path: Path) -> None:
    """Re-check the statements, or the bare certificate, in a file."""
    from theory import load_certificate
    from theory import verify as recheck

    document = load_certificate(path)
    result = recheck(document)
    lines = [f"{path}: {'holds' if result else 'FAILS'}"]
    if "verdicts" in document:
        for entry, check in zip(document["verdicts"], result.parts, strict=True):
            lines += _statement(entry["verdict"], check, in_full=len(result.parts) == 1)
    elif "certificate" in document and "kind" not in document:
        lines += _statement(document, result, in_full=True)
    else:
        # titles are left out: they are what the file calls its parts, and nobody has checked that
        lines += ["  names no statement of this package; what was checked is this alone:"]
        lines += [f"    {check}" for check in result.parts or (result,)]
    print_text("\n".join(lines) + "\n")
    if not result:
        raise typer.Exit(3)


def _statement(document: dict[str, Any], check: Check, *, in_full: bool) -> list[str]:
    """What a file says of a statement, and whether it verifies.

    Nothing else of a file that does not is repeated.
    """
    from theory import Verdict
    from theory.proofs.certificates import outline
    from theory.statements import digest

    if not check:
        return [f"  {check}"]
    verdict = Verdict.from_json(document)
    lines = [f"  {verdict.claim}: {verdict.status}; statement {digest(verdict)}"]
    if not in_full:
        return lines
    lines += [f"  {verdict.statement}"]
    titles, parts = outline(verdict.certificate), check.parts or (check,)
    if len(parts) == len(titles):
        for title, part in zip(titles, parts, strict=True):
            lines += [f"  {title}", f"    {part}"]
    return lines


def _save(rulings: list[_Ruling], path: Path) -> None:
    """Write verdicts with their certificates."""
    from theory import save_certificate

    verdicts = [ruling.verdict for ruling in rulings if ruling.verdict is not None]
    save_certificate(verdicts[0].to_json() if len(verdicts) == 1 else _document(rulings), path)


def _document(rulings: list[_Ruling]) -> dict[str, Any]:
    import cogfit
    from theory.statements import digest

    return {
        "schema": CHECK_SCHEMA,
        "verdicts": [
            {
                "id": ruling.item.id,
                "title": ruling.item.title,
                "verdict": None if ruling.verdict is None else ruling.verdict.to_json(),
                "statement": None if ruling.verdict is None else digest(ruling.verdict),
                "certificate_holds": None if ruling.check is None else ruling.check.ok,
                "detail": str(ruling.missing) if ruling.check is None else ruling.check.detail,
                "kernel": ruling.kernel,
            }
            for ruling in rulings
        ],
        "versions": {"cogfit": cogfit.__version__},
    }


_STYLES = {"proved": "green", "verified": "green", "conditional": "yellow", "refuted": "red"}


def _show_table(rulings: list[_Ruling]) -> None:
    """Print a row for each statement, and a summary."""
    from rich.text import Text as Plain

    table = new_table(["", "verdict"])
    table.add_column("statement", min_width=30)
    for name in ("computed", "claimed"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("certificate", no_wrap=True)
    table.add_column("kernel")
    for ruling in rulings:
        status = "–" if ruling.verdict is None else ruling.verdict.status
        computed, claimed = _numbers(ruling.verdict)
        outcome = "not checked" if ruling.check is None else "holds" if ruling.check else "FAILS"
        cells = (Plain(ruling.item.id), Plain(status, style=_STYLES.get(status, "")), Plain(ruling.item.title))
        table.add_row(
            *cells,
            computed,
            claimed,
            Plain(outcome, style="" if ruling.check else "bold red"),
            Plain(ruling.kernel.removeprefix("kernel-checked ") or "–"),
        )
    out = console()
    print_table(out, table)
    n_failed = sum(not ruling.check for ruling in rulings)
    result = f"{n_failed} without certificate" if n_failed else "all certificates hold"
    out.print(Plain(f"\n{len(rulings)} verdicts; {result}. In full: cogfit theory check {rulings[-1].item.id}"))


def _numbers(verdict: Verdict | None) -> tuple[str, str]:
    """A quantity as computed and as claimed.

    For a claim that does not hold it is one that is off, if there is one.
    """
    from theory.proofs.verdict import shown

    if verdict is None or not verdict.claimed:
        return "", ""
    holds = verdict.status in ("proved", "verified")
    off = [name for name, value in verdict.claimed.items() if not isclose(verdict.computed[name], value)]
    name = off[0] if off and not holds else next(iter(verdict.claimed))
    return shown(verdict.computed[name]), shown(verdict.claimed[name])


def _show_in_full(rulings: list[_Ruling]) -> None:
    from theory.statements import digest

    for i, ruling in enumerate(rulings):
        lines = [""] if i else []
        if ruling.verdict is not None:
            lines += [str(ruling.verdict), *_counterexamples(ruling.verdict.certificate)]
        if ruling.check is not None:
            lines.append(f"  certificate, re-checked: {ruling.check}")
        if ruling.verdict is not None:
            lines.append(f"  statement: {digest(ruling.verdict)}")
        if ruling.kernel:
            lines += _shown_kernel(ruling)
        print_text("\n".join(lines) + "\n")


def _shown_kernel(ruling: _Ruling) -> list[str]:
    """What a kernel has checked, and how much of the statement that covers."""
    from theory.proofs.rocq import record

    lines = [f"  kernel: {ruling.kernel}"]
    return lines + [f"    {s.full_name}: {s.scope}" for s in record.covering(ruling.item.id)]


def _counterexamples(document: Any) -> list[str]:
    """The counterexamples of a certificate, field by field."""
    if document.get("kind") == "all":
        return [line for part in document["parts"] for line in _counterexamples(part)]
    if document.get("kind") != "counterexample":
        return []
    fields = {name: value for name, value in document.items() if name not in ("kind", "title")}
    return [f"  counterexample: {document.get('title', '')}", *(f"    {k}: {_short(v)}" for k, v in fields.items())]


def _short(value: Any, width: int = 160) -> str:
    if isinstance(value, list) and value and all(isinstance(entry, str) for entry in value):
        text = "; ".join(value)
    elif isinstance(value, dict):
        text = "; ".join(f"{name} = {entry}" for name, entry in value.items())
    else:
        text = str(value)
    return text if len(text) <= width else text[: width - 1] + "…"
