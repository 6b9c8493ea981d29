"""What the tensors of one module do to its weight, by loops and NumPy: the judge of our readers.

Restated from the papers (arXiv:2106.09685, 2108.06098, 2309.14859, 2402.09353) and LyCORIS's code, with
nothing of this package; `tests/peers/test_lycoris.py` has LyCORIS itself as the judge.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]


def change(tensors: dict[str, Tensor], base: Array) -> Array:
    """The change of a weight `base` [out, in, *k] that the tensors (ending -> values) ask for."""
    given = {ending: tensor.double().numpy() for ending, tensor in tensors.items()}
    if "diff" in given or "w_norm" in given:
        return given.get("diff", given.get("w_norm"))
    delta = _direction(given, base.shape)
    lengths = given.get("dora_scale", given.get("lora_magnitude_vector"))
    if lengths is None:
        return delta
    turned = base + delta
    result = np.empty_like(turned)
    by_row = "lora_magnitude_vector" in given or lengths.shape[0] == base.shape[0]
    flat = lengths.reshape(-1)
    for index in range(base.shape[0] if by_row else base.shape[1]):
        piece = turned[index] if by_row else turned[:, index]
        scaled = piece * flat[index] / np.sqrt((piece**2).sum())
        if by_row:
            result[index] = scaled
        else:
            result[:, index] = scaled
    return result - base


def _direction(given: dict[str, Array], shape: tuple[int, ...]) -> Array:
    if "hada_w1_a" in given:
        one = _product(given, "hada_w1_a", "hada_w1_b", "hada_t1")
        two = _product(given, "hada_w2_a", "hada_w2_b", "hada_t2")
        return _scaled(one * two, given, given["hada_w1_b"].shape[0], shape)
    if any(key.startswith("lokr") for key in given):
        one = given.get("lokr_w1")
        if one is None:
            one = given["lokr_w1_a"] @ given["lokr_w1_b"]
        two = given.get("lokr_w2")
        if two is None:
            two = _product(given, "lokr_w2_a", "lokr_w2_b", "lokr_t2")
        rank = next((given[k].shape[0] for k in ("lokr_w2_b", "lokr_w1_b") if k in given), 0)
        return _scaled(np.kron(one, two.reshape(len(two), -1)), given, rank, shape)
    down = given.get("lora_down.weight", given.get("lora_A.weight"))
    up = given.get("lora_up.weight", given.get("lora_B.weight"))
    rank = down.shape[0]
    if "lora_mid.weight" in given:
        core = given["lora_mid.weight"]
        down = sum(
            core[:, j, None] * down[j].reshape(1, -1, *(1,) * (core.ndim - 2)) for j in range(rank)
        )
    product = sum(np.multiply.outer(up[:, r].reshape(-1), down[r].reshape(-1)) for r in range(rank))
    return _scaled(product, given, rank, shape)


def _product(given: dict[str, Array], left: str, right: str, core: str) -> Array:
    if core not in given:
        return given[left] @ given[right].reshape(len(given[right]), -1)
    made = np.einsum("ijkl,ip,jr->prkl", given[core], given[left], given[right])
    return made.reshape(len(made), -1)


def _scaled(product: Array, given: dict[str, Array], rank: int, shape: tuple[int, ...]) -> Array:
    scale = float(given["alpha"].reshape(())) / rank if rank and "alpha" in given else 1.0
    return product.reshape(shape) * scale
