"""Associative memories that learn while a stream goes by.

One update with four choices, after MIRAS (arXiv 2504.13173, section 3): what the memory is, what it minimises (the
attentional bias), what it forgets (the retention gate), and by which step it learns. Its named systems are settings,
and so are Lightning attention and Titans.

    S_t = η·S_{t−1} − θ·∇ℓ(W_{t−1}; k_t, v_t),   A_t = λ·A_{t−1} + S_t,   W_t = ψ(A_t)

The gate is the map ψ: the identity (L2), the gradient of ½‖A‖_q² (Lq), or c·softmax(A) (KL), so that λ < 1 pulls the
memory to the least of ‖W‖₂, ‖W‖_q or Σ W log W. A, in 16-bit floats, is the state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from cogfit.errors import InputError, nearest
from theory.policies.parameters import FACTOR_BELOW_1, POSITIVE, SHARE, Range
from theory.policies.policy import Policy
from theory.policies.states import signs
from theory.policies.streams import Array, Vectors

_EXPANSION = 4  # hidden units per feature in a memory of two layers, as in the paper
_GELU_POWER = 0.4252  # E[gelu(z)²] of a standard normal z: hidden units then have a norm of about 1


@dataclass
class Rule:
    """The choices of a memory.

    Attributes
    ----------
    memory, bias, retention : str
        Names in :data:`MEMORIES`, :data:`BIASES` and :data:`GATES`.
    momentum : float
        η; 0 is plain gradient descent, without a state for it.
    rate : float
        θ; at 1 a linear memory with the L2 bias learns a new association at once.
    forgetting : float
        1 − λ.
    p, delta : float
        Exponent of the Lp bias, and the error above which the Huber bias is linear, in units of a value's coordinate.
    q, scale : float
        Exponent of the Lq gate; largest value that the KL gate can hold, in the same units.
    """

    memory: str = "linear"
    bias: str = "l2"
    retention: str = "l2"
    momentum: float = 0.0
    rate: float = 1.0
    forgetting: float = 0.0
    p: float = 3.0
    delta: float = 0.5
    q: float = 4.0
    scale: float = 2.0

    @property
    def keep(self) -> float:
        """λ, what a step keeps of the state."""
        return 1 - self.forgetting


# -------------------------------------------------------------------------------------------------- attentional biases


@dataclass(frozen=True)
class Bias:
    """An attentional bias ℓ.

    Attributes
    ----------
    title : str
    slope : callable
        ``slope(recalled, value, rule)``: gradient of ℓ with respect to what was recalled, (B, m).
    compares : bool
        Whether it depends on what was recalled. If so keys have unit norm and only shown values are learned; if not,
        keys are ±1 and reading divides by their number.
    """

    title: str
    slope: Callable[[Array, Array, Rule], Array]
    compares: bool = True


def _dot(recalled: Array, value: Array, rule: Rule) -> Array:
    return -value


def _l2(recalled: Array, value: Array, rule: Rule) -> Array:
    return np.asarray(recalled - value)


def _lp(recalled: Array, value: Array, rule: Rule) -> Array:
    error = recalled - value
    unit = np.sqrt(value.shape[1])  # a coordinate of a value is 1/unit
    return np.asarray(error * np.abs(unit * error) ** (rule.p - 1) / np.maximum(np.abs(unit * error), 1e-12))


def _huber(recalled: Array, value: Array, rule: Rule) -> Array:
    most = rule.delta / np.sqrt(value.shape[1])
    return np.asarray(np.clip(recalled - value, -most, most))


BIASES: dict[str, Bias] = {
    "dot": Bias("−⟨Mk, v⟩", _dot, compares=False),
    "l2": Bias("½‖Mk − v‖²", _l2),
    "lp": Bias("‖Mk − v‖_p^p / p", _lp),
    "huber": Bias("Huber's loss, coordinate by coordinate", _huber),
}
"""What a memory can minimise."""


# ------------------------------------------------------------------------------------------------------ retention gates


@dataclass(frozen=True)
class Gate:
    """A retention gate.

    Attributes
    ----------
    title : str
    weights : callable
        ``weights(a, rule)``: W = ψ(A), both (B, fan-in, fan-out).
    gain : callable
        ``gain(shape, rule)``: by how much a step in A has to be larger than one in W.
    """

    title: str
    weights: Callable[[Array, Rule], Array]
    gain: Callable[[tuple[int, int], Rule], float]


def _identity(a: Array, rule: Rule) -> Array:
    return a


def _norm(a: Array, rule: Rule) -> Array:
    size = np.abs(a)
    most = np.maximum(size.max((1, 2), keepdims=True), 1e-12)  # powers of shares neither overflow nor vanish
    share = size / most
    norm = (share**rule.q).sum((1, 2), keepdims=True) ** (1 / rule.q)
    # the largest share is 1, so that the norm is below 1 in an empty memory only
    return np.asarray(a * share ** (rule.q - 2) / np.maximum(norm, 1) ** (rule.q - 2), np.float32)


def _softmax(a: Array, rule: Rule) -> Array:
    # weights of each output sum to c: with unit keys of n features an output is at most c/√n
    raised = np.exp(a - a.max(1, keepdims=True))
    return np.asarray(_mass(a.shape[1:], rule) * raised / raised.sum(1, keepdims=True), np.float32)


def _mass(shape: Any, rule: Rule) -> float:
    features, outputs = shape
    return float(rule.scale * np.sqrt(features / outputs))


GATES: dict[str, Gate] = {
    "l2": Gate("L2 decay", _identity, lambda shape, rule: 1.0),
    "lq": Gate("Lq", _norm, lambda shape, rule: float(np.prod(shape) ** (1 - 2 / rule.q))),
    "kl": Gate("KL, softmax", _softmax, lambda shape, rule: shape[0] / _mass(shape, rule)),
}
"""What a memory can forget by."""


# ------------------------------------------------------------------------------------------------------------ memories


class Linear:
    """A matrix."""

    def __init__(self, features: int, outputs: int) -> None:
        self.shapes = ((features, outputs),)
        self.start: tuple[Array | None, ...] = (None,)

    def recall(self, weights: list[Array], x: Array) -> Array:
        """Wᵀx for (B, features)."""
        return np.asarray(np.einsum("br,brm->bm", x, weights[0]))

    def gradient(self, weights: list[Array], x: Array, slope: Array) -> list[Array]:
        """Gradient for each array, given that of the output."""
        return [x[:, :, None] * slope[:, None]]


class Perceptron:
    """Two layers with GELU in between.

    The first begins with random weights, the second with 0; what is forgotten goes back to that. Other than in the
    paper there is no residual: keys and values live in different spaces here.
    """

    def __init__(self, features: int, outputs: int) -> None:
        hidden = _EXPANSION * features
        self.shapes = ((features, hidden), (hidden, outputs))
        first = np.random.default_rng([features, 17]).standard_normal(self.shapes[0]).astype(np.float32)
        self.start: tuple[Array | None, ...] = (first, None)
        self._unit = np.float32(1 / np.sqrt(_GELU_POWER * hidden))

    def recall(self, weights: list[Array], x: Array) -> Array:
        """W₂ᵀgelu(W₁ᵀx) for (B, features)."""
        hidden = _gelu(np.einsum("br,brh->bh", x, weights[0]))[0]
        return np.asarray(np.einsum("bh,bhm->bm", self._unit * hidden, weights[1]))

    def gradient(self, weights: list[Array], x: Array, slope: Array) -> list[Array]:
        """Gradient for each array, given that of the output."""
        hidden, steepness = _gelu(np.einsum("br,brh->bh", x, weights[0]))
        inner = np.einsum("bm,bhm->bh", slope, weights[1]) * self._unit * steepness
        return [x[:, :, None] * inner[:, None], (self._unit * hidden)[:, :, None] * slope[:, None]]


def _gelu(z: Array) -> tuple[Array, Array]:
    """GELU and its slope, by the usual approximation with tanh."""
    inner = np.float32(np.sqrt(2 / np.pi)) * (z + np.float32(0.044715) * z**3)
    bend = np.tanh(inner)
    slope = np.float32(np.sqrt(2 / np.pi)) * (1 + np.float32(3 * 0.044715) * z**2)
    return z * (1 + bend) / 2, (1 + bend) / 2 + z * (1 - bend**2) * slope / 2


MEMORIES: dict[str, Callable[[int, int], Linear | Perceptron]] = {"linear": Linear, "mlp": Perceptron}
"""What a memory can be made of."""


# ------------------------------------------------------------------------------------------------------------ policies


class Memory(Policy):
    """An associative memory under a rule.

    No attention rows at all. As many features of queries and keys as the budget.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {
        "decay": SHARE,
        "momentum": FACTOR_BELOW_1,
        "rate": POSITIVE,
        "forgetting": FACTOR_BELOW_1,
    }

    def rule(self) -> Rule:
        """Return the choices."""
        raise NotImplementedError

    def begin(self, seen: Vectors, budget: int, rng: np.random.Generator, training: Vectors) -> None:
        """Start with an empty memory."""
        super().begin(seen, budget, rng, training)
        self._rule = self.rule()
        self._bias, self._gate = BIASES[self._rule.bias], GATES[self._rule.retention]
        self._memory = MEMORIES[self._rule.memory](budget, seen.value.shape[2])
        self._query, self._key = signs(seen, budget)
        if self._bias.compares:
            self._query, self._key = self._query / np.sqrt(budget), self._key / np.sqrt(budget)
        shapes = self._memory.shapes
        self._gains = [self._gate.gain(shape, self._rule) for shape in shapes]
        self._state: list[Array] = [np.zeros((seen.shape[0], *shape), np.float16) for shape in shapes]
        self._surprise: list[Array] = [np.zeros_like(array) for array in self._state] if self._rule.momentum else []

    def kept(self, t: int) -> Array | None:
        """No token."""
        return np.zeros((1, 1, t), bool)

    def recall(self, t: int) -> Array | None:
        """Recall the value of the query."""
        recalled = self._memory.recall(self._weights(), self._query[:, t])
        return recalled if self._bias.compares else recalled / self.budget

    def observe(self, t: int, weights: Array, output: Array) -> None:
        """Take one step of learning."""
        rule, value = self._rule, self.seen.value[:, t]
        with np.errstate(over="ignore", invalid="ignore"):  # what diverges is refused below
            for i, gradient in enumerate(self._gradients(t, value)):
                step: Array = -rule.rate * self._gains[i] * gradient
                if self._surprise:
                    self._surprise[i][:] = rule.momentum * self._surprise[i] + step
                    step = self._surprise[i]
                self._state[i][:] = rule.keep * self._state[i] + step
        if not all(np.isfinite(state).all() for state in self._state):
            raise InputError("the memory diverges", hint=f"use a smaller step than rate={rule.rate:g}")

    def _gradients(self, t: int, value: Array) -> list[Array]:
        """Gradient of the bias for each array; 0 where there is nothing to learn."""
        current, key = self._weights(), self._key[:, t]
        recalled = self._memory.recall(current, key) if self._bias.compares else value
        slope = self._bias.slope(recalled, value, self._rule)
        if self._bias.compares:
            slope = np.where(np.abs(value).max(1, keepdims=True) > 0, slope, 0)
        return self._memory.gradient(current, key, slope)

    def _weights(self) -> list[Array]:
        arrays = []
        for state, start in zip(self._state, self._memory.start, strict=True):
            moved = state.astype(np.float32)
            arrays.append(self._gate.weights(moved if start is None else start + moved, self._rule))
        return arrays

    def carried(self) -> dict[str, Array]:
        """Memory, and surprise where there is momentum."""
        arrays = {f"memory {i}": array for i, array in enumerate(self._state)}
        return arrays | {f"surprise {i}": array for i, array in enumerate(self._surprise)}

    def memory_bits(self) -> float:
        """16 bits a number."""
        return 16.0 * sum(float(array[0].size) for array in self.carried().values())


