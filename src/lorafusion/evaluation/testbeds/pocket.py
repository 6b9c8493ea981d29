"""Pocket's testbeds: the protocol of ComposLoRA on the LoRAs that come with the package.

What each LoRA shows is known exactly, since the pocket world drew what it was trained on. Prompts are
natural sentences of class words: they say nothing of what makes an individual one, so that only its
LoRA can show it. Zhong et al., arXiv:2402.16843, section 4, whose prompts list the LoRAs' trigger
words instead; `named` is the same sets with those.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from lorafusion import pocket
from lorafusion.errors import BadOption, UnknownName
from lorafusion.evaluation.testbeds.sets import (
    ORDER,
    by_category,
    crossed_sets_of,
    crowded_sets_of,
    sets_of,
)
from lorafusion.evaluation.testbeds.testbed import Combination, Element, Setting, Testbed
from lorafusion.pocket.world import CATEGORIES, INDIVIDUALS, KINDS, Individual
from lorafusion.registry import unknown

SIZES = (2, 3, 4, 5)
CROWDED = (6, 7, 8)
CROSSED = (4,)
COMPOSLORA = {2: 48, 3: 144, 4: 192, 5: 96}
"""How many sets of each size ComposLoRA has."""
STEPS = 20
BETWEEN = "+"
"""Between the LoRAs' names in the name of a set."""

_PLURAL = frozenset({"glasses", "goggles"})

Rule: TypeAlias = Callable[[Sequence[Element], Sequence[int]], Iterable[tuple[Element, ...]]]


def everything() -> Testbed:
    """All sets of 2 to 5 with one character and distinct categories."""
    return _testbed("pocket", sets_of, SIZES)


def as_composlora() -> Testbed:
    """As many sets of each size as ComposLoRA has: 480, drawn from all."""
    return everything().drawn(COMPOSLORA)


def named() -> Testbed:
    """The sets of `as_composlora`, each LoRA asked for by its trigger word, as ComposLoRA does."""
    return _testbed("pocket-named", sets_of, SIZES, triggers=True).drawn(COMPOSLORA)


def crowded() -> Testbed:
    """Sets of 6 to 8: two characters, then also two objects, then also two pieces of clothing.

    There are tens of thousands; each size is drawn down to as many sets as ComposLoRA has of five.
    """
    whole = _testbed("pocket-crowded", crowded_sets_of, CROWDED)
    most = COMPOSLORA[max(COMPOSLORA)]
    return whole.drawn({size: min(most, count) for size, count in whole.sizes.items()})


def crossed() -> Testbed:
    """Sets of 4 across domains of art: a character, something worn or held, and two styles."""
    return _testbed("pocket-crossed", crossed_sets_of, CROSSED).drawn({4: COMPOSLORA[5]})


def elements(*, triggers: bool = False) -> list[Element]:
    """The bundled LoRAs, by name.

    Args:
        triggers: whether their words are trigger and class, not the class alone.
    """
    return [
        Element(
            one.name,
            f"{one.name}.safetensors",
            one.category,
            one.description,
            (f"{one.trigger} {one.word}" if triggers else one.word,),
        )
        for one in sorted(INDIVIDUALS.values(), key=lambda one: one.name)
    ]


def set_of(names: Sequence[str]) -> Combination:
    """The set of these individuals, as the testbeds have it.

    Raises:
        UnknownName: no such individual.
        BadOption: not one character with at most one of each other category.
    """
    for name in names:
        if name not in INDIVIDUALS:
            raise UnknownName(unknown("individual", name, list(INDIVIDUALS)))
    places = [ORDER.index(INDIVIDUALS[name].category) for name in names]
    if 0 not in places or len(set(places)) < len(places):
        raise BadOption(
            f"{BETWEEN.join(names) or 'no LoRA'} is not a set of the testbed; give one character, "
            f"and at most one of each of {', '.join(CATEGORIES[1:])}"
        )
    by_name = {one.name: one for one in elements()}
    return _combination([by_name[name] for _, name in sorted(zip(places, names, strict=True))])


def individual(element: Element) -> Individual:
    """What the LoRA of an element of these testbeds knows."""
    return INDIVIDUALS[element.name]


def has_novel(combination: Combination) -> bool:
    """Whether a LoRA of the set is of a class that the base knows nothing of."""
    return any(individual(element).novel for element in combination.elements)


def sentence(chosen: Sequence[Element]) -> str:
    """One natural sentence that asks for all of them; the set decides its form.

    "a robot wearing a crown with a guitar in a library, sketch style"
    """
    groups = by_category(chosen)
    choice = _digest(_name(chosen))
    clauses = [_some(groups.get("character", ()))]
    if "clothing" in groups:
        clauses.append(f"wearing {_some(groups['clothing'])}")
    if "object" in groups:
        joint = ("with", "holding", "next to")[choice[0] % 3]
        clauses.append(f"{joint} {_some(groups['object'])}")
    clauses += [_place(element) for element in groups.get("background", ())]
    return _styled(" ".join(clauses), groups, choice[1])


def _styled(text: str, groups: Mapping[str, Sequence[Element]], choice: int) -> str:
    if "style" not in groups:
        return f"{('', 'a picture of ', 'a photo of ')[choice % 3]}{text}"
    style = " and ".join(element.words[0] for element in groups["style"])
    forms = (f"{text}, {style} style", f"{text} in {style} style", f"{_article(style)} of {text}")
    return forms[choice % 3]


def _testbed(name: str, rule: Rule, sizes: Sequence[int], *, triggers: bool = False) -> Testbed:
    combinations = tuple(
        _combination(chosen) for chosen in rule(elements(triggers=triggers), sizes)
    )
    setting = Setting(steps=STEPS, guidance_scale=pocket.GUIDANCE)
    return Testbed(name, {"pocket": setting}, combinations, source="the bundled LoRAs")


def _combination(chosen: Sequence[Element]) -> Combination:
    return Combination(_name(chosen), "pocket", tuple(chosen), sentence(chosen))


def _name(chosen: Sequence[Element]) -> str:
    """The LoRAs' names, in the order in which a sentence has them."""
    groups = by_category(chosen)
    return BETWEEN.join(one.name for category in CATEGORIES for one in groups.get(category, ()))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _some(chosen: Sequence[Element]) -> str:
    """Their words with articles."""
    return " and ".join(
        one.words[0] if individual(one).word in _PLURAL else _article(one.words[0])
        for one in chosen
    )


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _place(element: Element) -> str:
    word = individual(element).word
    return KINDS[word].phrase.replace(word, element.words[0])
