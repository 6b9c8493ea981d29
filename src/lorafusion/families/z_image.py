"""Z-Image: one stream of layers, with refiners for the noise and for the text before it."""

from lorafusion.families.family import Family

FAMILY = Family(
    name="z_image",
    title="Z-Image",
    denoiser="transformer",
    text={},
    marks=(".attention.to_", ".feed_forward.w"),
    strangers=("transformer_blocks.",),
)
