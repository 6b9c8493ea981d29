"""Make the scorers: draw a pool, train, choose thresholds, write the files, measure."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from lorafusion.pocket import world
from lorafusion.pocket.scorers import weights
from lorafusion.pocket.scorers.eye import Eye
from recipes.pocket.scorers import calibrate, clip, eye, measure, pool
from recipes.pocket.scorers.scenes import FIRST, HELD_OUT, NAMES, WORDS


@dataclass(frozen=True)
class Sizes:
    """How much is drawn, learned and measured.

    Attributes:
        drawn: pictures rendered to learn from.
        decoded: how many of them also go through the autoencoder.
        latent: pictures decoded from broken latents.
        chosen: pictures that thresholds are chosen on.
        measured: pictures that accuracy is measured on.
        eye_steps: optimiser steps of the eye.
        clip_steps: optimiser steps of pocket-CLIP.
        batch: pictures in one step.
        seed: decides weights and batches.
        half: compute in bfloat16 while training.
    """

    drawn: int = 120_000
    decoded: int = 120_000
    latent: int = 8_000
    chosen: int = 2_400
    measured: int = 2_400
    eye_steps: int = 9_000
    clip_steps: int = 1_500
    batch: int = 96
    seed: int = 17
    half: bool = True


TINY = Sizes(48, 24, 8, 24, 16, 2, 2, 16, half=False)
"""Sizes that run through in seconds, to test the code."""


def make(sizes: Sizes, work: Path, out: Path, vae: AutoencoderKL) -> dict[str, object]:
    """Train, or go on training, and write eye, clip and naturalness to out/scorers.

    Args:
        sizes: how much.
        work: folder of checkpoints.
        out: folder of the shipped weights.
        vae: the base's trained autoencoder.
    Returns:
        Accuracies on held-out pictures, and the training's log.
    """
    folder = work / "scorers"
    folder.mkdir(parents=True, exist_ok=True)
    vae = vae.eval().requires_grad_(False)
    known = learn(sizes, folder, out / "scorers", vae)
    report: dict[str, object] = {"sizes": asdict(sizes), "bytes": known}
    report |= measured(sizes, out / "scorers", vae)
    report["curves"] = {
        name: json.loads((folder / f"{name}.json").read_text()) for name in ("eye", "clip")
    }
    return report


def learn(sizes: Sizes, work: Path, target: Path, vae: AutoencoderKL) -> dict[str, int]:
    """Train both networks and write the three files; returns their sizes in bytes."""
    seeds = range(FIRST, FIRST + sizes.drawn)
    path = work / "pool.pt"
    if not path.is_file():
        pool.save(path, pool.draw(seeds, vae, sizes.decoded, sizes.latent, sizes.half))
    known = pool.load(path)
    seen = eye.train(known, work, sizes.eye_steps, sizes.batch, sizes.seed, sizes.half)
    steps = sizes.clip_steps, sizes.batch
    towers = clip.train(known, seeds, work, steps, sizes.seed, sizes.half)
    write_eye(sizes, target, vae, seen)
    about = {"vocabulary": clip.vocabulary(), "widths": clip.WIDTHS, "width": clip.WIDTH}
    weights.write("clip", towers.state_dict(), about, target)
    return {file.stem: file.stat().st_size for file in sorted(target.glob("*.safetensors"))}


@torch.no_grad()
def write_eye(sizes: Sizes, target: Path, vae: AutoencoderKL, seen: Eye) -> None:
    """Choose thresholds and usual distances on pictures between pool and held-out ones; write."""
    first = FIRST + sizes.drawn
    seeds = range(first, first + sizes.chosen)
    held = pool.draw(seeds, vae, sizes.chosen, 2, half=False)
    draw = torch.Generator().manual_seed(sizes.seed)
    parts = [
        eye.lesson(held, sizes.batch, draw) for _ in range(-(-2 * sizes.chosen // sizes.batch))
    ]
    levels = calibrate.thresholds(seen, eye.joined(parts), world.CATEGORIES)
    about = {"classes": WORDS, "individuals": NAMES, "thresholds": levels, "widths": eye.WIDTHS}
    weights.write("eye", seen.state_dict(), about, target)
    decoded = pool.to_unit(held.decoded)
    features = torch.cat([seen.trunk(part) for part in decoded.split(128)])
    split = 2 * len(features) // 3
    weights.write(
        "naturalness", calibrate.nature(seen, features[:split], features[split:]), {}, target
    )


def measured(sizes: Sizes, folder: Path, vae: AutoencoderKL) -> dict[str, object]:
    """All accuracies, on renders and on renders through the autoencoder."""
    shown = measure.scenes(HELD_OUT, sizes.measured)
    drawn = measure.pictures(shown)
    decoded = measure.through(vae, drawn)
    part = min(len(shown), 300)
    return {
        "renders": measure.accuracy(folder, shown, drawn)
        | {"clip": measure.alignment(folder, shown, drawn), "nature": measure.nature(folder, drawn)},
        "through the autoencoder": measure.accuracy(folder, shown, decoded)
        | {"clip": measure.alignment(folder, shown, decoded),
           "nature": measure.nature(folder, decoded)},
        "broken": measure.strictness(folder, drawn[:part], vae),
    }  # fmt: skip
