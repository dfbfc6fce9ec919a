"""Rows of claims that have a certificate."""

from __future__ import annotations

import math

from theory.claims import Claim
from theory.ledger.quantities import Quantities, Quantity
from theory.ledger.recordings import Recordings
from theory.ledger.records import LedgerRow, Measured, Ruling


def claim_row(claim: Claim) -> LedgerRow:
    """The row of a claim that has a certificate."""

    def quantities(data: Recordings, side: str) -> tuple[Quantity, ...]:
        verdict = data.verdict(claim.id)
        return tuple(Quantity(name, float(getattr(verdict, side)[name])) for name in verdict.claimed)

    def measure(data: Recordings) -> Measured:
        verdict = data.verdict(claim.id)
        notes = (f"holds in this form: {verdict.corrected}",) if verdict.corrected else ()
        return Measured(quantities(data, "computed"), "certificate, made anew and re-checked", verdict.status, notes)

    def judge(printed: Quantities, measured: Measured) -> Ruling:
        if measured.status in ("proved", "verified"):
            return Ruling("reproduced", f"{measured.status}, with a certificate")
        if measured.status == "conditional":
            return Ruling(
                "reproduced under conditions",
                "true only under assumptions that the paper does not state, which the certificate names",
            )
        off = next((n for n, q in printed.items() if not math.isclose(measured[n].value, q.value)), "")
        numbers = f" ({off}: {measured[off].shown} against {printed[off].shown})" if off else ""
        return Ruling("not reproduced", f"false as stated, by a re-checked counterexample{numbers}")

    return LedgerRow(
        id=claim.id,
        title=claim.title,
        paper=claim.paper,
        place=claim.place,
        printed=lambda data: quantities(data, "claimed"),
        measure=measure,
        judge=judge,
        command=f"cogfit theory check {claim.id}",
        certificate=claim.id,
        page="claims.md",
    )
