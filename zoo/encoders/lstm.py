"""LSTMEncoder: band power of a multichannel signal, read by an LSTM."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.carried import forget
from zoo.contract import ModalitySpec, Tokens
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.parts import check_heads, load_own
from zoo.errors import SpecError

FLOOR = 1e-3
"""Added to the power before its logarithm, in squared units of ``scale_uv``."""


def filter_bank(bands: int, sources: int, kernel: int, sampling_rate: float) -> Tensor:
    """Make (sources * bands, 1, kernel) windowed cosines of random phase, 4 to 40 Hz, of unit norm.

    Frequencies are spaced geometrically over all filters; where the sampling rate is unknown (0) they
    span 0.04 to 0.4 of it.

    Args:
        bands: filters a source.
        sources: spatial sources.
        kernel: samples in a filter.
        sampling_rate: in Hz.
    """
    low, high = (4 / sampling_rate, 40 / sampling_rate) if sampling_rate else (0.04, 0.4)
    low, high = min(low, 0.2), min(high, 0.45)
    count = bands * sources
    order = torch.arange(count).view(bands, sources).t().reshape(-1)  # a source gets bands over the range
    cycles = low * (high / low) ** (order / max(count - 1, 1))
    time = torch.arange(kernel) - (kernel - 1) / 2
    phase = torch.rand(count, 1) * 2 * math.pi
    wave: Tensor = torch.cos(2 * math.pi * cycles.unsqueeze(1) * time + phase) * torch.hann_window(kernel + 2)[1:-1]
    wave = F.normalize(wave, dim=1)
    return wave.unsqueeze(1)


class BandPower(nn.Module):
    """Map (N, C, T) to (N, L, D): spatial sources, their band power over time and their slow waves.

    Sources are linear mixtures of channels (as in common spatial patterns); each is filtered by a bank of
    its own, squared, averaged over 4 strides and put on a log scale (ShallowConvNet: Schirrmeister et al.
    2017, section 2.4.4). Spatial mixing comes first, which is the same linear map and cheaper.

    Args:
        channels, samples: C and T.
        dim: D.
        stride: samples a token, L = ceil(T / stride) or one less.
        sources: spatial sources.
        bands: temporal filters a source.
        kernel: odd width of a filter in samples.
        sampling_rate: in Hz, 0 where unknown; it places the initial filters.
    """

    def __init__(
        self,
        channels: int,
        samples: int,
        dim: int,
        stride: int,
        sources: int,
        bands: int,
        kernel: int,
        sampling_rate: float,
    ) -> None:
        super().__init__()
        self.stride, self.kernel, self.sources = stride, kernel, sources
        self.window, self.margin = 4 * stride, (3 * stride + 1) // 2
        self.mix = nn.Conv1d(channels, sources, 1, bias=False)
        self.filters = nn.Parameter(filter_bank(bands, sources, kernel, sampling_rate))
        self.out = nn.Linear(sources * (bands + 1), dim)
        self.length = (samples + 2 * self.margin - self.window) // stride + 1
        self.positions = nn.Parameter(torch.randn(self.length, dim) * 0.02)

    def pool(self, x: Tensor) -> Tensor:
        """Average (N, S, T) over windows of 4 strides: (N, S, L)."""
        return F.avg_pool1d(x, self.window, self.stride, self.margin, count_include_pad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T), about unit scale, to (N, L, D)."""
        source = self.mix(x)
        bands = F.conv1d(source, self.filters, padding=self.kernel // 2, groups=self.sources)
        power = torch.log(self.pool(bands.square()) + FLOOR)
        features = torch.cat([power, self.pool(source)], 1).transpose(1, 2)
        return self.out(features) + self.positions  # type: ignore[no-any-return]


@ENCODERS.register
class LSTMEncoder(Encoder):
    """Map (N, C, T) signals in uV to (N, L, D), one token a stride of samples.

    A strided stem makes log band power (see BandPower), an LSTM reads it (Hochreiter and Schmidhuber
    1997), and its output is added to the stem's, so that power stays linearly readable. The pooled vector
    is an average over time with learned weights, one set a head, uniform at the start.

    Args:
        spec: a modality of kind signal.
        dim: D, width of the tokens.
        depth: LSTM layers.
        heads: sets of pooling weights over time.
        dropout: dropout rate after the stem and between LSTM layers.
        pretrained: a local .safetensors file of this encoder's state dict, "" for random weights.
        stride: samples a token.
        sources: spatial sources of the stem.
        bands: temporal filters a source.
        kernel: odd width of the filters in samples.
        bidirectional: read in both directions, with D / 2 units each.
        scale_uv: the signal is divided by this, in uV (or the spec's unit); one in standard deviations ("sd") is of
            unit scale already and stays as it is.

    Raises:
        SpecError: a signal shorter than a stride, an even kernel, or a width that does not split.
    """

    kinds = ("signal",)
    carried = {"pretrained": forget}

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        pretrained: str = "",
        stride: int = 8,
        sources: int = 16,
        bands: int = 4,
        kernel: int = 25,
        bidirectional: bool = False,
        scale_uv: float = 10.0,
    ) -> None:
        super().__init__(spec, dim)
        channels, samples = spec.shape
        check_heads("LSTMEncoder", dim, heads)
        if bidirectional and dim % 2:
            raise SpecError(f"LSTMEncoder: bidirectional needs an even dim, got {dim}")
        if not 1 <= stride <= samples or kernel < 1 or kernel % 2 == 0 or scale_uv <= 0:
            raise SpecError(
                f"LSTMEncoder: stride={stride}, kernel={kernel}, scale_uv={scale_uv} do not fit '{spec.name}' of "
                f"{samples} samples: take 1 <= stride <= {samples}, an odd kernel and a positive scale"
            )
        self.heads, self.scale = heads, 1.0 if spec.unit == "sd" else scale_uv
        self.stem = BandPower(channels, samples, dim, stride, sources, bands, kernel, spec.sampling_rate)
        self.drop = nn.Dropout(dropout)
        units = dim // 2 if bidirectional else dim
        between = dropout if depth > 1 else 0.0
        self.lstm = nn.LSTM(dim, units, depth, batch_first=True, dropout=between, bidirectional=bidirectional)
        self.norm = nn.LayerNorm(dim)
        self.score = nn.Linear(dim, heads, bias=False)
        nn.init.zeros_(self.score.weight)
        load_own(self, pretrained)

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, T) to log band power with positions (N, L, D) and a mask (N, L) of True."""
        values = self.stem(x / self.scale)
        return values, torch.ones(values.shape[:2], dtype=torch.bool, device=x.device)

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, C, T) to Tokens of L time steps a row."""
        values, mask = self.embed(x)
        values = self.drop(values)
        if len(values):  # torch.nn.LSTM refuses a batch of no rows
            values = values + self.lstm(values)[0]
        values = self.norm(values)
        weight = self.score(values).softmax(1).unsqueeze(-1)  # (N, L, H, 1)
        pooled = (values.unflatten(-1, (self.heads, -1)) * weight).sum(1).flatten(1)
        return Tokens(values, mask, pooled)
