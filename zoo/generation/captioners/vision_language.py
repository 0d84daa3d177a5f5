"""The large captioner: a vision-language model of the library transformers writes the record of a picture."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from zoo.errors import MissingExtraError, SpecError, check_choice
from zoo.generation.captioners.base import Captioner
from zoo.generation.captioners.prompts import repair_prompt as ask_again
from zoo.generation.captioners.prompts import system_prompt, user_prompt
from zoo.generation.records.parse import parse_record
from zoo.generator import GENERATORS, Condition, Generation, row_seed

DTYPES = ("auto", "float32", "bfloat16", "float16")
"""Numbers that weights may be held in; "auto" is what they were saved in."""
Turns = list[dict[str, Any]]
"""A conversation, as chat templates of transformers read it."""


@GENERATORS.register
class VisionLanguageCaptioner(Captioner):
    """Ask a vision-language model for the record of a picture (Qwen2.5-VL class: Bai et al. 2025).

    Any model that ``AutoModelForImageTextToText`` loads and whose processor has a chat template fits. What it says
    is read by ``parse_record``: valid, repaired once, or rejected with the reason. A row whose metadata hold a
    control token of the model is rejected, for it would change the conversation.

    With a ``batch_size`` above 1 rows are padded to one length, which may change the last bits of the logits, and so
    in rare cases what is said of a row.

    Args:
        model: name of a repository, such as ``Qwen/Qwen2.5-VL-7B-Instruct``, or a local folder of a model and its
            processor in safetensors.
        revision: commit or tag of the repository; "" for the default.
        max_new_tokens: longest answer, in tokens (2400 in the paper).
        temperature: 0 takes the most probable token each time (greedy); above, tokens are drawn with a seed of the
            row, one row at a time.
        batch_size: rows that are answered at once.
        repair_prompt: ask the model once more where its answer is no valid record, telling it what is wrong. If the
            second answer is none either, what the rules of ``parse_record`` make of the first is taken.
        device: such as "cpu" or "cuda"; "auto" is a GPU where there is one.
        dtype: one of DTYPES.
        download: whether weights that are not on this machine may be fetched.
        leaky_replication: whether the prompt holds the diagnosis, as the published pipeline's does.
    """

    makes = "tabular"
    processor = "RecordProcessor"

    def __init__(
        self,
        *,
        model: str = "Qwen/Qwen2.5-VL-7B-Instruct",
        revision: str = "",
        max_new_tokens: int = 2400,
        temperature: float = 0.0,
        batch_size: int = 1,
        repair_prompt: bool = False,
        device: str = "auto",
        dtype: str = "auto",
        download: bool = False,
        leaky_replication: bool = False,
    ) -> None:
        if max_new_tokens < 1 or batch_size < 1 or temperature < 0:
            raise SpecError(
                "VisionLanguageCaptioner: max_new_tokens and batch_size must be at least 1 and temperature at least "
                f"0, got {max_new_tokens}, {batch_size} and {temperature}"
            )
        if temperature and batch_size > 1:
            raise SpecError(
                f"VisionLanguageCaptioner: temperature={temperature} draws tokens by the seed of a row, which needs "
                f"batch_size=1, got {batch_size}"
            )
        check_choice(self, "dtype", dtype, DTYPES)
        self.model, self.revision, self.max_new_tokens = model, revision, max_new_tokens
        self.temperature, self.batch_size, self.repair_prompt = temperature, batch_size, repair_prompt
        self.device, self.dtype, self.download = device, dtype, download
        self.leaky_replication = leaky_replication
        self._loaded: tuple[Any, Any] | None = None

    def options(self) -> dict[str, Any]:
        """Return what an answer depends on; ``prompt`` is a digest of the wording."""
        wording = system_prompt() + user_prompt(Condition("")) + ask_again("")
        return {
            "model": self.model,
            "revision": self.revision,
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature,
            "repair_prompt": self.repair_prompt,
            "dtype": self.dtype,
            "leaky_replication": self.leaky_replication,
            "prompt": hashlib.blake2b(wording.encode(), digest_size=8).hexdigest(),
        }

    def generate(self, rows: Sequence[Condition], seed: int) -> list[Generation]:
        """Ask for one record a row; a row without a picture is rejected.

        Raises:
            SpecError: the model cannot be loaded, or ``leaky_replication`` and a row without a label.
            MissingExtraError: transformers is too old for such models.
        """
        made: dict[int, Generation] = {}
        asked: list[tuple[int, Turns]] = []
        for index, row in enumerate(rows):
            if row.image is None:
                made[index] = Generation(None, "rejected", "the row has no picture")
                continue
            turns = conversation(row, leaky_replication=self.leaky_replication)
            tokens = [t for t in self._control_tokens() if t in turns[1]["content"][1]["text"]]
            if tokens:
                made[index] = Generation(
                    None, "rejected", f"the metadata hold a control token of the model, {tokens[0]!r}"
                )
            else:
                asked.append((index, turns))
        for start in range(0, len(asked), self.batch_size):
            part = asked[start : start + self.batch_size]
            answers = self._answers([turns for _, turns in part], [rows[index] for index, _ in part], seed)
            for (index, turns), answer in zip(part, answers, strict=True):
                made[index] = self._read(rows[index], turns, answer, seed)
        return [made[index] for index in range(len(rows))]

    def _read(self, row: Condition, turns: Turns, answer: str, seed: int) -> Generation:
        """Read an answer; ask once more where that is wanted and the answer is no valid record."""
        first = parse_record(answer)
        if first.status == "ok" or not self.repair_prompt:
            return first
        for token in self._control_tokens():
            answer = answer.replace(token, "")
        again = [
            *turns,
            {"role": "assistant", "content": [_text(answer)]},
            {"role": "user", "content": [_text(ask_again(first.reason))]},
        ]
        second = parse_record(self._answers([again], [row], seed + 1)[0])
        if second.status == "ok":
            return replace(second, status="repaired", reason=f"the model was asked again: {first.reason}")
        return replace(first, reason=f"{first.reason}; asked again: {second.reason}")

    def _answers(self, conversations: Sequence[Turns], rows: Sequence[Condition], seed: int) -> list[str]:
        """What the model says next in each conversation about the picture of its row."""
        model, processor = self._load()
        texts = [processor.apply_chat_template(t, add_generation_prompt=True, tokenize=False) for t in conversations]
        pictures = [_picture(row) for row in rows]
        inputs = seen(processor, texts, pictures).to(model.device)
        for name, value in inputs.items():
            if torch.is_tensor(value) and value.is_floating_point():
                inputs[name] = value.to(model.dtype)
        settings = copy.deepcopy(model.generation_config)
        settings.update(max_new_tokens=self.max_new_tokens, max_length=None, do_sample=self.temperature > 0)
        settings.update(temperature=self.temperature or None, top_p=None, top_k=None)
        devices = [model.device] if model.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=devices):
            torch.manual_seed(row_seed(seed, rows[0].id))
            out = model.generate(**inputs, generation_config=settings)
        said = out[:, inputs["input_ids"].shape[1] :]
        return [str(text) for text in processor.batch_decode(said, skip_special_tokens=True)]

    def _control_tokens(self) -> tuple[str, ...]:
        """Tokens that structure a conversation, pictures among them."""
        _, processor = self._load()
        named = [getattr(processor, name, None) for name in ("image_token", "video_token", "boi_token", "eoi_token")]
        return tuple(sorted({*processor.tokenizer.all_special_tokens, *(t for t in named if isinstance(t, str))}))

    def _load(self) -> tuple[Any, Any]:
        """Load the model and its processor at the first call."""
        if self._loaded is None:
            self._loaded = load_vision_language(
                self.model, revision=self.revision, device=self.device, dtype=self.dtype, download=self.download
            )
        return self._loaded


def conversation(row: Condition, *, leaky_replication: bool = False) -> Turns:
    """The turns that ask for the record of a row: the system's, and the user's with the picture first."""
    asked = user_prompt(row, leaky_replication=leaky_replication)
    return [
        {"role": "system", "content": [_text(system_prompt())]},
        {"role": "user", "content": [{"type": "image"}, _text(asked)]},
    ]


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _picture(row: Condition) -> Any:
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(row.image)).convert("RGB")


def seen(processor: Any, texts: Sequence[str], pictures: Sequence[Any]) -> Any:
    """What a model reads of texts with one picture each, as tensors, by any processor of transformers since 4.46.

    Args:
        processor: of the model, from transformers.
        texts: prompts with a placeholder for the picture.
        pictures: one for each prompt.
    """
    how: dict[str, Any] = {"text": list(texts), "padding": True, "return_tensors": "pt"}
    try:
        inputs = processor(images=[[picture] for picture in pictures], **how)
    except ValueError:  # older processors take one list of all pictures
        inputs = processor(images=list(pictures), **how)
    inputs.pop("token_type_ids", None)  # some tokenizers give them, and no such model reads them
    return inputs


def load_vision_language(
    name: str, *, revision: str = "", device: str = "auto", dtype: str = "auto", download: bool = False
) -> tuple[Any, Any]:
    """Load a vision-language model in evaluation mode and its processor; safetensors and known code only.

    Args:
        name: of a repository, or a local folder.
        revision: commit or tag of the repository; "" for the default.
        device: such as "cpu" or "cuda"; "auto" is a GPU where there is one.
        dtype: one of DTYPES.
        download: whether files that are not on this machine may be fetched.

    Raises:
        SpecError: the files are not there, do not fit, or come without a chat template.
        MissingExtraError: transformers is not installed, or too old for such models.
    """
    try:
        from transformers import AutoModelForImageTextToText, AutoProcessor
    except ImportError as error:
        raise MissingExtraError("transformers>=4.49", "augmentation") from error
    readers: Any = AutoProcessor
    where = {"revision": revision or "main", "local_files_only": not download, "trust_remote_code": False}
    try:
        processor: Any = readers.from_pretrained(name, **where)
        model: Any = AutoModelForImageTextToText.from_pretrained(
            name, use_safetensors=True, torch_dtype="auto" if dtype == "auto" else getattr(torch, dtype), **where
        )
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise SpecError(
            f"the vision-language model {name!r} was not found or cannot be read: "
            f"{' '.join(str(error).split())[:300]}. Give a local folder with config.json, model.safetensors and the "
            "files of its processor, or set download: true to fetch a repository by name"
        ) from error
    if not getattr(processor, "chat_template", None) or not hasattr(processor, "tokenizer"):
        raise SpecError(
            f"the processor of {name!r} has no chat template; take a model tuned for chat, such as "
            "Qwen/Qwen2.5-VL-7B-Instruct"
        )
    processor.tokenizer.padding_side = "left"  # answers begin where prompts end
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    return model.to(chosen).eval(), processor
