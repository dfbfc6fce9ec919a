"""Rows of the replication ledger.

What to measure for each figure of the papers, and the rule that makes the verdict.

A new row is a :class:`~theory.ledger.records.LedgerRow` in :data:`ROWS` with two functions: ``measure`` reads recorded
data, ``judge`` compares. Neither knows a number that is not in ``data/published``, a certificate or a recording.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from theory.claims import CLAIMS, Claim
from theory.ledger.quantities import Quantities, Quantity, over_seeds
from theory.ledger.recordings import NotHere, Recordings, training_command
from theory.ledger.records import LedgerRow, Measured, Ruling
from theory.training.runs import Record, read_document

REDUNDANCY = "redundancy-gpt2-bytes"
LANGUAGE_MODEL = "lm-smollm2"
HEADLINE = "cram-n256"
POINTS = 0.02
"""Two accuracies (as shares) that are nearer than this, or within our interval, count as the same."""


def within(value: float, quantity: Quantity, slack: float = 0.0) -> bool:
    """Whether a value lies in a quantity's interval.

    Or within ``slack`` of the number itself.
    """
    low, high = (q if math.isfinite(q) else quantity.value for q in (quantity.low, quantity.high))
    return low <= value <= high or abs(value - quantity.value) <= slack


def _nothing(data: Recordings) -> tuple[Quantity, ...]:
    return ()


def _numbers(*names: str | tuple[str, str]) -> Callable[[Recordings], tuple[Quantity, ...]]:
    """Printed figures by identifier.

    Of data/published/cram_numbers.csv: identifiers, or pairs of identifier and name.
    """
    pairs = [(name, "") if isinstance(name, str) else name for name in names]
    return lambda data: tuple(data.number(*pair) for pair in pairs)


def _table_1(model: str) -> Callable[[Recordings], tuple[Quantity, ...]]:
    """Printed figures of Table 1."""
    measures = (
        ("accuracy", "retrieval_accuracy", "%"),
        ("attention", "attention_operations", ""),
        ("dynamics MSE", "dynamics_mse", ""),
    )

    def printed(data: Recordings) -> tuple[Quantity, ...]:
        figures = [data.published("cram_table1", name, unit, model=model, measure=key) for name, key, unit in measures]
        return tuple(Quantity(q.name, q.value, unit="%") if q.name == "attention" else q for q in figures)

    return printed


def _unavailable(reason: str) -> Callable[[Recordings], Measured]:
    def measure(data: Recordings) -> Measured:
        raise NotHere(reason)

    return measure


def _never(printed: Quantities, measured: Measured) -> Ruling:
    raise AssertionError("a row that cannot be measured is not judged")


def _basis(records: Sequence[Record]) -> str:
    seeds = ", ".join(str(record.seed) for record in records)
    length = records[0].document["config"]["data"]["length"]
    streams = records[0].document["final"]["streams"]
    return f"{records[0].title}, seeds {seeds}, N = {length}; {streams:,} streams that it was not trained on"


def _final(records: Sequence[Record], prefix: str = "") -> tuple[Quantity, ...]:
    """Accuracy, attention, dynamics MSE at the end."""
    return tuple(
        over_seeds(prefix + name, [record.final[key] for record in records], unit)
        for name, key, unit in (
            ("accuracy", "accuracy", "%"),
            ("attention", "attention", "%"),
            ("dynamics MSE", "dynamics_mse", ""),
        )
    )


# ---------------------------------------------------------------------------------------------------- redundancy


def _redundancy(data: Recordings) -> Measured:
    table = data.table(f"runs/{REDUNDANCY}/redundancy.csv")
    whole = table[(table["unit"] == "layer") & (table["layer"] == 0) & (table["tokens"] == "all")]
    documents = int((read_document(data.folder / "runs" / REDUNDANCY) or {})["config"]["texts"]["parts"]["measured"])
    top, last = int(whole["r"].to_numpy().argmax()), len(whole) - 1
    steps = whole["step"].tolist()

    def quantity(name: str, column: str, row: int, unit: str = "") -> Quantity:
        value, low, high = (whole[c].to_numpy(float)[row] for c in (column, f"{column}_low", f"{column}_high"))
        return Quantity(name, float(value), float(low), float(high), unit, documents)

    printed = [data.number(name).value for name in ("redundancy_gpt2", "redundancy_gpt2_medium")]
    return Measured(
        (
            quantity("share of operations with R > 0.8, trained", "share", last, "%"),
            Quantity("mean of the two printed R", sum(printed) / 2, unit="%"),
            quantity("R, trained", "r", last),
            quantity("R, random weights", "r", 0),
            quantity("highest R", "r", top),
            Quantity("step of the highest R", steps[top], unit="steps"),
            Quantity("last step", steps[last], unit="steps"),
        ),
        f"a GPT-2 over bytes, trained from scratch for {steps[last]:,} steps; intervals over documents, one seed",
    )


def _language_model(data: Recordings) -> Measured:
    """R of a pre-trained model of GPT-2's size."""
    table = data.table(f"runs/{LANGUAGE_MODEL}/redundancy.csv")
    sizes = (read_document(data.folder / "runs" / LANGUAGE_MODEL) or {})["config"]["sizes"]
    whole = table[(table["layer"] == 0) & (table["tokens"] == "all")].set_index("unit")
    parts = table[(table["unit"] == "head") & (table["tokens"] == "all") & (table["head"] > 0)]
    heads = parts["r"]

    def quantity(name: str, unit: str, column: str, sign: str = "") -> Quantity:
        row = whole.loc[[unit]]
        value, low, high = (float(row[c].to_numpy(float)[0]) for c in (column, f"{column}_low", f"{column}_high"))
        return Quantity(name, value, low, high, sign, int(sizes["documents"]))

    return Measured(
        (
            quantity("R of layers", "layer", "r"),
            quantity("share of operations with R > 0.8", "layer", "share", "%"),
            Quantity("R of a constant", float(whole.loc[["layer"], "r_constant"].to_numpy(float)[0])),
            Quantity("heads with R above 0.8", float((heads > 0.8).mean()), unit="%"),
            Quantity("heads with R from 0.5 to 0.8", float(((heads >= 0.5) & (heads <= 0.8)).mean()), unit="%"),
        ),
        f"SmolLM2-135M on prose, {parts['layer'].nunique()} of its 30 layers, ridge chosen on held-out documents; "
        "intervals over documents",
    )


