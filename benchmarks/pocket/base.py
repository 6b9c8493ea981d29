"""``python -m benchmarks.pocket.base --work FOLDER``: does the base draw what it is asked for?

500 prompts with three to five elements that it knows, one picture each; beside them the true pictures of the same
scenes, as rendered and through the autoencoder, which say how far the detector can be trusted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.pocket.cells import Drawn
from benchmarks.pocket.command import Command, Scores
from benchmarks.pocket.intervals import mean_of
from benchmarks.pocket.studio import Score, Studio, seed_of
from lorafusion.pocket import world

CHUNK = 10
FIRST = 7_000_000_000
"""Seeds of the scenes; all that base, LoRAs and scorers learned from lie below."""
SOURCES = ("base", "renders", "renders through the autoencoder")


def scene(number: int) -> world.Scene:
    """A scene of three to five elements that the base knows, a character among them."""
    rng = np.random.default_rng([FIRST + number, 1])
    count = int(rng.integers(3, 6))
    others = rng.permutation(world.CATEGORIES[1:])[: count - 1]
    wanted: dict[world.Category, world.Element] = {}
    for category in world.CATEGORIES:
        known = world.words(category)
        word = known[int(rng.integers(len(known)))]
        if category == "character" or category in others:
            wanted[category] = world.Element(word, int(rng.integers(1 << 20)))
    return world.sample(FIRST + number, wanted, dict.fromkeys(world.CATEGORIES, 0.0))


def keys(given: argparse.Namespace) -> list[str]:
    """One cell for each chunk of prompts; the count is rounded up to whole chunks."""
    return [f"{first:05}" for first in range(0, given.count, CHUNK)]


def _asked(key: str) -> tuple[list[int], list[world.Scene], list[str]]:
    """Numbers, scenes and prompts of one chunk."""
    numbers = list(range(int(key), int(key) + CHUNK))
    scenes = [scene(number) for number in numbers]
    return numbers, scenes, [world.caption(one, 0, 0.0) for one in scenes]


def make(studio: Studio, _: argparse.Namespace, key: str) -> Drawn:
    """Pictures of one chunk, by source."""
    numbers, scenes, prompts = _asked(key)
    shown = (
        studio.draw(prompts, [seed_of(f"base#{number}") for number in numbers]),
        np.stack([world.render(one) for one in scenes]),
        studio.decoded(scenes),
    )
    return dict(zip(SOURCES, shown, strict=True))


def score(studio: Studio, key: str, drawn: Drawn) -> Scores:
    """Scores of one chunk, by source."""
    _, scenes, prompts = _asked(key)
    words = [[element.word for element in one.elements().values()] for one in scenes]
    none: list[dict[str, str]] = [{} for _ in scenes]
    return {source: studio.score(drawn[source], prompts, words, none) for source in SOURCES}


def rows(cells: dict[str, Scores]) -> dict[str, Any]:
    """Found elements by source and category, and the words that failed most."""
    found = []
    for source in SOURCES:
        scores = [one for cell in cells.values() for one in cell[source]]
        found.append({"source": source} | measured(scores))
    return {"rows": found}


def measured(scores: Sequence[Score]) -> dict[str, Any]:
    """Shares of found elements with intervals, of all and by category; naturalness and CLIP."""
    categories = {
        category: [
            [hit for word, hit in one["found"].items() if world.KINDS[word].category == category]
            for one in scores
        ]
        for category in world.CATEGORIES
    }
    words: dict[str, list[bool]] = {}
    for one in scores:
        for word, hit in one["found"].items():
            words.setdefault(word, []).append(hit)
    return {
        "pictures": len(scores),
        "found": mean_of([list(one["found"].values()) for one in scores]),
        "all found": mean_of([[all(one["found"].values())] for one in scores]),
        "by category": {category: mean_of(hits) for category, hits in categories.items()},
        "naturalness": mean_of([[one["naturalness"]] for one in scores]),
        "clip": mean_of([[one["clip"]] for one in scores]),
        "least found": {
            word: [sum(hits), len(hits)]
            for word, hits in sorted(words.items(), key=lambda each: sum(each[1]) / len(each[1]))[
                :8
            ]
        },
    }


COMMAND = Command(
    "base", "Elements that the base draws of those it is asked for.", keys, make, score, rows,
    lambda given: {"prompts": given.count},
)  # fmt: skip


def main() -> None:
    """Read the options and do what they say."""
    options = COMMAND.parser()
    options.add_argument("--count", type=int, default=500, help="prompts")
    COMMAND.run(options.parse_args())


if __name__ == "__main__":
    main()
