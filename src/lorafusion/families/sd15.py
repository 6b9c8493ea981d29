"""Stable Diffusion 1.x: CLIP ViT-L/14 and a unet of 860 million weights."""

from lorafusion.families.family import Family

FAMILY = Family(
    name="sd15",
    title="Stable Diffusion 1.x",
    denoiser="unet",
    text={"text_encoder": 768},
    context=768,
    blocks=((320, 1), (640, 1), (1280, 1), (1280, 0)),
    claims=("sd_v1", "stable-diffusion-v1"),
)
