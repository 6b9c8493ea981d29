"""Keys of diffusers and peft files -> target path and role, in all spellings that are certain.

Sources: diffusers/utils/state_dict_utils.py (the tables UNET_TO_DIFFUSERS, DIFFUSERS_TO_PEFT,
DIFFUSERS_OLD_TO_PEFT); peft/utils/save_and_load.py (the prefix of a bare adapter).
"""

from __future__ import annotations

import re

from lorafusion.formats import endings

COMPONENTS = ("unet", "transformer", "text_encoder", "text_encoder_2", "text_encoder_3")
BARE = "base_model.model."
"""What peft puts before the paths of a model saved by itself."""

# The oldest spelling: "attn1.processor.to_q_lora.down.weight", attributes of the attention.
_OLDEST = re.compile(r"(.+)\.to_(q|k|v|out)_lora\.(down|up)\.weight")
_OLDEST_TEXT = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "out": "out_proj"}
_OLDEST_DENOISER = {"q": "to_q", "k": "to_k", "v": "to_v", "out": "to_out.0"}

# Paths that only one component has, for files that do not name it.
_UNET = re.compile(
    r"(down_blocks|up_blocks|mid_block)\..*(attn[12]|resnets|samplers|proj_in|proj_out)"
)
_TRANSFORMER = re.compile(r"(single_)?transformer_blocks\.")


def split(key: str) -> tuple[str, str] | None:
    """(target path, role) of a key, or None when it is not certainly one of this format.

    The role is one of `endings.ROLES`.
    """
    if old := _OLDEST.fullmatch(key):
        path, letter, role = old.groups()
        names = _OLDEST_TEXT if ".self_attn" in path else _OLDEST_DENOISER
        whole = f"{path.removesuffix('.processor')}.{names[letter]}"
    elif found := endings.cut(key):
        whole, role = found[0].replace(".processor.", "."), found[1]
    else:
        return None
    target = _target(whole)
    return (target, role) if target else None


def _target(path: str) -> str | None:
    """The canonical target path: component, then the module as diffusers files spell it."""
    path = path.removeprefix(BARE)
    component, _, inside = path.partition(".")
    if component not in COMPONENTS:
        component, inside = _component(path), path
    # transformers dropped this level from the text model, but files keep it.
    if component.startswith("text_encoder") and inside.startswith("encoder.layers."):
        inside = "text_model." + inside
    return f"{component}.{inside}" if component and inside else None


def _component(path: str) -> str:
    if _UNET.match(path):
        return "unet"
    return "transformer" if _TRANSFORMER.match(path) else ""
