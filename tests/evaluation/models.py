"""Tiny vision models with random weights, saved as transformers saves them."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTModel,
)

from lorafusion.evaluation.metrics import Shown
from lorafusion.evaluation.testbeds import Combination, Element
from tests import tiny

SIZE = 32
PROMPT = "a robot wearing a crown"


def clip(folder: Path) -> Path:
    """A CLIP of two layers a side whose text side reads 24 tokens."""
    torch.manual_seed(0)
    text = tiny.clip_config().to_dict()
    vision = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "image_size": SIZE, "patch_size": 8, "projection_dim": 32,
    }  # fmt: skip
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=32))
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


def vit(folder: Path) -> Path:
    """A vision transformer of two layers."""
    torch.manual_seed(1)
    config = ViTConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        image_size=SIZE, patch_size=8,
    )  # fmt: skip
    ViTModel(config).save_pretrained(folder)
    return folder


def letters() -> PreTrainedTokenizerFast:
    """One token a byte, and one for an image."""
    known = ["<pad>", "<s>", "</s>", "<image>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    inner = Tokenizer(BPE(vocab={token: i for i, token in enumerate(known)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=["<image>"],
    )


def seeing(folder: Path) -> Path:
    """A vision-language model of one layer a part, which says nothing sensible."""
    torch.manual_seed(3)
    small: dict[str, int] = {
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    }  # fmt: skip
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=16, patch_size=8, **small),
        text_config=LlamaConfig(
            vocab_size=260, num_key_value_heads=2, max_position_embeddings=8192,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, **small,
        ),
        image_token_id=3,
        vision_feature_layer=-1,
        image_seq_length=4,
    )  # fmt: skip
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    template = (
        "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>"
        "{% else %}{{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
    )
    LlavaProcessor(
        image_processor=CLIPImageProcessor(
            size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
        ),
        tokenizer=letters(),
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template,
    ).save_pretrained(folder)
    return folder


def image(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 256, (size[1], size[0], 3), generator=generator)
    return Image.fromarray(values.to(torch.uint8).numpy())


ROBOT = Element("robot", "robot.safetensors", "character", "a robot", ("robot", "red ears"))
CROWN = Element("crown", "crown.safetensors", "clothing", "a crown", ("crown",))


def shown(seed: int, prompt: str = PROMPT, group: str = "g") -> Shown:
    combination = Combination("robot-crown", "one", (ROBOT, CROWN), prompt)
    return Shown(f"cell-{seed}", image(seed), combination, group)
