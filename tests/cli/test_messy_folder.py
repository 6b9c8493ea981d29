"""One bad file in a folder: the commands go on with the others, and say what they left out and why."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lorafusion import formats, pipelines
from lorafusion.record import read_record
from tests.cli.conftest import PROMPT, Ran, World
from tests.library.many import put_many

SMALL = ["--width", "32", "--height", "32", "--steps", "2", "--device", "cpu"]


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """The three LoRAs of the world, of which the crown's training broke, and what does not belong."""
    here = tmp_path / "loras"
    shutil.copytree(world.loras, here)
    tensors = load_file(here / "crown.safetensors")
    next(iter(tensors.values())).view(-1)[0] = torch.nan
    save_file(tensors, here / "crown.safetensors")
    (here / "cut.safetensors").write_bytes((here / "robot.safetensors").read_bytes()[:-9])
    (here / "page.safetensors").write_bytes(b"<!DOCTYPE html>")
    (here / "robot.json").write_text("{ no json")
    (here / "lorafusion.toml").write_text('[lora.gone]\ntext = "a thing"\n')
    put_many(here, 7, "peft_flux")
    return here


def options(world: World, folder: Path) -> list[str]:
    return ["--library", str(folder), "--base", str(world.base), "--encoder", "pipeline"]


def reasons(ran: Ran) -> dict[str, str]:
    return {entry["name"]: entry["reason"] for entry in ran.json["skipped"]}


EXPLAINED = {"cut": "cut short", "page": "a web page"}


def test_generate_goes_on(
    lf: Callable[..., Ran], world: World, folder: Path, tmp_path: Path
) -> None:
    words = ["generate", PROMPT, *options(world, folder), *SMALL, "--router", "cosine"]
    ran = lf(*words, "--out", "a.png", "--json")
    assert (ran.code, ran.err) == (0, "")
    told = reasons(ran)
    # The tiny model is of no known family, so that Flux's LoRAs are found out when they are read.
    assert told.keys() == {*EXPLAINED, "crown", *(f"thing_{i}" for i in range(7))}
    assert "NaN" in told["crown"]
    assert "does not fit this" in told["thing_0"]
    assert [entry["name"] for entry in ran.json["sidecars"]] == ["robot"]
    assert [entry["name"] for entry in ran.json["settings"]] == ["gone"]
    assert {one.name for one in read_record(tmp_path / "a.png").loras} == {"library", "robot"}
    again = lf("generate", "--again", "a.png", "--out", "b.png", *options(world, folder)[:4])
    assert again.code == 0
    assert "The same pixels as recorded." in again.err
    plain = lf(*words, "--out", "c.png")
    assert plain.code == 0
    assert "skipped: crown: " in plain.err
    assert "sidecar left out: robot: " in plain.err
    assert "lorafusion.toml: gone: no file has this name" in plain.err


