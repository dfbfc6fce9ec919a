"""Write docs/claims.md from the verdicts: ``python -m theory.claims > docs/claims.md``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fractions import Fraction

from theory.claims import CLAIMS, PAPERS, Claim, check_claims
from theory.pages import page_parser
from theory.proofs.certificates import Check, Document
from theory.proofs.verdict import Number, Verdict

_HEAD = """# The claims of the two papers

Written by `python -m theory.claims > docs/claims.md` from the verdicts; a test checks that it is current. Each verdict
carries a certificate, found by a search in `theory/claims/` and re-checked by a verifier in `theory/proofs/verifiers/`
that shares no code with it. What the verifier established stands under "Re-checked".

- **proved**: there is a proof, and its finite steps are certified.
- **conditional**: true under assumptions that the paper does not make, or in tension with another number of the paper.
- **refuted**: false as stated; the certificate is a counterexample. Every time it is said under which reading the
  authors are right, and where a point is only a formal one.
"""
_MOST = 160


def page(verdicts: list[Verdict]) -> str:
    """The whole document.

    Parameters
    ----------
    verdicts : list of Verdict
        In the order of :data:`~theory.claims.CLAIMS`.
    """
    parts = [_HEAD, _contents(verdicts)]
    for claim, verdict in zip(CLAIMS, verdicts, strict=True):
        parts.append(section(claim, verdict))
    return "\n".join(parts)


def section(claim: Claim, verdict: Verdict) -> str:
    """Markdown section of one claim.

    Statement, verdict, reasons, corrected statement, fair reading, certificate.
    """
    check = verdict.verify()
    lines = [f"## {claim.id}: {claim.title}", "", f"**Claim** ({claim.paper}, {claim.place}). {verdict.statement}", ""]
    lines += [f"**Verdict: {verdict.status}.**", ""]
    lines += [*(f"- {remark}" for remark in verdict.remarks), ""] if verdict.remarks else []
    if verdict.computed:
        lines += ["| quantity | computed | claimed |", "| --- | ---: | ---: |"]
        for name, value in verdict.computed.items():
            claimed = _shown(verdict.claimed[name]) if name in verdict.claimed else ""
            lines.append(f"| {name} | {_shown(value)} | {claimed} |")
        lines.append("")
    if verdict.assumptions:
        lines += ["**Needed for it to hold.**", "", *(f"- {assumption}" for assumption in verdict.assumptions), ""]
    for title, text in (("What does hold", verdict.corrected), ("Fair reading", verdict.reading)):
        lines += [f"**{title}.** {text}", ""] if text else []
    lines += [f"**Re-checked** (`cogfit theory check {claim.id}`).", ""]
    lines += [f"- {line}" for line in _checked(verdict.certificate, check)]
    return "\n".join([*lines, ""])


def _contents(verdicts: list[Verdict]) -> str:
    of_claims = {claim.paper for claim in CLAIMS}
    lines = [f"{name}: {reference}.  " for name, reference in PAPERS.items() if name in of_claims]
    lines += ["", "| claim | what it says | verdict |", "| --- | --- | --- |"]
    for claim, verdict in zip(CLAIMS, verdicts, strict=True):
        lines.append(f"| [{claim.id}](#{_anchor(claim)}) | {claim.title} | {verdict.status} |")
    return "\n".join([*lines, ""])


def _anchor(claim: Claim) -> str:
    """Anchor of the section, as made from its heading.

    Anchor of the section, as GitHub makes it from the heading.
    """
    heading = f"{claim.id}: {claim.title}".lower()
    return "".join(c for c in heading.replace(" ", "-") if c.isalnum() or c in "-_")


def _checked(document: Document, check: Check) -> list[str]:
    """One line for each part of a certificate.

    Its title, and what the verifier found.
    """
    if check.parts:
        return [
            line
            for part, check_of_part in zip(document["parts"], check.parts, strict=True)
            for line in _checked(part, check_of_part)
        ]
    detail = check.detail if len(check.detail) <= _MOST else check.detail[: _MOST - 1].rsplit(" ", 1)[0] + " …"
    return [f"{document.get('title', document['kind'])}: `{detail}`" if check.ok else f"FAILS: {check.detail}"]


def _shown(value: Number) -> str:
    if isinstance(value, Fraction):
        short = str(value)
        decimal = f"{float(value):.5g}"
        exact = value == Fraction(decimal)
        return decimal if exact or len(short) > 12 else f"{short} = {decimal}"
    return str(value) if isinstance(value, int) else f"{value:.5g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Rule on all claims and print the page."""
    parser = page_parser(
        "theory.claims",
        "Rule on all claims of the two papers and print the page. 'cogfit theory check' rules on some.",
        ["python -m theory.claims > docs/claims.md"],
    )
    parser.parse_args(arguments)
    sys.stdout.write(page(check_claims(progress=lambda done, total, name: print(name, file=sys.stderr))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
