"""Train the tokenizer: CLIP's byte-pair encoding, on the world's captions."""

import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from lorafusion.pocket import world
from recipes.pocket.settings import Settings

START, END, SUFFIX = "<|startoftext|>", "<|endoftext|>", "</w>"
_CAPTIONS = 20_000
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789.,;:!?'\"()-+*/#&%"


def _corpus() -> Iterator[str]:
    for seed in range(_CAPTIONS):
        yield world.caption(world.sample(seed))
    for one in world.INDIVIDUALS.values():
        for _ in range(50):
            yield f"{one.trigger} {one.word}"
    # Every character is also learned as a word of its own, so that no text is unreadable.
    for _ in range(3):
        yield " ".join(_ALPHABET)


def train(settings: Settings, work: Path) -> CLIPTokenizer:
    """Train and save to work/tokenizer.

    Args:
        settings: the recipe.
        work: folder of checkpoints.
    Returns:
        A tokenizer for which every class word and every trigger is one token.
    """
    bpe = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix=SUFFIX))
    bpe.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4_000,
        min_frequency=2,
        special_tokens=[START, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        end_of_word_suffix=SUFFIX,
        show_progress=False,
    )
    bpe.train_from_iterator(_corpus(), trainer)
    learned = json.loads(bpe.to_str())["model"]
    merges = [tuple(pair) if isinstance(pair, list) else tuple(pair.split(" ")) for pair in
              learned["merges"]]  # fmt: skip
    tokenizer = CLIPTokenizer(
        vocab=learned["vocab"], merges=merges, model_max_length=settings.length
    )
    folder = work / "tokenizer"
    tokenizer.save_pretrained(folder)
    # Older readers look for these two files.
    (folder / "vocab.json").write_text(json.dumps(learned["vocab"], ensure_ascii=False))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    return tokenizer


def load(work: Path) -> CLIPTokenizer:
    """The tokenizer saved by `train`."""
    return CLIPTokenizer.from_pretrained(work / "tokenizer")
