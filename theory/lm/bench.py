"""What every unit of a study works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cogfit.progress import Progress
from theory.lm.heads import by_layer, encode_documents
from theory.lm.needles import Needle, make_needles
from theory.lm.records import read_table
from theory.lm.sizes import Sizes
from theory.redundancy.models import LanguageModel
from theory.redundancy.texts import Texts

if TYPE_CHECKING:
    import pandas as pd

    Tables = Mapping[str, pd.DataFrame]


@dataclass(frozen=True)
class Bench:
    """What every unit works on.

    Attributes
    ----------
    model : LanguageModel
    texts, code : Texts
        Prose and programs, halved: needles that heads are chosen on stand in one half of the prose, those that are
        judged in the other.
    sizes : Sizes
    folder : Path
        Where the tables of earlier units are.
    progress : callable or None
    """

    model: LanguageModel
    texts: Texts
    code: Texts
    sizes: Sizes
    folder: Path
    progress: Progress | None

    def tokens(self, documents: Sequence[Any]) -> list[list[int]]:
        """Tokens of documents."""
        return encode_documents(self.model, [document.read() for document in documents])

    def copy_heads(self) -> dict[int, tuple[int, ...]]:
        """Heads of the highest copy scores, as recorded."""
        table = read_table(self.folder, "heads").sort_values("copy", ascending=False, kind="stable")
        chosen = table.head(self.sizes.copy_heads)
        return by_layer([(layer, head) for layer, head in chosen[["layer", "head"]].to_numpy(int).tolist()])

    def policy_needles(self) -> list[Needle]:
        """Needles that policies are judged on."""
        sizes = self.sizes
        return make_needles(
            self.model,
            self.tokens(self.texts.measured),
            sizes.policy_needles,
            tokens=sizes.needle_tokens,
            facts=sizes.policy_facts,
            seed=sizes.seed + 2,
        )


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A record whose triples are columns of their own."""
    out: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, tuple):
            out |= {name: value[0], f"{name}_low": value[1], f"{name}_high": value[2]}
        else:
            out[name] = value
    return out
