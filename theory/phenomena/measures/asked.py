"""Statements that are tested by asking a language model under interventions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from theory.ledger.quantities import Quantity
from theory.ledger.recordings import Recordings
from theory.phenomena.measures.language_model import MODEL, RECORD, in_words, is_below, quantity
from theory.phenomena.records import Finding, Verdict

if TYPE_CHECKING:
    import pandas as pd


def _row(table: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    """The rows with these labels."""
    for name, value in wanted.items():
        table = table[table[name] == value]
    return table


def _in_short(better: int, of: int) -> Verdict:
    """Verdict on how many of several comparisons show it."""
    return in_words(better, 0, of)


# ------------------------------------------------------------------------------------------------------------- sinks


def measure_later_sinks(data: Recordings) -> Finding:
    """Count tokens after the first that draw attention."""
    table = data.table(f"{RECORD}/later_sinks.csv")
    n = int(table["documents"].iloc[0])
    whole, layers = _row(table, layer=0), table[table["layer"] > 0]
    found = quantity(whole, "later_sinks", "later sinks of a head", n)
    most = layers.loc[[layers["later_share"].idxmax()]]
    return Finding(
        "reproduced" if found.low > 1 else "not reproduced",
        (
            found,
            quantity(whole, "later_share", "attention that they get", n, "%"),
            quantity(whole, "sink_heads", "heads with such a token", n, "%"),
            quantity(most, "later_share", f"attention that they get in layer {int(most['layer'].iloc[0])}", n, "%"),
        ),
        f"tokens after the first that get more than 5/N of the attention of a head of {MODEL}, on average over the N "
        "tokens of a text, the threshold of the work; over documents of prose",
    )


def measure_less_to_later_sinks(data: Recordings) -> Finding:
    """Scale attention to later sinks down where that should help."""
    rows = _row(data.table(f"{RECORD}/tilts.csv"), task="needles", place="later sinks", heads="down")
    rows = rows[rows["questions"].notna()]
    n = int(rows["questions"].iloc[0])
    change = quantity(rows, "nats_change", f"change of the answer in nats, × {rows['factor'].iloc[0]:g}", n)
    others = _row(data.table(f"{RECORD}/tilts.csv"), task="needles", place="later sinks", heads="up")
    others = others[others["questions"].notna()]
    more = quantity(others, "nats_change", f"with more attention in other heads, × {others['factor'].iloc[0]:g}", n)
    is_alone = is_below(change, more)
    verdict: Verdict = "reproduced" if is_alone else "reproduced under conditions"
    return Finding(
        verdict if change.high < 0 else "reversed" if change.low > 0 else "not reproduced",
        (
            change,
            more,
            quantity(rows, "exact_before", "answers exact before", n),
            quantity(rows, "exact_after", "answers exact after", n),
        ),
        f"needles in prose, {MODEL}: attention to later sinks is scaled in the heads in which the derivative of the "
        "answer says that less of it helps; heads and factor come from other needles. The work measures accuracy on "
        "many tasks",
        "" if is_alone else "more attention to them in other heads is not shown to help less",
    )


def measure_scaled_first_token(data: Recordings) -> Finding:
    """Scale attention to the first token where that should help."""
    table = data.table(f"{RECORD}/tilts.csv")
    numbers, helped, no_less = list[Quantity](), 0, list[str]()
    tasks = list(dict.fromkeys(table["task"]))
    for task in tasks:
        changes = {}
        for place in ("first token", "ordinary token"):
            rows = _row(table, task=task, place=place)
            row = rows[rows["best"].astype(bool)].iloc[[0]]
            n = int(row["questions"].iloc[0])
            title = f"{task}: change in nats, {place}, {row['heads'].iloc[0]}, × {row['factor'].iloc[0]:g}"
            changes[place] = quantity(row, "nats_change", title, n)
            if place == "first token":
                exact = [quantity(row, f"exact_{when}", f"{task}: exact {when}", n) for when in ("before", "after")]
        numbers += [*changes.values(), *exact]
        helped += changes["first token"].high < 0
        if not is_below(changes["first token"], changes["ordinary token"]):
            no_less.append(task)
    verdict = _in_short(helped, len(tasks))
    if verdict == "reproduced" and no_less:
        verdict = "reproduced under conditions"
    return Finding(
        verdict,
        tuple(numbers),
        f"{MODEL}: attention to the first token is scaled head by head, up or down as the derivative of the answer "
        "says; heads, direction and factor come from other questions. The ninth token stands for an ordinary one; of a "
        "capital's question it is the token after the name, or part of it",
        f"scaling an ordinary token is not shown to help less: {', '.join(no_less)}" if no_less else "",
    )


# ------------------------------------------------------------------------------------------------ memory and context


def measure_recall_by_heads(data: Recordings) -> Finding:
    """Cut the attention of some heads to a name."""
    table = data.table(f"{RECORD}/known.csv")
    n, counts = int(table["countries"].iloc[0]), sorted(set(table["count"][table["heads"] == "top"]))
    numbers = [quantity(_row(table, heads="none"), "answers_known", "capitals right, nothing cut", n)]
    apart = 0
    for count in counts:
        top, random = (
            quantity(_row(table, heads=kind, count=count), "answer_nats", f"nats, {count} {title} heads cut", n)
            for kind, title in (("top", "best"), ("random", "random"))
        )
        apart += is_below(random, top)
        numbers += [top, random]
    every = quantity(_row(table, heads="all"), "answers_known", "right, all heads cut", n)
    numbers += [
        quantity(_row(table, heads="top", count=counts[-1]), "answers_known", f"right, {counts[-1]} best cut", n),
        every,
    ]
    rest = "; with all heads cut a part is still known, by way of the tokens after the name" if every.low > 0 else ""
    return Finding(
        _in_short(apart, len(counts)),
        tuple(numbers),
        f"capitals that {MODEL} knows: attention of the last token to the country is taken away in the heads that the "
        "derivative of the answer names on other countries, or in as many others",
        f"apart from random heads at {apart} of {len(counts)} numbers of heads{rest}",
    )


def measure_pruning_settles(data: Recordings) -> Finding:
    """Prune memory or context heads under a contradiction."""
    table = data.table(f"{RECORD}/conflicts.csv")
    n, counts = int(table["countries"].iloc[0]), sorted(set(table["count"][table["heads"] == "memory"]))
    none = {
        what: quantity(_row(table, heads="none"), f"answers_{what}", f"answers with the {title}, all heads", n)
        for what, title in (("told", "context"), ("known", "memory"))
    }
    numbers, settled = list(none.values()), 0
    for count in counts:
        for kind, what, title in (("memory", "told", "context"), ("context", "known", "memory")):
            pruned, random = (
                quantity(
                    _row(table, heads=heads, count=count), f"answers_{what}", f"with the {title}, no {count} {heads}", n
                )
                for heads in (kind, "random")
            )
            settled += is_below(none[what], pruned) and is_below(random, pruned)
            numbers += [pruned, random]
    return Finding(
        _in_short(settled, 2 * len(counts)),
        tuple(numbers),
        f"capitals that {MODEL} knows, after a sentence that gives another one; heads that speak for what is known or "
        "for what is told are named by the derivative of the two logits on other countries, where the work patches "
        "paths",
        f"pruning one kind lets the other source answer, more than nothing and random heads do, in {settled} of "
        f"{2 * len(counts)} cases; intervals of random heads are over draws and countries",
    )


# ---------------------------------------------------------------------------------------------- order, turns, skills


def measure_order_of_segments(data: Recordings) -> Finding:
    """Ask which of two segments came first."""
    table = data.table(f"{RECORD}/order.csv")
    pairs = {text: int(_row(table, text=text, distance="all")["pairs"].iloc[0]) for text in ("in context", "none")}
    told, without = (
        quantity(_row(table, text=text, distance="all"), "order_right", f"order right, text {text}", pairs[text])
        for text in pairs
    )
    bands = [
        quantity(_row(table, text="in context", distance=band), "order_right", f"{band} segments, text in context")
        for band in dict.fromkeys(table["distance"])
        if band != "all"
    ]
    letter = quantity(_row(table, text="in context", distance="all"), "letter_right", "right letter, text in context")
    above = quantity(
        _row(table, text="in context", distance="all"), "above_none", "above none, pair by pair", pairs["none"]
    )
    is_told = told.low > 0.5 and above.low > 0
    return Finding(
        "reproduced under conditions" if is_told else "not reproduced",
        (told, without, above, *bands, letter),
        f"pairs of 16 words of a text of 128, {MODEL}, each pair asked in both ways; over documents. Recall of a text "
        "that was trained on was not tested, and the numbers of the 155 people of the work were not at hand",
        "the order is told with the text in context only; the half that concerns training was not tested"
        if is_told
        else "a model of this size is not shown to tell the order above chance and above the same question without the "
        "text, so there is nothing that training could keep less of",
    )


def measure_interacting_turns(data: Recordings) -> Finding:
    """Compare instructions that stand alone with changed ones."""
    table = data.table(f"{RECORD}/turns.csv")
    n = int(table["conversations"].iloc[0])
    changed = table[~table["kind"].isin(("single", "late"))]
    numbers = [
        quantity(table.iloc[[i]], "turn_right", f"right, {row.kind}, {row.between} turns between", n)
        for i, row in enumerate(table.itertuples())
    ]
    below = [
        quantity(changed.iloc[[i]], "below_single", f"below one alone, {row.kind}, {row.between} turns between", n)
        for i, row in enumerate(changed.itertuples())
    ]
    worse, better = (sum(x) for x in ([each.low > 0 for each in below], [each.high < 0 for each in below]))
    return Finding(
        in_words(worse, better, len(below)),
        (*below, *numbers),
        f"passwords given in conversations, replaced later, or the change taken back, {MODEL}; beside those that were "
        "given once in the same place, paired over conversations. The work has many kinds of instructions and models "
        "that follow them well",
        f"worse than what stands alone in {worse} of {len(below)} cases, better in {better}",
    )


def measure_forgotten_skills(data: Recordings) -> Finding:
    """Compare what training a skill away leaves."""
    table = data.table(f"{RECORD}/skills.csv")
    seeds = sorted(set(table["seed"]))
    found: dict[str, list[Quantity]] = {}
    numbers = list[Quantity]()
    for skill in dict.fromkeys(table["trained"]):
        for part in ("trained", "not trained"):
            rows = [_row(table, trained=skill, asked=f"{skill}, {part}", seed=seed) for seed in seeds]
            each = [
                quantity(row, "still_right", f"{skill}, {part}, seed {seed}", int(row["asked_questions"].iloc[0]))
                for seed, row in zip(seeds, rows, strict=True)
            ]
            numbers += each
            if part == "not trained":
                found[skill] = each
    # a skill keeps more than another where it does so with every draw
    kept = [
        (low, high) for low in found for high in found if all(is_below(a, b) for a in found[low] for b in found[high])
    ]
    reason = "; ".join(f"{high} outlast {low}" for low, high in kept)
    return Finding(
        "reproduced" if kept else "not reproduced",
        tuple(numbers),
        f"share still answered after training {MODEL} on random answers to half of the questions of a skill, until "
        "those are lost; of the other half, which was not trained. The skills are other ones than the work's",
        f"of questions that were not trained, {reason}"
        if kept
        else "no skill outlasts another with every draw; with 20 to 33 questions it would have to keep four in ten",
    )
