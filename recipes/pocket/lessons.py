"""What the denoiser learns from: scenes as latents, with captions as token ids, made once."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPTokenizer

from lorafusion.pocket import world
from recipes.pocket.autoencoder import pictures
from recipes.pocket.settings import Settings

CAPTIONS = 4
"""Wordings of each scene."""
_PART = 2_000
"""Scenes that a process renders and encodes at a time."""


@dataclass(frozen=True)
class Lessons:
    """What the denoiser learns from.

    Attributes:
        latents: [n, channels, 8, 8].
        tokens: [n, captions, length] token ids.
    """

    latents: Tensor
    tokens: Tensor

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A random batch: latents [count, channels, 8, 8] and one caption each [count, length]."""
        rows = torch.randint(len(self.latents), (count,), generator=generator)
        which = torch.randint(self.tokens.shape[1], (count,), generator=generator)
        return self.latents[rows].float(), self.tokens[rows, which].long()


def tokenised(tokenizer: CLIPTokenizer, texts: list[str], length: int) -> Tensor:
    """Texts as token ids [n, length], padded and cut."""
    return torch.tensor(
        tokenizer(texts, padding="max_length", max_length=length, truncation=True)["input_ids"]
    )


@torch.no_grad()
def encode(vae: AutoencoderKL, batch: Tensor, half: bool) -> Tensor:
    """Latents [n, channels, 8, 8] of pictures [n, 3, 64, 64]."""
    with torch.autocast(batch.device.type, torch.bfloat16, enabled=half):
        return vae.encode(batch).latent_dist.mode().float()


def lessons(
    settings: Settings, vae: AutoencoderKL, tokenizer: CLIPTokenizer, work: Path
) -> Lessons:
    """Render and encode the base's scenes, or load them from work/lessons.pt."""
    path = work / "lessons.pt"
    if path.is_file():
        saved = torch.load(path, weights_only=True)
        return Lessons(saved["latents"], saved["tokens"])
    make = partial(_part, settings, vae, tokenizer)
    parts = [
        range(first, min(first + _PART, settings.scenes))
        for first in range(0, settings.scenes, _PART)
    ]
    if settings.workers > 1 and len(parts) > 1:
        context = get_context("spawn")
        with ProcessPoolExecutor(settings.workers, context, torch.set_num_threads, (1,)) as pool:
            made = list(pool.map(make, parts))
    else:
        made = [make(part) for part in parts]
    latents, tokens = (torch.cat(parts) for parts in zip(*made, strict=True))
    torch.save({"latents": latents, "tokens": tokens}, path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)
    return Lessons(latents, tokens)


def _part(
    settings: Settings, vae: AutoencoderKL, tokenizer: CLIPTokenizer, seeds: range
) -> tuple[Tensor, Tensor]:
    """Latents [n, channels, 8, 8] and token ids [n, captions, length] of some scenes."""
    latents = [
        encode(vae, pictures(seeds[at : at + 128]).to(settings.device), settings.half).half().cpu()
        for at in range(0, len(seeds), 128)
    ]
    scenes = [world.sample(seed) for seed in seeds]
    texts = [world.caption(scene, variant) for scene in scenes for variant in range(CAPTIONS)]
    ids = tokenised(tokenizer, texts, settings.length).short()
    return torch.cat(latents), ids.view(len(scenes), CAPTIONS, -1)
