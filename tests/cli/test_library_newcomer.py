"""The folder of somebody who has collected LoRAs for a while, and what the library commands make of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lorafusion import formats
from tests.cli.conftest import Ran
from tests.library.many import header, old

NAMES = ("robot", "crown", "library", "guitar", "watercolour", "knight", "garden", "scarf")


def trained(path: Path, stem: str, seed: int, metadata: dict[str, str] | None = None) -> Path:
    """A LoRA with the keys and shapes of a real one and random values, sparsely spread."""
    entries, size = header(stem)
    values = torch.zeros(size // 2, dtype=torch.float16)
    draw = torch.Generator().manual_seed(seed)
    places = torch.randint(len(values), (len(values) // 50,), generator=draw)
    values[places] = torch.randn(len(places), generator=draw).half()
    text = json.dumps({"__metadata__": metadata or {}} | entries).encode()
    content = values.view(torch.uint8).numpy().tobytes()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("newcomer")
    for seed, name in enumerate(NAMES):
        path = trained(here / f"{name}.safetensors", "kohya_sd15", seed, {"ss_output_name": name})
        if seed % 2:  # the other dialect
            formats.write(formats.read(path), path, "peft")
    said = {"description": "a tin robot", "activation text": "rbt", "preferred weight": 0.8}
    (here / "robot.json").write_text(json.dumps(said))
    civitai = {"model": {"name": "Golden crown"}, "trainedWords": ["rbt", "crwn"]}
    (here / "crown.civitai.info").write_text(json.dumps(civitai))
    (here / "guitar.json").write_text("{ not json")
    (here / "garden.preview.png").touch()
    (here / "watercolour.txt").write_text("soft watercolour painting on paper")
    robot = (here / "robot.safetensors").read_bytes()
    (here / "downloads").mkdir()
    (here / "downloads" / "robot (1).safetensors").write_bytes(robot)
    edited = json.dumps(
        json.loads(robot[8 : 8 + int.from_bytes(robot[:8], "little")])
        | {"__metadata__": {"modelspec.title": "Shiny"}}
    ).encode()
    body = robot[8 + int.from_bytes(robot[:8], "little") :]
    (here / "shiny.safetensors").write_bytes(len(edited).to_bytes(8, "little") + edited + body)
    (here / "cut.safetensors").write_bytes(robot[:5000])
    (here / "page.safetensors").write_bytes(b"<!DOCTYPE html><html>not found</html>")
    (here / "old.ckpt").write_bytes(b"\x80\x04")
    trained(here / "dragon_xl.safetensors", "peft_sdxl", 99)
    old(*(path for path in here.rglob("*") if path.is_file()))
    return here


def test_scan(lf: Callable[..., Ran], folder: Path) -> None:
    ran = lf("library", "scan", "--library", folder)
    assert ran.code == 0
    assert ran.out.startswith("13 files, 11 usable: 13 read")
    told = sorted(ran.err.splitlines())
    assert [line.split(": ")[:2] for line in told] == [
        ["sidecar left out", "guitar"],
        ["skipped", "cut"],
        ["skipped", "page"],
    ]
    assert "cut short" in told[1]
    assert "a web page; the download failed" in told[2]
    assert lf("library", "scan", "--library", folder).out.startswith("13 files, 11 usable: 0 read")


def test_list(lf: Callable[..., Ran], folder: Path) -> None:
    document = lf("library", "list", "--library", folder, "--json").json
    loras = {entry["name"]: entry for entry in document["loras"]}
    assert set(loras) == {*NAMES, "robot (1)", "shiny", "dragon_xl"}
    assert {entry["name"] for entry in document["skipped"]} == {"cut", "page"}
    robot, crown = loras["robot"], loras["crown"]
    assert (robot["text"], robot["strength"]) == ("a tin robot. rbt", 0.8)
    assert (robot["format"], crown["format"]) == ("kohya", "peft")
    assert crown["triggers"] == ["rbt", "crwn"]
    assert loras["garden"]["preview"] == str(folder / "garden.preview.png")
    families = {name: entry["family"] for name, entry in loras.items()}
    assert families.pop("dragon_xl") == "sdxl"
    assert set(families.values()) == {"sd15"}


def test_search(lf: Callable[..., Ran], folder: Path) -> None:
    found = lf(
        "library", "search", "a picture painted with water", "--library", folder, "--json"
    ).json
    assert found["loras"][0]["name"] == "watercolour"
    assert {entry["name"] for entry in found["skipped"]} == {"cut", "page"}


def test_doctor_for_the_whole_folder(lf: Callable[..., Ran], folder: Path) -> None:
    found = lf("library", "doctor", "--library", folder, "--json").json
    loras = {entry["name"]: entry for entry in found["loras"]}
    assert found["duplicates"] == [["robot", "robot (1)", "shiny"]]
    assert found["triggers"] == {"rbt": ["crown", "robot"]}
    assert {entry["name"] for entry in found["skipped"]} == {"cut", "page"}
    assert [entry["name"] for entry in found["sidecars"]] == ["guitar"]
    assert loras["dragon_xl"]["notes"] == [
        "no text but its name; say more with 'library set'",
        "for sdxl, most files here are for sd15",
    ]
    assert loras["robot"]["notes"] == []
    assert loras["robot"]["effect"] is None
    ran = lf("library", "doctor", "--library", folder)
    assert ran.code == 0
    assert "the same tensors: robot, robot (1), shiny" in ran.out
    assert "trigger 'rbt' belongs to: crown, robot" in ran.out
    assert "skipped: cut: is cut short" in ran.err


def test_doctor_for_one_reads_it_whole(lf: Callable[..., Ran], folder: Path) -> None:
    found = lf("library", "doctor", "robot", "--library", folder, "--json").json
    (robot,) = found["loras"]
    whole = formats.read(folder / "robot.safetensors")
    dense = sum(float(delta.dense(torch.float64).square().sum()) for delta in whole.deltas.values())
    assert robot["effect"]["norm"] == pytest.approx(dense**0.5)
    assert set(robot["effect"]["parts"]) == {"text_encoder", "unet"}
    assert (robot["rank"], robot["alpha"], robot["weights"]) == ([1], [1.0], len(whole.deltas))
    assert "skipped" not in found
    ran = lf("library", "doctor", "cut", "--library", folder)
    assert (ran.code, ran.out) == (2, "")
    assert "cut.safetensors: is cut short" in ran.err


def test_doctor_for_conflicts(lf: Callable[..., Ran], folder: Path) -> None:
    words = ["robot", "shiny", "crown", "dragon_xl", "--conflicts"]
    found = lf("library", "doctor", *words[:3], "--conflicts", "--library", folder, "--json").json
    pairs = {tuple(pair["names"]): pair for pair in found["conflicts"]}
    assert set(pairs) == {("robot", "shiny"), ("robot", "crown"), ("shiny", "crown")}
    same, other = pairs["robot", "shiny"], pairs["robot", "crown"]
    assert (same["cosine"], same["reading"], same["imbalance"]) == pytest.approx((1, 1, 1))
    assert abs(other["cosine"]) < 0.1
    assert found["equalising"]["robot"] == found["equalising"]["shiny"]
    ran = lf("library", "doctor", *words[:3], "--conflicts", "--library", folder)
    assert "robot + shiny" in ran.out
    assert "for equal strength, multiply the weight of crown by" in ran.out
    mixed = lf("library", "doctor", *words, "--library", folder)
    assert mixed.code == 2
    assert "different base models" in mixed.err
    assert lf("library", "doctor", "robot", "--conflicts", "--library", folder).code == 2
