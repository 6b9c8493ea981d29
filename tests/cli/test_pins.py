"""Tags, trigger words and preferred strengths on the command line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from lorafusion.record import read_record
from tests.cli.conftest import Ran, World

SMALL = ("--encoder", "pipeline", "--width", "32", "--height", "32", "--steps", "2")
PROMPT = "a robot in the rain <lora:crown:0.5:0.8>"
CATALOGUE = """
[[lora]]
name = "robot"
triggers = ["rusto robot"]
[[lora]]
name = "crown"
[[lora]]
name = "scarf"
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> list[str]:
    (tmp_path / "loras.toml").write_text(CATALOGUE)
    return ["--catalogue", str(tmp_path / "loras.toml")]


def test_explain_says_what_is_pinned_and_added(
    lf: Callable[..., Ran], catalogue: list[str], tmp_path: Path
) -> None:
    told = lf("explain", PROMPT, *catalogue, "--html", "a.html").out
    crown, robot = (
        next(line for line in told.splitlines() if line.startswith(name))
        for name in ("crown", "robot")
    )
    assert "0.8, text 0.5" in crown
    assert crown.rstrip().endswith("pinned")
    assert " 1 " in robot
    assert "trigger words added: rusto robot" in told
    assert "the model reads: a rusto robot in the rain\n" in told
    page = (tmp_path / "a.html").read_text()
    for words in ("0.8, text 0.5", "pinned", "a rusto robot in the rain"):
        assert words in page
    assert "lora:" not in page
    document = lf("explain", PROMPT, *catalogue, "--json", "--no-triggers").json
    assert (document["prompt"], document["triggers"]) == (document["encoded"], [])
    by_name = {one["name"]: one for one in document["candidates"]}
    assert (by_name["crown"]["strength"], by_name["crown"]["text_strength"]) == (0.8, 0.5)
    assert [by_name[name]["pinned"] for name in ("crown", "robot")] == [True, False]


def test_explain_with_the_router_off(lf: Callable[..., Ran], catalogue: list[str]) -> None:
    ran = lf("explain", PROMPT, *catalogue, "--pinned-only")
    assert ran.out.splitlines()[1].startswith("crown")
    assert "the prompt does not pin it" in ran.out


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a robot <lora:crwn:1>", "Unknown LoRA 'crwn'. Did you mean 'crown'?"),
        ("a robot <lora:crown:high>", "'high' is no weight"),
        ("a robot <lora:crown", "is not closed"),
        ("<lora:crown:1>", "the prompt is empty"),
    ],
)
def test_a_tag_that_cannot_be_is_one_line(
    prompt: str, said: str, lf: Callable[..., Ran], catalogue: list[str]
) -> None:
    ran = lf("explain", prompt, *catalogue)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_picture_is_made_exported_and_made_again(
    lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(world.loras, tmp_path / "loras"))
    (folder / "robot.json").write_text(
        '{"activation text": "rusto robot", "preferred weight": 0.6}'
    )
    words = [PROMPT, "--library", str(folder), "--base", str(world.base)]
    router = ["--router", "triggers", "--method", "merge"]
    made = lf(
        "generate", f"{words[0]} rusto", *words[1:], *SMALL, "--pinned-only", "--out", "a.png"
    )
    assert (made.code, made.err) == (0, "")
    words[0] = words[0].replace("robot", "rusto robot")
    made = lf("generate", *words, *SMALL, *router, "--out", "b.png")
    record = read_record(tmp_path / "b.png")
    told = {o.name: (o.gate, o.text_gate, o.pinned) for o in record.loras}
    assert told == {
        "crown": (pytest.approx(0.8), pytest.approx(0.5), True),
        "robot": (pytest.approx(0.6), pytest.approx(0.6), False),
    }
    assert (record.asked, record.prompt) == (words[0], "a rusto robot in the rain")
    (folder / "robot.json").unlink()
    again = lf("generate", "--again", "b.png", *words[1:], "--out", "c.png")
    assert "The same pixels as recorded." in again.err
    assert (tmp_path / "c.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    fused = lf(
        "export", *words, "--encoder", "pipeline", *router, "--out", "f.safetensors", "--json"
    )
    assert list(fused.json["weights"]) == ["crown"]
