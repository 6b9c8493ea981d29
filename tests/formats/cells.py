"""The cells of docs/formats.md: dialect x family -> modules by hand, and kind -> tensors of a module."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Shape = tuple[int, ...]
Module = tuple[str, Shape, tuple[str, ...]]
"""Name in the file, shape of its weight (small), and our targets, rows shared out in order."""

_DOWN = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
_CONV = "down_blocks.1.resnets.0.conv1"
_NORM = "down_blocks.1.resnets.0.norm1"
_CLIP = "text_model.encoder.layers.0.self_attn.q_proj"
_BLOCK, _ONE = "transformer.transformer_blocks.3", "transformer.single_transformer_blocks.3"
_QKV = tuple(f"{_BLOCK}.attn.to_{letter}" for letter in "qkv")
_ADDED = tuple(f"{_BLOCK}.attn.add_{letter}_proj" for letter in "qkv")
_SINGLE = (*(f"{_ONE}.attn.to_{letter}" for letter in "qkv"), *(f"{_ONE}.proj_mlp",) * 4)
_Z = "layers.3.attention"
_UNDERSCORES = str.maketrans(".", "_")


def _joined(prefix: str, path: str, target: str, shape: Shape) -> Module:
    return (prefix + path.translate(_UNDERSCORES), shape, (target,))


def _unet(prefix: str, path: str = "{}", joined: bool = False) -> list[Module]:
    old = {_DOWN: "input_blocks.4.1.transformer_blocks.0.attn1.to_q",
           _CONV: "input_blocks.4.0.in_layers.2", _NORM: "input_blocks.4.0.in_layers.0"}  # fmt: skip
    shapes: dict[str, Shape] = {_DOWN: (12, 8), _CONV: (12, 8, 3, 3), _NORM: (12,)}
    rows = []
    for ours, shape in shapes.items():
        name = path.format(ours if prefix.endswith("#") else old[ours])
        name = name.translate(_UNDERSCORES) if joined else name
        rows.append((prefix.rstrip("#") + name, shape, (f"unet.{ours}",)))
    return rows


_FLUX: dict[str, tuple[Shape, tuple[str, ...]]] = {
    "double_blocks.3.img_attn.qkv": ((24, 8), _QKV),
    "double_blocks.3.txt_attn.qkv": ((24, 8), _ADDED),
    "double_blocks.3.img_mlp.0": ((32, 8), (f"{_BLOCK}.ff.net.0.proj",)),
    "single_blocks.3.linear1": ((56, 8), _SINGLE),
    "single_blocks.3.linear2": ((8, 40), (f"{_ONE}.proj_out",)),
}
_FLUX2: dict[str, tuple[Shape, tuple[str, ...]]] = {
    "double_blocks.3.img_attn.qkv": ((24, 8), _QKV),
    "double_blocks.3.img_mlp.0": ((48, 8), (f"{_BLOCK}.ff.linear_in",)),
    "double_blocks.3.txt_mlp.2": ((8, 24), (f"{_BLOCK}.ff_context.linear_out",)),
    "single_blocks.3.linear1": ((72, 8), (f"{_ONE}.attn.to_qkv_mlp_proj",)),
    "single_blocks.3.linear2": ((8, 32), (f"{_ONE}.attn.to_out",)),
    "single_stream_modulation.lin": ((24, 8), ("transformer.single_stream_modulation.linear",)),
}
_SD3: dict[str, tuple[Shape, tuple[str, ...]]] = {
    "joint_blocks.3.x_block.attn.qkv": ((24, 8), _QKV),
    "joint_blocks.3.context_block.attn.qkv": ((24, 8), _ADDED),
    "joint_blocks.3.context_block.attn.proj": ((8, 8), (f"{_BLOCK}.attn.to_add_out",)),
    "joint_blocks.3.x_block.mlp.fc1": ((32, 8), (f"{_BLOCK}.ff.net.0.proj",)),
}
_IMAGE: dict[str, tuple[Shape, tuple[str, ...]]] = {
    "transformer_blocks.3.attn.to_q": ((8, 8), (f"{_BLOCK}.attn.to_q",)),
    "transformer_blocks.3.img_mlp.net.0.proj": ((32, 8), (f"{_BLOCK}.img_mlp.net.0.proj",)),
}
_ZED: dict[str, tuple[Shape, tuple[str, ...]]] = {
    f"{_Z}.qkv": ((24, 8), tuple(f"transformer.{_Z}.to_{letter}" for letter in "qkv")),
    "layers.3.feed_forward.w1": ((32, 8), ("transformer.layers.3.feed_forward.w1",)),
}
_ORIGINALS = {"flux": _FLUX, "flux2": _FLUX2, "sd3": _SD3, "qwen_image": _IMAGE, "z_image": _ZED}


_UNETS = {
    "sd15": "text_encoder",
    "sd21": "text_encoder",
    "sdxl": "text_encoder_2",
    "pocket": "text_encoder",
}
"""Families with a unet, and one of their text encoders."""


def _original(prefix: str, table: dict[str, tuple[Shape, tuple[str, ...]]]) -> list[Module]:
    joined = prefix.endswith("_")
    return [
        (prefix + (name.translate(_UNDERSCORES) if joined else name), shape, targets)
        for name, (shape, targets) in table.items()
    ]


def _diffusers(table: dict[str, tuple[Shape, tuple[str, ...]]]) -> list[Module]:
    paths = dict.fromkeys(target for _, targets in table.values() for target in targets)
    return [(path, (8, 8), (path,)) for path in paths]


WITHOUT_BIASES = "flux2"
"""Whose layers have none, so that no file can change them."""

MODULES: dict[tuple[str, str], list[Module]] = {
    **{("peft", family): [
        *((f"unet.{n}", s, (f"unet.{n}",)) for n, s in ((_DOWN, (12, 8)), (_CONV, (12, 8, 3, 3)),
                                                       (_NORM, (12,)))),
        (f"{text}.{_CLIP}", (8, 8), (f"{text}.{_CLIP}",)),
    ] for family, text in _UNETS.items()},
    **{("peft", family): _diffusers(table) for family, table in _ORIGINALS.items()},
    **{("kohya", family): [
        *_unet("lora_unet_#", joined=True),
        _joined("lora_te_", _CLIP, f"text_encoder.{_CLIP}", (8, 8)),
    ] for family in _UNETS if family != "sdxl"},
    ("kohya", "sdxl"): [
        *_unet("lora_unet_", joined=True),
        _joined("lora_te2_", _CLIP, f"text_encoder_2.{_CLIP}", (8, 8)),
    ],
    **{("kohya", family): _original("lora_unet_", table) for family, table in _ORIGINALS.items()},
    **{("comfy", family): _unet("diffusion_model.") for family in _UNETS if family != "pocket"},
    **{("comfy", f): _original("diffusion_model.", table) for f, table in _ORIGINALS.items()},
    ("bfl", "flux"): _original("", _FLUX),
    ("bfl", "flux2"): _original("", _FLUX2),
}  # fmt: skip
"""(dialect, family) -> modules; bfl is read by the format comfy, whose names it shares."""


def _draw(*shape: int) -> Tensor:
    return torch.randn(*shape)


def _pair(
    shape: Shape, a: str = "lora_down.weight", b: str = "lora_up.weight"
) -> dict[str, Tensor]:
    tail = (1,) * (len(shape) - 2)
    return {a: _draw(2, *shape[1:]), b: _draw(shape[0], 2, *tail), "alpha": torch.tensor(3.0)}


def _plain(shape: Shape) -> dict[str, Tensor]:
    return _pair(shape)


def _ab(shape: Shape) -> dict[str, Tensor]:
    return {k: v for k, v in _pair(shape, "lora_A.weight", "lora_B.weight").items() if k != "alpha"}


def _tucker(shape: Shape) -> dict[str, Tensor]:
    pair = _pair((shape[0], shape[1], 1, 1))
    return pair | {"lora_mid.weight": _draw(2, 2, *shape[2:])}


def _loha(shape: Shape) -> dict[str, Tensor]:
    columns = int(torch.Size(shape[1:]).numel())
    sides = {"a": (shape[0], 3), "b": (3, columns)}
    made = {f"hada_w{n}_{side}": _draw(*size) for n in "12" for side, size in sides.items()}
    return made | {"alpha": torch.tensor(2.0)}


def _loha_tucker(shape: Shape) -> dict[str, Tensor]:
    made = {"alpha": torch.tensor(2.0)}
    for n in "12":
        made |= {f"hada_t{n}": _draw(3, 3, *shape[2:]), f"hada_w{n}_a": _draw(3, shape[0]),
                 f"hada_w{n}_b": _draw(3, shape[1])}  # fmt: skip
    return made


def _lokr(shape: Shape) -> dict[str, Tensor]:
    return {
        "lokr_w1": _draw(2, 2),
        "lokr_w2_a": _draw(shape[0] // 2, 3),
        "lokr_w2_b": _draw(3, shape[1] // 2, *shape[2:]),
        "alpha": torch.tensor(2.0),
    }


def _lokr_both(shape: Shape) -> dict[str, Tensor]:
    made = _lokr(shape)
    del made["lokr_w1"]
    return made | {"lokr_w1_a": _draw(2, 3), "lokr_w1_b": _draw(3, 2)}


def _lokr_whole(shape: Shape) -> dict[str, Tensor]:
    second = _draw(shape[0] // 2, shape[1] // 2, *shape[2:])
    return {"lokr_w1": _draw(2, 2), "lokr_w2": second, "alpha": torch.tensor(8.0)}


def _lokr_tucker(shape: Shape) -> dict[str, Tensor]:
    return {
        "lokr_w1": _draw(2, 2),
        "lokr_t2": _draw(3, 3, *shape[2:]),
        "lokr_w2_a": _draw(3, shape[0] // 2),
        "lokr_w2_b": _draw(3, shape[1] // 2),
        "alpha": torch.tensor(2.0),
    }


def _dora_rows(shape: Shape) -> dict[str, Tensor]:
    ones = (1,) * (len(shape) - 1)
    return _pair(shape) | {"dora_scale": _draw(shape[0], *ones).abs()}


def _dora_columns(shape: Shape) -> dict[str, Tensor]:
    ones = (1,) * (len(shape) - 2)
    return _pair(shape) | {"dora_scale": _draw(1, shape[1], *ones).abs()}


def _dora_peft(shape: Shape) -> dict[str, Tensor]:
    return _ab(shape) | {"lora_magnitude_vector": _draw(shape[0]).abs()}


def _dora_loha(shape: Shape) -> dict[str, Tensor]:
    return _loha(shape) | {"dora_scale": _draw(shape[0], *(1,) * (len(shape) - 1)).abs()}


def _full(shape: Shape) -> dict[str, Tensor]:
    return {"diff": _draw(*shape)}


def _norm(shape: Shape) -> dict[str, Tensor]:
    return {"w_norm": _draw(*shape)}


KINDS: dict[str, tuple[Callable[[Shape], dict[str, Tensor]], frozenset[int]]] = {
    "LoRA, LoCon": (_plain, frozenset({2, 4})),
    "LoRA (lora_A)": (_ab, frozenset({2, 4})),
    "Tucker LoCon": (_tucker, frozenset({4})),
    "LoHa": (_loha, frozenset({2, 4})),
    "LoHa, Tucker": (_loha_tucker, frozenset({4})),
    "LoKr": (_lokr, frozenset({2, 4})),
    "LoKr, both decomposed": (_lokr_both, frozenset({2, 4})),
    "LoKr, whole": (_lokr_whole, frozenset({2, 4})),
    "LoKr, Tucker": (_lokr_tucker, frozenset({4})),
    "DoRA, rows": (_dora_rows, frozenset({2, 4})),
    "DoRA, columns": (_dora_columns, frozenset({2, 4})),
    "DoRA of peft": (_dora_peft, frozenset({2, 4})),
    "DoRA on LoHa": (_dora_loha, frozenset({2, 4})),
    "full difference": (_full, frozenset({1, 2, 4})),
    "norms": (_norm, frozenset({1})),
}
"""Kind -> how to draw a module's tensors, and of weights with how many dimensions."""


def modules(dialect: str, family: str, kind: str) -> list[Module]:
    """The modules of a cell: of the kind's dimensions, and whole where it cannot be split."""
    _, dimensions = KINDS[kind]
    splits = kind != "DoRA, columns"
    return [
        module
        for module in MODULES[dialect, family]
        if len(module[1]) in dimensions and (splits or len(set(module[2])) == 1)
    ]


CELLS = [
    (dialect, family, kind)
    for dialect, family in MODULES
    for kind in KINDS
    if modules(dialect, family, kind)
]
"""Every cell of the table; the test draws its tensors, reads them and asks the oracle."""
