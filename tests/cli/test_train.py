"""``lorafusion train lora`` from the words of the command to a LoRA that routes, draws and exports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from lorafusion import formats
from tests.cli.conftest import NAMES, Ran, World
from tests.training.conftest import write_images

pytest.importorskip("peft")

WORDS = (
    "--steps", "3", "--rank", "2", "--rate", "0.01", "--size", "16", "--save-every", "2",
    "--targets", "all", "--device", "cpu",
)  # fmt: skip
ABOUT = (
    "--description", "a black and white penguin", "--trigger", "pingano penguin",
    "--category", "character",
)  # fmt: skip


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_images(tmp_path / "images")


def test_from_a_folder_of_images_to_a_picture(
    lf: Callable[..., Ran], world: World, images: Path, tmp_path: Path
) -> None:
    (tmp_path / "loras").mkdir()
    out = tmp_path / "loras" / "penguin.safetensors"
    base = ["--base", world.base]
    prior = ("--class-prompt", "a cat", "--class-images", "2", "--sample", "a penguin")
    ran = lf("train", "lora", images, "--out", out, *base, *WORDS, *ABOUT, *prior, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["path"] == str(out)
    assert [entry["step"] for entry in ran.json["curve"]] == [2, 3]
    lora = formats.read(out)
    assert ran.json["modules"] == len(lora.deltas)
    assert (lora.triggers, lora.category) == (("pingano penguin",), "character")
    assert lora.metadata["ss_num_reg_images"] == "2"
    assert any(key.startswith("lora_unet_") for key in formats.header(out).keys)
    left = {str(path.relative_to(out.parent)) for path in out.parent.rglob("*.*")}
    samples = {f"penguin.training/samples/step-0000{step}-0.png" for step in (2, 3)}
    assert left == samples | {"penguin.training", "penguin.safetensors"}

    library = ["--library", out.parent]
    ran = lf("explain", "a penguin in the snow", *library, "--json")
    chosen = [one for one in ran.json["candidates"] if not one["left_out"]]
    assert [(one["name"], one["phrase"]) for one in chosen] == [("penguin", "penguin")]
    size = ["--width", "16", "--height", "16", "--steps", "2", "--device", "cpu"]
    ran = lf("generate", "a penguin", *library, *base, *size, "--out", "p.png", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["images"][0]["record"]["loras"][0]["name"] == "penguin"
    ran = lf("export", "a penguin", *library, *base, "--out", "e.safetensors", "--json")
    assert ran.json["modules"] == len(lora.deltas)


def test_pocket_needs_no_more_than_a_folder(
    lf: Callable[..., Ran], images: Path, tmp_path: Path
) -> None:
    for path in images.glob("*.png"):
        with Image.open(path) as image:
            image.resize((70, 64)).save(path)
    (tmp_path / "loras").mkdir()
    words = ("--prompt", "a penguin", "--category", "character", "--steps", "2", "--batch", "1")
    ran = lf("train", "lora", images, "--out", "loras/penguin.safetensors", *words)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("loras/penguin.safetensors: ")
    lora = formats.read(tmp_path / "loras" / "penguin.safetensors")
    assert lora.family == "pocket"
    assert lora.components == ("text_encoder", "unet")
    ran = lf("export", "a penguin", "--library", "loras", "--out", "e.safetensors", "--json")
    assert list(ran.json["weights"]) == ["penguin"]


def test_stopped_it_goes_on_and_says_so(
    lf: Callable[..., Ran],
    world: World,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["train", "lora", images, "--base", world.base, *WORDS, "--out"]
    assert lf(*words, "whole.safetensors").code == 0

    def full(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("lorafusion.training.draw.Samples.make", full)
        ran = lf(*words, "part.safetensors", "--save-every", "1")
    assert ran.code == 130
    assert not (tmp_path / "part.safetensors").exists()
    ran = lf(*words, "part.safetensors", "--save-every", "1")
    assert "3 steps" in ran.out
    assert "(resumed after step 1)" in ran.out
    whole, part = (formats.read(tmp_path / f"{name}.safetensors") for name in ("whole", "part"))
    for path, delta in whole.deltas.items():
        assert torch.equal(delta.dense(), part.deltas[path].dense())
    assert not (tmp_path / "part.training").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--out", "x.bin"], "ends in .safetensors"),
        (["--out", "nowhere/x.safetensors"], "cannot be written"),
        (["--base", "nowhere.safetensors"], "does not exist"),
        (["--rank", "0"], "rank is 0"),
        (["--targets", "most"], "Unknown set of targets"),
        (["--precision", "float8"], "Unknown precision"),
        (["--class-images", "0"], "--class-images is 0"),
        (["--size", "32"], "smaller than the 32 pixels"),
        (["--format", "zip"], "Unknown format"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_and_nothing_is_written(
    words: list[str], why: str, lf: Callable[..., Ran], world: World, images: Path, tmp_path: Path
) -> None:
    given = ["--base", world.base, *WORDS, "--out", "x.safetensors"]
    ran = lf("train", "lora", images, *given, *words)
    assert ran.code == 2, ran.err
    assert why in ran.err
    assert ran.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_a_folder_without_images_is_one_line(lf: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = lf("train", "lora", tmp_path / "empty", "--out", "x.safetensors")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "holds no image" in ran.err


def test_spectral_shifts_by_the_command(
    lf: Callable[..., Ran], world: World, images: Path, tmp_path: Path
) -> None:
    words = ("--steps", "2", "--rank", "1", "--size", "16", "--device", "cpu", *ABOUT)
    ran = lf("train", "spectral", images, "--base", world.base, *words, "--out", "s.safetensors")
    assert (ran.code, ran.err) == (0, "")
    lora = formats.read(tmp_path / "s.safetensors")
    assert {delta.rank for delta in lora.deltas.values()} == {1}
    assert lora.metadata["lorafusion.kind"] == "spectral"
    assert lora.triggers == ("pingano penguin",)


def test_gates_by_the_command(lf: Callable[..., Ran], world: World) -> None:
    base = [*world.library, "--base", world.base, "--device", "cpu"]
    names = list(NAMES[:2])
    words = ("--steps", "1", "--batch", "1", "--pictures", "1", "--size", "16")
    ran = lf("train", "gates", *names, "--out", "g.safetensors", *base, *words, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert sum(ran.json["shares"].values()) == pytest.approx(1.0)
    assert list(ran.json["shares"]) == names
    prompt = f"{names[0]} and {names[1]}"
    ran = lf("generate", prompt, *world.options, "--method", "mole")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "lorafusion train gates" in ran.err
    words = ("--method", "mole", "--option", "gates=g.safetensors", "--out", "g.png", "--json")
    ran = lf("generate", prompt, *world.options, *words)
    assert ran.code == 0, ran.err
    assert ran.json["images"][0]["record"]["options"] == {"gates": "g.safetensors"}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--out", "x.bin"], "ends in .safetensors"),
        (["nobody"], "Unknown LoRA 'nobody'"),
        (["--balance", "-1"], "balance -1"),
        (["--pictures", "0"], "pictures is 0"),
    ],
)
def test_what_is_wrong_with_gates_is_one_line(
    words: list[str], why: str, lf: Callable[..., Ran], world: World
) -> None:
    given = [*world.library, "--base", world.base, "--out", "x.safetensors"]
    ran = lf("train", "gates", *NAMES[:2], *given, *words)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert why in ran.err
