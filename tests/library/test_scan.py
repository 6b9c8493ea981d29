from __future__ import annotations

from pathlib import Path

import pytest

from lorafusion.errors import EmptyLibrary, UnreadableFile
from lorafusion.library.scan import scan


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_files_are_found_at_any_depth_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "robot.safetensors", "a/b/crown.safetensors", "a/cat.safetensors", "notes.md")
    assert [file.as_posix() for file in scan(tmp_path)] == [
        "a/b/crown.safetensors",
        "a/cat.safetensors",
        "robot.safetensors",
    ]


def test_a_suffix_in_capitals_is_one_too(tmp_path: Path) -> None:
    touch(tmp_path, "robot.SAFETENSORS", "robot.safetensors", "crown.Safetensors", "cat.SAFE")
    assert [file.name for file in scan(tmp_path)] == [
        "crown.Safetensors",
        "robot.SAFETENSORS",
        "robot.safetensors",
    ]


def test_hidden_files_and_folders_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "robot.safetensors", "._robot.safetensors", ".git/cat.safetensors")
    assert scan(tmp_path) == [Path("robot.safetensors")]


def test_a_linked_folder_is_followed_and_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "here/robot.safetensors", "there/crown.safetensors")
    (tmp_path / "here" / "more").symlink_to(tmp_path / "there")
    (tmp_path / "there" / "up").symlink_to(tmp_path / "here")
    assert [file.as_posix() for file in scan(tmp_path / "here")] == [
        "more/crown.safetensors",
        "robot.safetensors",
    ]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"nowhere: no such folder"):
        scan(tmp_path / "nowhere")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    touch(tmp_path, "robot.safetensors")
    with pytest.raises(UnreadableFile, match=r"robot\.safetensors: is a file; give the folder"):
        scan(tmp_path / "robot.safetensors")


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmptyLibrary, match=r"no \.safetensors file .* put LoRA files there"):
        scan(tmp_path)


def test_pickles_are_ignored_beside_safetensors(tmp_path: Path) -> None:
    touch(tmp_path, "robot.safetensors", "cat.ckpt")
    assert scan(tmp_path) == [Path("robot.safetensors")]


@pytest.mark.parametrize("suffix", [".bin", ".pt", ".ckpt", ".PT"])
def test_a_folder_of_pickles_is_refused_unread(tmp_path: Path, suffix: str) -> None:
    touch(tmp_path, f"b{suffix}", f"a{suffix}")
    with pytest.raises(EmptyLibrary, match=rf"only 2 .*\(a\{suffix}\), refused unread"):
        scan(tmp_path)


def test_a_folder_that_cannot_be_listed_is_an_error_not_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "robot.safetensors", "locked/cat.safetensors")
    import os

    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UnreadableFile, match=r"locked: cannot list the folder \(Permission denied"):
        scan(tmp_path)
