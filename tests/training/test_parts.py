"""The parts of a training that need no model: recipe, examples, chance, objective, header."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, EDMEulerScheduler, FlowMatchEulerDiscreteScheduler
from PIL import Image

from lorafusion import training
from lorafusion.errors import BadOption, InputError, UnknownName, UnreadableFile, WrongBase
from lorafusion.library.headers import card_of_header
from lorafusion.training.about import header
from lorafusion.training.chance import generator, order
from lorafusion.training.examples import digest, pictures
from lorafusion.training.objective import Objective


class Pipe:
    """A pipeline as far as `Objective` looks at one."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"rank": -1}, "rank is -1"),
        ({"size": 0}, "size is 0"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"text_rate": -1.0}, "text_rate is -1"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"targets": "atention"}, "Did you mean 'attention'"),
        ({"precision": "float8"}, "precision"),
    ],
)
def test_recipes_out_of_range_are_refused(wrong: dict[str, Any], why: str) -> None:
    with pytest.raises((BadOption, UnknownName), match=why):
        training.Recipe(**wrong)


def test_the_rate_warms_up_and_ends_near_zero() -> None:
    recipe = training.Recipe(steps=100)
    factors = [recipe.factor(step) for step in range(100)]
    assert factors[0] == pytest.approx(1 / 5)
    assert max(factors) > 0.99
    assert factors[-1] < 0.001
    assert factors[10:] == sorted(factors[10:], reverse=True)


def test_every_example_is_drawn_once_a_round_wherever_one_begins() -> None:
    drawn = order(seed=3, first=0, count=20, length=5)
    for start in range(0, 20, 5):
        assert sorted(drawn[start : start + 5].tolist()) == [0, 1, 2, 3, 4]
    assert len({tuple(drawn[start : start + 5].tolist()) for start in range(0, 20, 5)}) > 1
    assert torch.equal(order(seed=3, first=7, count=9, length=5), drawn[7:16])
    assert not torch.equal(order(seed=4, first=0, count=20, length=5), drawn)


def test_a_generator_is_decided_by_its_numbers() -> None:
    first, again, other = (torch.rand(4, generator=generator(*n)) for n in ((1, 2), (1, 2), (2, 1)))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_captions_come_from_files_else_from_the_prompt(images: Path) -> None:
    (images / "1.txt").unlink()
    (images / "2.txt").write_text(" \n")
    shown = training.read_examples(images, prompt="a photo of rob robot")
    assert [one.caption for one in shown] == ["a robot, number 0", *["a photo of rob robot"] * 2]
    with pytest.raises(BadOption, match=r"1\.png: has no caption; write it into 1\.txt"):
        training.read_examples(images)


def test_what_is_wrong_with_a_folder_is_said(images: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="is not a folder"):
        training.read_examples(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFile, match="holds no image; expected files ending in .png"):
        training.read_examples(tmp_path / "empty")
    (images / "0.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UnreadableFile, match=r"0\.txt: cannot be read as UTF-8"):
        training.read_examples(images)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no image", "is not an image"),
        (b"", "is not an image"),
        (None, "cannot be read as an image"),
    ],
    ids=["text", "empty", "cut short"],
)
def test_a_broken_image_is_one_line(images: Path, content: bytes | None, why: str) -> None:
    path = images / "1.png"
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    shown = training.read_examples(images)
    with pytest.raises(UnreadableFile, match=why) as raised:
        pictures(shown, 16)
    assert "1.png" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_small_images_are_refused_and_large_ones_cut_to_the_middle(tmp_path: Path) -> None:
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, 8:16] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    shown = training.read_examples(tmp_path, "a square")
    made = pictures(shown, 8)
    assert made.shape == (1, 3, 8, 8)
    assert bool((made == 1).all())
    with pytest.raises(BadOption, match=r"wide\.png: is 24x8, smaller than the 16 pixels"):
        pictures(shown, 16)


def test_a_photo_is_turned_as_its_camera_was(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 8))
    image.paste((255, 255, 255), (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "photo.png", exif=exif)
    made = pictures(training.read_examples(tmp_path, "x"), 8)
    assert float(made[0, 0, 0, 0]) == -1
    assert float(made[0, 0, 7, 0]) == 1


def test_the_digest_sees_pixels_and_words(images: Path) -> None:
    before = digest(training.read_examples(images))
    assert digest(training.read_examples(images)) == before
    (images / "0.txt").write_text("another")
    assert digest(training.read_examples(images)) != before


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
def test_targets_and_weights_are_those_of_the_papers(kind: str) -> None:
    """Against the formulas, in float64: velocity a·noise - b·clean, and min(SNR, 5) over what it is."""
    scheduler = DDIMScheduler(prediction_type=kind, beta_schedule="scaled_linear")
    aim = Objective.of(Pipe(scheduler), snr=5.0)
    clean, noise = torch.randn(2, 3, 1, 2, 2, generator=generator(0)).unbind()
    steps = torch.tensor([0, 400, 999])
    share = scheduler.alphas_cumprod.double()[steps]
    a, b = (part.sqrt()[:, None, None, None] for part in (share, 1 - share))
    ratio = share / (1 - share)
    capped = ratio.clamp(max=5)
    expected = {
        "epsilon": (noise, capped / ratio),
        "v_prediction": (a * noise - b * clean, capped / (ratio + 1)),
        "sample": (clean, capped),
    }[kind]
    assert torch.allclose(aim.target(clean, noise, steps).double(), expected[0].double(), atol=1e-5)
    assert torch.allclose(aim.weight(steps).double(), expected[1], rtol=1e-4)
    assert bool((Objective.of(Pipe(scheduler), snr=0.0).weight(steps) == 1).all())


def test_weights_stay_finite_where_the_signal_ends() -> None:
    scheduler = DDIMScheduler(rescale_betas_zero_snr=True)
    weights = Objective.of(Pipe(scheduler), snr=5.0).weight(torch.arange(1000))
    assert bool(torch.isfinite(weights).all())
    assert float(weights[-1]) == 1


@pytest.mark.parametrize("scheduler", [FlowMatchEulerDiscreteScheduler(), EDMEulerScheduler()])
def test_other_kinds_of_noise_are_refused_by_name(scheduler: Any) -> None:
    with pytest.raises(WrongBase, match=type(scheduler).__name__):
        Objective.of(Pipe(scheduler), snr=5.0)


def test_the_header_says_what_prompts_are_compared_with(images: Path) -> None:
    shown = training.read_examples(images)
    about = training.About(
        "penguin", "a black and white penguin", "pingano penguin, pingo", "character"
    )
    told = header(about, training.Recipe(), shown, 5, "sd15")
    card = card_of_header(told)
    assert card.text == "a black and white penguin. pingano penguin, pingo"
    assert card.triggers == ("pingano penguin", "pingo")
    assert told["ss_base_model_version"] == "sd_v1"
    assert json.loads(told["ss_tag_frequency"])["penguin"]["a robot"] == 3
    untold = header(training.About("x", prompt="a photo of rob"), training.Recipe(), shown, 0, "x")
    assert card_of_header(untold).text == "a photo of rob"


def test_without_peft_one_line_says_how_to_get_it(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By its full name the module is hidden behind its function.
    module = importlib.import_module("lorafusion.training.train")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    shown = training.read_examples(images)
    with pytest.raises(InputError, match=r"pip install 'lorafusion\[training\]'"):
        training.train("lora", None, shown, training.Recipe(), training.About("x"), tmp_path)
