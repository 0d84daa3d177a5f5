"""ViTEncoder: a vision transformer of any size, or any other image model of timm."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.carried import LAYOUT, Box
from zoo.contract import ModalitySpec, Tokens
from zoo.encoders.base import ENCODERS, Encoder
from zoo.encoders.parts import check_heads, fill, project, read_weights
from zoo.errors import SpecError


def rowwise_norms(module: nn.Module) -> nn.Module:
    """Replace every BatchNorm2d by a GroupNorm, so that no row depends on the others of its batch."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            groups = next(g for g in (16, 8, 4, 2, 1) if child.num_features % g == 0)
            norm: nn.Module = nn.GroupNorm(groups, child.num_features)
            if hasattr(child, "act"):  # timm's BatchNormAct2d also drops and activates
                norm = nn.Sequential(norm, child.get_submodule("drop"), child.get_submodule("act"))
            setattr(module, name, norm)
        else:
            rowwise_norms(child)
    return module


def _named(spec: ModalitySpec, name: str, pretrained: bool, file: str, dropout: float) -> Any:
    """Make the timm model ``name``, with its published weights or those of a file where asked."""
    import timm

    arch = name.split(".")[0]
    if ":" not in name and not timm.is_model(arch):
        near = difflib.get_close_matches(arch, timm.list_models(), n=3, cutoff=0.4)
        raise SpecError(f"ViTEncoder: timm has no model '{name}'; nearest: {near or 'none'}; see timm.list_models()")
    channels, *size = spec.shape
    settings: dict[str, Any] = {"in_chans": channels, "num_classes": 0, "pretrained": pretrained or bool(file)}
    if file:
        settings["pretrained_cfg_overlay"] = {"file": file}
    if dropout:
        settings["drop_rate"] = dropout
    try:
        try:
            return timm.create_model(name, img_size=tuple(size), **settings)
        except TypeError:  # convolutional models take no image size
            return timm.create_model(name, **settings)
    except Exception as error:
        raise SpecError(
            f"ViTEncoder: the timm model '{name}' cannot be made for shape {spec.shape}: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}. If its weights were not found, unset HF_HUB_OFFLINE to download "
            "them, point HF_HOME at a cache that has them, or give backbone and a local .safetensors file"
        ) from error


LOCAL = "local-dir:"
"""What timm writes before the folder of a model."""


def _is_file(pretrained: str) -> bool:
    return pretrained.endswith(".safetensors") or Path(pretrained).suffix in (".pt", ".pth")


def copy_layout(name: str, arguments: Mapping[str, Any], box: Box) -> Mapping[str, Any]:
    """Name the architecture of pretrained weights, which are those of the trained model; see zoo.carried.

    Args:
        name: of the argument.
        arguments: all of them.
        box: takes files along.
    """
    source, backbone = str(arguments[name]).removeprefix(LAYOUT), arguments.get("backbone", "")
    if _is_file(source):
        return {name: LAYOUT + backbone if backbone else "", "backbone": ""}
    if source.startswith(LOCAL):
        folder = source.removeprefix(LOCAL)
        source = LOCAL + box.copy("configuration", folder, [Path(folder) / "config.json"])[0].rpartition("/")[0]
    return {name: LAYOUT + source}


