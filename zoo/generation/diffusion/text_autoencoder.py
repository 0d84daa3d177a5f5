"""TextAutoencoder: a BERT that reads a text into one vector, and a GPT-2 that writes it from there."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.contract import MODALITIES, PAD, ModalitySpec, masked_mean
from zoo.encoders.bert import new_bert, run_bert
from zoo.errors import SpecError
from zoo.generation.diffusion.autoencoder import AUTOENCODERS, Autoencoder, Posterior

HEAD = 32
"""Width of a head of attention."""


@AUTOENCODERS.register
class TextAutoencoder(Autoencoder):
    """Map (N, L) codes of word pieces to latents (N, Z) and back (Optimus: Li et al., EMNLP 2020; XGeM section 4.1).

    The latent reaches the decoder in the two ways of Optimus: it is added to the embedding of each word, and every
    layer attends to it as to a word in front of the text. The decoder writes until it says the code of padding, so it
    needs to know nothing of the vocabulary. The weight of the divergence follows one cycle: 0 for half of the
    training, then rising for a quarter, then ``beta``; dimensions that tell less than ``free_bits`` are left alone.

    Args:
        spec: a modality of codes, such as text.
        latent: Z.
        dim: width of both networks, a multiple of 32, which is the width of a head of attention.
        depth: layers of each.
        dropout: rate in both networks.
        word_dropout: share of the words that the decoder does not get to see in training, so that it listens to the
            latent.
        beta: weight of the divergence at the end, against the cross-entropy of a text in nats a word.
        free_bits: nats of each dimension that cost nothing.

    Raises:
        SpecError: a size is out of range.
    """

    kinds = ("text", "and other kinds of codes")

    @classmethod
    def takes(cls, spec: ModalitySpec) -> bool:
        """Whether rows are codes: words, bases, residues, tokens of molecules."""
        return spec.is_integer

    def __init__(
        self,
        spec: ModalitySpec,
        *,
        latent: int = 64,
        dim: int = 128,
        depth: int = 2,
        dropout: float = 0.0,
        word_dropout: float = 0.2,
        beta: float = 0.01,
        free_bits: float = 0.1,
    ) -> None:
        super().__init__(spec)
        if dim % HEAD or latent < 1 or depth < 1 or not 0 <= word_dropout < 1:
            raise SpecError(
                f"TextAutoencoder: dim is a multiple of {HEAD}, latent and depth are positive, word_dropout lies in "
                f"[0, 1); got dim={dim}, latent={latent}, depth={depth}, word_dropout={word_dropout}"
            )
        from transformers import GPT2Config, GPT2LMHeadModel

        self.word_dropout, self.beta, self.free_bits = word_dropout, beta, free_bits
        self.latent_shape = (latent,)
        length, heads = spec.shape[0], dim // HEAD
        self.codes = MODALITIES.get(spec.kind).number_of_codes(spec)
        writer = GPT2Config(
            vocab_size=self.codes + 2,  # a code for the beginning, and one for a hidden word
            n_positions=length + 1,
            n_embd=dim,
            n_layer=depth,
            n_head=heads,
            resid_pdrop=dropout,
            embd_pdrop=dropout,
            attn_pdrop=dropout,
            bos_token_id=self.codes,
            eos_token_id=PAD,
        )
        self.reader: Any = new_bert(self.codes, length, dim, depth, heads, dropout, 4.0)
        self.writer: Any = GPT2LMHeadModel(writer)
        self.posterior = nn.Linear(dim, 2 * latent)
        self.to_embedding = nn.Linear(latent, dim, bias=False)
        self.to_memory = nn.Linear(latent, 2 * depth * dim, bias=False)
        self.heads = heads

    @property
    def _begin(self) -> int:
        return self.codes

    def encode(self, x: Tensor) -> Posterior:
        """Map (N, L) codes to the Posterior of latents (N, Z)."""
        if not len(x):
            none = self.posterior.weight.new_zeros((0, *self.latent_shape))
            return Posterior(none, none)
        mask = x != PAD
        mean, log_variance = self.posterior(masked_mean(run_bert(self.reader, x, mask), mask)).chunk(2, 1)
        return Posterior(mean, (0.5 * log_variance.clamp(-10, 5)).exp())

    def _memory(self, latent: Tensor) -> Any:
        """The latent as keys and values of one word in front of the text, for each layer."""
        from transformers.cache_utils import DynamicCache

        layers = self.writer.config.n_layer
        split = self.to_memory(latent).view(len(latent), layers, 2, self.heads, 1, -1)
        return DynamicCache.from_legacy_cache(tuple((split[:, k, 0], split[:, k, 1]) for k in range(layers)))

    def _logits(self, codes: Tensor, latent: Tensor, cache: Any, start: int) -> tuple[Tensor, Any]:
        """Logits (N, n, V) of the codes behind each of (N, n) ``codes``, which stand at ``start`` and after.

        Returned beside them: the cache with the keys and values of the codes.
        """
        words = self.writer.transformer.wte(codes) + self.to_embedding(latent).unsqueeze(1)
        places = torch.arange(start, start + codes.shape[1], device=codes.device).expand(len(codes), -1)
        out = self.writer(inputs_embeds=words, position_ids=places, past_key_values=cache, use_cache=True)
        return out.logits[..., : self.codes], out.past_key_values

    def word_losses(self, x: Tensor, latent: Tensor, read: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Cross-entropy of each code, and of the padding behind the last.

        Args:
            x: (N, L) codes.
            latent: (N, Z).
            read: (N, L) the codes that the decoder gets to see in their place; None for ``x``.

        Returns:
            (N, L) losses in nats, 0 where nothing is to be written, and (N, L) whether something is.
        """
        told = x if read is None else read
        before = torch.cat([torch.full_like(x[:, :1], self._begin), told[:, :-1]], 1)
        logits, _ = self._logits(before, latent, self._memory(latent), 0)
        written = torch.cat([torch.ones_like(x[:, :1], dtype=torch.bool), (x != PAD)[:, :-1]], 1)
        losses = F.cross_entropy(logits.transpose(1, 2), x, reduction="none")
        return losses * written, written

    def loss(self, x: Tensor, noise: Tensor, progress: float) -> Tensor:
        """Cross-entropy a word of each text, and the weighed divergence in nats a word: (N,)."""
        if not len(x):
            return x.new_zeros(0, dtype=torch.float32) + sum(p.sum() for p in self.parameters()) * 0.0
        x = self._short(x)
        posterior = self.encode(x)
        latent = posterior.draw(noise)
        losses, written = self.word_losses(x, latent, self._hide(x) if self.training else None)
        free = posterior.divergence().clamp_min(self.free_bits).sum(1)
        weight = self.beta * min(1.0, max(0.0, 4.0 * progress - 2.0))
        words = written.sum(1)
        return (losses.sum(1) + weight * free) / words

    def _short(self, x: Tensor) -> Tensor:
        """Codes (N, l) without the columns that are padding in every row, but for the first of them."""
        return x[:, : min(x.shape[1], int((x != PAD).sum(1).max()) + 1)]

    def _hide(self, x: Tensor) -> Tensor:
        """Codes (N, L) of which some are replaced by the code of a hidden word."""
        if not self.word_dropout:
            return x
        return x.masked_fill(torch.rand(x.shape, device=x.device) < self.word_dropout, self._begin + 1)

    @torch.no_grad()
    def decode(self, latent: Tensor) -> Tensor:
        """Write the likeliest code after each other: (N, Z) to (N, L) codes, 0 behind the end."""
        length = self.spec.shape[0]
        out = torch.full((len(latent), length), PAD, dtype=torch.long, device=latent.device)
        if not len(latent):
            return out
        cache = self._memory(latent)
        code = torch.full((len(latent), 1), self._begin, device=latent.device)
        open_ = torch.ones(len(latent), dtype=torch.bool, device=latent.device)
        for place in range(length):
            logits, cache = self._logits(code, latent, cache, place)
            last = logits[:, -1]
            if place == 0:
                last[:, PAD] = -math.inf  # a text has at least one word
            chosen = last.argmax(1).masked_fill(~open_, PAD)
            out[:, place] = chosen
            open_ = open_ & (chosen != PAD)
            if not bool(open_.any()):
                break
            code = chosen.unsqueeze(1)
        return out
