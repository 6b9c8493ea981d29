"""The name maps against the published architectures, full size, on the meta device."""

from __future__ import annotations

import pytest
import torch
from diffusers import (
    Flux2Transformer2DModel,
    QwenImageTransformer2DModel,
    ZImageTransformer2DModel,
)
from torch import nn

from lorafusion.errors import UnreadableFile
from lorafusion.families import places, recognise, words
from lorafusion.families.places import Place
from lorafusion.formats import FORMATS
from lorafusion.lora import Delta
from tests.fixtures.keys import architectures as arch


def flux() -> nn.Module:
    return arch.transformer("flux")


def sd3() -> nn.Module:
    return arch.transformer("sd3")


def sd35_medium() -> nn.Module:
    with torch.device("meta"):
        return arch.SD3Transformer2DModel(
            num_layers=2, num_attention_heads=24, caption_projection_dim=1536,
            dual_attention_layers=(0,),
        )  # fmt: skip


def flux2() -> nn.Module:
    with torch.device("meta"):
        return Flux2Transformer2DModel(num_layers=2, num_single_layers=2)


def qwen_image() -> nn.Module:
    with torch.device("meta"):
        return QwenImageTransformer2DModel(num_layers=2)


def z_image() -> nn.Module:
    with torch.device("meta"):
        return ZImageTransformer2DModel(n_layers=2)


# The original code's modules of block 0: [out, in] by its constructors, as multiples of the width.
ORIGINAL = {
    flux: (3072, {
        "double_blocks.0.img_attn.qkv": (3, 1), "double_blocks.0.img_attn.proj": (1, 1),
        "double_blocks.0.img_mlp.0": (4, 1), "double_blocks.0.img_mlp.2": (1, 4),
        "double_blocks.0.img_mod.lin": (6, 1), "double_blocks.0.txt_attn.qkv": (3, 1),
        "double_blocks.0.txt_attn.proj": (1, 1), "double_blocks.0.txt_mlp.0": (4, 1),
        "double_blocks.0.txt_mlp.2": (1, 4), "double_blocks.0.txt_mod.lin": (6, 1),
        "single_blocks.0.linear1": (7, 1), "single_blocks.0.linear2": (1, 5),
        "single_blocks.0.modulation.lin": (3, 1),
    }),
    sd35_medium: (1536, {
        "joint_blocks.0.x_block.attn.qkv": (3, 1), "joint_blocks.0.x_block.attn.proj": (1, 1),
        "joint_blocks.0.x_block.attn2.qkv": (3, 1), "joint_blocks.0.x_block.attn2.proj": (1, 1),
        "joint_blocks.0.x_block.mlp.fc1": (4, 1), "joint_blocks.0.x_block.mlp.fc2": (1, 4),
        "joint_blocks.0.context_block.attn.qkv": (3, 1),
        "joint_blocks.0.context_block.attn.proj": (1, 1),
        "joint_blocks.0.context_block.mlp.fc1": (4, 1),
        "joint_blocks.0.context_block.mlp.fc2": (1, 4),
    }),
    flux2: (6144, {
        "double_blocks.0.img_attn.qkv": (3, 1), "double_blocks.0.img_attn.proj": (1, 1),
        "double_blocks.0.img_mlp.0": (6, 1), "double_blocks.0.img_mlp.2": (1, 3),
        "double_blocks.0.txt_attn.qkv": (3, 1), "double_blocks.0.txt_attn.proj": (1, 1),
        "double_blocks.0.txt_mlp.0": (6, 1), "double_blocks.0.txt_mlp.2": (1, 3),
        "single_blocks.0.linear1": (9, 1), "single_blocks.0.linear2": (1, 4),
        "single_stream_modulation.lin": (3, 1), "double_stream_modulation_img.lin": (6, 1),
        "double_stream_modulation_txt.lin": (6, 1),
    }),
    z_image: (3840, {
        "layers.0.attention.qkv": (3, 1), "layers.0.attention.out": (1, 1),
        "noise_refiner.0.attention.qkv": (3, 1), "context_refiner.0.attention.out": (1, 1),
    }),
}  # fmt: skip

FAMILY = {flux: "flux", flux2: "flux2", sd35_medium: "sd3", z_image: "z_image"}


def read(form: str, modules: dict[str, tuple[int, ...]]) -> dict[str, Delta]:
    """Deltas of a file with all these modules, without values."""
    tensors = {}
    for name, (out, width) in modules.items():
        tensors[f"{name}.lora_down.weight"] = torch.empty(4, width, device="meta")
        tensors[f"{name}.lora_up.weight"] = torch.empty(out, 4, device="meta")
    return FORMATS[form].read(tensors, {})


