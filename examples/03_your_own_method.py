"""A method is a function that fills gates [S, B, L]: here, backgrounds act early and the others late."""

import torch

import lorafusion as lf
from lorafusion.plan import Plan

STEPS = 20

pipe = lf.pocket.pipeline()
route = lf.route("a robot in a library", lf.Library(lf.pocket.loras()))
chosen = route.chosen
early = torch.arange(STEPS) < STEPS // 2
gates = torch.stack(
    [early if one.source.category == "background" else ~early for one in chosen], dim=-1
)
plan = Plan.of(tuple(one.source.load() for one in chosen), gates[:, None, :].float())
with lf.apply(pipe, plan):
    image = pipe(
        route.prompt, num_inference_steps=STEPS, generator=torch.Generator().manual_seed(7)
    ).images[0]
image.save("early-and-late.png")
