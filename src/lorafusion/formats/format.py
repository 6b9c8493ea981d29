"""Format: one way to spell a LoRA as named tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from lorafusion.errors import BadOption
from lorafusion.lora import Delta, LoRA, LowRank

Tensors = Mapping[str, Tensor]
"""Key -> tensor, as in the file."""

Metadata = Mapping[str, str]
"""The file's header, as text."""


@dataclass(frozen=True)
class Format:
    """One way to spell a LoRA as named tensors.

    Attributes:
        name: as `write` takes it.
        example_keys: a few keys of such a file, for messages and tests.
        matches: whether a file with these keys is of this format; no other format may say so too.
        read: all tensors and the header -> target path -> Delta. Raises InputError without the
            path.
        write: a LoRA -> tensors and header. Raises BadOption for what the format cannot spell.
    """

    name: str
    example_keys: tuple[str, ...]
    matches: Callable[[Iterable[str]], bool]
    read: Callable[[Tensors, Metadata], dict[str, Delta]]
    write: Callable[[LoRA], tuple[dict[str, Tensor], dict[str, str]]]


def low_ranks(lora: LoRA) -> dict[str, LowRank]:
    """The LoRA's deltas, all of low rank, as files are written.

    Raises:
        BadOption: one is of another kind.
    """
    low = {path: delta for path, delta in lora.deltas.items() if isinstance(delta, LowRank)}
    if len(low) < len(lora.deltas):
        path = next(path for path in lora.deltas if path not in low)
        raise BadOption(
            f"LoRA {lora.name!r}: {path} is a {lora.deltas[path].kind}; files are written in low rank, "
            "turn it into that first (lorafusion.lora.truncated)"
        )
    return low
