"""What is kept about the keys of a large library: the same as worked out anew, or worked out anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from lorafusion.library.described import Described
from lorafusion.routing import keyring, rings
from lorafusion.routing.called import Called
from lorafusion.routing.keyring import Keyring
from lorafusion.routing.rings import MOST, Ring, kept, mark
from tests.library.fakes import CountingEncoder

LORAS = tuple(
    Described(f"lora {i}", "", text, (f"trig{i}",) if i % 2 else ())
    for i, text in enumerate(
        ["red chalk", "a wide estuary, by night", "red chalks", "", "Ünïcode ☂"]
    )
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORAFUSION_CACHE", str(tmp_path))
    return tmp_path / rings.FOLDER


def ring() -> Ring:
    return Keyring(LORAS, CountingQuick())._ring


class CountingQuick(CountingEncoder):
    """One whose keys are read in phrases."""

    quick = CountingEncoder.encode


class Worker:
    """Makes an answer, and counts how often it had to."""

    def __init__(self, answer: Ring) -> None:
        self.times, self.answer = 0, answer

    def __call__(self) -> Ring:
        self.times += 1
        return self.answer


def get(name: str, work: Callable[[], Ring]) -> Ring:
    return kept(name, work, Ring.arrays, Ring.of)


def same(one: Ring, other: Ring) -> None:
    for name in (field.name for field in fields(Ring)):
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, Called):
            assert a.words == b.words, name
            assert np.array_equal(a.starts, b.starts), name
            assert np.array_equal(a.owners, b.owners), name
        else:
            assert np.array_equal(np.array(a), np.array(b)), name


def test_what_was_worked_out_is_read_bit_for_bit() -> None:
    work = Worker(ring())
    same(get("a", work), get("a", work))
    assert work.times == 1
    get("b", work)
    assert work.times == 2


def test_what_has_no_name_is_not_stored(cache: Path) -> None:
    work = Worker(ring())
    before = set(cache.iterdir())
    for _ in range(2):
        get("", work)
    assert work.times == 2
    assert set(cache.iterdir()) == before


@pytest.mark.parametrize("damage", ["empty", "short", "other", "header", "bit"])
def test_a_damaged_file_is_made_anew(damage: str, cache: Path) -> None:
    work = Worker(ring())
    get("a", work)
    stored = cache / "a.safetensors"
    whole = stored.read_bytes()
    body = 8 + int.from_bytes(whole[:8], "little")
    texts = whole.index(b"red chalk", body)
    stored.write_bytes(
        {
            "empty": b"",
            "short": whole[:-40],
            "other": b"PK\x03\x04" * 9,
            "header": (1 << 60).to_bytes(8, "little") + whole[8:],
            "bit": whole[:texts] + b"s" + whole[texts + 1 :],
        }[damage]
    )
    same(get("a", work), work.answer)
    assert work.times == 2
    get("a", work)
    assert work.times == 2


def test_the_last_ones_are_kept_and_a_folder_that_refuses_costs_nothing(cache: Path) -> None:
    work = Worker(ring())
    for number in range(MOST + 2):
        get(str(number), work)
    assert len(list(cache.iterdir())) == MOST
    for path in cache.iterdir():
        path.unlink()
    cache.rmdir()
    cache.write_text("no folder")
    get("a", work)
    assert work.times == MOST + 3


def test_a_stored_ring_hears_what_a_new_one_hears(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = ["red chalk", "estuary", "☂", "trig1"]
    small = Keyring(LORAS, CountingQuick())
    monkeypatch.setattr(keyring, "_STORED", len(LORAS))
    stored = set(cache.iterdir())
    large = [Keyring(LORAS, CountingQuick()) for _ in range(2)]
    assert len(set(cache.iterdir()) - stored) == 1
    for one in large:
        for mine, other in zip(one.scores(spans), small.scores(spans), strict=True):
            assert np.array_equal(mine, other)
        for text in (*spans, "", "red chalks", "nothing"):
            assert one.named(text) == small.named(text), text
            assert one.quoted(text) == small.quoted(text), text
        assert one.spelling.corrected("estuery") == small.spelling.corrected("estuery") == "estuary"
    assert large[0].named("red chalk") == [0, 2]
    assert large[0].quoted("red chalk") == [0]


def test_other_texts_and_other_encoders_have_rings_of_their_own() -> None:
    names = {
        mark(encoder, told) for encoder in ("one", "two") for told in ([["a", "b"]], [["a"], ["b"]])
    }
    assert len(names) == 4
