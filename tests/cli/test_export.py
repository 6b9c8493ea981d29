"""``lorafusion export`` from the words of the command to the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lorafusion import formats
from lorafusion.export import SOURCES
from tests.cli.conftest import NAMES, PROMPT, Ran, World

OUT = "fused.safetensors"


def base(world: World) -> list[str]:
    return [*world.library, "--base", str(world.base), "--encoder", "pipeline"]


@pytest.mark.parametrize("form", ["peft", "kohya"])
def test_one_file_of_what_the_prompt_asks_for(
    form: str, lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    ran = lf("export", PROMPT, *base(world), "--out", OUT, "--format", form, "--json")
    assert (ran.code, ran.err) == (0, "")
    lora = formats.read(tmp_path / OUT)
    assert ran.json["modules"] == len(lora.deltas)
    assert ran.json["kept_energy"] == 1.0
    sources = json.loads(lora.metadata[SOURCES])
    assert {source["name"]: source["weight"] for source in sources} == pytest.approx(
        ran.json["weights"]
    )
    assert sorted(ran.json["weights"]) == sorted(NAMES)
    assert [path.name for path in tmp_path.iterdir()] == [OUT]


def test_reduced_and_said_so(lf: Callable[..., Ran], world: World, tmp_path: Path) -> None:
    ran = lf("export", PROMPT, *base(world), "--out", OUT, "--rank", "2")
    assert ran.code == 0
    last = ran.out.splitlines()[-1]
    assert "rank 2 to 2" in last
    assert "of the energy kept" in last
    assert {delta.rank for delta in formats.read(tmp_path / OUT).deltas.values()} == {2}


@pytest.mark.parametrize(("words", "why"), [
    (["--method", "switch"], "changes from step to step"),
    (["--method", "composite"], "averages 3 predictions"),
    (["--rank", "0"], "rank is 0"),
    (["--energy", "2"], "energy is 2"),
    (["--format", "zip"], "zip"),
    (["--threshold", "1000"], "asks for none"),
    (["--out", "fused.bin"], "ends in .safetensors"),
])  # fmt: skip
def test_what_cannot_be_exported_is_one_line(
    words: list[str], why: str, lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    ran = lf("export", PROMPT, *base(world), "--out", OUT, *words)
    assert ran.code == 2
    assert why in ran.err
    assert ran.err.count("\n") == 1
    assert not list(tmp_path.iterdir())
