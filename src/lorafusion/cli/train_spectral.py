"""``lorafusion train spectral``: shifts of the base's singular values from a folder of pictures."""

from __future__ import annotations

from lorafusion.cli import options
from lorafusion.cli import train_options as given


def spectral(
    images: given.Images,
    out: given.Out,
    prompt: given.Prompt = "",
    description: given.Description = "",
    trigger: given.Trigger = "",
    category: given.Category = "",
    class_prompt: given.ClassPrompt = None,
    class_images: given.ClassImages = 100,
    prior_weight: given.PriorWeight = None,
    steps: given.Steps = None,
    batch: given.Batch = None,
    accumulate: given.Accumulate = None,
    rate: given.ShiftRate = None,
    text_rate: given.ShiftTextRate = None,
    rank: given.Most = None,
    targets: given.Targets = None,
    size: given.Size = None,
    snr: given.Snr = None,
    precision: given.Precision = "float32",
    less_memory: given.LessMemory = False,
    seed: given.Seed = 0,
    save_every: given.SaveEvery = None,
    base: options.Base = None,
    device: options.Device = "auto",
    sample: given.Sample = None,
    work: given.Work = None,
    restart: given.Restart = False,
    format: given.Format = "kohya",  # noqa: A002  (the option's name)
    json: options.Json = False,
) -> None:
    """Train shifts of the base's singular values on a folder of images (SVDiff), written as a LoRA.

    The method svdiff adds several such files up, or interpolates them. Stopped half-way, the same command goes on
    where it was.
    """
    said = dict(locals())
    from lorafusion.cli import trainer

    trainer.learn("spectral", said)
