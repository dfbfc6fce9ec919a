"""The separable engine on another device, in torch.

Bundles of curves are solved side by side, in double precision.

It does what :mod:`cogfit.native.kernels` does one curve at a time: ranks a grid of starts, then goes down from the best
by Levenberg–Marquardt with the linear coefficients projected out. Curves that are not done after some iterations are
finished on the processor. Torch is imported here only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cogfit.engine import separable
from cogfit.engine.separable import Batch, Bundle
from cogfit.errors import InputError
from cogfit.formulas.form import Array, Form

CHUNK = 1 << 24
"""Points on the device at a time, those of all starts of a curve counted."""

_SORTING = 12  # iterations by which starts are sorted out
_ITERATIONS = 60  # before a curve is left to the processor
_TOLERANCE = 1e-13  # relative decrease of the RSS below which a curve has converged
_PARALLEL = 1e-14  # share of a squared length below which a column adds nothing to another

Columns = Callable[[Tensor, Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]]


def _shifted(x: Tensor, _: Tensor, theta: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (torch.exp(-theta[0] * torch.log1p(x / theta[1])),)


def _two(x: Tensor, lx: Tensor, theta: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return torch.exp(-theta[0] * x), -torch.expm1(-theta[0] * x) * torch.exp(-theta[1] * lx)


_COLUMNS: dict[str, Columns] = {
    "power": lambda x, lx, t: (torch.exp(-t[0] * lx),),
    "shifted_power": _shifted,
    "exponential": lambda x, lx, t: (torch.exp(-t[0] * x),),
    "apex": lambda x, lx, t: (torch.exp(-t[0] * lx - t[1] * x),),
    "stretched": lambda x, lx, t: (torch.exp(-torch.exp(t[1] * (lx - torch.log(t[0])))),),
    "hyperbolic": lambda x, lx, t: (1.0 / (1.0 + x / t[0]),),
    "step": lambda x, lx, t: (torch.sigmoid(-t[1] * (lx - torch.log(t[0]))),),
    "two_process": _two,
}
"""Columns φ(x; θ) by the name of a basis (``cogfit/native/bases.h``); θ in natural units."""


def solve_bundle(form: Form, bundle: Bundle, device: str) -> Batch:
    """Least squares for a bundle of curves on a device.

    Parameters
    ----------
    form : Form
        One with a column in torch.
    bundle : Bundle
        Every x in the form's domain.
    device : str
        "cuda", "cuda:1", …; "torch" is the processor, by the same code.

    Returns
    -------
    Batch

    Raises
    ------
    InputError
        For a form that has no column here, or a device that is not there.
    """
    if form.basis not in _COLUMNS:
        names = ", ".join(name for name in separable_forms())
        raise InputError(f"'{form.name}' is not fitted on device '{device}'", hint=f"there are {names}")
    where = _device(device)
    params, rss, flags = np.empty((bundle.axis.size, len(form.parameters))), np.empty(bundle.axis.size), []
    weight = max(separable.most_starts(form) * (2 + len(form.shape)), 4)
    for begin, end in bundle.parts(max(CHUNK // weight, 1)):
        part = bundle.take(np.arange(begin, end))
        with torch.no_grad():
            theta, coef, rss[begin:end], has_converged = _Problem.from_bundle(form, part, where).solve()
        natural, _ = separable.natural_of(form, theta)
        params[begin:end] = separable.assemble(form, natural, coef)
        flags.append(has_converged)
    converged = np.concatenate(flags) if flags else np.empty(0, dtype=bool)
    crawling = np.flatnonzero(~converged)
    if crawling.size:
        shape = [i for i, q in enumerate(form.parameters) if q.role == "shape"]
        finished = separable.solve_bundle(form, bundle.take(crawling), starts=params[crawling][:, None, shape])
        params[crawling], rss[crawling], converged[crawling] = finished.params, finished.rss, finished.converged
    return Batch(params, rss, converged)


def separable_forms() -> list[str]:
    """Names of the forms that are fitted on a device."""
    from cogfit.formulas.registry import forms

    return [form.name for form in forms().values() if form.basis in _COLUMNS]


def _device(name: str) -> torch.device:
    """The device by name."""
    try:
        device = torch.device("cpu" if name == "torch" else name)
        torch.zeros(1, dtype=torch.float64, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise InputError(f"device '{name}' cannot be used ({reason})", hint="use 'cpu' or 'cuda'") from error
    return device


@dataclass(frozen=True)
class _Problem:
    """Curves of one part side by side.

    x, log x, √w and √w·y have shape (curves or 1, n); √w is 0 where there is no point.

    low, high (curves or 1, p) are the box and bottom, top the range of the grid, in the solver's coordinates.
    """

    form: Form
    x: Tensor
    lx: Tensor
    root: Tensor
    target: Tensor
    low: Tensor
    high: Tensor
    bottom: Tensor
    top: Tensor

    @classmethod
    def from_bundle(cls, form: Form, bundle: Bundle, where: torch.device) -> _Problem:
        used = np.unique(bundle.axis)
        size, shared = bundle.size, used.size == 1
        n = int(size.max())
        offset = np.arange(n)
        inside = offset < size[:, None]
        first = bundle.x_at[used] if shared else bundle.x_at[bundle.axis]
        x = bundle.x[first[:, None] + np.where(inside[: first.size], offset, 0)]
        y = bundle.y[bundle.y_at[:, None] + np.where(inside, offset, 0)]
        has_shared_weights = shared and bool((bundle.w_at == bundle.w_at[0]).all())
        w_at = bundle.w_at[:1] if has_shared_weights else bundle.w_at
        w = np.sqrt(bundle.w[w_at[:, None] + np.where(inside[: w_at.size], offset, 0)]) * inside[: w_at.size]
        box, grid = separable.search_ranges(form, bundle)
        limits = [v[used] if shared else v[bundle.axis] for v in (*box, *grid)]

        def tensor(values: Array) -> Tensor:
            return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float64, device=where)

        root = tensor(w)
        return cls(form, tensor(x), tensor(separable.safe_log(x)), root, tensor(y) * root, *map(tensor, limits))

    def at(self, rows: Tensor) -> _Problem:
        """Some of the curves. A curve comes as often as it is named."""

        def pick(values: Tensor) -> Tensor:
            return values[rows] if len(values) > 1 else values

        return _Problem(
            form=self.form,
            x=pick(self.x),
            lx=pick(self.lx),
            root=pick(self.root),
            target=self.target[rows],
            low=pick(self.low),
            high=pick(self.high),
            bottom=pick(self.bottom),
            top=pick(self.top),
        )

    # -------------------------------------------------------------------------------------------- one evaluation

    def columns(self, theta: Tensor, *, with_slopes: bool) -> tuple[list[Tensor], list[list[Tensor]]]:
        """Weighted columns and their derivatives.

        The derivatives by the coordinates theta (curves, p) are listed by parameter, then by
        column.
        """
        function = _COLUMNS[self.form.basis or ""]

        def value(*coordinates: Tensor) -> tuple[Tensor, ...]:
            natural = tuple(
                (torch.exp(c) if q.in_logs else c)[:, None] for c, q in zip(coordinates, self.form.shape, strict=True)
            )
            return tuple(column * self.root for column in function(self.x, self.lx, natural))

        at = tuple(theta.unbind(1))
        if not with_slopes:
            return list(value(*at)), []
        zero, one = torch.zeros_like(at[0]), torch.ones_like(at[0])
        phi: tuple[Tensor, ...] = ()
        slopes_by_parameter = []
        for j in range(len(at)):
            phi, slope, *_ = torch.func.jvp(value, at, tuple(one if i == j else zero for i in range(len(at))))
            slopes_by_parameter.append(list(slope))
        return list(phi), slopes_by_parameter

    def linear(self, phi: list[Tensor]) -> tuple[Tensor, Tensor, Tensor, list[Tensor]]:
        """Bounded least squares on the columns.

        Coefficients (curves, 2), residual, RSS, and orthonormal active columns.
        """
        # the first column alone, within its bound
        t = self.target
        first, rest = (self.root, phi) if self.form.floor else (phi[0], phi[1:])
        bounded = self._bounded
        norm = _length(first)
        q = first / norm
        along = _dot(q, t)
        alone = along.clamp(min=0.0) if bounded[0] else along
        zero = torch.zeros_like(along)
        if not rest:
            r = t - alone * q
            coef = torch.cat([alone / norm, zero], 1)
            return coef, r, _dot(r, r)[:, 0], [q.expand_as(t) * (alone == along)]
        # both columns: the second made orthogonal to the first, twice, for the last digits
        second = rest[0]
        lean = _dot(q, second)
        u = second - lean * q
        more = _dot(q, u)
        u, lean = u - more * q, lean + more
        square, whole = _dot(u, u), _dot(second, second)
        slope = _dot(u, t) / square
        level = (along - slope * lean) / norm
        inside = square > _PARALLEL * whole
        for value, limited in ((level, bounded[0]), (slope, bounded[1])):
            inside = inside & (value >= 0.0) if limited else inside

        # where a bound cuts that off, the better of the two alone
        second_alone = _dot(second, t) / whole
        second_alone = torch.where(
            torch.isfinite(second_alone), second_alone.clamp(min=0.0) if bounded[1] else second_alone, zero
        )
        use_second = ~inside & (second_alone * second_alone * whole > alone * alone)
        a = torch.where(inside, level, torch.where(use_second, zero, alone / norm))
        b = torch.where(inside, slope, torch.where(use_second, second_alone, zero))
        r = t - a * first - b * second
        active = [
            torch.where(use_second, zero, q) * (inside | (alone == along) | use_second),
            torch.where(
                inside, u / square.sqrt(), torch.where(use_second & (second_alone > 0.0), second / whole.sqrt(), zero)
            ),
        ]
        return torch.cat([a, b], 1), r, _dot(r, r)[:, 0], active

    @property
    def _bounded(self) -> list[bool]:
        order = ([self.form.floor] if self.form.floor else []) + list(self.form.amplitudes)
        return [q.lower == 0.0 for q in order]

    def terms(self, theta: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """RSS, coefficients, gradient and curvature of the projected problem.

        The gradient has shape (curves, p), the curvature (curves, p, p).
        """
        phi, slopes = self.columns(theta, with_slopes=True)
        coef, r, rss, active = self.linear(phi)
        first = 1 if self.form.floor else 0
        rows = []
        for moved in slopes:
            row = torch.stack([coef[:, first + k, None] * slope for k, slope in enumerate(moved)]).sum(0)
            for column in active:
                row = row - _dot(row, column) * column
            rows.append(row)
        jac = torch.stack(rows, 1)
        rss = torch.where(torch.isfinite(rss), rss, torch.inf)
        return rss, coef, torch.einsum("bpn,bn->bp", jac, r), torch.einsum("bpn,bqn->bpq", jac, jac)

    # ------------------------------------------------------------------------------------------------ the search

    def starts(self) -> tuple[Tensor, Tensor]:
        """Coordinates (curves, starts, p) and which are there.

        They are the lowest local minima on a grid or, of several parameters, the lowest for each value of a scale.
        """
        mesh, sizes = separable.start_grid(self.form)
        mesh_on_device = torch.as_tensor(mesh, device=self.x.device)
        count, p = len(self.target), len(sizes)
        rss = torch.empty((count, len(mesh_on_device)), dtype=torch.float64, device=self.x.device)
        cells_theta = []
        for g, cell in enumerate(mesh_on_device):
            below = self.bottom - (self.bottom - self.low) * -cell
            above = self.top + (self.high - self.top) * (cell - 1.0)
            within = self.bottom + (self.top - self.bottom) * cell
            theta = torch.where(cell < 0.0, below, torch.where(cell > 1.0, above, within))
            cells_theta.append(theta)
            phi, _ = self.columns(theta, with_slopes=False)
            rss[:, g] = self.linear(phi)[2]
        rss = torch.where(torch.isfinite(rss), rss, torch.inf)
        if p == 1:
            padded = torch.nn.functional.pad(rss, (1, 1), value=torch.inf)
            minima = torch.where((rss <= padded[:, :-2]) & (rss <= padded[:, 2:]), rss, torch.inf)
            lowest, chosen = torch.topk(minima, separable.most_starts(self.form), dim=1, largest=False)
            is_start = torch.isfinite(lowest)
            is_start[:, 0] = True
        else:
            spread = max(range(p), key=lambda j: self.form.shape[j].log * sizes[j])
            lines = torch.arange(len(mesh_on_device), device=rss.device).reshape(sizes).movedim(spread, 0).flatten(1)
            chosen = torch.stack([line[rss[:, line].argmin(1)] for line in lines], 1)
            is_start = torch.ones_like(chosen, dtype=torch.bool)
        grid = torch.stack(cells_theta, 1)  # (axes, cells, p)
        grid = grid.expand(count, -1, -1)
        return torch.gather(grid, 1, chosen[:, :, None].expand(-1, -1, p)), is_start

    def solve(self) -> tuple[Array, Array, Array, np.ndarray[Any, np.dtype[np.bool_]]]:
        """Coordinates, coefficients, RSS and convergence of every curve."""
        theta, is_start = self.starts()
        most = separable.most_starts(self.form)
        if theta.shape[1] > most:
            solutions, _, rss, _ = self._descend_from(theta, is_start, 1e-6, _SORTING)
            best = torch.topk(rss, most, dim=1, largest=False).indices
            theta = torch.gather(solutions, 1, best[:, :, None].expand(-1, -1, theta.shape[2]))
            is_start = is_start[:, :most]
        solutions, coef, rss, done = self._descend_from(theta, is_start, _TOLERANCE, _ITERATIONS)
        pick = torch.arange(len(rss), device=rss.device), rss.argmin(1)
        return tuple(v[pick].cpu().numpy() for v in (solutions, coef, rss, done))  # type: ignore[return-value]

    def _descend_from(self, theta: Tensor, is_start: Tensor, tolerance: float, iterations: int) -> tuple[Tensor, ...]:
        """Descend from several starts of every curve.

        Results of :meth:`descend` from the starts (curves, starts, p), by curve and start.
        """
        count, most, p = theta.shape
        open_starts = torch.nonzero(is_start.flatten())[:, 0]
        rows = torch.arange(count, device=theta.device).repeat_interleave(most)[open_starts]
        results = self.at(rows).descend(theta.reshape(-1, p)[open_starts], tolerance, iterations)
        blanks = (theta, theta.new_zeros((count, most, 2)), theta.new_full((count, most), torch.inf), is_start & False)
        out = []
        for values, blank in zip(results, blanks, strict=True):
            whole = blank.clone().flatten(0, 1)
            whole[open_starts] = values
            out.append(whole.reshape(blank.shape))
        return tuple(out)

    def descend(self, theta: Tensor, tolerance: float, iterations: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Levenberg–Marquardt in the box.

        Coordinates, coefficients, RSS, and which have converged.
        """
        low, high = (v.expand_as(theta) for v in (self.low, self.high))
        theta = theta.clamp(low, high)
        rss, coef, gradient, curvature = self.terms(theta)
        done = ~torch.isfinite(rss)
        damping = torch.full_like(rss, 1e-3)
        active = torch.nonzero(~done)[:, 0]
        for _ in range(iterations):
            if active.numel() == 0:
                break
            part = self.at(active)
            here, g, h, d = theta[active], gradient[active], curvature[active], damping[active]
            lower, upper = low[active], high[active]
            trial, predicted = _step(here, g, h, d, lower, upper)
            rss_trial, trial_coef, trial_g, trial_h = part.terms(trial)
            rss_here = rss[active]
            is_better = rss_trial < rss_here
            is_small = is_better & (rss_here - rss_trial <= tolerance * rss_here) & (d <= 1e-2)
            is_flat = (predicted <= 0.01 * tolerance * rss_here) & (d <= 1e-2)
            moved = (trial - here).abs().amax(1)
            damping[active] = torch.where(is_better, (0.2 * d).clamp(min=1e-12), 8.0 * d)
            is_stuck = ~is_better & ((damping[active] > 1e8) | (predicted <= tolerance * rss_here))
            is_better = is_better & ~is_flat
            gain = active[is_better]
            theta[gain], rss[gain], coef[gain] = trial[is_better], rss_trial[is_better], trial_coef[is_better]
            gradient[gain], curvature[gain] = trial_g[is_better], trial_h[is_better]
            finished = (
                is_flat
                | is_small
                | is_stuck
                | (moved < 1e-12)
                | (rss[active] <= 1e-30 * _length(part.target)[:, 0] ** 2)
            )
            done[active] = finished
            active = active[~finished]
        return theta, coef, rss, done


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Products of the rows, (curves, 1).

    Either matrix may have one row for all.
    """
    if len(a) == 1 or len(b) == 1:
        single, many = (a, b) if len(a) == 1 else (b, a)
        return many @ single.T
    return torch.bmm(a[:, None, :], b[:, :, None])[:, :, 0]


def _length(values: Tensor) -> Tensor:
    return _dot(values, values).sqrt()


def _step(here: Tensor, g: Tensor, h: Tensor, damping: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Damped step in the box, and the decrease it predicts.

    Coordinates that a bound holds stay where they are. The decrease is that of the RSS.
    """
    held = ((here <= low) & (g <= 0.0)) | ((here >= high) & (g >= 0.0))
    scale = torch.diagonal(h, dim1=1, dim2=2).sqrt()
    held = held | ~(scale > 0.0)
    inverse = torch.where(held, 0.0, 1.0 / scale)
    scaled = h * inverse[:, :, None] * inverse[:, None, :]
    eye = torch.eye(here.shape[1], dtype=h.dtype, device=h.device)
    scaled = scaled + eye * (damping[:, None, None] + torch.where(held, 1.0, 0.0)[:, :, None])
    step = torch.linalg.solve_ex(scaled, (g * inverse)[:, :, None])[0][:, :, 0] * inverse
    step = torch.where(torch.isfinite(step), step, 0.0)
    trial = (here + step).clamp(low, high)
    is_cut = (trial != here + step).any(1)
    return trial, torch.where(is_cut, torch.inf, (step * g).sum(1))
