"""Training: settings, one loop, logs, checkpoints that survive a kill, stacks, the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import cogfit
from cogfit.cli import main
from cogfit.errors import InputError
from theory.models import Model, Sampler, build
from theory.tasks.srcd import SRCD, Batch
from theory.training.ensemble import Stacked, groups, padded, stackable, train_many, train_models
from theory.training.evaluation import evaluate
from theory.training.folder import load_model, load_run
from theory.training.loop import Streams, loop, train
from theory.training.recorder import Recorder, _times_before
from theory.training.reproducibility import CHECKPOINT, deterministic
from theory.training.runs import Record, find_records, format_table, load_record, table
from theory.training.setup import Setup, Training, load_setup, make_setup
from theory.training.trainer import Single, index_batch, start

pytestmark = pytest.mark.slow  # models are trained

ROOT = Path(__file__).resolve().parents[3]
torch.set_num_threads(1)

CPU = torch.device("cpu")
SMALL = {
    "data.length": 64,
    "data.patterns": 8,
    "data.novel_keys": 16,
    "model.d_model": 16,
    "training.steps": 12,
    "training.batch": 4,
    "training.attend_until": 4,
    "training.costs_from": 6,
    "training.evaluate_every": 5,
    "training.evaluation_streams": 8,
    "training.final_streams": 8,
    "training.checkpoint_every": 5,
}
LOGS = ("utilization.jsonl", "routing.parquet", "evaluation.csv", "model.safetensors")


def small(config: str = "cram-n256", **changes: object) -> Setup:
    """Settings that train in a second; __ stands for the dot."""
    return load_setup(config, SMALL | {name.replace("__", "."): value for name, value in changes.items()})


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in LOGS}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    train(small(), folder, device="cpu")
    return folder


# ------------------------------------------------------------------------------------------------- settings


@given(st.integers(0, 50), st.integers(0, 20))
def test_costs_grow_to_their_full_weight(start: int, over: int) -> None:
    training = Training(costs_from=start, costs_over=over)
    weights = [training.cost_weight(step) for step in range(start + over + 5)]
    assert weights[:start] == [0.0] * start
    assert weights[-1] == 1.0
    assert weights == sorted(weights)
    assert all(weight > 0 for weight in weights[start:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training.step": 3}, "Training has no setting 'step'; did you mean 'steps'"),
        ({"trainin.steps": 3}, "'trainin.steps' is no setting; did you mean 'training'"),
        ({"training": 3}, "'training' is no setting"),
        ({"training.steps": 0}, "'steps' cannot be 0"),
        ({"training.rate": "fast"}, "'rate' cannot be 'fast'"),
        ({"model.kind": "crm"}, "no model of kind 'crm'"),
    ],
)
def test_settings_are_refused_with_a_reason(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_setup("cram-n256", changes)


def test_settings_survive_json() -> None:
    setup = small()
    assert make_setup(json.loads(json.dumps(setup.to_json()))) == setup


# --------------------------------------------------------------------------------------------------- a step


def plain_step(model: Model, optimizer: torch.optim.Optimizer, batch: Batch[Tensor], setup: Setup) -> None:
    """An update written out: what was saved since must not change a bit of it."""
    output = model(batch.tokens)
    optimizer.zero_grad()
    loss = [
        output.retrieval_loss(batch),
        setup.training.dynamics_weight * output.dynamics_loss(batch),
        *output.losses.values(),
        *(0.5 * cost for cost in output.costs.values()),
    ]
    torch.stack(loss).sum().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), setup.training.clip)
    optimizer.step()
    model.after_step(output)


@pytest.mark.parametrize("config", ["cram-n256", "retention-n256", "jamba-n256"])
def test_a_step_is_the_plain_step_to_the_bit(config: str) -> None:
    setup = small(config)
    with deterministic(0, CPU):
        trainer, streams = Single(setup, CPU), Streams([setup.data], 4, 0, CPU)
        for _ in range(4):
            trainer.advance(streams.sample(), attend_all=False, costs=0.5, observed=False)
    with deterministic(0, CPU):
        model, streams = start(setup), Streams([setup.data], 4, 0, CPU)
        fast, slow = model.parameter_groups()
        groups = [{"params": fast, "lr": setup.training.rate}, {"params": slow, "lr": setup.training.slow_rate}]
        named = [group for group in groups if group["params"]]
        optimizer = torch.optim.AdamW(named, weight_decay=setup.training.weight_decay, foreach=True)
        for _ in range(4):
            plain_step(model, optimizer, index_batch(streams.sample(), 0), setup)
    for name, value in model.state_dict().items():
        assert torch.equal(trainer.model.state_dict()[name], value), name


def test_what_is_not_logged_changes_nothing(run: Path, tmp_path: Path) -> None:
    train(small(training__log_every=5, training__routing_every=4), tmp_path / "rare", device="cpu")
    for name in ("evaluation.csv", "model.safetensors"):
        assert (tmp_path / "rare" / name).read_bytes() == (run / name).read_bytes()
    whole = pd.read_json(run / "utilization.jsonl", lines=True)
    rare = pd.read_json(tmp_path / "rare" / "utilization.jsonl", lines=True)
    pd.testing.assert_frame_equal(rare, whole[whole["step"] % 5 == 0].reset_index(drop=True))
    whole, rare = (pd.read_parquet(place / "routing.parquet") for place in (run, tmp_path / "rare"))
    pd.testing.assert_frame_equal(rare, whole[whole["step"] % 4 == 0].reset_index(drop=True))


def test_fast_training_ends_near_the_reference(run: Path, tmp_path: Path) -> None:
    fast = train(small(model__compute="fast"), tmp_path / "fast", device="cpu")
    assert fast.measures.dynamics_mse == pytest.approx(load_run(run).measures.dynamics_mse, rel=1e-3)
    train(small(model__compute="fast"), tmp_path / "again", device="cpu")
    assert contents(tmp_path / "again") == contents(tmp_path / "fast")


# ---------------------------------------------------------------------------------------------------- a run


def test_logs_tell_what_happened(run: Path) -> None:
    setup, record = small(), load_record(run)
    log = cogfit.read_log(run)
    steps = pd.read_json(run / "utilization.jsonl", lines=True)
    assert steps["step"].tolist() == list(range(setup.training.steps))
    assert (steps["attention_utilization"][:4] == 1).all(), "every token attends at first"
    assert (steps["attention_utilization"][4:] < 1).all()
    routing = pd.read_parquet(run / "routing.parquet")
    assert log.routing is not None
    assert routing["attended"][routing["step"] < 4].all()
    assert (routing["exposure"] == routing.groupby("pattern").cumcount()).all()
    # A router that is overruled still has its own opinion.
    assert routing["p_episodic"][routing["step"] < 4].mean() < 0.9
    streams = setup.training.batch * setup.data.queries
    assert 0 < len(routing) < streams * setup.training.steps
    assert [row["step"] for row in record.evaluation] == [5, 10, 12]
    assert not (run / CHECKPOINT).exists()
    assert not (run / "routing.jsonl").exists()


def test_the_description_says_what_ran(run: Path) -> None:
    document = json.loads((run / "run.json").read_text())
    assert document["schema"] == "cogfit.run/1"
    assert document["status"] == "finished"
    assert document["config"] == json.loads(json.dumps(small().to_json()))
    assert document["seed"] == 0
    assert document["forced_attention_steps"] == [0, 3]
    assert document["optimum"]["value"] == pytest.approx(small().data.optimum)
    assert document["versions"]["torch"] == torch.__version__
    assert document["hardware"]["device"] == "cpu"


def test_the_model_comes_back_as_it_was(run: Path) -> None:
    found = evaluate(load_model(run), small().data, streams=8, seed=2**32)
    assert found.accuracy == pytest.approx(load_run(run).measures.accuracy, abs=1e-6)


def test_a_finished_run_is_not_trained_again(run: Path) -> None:
    before = (run / "run.json").stat().st_mtime_ns
    assert train(small(), run, device="cpu").measures == load_run(run).measures
    assert (run / "run.json").stat().st_mtime_ns == before


def test_runs_of_other_settings_and_strange_folders_are_left_alone(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="other settings"):
        train(small(training__seed=1), run, device="cpu")
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="thesis"):
        train(small(), tmp_path, device="cpu")


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(run: Path, tmp_path: Path) -> None:
    train(small(), tmp_path / "again", device="cpu")
    assert contents(tmp_path / "again") == contents(run)
    train(small(training__seed=1), tmp_path / "other", device="cpu")
    assert contents(tmp_path / "other")["model.safetensors"] != contents(run)["model.safetensors"]


def test_a_run_that_was_killed_ends_with_the_same_bytes(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    program = (
        "import sys, json, time, torch; from theory.training.setup import make_setup\n"
        "from theory.training.loop import train\n"
        "torch.set_num_threads(1)\n"
        "train(make_setup(json.loads(sys.argv[1])), sys.argv[2], device='cpu', watch=lambda d, t, m: time.sleep(0.15))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", program, json.dumps(small().to_json()), folder], env=environment)
    deadline = time.monotonic() + 60
    while not (folder / CHECKPOINT).exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.25)  # a step or two after the checkpoint
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert json.loads((folder / "run.json").read_text())["status"] == "running", "it was killed too late to tell"
    with (folder / "utilization.jsonl").open("ab") as log:
        log.write(b'{"step":7,"attention_ut')  # a line that was torn
    train(small(), folder, device="cpu")
    assert contents(folder) == contents(run)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: int, total: int, found: object) -> None:
        if done == 6:
            raise Stop

    with pytest.raises(Stop):
        train(small(), tmp_path / "run", device="cpu", watch=stop)
    (tmp_path / "run" / CHECKPOINT).write_bytes(b"\x80\x04pickle?")
    with pytest.raises(InputError, match=r"checkpoint.safetensors.*cannot be read"):
        train(small(), tmp_path / "run", device="cpu")


def test_global_random_state_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(small(training__steps=2), tmp_path / "run", device="cpu")
    assert torch.equal(torch.rand(3), expected)


@given(st.lists(st.integers(0, 4), max_size=12))
def test_earlier_presentations_are_counted(values: list[int]) -> None:
    expected = [values[:i].count(v) for i, v in enumerate(values)]
    assert _times_before(np.array(values, dtype=np.int64)).tolist() == expected


# ------------------------------------------------------------------------------------------------ measuring


def test_measures_are_those_of_a_count_by_hand() -> None:
    setup = small()
    model = build(setup.model, setup.data, 3)
    found = evaluate(model, setup.data, streams=6, seed=11)
    batch = Sampler(setup.data, 11).sample(6)
    model.eval()
    with torch.no_grad():
        output = model(batch.tokens)
    right = asked = rows = recurring = 0
    for b in range(6):
        for t in range(setup.data.length):
            rows += int(output.executed[b, t].sum())
            if batch.answer[b, t]:
                asked += 1
                right += int(output.logits[b, t].argmax() + 1 == batch.answer[b, t])
                recurring += int(batch.pattern[b, t] > 0 and output.executed[b, t].any())
    assert found.accuracy == pytest.approx(right / asked)
    assert found.attention == pytest.approx(rows / (6 * setup.data.length))
    assert found.attended_recurring == pytest.approx(recurring / int((batch.pattern > 0).sum()))
    assert model.training is False


def test_what_cannot_be_measured_is_nan() -> None:
    setup = small("mamba", data__recurring_fraction=1.0)
    found = evaluate(build(setup.model, setup.data, 0), setup.data, streams=2)
    assert np.isnan(found.accuracy_novel)
    assert np.isnan(found.quality_recurring)
    assert found.attention == 0


# --------------------------------------------------------------------------------------------------- stacks


@pytest.mark.parametrize("config", ["transformer", "cram-n256", "mamba", "fast-weights-n256"])
def test_a_stack_learns_what_its_members_learn_alone(config: str) -> None:
    layout = {} if config != "fast-weights-n256" else {"data__novel_keys": 0}
    setups = [small(config, training__seed=seed, training__clip=0.5, **layout) for seed in (4, 5)]
    stack, alone = Stacked(setups, CPU), [Single(setup, CPU) for setup in setups]
    began = [[p.detach().clone() for p in single.model.parameters()] for single in alone]
    streams = Streams([setup.data for setup in setups], 4, 9, CPU)
    for step in range(3):
        batch = streams.sample()
        # With every token attending nothing is drawn at random, so both see the same. AdamW turns gradients that are
        # rounding errors into whole steps, so that only the first step agrees to the last digits.
        seen = stack.advance(batch, attend_all=True, costs=0.0)
        for i, single in enumerate(alone):
            mine = single.advance(index_batch(batch, slice(i, i + 1)), attend_all=True, costs=0.0)
            torch.testing.assert_close(mine["retrieval"][0], seen["retrieval"][i], rtol=3e-3 if step else 1e-5, atol=0)
    for i, single in enumerate(alone):
        pairs = zip(began[i], single.model.parameters(), stack.member(i).parameters(), strict=True)
        moved, apart = np.array(
            [[float((y - x).detach().square().sum()), float((z - y).detach().square().sum())] for x, y, z in pairs]
        ).T
        assert apart.sum() < 0.05 * moved.sum()


def test_members_may_differ_in_task_and_weight_of_costs(tmp_path: Path) -> None:
    setups = [
        small(data__patterns=k, data__values=v, model__lambda_episodic=weight, training__seed=seed)
        for seed, (k, v, weight) in enumerate([(8, 16, 0.2), (4, 8, 0.4), (8, 16, 0.2)])
    ]
    assert groups(setups) == [[0, 1, 2]]
    assert padded([setup.data for setup in setups]).values == 16
    runs = train_many(setups, [tmp_path / str(i) for i in range(3)], how="stacked", device="cpu")
    for run, setup in zip(runs, setups, strict=True):
        assert run.setup == setup
        again = evaluate(run.model(), setup.data, streams=8, seed=2**32)
        assert again.accuracy == pytest.approx(run.measures.accuracy, abs=1e-6)
    assert not list(tmp_path.glob(".*stack*"))


def test_weights_of_costs_reach_their_member() -> None:
    setups = [small(model__lambda_episodic=weight, model__lambda_semantic=0.1) for weight in (0.01, 50.0)]
    stack = Stacked(setups, CPU)
    assert stack.weights["episodic"].tolist() == pytest.approx([1, 5000])
    assert stack.weights["semantic"].tolist() == [1, 1]
    streams = Streams([setup.data for setup in setups], 4, 9, CPU)
    for _ in range(15):
        seen = stack.advance(streams.sample(), attend_all=False, costs=1.0)
    assert seen["p_episodic"][1].mean() < 0.8 * seen["p_episodic"][0].mean(), "they began alike"


def test_streams_of_members_with_the_same_task_differ_and_stand_in_order() -> None:
    tasks = [SRCD(length=64, values=v) for v in (4, 16, 4)]
    batch = Streams(tasks, 2, 0, CPU).sample()
    assert batch.answer.shape == (3, 2, 64)
    assert int(batch.answer[[0, 2]].max()) <= 4 < int(batch.answer[1].max())
    assert not torch.equal(batch.answer[0], batch.answer[2])


def test_what_depends_on_the_tokens_is_not_stacked() -> None:
    assert stackable(small())
    assert not stackable(small(model__compute="fast"))
    assert not stackable(small(model__routes="queries"))


def test_models_with_work_between_updates_are_trained_one_by_one() -> None:
    assert not stackable(small("retention"))
    models = train_models([small("retention", training__seed=s, training__steps=2) for s in (0, 1)])
    assert [type(m) for m in models] == [Model, Model]
    assert all(float(m.layers[0].multiplier) > 0 for m in models)  # type: ignore[attr-defined]


@pytest.mark.long
def test_processes_give_what_one_process_gives(run: Path, tmp_path: Path) -> None:
    setups = [small(), small(training__seed=1)]
    runs = train_many(setups, [tmp_path / "a", tmp_path / "b"], how="processes", device="cpu", workers=2)
    assert [r.setup.training.seed for r in runs] == [0, 1]
    threads = [json.loads((tmp_path / x / "run.json").read_text())["hardware"]["threads"] for x in "ab"]
    assert threads == [1, 1]
    one = torch.get_num_threads() == 1
    if one:
        assert contents(tmp_path / "a") == contents(run)
    with pytest.raises(InputError, match="different folders"):
        train_many(setups, [tmp_path / "a", tmp_path / "a"], device="cpu")


def test_nothing_is_written_for_models_in_memory() -> None:
    setups = [small("transformer", training__seed=seed, training__steps=3) for seed in (0, 1)]
    models = train_models(setups)
    assert all(not model.training for model in models)
    first, second = (dict(model.named_parameters()) for model in models)
    assert not any(torch.equal(first[name], second[name]) for name in ("answer.weight", "key.weight"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_trains_and_comes_back(tmp_path: Path) -> None:
    run = train(small(), tmp_path / "cuda", device="cuda")
    assert json.loads((tmp_path / "cuda" / "run.json").read_text())["hardware"]["device"] == "cuda"
    assert evaluate(run.model(), small().data, streams=8).accuracy >= 0


# -------------------------------------------------------------------------------------------- recorded runs


def row(step: int, attention: float) -> dict[str, float]:
    measured = {f.name: 0.5 for f in fields(evaluate_fields())}
    return {"step": step, **measured, "attention": attention}


def evaluate_fields() -> type:
    from theory.training.evaluation import Measures

    return Measures


def record(tmp_path: Path, attention: list[float], forced: list[int] | None = None) -> Record:
    document = {
        "name": "x",
        "seed": 3,
        "config": {"training": {"steps": 20, "batch": 4}},
        "optimum": {"value": 0.01},
        "static_bound": {"value": 0.05},
        "forced_attention_steps": forced,
        "final": {"streams": 8, "measures": row(0, attention[-1])},
    }
    return Record(tmp_path / "set" / "seed3", document, [row(100 * (i + 1), a) for i, a in enumerate(attention)])


def test_a_record_knows_when_attention_fell(tmp_path: Path) -> None:
    found = record(tmp_path, [1.0, 0.05, 0.02, 0.04, 0.03, 0.012], [0, 99])
    assert found.initial_attention == 0.05
    assert found.first_step(0.5) == 500  # below 0.03 once before, but not for good
    assert found.first_step(0.9) == 300
    assert np.isnan(found.first_step(0.01))
    assert found.title == "set"
    cells = format_table(table([found]))
    assert cells[0][:2] == ["run", "seed"]
    assert "1.20 %" in cells[1]
    assert cells[1][2] == "80"


def test_mean_and_spread_are_those_of_the_seeds(tmp_path: Path) -> None:
    records = [record(tmp_path, [0.05, a]) for a in (0.01, 0.02, 0.06)]
    frame = table(records).set_index("seed")
    assert frame.loc["mean", "attention"] == pytest.approx(0.03)
    assert frame.loc["SD", "attention"] == pytest.approx(np.std([0.01, 0.02, 0.06], ddof=1))


# --------------------------------------------------------------------------------------------- command line


def test_command_line_trains_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = [f"--set={name}={value}" for name, value in SMALL.items()]
    out = str(tmp_path / "two")
    assert main(["theory", "train", "cram-n256", *sets, "--seeds", "0,2", "--ensemble", "--out", out]) == 0
    text = capsys.readouterr().out
    assert "mean" in text
    assert f"cogfit fit {out}/seed0" in text
    assert sorted(p.name for p in Path(out).iterdir()) == ["seed0", "seed2"]
    assert main(["theory", "runs", out, "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [r["seed"] for r in document["runs"]] == ["0", "2", "mean", "SD"]
    assert main(["theory", "runs", out, "--markdown"]) == 0
    assert capsys.readouterr().out.count("\n") == 6
    assert len(find_records(out)) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cram-n25"], "did you mean 'cram-n256'"),
        ([], "no configuration is named"),
        (["cram-n256", "--set", "training.steps"], "sets nothing"),
        (["cram-n256", "--seeds", "4-1"], "names no seeds"),
        (["cram-n256", "--vary", "model.layers=2"], "needs a list"),
        (["cram-n256", "--device", "tpu"], "no device 'tpu'"),
    ],
)
def test_command_line_refuses(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["theory", "train", *arguments, "--out", str(tmp_path / "x")]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "x").exists()


@settings(max_examples=10)
@given(step=st.integers(0, 12))
def test_logs_can_be_cut_at_any_step(step: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cut")
    setup = small(training__steps=4)
    learner, streams = Single(setup, CPU), Streams([setup.data], 4, 0, CPU)
    recorder = Recorder(folder, setup.training, setup.data.patterns)
    loop(learner, streams, [recorder], [setup])
    recorder.begin(step, np.zeros(setup.data.patterns + 1, np.int64))
    text = (folder / "utilization.jsonl").read_text()
    assert [json.loads(line)["step"] for line in text.splitlines()] == list(range(min(step, 4)))


def test_sets_that_were_not_measured_alike_share_a_table(tmp_path: Path) -> None:
    other = record(tmp_path, [0.05, 0.02])
    del other.document["final"]["measures"]["accuracy_novel"]
    frame = table([other, record(tmp_path, [0.05, 0.02])])
    assert np.isnan(frame.loc[0, "accuracy_novel"])
    assert "–" in format_table(frame)[1]
