"""Format: one way to spell a LoRA as named tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from lorafusion.lora import LoRA, LowRank

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
        read: all tensors and the header -> target path -> LowRank. Raises InputError without the
            path.
        write: a LoRA -> tensors and header.
    """

    name: str
    example_keys: tuple[str, ...]
    matches: Callable[[Iterable[str]], bool]
    read: Callable[[Tensors, Metadata], dict[str, LowRank]]
    write: Callable[[LoRA], tuple[dict[str, Tensor], dict[str, str]]]
