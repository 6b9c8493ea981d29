from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from lorafusion.errors import EmptyLibrary, InputError, UnknownName, UnreadableFile
from lorafusion.library import Library
from lorafusion.plan import Source
from tests.library.fakes import TARGET, put


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("robot", "crown", "style/watercolour"):
        put(tmp_path / f"{name}.safetensors")
    return tmp_path


def test_a_library_is_sorted_by_name_and_has_a_length(folder: Path) -> None:
    library = Library(folder)
    assert [entry.name for entry in library] == library.names == ["crown", "robot", "watercolour"]
    assert len(library) == 3
    assert "robot" in library
    assert "cat" not in library
    assert library["robot"].path == folder / "robot.safetensors"
    assert isinstance(library["robot"], Source)


def test_an_unknown_name_is_met_with_the_nearest(folder: Path) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'robot'"):
        Library(folder)["robto"]


def test_files_of_one_stem_are_named_by_their_paths(folder: Path) -> None:
    put(folder / "style" / "robot.safetensors")
    assert Library(folder).names == ["crown", "robot", "style/robot", "watercolour"]


@pytest.mark.parametrize("length", [0, 4, 40, -1])
def test_a_broken_file_among_good_ones_is_named(folder: Path, length: int) -> None:
    broken = folder / "robot.safetensors"
    broken.write_bytes(broken.read_bytes()[:length])
    with pytest.raises(UnreadableFile, match=r"robot\.safetensors") as caught:
        Library(folder)
    assert "\n" not in str(caught.value)


def test_a_pickle_in_disguise_is_refused(folder: Path) -> None:
    (folder / "evil.safetensors").write_bytes(b"\x80\x04cos\nsystem\n" * 9)
    with pytest.raises(UnreadableFile, match=r"evil\.safetensors"):
        Library(folder)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmptyLibrary):
        Library(tmp_path)


def test_the_key_text_comes_from_the_first_that_has_one(folder: Path) -> None:
    """All sources at once, then one after the other is taken away."""
    lora = put(folder / "robot_v2.safetensors", {"modelspec.description": "of the header"})
    (folder / "lorafusion.toml").write_text("[lora.robot_v2]\ntext = 'of the settings'\n")
    (folder / "robot_v2.json").write_text(json.dumps({"description": "of the sidecar"}))

    def seen(texts: dict[str, str] | None = None) -> tuple[str, str]:
        entry = Library(folder, texts=texts)["robot_v2"]
        return entry.text, entry.text_from

    assert seen({"robot_v2": "of the argument"}) == ("of the argument", "user")
    assert seen() == ("of the settings", "user")
    (folder / "lorafusion.toml").unlink()
    assert seen() == ("of the sidecar", "sidecar")
    (folder / "robot_v2.json").unlink()
    assert seen() == ("of the header", "metadata")
    put(lora)
    assert seen() == ("robot", "name")


def test_the_category_comes_from_the_first_that_has_one(folder: Path) -> None:
    lora = put(folder / "robot.safetensors", category="object")
    settings, sidecar = folder / "lorafusion.toml", folder / "robot.json"
    settings.write_text("[lora.robot]\ncategory = 'character'\n")
    sidecar.write_text(json.dumps({"category": "clothing"}))
    assert Library(folder)["robot"].category == "character"
    settings.unlink()
    assert Library(folder)["robot"].category == "clothing"
    sidecar.unlink()
    assert Library(folder)["robot"].category == "object"
    put(lora)
    assert Library(folder)["robot"].category == ""


@pytest.mark.parametrize("where", ["texts", "settings"])
def test_a_text_for_a_lora_that_is_not_there_is_refused(folder: Path, where: str) -> None:
    if where == "settings":
        (folder / "lorafusion.toml").write_text("[lora.robto]\ntext = 'x'\n")
    with pytest.raises(UnknownName, match="Did you mean 'robot'"):
        Library(folder, texts={"robto": "x"} if where == "texts" else None)


def test_loading_reads_the_file_under_the_entrys_name(folder: Path) -> None:
    put(folder / "style" / "robot.safetensors", seed=3)
    entry = Library(folder)["style/robot"]
    lora = entry.load()
    assert lora.name == "style/robot"
    assert set(lora.deltas) == {TARGET}
    assert lora.sha256 == entry.sha256 == hashlib.sha256(entry.path.read_bytes()).hexdigest()


def test_loading_tells_the_lora_what_user_and_sidecars_know(folder: Path) -> None:
    (folder / "robot.json").write_text(
        json.dumps({"category": "character", "activation text": "rbt"})
    )
    lora = Library(folder)["robot"].load()
    assert (lora.category, lora.triggers) == ("character", ("rbt",))


def test_loading_keeps_what_the_file_says_of_itself(folder: Path) -> None:
    put(folder / "robot.safetensors", category="character", triggers=("rbt",))
    lora = Library(folder)["robot"].load()
    assert (lora.category, lora.triggers) == ("character", ("rbt",))


def test_what_breaks_after_the_scan_is_still_named(folder: Path) -> None:
    entry = Library(folder)["robot"]
    entry.path.unlink()
    with pytest.raises(UnreadableFile, match=r"robot\.safetensors"):
        _ = entry.sha256
    with pytest.raises(InputError, match=r"robot\.safetensors"):
        entry.load()


def test_a_scan_reads_no_tensor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise AssertionError("a tensor was read")

    monkeypatch.setattr("lorafusion.formats.container.Opened.load", refuse)
    assert len(Library(folder)) == 3


def test_the_home_folder_may_be_written_as_a_tilde(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(Library(f"~/{folder.name}")) == 3


def test_a_lenient_library_leaves_broken_files_out_and_says_why(folder: Path) -> None:
    (folder / "crown.safetensors").write_bytes(b"")
    (folder / "robot.json").write_text("{")
    library = Library(folder, lenient=True)
    assert library.names == ["robot", "watercolour"]
    assert library.skipped == {"crown": "is empty (0 bytes); fetch it again"}
    with pytest.raises(UnreadableFile, match="crown: is empty"):
        library["crown"]


def test_a_lenient_library_of_nothing_but_broken_files_is_empty(tmp_path: Path) -> None:
    (tmp_path / "robot.safetensors").touch()
    with pytest.raises(EmptyLibrary, match="none of its 1 files can be used; robot: is empty"):
        Library(tmp_path, lenient=True)
