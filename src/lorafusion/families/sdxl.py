"""Stable Diffusion XL base: two text encoders, ten transformer layers on the innermost level."""

from lorafusion.families.family import Family

FAMILY = Family(
    name="sdxl",
    title="Stable Diffusion XL",
    denoiser="unet",
    text={"text_encoder": 768, "text_encoder_2": 1280},
    context=2048,
    blocks=((320, 0), (640, 2), (1280, 10)),
    sgm=True,
    claims=("sdxl", "stable-diffusion-xl"),
)
