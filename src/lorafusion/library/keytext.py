"""Key text: the characteristic text of a LoRA, and where it is taken from.

Choi, Im and Sung, "LoRA Fusion", Mathematics 2024, 12, 3474, section 3.2: the text is written by
hand and embedded into the key K. Few people write one, so that it is looked for elsewhere too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from lorafusion.library.card import Card, first
from lorafusion.library.headers import card_of_header
from lorafusion.library.naming import words_of_name
from lorafusion.library.sidecars import read_sidecars

TextFrom: TypeAlias = Literal["user", "sidecar", "metadata", "name"]


def characterise(
    path: Path, label: str, metadata: Mapping[str, str], user: Card
) -> tuple[Card, TextFrom]:
    """What is known about a LoRA, and where its text is from.

    Each field is taken from the first source that has it, in this order: the user, a
    sidecar, the file's header, its name.

    Args:
        path: the LoRA file, for its sidecars.
        label: what the file is called.
        metadata: the file's header.
        user: what the user says.

    Raises:
        UnreadableFile: a sidecar that cannot be parsed.
    """
    sources: dict[TextFrom, Card] = {
        "user": user,
        "sidecar": read_sidecars(path),
        "metadata": card_of_header(metadata),
        "name": Card(text=words_of_name(label)),
    }
    origin = next(name for name, card in sources.items() if card.text)
    return first(sources.values()), origin
