"""Values and bytes: found wherever they stand, in every dtype, aligned or not."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from lorafusion import formats
from lorafusion.errors import UnreadableFile
from lorafusion.formats import container

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn]


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    made = {f"t{i}": torch.randn(3 + i, 5).to(dtype) for i, dtype in enumerate(DTYPES)}
    return made | {"whole": torch.tensor(4), "empty": torch.empty(0, 3)}


def stored(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("askew", [0, 1, 3])
def test_tensors_are_those_of_the_library(tmp_path: Path, askew: int) -> None:
    data = save(tensors())
    length = int.from_bytes(data[:8], "little")
    head = data[8 : 8 + length] + b" " * askew
    path = stored(
        tmp_path / "a.safetensors", len(head).to_bytes(8, "little") + head + data[8 + length :]
    )
    with container.opened(path) as file:
        ours, _ = file.load()
    for key, right in load(data).items():
        wide = right.half() if right.dtype == torch.float8_e4m3fn else right
        assert ours[key].dtype == wide.dtype
        assert torch.equal(ours[key], wide)


def test_tensors_that_start_at_odd_bytes_are_read(tmp_path: Path) -> None:
    head = json.dumps({
        "alpha": {"dtype": "U8", "shape": [], "data_offsets": [0, 1]},
        "t": {"dtype": "F32", "shape": [2], "data_offsets": [1, 9]},
    }).encode()  # fmt: skip
    body = b"\x05" + torch.tensor([1.5, -2.0]).numpy().tobytes()
    path = stored(tmp_path / "a.safetensors", len(head).to_bytes(8, "little") + head + body)
    with container.opened(path) as file:
        found, _ = file.load()
    assert found["alpha"].item() == 5
    assert found["t"].tolist() == [1.5, -2.0]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("key", ["t0", "t1", "t2", "t3"])
def test_a_value_that_is_no_number_is_found_and_named(
    tmp_path: Path, key: str, place: int, value: float
) -> None:
    made = tensors()
    made[key].view(-1)[place] = value
    with (
        pytest.raises(UnreadableFile, match=rf"tensor '{key}' holds NaN"),
        container.opened(stored(tmp_path / "a.safetensors", save(made))) as file,
    ):
        file.load()


def test_the_largest_numbers_are_numbers(tmp_path: Path) -> None:
    made = {f"t{i}": torch.full((2,), torch.finfo(d).min, dtype=d) for i, d in enumerate(DTYPES)}
    with container.opened(stored(tmp_path / "a.safetensors", save(made))) as file:
        assert len(file.load()[0]) == len(DTYPES)


def test_a_lora_takes_no_more_memory_than_its_file(tmp_path: Path) -> None:
    key = "unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q.lora_{}.weight"
    made = {key.format("A"): torch.randn(4, 64).half(), key.format("B"): torch.randn(64, 4).half()}
    path = stored(tmp_path / "a.safetensors", save(made))
    (delta,) = formats.read(path).deltas.values()
    storages = {
        t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in (delta.down, delta.up)
    }
    assert sum(storages.values()) <= path.stat().st_size


def test_the_hash_is_worked_out_when_somebody_asks_for_it(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.safetensors", save(tensors()))
    with container.opened(path) as file:
        _, digest = file.load()
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(b"another file by now")
    assert digest() == digest() == right
