"""What stands behind a module's name in a key: which part of which kind of adapter the tensor is.

All formats share these endings; they differ in how they spell the module.

Sources: kohya-ss/sd-scripts, networks/lora.py; LyCORIS, lycoris/modules/ (locon, loha, lokr, full,
norms); peft/utils/save_and_load.py; diffusers/utils/state_dict_utils.py.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LYCORIS = (
    *(f"hada_{piece}" for piece in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")),
    *(f"lokr_{piece}" for piece in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")),
)

ROLES = {
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "lora_mid.weight": "mid",
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora_A.default.weight": "down",
    "lora_B.default.weight": "up",
    "lora.down.weight": "down",
    "lora.up.weight": "up",
    "lora_linear_layer.down.weight": "down",
    "lora_linear_layer.up.weight": "up",
    "alpha": "alpha",
    "dora_scale": "dora_scale",
    "lora_magnitude_vector": "magnitude",
    "lora_magnitude_vector.weight": "magnitude",
    "lora_magnitude_vector.default.weight": "magnitude",
    "diff": "diff",
    "w_norm": "diff",
    "diff_b": "bias",
    "b_norm": "bias",
} | {piece: piece for piece in _LYCORIS}
"""Ending -> role; the role "bias" is a full difference of the module's bias."""

_KEYS = 1 << 14
"""Keys that are remembered: files of one trainer have the same ones."""
_ENDING = re.compile(rf"(.+?)\.({'|'.join(map(re.escape, ROLES))})")


@lru_cache(maxsize=_KEYS)
def cut(key: str) -> tuple[str, str] | None:
    """(module, role) of a key, or None when it ends in nothing that is known."""
    found = _ENDING.fullmatch(key)
    return (found[1], ROLES[found[2]]) if found else None
