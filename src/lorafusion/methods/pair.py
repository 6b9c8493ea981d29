"""Which of two LoRAs is the content and which the style, for methods that are for such pairs."""

from __future__ import annotations

from collections.abc import Sequence

from lorafusion.errors import BadOption
from lorafusion.plan import Candidate


def content_and_style(method: str, chosen: Sequence[Candidate]) -> tuple[int, int]:
    """Their indices: the one of category style, else background, is the style; else the second.

    Raises:
        BadOption: there are not exactly two.
    """
    if len(chosen) != 2:
        names = ", ".join(candidate.name for candidate in chosen)
        raise BadOption(
            f"{method} is for two LoRAs, a content and a style, and {len(chosen)} are chosen ({names}); "
            "choose two, as with --top-k 2, or another method"
        )
    for category in ("style", "background"):
        found = [i for i in (0, 1) if chosen[i].source.category == category]
        if len(found) == 1:
            return 1 - found[0], found[0]
    return 0, 1
