"""Architectures of the transformers library, built from their configurations with random weights: narrow, but of real depth.

Causal models are called without a cache, whose class cannot be an output. No file is fetched from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchmarks.zoo_table.inputs import clip, mask, photo, spectrogram, token_ids, voice
from benchmarks.zoo_table.specimen import ALL_FORMATS, Built, Specimen, several
from codegen.torchvision_import import import_torchvision
from examples.models.meaningful import make_meaningful

import_torchvision()  # transformers imports it where it is installed
import transformers  # noqa: E402

transformers.logging.set_verbosity_error()
assert transformers.PreTrainedModel  # imported when it is asked for, so before processes are forked

Inputs = Callable[[Any], tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]]
"""From the configuration to a random and a natural example."""

WORDS, LENGTH, PADDING = 2000, 64, 12


def _ids(length: int = LENGTH) -> torch.Tensor:
    return torch.randint(10, WORDS, (1, length))


def text(_: Any) -> Any:
    """Token ids and a mask."""
    given = {"input_ids": _ids(), "attention_mask": torch.ones(1, LENGTH, dtype=torch.int64)}
    natural = {"input_ids": token_ids(WORDS, LENGTH, padding=PADDING), "attention_mask": mask(LENGTH, PADDING)}
    return given, natural


def translation(_: Any) -> Any:
    """A text and the beginning of its translation."""
    given, natural = text(_)
    return (
        {**given, "decoder_input_ids": _ids(LENGTH // 2)},
        {**natural, "decoder_input_ids": token_ids(WORDS, LENGTH // 2, start=2)},
    )


def image(config: Any, size: int | None = None) -> Any:
    """One photograph, of the size the configuration names, else of 224 pixels."""
    side = size or getattr(config, "image_size", None) or 224
    height, width = side if isinstance(side, list | tuple) else (side, side)
    return {"pixel_values": torch.randn(1, 3, height, width)}, {"pixel_values": photo(height, width)}


def video(config: Any) -> Any:
    """A short film, frames first."""
    frames, size = config.num_frames, config.image_size
    natural = clip(frames, size, size).transpose(1, 2).contiguous()
    return {"pixel_values": torch.randn(natural.shape)}, {"pixel_values": natural}


def image_and_text(config: Any) -> Any:
    """A photograph and a caption."""
    (pixels, photograph), (words, caption) = image(config.vision_config), text(config)
    return {**words, **pixels}, {**caption, **photograph}


def wave(_: Any, samples: int = 16_000) -> Any:
    """One second of sound."""
    return {"input_values": torch.randn(1, samples)}, {"input_values": voice(samples)}


def speech_to_text(config: Any) -> Any:
    """A spectrogram and the first words of what was said."""
    frames = 2 * config.max_source_positions
    natural = spectrogram(config.num_mel_bins, frames)
    return (
        {"input_features": torch.randn(natural.shape), "decoder_input_ids": _ids(24)},
        {"input_features": natural, "decoder_input_ids": token_ids(WORDS, 24)},
    )


def spoken(config: Any) -> Any:
    """A spectrogram, time first."""
    natural = spectrogram(config.num_mel_bins, config.max_length).transpose(1, 2).contiguous()
    return {"input_values": torch.randn(natural.shape)}, {"input_values": natural}


def build(_: Path, architecture: str, inputs: Inputs, options: Mapping[str, Any], call: Mapping[str, Any]) -> Built:
    """Build an architecture from its configuration class and make it answer something."""
    torch.manual_seed(0)
    kind = getattr(transformers, architecture)
    model = kind(kind.config_class(**options)).eval()
    given, natural = inputs(model.config)
    if architecture in _CHAOTIC:
        _calm(model)
    calls = ((), {**given, **call}), ((), {**natural, **call})
    return Built(make_meaningful(model, *several(*calls)), *calls)


_CHAOTIC = ("LevitForImageClassification",)
"""With random weights their layers multiply rounding errors, to more than a per cent of the answer."""


def _calm(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            nn.init.constant_(module.weight, 0.25)


def _specimen(
    architecture: str,
    inputs: Inputs,
    options: Mapping[str, Any] | None = None,
    call: Mapping[str, Any] | None = None,
    formats: tuple[str, ...] = ("torchscript",),
) -> Specimen:
    return Specimen(
        partial(build, architecture=architecture, inputs=inputs, options=dict(options or {}), call=dict(call or {})), formats
    )


WIDE = {"vocab_size": WORDS, "hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 512}
# Those of GPT-2's time have their own words for the same.
GPT = {"vocab_size": WORDS, "n_embd": 256, "n_head": 4}
GATED = {**WIDE, "num_key_value_heads": 2, "head_dim": 64, "max_position_embeddings": 512, "pad_token_id": 0}
PAIR = {
    "vocab_size": WORDS,
    "d_model": 256,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 512,
    "decoder_ffn_dim": 512,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
}
T5 = {"vocab_size": WORDS, "d_model": 256, "d_kv": 64, "d_ff": 512, "num_heads": 4}
PATCHES = {"hidden_size": 256, "num_attention_heads": 4, "intermediate_size": 512}
SOUND = {**PATCHES, "vocab_size": 40}
UNCACHED = {"use_cache": False}


def _towers(**more: Any) -> dict[str, Any]:
    return {"text_config": {**WIDE, **more, "max_position_embeddings": LENGTH}, "vision_config": dict(PATCHES)}


MODELS: dict[str, Specimen] = {
    # Encoders of text
    "BertModel": _specimen("BertModel", text),
    "DistilBertModel": _specimen("DistilBertModel", text, {"vocab_size": WORDS}, formats=ALL_FORMATS),
    "RobertaModel": _specimen("RobertaModel", text, WIDE),
    "AlbertModel": _specimen("AlbertModel", text, WIDE),
    "ElectraModel": _specimen("ElectraModel", text, WIDE),
    "DebertaModel": _specimen("DebertaModel", text, {**WIDE, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "DebertaV2Model": _specimen("DebertaV2Model", text, {**WIDE, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "MPNetModel": _specimen("MPNetModel", text, WIDE),
    "MobileBertModel": _specimen("MobileBertModel", text, {"vocab_size": WORDS}),
    "SqueezeBertModel": _specimen("SqueezeBertModel", text, {**WIDE, "embedding_size": 256}),
    "ConvBertModel": _specimen("ConvBertModel", text, WIDE),
    "FNetModel": _specimen("FNetModel", lambda _: tuple({"input_ids": each["input_ids"]} for each in text(_)), WIDE),
    "FunnelModel": _specimen("FunnelModel", text, {"vocab_size": WORDS, "d_model": 256, "n_head": 4, "d_inner": 512}),
    "XLNetModel": _specimen(
        "XLNetModel",
        text,
        {"vocab_size": WORDS, "d_model": 256, "n_layer": 12, "n_head": 4, "d_inner": 512},
        {"use_mems": False},
    ),
    "ModernBertModel": _specimen("ModernBertModel", text, {**WIDE, "pad_token_id": 0}),
    "RoFormerModel": _specimen("RoFormerModel", text, WIDE),
    # Decoders of text
    "GPT2LMHeadModel": _specimen("GPT2LMHeadModel", text, GPT, UNCACHED, ALL_FORMATS),
    "GPTNeoForCausalLM": _specimen(
        "GPTNeoForCausalLM",
        text,
        {"vocab_size": WORDS, "hidden_size": 256, "num_heads": 4, "max_position_embeddings": 512},
        UNCACHED,
    ),
    "GPTNeoXForCausalLM": _specimen("GPTNeoXForCausalLM", text, {**WIDE, "num_hidden_layers": 12}, UNCACHED),
    "GPTJForCausalLM": _specimen("GPTJForCausalLM", text, {**GPT, "n_layer": 12, "rotary_dim": 32}, UNCACHED),
    "OPTForCausalLM": _specimen(
        "OPTForCausalLM",
        text,
        {"vocab_size": WORDS, "hidden_size": 256, "num_attention_heads": 4, "ffn_dim": 512, "word_embed_proj_dim": 256},
        UNCACHED,
    ),
    "BloomForCausalLM": _specimen(
        "BloomForCausalLM", text, {"vocab_size": WORDS, "hidden_size": 256, "n_head": 4, "n_layer": 12}, UNCACHED
    ),
    "LlamaForCausalLM": _specimen("LlamaForCausalLM", text, {**GATED, "num_hidden_layers": 12}, UNCACHED),
    "MistralForCausalLM": _specimen("MistralForCausalLM", text, {**GATED, "num_hidden_layers": 12}, UNCACHED),
    "MixtralForCausalLM": _specimen(
        "MixtralForCausalLM",
        text,
        {
            **GATED,
            "num_hidden_layers": 12,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_local_experts": 4,
            "experts_implementation": "batched_mm",
        },
        UNCACHED,
    ),
    "Qwen2ForCausalLM": _specimen("Qwen2ForCausalLM", text, {**GATED, "num_hidden_layers": 12}, UNCACHED),
    "Qwen3ForCausalLM": _specimen("Qwen3ForCausalLM", text, {**GATED, "num_hidden_layers": 12}, UNCACHED),
    "GemmaForCausalLM": _specimen("GemmaForCausalLM", text, {**GATED, "num_hidden_layers": 12}, UNCACHED),
    "Gemma2ForCausalLM": _specimen("Gemma2ForCausalLM", text, {**GATED, "num_hidden_layers": 12}, UNCACHED),
    "PhiForCausalLM": _specimen(
        "PhiForCausalLM", text, {**WIDE, "num_hidden_layers": 12, "max_position_embeddings": 512}, UNCACHED
    ),
    "FalconForCausalLM": _specimen(
        "FalconForCausalLM",
        text,
        {"vocab_size": WORDS, "hidden_size": 256, "num_attention_heads": 4, "num_hidden_layers": 12},
        UNCACHED,
    ),
    "StableLmForCausalLM": _specimen("StableLmForCausalLM", text, {**GATED, "num_hidden_layers": 12}, UNCACHED),
    "MambaForCausalLM": _specimen(
        "MambaForCausalLM", text, {"vocab_size": WORDS, "hidden_size": 128, "num_hidden_layers": 12}, UNCACHED
    ),
    # Encoder and decoder
    "T5ForConditionalGeneration": _specimen("T5ForConditionalGeneration", translation, T5, UNCACHED, ALL_FORMATS),
    "BartForConditionalGeneration": _specimen("BartForConditionalGeneration", translation, PAIR, UNCACHED),
    "MarianMTModel": _specimen("MarianMTModel", translation, {**PAIR, "decoder_start_token_id": 0}, UNCACHED),
    "PegasusForConditionalGeneration": _specimen("PegasusForConditionalGeneration", translation, PAIR, UNCACHED),
    "MBartForConditionalGeneration": _specimen("MBartForConditionalGeneration", translation, PAIR, UNCACHED),
    "M2M100ForConditionalGeneration": _specimen("M2M100ForConditionalGeneration", translation, PAIR, UNCACHED),
    # Images and films
    "ViTForImageClassification": _specimen("ViTForImageClassification", image, PATCHES, formats=ALL_FORMATS),
    "DeiTForImageClassification": _specimen("DeiTForImageClassification", image, PATCHES),
    "BeitForImageClassification": _specimen("BeitForImageClassification", image, PATCHES),
    "SwinForImageClassification": _specimen("SwinForImageClassification", image),
    "Swinv2ForImageClassification": _specimen("Swinv2ForImageClassification", image, {"image_size": 256, "window_size": 8}),
    "ConvNextForImageClassification": _specimen("ConvNextForImageClassification", image, formats=ALL_FORMATS),
    "ConvNextV2ForImageClassification": _specimen("ConvNextV2ForImageClassification", image),
    "SegformerForSemanticSegmentation": _specimen("SegformerForSemanticSegmentation", image),
    "Dinov2Model": _specimen(
        "Dinov2Model", image, {"hidden_size": 256, "num_attention_heads": 4, "patch_size": 14, "image_size": 224}
    ),
    "MobileViTForImageClassification": _specimen("MobileViTForImageClassification", image),
    "MobileNetV2ForImageClassification": _specimen("MobileNetV2ForImageClassification", image),
    "ResNetForImageClassification": _specimen("ResNetForImageClassification", image),
    "RegNetForImageClassification": _specimen("RegNetForImageClassification", image),
    "LevitForImageClassification": _specimen("LevitForImageClassification", image),
    "CvtForImageClassification": _specimen("CvtForImageClassification", image),
    "PoolFormerForImageClassification": _specimen("PoolFormerForImageClassification", image),
    "PvtForImageClassification": _specimen("PvtForImageClassification", image),
    "DPTForDepthEstimation": _specimen("DPTForDepthEstimation", image, {**PATCHES, "image_size": 224}),
    "YolosForObjectDetection": _specimen("YolosForObjectDetection", image, {**PATCHES, "image_size": [224, 320]}),
    "ViTMAEForPreTraining": _specimen(
        "ViTMAEForPreTraining", image, {**PATCHES, "decoder_hidden_size": 128, "decoder_num_attention_heads": 4}
    ),
    "TimesformerForVideoClassification": _specimen(
        "TimesformerForVideoClassification", video, {**PATCHES, "num_frames": 4, "image_size": 112}
    ),
    "VideoMAEForVideoClassification": _specimen(
        "VideoMAEForVideoClassification", video, {**PATCHES, "num_frames": 8, "image_size": 112}
    ),
    # Images with texts
    "CLIPModel": _specimen("CLIPModel", image_and_text, _towers(eos_token_id=1)),
    "SiglipModel": _specimen("SiglipModel", image_and_text, _towers()),
    # Sound
    "Wav2Vec2ForCTC": _specimen("Wav2Vec2ForCTC", wave, SOUND),
    "HubertModel": _specimen("HubertModel", wave, SOUND),
    "WavLMModel": _specimen("WavLMModel", wave, SOUND),
    "WhisperForConditionalGeneration": _specimen(
        "WhisperForConditionalGeneration",
        speech_to_text,
        {**PAIR, "max_source_positions": 250, "decoder_start_token_id": 0},
        UNCACHED,
        ALL_FORMATS,
    ),
    "ASTForAudioClassification": _specimen("ASTForAudioClassification", spoken, {**PATCHES, "max_length": 256}),
}

_SPARE = (
    *("DebertaModel", "MobileBertModel", "SqueezeBertModel", "ConvBertModel", "FunnelModel", "XLNetModel", "RoFormerModel"),
    *("GPTNeoForCausalLM", "GPTJForCausalLM", "Gemma2ForCausalLM", "StableLmForCausalLM", "MBartForConditionalGeneration"),
    *("M2M100ForConditionalGeneration", "Swinv2ForImageClassification", "ConvNextV2ForImageClassification"),
    *("MobileNetV2ForImageClassification", "ResNetForImageClassification", "RegNetForImageClassification"),
    *("CvtForImageClassification", "PvtForImageClassification", "VideoMAEForVideoClassification"),
)
MODELS |= {name: replace(MODELS[name], spare=True) for name in _SPARE}
