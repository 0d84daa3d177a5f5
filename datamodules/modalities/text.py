"""Texts become word-piece codes; the vocabulary is learned from the training texts alone."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.core.processor import PROCESSORS, Processor
from zoo.carried import Box
from zoo.contract import MODALITIES, PAD, ModalityKind, ModalitySpec
from zoo.errors import DataError, SpecError
from zoo.packaged import PREFIX, package_folder
from zoo.raw import RawModality
from zoo.values import Cell, digest

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""Codes 0 to 4 of every vocabulary that is trained here."""
_UNK, _CLS, _SEP = 1, 2, 3


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep the tokenizers library on one thread, so that loader workers may fork afterwards."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _front(lowercase: bool) -> tuple[Any, Any]:
    """Make the normaliser and pre-tokenizer of BERT (Devlin et al., NAACL 2019)."""
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    return BertNormalizer(lowercase=lowercase, strip_accents=lowercase), BertPreTokenizer()


def train_wordpiece(texts: Sequence[str], vocab_size: int, lowercase: bool = True) -> list[str]:
    """Learn a WordPiece vocabulary (Wu et al., arXiv 1609.08144), the same in every run and process.

    The library numbers the pieces of the alphabet in the order of a hash table, which differs between runs,
    so they are given to it in sorted order. The most frequent characters that fit into half of the vocabulary
    are its alphabet; words with others become [UNK].

    Args:
        texts: to learn from.
        vocab_size: most tokens, special ones among them.
        lowercase: whether letters are made small first.

    Returns:
        At most ``vocab_size`` tokens in the order of their codes; the special tokens come first.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.trainers import WordPieceTrainer

    normalizer, splitter = _front(lowercase)
    words: Counter[str] = Counter()
    for text in texts:
        words.update(w for w, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    pieces: Counter[str] = Counter()
    for word, count in words.items():
        for i, character in enumerate(word):
            pieces["##" * (i > 0) + character] += count
    room = (vocab_size - len(SPECIAL_TOKENS)) // 2
    alphabet = sorted(sorted(pieces, key=lambda p: (-pieces[p], p))[:room])
    if len(alphabet) < len(pieces):
        known = set(alphabet)
        words = Counter({w: n for w, n in words.items() if all("##" * (i > 0) + c in known for i, c in enumerate(w))})
    tokenizer = Tokenizer(WordPiece(unk_token="[UNK]"))
    trainer = WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=[*SPECIAL_TOKENS, *alphabet], min_frequency=2, show_progress=False
    )
    tokenizer.pre_tokenizer = splitter
    with _one_thread():
        tokenizer.train_from_iterator((w for w in sorted(words) for _ in range(words[w])), trainer)
    codes: dict[str, int] = tokenizer.get_vocab()
    return sorted(codes, key=lambda token: codes[token])


@MODALITIES.register_as("text")
class Text(ModalityKind):
    """Texts as codes of word pieces of shape (L,), 0 at the end; raw: str.

    In a table, a cell holds the text, or names its file.
    """

    codes = True
    encoder = "BERTEncoder"
    processor = "TextProcessor"
    language = True
    cheap = True
    distinct = False

    @classmethod
    def check(cls, spec: ModalitySpec) -> None:
        """Refuse a text without a vocabulary."""
        super().check(spec)
        if spec.vocab_size < 2:
            raise SpecError(f"modality '{spec.name}': text needs vocab_size >= 2, got {spec.vocab_size}")

    @classmethod
    def read(cls, cell: Cell) -> str:
        """The words of a cell, or of the file that it names."""
        return cell.text()

    @classmethod
    def fingerprint(cls, value: Any) -> bytes:
        """Texts are equal in whatever case and with whatever blanks."""
        return digest(normal_text(value).encode())


def normal_text(text: str) -> str:
    r"""Return a text in one case, with single spaces.

    >>> normal_text(" No  acute\nDisease. ")
    'no acute disease.'
    """
    return " ".join(text.split()).casefold()


def load_tokenizer(name: str) -> Any:
    """Load a tokenizer of transformers; a folder is read without any network access.

    Args:
        name: folder, ``package:NAME`` or name on the hub.

    Raises:
        DataError: it is not found, or is no tokenizer.
    """
    from transformers import AutoTokenizer

    folder = package_folder(name)
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=Path(folder).is_dir(), trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"the tokenizer '{name}' cannot be loaded ({str(error).splitlines()[0]}); give a folder written by "
            "save_pretrained, a name on the hub, or '' to train one"
        ) from error


def copy_tokenizer(name: str, state: Mapping[str, Any], box: Box) -> Mapping[str, Any]:
    """Take a tokenizer along, unless an installed package has it; see zoo.carried.

    Args:
        name: of the attribute.
        state: of the processor.
        box: takes files along.

    Raises:
        SpecError: it is no longer there.
    """
    source = state[name]
    if source.startswith(PREFIX):
        return {}
    try:
        engine = load_tokenizer(source)
    except DataError as error:
        raise SpecError(str(error)) from error

    def write(folder: Path) -> None:
        engine.save_pretrained(folder)
        if engine.is_fast:  # tokenizer.json says it all
            for other in set(folder.iterdir()) - set(folder.glob("*.json")):
                other.unlink()

    return {name: box.take("tokenizer", source, write)}


@PROCESSORS.register
class TextProcessor(Processor):
    """Turn a text into (L,) codes: [CLS], the pieces of its words, [SEP], padding.

    A text of more than L - 2 pieces loses its end; [SEP] stays last. Pieces that the training texts do not
    hold become [UNK].

    Args:
        max_length: L, at least 3.
        vocab_size: largest size of the trained vocabulary; fewer words give a smaller one.
        tokenizer: folder, ``package:NAME`` for such a folder of an installed package, or name on the Hugging Face
            hub, of a pretrained tokenizer that replaces the trained one (its padding code must be 0). "" never
            looks anywhere.
        lowercase: fold case and strip accents.
        word_dropout: probability that a word is left out in training; one word always stays.
    """

    kind = "text"
    for_networks = True
    fits = True
    carried = {"tokenizer": copy_tokenizer}

    def __init__(
        self,
        *,
        max_length: int = 64,
        vocab_size: int = 4000,
        tokenizer: str = "",
        lowercase: bool = True,
        word_dropout: float = 0.0,
    ) -> None:
        if max_length < 3:
            raise SpecError(f"TextProcessor: max_length must be at least 3 ([CLS], a piece, [SEP]), got {max_length}")
        if vocab_size < len(SPECIAL_TOKENS) + 2:
            raise SpecError(f"TextProcessor: vocab_size must be at least {len(SPECIAL_TOKENS) + 2}, got {vocab_size}")
        if not 0.0 <= word_dropout < 1.0:
            raise SpecError(f"TextProcessor: word_dropout is a probability in [0, 1), got {word_dropout}")
        self.max_length = max_length
        self.vocab_size = vocab_size
        self.tokenizer = tokenizer
        self.lowercase = lowercase
        self.word_dropout = word_dropout
        self.fits = not tokenizer
        self.vocabulary: tuple[str, ...] = ()
        self._engine: Any = None

    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        """Train the vocabulary on the training texts, or load the pretrained tokenizer."""
        self._engine = None
        if self.tokenizer:
            self._pretrained()
            return
        texts = [_check_text(v) for v in values]
        if not texts:
            raise DataError(f"modality '{raw.name}': no training text to learn a vocabulary from")
        self.vocabulary = tuple(train_wordpiece(texts, self.vocab_size, self.lowercase))

    def spec(self, raw: RawModality) -> ModalitySpec:
        """The spec: shape (L,), with the size that the vocabulary really has."""
        size = len(self._pretrained()) if self.tokenizer else len(self._trained())
        return ModalitySpec(raw.name, raw.kind, (self.max_length,), vocab_size=size)

    def __call__(self, value: Any) -> Tensor:
        """Map a text to (L,) codes, torch.long, with 0 at the end."""
        text = _check_text(value)
        if self.tokenizer:
            ids = self._pretrained()(text, truncation=True, max_length=self.max_length)["input_ids"]
        else:
            body = self._wordpiece().encode(text, add_special_tokens=False).ids
            ids = [_CLS, *body[: self.max_length - 2], _SEP]
        out = torch.full((self.max_length,), PAD, dtype=torch.long)
        out[: len(ids)] = torch.tensor(ids, dtype=torch.long)
        return out

    def decode(self, value: Tensor) -> str:
        """Map (L,) codes back to words, without [CLS] and [SEP]; pieces that are unknown stay as [UNK]."""
        engine = self._pretrained() if self.tokenizer else None
        marks = set(engine.all_special_tokens) - {engine.unk_token} if engine else {"[CLS]", "[SEP]"}
        words: list[str] = []
        for piece in self.tokens(value):
            if piece.startswith("##") and words:
                words[-1] += piece[2:]
            elif piece not in marks:
                words.append(piece)
        return " ".join(words)

    def augment(self, value: Tensor, generator: np.random.Generator) -> Tensor:
        """Return (L,) codes with whole words left out, where that is asked for."""
        if self.word_dropout == 0.0:
            return value
        names = self.tokens(value)
        body = np.arange(1, len(names) - 1)
        if not len(body):
            return value
        word = np.cumsum([not names[i].startswith("##") for i in body])
        word -= word[0]
        keep = generator.random(int(word[-1]) + 1) >= self.word_dropout
        if not keep.any():
            keep[int(generator.integers(len(keep)))] = True
        kept = [0, *body[keep[word]].tolist(), len(names) - 1]
        out = torch.full_like(value, PAD)
        out[: len(kept)] = value[torch.tensor(kept)]
        return out

    def tokens(self, codes: Tensor) -> list[str]:
        """Name the pieces behind (L,) codes, without the padding."""
        kept = [int(c) for c in codes if int(c) != PAD]
        if self.tokenizer:
            return [str(t) for t in self._pretrained().convert_ids_to_tokens(kept)]
        return [self._trained()[c] for c in kept]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_engine": None}

    def _trained(self) -> tuple[str, ...]:
        if not self.vocabulary:
            raise SpecError("TextProcessor is not fitted: call fit with training texts, or use from_json")
        return self.vocabulary

    def _wordpiece(self) -> Any:
        """Build the trained tokenizer once a process."""
        if self._engine is None:
            from tokenizers import Tokenizer
            from tokenizers.models import WordPiece

            codes = {token: i for i, token in enumerate(self._trained())}
            engine = Tokenizer(WordPiece(vocab=codes, unk_token="[UNK]", max_input_chars_per_word=100))
            engine.normalizer, engine.pre_tokenizer = _front(self.lowercase)
            self._engine = engine
        return self._engine

    def _pretrained(self) -> Any:
        """Load the pretrained tokenizer once a process."""
        if self._engine is None:
            engine = load_tokenizer(self.tokenizer)
            if engine.pad_token_id != PAD:
                raise SpecError(
                    f"the tokenizer '{self.tokenizer}' pads with {engine.pad_token_id}, but the zoo pads with {PAD}; "
                    "use a BERT-like tokenizer whose [PAD] is 0"
                )
            self._engine = engine
        return self._engine


def _check_text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"a text must be a string with at least one word, got {value!r}; drop the row or fill it in")
    return value
