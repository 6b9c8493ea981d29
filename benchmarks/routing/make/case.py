"""A case: one prompt and the LoRAs that it wants."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.files import write_whole
from benchmarks.routing.make.grammar import bare, fill, pick, with_typo

WORDS = Path(__file__).parents[1] / "words"
DATA = Path(__file__).parents[1] / "data"
SPLITS = ("tune", "second", "heldout")
"""One wording each. The second was held out of the first version of the router and has been seen since."""
SEEDS = {"tune": "tune", "second": "heldout", "heldout": "third"}
"""Split -> what its dice are thrown with, besides the seed of its set; `second` had another name once."""
ROLES = {
    "character": "who",
    "clothing": "wear",
    "object": "do",
    "background": "place",
    "style": "look",
}
TYPOS = 0.05
"""Share of the sentences with a misspelt word."""


@dataclass(frozen=True)
class Case:
    """One prompt with its answer.

    Attributes:
        prompt: what a user would type.
        wants: names of the LoRAs that it asks for, sorted; empty when it asks for none.
        family: who wrote it: the frame's group, or "hand".
    """

    prompt: str
    wants: tuple[str, ...]
    family: str


def write(name: str, split: str, cases: Iterable[Case]) -> None:
    """Write a set as JSON lines, repeated prompts once."""
    unique = {case.prompt: case for case in cases}
    lines = (
        json.dumps({"id": f"{name}-{split}-{i:03}"} | asdict(case), ensure_ascii=False)
        for i, case in enumerate(unique.values())
    )
    write_whole(DATA / f"{name}.{split}.jsonl", "\n".join(lines) + "\n")


def words_for(
    role: str, phrases: Mapping[str, Sequence[str]], random: Random, *, alone: bool
) -> dict[str, str]:
    """Slot -> words for one LoRA or filler; an object that is `alone` is a thing, not a deed."""
    main = "thing" if alone and role == "do" and "thing" in phrases else role
    long = random.choice(phrases.get(main) or phrases["np"])
    if main == "thing":
        return {main: long}
    tags = phrases.get("tag") or [bare(phrase) for phrase in phrases.get(role) or phrases["np"]]
    return {main: long, f"{role}_tag": random.choice(tags)}


def sentence(
    frames: Mapping[str, Sequence[str]], words: Mapping[str, str], split: str, random: Random
) -> tuple[str, str]:
    """A sentence with these words, and the name of the family of its frame."""
    families = list(frames)
    random.shuffle(families)
    for family in families:
        try:
            frame = pick(frames[family], words, random)
        except LookupError:
            continue
        text = fill(frame, words, random)
        return (with_typo(text, split, random) if random.random() < TYPOS else text), family
    raise LookupError(f"no frame for the words {sorted(words)}")


def hand(split: str, name: str) -> list[Case]:
    """The sentences written one by one for a set."""
    lines = (WORDS / f"hand.{split}.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split(" :: ", 2) for line in lines if line and not line.startswith("#")]
    return [Case(text, _names(wants), "hand") for set_, wants, text in rows if set_ == name]


def _names(wants: str) -> tuple[str, ...]:
    return () if wants == "nothing" else tuple(sorted(wants.split()))


def spread(counts: Mapping[int, int], random: Random) -> list[int]:
    """Each size as often as it says, shuffled."""
    sizes: list[Any] = [size for size, count in counts.items() for _ in range(count)]
    random.shuffle(sizes)
    return sizes
