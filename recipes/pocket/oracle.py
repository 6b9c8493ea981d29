"""Train the oracle: one LoRA for a whole combination of individuals, the fully retrained reference."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lorafusion.evaluation.testbeds.pocket import set_of
from lorafusion.pocket import world
from recipes.pocket.loras import fingerprint, teach
from recipes.pocket.plans import PLANS, LoraPlan
from recipes.pocket.settings import Settings

RANK = 8
"""Rank for each individual; the LoRA's rank is as many times that."""
_TOGETHER, _NONE = 0.7, 0.1
"""Share of scenes with all individuals, and with none; in the others each is there half of the time."""


def scenes(settings: Settings, names: Sequence[str]) -> list[world.Scene]:
    """What the oracle learns from: the individuals together, some of them, or none."""
    first = 4_000_000_000 + 1_000 * sum("".join(names).encode())
    wanted = {
        world.INDIVIDUALS[name].category: world.Element(
            world.INDIVIDUALS[name].word, individual=True
        )
        for name in names
    }
    made: list[world.Scene] = []
    for seed in range(first, first + len(names) * settings.lora_scenes):
        rng = np.random.default_rng([seed, 5])
        draw = rng.random()
        share = 1.0 if draw < _TOGETHER else 0.0 if draw > 1 - _NONE else 0.5
        some = {category: one for category, one in wanted.items() if rng.random() < share}
        rates = {
            category: 0.4 * rate if draw < _TOGETHER and category not in some else rate
            for category, rate in world.RATES.items()
        }
        made.append(world.sample(seed, some, rates))
    return made


def train(settings: Settings, base: Path, names: Sequence[str], work: Path) -> Path:
    """Train one LoRA on a combination and write work/oracles/<names>.safetensors.

    It gets as many steps, scenes and ranks as its individuals' own LoRAs have together.

    Args:
        settings: the recipe.
        base: the saved base model.
        names: individuals: one character, and at most one of each other category.
        work: folder of checkpoints.
    Raises:
        UnknownName: no such individual.
        BadOption: not a set of the testbed.
    """
    name = set_of(names).name
    rank, times = RANK * len(names), sum(one.times for one in PLANS if one.name in names)
    plan = LoraPlan(name, rank, rank, True, "diffusers", times=times)
    target = work / "oracles" / f"{name}.safetensors"
    teach(settings, base, plan, scenes(settings, names), (target, fingerprint(base)))
    return target
