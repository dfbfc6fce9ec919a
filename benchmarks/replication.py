"""Write ``docs/replication.md``: what the recorded runs say of the CRAM paper's Table 1 and its transition.

    python benchmarks/replication.py > docs/replication.md

Reads ``data/runs`` only; half a minute, which the fits of the routing logs take.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pandas as pd
from command_line import parser_of, run_script
from grid import wrapped

import cogfit
from cogfit.files import data_dir
from theory.training.convergence import ENDINGS, FALL, ending
from theory.training.departures import DEPARTURES
from theory.training.runs import Record, find_records, format_table, table
from theory.training.sets import EQUAL, FEWEST, PAPER_SIZE, STREAMS

HEADLINE = "cram-n256"
_PAPERS_QUALITY = 0.83
"""Mean quality at the transition, as printed."""
_KINDS = ("cram", "transformer", "mamba", "jamba", "seqboat", "transmamba", "retention")
RIVALS = [f"{kind}-n256" for kind in _KINDS]
"""In the picture: CRAM and its rivals on the same task."""

TEXT = """# Replication at N = 256

*Written by `python benchmarks/replication.py > docs/replication.md` from the runs in [data/runs](../data/runs).*

## Table 1 of the CRAM paper, in small

One row per run and seed, then mean and SD. Every model is trained here on SRCD with N = 256, 5 % queries (12 a stream),
70 % of them for K = 100 recurring keys, V = 16; measured with hard decisions on streams that it was not trained on.
Attention is the share of tokens × layers that *execute* a row. "Initial" is the first evaluation in which the router is
free (before, every token attends: 100 %). OPT = {opt:.2%}: every novel query attends and nothing else;
static = {static:.2%}: every query does.

{equality}

At the end a run is

{endings}

The forecast is `cogfit.fit(…).predict` from the evaluations along the way; there is none of fewer than ten evaluations,
or where the forms disagree. Of the {of_rivals} runs of rivals that count {climbing}: what these miss may be no limit of
the architecture. The ledger counts runs that still climb only where they are beyond the printed figure already.
`make benchmark-equal` trains every rival, and CRAM without
router, without the ODE and with ten times the rate of the semantic memory, on {streams:,} streams; it goes on where
it stopped, and `python benchmarks/equal_training.py --list` says what is left.

![Accuracy against streams](images/runs.png)

(`cogfit theory runs{folders} --plot docs/images/runs.png`)

Each set is made by one command, the one of its row in [the ledger](ledger.md), such as
`cogfit theory train cram-n256 --seeds 11-15`, and put here by `benchmarks/record_runs.py`; a test holds the settings
recorded against those of the command. `cogfit theory runs --markdown` prints this table.

{runs}

## The five seeds of {headline}

The configuration was tried on seeds 101–103, which led to the number of steps and nothing else, and frozen; seeds 11–15
were run once and all are here. (The trial runs were not recorded.) {fraction} of {of} consolidate: at least 99.5 %
right, at most 1.1 × OPT. All novel queries attend and nothing else does;
that this is a little more than OPT is the share of novel queries in the streams of the last measurement.

{seeds}

Steps at which 10, 50 and 90 % of the patterns have stopped attending, and q̂ at recurring queries at the evaluation
nearest to the second of them, from `cogfit fit data/runs/{headline}/seed11` and so on. What `cogfit fit` says of γ:

{verdicts}

("Moves together" is the variance of the attention of all patterns relative to that of patterns that switch
independently, over the steps in which they switch: 1 where each goes its own way.)

So the fall of attention with k is the survival curve of single switches that come close together; there is no γ, 0.43
or other, in these curves. When half of the patterns have switched, q̂ is {quality_low:.2f} to {quality_high:.2f}, where
the paper has 0.83. The levels cannot be compared: q̂ is exp(−error²/(d·σ²)), the paper gives no σ, and with another one
the same error is another q̂ (here σ = {sigma}; σ = {sigma_of_paper:.1f} would make {quality_mid:.2f} to 0.83). What can
be compared is the error itself: when half of the patterns have switched, the semantic memory misses what attention
retrieves by {error_left} of what it missed when the router became free. The router leaves attention as soon as the
answer is right without it.

## Where the values are

