"""Which family is a LoRA for? Read off its target paths and shapes, and its header second; never guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from lorafusion.families.family import Family
from lorafusion.lora import Delta
from lorafusion.registry import Registry

FAMILIES: Registry[Family] = Registry(
    "family",
    "lorafusion.families",
    {
        name: f"lorafusion.families.{name}:FAMILY"
        for name in (
            "sd15",
            "sd21",
            "sdxl",
            "sd3",
            "flux",
            "flux2",
            "qwen_image",
            "z_image",
            "pocket",
        )
    },
)

UNKNOWN = "unknown"

_BLOCK = re.compile(r"unet\.(down|up)_blocks\.([0-9]{1,4})\.attentions\.")
_LAYER = re.compile(r"\.transformer_blocks\.([0-9]{1,4})\.")
_TEXT = re.compile(r"(text_encoder\w*)\..*\.(?:[qkv]_proj|out_proj|fc1|SelfAttention\.[qkv])$")


def recognise(deltas: Mapping[str, Delta], claims: Sequence[str] = ()) -> str:
    """The name of the family that a LoRA was made for, or "unknown".

    A family is the answer when something speaks for it, nothing speaks against it, and no other
    family has that, or the header names it alone among those that do. A file of text encoders alone
    must hold all the encoders of its family, because the same encoder serves several.

    Args:
        deltas: target path -> Delta; only shapes are looked at.
        claims: what a header says of the base model; it never outweighs a shape.
    """
    denoisers = {path.partition(".")[0] for path in deltas} & {"unet", "transformer"}
    fitting = [
        name for name in FAMILIES if _fits(FAMILIES[name], deltas, denoisers=frozenset(denoisers))
    ]
    if len(fitting) > 1:
        fitting = [name for name in fitting if _claimed(FAMILIES[name], claims)]
    return fitting[0] if len(fitting) == 1 else UNKNOWN


def _claimed(family: Family, claims: Sequence[str]) -> bool:
    return any(mark in claim.casefold() for mark in family.claims for claim in claims)


def _fits(family: Family, deltas: Mapping[str, Delta], denoisers: frozenset[str]) -> bool:
    if denoisers - {family.denoiser}:
        return False
    if not denoisers and {path.partition(".")[0] for path in deltas} != set(family.text):
        return False
    evidence = (says for path, delta in deltas.items() for says in _evidence(family, path, delta))
    for_it = 0
    for says in evidence:
        if not says:
            return False
        for_it += 1
    return for_it > 0


def _evidence(family: Family, path: str, delta: Delta) -> Iterator[bool]:
    """True for what speaks for the family, False for what speaks against it."""
    component = path.partition(".")[0]
    if component not in family.components:
        yield False
    elif len(delta.shape) < 2:  # of a norm or bias, which say little
        return
    elif component == "unet":
        yield from _unet(family, path, delta)
    elif component == "transformer":
        yield from _transformer(family, path, delta)
    elif _TEXT.match(path):
        yield delta.shape[1] == family.text[component]


def _unet(family: Family, path: str, delta: Delta) -> Iterator[bool]:
    if path.endswith((".attn2.to_k", ".attn2.to_v")):
        yield delta.shape[1] == family.context
    block = _BLOCK.match(path)
    if not block or not family.blocks:
        return
    index = int(block[2])
    levels = family.blocks if block[1] == "down" else family.blocks[::-1]
    if index >= len(levels):
        yield False
        return
    channels, depth = levels[index]
    layer = _LAYER.search(path)
    yield depth > (int(layer[1]) if layer else 0)
    if path.endswith((".to_q", ".to_out.0", ".proj_in", ".proj_out")):
        yield delta.shape[0] == channels


def _transformer(family: Family, path: str, delta: Delta) -> Iterator[bool]:
    ended = f"{path}$"
    if any(stranger in ended for stranger in family.strangers):
        yield False
    if any(mark in ended for mark in family.marks):
        yield True
    if path.endswith(".attn.to_q"):
        if delta.shape[1] in family.foreign_widths:
            yield False
        if delta.shape[1] in family.widths:
            yield True
