"""A BERT-like text encoder: token ids, attention mask and token types in, a dict out."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Multi-head attention written out, so that its scores and the mask's addition are ops of the graph."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, width)
        self.output = nn.Linear(width, width)

    def split_heads(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        return x.view(batch, length, self.heads, width // self.heads).transpose(1, 2)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (self.split_heads(layer(x)) for layer in (self.query, self.key, self.value))
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5 + bias
        mixed = scores.softmax(-1) @ value
        return self.output(mixed.transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, heads)
        self.attention_norm = nn.LayerNorm(width)
        self.intermediate, self.output = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.output_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x, bias)))
        return self.output_norm(x + self.dropout(self.output(nn.functional.gelu(self.intermediate(x)))))


class Encoder(nn.Module):
    """`forward(input_ids, attention_mask=None, token_type_ids=None)` of int64 tensors of shape (batch, length).

    Returns {"last_hidden_state": (batch, length, width), "pooler_output": (batch, width), "hidden_states": None or the
    tuple of every layer's input}.
    """

    def __init__(
        self,
        *,
        layers: int = 12,
        width: int = 768,
        heads: int = 12,
        words: int = 30522,
        longest: int = 512,
        keep_hidden_states: bool = False,
    ) -> None:
        super().__init__()
        self.keep_hidden_states = keep_hidden_states
        self.word, self.position, self.kind = nn.Embedding(words, width), nn.Embedding(longest, width), nn.Embedding(2, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(0.1)
        self.layers = nn.ModuleList([EncoderLayer(width, heads) for _ in range(layers)])
        self.pooler = nn.Linear(width, width)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, token_type_ids: Tensor | None = None
    ) -> dict[str, Tensor | tuple[Tensor, ...] | None]:
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(input_ids)
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
        x = self.dropout(self.norm(self.word(input_ids) + self.position(positions) + self.kind(token_type_ids)))
        bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        states = []
        for layer in self.layers:
            states.append(x)
            x = layer(x, bias)
        return {
            "last_hidden_state": x,
            "pooler_output": torch.tanh(self.pooler(x[:, 0])),
            "hidden_states": tuple(states) if self.keep_hidden_states else None,
        }


def example_call(batch: int = 1, length: int = 128, words: int = 30522) -> tuple[tuple[Tensor], dict[str, Tensor]]:
    """Return args and kwargs of a call: random tokens, the last quarter masked, the second half of type 1."""
    generator = torch.Generator().manual_seed(0)
    mask, kinds = torch.ones(batch, length, dtype=torch.int64), torch.zeros(batch, length, dtype=torch.int64)
    mask[:, length - length // 4 :] = 0
    kinds[:, length // 2 :] = 1
    ids = torch.randint(0, words, (batch, length), generator=generator)
    return (ids,), {"attention_mask": mask, "token_type_ids": kinds}
