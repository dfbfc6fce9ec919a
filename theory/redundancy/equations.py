"""Affine probes by ridge regression on streamed moments.

The moments of one part of the documents give the probes, those of another part their errors, so the ridge is chosen
without reading any text twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cogfit.errors import MissingDependencyError

try:
    import torch
    from torch import Tensor
except ImportError:
    raise MissingDependencyError("torch", "huggingface", "theory.redundancy.equations") from None

RIDGES = tuple(10.0**power for power in range(-6, 3))
"""Penalties that are tried: from all but none to nearly nothing but the constant."""


@dataclass(frozen=True)
class Probe:
    """An affine map from inputs to outputs.

    ŷ = ȳ + (x − x̄) B.

    Attributes
    ----------
    weight : Tensor
        B, (inputs, outputs).
    centre : Tensor
        x̄, (inputs,).
    constant : Tensor
        ȳ, (outputs,): the best prediction without x.
    """

    weight: Tensor
    centre: Tensor
    constant: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Predict: (tokens, inputs) to (tokens, outputs)."""
        return self.constant + (x - self.centre) @ self.weight

    def single(self) -> Probe:
        """The same in single precision: half the memory."""
        return Probe(self.weight.float(), self.centre.float(), self.constant.float())


class NormalEquations:
    """Moments of inputs and outputs in double precision.

    Their size does not depend on the number of tokens.

    Batches are centred before they are multiplied and then merged (Chan, Golub & LeVeque 1983, Am. Stat. 37, 242), so
    that large means cost no digits.

    Parameters
    ----------
    inputs, outputs : int
    device : torch.device or str

    Examples
    --------
    >>> x = torch.arange(8.0)[:, None]
    >>> equations = NormalEquations(1, 1)
    >>> for part in x.split(3):
    ...     equations.add(part, 2 * part + 1)
    >>> probe = equations.solve(ridge=1e-12)
    >>> round(float(probe(torch.tensor([[10.0]], dtype=torch.float64))), 6)
    21.0
    """

    def __init__(self, inputs: int, outputs: int, device: torch.device | str = "cpu") -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        self.n = 0
        self.x, self.y = zeros(inputs), zeros(outputs)
        self.xx, self.xy = zeros(inputs, inputs), zeros(inputs, outputs)
        self.yy = zeros(outputs)

    def add(self, x: Tensor, y: Tensor) -> None:
        """Take in a batch: (tokens, inputs) and (tokens, outputs)."""
        if not len(x):
            return
        x, y = x.double(), y.double()
        batch = NormalEquations.__new__(NormalEquations)
        batch.n, batch.x, batch.y = len(x), x.mean(0), y.mean(0)
        x, y = x - batch.x, y - batch.y
        batch.xx, batch.xy, batch.yy = x.T @ x, x.T @ y, y.square().sum(0)
        self.merge(batch)

    def merge(self, other: NormalEquations) -> None:
        """Take in what others have taken in."""
        total = self.n + other.n
        if not other.n:
            return
        step_x, step_y, factor = other.x - self.x, other.y - self.y, self.n * other.n / total
        self.xx += other.xx + factor * torch.outer(step_x, step_x)
        self.xy += other.xy + factor * torch.outer(step_x, step_y)
        self.yy += other.yy + factor * step_y.square()
        self.x += step_x * (other.n / total)
        self.y += step_y * (other.n / total)
        self.n = total

    def solve(self, ridge: float | Tensor) -> Probe:
        """Solve the ridge regression.

        Minimise Σ‖y − ŷ‖²/n + ridge·‖B‖² over inputs scaled to unit variance; the constant is not shrunk.

        Parameters
        ----------
        ridge : float or Tensor
            Above 0; the same for all outputs, or one for each.
        """
        if isinstance(ridge, Tensor):
            return Factored(self).solve(ridge)
        gram, spread = self._scaled()
        gram.diagonal().add_(ridge)
        weight = torch.linalg.solve(gram, self.xy / self.n / spread[:, None]) / spread[:, None]
        return Probe(weight, self.x.clone(), self.y.clone())

    def _scaled(self) -> tuple[Tensor, Tensor]:
        """Covariance of the inputs at unit variance, and their spreads."""
        spread = (self.xx.diagonal() / self.n).sqrt()
        spread = torch.where(spread > 0, spread, 1.0)
        return self.xx / self.n / torch.outer(spread, spread), spread

    def squared_errors(self, probe: Probe) -> Tensor:
        """Squared errors of a probe, output by output.

        Exact, from the moments alone.
        """
        offset = self.y - probe.constant - (self.x - probe.centre) @ probe.weight
        explained = (probe.weight * (2 * self.xy - self.xx @ probe.weight)).sum(0)
        return (self.yy - explained + self.n * offset.square()).clamp_min(0)


class Factored:
    """Normal equations in the eigenvectors of their inputs.

    One factorisation serves every ridge.

    Parameters
    ----------
    equations : NormalEquations
    """

    def __init__(self, equations: NormalEquations) -> None:
        self._equations = equations
        gram, self._spread = equations._scaled()
        self._values, self._vectors = torch.linalg.eigh(gram)
        self._values = self._values.clamp_min(0)
        self._sides = self._vectors.T @ (equations.xy / equations.n / self._spread[:, None])

    def solve(self, ridge: float | Tensor) -> Probe:
        """Solve for one ridge, or one per output."""
        shrunk = self._sides / (self._values[:, None] + ridge)
        weight = (self._vectors @ shrunk) / self._spread[:, None]
        return Probe(weight, self._equations.x.clone(), self._equations.y.clone())


def choose_ridges(
    fitted: NormalEquations, held_out: NormalEquations, units: Tensor, ridges: Sequence[float] = RIDGES
) -> tuple[Tensor, Tensor]:
    """Choose each unit's ridge on held-out documents.

    Parameters
    ----------
    fitted, held_out : NormalEquations
        Moments of disjoint documents.
    units : Tensor
        (outputs,): number of the unit that each output belongs to, from 0.
    ridges : sequence of float
        Those that are tried.

    Returns
    -------
    by_unit, by_output : Tensor
        (units,) and (outputs,).

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> x = torch.randn(60, 20, generator=generator, dtype=torch.float64)
    >>> y = torch.stack([x[:, 0], torch.randn(60, generator=generator, dtype=torch.float64)], 1)  # law and noise
    >>> halves = NormalEquations(20, 2), NormalEquations(20, 2)
    >>> for half, part in zip(halves, (slice(0, 30), slice(30, 60)), strict=True):
    ...     half.add(x[part], y[part])
    >>> by_unit, _ = choose_ridges(*halves, torch.tensor([0, 1]))
    >>> bool(by_unit[0] < 1e-3 < 0.1 < by_unit[1])
    True
    """
    factored = Factored(fitted)
    errors = torch.zeros(len(ridges), int(units.max()) + 1, dtype=torch.float64, device=units.device)
    for i, ridge in enumerate(ridges):
        errors[i].index_add_(0, units, held_out.squared_errors(factored.solve(ridge)))
    by_unit = torch.tensor(ridges, dtype=torch.float64, device=units.device)[errors.argmin(0)]
    return by_unit, by_unit[units]
