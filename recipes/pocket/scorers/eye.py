"""Train the eye: classes, individuals, and whether a picture is in one piece."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from lorafusion.pocket.scorers.eye import Eye
from recipes.pocket.clock import Clock, chance
from recipes.pocket.muon import Muon
from recipes.pocket.scorers import broken
from recipes.pocket.scorers.pool import Pool, to_unit
from recipes.pocket.scorers.scenes import NAMES, UNKNOWN, WORDS

WIDTHS = (24, 64, 128, 192)
SHARES = {"drawn": 0.36, "decoded": 0.44, "broken": 0.13, "latent": 0.07}
"""What a batch is made of."""


def build(seed: int) -> Eye:
    """An untrained eye."""
    torch.manual_seed(seed)
    return Eye(
        [1 + len(each) for each in WORDS.values()], [1 + len(each) for each in NAMES.values()]
    )


@dataclass(frozen=True)
class Lesson:
    """One batch: pictures [n, 3, 64, 64], labels [n, 5] twice, and whether each is whole, [n]."""

    pictures: Tensor
    classes: Tensor
    individuals: Tensor
    whole: Tensor


def lesson(pool: Pool, count: int, draw: torch.Generator) -> Lesson:
    """A random batch of whole and broken pictures."""
    sizes = [round(count * share) for share in SHARES.values()]

    def rows(of: Tensor, size: int) -> Tensor:
        return torch.randint(len(of), (size,), generator=draw)

    whole, back, worse, codes = (
        rows(of, size)
        for of, size in zip((pool.drawn, pool.decoded, pool.drawn, pool.latent), sizes, strict=True)
    )
    bent, left = broken.broken(to_unit(pool.drawn[worse]), pool.classes[worse], draw)
    pictures = torch.cat([
        varied(to_unit(torch.cat([pool.drawn[whole], pool.decoded[back]])), draw),
        bent,
        to_unit(pool.latent[codes]),
    ])  # fmt: skip
    intact = torch.cat([whole, back])
    nothing = torch.zeros(len(codes), 5, dtype=torch.long)
    classes = torch.cat([pool.classes[intact], left, nothing])
    # In a broken picture a place or style may be left, so nobody can say whose it is.
    lost = torch.where(left == UNKNOWN, UNKNOWN, 0)
    individuals = torch.cat([pool.individuals[intact], lost, nothing])
    return Lesson(
        pictures, classes, individuals, (torch.arange(len(pictures)) < len(intact)).float()
    )


def joined(parts: Sequence[Lesson]) -> Lesson:
    """Several batches as one."""
    return Lesson(
        torch.cat([part.pictures for part in parts]),
        torch.cat([part.classes for part in parts]),
        torch.cat([part.individuals for part in parts]),
        torch.cat([part.whole for part in parts]),
    )


def varied(pictures: Tensor, draw: torch.Generator) -> Tensor:
    """Moved by up to two pixels, a little lighter or darker, a little grainy or soft."""
    count = len(pictures)
    down, across = (int(n) for n in torch.randint(-2, 3, (2,), generator=draw))
    padded = functional.pad(pictures, (2, 2, 2, 2), mode="replicate")
    moved = padded[:, :, 2 + down : 66 + down, 2 + across : 66 + across]
    light = 1 + 0.06 * torch.randn(count, 1, 1, 1, generator=draw)
    shade = 0.04 * torch.randn(count, 1, 1, 1, generator=draw)
    grain = 0.05 * torch.rand(count, 1, 1, 1, generator=draw)
    soft = 0.8 * torch.rand(count, 1, 1, 1, generator=draw) ** 2
    blur = functional.avg_pool2d(moved, 3, 1, 1, count_include_pad=False)
    moved = moved * (1 - soft) + blur * soft
    return moved * light + shade + grain * torch.randn(moved.shape, generator=draw)


def loss(eye: Eye, batch: Lesson) -> Tensor:
    """Cross entropy of all eleven answers."""
    classes, individuals, whole = eye.read(eye.trunk(batch.pictures))
    total = 0.5 * functional.binary_cross_entropy_with_logits(whole.float(), batch.whole)
    for place, (kind, one) in enumerate(zip(classes, individuals, strict=True)):
        total = total + functional.cross_entropy(
            kind.float(), batch.classes[:, place], ignore_index=UNKNOWN
        )
        # Siblings are the finer difference.
        total = total + 1.5 * functional.cross_entropy(
            one.float(), batch.individuals[:, place], ignore_index=UNKNOWN
        )
    return total


def train(pool: Pool, work: Path, steps: int, batch: int, seed: int, half: bool) -> Eye:
    """Train, or go on training, until all steps are done.

    Args:
        pool: what to learn from.
        work: folder of checkpoints.
        steps: optimiser steps.
        batch: pictures in one.
        seed: decides weights and batches.
        half: compute in bfloat16.
    """
    eye = build(seed).train()
    optimiser = Muon(eye.named_parameters(), 0.02, 1e-3, all_muon=True)
    clock = Clock(steps, 100)
    state = work / "eye.pt"
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        eye.load_state_dict(saved["eye"])
        optimiser.restore(saved["optimiser"])
        clock.restore(saved["clock"])
    draw = torch.Generator()
    while clock.running():
        draw.manual_seed(chance(seed, 11, clock.steps))
        part = lesson(pool, batch, draw)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            value = loss(eye, part)
        value.backward()
        optimiser.step(clock.factor())
        if clock.tick(batch, float(value.detach())):
            clock.log()
            _save(eye, optimiser, clock, state)
    return eye.eval()


def _save(eye: Eye, optimiser: Muon, clock: Clock, state: Path) -> None:
    draft = state.with_suffix(".tmp")
    torch.save(
        {"eye": eye.state_dict(), "optimiser": optimiser.state(), "clock": clock.state()}, draft
    )
    draft.replace(state)
    clock.write(state.with_suffix(".json"))
