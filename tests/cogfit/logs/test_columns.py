"""Which column is what: single rules, against lists of names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogfit.errors import InputError
from cogfit.logs.columns import Columns, Level, NoLogColumns, find_columns, recognised_role
from cogfit.logs.formats.reader import ReadOptions

HERE = Path("log.csv")
UTILIZATION = ["step", "attention_utilization"]
ROUTING = ["step", "pattern", "attended"]


def columns_of(*names: str, **options: str) -> Columns:
    return find_columns(names, ReadOptions(**options), HERE)  # type: ignore[arg-type]


def levels_of(*names: str, **options: str) -> list[tuple[str, str | None, str | None]]:
    return [(level.column, level.layer, level.head) for level in columns_of(*names, **options).utilization]


def error_of(*names: str, **options: str) -> InputError:
    with pytest.raises(InputError) as caught:
        columns_of(*names, **options)
    assert caught.value.path == HERE
    return caught.value


@pytest.mark.parametrize(
    ("column", "role"),
    [
        ("  Attention Utilization ", "utilization"),
        ("attn..util", "utilization"),
        ("model.attn_util", "utilization"),
        ("a/b/attn_util", "utilization"),
        ("train_attn_util", "utilization"),
        ("validation_attn_util", "utilization"),
        ("x/test_attn_util", "utilization"),
        ("my_attn_util", None),
        ("attn_util/x", None),
        ("train_", None),
        ("train_step", "step"),  # an alias of its own
        ("attn_util_epoch", "utilization"),
        ("attn_util_step", "utilization"),
        ("attended_epoch", "attended"),
        ("p_attend_step", "p_episodic"),
        ("exposure_step", None),  # not a value that Lightning forks
        ("attn_util_steps", None),
        ("attn_util/layer_3", "utilization"),
        ("layer_3", None),
        ("layer", "layer"),
        ("head_2", None),
    ],
)
def test_a_name_says_its_role(column: str, role: str | None) -> None:
    assert recognised_role(column) == role


@pytest.mark.parametrize(
    ("names", "used"),
    [
        (["attn_util", "train/attn_util"], "attn_util"),  # no prefix to leave out
        (["train/attn_util", "attention_utilization"], "attention_utilization"),
        (["train/attention_utilization", "attn_util"], "train/attention_utilization"),  # the name counts first
        (["attn_util_step", "attn_util"], "attn_util"),
        (["attn_util_epoch", "attn_util"], "attn_util"),
        (["attn_util_epoch", "attn_util_step"], "attn_util_step"),
        (["attn_util_epoch", "attn_util_step", "attn_util"], "attn_util"),
        (["attn_util_epoch"], "attn_util_epoch"),
        (["train/attn_util_step", "train/attn_util_epoch"], "train/attn_util_step"),
    ],
)
def test_the_nearest_name_is_used(names: list[str], used: str) -> None:
    for order in (names, names[::-1]):
        assert levels_of("step", *order) == [(used, None, None)]


def test_a_note_names_what_would_fit_too() -> None:
    (note,) = columns_of("step", "attention_utilization", "attn_rate", "attn_util_step").notes
    assert note == "'attention_utilization' was used; 'attn_rate', 'attn_util_step' would fit, too"
    assert columns_of(*UTILIZATION).notes == ()
    assert columns_of("step", "global_step", "attn_util").notes == ()  # of utilisations only
    many = [f"x{k}/attn_rate" for k in range(13)]
    assert columns_of(*UTILIZATION, *many).notes[0].endswith("'x11/attn_rate', … would fit, too")
    (note,) = columns_of(*UTILIZATION, *many[:12]).notes
    assert note.endswith("'x11/attn_rate' would fit, too")


def test_levels_are_those_of_the_names() -> None:
    names = ["step", "attn_util/layer_0/head_1", "attn_util/layer_0/head_2", "attn_util/layer_12/head_1"]
    assert levels_of(*names) == [(names[1], "0", "1"), (names[2], "0", "2"), (names[3], "12", "1")]
    assert levels_of("step", "attn_util/head3", "block-4") == [("attn_util/head3", None, "3")]
    assert levels_of("step", "blocks.1.attn_util", "blocks.2.attn_util") == [
        ("blocks.1.attn_util", "1", None), ("blocks.2.attn_util", "2", None),
    ]  # fmt: skip


def test_the_coarsest_levels_are_used() -> None:
    heads = [f"attn_util/layer_{k}/head_{h}" for k in range(2) for h in range(2)]
    layers = ["attn_util/layer_0", "attn_util/layer_1"]
    assert [column for column, *_ in levels_of("step", *heads, *layers)] == layers
    assert [column for column, *_ in levels_of("step", *heads, *layers, y="attn_util")] == layers
    assert [column for column, *_ in levels_of("step", *heads, y="attn_util")] == heads
    assert [column for column, *_ in levels_of("step", "attn_util", *heads, *layers)] == ["attn_util"]


@pytest.mark.parametrize(
    "pair",
    [
        ("a/attn_util/layer_0", "b/attn_util/layer_1"),  # of two things
        ("attn_util/layer_0", "attn_util/head_0"),  # layers and heads
        ("attn_util/layer_0", "attn_util.layer_0"),  # one layer twice
    ],
)
def test_levels_that_do_not_go_together_are_ambiguous(pair: tuple[str, str]) -> None:
    error = error_of("step", *pair)
    assert f"columns '{pair[0]}' and '{pair[1]}' could all be the attention utilisation" in str(error)
    assert error.hint == "choose one with --y COLUMN"


def test_a_table_says_layers_in_names_or_in_a_column() -> None:
    assert "'layer' and columns by layer such as 'attn_util/layer_0'" in str(error_of(
        "step", "layer", "attn_util/layer_0"))  # fmt: skip
    assert "'head' and columns by layer such as 'attn_util/head_0'" in str(error_of("step", "head", "attn_util/head_0"))
    both = columns_of("step", "head", "attn_util/layer_0", "attn_util/layer_1")  # a layer in names, a head in rows
    assert (both.head, both.layer, len(both.utilization)) == ("head", None, 2)
    assert columns_of("step", "layer", "attn_util/head_0").layer == "layer"
    assert columns_of("step", "layer", "head", "attn_util").used() == ["step", "layer", "head", "attn_util"]


def test_columns_with_a_level_are_nothing_else() -> None:
    """A step, pattern or decision is never one of a layer."""
    assert columns_of("step", "layer_0/step", "attn_util").step == "step"
    assert "training step" in str(error_of("layer_0/step", "attn_util"))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (ROUTING, {"attended": "attended"}),
        (["step", "pattern", "p_episodic"], {"p_episodic": "p_episodic"}),
        ([*ROUTING, "p_attend"], {"attended": "attended", "p_episodic": "p_attend"}),
    ],
)
def test_a_routing_log_has_patterns_and_decisions(names: list[str], expected: dict[str, str]) -> None:
    found = columns_of(*names, "exposure", "correct", "quality", "run", "loss")
    assert found.routing
    for role in ("pattern", "exposure", "correct", "quality", "run"):
        assert getattr(found, role) == role
    for role in ("attended", "p_episodic", "answer"):
        assert getattr(found, role) == expected.get(role)
    assert sorted(found.used()) == sorted([*names, "exposure", "correct", "quality", "run"])
    assert found.utilization == ()


def test_outside_routing_logs_these_names_mean_nothing() -> None:
    found = columns_of(*UTILIZATION, "exposure", "correct", "quality", "attended")
    assert not found.routing
    assert (found.pattern, found.exposure, found.correct, found.quality, found.attended) == (None,) * 5
    assert found.used() == UTILIZATION
    assert not Columns("step", pattern="pattern").routing
    assert not Columns("step", attended="attended").routing
    assert Columns("step", pattern="pattern", answer="x").routing
    assert Columns("step").bounded is False


def test_a_quality_is_taken_only_if_there_is_one() -> None:
    assert columns_of(*ROUTING, "quality").quality == "quality"
    assert columns_of(*ROUTING, "a/quality", "b/quality").quality is None
    assert columns_of(*ROUTING).quality is None
    error = error_of(*ROUTING, "a/correct", "b/correct")
    assert "could all be the correct" in str(error)
    assert error.hint == "rename or remove one"


def test_exposures_may_be_the_x_of_a_routing_log() -> None:
    found = columns_of(*ROUTING, "exposure", x="exposure")
    assert (found.step, found.exposure) == ("step", "exposure")
    assert columns_of("step", "exposure", "attn_util", x="exposure").step == "exposure"
    other = columns_of(*ROUTING, "exposure", "tokens", x="tokens")
    assert (other.step, other.exposure) == ("tokens", "exposure")


def test_a_chosen_value_decides_what_the_table_is() -> None:
    both = [*ROUTING, "attn_util"]
    assert columns_of(*both, y="attn_util").pattern is None
    assert columns_of(*both, y="attn_util").utilization == (Level("attn_util"),)
    chosen = columns_of(*both, y="attn_util", pattern="pattern")
    assert (chosen.answer, chosen.routing, chosen.utilization) == ("attn_util", True, ())
    free = columns_of(*both, "loss", y="loss")
    assert (free.answer, free.bounded, free.attended) == ("loss", False, None)
    assert columns_of("step", "loss", y="loss").utilization == (Level("loss"),)
    assert columns_of("step", "loss", y="loss").bounded is False
    assert columns_of("step", "attn_util", y="attn_util").bounded is True
    assert columns_of(*UTILIZATION).bounded is True
    probability = columns_of(*ROUTING, "p_attend", y="p_attend")
    assert (probability.p_episodic, probability.attended, probability.answer) == ("p_attend", None, None)
    assert probability.bounded is True


def test_decisions_without_their_probabilities_are_noted() -> None:
    (note,) = columns_of(*ROUTING, "p_attend", y="attended").notes
    assert note.startswith("only 'attended' is used")
    assert columns_of(*ROUTING, y="attended").notes == ()
    assert columns_of(*ROUTING, "p_attend", y="p_attend").notes == ()
    assert columns_of(*ROUTING, "p_attend", y="attended").p_episodic is None
    assert columns_of(*ROUTING, y="attended").attended == "attended"


@pytest.mark.parametrize("wanted", ["Tokens Seen", "tokens_seen", "tokens-seen", "TOKENS.SEEN", " tokens seen"])
def test_a_chosen_name_may_be_spelt_otherwise(wanted: str) -> None:
    assert columns_of(*UTILIZATION, "Tokens Seen", x=wanted).step == "Tokens Seen"
    assert columns_of(*UTILIZATION, "train/tokens seen", x=wanted).step == "train/tokens seen"


def test_the_nearest_spelling_is_chosen() -> None:
    names = ["train/loss", "Loss", "loss"]
    assert levels_of("step", *names, y="loss") == [("loss", None, None)]
    assert levels_of("step", *names[:2], y="loss") == [("Loss", None, None)]
    assert levels_of("step", *names[:1], y="loss") == [("train/loss", None, None)]
    error = error_of("step", "a/loss", "b/loss", y="loss")
    assert "columns 'a/loss' and 'b/loss' could all be 'loss'" in str(error)
    assert error.hint == "choose one with --y COLUMN"
    error = error_of(*UTILIZATION, "a/time", "b/time", x="time")
    assert error.hint == "choose one with --x COLUMN"
    # columns by layer are values together, but no step
    assert levels_of("step", "loss/layer_0", "loss/layer_1", y="loss") == [
        ("loss/layer_0", "0", None), ("loss/layer_1", "1", None),
    ]  # fmt: skip
    assert "could all be" in str(error_of(*UTILIZATION, "t/layer_0", "t/layer_1", x="t"))


def test_many_candidates_are_listed_up_to_six() -> None:
    six, seven = ([f"{k}/attn_util" for k in "abcdefg"[:n]] for n in (6, 7))
    assert "'f/attn_util' could all be" in str(error_of("step", *six))
    assert "'f/attn_util', … could all be" in str(error_of("step", *seven))


@pytest.mark.parametrize(
    ("names", "options", "option", "message", "hint"),
    [
        (["attn_util", "time"], {}, "x", "no column is recognised as the training step (columns: attn_util, time)",
         "name it with --x COLUMN, or count the rows with --x row"),
        (["step", "loss"], {}, None, "no column is recognised as attention utilisation (columns: step, loss)",
         "name it with --y COLUMN"),
        (["step", "atention_utilization"], {}, None, "as attention utilisation",
         "name it with --y COLUMN (did you mean 'atention_utilization'?)"),
        (["step", "pattern"], {}, None, "has patterns, but no column says whether attention was used (columns: step,",
         "name it with --y COLUMN"),
        (["step", "attended"], {}, None, "'attended' looks like a routing log, but no column is recognised as the",
         "name it with --pattern COLUMN (columns: step, attended)"),
        (["step", "p_attend"], {}, None, "'p_attend' looks like a routing log",
         "name it with --pattern COLUMN (columns: step, p_attend)"),
        (UTILIZATION, {"x": "tokens"}, "x", "there is no column 'tokens'", None),
        (UTILIZATION, {"y": "tokens"}, "y", "there is no column 'tokens'", None),
        (UTILIZATION, {"pattern": "tokens"}, "pattern", "there is no column 'tokens'", None),
        (["loss"], {}, None, "recognised as attention utilisation, nor as the training step (columns: loss)",
         "name them with --x COLUMN (or --x row, which counts the rows) and --y COLUMN"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_its_option(
    names: list[str], options: dict[str, str], option: str | None, message: str, hint: str | None
) -> None:
    error = error_of(*names, **options)
    assert isinstance(error, NoLogColumns)
    assert error.option == option
    assert message in str(error)
    if hint is not None:
        assert error.hint == hint
