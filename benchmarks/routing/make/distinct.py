"""``python -m benchmarks.routing.make.distinct``: how different the 1,000 descriptions are, as minilm sees them.

Writes data/thousand-distinctness.json and fails where two LoRAs could not be told apart.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.files import write_whole
from benchmarks.routing.make.case import DATA
from benchmarks.routing.make.thousand import Thing, library
from lorafusion.library.keys import rows_of
from lorafusion.routing import encoder_of

MOST_ALIKE = 0.95
"""Two LoRAs of one head may be this alike at most."""
MOST_ALIKE_HEADS = 0.90
"""Two LoRAs of different heads may be this alike at most."""


def main() -> int:
    """Measure, write, and say with the exit code whether the library is distinct."""
    things = library()
    rows = rows_of(encoder_of("minilm").encode([thing.text for thing in things]))
    keys = torch.from_numpy(rows)
    cosines = (keys @ keys.T).fill_diagonal_(-1)
    same = torch.tensor([[a.head == b.head for b in things] for a in things])
    found: dict[str, Any] = {
        "texts": len({thing.text for thing in things}),
        "names": len({thing.name for thing in things}),
        "of one head": _nearest(cosines.masked_fill(~same, -1), things),
        "of different heads": _nearest(cosines.masked_fill(same, -1), things),
    }
    write_whole(DATA / "thousand-distinctness.json", json.dumps(found, indent=2) + "\n")
    distinct = (
        found["texts"] == found["names"] == len(things)
        and found["of one head"]["most"] <= MOST_ALIKE
        and found["of different heads"]["most"] <= MOST_ALIKE_HEADS
    )
    return 0 if distinct else 1


def _nearest(cosines: Float[Tensor, "n n"], things: list[Thing]) -> dict[str, Any]:
    best, at = cosines.max(1)
    i = int(best.argmax())
    return {
        "most": round(float(best.max()), 4),
        "median of the nearest": round(float(best.median()), 4),
        "nearest pair": [things[i].text, things[int(at[i])].text],
        "above 0.85": [
            [things[a].name, things[int(at[a])].name] for a in range(len(things)) if best[a] > 0.85
        ][:40],
    }


if __name__ == "__main__":
    sys.exit(main())
