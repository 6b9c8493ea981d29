"""``lorafusion generate`` from the words of the command to the file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from diffusers import DDIMScheduler
from PIL import Image

from lorafusion.record import read_record
from tests.cli.conftest import NAMES, PROMPT, Ran, World


def pixels(path: Path) -> bytes:
    with Image.open(path) as image:
        return image.tobytes()


def test_shows_the_loras_then_the_path(
    lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    ran = lf("generate", PROMPT, *world.options, "--seed", "7", "--out", "robot.png")
    assert (ran.code, ran.err) == (0, "")
    *table, path = ran.out.splitlines()
    assert path == "robot.png"
    for name in NAMES:
        assert any(line.startswith(name) and "█" in line for line in table)
    with Image.open(tmp_path / "robot.png") as image:
        assert image.size == (32, 32)
        assert image.text["parameters"].startswith(PROMPT)
    record = read_record(tmp_path / "robot.png")
    assert (record.prompt, record.seed, record.steps) == (PROMPT, 7, 3)
    assert record.base == str(world.base)
    assert record.encoder.startswith("pipeline CLIPTextModel@")
    assert sorted(used.name for used in record.loras) == sorted(NAMES)


def test_default_name_is_never_taken_twice(
    lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    for _ in range(2):
        assert lf("generate", "A robot, (crown)!", *world.options).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a-robot-crown-0-2.png",
        "a-robot-crown-0.png",
    ]


def test_a_given_name_is_replaced(lf: Callable[..., Ran], world: World, tmp_path: Path) -> None:
    target = tmp_path / "robot.png"
    target.write_bytes(b"old")
    assert lf("generate", PROMPT, *world.options, "--out", target).code == 0
    assert read_record(target).prompt == PROMPT
    assert [path.name for path in tmp_path.iterdir()] == ["robot.png"]


def test_count_takes_the_next_seeds_and_each_is_as_if_alone(
    lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    lf("generate", PROMPT, *world.options, "--seed", "4", "--count", "3", "--out", "many.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"many-{seed}.png" for seed in (4, 5, 6)
    ]
    lf("generate", PROMPT, *world.options, "--seed", "5", "--out", "alone.png")
    assert pixels(tmp_path / "alone.png") == pixels(tmp_path / "many-5.png")
    assert pixels(tmp_path / "alone.png") != pixels(tmp_path / "many-4.png")


def test_json_is_one_document(lf: Callable[..., Ran], world: World, tmp_path: Path) -> None:
    ran = lf("generate", PROMPT, *world.options, "--count", "2", "--out", "x.png", "--json")
    assert (ran.code, ran.err) == (0, "")
    made = ran.json["images"]
    assert [image["path"] for image in made] == ["x-0.png", "x-1.png"]
    assert [image["record"]["seed"] for image in made] == [0, 1]


def test_again_makes_the_same_pixels_from_renamed_files(
    lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    method = ["--method", "switch", "--option", "period=2", "--strength", "0.8"]
    other = ["--negative", "blurry, dull", "--guidance", "3.5", "--top-k", "2"]
    lf("generate", PROMPT, *world.options, *method, *other, "--out", "first.png")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in NAMES:
        shutil.copy(world.loras / f"{name}.safetensors", moved / f"x-{name[::-1]}.safetensors")
    ran = lf("generate", "--again", "first.png", "--library", moved, "--device", "cpu")
    assert ran.code == 0, ran
    assert ran.out.splitlines()[-1] == "first-again.png"
    assert ran.err == "The same pixels as recorded.\n"
    assert pixels(tmp_path / "first.png") == pixels(tmp_path / "first-again.png")
    first, second = (read_record(tmp_path / f"{n}.png") for n in ("first", "first-again"))
    assert first.options == second.options == {"period": 2}
    assert [used.weight for used in first.loras] == [used.weight for used in second.loras]


def test_again_says_which_lora_is_missing(
    lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    lf("generate", PROMPT, *world.options, "--out", "first.png")
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    shutil.copy(world.loras / "crown.safetensors", fewer)
    ran = lf("generate", "--again", "first.png", "--library", fewer, "--device", "cpu")
    assert ran.code == 2
    assert "was not found" in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "first-again.png").exists()


def test_interrupt_leaves_nothing(
    lf: Callable[..., Ran], world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DDIMScheduler, "step", interrupted)
    ran = lf("generate", PROMPT, *world.options, "--out", "robot.png")
    assert ran.code == 130
    assert ran.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_one_line_and_debug_shows_where(
    lf: Callable[..., Ran], world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(DDIMScheduler, "step", broken)
    words = ["generate", PROMPT, *world.options, "--out", "robot.png"]
    ran = lf(*words)
    assert (ran.code, ran.err) == (
        1,
        "lorafusion: RuntimeError: out of memory (--debug shows where)\n",
    )
    for shown in (lf("--debug", *words), lf(*words, "--debug")):
        assert shown.code == 1
        assert shown.err.startswith("Traceback")
        assert shown.err.endswith(ran.err)
    assert list(tmp_path.iterdir()) == []


def test_no_relevant_lora_is_said_and_the_base_draws_alone(
    lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    ran = lf("generate", PROMPT, *world.options, "--threshold", "99", "--out", "robot.png")
    assert ran.code == 0
    assert "No LoRA was chosen" in ran.out
    assert read_record(tmp_path / "robot.png").loras == ()
