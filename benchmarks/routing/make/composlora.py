"""The 480 sets of ComposLoRA: each in trigger form, and each as a natural sentence.

Per style 11 LoRAs: 3 characters and two LoRAs in each other category. A set is one character and LoRAs of
distinct other categories: 2, 3, 4, 5 LoRAs in 24, 72, 96, 48 sets a style.
"""

from __future__ import annotations

import tomllib
from itertools import combinations, product
from random import Random
from typing import Any

from benchmarks.routing.make.case import (
    DATA,
    ROLES,
    SEEDS,
    SPLITS,
    WORDS,
    Case,
    sentence,
    words_for,
    write,
)

SEED = 16843
STYLES = ("reality", "anime")
OTHERS = ("clothing", "style", "background", "object")


def make() -> None:
    """Write the sets composlora-triggers and composlora-sentences, 240 in each split.

    The first two splits have half of the 480 each. The third wording says the first half anew, and has the triggers
    the other way round.
    """
    entries = tomllib.loads((DATA / "composlora.toml").read_text(encoding="utf-8"))["lora"]
    words = tomllib.loads((WORDS / "composlora.toml").read_text(encoding="utf-8"))
    frames = tomllib.loads((WORDS / "frames.toml").read_text(encoding="utf-8"))
    sets = [names for style in STYLES for names in sets_of(style, entries)]
    Random(SEED).shuffle(sets)
    by_name = {entry["name"]: entry for entry in entries}
    for i, split in enumerate(SPLITS):
        random = Random(f"{SEED} {SEEDS[split]}")
        last = i == len(SPLITS) - 1
        mine = [names[::-1] for names in sets[::2]] if last else sets[i::2]
        triggers = [_in_triggers(names, by_name, words["base"]) for names in mine]
        said = [_said(names, by_name, words[split], frames[split], split, random) for names in mine]
        write("composlora-triggers", split, triggers)
        write("composlora-sentences", split, said)


def sets_of(style: str, entries: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """All sets of one style: 24, 72, 96 and 48 of 2, 3, 4 and 5 LoRAs."""

    def of(category: str) -> list[str]:
        return [
            entry["name"]
            for entry in entries
            if entry["name"].startswith(f"{style}-") and entry["category"] == category
        ]

    return [
        names
        for size in range(1, len(OTHERS) + 1)
        for categories in combinations(OTHERS, size)
        for names in product(of("character"), *map(of, categories))
    ]


def _in_triggers(names: tuple[str, ...], entries: Any, base: dict[str, str]) -> Case:
    triggers = [trigger for name in names for trigger in entries[name]["triggers"]]
    prompt = ", ".join([base[names[0].partition("-")[0]], *triggers])
    return Case(prompt, tuple(sorted(names)), "triggers")


def _said(
    names: tuple[str, ...], entries: Any, words: Any, frames: Any, split: str, random: Random
) -> Case:
    given: dict[str, str] = {}
    for name in names:
        role = ROLES[entries[name]["category"]]
        given |= words_for(role, words[name], random, alone=False)
    text, family = sentence(frames, given, split, random)
    return Case(text, tuple(sorted(names)), family)
