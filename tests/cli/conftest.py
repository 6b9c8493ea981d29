"""A base model and a library on disk, and a way to run the command line in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

from lorafusion.cli import main
from tests import tiny

NAMES = ("crown", "library", "robot")
PROMPT = "a robot wearing a crown in a library"


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class World:
    """Options that name a tiny base model and its LoRAs."""

    base: Path
    loras: Path

    @property
    def library(self) -> list[str]:
        return ["--library", str(self.loras)]

    @property
    def options(self) -> list[str]:
        """Everything that makes `generate` fast."""
        size = ["--width", "32", "--height", "32", "--steps", "3", "--device", "cpu"]
        return [*self.library, "--base", str(self.base), "--encoder", "pipeline", *size]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    pipe = tiny.pipeline("sd")
    pipe.save_pretrained(folder / "base")
    (folder / "loras").mkdir()
    for seed, name in enumerate(NAMES):
        save_file(tiny.state_dict(pipe, seed=seed), folder / "loras" / f"{name}.safetensors")
    return World(folder / "base", folder / "loras")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key vectors of a test stay its own."""
    monkeypatch.setenv("LORAFUSION_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def lf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """``lf("generate", ...)`` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str | Path) -> Ran:
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run
