"""Key text: the characteristic text of a LoRA, and where it is taken from.

Choi, Im and Sung, "LoRA Fusion", Mathematics 2024, 12, 3474, section 3.2: the text is written by
hand and embedded into the key K. Few people write one, so that it is looked for elsewhere too. Each
field is taken from the first that has it: the user, a sidecar, the file's header, its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from lorafusion.library.card import Card, first
from lorafusion.library.headers import card_of_header
from lorafusion.library.sidecars import read_sidecars

TextFrom: TypeAlias = Literal["user", "sidecar", "metadata", "name"]


def from_files(path: Path, metadata: Mapping[str, str]) -> tuple[Card, TextFrom]:
    """What the files alone say, sidecars first; the text may be empty, and is then from "name".

    Raises:
        UnreadableFile: a sidecar that cannot be parsed.
    """
    beside, inside = read_sidecars(path), card_of_header(metadata)
    origin: TextFrom = "sidecar" if beside.text else "metadata" if inside.text else "name"
    return first((beside, inside)), origin
