"""Target paths as kohya's files name them, and back.

A name is the component's prefix and the module's path, all joined by underscores. SDXL's unet goes
by the original code's numbering there, every other unet by diffusers' names; transformers by the
original code's names (kohya) or by diffusers' (other trainers).

Source: kohya-ss/sd-scripts, networks/lora.py (LORA_PREFIX_UNET, LORA_PREFIX_TEXT_ENCODER and its
"1" and "2").
"""

from __future__ import annotations

from functools import lru_cache

from lorafusion.families import ldm, places, words
from lorafusion.families.family import Family
from lorafusion.families.places import Place

_COMPONENTS = {
    "lora_unet_": "unet",
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
}
_TRANSFORMER = "lora_transformer_"
_NAMES = 1 << 14
"""Names that are remembered: files of one family have the same ones, the largest a few thousand."""
PREFIXES = (*_COMPONENTS, _TRANSFORMER)
"""What every name begins with."""


@lru_cache(maxsize=_NAMES)
def spread(name: str) -> tuple[Place, ...]:
    """The modules of ours that a kohya name stands for; empty when no known model has it."""
    one = target(name)
    if one:
        return (Place(one),)
    prefix = next(
        (prefix for prefix in ("lora_unet_", _TRANSFORMER) if name.startswith(prefix)), ""
    )
    joined = name.removeprefix(prefix)
    if not prefix:
        return ()
    if known := places.places(joined, joined=True):
        return known
    path = words.split(joined, words.TRANSFORMER) if joined.startswith(words.BLOCKS) else None
    return (Place(f"transformer.{path}"),) if path else ()


def target(name: str) -> str | None:
    """The target path of a kohya name; None when no Stable Diffusion model has it."""
    prefix = next((prefix for prefix in _COMPONENTS if name.startswith(prefix)), "")
    if not prefix:
        return None
    joined = name.removeprefix(prefix)
    original = prefix == "lora_unet_" and ldm.speaks(joined)
    path = ldm.to_diffusers(joined) if original else words.split(joined)
    return f"{_COMPONENTS[prefix]}.{path}" if path else None


def name(target_path: str, family: Family | None, two_encoders: bool) -> str | None:
    """The kohya name of a target path, or None when no name leads back to it.

    Args:
        target_path: component and module path.
        family: of the LoRA; None when it is unknown.
        two_encoders: whether the model has a second text encoder, so that the first is "te1".
    """
    component, _, path = target_path.partition(".")
    if component == "unet":
        sgm = family is not None and family.sgm
        inside = ldm.from_diffusers(path, family) if sgm and family else words.joined(path)
        spelled = f"lora_unet_{inside}"
    else:
        prefixes = {
            "text_encoder": "lora_te1_" if two_encoders else "lora_te_",
            "text_encoder_2": "lora_te2_",
        }
        spelled = prefixes.get(component, "") + words.joined(path)
    return spelled if target(spelled) == target_path else None
