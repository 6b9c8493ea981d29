"""Pins: the LoRAs that a prompt names itself, in a tag, and how strong those and others are to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lorafusion.errors import BadOption, UnknownName
from lorafusion.library import Catalogue, Library
from lorafusion.library.sidecars import SUFFIX, is_lora
from lorafusion.plan import Candidate, Route, Source
from lorafusion.registry import unknown
from lorafusion.routing.tags import Tag, parsed, without_signs


def read_pins(prompt: str, library: Library | Catalogue) -> tuple[str, dict[str, Tag]]:
    """The prompt without its tags, and name in the library -> the tag that pins it.

    A tag may write a name with ``.safetensors`` behind it, and without the signs that tags cannot hold.

    Raises:
        BadOption: a tag that is malformed, or two for one LoRA.
        UnknownName: no LoRA of that name; the message offers the nearest.
        UnreadableFile, WrongBase: it was left out of the library, because it is broken or for another
            base model.
    """
    text, tags = parsed(prompt)
    pins: dict[str, Tag] = {}
    for tag in tags:
        name = _named(tag, library)
        if name in pins:
            raise BadOption(f"the prompt pins {name!r} twice; leave one of the tags out")
        pins[name] = tag
    return text, pins


def pinned(route: Route, pins: Mapping[str, Tag]) -> Route:
    """The route at the strengths that people like, with the pinned LoRAs chosen, whatever their scores.

    A pinned LoRA is one of weight 1, as asked for as can be, at the strengths of its tag. Another has
    those that its user or maker prefers, 1 where nobody said.

    Args:
        route: has a candidate for each pin.
        pins: name -> its tag, as `read_pins` returns them.

    Returns:
        the pinned ones first, in the order of their tags, then the others in theirs.
    """
    if not pins:
        return route.changed(_preferred)
    by_name = {candidate.name: candidate for candidate in route.candidates}
    first = [_pinned(by_name[name], tag) for name, tag in pins.items()]
    rest = [_preferred(one) for one in route.candidates if one.name not in pins]
    return replace(route, candidates=(*first, *rest))


def alone(text: str, entries: Sequence[Source], pins: Mapping[str, Tag]) -> Route:
    """The route of a prompt's pins with the router off: nothing else is chosen.

    Args:
        text: the prompt without its tags.
        entries: all LoRAs.
        pins: name -> its tag.
    """
    closed = (Candidate(one, 0.0, 0.0, left_out="the prompt does not pin it") for one in entries)
    return pinned(Route(text, tuple(closed), "off (pinned only)"), pins)


def _pinned(candidate: Candidate, tag: Tag) -> Candidate:
    return replace(
        candidate,
        weight=1.0,
        strength=tag.weight,
        text_strength=tag.text_weight,
        left_out="",
        pinned=True,
    )


def _preferred(candidate: Candidate) -> Candidate:
    if candidate.left_out:  # nearly all of thousands
        return candidate
    strength = getattr(candidate.source, "strength", None)
    return candidate if strength is None else replace(candidate, strength=float(strength))


def _plain(name: str) -> str:
    return " ".join(without_signs(name).split())


def _named(tag: Tag, library: Library | Catalogue) -> str:
    names = library.names
    known = set(names)
    skipped = library.skipped if isinstance(library, Library) else {}
    short = tag.name.strip()
    bare = short[: -len(SUFFIX)] if is_lora(short) else short
    for name in (tag.name, short, bare):
        if name in known:
            return name
        if name in skipped and isinstance(library, Library):
            return library[name].name  # raises, saying why it was left out
    alike = [name for name in names if _plain(name) == _plain(tag.name)]
    if len(alike) == 1:
        return alike[0]
    told = unknown("LoRA", bare, names)
    raise UnknownName(f"<lora:{' '.join(short.split())}> in the prompt: {told}")
