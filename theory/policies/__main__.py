"""Write docs/policies.md and its picture: ``python -m theory.policies > docs/policies.md``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from theory.pages import page_parser
from theory.policies import POLICIES
from theory.policies.scope import scope_table
from theory.policies.streams import Setting
from theory.policies.study import Study, study
from theory.policies.summary import CAPTION, law_table, limit_lines

_PICTURE = Path(__file__).resolve().parents[2] / "docs" / "images" / "policies.png"

_HEAD = """# Routing and retention policies

Written by `python -m theory.policies > docs/policies.md`, with its picture; the numbers are those of `cogfit theory
policies`, which draws them too (`--plot`) and writes them as JSON (`--json`).

The systems of the sources as executable policies over one interface (`theory/policies/policy.py`): what is kept, what
is attended to, what state is carried in bits, cost in attended tokens and attention rows. No model is trained: keys,
queries and values are fixed random embeddings of the tokens of a stream, in {heads} heads each of which can tell the
keys of its own share only. Policies see these vectors and never an answer; those that learn do so on streams of their
own. The vectors tell more than those of a language model do, and some policies read that (*What each one reads*).

![Accuracy against attention, and against the limits of T1, T2 and T3](images/policies.png)

## What each one is

*Listed as* is what the list of sources takes a system for; *class* and *found* come from interventions
(`theory/policies/classify.py`): earlier attention is falsified, values, labels, present tokens and whole streams are
exchanged, carried states are swapped between streams, and one looks whether decisions or answers change. *Memoryless*
means that no value leaves a trace except where it is read; a cache is read, and pays for it. *Labels matter* where a
wrong answer shown after a query changes anything later: a cache holds such a token like any other.
"""

_READS = """
## What each one reads

These need queries, keys and attention weights alone, and run unchanged on a language model
([language-model.md](language-model.md)): {plain}. The others read more, so their places in the tables below, where a †
stands beside their names, are those of policies that are told it. None is told an answer:
"""

_RULES = """
## Accuracy against attention

{count} streams per law, {length} tokens each, {patterns} recurring keys, {values} values, fresh in every stream; seed
{seed}. The budget is a share of the stream's length. What the bounds charge is reading: a query is *read* when a token
that shows its value is attended to by any head.
"""


_SAY = """## What the sources say of their policies

Each statement that these streams can show is a function in `theory/policies/phenomena.py`, and `cogfit theory policies`
prints what comes of it. They stand on [a page of their own](phenomena.md), with what was found in a language model and
in trained models. On these streams neighbours are no more alike than other tokens, so what rests on locality cannot be
shown here.
"""

_SCOPE = """## What is not played here

Works of the list of sources without a policy (`theory/policies/scope.py`). What concerns heads, sinks and facts of a
real language model is in [language-model.md](language-model.md), gated linear attention and its hybrids are trained
([configs.md](configs.md)), and how single writes are forgotten has [a page of its own](forgetting.md).
"""


def page(result: Study) -> str:
    """The whole document."""
    from theory.policies.streams import HEADS

    # what each policy is: by its source, and by intervention
    rows = [["policy", "source", "rule", "parameters", "listed as", "class", "found", "labels matter"]]
    for system in result.systems:
        traits = result.traits[system.id]
        source = f"[{system.source}](https://arxiv.org/abs/{system.source})" if system.source else "–"
        values = ", ".join(f"`{name}={_text(value)}`" for name, value in system.parameters.items()) or "–"
        rows.append(
            [
                f"{system.title} (`{system.id}`)",
                source,
                system.rule,
                values,
                system.kind,
                traits.klass,
                traits.kind,
                "yes" if traits.labels else "no",
            ]
        )
    parts = [_HEAD.format(heads=HEADS), _markdown(rows), *reads_lines()]
    # what each can do, one table per law, and how far from its bounds
    setting = result.setting
    parts.append(
        _RULES.format(
            count=result.streams,
            length=setting.length,
            patterns=setting.patterns,
            values=setting.values,
            seed=result.seed,
        )
    )
    for law in result.laws:
        parts += [f"### {CAPTION[law]}\n", _markdown(law_table(result, law)), ""]
    parts += [*limit_lines(result)[:1], "", "## Against the bounds\n", *(f"- {x}" for x in limit_lines(result)[1:]), ""]
    parts += [_SAY, _SCOPE, _markdown(scope_table())]
    return "\n".join([*parts, ""])


def reads_lines() -> list[str]:
    """Lines on what each built-in policy reads."""
    plain = ", ".join(f"`{system.id}`" for system in POLICIES if not system.reads)
    by_reason: dict[str, list[str]] = {}
    for system in POLICIES:
        if system.reads:
            by_reason.setdefault(system.reads, []).append(f"`{system.id}`")
    return [_READS.format(plain=plain), *(f"- {', '.join(names)}: {reason}" for reason, names in by_reason.items())]


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join("---" for _ in rows[0]) + " |", *lines[1:]])


def main(arguments: Sequence[str] | None = None) -> int:
    """Play all policies, draw them and print the page."""
    parser = page_parser(
        "theory.policies",
        "Play all built-in policies (minutes), draw them and print the page. 'cogfit theory policies' plays some.",
        [
            "python -m theory.policies > docs/policies.md",
            "python -m theory.policies --picture /tmp/policies.png > /tmp/policies.md",
        ],
    )
    parser.add_argument("--picture", type=Path, default=_PICTURE, help="default: docs/images/policies.png")
    options = parser.parse_args(arguments)
    built_in = [system.id for system in POLICIES]
    result = study(Setting(), policies=built_in, progress=lambda *parts: print(*parts, file=sys.stderr))
    result.plot().savefig(options.picture, dpi=200)
    sys.stdout.write(page(result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