def _judge_language_model(printed: Quantities, measured: Measured) -> Ruling:
    share, mean = measured["share of operations with R > 0.8"], measured["R of layers"]
    found = f"{share.shown} of operations have R > 0.8, at a mean R of {mean.shown}"
    if within(printed["share of operations"].value, share) or within(printed["R, GPT-2 124M"].value, mean):
        return Ruling("reproduced", found)
    return Ruling("not reproduced", f"in this other model of GPT-2's size {found}; the weights of GPT-2 are not here")


def _in_context(data: Recordings) -> Measured:
    """P_episodic(k) of copy heads on lines that recur in one context."""
    curve = data.table(f"runs/{LANGUAGE_MODEL}/in_context.csv")
    contexts = int((read_document(data.folder / "runs" / LANGUAGE_MODEL) or {})["config"]["sizes"]["contexts"])
    part = curve[(curve["condition"] == "consistent") & (curve["window"] == "all")].set_index("exposure")

    def quantity(name: str, k: int) -> Quantity:
        names = ("p_episodic", "p_episodic_low", "p_episodic_high")
        value, low, high = (float(part.loc[[k], column].to_numpy(float)[0]) for column in names)
        return Quantity(name, value, low, high, n=contexts)

    last = int(part.index.max())
    fit = data.table(f"runs/{LANGUAGE_MODEL}/fits.csv").iloc[0]
    return Measured(
        (quantity("P_episodic(1)", 1), quantity("P_episodic at the last k", last), Quantity("last k", last)),
        "SmolLM2-135M: attention of copy heads to the earlier words of a name, lines in one context; over contexts",
        notes=(f"cogfit.fit, power law: {str(fit['verdict']).replace('_', ' ')}",),
    )


def _judge_in_context(printed: Quantities, measured: Measured) -> Ruling:
    first, last = measured["P_episodic(1)"], measured["P_episodic at the last k"]
    course = f"P_episodic is {first.shown} after one repetition and {last.shown} after {measured['last k'].value:.0f}"
    if last.high < first.low:
        return Ruling("reproduced under conditions", f"{course}: it falls within one context")
    where = "it grows" if last.low > first.high else "it does not fall"
    return Ruling("not reproduced", f"{course}: within one context {where}; nothing is consolidated without training")


def _course(data: Recordings) -> Measured:
    measured = _redundancy(data)
    return replace(
        measured,
        quantities=tuple(
            measured[name]
            for name in ("R, trained", "highest R", "step of the highest R", "last step", "R, random weights")
        ),
    )


def _judge_share(printed: Quantities, measured: Measured) -> Ruling:
    headline, share = printed["share of operations"], measured["share of operations with R > 0.8, trained"]
    if within(headline.value, share):
        return Ruling("reproduced", f"{share.shown} of operations have R > 0.8")
    if abs(measured["mean of the two printed R"].value - headline.value) < 0.005:
        return Ruling(
            "not reproduced",
            "the headline is the mean of two norm ratios and no share of operations; in the model recorded here "
            f"{share.shown} of operations have R > 0.8, at a mean R of {measured['R, trained'].shown}",
        )
    return Ruling("not reproduced", f"{share.shown} of operations have R > 0.8 here")


def _judge_falls(printed: Quantities, measured: Measured) -> Ruling:
    top, end = measured["highest R"], measured["R, trained"]
    course = (
        f"R is {top.shown} at step {measured['step of the highest R'].shown} and {end.shown} at step "
        + measured["last step"].shown
    )
    if end.high < top.low:
        return Ruling("not reproduced", f"{course}: it falls as this small model learns")
    return Ruling("reproduced", course)


def _scratch(data: Recordings) -> Measured:
    course, first = _course(data), data.number("redundancy_10k")
    last, needed = course["last step"].value, int("".join(filter(str.isdecimal, first.name)))  # "… at 10,000 steps"
    if last < needed:
        raise NotHere(
            f"the recorded run ends at step {last:,.0f}, before the paper's first figure ({first.shown} at "
            f"{needed:,} steps); run the command with as many steps"
        )
    return course


def _judge_scratch(printed: Quantities, measured: Measured) -> Ruling:
    wanted, end = printed["R at 300K steps"], measured["R, trained"]
    return Ruling("reproduced" if within(wanted.value, end) else "not reproduced", f"R ends at {end.shown}")