Share of right answers to recurring queries, with the model as it is; with the output of the semantic memory set to
zero where the router takes it; and with all tokens forced down one branch (`final.interventions` in `run.json`):

{interventions}

Without the semantic memory the answers are wrong for a part of the patterns: it holds values. It does not hold all of
them; the rest is in the weights that the task trains (embeddings, feed-forward part, output layer).

## Without consolidation

The ablation of the paper keeps 95 % of its attention. Here it loses most of what the full model loses, without semantic
memory, without q̂ and after {ablation_streams:,} streams: {ablation} × OPT, at {ablation_accuracy} accuracy
(the full model had {own_streams:,} streams). The values of recurring
keys are the same in all streams, so whatever is trained on the task can learn them, and the router needs nothing but
the price of attention. Consolidation into a separate memory is one way to save attention in this task, not the reason
why it can be saved. Values that are new in every stream are another matter: there every pattern must be attended to
once (theorem T3), and `fast-weights-n256` is trained on those ({fast_streams:,} streams): {fast} of its {fast_of} seeds
answer at least 98 %, with {fast_attended} of the queries attended where a model without memory attends to all.

## What each part is for

CRAM as it is, and with one part out or changed, all trained on {streams:,} streams; means over {seeds_of_ablations}
seeds, with the range. "× OPT" is attention beside that of novel queries only, "memory" the share of the recurring
queries that the router answers from the semantic memory:

{ablations}

{ablations_say}

The Transformer answers everything, too ({transformer_streams:,} streams); its 68 % in the paper is no property of the
architecture on this task.

## The trap, and the plateau at p_rec + (1 − p_rec)/V

A model that never attends can learn recurring values by heart and must guess novel ones, unless it carries them in its
state, as Mamba does: accuracy p_rec + (1 − p_rec)/V = 0.7 + 0.3/16 = {plateau:.4f} here (the paper's 68 % is close to
its 0.7). Accuracy of the runs that end without attention, and could attend; "best" is the best evaluation on the way:

{trapped}

There are two ways into it. With routing costs from step 0 the router gives attention up before attention has learned to
retrieve; a warm-up in which every token attends avoids that at N = 256. Other runs had learned to retrieve, and lost it
after attention began to cost something. By the loss that is trained on this is no optimum: a novel query that attends
once costs λ = {price}, one that is guessed ln V = {guess:.2f} nats. {dips} runs with a warm-up at N = 256 lose
ten points or more on the way and come back to 95 % or more. So the switch of costs is abrupt for these settings; none
of these runs says what a gentler one would do (`training.costs_over`).

## CRAM as printed

{printed}

What a step of `cram` (N = 2048, two layers, buffer of 512 novel tokens, rank
d/16) costs on one core, measured by `python benchmarks/paper_size.py` ([table](../data/benchmarks/paper_size.csv)):

{sizes}

"queries only" routes the tokens that ask for something and leaves all others in working memory (`routes`): a smaller
question than the paper's, and several times cheaper. Departures from the paper, in the recorded runs and at its size:

{departures}

## Why the prototype was fragile

The four recorded prototypes (`srcd-n256-*`) have a router that sees the whole state of the token. With everything else
as in {headline}, such a router (`--set model.router=state`) ends at

{state}

× OPT ({state_streams:,} streams), that with the four scalars of Eq. 7 at {scalars} × OPT
({own_streams:,}). A router that sees the state learns "queries attend" from the token itself and saturates; the scalars
leave it the uncertainty of the prediction, which falls pattern by pattern.
"""


def printed(records: Sequence[Record]) -> str:
    """What is on record of the paper's size, and what is not."""
    names = {own.name for own in PAPER_SIZE}
    found = [record for record in records if record.title in names]
    left = [f"`{own.name}`" for own in PAPER_SIZE if own.name not in {record.title for record in found}]
    missing = f"Not trained yet: {', '.join(left)}." if left else ""
    if not found:
        return f"No run of the paper's size is on record. {missing}"
    streams = ", ".join(f"{count:,}" for count in sorted({record.streams for record in found}))
    text = (
        f"N = 2048, 102 queries a stream, {streams} streams (a pattern is asked for about twice as often as in "
        f"{HEADLINE}); OPT = {found[0].optimum:.2%}, static = {found[0].static_bound:.2%}. One seed of each, one thing "
        "changed at a time; `python benchmarks/equal_training.py --paper-size` trains them."
    )
    header, *rows = format_table(table(found))
    lost = [record for record in found if is_trapped(record)]
    trap = (
        f"{len(lost)} of {len(found)} ended in the trap of the section above, the second way: every query was answered "
        f"while every token attended ({_span([100 * best(record) for record in lost], '{:.1f} %')} at best), attention "
        "went to 0 once it cost something, and novel values are guessed since. Costs, warm-up and rates are those of "
        "cram-n256, as the paper does "
        "not give its own; so this says what these settings do at N = 2048, and nothing of the paper's run."
    )
    parts = (wrapped(text), markdown(header, rows), wrapped(trap) if lost else "", wrapped(missing))
    return "\n\n".join(filter(None, map(str.strip, parts)))


