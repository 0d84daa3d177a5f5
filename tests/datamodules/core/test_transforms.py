"""Transforms of training batches: what is drawn, for whom, from which seed, and what is refused."""

from __future__ import annotations

import random
import runpy
import sys
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torchvision.transforms import v2

from datamodules import ImagingDataModule
from datamodules.core.transforms import BatchTransforms
from datamodules.sources import MedMNIST
from tests.options import grouped
from zoo.contract import Batch, ModalitySpec
from zoo.errors import SpecError, UnknownNameError

DATA = Path(__file__).parents[2] / "data"
XRAY = ModalitySpec("xray", "image", (1, 12, 12))
PHOTO = ModalitySpec("fundus", "image", (3, 12, 12))
EEG = ModalitySpec("eeg", "signal", (4, 40), unit="uV", sampling_rate=100.0)
DNA = ModalitySpec("genomics", "dna", (20,))
TABLE = ModalitySpec("clinical", "tabular", (2,), cardinalities=(0, 3))
CELLS = ModalitySpec("scrna", "expression", (6,), unit="counts")
SPECS = (XRAY, PHOTO, EEG, DNA, TABLE, CELLS)


class Half(nn.Module):
    """Halve what is given, and note its shape."""

    def __init__(self, batched: bool = False) -> None:
        super().__init__()
        self.batched = batched
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        return x / 2


class Does(nn.Module):
    """Do what a function does."""

    def __init__(self, function: Any, batched: bool = False) -> None:
        super().__init__()
        self.function, self.batched = function, batched

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def batch_of(count: int = 6, **changed: Tensor) -> Batch:
    generator = torch.Generator().manual_seed(0)
    inputs = {s.name: torch.rand((count, *s.shape), generator=generator) * 2 - 1 for s in (XRAY, PHOTO, EEG, CELLS)}
    inputs["genomics"] = torch.ones((count, 20), dtype=torch.long)
    inputs["clinical"] = torch.zeros((count, 2))
    inputs |= changed
    present = {n: torch.arange(count) < len(v) for n, v in inputs.items()}
    return Batch(inputs, present, {}, {}, ids=tuple(str(i) for i in range(count)))


def apply(transforms: dict[str, list[nn.Module]], batch: Batch | None = None, draw: Any = (0, 0, 0, 0)) -> Batch:
    return BatchTransforms(transforms, SPECS)(batch or batch_of(), draw)


# -- what is drawn -----------------------------------------------------------------------------------------------


def test_every_row_gets_a_draw_of_its_own() -> None:
    batch = batch_of(32, xray=torch.linspace(-1, 1, 144).reshape(1, 1, 12, 12).repeat(32, 1, 1, 1))
    made = apply({"xray": [v2.RandomHorizontalFlip(), v2.RandomErasing(p=1.0)]}, batch)
    masks = {tuple((row == -1).flatten().tolist()) for row in made.inputs["xray"]}
    assert len(masks) > 16  # erased rectangles differ, and 0 in [0, 1] is black, -1 in the batch
    assert made.inputs["xray"].shape == batch.inputs["xray"].shape
    for other in ("fundus", "eeg", "genomics", "clinical", "scrna"):
        assert made.inputs[other] is batch.inputs[other]
    assert made.ids == batch.ids


def test_the_batch_given_is_left_alone() -> None:
    batch = batch_of()
    before = {n: v.clone() for n, v in batch.inputs.items()}
    made = apply({"image": [v2.RandomErasing(p=1.0, inplace=True)], "eeg": [Does(lambda x: x.zero_())]}, batch)
    assert all(torch.equal(batch.inputs[n], v) for n, v in before.items())
    assert not made.inputs["eeg"].any()


def test_images_are_in_0_1_for_transforms() -> None:
    low, high = [], []
    note = Does(lambda x: (low.append(float(x.min())), high.append(float(x.max())), x)[2])
    batch = batch_of(xray=torch.tensor([-1.0, 1.0]).repeat(6, 72).reshape(6, 1, 12, 12))
    made = apply({"xray": [note], "eeg": [note]}, batch)
    assert min(low[:6]) == 0
    assert max(high[:6]) == 1
    assert min(low[6:]) < -0.9
    assert torch.equal(made.inputs["xray"], batch.inputs["xray"])
    bright = apply({"xray": [v2.ColorJitter(brightness=(0.5, 0.5))]}, batch)  # half of 1 is 0.5, and 0 in the batch
    assert torch.allclose(bright.inputs["xray"], batch.inputs["xray"] / 2 - 0.5)


