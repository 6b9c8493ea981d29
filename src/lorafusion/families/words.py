"""Module paths joined by underscores, as kohya's files spell them, and back.

``down_blocks_0_attentions_0_proj_in`` is ``down_blocks.0.attentions.0.proj_in``: the names of
modules hold underscores themselves, so that decoding needs to know the words. It does not need to
know how many blocks there are.

Source: kohya-ss/sd-scripts, networks/lora.py, `LoRANetwork.create_modules` (the path with "." made
"_").
"""

from __future__ import annotations

from functools import cache

UNET = """
    conv_in conv_out conv_norm_out time_embedding add_embedding class_embedding encoder_hid_proj
    cond_proj linear_1 linear_2 down_blocks up_blocks mid_block resnets attentions downsamplers
    upsamplers conv conv1 conv2 conv_shortcut time_emb_proj norm norm1 norm2 norm3 proj proj_in
    proj_out transformer_blocks attn1 attn2 to_q to_k to_v to_out ff net
"""

TEXT = """
    text_model encoder layers self_attn q_proj k_proj v_proj out_proj mlp fc1 fc2 layer_norm1
    layer_norm2 embeddings token_embedding position_embedding final_layer_norm text_projection
"""

_T5 = """
    encoder block layer SelfAttention DenseReluDense q k v o wi wi_0 wi_1 wo
"""

_TRANSFORMER = """
    transformer_blocks single_transformer_blocks layers noise_refiner context_refiner attn attn2
    attention to_q to_k to_v to_out add_q_proj add_k_proj add_v_proj to_add_out ff ff_context net proj
    proj_mlp proj_out norm norm1 norm1_context linear img_mlp txt_mlp img_mod txt_mod feed_forward w1
    w2 w3 linear_in linear_out to_qkv_mlp_proj adaLN_modulation
"""

BLOCKS = (
    "transformer_blocks_",
    "single_transformer_blocks_",
    "layers_",
    "noise_refiner_",
    "context_refiner_",
)
"""What joined names inside a transformer begin with, and inside a unet never."""

Vocabulary = frozenset[tuple[str, ...]]


def _vocabulary(text: str) -> Vocabulary:
    return frozenset(tuple(word.split("_")) for word in text.split())


STABLE = _vocabulary(UNET + TEXT)
TRANSFORMER = _vocabulary(_TRANSFORMER)
T5 = _vocabulary(_T5)


def joined(path: str) -> str:
    """The path with every dot made an underscore."""
    return path.replace(".", "_")


def split(name: str, vocabulary: Vocabulary = STABLE) -> str | None:
    """The path of a joined name, or None when a piece of it is no known word.

    The longest known word is taken at each place: ``proj_out`` is one module, not ``proj`` and
    ``out``.
    """
    pieces = name.split("_")
    path = []
    while pieces:
        taken = _number(pieces) or _word(pieces, vocabulary)
        if not taken:
            return None
        path.append("_".join(pieces[:taken]))
        pieces = pieces[taken:]
    return ".".join(path)


def _number(pieces: list[str]) -> int:
    return int(pieces[0].isascii() and pieces[0].isdigit())


def _word(pieces: list[str], vocabulary: Vocabulary) -> int:
    """How many pieces the longest known word at the front takes; 0 for none."""
    sizes = range(min(_longest(vocabulary), len(pieces)), 0, -1)
    return next((size for size in sizes if tuple(pieces[:size]) in vocabulary), 0)


@cache
def _longest(vocabulary: Vocabulary) -> int:
    return max(map(len, vocabulary))