@ENCODERS.register
class ViTEncoder(Encoder):
    """Map (N, C, H, W) images to (N, L, D), one token a patch.

    By default a vision transformer (Dosovitskiy et al. 2021) of the given sizes without a class token; the
    pooled vector is the mean token. With ``backbone`` or ``pretrained`` it is any model of timm: tokens
    are its features, H' * W' of them, and pooled is what its own classifier would read; a linear map
    brings both to D. BatchNorm is frozen with weights and replaced by GroupNorm without, so that no row
    depends on others.

    Args:
        spec: a modality of kind image.
        dim: D, width of the tokens.
        depth, heads, mlp_ratio: blocks, attention heads and hidden width of the MLP over D, of the default
            vision transformer.
        dropout: dropout rate; for a timm model by name, timm's ``drop_rate``, before ``pooled``.
        pretrained: a timm name such as "vit_tiny_patch16_224.augreg_in21k" (the library's loader), or a local
            .safetensors file in timm's layout, read into ``backbone`` or into the default vision
            transformer (positions and patches are resampled); "" for random weights. ``layout:NAME`` is what the
            timm name stands for, with random weights and frozen BatchNorm, as a bundle states it.
        patch_size: P, side of a patch in pixels, of the default vision transformer and of ``embed``.
        backbone: a timm name, where ``pretrained`` names none; "" for the default.

    Raises:
        SpecError: H or W is not a multiple of P, or a name or file is not found or does not fit.
    """

    kinds = ("image",)
    carried = {"pretrained": copy_layout}

    def __init__(
        self,
        spec: ModalitySpec,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        pretrained: str = "",
        patch_size: int = 8,
        backbone: str = "",
        mlp_ratio: float = 2.0,
    ) -> None:
        super().__init__(spec, dim)
        bare = pretrained.startswith(LAYOUT)
        file = pretrained if _is_file(pretrained) and not bare else ""
        if file:
            weights = read_weights("ViTEncoder", file)
        if backbone and pretrained and not file:
            raise SpecError(
                f"ViTEncoder: backbone={backbone!r} and pretrained={pretrained!r} both name a model; give pretrained "
                "alone, or make it a local .safetensors file"
            )
        name = backbone or ("" if file else pretrained.removeprefix(LAYOUT))
        self.patch_size = patch_size
        self.model: Any
        if name:
            self.model = _named(spec, name, bool(pretrained) and not bare, file, dropout)
            from timm.layers.norm_act import freeze_batch_norm_2d

            freeze: Callable[[nn.Module], nn.Module] = freeze_batch_norm_2d
            self.model = (freeze if pretrained else rowwise_norms)(self.model)
        else:
            self.model = self._default(spec, dim, depth, heads, dropout, patch_size, mlp_ratio)
            if file:
                from timm.models.vision_transformer import checkpoint_filter_fn

                kept = {k: v for k, v in weights.items() if not k.startswith("head.")}
                fill("ViTEncoder", self.model, checkpoint_filter_fn(kept, self.model), file)
        self._measure(name)

    @staticmethod
    def _default(
        spec: ModalitySpec, dim: int, depth: int, heads: int, dropout: float, patch_size: int, mlp_ratio: float
    ) -> nn.Module:
        from timm.models.vision_transformer import VisionTransformer

        check_heads("ViTEncoder", dim, heads)
        channels, height, width = spec.shape
        if patch_size < 1 or height % patch_size or width % patch_size:
            fits = [p for p in (4, 7, 8, 14, 16, 32) if height % p == 0 and width % p == 0]
            raise SpecError(
                f"ViTEncoder: '{spec.name}' of {height} x {width} pixels does not split into patches of "
                f"{patch_size}: set patch_size to one of {fits or [1]}, or resize the images"
            )
        model: nn.Module = VisionTransformer(
            img_size=(height, width),
            patch_size=patch_size,
            in_chans=channels,
            num_classes=0,
            global_pool="avg",
            embed_dim=dim,
            depth=depth,
            num_heads=heads,
            mlp_ratio=mlp_ratio,
            class_token=False,
            fc_norm=False,
            pos_drop_rate=dropout,
            proj_drop_rate=dropout,
            attn_drop_rate=dropout,
        )
        return model

    def _measure(self, name: str) -> None:
        """Run the model once to learn the widths of its features, and make what depends on them."""
        from timm.models.vision_transformer import VisionTransformer

        channels, height, width = self.spec.shape
        training = self.model.training
        try:
            with torch.no_grad():
                features = self.model.eval().forward_features(torch.zeros(1, *self.spec.shape))
                pooled = self.model.forward_head(features, pre_logits=True)
        except (AssertionError, RuntimeError) as error:
            raise SpecError(f"ViTEncoder: '{name}' does not take shape {self.spec.shape}: {error}") from error
        self.model.train(training)
        tokens = self._flat(features)
        self.length = tokens.shape[1]
        self.project = project(tokens.shape[2], self.dim)
        self.project_pooled = project(pooled.shape[1], self.dim)
        self.own = not (isinstance(self.model, VisionTransformer) and self.model.pos_embed is not None)
        if self.own:
            p = self.patch_size
            self.patches = nn.Conv2d(channels, self.dim, p, p)
            self.positions = nn.Parameter(torch.randn(-(-height // p) * -(-width // p), self.dim) * 0.02)

    def _flat(self, features: Tensor) -> Tensor:
        """Map features (N, L, E), (N, E, H, W) or, as the model says, (N, H, W, E) to (N, L, E) without prefix."""
        if features.ndim == 4:
            last = str(getattr(self.model, "output_fmt", "NCHW")).endswith("NHWC")
            return features.flatten(1, 2) if last else features.flatten(2).transpose(1, 2)
        return features[:, int(getattr(self.model, "num_prefix_tokens", 0)) :]

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (N, C, H, W) to patch embeddings with positions (N, L, D) and a mask (N, L) of True.

        For a model that is not a vision transformer these are patches of P x P pixels with an embedding
        of their own, which ``forward`` does not use; the border is padded with zeros to a multiple of P.
        """
        if self.own:
            p = self.patch_size
            x = F.pad(x, (0, -x.shape[3] % p, 0, -x.shape[2] % p))
            values = self.patches(x).flatten(2).transpose(1, 2) + self.positions
        else:
            patches = self.model.patch_embed(x)
            values = self.project(patches + self.model.pos_embed[:, -patches.shape[1] :])
        return values, torch.ones(values.shape[:2], dtype=torch.bool, device=x.device)

    def forward(self, x: Tensor) -> Tokens:
        """Map (N, C, H, W) to Tokens of L patches or feature positions a row."""
        mask = torch.ones((len(x), self.length), dtype=torch.bool, device=x.device)
        if not len(x):  # some convolutional models refuse a batch of no rows
            values = self.embed(x)[0].sum() + x.new_zeros((0, self.length, self.dim))
            return Tokens(values, mask, values.sum(1))
        features = self.model.forward_features(x)
        pooled = self.project_pooled(self.model.forward_head(features, pre_logits=True))
        return Tokens(self.project(self._flat(features)), mask, pooled)
