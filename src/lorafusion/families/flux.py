"""Flux.1: joint transformer blocks, then single ones."""

from lorafusion.families.family import Family

FAMILY = Family(
    name="flux",
    title="Flux.1",
    denoiser="transformer",
    text={"text_encoder": 768, "text_encoder_2": 4096},
    marks=("single_transformer_blocks.",),
    # The last is Chroma's, the others Flux.2's.
    strangers=(
        ".to_qkv_mlp_proj",
        ".attn.to_out$",
        "_stream_modulation",
        ".ff.linear_",
        ".ff_context.linear_",
        "distilled_guidance_layer.",
    ),
)
