"""Words that were said about a file are about its content, whatever it is called later."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lorafusion.library import Library
from lorafusion.library.edit import edit_settings, say
from lorafusion.library.listing import Listing, listing
from lorafusion.library.settings import FILE
from lorafusion.library.survey import survey
from tests.library.fakes import put


def look(folder: Path) -> Listing:
    return listing(survey(folder))


def said(folder: Path, name: str, text: str) -> None:
    """As ``library set`` does it."""
    files = look(folder)
    (file,) = [file for file in files.files if file.name == name]
    say(files, file, {"text": text})


def texts(folder: Path) -> dict[str, str]:
    return {f.name: f.card.text for f in look(folder).files if f.text_from == "user"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(("crown", "robot")):
        put(tmp_path / f"{name}.safetensors", seed=seed)
    said(tmp_path, "robot", "a tin man")
    return tmp_path


def test_a_renamed_and_a_moved_file_keep_their_words(folder: Path) -> None:
    assert texts(folder) == {"robot": "a tin man"}
    (folder / "robot.safetensors").rename(folder / "tin.safetensors")
    assert texts(folder) == {"tin": "a tin man"}
    (folder / "deep").mkdir()
    (folder / "tin.safetensors").rename(folder / "deep" / "woodman.safetensors")
    assert texts(folder) == {"woodman": "a tin man"}
    assert look(folder).strays == ()
    assert Library(folder)["woodman"].text == "a tin man"


def test_new_words_for_a_renamed_file_replace_the_old_section(folder: Path) -> None:
    edit_settings(folder, "robot", {"strength": 0.5})
    (folder / "robot.safetensors").rename(folder / "tin.safetensors")
    said(folder, "tin", "a woodman")
    assert texts(folder) == {"tin": "a woodman"}
    written = (folder / FILE).read_text()
    assert "robot" not in written
    assert "strength = 0.5" in written


def test_another_file_under_the_old_name_does_not_get_the_words(folder: Path) -> None:
    (folder / "robot.safetensors").rename(folder / "tin.safetensors")
    put(folder / "robot.safetensors", seed=9)
    assert texts(folder) == {"tin": "a tin man"}
    said(folder, "robot", "another")
    assert texts(folder) == {"tin": "a tin man", "robot": "another"}


def test_a_file_trained_anew_under_its_name_keeps_the_words(folder: Path) -> None:
    put(folder / "robot.safetensors", seed=9)
    assert texts(folder) == {"robot": "a tin man"}


def test_metadata_do_not_count_and_a_copy_takes_nothing_away(folder: Path) -> None:
    shutil.copy(folder / "robot.safetensors", folder / "copy.safetensors")
    assert texts(folder) == {"robot": "a tin man"}
    put(folder / "robot.safetensors", {"modelspec.title": "x"}, seed=1)
    (folder / "robot.safetensors").rename(folder / "tin.safetensors")
    assert texts(folder)["tin"] == "a tin man"


def test_words_without_a_file_are_named(folder: Path) -> None:
    (folder / "robot.safetensors").unlink()
    files = look(folder)
    assert (files.strays, texts(folder)) == (("robot",), {})
