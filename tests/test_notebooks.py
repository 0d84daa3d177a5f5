"""Execute the notebooks from beginning to end in a folder of their own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "WANDB_MODE": "offline",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "COLUMNS": "160",
}


def load(path: Path) -> Any:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: pip install -e '.[test]'")
    return nbformat.read(path, as_version=4)


def text_of(notebook: Any) -> str:
    """All that the cells wrote, as plain text."""
    parts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            parts.append(output.get("text", ""))
            parts.append(str(output.get("data", {}).get("text/plain", "")))
    return "\n".join(parts)


def execute(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a copy of a notebook in ``folder``; a cell that fails fails the test with its traceback."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install -e '.[test]'")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install -e '.[test]'")
    for key, value in ENVIRONMENT.items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel shows figures inline
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    )
    copy = folder / name
    shutil.copy(ROOT / "notebooks" / name, copy)
    notebook = load(copy)
    client = nbclient.NotebookClient(
        notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    return notebook


def test_there_are_notebooks() -> None:
    assert [p.name for p in NOTEBOOKS][:2] == ["01_quickstart.ipynb", "02_add_a_modality.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_stored_clean(path: Path) -> None:
    """No outputs, no counts, no absolute path of a machine."""
    notebook = load(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
        for word in ("/home/", "/root/", "/Users/", "/tmp/", "C:\\"):
            assert word not in cell.source
        assert cell.source.isascii()


def test_quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    notebook = execute("01_quickstart.ipynb", tmp_path, monkeypatch)
    (file,) = tmp_path.glob("runs/quickstart/version_*/report.json")
    report = json.loads(file.read_text())
    assert set(report) == {"disease", "radiographic_findings", "retinopathy", "expression", "breast_cancer"}
    assert report["breast_cancer"]["data"] == "real"
    assert report["disease"]["data"] == "simulated"
    for task in ("disease", "radiographic_findings", "expression", "breast_cancer"):
        assert report[task]["beats_chance"], (task, report[task])
        assert report[task]["beats_baseline"], (task, report[task])
    text = text_of(notebook)
    assert "beats both" in text
    assert "best reachable accuracy on disease from text: 0.75" in text
    kinds = {key for cell in notebook.cells for o in cell.get("outputs", []) for key in o.get("data", {})}
    assert "image/png" in kinds


def test_generated_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_data: Path) -> None:
    monkeypatch.setenv("ZOO_DATA", str(shared_data))
    notebook = execute("03_generated_records.ipynb", tmp_path, monkeypatch)
    text = text_of(notebook)
    found = dict(line.split(": ") for line in text.splitlines() if line.startswith("AUROC of the recorded risk"))
    honest, leaky = (float(v) for v in found.values())
    assert leaky > 0.99 > honest > 0.6
    gap = next(line for line in text.splitlines() if line.startswith("fusion+records leaky - fusion+records"))
    assert gap.endswith("better")
    assert "<- LEAKS: no result" in text
    pictures = [o for c in notebook.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(pictures) == 2


def test_add_a_modality(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = text_of(execute("02_add_a_modality.ipynb", tmp_path, monkeypatch))
    assert "True True True" in text
    (both, ecg, patient) = (
        float(line.split(": ")[1].split()[0]) for line in text.splitlines() if " on risk from " in line
    )
    assert both > 0.75
    assert both > ecg
    assert both > patient
    assert not list(tmp_path.glob("ecg*")), "the files belong in the notebook's temporary folder"
