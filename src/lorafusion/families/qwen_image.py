"""Qwen-Image: joint transformer blocks with a feed-forward for each stream."""

from lorafusion.families.family import Family

FAMILY = Family(
    name="qwen_image",
    title="Qwen-Image",
    denoiser="transformer",
    text={},
    marks=(".img_mlp.", ".txt_mlp."),
    strangers=("single_transformer_blocks.", ".ff.", ".ff_context."),
)