# ----------------------------------------------------------------------------------- CRAM on SRCD: the headline


def _headline(data: Recordings) -> Measured:
    records = data.records(HEADLINE)
    others = [
        over_seeds(f"attention × 1/OPT, {text}", [r.final["attention"] / r.optimum for r in ablation])
        for name, text in (("state-router", "router that sees the state"), ("costs-from-start", "no warm-up"))
        if (ablation := data.optional(f"{HEADLINE}-{name}"))
    ]
    trapped = data.optional(f"{HEADLINE}-costs-from-start")
    extra = [over_seeds("accuracy, no warm-up", [r.final["accuracy"] for r in trapped], "%")] if trapped else []
    ratio = over_seeds("attention × 1/OPT", [record.final["attention"] / record.optimum for record in records])
    return Measured((*_final(records), ratio, *others, *extra), _basis(records))


def _judge_headline(printed: Quantities, measured: Measured) -> Ruling:
    accuracy, ratio = measured["accuracy"], measured["attention × 1/OPT"]
    wanted = printed["attention × 1/OPT"]
    if not (within(printed["accuracy"].value, accuracy, 0.005) and ratio.high <= max(wanted.value, 1.1)):
        return Ruling("not reproduced", f"accuracy {accuracy.shown} at {ratio.shown} × OPT")
    names = [quantity.name for quantity in measured.quantities]
    broken = [
        text
        for name, text in (
            ("router that sees the state", "with a router that sees the state it ends far above OPT"),
            ("no warm-up", "without a warm-up in which every token attends it ends in the trap"),
        )
        if (key := f"attention × 1/OPT, {name}") in names and not within(measured[key].value, ratio, 0.1)
    ]
    if broken:
        return Ruling(
            "reproduced under conditions",
            f"all seeds reach it with the configuration as recorded, but {'; '.join(broken)}",
        )
    return Ruling("reproduced", f"accuracy {accuracy.shown} at {ratio.shown} × OPT")


def _printed_headline(data: Recordings) -> tuple[Quantity, ...]:
    printed = {quantity.name: quantity for quantity in _table_1("CRAM")(data)}
    least = data.number("optimum_srcd", "OPT")
    ratio = Quantity("attention × 1/OPT", printed["attention"].value / least.value)
    return (printed["accuracy"], printed["attention"], least, ratio)


def _reduction(data: Recordings) -> Measured:
    records = data.records(HEADLINE)
    forced = over_seeds(
        "reduction from the warm-up, where all tokens attend", [1 / r.final["attention"] for r in records], "×"
    )
    free = over_seeds(
        "reduction from the first evaluation with a free router",
        [r.initial_attention / r.final["attention"] for r in records],
        "×",
    )
    first = over_seeds("attention at that evaluation", [r.initial_attention for r in records], "%")
    return Measured((forced, free, first, _final(records)[1]), _basis(records))


def _judge_reduction(printed: Quantities, measured: Measured) -> Ruling:
    wanted = printed["reduction of attention"].value
    forced, free = measured.quantities[:2]
    if within(wanted, free, 0.1 * wanted):
        return Ruling("reproduced", f"{free.shown} from the first evaluation with a free router")
    both = f"{forced.shown} from a warm-up in which all tokens attend, {free.shown} once the router decides"
    if wanted <= forced.value:
        return Ruling("reproduced under conditions", f"the factor depends on what is called initial: {both}")
    return Ruling("not reproduced", both)


def _transition(data: Recordings) -> Measured:
    records = data.records(HEADLINE)
    fits = [data.fit(record) for record in records]
    times = [fit["trajectories"]["switch_times"]["steps"] for fit in fits]
    quality = [
        min(r.evaluation, key=lambda row: abs(row["step"] - t["t50"]))["quality_recurring"]
        for r, t in zip(records, times, strict=True)
    ]
    jumps = sum(bool(fit["transition"] and fit["transition"]["found"]) for fit in fits)
    names = {
        "t50": "step of the transition",
        "t10": "step at which 10 % of the patterns have switched",
        "t90": "step at which 90 % of the patterns have switched",
    }
    return Measured(
        (
            *(over_seeds(name, [t[key] for t in times], "steps") for key, name in names.items()),
            over_seeds("mean quality at the transition", quality),
            Quantity("runs with a change beyond a smooth curve", jumps),
            Quantity("runs", len(fits)),
            *_fast(data),
        ),
        f"{HEADLINE}, seeds {', '.join(str(r.seed) for r in records)}: switch times of single patterns by cogfit fit",
    )


def _quality(data: Recordings) -> Measured:
    transition = _transition(data)
    first = transition["mean quality at the transition"]
    return replace(
        transition, quantities=(first, *(quantity for quantity in transition.quantities if quantity is not first))
    )


def _fast(data: Recordings) -> list[Quantity]:
    fast = data.optional(f"{HEADLINE}-fast-consolidation")
    if not fast:
        return []
    name = "step at which at most half of the recurring queries attend, fast consolidation"
    return [over_seeds(name, [record.first_step(0.5) for record in fast], "steps")]


def _judge_step(printed: Quantities, measured: Measured) -> Ruling:
    wanted, half = printed["step of the transition"], measured["step of the transition"]
    if within(wanted.value, half):
        return Ruling("reproduced", f"half of the patterns have switched by step {half.shown}")
    return Ruling(
        "not reproduced",
        f"half of the patterns have switched by step {half.shown}; the step belongs to a configuration, and the "
        "paper's (batch, rates, size) is not known",
    )