@pytest.mark.parametrize("more", [[], ["--format", "kohya"]])
def test_export_goes_on(
    more: list[str], lf: Callable[..., Ran], world: World, folder: Path, tmp_path: Path
) -> None:
    for flux in folder.glob("*/thing_*"):
        flux.unlink()
    words = ["export", PROMPT, *options(world, folder), "--router", "cosine", *more]
    ran = lf(*words, "--out", "a.safetensors", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert reasons(ran).keys() == {*EXPLAINED, "crown"}
    assert set(ran.json["weights"]) == {"library", "robot"}
    assert len(formats.read(tmp_path / "a.safetensors").deltas) == ran.json["modules"]


def test_a_checkpoint_makes_the_same_picture(
    lf: Callable[..., Ran], world: World, folder: Path, tmp_path: Path
) -> None:
    words = [PROMPT, *options(world, folder), "--router", "cosine"]
    ran = lf("export", *words, "--dense", "--out", "merged", "--json")
    assert (ran.code, ran.err) == (0, "")
    said = json.loads((tmp_path / "merged" / "lorafusion.json").read_text())
    weights = {source["name"]: source["weight"] for source in said["sources"]}
    assert weights == pytest.approx(ran.json["weights"])
    assert said["prompt"] == PROMPT
    lf("generate", *words, *SMALL, "--executor", "fold", "--out", "a.png")
    merged = pipelines.load(str(tmp_path / "merged"))
    assert merged.unet.dtype == torch.float32
    lf("generate", *words[:3], "--base", tmp_path / "merged", *SMALL, "--method", "naive",
       "--encoder", "pipeline", "--out", "b.png")  # fmt: skip
    a, b = (read_record(tmp_path / name).pixels for name in ("a.png", "b.png"))
    assert a == b
    refused = lf("export", *words, "--dense", "--out", "merged")
    assert refused.code == 2
    assert "is there already" in refused.err


@pytest.mark.parametrize(
    "words", [["--rank", "2"], ["--format", "kohya"], ["--out", "x.safetensors"]]
)
def test_options_of_files_are_not_for_checkpoints(
    words: list[str], lf: Callable[..., Ran], world: World, tmp_path: Path
) -> None:
    ran = lf("export", PROMPT, *options(world, world.loras), "--out", "m", "--dense", *words)
    assert ran.code == 2
    assert "--dense" in ran.err
    assert not list(tmp_path.iterdir())


def test_explain_compares_what_it_chose(lf: Callable[..., Ran], world: World, folder: Path) -> None:
    for flux in folder.glob("*/thing_*"):
        flux.unlink()
    words = ["explain", PROMPT, *options(world, folder), "--router", "cosine"]
    ran = lf(*words, "--conflicts", "--json")
    assert ran.code == 0
    assert reasons(ran).keys() == set(EXPLAINED)
    (pair,) = ran.json["conflicts"]
    assert {*pair["names"]} == {"robot", "library"}
    doctor = lf("library", "doctor", *pair["names"], "--conflicts", *world.library, "--json").json
    assert pair == doctor["conflicts"][0]
    told = lf(*words, "--conflicts")
    assert "same inputs" in told.out
    assert "for equal strength, multiply the weight of" in told.out


def test_a_name_that_is_no_text(lf: Callable[..., Ran], world: World, tmp_path: Path) -> None:
    here = tmp_path / "loras"
    shutil.copytree(world.loras, here)
    (here / "robot.safetensors").rename(os.fsdecode(os.fsencode(here) + b"/caf\xe9.safetensors"))
    ran = lf("explain", PROMPT, *options(world, here), "--router", "cosine", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert {one["name"] for one in ran.json["candidates"]} == {"crown", "library", r"caf\udce9"}
    assert lf("library", "show", r"caf\udce9", "--library", here, "--json").json["text"] == "caf"


def test_a_base_model_narrows_what_is_explained(
    lf: Callable[..., Ran], world: World, folder: Path
) -> None:
    put_many(folder / "more", 3, "peft_sdxl")
    words = ["explain", "a thing", "--library", str(folder), "--base", "pocket", "--json"]
    told = list(reasons(lf(*words)).values())
    assert told.count("is for flux, not for pocket") == 7
    assert told.count("is for sdxl, not for pocket") == 3
    plain = lf(*words[:-1])
    assert "and 2 more: is for flux, not for pocket" in plain.err


def test_equal_strength(lf: Callable[..., Ran], world: World, tmp_path: Path) -> None:
    words = [PROMPT, *options(world, world.loras), "--router", "cosine"]
    found = lf("library", "doctor", "--deep", *world.library, "--json").json["loras"]
    norms = {one["name"]: one["effect"]["norm"] for one in found}

    def weights(*more: str) -> dict[str, float]:
        ran = lf("explain", *words, *more, "--json").json
        chosen = [c for c in ran["candidates"] if not c["left_out"]]
        return {c["name"]: c["weight"] * c["strength"] for c in chosen}

    plain = weights()
    for to, norm in (("0.5", 0.5), ("median", sorted(norms.values())[1])):
        wanted = {name: weight * norm / norms[name] for name, weight in plain.items()}
        assert weights("--equalise", to) == pytest.approx(wanted)
    made = lf("generate", *words, *SMALL, "--equalise", "median", "--out", "a.png")
    assert made.code == 0
    used = read_record(tmp_path / "a.png").loras
    assert {one.name: one.gate for one in used} == pytest.approx(wanted)
    for value in ("0", "much", "nan"):
        assert "--equalise is" in lf("explain", *words, "--equalise", value).err
    merged = ["--method", "merge", "--out", "a.safetensors"]
    assert lf("export", *words, "--equalise", "0.5", *merged).code == 0
    (whole,) = lf("library", "doctor", "--deep", "--library", ".", "--json").json["loras"]
    assert 0.5 < whole["effect"]["norm"] < 1.0, "two changes of norm 0.5 at right angles, nearly"