ABLATIONS = {
    HEADLINE: "as it is",
    "cram-n256-no-router-equal": "every token attends (no router)",
    "cram-n256-no-ode-equal": "no ODE",
    "cram-n256-no-consolidation-equal": "no semantic memory",
    "cram-n256-fast-consolidation-equal": "semantic memory ten times as fast",
}
"""Sets that were trained on as many streams as CRAM, and what is changed in them."""


def ablations(parts: Mapping[str, Sequence[Record]]) -> list[list[str]]:
    """CRAM and its ablations, a row each."""
    return [
        [
            title,
            _span([100 * r.final["accuracy"] for r in records], "{:.2f} %"),
            _span([r.final["attention"] / r.optimum for r in records], "{:.2f}"),
            _span([100 * r.final.get("semantic_recurring", 0.0) for r in records], "{:.0f} %"),
            _span([r.final["dynamics_mse"] for r in records], "{:.4f}"),
        ]
        for title, records in parts.items()
    ]


def _span(values: Sequence[float], form: str) -> str:
    """A mean, and the range where it shows."""
    mean, low, high = (form.format(value) for value in (fmean(values), min(values), max(values)))
    return mean if low == high else f"{mean} ({low} to {high})"


def ablations_say(parts: Mapping[str, Sequence[Record]]) -> str:
    """What the ablations show, as far as they do."""
    least = min(fmean(record.final["accuracy"] for record in records) for records in parts.values())
    spared = [title for title, found in parts.items() if all(r.final["attention"] < 1.1 * r.optimum for r in found)]
    errors = {title: [record.final["dynamics_mse"] for record in found] for title, found in parts.items()}
    own = errors.pop("as it is")
    others = [
        f"{fmean(found) / fmean(own):.2f} times as large ({title})"
        for title, found in errors.items()
        if max(found) < min(own) or min(found) > max(own)
    ]
    apart = f"The error on the dynamics is {' and '.join(others)}, and its range apart from that of CRAM as it is. "
    same = "The ranges of the other errors on the dynamics overlap." if len(others) < len(errors) else ""
    return wrapped(
        f"All of them answer {100 * least:.1f} % or more on average. {len(spared)} of {len(parts)} end within a "
        f"tenth of OPT ({'; '.join(spared)}): what saves attention in this task is the router with its price. "
        f"{apart if others else ''}{same}"
    ).rstrip("\n")


def is_trapped(record: Record) -> bool:
    """Whether a run that could attend ended without attention, and answers worse for it."""
    is_poor = record.final["attention"] < 1e-3 and record.final["accuracy"] < 0.9
    return is_poor and record.document["config"]["model"]["kind"] != "mamba"


def _or_dash(share: float) -> str:
    return "–" if math.isnan(share) else f"{share:.3f}"


def dips(record: Record) -> bool:
    """Whether a run with a warm-up at N = 256 lost ten points after it, and came back."""
    if record.document["config"]["data"]["length"] != 256 or record.document["forced_attention_steps"] is None:
        return False
    highest = 0.0
    for row in record.evaluation:
        highest = max(highest, row["accuracy"])
        if row["accuracy"] < highest - FALL:
            return bool(record.final["accuracy"] > 0.95)
    return False


def best(record: Record) -> float:
    """The best accuracy on the way."""
    return max(row["accuracy"] for row in record.evaluation)


