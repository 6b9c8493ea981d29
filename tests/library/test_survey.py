"""What a survey opens, and what it survives."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lorafusion import formats
from lorafusion.library import Library
from lorafusion.library.index import FILE, Index, readings
from lorafusion.library.reading import read_file
from lorafusion.library.survey import reader_id, survey
from lorafusion.library.workers import WORTHWHILE, Worker, read_files
from tests.library.fakes import put
from tests.library.many import old, put_many

SCAN = "import sys; from pathlib import Path; from lorafusion.library.survey import survey; "


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    old(*(put(tmp_path / f"{name}.safetensors") for name in ("crown", "robot", "style/blue")))
    return tmp_path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose header was read."""
    seen: list[str] = []
    read = formats.header

    def note(path: str | Path) -> formats.Header:
        seen.append(Path(path).name)
        return read(path)

    monkeypatch.setattr(formats, "header", note)
    return seen


def test_a_second_survey_opens_nothing(folder: Path, opened: list[str]) -> None:
    first = survey(folder)
    assert (first.read, first.unchanged, len(opened)) == (3, 0, 3)
    again = survey(folder)
    assert (again.read, again.unchanged, len(opened)) == (0, 3, 3)
    assert again.items == first.items


def test_a_warm_library_opens_nothing_and_says_the_same(folder: Path, opened: list[str]) -> None:
    (folder / "robot.json").write_text(json.dumps({"description": "tin", "preferred weight": 0.7}))
    (folder / "robot.preview.png").touch()
    old(folder / "robot.json", folder / "robot.preview.png")
    first = list(Library(folder))
    opened.clear()
    assert list(Library(folder)) == first
    assert opened == []
    robot = Library(folder)["robot"]
    assert (robot.text, robot.strength) == ("tin", 0.7)
    assert robot.preview == folder / "robot.preview.png"


def test_one_changed_file_is_read_alone(folder: Path, opened: list[str]) -> None:
    survey(folder)
    opened.clear()
    put(folder / "robot.safetensors", {"modelspec.description": "of tin"})
    assert Library(folder)["robot"].text == "of tin"
    assert opened == ["robot.safetensors"]


def test_a_file_replaced_by_one_of_equal_size_and_time_is_seen(
    folder: Path, opened: list[str]
) -> None:
    survey(folder)
    opened.clear()
    old(put(folder / "other.safetensors", seed=5))
    (folder / "other.safetensors").replace(folder / "robot.safetensors")
    survey(folder)
    assert opened == ["robot.safetensors"]


@pytest.mark.parametrize("name", ["robot.txt", "robot.json", "robot.png", "style/README.md"])
def test_a_new_changed_or_removed_sidecar_is_seen(
    folder: Path, opened: list[str], name: str
) -> None:
    expected = [Path(name).with_suffix(".safetensors").name.replace("README", "blue")]
    beside = folder / name
    for change in ("{}", '{"description": "x"}', None):
        survey(folder)
        opened.clear()
        if change is None:
            beside.unlink()
        else:
            beside.write_text(change)
            old(beside)
        survey(folder)
        assert opened == expected


def test_a_file_written_a_moment_ago_is_read_again(folder: Path, opened: list[str]) -> None:
    """Its clock may not tell a second change from the first."""
    put(folder / "new.safetensors")
    survey(folder)
    opened.clear()
    survey(folder)
    assert opened == ["new.safetensors"]


