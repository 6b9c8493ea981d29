"""Stable Diffusion 3 and 3.5: joint transformer blocks only, 1536 or (3.5 large) 2432 wide."""

from lorafusion.families.family import Family

FAMILY = Family(
    name="sd3",
    title="Stable Diffusion 3",
    denoiser="transformer",
    text={"text_encoder": 768, "text_encoder_2": 1280, "text_encoder_3": 4096},
    marks=(".attn.add_q_proj", ".attn.add_k_proj", ".attn.add_v_proj"),
    # img_mlp and txt_mlp are Qwen-Image's, single blocks Flux's, linear_in and linear_out Flux.2's.
    strangers=(
        "single_transformer_blocks.",
        ".img_mlp.",
        ".txt_mlp.",
        ".img_mod.",
        ".txt_mod.",
        ".ff.linear_",
        ".ff_context.linear_",
    ),
    widths=frozenset({1536, 2432}),
    # Flux, Flux.2 and Qwen-Image have joint blocks of the same names at these widths.
    foreign_widths=frozenset({3072, 4096, 6144}),
    claims=("sd3", "stable-diffusion-3"),
)
