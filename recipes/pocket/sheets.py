"""Pictures of what was trained: contact sheets for the documentation, a preview for every LoRA."""

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw, ImageFont

from lorafusion.pocket import GUIDANCE, world

STEPS = 20
SAMPLES = 40
"""Pictures on the base's sheet."""
_SIDE = 128
"""Pixels of one picture on a sheet: 64 doubled, without smoothing."""
_GAP, _WORDS = 4, 44
_COMPANY: dict[world.Category, tuple[str, ...]] = {
    "character": ("{}", "{} wearing a hat in a forest", "{} with a cake", "{} in the snow"),
    "clothing": ("a cat wearing {}", "a bear wearing {} at the beach", "a lion wearing {}",
                 "a pig wearing {} in space"),
    "object": ("{}", "a cat with {}", "a bear with {} in the snow", "a pig with {} in a forest"),
    "background": ("a cat {}", "a pig wearing a cap {}", "a bear with a ball {}", "a lion {}"),
    "style": ("a cat, {}", "a pig wearing a hat, {}", "a bear with a cake in the snow, {}",
              "a dog at the beach, {}"),
}  # fmt: skip
"""Prompts that show a LoRA in company, by its category."""


def load(base: Path) -> StableDiffusionPipeline:
    """The trained base, without a progress bar."""
    pipe = StableDiffusionPipeline.from_pretrained(base, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def images(pipe: StableDiffusionPipeline, prompts: Sequence[str], first: int) -> list[Image.Image]:
    """One 64x64 picture per prompt, from the seeds first, first + 1, ..."""
    noise = [torch.Generator().manual_seed(first + at) for at in range(len(prompts))]
    done = pipe(list(prompts), num_inference_steps=STEPS, guidance_scale=GUIDANCE, generator=noise)
    return list(done.images)


def prompts_of(name: str) -> list[str]:
    """The prompts of `_COMPANY` with an individual's class in them."""
    one = world.INDIVIDUALS[name]
    plural = one.word.endswith(("glasses", "goggles"))
    article = "" if plural else "an " if one.word[0] in "aeiou" else "a "
    called = {"background": world.KINDS[one.word].phrase, "style": one.word}.get(
        one.category, article + one.word
    )
    return [form.format(called) for form in _COMPANY[one.category]]


def sheet(rows: Sequence[Sequence[Image.Image]], labels: Sequence[Sequence[str]]) -> Image.Image:
    """Rows of pictures with words below each.

    Args:
        rows: pictures of any size, drawn at _SIDE without smoothing.
        labels: the words, one text per picture.
    """
    wide, high = _SIDE + _GAP, _SIDE + _WORDS
    canvas = Image.new("RGB", (wide * max(map(len, rows)), high * len(rows)), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(10)
    for y, (row, words) in enumerate(zip(rows, labels, strict=True)):
        for x, (picture, text) in enumerate(zip(row, words, strict=True)):
            grown = picture.resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
            canvas.paste(grown, (x * wide, y * high))
            draw.multiline_text(
                (x * wide, y * high + _SIDE + 1), _wrapped(text), fill="black", font=font, spacing=1
            )
    return canvas


def _wrapped(text: str, width: int = 25) -> str:
    """Text in lines of at most so many letters."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def base_sheet(base: Path, count: int = SAMPLES, columns: int = 8) -> Image.Image:
    """What the base draws for prompts of scenes that it has never seen.

    Args:
        base: folder of the base model.
        count: how many samples, none of them chosen by hand.
        columns: pictures in a row.
    """
    rates: dict[world.Category, float | int] = dict.fromkeys(world.CATEGORIES, 0.7)
    rates["style"] = 0.3
    scenes = [world.sample(4_000_000_000 + at, rates=rates) for at in range(count)]
    prompts = [world.caption(scene) for scene in scenes]
    drawn = images(load(base), prompts, 0)
    starts = range(0, count, columns)
    return sheet(
        [drawn[at : at + columns] for at in starts], [prompts[at : at + columns] for at in starts]
    )


def lora_sheet(weights: Path, names: Sequence[str]) -> Image.Image:
    """Each LoRA's prompts without it and with it, by the same noise, and its true picture.

    Args:
        weights: folder with base and loras.
        names: of the LoRAs, one row each.
    """
    pipe = load(weights / "base")
    rows: list[list[Image.Image]] = []
    labels: list[list[str]] = []
    bear: dict[world.Category, world.Element] = {"character": world.Element("bear", 3)}
    plain = world.sample(12, bear, dict.fromkeys(world.CATEGORIES, 0.0))
    for name in names:
        prompts = prompts_of(name)
        without = images(pipe, prompts, 0)
        pipe.load_lora_weights(weights / "loras", weight_name=f"{name}.safetensors")
        with_it = images(pipe, prompts, 0)
        pipe.unload_lora_weights()
        true = Image.fromarray(world.render(world.with_individuals(plain, name)))
        rows.append([*without, *with_it, true])
        labels.append([*prompts, *(f"{name}: {prompt}" for prompt in prompts), f"{name}, drawn"])
    return sheet(rows, labels)


def previews(weights: Path, names: Sequence[str]) -> None:
    """Write a picture beside every LoRA file, as galleries of LoRAs expect it."""
    pipe = load(weights / "base")
    for name in names:
        pipe.load_lora_weights(weights / "loras", weight_name=f"{name}.safetensors")
        (picture,) = images(pipe, prompts_of(name)[1:2], 3)
        pipe.unload_lora_weights()
        grown = picture.resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
        path = weights / "loras" / f"{name}.preview.png"
        grown.save(path.with_suffix(".part"), format="png", optimize=True)
        path.with_suffix(".part").replace(path)
