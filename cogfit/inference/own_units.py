"""A curve and its fits in units of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cogfit.curves.curve import Curve
from cogfit.engine import noise
from cogfit.engine.estimate import Estimate
from cogfit.engine.units import Units
from cogfit.formulas.form import Form


def in_own_units(curve: Curve, forms: Sequence[Form], fits: Sequence[Estimate]) -> tuple[Curve, list[Estimate], Units]:
    """A curve and its fits in units of the data.

    As far as all forms and their one noise model allow it.

    Returns
    -------
    curve : Curve
    fits : list of Estimate
        Of the forms, in their order.
    units : Units
        What is 1 in them.
    """
    units = Units.of_points(curve.x, curve.y, forms, noise.get(fits[0].noise))
    own = [fit.in_units(form, units) for form, fit in zip(forms, fits, strict=True)]
    return curve.in_units(units.x, units.y), own, units


def one_in_own_units(curve: Curve, form: Form, fit: Estimate) -> tuple[Curve, Estimate, Units]:
    """The same for a single form."""
    own_curve, (own_fit,), units = in_own_units(curve, (form,), (fit,))
    return own_curve, own_fit, units


def by_name_in_own_units(
    curve: Curve, registry: Mapping[str, Form], fits: Mapping[str, Estimate]
) -> tuple[Curve, dict[str, Estimate]]:
    """The same for fits by name of their form."""
    own_curve, own, _ = in_own_units(curve, [registry[name] for name in fits], list(fits.values()))
    return own_curve, dict(zip(fits, own, strict=True))
