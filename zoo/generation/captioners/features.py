"""Features of a row for the small captioner: a network's view of the picture, its measures, and the metadata."""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.encoders.frozen_network import frozen_image_network
from zoo.generation.captioners.appearance import MEASURES, Picture, measure, vector
from zoo.generator import Flat

Floats = npt.NDArray[np.float64]
Network = Callable[[Sequence[Picture]], Floats]
"""Map N pictures to features (N, P), one by one: what comes of a picture must not depend on its neighbours."""

SCRATCH = 64
"""Side in pixels of the pictures that a network trained from scratch reads."""
EPOCHS, BATCH, RATE = 20, 32, 3e-3
"""How a network is trained from scratch."""
REMEMBERED = 50_000
"""Pictures of which the measures are remembered in a process: five folds then measure each once."""

_MEASURED: OrderedDict[bytes, dict[str, float]] = OrderedDict()


def measure_once(image: Picture) -> dict[str, float]:
    """Measure a picture, or recall what was measured of the same bytes; see ``appearance.measure``."""
    content = f"{image.shape}{image.dtype}".encode() + np.ascontiguousarray(image).tobytes()
    key = hashlib.blake2b(content, digest_size=16).digest()
    if key not in _MEASURED:
        _MEASURED[key] = measure(image)
        if len(_MEASURED) > REMEMBERED:
            _MEASURED.popitem(last=False)
    return dict(_MEASURED[key])


def squares(images: Sequence[Picture], side: int) -> Tensor:
    """Map N pictures (H, W, 3) or (H, W) of bytes to (N, 3, side, side) in [-1, 1]."""
    rows = []
    for image in images:
        rgb = np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image
        x = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1).float().unsqueeze(0)
        rows.append(F.interpolate(x, (side, side), mode="bilinear", antialias=True, align_corners=False)[0])
    return torch.stack(rows).clamp(0.0, 255.0) / 127.5 - 1.0


def frozen_network(backbone: str, pretrained: str, side: int) -> Network:
    """Make a network that is never trained of a timm model and its weights; see ``frozen_image_network``.

    Args:
        backbone: name of a model of timm.
        pretrained: file or package of its weights.
        side: of the pictures that it sees, in pixels.
    """
    frozen = frozen_image_network(backbone, pretrained, side)

    def run(images: Sequence[Picture]) -> Floats:
        return torch.cat([frozen(squares([image], side)) for image in images]).double().numpy()

    return run


class SmallNetwork(nn.Module):
    """Map (N, 3, S, S) to features (N, 64) and logits (N, classes) by four convolutions.

    Args:
        classes: number of classes.
    """

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        widths = (3, 16, 32, 64, 64)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.GroupNorm(8, after), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and logits."""
        features: Tensor = self.body(x)
        return features, self.head(features)


def scratch_network(images: Sequence[Picture], codes: npt.NDArray[np.int64], seed: int) -> Network:
    """Train a SmallNetwork on pictures and class codes (N,), flipped at random; the same seed gives the same one.

    Args:
        images: training pictures.
        codes: (N,) code of the class of each.
        seed: of initial weights, order and flips.
    """
    pixels, target = squares(images, SCRATCH), torch.from_numpy(codes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SmallNetwork(classes=int(codes.max()) + 1)
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.05)
        steps = EPOCHS * math.ceil(len(pixels) / BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(pixels)).split(BATCH):  # type: ignore[no-untyped-call]
                x = pixels[rows]
                flips = [axis for axis in (2, 3) if torch.rand(()) < 0.5]
                loss = F.cross_entropy(network(x.flip(flips) if flips else x)[1], target[rows], label_smoothing=0.1)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    network.requires_grad_(False).eval()

    def run(images: Sequence[Picture]) -> Floats:
        return torch.cat([network(squares([image], SCRATCH))[0] for image in images]).double().numpy()

    return run


class Columns:
    """Turn metadata into numbers: a column each for a number and whether it is known, one for each word seen.

    Columns, words and means are those of the rows it learned from; a word never seen, and a column that a row has
    not, are zeros.

    Args:
        rows: metadata of the training rows.
    """

    def __init__(self, *, rows: Sequence[Flat]) -> None:
        values: dict[str, list[Any]] = {}
        for row in rows:
            for name, value in row.items():
                if is_known(value):
                    values.setdefault(name, []).append(value)
        self.means: dict[str, float] = {}
        self.words: dict[str, list[str]] = {}
        for name in sorted(values):
            if all(not isinstance(v, str) for v in values[name]):
                self.means[name] = float(np.mean(values[name]))
            else:
                self.words[name] = sorted({str(v) for v in values[name]})

    def __call__(self, row: Flat) -> Floats:
        """Map the metadata of a row to (F,)."""
        out: list[float] = []
        for name, mean in self.means.items():
            value = row.get(name)
            known = is_known(value) and not isinstance(value, str)
            out += [float(value) if known and value is not None else mean, float(known)]
        for name, options in self.words.items():
            value = row.get(name)
            out += [float(is_known(value) and str(value) == word) for word in options]
        return np.array(out)


class Scaler:
    """Bring features (N, F) to mean 0 and deviation 1 of the training rows; NaN becomes 0, the mean.

    Args:
        rows: features of the training rows (N, F).
    """

    def __init__(self, *, rows: Floats) -> None:
        known = np.isfinite(rows)
        count = np.maximum(known.sum(0), 1)
        filled = np.where(known, rows, 0.0)
        self.mean = filled.sum(0) / count
        spread = np.sqrt((np.where(known, rows - self.mean, 0.0) ** 2).sum(0) / count)
        self.scale = np.where(spread > 1e-8, spread, 1.0)

    def __call__(self, rows: Floats) -> Floats:
        """Map (N, F) to (N, F)."""
        return np.where(np.isfinite(rows), (rows - self.mean) / self.scale, 0.0)


def is_known(value: object) -> bool:
    """Whether a value of metadata says anything: not None, NaN, empty or "unknown"."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "unknown")
    return value is not None and value == value


def picture_features(images: Sequence[Picture], network: Network) -> tuple[Floats, list[dict[str, float]]]:
    """Map N pictures to network features and measures (N, P + len(MEASURES)), and return the measures too."""
    if not images:
        return np.zeros((0, len(MEASURES))), []
    measures = [measure_once(image) for image in images]
    return np.hstack([network(images), np.stack([vector(m) for m in measures])]), measures
