from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lorafusion.families import FAMILIES, kohya, ldm, words
from tests.fixtures.keys import architectures as arch

VOCABULARY = (words.UNET + words.TEXT).split()


@given(st.lists(st.sampled_from(VOCABULARY) | st.integers(0, 99).map(str), min_size=1))
def test_joining_and_splitting_is_the_identity(pieces: list[str]) -> None:
    path = ".".join(pieces)
    assert words.split(words.joined(path)) == path


@pytest.mark.parametrize("kind", ["sd15", "sd21", "sdxl"])
def test_every_layer_of_a_unet_comes_back(kind: str) -> None:
    for path in arch.layers(arch.unet(kind)):
        assert kohya.target("lora_unet_" + path.replace(".", "_")) == f"unet.{path}"


@pytest.mark.parametrize(("prefix", "component"), [
    ("lora_te_", "text_encoder"), ("lora_te1_", "text_encoder"), ("lora_te2_", "text_encoder_2"),
])  # fmt: skip
def test_every_layer_of_a_text_encoder_comes_back(prefix: str, component: str) -> None:
    paths = arch.text_layers(arch.text(1280, layers=32, projection=True))
    assert "text_projection" in paths
    for path in paths:
        assert kohya.target(prefix + path.replace(".", "_")) == f"{component}.{path}"


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_the_original_numbering_names_exactly_the_layers_of_diffusers(kind: str) -> None:
    decoded = {
        kohya.target("lora_unet_" + name.replace(".", "_")): shape
        for name, shape in arch.original(kind).items()
    }
    real = {f"unet.{path}": shape for path, shape in arch.layers(arch.unet(kind)).items()}
    assert decoded == real


@pytest.mark.parametrize("kind", ["sd15", "sdxl"])
def test_the_original_numbering_can_be_written(kind: str) -> None:
    names = {name.replace(".", "_") for name in arch.original(kind)}
    paths = arch.layers(arch.unet(kind))
    assert {ldm.from_diffusers(path, FAMILIES[kind]) for path in paths} == names


@pytest.mark.parametrize("name", [
    "lora_unet_double_blocks_0_img_attn_qkv",
    "lora_unet_down_blocks_0_attentions_0_strange",
    "lora_unet_input_blocks_3_1_proj_in",
    "lora_unet_input_blocks_3_0_conv",
    "lora_unet_input_blocks_0_1_proj_in",
    "lora_unet_input_blocks_4_2_proj_in",
    "lora_unet_middle_block_3_proj_in",
    "lora_unet_middle_block_0_1_proj_in",
    "lora_unet_output_blocks_4_1_conv",
    "lora_unet_output_blocks_4_0_in_layers_7",
    "lora_unet_input_blocks_99999999_1_proj_in",
    "lora_unet_",
    "lora_te3_encoder_block_0_layer_0_SelfAttention_q",
    "unet_conv_in",
])  # fmt: skip
def test_other_names_are_no_targets(name: str) -> None:
    assert kohya.target(name) is None


@pytest.mark.parametrize("path", [
    "up_blocks.7.upsamplers.0.conv",
    "strange",
    "mid_block.attentions.3.proj_in",
    "down_blocks.0.strange.0.conv",
])  # fmt: skip
def test_what_the_original_unet_does_not_have_gets_no_name(path: str) -> None:
    assert kohya.name(f"unet.{path}", FAMILIES["sdxl"], two_encoders=True) is None


def test_a_component_that_kohya_does_not_know_gets_no_name() -> None:
    assert kohya.name("transformer.proj_in", None, two_encoders=False) is None
