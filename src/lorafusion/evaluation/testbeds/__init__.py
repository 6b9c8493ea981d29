"""Testbeds by name, and `open_testbed`, the one way to open one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from lorafusion.evaluation.testbeds.manifest import read_manifest
from lorafusion.evaluation.testbeds.testbed import Combination, Element, Setting, Testbed
from lorafusion.registry import Registry

__all__ = ["TESTBEDS", "Combination", "Element", "Setting", "Testbed", "open_testbed"]

_FOLDER = Path(__file__).parent

TESTBEDS: Registry[Callable[[], Testbed]] = Registry(
    "testbed",
    "lorafusion.testbeds",
    {
        "pocket": "lorafusion.evaluation.testbeds.pocket:everything",
        "pocket-480": "lorafusion.evaluation.testbeds.pocket:as_composlora",
        "pocket-named": "lorafusion.evaluation.testbeds.pocket:named",
        "pocket-crowded": "lorafusion.evaluation.testbeds.pocket:crowded",
        "pocket-crossed": "lorafusion.evaluation.testbeds.pocket:crossed",
        "composlora": "lorafusion.evaluation.testbeds:composlora",
        "lora-fusion": "lorafusion.evaluation.testbeds:lora_fusion",
    },
)

composlora = partial(read_manifest, _FOLDER / "composlora.toml")
"""The testbed of arXiv:2402.16843: 22 LoRAs, 480 sets, two base models."""
lora_fusion = partial(read_manifest, _FOLDER / "lora_fusion.toml")
"""The experiment of LoRA Fusion: the LoRAs of its Table 3, three an image, five prompts."""


def open_testbed(name: str, folder: Path = Path()) -> Testbed:
    """A testbed by name, or from the manifest at a path.

    Args:
        name: of `TESTBEDS`, or a path that ends in .toml.
        folder: where a relative path starts.

    Raises:
        UnknownName: no testbed of this name.
        InputError: as `read_manifest`.
    """
    if name.endswith(".toml"):
        return read_manifest(folder / Path(name).expanduser())
    return TESTBEDS[name]()
