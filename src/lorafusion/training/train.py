"""Train: from pictures and captions to a LoRA that can be written and routed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from lorafusion.errors import BadOption, InputError, UnknownName, WrongBase
from lorafusion.families import recognise
from lorafusion.generate.describe import fingerprint
from lorafusion.lora import LoRA, LowRank
from lorafusion.pipelines.match import denoiser_name
from lorafusion.registry import unknown
from lorafusion.training import checkpoint
from lorafusion.training.about import About, header
from lorafusion.training.adapters import adapted
from lorafusion.training.checkpoint import Entry
from lorafusion.training.denoising import Denoising
from lorafusion.training.draw import Samples
from lorafusion.training.examples import Example, digest
from lorafusion.training.layers import Learner
from lorafusion.training.lessons import lessons
from lorafusion.training.loop import OnStep, Run, go, optimiser_of
from lorafusion.training.objective import Objective
from lorafusion.training.recipe import Recipe
from lorafusion.training.spectral import shifted
from lorafusion.training.words import Words


@dataclass(frozen=True)
class Trained:
    """A finished training.

    Attributes:
        lora: what was learned, in float16.
        curve: losses, an entry for each checkpoint.
        resumed_at: steps that an earlier run had done; 0 when there was none.
    """

    lora: LoRA
    curve: tuple[Entry, ...]
    resumed_at: int


KINDS: Mapping[str, Callable[[Any, Recipe], AbstractContextManager[Learner]]] = {
    "lora": adapted,
    "spectral": shifted,
}
"""What learns: side paths (Hu et al., "LoRA", arXiv:2106.09685, section 4.1), or shifts of the weights' singular values
(Han et al., "SVDiff", arXiv:2303.11305, section 3.1). Either is a LoRA in the end."""


def train(
    kind: str,
    pipe: Any,
    shown: Sequence[Example],
    recipe: Recipe,
    about: About,
    work: Path,
    *,
    prior: Sequence[Example] = (),
    samples: Samples | None = None,
    on_step: OnStep | None = None,
    restart: bool = False,
) -> Trained:
    """Train, or go on with a training that was stopped; the pipeline is left as it was.

    With pictures of the class it is DreamBooth's recipe (Ruiz et al., arXiv:2208.12242, section 3.2).
    What a step draws depends on the seed and the step alone: stopped anywhere, with `kill -9` too, a run that
    goes on ends with the same weights, bit for bit, as one that never stopped (on a CPU; some operations
    of GPUs sum in changing order).

    Args:
        kind: "lora" or "spectral".
        pipe: a diffusers pipeline with a unet, such as Stable Diffusion 1, 2, XL or pocket.
        shown: pictures of the concept, at least one.
        recipe: how to train.
        about: the maker's words, for the header.
        work: folder of the checkpoint, made if it is missing.
        prior: pictures of the concept's class, against forgetting it.
        samples: pictures to make on the way.
        on_step: ``on_step(done, all, loss)``.
        restart: begin anew, whatever the work folder holds.

    Raises:
        UnknownName: no such kind.
        WrongBase: the pipeline cannot be trained so.
        BadOption: a size that the pipeline cannot make, or a checkpoint of other settings.
        UnreadableFile: a broken image or checkpoint.
        RunError: the loss is no finite number any more.
        NotWritable: the work folder refuses.
    """
    if kind not in KINDS:
        raise UnknownName(unknown("kind of training", kind, list(KINDS)))
    _check_peft()
    size = _size(pipe, recipe)
    objective = Objective.of(pipe, recipe.snr)
    settings = {"kind": kind, **_deciding(recipe), "pictures": digest(shown), "class pictures": digest(prior),
                "base model": fingerprint(pipe)}  # fmt: skip
    concept = lessons(pipe, shown, size)
    kept = lessons(pipe, prior, size) if prior else None
    if restart:
        checkpoint.forget(work)
    checkpoint.make(work)
    with KINDS[kind](pipe, recipe) as learner:
        words = Words(pipe, live=bool(recipe.text_rate))
        words.learn([*concept.captions, *(kept.captions if kept else ())])
        weights, optimiser = _named(learner), optimiser_of(learner, recipe)
        curve = checkpoint.restore(work / checkpoint.FILE, weights, optimiser, settings)
        begun = curve[-1].step if curve else 0
        teaching = Denoising(pipe, recipe, size, concept, kept, words, objective)
        run = Run(recipe, teaching.loss, weights, optimiser, curve)

        def told(done: int, most: int, loss: float) -> None:
            if on_step is not None:
                on_step(done, most, loss)
            if samples is not None:
                samples.make(pipe, done, most)

        with _lean(pipe, recipe):
            go(run, work / checkpoint.FILE, settings, told)
        deltas = learner.deltas()
    family = recognise(deltas)
    told_of = {**header(about, recipe, shown, len(prior), family), **_network(kind, deltas)}
    lora = LoRA(about.name, deltas, family=family, category=about.category,
                triggers=about.triggers, metadata=told_of)  # fmt: skip
    return Trained(lora, tuple(run.curve), begun)


def _network(kind: str, deltas: Mapping[str, LowRank]) -> dict[str, str]:
    """What the header says of the matrices."""
    rank = max((delta.rank for delta in deltas.values()), default=0)
    scale = next((delta.scale for delta in deltas.values()), 1.0)
    return {
        "lorafusion.kind": kind,
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(rank * scale),
    }


def _deciding(recipe: Recipe) -> dict[str, object]:
    """The numbers that decide the weights: how often they are saved does not."""
    return {key: value for key, value in asdict(recipe).items() if key != "save_every"}


def _named(learner: Learner) -> dict[str, nn.Parameter]:
    """All that is trained, in the order of the optimiser's groups."""
    return {
        f"{component}.{name}": weight
        for component in learner.components
        for name, weight in learner.parameters(component).items()
    }


def _size(pipe: Any, recipe: Recipe) -> int:
    """Height and width of the pictures."""
    if denoiser_name(pipe) != "unet" or not hasattr(pipe, "encode_prompt"):
        raise WrongBase(
            f"{type(pipe).__name__} has no unet with text to train; "
            "expected a pipeline such as Stable Diffusion 1, 2 or XL"
        )
    factor = int(pipe.vae_scale_factor)
    size = int(recipe.size or pipe.unet.config["sample_size"] * factor)
    multiple = max(8, factor)
    if size % multiple:
        raise BadOption(
            f"size is {size}; {type(pipe).__name__} makes multiples of {multiple}, "
            f"such as {max(1, round(size / multiple)) * multiple}"
        )
    return size


@contextmanager
def _lean(pipe: Any, recipe: Recipe) -> Iterator[None]:
    """Gradient checkpointing in the unet, where the recipe asks for it."""
    if recipe.less_memory:
        pipe.unet.enable_gradient_checkpointing()
    try:
        yield
    finally:
        if recipe.less_memory:
            pipe.unet.disable_gradient_checkpointing()


def _check_peft() -> None:
    if find_spec("peft") is None:
        raise InputError(
            "training needs the package peft, which is not installed; "
            "run pip install 'lorafusion[training]'"
        )