def _judge_transition(printed: Quantities, measured: Measured) -> Ruling:
    jumps, runs = measured["runs with a change beyond a smooth curve"].value, measured["runs"].value
    quality, wanted = measured["mean quality at the transition"], printed["mean quality at the transition"]
    at = f"mean q̂ at recurring queries is then {quality.shown}"
    if jumps == runs and within(wanted.value, quality, 0.05):
        return Ruling("reproduced", f"all runs have a change that no smooth curve explains, and {at}")
    if jumps == 0:
        return Ruling("not reproduced", f"attention falls, but in no run by more than a smooth curve explains; {at}")
    return Ruling(
        "not reproduced" if not within(wanted.value, quality, 0.05) else "reproduced under conditions",
        f"{jumps:.0f} of {runs:.0f} runs have a change that no smooth curve explains; {at}",
    )


# ------------------------------------------------------------------------------------------------------- Table 1


def _trained(name: str) -> Callable[[Recordings], Measured]:
    def measure(data: Recordings) -> Measured:
        records = data.records(name)
        return Measured(_final(records), _basis(records))

    return measure


def _judge_trained(decisive: str) -> Callable[[Quantities, Measured], Ruling]:
    """Rule of a row of Table 1.

    The row is about this quantity.
    """

    def judge(printed: Quantities, measured: Measured) -> Ruling:
        text = f"accuracy {measured['accuracy'].shown} at attention {measured['attention'].shown}"
        near = {name: within(printed[name].value, measured[name], POINTS) for name in ("accuracy", "attention")}
        if not near[decisive]:
            return Ruling("not reproduced", f"trained here it has {text}")
        if abs(measured[decisive].value - printed[decisive].value) > POINTS:
            return Ruling("reproduced under conditions", f"the seeds differ more than the figure says: {text}")
        if not all(near.values()):
            return Ruling("reproduced under conditions", f"the {decisive} is the same, the rest is not: {text}")
        return Ruling("reproduced", text)

    return judge


def _plateau(data: Recordings) -> Measured:
    records = data.records(HEADLINE)
    task = records[0].document["config"]["data"]
    share, values = task["recurring_fraction"], task["values"]
    forced = [r.document["final"]["interventions"]["all tokens semantic"]["accuracy"] for r in records]
    own = [over_seeds("accuracy of trained CRAMs whose attention is taken away", forced, "%")]
    if trapped := data.optional(f"{HEADLINE}-costs-from-start"):
        own.append(over_seeds("accuracy of CRAMs trained without warm-up", [r.final["accuracy"] for r in trapped], "%"))
    formula = Quantity("p_rec + (1 − p_rec)/V", share + (1 - share) / values, unit="%")
    return Measured((formula, *own), _basis(records) + f"; V = {values}")


def _judge_plateau(printed: Quantities, measured: Measured) -> Ruling:
    formula, *models = measured.quantities
    text = f"p_rec + (1 − p_rec)/V = {formula.shown}; " + "; ".join(map(str, models))
    if not all(within(formula.value, model, POINTS) for model in models):
        return Ruling("not reproduced", text)
    if all(within(printed["accuracy"].value, model) for model in models):
        return Ruling("reproduced", text)
    return Ruling("reproduced under conditions", f"the mechanism is seen, at a higher level: {text}")


def _dynamics(data: Recordings) -> Measured:
    cram, other = data.records(HEADLINE), data.records("transformer-n256")
    means = [over_seeds(f"dynamics MSE, {r[0].title}", [x.final["dynamics_mse"] for x in r]) for r in (cram, other)]
    ratios = [x.final["dynamics_mse"] / means[1].value for x in cram]
    return Measured((over_seeds("MSE of CRAM relative to the Transformer", ratios), *means), _basis(cram))


def _printed_dynamics(data: Recordings) -> tuple[Quantity, ...]:
    cram, other = (_table_1(model)(data)[2].value for model in ("CRAM", "Transformer"))
    return (
        Quantity("MSE of CRAM relative to the Transformer", cram / other),
        Quantity("dynamics MSE, CRAM", cram),
        Quantity("dynamics MSE, Transformer", other),
    )


def _judge_dynamics(printed: Quantities, measured: Measured) -> Ruling:
    name = "MSE of CRAM relative to the Transformer"
    ratio = measured[name]
    if within(printed[name].value, ratio):
        return Ruling("reproduced", f"the ratio is {ratio.shown}")
    return Ruling(
        "not reproduced",
        f"the ratio is {ratio.shown}; the values themselves depend on β, ω and the noise, "
        "which the paper does not give",
    )


def _unconsolidated(data: Recordings) -> Measured:
    records = data.records("cram-n256-no-consolidation")
    static = over_seeds("attention that every query needs", [r.static_bound for r in records], "%")
    did = [r.final["accuracy"] >= 1 - POINTS and r.final["attention"] < 0.9 * r.static_bound for r in records]
    counts = (Quantity("runs that answer with less", sum(did)), Quantity("runs", len(did)))
    return Measured((*counts, *_final(records), static), _basis(records))


