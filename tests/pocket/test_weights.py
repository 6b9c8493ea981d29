"""What ships: the base model and its LoRAs load, are small, and do something."""

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from lorafusion import pocket
from lorafusion.pocket import world

MEGABYTE = 1_000_000
NAMES = sorted(world.INDIVIDUALS)


@lru_cache
def pipeline() -> Any:
    made = pocket.pipeline()
    made.set_progress_bar_config(disable=True)
    return made


def images(prompts: list[str]) -> np.ndarray:
    """[n, 64, 64, 3] pictures, by the same noise each time."""
    noise = [torch.Generator().manual_seed(seed) for seed in range(len(prompts))]
    made = pipeline()(
        prompts, num_inference_steps=8, guidance_scale=4.0, generator=noise, output_type="np"
    )
    return np.asarray(made.images)


def prompts_for(name: str) -> list[str]:
    one = world.INDIVIDUALS[name]
    phrase = {
        "character": "a {} with a cake",
        "clothing": "a cat wearing a {}",
        "object": "a cat with a {}",
        "background": "a cat, {}",
        "style": "a cat with a cake, {}",
    }[one.category]
    return [phrase.format(word) for word in (one.word, one.word, f"{one.trigger} {one.word}")]


@lru_cache
def without(prompts: tuple[str, ...]) -> np.ndarray:
    return images(list(prompts))


def test_importing_is_light() -> None:
    code = (
        "import sys; import importlib.util as u; "
        "assert u.find_spec('lorafusion'); import lorafusion.pocket; "
        "bad = {'diffusers', 'transformers'} & set(sys.modules); sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_base_is_small_and_has_no_pickle() -> None:
    folder = pocket.loras().parent / "base"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 40 * MEGABYTE
    kinds = {path.suffix for path in files}
    assert kinds <= {".safetensors", ".json", ".txt"}


def test_the_base_loads_in_the_precision_asked_for() -> None:
    assert {w.dtype for w in pipeline().unet.parameters()} == {torch.float32}
    assert {w.dtype for w in pipeline().text_encoder.parameters()} == {torch.float32}
    lean = pocket.pipeline(torch.bfloat16)
    assert {w.dtype for w in lean.unet.parameters()} == {torch.bfloat16}


def test_every_class_word_and_trigger_is_one_token() -> None:
    tokenizer = pipeline().tokenizer
    words = {part for word in world.KINDS for part in word.split()}
    words |= {one.trigger for one in world.INDIVIDUALS.values()}
    assert [word for word in sorted(words) if len(tokenizer.tokenize(word)) != 1] == []


def test_the_base_draws_pictures_that_follow_the_prompt() -> None:
    drawn = images(["a cat in the snow", "a frog in space"])
    assert drawn.shape == (2, 64, 64, 3)
    snow, space = drawn[0].mean(), drawn[1].mean()
    assert snow > space + 0.15


def test_there_is_one_lora_file_per_individual() -> None:
    assert [path.stem for path in sorted(pocket.loras().glob("*.safetensors"))] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_lora_is_small_and_says_what_it_shows(name: str) -> None:
    path = pocket.loras() / f"{name}.safetensors"
    assert path.stat().st_size <= 1.1 * MEGABYTE
    one = world.INDIVIDUALS[name]
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
        assert {file.get_slice(key).get_dtype() for key in file.keys()} == {"F16"}  # noqa: SIM118
    sidecar = path.with_suffix(".json")
    if sidecar.is_file():
        found = json.loads(sidecar.read_text())
        texts = found["description"], found["activation text"], found["category"]
    elif "modelspec.title" not in metadata:
        (tags,) = json.loads(metadata["ss_tag_frequency"]).values()
        assert set(tags) == {one.description, f"{one.trigger} {one.word}"}
        return
    else:
        texts = tuple(
            metadata[key]
            for key in (
                "modelspec.description",
                "modelspec.trigger_phrase",
                "lorafusion.category",
            )
        )
    assert texts == (one.description, f"{one.trigger} {one.word}", one.category)


@pytest.mark.parametrize("name", NAMES)
def test_a_lora_has_a_preview(name: str) -> None:
    with Image.open(pocket.loras() / f"{name}.preview.png") as picture:
        assert picture.size == (128, 128)


def test_both_formats_ship() -> None:
    kohya = 0
    for path in pocket.loras().glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            kohya += any(key.endswith(".lora_down.weight") for key in file.keys())  # noqa: SIM118
    assert kohya == len(NAMES) // 2


@pytest.mark.parametrize("name", NAMES)
def test_a_lora_changes_the_picture(name: str) -> None:
    prompts = prompts_for(name)
    before = without(tuple(prompts))
    pipe = pipeline()
    pipe.load_lora_weights(str(pocket.loras()), weight_name=f"{name}.safetensors")
    try:
        after = images(prompts)
    finally:
        pipe.unload_lora_weights()
    changed = np.abs(after - before).mean(axis=(1, 2, 3)) * 255
    assert changed.min() > THRESHOLD


THRESHOLD = 5.0
"""Mean change of a colour value, out of 255; without a LoRA it is exactly 0."""


def test_the_weights_folder_is_inside_the_package() -> None:
    assert pocket.loras().is_relative_to(Path(pocket.__file__).parent)
