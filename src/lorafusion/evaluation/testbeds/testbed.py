"""Testbed: which LoRAs are to be shown together, under which prompts, on which base models."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lorafusion.errors import BadOption, UnknownName
from lorafusion.registry import unknown


@dataclass(frozen=True)
class Element:
    """One LoRA of a set and what must be seen of it.

    Attributes:
        name: unique in its testbed.
        file: path of its file inside the folder of LoRAs.
        category: character, clothing, object, background or style.
        title: what it shows, for people and judges.
        words: the features that the prompt asks for.
    """

    name: str
    file: str
    category: str
    title: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The words as one phrase."""
        return ", ".join(self.words)


@dataclass(frozen=True)
class Combination:
    """One set of LoRAs with its prompt; the unit of every interval.

    Attributes:
        name: unique in its testbed, and a file name.
        setting: name of the `Setting` under which it is made.
        elements: its LoRAs, in the order of the prompt.
        prompt: as it is given to every method.
    """

    name: str
    setting: str
    elements: tuple[Element, ...]
    prompt: str


@dataclass(frozen=True)
class Setting:
    """A base model and how it is run.

    Attributes:
        base: as ``--base`` takes it; "" for pocket.
        vae: a decoder that replaces the base model's own; "" for none.
        steps: denoising steps.
        guidance_scale: None for the base model's own default.
        width: pixels; None for the base model's own size.
        height: pixels; None for the base model's own size.
        negative_prompt: "" for none.
        scheduler: a class of diffusers; "" for the base model's own.
        scheduler_options: changes of its configuration.
    """

    base: str = ""
    vae: str = ""
    steps: int = 30
    guidance_scale: float | None = None
    width: int | None = None
    height: int | None = None
    negative_prompt: str = ""
    scheduler: str = ""
    scheduler_options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Testbed:
    """Sets and the settings that they are made under.

    Attributes:
        name: part of every seed, so that two testbeds never share noise by accident.
        settings: by name.
        combinations: each with its own name.
        strength: the factor on all gates that its authors used.
        source: where it comes from, in one line.
    """

    __test__ = False  # its name starts as those that pytest collects

    name: str
    settings: Mapping[str, Setting]
    combinations: tuple[Combination, ...]
    strength: float = 1.0
    source: str = ""

    @property
    def fingerprint(self) -> str:
        """12 hex digits over all sets, prompts and settings."""
        text = "\n".join(
            [*(f"{one.name}\t{one.setting}\t{one.prompt}" for one in self.combinations)]
            + [f"{name}\t{one}" for name, one in self.settings.items()]
        )
        return _hash(text)[:12]

    @property
    def sizes(self) -> dict[int, int]:
        """Number of LoRAs in a set -> how many sets have so many."""
        lengths = sorted(len(one.elements) for one in self.combinations)
        return {size: lengths.count(size) for size in dict.fromkeys(lengths)}

    def of_sizes(self, sizes: Sequence[int]) -> Testbed:
        """Only the sets of so many LoRAs.

        Raises:
            BadOption: no set is of one of these sizes.
        """
        for size in sizes:
            if size not in self.sizes:
                there = ", ".join(map(str, self.sizes))
                raise BadOption(
                    f"testbed {self.name!r} has no set of {size} LoRAs; it has sets of {there}"
                )
        kept = tuple(one for one in self.combinations if len(one.elements) in sizes)
        return replace(self, combinations=kept)

    def without(self, names: Sequence[str]) -> Testbed:
        """Only the sets that have none of these LoRAs.

        Raises:
            UnknownName: no set has a LoRA of this name.
            BadOption: no set is left.
        """
        known = sorted({element.name for one in self.combinations for element in one.elements})
        for name in names:
            if name not in known:
                raise UnknownName(unknown(f"LoRA of testbed {self.name!r}", name, known))
        kept = tuple(
            one
            for one in self.combinations
            if not any(element.name in names for element in one.elements)
        )
        if not kept:
            raise BadOption(f"testbed {self.name!r} has no set without {', '.join(names)}")
        return replace(self, combinations=kept)

    def in_steps(self, steps: int) -> Testbed:
        """The same sets in another number of denoising steps."""
        settings = {name: replace(one, steps=steps) for name, one in self.settings.items()}
        return replace(self, settings=settings)

    def drawn(self, counts: Mapping[int, int]) -> Testbed:
        """So many sets of each size: those whose names have the smallest hashes.

        No list order and no random state decides, so that a LoRA that joins or leaves changes few
        of the sets drawn.

        Args:
            counts: size -> how many; sizes that are not named are left out.

        Raises:
            BadOption: fewer sets of a size than asked for.
        """
        kept: set[str] = set()
        for size, count in counts.items():
            names = [one.name for one in self.combinations if len(one.elements) == size]
            if len(names) < count:
                raise BadOption(
                    f"testbed {self.name!r} has {len(names)} sets of {size} LoRAs, {count} were "
                    "asked for; ask for fewer"
                )
            kept |= set(sorted(names, key=_hash)[:count])
        return replace(
            self, combinations=tuple(one for one in self.combinations if one.name in kept)
        )

    def share(self, count: int) -> dict[int, int]:
        """How many sets of each size make `count` sets in the proportions of this testbed.

        Raises:
            BadOption: more than there are, or not even one.
        """
        most = len(self.combinations)
        if not 1 <= count <= most:
            raise BadOption(f"sets is {count}; testbed {self.name!r} has 1 to {most}")
        exact = {size: count * there / most for size, there in self.sizes.items()}
        whole = {size: int(value) for size, value in exact.items()}
        by_rest = sorted(exact, key=lambda size: (whole[size] - exact[size], size))
        for size in by_rest[: count - sum(whole.values())]:
            whole[size] += 1
        return whole

    def seed(self, combination: Combination, number: int) -> int:
        """The generator's seed of image `number` of a set: the same for every method and order."""
        digest = hashlib.sha256(f"{self.name}\n{combination.name}\n{number}".encode()).digest()
        return int.from_bytes(digest[:8]) >> 1  # seeds have 63 bits


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
