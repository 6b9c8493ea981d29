"""Sentences over the twelve LoRAs of Table 3, prompts that want none, word senses; the other twelve."""

from __future__ import annotations

import tomllib
from random import Random
from typing import Any

from benchmarks.routing.make.case import (
    DATA,
    ROLES,
    SEEDS,
    SPLITS,
    WORDS,
    Case,
    hand,
    sentence,
    spread,
    words_for,
    write,
)
from benchmarks.routing.make.grammar import fill

SEED = 3474
SIZES = {0: 24, 1: 50, 2: 60, 3: 50, 4: 36}
LARGER = {0: 40, 1: 80, 2: 90, 3: 80, 4: 50}
"""How many sentences want 0 to 4 LoRAs; the larger numbers in the held-out split."""
NOTHING = {"tune": 100, "second": 100, "heldout": 200}
FILLED = 0.35
"""How often a role that no LoRA fills is filled with something else."""
TWO_AUTHORS = ("tune", "heldout")
"""Splits of the sets that were written last, and by hand alone."""
JOINED = {
    "tune": ("{} and {}", "{} with {}"),
    "second": ("{} beside {}", "{} together with {}"),
    "heldout": ("{} and {}", "{} next to {}", "{} alongside {}"),
}
"""How two characters stand together."""


def make() -> None:
    """Write the sets table3, nothing, senses, meanings and dozen."""
    words = _read("table3.toml")
    frames = _read("frames.toml")
    scenes = _read("nothing.toml")
    roles = {
        entry["name"]: ROLES[entry["category"]]
        for entry in tomllib.loads((DATA / "table3.toml").read_text())["lora"]
    }
    for split in SPLITS:
        random = Random(f"{SEED} {SEEDS[split]}")
        sizes = spread(LARGER if split == "heldout" else SIZES, random)
        cases = [one(n, roles, words[split], frames[split], split, random) for n in sizes]
        write("table3", split, hand(split, "table3") + cases)
        write("nothing", split, _nothing(scenes[split], NOTHING[split], random))
        write("senses", split, hand(split, "senses"))
        if split in TWO_AUTHORS:
            write("meanings", split, hand(split, "meanings"))
            write("dozen", split, hand(split, "dozen"))


def one(
    size: int, roles: dict[str, str], words: Any, frames: Any, split: str, random: Random
) -> Case:
    """A sentence that wants `size` LoRAs: one a category, now and then two characters."""
    names = _choose(size, roles, random)
    given: dict[str, str] = {}
    characters = [name for name in names if roles[name] == "who"]
    alone = not characters and size > 0 and "wear" not in map(roles.get, names)
    alone = alone and random.random() < 0.4
    for name in names:
        if roles[name] != "who":
            given |= words_for(roles[name], words[name], random, alone=alone)
    if characters:
        given |= _who([words[name] for name in characters], split, random)
    elif not alone:
        given |= words_for("who", words["filler"], random, alone=False)
    if alone and not given.keys() & {"thing", "place"}:
        given |= words_for("do", words["filler"], random, alone=True)
    for role in ("wear", "do", "place", "look"):
        taken = role in given or (role == "do" and "thing" in given) or (alone and role == "wear")
        if not taken and random.random() < FILLED:
            given |= words_for(role, words["filler"], random, alone=alone)
    text, family = sentence(frames, given, split, random)
    return Case(text, tuple(sorted(names)), family)


def _who(phrases: list[Any], split: str, random: Random) -> dict[str, str]:
    each = [words_for("who", entry, random, alone=False) for entry in phrases]
    if len(each) == 1:
        return each[0]
    join = random.choice(JOINED[split])
    return {
        "who": join.format(each[0]["who"], each[1]["who"]),
        "who_tag": f"{each[0]['who_tag']}, {each[1]['who_tag']}",
    }


def _choose(size: int, roles: dict[str, str], random: Random) -> list[str]:
    names = list(roles)
    while True:
        chosen = random.sample(names, size)
        kinds = [roles[name] for name in chosen]
        pair = kinds.count("who") == 2
        if len(set(kinds)) + pair == size and (not pair or random.random() < 0.4):
            return chosen


def _nothing(scenes: Any, count: int, random: Random) -> list[Case]:
    cases: dict[str, Case] = {}
    while len(cases) < count:
        words = {
            name: random.choice(scenes[name]) for name in ("subject", "act", "where", "manner")
        }
        text = fill(random.choice(scenes["frames"]), words, random)
        cases[text] = Case(text, (), "nothing")
    return list(cases.values())


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((WORDS / name).read_text(encoding="utf-8"))
