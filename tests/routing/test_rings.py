"""What is kept about the keys of a large library: the same as worked out anew, or worked out anew."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lorafusion.routing import rings
from lorafusion.routing.rings import LEAST, MOST, Against, against

KEYS, PHRASES, LORAS = LEAST, 13, 700


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORAFUSION_CACHE", str(tmp_path))
    return tmp_path / rings.FOLDER


def parts(seed: int = 0, keys: int = KEYS) -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(keys, 4, generator=draw), torch.randn(PHRASES, 4, generator=draw)


class Worker:
    """Makes an answer, and counts how often it had to."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> Against:
        self.times += 1
        draw = torch.Generator().manual_seed(5)
        asking = torch.rand(LORAS, PHRASES, generator=draw) > 0.5
        return Against(torch.randn(KEYS, generator=draw), torch.rand(KEYS, generator=draw), asking)


def same(one: Against, other: Against) -> None:
    for name in ("mean", "deviation", "asking"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def test_what_was_worked_out_is_read_bit_for_bit() -> None:
    work = Worker()
    same(against(parts(), work), against(parts(), work))
    assert work.times == 1
    against(parts(seed=1), work)
    against((*parts(), torch.ones(1)), work)
    assert work.times == 3


def test_small_libraries_are_not_stored(cache: Path) -> None:
    work = Worker()
    for _ in range(2):
        against(parts(keys=LEAST - 1), work)
    assert work.times == 2
    assert not cache.exists()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"x" * 99])
def test_a_damaged_file_is_made_anew(damage: bytes, cache: Path) -> None:
    work = Worker()
    against(parts(), work)
    (stored,) = cache.iterdir()
    stored.write_bytes(damage or stored.read_bytes()[:-40])
    same(against(parts(), work), work())
    assert work.times == 3
    against(parts(), work)
    assert work.times == 3


def test_the_last_ones_are_kept_and_a_folder_that_refuses_costs_nothing(cache: Path) -> None:
    work = Worker()
    for seed in range(MOST + 2):
        against(parts(seed), work)
    assert len(list(cache.iterdir())) == MOST
    for path in cache.iterdir():
        path.unlink()
    cache.rmdir()
    cache.write_text("no folder")
    against(parts(), work)
    assert work.times == MOST + 3
