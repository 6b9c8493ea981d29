"""The comparison: every method, and what was tried for `auto`, on sets of the testbed, scored by pocket's scorers.

Sets are split in halves by their hash: what is tried is tried on one, what is reported comes from the other. A picture
is kept under what decides it, so that a comparison goes on where it was stopped and grows by more sets or rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from benchmarks.methods.entries import AUTO, Entry
from benchmarks.pocket.cells import Drawn, fill, load
from benchmarks.pocket.intervals import mean_of
from benchmarks.pocket.routes import by_hand, by_prompt
from benchmarks.pocket.sets import drawn, names_of, seed, words_of
from benchmarks.pocket.studio import Score, Studio
from benchmarks.pocket.table import measured
from lorafusion.evaluation.testbeds import Combination
from lorafusion.pipelines import Insight
from lorafusion.plan import Route
from lorafusion.pocket import world
from lorafusion.routing import Encoder, encoder_of

HALVES = ("tune", "report")
FIRST_SEED = {"tune": 1000, "report": 0}
"""The number of the first picture of a set in each half; seeds are hashes of set and number."""
LABEL = "pictures"


def half_of(one: Combination) -> str:
    """Which half a set belongs to, by its hash alone."""
    return HALVES[1 - _digest(one)[-1] % 2]


def sets(size: int, half: str, most: int) -> list[Combination]:
    """So many instance sets of a half; a smaller number takes some of a larger number's."""
    # An order by hash mixes characters and styles; the testbed's own begins with one character.
    every = sorted(drawn(size, "instance", 10_000), key=_digest)
    return [one for one in every if half_of(one) == half][:most]


def _digest(one: Combination) -> bytes:
    return hashlib.sha256(one.name.encode()).digest()


@dataclass(frozen=True)
class Comparison:
    """One run of the comparison.

    Attributes:
        studio: base, LoRAs and scorers.
        entries: rows.
        half: of the sets.
        count: sets of each size.
        sizes: LoRAs in a set.
        pictures: of each set by each row.
        guidance: scale, where a row has none of its own.
        work: folder of pictures.
    """

    studio: Studio
    entries: Sequence[Entry]
    half: str
    count: int
    sizes: Sequence[int]
    pictures: int
    guidance: float
    work: Path

    @cached_property
    def cells(self) -> dict[str, tuple[Entry, Combination]]:
        """Key -> row and set; set by set, so that a stopped run has every row of the first sets."""
        found = {}
        depth = max(len(sets(size, self.half, self.count)) for size in self.sizes)
        for place in range(depth):
            for size in self.sizes:
                for one in sets(size, self.half, self.count)[place : place + 1]:
                    for entry in self.entries:
                        if entry.fits(one):
                            found[self._key(entry, one)] = (entry, one)
        return found

    def draw(self) -> bool:
        """Make what is missing; whether all is there."""
        return fill(self.work, list(self.cells), self._make)

    def rows(self) -> list[dict[str, Any]]:
        """A row for each entry and size: shares over the sets that are drawn, and differences."""
        scored, made = self._scored(), list[dict[str, Any]]()
        for size in self.sizes:
            own = {
                entry: {
                    one: found
                    for (label, one), found in scored.items()
                    if label == entry.label and len(names_of(one)) == size
                }
                for entry in self.entries
            }
            auto, merge = (
                next((found for entry, found in own.items() if entry.label == label), {})
                for label in (AUTO, "merge")
            )
            made += [
                {
                    "loras": size,
                    "label": entry.label,
                    "method": entry.method,
                    "options": dict(entry.options),
                    "budget": entry.budget,
                    "sets": len(found),
                    **measured(list(found.items())),
                    "right by category": by_category(found),
                    "auto ahead": ahead(auto, found),
                    "ahead of merge": ahead(found, merge),
                }
                for entry, found in own.items()
                if found
            ]
        return made

    def _scored(self) -> dict[tuple[str, Combination], list[Score]]:
        scored = {}
        for key, (entry, one) in self.cells.items():
            if (self.work / f"{key}.npz").is_file():
                shown = load(self.work, key)[LABEL]
                count = len(shown)
                scored[entry.label, one] = self.studio.score(
                    shown, [one.prompt] * count, [[]] * count, [words_of(one)] * count
                )
        return scored

    def _make(self, key: str) -> Drawn:
        entry, one = self.cells[key]
        first = FIRST_SEED[self.half]
        seeds = [seed(one, first + number) for number in range(self.pictures)]
        route = even = route_of(self.studio, one)
        if entry.weighed:
            route = by_prompt(self.studio, one.prompt, names_of(one), _encoder())
        plan = entry.plan(route, self.studio.steps, self._insight, even)
        guidance = entry.guidance or self.guidance
        return {LABEL: self.studio.draw([one.prompt] * len(seeds), seeds, plan, guidance)}

    @cached_property
    def _insight(self) -> Insight:
        return Insight(self.studio.pipe)

    def _key(self, entry: Entry, one: Combination) -> str:
        """Of the picture: what decides it, but for the code of methods, which a change deletes by hand."""
        told = (
            entry.ident(self.guidance),
            one.name,
            one.prompt,
            FIRST_SEED[self.half],
            self.pictures,
            self._weights(one),
        )
        return f"{one.name}-{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}"

    def _weights(self, one: Combination) -> tuple[str, ...]:
        files = [path for path in self.studio.painters() if path.parent != self.studio.loras]
        files += [self.studio.loras / f"{name}.safetensors" for name in names_of(one)]
        return tuple(self._digests[path] for path in files)

    @cached_property
    def _digests(self) -> dict[Path, str]:
        return {
            path: hashlib.sha256(path.read_bytes()).hexdigest()[:12]
            for path in self.studio.painters()
        }


@cache
def _encoder() -> Encoder:
    return encoder_of("minilm")


def route_of(studio: Studio, one: Combination) -> Route:
    """The LoRAs of the set at weight 1, each with its class word as the phrase that asked for it."""
    route = by_hand(studio, one.prompt, dict.fromkeys(names_of(one), 1.0))
    phrased = tuple(
        replace(each, phrase=world.INDIVIDUALS[each.name].word) for each in route.candidates
    )
    return replace(route, candidates=phrased)


Scored = Mapping[Combination, Sequence[Score]]
"""Sets and the scores of their pictures."""


def by_category(found: Scored) -> dict[str, float]:
    """Category -> share of its individuals that are right."""
    right: dict[str, list[float]] = {}
    for one, scores in found.items():
        for name in names_of(one):
            category = world.INDIVIDUALS[name].category
            right.setdefault(category, []).extend(float(each["right"][name]) for each in scores)
    return {key: round(sum(all_) / len(all_), 4) for key, all_ in sorted(right.items())}


def ahead(one: Scored, other: Scored) -> dict[str, float | int | None]:
    """How much more of the identities one row has right than another, set by set, on the sets that both have."""
    both = [each for each in other if each in one]
    return mean_of([[_right(one[each]) - _right(other[each])] for each in both])


def _right(scores: Sequence[Score]) -> float:
    shares = [sum(each["right"].values()) / len(each["right"]) for each in scores]
    return sum(shares) / len(shares)
