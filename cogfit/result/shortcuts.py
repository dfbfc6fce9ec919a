"""Numbers of the form reported, under short names."""

from __future__ import annotations

from cogfit.result.form_fit import FormFit


class Shortcuts:
    """What one asks of a fit first: the form reported and its numbers.

    Attributes
    ----------
    form : str
        The form reported.
    forms : tuple of FormFit
    """

    form: str
    forms: tuple[FormFit, ...]

    def __getitem__(self, name: str) -> FormFit:
        """Return the fit of a form by name."""
        for item in self.forms:
            if item.name == name:
                return item
        raise KeyError(f"form '{name}' was not fitted; there are {', '.join(f.name for f in self.forms)}")

    @property
    def selected(self) -> FormFit:
        """The fit of :attr:`form`."""
        return self[self.form]

    @property
    def gamma(self) -> float | None:
        """Power-law exponent of :attr:`form`.

        None where that form has none.
        """
        return self.selected.gamma

    @property
    def interval(self) -> tuple[float, float] | None:
        """Confidence interval of γ.

        Limits may be infinite. None where the form has no γ.
        """
        return self.selected.interval

    @property
    def params(self) -> dict[str, float]:
        """Parameters of :attr:`form`."""
        return self.selected.params

    @property
    def stderr(self) -> dict[str, float]:
        """Standard errors of :attr:`params` (see :attr:`FormFit.stderr`)."""
        return self.selected.stderr

    @property
    def rss(self) -> float:
        """Weighted residual sum of squares of :attr:`form`."""
        return self.selected.estimate.rss

    @property
    def loglik(self) -> float:
        """Log-likelihood of :attr:`form`."""
        return self.selected.estimate.loglik

    @property
    def aicc(self) -> float:
        """AICc of :attr:`form`, for independent errors."""
        return self.selected.estimate.aicc

    @property
    def status(self) -> str:
        """``ok``, ``at_bound``, ``not_identified`` or ``failed``: of :attr:`form`."""
        return self.selected.estimate.status

    @property
    def reason(self) -> str:
        """Why the status is not ``ok``."""
        return self.selected.estimate.reason
