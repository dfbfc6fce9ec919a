"""The catalogue of human data: what a data set knows, its curves, and packages of the user's own."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frictionless import validate

import cogfit
from cogfit.formulas.form import MEASURES
from cogfit.people import dataset
from cogfit.people.catalogue import ENVIRONMENT, read_package


@pytest.fixture(scope="module")
def human() -> cogfit.Catalogue:
    return cogfit.human()


# ---------------------------------------------------------------------------------------------------- the shipped


def test_the_catalogue_is_a_mapping_with_an_overview(human):
    assert len(human) == len(list(human)) >= 19
    assert human["mosteller1970_recall"] is human.get("mosteller1970_recall")
    assert human.get("nothing") is None
    assert "nothing" not in human
    table = human.table()
    assert list(table["id"]) == list(human)
    row = table.set_index("id").loc["remington2016_latency"]
    assert (row["axis"], row["repeated"], row["level"], row["n"], row["curves"], row["values"]) == (
        "repetition", "item", "subject mean", "24–25", 2, 40,
    )  # fmt: skip
    assert table.set_index("id").loc["mosteller1970_recall", "n"] == "?"


def test_an_unknown_id_names_what_is_near():
    with pytest.raises(cogfit.InputError, match="did you mean 'remington2016_latency'"):
        cogfit.human("remington2016_latancy")
    with pytest.raises(cogfit.InputError, match=r"could not be read.*osf.io/4krxh"):
        cogfit.human("joensen2020")


def test_every_data_set_is_complete_and_readable(human):
    for data in human.values():
        assert data.citation
        assert data.licence
        assert data.notes
        assert data.read != "not stated"
        assert data.verification in ("read", "secondary", "computed")
        assert (data.repeated is not None) == (data.axis == "repetition")
        found = data.series()
        assert len(found) == len({tuple(one.labels.items()) for one in found})
        for one in found:
            assert one.y.size > 0
            assert np.isfinite(one.y).all()
            assert one.se is None or ((one.se > 0).all() and one.se.shape == one.y.shape)
            if data.kind == "curve":
                curve = one.curve()
                assert curve.axis == data.axis
                assert curve.measure in MEASURES
                assert curve.warnings or curve.clusters is not None
        document = json.dumps({**data.to_json(), "rows": data.rows()}, allow_nan=False)
        assert json.loads(document)["id"] == data.id


def test_probable_errors_become_standard_errors(human):
    printed, manuscript = human["ebbinghaus1885_savings"].series()
    np.testing.assert_allclose(printed.se[:3], 0.01 / 0.6745, rtol=1e-4)
    np.testing.assert_allclose(printed.weights, printed.se**-2.0)
    assert manuscript.se is None
    assert any("residuals" in text for text in manuscript.curve().warnings)
    assert printed.n == 1


def test_the_convention_moves_the_count_by_one_and_gamma_with_it(human):
    (curve,) = human["anderson1981_latency"].series()
    prior = curve.under("prior")
    np.testing.assert_array_equal(prior.x, curve.x - 1)
    np.testing.assert_array_equal(prior.under("inclusive").x, curve.x)
    assert curve.under("inclusive") is curve
    gamma = [cogfit.fit(one.curve(), form="power", noise="gaussian").gamma for one in (curve, prior)]
    assert gamma == pytest.approx([0.310, 0.217], abs=5e-4)
    blocks = human["zbrodoff1995_alphabet_arithmetic"].series(group="control", addend="2")[0].under("prior")
    np.testing.assert_array_equal(blocks.first, [0, 16, 32])
    with pytest.raises(cogfit.InputError, match="no repetitions to count"):
        human["mosteller1970_recall"].series()[0].under("prior")
    with pytest.raises(cogfit.InputError, match="choose from prior, inclusive"):
        curve.under("updates")


def test_curves_are_chosen_by_label(human):
    data = human["remington2016_latency"]
    (shortcut,) = data.series(condition="shortcut")
    assert (shortcut.name, shortcut.n, shortcut.x.size) == ("shortcut", 25, 20)
    assert len(human["zbrodoff1995_alphabet_arithmetic"].series(addend=3)) == 3
    with pytest.raises(cogfit.InputError, match="did you mean 'shortcut'"):
        data.series(condition="shortcuts")
    with pytest.raises(cogfit.InputError, match="did you mean 'condition'"):
        data.series(conditions="shortcut")


def test_lists_are_clusters_whose_mean_has_standard_errors(human):
    (lists,) = human["dros2015_lists"].series()
    assert lists.y.size == 69
    curve = lists.curve()
    assert curve.clusters.size == 10
    assert curve.clusters.kind == "lists"
    mean = lists.mean()
    np.testing.assert_allclose(mean.y, curve.y)
    dros = human["murre_dros2015_savings"].series(subject="Dros")[0]
    np.testing.assert_allclose(mean.y, dros.y, atol=0.006)  # the article's own means
    np.testing.assert_allclose(mean.se, dros.se, rtol=0.06)
    np.testing.assert_array_equal(mean.subjects, [10, 10, 9, 10, 10, 10, 10])


def test_a_mean_over_conditions_keeps_their_order(human):
    mean = human["henderson2021_truth_effect"].series()[0].mean()
    assert list(mean.category) == ["immediate", "1 day", "1 week", "1 month"]
    assert np.isnan(mean.x[0])
    np.testing.assert_allclose(mean.y, [0.67692, 0.38879, 0.2688, 0.14571], atol=1e-5)
    np.testing.assert_allclose(mean.se, [0.03623, 0.02668, 0.02068, 0.0195], atol=1e-5)


def test_a_contrast_is_never_a_curve(human):
    with pytest.raises(cogfit.InputError, match="never an exponent"):
        human["audrain2022_recall"].series()[0].curve()


def test_the_table_is_a_copy_and_data_sets_pickle(human):
    data = human["mosteller1970_recall"]
    copy = data.table
    copy.loc[0, "p_recall"] = 99.0
    assert data.table.loc[0, "p_recall"] == 0.84
    again = pickle.loads(pickle.dumps(data))
    assert again.to_json() == data.to_json()


# ------------------------------------------------------------------------------------------------- a user's own


MINIMAL: dict[str, Any] = {
    "name": "mine",
    "resources": [
        {
            "name": "my_curve",
            "path": "my.csv",
            "schema": {"fields": [{"name": "k", "type": "integer"}, {"name": "seconds", "type": "number"}]},
            "cogfit": {
                "axis": "repetition",
                "repeated": "item",
                "unit": "trials",
                "convention": "inclusive",
                "measure": "latency",
                "columns": {"x": "k", "y": "seconds"},
            },
        }
    ],
}


def package(folder: Path, text: str = "k,seconds\n1,2.0\n2,1.5\n3,1.2\n4,1.1\n", **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    content = json.loads(json.dumps(MINIMAL))
    about = content["resources"][0]["cogfit"]
    for name, value in changes.items():
        if value is None:
            del about[name]
        else:
            about[name] = value
    (folder / "datapackage.json").write_text(json.dumps(content))
    (folder / "my.csv").write_text(text)
    return folder


def test_own_data_join_the_catalogue(tmp_path, monkeypatch, human):
    folder = package(tmp_path / "mine")
    assert validate(folder / "datapackage.json").valid
    for extra in (folder, folder / "datapackage.json", [str(folder)]):
        data = cogfit.human("my_curve", extra=extra)
        assert (data.level, data.verification, data.uncertainty) == ("unknown", "unverified", "none")
        assert cogfit.fit(data.series()[0].curve(), form="power").gamma == pytest.approx(0.44, abs=0.02)
    assert set(cogfit.human(extra=folder)) == {*human, "my_curve"}
    assert "my_curve" not in cogfit.human()
    monkeypatch.setenv(ENVIRONMENT, str(folder))
    assert "my_curve" in cogfit.human()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axis": None}, "'cogfit' lacks 'axis'; choose from repetition, delay, lag, age"),
        ({"axis": "repetitions"}, "'axis' cannot be 'repetitions'; did you mean 'repetition'"),
        ({"mesure": "latency"}, "unknown entry 'mesure' in 'cogfit'; did you mean 'measure'"),
        ({"columns": {"x": "k", "y": "second"}}, "'y' names no field: 'second'; did you mean 'seconds'"),
        ({"columns": {"y": "seconds"}}, "a curve needs 'x' in 'columns'"),
        ({"columns": {"x": "k", "y": "seconds", "se": "k"}}, "unknown part 'se' in 'columns'"),
        ({"convention": "block"}, "'first' and 'last' go together, with the convention 'block'"),
        ({"uncertainty": "standard error"}, "the kind of uncertainty and its column go together"),
        ({"kind": "contrast"}, "a contrast needs 'category'"),
        ({"n": 0}, "'n' must be a number of subjects"),
        ({"n": "many"}, "'n' cannot be 'many'"),
        ({"notes": [1]}, "'notes' must be a list of strings"),
        ({"paired": 1}, "'paired' cannot be 1"),
        ({"paired": True}, "a paired contrast needs 'cluster'"),
    ],
)
def test_a_wrong_descriptor_says_what_and_where(tmp_path, changes, message):
    folder = package(tmp_path / "mine", **changes)
    with pytest.raises(cogfit.InputError) as caught:
        cogfit.human(extra=folder)
    assert message in str(caught.value)
    assert "datapackage.json" in str(caught.value)
    assert "resource 'my_curve'" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("k,seconds\n1,2.0\n2,fast\n", "my.csv, line 3, column 'seconds': is not a number: 'fast'"),
        ("k,seconds\n1,2.0\n2.5,1\n", "my.csv, line 3, column 'k': is not an integer: '2.5'"),
        ("k,seconds\n1,inf\n", "is not a number: 'inf'"),
        ("k,second\n1,2.0\n", "column 'second': is not described in the schema; did you mean 'seconds'"),
        ("k\n1\n", "column 'seconds': is described but not there"),
        ("", "cannot be read as a CSV table"),
    ],
)
def test_a_damaged_table_says_line_and_column(tmp_path, text, message):
    with pytest.raises(cogfit.InputError) as caught:
        cogfit.human(extra=package(tmp_path / "mine", text))
    assert message in str(caught.value)


def test_what_is_no_package_is_refused(tmp_path):
    with pytest.raises(cogfit.InputError, match="cannot be read as a data package"):
        cogfit.human(extra=tmp_path)
    (tmp_path / "datapackage.json").write_text("[]")
    with pytest.raises(cogfit.InputError, match="no list of resources"):
        cogfit.human(extra=tmp_path)
    for unobtainable in ([1], [{"name": "x"}], [{"name": "x", "title": "y", "reason": "z", "doi": "w"}], 5):
        content = {"resources": [], "cogfit": {"unobtainable": unobtainable}}
        (tmp_path / "datapackage.json").write_text(json.dumps(content))
        with pytest.raises(cogfit.InputError, match="'unobtainable' lists"):
            cogfit.human(extra=tmp_path)
    for path in ("../secret.csv", "/etc/passwd", "https://example.org/my.csv"):
        content = json.loads(json.dumps(MINIMAL))
        content["resources"][0]["path"] = path
        (tmp_path / "datapackage.json").write_text(json.dumps(content))
        with pytest.raises(cogfit.InputError):
            cogfit.human("my_curve", extra=tmp_path)


def test_a_name_that_is_taken_is_refused(tmp_path):
    folder = package(tmp_path / "mine")
    with pytest.raises(cogfit.InputError, match="exists already"):
        cogfit.human(extra=[folder, folder])


def test_standard_deviations_need_the_number_of_subjects(tmp_path):
    fields = [{"name": name, "type": "number"} for name in ("k", "seconds", "sd", "n")]
    text = "k,seconds,sd,n\n1,2.0,0.4,16\n2,1.5,0.4,25\n"
    columns = {"x": "k", "y": "seconds", "uncertainty": "sd"}
    for extra, n, se in (({}, None, None), ({}, 4, [0.2, 0.2]), ({"n": "n"}, None, [0.1, 0.08])):
        about = {"uncertainty": "standard deviation", "columns": {**columns, **extra}}
        folder = package(tmp_path / "mine", text, **about, **({"n": n} if n else {}))
        content = json.loads((folder / "datapackage.json").read_text())
        content["resources"][0]["schema"]["fields"] = fields
        (folder / "datapackage.json").write_text(json.dumps(content))
        (one,) = cogfit.human("my_curve", extra=folder).series()
        assert one.se is None if se is None else one.se == pytest.approx(se)


def test_the_vocabulary_is_that_of_the_shipped_package(human):
    assert {data.measure for data in human.values()} <= set(dataset.MEASURES)
    assert isinstance(read_package(cogfit.data_dir() / "human"), cogfit.Catalogue)


# --------------------------------------------------------------------------------------------- damage and links


def test_a_damaged_package_is_refused_or_read(tmp_path, damaged_documents, damaged_bytes):
    folder = package(tmp_path / "mine")
    file = folder / "datapackage.json"
    described = json.loads(file.read_text())
    described["resources"][0] |= {"sources": [{"title": "t", "path": "p"}], "licenses": [{"name": "MIT"}]}
    described["resources"][0]["cogfit"]["columns"]["series"] = ["k"]
    texts = (json.dumps(document).encode() for document in damaged_documents(described))
    for text in (*texts, *damaged_bytes(json.dumps(described).encode(), count=50)):
        file.write_bytes(text)
        with suppress(cogfit.InputError):
            for data in read_package(folder).values():
                data.series()
                data.to_json()


def test_one_name_is_a_series_of_its_own(tmp_path):
    folder = package(tmp_path / "mine")
    described = json.loads((folder / "datapackage.json").read_text())
    described["resources"][0]["cogfit"]["columns"]["series"] = "k"
    (folder / "datapackage.json").write_text(json.dumps(described))
    assert read_package(folder)["my_curve"].columns.series == ("k",)


def test_no_link_leads_out_of_a_package(tmp_path):
    folder = package(tmp_path / "mine")
    table = folder / "my.csv"
    secret = table.rename(tmp_path / "secret.csv")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "my.csv").write_bytes(secret.read_bytes())
    described = json.loads((folder / "datapackage.json").read_text())
    table.symlink_to(secret)
    with pytest.raises(cogfit.InputError, match=r"'my.csv' is a link out of the package"):
        cogfit.human(extra=folder)
    table.unlink()
    table.symlink_to(table)  # a loop
    with pytest.raises(cogfit.InputError):
        cogfit.human(extra=folder)
    table.unlink()
    (folder / "sub").symlink_to(tmp_path / "out")
    for path in ("sub/my.csv", "sub/../my.csv", "\0", "x" * 5000):
        described["resources"][0]["path"] = path
        (folder / "datapackage.json").write_text(json.dumps(described))
        with pytest.raises(cogfit.InputError):
            cogfit.human(extra=folder)


def test_links_within_a_package_and_packages_made_of_links_are_read(tmp_path):
    folder = package(tmp_path / "mine")
    (folder / "my.csv").rename(folder / "real.csv")
    (folder / "my.csv").symlink_to("real.csv")
    assert "my_curve" in cogfit.human(extra=folder)
    (tmp_path / "link").symlink_to(folder)
    assert "my_curve" in cogfit.human(extra=tmp_path / "link")
    (tmp_path / "installed").mkdir()  # as installers make them: every file is a link to one store
    for name in ("datapackage.json", "my.csv"):
        (tmp_path / "installed" / name).symlink_to(folder / name)
    assert "my_curve" in cogfit.human(extra=tmp_path / "installed")
