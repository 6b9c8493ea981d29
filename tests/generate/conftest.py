"""A tiny pipeline, its library, and `generate` on both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

import lorafusion as lf
from lorafusion.generate import Result
from lorafusion.routing import PipelineEncoder
from tests import tiny

STEPS = 4


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORAFUSION_CACHE", str(tmp_path_factory.mktemp("cache")))


def library_for(pipe: Any, folder: Path, names: tuple[str, ...] = ("robot", "crown")) -> lf.Library:
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(names):
        save_file(tiny.state_dict(pipe, seed=seed), folder / f"{name}.safetensors")
    return lf.Library(folder)


@pytest.fixture
def library(sd: Any, tmp_path: Path) -> lf.Library:
    return library_for(sd, tmp_path / "loras")


@pytest.fixture
def make(sd: Any, library: lf.Library) -> Callable[..., Result]:
    """`generate` with everything that makes it fast."""

    def made(prompt: str = tiny.PROMPT, **changes: Any) -> Result:
        small = {"steps": STEPS, "width": 32, "height": 32, "encoder": PipelineEncoder(sd)}
        return lf.generate(prompt, sd, library, **(small | changes))

    return made
