"""Broken pictures, in which nothing should be found: blends, noise, shuffled and melted pieces, blur."""

from collections.abc import Callable

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn import functional

from recipes.pocket.scorers.scenes import UNKNOWN

THINGS = 3
"""Character, clothing and object come first; places and styles may survive what breaks those."""


def blended(pictures: Tensor, draw: torch.Generator) -> Tensor:
    """Two pictures laid over each other, [n, 3, 64, 64]."""
    other = pictures.roll(1, 0)
    share = 0.38 + 0.24 * torch.rand(len(pictures), 1, 1, 1, generator=draw)
    return pictures * share + other * (1 - share)


def shuffled(pictures: Tensor, draw: torch.Generator) -> Tensor:
    """Pieces of 8 or 16 pixels in another order."""
    size = 8 if torch.rand(1, generator=draw) < 0.5 else 16
    pieces = functional.unfold(pictures, size, stride=size)
    order = torch.randperm(pieces.shape[2], generator=draw)
    return functional.fold(pieces[:, :, order], 64, size, stride=size)


def melted(pictures: Tensor, draw: torch.Generator) -> Tensor:
    """Every point moved by up to a quarter of the picture, smoothly."""
    count = len(pictures)
    coarse = torch.randn(count, 2, 6, 6, generator=draw)
    field = functional.interpolate(coarse, 64, mode="bicubic", align_corners=True)
    amount = 0.22 + 0.14 * torch.rand(count, 1, 1, 1, generator=draw)
    line = torch.linspace(-1, 1, 64)
    still = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)
    grid = still + (field * amount).permute(0, 2, 3, 1)
    return functional.grid_sample(pictures, grid, padding_mode="reflection", align_corners=True)


def blurred(pictures: Tensor, draw: torch.Generator) -> Tensor:
    """Seen through very thick glass."""
    size = int(torch.randint(7, 12, (1,), generator=draw))
    small = functional.interpolate(pictures, size, mode="area")
    return functional.interpolate(small, 64, mode="bicubic").clamp(-1, 1)


def noise(pictures: Tensor, draw: torch.Generator) -> Tensor:
    """Noise of several grains, or one colour, with nothing in it."""
    size = (4, 8, 16, 64)[int(torch.randint(4, (1,), generator=draw))]
    shape = len(pictures), 3, size, size
    drawn = torch.randn(shape, generator=draw) * torch.rand(1, generator=draw)
    colour = torch.rand(len(pictures), 3, 1, 1, generator=draw) * 2 - 1
    return (functional.interpolate(drawn, 64, mode="bicubic") + colour).clamp(-1, 1)


BREAKS: tuple[Callable[[Tensor, torch.Generator], Tensor], ...] = (
    blended, blended, shuffled, melted, melted, blurred, noise,
)  # fmt: skip
_EMPTY = frozenset({noise})
"""Breaks after which not even a place or a style is left."""


def broken(pictures: Tensor, classes: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Break whole pictures in one way.

    Args:
        pictures: [n, 3, 64, 64] in -1 to 1.
        classes: [n, 5] their labels.
        draw: decides how.
    Returns:
        The broken pictures and the labels that are right now, UNKNOWN where nobody can say.
    """
    way = BREAKS[int(torch.randint(len(BREAKS), (1,), generator=draw))]
    return way(pictures, draw), after(way, classes)


def after(way: Callable[[Tensor, torch.Generator], Tensor], classes: Tensor) -> Tensor:
    """Labels [n, 5] of pictures broken in this way."""
    left = torch.zeros_like(classes)
    if way is blended:
        left[classes == classes.roll(1, 0)] = UNKNOWN
        left[:, THINGS + 1] = UNKNOWN
    elif way not in _EMPTY:
        left[:, THINGS:] = UNKNOWN
    return left


@torch.no_grad()
def through(vae: AutoencoderKL, pictures: Tensor, half: bool = True) -> tuple[Tensor, Tensor]:
    """Latents of pictures, and the pictures decoded from them."""
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        latents = vae.encode(pictures).latent_dist.mode()
        decoded = vae.decode(latents).sample
    return latents.float(), decoded.float().clamp(-1, 1)


@torch.no_grad()
def latent(vae: AutoencoderKL, latents: Tensor, draw: torch.Generator, half: bool = True) -> Tensor:
    """Decoded latents that are half noise, half another picture's, or nothing but noise.

    Latents have a spread of one, so that noise of one is as loud as the picture.
    """
    count = len(latents)
    grain = torch.randn(latents.shape, generator=draw)
    loud = 0.9 + 0.6 * torch.rand(count, 1, 1, 1, generator=draw)
    ways = torch.stack([
        (latents + latents.roll(1, 0)) / 2,
        (latents + latents.roll(1, 0) + latents.roll(2, 0)) / 3,
        (latents + loud * grain) / (1 + loud**2).sqrt(),
        grain,
    ])  # fmt: skip
    chosen = ways[torch.randint(4, (count,), generator=draw), torch.arange(count)]
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        decoded = vae.decode(chosen).sample
    return decoded.float().clamp(-1, 1)
