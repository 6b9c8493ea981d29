"""Tensors that no reader of this package knows: refused, with the name of what they are."""

from __future__ import annotations

from collections.abc import Sequence

from lorafusion.errors import UnreadTensors

_KINDS = {
    "oft_": "OFT",
    "boft_": "BOFT",
    "bundle_emb": "a bundled textual inversion",
    "lora_B.bias": "a LoRA with biases",
    ".a1.weight": "GLoRA",
    "final_layer": "a last layer, whose halves diffusers exchanges",
    ".reshape_weight": "a LoRA that changes the shape of a weight",
    ".set_weight": "a LoRA that replaces a weight",
    "scale_weight": "a weight of eight bits with a scale of its own",
}


def refuse(keys: Sequence[str], known: str) -> None:
    """Refuse leftovers, if there are any.

    Args:
        keys: the keys that the reader did not understand.
        known: what it would have understood.

    Raises:
        UnreadTensors: with their number, the first, and what kind of file has such keys.
    """
    if not keys:
        return
    first = next((key for key in keys if kind(key)), keys[0])
    what = kind(first)
    seen = f" ({what})" if what else ""
    raise UnreadTensors(
        f"{len(keys)} tensors are not understood, such as {first!r}{seen}; expected {known}, "
        "and a LoRA is read completely or not at all: export it as a plain LoRA"
    )


def kind(key: str) -> str:
    """What sort of file has such a key; empty when unknown."""
    return next((what for piece, what in _KINDS.items() if piece in key), "")
