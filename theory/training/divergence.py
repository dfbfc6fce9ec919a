"""Training that diverges: noticed, located, and never recorded as finished.

The numbers of a diverged run are infinite or no numbers. Written to a log they would be gaps, and the argmax of its
logits would still count as an answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from cogfit.errors import InputError
from theory.models import Output


class Diverged(InputError):
    """Numbers of a training run are not finite.

    Attributes
    ----------
    member : int
        Which of the models that train together.
    """

    member = 0


def check_update(losses: Tensor, seen: Mapping[str, Tensor]) -> None:
    """Refuse an update with numbers that are not finite.

    Parameters
    ----------
    losses : Tensor, shape (M,)
    seen : mapping of str to Tensor
        What was observed, with the members in front; may be empty.

    Raises
    ------
    Diverged
        It names the member and the first such number.
    """
    for member, loss in enumerate(losses.tolist()):
        if not math.isfinite(loss):
            raise _diverged(f"the loss is {loss}", member)
    # a router that every token overrules may fail before the loss does
    if "p_episodic" in seen:
        is_finite = torch.isfinite(seen["p_episodic"]).flatten(1).all(1).tolist()
        if not all(is_finite):
            raise _diverged("a probability of attending is nan", is_finite.index(False))


def check_parameters(parameters: Mapping[str, Tensor], members: int) -> None:
    """Refuse parameters that are not finite.

    Parameters
    ----------
    parameters : mapping of str to Tensor
        By name; of several members, with these in front.
    members : int

    Raises
    ------
    Diverged
        It names the member and the first such parameter.
    """
    for name, value in parameters.items():
        if bool(torch.isfinite(value).all()):
            continue
        own = torch.isfinite(value.detach().reshape(members, -1)).all(1).tolist()
        raise _diverged(f"'{name}' is not finite", own.index(False))


def check_predictions(output: Output) -> None:
    """Refuse predictions that are not finite.

    The parameters may be finite all the same, and too large.

    Raises
    ------
    Diverged
    """
    for what, value in (("logits", output.logits), ("predicted dynamics", output.dynamics)):
        if not bool(torch.isfinite(value).all()):
            raise _diverged(f"the {what} are not finite")


def _diverged(what: str, member: int = 0) -> Diverged:
    error = Diverged(what)
    error.member = member
    return error


@contextmanager
def noting_step(step: int, member: int | None = None, *, rate: str = "training.rate") -> Iterator[None]:
    """Context in which a divergence is told with its step.

    That is how many updates were made before. With the member, too, where it is known here only. The setting of the
    learning rate is named as the remedy.
    """
    try:
        yield
    except Diverged as error:
        # before the first update the parameters are as they were drawn
        hint = f"lower {rate}, and name another folder with --out" if step else "lower the settings that are huge"
        located = Diverged(f"training diverged at step {step} ({error.what})", hint=hint)
        located.member = error.member if member is None else member
        raise located from None


@contextmanager
def naming_folder(folders: Sequence[Path]) -> Iterator[None]:
    """Context in which a divergence names the member's folder."""
    try:
        yield
    except Diverged as error:
        raise Diverged(error.what, path=folders[error.member], hint=error.hint) from None
