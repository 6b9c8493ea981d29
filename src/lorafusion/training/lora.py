"""Train one LoRA: from pictures and captions to a LoRA that can be written and routed.

Hu et al., "LoRA", arXiv:2106.09685, section 4.1; with prior preservation it is DreamBooth's recipe (Ruiz et al.,
arXiv:2208.12242, section 3.2) on the side paths alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from lorafusion.errors import BadOption, InputError, NotWritable, WrongBase
from lorafusion.families import recognise
from lorafusion.generate.describe import fingerprint
from lorafusion.lora import LoRA
from lorafusion.pipelines.match import denoiser_name
from lorafusion.training import checkpoint
from lorafusion.training.about import About, header
from lorafusion.training.adapters import Adapters, adapted
from lorafusion.training.checkpoint import Entry
from lorafusion.training.draw import Samples
from lorafusion.training.examples import Example, digest
from lorafusion.training.lessons import lessons
from lorafusion.training.loop import OnStep, Run, go, optimiser_of
from lorafusion.training.objective import Objective
from lorafusion.training.recipe import Recipe
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


def train_lora(
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
    """Train a LoRA, or go on with a training that was stopped; the pipeline is left as it was.

    What a step draws depends on the seed and the step alone: stopped anywhere, with `kill -9` too, a run that
    goes on ends with the same weights, bit for bit, as one that never stopped (on a CPU; some operations
    of GPUs sum in changing order).

    Args:
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
        WrongBase: the pipeline cannot be trained so.
        BadOption: a size that the pipeline cannot make, or a checkpoint of other settings.
        UnreadableFile: a broken image or checkpoint.
        RunError: the loss is no finite number any more.
        NotWritable: the work folder refuses.
    """
    _check_peft()
    size = _size(pipe, recipe)
    objective = Objective.of(pipe, recipe.snr)
    settings = {**_deciding(recipe), "pictures": digest(shown), "class pictures": digest(prior),
                "base model": fingerprint(pipe)}  # fmt: skip
    concept = lessons(pipe, shown, size)
    kept = lessons(pipe, prior, size) if prior else None
    if restart:
        forget(work)
    _make(work)
    with adapted(pipe, recipe) as adapters:
        words = Words(pipe, live=bool(recipe.text_rate))
        words.learn([*concept.captions, *(kept.captions if kept else ())])
        weights, optimiser = _named(adapters), optimiser_of(adapters, recipe)
        curve = checkpoint.restore(work / checkpoint.FILE, weights, optimiser, settings)
        begun = curve[-1].step if curve else 0
        run = Run(pipe, recipe, size, concept, kept, words, objective, weights, optimiser, curve)

        def told(done: int, most: int, loss: float) -> None:
            if on_step is not None:
                on_step(done, most, loss)
            if samples is not None:
                samples.make(pipe, done, most)

        with _lean(pipe, recipe):
            go(run, work / checkpoint.FILE, settings, told)
        deltas = adapters.deltas()
    family = recognise(deltas)
    told_of = header(about, recipe, shown, len(prior), family)
    lora = LoRA(about.name, deltas, family=family, category=about.category,
                triggers=about.triggers, metadata=told_of)  # fmt: skip
    return Trained(lora, tuple(run.curve), begun)


def forget(work: Path) -> None:
    """Remove the checkpoint of a training, and its folder where nothing else is in it."""
    (work / checkpoint.FILE).unlink(missing_ok=True)
    with suppress(OSError):
        work.rmdir()


def _deciding(recipe: Recipe) -> dict[str, object]:
    """The numbers that decide the weights: how often they are saved does not."""
    return {key: value for key, value in asdict(recipe).items() if key != "save_every"}


def _named(adapters: Adapters) -> dict[str, nn.Parameter]:
    """All that is trained, in the order of the optimiser's groups."""
    return {
        f"{component}.{name}": weight
        for component in adapters.parts
        for name, weight in adapters.parameters(component).items()
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


def _make(work: Path) -> None:
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NotWritable(
            f"{work}: cannot be made ({error.strerror}); choose a folder that is yours"
        ) from None