@dataclass
class Lightning(Memory):
    """Lightning attention: linear attention with exponential decay.

    Attributes
    ----------
    decay : float
        λ, factor on the state at every token.
    """

    decay: float = 0.995

    def rule(self) -> Rule:
        """Dot products and decay."""
        return Rule(bias="dot", forgetting=1 - self.decay)


@dataclass
class Titans(Memory):
    """Titans' neural long-term memory.

    A linear map trained at test time by gradient steps on ½‖Mφ(k) − v‖².

    Surprise S_t = η·S_{t−1} − θ·gradient, M_t = (1 − α)·M_{t−1} + S_t; written where a value is shown (its
    data-dependent gate).

    Attributes
    ----------
    momentum, rate, forgetting : float
        η, θ and α.
    """

    momentum: float = 0.3
    rate: float = 0.5
    forgetting: float = 0.005

    def rule(self) -> Rule:
        """Regression, decay and momentum."""
        return Rule(rate=self.rate, momentum=self.momentum, forgetting=self.forgetting)


@dataclass
class Miras(Rule, Memory):
    """MIRAS: any memory, bias, gate and step (arXiv 2504.13173).

    The Lq gate is the gradient of ½‖A‖_q², as follow-the-regularised-leader asks for; printed is A/‖A‖_q^{q−2}, without
    the power of A's entries, which makes a memory of one association unstable. Gates, biases and steps are constants
    here; the paper makes them of the token. Its parameters are those of :class:`Rule`, which it is itself.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {
        "p": Range(1, 8),
        "delta": POSITIVE,
        "q": Range(2, 8),
        "scale": POSITIVE,
    }

    forgetting: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        for what, given, known in (
            ("memory", self.memory, MEMORIES),
            ("bias", self.bias, BIASES),
            ("retention", self.retention, GATES),
        ):
            if given not in known:
                raise InputError(f"there is no {what} '{given}'", hint=nearest(str(given), known))
        if self.memory == "mlp" and self.retention == "kl":
            raise InputError(
                "a memory of two layers cannot be forgotten by the KL gate",
                hint="its positive weights would make every answer positive; use memory=linear, or retention=l2 or lq",
            )

    def rule(self) -> Rule:
        """Everything that was chosen."""
        return self


@dataclass
class Moneta(Miras):
    """MIRAS's Moneta: Lp bias, Lq gate, (p, q) = (3, 4).

    Its steps grow with the square of the error, so that they have to be small.
    """

    bias: str = "lp"
    retention: str = "lq"
    rate: float = 0.1


@dataclass
class Yaad(Miras):
    """MIRAS's Yaad: Huber bias, L2 gate."""

    bias: str = "huber"


@dataclass
class Memora(Miras):
    """MIRAS's Memora: L2 bias, KL gate."""

    retention: str = "kl"
