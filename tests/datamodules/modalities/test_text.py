"""Word pieces: codes, what the vocabulary is learned from, state, augmentation."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.core.choice import default_processor
from datamodules.modalities.text import SPECIAL_TOKENS, TextProcessor, train_wordpiece
from zoo.errors import DataError, SpecError
from zoo.raw import RawModality

RAW = RawModality("text", "text")
TEXTS = ["The heart is large.", "The lungs are clear.", "Large heart, clear lungs!", "heart and lungs are clear"] * 3


def fitted(**settings: object) -> TextProcessor:
    processor = TextProcessor(**settings)  # type: ignore[arg-type]
    processor.fit(RAW, TEXTS)
    return processor


def test_codes_by_hand() -> None:
    processor = fitted(max_length=10)
    code = {t: i for i, t in enumerate(processor.vocabulary)}
    assert processor.vocabulary[:5] == SPECIAL_TOKENS
    ids = processor("The HEART is clear.")
    assert ids.dtype == torch.long
    expected = [2, code["the"], code["heart"], code["is"], code["clear"], code["."], 3, 0, 0, 0]
    assert ids.tolist() == expected
    assert processor.tokens(ids) == ["[CLS]", "the", "heart", "is", "clear", ".", "[SEP]"]


def test_truncation_keeps_the_end_token() -> None:
    processor = fitted(max_length=4)
    assert processor.tokens(processor("the heart is clear")) == ["[CLS]", "the", "heart", "[SEP]"]


def test_spec_has_the_real_size() -> None:
    processor = fitted(vocab_size=4000)
    spec = processor.spec(RAW)
    assert spec.vocab_size == len(processor.vocabulary) < 200
    assert spec.shape == (64,)
    assert spec.kind == "text"
    small = fitted(vocab_size=20)
    assert small.spec(RAW).vocab_size <= 20


def test_unknown_characters_become_unk_and_special_names_stay_text() -> None:
    processor = fitted()
    assert processor.tokens(processor("heart \u03b1 clear")) == ["[CLS]", "heart", "[UNK]", "clear", "[SEP]"]
    assert not set(processor("[MASK] [SEP] [PAD]")[1:-1].tolist()[:3]) & {0, 2, 4}


def test_vocabulary_is_learned_from_training_texts_alone() -> None:
    poison = "zyxglomp quuxbarf"
    clean, again = fitted(), fitted()
    again(poison)
    assert clean.vocabulary == again.vocabulary
    assert not any("zyx" in t or "quux" in t for t in again.vocabulary)
    dirty = TextProcessor()
    dirty.fit(RAW, [*TEXTS, poison, poison])
    assert "zyxglomp" in dirty.vocabulary


def test_same_vocabulary_in_every_process() -> None:
    program = (
        "from datamodules.modalities.text import train_wordpiece\n"
        "texts = ['aspirin lowers fever', 'fever and aspirin', 'lower the fever of the heart ache'] * 2\n"
        "print('|'.join(train_wordpiece(texts, 60)))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    texts = ["aspirin lowers fever", "fever and aspirin", "lower the fever of the heart ache"] * 2
    here = {"|".join(train_wordpiece(texts, 60)) for _ in range(5)}
    assert here == {done.stdout.strip()}
    assert "fever" in here.pop().split("|")


def test_order_of_texts_does_not_matter() -> None:
    assert train_wordpiece(TEXTS, 100) == train_wordpiece(TEXTS[::-1], 100)


def test_rare_characters_are_left_out_of_a_small_vocabulary() -> None:
    texts = ["aa ab ba"] * 5 + ["a\u0416 \u4e2d"]
    tokens = train_wordpiece(texts, 13)
    assert len(tokens) <= 13
    assert {"a", "b", "##a", "##b"} <= set(tokens)
    assert not any("\u0436" in t or "\u4e2d" in t for t in tokens)


def test_state_and_copies() -> None:
    processor = fitted(max_length=12, word_dropout=0.25)
    processor(TEXTS[0])
    twins = (
        copy.deepcopy(processor),
        pickle.loads(pickle.dumps(processor)),
    )
    for twin in twins:
        assert twin.spec(RAW) == processor.spec(RAW)
        assert twin.word_dropout == 0.25
        assert torch.equal(twin(TEXTS[2]), processor(TEXTS[2]))


def test_word_dropout_leaves_whole_words_out() -> None:
    processor = fitted(max_length=16, word_dropout=0.5)
    value = processor("the heart and lungs are clearest")
    assert any(t.startswith("##") for t in processor.tokens(value))
    words = {"the", "heart", "and", "lungs", "are", "clearest"}
    lengths = set()
    for seed in range(30):
        names = processor.tokens(processor.augment(value, np.random.default_rng(seed)))
        assert (names[0], names[-1]) == ("[CLS]", "[SEP]")
        left = " ".join(names[1:-1]).replace(" ##", "").split()
        assert left
        assert set(left) <= words
        lengths.add(len(left))
    assert len(lengths) > 2
    assert torch.equal(fitted(max_length=16).augment(value, np.random.default_rng(0)), value)
    most = fitted(max_length=16, word_dropout=0.999)
    assert len(most.tokens(most.augment(most("the heart"), np.random.default_rng(0)))) == 3


def test_pretrained_folder_without_network(tmp_path: Path) -> None:
    from transformers import BertTokenizer

    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL_TOKENS, "heart", "##s"]) + "\n", encoding="utf-8")
    BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(str(tmp_path / "bert"))
    processor = TextProcessor(tokenizer=str(tmp_path / "bert"), max_length=6)
    assert not processor.fits
    processor.fit(RAW, ["x"])
    assert processor.spec(RAW).vocab_size == 7
    assert processor("Hearts heart").tolist() == [2, 5, 6, 5, 3, 0]
    twin = copy.deepcopy(processor)
    assert torch.equal(twin("hearts"), processor("hearts"))
    with pytest.raises(DataError, match="cannot be loaded"):
        TextProcessor(tokenizer=str(tmp_path / "nothing")).fit(RAW, ["x"])


def test_pretrained_padding_must_be_zero(tmp_path: Path) -> None:
    from transformers import BertTokenizer

    order = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "heart"]
    (tmp_path / "vocab.txt").write_text("\n".join(order) + "\n", encoding="utf-8")
    BertTokenizer(str(tmp_path / "vocab.txt")).save_pretrained(str(tmp_path / "bert"))
    with pytest.raises(SpecError, match="pads with 1"):
        TextProcessor(tokenizer=str(tmp_path / "bert")).fit(RAW, ["x"])


def test_errors() -> None:
    assert type(default_processor("text")) is TextProcessor
    for wrong in ({"max_length": 2}, {"vocab_size": 6}, {"word_dropout": 1.0}):
        with pytest.raises(SpecError, match=next(iter(wrong))):
            TextProcessor(**wrong)  # type: ignore[arg-type]
    for empty in ("", "  \n", None, 3.0):
        with pytest.raises(DataError, match="at least one word"):
            fitted()(empty)
    with pytest.raises(DataError, match="no training text"):
        TextProcessor().fit(RAW, [])
    with pytest.raises(SpecError, match="not fitted"):
        TextProcessor()("heart")
