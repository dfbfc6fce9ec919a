"""Which power law is tried, and which other form is hardest to tell from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cogfit.engine import estimate
from cogfit.engine.estimate import Estimate
from cogfit.errors import InputError
from cogfit.formulas.form import Form
from cogfit.formulas.registry import POWER_LAWS
from cogfit.inference.ranking import Ranking
from cogfit.planning.situation import Law, Situation


def fitted_laws(
    fits: Mapping[str, Estimate], ranking: Ranking, inside: Sequence[str], registry: Mapping[str, Form]
) -> tuple[Law, Law | None]:
    """The power law of a fit, and its best rival.

    Forms that are not refused come first, then those of the lowest AICc. The simpler of two power laws is tried where
    both are possible; a form that contains it is no rival.

    Parameters
    ----------
    fits : mapping of str to Estimate
    ranking : Ranking
    inside : sequence of str
        Forms that are not refused.
    registry : mapping of str to Form

    Raises
    ------
    InputError
        Where no power law could be fitted.
    """
    usable = [
        name for name, fit in fits.items() if fit.status != "failed" and np.isfinite(list(fit.params.values())).all()
    ]
    powers = [name for name in POWER_LAWS if name in usable]
    if not powers:
        raise InputError("no power law could be fitted, so that none can be tried")
    possible = [name for name in powers if name in inside]
    power = possible[0] if possible else min(powers, key=lambda name: ranking.delta[name])
    rivals = [name for name in usable if is_rival(registry[name], *(possible or (power,)))]
    rivals.sort(key=lambda name: (name not in inside, ranking.delta[name]))
    own, *others = (Law(registry[name], fits[name].params) for name in (power, *rivals[:1]))
    return own, others[0] if others else None


def is_rival(form: Form, *powers: str) -> bool:
    """Whether a form says something else than power laws."""
    return form.name not in POWER_LAWS and not set(powers) & set(form.contains)


def nearest_rival(law: Law, situation: Situation, family: Sequence[Form], noise: str) -> Law | None:
    """The form that comes nearest to a power law.

    It is fitted to the law where that is observed.

    Parameters
    ----------
    law : Law
        The power law.
    situation : Situation
    family : sequence of Form
    noise : str
        Noise model by which distances count.
    """
    x, w = situation.template.x, situation.template.weights
    mean = law.values(x)
    fits = {form.name: estimate.estimate(form, x, mean, w, noise) for form in family if is_rival(form, law.form.name)}
    forms = {form.name: form for form in family}
    usable = [name for name, fit in fits.items() if fit.status != "failed"]
    # of forms that come equally near the simplest is the hardest to refuse
    nearest = min(usable, key=lambda name: (fits[name].rss, len(forms[name].parameters)), default=None)
    return None if nearest is None else Law(forms[nearest], fits[nearest].params)
