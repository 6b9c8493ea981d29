"""Target paths as kohya's files name them, and back.

A name is the component's prefix and the module's path, all joined by underscores. SDXL's unet goes
by the original code's numbering there, every other unet by diffusers' names; transformers by the
original code's names (kohya) or by diffusers' (other trainers).

Source: kohya-ss/sd-scripts, networks/lora.py (LORA_PREFIX_UNET, LORA_PREFIX_TEXT_ENCODER and its
"1" and "2").
"""

from __future__ import annotations

from collections.abc import Iterable
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
_T5 = "lora_te3_"
_T5_WIDTH = 4096
_NAMES = 1 << 14
"""Names that are remembered: files of one family have the same ones, the largest a few thousand."""
PREFIXES = (*_COMPONENTS, _TRANSFORMER, _T5)
"""What every name begins with."""

_T5_OF = {
    "text_encoder_2": ("lora_unet_double_blocks_", "lora_unet_single_blocks_"),
    "text_encoder_3": ("lora_unet_joint_blocks_",),
}
"""Where the T5 of a file is: in Flux the second text encoder, in Stable Diffusion 3 the third."""


def t5_component(names: Iterable[str]) -> str:
    """The component that "te3" stands for in a file of these names; "" where they do not tell."""
    names = tuple(names)
    told = [c for c, starts in _T5_OF.items() if any(name.startswith(starts) for name in names)]
    return told[0] if len(told) == 1 else ""


@lru_cache(maxsize=_NAMES)
def spread(name: str, t5: str = "") -> tuple[Place, ...]:
    """The modules of ours that a kohya name stands for; empty when no known model has it.

    Args:
        name: of one module.
        t5: the component that holds T5, as `t5_component` tells.
    """
    if name.startswith(_T5):
        path = words.split(name.removeprefix(_T5), words.T5) if t5 else None
        return (Place(f"{t5}.{path}"),) if path else ()
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


@lru_cache(maxsize=_NAMES)
def twin(name: str) -> tuple[Place, ...]:
    """What a kohya name of Flux.1's stands for in Flux.2; empty where both mean the same."""
    joined = name.removeprefix("lora_unet_")
    return places.twin(joined, joined=True) if joined != name else ()


def target(name: str) -> str | None:
    """The target path of a kohya name; None when no Stable Diffusion model has it."""
    prefix = next((prefix for prefix in _COMPONENTS if name.startswith(prefix)), "")
    if not prefix:
        return None
    joined = name.removeprefix(prefix)
    original = prefix == "lora_unet_" and ldm.speaks(joined)
    path = ldm.to_diffusers(joined) if original else words.split(joined)
    return f"{_COMPONENTS[prefix]}.{path}" if path else None


def whole(target_path: str, family: Family | None) -> tuple[str, tuple[Place, ...]] | None:
    """The kohya name of the original module that holds a transformer's module, and all its places.

    Args:
        target_path: component and module path.
        family: of the LoRA.

    Returns:
        None where the original code has no such module, or is not known.
    """
    if family is None or not target_path.startswith("transformer."):
        return None
    known = places.original(target_path, family.name)
    return (f"lora_unet_{words.joined(known[0])}", known[1]) if known else None


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
    elif family is not None and component in _T5_OF and family.text.get(component) == _T5_WIDTH:
        spelled = _T5 + words.joined(path)
        return spelled if spread(spelled, component) == (Place(target_path),) else None
    else:
        prefixes = {
            "text_encoder": "lora_te1_" if two_encoders else "lora_te_",
            "text_encoder_2": "lora_te2_",
        }
        spelled = prefixes.get(component, "") + words.joined(path)
    return spelled if target(spelled) == target_path else None
