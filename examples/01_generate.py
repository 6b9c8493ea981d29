"""A prompt and a folder of LoRAs become one image, in one call."""

import lorafusion as lf

pipe = lf.pocket.pipeline()
library = lf.Library(lf.pocket.loras())
made = lf.generate(
    "a robot wearing a crown in a library", pipe, library, method="merge", seed=7, steps=20
)
print(made.route.weights)
made.image.resize((512, 512), resample=0).save("robot.png")
