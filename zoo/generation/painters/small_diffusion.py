"""SmallDiffusion: a diffusion model of small pictures, told the metadata of a row, that trains in minutes."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from zoo.errors import DataError, SpecError
from zoo.generation.painters.conditioning import Conditions, described
from zoo.generation.painters.denoiser import Denoiser, Plan, sample, train
from zoo.generation.painters.pixels import resized
from zoo.generator import GENERATORS, Condition, Generation, Generator, row_seed

WEIGHTS, FIT = "model.safetensors", "fit.json"
"""Files that save writes."""
FLIPS = ("none", "horizontal", "both")
PREDICTIONS = ("v_prediction", "epsilon")


@GENERATORS.register
class SmallDiffusion(Generator):
    """Learn small pictures (size, size, 3) uint8 from rows with metadata or a record, and draw new ones by metadata.

    A UNet on pixels predicts the velocity (Salimans and Ho 2022) or the noise (DDPM: Ho et al. 2020) over a cosine
    schedule; classifier-free guidance; DDIM sampling; the averaged weights draw. Fit and drawing follow the seed
    alone: a row's picture starts from noise of its own seed, and rows are drawn in batches of one fixed shape, so
    that it does not matter which rows are drawn together. Every picture that is learned from is squeezed to a square.

    With ``condition_on_label`` the label of a row is one more column. The picture of a row then holds its label:
    this is meant for further rows to train on, whose label is known, and never for rows that are evaluated. It
    counts as ``leaky_replication``, so that labels are told and results say so, and a row without label is rejected.

    Args:
        columns: columns to be told, all for none.
        size: edge of a picture in pixels, 8 to 64 and a multiple of 2 ** (levels - 1).
        channels: width of each level of the UNet, multiples of 8.
        steps: updates of the training, where ``epochs`` is 0.
        epochs: passes over the rows, in place of ``steps``; 0 for none.
        batch_size: rows an update.
        learning_rate: highest rate of AdamW.
        drop: probability that training hides what a row is told.
        ema: decay of the averaged weights.
        flip: mirror pictures in training: "none", "horizontal" or "both" (only where orientation means nothing).
        prediction: "v_prediction" or "epsilon".
        sampling_steps: steps of DDIM.
        guidance: weight of classifier-free guidance, 1 for none.
        sampling_batch: rows drawn at once.
        max_categories: words that a column keeps.
        condition_on_label: tell the label.
        device: where it runs, such as "cpu" or "cuda".
        progress: whether bars are shown.
    """

    makes = "image"
    fits = True

    def __init__(
        self,
        *,
        columns: Sequence[str] = (),
        size: int = 32,
        channels: Sequence[int] = (32, 64, 64),
        steps: int = 500,
        epochs: int = 0,
        batch_size: int = 16,
        learning_rate: float = 1e-3,
        drop: float = 0.1,
        ema: float = 0.995,
        flip: str = "none",
        prediction: str = "v_prediction",
        sampling_steps: int = 25,
        guidance: float = 2.0,
        sampling_batch: int = 16,
        max_categories: int = 64,
        condition_on_label: bool = False,
        device: str = "cpu",
        progress: bool = True,
    ) -> None:
        self.columns = tuple(columns)
        self.size = size
        self.channels = tuple(channels)
        self.steps = steps
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.drop = drop
        self.ema = ema
        self.flip = flip
        self.prediction = prediction
        self.sampling_steps = sampling_steps
        self.guidance = guidance
        self.sampling_batch = sampling_batch
        self.max_categories = max_categories
        self.condition_on_label = condition_on_label
        self.leaky_replication = condition_on_label
        self.device = device
        self.progress = progress
        self.last_loss = float("nan")
        self._fitted: tuple[Denoiser, Conditions] | None = None
        self._check()

    def _check(self) -> None:
        step = 2 ** (len(self.channels) - 1)
        if not self.channels or any(c < 8 or c % 8 for c in self.channels):
            raise SpecError(f"SmallDiffusion: channels must be multiples of 8, got {list(self.channels)}")
        if not 8 <= self.size <= 64 or self.size % step:
            raise SpecError(
                f"SmallDiffusion: size must lie in 8 .. 64 and be a multiple of {step} with {len(self.channels)} "
                f"levels, got {self.size}"
            )
        for name, known in (("flip", FLIPS), ("prediction", PREDICTIONS)):
            if getattr(self, name) not in known:
                raise SpecError(f"SmallDiffusion: {name} {getattr(self, name)!r} is unknown; known: {known}")
        for name in ("steps", "batch_size", "sampling_steps", "sampling_batch", "max_categories"):
            if getattr(self, name) < 1:
                raise SpecError(f"SmallDiffusion: {name} must be 1 or more, got {getattr(self, name)}")
        if not (0 <= self.drop < 1 and 0 <= self.ema < 1):
            raise SpecError(f"SmallDiffusion: drop and ema must lie in [0, 1), got {self.drop} and {self.ema}")
        if self.epochs < 0 or self.learning_rate <= 0:
            raise SpecError(
                f"SmallDiffusion: epochs must not be negative and learning_rate be positive, got {self.epochs} and "
                f"{self.learning_rate}"
            )
        if self.guidance != 1.0 and self.drop == 0:
            raise SpecError("SmallDiffusion: guidance needs drop > 0 in training; set guidance: 1.0 or drop: 0.1")

    def options(self) -> dict[str, Any]:
        """Everything that the pictures depend on beside rows and seed; device and bars are not part of it."""
        names = (
            "size steps epochs batch_size learning_rate drop ema flip prediction sampling_steps guidance "
            "sampling_batch max_categories condition_on_label"
        )
        lists = {"columns": list(self.columns), "channels": list(self.channels)}
        return lists | {name: getattr(self, name) for name in names.split()}

    def fit(self, rows: Sequence[Condition], seed: int) -> None:
        """Learn from training rows. Rows without an image are left out with a warning that counts them.

        Raises:
            DataError: no row has an image, nothing to be conditioned on, or a label is missing that shall be told.
        """
        usable = [row for row in rows if row.image is not None]
        if not usable:
            raise DataError(f"SmallDiffusion learns from images, and none of {len(rows)} training rows has one")
        if len(usable) < len(rows):
            warnings.warn(
                f"SmallDiffusion: {len(rows) - len(usable)} of {len(rows)} training rows have no image and are left "
                "out",
                stacklevel=2,
            )
        if self.condition_on_label and not all(row.label for row in usable):
            unlabelled = next(row for row in usable if not row.label)
            raise DataError("condition_on_label is set, but this training row has no label", row=unlabelled.id)
        told = [described(row, self.columns, self.condition_on_label) for row in usable]
        conditions = Conditions.fit(told, self.max_categories)
        images = torch.from_numpy(
            np.stack([resized(row.image, self.size) for row in usable if row.image is not None])
        )
        model = self._network(conditions, seed)
        updates = self.epochs * -(-len(usable) // self.batch_size) or self.steps
        plan = Plan(updates, self.batch_size, self.learning_rate, self.drop, self.ema, self.flip, self.prediction)
        scaled = images.permute(0, 3, 1, 2).float() / 127.5 - 1
        self.last_loss = train(model, scaled, *conditions.encode(told), plan, seed, self.progress)
        self._fitted = model, conditions

    def _network(self, conditions: Conditions, seed: int) -> Denoiser:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = Denoiser(conditions, self.size, self.channels)
        return model.to(self.device)

    def generate(self, rows: Sequence[Condition], seed: int) -> list[Generation]:
        """Draw one picture a row, in order. A row of which nothing that was learned is known is rejected.

        Raises:
            SpecError: not fitted.
        """
        model, conditions = self._ready()
        told = [described(row, self.columns, self.condition_on_label) for row in rows]
        values, codes = conditions.encode(told)
        reasons = [self._refusal(row, v, c) for row, v, c in zip(rows, values, codes, strict=True)]
        made = [Generation(None, status="rejected", reason=reason) for reason in reasons]
        places = [i for i, reason in enumerate(reasons) if not reason]
        for start in range(0, len(places), self.sampling_batch):
            chunk = places[start : start + self.sampling_batch]
            padded = chunk + chunk[-1:] * (self.sampling_batch - len(chunk))  # one shape: sums run in one order
            noise = torch.stack([self._noise(row_seed(seed, rows[i].id)) for i in padded])
            drawn = sample(
                model, noise, values[padded], codes[padded], self.prediction, self.sampling_steps, self.guidance
            )
            pictures = ((drawn + 1) * 127.5).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
            for i, picture in zip(chunk, pictures, strict=False):
                made[i] = Generation(picture.copy())
        return made

    def _refusal(self, row: Condition, values: Tensor, codes: Tensor) -> str:
        """Why no picture can be drawn of a row, "" where one can."""
        if self.condition_on_label and not row.label:
            return "condition_on_label is set, and the row tells no label"
        if not values[1::2].any() and not codes.any():
            return "the row knows none of the columns and words that were learned"
        return ""

    def _noise(self, seed: int) -> Tensor:
        return torch.randn((3, self.size, self.size), generator=torch.Generator().manual_seed(seed))

    def _ready(self) -> tuple[Denoiser, Conditions]:
        if self._fitted is None:
            raise SpecError("SmallDiffusion draws after fit or load only; call one of them first")
        return self._fitted

    def save(self, folder: str | Path) -> None:
        """Write the weights (model.safetensors) and what was learned of the columns (fit.json) to ``folder``."""
        model, conditions = self._ready()
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous().cpu() for k, v in model.state_dict().items()}, target / WEIGHTS)
        state = {"options": self.options(), "conditions": conditions.state(), "last_loss": self.last_loss}
        (target / FIT).write_text(json.dumps(state, indent=1), encoding="utf-8")

    def load(self, folder: str | Path) -> None:
        """Read what ``save`` wrote.

        Raises:
            DataError: files are missing or broken.
            SpecError: they are of a SmallDiffusion with other options.
        """
        source = Path(folder)
        try:
            state = json.loads((source / FIT).read_text(encoding="utf-8"))
            weights = load_file(source / WEIGHTS)
        except (OSError, ValueError, SafetensorError) as error:
            raise DataError(f"no fit of SmallDiffusion that can be read: {error}", file=source) from error
        theirs, ours = state.get("options", {}), self.options()
        differ = sorted(k for k in {*theirs, *ours} if theirs.get(k) != ours.get(k))
        if differ:
            listed = ", ".join(f"{k}: {theirs.get(k)!r} there, {ours.get(k)!r} here" for k in differ)
            raise SpecError(f"the fit in {source} is of a SmallDiffusion with other options: {listed}")
        conditions = Conditions.from_state(state.get("conditions"))
        model = self._network(conditions, 0)
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise DataError(f"weights do not fit the columns of {FIT}: {error}", file=source / WEIGHTS) from error
        model.requires_grad_(False).eval()
        self.last_loss = float(state.get("last_loss", float("nan")))
        self._fitted = model, conditions
