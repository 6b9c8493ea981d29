"""Tags: ``<lora:name:0.8>`` in a prompt, as AUTOMATIC1111's web UI and ComfyUI's prompt nodes write it.

The grammar is that of ``extra_networks.py`` and ``extensions-builtin/Lora/extra_networks_lora.py`` of
stable-diffusion-webui: weights follow the name, first the text encoders' and then the denoiser's, or
are called ``te=`` and ``unet=``. Whatever begins like a tag is read or refused; nothing that was meant
as a tag is left for a text encoder to read. All other text, ``<3`` and ``<hypernet:x:1>`` too, stays.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from lorafusion.errors import BadOption

SIGNS = ":<>"
"""Signs that no name in a tag can have."""

_TAG = re.compile(r"<(?:lora|lyco):([^<>]*)(>?)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_CLOSING = frozenset(",.;!?)")
_FORMS = "<lora:name>, <lora:name:0.8>, <lora:name:0.5:0.8> or <lora:name:te=0.5:unet=0.8>"


@dataclass(frozen=True)
class Tag:
    """What one tag says.

    Attributes:
        name: of the LoRA, as written.
        weight: for the denoiser.
        text_weight: for the text encoders.
    """

    name: str
    weight: float = 1.0
    text_weight: float = 1.0

    def __str__(self) -> str:
        """The tag as a prompt has it; the inverse of `parsed` for a name without `SIGNS`."""
        both = [self.text_weight, self.weight]
        if self.text_weight == self.weight:
            del both[0]
        return f"<lora:{':'.join([self.name, *map(_spelled, both)])}>"


def parsed(prompt: str) -> tuple[str, tuple[Tag, ...]]:
    """The prompt without its tags, and the tags in their order.

    A prompt without tags is given back as it is. Where a tag is taken out, the space around it and a
    comma that would be left over go with it.

    Raises:
        BadOption: a prompt that is no text; a tag that is not closed, has no name, or a weight that is
            no number; a setting other than te and unet; a name that is pinned twice.
    """
    require_text("prompt", prompt)
    text, end, tags = "", 0, list[Tag]()
    for match in _TAG.finditer(prompt):
        text = _joined(text, prompt[end : match.start()]) if tags else prompt[: match.start()]
        tags.append(_tag(match))
        end = match.end()
    if not tags:
        return prompt, ()
    names = [tag.name for tag in tags]
    for name in names:
        if names.count(name) > 1:
            raise BadOption(f"the prompt pins {name!r} twice; leave one of the tags out")
    return _joined(text, prompt[end:]), tuple(tags)


def require_text(name: str, text: str) -> None:
    """Refuse what was no UTF-8 on a command line, which Python keeps as half characters.

    Args:
        name: what the text is, for the message.
        text: as given.

    Raises:
        BadOption: it holds such halves.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise BadOption(f"the {name} is {text!r}, which is not UTF-8; write it anew") from error


def without_signs(name: str) -> str:
    """How a tag writes a name that has `SIGNS` in it: without them."""
    return "".join(sign for sign in name if sign not in SIGNS)


def _tag(match: re.Match[str]) -> Tag:
    shown = " ".join(match.group().split())
    if not match[2]:
        raise BadOption(f"{shown!r} in the prompt is not closed; write {_FORMS}")
    name, *words = match[1].split(":")
    if not name:
        raise BadOption(f"{shown!r} in the prompt has no name; write {_FORMS}")
    weights: dict[str, float] = {}
    places = iter(("te", "unet"))
    for word in words:
        key, given, value = word.rpartition("=")
        key = key.strip().casefold() if given else next(places, "")
        if key not in ("te", "unet") or key in weights:
            raise BadOption(f"{shown!r} in the prompt: {word!r} cannot stand there; write {_FORMS}")
        weights[key] = _number(value, shown)
    text_weight = weights.get("te", 1.0)
    return Tag(name, weights.get("unet", text_weight), text_weight)


def _number(text: str, shown: str) -> float:
    found = _NUMBER.fullmatch(text.strip())
    if found is None or not math.isfinite(float(found.group())):
        raise BadOption(f"{shown!r} in the prompt: {text!r} is no weight; write {_FORMS}")
    return float(found.group())


def _spelled(weight: float) -> str:
    return repr(float(weight)).removesuffix(".0")


def _joined(left: str, right: str) -> str:
    """The text on both sides of a tag, with one space or comma between where there were two."""
    left, right = left.rstrip(" \t"), right.lstrip(" \t")
    if not left:
        return right.lstrip(", \t")
    if not right:
        return left.rstrip(", \t")
    if left.endswith(",") and right.startswith(","):
        right = right[1:]
    close = left.endswith("\n") or right[:1] in _CLOSING or right.startswith(("\n", " "))
    return left + right if close else f"{left} {right}"
