from __future__ import annotations

import logging
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorafusion.library.keys import rows_of
from lorafusion.library.store import KeyStore, cache_folder
from tests.library.fakes import CountingEncoder

TEXTS = ["robot", "a crown", "", "naïve ☂", "x" * 9999]


def vectors(texts: list[str] = TEXTS) -> dict[str, np.ndarray]:
    return dict(zip(texts, rows_of(CountingEncoder().encode(texts)), strict=True))


def test_what_is_written_is_read_bit_for_bit(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "deep" / "keys.sqlite")
    store.write("e", vectors())
    read = store.read("e", [*TEXTS, "another"])
    assert set(read) == set(TEXTS)
    assert all(np.array_equal(read[text], vector) for text, vector in vectors().items())


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20).filter(
        lambda v: max(map(abs, v)) > 1e-3
    )
)
def test_any_unit_vector_comes_back(tmp_path_factory: pytest.TempPathFactory, values: list) -> None:
    vector = (np.array(values) / np.linalg.norm(values)).astype(np.float32)
    store = KeyStore(tmp_path_factory.getbasetemp() / "any.sqlite")
    store.write("e", {"t": vector})
    assert np.array_equal(store.read("e", ["t"])["t"], vector)


def test_an_encoder_does_not_see_the_keys_of_another(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.sqlite")
    store.write("one", vectors())
    assert store.read("two", TEXTS) == {}


def test_a_later_vector_replaces_an_earlier_one(tmp_path: Path) -> None:
    store = KeyStore(tmp_path / "keys.sqlite")
    store.write("e", {"t": np.array([1.0, 0.0])})
    store.write("e", {"t": np.array([0.0, 1.0])})
    assert store.read("e", ["t"])["t"].tolist() == [0.0, 1.0]


def test_another_process_reads_what_this_one_wrote(tmp_path: Path) -> None:
    KeyStore(tmp_path / "keys.sqlite").write("e", {"t": np.array([0.6, 0.8])})
    code = (
        "import sys; from pathlib import Path; from lorafusion.library.store import KeyStore;"
        "store = KeyStore(Path(sys.argv[1])); found = store.read('e', ['t']);"
        "store.write('e', {'u': found['t'][::-1]})"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "keys.sqlite")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONWARNINGS": "error"})
    read = KeyStore(tmp_path / "keys.sqlite").read("e", ["t", "u"])
    assert np.array_equal(read["u"], read["t"][::-1])


def test_many_writers_of_a_new_store_lose_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each call has a connection of its own, so that threads contend as processes do."""
    path = tmp_path / "keys.sqlite"
    texts = [f"text {i}" for i in range(48)]

    def write(text: str) -> None:
        KeyStore(path).write("e", vectors([text]))

    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(8) as pool:
        list(pool.map(write, texts))
    assert caplog.messages == []
    assert set(KeyStore(path).read("e", texts)) == set(texts)


@pytest.mark.parametrize("kind", ["a folder in its place", "a file as its folder"])
def test_a_store_that_cannot_be_opened_warns_and_gives_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    path = tmp_path / "place" / "keys.sqlite"
    if kind == "a folder in its place":
        path.mkdir(parents=True)
    else:
        path.parent.touch()
    with caplog.at_level(logging.WARNING):
        KeyStore(path).write("e", vectors())
        assert KeyStore(path).read("e", TEXTS) == {}
    assert len(caplog.messages) == 2
    assert all(str(path) in line and "\n" not in line for line in caplog.messages)


def test_the_store_of_the_cache_folder_is_the_default(cache: Path) -> None:
    KeyStore().write("e", vectors())
    assert set(KeyStore(cache / "keys.sqlite").read("e", TEXTS)) == set(TEXTS)


def test_a_user_without_a_home_has_no_store(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("LORAFUSION_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    store = KeyStore()
    with caplog.at_level(logging.WARNING):
        store.write("e", vectors())
        assert store.read("e", TEXTS) == {}
    (line,) = caplog.messages
    assert "home directory" in line


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("LORAFUSION_CACHE", "~/mine")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/home/someone/mine")
    monkeypatch.delenv("LORAFUSION_CACHE")
    assert cache_folder() == Path("/xdg/lorafusion")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path("/home/someone/.cache/lorafusion")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("/home/someone/.cache/lorafusion")