def test_files_that_are_gone_are_forgotten_and_other_folders_are_not(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    old(put(other / "cat.safetensors"))
    survey(other)
    survey(folder)
    (folder / "robot.safetensors").unlink()
    assert survey(folder).gone == 1
    assert set(Index().under(folder)) == {
        str(folder / "crown.safetensors"),
        str(folder / "style" / "blue.safetensors"),
    }
    assert survey(other).read == 0


def test_a_folder_and_one_inside_it_share_their_readings(folder: Path) -> None:
    survey(folder)
    inside = survey(folder / "style")
    assert (inside.read, [item.name for item in inside.items]) == (0, ["blue"])
    assert survey(folder).unchanged == 3


def test_a_name_that_is_no_unicode_and_one_with_percent_signs(tmp_path: Path) -> None:
    for name in (os.fsdecode(b"r\xf6bot"), "100%_ünï'c\"ode"):
        old(put(tmp_path / "plain.safetensors").rename(tmp_path / f"{name}.safetensors"))
    assert survey(tmp_path).read == 2
    assert survey(tmp_path).read == 0


def test_other_code_reads_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    survey(folder)
    monkeypatch.setattr("lorafusion.library.survey.reader_id", lambda: "another")
    assert survey(folder).read == 3
    assert len(reader_id()) == 16


def test_broken_and_refused_files_are_told_and_known(folder: Path, opened: list[str]) -> None:
    (folder / "empty.safetensors").touch()
    put(folder / "half.safetensors")
    half = folder / "half.safetensors"
    half.write_bytes(half.read_bytes()[:-1])
    (folder / "gone.safetensors").symlink_to(folder / "nowhere")
    old(folder / "empty.safetensors", half)
    for _ in range(2):
        problems = {i.name: i.reading.problem for i in survey(folder).items if i.reading.problem}
        assert problems.keys() == {"empty", "half", "gone"}
        assert problems["empty"] == "is empty (0 bytes); fetch it again"
        assert "cut short" in problems["half"]
        assert "no such file" in problems["gone"]
    assert sorted(opened).count("half.safetensors") == 1


def test_an_unforeseen_error_in_one_file_does_not_end_the_survey(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = formats.header

    def burst(path: str | Path) -> formats.Header:
        if Path(path).name == "robot.safetensors":
            raise ZeroDivisionError("unforeseen")
        return read(path)

    monkeypatch.setattr(formats, "header", burst)
    told = {item.name: item.reading.broken for item in survey(folder).items}
    assert told["robot"] == "cannot be read (ZeroDivisionError: unforeseen)"
    assert (told["crown"], told["blue"]) == ("", "")


def test_progress_is_told_for_each_file(folder: Path) -> None:
    told: list[tuple[int, int]] = []
    survey(folder, progress=lambda done, most: told.append((done, most)))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("damage", ["text", "folder", "newer", "row"])
def test_a_catalogue_that_cannot_be_used_costs_a_warning_and_time(
    folder: Path, cache: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    file = cache / FILE
    survey(folder)
    if damage == "row":
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE files SET reading = '{\"card\": 3}'")
        connection.close()
    elif damage == "newer":
        connection = sqlite3.connect(file)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        for path in cache.iterdir():
            path.unlink()
        file.write_text("no database" * 99) if damage == "text" else file.mkdir()
    caplog.clear()
    assert len(Library(folder)) == 3
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == (0 if damage == "row" else 1)
    for message in messages:
        assert message.startswith(f"{file}: the catalogue cannot be read (")
        assert "\n" not in message


def test_the_users_folder_is_never_written_to(folder: Path) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        return {p: (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*")}

    before = state()
    survey(folder)
    survey(folder)
    assert state() == before


def test_a_killed_scan_loses_nothing_and_the_next_goes_on(tmp_path: Path) -> None:
    put_many(tmp_path, 1500)
    script = SCAN + "survey(Path(sys.argv[1]), progress=lambda n, m: print(n, flush=True))"
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child:
        for line in child.stdout:
            if int(line) == 700:
                os.kill(child.pid, signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    after = survey(tmp_path)
    assert after.unchanged >= 400
    assert after.read + after.unchanged == 1500
    assert {item.reading.problem for item in after.items} == {""}
    assert survey(tmp_path).read == 0


def test_two_scans_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    put_many(tmp_path, 300)
    script = SCAN + "print(len(survey(Path(sys.argv[1])).items))"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    told = [child.communicate() for child in children]
    assert told == [("300\n", "")] * 3
    assert survey(tmp_path).read == 0
    rows = Index().under(tmp_path).values()
    assert None not in readings([row.text for row in rows])


def test_workers_read_what_this_process_reads(tmp_path: Path) -> None:
    paths = put_many(tmp_path, WORTHWHILE)
    paths[3].write_bytes(b"broken")
    alone = dict(read_files(paths, 1))
    assert dict(read_files(paths, 2)) == alone
    assert alone[paths[3]].broken


def test_a_worker_ends_with_its_scan(tmp_path: Path) -> None:
    """Nobody is there to stop it when the scan is killed."""
    paths = put_many(tmp_path, 2)
    script = (
        "import sys; from pathlib import Path; from lorafusion.library.workers import Worker\n"
        "worker = Worker(); worker.read(Path(sys.argv[1]))\n"
        "print(worker._process.pid, flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(paths[0])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        worker = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while _alive(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(worker)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_that_dies_costs_nothing_and_is_started_anew(tmp_path: Path) -> None:
    good = put_many(tmp_path, 1)[0]
    worker = Worker()
    try:
        assert not worker.read(good).problem
        process = worker._process
        assert process is not None
        process.kill()
        process.wait()
        assert worker.read(good) == read_file(good)
        assert worker._process is None
        assert worker.read(good) == read_file(good)
        assert worker._process is not None
    finally:
        worker.close()


def test_an_interrupted_scan_ends_its_workers_and_keeps_what_it_has(tmp_path: Path) -> None:
    put_many(tmp_path, 1500)

    def interrupt(done: int, most: int) -> None:
        if done == 600:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survey(tmp_path, workers=2, progress=interrupt)
    after = survey(tmp_path)
    assert 400 <= after.unchanged <= 600
    assert after.read + after.unchanged == 1500