def test_called_on_all_rows_or_on_each() -> None:
    each, together = Half(), Half(batched=True)
    made = apply({"eeg": [each, together]})
    assert each.seen == [(4, 40)] * 6
    assert together.seen == [(6, 4, 40)]
    assert torch.allclose(made.inputs["eeg"], batch_of().inputs["eeg"] / 4)
    seen: list[tuple[int, ...]] = []
    grey = v2.Grayscale(num_output_channels=3)
    grey.register_forward_hook(lambda m, given, out: seen.append(tuple(out.shape)))
    apply({"fundus": [grey]})
    assert seen == [(6, 3, 12, 12)]


def test_a_name_goes_before_its_kind_and_empty_rows_are_passed_over() -> None:
    mine, other = Half(), Half()
    apply({"xray": [mine], "image": [other]}, batch_of(fundus=torch.zeros(0, 3, 12, 12)))
    assert len(mine.seen) == 6
    assert not other.seen
    apply({"xray": [], "image": [other]})
    assert set(other.seen) == {(3, 12, 12)}
    only = BatchTransforms({"oct": [mine], "signal": [mine]}, [XRAY], known=["oct"])
    assert only.transforms == {}  # known elsewhere, but not kept here


def test_half_precision_comes_back_as_it_was() -> None:
    batch = batch_of(xray=batch_of().inputs["xray"].bfloat16())
    made = apply({"xray": [v2.RandomHorizontalFlip(p=1.0)]}, batch).inputs["xray"]
    assert made.dtype == torch.bfloat16
    assert torch.allclose(made.float(), batch.inputs["xray"].flip(-1).float(), atol=1e-6)


# -- from which seed ---------------------------------------------------------------------------------------------


def noisy() -> dict[str, list[nn.Module]]:
    return {
        "xray": [v2.RandomErasing(p=0.5), v2.GaussianNoise()],
        "fundus": [v2.RandAugment(num_ops=1)],
        "eeg": [Does(lambda x: x * random.random() + float(np.random.normal()))],
    }


def same(a: Batch, b: Batch, name: str) -> bool:
    return torch.equal(a.inputs[name], b.inputs[name])


def test_draws_follow_from_the_numbers_alone() -> None:
    first = apply(noisy(), draw=(1, 2, 3, 0))
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)
    again = apply(noisy(), draw=(1, 2, 3, 0))
    assert all(same(first, again, n) for n in ("xray", "fundus", "eeg"))
    for other in ((0, 2, 3, 0), (1, 0, 3, 0), (1, 2, 4, 0), (1, 2, 3, 1)):  # seed, epoch, step, rank
        made = apply(noisy(), draw=other)
        assert not same(first, made, "xray")
        assert not same(first, made, "eeg")
    alone = apply({"eeg": noisy()["eeg"]}, batch_of(xray=torch.zeros(0, 1, 12, 12)), draw=(1, 2, 3, 0))
    assert same(first, alone, "eeg")  # whatever else the batch holds


def test_one_module_in_two_places_draws_twice() -> None:
    noise = Does(lambda x: x + torch.randn(()))
    once = apply({"eeg": [noise]}).inputs["eeg"] - batch_of().inputs["eeg"]
    twice = apply({"eeg": [noise, noise]}).inputs["eeg"] - batch_of().inputs["eeg"]
    assert not torch.allclose(2 * once, twice, atol=1e-3)


def test_global_random_states_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def states() -> tuple[Any, ...]:
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]

    before = states()
    apply(noisy())
    assert states() == before
    with pytest.raises(SpecError):
        apply({"eeg": [Does(lambda x: torch.rand(3) / np.random.rand(2))]})
    assert states() == before


# -- braindecode -------------------------------------------------------------------------------------------------


def test_braindecode_draws_for_each_row() -> None:
    library = pytest.importorskip("braindecode.augmentation")
    global_state = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    batch = batch_of(32)
    turned = apply({"eeg": [library.TimeReverse(probability=0.5)]}, batch).inputs["eeg"]
    given = batch.inputs["eeg"]
    flipped = [bool(torch.equal(a, b.flip(-1))) for a, b in zip(turned, given, strict=True)]
    kept = [bool(torch.equal(a, b)) for a, b in zip(turned, given, strict=True)]
    assert 4 < sum(flipped) < 28
    assert [not f for f in flipped] == kept
    assert np.random.get_state()[1].tolist() == global_state  # type: ignore[index, union-attr]


