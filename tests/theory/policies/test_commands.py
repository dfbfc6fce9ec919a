"""``cogfit theory policies`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cogfit import cli
from theory.policies import POLICIES

QUICK = ("--length", "64", "--patterns", "16", "--interval", "12", "--streams", "8")


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = cli.main(["theory", "policies", *map(str, arguments)])
    out, err = capfd.readouterr()
    return code, out, err


@pytest.mark.slow
def test_table_json_and_picture(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capfd, *QUICK, "--policy", "streaming", "--policy", "CRAM", "--budget", 0.25, "--seed", 3,
                         "--json", tmp_path / "p.json", "--plot", tmp_path / "p.svg")  # fmt: skip
    assert (code, err) == (0, "")
    for text in (
        "StreamingLLM",
        "memoryless",
        "closed-loop",
        "fixed by position",
        "T1 (no memory)",
        "0 below the bound",
    ):
        assert text in out
    document = json.loads((tmp_path / "p.json").read_text())
    assert document["schema"] == "theory.policies/1"
    assert [entry["id"] for entry in document["policies"]] == ["streaming", "cram"]
    assert len(document["cells"]) == 2 * 3
    assert document["below_their_bound"] == 0
    assert document["seed"] == 3
    cell = document["cells"][0]
    assert f"{100 * cell['accuracy']['value']:.1f} ±" in out
    assert {"tokens", "rows", "kept", "memory_bits", "carried_bits", "compared", "bytes_read"} <= set(cell)
    read = cell["bytes_read"]
    assert read["total"] == pytest.approx(read["kv"] + read["state"] + read["scores"])
    picture = (tmp_path / "p.svg").read_text()
    for text in ("attended tokens, % of full attention", "T2: bits of state and cache", "T3: knows what it has read"):
        assert text in picture


def test_parameters_and_streams_can_be_chosen(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, *QUICK, "--policy", "a2sf", "--param", "alpha=0.5", "--stream", "recurrent", "--budget",
                       0.2, "--json", "-")  # fmt: skip
    assert code == 0
    document = json.loads(out)
    assert {cell["law"] for cell in document["cells"]} == {"recurrent"}
    assert document["parameters"] == {"alpha": 0.5}
    assert document["published"] == []


def test_choices_are_parameters_that_are_words(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, *QUICK, "--policy", "miras", "--param", "bias=huber", "--param", "retention=kl",
                       "--param", "rate=1", "--stream", "mix", "--budget", 0.2, "--json", "-")  # fmt: skip
    assert code == 0
    document = json.loads(out)
    assert document["parameters"] == {"bias": "huber", "retention": "kl", "rate": 1}
    assert document["policies"][0]["parameters"]["retention"] == "kl"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--policy", "miras", "--param", "bias=hubert"), "there is no bias 'hubert'; did you mean 'huber'"),
        (("--policy", "a2sf", "--param", "alpha=high"), "'alpha' of a2sf cannot be 'high'"),
        (("--policy", "a2sf", "--param", "alpha="), "write it as alpha=0.9"),
        (("--policy", "h20"), "no policy 'h20'; did you mean 'h2o'"),
        (("--stream", "mixed"), "no streams 'mixed'; did you mean 'mix'"),
        (("--policy", "a2sf", "--param", "alpha"), "write it as alpha=0.9"),
        (("--policy", "a2sf", "--param", "alhpa=1"), "did you mean 'alpha'"),
        (("--param", "alpha=1"), "--param belong to one policy; name it with --policy"),
        (("--budget", "2"), "--budget has one that is no share"),
        (("--streams", "2"), "8 to 2000"),
        (("--seed", "-1"), "--seed -1 is negative; use 0 or more"),
        (("--length", "5"), "--length 5 tokens in a stream; use 64 to 1024"),
        (("--length", "64", "--patterns", "6"), "--patterns 6 recurring keys in 64 tokens; use 8 to 32"),
        (("--length", "64", "--patterns", "8"), "--interval 40 as the interval between queries in 64 tokens"),
        (("--policy", "a2sf", "--param", "sinks=-1"), "'sinks' cannot be -1; use a whole number from 0 to 1024"),
        (("--policy", "a2sf", "--param", "sinks=1.5"), "'sinks' cannot be 1.5; use a whole number from 0 to 1024"),
        (("--policy", "a2sf", "--param", "alpha=nan"), "'alpha' cannot be nan; use a number from 0 to 1"),
        (("--policy", "streaming", "--param", "sinks=300"), "'sinks' cannot be 300 in streams of 256 tokens"),
        (("--policy", "landmark", "--param", "block=0"), "'block' cannot be 0; use a whole number from 1 to 1024"),
        (("--policy", "hcam", "--param", "block=1000"), "'block' cannot be 1000 in streams of 256 tokens"),
        (("--plot", "x.gif"), "use .png, .svg or .pdf"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capfd, *arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_help_has_examples_and_the_registry_is_described(capfd: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capfd, "--help")
    assert code == 0
    assert "--policy a2sf" in out
    for system in POLICIES:
        assert system.rule
        assert system.kind