def _judge_unconsolidated(printed: Quantities, measured: Measured) -> Ruling:
    did, runs, static = (
        measured[n] for n in ("runs that answer with less", "runs", "attention that every query needs")
    )
    count = f"{did.value:.0f} of {runs.value:.0f} runs are right"
    text = f"{count} with clearly less attention than that of every query ({static.shown})"
    if did.value > 0:
        return Ruling("not reproduced", f"the values go into other weights: {text}")
    return Ruling(
        "reproduced under conditions", f"this ablation does not manage it; the certificate has routers that do: {text}"
    )


# ------------------------------------------------------------------------------------------------ γ, and transfer


def _gamma(name: str) -> Callable[[Recordings], Measured]:
    def measure(data: Recordings) -> Measured:
        records = data.records(name)
        fits = [data.fit(record) for record in records]
        verdicts = [str(fit["verdict"]["power_law"]).replace("_", " ") for fit in fits]
        slopes = [form["params"]["gamma"] for fit in fits for form in fit["forms"] if form["form"] == "power"]
        return Measured(
            (
                Quantity("runs in which a power law is supported", verdicts.count("supported")),
                Quantity("runs", len(fits)),
                over_seeds("log–log slope, a description and no exponent", slopes),
                over_seeds("near-binary patterns", [fit["trajectories"]["near_binary"] for fit in fits], "%"),
            ),
            f"{name}, seeds {', '.join(str(r.seed) for r in records)}: routing logs by cogfit fit",
            notes=tuple(f"seed {r.seed}: power law {v}" for r, v in zip(records, verdicts, strict=True)),
        )

    return measure


def _judge_gamma(printed: Quantities, measured: Measured) -> Ruling:
    (wanted,) = printed.values()
    held, runs, slope = measured.quantities[:3]
    where = f"a power law is supported in {held.value:.0f} of {runs.value:.0f} runs"
    if held.value == 0:
        steps = (
            f"{measured['near-binary patterns'].value:.0%} of the patterns switch once, and P(k) counts these switches"
        )
        return Ruling("not reproduced", f"{where}, so there is no γ to compare; {steps}")
    if within(wanted.value, slope) and held.value == runs.value:
        return Ruling("reproduced", f"{where}, with γ = {slope.shown}")
    return Ruling(
        "reproduced under conditions" if within(wanted.value, slope) else "not reproduced",
        f"{where}; the slope is {slope.shown}",
    )


def _people(data: Recordings) -> Measured:
    return Measured(
        tuple(data.population), "data/human, sets on practice with single subjects or teams; intervals over them"
    )


def _judge_people(printed: Quantities, measured: Measured) -> Ruling:
    (wanted,) = printed.values()
    inside = [
        quantity for quantity in measured.quantities if quantity.low <= wanted.high and quantity.high >= wanted.low
    ]
    means = [quantity.value for quantity in measured.quantities]
    share = f"{len(inside)} of {len(means)} conditions have an interval that meets {wanted.shown}"
    text = f"{share}; their means run from {min(means):.2g} to {max(means):.2g}"
    if len(inside) == len(means):
        return Ruling("reproduced", text)
    if inside:
        return Ruling("reproduced under conditions", f"{text}, depending on task, axis and floor")
    return Ruling("not reproduced", text)


def _transfer(data: Recordings) -> Measured:
    table = data.table("benchmarks/transfer.csv")
    quantities = []
    for known in sorted({float(k) for k, t in zip(table["known"], table["table"], strict=True) if t == "same"}):
        part = table[(table["known"] == known) & (table["table"] == "same")].set_index("start")
        base = part.loc["scratch"]
        frozen = [float(x) for x in str(part.loc["frozen", "spent_seeds"]).split()]
        scratch = [float(x) for x in str(base["spent_seeds"]).split()]
        saved = [1 - a / b for a, b in zip(frozen, scratch, strict=True)]
        quantities.append(over_seeds(f"attention saved where {known:.0%} of the values are known", saved, "%"))
        quantities.append(
            Quantity(f"accuracy there ({known:.0%} known)", float(str(part.loc["frozen", "accuracy"])), unit="%")
        )
    return Measured(tuple(quantities), "a small copy task, whole training; sources and transfers share their seed")


def _printed_transfer(data: Recordings) -> tuple[Quantity, ...]:
    table = data.table("published/cram_transfer.csv")
    shares = [
        float(v) / 100
        for m, k, v in zip(table["model"], table["measure"], table["value"], strict=True)
        if (m, k) == ("CRAM", "reduction")
    ]
    return (
        Quantity("attention saved", math.nan, min(shares), max(shares), "%"),
        data.published("cram_transfer", "accuracy, Synthetic Copy", task="Synthetic Copy", measure="accuracy"),
    )


def _judge_transfer(printed: Quantities, measured: Measured) -> Ruling:
    wanted = printed["attention saved"]
    savings = [quantity for quantity in measured.quantities if quantity.name.startswith("attention saved")]
    course = "; ".join(f"{quantity.value:.0%} {quantity.name.removeprefix('attention saved ')}" for quantity in savings)
    about = [quantity for quantity in savings if quantity.low <= wanted.high and quantity.high >= wanted.low]
    if len(about) == len(savings):
        return Ruling("reproduced", course)
    if about or min(s.value for s in savings) < wanted.low <= wanted.high < max(s.value for s in savings):
        return Ruling("reproduced under conditions", f"what is saved is the overlap of the two tasks: {course}")
    return Ruling("not reproduced", course)


# --------------------------------------------------------------------------------------------- Adaptive Retention

BUDGETS = "benchmarks/retention_budget.csv"


