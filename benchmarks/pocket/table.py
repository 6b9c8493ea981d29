"""``python -m benchmarks.pocket.table --work FOLDER``: composition methods on the sets of the testbed.

One picture for each set and method, or more with --pictures. Sets that have an oracle (--oracles FOLDER, made by
``python -m recipes.pocket oracle``) get --oracle-pictures for each method and a table of their own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import lorafusion as lf
from benchmarks.pocket.cells import Drawn
from benchmarks.pocket.command import Command, Scores
from benchmarks.pocket.contenders import CONTENDERS, EQUAL, ORACLE, PERIOD, TRUE, labels
from benchmarks.pocket.intervals import mean_of
from benchmarks.pocket.routes import by_hand, by_prompt
from benchmarks.pocket.sets import KINDS, SIZES, drawn, kind_of, names_of, seed, words_of
from benchmarks.pocket.studio import Score, Studio
from lorafusion.evaluation.testbeds import Combination
from lorafusion.evaluation.testbeds.pocket import BETWEEN, set_of
from lorafusion.plan import Candidate, Plan, Route
from lorafusion.pocket import world
from lorafusion.routing import Encoder, encoder_of

MANY = "oracle "
"""How the keys of cells with an oracle begin."""


def keys(given: argparse.Namespace) -> list[str]:
    """One cell for each set, and one more for each set with an oracle; the small sets first.

    Where there are fewer instance sets than asked for, sets with a novel LoRA make up for them.
    """
    found = []
    for size in SIZES:
        own = drawn(size, "instance", given.instance)
        found += [one.name for one in own]
        found += [
            one.name for one in drawn(size, "novel", max(given.novel, given.instance - len(own)))
        ]
    if given.oracles is not None:
        found += [f"{MANY}{path.stem}" for path in sorted(given.oracles.glob("*.safetensors"))]
    return found


def make(studio: Studio, given: argparse.Namespace, key: str) -> Drawn:
    """Pictures of one set's pictures, by method."""
    one = _set(key)
    count = given.oracle_pictures if key.startswith(MANY) else given.pictures
    seeds = [seed(one, number) for number in range(count)]
    cell = {}
    for label, plan in _plans(studio, one, given.oracles if key.startswith(MANY) else None):
        cell[label] = studio.draw([one.prompt] * count, seeds, plan)
    cell[TRUE] = studio.decoded([_scene(one, seed) for seed in seeds])
    return cell


def score(studio: Studio, key: str, drawn: Drawn) -> Scores:
    """Scores of one set's pictures, by method."""
    one = _set(key)
    count = sum(len(pictures) for pictures in drawn.values())
    shown = np.concatenate(list(drawn.values()))
    found = iter(studio.score(shown, [one.prompt] * count, [[]] * count, [words_of(one)] * count))
    return {label: [next(found) for _ in pictures] for label, pictures in drawn.items()}


def _set(key: str) -> Combination:
    return set_of(key.removeprefix(MANY).split(BETWEEN))


def _scene(one: Combination, seed: int) -> world.Scene:
    """A true picture of the set, and nothing else."""
    wanted = {
        world.INDIVIDUALS[name].category: world.Element(
            world.INDIVIDUALS[name].word, individual=True
        )
        for name in names_of(one)
    }
    return world.Scene(seed, **wanted)


def _plans(studio: Studio, one: Combination, oracles: Path | None) -> Iterator[tuple[str, Plan]]:
    prompt, names = one.prompt, names_of(one)
    even = by_hand(studio, prompt, dict.fromkeys(names, 1.0))
    weighed = by_prompt(studio, prompt, names, _encoder())
    for contender in CONTENDERS:
        yield contender.label, contender.plan(weighed if contender.weighed else even, studio.steps)
    if oracles is not None:
        lora = lf.read(oracles / f"{one.name}.safetensors")
        route = Route(prompt, (Candidate(_Trained(lora), score=1.0, weight=1.0),))
        yield ORACLE, lf.plan("merge", route, studio.steps)


class _Trained:
    """A LoRA that was trained on the whole set."""

    category = ""

    def __init__(self, lora: lf.LoRA) -> None:
        self.name = lora.name
        self._lora = lora

    def load(self) -> lf.LoRA:
        return self._lora


@cache
def _encoder() -> Encoder:
    return encoder_of("minilm")


def rows(cells: dict[str, Scores]) -> dict[str, Any]:
    """Rows by size and kind of the sets, and rows of the sets that have an oracle."""
    sets = {_set(key): cell for key, cell in cells.items() if not key.startswith(MANY)}
    found = []
    for size in SIZES:
        for kind in KINDS:
            mine = {
                one: cell
                for one, cell in sets.items()
                if len(one.elements) == size and kind_of(one) == kind
            }
            found += [{"size": size, "kind": kind} | row for row in _rows(mine)]
    trained = {_set(key): cell for key, cell in cells.items() if key.startswith(MANY)}
    with_oracle = [
        {"size": size} | row
        for size in SIZES
        for row in _rows({one: cell for one, cell in trained.items() if len(one.elements) == size})
    ]
    return {
        "rows": found,
        "rows with an oracle": with_oracle,
        "sets with an oracle": [one.name for one in trained],
    }


def _rows(sets: dict[Combination, Scores]) -> list[dict[str, Any]]:
    present = [label for label in labels() if any(label in cell for cell in sets.values())]
    return [
        {"method": label, "sets": len(sets)}
        | measured([(one, cell[label]) for one, cell in sets.items() if label in cell])
        for label in present
    ]


def measured(sets: Sequence[tuple[Combination, Sequence[Score]]]) -> dict[str, Any]:
    """Shares with intervals over whole sets; elements that are novel apart from the others.

    Args:
        sets: each with the scores of its pictures.
    """

    def elements(field: str, novel: bool) -> list[list[float]]:
        return [
            [
                float(one[field][name if field == "right" else word])
                for one in scores
                for name, word in words_of(combination).items()
                if world.INDIVIDUALS[name].novel is novel
            ]
            for combination, scores in sets
        ]

    def whole(field: str) -> list[list[float]]:
        return [[float(all(one[field].values())) for one in scores] for _, scores in sets]

    return {
        "class found": mean_of(elements("found", novel=False)),
        "identity right": mean_of(elements("right", novel=False)),
        "novel found": mean_of(elements("right", novel=True)),
        "all classes": mean_of(whole("found")),
        "all right": mean_of(whole("right")),
        "naturalness": mean_of([[one["naturalness"] for one in scores] for _, scores in sets]),
        "clip": mean_of([[one["clip"] for one in scores] for _, scores in sets]),
    }


COMMAND = Command(
    "table", "Composition methods on the sets of the testbed.", keys, make, score, rows,
    lambda given: {
        "pictures of each set": given.pictures,
        "pictures of a set with an oracle": given.oracle_pictures,
        "sets": {"instance": given.instance, "novel": given.novel},
        "equal strength": EQUAL,
        "period of switch": PERIOD,
    },
)  # fmt: skip


def main() -> None:
    """Read the options and do what they say."""
    options = COMMAND.parser()
    options.add_argument("--instance", type=int, default=100, help="instance sets of each size")
    options.add_argument(
        "--novel", type=int, default=10, help="sets of each size with a novel one, at least"
    )
    options.add_argument("--pictures", type=int, default=1, help="of each set by each method")
    options.add_argument("--oracles", type=Path, help="folder of LoRAs trained on whole sets")
    options.add_argument("--oracle-pictures", type=int, default=8, help="of sets with an oracle")
    COMMAND.run(options.parse_args())


if __name__ == "__main__":
    main()
