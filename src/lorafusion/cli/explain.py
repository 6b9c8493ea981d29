"""``lorafusion explain``: which LoRAs a prompt asks for, without making an image."""

from __future__ import annotations

from typing import Annotated

import typer

from lorafusion.cli import options, show


def explain(
    prompt: Annotated[str, typer.Argument(help="What the picture should show, in words.")],
    library: options.Library = None,
    router: options.Router = "phrases",
    encoder: options.Encoder = "minilm",
    budget: options.Budget = None,
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    threshold: options.Threshold = None,
    base: options.Base = None,
    json: options.Json = False,
) -> None:
    """Show which LoRAs a prompt asks for, how strongly, and why the others were left out."""
    from lorafusion.cli import setup
    from lorafusion.routing import route as make_route

    opened = setup.open_library(library, base)
    with show.busy("Asking which LoRAs fit the prompt"):
        setup.quiet()
        # The base model is needed only where its own text encoder is to compare.
        pipe = setup.open_base(base, "auto", "auto") if encoder == "pipeline" else None
        route = make_route(
            prompt,
            opened,
            router=router,
            encoder=setup.open_encoder(encoder, pipe),
            **setup.given(budget=budget, temperature=temperature, top_k=top_k, threshold=threshold),
        )
    if json:
        show.document(show.route_document(route))
    else:
        show.weights(route, left_out=True)
