"""Index: the keys nearest to a query, out of very many.

`Index` is three methods, so that another kind of search can take the place of `ExactIndex`, which looks at every key
and is the judge of faster ones. Its file is a safetensors file with one tensor, ``keys`` [n, d], which is mapped
into memory and never loaded whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open

from lorafusion.errors import BadOption, NotWritable, UnreadableFile

NAME = "keys"
BLOCK = 8192
"""Rows that are compared at a time: 12 MB of 384 dimensions."""
_HEADER = 256
"""Bytes before the first key: the length of the header, and the header filled up with spaces."""
_UNIT = 1e-3
_ROUNDING = 2.0**-23


class Index(Protocol):
    """Unit vectors by row number, and the search for those with the greatest cosines."""

    @classmethod
    def build(cls, path: Path, blocks: Iterable[Float[np.ndarray, "_n _d"]]) -> Index:
        """Write an index of all rows of the blocks, in their order, and open it."""

    def search(
        self, queries: Float[np.ndarray, "q d"], k: int
    ) -> tuple[Float[np.ndarray, "q m"], Int[np.ndarray, "q m"]]:
        """The k best rows of each query: cosines and row numbers, the best first."""

    def __len__(self) -> int:
        """How many rows there are."""


class ExactIndex:
    """Every key is compared; the answer is that of a full sort in float64.

    The float32 product of a block with the queries only says which rows can be among the best: those within its
    rounding error of the k-th. These few are compared again in float64, one by one, so that neither blocks nor
    neighbours change a score, and rows of equal keys are in the order of their numbers.

    Args:
        path: a file that `build` wrote.

    Raises:
        UnreadableFile: missing, cut short, or not such a file.
    """

    def __init__(self, path: Path) -> None:
        shape = _shape(path)
        with path.open("rb") as file:
            offset = 8 + int.from_bytes(file.read(8), "little")
        mapped = np.memmap(path, "<f4", "r", offset, shape) if shape[0] else np.empty(shape, "<f4")
        self._keys: Float[np.ndarray, "n d"] = np.asarray(mapped)

    def __len__(self) -> int:
        return len(self._keys)

    @classmethod
    def build(cls, path: Path, blocks: Iterable[Float[np.ndarray, "_n _d"]]) -> ExactIndex:
        """Write the rows beside `path`, rename, and open: no stop leaves half an index.

        Args:
            path: replaced when it exists.
            blocks: float32 rows of length 1, all of one width; at least one block, which may be empty.

        Raises:
            BadOption: no block, blocks of several widths, or a row that is not of length 1.
            NotWritable: the file cannot be written.
        """
        beside = path.with_name(f"{path.name}.part")
        try:
            with beside.open("wb") as file:
                file.write(bytes(_HEADER))
                shape = _write(file, blocks)
                file.seek(0)
                file.write(_header(shape))
            beside.replace(path)
        except OSError as error:
            raise NotWritable(f"{path}: the index cannot be written ({error.strerror})") from error
        finally:
            beside.unlink(missing_ok=True)
        return cls(path)

    def search(
        self, queries: Float[np.ndarray, "q d"], k: int
    ) -> tuple[Float[np.ndarray, "q m"], Int[np.ndarray, "q m"]]:
        """The m = min(k, n) keys with the greatest cosines, and of equal ones the first rows.

        Args:
            queries: q vectors [q, d] of length 1, float32.
            k: how many rows for each.

        Returns:
            cosines in float64 [q, m], falling, and row numbers [q, m].

        Raises:
            BadOption: k below 1, or queries of another width than the keys.
        """
        if k < 1:
            raise BadOption(f"k is {k}; it must be at least 1")
        if queries.shape[1] != self._keys.shape[1]:
            raise BadOption(
                f"queries have {queries.shape[1]} dimensions and the keys {self._keys.shape[1]}; "
                f"use the encoder that made the keys"
            )
        most, asked = min(k, len(self)), queries.astype(np.float32)
        found = [_Survivors(most, queries.shape[1]) for _ in queries]
        for start in range(0, len(self), BLOCK):
            products = asked @ self._keys[start : start + BLOCK].T  # [q, block]
            for survivors, row in zip(found, products, strict=True):
                survivors.meet(row, start)
        ordered = [
            self._ordered(query, s.rows, most) for query, s in zip(queries, found, strict=True)
        ]
        scores = np.array([scores for scores, _ in ordered], np.float64)
        rows = np.array([rows for _, rows in ordered], np.int64)
        return scores.reshape(len(found), most), rows.reshape(len(found), most)

    def _ordered(
        self, query: Float[np.ndarray, " d"], rows: Int[np.ndarray, " s"], most: int
    ) -> tuple[Float[np.ndarray, " m"], Int[np.ndarray, " m"]]:
        """The best of the rows by their cosines in float64; the rows are given in rising order."""
        scores = (self._keys[rows].astype(np.float64) * query.astype(np.float64)).sum(1)
        order = np.argsort(-scores, kind="stable")[:most]
        return scores[order], rows[order]


class _Survivors:
    """Rows that can still be among the best of one query, in rising order."""

    def __init__(self, most: int, width: int) -> None:
        self.rows = np.zeros(0, np.int64)
        self._products = np.zeros(0, np.float32)
        self._most = most
        self._slack = 2 * width * _ROUNDING
        self._level = -np.inf

    def meet(self, products: Float[np.ndarray, " b"], start: int) -> None:
        """Take in what a block has to offer, and let go of what is now too far from the k-th."""
        near = np.flatnonzero(products >= self._level)
        if not len(near):
            return
        self.rows = np.concatenate([self.rows, near + start])
        self._products = np.concatenate([self._products, products[near]])
        if len(self.rows) > self._most:
            kth = np.partition(self._products, -self._most)[-self._most]
            self._level = float(kth) - self._slack
            kept = self._products >= self._level
            self.rows, self._products = self.rows[kept], self._products[kept]


def _write(file: BinaryIO, blocks: Iterable[Float[np.ndarray, "_n _d"]]) -> tuple[int, int]:
    """Append the rows of all blocks; answers with n and d."""
    count, width = 0, None
    for block in blocks:
        if width not in (None, block.shape[1]):
            raise BadOption(f"keys of {width} and {block.shape[1]} dimensions; give one width")
        width = block.shape[1]
        lengths = np.linalg.norm(block.astype(np.float64), axis=1)
        far = ~(np.abs(lengths - 1) <= _UNIT)  # also where it is not a number
        if far.any():
            row = count + int(np.flatnonzero(far)[0])
            raise BadOption(f"key {row} is not of length 1; divide each key by its length")
        file.write(block.astype("<f4").tobytes())
        count += len(block)
    if width is None:
        raise BadOption("no block of keys; give at least one, which may have no rows")
    return count, width


def _header(shape: tuple[int, int]) -> bytes:
    about = {"dtype": "F32", "shape": list(shape), "data_offsets": [0, 4 * shape[0] * shape[1]]}
    text = json.dumps({NAME: about}).encode().ljust(_HEADER - 8)
    return len(text).to_bytes(8, "little") + text


def _shape(path: Path) -> tuple[int, int]:
    """n and d of an index file, whose size is then known to be right."""
    try:
        with safe_open(path, "np") as file:
            names = list(file.keys())
            if names == [NAME]:
                tensor = file.get_slice(NAME)
                shape = tensor.get_shape()
                if len(shape) == 2 and tensor.get_dtype() == "F32":
                    return shape[0], shape[1]
    except (OSError, SafetensorError) as error:
        raise UnreadableFile(f"{path}: not an index of keys ({error}); build it again") from error
    raise UnreadableFile(
        f"{path}: not an index of keys (tensors {names}); expected {NAME!r} [n, d] in float32"
    )
