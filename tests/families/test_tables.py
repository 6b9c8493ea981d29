"""The tables of keys: still what the architectures say, read completely, recognised."""

from __future__ import annotations

import pytest

from lorafusion.families import recognise
from lorafusion.formats import FORMATS
from tests.fixtures.keys import TABLES, architectures, make, table, tensors


def test_the_tables_are_what_make_makes() -> None:
    made = make.tables()
    assert sorted(made) == list(TABLES)
    for stem in TABLES:
        stored = table(stem)
        assert "self-made" in stored["made_by"]
        assert {k: v for k, v in stored.items() if k != "made_by"} == {
            k: v for k, v in made[stem].items() if k != "made_by"
        }


@pytest.mark.parametrize("stem", TABLES)
def test_a_table_is_read_and_recognised(stem: str) -> None:
    made = tensors(stem)
    claims = [name for name in FORMATS if FORMATS[name].matches(made)]
    assert claims == [stem.partition("_")[0]]
    deltas = FORMATS[claims[0]].read(made, {})
    assert len(deltas) == len(table(stem)["modules"])
    assert recognise(deltas) == table(stem)["family"]


def test_sdxl_targets_are_modules_of_the_right_shape() -> None:
    deltas = FORMATS["kohya"].read(tensors("kohya_sdxl"), {})
    real = {f"unet.{p}": s for p, s in architectures.layers(architectures.unet("sdxl")).items()}
    unet = {path: delta for path, delta in deltas.items() if path.startswith("unet.")}
    assert unet
    assert {path: delta.shape for path, delta in unet.items()}.items() <= real.items()
    assert all(delta.scale == 0.5 for delta in deltas.values())
