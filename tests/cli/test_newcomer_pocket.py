"""A newcomer's folder: thirty LoRAs for Pocket in mixed dialects, and what people's folders hold besides."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lorafusion import formats, pocket
from lorafusion.record import read_record
from tests.cli.conftest import Ran
from tests.library.many import old, put_many

COUNT = 30
PROMPT = "a robot wearing a crown"
BAD = {"cut": "is cut short", "page": "a web page"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled LoRAs in the other dialect, copies of some, variants of others, and what does not belong."""
    here = tmp_path_factory.mktemp("newcomer")
    bundled = sorted(pocket.loras().glob("*.safetensors"))[:COUNT]
    for number, path in enumerate(bundled):
        for beside in path.parent.glob(f"{path.stem}.*"):
            shutil.copy(beside, here)
        if number % 2:
            was = formats.read(path)
            form = (
                "peft" if any(k.startswith("lora_") for k in formats.header(path).keys) else "kohya"
            )
            formats.write(was, here / path.name, form)
    (here / "downloads").mkdir()
    for number in range(COUNT - len(bundled)):
        path = bundled[number % len(bundled)]
        if number % 2:  # the same file under another name
            shutil.copy(
                here / path.name, here / "downloads" / f"{path.stem} ({number}).safetensors"
            )
            continue
        lora = formats.read(path)
        half = {t: replace(delta, scale=delta.scale / 2) for t, delta in lora.deltas.items()}
        name = f"{path.stem}_soft_v{number}.safetensors"
        formats.write(replace(lora, deltas=half), here / name, "kohya")
    robot = (here / "robot.safetensors").read_bytes()
    (here / "cut.safetensors").write_bytes(robot[: len(robot) // 2])
    (here / "page.safetensors").write_bytes(b"<!DOCTYPE html><html>not found</html>")
    (here / "robot.civitai.info").write_text(json.dumps({"trainedWords": ["rbt"]}))
    (here / "crown.json").write_text("{ no json")
    put_many(here / "xl", 1, "peft_sdxl")
    old(*(path for path in here.rglob("*") if path.is_file()))
    return here


def skipped(found: dict[str, list[dict[str, str]]]) -> dict[str, str]:
    return {entry["name"]: entry["reason"] for entry in found["skipped"]}


def test_scan_list_and_doctor(lf: Callable[..., Ran], folder: Path) -> None:
    scan = lf("library", "scan", "--library", folder, "--json").json
    assert (scan["files"], scan["usable"], scan["read"]) == (COUNT + 3, COUNT + 1, COUNT + 3)
    listed = lf("library", "list", "--library", folder, "--json").json
    assert skipped(listed).keys() == BAD.keys()
    families = [entry["family"] for entry in listed["loras"]]
    assert (families.count("pocket"), families.count("sdxl")) == (COUNT, 1)
    assert {entry["format"] for entry in listed["loras"]} == {"kohya", "peft"}
    doctor = lf("library", "doctor", "--library", folder)
    assert doctor.code == 0
    assert "the same tensors: " in doctor.out
    assert "for sdxl, most files here are for pocket" in doctor.out
    for name, why in BAD.items():
        assert f"skipped: {name}: " in doctor.err
        assert why in doctor.err


def test_search_generate_and_export(lf: Callable[..., Ran], folder: Path, tmp_path: Path) -> None:
    found = lf("library", "search", "rbt", "--library", folder, "--json").json
    assert found["loras"][0]["name"] == "robot"
    foreign = {"thing_0": "is for sdxl, not for pocket"}
    made = lf("generate", PROMPT, "--library", folder, "--steps", "2", "--out", "a.png", "--json")
    assert (made.code, made.err) == (0, "")
    told = skipped(made.json)
    assert told.keys() == {*BAD, *foreign}
    assert told["thing_0"] == foreign["thing_0"]
    used = {one.name for one in read_record(tmp_path / "a.png").loras}
    assert any("robot" in name for name in used)
    assert "thing_0" not in used
    out = lf("export", PROMPT, "--library", folder, "--out", "a.safetensors", "--json")
    assert out.code == 0
    assert skipped(out.json).keys() == {*BAD, *foreign}
    assert formats.read(tmp_path / "a.safetensors").family == "pocket"
    assert [entry["name"] for entry in out.json["sidecars"]] == ["crown"]
