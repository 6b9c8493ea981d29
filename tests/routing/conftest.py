from __future__ import annotations

from pathlib import Path

import pytest

from lorafusion.library import Library
from tests.library.fakes import put

WORDS = "beach cat cooking crown dog forest guitar library robot scarf skateboard watercolor"
NAMES = WORDS.split()


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LORAFUSION_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve LoRAs that are called after what they show."""
    folder = tmp_path_factory.mktemp("loras")
    for name in NAMES:
        put(folder / f"{name}.safetensors")
    return folder


@pytest.fixture
def library(folder: Path) -> Library:
    return Library(folder)
