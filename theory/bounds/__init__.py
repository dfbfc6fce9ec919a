"""The theorems, one file each.

The docstring is the statement with its source, ``check()`` gives the verdict.

A new theorem is a module here with a function ``check() -> Verdict`` and one line in :data:`_LIST`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from cogfit.errors import InputError, nearest

if TYPE_CHECKING:
    from theory.proofs.verdict import Verdict


@dataclass(frozen=True)
class Theorem:
    """A theorem of the package.

    Attributes
    ----------
    id : str
        Short identifier, such as ``"T3"``.
    title : str
        What it says, in a few words.
    module : str
        Its file in :mod:`theory.bounds`.
    """

    id: str
    title: str
    module: str

    def check(self) -> Verdict:
        """Rebuild the certificate from scratch and return the verdict."""
        verdict: Verdict = import_module(f"theory.bounds.{self.module}").check()
        return verdict


_LIST = (
    Theorem("T0", "least attention at a given error rate: Chow's curve", "t0_chow"),
    Theorem("T1", "without memory attention and errors trade one for one", "t1_memoryless"),
    Theorem("T2", "S bits of memory spare at most S bits' worth of attention", "t2_memory_bits"),
    Theorem("T3", "every pattern must be attended to once", "t3_compulsory"),
    Theorem("T4", "Zipf frequencies make attention a power law of stream length", "t4_zipf_streams"),
    Theorem("T5", "what a static router with memory pays", "t5_static_routers"),
    Theorem("T6", "an average of independent patterns is never sharper than one", "t6_sharpness"),
    Theorem("T7", "against exposures the exponent is an index of consolidation rates", "t7_exposure_axis"),
    Theorem("T8", "a static router's price changes its order at Zipf exponent 2", "t8_static_price"),
    Theorem("T9", "where values are redrawn the cost is linear again", "t9_drift"),
    Theorem("T10", "other losses, soft attention, values that are not equally likely", "t10_soft_attention"),
    Theorem("T11", "heads save nothing, and who must search reads half of the rows", "t11_partial_reads"),
    Theorem("T12", "what a state holds, asked of copies of it", "t12_copied_states"),
    Theorem("T13", "what it costs not to know the frequencies", "t13_unknown_law"),
)
_THEOREMS = {theorem.id: theorem for theorem in _LIST}


def theorems() -> tuple[Theorem, ...]:
    """All theorems, in order.

    Returns
    -------
    tuple of Theorem
    """
    return tuple(_THEOREMS.values())


def check_theorem(name: str) -> Verdict:
    """Check one theorem by its identifier.

    Parameters
    ----------
    name : str
        Such as ``"T1"``; case does not matter.

    Returns
    -------
    Verdict

    Raises
    ------
    InputError
        If there is no such theorem.
    """
    theorem = {key.casefold(): value for key, value in _THEOREMS.items()}.get(name.casefold())
    if theorem is None:
        raise InputError(f"no theorem '{name}'", hint=nearest(name, _THEOREMS))
    return theorem.check()
