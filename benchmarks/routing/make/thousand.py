"""A library of 1,000 described LoRAs, and sentences that want one to five of them.

500 things in five categories (words/thousand.toml), each in two kinds that differ: "foggy lighthouse" and
"lighthouse in the snow" are two LoRAs, and a sentence always says which one.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from random import Random
from typing import Any

from benchmarks.files import write_whole
from benchmarks.routing.make.case import (
    DATA,
    ROLES,
    SEEDS,
    SPLITS,
    WORDS,
    Case,
    sentence,
    spread,
    words_for,
    write,
)
from benchmarks.routing.make.grammar import with_article

SEED = 1000
SIZES = {1: 60, 2: 60, 3: 60, 4: 60, 5: 60}
PHRASES = {
    "tune": {
        "object": ("holding {}", "with {}", "next to {}"),
        "background": ("in {}", "at {}", "in front of {}"),
        "style": ("in the style of {}", "as {}"),
    },
    "second": {
        "object": ("carrying {}", "right beside {}", "looking at {}"),
        "background": ("somewhere in {}", "with {} in the background", "outside {}"),
        "style": ("made to look like {}", "rendered as {}"),
    },
    "heldout": {
        "object": ("beside {}", "playing with {}", "and {}"),
        "background": ("in {}", "at {}", "in the middle of {}"),
        "style": ("in the style of {}", "drawn as {}"),
    },
}
"""How the wordings tie a thing into a sentence; characters and clothes stand as they are."""


@dataclass(frozen=True)
class Thing:
    """One LoRA of the library: a head in one kind."""

    category: str
    head: str
    kind: tuple[str, str, str, str, str]

    @property
    def name(self) -> str:
        """Unique in the library, made of letters, digits and hyphens."""
        words = f"{self.kind[0]} {self.head}".lower().replace("'", "")
        return words.replace(" ", "-")

    @property
    def text(self) -> str:
        """The description, from which the key is made."""
        title = f"{self.kind[0]} {self.head}"
        return (
            f"{title[0].upper()}{title[1:]}: {with_article(self.head, self.head)}, {self.kind[1]}"
        )

    def said(self, split: str, random: Random) -> str:
        """A noun phrase for it in a wording: the plain name, or the words of that wording."""
        plain = f"{self.kind[0]} {self.head}"
        own = self.kind[2 + SPLITS.index(split)].format(h=self.head)
        phrase = plain if random.random() < 0.4 else own
        return with_article(phrase, phrase if phrase.endswith(self.head) else self.head)


def make() -> None:
    """Write the catalogue thousand.toml and the set thousand, both splits."""
    things = library()
    _write_catalogue(things)
    frames = tomllib.loads((WORDS / "frames.toml").read_text(encoding="utf-8"))
    for split in SPLITS:
        random = Random(f"{SEED} {SEEDS[split]}")
        sizes = spread(SIZES, random)
        write("thousand", split, [_case(n, things, frames, split, random) for n in sizes])


def library() -> list[Thing]:
    """The 1,000 things, sorted by category and name."""
    words = tomllib.loads((WORDS / "thousand.toml").read_text(encoding="utf-8"))
    random = Random(SEED)
    things = [
        Thing(category, head, tuple(kind))
        for category, lists in words.items()
        for head in lists["heads"]
        for kind in random.sample(lists["kinds"], 2)
    ]
    return sorted(things, key=lambda thing: (thing.category, thing.name))


def _case(size: int, things: list[Thing], frames: Any, split: str, random: Random) -> Case:
    categories = random.sample(list(ROLES), size)
    chosen = [random.choice([t for t in things if t.category == c]) for c in categories]
    given: dict[str, str] = {}
    for thing in chosen:
        given |= _slots(thing, split, random)
    if "who" not in given:
        given |= words_for("who", {"who": PLAIN_PEOPLE[split]}, random, alone=False)
    text, family = sentence(frames[split], given, split, random)
    return Case(text, tuple(sorted(thing.name for thing in chosen)), family)


PLAIN_PEOPLE = {
    "tune": ["somebody", "a man", "a woman", "two friends", "a teenager"],
    "second": ["someone", "a person", "a girl", "a boy", "a couple"],
    "heldout": ["a man", "an old lady", "some people", "a young man", "a child"],
}
"""Subjects that none of the 1,000 is about."""


def _slots(thing: Thing, split: str, random: Random) -> dict[str, str]:
    role = ROLES[thing.category]
    phrase = thing.said(split, random)
    ties = PHRASES[split].get(thing.category, ("{}",))
    slots = words_for(role, {"np": [phrase]}, random, alone=False)
    return slots | {role: random.choice(ties).format(phrase)}


def _write_catalogue(things: list[Thing]) -> None:
    lines = [
        "# Written by benchmarks.routing.make; 1,000 LoRAs that are described and do not exist."
    ]
    for thing in things:
        trigger = f"{thing.kind[0]} {thing.head}".lower()
        lines += [
            "",
            "[[lora]]",
            f"name = {json.dumps(thing.name)}",
            f"category = {json.dumps(thing.category)}",
            f"text = {json.dumps(thing.text)}",
            f"triggers = [{json.dumps(trigger)}]",
        ]
    write_whole(DATA / "thousand.toml", "\n".join(lines) + "\n")
