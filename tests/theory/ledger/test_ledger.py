"""The replication ledger: rules on made-up measurements, rows without data, and the page of the documentation."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cogfit.cli import main
from cogfit.commands.training import parse_settings
from cogfit.errors import InputError
from cogfit.files import data_dir
from theory.claims import CLAIMS
from theory.ledger.measures import retention
from theory.ledger.measures.table_1 import BEYOND, CONVERGED, NEAR, PLATEAU
from theory.ledger.page import counts_of, page
from theory.ledger.quantities import Quantity, over_seeds
from theory.ledger.recordings import Recordings
from theory.ledger.records import NOT_CLAIMED, OUTCOMES, Entry, Measured, assess, choose
from theory.ledger.rows import ROWS
from theory.training.sets import EQUAL_TRAINING, PAPER_SIZE, RECORDED, find_set

ROOT = Path(__file__).resolve().parents[3]
ROW = {row.id: row for row in ROWS}


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    data = Recordings(data_dir())
    return [assess(row, data) for row in ROWS]


@pytest.mark.long
def test_the_page_is_current(entries) -> None:
    message = "run: cogfit ledger --markdown > docs/ledger.md"
    assert (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8") == page(entries), message


@pytest.mark.long
def test_every_row_has_a_verdict_a_reason_and_a_command_that_exists(entries) -> None:
    assert len(ROW) == len(ROWS)
    for entry in entries:
        assert entry.ruling.outcome in OUTCOMES
        assert entry.ruling.reason
        word, name, *_ = entry.row.command.split()
        if word == "python":
            continue
        if word == "make":
            assert f"\n{name}:" in (ROOT / "Makefile").read_text(encoding="utf-8")
        else:
            assert word == "cogfit"
        if entry.row.page:
            assert (ROOT / "docs" / entry.row.page).exists()


@pytest.mark.long
def test_every_claim_with_a_certificate_has_a_row(entries) -> None:
    found = {entry.row.id: entry for entry in entries}
    for claim in CLAIMS:
        outcome, status = found[claim.id].ruling.outcome, claim.check().status
        assert (status == "refuted") == (outcome == "not reproduced"), claim.id
        assert (status == "conditional") == (outcome == "reproduced under conditions"), claim.id


def test_without_runs_rows_say_what_to_run(tmp_path: Path) -> None:
    data = Recordings(data_dir(), tmp_path)
    for name in ("accuracy-at-optimum", "reduction", "gamma", "table1-mamba", "without-consolidation"):
        entry = assess(ROW[name], data)
        assert entry.ruling.outcome == "not testable here"
        assert "run first: cogfit theory train" in entry.ruling.reason
        assert entry.printed or name == "without-consolidation"


def ruling(name: str, printed: list[Quantity], found: list[Quantity]) -> str:
    return ROW[name].judge({one.name: one for one in printed}, Measured(tuple(found))).outcome


@pytest.mark.parametrize(
    ("free", "forced", "outcome"),
    [
        (38.0, 70.0, "reproduced"),
        (3.3, 38.0, "reproduced under conditions"),
        (3.3, 70.0, "not reproduced"),
        (3.3, 20.0, "not reproduced"),
    ],
)
def test_the_reduction_depends_on_what_is_called_initial(free: float, forced: float, outcome: str) -> None:
    printed = [Quantity("reduction of attention", 37.8, unit="×")]
    assert ruling("reduction", printed, [Quantity("warm-up", forced), Quantity("free", free)]) == outcome


@pytest.mark.parametrize(
    ("held", "slope", "outcome"),
    [(0, 0.43, "not reproduced"), (5, 0.43, "reproduced"), (3, 0.43, "reproduced under conditions"),
     (5, 1.4, "not reproduced")],
)  # fmt: skip
def test_an_exponent_needs_a_power_law(held: int, slope: float, outcome: str) -> None:
    found = [Quantity("supported", held), Quantity("runs", 5), Quantity("slope", slope, slope - 0.02, slope + 0.02),
             Quantity("near-binary patterns", 1.0)]  # fmt: skip
    assert ruling("gamma", [Quantity("γ", 0.43)], found) == outcome


@pytest.mark.parametrize(
    ("values", "outcome"),
    [([0.68, 0.69, 0.68], "reproduced"), ([0.999, 0.998, 0.999], "not reproduced"),
     ([0.68, 0.72, 0.79], "reproduced under conditions")],
)  # fmt: skip
def test_a_model_of_table_1_is_judged_by_accuracy(values: list[float], outcome: str) -> None:
    printed = [Quantity("accuracy", 0.68), Quantity("attention", 0.0)]
    found = [over_seeds("accuracy", values, "%"), over_seeds("attention", [0.0, 0.0, 0.0], "%")]
    assert ruling("table1-mamba", printed, found) == outcome


@pytest.mark.parametrize(
    ("share", "r", "outcome"),
    [(0.88, 0.7, "reproduced"), (0.02, 0.84, "reproduced"), (0.02, 0.41, "not reproduced")],
)
def test_another_model_is_judged_by_share_or_mean(share: float, r: float, outcome: str) -> None:
    printed = [Quantity("share of operations", 0.88, unit="%"), Quantity("R, GPT-2 124M", 0.84)]
    found = [
        Quantity("R of layers", r, r - 0.01, r + 0.01),
        Quantity("share of operations with R > 0.8", share, share - 0.01, share + 0.01, "%"),
    ]
    assert ruling("redundancy-language-model", printed, found) == outcome


@pytest.mark.parametrize(
    ("last", "outcome", "word"),
    [
        (0.6, "not reproduced", "grows"),
        (0.36, "not reproduced", "does not fall"),
        (0.1, "reproduced under conditions", "falls"),
    ],
)
def test_a_curve_in_context_is_judged_by_its_ends(last: float, outcome: str, word: str) -> None:
    found = [
        Quantity("P_episodic(1)", 0.35, 0.32, 0.38),
        Quantity("P_episodic at the last k", last, last - 0.03, last + 0.03),
        Quantity("last k", 16),
    ]
    judged = ROW["gamma-in-context"].judge({"γ": Quantity("γ", 0.43)}, Measured(tuple(found)))
    assert judged.outcome == outcome
    assert word in judged.reason


def test_an_ablation_is_judged_by_attention() -> None:
    printed = [Quantity("accuracy", 1.0), Quantity("attention", 0.167)]
    found = [over_seeds("accuracy", [1.0, 1.0]), over_seeds("attention", [0.017, 0.018])]
    assert ruling("table1-no-consolidation", printed, found) == "not reproduced"


def test_shares_have_limits_that_are_shares_and_savings_need_not() -> None:
    high = over_seeds("accuracy", [0.999, 0.9, 1.0], "%")
    assert high.high == 1.0
    saved = over_seeds("saved", [-0.01, -0.02, -0.015], "%")
    assert saved.low < saved.value < saved.high < 0.0
    assert math.isnan(over_seeds("one run", [0.5]).low)


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["ledger", "--row", "redundancy-88", "--json", str(tmp_path / "l.json")]) == 0
    text = capsys.readouterr().out
    assert "NOT REPRODUCED" in text
    assert "repeat it: cogfit theory redundancy --train" in text
    document = json.loads((tmp_path / "l.json").read_text(encoding="utf-8"))
    assert document["schema"] == "cogfit.ledger/1"
    (row,) = document["rows"]
    assert row["verdict"] == "not reproduced"
    assert main(["ledger", "--row", "redundancy-8"]) == 2
    assert "redundancy-88" in capsys.readouterr().err
    assert main(["ledger", "--runs", str(tmp_path / "none")]) == 2
    with pytest.raises(InputError, match="no row"):
        choose(ROWS, ["nothing"])


def test_runs_that_still_climb_are_not_compared() -> None:
    printed = [Quantity("accuracy", 0.68), Quantity("attention", 0.0)]
    found = [
        over_seeds("accuracy", [0.68, 0.69, 0.68], "%"),
        over_seeds("attention", [0.0] * 3, "%"),
        Quantity("runs", 3),
    ]
    assert ruling("table1-mamba", printed, [*found, Quantity(CONVERGED, 3)]) == "reproduced"
    assert ruling("table1-mamba", printed, [*found, Quantity(CONVERGED, 2)]) == "reproduced"
    assert ruling("table1-mamba", printed, [*found, Quantity(CONVERGED, 0)]) == "not testable here"
    # runs that climb beyond the figure count, and an interval between them and others is not the figure
    climbing = [*found, Quantity(CONVERGED, 0), Quantity(BEYOND, 2)]
    assert ruling("table1-mamba", printed, [*climbing, Quantity(NEAR, 1)]) == "reproduced"
    assert ruling("table1-mamba", printed, [*climbing, Quantity(NEAR, 0)]) == "not reproduced"


def test_a_row_says_how_much_its_model_was_trained() -> None:
    data = Recordings(data_dir())
    for name in ("table1-mamba", "table1-transformer", "dynamics"):
        own = data.fairest("transformer-n256" if name == "dynamics" else f"{name.removeprefix('table1-')}-n256")[0]
        cram = data.records("cram-n256")[0]
        measured = assess(ROW[name], data).measured
        assert {each.title: each.streams for each in measured.trained} == {
            own.title: own.streams,
            "cram-n256": cram.streams,
        }
        assert ("not equal" in measured.training) == (own.streams != cram.streams)
        assert all(f"{record.streams:,}" in measured.training for record in (own, cram))
        # as many streams are not as many updates
        if own.updates != cram.updates:
            assert all(f"{record.updates:,}" in measured.training for record in (own, cram))


def test_runs_that_stay_on_the_plateau_are_what_the_figure_may_be() -> None:
    printed = [Quantity("accuracy", 0.68), Quantity("attention", 0.0)]
    found = [over_seeds("accuracy", [0.713, 0.712, 0.714], "%"), over_seeds("attention", [0.0] * 3, "%"),
             Quantity("runs", 3), Quantity(CONVERGED, 3), Quantity(NEAR, 0)]  # fmt: skip
    judged = {
        stay: ROW["table1-mamba"].judge({q.name: q for q in printed}, Measured((*found, Quantity(PLATEAU, stay))))
        for stay in (3, 1, 0)
    }
    assert {stay: ruled.outcome for stay, ruled in judged.items()} == {
        3: "reproduced under conditions",
        1: "reproduced under conditions",
        0: "not reproduced",
    }
    assert "2 go beyond it" in judged[1].reason
    assert "beyond" not in judged[3].reason
    # a figure that is no plateau is not met there
    nothing = {"accuracy": Quantity("accuracy", 0.0), "attention": Quantity("attention", 0.125)}
    jamba = ROW["table1-jamba"].judge(nothing, Measured((*found, Quantity(PLATEAU, 3))))
    assert jamba.outcome == "not reproduced"


@pytest.mark.parametrize(
    ("jumps", "quality", "outcome"),
    [
        (0, 0.83, "not reproduced"),
        (3, 0.19, "reproduced under conditions"),
        (5, 0.19, "reproduced under conditions"),
        (5, 0.82, "reproduced"),
    ],
)
def test_a_transition_is_a_change_beyond_a_smooth_curve(jumps: int, quality: float, outcome: str) -> None:
    found = [Quantity("mean quality at the transition", quality, quality - 0.01, quality + 0.01),
             Quantity("runs with a change beyond a smooth curve", jumps), Quantity("runs", 5)]  # fmt: skip
    assert ruling("transition", [Quantity("mean quality at the transition", 0.83)], found) == outcome


@pytest.mark.parametrize(
    ("savings", "outcome"),
    [
        ([0.48, 0.5], "reproduced"),
        ([0.0, 0.5, 1.0], "reproduced under conditions"),
        ([0.0, 1.0], "not reproduced"),
    ],
)
def test_a_saving_has_to_be_met_by_one_condition(savings: list[float], outcome: str) -> None:
    printed = [Quantity("attention saved", math.nan, 0.48, 0.52, "%")]
    found = [Quantity(f"attention saved where {i} is known", x, x - 0.01, x + 0.01) for i, x in enumerate(savings)]
    assert ruling("transfer", printed, found) == outcome


ON_RECORD = [item.name for item in RECORDED]
ON_RECORD += [item.name for item in (*EQUAL_TRAINING, *PAPER_SIZE) if (data_dir() / "runs" / item.name).exists()]


@pytest.mark.parametrize("name", ON_RECORD)
def test_the_command_of_a_set_makes_what_was_recorded(name: str) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from theory.training.setup import load_setup, make_setup

    command = find_set(name).command.split()
    changes = parse_settings([command[i + 1] for i, word in enumerate(command) if word == "--set"])
    first, last = map(int, command[command.index("--seeds") + 1].split("-"))
    folders = sorted((data_dir() / "runs" / name).glob("seed*"))
    seeds = range(first, last + 1)
    if name in [item.name for item in RECORDED]:
        assert len(folders) == len(seeds)
    for folder, seed in zip(folders, seeds, strict=False):  # of the others some may still be to train
        assert folder.name == f"seed{seed}"
        recorded = make_setup(json.loads((folder / "run.json").read_text())["config"])
        assert load_setup(command[3], {**changes, "training.seed": seed}) == recorded


def test_widths_are_not_compared_without_the_weights_and_the_reason_has_the_numbers() -> None:
    names = [(name, d) for name in ("R on other tokens", "R on the tokens of the fit") for d in (256, 1024)]
    found = [
        Quantity(f"{name}, d = {d}", value) for (name, d), value in zip(names, (0.81, 0.71, 0.85, 0.91), strict=True)
    ]
    entry = ROW["redundancy-width"].judge(None, Measured((*found, Quantity("tokens of the fit", 1536))))  # type: ignore[arg-type]
    assert entry.outcome == "not testable here"
    assert "probes of d = 256 and d = 1024 that were fitted on 1,536 tokens find 0.81 and 0.71" in entry.reason
    assert "0.85 and 0.91 on those of the fit" in entry.reason


@pytest.mark.parametrize(
    ("laws", "refused", "outcome"),
    [
        (4, 0, "reproduced"),
        (1, 3, "reproduced under conditions"),
        (0, 3, "not reproduced"),
        (0, 2, "not testable here"),
        (0, 0, "not testable here"),
    ],
)
def test_forgetting_of_facts_is_judged_by_the_curves_that_decide(laws: int, refused: int, outcome: str) -> None:
    counts = (Quantity("curves", 4), Quantity("power laws", laws), Quantity("refused", refused))
    found = Measured(counts, notes=("cogfit.fit of 4 curves",))
    entry = ROW["forgetting-of-facts"].judge(None, found)  # type: ignore[arg-type]
    assert entry.outcome == outcome
    assert f"{laws} of 4 curves are found to be power laws" in entry.reason


KEPT = [
    (0.97, 0.96, 0.005, "reproduced"),
    (0.97, 0.8, 0.005, "reproduced under conditions"),
    (0.97, 0.96, 0.015, "reproduced under conditions"),  # the interval of one reaches below
    (0.97, 0.96, 0.1, "not reproduced"),  # no interval says so
    (0.9, 0.8, 0.005, "not reproduced"),
]


@pytest.mark.parametrize("row", ["retention-budget", "retention-encoder"])
@pytest.mark.parametrize(("half", "third", "width", "outcome"), KEPT)
def test_a_share_is_kept_where_its_interval_says_so(
    row: str, half: float, third: float, width: float, outcome: str
) -> None:
    ways = ("gates", "random") if row == "retention-encoder" else ("offline",)
    found = [
        Quantity(f"share of full accuracy at {budget} %, {way}", value, value - width, value + width)
        for way in ways
        for budget, value in ((50, half), (30, third))
    ]
    printed = [Quantity(f"share of full performance at {budget} %", 0.95) for budget in (30, 50)]
    assert ruling(row, printed, found) == outcome


def budgets(folder: Path, third: str) -> Entry:
    """The row on budgets, with these accuracies at 30 %."""
    seeds = {1.0: "0.99 1.0 0.99", 0.5: "0.99 1.0 0.98", 0.3: third}
    table = "".join(f"{budget},offline,{own}\n" for budget, own in seeds.items())
    (folder / "published").symlink_to(data_dir() / "published")
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "retention_budget.csv").write_text(f"budget,selection,accuracy_seeds\n{table}")
    return assess(ROW["retention-budget"], Recordings(folder))


def test_a_seed_on_the_plateau_is_told_and_decides_nothing(tmp_path: Path) -> None:
    entry = budgets(tmp_path, "0.99 0.99 0.742")
    assert entry.ruling.outcome == "reproduced under conditions"
    assert "1 of 3 seeds stayed at 74.2 %, near the plateau of 73.75 %" in entry.ruling.reason
    assert "kept at 50 %, not decided by the interval at 30 %" in entry.ruling.reason
    assert "accuracy of the seeds, 30 %, offline 74.2–99 %" in map(str, entry.measured.quantities)
    assert entry.measured.training == "4,000"
    # the budgets of the paper stand first
    assert [q.name.split(" at ")[1] for q in entry.measured.quantities[:2]] == ["50 %, offline", "30 %, offline"]


def test_seeds_off_the_plateau_are_not_told_to_be_on_it(tmp_path: Path) -> None:
    entry = budgets(tmp_path, "0.99 1.0 0.98")
    assert entry.ruling.outcome == "reproduced"
    assert "plateau" not in entry.ruling.reason


def test_the_task_of_the_budgets_is_that_of_the_study() -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from retention_budget import _SETTINGS

    from theory.training.setup import load_setup

    assert _SETTINGS["training.steps"] == retention.UPDATES
    assert _SETTINGS["training.steps"] * _SETTINGS["training.batch"] == retention.STREAMS
    task = load_setup("retention-n256", _SETTINGS).data
    assert (task.recurring_fraction, task.values) == (retention.RECURRING, retention.VALUES)


def course(last: int, top: float, end: float, half: float = 0.003) -> list[Quantity]:
    """R of a run of so many steps."""
    return [
        Quantity("R, trained", end, end - half, end + half),
        Quantity("highest R", top, top - half, top + half),
        Quantity("step of the highest R", 40, unit="steps"),
        Quantity("last step", last, unit="steps"),
        Quantity("step of the paper's first figure", 10_000, unit="steps"),
        Quantity("step of the paper's last figure", 300_000, unit="steps"),
    ]


@pytest.mark.parametrize(
    ("row", "last", "top", "end", "half", "outcome"),
    [
        ("redundancy-not-falling", 2_560, 0.9, 0.3, 0.003, "not testable here"),
        ("redundancy-not-falling", 2_560, 0.9, 0.9, 0.003, "not testable here"),
        ("redundancy-not-falling", 10_000, 0.9, 0.3, 0.003, "not reproduced"),
        ("redundancy-not-falling", 10_000, 0.9, 0.9, 0.003, "reproduced"),
        ("redundancy-not-falling", 10_000, 0.9, 0.88, 0.03, "not reproduced"),  # no fall is shown, and none excluded
        ("redundancy-from-scratch", 2_560, 0.72, 0.72, 0.003, "not testable here"),
        ("redundancy-from-scratch", 20_000, 0.72, 0.72, 0.003, "not testable here"),
        ("redundancy-from-scratch", 300_000, 0.72, 0.72, 0.003, "reproduced"),
        ("redundancy-from-scratch", 300_000, 0.9, 0.3, 0.003, "not reproduced"),
    ],
)
def test_a_run_is_judged_where_it_reaches_what_the_paper_speaks_of(
    row: str, last: int, top: float, end: float, half: float, outcome: str
) -> None:
    printed = [Quantity("R at 10K steps", 0.52), Quantity("R at 300K steps", 0.72)]
    assert ruling(row, printed, course(last, top, end, half)) == outcome


def test_what_no_paper_claims_is_marked_and_not_counted(tmp_path: Path) -> None:
    rows = [replace(ROW["gamma-in-context"], is_claimed=claimed) for claimed in (True, False)]
    claimed, other = (assess(row, Recordings(data_dir())) for row in rows)
    assert claimed.ruling == other.ruling
    assert counts_of([claimed, other]) == counts_of([claimed])
    text = page([claimed, other])
    assert "1 not reproduced; 0 not testable here. 1 more, marked as not claimed, is not counted." in text
    assert text.count(NOT_CLAIMED) == 2  # in the table, and where it stands in full
    assert NOT_CLAIMED not in page([claimed])
    assert not ROW["gamma-in-context"].is_claimed


def test_without_the_records_of_trained_models_rows_say_so(tmp_path: Path) -> None:
    (tmp_path / "published").symlink_to(data_dir() / "published")
    for name in ("forgetting-of-facts", "retention-encoder"):
        assert assess(ROW[name], Recordings(tmp_path)).ruling.outcome == "not testable here"
