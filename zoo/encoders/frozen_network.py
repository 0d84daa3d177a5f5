"""Networks that are never trained, as functions of rows: no module of the model, and each row computed once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.contract import PAD, ModalitySpec, masked_mean
from zoo.encoders.bert import check_bert, load_bert, run_bert
from zoo.encoders.feature_store import VARIABLE, Features, FeatureStore, row_keys
from zoo.encoders.parts import read_weights, some_token
from zoo.errors import SpecError
from zoo.packaged import PREFIX, package_folder

CHUNK = 32
"""Rows that go through a frozen network at once."""

_NETWORKS: dict[tuple[object, ...], nn.Module] = {}
_BERTS: dict[str, Any] = {}
_STORES: dict[tuple[object, ...], FeatureStore] = {}


class Frozen:
    """Map rows to feature vectors (N, P) by a network that is never trained.

    It is no module on purpose: its weights are in no checkpoint, no optimizer, no average of weights and no
    broadcast, stay in evaluation mode, and one copy in memory serves every encoder of a process. They follow the
    rows to their device. Copies share it, and a process to which it is sent loads the weights anew. Vectors are
    rounded to float16 whether they were kept or not.

    Args:
        make: makes the network in evaluation mode, which maps rows to (N, P); a top-level function with its
            arguments, so that it can be sent to another process.
        settings: what ``make`` depends on: the kind, where model and weights come from, and then the rest.
        mib: see ``FeatureStore``; encoders of one network share a store, of the largest size asked for.
        folder: see ``FeatureStore``.
        probe: one row (1, ...) to learn P from.

    Attributes:
        width: P.
        layout: sizes of the parts of a vector: of the pooled one, the number of tokens after it (0 for none), and
            the width of a token.
    """

    def __init__(
        self, make: Callable[[], nn.Module], settings: tuple[object, ...], mib: int, folder: str, probe: Tensor
    ) -> None:
        self._arguments = (make, settings, mib, folder, probe)
        folder = folder or os.environ.get(VARIABLE, "")
        self._settings = settings
        if settings not in _NETWORKS:
            _NETWORKS[settings] = make().requires_grad_(False).eval()
        self._devices = {torch.device("cpu"): _NETWORKS[settings]}
        self.width = self._run(probe).shape[1]
        self.layout: tuple[int, int, int] = cast(Any, _NETWORKS[settings]).layout
        key = (*settings, folder)
        if key not in _STORES:
            _STORES[key] = FeatureStore(self.width, mib, folder, self._name())
        self.store = _STORES[key]
        self.store.mib = max(self.store.mib, mib)

    def _name(self) -> str:
        """A name that changes with the weights and the settings."""
        digest = hashlib.blake2b(repr(self._settings[3:]).encode(), digest_size=12)
        for name, value in _NETWORKS[self._settings].state_dict().items():
            digest.update(name.encode() + value.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def __deepcopy__(self, memo: dict[int, Any]) -> Frozen:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Frozen, self._arguments

    def _run(self, x: Tensor) -> Tensor:
        if x.device not in self._devices:
            import copy

            self._devices[x.device] = copy.deepcopy(_NETWORKS[self._settings]).to(x.device)
        network = self._devices[x.device]
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            rows = x.float() if x.is_floating_point() else x
            return torch.cat([network(rows[k : k + CHUNK]).half() for k in range(0, len(rows), CHUNK)])

    def __call__(self, x: Tensor) -> Tensor:
        """Map rows (N, ...) to (N, P) float32 without a gradient."""
        if not len(x):
            return torch.zeros((0, self.width), device=x.device)
        if not self.store.mib and self.store.file is None:
            return self._run(x).float()
        keys = row_keys(x)
        known = self.store.get(keys)
        new = {k: i for i, k in enumerate(keys) if k not in known}  # a row that comes twice is computed once
        if new:
            made: Features = self._run(x[list(new.values())]).cpu().numpy()
            fresh = dict(zip(new, (row.copy() for row in made), strict=True))
            self.store.put(fresh)
            known.update(fresh)
        return torch.from_numpy(np.stack([known[k] for k in keys])).to(x.device).float()


class ImageNetwork(nn.Module):
    """Map images in [-1, 1] to the pooled vector and, where asked for, the grid of a timm model's last features.

    Args:
        model: of timm, without classifier.
        size: side in pixels that images are resized to.
        mean, deviation: of each channel, in [0, 1], that the model was trained with.
        grid: whether the grid follows the pooled vector.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, model: Any, size: int, mean: tuple[float, ...], deviation: tuple[float, ...], grid: bool
    ) -> None:
        super().__init__()
        self.model, self.size, self.grid = model, size, grid
        self.layout = (0, 0, 0)
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(-1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, 1 or 3, H, W) to (N, P), or to (N, P + L E): the pooled vector, then L cells."""
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        if x.shape[2:] != (self.size, self.size):
            x = F.interpolate(x, size=(self.size, self.size), mode="bilinear", antialias=True, align_corners=False)
        x = ((x * 0.5 + 0.5).clamp(0.0, 1.0) - self.mean) / self.deviation
        features = self.model.forward_features(x.contiguous(memory_format=torch.channels_last))
        pooled: Tensor = self.model.forward_head(features, pre_logits=True)
        if not self.grid:
            self.layout = (pooled.shape[1], 0, pooled.shape[1])
            return pooled
        cells = self.cells(features)
        self.layout = (pooled.shape[1], cells.shape[1], cells.shape[2])
        return torch.cat([pooled, cells.flatten(1)], 1)

    def cells(self, features: Tensor) -> Tensor:
        """Map features (N, L, E), (N, E, H, W) or, as the model says, (N, H, W, E) to (N, L, E) without prefix."""
        if features.ndim == 4:
            last = str(getattr(self.model, "output_fmt", "NCHW")).endswith("NHWC")
            return features.flatten(1, 2) if last else features.flatten(2).transpose(1, 2)
        return features[:, int(getattr(self.model, "num_prefix_tokens", 0)) :]


def lukemelas_names(weights: dict[str, Tensor], timm_names: list[str]) -> dict[str, Tensor]:
    """Rename the weights of an EfficientNet in the layout of EfficientNet-PyTorch to the names of timm.

    Both list their layers in order of execution; only names differ. Names that do not correspond are refused.

    Raises:
        SpecError: the two lists do not correspond.
    """
    kinds = {"_depthwise_conv": "conv_dw", "_conv_stem": "conv_stem", "_conv_head": "conv_head", "_fc": "classifier"}
    fits = len(weights) == len(timm_names)
    for old, new in zip(weights, timm_names, strict=False):
        layer, field = old.split(".")[-2:]
        fits = fits and field == new.split(".")[-1] and (layer not in kinds or kinds[layer] == new.split(".")[-2])
    if not fits:
        raise SpecError("the packaged weights are not those of an EfficientNet in the layout of EfficientNet-PyTorch")
    return dict(zip(timm_names, weights.values(), strict=True))


def image_network(backbone: str, pretrained: str, size: int, grid: bool) -> nn.Module:
    """Make an ImageNetwork of the timm model ``backbone``; every weight must come from ``pretrained``.

    Args:
        backbone: name of a model of timm.
        pretrained: file or package of its weights.
        size: side of the images that it sees, in pixels.
        grid: whether it returns a token for each place instead of one for the image.

    Raises:
        SpecError: no such model, or the weights do not fit it exactly.
        MissingExtraError: the package is not installed.
    """
    import timm

    owner = "FrozenImageEncoder"
    if not timm.is_model(backbone):
        raise SpecError(f"{owner}: timm has no model {backbone!r}; see timm.list_models()")
    try:
        model: Any = timm.create_model(backbone, pretrained=False)
        if pretrained.startswith(PREFIX):
            files = sorted(Path(package_folder(pretrained, part="models")).glob("*.pth"))
            if len(files) != 1:
                raise SpecError(f"{owner}: {pretrained!r} holds {len(files)} files of weights (.pth), expected one")
            published = torch.load(files[0], weights_only=True, map_location="cpu")
            weights = lukemelas_names(published, list(model.state_dict()))
        else:
            weights = read_weights(owner, pretrained)
        heads = model.pretrained_cfg.get("classifier") or ()
        heads = tuple(f"{h}." for h in ((heads,) if isinstance(heads, str) else heads))
        model.reset_classifier(0)
        model.load_state_dict({k: v for k, v in weights.items() if not k.startswith(heads)})
    except RuntimeError as error:
        raise SpecError(
            f"{owner}: the weights of pretrained={pretrained!r} do not fit backbone={backbone!r}: "
            f"{' '.join(str(error).split())[:400]}"
        ) from error
    config = model.pretrained_cfg
    return ImageNetwork(model.to(memory_format=torch.channels_last), size, config["mean"], config["std"], grid)


def frozen_image_network(
    backbone: str,
    pretrained: str,
    size: int,
    grid: bool = False,
    *,
    mib: int = 256,
    folder: str = "",
    channels: int = 3,
) -> Frozen:
    """Make the Frozen of an ImageNetwork; see ``Frozen`` and ``image_network`` for the arguments.

    Args:
        backbone: name of a model of timm.
        pretrained: file or package of its weights.
        size: side of the images that it sees, in pixels.
        grid: whether it returns a token for each place instead of one for the image.
        mib: memory for features of rows that were seen, in MiB.
        folder: where features are kept on disk; "" for nowhere.
        channels: channels of the images that it is given.
    """
    settings = ("image", backbone, pretrained, size, grid)
    probe = torch.zeros(1, channels, size, size)
    return Frozen(partial(image_network, backbone, pretrained, size, grid), settings, mib, folder, probe)


class TextNetwork(nn.Module):
    """Map (N, L) codes to the mean of a BERT's last hidden states, scaled to norm 1, and the states where asked for.

    That mean is the sentence embedding of Reimers and Gurevych 2019, section 3.

    Args:
        model: BERT-like.
        words: whether the states follow the mean.
    """

    def __init__(self, model: Any, words: bool) -> None:
        super().__init__()
        self.model, self.words = model, words
        self.layout = (0, 0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, L) to (N, E), or to (N, E + L E) with the states, zeros at padding."""
        used = max(1, int((x != PAD).any(0).sum()))
        read = x[:, :used]
        mask = some_token(read != PAD)
        hidden = run_bert(self.model, read, mask)
        pooled = F.normalize(masked_mean(hidden, mask), dim=1)
        width = hidden.shape[2]
        self.layout = (width, x.shape[1] * self.words, width)
        if not self.words:
            return pooled
        states = F.pad(hidden * mask.unsqueeze(-1), (0, 0, 0, x.shape[1] - used))
        return torch.cat([pooled, states.flatten(1)], 1)


def text_network(spec: ModalitySpec, folder: str, reads: int, words: bool) -> nn.Module:
    """Make a TextNetwork of the BERT-like model in ``folder``; one copy in memory serves every modality.

    Args:
        spec: the text modality.
        folder: of the model and its tokenizer.
        reads: how many word pieces it reads at most.
        words: whether it returns a token for each word piece instead of one for the text.

    Raises:
        SpecError, MissingExtraError: see ``load_bert`` and ``check_bert``.
    """
    owner = "FrozenTextEncoder"
    if folder not in _BERTS:
        _BERTS[folder] = load_bert(owner, folder)
    check_bert(owner, _BERTS[folder], spec, folder, reads)
    return TextNetwork(_BERTS[folder], words)