@pytest.mark.parametrize("make", ORIGINAL, ids=lambda make: make.__name__)
@pytest.mark.parametrize("form", ["comfy", "kohya"])
def test_original_modules_are_layers_of_the_right_shape(make: object, form: str) -> None:
    width, table = ORIGINAL[make]
    modules = {}
    for path, (out, wide) in table.items():
        name = f"diffusion_model.{path}" if form == "comfy" else "lora_unet_" + words.joined(path)
        modules[name] = (out * width, wide * width)
    layers = arch.layers(make())
    deltas = read(form, modules)
    assert len(deltas) >= len(table)
    for target, delta in deltas.items():
        assert delta.shape == layers[target.removeprefix("transformer.")], target
    assert recognise(deltas) == FAMILY[make]


@pytest.mark.parametrize(
    "make", [flux, flux2, sd3, qwen_image, z_image], ids=lambda make: make.__name__
)
def test_joined_names_of_every_block_lead_back_to_the_layer(make: object) -> None:
    blocks = tuple(block[:-1] + "." for block in words.BLOCKS)
    layers = {p: s for p, s in arch.layers(make()).items() if p.startswith(blocks)}
    assert len(layers) > 20
    kohya = {"lora_transformer_" + words.joined(path): shape for path, shape in layers.items()}
    comfy = {"diffusion_model." + path: shape for path, shape in layers.items()}
    for deltas in (read("kohya", kohya), read("comfy", comfy)):
        found = {path.removeprefix("transformer."): d.shape for path, d in deltas.items()}
        assert found == layers


@pytest.mark.parametrize(("make", "family"), [
    (flux, "flux"), (flux2, "flux2"), (sd3, "sd3"), (sd35_medium, "sd3"), (qwen_image, "qwen_image"),
    (z_image, "z_image"),
], ids=lambda value: getattr(value, "__name__", value))  # fmt: skip
def test_a_lora_on_every_layer_is_recognised(make: object, family: str) -> None:
    blocks = tuple(block[:-1] + "." for block in words.BLOCKS)
    layers = {
        f"diffusion_model.{p}": s for p, s in arch.layers(make()).items() if p.startswith(blocks)
    }
    assert recognise(read("comfy", layers)) == family


def test_what_is_not_certain_has_no_place() -> None:
    assert places.places("final_layer.adaLN_modulation.1") == ()
    assert places.places("double_blocks.x.img_attn.qkv") == ()
    assert places.places("double_blocks_0_img_attn_proj") == ()
    assert places.places("double_blocks_0_img_attn_proj", joined=True) == (
        Place("transformer.transformer_blocks.0.attn.to_out.0"),
    )


@pytest.mark.parametrize(
    ("name", "shape", "ours"),
    [
        ("single_blocks.0.linear1", (9, 1), "single_transformer_blocks.0.attn.to_qkv_mlp_proj"),
        ("single_blocks.0.linear2", (1, 4), "single_transformer_blocks.0.attn.to_out"),
        ("double_blocks.0.txt_mlp.0", (6, 1), "transformer_blocks.0.ff_context.linear_in"),
        ("double_blocks.0.img_mlp.2", (1, 3), "transformer_blocks.0.ff.linear_out"),
    ],
)
def test_one_layer_tells_flux2_by_its_shape(name: str, shape: tuple[int, int], ours: str) -> None:
    """The two share the original names; a width of the small models too, 3072, tells nothing."""
    rows, columns = (3072 * size for size in shape)
    deltas = read("comfy", {f"diffusion_model.{name}": (rows, columns)})
    assert list(deltas) == [f"transformer.{ours}"]
    assert recognise(deltas) == "flux2"


def test_layers_of_both_are_refused() -> None:
    both = {"single_blocks.0.linear1": (9 * 64, 64), "single_blocks.0.linear2": (64, 5 * 64)}
    with pytest.raises(UnreadableFile, match=r"linear1.*Flux\.2's layer.*linear2.*has not"):
        read("comfy", {f"diffusion_model.{name}": shape for name, shape in both.items()})


def test_what_is_neither_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="cannot be shared out"):
        read("comfy", {"diffusion_model.single_blocks.0.linear1": (8 * 64 + 1, 64)})


def test_flux2_by_its_attention_alone() -> None:
    attention = {"diffusion_model.double_blocks.0.img_attn.qkv": (3 * 6144, 6144)}
    assert recognise(read("comfy", attention)) == "flux2"
