"""Files that are read ahead: side by side, once, and with the errors that they have."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from lorafusion.errors import UnreadableFile
from lorafusion.generate.held import ahead
from lorafusion.lora import LoRA
from lorafusion.plan import Candidate, Route


@dataclass(frozen=True)
class Slow:
    """Is read only while all others are."""

    name: str
    together: threading.Barrier
    category: str = "object"
    path: Path = Path("a.safetensors")

    def load(self) -> LoRA:
        self.together.wait(timeout=60)
        return LoRA(self.name, {})


@dataclass(frozen=True)
class Broken(Slow):
    def load(self) -> LoRA:
        raise UnreadableFile(f"{self.name} is broken")


def test_chosen_files_are_read_side_by_side_and_once() -> None:
    together = threading.Barrier(3)
    sources = [Slow(name, together) for name in "abc"]
    left = Candidate(Slow("d", together), 0.0, 0.0, left_out="too far")
    route = ahead(Route("p", (*(Candidate(source, 1.0, 1.0) for source in sources), left)))
    loaded = [candidate.source.load() for candidate in route.chosen]
    assert [lora.name for lora in loaded] == ["a", "b", "c"]
    assert [candidate.source.load() for candidate in route.chosen] == loaded
    assert route.candidates[-1].source is left.source
    (first, *_) = route.candidates
    assert (first.name, first.source.category) == ("a", "object")
    assert getattr(first.source, "path", None) == Path("a.safetensors")


def test_what_cannot_be_read_says_so_when_it_is_asked_for() -> None:
    route = ahead(Route("p", (Candidate(Broken("b", threading.Barrier(1)), 1.0, 1.0),)))
    with pytest.raises(UnreadableFile, match="b is broken"):
        route.chosen[0].source.load()
