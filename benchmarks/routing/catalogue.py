"""Catalogues of described LoRAs, and prompts with known answers, as they lie in ``data/``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lorafusion.library import Catalogue
from lorafusion.library.described import Described

DATA = Path(__file__).parent / "data"
TUNING = ("tune", "second")
"""Splits on which options are chosen; the second was held out of the first version and has been seen since."""
SETS = {
    "table3": "table3",
    "table3-literal": "table3-literal",
    "nothing": "table3",
    "senses": "table3",
    "meanings": "table3",
    "dozen": "dozen",
    "composlora-triggers": "composlora",
    "composlora-sentences": "composlora",
    "thousand": "thousand",
}
"""Set -> its catalogue. `table3-literal` has the sentences of `table3`."""
ABSENT = frozenset({("meanings", "second"), ("dozen", "second")})
"""Sets that were written after the second split, and have none of it."""


@dataclass(frozen=True)
class Case:
    """A prompt and the names that it wants."""

    prompt: str
    wants: frozenset[str]


def catalogue(name: str) -> tuple[Described, ...]:
    """The LoRAs of ``data/<name>.toml``, sorted by name; new objects every time."""
    return tuple(Catalogue(DATA / f"{name}.toml"))


def cases(name: str, *splits: str) -> tuple[Case, ...]:
    """The prompts of a set in these splits: "tune", "heldout", and of the older sets "second"."""
    stem = "table3" if name == "table3-literal" else name
    paths = [DATA / f"{stem}.{split}.jsonl" for split in splits if (name, split) not in ABSENT]
    lines = [line for path in paths for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [json.loads(line) for line in lines]
    return tuple(Case(row["prompt"], frozenset(row["wants"])) for row in rows)
