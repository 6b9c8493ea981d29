"""The body of a safetensors file: one piece of memory, tensors as views of it, and their values checked."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lorafusion.formats.header import Header
from lorafusion.spare import Bytes

NARROW = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2}
"""Dtypes of eight bits, which are widened to half precision: it holds all their numbers exactly."""
SCALARS = {
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
}
"""Dtypes that a single number, an alpha, may have."""
_WIDE = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
_EXPONENTS: Mapping[str, tuple[Any, int]] = {
    "F64": (np.uint64, 0x7FF0_0000_0000_0000),
    "F32": (np.uint32, 0x7F80_0000),
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
}
"""dtype -> unsigned integers of its size, and the exponent that only infinite values and NaN have."""
_BYTES = 1 << 18
"""Checked at a time, so that what is in between stays in the processor's cache."""


def views(header: Header, body: Bytes) -> dict[str, Tensor]:
    """Key -> tensor, in the header's order; copies only where the bytes lie askew, or are eight bits.

    Args:
        header: whose spans lie one behind the other in `body`.
        body: all bytes behind the header.
    """
    known = _WIDE | NARROW | SCALARS
    whole: dict[torch.dtype, Tensor] = {}
    found = {}
    for key, shape in header.shapes.items():
        start, stop = header.spans[key]
        name = header.dtypes[key]
        dtype = known[name]
        place, askew = divmod(start, dtype.itemsize)
        if stop == start:
            tensor = torch.empty(shape, dtype=dtype)
        elif askew:
            tensor = torch.frombuffer(body[start:stop].copy(), dtype=dtype).view(shape)
        else:
            if dtype not in whole:
                count = len(body) // dtype.itemsize
                whole[dtype] = torch.frombuffer(body, dtype=dtype, count=count)
            tensor = whole[dtype].as_strided(shape, _strides(shape), place)
        found[key] = tensor.to(torch.float16) if name in NARROW else tensor
    return found


@functools.lru_cache
def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of numbers that lie one behind the other."""
    return tuple(math.prod(shape[place + 1 :]) for place in range(len(shape)))


def not_finite(header: Header, body: Bytes) -> str:
    """The first key, in the order of the bytes, with a NaN or an infinite value; "" without any."""
    order = sorted(header.spans, key=lambda key: header.spans[key])
    start = 0
    for place, key in enumerate(order):
        name, last = header.dtypes[key], place + 1 == len(order)
        if last or header.dtypes[order[place + 1]] != name:
            stop = header.spans[key][1]
            if _any_strange(name, body, start, stop):
                return _first(header, body, order)
            start = stop
    return ""


def _widened(name: str, some: Bytes) -> Float[Tensor, " n"]:
    return torch.frombuffer(some.copy(), dtype=NARROW[name]).to(torch.float16)


def _first(header: Header, body: Bytes, order: list[str]) -> str:
    return next(key for key in order if _any_strange(header.dtypes[key], body, *header.spans[key]))


def _any_strange(name: str, body: Bytes, start: int, stop: int) -> bool:
    """Whether any of these numbers has the exponent of infinite values and NaN.

    Twice the bits forget the sign, and then the exponent is what makes a number large.
    """
    if name in NARROW:
        return any(
            not torch.isfinite(_widened(name, body[at : min(at + _BYTES, stop)])).all()
            for at in range(start, stop, _BYTES)
        )
    if name not in _EXPONENTS:
        return False
    kind, exponent = _EXPONENTS[name]
    size = np.dtype(kind).itemsize
    numbers = np.frombuffer(body, dtype=kind, count=(stop - start) // size, offset=start)
    many = _BYTES // size
    return any(
        (numbers[at : at + many] << 1).max() >= exponent << 1 for at in range(0, len(numbers), many)
    )
