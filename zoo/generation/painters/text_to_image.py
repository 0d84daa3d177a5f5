"""TextToImagePainter: a pretrained text-to-image pipeline of diffusers, told the metadata or record of a row."""

from __future__ import annotations

import inspect
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo.errors import DataError, SpecError
from zoo.generation.libraries import diffusers_library
from zoo.generation.painters.conditioning import LABEL, described
from zoo.generator import GENERATORS, Condition, Generation, Generator, row_seed

TEMPLATE = (
    "{description}. A natural, evenly lit photograph of what these words state of one sample and nothing beyond "
    "it, sharp, without text, people or borders"
)
"""Default prompt. The paper gives its own as a picture (appendix B.2, figure 4); these are our words."""
DESCRIPTION = "description"
"""Placeholder of a template for all known columns, as "name: value" joined by "; "."""
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@GENERATORS.register
class TextToImagePainter(Generator):
    """Draw (H, W, 3) uint8 pictures by a text-to-image pipeline of diffusers, from metadata or a record.

    The paper's setting (appendix B.2): 40 steps, guidance 4.0. The seed of a row comes from the seed of the run (42
    in the paper) and the row's name, one row at a time, so that a killed run goes on with the same pictures. A prompt
    longer than the pipeline reads is rejected, not cut, and so is a picture that its safety checker blanks. The label
    is not in the prompt unless ``leaky_replication`` is set and the template names {label}.

    Args:
        model: name of a pipeline on the hub, or its local folder (as save_pretrained writes it).
        template: prompt with {description} for all known columns, or {column} for one, "unknown" where it is not.
        columns: columns that {description} tells, all for none.
        negative_prompt: what shall not be seen; a pipeline with true_cfg_scale needs one for guidance, be it " ".
        steps: of the sampler.
        guidance: weight of classifier-free guidance. It is given as true_cfg_scale where that is what the pipeline
            guides by when nothing is said (Qwen-Image), else as guidance_scale.
        height: of the picture in pixels, 0 for the pipeline's own.
        width: of the picture in pixels, 0 for the pipeline's own.
        device: where it runs, such as "cpu" or "cuda".
        dtype: "float32", "float16" or "bfloat16".
        download: whether files may come from the hub; else only what is on this machine is read.
        leaky_replication: tell the label, for {label} in the template.
        progress: whether bars are shown.
    """

    makes = "image"

    def __init__(
        self,
        *,
        model: str,
        template: str = TEMPLATE,
        columns: Sequence[str] = (),
        negative_prompt: str = " ",
        steps: int = 40,
        guidance: float = 4.0,
        height: int = 0,
        width: int = 0,
        device: str = "cpu",
        dtype: str = "float32",
        download: bool = False,
        leaky_replication: bool = False,
        progress: bool = True,
    ) -> None:
        self.model = model
        self.template = template
        self.columns = tuple(columns)
        self.negative_prompt = negative_prompt
        self.steps = steps
        self.guidance = guidance
        self.height = height
        self.width = width
        self.device = device
        self.dtype = dtype
        self.download = download
        self.leaky_replication = leaky_replication
        self.progress = progress
        self._pipeline: Any = None
        self._check()

    def _check(self) -> None:
        if self.dtype not in DTYPES:
            raise SpecError(f"TextToImagePainter: dtype {self.dtype!r} is unknown; known: {', '.join(DTYPES)}")
        if self.steps < 1 or self.height < 0 or self.width < 0:
            raise SpecError(
                f"TextToImagePainter: steps must be 1 or more, height and width 0 or more, got {self.steps}, "
                f"{self.height} and {self.width}"
            )
        named = _placeholders(self.template)
        if not named:
            raise SpecError("TextToImagePainter: the template names no column; put {description} or {column} into it")
        if (LABEL in named) != self.leaky_replication:
            raise SpecError(
                f"TextToImagePainter: leaky_replication is {self.leaky_replication}, but the template "
                f"{'names' if LABEL in named else 'does not name'} {{label}}. The label is told with both, or "
                "with neither"
            )

    def options(self) -> dict[str, Any]:
        """Everything that the pictures depend on beside rows and seed; device, download and bars are not part."""
        names = "model template negative_prompt steps guidance height width dtype leaky_replication"
        return {name: getattr(self, name) for name in names.split()} | {"columns": list(self.columns)}

    def prompt(self, row: Condition) -> str:
        """Return the prompt of a row, "" where the row knows none of the columns that it would be told by.

        Raises:
            DataError: the row has a column named "label".
        """
        known = described(row)
        if LABEL in known:
            raise DataError(f"a prompt never tells a column '{LABEL}'; drop or rename the column", row=row.id)
        words = {column: _worded(value) for column, value in known.items()}
        told = {c: w for c, w in words.items() if not self.columns or c in self.columns}
        named = _placeholders(self.template)
        if not (told if DESCRIPTION in named else [c for c in named if c in words]):
            return ""
        fields = {name: words.get(name, "unknown") for name in named}
        fields |= {DESCRIPTION: "; ".join(f"{c.replace('_', ' ')}: {w}" for c, w in told.items())}
        return self.template.format(**fields | ({LABEL: row.label} if self.leaky_replication else {}))

    def generate(self, rows: Sequence[Condition], seed: int) -> list[Generation]:
        """Draw one picture a row, in order.

        Raises:
            SpecError: the pipeline cannot be read, or is not one of text to image.
            MissingExtraError: diffusers is not installed.
        """
        return [self._draw(row, seed) for row in rows]

    def _draw(self, row: Condition, seed: int) -> Generation:
        if self.leaky_replication and not row.label:
            return Generation(None, status="rejected", reason="leaky_replication is set, and the row tells no label")
        prompt = self.prompt(row)
        if not prompt:
            return Generation(
                None, status="rejected", reason="the row knows none of the columns that the prompt tells"
            )
        pipeline = self._loaded()
        length, limit = self._tokens(prompt)
        if length > limit:
            reason = (
                f"the prompt has {length} tokens, of which the pipeline reads {limit}; shorten template or columns"
            )
            return Generation(None, status="rejected", reason=reason, text=prompt)
        random = torch.Generator("cpu").manual_seed(row_seed(seed, row.id))
        sizes = {name: getattr(self, name) for name in ("height", "width") if getattr(self, name)}
        out = pipeline(
            prompt=prompt, num_inference_steps=self.steps, generator=random, output_type="np", **sizes, **self._guide
        )
        picture = np.asarray(out.images[0], dtype=np.float32)
        if any(getattr(out, "nsfw_content_detected", None) or ()):
            return Generation(
                None, status="rejected", reason="the pipeline's safety checker blanked the picture", text=prompt
            )
        if not np.isfinite(picture).all():
            return Generation(
                None, status="rejected", reason=f"the picture holds NaN (dtype {self.dtype})", text=prompt
            )
        return Generation((255 * picture.clip(0, 1)).round().astype(np.uint8), text=prompt)

    def _tokens(self, prompt: str) -> tuple[int, int]:
        """Length of a prompt and how much of it is read by the tokenizer that reads most; the rest would be cut."""
        parts = [part for name, part in self._loaded().components.items() if name.startswith("tokenizer") and part]
        if not parts:
            return 0, 0
        widest = max(parts, key=lambda part: part.model_max_length)
        return len(widest(prompt, verbose=False).input_ids), widest.model_max_length

    @property
    def _guide(self) -> dict[str, Any]:
        """Arguments of the pipeline for guidance and the negative prompt, as far as it takes them."""
        known = inspect.signature(self._loaded().__call__).parameters
        true_scale = known.get("true_cfg_scale")
        name = "true_cfg_scale" if true_scale is not None and (true_scale.default or 0) > 1 else "guidance_scale"
        if name not in known:
            raise SpecError(
                f"TextToImagePainter: the pipeline of {self.model!r} ({type(self._pipeline).__name__}) takes neither "
                "guidance_scale nor true_cfg_scale; choose one of text to image with guidance"
            )
        return {name: self.guidance} | (
            {"negative_prompt": self.negative_prompt} if "negative_prompt" in known else {}
        )

    def _loaded(self) -> Any:
        """Return the pipeline, read at the first call."""
        if self._pipeline is not None:
            return self._pipeline
        library = diffusers_library()
        try:
            pipeline = library.DiffusionPipeline.from_pretrained(
                self.model, torch_dtype=DTYPES[self.dtype], local_files_only=not self.download, use_safetensors=True
            )
        except (OSError, ValueError, AttributeError) as error:
            place = (
                "a local folder without a readable pipeline" if Path(self.model).is_dir() else "not on this machine"
            )
            fix = "check the name" if self.download else "give the folder of a pipeline, or set download: true"
            raise SpecError(
                f"TextToImagePainter: model {self.model!r} is {place} (weights must be safetensors); {fix}. "
                f"diffusers says: {error}"
            ) from error
        if "prompt" not in inspect.signature(pipeline.__call__).parameters:
            raise SpecError(
                f"TextToImagePainter: {self.model!r} is a {type(pipeline).__name__}, which takes no prompt; give a "
                "pipeline of text to image"
            )
        pipeline.set_progress_bar_config(disable=not self.progress)
        self._pipeline = pipeline.to(self.device)
        return self._pipeline


def _placeholders(template: str) -> tuple[str, ...]:
    """Names in braces, each once.

    Raises:
        SpecError: braces that do not match, or anything but a name in them.
    """
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise SpecError(f"TextToImagePainter: template {template!r} cannot be read: {error}") from error
    names = dict.fromkeys(name for _, name, _, _ in parsed if name is not None)
    wrong = [name for name in names if not name.isidentifier()]
    if wrong or any(form or conversion for _, _, form, conversion in parsed):
        raise SpecError(
            f"TextToImagePainter: template {template!r} must hold plain names in braces, such as {{description}} or "
            "{sex}, and double braces for braces themselves"
        )
    return tuple(names)


def _worded(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