def test_braindecode_is_reseeded_in_containers_too() -> None:
    library = pytest.importorskip("braindecode.augmentation")

    def both(random_state: int | None) -> list[nn.Module]:
        noise = library.GaussianNoise(probability=0.7, std=0.3, random_state=random_state)
        dropout = library.ChannelsDropout(probability=0.7, p_drop=0.5, random_state=random_state)
        return [library.Compose([noise, dropout]), nn.Sequential(library.FTSurrogate(probability=0.5))]

    first = apply({"signal": both(3)}, draw=(1, 2, 3, 0))
    assert same(first, apply({"signal": both(None)}, draw=(1, 2, 3, 0)), "eeg")
    assert not same(first, apply({"signal": both(3)}, draw=(1, 2, 3, 1)), "eeg")
    used = BatchTransforms({"signal": both(3)}, SPECS)
    used(batch_of(), (0, 0, 0, 0))
    assert same(first, used(batch_of(), (1, 2, 3, 0)), "eeg")  # whatever was drawn before


@pytest.mark.parametrize("name", ["Mixup", "SegmentationReconstruction"])
def test_braindecode_that_mixes_labels_is_refused(name: str) -> None:
    library = pytest.importorskip("braindecode.augmentation")
    mixer = library.Mixup(alpha=0.5) if name == "Mixup" else library.SegmentationReconstruction(probability=1.0)
    with pytest.raises(SpecError, match=f"'eeg'.*'{name}' changes or mixes labels"):
        apply({"eeg": [mixer]})


def test_braindecode_is_for_signals() -> None:
    library = pytest.importorskip("braindecode.augmentation")
    with pytest.raises(SpecError, match=r"'TimeReverse' cannot be applied to modality 'xray'.*for kind 'signal'"):
        apply({"xray": [library.TimeReverse(probability=0.5)]})


# -- what is refused ---------------------------------------------------------------------------------------------


def test_unknown_keys() -> None:
    with pytest.raises(UnknownNameError, match="'xrya'; did you mean 'xray'"):
        apply({"xrya": [Half()]})


@pytest.mark.parametrize("key", ["genomics", "dna"])
def test_codes_take_no_transform(key: str) -> None:
    with pytest.raises(SpecError, match=r"'Half' cannot be applied to modality 'genomics' of kind 'dna'.*codes"):
        apply({key: [Half()]})


