"""A vision-language model as a judge."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from zoo.errors import SpecError
from zoo.generation.judges.base import JUDGES, Judge, Verdict, rejected
from zoo.generator import Condition, Generation


@JUDGES.register
class LanguageModelJudge(Judge):
    """Ask a vision-language model for a number from 1 to 5 (in the manner of G-Eval, Liu et al., EMNLP 2023).

    The wording is ours. An answer without such a number gives no score and is told in the reasons.

    Args:
        model: name of a repository or a local folder, see VisionLanguageCaptioner.
        revision: commit or tag; "" for the default.
        max_new_tokens: longest answer, in tokens.
        with_diagnosis: tell the judge the true class and ask how well the value goes with it (appendix B.3 of the
            paper); else the metadata and picture of the row (appendix B.4).
        device, dtype, download: see VisionLanguageCaptioner.
    """

    def __init__(
        self,
        *,
        model: str = "Qwen/Qwen2.5-VL-7B-Instruct",
        revision: str = "",
        max_new_tokens: int = 256,
        with_diagnosis: bool = False,
        device: str = "auto",
        dtype: str = "auto",
        download: bool = False,
    ) -> None:
        if max_new_tokens < 1:
            raise SpecError(f"LanguageModelJudge: max_new_tokens must be at least 1, got {max_new_tokens}")
        self.model, self.revision, self.max_new_tokens = model, revision, max_new_tokens
        self.with_diagnosis, self.device, self.dtype, self.download = with_diagnosis, device, dtype, download
        self._loaded: tuple[Any, Any] | None = None

    def score(self, given: Condition, made: Generation) -> Verdict:
        """Ask about one value.

        Raises:
            SpecError: there is no picture to show, ``with_diagnosis`` and no label, or the model cannot be loaded.
            MissingExtraError: transformers is not installed.
        """
        if (gone := rejected(made)) is not None:
            return gone
        answer = self._answer(judge_prompt(given, made, with_diagnosis=self.with_diagnosis), _shown(given, made))
        found = parse_score(answer)
        if found is None:
            return Verdict(math.nan, (f"the judge gave no number from 1 to 5: {answer[:200]!r}",))
        return Verdict(found, (answer.strip()[:1000],), 1)

    def _answer(self, prompt: str, picture: npt.NDArray[np.uint8]) -> str:
        from PIL import Image

        from zoo.generation.captioners.vision_language import load_vision_language, seen

        if self._loaded is None:
            self._loaded = load_vision_language(
                self.model, revision=self.revision, device=self.device, dtype=self.dtype, download=self.download
            )
        model, processor = self._loaded
        for token in processor.tokenizer.all_special_tokens:
            prompt = prompt.replace(token, "")  # a value must not change the conversation
        turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]
        text = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        shown = Image.fromarray(np.ascontiguousarray(picture)).convert("RGB")
        inputs = seen(processor, [text], [shown]).to(model.device)
        for name, value in inputs.items():
            if torch.is_tensor(value) and value.is_floating_point():
                inputs[name] = value.to(model.dtype)
        with torch.inference_mode():
            out = model.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        said = out[:, inputs["input_ids"].shape[1] :]
        return str(processor.batch_decode(said, skip_special_tokens=True)[0])


def _shown(given: Condition, made: Generation) -> npt.NDArray[np.uint8]:
    """The picture to judge by: the generated one, or the row's own beside a generated record."""
    picture = made.value if isinstance(made.value, np.ndarray) else given.image
    if picture is None:
        raise SpecError(f"row '{given.id}': LanguageModelJudge shows a picture, and the row has none")
    return picture


def judge_prompt(given: Condition, made: Generation, *, with_diagnosis: bool = False) -> str:
    """Write what a language model is asked of one value.

    Args:
        given: what the generator was told.
        made: what it made.
        with_diagnosis: whether the judge is told the label of the row.

    Raises:
        SpecError: ``with_diagnosis`` and a row without a label.
    """
    if with_diagnosis and not given.label:
        raise SpecError(f"row '{given.id}': with_diagnosis needs its label; give it one, or switch it off")
    known = f"True class: {given.label}" if with_diagnosis else f"Known of the row: {json.dumps(given.metadata)}"
    record = not isinstance(made.value, np.ndarray)
    what = f"Record written for the picture: {json.dumps(made.value)}" if record else "The picture was generated."
    return (
        "Judge how well a generated value agrees with what is known. Look only at content; style and format do not "
        "count. First name the points that can be compared, then say of each whether it agrees, is missing or "
        f"contradicts.\n\n{known}\n{what}\n\n"
        "End with one line 'Score: X', X a number from 1 to 5: 1 contradicts or ignores what is known, 3 agrees in "
        "part, 5 agrees in every point."
    )


def parse_score(answer: str) -> float | None:
    """The number from 1 to 5 that an answer gives: the last after the word "score", else the only number there is.

    >>> parse_score("1. the sex agrees. Score: 4.5"), parse_score("4"), parse_score("Score: 11"), parse_score("a")
    (4.5, 4.0, None, None)
    """
    marked = re.findall(r"score\W{0,5}(\d+(?:\.\d+)?)(?!\d)", answer.lower())
    numbers = re.findall(r"(?<![\d.])\d+(?:\.\d+)?", answer)
    text = marked[-1] if marked else numbers[0] if len(numbers) == 1 else ""
    value = float(text) if text else math.nan
    return value if 1.0 <= value <= 5.0 else None
