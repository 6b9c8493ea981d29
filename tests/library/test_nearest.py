from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jaxtyping import Float
from safetensors.numpy import load_file, save_file

from lorafusion.errors import BadOption, NotWritable, UnreadableFile
from lorafusion.library import nearest as module
from lorafusion.library.nearest import ExactIndex


def units(seed: int, n: int, d: int) -> Float[np.ndarray, "n d"]:
    rows = np.random.default_rng(seed).standard_normal((n, d), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def split(keys: Float[np.ndarray, "n d"], size: int) -> list[Float[np.ndarray, "_n d"]]:
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def full_sort(
    keys: Float[np.ndarray, "n d"], query: Float[np.ndarray, " d"], k: int
) -> tuple[list[float], list[int]]:
    """All cosines in float64, sorted by falling cosine and rising row."""
    scores = (keys.astype(np.float64) * query.astype(np.float64)).sum(1)
    order = np.lexsort((np.arange(len(scores)), -scores))[:k]
    return scores[order].tolist(), order.tolist()


@given(
    st.integers(0, 2**31), st.integers(1, 90), st.integers(1, 20), st.integers(1, 12), st.booleans()
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_answers_as_a_full_sort(
    tmp_path: Path, seed: int, n: int, d: int, k: int, doubled: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 16)
        keys = units(seed, n, d)
        if doubled:
            keys[n // 2 :] = keys[: n - n // 2].copy()
        queries = units(seed + 1, 3, d)
        index = ExactIndex.build(tmp_path / "keys", split(keys, 7))
        scores, rows = index.search(queries, k)
        for i, query in enumerate(queries):
            expected, order = full_sort(keys, query, k)
            assert rows[i].tolist() == order
            assert scores[i].tolist() == pytest.approx(expected, abs=1e-12)


def test_keys_that_differ_in_the_last_bit_are_told_apart(tmp_path: Path) -> None:
    """Their float32 products are equal or the wrong way round; in float64 one of them is greater."""
    base = units(3, 1, 384)[0]
    keys = np.tile(base, (40, 1))
    for row in range(40):
        keys[row, row] = np.nextafter(keys[row, row], keys[row, row] + 1)
    expected, order = full_sort(keys, base, 40)
    scores, rows = ExactIndex.build(tmp_path / "keys", [keys]).search(base[None], 40)
    assert rows[0].tolist() == order
    assert scores[0].tolist() == pytest.approx(expected, abs=1e-15)


def test_equal_keys_are_in_the_order_of_their_rows(tmp_path: Path) -> None:
    key = units(0, 1, 384)
    index = ExactIndex.build(tmp_path / "keys", [np.tile(key, (3 * module.BLOCK // 2, 1))])
    scores, rows = index.search(key, 5)
    assert rows.tolist() == [[0, 1, 2, 3, 4]]
    assert len(set(scores[0].tolist())) == 1


def test_the_best_may_be_in_the_last_block(tmp_path: Path) -> None:
    keys = units(1, 2 * module.BLOCK + 5, 16)
    index = ExactIndex.build(tmp_path / "keys", split(keys, 1000))
    assert len(index) == len(keys)
    assert index.search(keys[-1:], 1)[1].tolist() == [[len(keys) - 1]]


def test_the_file_is_safetensors_and_opens_again(tmp_path: Path) -> None:
    keys = units(2, 30, 8)
    path = tmp_path / "keys"
    ExactIndex.build(path, [keys])
    assert np.array_equal(load_file(path)["keys"], keys)
    assert [each.name for each in tmp_path.iterdir()] == ["keys"]
    before = path.read_bytes()
    assert ExactIndex(path).search(keys[:2], 1)[1].tolist() == [[0], [1]]
    assert path.read_bytes() == before


def test_no_keys_and_more_asked_for_than_there_are(tmp_path: Path) -> None:
    empty = ExactIndex.build(tmp_path / "empty", [np.zeros((0, 4), np.float32)])
    assert len(empty) == 0
    assert [each.shape for each in empty.search(units(0, 2, 4), 3)] == [(2, 0), (2, 0)]
    two = ExactIndex.build(tmp_path / "two", [units(0, 2, 4)])
    assert two.search(units(0, 1, 4), 9)[1].tolist() == [[0, 1]]
    assert [each.shape for each in two.search(np.zeros((0, 4), np.float32), 1)] == [(0, 1), (0, 1)]


@pytest.mark.parametrize("k", [0, -1])
def test_k_out_of_its_range_is_named(tmp_path: Path, k: int) -> None:
    index = ExactIndex.build(tmp_path / "keys", [units(0, 2, 4)])
    with pytest.raises(BadOption, match=f"k is {k}"):
        index.search(units(0, 1, 4), k)


def test_another_width_is_named(tmp_path: Path) -> None:
    index = ExactIndex.build(tmp_path / "keys", [units(0, 2, 4)])
    with pytest.raises(BadOption, match="5 dimensions and the keys 4"):
        index.search(units(0, 1, 5), 1)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ([], "no block"),
        ([units(0, 2, 4), units(0, 2, 5)], "keys of 4 and 5 dimensions"),
        ([units(0, 2, 4), np.ones((1, 4), np.float32)], "key 2 is not of length 1"),
        ([np.full((1, 4), np.nan, np.float32)], "key 0 is not of length 1"),
    ],
)
def test_keys_that_cannot_be_kept(tmp_path: Path, blocks: list[np.ndarray], said: str) -> None:
    with pytest.raises(BadOption, match=said):
        ExactIndex.build(tmp_path / "keys", blocks)
    assert list(tmp_path.iterdir()) == []


def test_an_index_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    ExactIndex.build(path, [units(0, 2, 4)])
    with pytest.raises(BadOption):
        ExactIndex.build(path, [np.ones((1, 4), np.float32)])
    assert len(ExactIndex(path)) == 2


def test_files_that_are_no_index(tmp_path: Path) -> None:
    other = tmp_path / "other"
    save_file({"weight": np.zeros((2, 2), np.float32)}, other)
    cut = tmp_path / "cut"
    ExactIndex.build(cut, [units(0, 9, 4)])
    cut.write_bytes(cut.read_bytes()[:-4])
    text = tmp_path / "text"
    text.write_text("keys")
    for path in (other, cut, text, tmp_path / "missing"):
        with pytest.raises(UnreadableFile, match=f"{path}: not an index of keys"):
            ExactIndex(path)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(NotWritable, match="cannot be written"):
        ExactIndex.build(tmp_path / "no" / "keys", [units(0, 1, 4)])
