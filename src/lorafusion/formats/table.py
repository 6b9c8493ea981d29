"""The formats by name, and which one a file is of."""

from __future__ import annotations

from collections.abc import Sequence

from lorafusion.errors import UnknownFormat
from lorafusion.formats.format import Format
from lorafusion.registry import Registry

FORMATS: Registry[Format] = Registry(
    "format",
    "lorafusion.formats",
    {
        "peft": "lorafusion.formats.peft:FORMAT",
        "kohya": "lorafusion.formats.kohya:FORMAT",
        "comfy": "lorafusion.formats.comfy:FORMAT",
    },
)

_OTHERS = {
    "model.diffusion_model.": "a whole checkpoint, not a LoRA; give it as the base model",
    "first_stage_model.": "a whole checkpoint, not a LoRA; give it as the base model",
    "diffusion_model.": "an unknown kind of adapter by the original code's names",
    "string_to_param": "a textual inversion, not a LoRA",
    "emb_params": "a textual inversion, not a LoRA",
}


def format_of(keys: Sequence[str]) -> Format:
    """The one format that claims a file with these keys.

    Raises:
        UnknownFormat: none does, or more than one.
    """
    claims = [FORMATS[name] for name in FORMATS if FORMATS[name].matches(keys)]
    if len(claims) == 1:
        return claims[0]
    if claims:
        names = " and ".join(claim.name for claim in claims)
        raise UnknownFormat(f"both {names} claim its keys; the file mixes two LoRAs, split it")
    first = keys[0]
    guess = next((what for start, what in _OTHERS.items() if first.startswith(start)), "")
    known = ", ".join(f"{name} ({FORMATS[name].example_keys[0]})" for name in FORMATS)
    raise UnknownFormat(
        f"no format knows its {len(keys)} keys, such as {first!r}"
        + (f": it is {guess}" if guess else f"; known are {known}; export it in one of these")
    )
