"""Sets: every way to take one LoRA of some categories, a character always among them.

The rule of ComposLoRA (Zhong et al., arXiv:2402.16843, section 4.1): categories never repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

from lorafusion.evaluation.testbeds.testbed import Element

ORDER = ("character", "clothing", "style", "background", "object")
"""Of the elements in a set, and so in a prompt: that of ComposLoRA's files."""


def sets_of(elements: Sequence[Element], sizes: Sequence[int]) -> Iterator[tuple[Element, ...]]:
    """All sets of these sizes with exactly one character and no category twice."""
    groups = by_category(elements)
    others = [category for category in ORDER[1:] if groups.get(category)]
    for size in sizes:
        for categories in combinations(others, size - 1):
            yield from product(groups.get(ORDER[0], ()), *(groups[name] for name in categories))


def crowded_sets_of(
    elements: Sequence[Element], sizes: Sequence[int]
) -> Iterator[tuple[Element, ...]]:
    """Larger sets: one of every category first, then second characters, objects and pieces of clothing.

    A set of six has two characters, of seven also two objects, of eight also two pieces of
    clothing. Styles and backgrounds stay alone, for a picture has one of each.
    """
    groups = by_category(elements)
    doubled = ("character", "object", "clothing")
    for size in sizes:
        counts = {category: 1 + (category in doubled[: size - len(ORDER)]) for category in ORDER}
        if all(len(groups.get(category, ())) >= count for category, count in counts.items()):
            chosen = (combinations(groups[category], counts[category]) for category in ORDER)
            for parts in product(*chosen):
                yield tuple(element for part in parts for element in part)


def crossed_sets_of(
    elements: Sequence[Element], sizes: Sequence[int]
) -> Iterator[tuple[Element, ...]]:
    """Sets of four with two styles, that is two domains: a character, clothing or object, two styles."""
    groups = by_category(elements)
    if 4 not in sizes:
        return
    for category in ("clothing", "object"):
        chosen = (groups.get(ORDER[0], ()), groups.get(category, ()))
        for character, thing, styles in product(*chosen, combinations(groups.get("style", ()), 2)):
            parts = (character, thing, *styles)
            yield tuple(sorted(parts, key=lambda one: ORDER.index(one.category)))


def by_category(elements: Sequence[Element]) -> dict[str, list[Element]]:
    """Category -> its elements, in their order."""
    groups: dict[str, list[Element]] = {}
    for element in elements:
        groups.setdefault(element.category, []).append(element)
    return groups
