"""Bad files, rows and specs: each raises an error of the zoo that names the file, the value and the fix."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import MultimodalDataModule
from datamodules.core.options import LoadingOptions
from datamodules.core.prepare import prepare
from datamodules.core.query import Pipeline
from datamodules.core.source import Source
from datamodules.phantom import PhantomCohort
from datamodules.sources import BCIIV2b, BrainTumorMRI, MedMNIST, ProteinStructures, SingleCellH5AD
from zoo.contract import ModalitySpec, Sample, TaskSpec, collate
from zoo.errors import DataError, SpecError, UnknownNameError, ZooError
from zoo.models.multitask.module import MultitaskModule
from zoo.raw import RawModality
from zoo.weighting.fixed import FixedWeighting

DATA = Path(__file__).parents[1] / "data"
Make = Callable[[], Source]
LAYOUTS: dict[str, tuple[str, Make, str]] = {
    # generator: folder, source, a file of it
    "brain_tumor_mri": ("brain_tumor_mri", BrainTumorMRI, "Training/glioma_tumor/image(1).jpg"),
    "med_mnist": ("pneumoniamnist", MedMNIST, "pneumoniamnist.npz"),
    "single_cell": ("scrna", SingleCellH5AD, "kidney.h5ad"),
    "protein_structures": ("protein_structures", ProteinStructures, "helices/chain000.pdb"),
    "bci_iv_2b": ("bci_iv_2b", BCIIV2b, "bci4_2b_100hz_int16.npz"),
}


def lay_out(name: str, root: Path, n: int = 40) -> tuple[Source, Path]:
    """Write a tiny layout; return its unopened source and the path of one file."""
    folder, make, file = LAYOUTS[name]
    runpy.run_path(str(DATA / f"{name}.py"))["write"](root / folder, seed=0, n=n)
    return make(), root / folder / file


def read_everything(pipe: Pipeline) -> None:
    for rows in pipe.rows.values():
        for row in rows.tolist():
            pipe.dataset.processed(row)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_missing_folder_says_where_to_get_it(name: str, tmp_path: Path) -> None:
    folder, make, _ = LAYOUTS[name]
    with pytest.raises(DataError) as caught:
        prepare([make()], root=tmp_path)
    message = str(caught.value)
    for words in (str(tmp_path / folder), "does not exist", "Get it:", "--data.root"):
        assert words in message


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_empty_folder(name: str, tmp_path: Path) -> None:
    folder, make, _ = LAYOUTS[name]
    (tmp_path / folder).mkdir()
    with pytest.raises(DataError, match=folder):
        prepare([make()], root=tmp_path)


def test_a_missing_root(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"data.root '.*nowhere' is not a folder; give"):
        MultimodalDataModule([BrainTumorMRI()], root=str(tmp_path / "nowhere"))


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("content", [b"", b"not what it says", None], ids=["empty", "text", "cut short"])
def test_an_unreadable_file_is_named(name: str, content: bytes | None, tmp_path: Path) -> None:
    source, file = lay_out(name, tmp_path)
    if content is None and name == "protein_structures":
        content = b"ATOM      1  CA  ALA A   1       x.xxx   0.000   0.000\n"  # a PDB file cut short is still one
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2] if content is None else content)
    with pytest.raises(DataError) as caught:
        read_everything(prepare([source], root=tmp_path))
    assert file.name in str(caught.value)


def test_a_label_outside_the_classes(tmp_path: Path) -> None:
    source, file = lay_out("med_mnist", tmp_path)
    arrays = dict(np.load(file))
    arrays["train_labels"][3] = 7
    np.savez(file, **arrays)
    with pytest.raises(DataError, match=r"label .*7.* outside the 2 classes .*pneumoniamnist.npz.*train/00003"):
        prepare([source], root=tmp_path)


class Signals(Source):
    """Ten signals of noise; ``broken`` of them hold a NaN."""

    def __init__(self, *, broken: int = 0, labels: tuple[str, str] = ("left", "right")) -> None:
        super().__init__()
        from datamodules.core.source import SourceCard
        from zoo.raw import RawTask

        self.broken, self.labels = broken, labels
        self.card = SourceCard(
            "noise",
            (RawModality("eeg", "signal", "uV", 100.0, ("C3", "C4")),),
            (RawTask("hand", "classification", ("left", "right"), ("eeg",)),),
            "none",
            "simulated",
            "none",
            "nowhere",
            "no files",
        )

    def _index(self) -> Any:
        import pandas as pd

        ids = [f"trial{i:02d}" for i in range(40)]
        return pd.DataFrame({"id": ids}).assign(subject="", group="", stratum="", split="")

    def read(self, row: int) -> Sample:
        signal = np.random.default_rng(row).normal(size=(2, 50)).astype(np.float32)
        if row < self.broken:
            signal[1, 3] = np.nan
        return Sample(f"trial{row:02d}", {"eeg": signal}, {"hand": self.labels[row % 2]})


def test_nan_in_a_signal_names_the_row() -> None:
    with pytest.raises(DataError) as caught:
        read_everything(prepare([Signals(broken=1)]))
    assert "eeg" in str(caught.value)
    assert "trial00" in str(caught.value)


def test_a_label_that_no_class_has_names_row_and_classes() -> None:
    with pytest.raises(DataError, match=r"'hand': the label 'rihgt' is none of its classes .*left.*trial01"):
        read_everything(prepare([Signals(labels=("left", "rihgt"))]))


def test_skip_drops_exactly_the_bad_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = MultimodalDataModule([Signals(broken=3)], loading=LoadingOptions(on_error="skip"))
    pipe = data.pipeline
    kept = [pipe.join.table["id"][r] for rows in pipe.rows.values() for r in rows.tolist()]
    assert sorted(kept) == [f"Signals/trial{i:02d}" for i in range(3, 40)]
    assert sum(pipe.skipped.values()) == 3
    data.print_summary()
    assert "skipped 3 rows (on_error: skip)" in capsys.readouterr().out
    read_everything(pipe)


def test_skip_drops_exactly_the_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, file = lay_out("brain_tumor_mri", tmp_path)
    file.write_bytes(b"no picture")
    data = MultimodalDataModule([source], root=str(tmp_path), loading=LoadingOptions(on_error="skip"))
    pipe = data.pipeline
    kept = {pipe.join.table["id"][r] for rows in pipe.rows.values() for r in rows.tolist()}
    bad = "BrainTumorMRI/Training/glioma_tumor/image(1).jpg"
    assert set(pipe.join.table["id"]) - kept == {bad}
    ((reason, count),) = pipe.skipped.items()
    assert (count, file.name in reason) == (1, True)
    data.print_summary()
    said = capsys.readouterr().out
    assert "skipped 1 rows" in said
    assert "text file" in " ".join(said.split()), "what the file is, by its content"


def test_a_shape_that_does_not_match_its_spec() -> None:
    import torch

    spec = ModalitySpec("ct", "image", (1, 8, 8))
    with pytest.raises(
        SpecError, match=r"sample 'p1', modality 'ct': got shape \(1, 8, 9\), the spec says \(1, 8, 8\)"
    ):
        collate([Sample("p1", {"ct": torch.zeros(1, 8, 9)})], [spec], [])


def specs() -> tuple[list[ModalitySpec], list[TaskSpec]]:
    return [ModalitySpec("ct", "image", (1, 8, 8))], [TaskSpec("age", "classification", 2, modalities=("ct",))]


def test_an_encoder_that_does_not_fit_its_kind() -> None:
    from zoo.encoders.dnabert import DNABERTEncoder

    with pytest.raises(SpecError, match=r"DNABERTEncoder takes modalities of kind .*'ct' is of kind 'image'"):
        MultitaskModule(*specs(), encoders={"ct": DNABERTEncoder})


def test_a_modality_with_no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    import zoo.encoders.choice

    monkeypatch.setattr(zoo.encoders.choice, "default_encoder", lambda kind: None)
    with pytest.raises(SpecError, match=r"modality 'ct' of kind 'image' has no encoder; add model.encoders.ct"):
        MultitaskModule(*specs())


def test_an_encoder_of_a_modality_that_is_not_here_warns() -> None:
    from zoo.encoders.vit import ViTEncoder

    with pytest.warns(UserWarning, match=r"unknown modality or kind under model.encoders 'ctt'; did you mean 'ct'\?"):
        MultitaskModule(*specs(), encoders={"ctt": ViTEncoder})


def test_a_task_that_no_source_labels() -> None:
    source = PhantomCohort(n=20, size=16, modalities=["ct"], tasks=["disease"])
    with pytest.raises(UnknownNameError, match=r"no source labels it.*'bone_ag'.* known: disease"):
        prepare([source], tasks=["bone_ag"])


def test_a_lambda_that_names_nothing() -> None:
    with pytest.raises(UnknownNameError, match=r"lambda\['agee'\] names no task; did you mean 'age'\?"):
        MultitaskModule(*specs(), weighting=FixedWeighting(lambdas={"agee": 2.0}))
    with pytest.raises(UnknownNameError, match=r"lambda\['age'\]\['ct'\] names no \(task, stream\)"):
        MultitaskModule(*specs(), weighting=FixedWeighting(lambdas={"age": {"ct": 2.0}}))


def test_every_error_is_one_of_the_zoo() -> None:
    assert issubclass(DataError, ZooError)
    assert issubclass(SpecError, ZooError)
    assert str(DataError("x", file="a.png", row=3)) == "x [file: a.png] [row: 3]"
