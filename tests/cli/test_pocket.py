"""Without --library and --base: the model and the LoRAs that come with the package."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import save_file

from lorafusion import pocket
from lorafusion.record import read_record
from tests import tiny
from tests.cli.conftest import PROMPT, Ran

FAST = ["--steps", "3", "--device", "cpu"]


def test_pocket_is_the_default_and_needs_nothing_to_make_it_again(
    lf: Callable[..., Ran], tmp_path: Path
) -> None:
    ran = lf("generate", PROMPT, *FAST, "--seed", "7", "--top-k", "3", "--out", "robot.png")
    assert (ran.code, ran.err) == (0, "")
    again = lf("generate", "--again", "robot.png", "--device", "cpu")
    assert (again.code, again.err) == (0, "The same pixels as recorded.\n")
    first, second = (Image.open(tmp_path / name) for name in ("robot.png", "robot-again.png"))
    assert first.tobytes() == second.tobytes()


def test_the_prompt_finds_its_loras(lf: Callable[..., Ran]) -> None:
    candidates = lf("explain", PROMPT, "--json").json["candidates"]
    assert {c["name"] for c in candidates[:3]} == {"robot", "crown", "library"}


def test_every_lora_that_comes_along_is_listed(lf: Callable[..., Ran]) -> None:
    listed = lf("library", "list", "--json").json["loras"]
    files = sorted(pocket.loras().glob("*.safetensors"))
    assert sorted(lora["path"] for lora in listed) == [str(file) for file in files]
    # Two tell what they show by their tags alone, which name no category.
    assert {lora["name"] for lora in listed if not lora["category"]} == {"owl", "trophy"}


@pytest.mark.parametrize("kind", ["sdxl", "sd3"])
def test_a_lora_for_another_base_is_left_out_and_named(
    kind: str, lf: Callable[..., Ran], tmp_path: Path
) -> None:
    library = tmp_path / "library"
    library.mkdir()
    for file in sorted(pocket.loras().glob("robot.*")):
        shutil.copy(file, library)
    save_file(tiny.state_dict(tiny.pipeline(kind), seed=1), library / "crown.safetensors")
    ran = lf("generate", PROMPT, *FAST, "--library", library, "--out", "robot.png")
    assert ran.code == 0
    assert ran.err.startswith("skipped: crown: ")
    assert ran.err.count("\n") == 1
    assert "does not fit" in ran.err or "not for pocket" in ran.err
    used = [one.name for one in read_record(tmp_path / "robot.png").loras]
    assert "robot" in used
    assert "crown" not in used