def test_other_misfits() -> None:
    with pytest.raises(SpecError, match=r"'clinical'.*categories"):
        apply({"clinical": [Half()]})
    with pytest.raises(SpecError, match=r"'RandomErasing'.*'eeg'.*torchvision.transforms is for kind 'image'"):
        apply({"eeg": [v2.RandomErasing()]})
    with pytest.raises(SpecError, match="must be a list of torch modules"):
        apply({"eeg": [abs]})  # type: ignore[list-item]
    with pytest.raises(SpecError, match="must be a list of torch modules"):
        apply({"eeg": Half()})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("key", "module", "said"),
    [
        ("xray", v2.Resize(6), r"'xray'.*'Resize' must keep shape and type, \(1, 12, 12\).*gave \(1, 6, 6\)"),
        ("image", v2.Grayscale(1), r"'fundus'.*'Grayscale' must keep .*\(6, 3, 12, 12\).*gave \(6, 1, 12, 12\)"),
        ("xray", v2.ToDtype(torch.float64), "'xray'.*'ToDtype' must keep.*float64"),
        ("xray", v2.CutMix(num_classes=2), "'xray'.*'CutMix' failed on 6 float rows"),
        ("eeg", Does(lambda x: (x, x), batched=True), "'eeg'.*'Does' must keep.*gave tuple"),
        ("eeg", Does(lambda x: None), "'eeg'.*'Does' must keep.*gave NoneType"),
        ("scrna", Does(lambda x: x[:2]), r"'scrna'.*\(6,\).*gave \(2,\)"),
    ],
)
def test_shape_and_type_are_kept(key: str, module: nn.Module, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        apply({key: [module]})


# -- in a run ----------------------------------------------------------------------------------------------------


class Notes(L.LightningModule):
    """Keep what each step is given, and learn nothing much."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.trained: list[Tensor] = []
        self.validated: list[Tensor] = []

    def training_step(self, batch: Batch, number: int) -> Tensor:
        value = next(iter(batch.inputs.values()))
        self.trained.append(value.clone())
        return self.layer(value.mean().reshape(1)).sum()

    def validation_step(self, batch: Batch, number: int) -> None:
        self.validated.append(next(iter(batch.inputs.values())).clone())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def images(root: Path, **options: Any) -> ImagingDataModule:
    folder = MedMNIST().folder
    if not (root / folder).exists():
        runpy.run_path(str(DATA / "med_mnist.py"))["write"](root / folder, n=16)
    return ImagingDataModule([MedMNIST()], root=str(root), **grouped(batch_size=4, **options))


def fit(data: ImagingDataModule, folder: Path, ckpt: Path | None = None, **options: Any) -> tuple[Notes, L.Trainer]:
    module = Notes()
    keep = ModelCheckpoint(dirpath=folder, every_n_train_steps=1, save_top_k=-1, filename="{step}")
    trainer = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        devices=1,
        logger=False,
        callbacks=[keep],
        num_sanity_val_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(module, data, ckpt_path=ckpt, weights_only=False)
    return module, trainer


def test_training_only(tmp_path: Path) -> None:
    plain, _ = fit(images(tmp_path, augment=False), tmp_path / "a")
    blacken = {"xray": [Does(lambda x: x * 0)]}
    black, trainer = fit(images(tmp_path, augment=False, transforms=blacken), tmp_path / "b")
    assert len(black.trained) == 8
    assert all((x == -1).all() for x in black.trained)
    assert len(plain.validated) == len(black.validated) == 5
    assert all(torch.equal(a, b) for a, b in zip(plain.validated, black.validated, strict=True))
    data = images(tmp_path, augment=False, transforms=blacken)
    tested = Notes()
    trainer.validate(tested, data, verbose=False)
    assert all(torch.equal(a, b) for a, b in zip(tested.validated, plain.validated[-2:], strict=True))


def test_a_resumed_run_draws_what_an_unbroken_one_draws(tmp_path: Path) -> None:
    transforms: dict[str, Any] = {"image": [v2.RandomErasing(p=1.0), v2.GaussianNoise()]}
    whole, _ = fit(images(tmp_path, transforms=transforms), tmp_path / "a")
    torch.manual_seed(1)
    rest, _ = fit(images(tmp_path, transforms=transforms), tmp_path / "b", ckpt=tmp_path / "a" / "step=6.ckpt")
    assert len(whole.trained) == 8
    assert len(rest.trained) == 2
    assert all(torch.equal(a, b) for a, b in zip(whole.trained[6:], rest.trained, strict=True))


def test_batches_of_one_accumulated_step_differ(tmp_path: Path) -> None:
    drawn: list[float] = []
    note = Does(lambda x: (drawn.append(float(torch.rand(()))), x)[1], batched=True)
    fit(images(tmp_path, transforms={"image": [note]}), tmp_path / "a", accumulate_grad_batches=4)
    assert len(drawn) == len(set(drawn)) == 8


def test_misfits_are_found_before_training(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'xray'"):
        _ = images(tmp_path, transforms={"xrays": [Half()]}).modality_specs


def test_from_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("braindecode.augmentation")
    from experiments import run as command

    for name, folder in (("med_mnist", "pneumoniamnist"), ("bci_iv_2b", "bci_iv_2b")):
        runpy.run_path(str(DATA / f"{name}.py"))["write"](tmp_path / folder, n=16)
    config = yaml.safe_load((Path(__file__).parents[2] / "experiments" / "small.yaml").read_text())
    config["trainer"] |= {"fast_dev_run": 1, "logger": False}
    small = {"dim": 16, "depth": 1, "heads": 2}
    config["model"]["init_args"]["encoders"] = {
        "image": {"class_path": "zoo.ViTEncoder", "init_args": small},
        "signal": {"class_path": "zoo.LSTMEncoder", "init_args": {"dim": 16}},
    }
    config["data"]["init_args"] = {
        "sampling": {"batch_size": 8},
        "root": str(tmp_path),
        "sources": [
            {"class_path": "datamodules.sources.MedMNIST", "init_args": {"folder": "pneumoniamnist"}},
            {"class_path": "datamodules.sources.BCIIV2b", "init_args": {"folder": "bci_iv_2b"}},
        ],
        "processing": {
            "transforms": {
                "xray": [
                    {"class_path": "torchvision.transforms.v2.RandomErasing", "init_args": {"p": 0.5}},
                    {"class_path": "torchvision.transforms.v2.RandomAffine", "init_args": {"degrees": [-5, 5]}},
                ],
                "eeg": [{"class_path": "braindecode.augmentation.TimeReverse", "init_args": {"probability": 0.5}}],
            }
        },
    }
    applied: list[str] = []
    original = BatchTransforms.__call__

    def noting(self: BatchTransforms, batch: Batch, draw: Any) -> Batch:
        applied.extend(type(m).__name__ for modules in self.transforms.values() for m in modules)
        return original(self, batch, draw)

    monkeypatch.setattr(BatchTransforms, "__call__", noting)
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["run.py", "fit", "--config", "run.yaml"])
    with pytest.raises(SystemExit, match="0"):
        command.main()
    assert sorted(applied) == ["RandomAffine", "RandomErasing", "TimeReverse"]
