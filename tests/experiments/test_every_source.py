"""Every registered source: its card, and one step through the real command line on made-up and on real files."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import datamodules.phantom
import datamodules.sources  # noqa: F401  (registers every source)
from datamodules.core.source import SOURCES
from zoo.contract import MODALITIES
from zoo.errors import MissingExtraError, zoo_cause

ROOT = Path(__file__).parents[2]
ACCESS = ("open", "registration", "credentialed", "simulated", "packaged")
SIZES = {"dim": 16, "depth": 1, "heads": 2}
NAMES = [n for n in SOURCES.names() if SOURCES.get(n).__module__.startswith("datamodules.sources.")]

ARGUMENTS: dict[str, dict[str, Any]] = {
    "MOABBDataset": {"subjects": [1, 2, 3, 4]},
    "Table": {
        "id": "visit",
        "group": "patient",
        "modalities": {
            "scan": {"kind": "image", "path": "scans/{}.png"},
            "trace": {"kind": "signal", "path": "traces/{}.npy", "unit": "uV", "sampling_rate": 50.0},
            "report": {"kind": "text"},
        },
        "tasks": {"dx": {"kind": "classification"}, "grade": {"kind": "ordinal", "classes": ["low", "mid", "high"]}},
    },
}
"""Constructor arguments of the sources whose defaults are not enough, or slow."""
REAL_ARGUMENTS: dict[str, dict[str, Any]] = {
    "RSNABoneAge": {"folder": "bone_age"},
    "VQARAD": {"missing_images": "skip"},
}
"""The same for the real files, of which some are a part of the data set."""
PROCESSORS = {
    "image": ("datamodules.modalities.imaging.ImageProcessor", {"size": 16}),
    "text": ("datamodules.modalities.text.TextProcessor", {"max_length": 16, "vocab_size": 200}),
    "dna": ("datamodules.modalities.genomics.DNAProcessor", {"max_length": 64, "truncate": True}),
    "protein": ("datamodules.modalities.protein.ProteinProcessor", {"max_length": 64, "truncate": True}),
    "molecule": ("datamodules.modalities.molecule.MoleculeProcessor", {"fingerprint": 64}),
    "expression": ("datamodules.modalities.single_cell.ExpressionProcessor", {"normalise": "none"}),
}
CODECS = {"vqa": {"class_path": "zoo.tasks.vqa.AnswerCodec", "init_args": {"max_answers": 5}}}
ENCODERS = {
    "image": ("zoo.ViTEncoder", {"patch_size": 8}),
    "signal": ("zoo.LSTMEncoder", {"sources": 2}),
    "dna": ("zoo.DNABERTEncoder", {}),
    "expression": ("zoo.SCBERTEncoder", {"latents": 2}),
    "protein": ("zoo.ESMEncoder", {}),
    "text": ("zoo.BERTEncoder", {}),
    "molecule": ("zoo.MoleculeEncoder", {"hidden": 16}),
    "tabular": ("zoo.TabularEncoder", {}),
}
Step = Callable[..., None]


def module_of(name: str) -> str:
    return SOURCES.get(name).__module__.rsplit(".", 1)[1]


def generate(name: str, folder: Path) -> None:
    """Write the tiny layout of a source, or fail with what to add."""
    generator = ROOT / "tests" / "data" / f"{module_of(name)}.py"
    if not generator.is_file():
        pytest.fail(
            f"the source {name} has no generator: add tests/data/{generator.name} with write(folder, seed=0, n=12) "
            "that makes tiny files of the published layout, of two classes and twelve groups or more"
        )
    runpy.run_path(str(generator))["write"](folder, 0)


def configuration(name: str, root: Path) -> dict[str, Any]:
    """A configuration that names only the source; the model has an encoder of every kind the source gives."""
    kinds = {m.kind for m in SOURCES.get(name)(**_built(name)).card.modalities}
    encoders = {k: {"class_path": c, "init_args": SIZES | more} for k, (c, more) in ENCODERS.items() if k in kinds}
    made = {k: {"class_path": c, "init_args": options} for k, (c, options) in PROCESSORS.items() if k in kinds}
    source = {"class_path": f"datamodules.sources.{name}", "init_args": dict(ARGUMENTS.get(name, {}))}
    quiet = ("enable_model_summary", "enable_progress_bar", "enable_checkpointing", "logger")
    return {
        "trainer": dict.fromkeys(quiet, False),
        "report": {"folder": str(root / "report")},
        "data": {
            "class_path": "datamodules.MultimodalDataModule",
            "init_args": {
                "root": str(root), "sampling": {"batch_size": 8}, "sources": [source],
                "processing": {"codecs": CODECS, "processors": made},
            },
        },
        "model": {"class_path": "zoo.MultitaskModule", "init_args": {"encoders": encoders}},
    }  # fmt: skip


def _built(name: str) -> dict[str, Any]:
    """The constructor arguments as a call takes them."""
    from datamodules.sources.table import TableModality
    from zoo.table_task import TableTask

    given = dict(ARGUMENTS.get(name, {}))
    for key, cls in (("modalities", TableModality), ("tasks", TableTask)):
        if key in given:
            given[key] = {n: cls(**options) for n, options in given[key].items()}
    return given


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    """step(name, root): one optimisation step, one batch of validation and one of test, in this process."""
    from experiments.cli import run_lightning

    def run(name: str, root: Path, **arguments: Any) -> None:
        configured = tmp_path / "source.yaml"
        settings = configuration(name, root)
        settings["data"]["init_args"]["sources"][0]["init_args"] |= arguments
        settings["report"]["folder"] = str(tmp_path / "report")
        configured.write_text(yaml.safe_dump(settings))
        options = ("--trainer.fast_dev_run", "1", "--trainer.accelerator", "cpu")
        monkeypatch.setattr(sys, "argv", ["run.py", "fit", "--config", str(configured), *options])
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.chdir(tmp_path)
        try:
            run_lightning()
        except Exception as error:
            cause = zoo_cause(error)
            if isinstance(cause, MissingExtraError):
                pytest.skip(str(cause))
            raise

    return run


@pytest.mark.parametrize("name", NAMES)
def test_card(name: str) -> None:
    source = SOURCES.get(name)(**_built(name))
    card = source.card
    for field in ("title", "licence", "citation", "where", "layout", "size"):
        assert str(getattr(card, field)).strip(), f"the card of {name} says nothing of its {field}"
    assert card.access in ACCESS, f"the access of {name} is {card.access!r}; allowed: {ACCESS}"
    assert card.modalities
    assert all(m.kind in MODALITIES for m in card.modalities)
    assert source.folder or card.access == "packaged", f"{name} has no default folder"
    assert " ".join(card.title.split()) == card.title
    assert SOURCES.get(name).known_card() == SOURCES.get(name)().card


@pytest.mark.parametrize("name", NAMES)
def test_one_step(name: str, step: Step, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    generate(name, tmp_path / "data" / SOURCES.get(name)(**_built(name)).folder)
    step(name, tmp_path / "data")


def test_a_source_without_generator_says_what_to_add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "module_of", lambda _: "no_such_source")
    with pytest.raises(pytest.fail.Exception, match=r"add tests/data/no_such_source\.py with write"):
        generate(NAMES[0], tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_one_step_on_real_files(name: str, step: Step, shared_data: Path) -> None:
    folder = SOURCES.get(name)(**_built(name), **REAL_ARGUMENTS.get(name, {})).folder
    if not folder or not (shared_data / folder).exists():
        pytest.skip(f"no real files of {name}: '{folder}' is not in the folder of real data")
    step(name, shared_data, **REAL_ARGUMENTS.get(name, {}))


def test_arguments_are_of_registered_sources() -> None:
    assert {*ARGUMENTS, *REAL_ARGUMENTS} <= set(NAMES)
