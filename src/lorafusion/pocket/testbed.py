"""The testbed: which of pocket's LoRAs are composed, under which prompts, by which seeds.

The pocket counterpart of ComposLoRA (Zhong et al., arXiv:2402.16843, section 4): all sets of two to
five LoRAs with one character and at most one LoRA of every other category, from a fixed list.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from lorafusion.errors import BadOption, UnknownName
from lorafusion.pocket.world import CATEGORIES, INDIVIDUALS, KINDS, Category
from lorafusion.registry import unknown

Kind: TypeAlias = Literal["instance", "novel"]
SIZES = (2, 3, 4, 5)

LORAS: tuple[str, ...] = (
    "robot", "panda", "fox", "frog", "crown", "glasses", "scarf", "guitar", "balloon", "umbrella",
    "library", "beach", "city", "pixel-art", "sketch", "mosaic",
    "octopus", "owl", "goggles", "sunhat", "rocket", "trophy", "volcano", "blueprint",
)  # fmt: skip
"""The LoRAs that sets are made of, by name; the last eight are of classes new to the base."""

_PLURAL = frozenset({"glasses", "goggles"})


@dataclass(frozen=True)
class Combination:
    """LoRAs to compose in one picture.

    Attributes:
        names: of the LoRAs, the character first, then in the order of the categories.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in INDIVIDUALS:
                raise UnknownName(unknown("individual", name, list(INDIVIDUALS)))
        places = [CATEGORIES.index(INDIVIDUALS[name].category) for name in self.names]
        if not places or places[0] != 0 or places != sorted(set(places)):
            raise BadOption(
                f"{' + '.join(self.names) or 'no LoRA'} is not a set of the testbed; give one "
                f"character, then at most one of each of {', '.join(CATEGORIES[1:])}, in this order"
            )

    @property
    def key(self) -> str:
        """Its name, for files and seeds."""
        return "+".join(self.names)

    @property
    def words(self) -> dict[str, str]:
        """Name -> class word."""
        return {name: INDIVIDUALS[name].word for name in self.names}

    @property
    def kind(self) -> Kind:
        """ "instance" where the base knows all classes in other looks, "novel" where it does not."""
        return "novel" if any(INDIVIDUALS[name].novel for name in self.names) else "instance"

    def seed(self, number: int = 0) -> int:
        """The seed of one of its pictures; it depends on the set and the number, on no order."""
        return int.from_bytes(_digest(f"{self.key}#{number}")[:6])

    def prompt(self) -> str:
        """A natural sentence that names every class, and nothing of what makes it individual."""
        of = {INDIVIDUALS[name].category: INDIVIDUALS[name].word for name in self.names}
        choice = _digest(self.key)
        clauses = [_some(of["character"])]
        if "clothing" in of:
            clauses.append(f"wearing {_some(of['clothing'])}")
        if "object" in of:
            joint = ("with", "holding", "next to")[choice[0] % 3]
            clauses.append(f"{joint} {_some(of['object'])}")
        if "background" in of:
            clauses.append(KINDS[of["background"]].phrase)
        text = " ".join(clauses)
        if "style" not in of:
            return f"{('', 'a picture of ', 'a photo of ')[choice[1] % 3]}{text}"
        style = of["style"]
        forms = (f"{text}, {style} style", f"{text} in {style} style", f"{_some(style)} of {text}")
        return forms[choice[1] % 3]


def combinations(
    size: int, kind: Kind | None = None, most: int | None = None
) -> tuple[Combination, ...]:
    """The sets of one size.

    Args:
        size: LoRAs in a set, 2 to 5.
        kind: "instance" for sets of instance LoRAs alone, "novel" for those with a novel one.
        most: take so many. They are the same everywhere, whatever the machine; a smaller number
            takes some of a larger number's.

    Raises:
        BadOption: no such size or kind, or a number below 1.
    """
    if size not in SIZES:
        raise BadOption(f"size is {size}; sets of the testbed have {SIZES[0]} to {SIZES[-1]} LoRAs")
    if kind not in ("instance", "novel", None):
        raise BadOption(f"kind is {kind!r}; sets of the testbed are 'instance' or 'novel'")
    if most is not None and most < 1:
        raise BadOption(f"most is {most}; take at least 1 set")
    found = [one for one in _all(size) if kind in (None, one.kind)]
    if most is None:
        return tuple(found)
    # An order by hash mixes characters and categories, and does not depend on how many are taken.
    return tuple(sorted(found, key=lambda one: _digest(one.key))[:most])


def _all(size: int) -> Iterator[Combination]:
    of: dict[Category, list[str]] = {category: [] for category in CATEGORIES}
    for name in LORAS:
        of[INDIVIDUALS[name].category].append(name)
    for others in itertools.combinations(CATEGORIES[1:], size - 1):
        for names in itertools.product(of["character"], *(of[category] for category in others)):
            yield Combination(names)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _some(word: str) -> str:
    if word in _PLURAL:
        return word
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
