"""CRAM Theorem 2: the semantic memory converges to the episodic one at rate C/(Tη).

**Statement.** Let f_sem have Lipschitz constant L and be trained by T updates of rate η < 2/L² on the consolidation
loss. Then E‖f_sem − r^E‖² ≤ ε_approx² + C/(Tη), ε_approx² the least loss that f_sem can reach.

**Assumptions.** None beyond these. The paper's own f_sem is W_up ReLU(W_down x) (Eq. 4). (The proof is in an appendix
that is not available.)

**Reference.** CRAM, arXiv 2602.12204v1, Theorem 2 (Eq. 11), Eqs. 4 and 5. The valid part is the standard analysis of
constant-step least mean squares; Bach & Moulines, NIPS 2013 (arXiv 1306.2119), for averaged iterates with noise.

**Check.** Stochastic gradient descent carried out exactly: one weight with noisy targets, started at the optimum; the
paper's f_sem with one hidden unit, from all starts of a grid; the loss of Eq. 5 without the factor ½. The valid
version: the step of its proof as an identity, its sum on a small example.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from theory.claims import find
from theory.proofs.certificates import bundle, written
from theory.proofs.verdict import Verdict

RATE = Fraction(1, 2)
"""η, below 2/L² = 2."""


def excess() -> Iterator[Fraction]:
    """Loss above 1 after T steps on one weight.

    E[w_T²], T = 1, 2, ..., of w ← w − η(w − r), r = ±1 with probability ½ each, w_0 = 0.

    Examples
    --------
    >>> [str(square) for square in itertools.islice(excess(), 2)]
    ['1/4', '5/16']
    """
    square = Fraction(0)
    while True:
        square = (1 - RATE) ** 2 * square + RATE**2
        yield square


def first_violation(constant: int) -> tuple[int, Fraction]:
    """Smallest T with E[w_T²] > C/(Tη), and E[w_T²].

    Examples
    --------
    >>> first_violation(1)[0]
    7
    """
    return next((t, square) for t, square in enumerate(excess(), 1) if square > constant / (t * RATE))


def stationary_starts() -> list[tuple[int, int]]:
    """Starts with gradient zero but not the least loss.

    (up, down) in {−1, 0, 1}² for up·ReLU(down·x).

    One input x = 1 with target 1, which up = down = 1 reaches.
    """
    starts = []
    for up, down in itertools.product((-1, 0, 1), repeat=2):
        hidden, slope = max(0, down), 1 if down > 0 else 0
        error = up * hidden - 1
        if error and (error * hidden, error * up * slope) == (0, 0):
            starts.append((up, down))
    return starts


def check() -> Verdict:
    """Verdict on the claim.

    Examples
    --------
    >>> verdict = check()
    >>> verdict.status, verdict.verify().ok
    ('refuted', True)
    """
    claim = find("cram-theorem-2")
    # gradient noise leaves a floor; dead units never learn
    (updates, above), (later, _) = first_violation(1), first_violation(100)
    starts = stationary_starts()
    floor = RATE / (2 - RATE)
    noisy, dead = f"loss after T = {updates}, noise ±1, η = {RATE}", f"loss after T = 100, ReLU, η = {RATE}"
    # the verdict, with what is right instead and why
    return Verdict(
        claim=claim.id,
        source=claim.source,
        status="refuted",
        statement="If f_sem has Lipschitz constant L and is trained by T updates of rate η < 2/L², then "
        "E‖f_sem − r^E‖² ≤ ε_approx² + C/(Tη), with C independent of T.",
        certificate=bundle(
            _noise(updates),
            _growth(),
            _later(100, later),
            *(_stationary(*start) for start in starts),
            _control(),
            _without_half(),
            _step_of_proof(),
            _valid_instance(),
        ),
        computed={noisy: 1 + above, dead: 1, "loss as T → ∞, noise ±1": 1 + floor},
        claimed={noisy: 1 + 1 / (updates * RATE), dead: 1 / (100 * RATE), "loss as T → ∞, noise ±1": 1},
        reading="The authors are right where no gradient noise is left: for full-batch gradient descent of an f_sem "
        "linear in its parameters (½‖f − r‖², η ≤ 1/L²: excess ≤ ‖w₀ − w*‖²/(Tη)), and, for the averaged loss, for "
        "stochastic updates if the target can be met exactly. With noise a rate like 1/T needs averaged iterates or a "
        "falling step. The numbers here take C = 1; no finite C helps.",
        corrected="Let f_sem be linear in its parameters with features of norm at most L, the loss ½‖f_sem − r^E‖², "
        "the target reachable (r^E = f_sem at w*), 0 < η < 2/L². Then for any order of the data "
        "(1/T) Σ_{t<T} ‖f_sem − r^E‖²_t ≤ C/(Tη) with C = ‖w₀ − w*‖²/(2 − ηL²): a bound on the averaged loss. "
        "With noise of variance s² in the target a constant step leaves a floor, here ηs²/(2 − η).",
        remarks=(
            f"Noise floor: f_sem = w, targets ±1 with probability ½, so ε_approx² = 1 at w = 0. Start there and take "
            f"steps η = {RATE} < 2/L² = 2: E[w_T²] = η/(2−η)·(1 − (1−η)^(2T)) rises from 0 to {floor} and stays. After "
            f"T = {updates} updates the loss is {1 + above} = {float(1 + above):.4f}, above "
            f"1 + C/(Tη) = {float(1 + 1 / (updates * RATE)):.4f} for C = 1; for C = 100 from T = {later} on; for any C "
            "from T > C/η³ on, because E[w_T²] ≥ η².",
            "The paper's own f_sem: W_up = W_down = 0 is a stationary point, and so is any start at which no hidden "
            "unit is active. One input x = 1 with target 1, one hidden unit: of the nine starts in {−1, 0, 1}² "
            f"{len(starts)} never move ({', '.join(f'({u}, {d})' for u, d in starts)} as (up, down)) and keep the loss "
            "1, though up = down = 1 has loss 0. With a symmetric random start and positive input one unit is dead "
            "with probability 1/2, all of h units with 2^(−h): for a wide f_sem this point is a technicality, the "
            "noise floor is not.",
            "The rate: for the loss as Eq. 5 writes it, without ½, the limit is 1/L², not 2/L². At η = 3/2 with L = 1 "
            "and a reachable target each step doubles the error: the loss is 4^T.",
        ),
    )


def _noise(updates: int) -> dict[str, Any]:
    return {
        "kind": "chain",
        "title": f"one weight, noisy targets, started at the optimum: above 1 + C/(Tη) with C = 1 after T = {updates}",
        "definitions": {"eta": written(RATE), "C": "1", "floor": "eta/(2 - eta)"},
        "start": {"w": "0"},
        "outcomes": [{"probability": "1/2", "target": "1"}, {"probability": "1/2", "target": "-1"}],
        "update": {"w": "w - eta*(w - target)"},
        "steps": updates,
        "expect": {"loss": "((w - 1)**2 + (w + 1)**2)/2", "least": "((0 - 1)**2 + (0 + 1)**2)/2"},
        "facts": ["eta < 2", "least == 1", "loss == 1 + floor*(1 - (1 - eta)**(2*steps))", "loss > 1 + C/(steps*eta)"],
    }


def _growth() -> dict[str, Any]:
    return {
        "kind": "identity",
        "title": "E[w²] = η/(2−η)·(1 − q), q = (1−η)^(2T): one more update multiplies q by (1−η)²",
        "left": "(1 - eta)**2 * eta/(2 - eta)*(1 - q) + eta**2",
        "right": "eta/(2 - eta)*(1 - (1 - eta)**2*q)",
    }


def _later(constant: int, updates: int) -> dict[str, Any]:
    return {
        "kind": "arithmetic",
        "title": f"the same with C = {constant}: first at T = {updates}",
        "definitions": {"eta": written(RATE), "T": str(updates), "C": str(constant), "floor": "eta/(2 - eta)"},
        "facts": [
            "floor*(1 - (1 - eta)**(2*T)) > C/(T*eta)",
            "floor*(1 - (1 - eta)**(2*(T - 1))) <= C/((T - 1)*eta)",
        ],
    }


_RELU = {
    "kind": "chain",
    "let": {"hidden": "max(0, down*1)", "slope": "1 if down > 0 else 0", "error": "up*hidden - 1"},
    "update": {"up": "up - eta*error*hidden", "down": "down - eta*error*up*slope"},
    "expect": {"loss": "(up*max(0, down) - 1)**2"},
}


def _stationary(up: int, down: int) -> dict[str, Any]:
    return {
        **_RELU,
        "title": f"up·ReLU(down·x) on x = 1, target 1, from ({up}, {down}): never moves",
        "definitions": {"eta": written(RATE)},
        "start": {"up": str(up), "down": str(down)},
        "steps": 100,
        "always": [f"up == {up}", f"down == {down}"],
        "facts": ["loss == 1", "loss > 1/(steps*eta)", "(1*max(0, 1) - 1)**2 == 0"],
    }


def _control() -> dict[str, Any]:
    return {
        **_RELU,
        "title": "control: the same rule learns from (1, 1/2)",
        "definitions": {"eta": "1/4"},
        "start": {"up": "1", "down": "1/2"},
        "steps": 4,
        "facts": ["loss < 1/100"],
    }


def _without_half() -> dict[str, Any]:
    return {
        "kind": "chain",
        "title": "Eq. 5 without ½: w ← w − 2η(w − 1) with η = 3/2 < 2/L²",
        "definitions": {"eta": "3/2"},
        "start": {"w": "0"},
        "update": {"w": "w - 2*eta*(w - 1)"},
        "steps": 10,
        "expect": {"loss": "(w - 1)**2"},
        "facts": ["eta < 2", "loss == 4**steps"],
    }


def _step_of_proof() -> dict[str, Any]:
    return {
        "kind": "identity",
        "title": "‖w' − w*‖² = ‖w − w*‖² − η(2 − η‖φ‖²)e², e the error on φ; sum over t with ‖φ‖ ≤ L",
        "definitions": {"e": "a*u + b*v"},
        "left": "(u - eta*e*a)**2 + (v - eta*e*b)**2",
        "right": "u**2 + v**2 - eta*(2 - eta*(a**2 + b**2))*e**2",
    }


def _valid_instance() -> dict[str, Any]:
    """An instance that meets the assumptions.

    Features (1, 0) and (3/5, 4/5), w* = (1, 1), w_0 = 0, η = 1: C = 2/(2 − 1).
    """
    return {
        "kind": "chain",
        "title": "the valid version on a small example: averaged loss against C/(Tη)",
        "definitions": {"eta": "1", "L": "1", "C": "(1**2 + 1**2)/(2 - eta*L**2)"},
        "start": {"u": "0", "v": "0", "total": "0"},
        "outcomes": [
            {"probability": "1/2", "a": "1", "b": "0"},
            {"probability": "1/2", "a": "3/5", "b": "4/5"},
        ],
        "let": {"error": "a*u + b*v - (a + b)"},
        "update": {"u": "u - eta*error*a", "v": "v - eta*error*b", "total": "total + error**2"},
        "steps": 8,
        "expect": {"mean": "total/steps"},
        "always": ["total <= C/eta"],
        "facts": ["mean <= C/(steps*eta)"],
    }
