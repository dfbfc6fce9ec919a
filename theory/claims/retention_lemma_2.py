"""Adaptive Retention, Lemma 2: the variance of the gradient is at most C/B.

**Statement.** The gradient estimate from a batch of B examples has variance at most C/B.

**Assumptions.** The B per-example gradients are independent given the parameters, gate noise included, and each has
variance at most C.

**Reference.** Rafiuddin & Khan 2025 (arXiv 2510.08798), Lemma 2.

**Check.** The variance of a mean of B terms as an identity in variance and covariance; exact enumeration of batches of
independent examples, and of examples that share their gate noise.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from theory.claims import find
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

GRADIENTS = (Fraction(-1), Fraction(0), Fraction(3))
"""Equally likely gradients of one example."""


def variance(batch: int, shared: Fraction | int = 0) -> Fraction:
    """Variance of a mean of gradients with shared noise.

    The mean of ``batch`` gradients plus a noise of variance ``shared`` common to all of them.

    Examples
    --------
    >>> variance(1), variance(4)
    (Fraction(26, 9), Fraction(13, 18))
    """
    mean = sum(GRADIENTS, Fraction(0)) / len(GRADIENTS)
    single = sum(((g - mean) ** 2 for g in GRADIENTS), Fraction(0)) / len(GRADIENTS)
    return single / batch + shared


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('proved', True)
    """
    claim = find("retention-lemma-2")
    sizes = (1, 2, 4)
    names = {batch: f"B·variance, B = {batch}, gradients −1, 0, 3" for batch in sizes}
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="proved",
        statement="The gradient estimate from a batch of B examples has variance at most C/B.",
        certificate=bundle(_covariances(), _square_of_sum(), *map(_batch, sizes), *map(_shared_noise, sizes)),
        assumptions=(
            "the B per-example gradients, gate noise included, are independent given the parameters",
            "C bounds the variance of a single one at all parameters met; with clamped gates of bounded slope this "
            "needs a bounded gradient of the loss only",
        ),
        computed={name: batch * variance(batch) for batch, name in names.items()},
        claimed={name: variance(1) for name in names.values()},
        reading="Variance about the mean of the estimator, that is about the gradient of the relaxed objective (see "
        "retention-lemma-1): a small variance says nothing about the bias against the Bernoulli objective, which a "
        "larger batch does not reduce.",
        remarks=(
            "Var of a mean of B terms with variance v and covariance c is v/B + (1 − 1/B)c; c = 0 for independent "
            "terms.",
            "Independence is needed: if the gate noise is drawn once per batch and shared, c > 0 and the variance does "
            f"not fall below c. Example: gradients −1, 0, 3 plus a common ±1 have variance {variance(1, 1)}, "
            f"{variance(2, 1)}, {variance(4, 1)} for B = 1, 2, 4: never below 1.",
        ),
    )


def _covariances() -> dict[str, Any]:
    """Variance of a mean of two correlated gradients.

    Var((x + y)/2) from Var x = Var y = v, Cov = c.
    """
    return {
        "kind": "identity",
        "title": "variance of a mean of B terms: (B·v + B(B−1)·c)/B² = v/B + (1 − 1/B)·c",
        "left": "(B*v + B*(B - 1)*c)/B**2",
        "right": "v/B + (1 - 1/B)*c",
    }


def _square_of_sum() -> dict[str, Any]:
    return {
        "kind": "identity",
        "title": "the square of a sum: B squares and B(B−1) products, B = 3",
        "left": "((x + y + z)/3)**2",
        "right": "(x**2 + y**2 + z**2)/9 + 2*(x*y + x*z + y*z)/9",
    }


def _examples() -> list[dict[str, str]]:
    return [{"probability": written(Fraction(1, len(GRADIENTS))), "g": written(g)} for g in GRADIENTS]


def _batch(batch: int) -> dict[str, Any]:
    return {
        "kind": "chain",
        "title": f"independent examples, B = {batch}",
        "definitions": {"variance_of_one": written(variance(1))},
        "start": {"total": "0"},
        "outcomes": _examples(),
        "update": {"total": "total + g"},
        "steps": batch,
        "expect": {"first": "total/steps", "second": "(total/steps)**2"},
        "facts": ["second - first**2 == variance_of_one/steps"],
    }


def _shared_noise(batch: int) -> dict[str, Any]:
    """The common noise is the outcome of the first step."""
    return {
        "kind": "chain",
        "title": f"a noise ±1 shared by the batch, B = {batch}",
        "definitions": {"variance_of_one": written(variance(1))},
        "start": {"total": "0", "common": "0"},
        "outcomes": [
            {"probability": written(Fraction(example["probability"]) / 2), "g": example["g"], "noise": noise}
            for example in _examples()
            for noise in ("1", "-1")
        ],
        "update": {"total": "total + g", "common": "noise if t == 1 else common"},
        "steps": batch,
        "expect": {"first": "total/steps + common", "second": "(total/steps + common)**2"},
        "facts": ["second - first**2 == variance_of_one/steps + 1"],
    }
