"""Pocket: the model that ships with this package."""

from lorafusion.families.family import Family

FAMILY = Family(
    name="pocket",
    title="Pocket",
    denoiser="unet",
    text={"text_encoder": 128},
    context=128,
)
