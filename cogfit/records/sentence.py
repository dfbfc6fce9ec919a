"""A statement of a result.

It keeps the numbers and the rule behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Self

from cogfit.records.codec import Document, encode


class Sentence(str):
    """Text that remembers what it was made from.

    It *is* the text, so that it can be joined, compared and written like any other.

    Parameters
    ----------
    template : str
        With named fields for the numbers, as for :meth:`str.format`.
    numbers : mapping of str
        Values of the fields.
    threshold : str
        The rule in figures, such as ``"p > 0.05"``; empty where nothing was decided.
    decided_by : str
        Function that holds the rule, by its full name.

    Examples
    --------
    >>> sentence = say("a constant is not refused (p = {p:.2g})", p=0.31, threshold="p > 0.05")
    >>> sentence, sentence.numbers["p"], sentence.threshold
    ('a constant is not refused (p = 0.31)', 0.31, 'p > 0.05')
    """

    template: str
    numbers: Mapping[str, Any]
    threshold: str
    decided_by: str

    def __new__(
        cls,
        template: str,
        numbers: Mapping[str, Any] | None = None,
        threshold: str = "",
        decided_by: str = "",
    ) -> Self:
        """Format the template and keep what it was made from."""
        values = dict(numbers or {})
        self = super().__new__(cls, template.format(**values))
        self.template, self.numbers = template, MappingProxyType(values)
        self.threshold, self.decided_by = threshold, decided_by
        return self

    def after(self, words: str) -> Sentence:
        """The same sentence behind some words."""
        name = f"words_{len(self.numbers)}"  # a field of its own, however often words are put in front
        numbers = {**self.numbers, name: words}
        return Sentence(f"{{{name}}}{self.template}", numbers, self.threshold, self.decided_by)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.template, dict(self.numbers), self.threshold, self.decided_by)


def say(template: str, /, *, threshold: str = "", by: Callable[..., Any] | None = None, **numbers: Any) -> Sentence:
    """Make a sentence from a template and its numbers.

    Parameters
    ----------
    template : str
        With named fields, as for :meth:`str.format`.
    threshold : str
        The rule in figures.
    by : callable, optional
        Function that decided.
    **numbers
        Values of the fields.
    """
    name = "" if by is None else f"{by.__module__}.{by.__qualname__}"
    return Sentence(template, numbers, threshold, name)


def number_of(count: float, one: str, many: str = "") -> str:
    """Write a count with its noun or verb.

    Parameters
    ----------
    count : float
    one, many : str
        Words for one and for several; the latter is `one` with an s by default.

    Examples
    --------
    >>> number_of(1, "study", "studies"), number_of(3, "run"), number_of(1, "subject has", "subjects have")
    ('1 study', '3 runs', '1 subject has')
    """
    return f"{count:,.15g} {one if count == 1 else many or one + 's'}"


@dataclass(frozen=True)
class Explanation(Document):
    """What stands behind a sentence.

    Attributes
    ----------
    sentence : str
    decided_by : str
        Function that holds the rule, by its full name; empty for a sentence that only reports.
    threshold : str
        The rule in figures.
    numbers : dict
        What the sentence was made from, by name; null where a number is not known.
    """

    sentence: str
    decided_by: str = ""
    threshold: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of_sentence(cls, text: str) -> Explanation:
        """Explain a sentence.

        Any other text only stands there.
        """
        if not isinstance(text, Sentence):
            return cls(text)
        return cls(str(text), text.decided_by, text.threshold, encode(text.numbers))

    def __str__(self) -> str:
        """The sentence, and below it what stands behind."""
        numbers = ", ".join(
            f"{name} = {value:.6g}" for name, value in self.numbers.items() if isinstance(value, int | float)
        )
        rule = f"rule: {self.threshold}" if self.threshold else ""
        return "\n".join([self.sentence, *(f"    {line}" for line in (rule, numbers, self.decided_by) if line)])
