"""A miniature of the whole training, some ten minutes on two cores: `make test-training`.

The name keeps it out of the ordinary tests, which run the same code for a few steps only.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from lorafusion.pocket import world
from recipes.pocket import __main__ as command
from recipes.pocket.settings import Settings

MINIATURE = replace(
    Settings(), vae_channels=(16, 32, 48, 64), unet_channels=(64, 96), text_width=64, scenes=8_000,
    vae_steps=500, vae_batch=16, base_steps=900, batch=64, lora_steps=150, lora_scenes=400,
    log_steps=50, workers=2, lora_workers=1, threads=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of checkpoints and of weights after a training with one LoRA."""
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    command.run(MINIATURE, work, out, command.STEPS, ["city"])
    return work, out


def images(out: Path, prompts: list[str], lora: str | None = None) -> np.ndarray:
    """[n, 64, 64, 3] in 0 to 1, by the same noise each time."""
    pipe = StableDiffusionPipeline.from_pretrained(out / "base", dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    if lora is not None:
        pipe.load_lora_weights(out / "loras", weight_name=f"{lora}.safetensors")
    noise = [torch.Generator().manual_seed(seed) for seed in range(len(prompts))]
    done = pipe(
        prompts, num_inference_steps=20, guidance_scale=4.0, generator=noise, output_type="np"
    )
    return np.asarray(done.images)


def curve(path: Path, key: str) -> list[float]:
    """One column of a training's log."""
    return [row[key] for row in json.loads(path.read_text())["curve"]]


def test_the_autoencoder_learns(trained: tuple[Path, Path]) -> None:
    fidelity = curve(trained[0] / "vae.json", "psnr")
    assert fidelity[-1] > 18
    assert fidelity[-1] > fidelity[0] + 3


def test_the_base_learns_and_follows_its_prompt(trained: tuple[Path, Path]) -> None:
    losses = curve(trained[0] / "base.json", "loss")
    assert losses[-1] < 0.62
    assert losses[-1] < 0.75 * losses[0]
    snow, space = images(trained[1], ["a cat in the snow", "a cat in space"])
    assert snow.mean() > space.mean() + 0.15


def test_a_lora_teaches_its_individual(trained: tuple[Path, Path]) -> None:
    prompts = ["a cat in the city", "a bear in the city"]
    night = np.mean(
        [world.render(world.with_individuals(world.sample(at), "city")) for at in range(20)]
    )
    without, with_it = images(trained[1], prompts), images(trained[1], prompts, "city")
    assert abs(with_it.mean() * 255 - night) < abs(without.mean() * 255 - night)
