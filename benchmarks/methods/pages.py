"""What the documentation shows of methods: a chart each, a strip each, and the sheet of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.files import write_whole
from benchmarks.methods.cases import Case, case
from benchmarks.methods.chart import chart
from benchmarks.methods.draw import Studio
from benchmarks.methods.gates import file_of
from benchmarks.methods.sheet import sheet, small, strip
from benchmarks.provenance import ROOT
from lorafusion.formats import read_gates
from lorafusion.methods import METHODS, card_of, options_of

FOLDER = ROOT / "docs" / "methods" / "pictures"
SEED, CHART_STEPS = 4, 30
GATE_STEPS = 60
"""Of the training of mole's gates."""
SHOWN = (
    case(("robot", "beach")),
    case(("robot", "crown", "beach")),
    case(("robot", "crown", "balloon", "beach", "pixel-art")),
)
"""Two, three and five LoRAs."""


def write(studio: Studio, names: Sequence[str], work: Path) -> None:
    """Charts and strips of these methods, and the sheet of all strips that are there.

    Args:
        studio: the bundled model.
        names: of methods.
        work: folder of the gates that `mole` needs, which are trained where they are missing.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names:
        shown, given = SHOWN[0] if _pairs(name) else SHOWN[-1], dict[str, Any]()
        if "gates" in options_of(name):
            given["gates"] = read_gates(file_of(studio, SHOWN[-1], work, GATE_STEPS, 0.5))
        made = chart(studio.plan(name, shown, steps=CHART_STEPS, **given))
        write_whole(FOLDER / f"{name}.svg", made)
        _save(strip([_picture(studio, name, each, given) for each in SHOWN]), f"{name}.png")
    strips = {}
    for name in METHODS:
        if (FOLDER / f"{name}.png").is_file():
            with Image.open(FOLDER / f"{name}.png") as drawn:
                strips[name] = drawn.convert("RGB")
    _save(sheet(strips), "sheet.png")


def _picture(studio: Studio, name: str, shown: Case, given: dict[str, Any]) -> Image.Image | None:
    if _pairs(name) and len(shown.names) != 2:
        return None
    return studio.pictures(studio.plan(name, shown, **given), shown, [SEED])[0]


def _pairs(name: str) -> bool:
    card = card_of(name)
    return card is not None and card.pairs


def _save(picture: Image.Image, name: str) -> None:
    beside = FOLDER / f"{name}.part"
    small(picture).save(beside, format="PNG", optimize=True)
    beside.replace(FOLDER / name)
