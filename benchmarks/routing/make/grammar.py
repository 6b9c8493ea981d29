"""A small grammar: frames with slots, optional groups and alternatives.

    <In {place}, >{who} [stands|waits]<, {look}>.

A group in angle brackets is dropped when a slot in it is absent. `{Who}` is `{who}` with a capital.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random

_SLOT = re.compile(r"\{(\w+)\}")
_GROUP = re.compile(r"<([^<>]*)>")
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_ARTICLE = re.compile(r"^(an?|the|some|one) ", re.IGNORECASE)
_SINGULAR = frozenset({"canvas", "compass", "cactus", "octopus", "chess"})


def slots_of(frame: str) -> set[str]:
    """Names of all slots of a frame, in small letters."""
    return {name.lower() for name in _SLOT.findall(frame)}


def needed_by(frame: str) -> set[str]:
    """Names of the slots outside optional groups."""
    return slots_of(_GROUP.sub("", frame))


def fill(frame: str, words: Mapping[str, str], random: Random) -> str:
    """The sentence of a frame; every slot outside the groups must be among the words."""

    def group(match: re.Match[str]) -> str:
        return match[1] if slots_of(match[1]) <= words.keys() else ""

    def slot(match: re.Match[str]) -> str:
        word = words[match[1].lower()]
        return word if match[1].islower() else word[:1].upper() + word[1:]

    text = _CHOICE.sub(lambda match: random.choice(match[1].split("|")), _GROUP.sub(group, frame))
    text = _SLOT.sub(slot, text)
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.splitlines())
    text = "\n".join(line for line in lines if line)
    text = re.sub(r"\s+([,.;:?])", r"\1", text)
    return re.sub(r",+([,.;?])", r"\1", text)


def pick(frames: Sequence[str], words: Mapping[str, str], random: Random) -> str:
    """One of the frames that use every word, by slot or by the slot's `_tag`, and need no other.

    Raises:
        LookupError: no frame fits.
    """
    wanted = {name.removesuffix("_tag") for name in words}
    fitting = [
        frame
        for frame in frames
        if wanted <= {name.removesuffix("_tag") for name in slots_of(frame)}
        and needed_by(frame) <= words.keys()
    ]
    if not fitting:
        raise LookupError(f"no frame for the words {sorted(words)}")
    return random.choice(fitting)


def bare(phrase: str) -> str:
    """A noun phrase without its article, for prompts written as tags."""
    return _ARTICLE.sub("", phrase)


def with_article(phrase: str, head: str) -> str:
    """A noun phrase with "a" or "an", or without where its head is plural."""
    last = head.split()[-1]
    if last.endswith("s") and not last.endswith(("ss", "us")) and last not in _SINGULAR:
        return phrase
    return f"{'an' if phrase[0].lower() in 'aeiou' and not phrase.startswith(('one', 'uni')) else 'a'} {phrase}"


def with_typo(text: str, split: str, random: Random) -> str:
    """The text with one misspelt word: two letters swapped (tune), one dropped or doubled."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) > 5 and word.isalpha()]
    if not long:
        return text
    i = random.choice(long)
    word = words[i]
    at = random.randrange(2, len(word) - 2)
    if split == "tune":
        words[i] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    elif random.random() < 0.5:
        words[i] = word[:at] + word[at + 1 :]
    else:
        words[i] = word[:at] + word[at] + word[at:]
    return " ".join(words)
