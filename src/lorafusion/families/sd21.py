"""Stable Diffusion 2.x: OpenCLIP ViT-H/14, otherwise the unet of 1.x."""

from lorafusion.families.family import Family

FAMILY = Family(
    name="sd21",
    title="Stable Diffusion 2.x",
    denoiser="unet",
    text={"text_encoder": 1024},
    context=1024,
    blocks=((320, 1), (640, 1), (1280, 1), (1280, 0)),
    claims=("sd_v2", "stable-diffusion-v2"),
)