def _printed_budget(data: Recordings) -> tuple[Quantity, ...]:
    where = {"table": "adaptive_retention_numbers", "name": "", "task": "abstract"}
    return tuple(
        Quantity(f"share of full performance at {b} %", data.published(**where, budget_percent=b).value / 100, unit="%")
        for b in (30, 50)
    )


def _printed_layers(data: Recordings) -> tuple[Quantity, ...]:
    budgets = data.table("published/adaptive_retention_layers.csv")["budget_percent"].to_numpy(float) / 100
    return (Quantity("budgets", math.nan, float(budgets.min()), float(budgets.max()), "%"),)


def _printed_speed(data: Recordings) -> tuple[Quantity, ...]:
    return (data.published("adaptive_retention_numbers", "speed-up", "×", task="throughput", measure="speed-up"),)


def _budget(data: Recordings) -> Measured:
    table = data.table(BUDGETS)
    full = {str(row["selection"]): row for _, row in table.iterrows() if float(row["budget"]) == 1.0}
    quantities = []
    for _, row in table.iterrows():
        base = [float(x) for x in str(full[str(row["selection"])]["accuracy_seeds"]).split()]
        own = [float(x) for x in str(row["accuracy_seeds"]).split()]
        share = [a / b for a, b in zip(own, base, strict=True)]
        name = f"share of full accuracy at {100 * float(row['budget']):.0f} %, {row['selection']}"
        quantities.append(over_seeds(name, share, ""))
    return Measured(
        tuple(quantities), "retention models on small SRCD, trained for each budget (benchmarks/retention_budget.py)"
    )


def _judge_budget(printed: Quantities, measured: Measured) -> Ruling:
    least = {name.split(" at ")[1]: quantity.value for name, quantity in printed.items()}
    tested = [
        (quantity, least[key]) for quantity in measured.quantities for key in least if f" at {key}," in quantity.name
    ]
    kept = [quantity for quantity, share in tested if quantity.value >= share]
    text = "; ".join(
        f"{quantity.name.removeprefix('share of full accuracy ')}: {quantity.value:.0%}" for quantity, _ in tested
    )
    if len(kept) == len(tested):
        return Ruling("reproduced", f"share of the accuracy with all tokens, {text}")
    if kept:
        return Ruling("reproduced under conditions", f"share of the accuracy with all tokens, {text}")
    return Ruling("not reproduced", f"where retrieval needs single tokens the budget costs accuracy: {text}")


def _layers(data: Recordings) -> Measured:
    table = data.table("published/adaptive_retention_layers.csv")
    quantities = [
        Quantity(f"mean retention, {model}, budget {budget} %", float(part["retention_percent"].mean()) / 100, unit="%")
        for (model, budget), part in table.groupby(["model", "budget_percent"])
    ]
    return Measured(tuple(quantities), "arithmetic on the paper's own table")


def _judge_layers(printed: Quantities, measured: Measured) -> Ruling:
    over = [quantity for quantity in measured.quantities if quantity.value > float(quantity.name.split()[-2]) / 100]
    text = "; ".join(
        f"{quantity.name.removeprefix('mean retention, ')}: {quantity.shown}" for quantity in measured.quantities
    )
    if not over:
        return Ruling("reproduced", text)
    return Ruling("not reproduced", f"by the paper's own table the layers keep more than the budget on average: {text}")


def _scores(data: Recordings) -> tuple[Quantity, ...]:
    return tuple(
        data.published("adaptive_retention_numbers", f"{task} at {budget} %", task=task, budget_percent=budget)
        for task in ("SST-2", "IMDb", "ArXiv R1")
        for budget in (50, 30)
    )


# -------------------------------------------------------------------------------------------------------- claims


def _claim_row(claim: Claim) -> LedgerRow:
    """The row of a claim that has a certificate."""

    def quantities(data: Recordings, side: str) -> tuple[Quantity, ...]:
        verdict = data.verdict(claim.id)
        return tuple(Quantity(name, float(getattr(verdict, side)[name])) for name in verdict.claimed)

    def measure(data: Recordings) -> Measured:
        verdict = data.verdict(claim.id)
        notes = (f"holds in this form: {verdict.corrected}",) if verdict.corrected else ()
        return Measured(quantities(data, "computed"), "certificate, made anew and re-checked", verdict.status, notes)

    def judge(printed: Quantities, measured: Measured) -> Ruling:
        if measured.status in ("proved", "verified"):
            return Ruling("reproduced", f"{measured.status}, with a certificate")
        if measured.status == "conditional":
            return Ruling(
                "reproduced under conditions",
                "true only under assumptions that the paper does not state, which the certificate names",
            )
        off = next((n for n, q in printed.items() if not math.isclose(measured[n].value, q.value)), "")
        numbers = f" ({off}: {measured[off].shown} against {printed[off].shown})" if off else ""
        return Ruling("not reproduced", f"false as stated, by a re-checked counterexample{numbers}")

    return LedgerRow(
        id=claim.id,
        title=claim.title,
        paper=claim.paper,
        place=claim.place,
        printed=lambda data: quantities(data, "claimed"),
        measure=measure,
        judge=judge,
        command=f"cogfit theory check {claim.id}",
        certificate=claim.id,
        page="claims.md",
    )


