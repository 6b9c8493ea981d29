"""``python -m benchmarks.pocket.loras --work FOLDER``: does each LoRA alone teach its individual?

120 prompts for each LoRA: its class word in the company of one to three elements that the base knows. The same prompts
and seeds without the LoRA say what the base knows of it: of an instance the class alone, of a novel class nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

import lorafusion as lf
from benchmarks.pocket.cells import Drawn, Pictures
from benchmarks.pocket.command import Command, Scores
from benchmarks.pocket.intervals import mean_of
from benchmarks.pocket.routes import by_hand
from benchmarks.pocket.studio import Score, Studio, seed_of
from lorafusion.pocket import world

LORAS = tuple(world.INDIVIDUALS)
CHUNK = 10
ARMS = ("with", "without")


def scene(name: str, number: int) -> world.Scene:
    """The individual among one to three elements that the base knows, a character among all."""
    one = world.INDIVIDUALS[name]
    seed = seed_of(f"lora {name}#{number}")
    rng = np.random.default_rng(seed)
    others = [category for category in world.CATEGORIES if category != one.category]
    count = int(rng.integers(1, 4))
    company = set(rng.permutation(others)[:count])
    if one.category != "character" and "character" not in company:
        company = {"character", *sorted(company)[: count - 1]}
    wanted: dict[world.Category, world.Element] = {
        one.category: world.Element(one.word, individual=True)
    }
    for category in others:
        known = world.words(category)
        element = world.Element(known[int(rng.integers(len(known)))], int(rng.integers(1 << 20)))
        if category in company:
            wanted[category] = element
    return world.sample(seed, wanted, dict.fromkeys(world.CATEGORIES, 0.0))


def keys(given: argparse.Namespace) -> list[str]:
    """One cell for each LoRA."""
    return [name for name in LORAS if not given.only or name in given.only]


def make(studio: Studio, given: argparse.Namespace, key: str) -> Drawn:
    """Pictures of one LoRA's prompts, with it and without it."""
    plan = lf.plan("merge", by_hand(studio, key, {key: 1.0}), studio.steps)
    parts: dict[str, list[Pictures]] = {arm: [] for arm in ARMS}
    for first in range(0, given.count, CHUNK):
        numbers = range(first, min(first + CHUNK, given.count))
        prompts = [world.caption(scene(key, number), 0, 0.0) for number in numbers]
        seeds = [seed_of(f"picture {key}#{number}") for number in numbers]
        for arm, chosen in zip(ARMS, (plan, None), strict=True):
            parts[arm].append(studio.draw(prompts, seeds, chosen))
    return {arm: np.concatenate(pictures) for arm, pictures in parts.items()}


def score(studio: Studio, key: str, drawn: Drawn) -> Scores:
    """Scores of one LoRA's pictures, with it and without it."""
    count = len(drawn[ARMS[0]])
    scenes = [scene(key, number) for number in range(count)]
    prompts = [world.caption(one, 0, 0.0) for one in scenes]
    own = {key: world.INDIVIDUALS[key].word}
    words = [
        [each.word for each in one.elements().values() if not each.individual] for one in scenes
    ]
    return {arm: studio.score(drawn[arm], prompts, words, [own] * count) for arm in ARMS}


def rows(cells: dict[str, Scores]) -> dict[str, Any]:
    """A row for each LoRA and arm, and one for all instance and all novel ones."""
    found = [
        {"lora": name, "arm": arm, "novel": world.INDIVIDUALS[name].novel}
        | measured([(name, one) for one in cells[name][arm]])
        for name in cells
        for arm in ARMS
    ]
    for novel in (False, True):
        mine = [name for name in cells if world.INDIVIDUALS[name].novel is novel]
        found += [
            {"lora": "all", "arm": arm, "novel": novel}
            | measured([(name, one) for name in mine for one in cells[name][arm]])
            for arm in ARMS
            if mine
        ]
    return {"rows": found}


def measured(scores: Sequence[tuple[str, Score]]) -> dict[str, Any]:
    """Of (LoRA, score): subject found, identity right, other elements kept, naturalness, CLIP."""
    subject = [[one["found"][world.INDIVIDUALS[name].word]] for name, one in scores]
    kept = [
        [hit for word, hit in one["found"].items() if word != world.INDIVIDUALS[name].word]
        for name, one in scores
    ]
    return {
        "pictures": len(scores),
        "subject found": mean_of(subject),
        "identity right": mean_of([[one["right"][name]] for name, one in scores]),
        "others kept": mean_of(kept),
        "naturalness": mean_of([[one["naturalness"]] for _, one in scores]),
        "clip": mean_of([[one["clip"]] for _, one in scores]),
    }


COMMAND = Command(
    "loras", "Each LoRA alone, and the base without it.", keys, make, score, rows,
    lambda given: {"pictures of each": given.count},
)  # fmt: skip


def main() -> None:
    """Read the options and do what they say."""
    options = COMMAND.parser()
    options.add_argument("--count", type=int, default=120, help="pictures of each LoRA")
    options.add_argument("--only", nargs="+", choices=LORAS, metavar="LORA", help="only these")
    COMMAND.run(options.parse_args())


if __name__ == "__main__":
    main()
