"""Cases: which LoRAs, in which prompt, of the bundled model; each names one individual a category."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import lorafusion as lf
from lorafusion.pocket.world import INDIVIDUALS, KINDS

ORDER = ("character", "background", "clothing", "object", "style")
"""Which categories a case of n LoRAs has: the first n."""


@dataclass(frozen=True)
class Case:
    """One prompt and the LoRAs that it asks for.

    Attributes:
        names: of the LoRAs, one a category, in the order of `ORDER`.
        prompt: what is drawn.
    """

    names: tuple[str, ...]
    prompt: str


def case(names: tuple[str, ...]) -> Case:
    """The case of these individuals, called by their class words."""
    by = {INDIVIDUALS[name].category: INDIVIDUALS[name].word for name in names}
    text = by.get("character", "a scene")
    text = f"an {text}" if text[0] in "aeiou" else f"a {text}"
    if "clothing" in by:
        text += (
            f" wearing {by['clothing'] if by['clothing'] == 'glasses' else 'a ' + by['clothing']}"
        )
    if "object" in by:
        text += f" with {'an' if by['object'][0] in 'aeiou' else 'a'} {by['object']}"
    if "background" in by:
        text += f" {KINDS[by['background']].phrase}"
    if "style" in by:
        text += f", {by['style']}"
    return Case(names, text)


def cases(count: int, how_many: int, seed: int) -> list[Case]:
    """So many different cases of `count` LoRAs, drawn by a seed."""
    rng = random.Random(f"{seed} {count}")
    pools = [
        [name for name, one in INDIVIDUALS.items() if one.category == category]
        for category in ORDER[:count]
    ]
    found: dict[tuple[str, ...], Case] = {}
    for _ in range(100 * how_many):
        names = tuple(rng.choice(pool) for pool in pools)
        found.setdefault(names, case(names))
        if len(found) == how_many:
            break
    return list(found.values())


def routed(case: Case, library: lf.Library) -> lf.Route:
    """The route to just these LoRAs at weight 1, each with its class word as the phrase that asked.

    Routing is measured elsewhere; here every method is given the right LoRAs, at equal strength.
    """
    route = lf.route(case.prompt, library, router="cosine", triggers=False)
    exact = route.with_weights(dict.fromkeys(case.names, 1.0))
    phrased = (
        replace(candidate, phrase=INDIVIDUALS[candidate.name].word, score=1.0)
        if not candidate.left_out
        else candidate
        for candidate in exact.candidates
    )
    return replace(exact, candidates=tuple(phrased))
