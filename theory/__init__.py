"""Theorems and claims about attention and memory.

What attention must cost and what memory can save, with certificates.

Every statement is a :class:`Verdict` (proved, verified, conditional or refuted) with a certificate: a JSON document
that code other than the one that made it re-checks.

>>> import theory
>>> document = {"kind": "arithmetic", "definitions": {"x": "1/3"}, "facts": ["3*x == 1", "x < 1/2"]}
>>> theory.verify(document).ok
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theory.audit.check import check_log, follow_log
    from theory.audit.report import LogReport
    from theory.bounds import Theorem, check_theorem, theorems
    from theory.bounds.t4_zipf_streams import predicted_gamma, zipf_exponent
    from theory.bounds.t7_exposure_axis import mixing_law
    from theory.claims import Claim, check_claim, check_claims
    from theory.proofs.certificates import Check, load_certificate, save_certificate, verify
    from theory.proofs.verdict import Verdict

_EXPORTS = {
    "Check": "proofs.certificates",
    "Claim": "claims",
    "LogReport": "audit.report",
    "Theorem": "bounds",
    "Verdict": "proofs.verdict",
    "check_claim": "claims",
    "check_claims": "claims",
    "check_log": "audit.check",
    "check_theorem": "bounds",
    "follow_log": "audit.check",
    "load_certificate": "proofs.certificates",
    "mixing_law": "bounds.t7_exposure_axis",
    "predicted_gamma": "bounds.t4_zipf_streams",
    "save_certificate": "proofs.certificates",
    "theorems": "bounds",
    "verify": "proofs.certificates",
    "zipf_exponent": "bounds.t4_zipf_streams",
}

__all__ = [
    "Check",
    "Claim",
    "LogReport",
    "Theorem",
    "Verdict",
    "check_claim",
    "check_claims",
    "check_log",
    "check_theorem",
    "follow_log",
    "load_certificate",
    "mixing_law",
    "predicted_gamma",
    "save_certificate",
    "theorems",
    "verify",
    "zipf_exponent",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562).

    So that importing the package stays cheap.
    """
    if name not in _EXPORTS:
        raise AttributeError(f"module 'theory' has no attribute '{name}'")
    value = getattr(import_module(f"theory.{_EXPORTS[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
