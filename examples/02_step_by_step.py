"""The same in three steps: route, plan, apply. Each can be printed, or edited by hand."""

import torch

import lorafusion as lf

pipe = lf.pocket.pipeline()
library = lf.Library(lf.pocket.loras())
route = lf.route("a robot with a guitar", library)
for candidate in route.candidates:
    print(f"{candidate.name:12} {candidate.score:.3f} {candidate.weight:.3f} {candidate.left_out}")

plan = lf.plan("switch", route.with_weights({"robot": 1.0, "guitar": 1.0}), steps=20, period=5)
with lf.apply(pipe, plan) as choice:
    print(choice.name, "because:", choice.why)
    image = pipe(
        route.prompt, num_inference_steps=20, generator=torch.Generator().manual_seed(7)
    ).images[0]
image.save("robot-with-guitar.png")
