"""Every cell of docs/formats.md: effective changes against the oracle, in each storage type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from lorafusion import formats
from lorafusion.errors import UnreadTensors
from lorafusion.lora import LoRA, dense_on
from tests.formats import cells, oracle, page
from tests.formats.files import saved

TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn)


def judged(
    lora: LoRA, name: str, base: Tensor, targets: tuple[str, ...], right: np.ndarray
) -> None:
    """The changes of the targets, one below the other, are what the oracle says."""
    width, start = base.shape[0] // len(targets), 0
    for target in dict.fromkeys(targets):
        rows = slice(start, start := start + width * targets.count(target))
        weight = base[rows]
        delta = lora.deltas[target].fitted(tuple(weight.shape))
        for dtype, bound in ((torch.float64, 1e-6), (torch.float32, 1e-5)):
            ours = dense_on(delta, weight, dtype).double().numpy()
            error = np.linalg.norm(ours - right[rows]) / np.linalg.norm(right[rows])
            assert error <= bound, (name, target, error)


@pytest.mark.parametrize(("dialect", "family", "kind"), cells.CELLS)
def test_the_change_of_every_module_is_the_oracles(
    dialect: str, family: str, kind: str, tmp_path: Path
) -> None:
    torch.manual_seed(len(kind))
    make, _ = cells.KINDS[kind]
    dtype = TYPES[len(dialect + family + kind) % len(TYPES)]
    made = {
        name: {ending: t.to(dtype) for ending, t in make(shape).items()}
        for name, shape, _ in cells.modules(dialect, family, kind)
    }
    tensors = {f"{name}.{end}": t for name, parts in made.items() for end, t in parts.items()}
    lora = formats.read(saved(tmp_path, tensors))
    wanted = {t for *_, targets in cells.modules(dialect, family, kind) for t in targets}
    assert set(lora.deltas) == wanted
    for name, shape, targets in cells.modules(dialect, family, kind):
        base = torch.randn(shape, dtype=torch.float64)
        judged(lora, name, base, targets, oracle.change(made[name], base.numpy()))


@pytest.mark.parametrize(
    ("dialect", "family"), [cell for cell in cells.MODULES if cell[1] != cells.WITHOUT_BIASES]
)
def test_biases_go_to_the_bias(dialect: str, family: str, tmp_path: Path) -> None:
    made = {
        f"{name}.diff_b": torch.randn(shape[0]) for name, shape, _ in cells.MODULES[dialect, family]
    }
    lora = formats.read(saved(tmp_path, made))
    for name, shape, targets in cells.MODULES[dialect, family]:
        bias = torch.zeros(shape[0], dtype=torch.float64)
        right = made[f"{name}.diff_b"].double().numpy()
        judged(lora, name, bias, tuple(f"{target}.bias" for target in targets), right)


def test_lengths_of_columns_are_not_split(tmp_path: Path) -> None:
    make, _ = cells.KINDS["DoRA, columns"]
    key = "diffusion_model.double_blocks.0.img_attn.qkv"
    tensors = {f"{key}.{ending}": tensor for ending, tensor in make((24, 8)).items()}
    with pytest.raises(UnreadTensors, match="lengths of columns"):
        formats.read(saved(tmp_path, tensors))


def test_the_page_is_the_table() -> None:
    stored = (Path(__file__).parents[2] / "docs" / "formats.md").read_text()
    assert stored == page.page(), "write it again: python -m tests.formats.page"
