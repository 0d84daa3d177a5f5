"""``run.py cross_modal`` and ``run.py table`` end to end, on tiny files in the layout of HAM10000."""

from __future__ import annotations

import csv
import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.commands.cross_modal.settings import SETTINGS, chosen_settings
from experiments.core.study import change_option
from zoo.errors import UnknownNameError
from zoo.results import load_result

TESTS = Path(__file__).parents[2]
GENERATIVE = TESTS / "zoo" / "generation"
CAPTIONER = {
    "class_path": "zoo.generation.captioners.FieldCaptioner",
    "init_args": {"malignant": ["melanoma", "basal cell carcinoma"], "backbone": "", "side": 32},
}
CONFIG: dict[str, Any] = {
    "seed_everything": 0,
    "threads": 1,
    "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": 3, "logger": False, "enable_progress_bar": False},
    "data": {
        "class_path": "datamodules.MultimodalDataModule",
        "init_args": {
            "root": ".",
            "sources": [{"class_path": "datamodules.sources.HAM10000"}],
            "sampling": {"batch_size": 16},
            "processing": {
                "processors": {
                    n: {
                        "class_path": "datamodules.modalities.imaging.ImageProcessor",
                        "init_args": {"size": 16, "channels": 3},
                    }
                    for n in ("dermoscopy", "image")
                },
                "generated": {
                    "record": {
                        "class_path": "datamodules.synthesis.GeneratedModality",
                        "init_args": {
                            "generator": CAPTIONER,
                            "inputs": {"image": "dermoscopy", "metadata": "clinical", "label": "disease"},
                            "folds": 2,
                            "cache": "generated",
                        },
                    }
                },
            },
        },
    },
    "model": {
        "class_path": "zoo.MultitaskModule",
        "init_args": {
            "encoders": {
                "image": {"class_path": "zoo.ViTEncoder", "init_args": {"dim": 16, "depth": 1, "heads": 2}},
                "tabular": {"class_path": "zoo.MLPEncoder", "init_args": {"dim": 16, "hidden": [16]}},
            },
            "training": {
                "losses": {"disease": {"class_path": "zoo.training.losses.ClassBalancedFocal"}},
                "refinement": {
                    "class_path": "zoo.training.refinement.Refinement",
                    "init_args": {
                        "epochs": 1,
                        "frozen": ["encoders.dermoscopy"],
                        "losses": {"disease": {"class_path": "zoo.training.losses.BalancedSoftmax"}},
                    },
                },
            },
        },
    },
}
Call = Callable[..., tuple[int, str]]


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    """A copy of CONFIG beside 84 tiny images; ``write`` puts it where the commands find it."""
    (tmp_path / "ham10000").mkdir()
    runpy.run_path(str(TESTS / "data" / "ham10000.py"))["write"](tmp_path / "ham10000", n=84)
    copied: dict[str, Any] = json.loads(json.dumps(CONFIG))
    return copied


def write(folder: Path, config: dict[str, Any]) -> None:
    (folder / "ham10000_tiny.yaml").write_text(yaml.safe_dump(config))


def generator(folder: Path, kind: str) -> dict[str, Any]:
    """A generator of random weights: a vision-language model, or a text-to-image pipeline."""
    if kind == "vlm":
        runpy.run_path(str(GENERATIVE / "tiny_vision_language.py"))["save_tiny"](folder / "qwen")
        options: dict[str, Any] = {"model": str(folder / "qwen"), "max_new_tokens": 4}
        return {"class_path": "zoo.generation.captioners.VisionLanguageCaptioner", "init_args": options}
    runpy.run_path(str(GENERATIVE / "tiny_text_to_image.py"))["write_pipeline"](folder / "pipeline")
    options = {"model": str(folder / "pipeline"), "steps": 1, "height": 16, "width": 16, "progress": False}
    return {"class_path": "zoo.generation.painters.TextToImagePainter", "init_args": options}


COMMON = ("--config", "ham10000_tiny.yaml", "--workers", "1", "--resamples", "20", "--out", "out")


def test_every_setting_is_compared_and_the_tables_of_the_paper_are_printed(
    config: dict[str, Any], tmp_path: Path, call: Call
) -> None:
    write(tmp_path, config)
    code, said = call("cross_modal", *COMMON, "--seeds", "0", "1")
    assert code == 0, said
    result = load_result(tmp_path / "out")
    scores = {t.name: t.rows for t in result.tables}["scores"]
    assert {r["setting"] for r in scores} >= {
        "image", "metadata", "fusion", "fusion+records", "fusion+records leaky", "image+records", "metadata+records",
        "concat", "gated", "ensemble", "constant", "chance", "logistic_regression", "random_forest", "svm_rbf",
        "logistic_regression+records",
    }  # fmt: skip
    assert {r["seed"] for r in scores} == {0, 1}
    assert {r["leaky"] for r in scores if "leaky" in r["setting"]} == {True}
    assert not any(r["leaky"] for r in scores if "leaky" not in r["setting"])
    assert {(r["mode"], r["trained"]) for r in scores if r["setting"] == "fusion+records"} == {
        ("fusion", "separate"), ("image", "masked"), ("tabular", "masked"),
    }  # fmt: skip
    assert "the generator was told the label" in " ".join(result.summary)
    assert "AttributeJudge scores all" in " ".join(result.summary)  # both measure pictures alike
    with (tmp_path / "out" / "differences.csv").open() as file:
        pairs = {(r["setting"], r["against"]) for r in csv.DictReader(file)}
    assert ("fusion+records", "fusion") in pairs

    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "jobs").glob("*/job.json")}
    code, said = call("cross_modal", *COMMON, "--seeds", "0", "1", "--no-models", "--judges")
    assert code == 0, said
    assert {p: p.stat().st_mtime_ns for p in before} == before, "nothing is trained twice"

    code, said = call("table", "--paper", "cross_modal", "out", "--tables", "3", "4", "11", "14")
    assert code == 0, said
    assert "Fusion (+EHR-like generation)" in said
    assert "LEAKY" in said


