from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.errors import RunError
from lorafusion.library import Encoder, Library
from lorafusion.library.keys import key_vectors
from lorafusion.library.store import KeyStore
from tests.library.fakes import CountingEncoder, put

NAMES = ("cat", "crown", "robot")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        put(tmp_path / f"{name}.safetensors")
    return tmp_path


def asked(folder: Path, name: str = "counting@1", texts: dict[str, str] | None = None) -> list[str]:
    """The texts that a fresh encoder with this id is asked for."""
    encoder = CountingEncoder(name)
    assert isinstance(encoder, Encoder)
    Library(folder, texts=texts).keys(encoder)
    return encoder.asked


def test_keys_run_along_the_library(folder: Path) -> None:
    encoder = CountingEncoder()
    keys = Library(folder).keys(encoder)
    assert keys.dtype == np.float32
    assert np.array_equal(keys, encoder.encode(NAMES))


def test_a_key_is_computed_once(folder: Path) -> None:
    assert asked(folder) == list(NAMES)
    assert asked(folder) == []


def test_a_changed_text_is_computed_alone(folder: Path) -> None:
    asked(folder)
    changed = {"crown": "a golden crown"}
    assert asked(folder, texts=changed) == ["a golden crown"]
    assert asked(folder, texts=changed) == []
    assert asked(folder) == []


def test_another_encoder_computes_all(folder: Path) -> None:
    asked(folder)
    assert asked(folder, "counting@2") == list(NAMES)
    assert asked(folder) == []


def test_an_encoder_without_an_id_is_never_stored(folder: Path) -> None:
    assert asked(folder, "") == asked(folder, "") == list(NAMES)


def test_equal_texts_are_computed_once(folder: Path) -> None:
    assert asked(folder, texts=dict.fromkeys(NAMES, "same")) == ["same"]


def test_stored_keys_are_bit_identical(folder: Path) -> None:
    library = Library(folder)
    first = library.keys(CountingEncoder())
    assert np.array_equal(library.keys(CountingEncoder()), first)


def test_a_key_does_not_depend_on_what_else_was_missing(folder: Path) -> None:
    """Each text is asked for alone: a batch may change the last bits of its neighbours."""

    class Touchy(CountingEncoder):
        def encode(self, texts: list[str]) -> Float[Tensor, "n d"]:
            return super().encode(texts) * (1.0 if len(texts) == 1 else -1.0)

    assert np.array_equal(Library(folder).keys(Touchy()), CountingEncoder().encode(NAMES))


def test_a_corrupt_store_costs_a_warning_and_no_answer(
    folder: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = Library(folder).keys(CountingEncoder())
    for leftover in cache.iterdir():
        leftover.unlink()
    (cache / "keys.sqlite").write_bytes(b"this is not a database at all" * 99)
    with caplog.at_level(logging.WARNING):
        assert np.array_equal(Library(folder).keys(CountingEncoder()), expected)
    (line,) = caplog.messages
    assert line.startswith(str(cache / "keys.sqlite"))
    assert "file is not a database" in line
    assert "\n" not in line


@pytest.mark.parametrize("row", [b"", b"123", b"\0" * 32, b"\xff" * 32])
def test_a_damaged_row_is_computed_anew(folder: Path, cache: Path, row: bytes) -> None:
    asked(folder)
    with sqlite3.connect(cache / "keys.sqlite") as connection:
        connection.execute("UPDATE keys SET vector = ?", (row,))
    connection.close()
    assert asked(folder) == list(NAMES)
    assert asked(folder) == []


def test_a_row_of_another_width_is_computed_anew(folder: Path, cache: Path) -> None:
    expected = Library(folder).keys(CountingEncoder())
    KeyStore().write("counting@1", {"robot": np.eye(3)[0]})
    assert np.array_equal(Library(folder).keys(CountingEncoder()), expected)
    assert asked(folder) == []


@pytest.mark.parametrize(
    "answer", [torch.ones(2, 8), torch.ones(8), torch.full((1, 8), float("nan"))]
)
def test_an_encoder_that_answers_nonsense_is_named(answer: Tensor) -> None:
    class Broken:
        id = "broken@1"

        def encode(self, texts: list[str]) -> Tensor:
            return answer

    with pytest.raises(RunError, match=r"'broken@1' answered 'robot'"):
        key_vectors(["robot"], Broken(), KeyStore())
