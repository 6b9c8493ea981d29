"""Flux.2: joint blocks, and single ones whose attention and feed-forward share their matrices."""

from lorafusion.families.family import Family

FAMILY = Family(
    name="flux2",
    title="Flux.2",
    denoiser="transformer",
    text={},
    marks=(
        ".to_qkv_mlp_proj",
        ".attn.to_out$",
        ".ff.linear_in",
        ".ff.linear_out",
        ".ff_context.linear_",
        "_stream_modulation",
    ),
    strangers=(".proj_mlp", ".ff.net.", ".ff_context.net.", ".img_mlp.", ".txt_mlp."),
    # Of the large model; the small ones are as wide as others.
    widths=frozenset({6144}),
)