def sizes() -> str:
    """What steps at the size of the paper cost."""
    table = pd.read_csv(data_dir() / "benchmarks" / "paper_size.csv")
    rows = [
        [
            str(row["variant"]),
            f"{row['batch']}",
            f"{row['cpu_seconds_per_step']:.2f}",
            f"{row['peak_mb']:,}",
            f"{row['streams_in_90_minutes']:,}",
        ]
        for row in table.to_dict("records")
    ]
    return markdown(["variant", "streams a step", "CPU s a step", "memory, MB", "streams in 90 minutes"], rows)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = True) -> str:
    """A table, with numbers in all columns but the first."""
    lines = [header, ["---"] + ["---:" if numbers else "---"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def nearest(record: Record, step: float) -> dict[str, Any]:
    """The evaluation nearest to a step."""
    return min(record.evaluation, key=lambda row: abs(row["step"] - step))


def fairest(sets: Mapping[str, list[Record]], name: str) -> list[Record]:
    """Runs of a system: those of equal training, where enough seeds are on record."""
    equal = sets.get(name + EQUAL, [])
    return equal if len(equal) >= FEWEST else sets.get(name, [])


def equality(sets: Mapping[str, list[Record]]) -> str:
    """Which rivals were trained on as many streams as CRAM, and which were not."""
    chosen = {name: fairest(sets, name) for name in RIVALS if name != HEADLINE}
    fewer = [f"{name} ({found[0].streams:,})" for name, found in chosen.items() if found[0].streams < STREAMS]
    equal = [found[0].title for found in chosen.values() if found[0].streams >= STREAMS]
    text = (
        f'"Streams" were trained on. CRAM had {STREAMS:,} in all; as many had {", ".join(equal)}, which count in the '
        "ledger and in the picture in place of the same models on fewer streams (these stand below, too). "
        if equal
        else f'"Streams" were trained on; CRAM had {STREAMS:,}. '
    )
    text += f"**Not trained equally**: {', '.join(fewer)}. " if fewer else ""
    text += (
        "As many streams are not as many updates, and sizes, warm-up and rates were not matched: see "
        "[training.md](training.md#equal-training)."
    )
    return wrapped(text).rstrip("\n")


def main() -> None:
    records = find_records(data_dir() / "runs")
    sets: dict[str, list[Record]] = {}
    for record in records:
        sets.setdefault(record.title, []).append(record)
    own = sets[HEADLINE]
    at_paper_size = {item.name for item in PAPER_SIZE}
    header, *body = format_table(table([record for record in records if record.title not in at_paper_size]))
    seeds, verdicts, qualities, errors = [], [], [], []
    for record in own:
        result = cogfit.fit(record.folder)
        trajectories = result.to_json()["trajectories"]
        times = trajectories["switch_times"]["steps"]
        quality = nearest(record, times["t50"])["quality_recurring"]
        qualities.append(quality)
        errors.append(math.log(quality) / math.log(record.free_evaluation[0]["quality_recurring"]))
        seeds.append(
            [
                str(record.seed),
                f"{100 * record.final['accuracy']:.2f} %",
                f"{record.final['attention'] / record.optimum:.3f}",
                f"{trajectories['switched']} of {trajectories['patterns']}",
                *(f"{times[name]:,.0f}" for name in ("t10", "t50", "t90")),
                f"{trajectories['variance_inflation']['during']:.1f}",
                f"{quality:.2f}",
            ]
        )
        verdict = result.to_json()["verdict"]
        verdicts.append(f"- seed {record.seed}: {verdict['power_law'].replace('_', ' ')}; {verdict['reasons'][0]}")
    names = list(own[0].document["final"]["interventions"])
    interventions = []
    for record in (r for title in (HEADLINE, "cram-n256-fast-consolidation") for r in sets.get(title, [])):
        done = record.document["final"]["interventions"]
        cells = [record.final["accuracy_recurring"], *(done[name]["accuracy_recurring"] for name in names)]
        who = [record.title, str(record.seed), f"{record.streams:,}"]
        interventions.append([*who, *(f"{100 * x:.1f} %" for x in cells)])
    trapped = [
        [r.title, str(r.seed), f"{r.streams:,}", f"{best(r):.4f}", f"{r.final['accuracy']:.4f}",
         f"{r.final['accuracy_recurring']:.3f}", _or_dash(r.final.get("accuracy_novel", math.nan))]
        for r in records
        if is_trapped(r)
    ]  # fmt: skip
    state = [f"{r.final['attention'] / r.optimum:.2f} (seed {r.seed})" for r in sets.get("cram-n256-state-router", [])]
    good = [r.final["accuracy"] >= 0.995 and r.final["attention"] <= 1.1 * r.optimum for r in own]
    task, sigma = own[0].document["config"]["data"], own[0].document["config"]["model"]["sigma"]
    rivals = [r for name in RIVALS if name != HEADLINE for r in fairest(sets, name)]
    counts = Counter(map(ending, rivals))
    ablation, fast = fairest(sets, "cram-n256-no-consolidation"), sets["fast-weights-n256"]
    parts = {title: found for name, title in ABLATIONS.items() if (found := sets.get(name))}
    learned = [r for r in fast if r.final["accuracy"] >= 0.98]
    print(
        TEXT.format(
            headline=HEADLINE,
            of_rivals=len(rivals),
            climbing=", ".join(
                f"{counts[how]} {'are' if counts[how] > 1 else 'is'} {text}"
                for how, text in (
                    ("still climbing", "still climbing"),
                    ("plateau", "on the plateau"),
                    ("fell back", "below what it was"),
                )
                if counts[how]
            )
            or "all have converged",
            endings="\n".join(f"- **{how}**: {meaning};" for how, meaning in ENDINGS.items()).removesuffix(";") + ".",
            streams=STREAMS,
            folders="".join(f" data/runs/{fairest(sets, name)[0].title}" for name in RIVALS),
            equality=equality(sets),
            sizes=sizes(),
            printed=printed(records),
            departures=markdown(
                ["part", "in the paper", "in the recorded runs", "at its size"],
                [[d.part, d.printed, d.recorded, d.at_size] for d in DEPARTURES],
                numbers=False,
            ),
            opt=own[0].optimum,
            static=own[0].static_bound,
            runs=markdown(header, body),
            fraction=sum(good),
            of=len(good),
            seeds=markdown(
                [
                    "seed",
                    "accuracy",
                    "× OPT",
                    "patterns that switch",
                    "t10",
                    "t50",
                    "t90",
                    "moves together",
                    "q̂ at t50",
                ],
                seeds,
            ),
            verdicts="\n".join(verdicts),
            error_left=_span([100 * x for x in errors], "{:.0f} %"),
            sigma=sigma,
            # q̂ = exp(−error/σ²): the same errors with another σ
            sigma_of_paper=sigma * math.sqrt(math.log(max(qualities)) / math.log(_PAPERS_QUALITY)),
            quality_mid=_PAPERS_QUALITY ** (math.log(min(qualities)) / math.log(max(qualities))),
            dips=sum(map(dips, records)),
            price=own[0].document["config"]["model"]["lambda_episodic"],
            guess=math.log(task["values"]),
            quality_low=min(qualities),
            quality_high=max(qualities),
            interventions=markdown(["run", "seed", "streams", "as it is", *names], interventions),
            plateau=task["recurring_fraction"] + (1 - task["recurring_fraction"]) / task["values"],
            trapped=markdown(["run", "seed", "streams", "best", "accuracy", "recurring", "novel"], trapped),
            state=", ".join(state),
            own_streams=own[0].streams,
            ablation_streams=ablation[0].streams,
            ablation=", ".join(f"{r.final['attention'] / r.optimum:.2f}" for r in ablation),
            ablation_accuracy=f"{100 * min(r.final['accuracy'] for r in ablation):.2f} % or better",
            fast_streams=fast[0].streams,
            transformer_streams=fairest(sets, "transformer-n256")[0].streams,
            ablations=markdown(["CRAM", "accuracy", "× OPT", "memory", "dynamics MSE"], ablations(parts)),
            ablations_say=ablations_say(parts),
            seeds_of_ablations=" or ".join(map(str, sorted({len(found) for found in parts.values()}))),
            state_streams=sets["cram-n256-state-router"][0].streams,
            fast=len(learned),
            fast_of=len(fast),
            fast_attended=" and ".join(f"{100 * r.final['attended_recurring']:.0f} %" for r in learned),
            scalars=", ".join(f"{r.final['attention'] / r.optimum:.2f}" for r in own),
        ),
        end="",
    )


if __name__ == "__main__":
    parser_of(__doc__).parse_args()
    run_script(main)