def _table_row(model: str, name: str, title: str, decisive: str = "accuracy") -> LedgerRow:
    short = name.removesuffix("-n256").removeprefix("cram-n256-")
    return LedgerRow(
        id=f"table1-{short}",
        title=title,
        paper="CRAM",
        place=f"Table 1, row {model}",
        printed=_table_1(model),
        measure=_trained(name),
        judge=_judge_trained(decisive),
        command=training_command(name),
        folder=f"runs/{name}",
        page="replication.md",
    )


_TRAIN, _RUN = training_command(HEADLINE), f"runs/{HEADLINE}"
_RISE = _numbers(("redundancy_10k", "R at 10K steps"), ("redundancy_300k", "R at 300K steps"))
_REDUNDANCY = "cogfit theory redundancy --train --threads 1"
_FIT = f"cogfit fit data/{_RUN}/seed11"

ROWS: tuple[LedgerRow, ...] = (
    LedgerRow(
        id="redundancy-88",
        title="88 % of attention operations are redundant",
        paper="CRAM",
        place="abstract",
        printed=_numbers(
            ("redundancy_headline", "share of operations"),
            ("redundancy_gpt2", "R, GPT-2 124M"),
            ("redundancy_gpt2_medium", "R, GPT-2 Medium"),
        ),
        measure=_redundancy,
        judge=_judge_share,
        command=_REDUNDANCY,
        folder=f"runs/{REDUNDANCY}",
        page="redundancy.md",
    ),
    LedgerRow(
        id="redundancy-gpt2",
        title="R of the frozen GPT-2 models, and its shares of heads",
        paper="CRAM",
        place="Def. 1, Eq. 1",
        printed=_numbers(
            ("redundancy_gpt2", "R, GPT-2 124M"),
            ("redundancy_gpt2_medium", "R, GPT-2 Medium"),
            "redundancy_heads_high",
            "redundancy_heads_middle",
            "redundancy_heads_low",
        ),
        measure=_unavailable("the weights of GPT-2 are not shipped and nothing is fetched; run the command on yours"),
        judge=_never,
        command="cogfit theory redundancy ~/models/gpt2",
        page="redundancy.md",
    ),
    LedgerRow(
        id="redundancy-language-model",
        title="88 % of attention operations are redundant, in another model of that size",
        paper="CRAM",
        place="abstract; Def. 1",
        printed=_numbers(
            ("redundancy_headline", "share of operations"),
            ("redundancy_gpt2", "R, GPT-2 124M"),
        ),
        measure=_language_model,
        judge=_judge_language_model,
        command="cogfit theory lm study smollm2 --unit redundancy",
        folder=f"runs/{LANGUAGE_MODEL}",
        page="language-model.md",
    ),
    LedgerRow(
        id="gamma-in-context",
        title="attention to a pattern falls with its repetitions, within one context of a language model",
        paper="CRAM",
        place="Eq. 14, read as a claim on one context, which the paper does not make",
        printed=_numbers(("gamma_model", "γ")),
        measure=_in_context,
        judge=_judge_in_context,
        command="cogfit theory lm study smollm2 --unit heads --unit context",
        folder=f"runs/{LANGUAGE_MODEL}",
        page="language-model.md",
    ),
    LedgerRow(
        id="redundancy-not-falling",
        title="redundancy does not decrease with training",
        paper="CRAM",
        place="abstract",
        printed=_RISE,
        measure=_course,
        judge=_judge_falls,
        command=_REDUNDANCY,
        folder=f"runs/{REDUNDANCY}",
        page="redundancy.md",
    ),
    LedgerRow(
        id="redundancy-from-scratch",
        title="R rises from 0.52 to 0.72 between 10K and 300K steps",
        paper="CRAM",
        place="text on Eq. 1",
        printed=_RISE,
        measure=_scratch,
        judge=_judge_scratch,
        command="cogfit theory redundancy --train --set steps=300000 --device cuda",
        folder=f"runs/{REDUNDANCY}",
        page="redundancy.md",
    ),
    LedgerRow(
        id="accuracy-at-optimum",
        title="CRAM answers all queries at an attention near the optimum",
        paper="CRAM",
        place="abstract; Table 1",
        printed=_printed_headline,
        measure=_headline,
        judge=_judge_headline,
        command=_TRAIN,
        folder=_RUN,
        certificate="cram-opt",
        page="replication.md",
    ),
    LedgerRow(
        id="reduction",
        title="attention is reduced 37.8-fold",
        paper="CRAM",
        place="abstract; Fig. 2",
        printed=_numbers("attention_reduction"),
        measure=_reduction,
        judge=_judge_reduction,
        command=_TRAIN,
        folder=_RUN,
        certificate="cram-reduction",
        page="replication.md",
    ),
    LedgerRow(
        id="transition-step",
        title="the transition is near step 3K",
        paper="CRAM",
        place="text on Fig. 2",
        printed=_numbers(("transition_step", "step of the transition")),
        measure=_transition,
        judge=_judge_step,
        command=_FIT,
        folder=_RUN,
    ),
    LedgerRow(
        id="transition",
        title="a phase transition, when mean quality crosses a threshold",
        paper="CRAM",
        place="text on Fig. 2",
        printed=_numbers(("transition_quality", "mean quality at the transition")),
        measure=_quality,
        judge=_judge_transition,
        command=_FIT,
        folder=_RUN,
        certificate="cram-sharpness",
    ),
    LedgerRow(
        id="plateau",
        title="the baselines' 68 % is the recurring queries by heart, the novel ones at chance",
        paper="CRAM",
        place="Table 1",
        printed=lambda data: _table_1("Mamba")(data)[:1],
        measure=_plateau,
        judge=_judge_plateau,
        command=f"{_TRAIN} && python benchmarks/record_runs.py {_RUN}",
        folder=_RUN,
        certificate="cram-plateau",
    ),
    _table_row("Transformer", "transformer-n256", "the Transformer stops at 68 %"),
    _table_row("Mamba", "mamba-n256", "Mamba stops at 68 %, without attention"),
    _table_row("Jamba (1:7)", "jamba-n256", "Jamba answers no query"),
    _table_row("SeqBoat", "seqboat-n256", "SeqBoat stops at 68 %"),
    _table_row(
        "CRAM without consolidation",
        "cram-n256-no-consolidation",
        "without consolidation attention stays at 16.7 %",
        "attention",
    ),
    LedgerRow(
        id="dynamics",
        title="CRAM pays with twice the error on the dynamics",
        paper="CRAM",
        place="Table 1, column Dyn. MSE",
        printed=_printed_dynamics,
        measure=_dynamics,
        judge=_judge_dynamics,
        command=training_command("transformer-n256"),
        folder=_RUN,
        page="replication.md",
    ),
    LedgerRow(
        id="without-consolidation",
        title="no reduction without consolidation: the trained ablation",
        paper="CRAM",
        place="abstract",
        printed=_nothing,
        measure=_unconsolidated,
        judge=_judge_unconsolidated,
        command=training_command("cram-n256-no-consolidation"),
        folder="runs/cram-n256-no-consolidation",
        certificate="cram-impossible",
    ),
    LedgerRow(
        id="transfer",
        title="frozen memory and router save half of the attention on another task",
        paper="CRAM",
        place="transfer table",
        printed=_printed_transfer,
        measure=_transfer,
        judge=_judge_transfer,
        command="make benchmark-transfer",
        folder="benchmarks/transfer.csv",
        page="training.md",
    ),
    LedgerRow(
        id="gamma",
        title="routing follows a power law of exposures with γ = 0.43",
        paper="CRAM",
        place="Eq. 14",
        printed=_numbers(("gamma_model", "γ")),
        measure=_gamma(HEADLINE),
        judge=_judge_gamma,
        command=_FIT,
        folder=_RUN,
        certificate="cram-sharpness",
    ),
    LedgerRow(
        id="gamma-fast",
        title="a ten-fold semantic learning rate gives γ = 0.71",
        paper="CRAM",
        place="text at Eq. 14",
        printed=_numbers(("gamma_fast_semantic", "γ")),
        measure=_gamma("cram-n256-fast-consolidation"),
        judge=_judge_gamma,
        command=training_command("cram-n256-fast-consolidation"),
        folder="runs/cram-n256-fast-consolidation",
    ),
    LedgerRow(
        id="gamma-human",
        title="people's γ is 0.4–0.5 across studies",
        paper="CRAM",
        place="text at Eq. 14",
        printed=_numbers(("gamma_human", "γ")),
        measure=_people,
        judge=_judge_people,
        command="cogfit human --exponents",
        folder="human",
        page="human-data.md",
    ),
    LedgerRow(
        id="real-data",
        title="PhysioNet, MIMIC-III and Activity",
        paper="CRAM",
        place="text on real data",
        printed=_numbers(
            ("physionet_auc", "AUC, PhysioNet"), ("mimic_auc", "AUC, MIMIC-III"), ("activity_cram", "score, Activity")
        ),
        measure=_unavailable("the clinical data need credentials and nothing is fetched"),
        judge=_never,
        command="cogfit ledger --row real-data",
    ),
    *(_claim_row(claim) for claim in CLAIMS if claim.paper == "CRAM"),
    LedgerRow(
        id="retention-budget",
        title="30–50 % of the tokens keep at least 95 % of the performance",
        paper="Adaptive Retention",
        place="abstract",
        printed=_printed_budget,
        measure=_budget,
        judge=_judge_budget,
        command="python benchmarks/retention_budget.py",
        folder=BUDGETS,
        page="training.md",
    ),
    LedgerRow(
        id="retention-layers",
        title="each layer keeps the budget, ⌊ρT⌋ tokens",
        paper="Adaptive Retention",
        place="layer-wise retention",
        printed=_printed_layers,
        measure=_layers,
        judge=_judge_layers,
        command="cogfit ledger --row retention-layers",
        folder="published/adaptive_retention_layers.csv",
    ),
    LedgerRow(
        id="retention-scores",
        title="SST-2, IMDb and ArXiv with DistilBERT and Longformer",
        paper="Adaptive Retention",
        place="results",
        printed=_scores,
        measure=_unavailable("neither the pretrained models nor the data sets are shipped, and nothing is fetched"),
        judge=_never,
        command="cogfit ledger --row retention-scores",
    ),
    LedgerRow(
        id="retention-speed",
        title="1.8 times the throughput at a budget of 30 %",
        paper="Adaptive Retention",
        place="efficiency",
        printed=_printed_speed,
        measure=_unavailable("it belongs to the paper's hardware, models and implementation, which are not published"),
        judge=_never,
        command="cogfit ledger --row retention-speed",
    ),
    *(_claim_row(claim) for claim in CLAIMS if claim.paper == "Adaptive Retention"),
)
"""All rows, in the order of the papers."""
