"""Train pocket-CLIP: pictures with their captions, and captions that are wrong in one word."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lorafusion.pocket import world
from lorafusion.pocket.scorers.clip import Towers, read_words
from recipes.pocket.clock import Clock, chance
from recipes.pocket.muon import Muon
from recipes.pocket.scorers.eye import varied
from recipes.pocket.scorers.pool import Pool, to_unit
from recipes.pocket.scorers.scenes import WORDS, scene

WIDTHS, WIDTH = (24, 48, 96, 160), 128
DECODED = 0.4
"""Share of pictures that went through the autoencoder."""


def vocabulary() -> list[str]:
    """Every word of the world's captions, invented names left out."""
    known: set[str] = set()
    for word, kind in world.KINDS.items():
        known.update(re.findall("[a-z]+", f"{word} {kind.phrase}"))
    for seed in range(1_500):
        known.update(re.findall("[a-z]+", world.caption(world.sample(seed), 0, 0.0)))
    return sorted(known)


def wrong(shown: world.Scene, category: world.Category, draw: int) -> world.Scene:
    """The scene with another class in one category, for its caption; nothing else changes."""
    element = shown.elements()[category]
    others = [word for word in WORDS[category] if word != element.word]
    return shown.changed({category: replace(element, word=others[draw % len(others)])})


def captions(seeds: range, words: list[str]) -> tuple[Tensor, Tensor]:
    """Captions of scenes, and the same with one class wrong: [n, 2, 32] twice, as word numbers."""
    right: list[str] = []
    false: list[str] = []
    for seed in seeds:
        shown = scene(seed)
        rng = np.random.default_rng([seed, 9])
        for variant in range(2):
            present = list(shown.elements())
            category = present[int(rng.integers(len(present)))]
            other = wrong(shown, category, int(rng.integers(1 << 20)))
            right.append(world.caption(shown, variant, 0.0))
            false.append(world.caption(other, variant, 0.0))
    return tuple(  # type: ignore[return-value]  # two of them
        read_words(texts, words).view(-1, 2, 32) for texts in (right, false)
    )


def loss(towers: Towers, pictures: Tensor, right: Tensor, false: Tensor) -> Tensor:
    """Contrastive in both directions; the wrong captions are further answers not to give.

    Args:
        towers: both.
        pictures: [n, 3, 64, 64].
        right: [n, 32] word numbers.
        false: [n, 32] word numbers.
    """
    seen, said = towers.see(pictures), towers.read(torch.cat([right, false]))
    scores = towers.scale.exp().clamp(max=100) * seen @ said.T
    answer = torch.arange(len(pictures))
    own = scores[:, : len(pictures)]
    # Its own wrong caption is the hardest answer, so it is asked about a second time, alone.
    pair = torch.stack([own.diagonal(), scores[:, len(pictures) :].diagonal()], dim=1)
    return (
        functional.cross_entropy(scores, answer)
        + functional.cross_entropy(own.T, answer)
        + functional.cross_entropy(pair, torch.zeros_like(answer))
    )


def train(
    pool: Pool, seeds: range, work: Path, size: tuple[int, int], seed: int, half: bool
) -> Towers:
    """Train, or go on training, until all steps are done.

    Args:
        pool: pictures.
        seeds: of the pool's scenes.
        work: folder of checkpoints.
        size: optimiser steps, and pictures in one.
        seed: decides weights and batches.
        half: compute in bfloat16.
    """
    steps, count = size
    words = vocabulary()
    torch.manual_seed(seed + 1)
    towers = Towers(len(words), WIDTHS, WIDTH).train()
    optimiser = Muon(
        ((name.replace("words", "embed"), weight) for name, weight in towers.named_parameters()),
        0.015, 1e-3,
    )  # fmt: skip
    clock, draw = Clock(steps, 100), torch.Generator()
    state = work / "clip.pt"
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        towers.load_state_dict(saved["towers"])
        optimiser.restore(saved["optimiser"])
        clock.restore(saved["clock"])
    # A finished run needs no captions, and they take a while.
    right, false = captions(seeds if clock.running() else seeds[:1], words)
    while clock.running():
        draw.manual_seed(chance(seed, 12, clock.steps))
        rows, pictures = _pictures(pool, count, draw)
        variant = torch.randint(2, (count,), generator=draw)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            value = loss(towers, pictures, right[rows, variant], false[rows, variant])
        value.backward()
        optimiser.step(clock.factor())
        if clock.tick(count, float(value.detach())):
            clock.log()
            _save(towers, optimiser, clock, state)
    return towers.eval()


def _pictures(pool: Pool, count: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    back = round(DECODED * count)
    whole = torch.randint(len(pool.drawn), (count - back,), generator=draw)
    decoded = torch.randint(len(pool.decoded), (back,), generator=draw)
    shown = to_unit(torch.cat([pool.drawn[whole], pool.decoded[decoded]]))
    return torch.cat([whole, decoded]), varied(shown, draw)


def _save(towers: Towers, optimiser: Muon, clock: Clock, state: Path) -> None:
    draft = state.with_suffix(".tmp")
    torch.save(
        {"towers": towers.state_dict(), "optimiser": optimiser.state(), "clock": clock.state()},
        draft,
    )
    draft.replace(state)
    clock.write(state.with_suffix(".json"))
