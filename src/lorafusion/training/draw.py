"""Pictures that the base makes itself: of a concept's class beforehand, and samples on the way."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from lorafusion.errors import NotWritable
from lorafusion.generate.describe import fingerprint
from lorafusion.library.cachefolder import cache_folder
from lorafusion.training.examples import Example


@dataclass(frozen=True)
class Brush:
    """How pictures are made.

    Attributes:
        steps: denoising steps.
        guidance: scale; None for the pipeline's own default.
        size: height and width in pixels.
    """

    steps: int = 30
    guidance: float | None = None
    size: int | None = None

    def draw(self, pipe: Any, prompt: str, seed: int) -> Image.Image:
        """One picture, decided by its seed."""
        given = {"guidance_scale": self.guidance, "width": self.size, "height": self.size}
        with torch.no_grad():
            made = pipe(
                prompt=prompt,
                num_inference_steps=self.steps,
                generator=torch.Generator("cpu").manual_seed(seed),
                **{key: value for key, value in given.items() if value is not None},
            )
        image = made.images[0]
        assert isinstance(image, Image.Image)
        return image


@dataclass(frozen=True)
class Samples:
    """Pictures to make on the way, to see what has been learned.

    Attributes:
        prompts: one picture each, always of the same seed.
        folder: they are called ``step-00100-0.png`` there.
        every: steps from one set to the next.
        brush: how they are made.
    """

    prompts: Sequence[str]
    folder: Path
    every: int
    brush: Brush = field(default_factory=Brush)

    def make(self, pipe: Any, step: int, last: int) -> None:
        """Make the samples that are due after a step."""
        if step % self.every and step != last:
            return
        for number, prompt in enumerate(self.prompts):
            image = self.brush.draw(pipe, prompt, number)
            write_png(self.folder / f"step-{step:05d}-{number}.png", image)


def prior(
    pipe: Any,
    prompts: Sequence[str],
    count: int,
    brush: Brush,
    on_picture: Callable[[int, int], object] | None = None,
) -> list[Example]:
    """Pictures of a concept's class by the base itself (Ruiz et al., arXiv:2208.12242, section 3.2), made once.

    They are kept in the cache folder under what decides them: base model, prompts, size, steps and guidance.

    Args:
        pipe: the base, as it is.
        prompts: of the class; pictures take them in turn. None of them, no pictures.
        count: of all pictures.
        brush: how they are made.
        on_picture: ``on_picture(done, all)``.

    Raises:
        NotWritable: the cache folder refuses.
    """
    made = []
    # What begins with "_" are diffusers' own notes, in an order that differs from process to process.
    noise = sorted((key, one) for key, one in pipe.scheduler.config.items() if key[0] != "_")
    told = (fingerprint(pipe), type(pipe.scheduler).__name__, noise, brush)
    for number in range(count if prompts else 0):
        prompt = prompts[number % len(prompts)]
        name = hashlib.sha256(repr((told, prompt, number)).encode()).hexdigest()[:16]
        path = cache_folder() / "prior" / f"{name}.png"
        if not path.is_file():
            write_png(path, brush.draw(pipe, prompt, number))
        made.append(Example(path, prompt))
        if on_picture is not None:
            on_picture(number + 1, count)
    return made


def write_png(path: Path, image: Image.Image) -> None:
    """Write a picture whole or not at all, with the folders it needs.

    Raises:
        NotWritable: the folder refuses.
    """
    beside = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(beside, "PNG")
        beside.replace(path)
    except OSError as error:
        raise NotWritable(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        beside.unlink(missing_ok=True)
