"""What the two papers claim, one file each.

The docstring is the statement with its place, ``check()`` gives the verdict.

A new claim is a module here, named as its identifier, with a function ``check() -> Verdict``, and one line in
:data:`CLAIMS`. ``python -m theory.claims`` writes docs/claims.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from cogfit.errors import InputError, nearest

if TYPE_CHECKING:
    from cogfit.progress import Progress
    from theory.proofs.verdict import Verdict

PAPERS = {
    "CRAM": "Shihab, Akter & Sharma 2026, Learning to Forget Attention: Memory Consolidation for Adaptive Compute "
    "Reduction, arXiv 2602.12204v1",
    "Adaptive Retention": "Rafiuddin & Khan 2025, Learning What to Remember: Adaptive Probabilistic Memory Retention "
    "for Memory-Efficient Language Models, Findings of EMNLP 2025, 3969-3981, arXiv 2510.08798",
    "Chang et al. 2024": "Chang, Park, Ye, Yang, Seo, Chang & Seo 2024, How Do Large Language Models Acquire Factual "
    "Knowledge During Pretraining?, NeurIPS 2024, arXiv 2406.11813",
}
"""Short name -> reference."""


@dataclass(frozen=True)
class Claim:
    """A claim of a paper.

    Attributes
    ----------
    id : str
        Short identifier, such as ``"cram-theorem-1"``.
    title : str
        What it says, in a few words.
    paper : str
        Key of :data:`PAPERS`.
    place : str
        Where in the paper: theorem, equation, table.
    """

    id: str
    title: str
    paper: str
    place: str

    @property
    def module(self) -> str:
        """Its file in :mod:`theory.claims`."""
        return self.id.replace("-", "_")

    @property
    def source(self) -> str:
        """Reference and place in one line."""
        return f"{self.paper}, {self.place} ({PAPERS[self.paper]})"

    def check(self) -> Verdict:
        """Search, build the certificate, and return the verdict.

        From scratch.
        """
        verdict: Verdict = import_module(f"theory.claims.{self.module}").check()
        return verdict


CLAIMS: tuple[Claim, ...] = (
    Claim("cram-theorem-1", "a static router must attend to (1 − ε)·f·n positions", "CRAM", "Theorem 1 (Eq. 9)"),
    Claim(
        "cram-corollary-1", "with consolidation ε_cons·f·n + O(√(n log(K/δ))) is enough", "CRAM", "Corollary 1 (Eq. 10)"
    ),
    Claim("cram-theorem-2", "the semantic memory converges at rate C/(Tη)", "CRAM", "Theorem 2 (Eq. 11)"),
    Claim("cram-theorem-3", "attention falls to the share of patterns that do not recur", "CRAM", "Theorem 3 (Eq. 12)"),
    Claim("cram-opt", "the least attention on SRCD is 1.5 %", "CRAM", "SRCD benchmark, OPT; Table 1, column Bound"),
    Claim(
        "cram-static",
        "a static router needs at least 5 % attention on SRCD",
        "CRAM",
        "SRCD benchmark; Table 1, column Bound",
    ),
    Claim("cram-impossible", "the reduction is impossible without consolidation", "CRAM", "abstract"),
    Claim("cram-reduction", "attention is reduced 37.8-fold", "CRAM", "abstract; Table 1; Fig. 2"),
    Claim(
        "cram-plateau",
        "68.0 % is the accuracy of knowing the recurring 70 % and guessing the rest",
        "CRAM",
        "Table 1, rows Transformer, Mamba, SeqBoat",
    ),
    Claim(
        "cram-sharpness",
        "one curve is both k^(−0.43) and a sharp 37.8-fold transition",
        "CRAM",
        "Eqs. 13-14 and Fig. 2",
    ),
    Claim("cram-mamba", "Table 1 agrees with Theorem 1", "CRAM", "Table 1, row Mamba, against Eq. 9"),
    Claim(
        "retention-proposition-1",
        "the budget is exceeded by at most (F* − E[L])/λ",
        "Adaptive Retention",
        "Proposition 1",
    ),
    Claim(
        "retention-lemma-1",
        "the Hard-Concrete gate is Bernoulli(p), so its gradient is unbiased",
        "Adaptive Retention",
        "Lemma 1",
    ),
    Claim("retention-lemma-2", "the variance of the gradient is at most C/B", "Adaptive Retention", "Lemma 2"),
    Claim(
        "retention-proposition-2",
        "gradient steps with a dual ascent on λ converge",
        "Adaptive Retention",
        "Proposition 2",
    ),
    Claim(
        "retention-lemma-3",
        "the Lagrangian gap is at least λ times the excess over the budget",
        "Adaptive Retention",
        "Lemma 3",
    ),
    Claim("retention-theorem-1", "masking shrinks the Rademacher complexity by M/T", "Adaptive Retention", "Theorem 1"),
    Claim("retention-proposition-3", "memory falls from O(T²d) to O(M²d)", "Adaptive Retention", "Proposition 3"),
)
"""All claims, in the order of the papers."""


def find(name: str) -> Claim:
    """Return a claim by its identifier, case ignored.

    Raises
    ------
    InputError
        If there is no such claim.

    Examples
    --------
    >>> find("cram-theorem-1").place
    'Theorem 1 (Eq. 9)'
    """
    match = {claim.id: claim for claim in CLAIMS}.get(name.casefold())
    if match is None:
        raise InputError(f"no claim '{name}'", hint=nearest(name, (claim.id for claim in CLAIMS)))
    return match


def check_claim(name: str) -> Verdict:
    """Rule on one claim of the papers.

    Parameters
    ----------
    name : str
        Identifier, such as ``"cram-theorem-1"``.

    Returns
    -------
    Verdict
        Of at most a few seconds' work; its certificate is re-checked by :meth:`Verdict.verify`.

    Raises
    ------
    InputError
        If there is no such claim.

    Examples
    --------
    >>> verdict = check_claim("cram-mamba")
    >>> verdict.status, verdict.verify().ok
    ('conditional', True)
    """
    return find(name).check()


def check_claims(names: Iterable[str] | None = None, progress: Progress | None = None) -> list[Verdict]:
    """Rule on several claims.

    Parameters
    ----------
    names : iterable of str, optional
        Identifiers. Default: all, in the order of :data:`CLAIMS`.
    progress : callable, optional
        Called as ``progress(done, total, name)`` before each claim.

    Returns
    -------
    list of Verdict
        In the order of ``names``.

    Raises
    ------
    InputError
        If there is no such claim; nothing has been checked then.

    Examples
    --------
    >>> [verdict.claim for verdict in check_claims(["cram-opt", "cram-mamba"])]
    ['cram-opt', 'cram-mamba']
    """
    chosen = CLAIMS if names is None else tuple(find(name) for name in names)
    verdicts = []
    for done, claim in enumerate(chosen):
        if progress is not None:
            progress(done, len(chosen), claim.id)
        verdicts.append(claim.check())
    return verdicts
