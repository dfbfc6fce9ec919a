"""What docs/language-model.md says is what the recorded study holds."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cogfit.show.tables import to_markdown
from theory.lm.records import RECORDED, read_study, read_table
from theory.lm.shown import shown_tables

ROOT = Path(__file__).resolve().parents[2]
STUDY = ROOT / "data" / "runs" / RECORDED
PAGE = (ROOT / "docs" / "language-model.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("title", "cells"), shown_tables(STUDY), ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_page_has_every_table_as_it_is_shown(title: str, cells: list[list[str]]) -> None:
    header, *rows = cells
    assert f"{title}:\n\n{to_markdown(header, rows)}\n" in PAGE


LATER = ("sinks", "known", "order", "turns", "skills")
"""Units that were added to the record."""


def test_the_record_is_the_command_at_full_size() -> None:
    from theory.lm.sizes import Sizes

    document = read_study(STUDY)
    assert document["status"] == "finished"
    assert document["command"] == "cogfit theory lm study smollm2"
    revisions = {name: unit["code_revision"] for name, unit in document["units"].items()}
    later = {revisions.pop(name) for name in LATER}
    assert set(revisions.values()) == {document["code_revision"]}
    assert document["code_revision"] not in later
    assert not any(revision.endswith("+") for revision in later | {document["code_revision"]})
    assert not any("reason" in unit for unit in document["units"].values())
    sizes = document["config"]["sizes"]
    full = Sizes()
    assert {name: tuple(value) if isinstance(value, list) else value for name, value in sizes.items()} == vars(full)
    table = read_table(STUDY, "redundancy")
    assert sorted(set(table["layer"])) == list(range(31))
    heads = table[(table["unit"] == "head") & (table["head"] > 0) & (table["tokens"] == "all")]
    assert len(heads) == 270


def short_answers() -> list[str]:
    """Sentences of the page with their numbers."""
    whole = {name: _whole(name) for name in ("redundancy", "redundancy_code")}
    prose, code = whole["redundancy"], whole["redundancy_code"]
    layers = read_table(STUDY, "redundancy")
    layers = layers[(layers["unit"] == "layer") & (layers["tokens"] == "all") & (layers["layer"] > 0)].set_index(
        "layer"
    )
    high = [f"{layer}" for layer in layers.index[layers["share"] > 0.05]]
    knocked = read_table(STUDY, "knock_out").set_index(["heads", "count"])
    context = read_table(STUDY, "in_context")
    context = context[(context["window"] == "all") & (context["condition"] == "consistent")].set_index("exposure")
    nats = read_table(STUDY, "policies").set_index(["policy", "budget"])["nats_above_full"]
    copying = read_table(STUDY, "heads")["copy"]
    return [
        f"**{100 * prose['share']:.1f} % of the operations have R > 0.8 on prose, {100 * code['share']:.1f} % on code, "
        f"at a mean R of {prose['r']:.2f} and {code['r']:.2f}**",
        f"layers {', '.join(high[:-1])} and {high[-1]}",
        f"{100 * (copying > 0.1).mean():.0f} % of the heads",
        f"{knocked['needle_nats']['top', 10]:.1f} nats instead of {knocked['needle_nats']['none', 0]:.1f}",
        f"from {context['p_episodic'][1]:.2f} after one repetition to {context['p_episodic'][16]:.2f} after sixteen",
        *said_of_works(),
        *(
            f"`{policy}` {nats[policy, 32]:.1f}, {nats[policy, 64]:.1f} and {nats[policy, 128]:.1f}"
            for policy in ("hip", "copy-heads", "h2o", "streaming")
        ),
    ]


def said_of_works() -> list[str]:
    """What the units that ask the model found."""
    sinks = read_table(STUDY, "later_sinks").set_index("layer")
    share = sinks["later_share"]
    tilts = read_table(STUDY, "tilts").query("task == 'needles' and best").set_index("place")["nats_change"]
    conflicts = read_table(STUDY, "conflicts").set_index(["heads", "count"])
    turns = read_table(STUDY, "turns").set_index(["kind", "between"])
    skills = read_table(STUDY, "skills")
    untrained = skills[skills["asked"].str.endswith("not trained")]
    kept = untrained["still_right"]
    assert untrained["trained"].nunique() == 4
    assert abs(tilts["ordinary token"]) < 0.05
    right = turns["turn_right"]
    assert (right["single"] == 1).all()
    assert conflicts["answers_told"]["memory", 5] == 1
    return [
        f"{sinks['later_sinks'][0]:.0f} tokens of a text of N = 512 get more than 5/N of a head's attention, "
        f"and {100 * share[0]:.0f} % of it in all; in layer {share.idxmax()} they get {100 * share.max():.0f} %",
        f"costs {-tilts['first token']:.2f} nats less",
        f"says what it is told for {100 * conflicts['answers_told']['none', 0]:.0f} % of the countries and "
        f"what it knows for {100 * conflicts['answers_known']['none', 0]:.0f} %",
        f"without five context heads what it knows for {100 * conflicts['answers_known']['context', 5]:.0f} %; without "
        f"five random ones {100 * conflicts['answers_told']['random', 5]:.0f} % and "
        f"{100 * conflicts['answers_known']['random', 5]:.0f} %",
        f"{100 * right['revised', 8]:.0f} % of the time ({100 * right['late', 8]:.0f} % where it was given in that "
        f"place and nothing before), and {100 * turns['turn_wrong']['revised', 8]:.0f} % by the old one",
        f"nearly all of the other half, too: {100 * kept.min():.0f} to {100 * kept.max():.0f} % of it is left",
    ]


def _whole(name: str) -> pd.Series[float]:
    table = read_table(STUDY, name)
    return table[(table["unit"] == "layer") & (table["layer"] == 0) & (table["tokens"] == "all")].iloc[0]


def test_answers_are_those_of_kvpress_and_the_page_says_how_closely() -> None:
    table = pd.read_csv(ROOT / "data" / "benchmarks" / "kvpress_peer.csv")
    assert (table["needles"] >= 12).all()
    # two implementations in single precision; the answers differ by ten nats between policies
    assert table["largest_difference"].max() < 0.01
    text = " ".join(PAGE.split())
    assert f"the nats of an answer differ by at most {table['largest_difference'].max():.1g}" in text
    for row in table.itertuples():
        assert (
            f"| {row.policy} | {row.nats:.2f} ({row.nats_low:.2f}–{row.nats_high:.2f}) | {row.kvpress_nats:.2f}" in text
        )


def test_short_answers_say_what_the_tables_hold() -> None:
    text = " ".join(PAGE.split())
    assert [sentence for sentence in short_answers() if sentence not in text] == []