def test_painted_images_further_rows_and_a_round_trip(config: dict[str, Any], tmp_path: Path, call: Call) -> None:
    painter = {
        "class_path": "zoo.generation.painters.SmallDiffusion",
        "init_args": {"size": 8, "channels": [8], "steps": 2, "sampling_steps": 1, "progress": False},
    }
    told = json.loads(json.dumps(painter))
    told["init_args"]["condition_on_label"] = True
    whole, rows = "datamodules.synthesis.GeneratedModality", "datamodules.synthesis.GeneratedRows"
    record = config["data"]["init_args"]["processing"]["generated"].pop("record")
    common = {"inputs": {"metadata": "clinical", "learns_from": "dermoscopy"}, "folds": 0}
    config["data"]["init_args"]["processing"]["generated"] = {
        "painted": {"class_path": whole, "init_args": {"generator": painter, **common}},
        "more": {
            "class_path": rows,
            "init_args": {
                "generator": told,
                "modality": "dermoscopy",
                "inputs": {"metadata": "clinical", "label": "disease"},
            },
        },
    }
    write(tmp_path, config)
    code, said = call("cross_modal", *COMMON, "--seeds", "0", "--no-models")
    assert code == 0, said
    keys = {r["setting"] for r in {t.name: t.rows for t in load_result(tmp_path / "out").tables}["scores"]}
    assert keys >= {
        "synthetic image + metadata", "+ standard augmentation", "+ synthetic augmentation", "synthetic supervision",
        "fusion", "metadata", "synthetic image",
    }  # fmt: skip
    code, said = call("table", "--paper", "cross_modal", "out", "--tables", "16", "17")
    assert code == 0, said

    trip = {"generator": painter, "inputs": {"record": "record", "learns_from": "dermoscopy"}, "folds": 0}
    config["data"]["init_args"]["processing"]["generated"] = {
        "record": record,
        "trip": {"class_path": whole, "init_args": trip},
    }
    write(tmp_path, config)
    options = ("--seeds", "0", "--no-models", "--judges", "--settings", "fusion+records", "round trip")
    code, said = call("cross_modal", *COMMON, *options)
    assert code == 0, said
    assert "round trip against fusion+records" in said


@pytest.mark.parametrize("kind", ["vlm", "painter"])
def test_tiny_random_models_of_the_real_classes_run_through_the_recipe(
    kind: str, config: dict[str, Any], tmp_path: Path, call: Call
) -> None:
    """Their output is noise, so records are rejected and unknown; the path is the real one."""
    made = generator(tmp_path, kind)
    options: dict[str, Any] = {"generator": made, "inputs": {"metadata": "clinical"}, "cache": "generated"}
    if kind == "vlm":
        inputs = {"image": "dermoscopy", "metadata": "clinical", "label": "disease"}
        options |= {"inputs": inputs, "rejected": "unknown"}
    class_path = "datamodules.synthesis.GeneratedModality"
    name = "record" if kind == "vlm" else "painted"
    config["data"]["init_args"]["processing"]["generated"] = {name: {"class_path": class_path, "init_args": options}}
    write(tmp_path, config)
    settings = ("fusion", "fusion+records", "synthetic image + metadata")
    code, said = call("cross_modal", *COMMON, "--seeds", "0", "--no-models", "--settings", *settings)
    assert code == 0, said
    result = load_result(tmp_path / "out")
    generation = {t.name: t.rows for t in result.tables}["generation"][0]
    assert generation["ok"] + generation["repaired"] + generation["rejected"] == 84
    assert (generation["rejected"] == 84) == (kind == "vlm")


def test_settings_are_named_by_key_or_class() -> None:
    assert [s.key for s in chosen_settings(["fusion", "ImageOnly"])] == ["image", "fusion"]
    assert len({SETTINGS.get(n).order for n in SETTINGS}) == len(SETTINGS)
    with pytest.raises(UnknownNameError, match="setting"):
        chosen_settings(["fusio"])


def test_changes_of_the_data_reach_into_classes() -> None:
    data = {
        "init_args": {
            "processing": {
                "generated": {"record": {"class_path": "A", "init_args": {"generator": {"class_path": "B"}}}}
            }
        }
    }
    change_option(data, "data.processing.generated.record.generator.leaky_replication=true")
    assert data["init_args"]["processing"]["generated"]["record"]["init_args"]["generator"]["init_args"] == {
        "leaky_replication": True
    }
    with pytest.raises(UnknownNameError, match="recor"):
        change_option(data, "data.processing.generated.recor.generator.leaky_replication=true")


def test_data_without_anything_generated_are_refused(config: dict[str, Any], tmp_path: Path, call: Call) -> None:
    del config["data"]["init_args"]["processing"]["generated"]
    write(tmp_path, config)
    code, said = call("cross_modal", *COMMON, "--seeds", "0")
    assert code != 0
    assert "nothing is generated" in said
