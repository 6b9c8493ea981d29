"""Added: trigger words of chosen LoRAs that a prompt lacks are put into it."""

from __future__ import annotations

import re
from dataclasses import replace

from lorafusion.plan import Route
from lorafusion.routing.phrases import STOP_WORDS
from lorafusion.routing.triggers import found, triggers_of

LEAST = 0.2
"""Weight from which on a LoRA's words are added. Below it, a LoRA takes part without being what the
picture is of: equation 1 gives each of sixteen LoRAs a sixteenth, and a prompt with the words of all
sixteen would ask for sixteen things."""
MOST = 3
"""Words of one LoRA that are added at most, its first ones: model sites list the main one first, and
then outfits, poses and other choices of which a picture has one."""

_MARKUP = re.compile(r"<[^<>]*>?")


def with_triggers(route: Route) -> Route:
    """The route with a prompt that has the trigger words of its chosen LoRAs, as `Route.added` says.

    A LoRA that was trained on "rusto robot" does little for "a robot": its text encoder and its
    attention answer to the words of its captions. Where the last words of a trigger are in the
    prompt, the others are put before them, "a rusto robot"; else the trigger follows at the end.
    Words that are there already, in whatever case, are not added again.

    Args:
        route: its sources may have `triggers`, of which the first `MOST` count.
    """
    text, ends, words = route.prompt, list[str](), list[str]()
    inside: dict[int, str] = {}
    for word in _wanted(route):
        if found(word, text):
            continue
        words.append(word)
        at, missing = _place(word, text)
        if at is None or at in inside:
            ends.append(word)
        else:
            inside[at] = missing
    for at in sorted(inside, reverse=True):
        text = f"{text[:at]}{inside[at]} {text[at:]}"
    stem = text.rstrip(", ") if ends else text
    return replace(
        route, prompt=", ".join([stem, *ends]), text=route.text, added=(*route.added, *words)
    )


def _wanted(route: Route) -> list[str]:
    """The words of all LoRAs that act, each once."""
    wanted: dict[str, None] = {}
    for one in route.chosen:
        if one.weight * max(one.strengths) >= LEAST:
            words = [plain for word in triggers_of(one.source) if (plain := _plain(word))]
            wanted |= dict.fromkeys(words[:MOST])
    return list(wanted)


def _plain(word: str) -> str:
    """A trigger without tags, which some sidecars have among their words."""
    return " ".join(_MARKUP.sub(" ", word).split()).strip(", ")


def _place(trigger: str, text: str) -> tuple[int | None, str]:
    """Where the last words of a trigger stand in a text, and the words that are missing before them."""
    words = trigger.split()
    if words[-1].casefold() in STOP_WORDS:
        return None, ""
    for count in range(1, len(words)):
        there = found(" ".join(words[count:]), text)
        if there:
            return there.start(), " ".join(words[:count])
    return None, ""
