"""The pool: pictures with labels, drawn once and kept as bytes, that scorers learn from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from lorafusion.pocket import world
from recipes.pocket.scorers import broken
from recipes.pocket.scorers.scenes import labels, scene


@dataclass(frozen=True)
class Pool:
    """Pictures and what is right for them.

    Attributes:
        drawn: [n, 3, 64, 64] bytes, rendered.
        decoded: [m, 3, 64, 64] bytes, the first m of them through the autoencoder.
        latent: [k, 3, 64, 64] bytes, decoded from broken latents.
        classes: [n, 5] labels of `drawn`.
        individuals: [n, 5] labels of `drawn`.
    """

    drawn: Tensor
    decoded: Tensor
    latent: Tensor
    classes: Tensor
    individuals: Tensor


def to_bytes(pictures: Tensor) -> Tensor:
    """[n, 3, 64, 64] in -1 to 1 as bytes."""
    return ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def to_unit(pictures: Tensor) -> Tensor:
    """Bytes in -1 to 1."""
    return pictures.float() / 127.5 - 1


def draw(seeds: range, vae: AutoencoderKL, decoded: int, latent: int, half: bool) -> Pool:
    """Render a pool.

    Args:
        seeds: of the scenes, one picture each.
        vae: the autoencoder that the base's pictures come out of.
        decoded: how many pictures also go through it.
        latent: how many pictures are decoded from broken latents.
        half: compute in bfloat16.
    """
    scenes = [scene(seed) for seed in seeds]
    drawn = np.stack([world.render(one) for one in scenes]).transpose(0, 3, 1, 2)
    marks = torch.tensor([labels(one) for one in scenes])
    pictures = torch.from_numpy(np.ascontiguousarray(drawn))
    generator = torch.Generator().manual_seed(seeds.start)
    back: list[Tensor] = []
    wrong: list[Tensor] = []
    for first in range(0, decoded, 64):
        part = to_unit(pictures[first : min(first + 64, decoded)])
        codes, seen = broken.through(vae, part, half)
        back.append(to_bytes(seen))
        if first < latent:
            wrong.append(to_bytes(broken.latent(vae, codes, generator, half)))
    return Pool(
        pictures,
        torch.cat(back),
        torch.cat(wrong)[:latent],
        marks[:, 0].clone(),
        marks[:, 1].clone(),
    )


def load(path: Path) -> Pool:
    """The pool saved by `save`."""
    saved = torch.load(path, weights_only=True)
    return Pool(**saved)


def save(path: Path, pool: Pool) -> None:
    """Write it, all or nothing."""
    draft = path.with_suffix(".tmp")
    torch.save(vars(pool), draft)
    draft.replace(path)
