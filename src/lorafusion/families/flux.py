"""Flux.1: joint transformer blocks, then single ones."""

from lorafusion.families.family import Family

FAMILY = Family(
    name="flux",
    title="Flux.1",
    denoiser="transformer",
    text={"text_encoder": 768, "text_encoder_2": 4096},
    marks=("single_transformer_blocks.",),
    # The first is Flux.2's, the second Chroma's.
    strangers=(".to_qkv_mlp_proj", "distilled_guidance_layer."),
)
