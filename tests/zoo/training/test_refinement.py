"""The recipe options of MultitaskModule without a command line: stages, losses, mixed labels, counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from datamodules.core.base import BaseDataModule
from datamodules.core.options import ProcessingOptions
from datamodules.core.view import DataView
from datamodules.phantom import PhantomCohort
from zoo.contract import Batch, ModalitySpec, TaskSpec
from zoo.errors import SpecError, UnknownNameError
from zoo.models.multitask.module import MultitaskModule
from zoo.models.multitask.options import OptimisationOptions, TrainingOptions
from zoo.tasks.base import task_kind
from zoo.training.loss_table import LossTable
from zoo.training.losses import BalancedSoftmax, CrossEntropy
from zoo.training.mixing import ImageMixing
from zoo.training.refinement import Refinement, still
from zoo.weighting.base import Weighting
from zoo.weighting.jd import AggregatorWeighting

TABLE = ModalitySpec("table", "tabular", (3,), cardinalities=(0, 0, 0))
SICK = TaskSpec("sick", "classification", 3)


def batch(n: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(1)
    everything = torch.ones(n, dtype=torch.bool)
    codes = torch.arange(n) % 3
    values = torch.randn(n, 3, generator=generator) + codes[:, None]
    return Batch({"table": values}, {"table": everything}, {"sick": codes}, {"sick": everything}, {}, tuple("abcdef"))


def fit(module: MultitaskModule, **options: Any) -> L.Trainer:
    made = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, **options,
    )  # fmt: skip
    loader: Any = torch.utils.data.DataLoader([batch()] * 2, batch_size=None, collate_fn=lambda b: b)  # type: ignore[arg-type]
    made.fit(module, loader)
    return made


class Keep(L.Callback):
    """Weights after each step."""

    def __init__(self) -> None:
        self.states: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Copy them."""
        assert all(p.requires_grad for p in pl_module.parameters())
        self.states.append({k: v.clone() for k, v in pl_module.named_parameters()})


@pytest.mark.parametrize("weighting", [None, AggregatorWeighting(aggregator="PCGrad")])
def test_what_is_frozen_stays_and_the_rest_learns(weighting: Weighting | None) -> None:
    torch.manual_seed(0)
    plan = Refinement(epochs=2, learning_rate=0.01, frozen=["encoders.table"])
    module = MultitaskModule(
        [TABLE],
        [SICK],
        weighting=weighting,
        training=TrainingOptions(refinement=plan),
        optimisation=OptimisationOptions(learning_rate=0.05),
    )
    kept = Keep()
    fit(module, max_epochs=4, callbacks=[kept])
    begin, end = kept.states[3], kept.states[7]  # two steps an epoch
    for name in begin:
        changed = not torch.equal(begin[name], end[name])
        assert changed == (not name.startswith("encoders.")), name
    assert not torch.equal(kept.states[0]["heads.sick.fused.net.weight"], begin["heads.sick.fused.net.weight"])
    assert module.encoders.training


def test_still_restores_modes_and_gradients() -> None:
    module = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Dropout()), nn.Linear(2, 1))
    module[0][1].eval()  # type: ignore[index]
    module[0][0].bias.requires_grad_(False)  # type: ignore[index]
    with still(module, ["0", "1.bias"]):
        assert [n for n, p in module.named_parameters() if p.requires_grad] == ["1.weight"]
        assert not module[0].training
        assert module[1].training
    assert [n for n, p in module.named_parameters() if not p.requires_grad] == ["0.0.bias"]
    assert [m.training for m in module[0].modules()] == [True, True, False]


def test_a_refinement_is_checked() -> None:
    with pytest.raises(SpecError, match="epochs must be at least 1, got 0"):
        Refinement(epochs=0)
    with pytest.raises(SpecError, match=r"learning_rate must be positive, got 0\.0"):
        Refinement(learning_rate=0.0)
    with pytest.raises(UnknownNameError, match=r"model\.training\.refinement\.frozen.*did you mean 'encoders'"):
        MultitaskModule([TABLE], [SICK], training=TrainingOptions(refinement=Refinement(frozen=["encoder"])))
    everything = ["encoders", "fusion", "heads"]
    with pytest.raises(SpecError, match="leaves nothing to learn"):
        MultitaskModule([TABLE], [SICK], training=TrainingOptions(refinement=Refinement(frozen=everything)))
    module = MultitaskModule([TABLE], [SICK], training=TrainingOptions(refinement=Refinement(epochs=2)))
    with pytest.raises(SpecError, match=r"last 2 of trainer\.max_epochs=2 epochs"):
        fit(module, max_epochs=2)
    with pytest.raises(SpecError, match=r"set trainer\.max_epochs, and not max_steps"):
        fit(module, max_epochs=4, max_steps=5)
    with pytest.raises(SpecError, match=r"learning_rates\['heads'\] must be a positive number, got 0"):
        MultitaskModule([TABLE], [SICK], optimisation=OptimisationOptions(learning_rates={"heads": 0.0}))


def test_a_loss_needs_counts_and_a_checkpoint_holds_them(tmp_path: Path) -> None:
    module = MultitaskModule(
        [TABLE], [SICK], training=TrainingOptions(losses={"sick": BalancedSoftmax()}, refinement=Refinement(epochs=1))
    )
    with pytest.raises(SpecError, match=r"BalancedSoftmax of task 'sick'.*no data module; pass trainer\.fit"):
        fit(module, max_epochs=2)
    module.class_losses["sick"].fit(torch.tensor([5.0, 2.0, 1.0]))  # type: ignore[operator]
    fit(module, max_epochs=2).save_checkpoint(tmp_path / "a.ckpt")
    again = MultitaskModule.load_from_checkpoint(
        tmp_path / "a.ckpt", weights_only=True, training=TrainingOptions(losses={"sick": BalancedSoftmax()})
    )
    assert again.class_losses["sick"].counts.tolist() == [5.0, 2.0, 1.0]  # type: ignore[operator]
    fit(
        MultitaskModule(
            [TABLE], [SICK], training=TrainingOptions(losses={"sick": CrossEntropy(label_smoothing=0.1)})
        ),
        max_epochs=1,
    )
    assert not [k for k in MultitaskModule([TABLE], [SICK]).state_dict() if "class_losses" in k]


def test_mixing_without_images_is_said() -> None:
    with pytest.warns(UserWarning, match="no modality is an image; it is not used"):
        assert MultitaskModule([TABLE], [SICK], training=TrainingOptions(mixing=ImageMixing())).mixing is None


# -- soft targets ------------------------------------------------------------------------------------------------


def test_soft_targets_of_classification() -> None:
    kind, logits = task_kind(SICK), torch.randn(4, 3)
    codes = torch.tensor([0, 1, 2, 1])
    torch.testing.assert_close(kind.loss(logits, one_hot(codes, 3).float()), kind.loss(logits, codes))
    mixed = 0.25 * one_hot(codes, 3).float() + 0.75 * one_hot(codes.flip(0), 3).float()
    want = 0.25 * kind.loss(logits, codes) + 0.75 * kind.loss(logits, codes.flip(0))
    torch.testing.assert_close(kind.loss(logits, mixed), want)
    p = logits.softmax(-1)
    torch.testing.assert_close(kind.combination_loss(p, mixed), want)


def test_the_table_takes_a_loss_of_a_task_and_soft_targets() -> None:
    module = MultitaskModule([TABLE], [SICK]).eval()
    data = batch()
    output = module(data)
    table = LossTable(module.kinds, ["fused"])
    smooth = CrossEntropy(label_smoothing=0.2)
    smooth.bind("sick", 3)
    logits = output.logits[("sick", "fused")]
    got, _ = table.step(output, data, {"sick": smooth})
    torch.testing.assert_close(got[0, 0], cross_entropy(logits, data.targets["sick"], label_smoothing=0.2))
    data.targets["sick"] = one_hot(data.targets["sick"], 3).float() * 0.5 + 1 / 6
    got, active = table.step(output, data)
    torch.testing.assert_close(got[0, 0], cross_entropy(logits, data.targets["sick"]))
    assert bool(active.all())


# -- class counts ------------------------------------------------------------------------------------------------


def test_class_counts_are_those_of_the_training_split() -> None:
    data = BaseDataModule(
        [PhantomCohort(n=80, size=16, modalities=["genomics", "text"], tasks=["disease", "expression"])],
        processing=ProcessingOptions(augment=False),
    )
    codes, _ = data.pipeline.labels("train", "disease")
    k = {s.name: s for s in data.task_specs}["disease"].num_outputs
    want = [int((codes == c).sum()) for c in range(k)]
    assert data.class_counts("disease").tolist() == want
    assert data.class_counts("disease") is data.class_counts("disease")
    half = data.pipeline.rows["train"][::2]
    part = DataView(data, tasks=["disease"], rows={"train": half})
    assert float(part.class_counts("disease").sum()) < sum(want)
    assert (
        part.class_counts("disease").tolist()
        == torch.bincount(part.pipeline.labels("train", "disease")[0], minlength=k).tolist()
    )
    with pytest.raises(UnknownNameError, match="did you mean 'disease'"):
        data.class_counts("diseas")
    with pytest.raises(SpecError, match="only classes are counted"):
        data.class_counts("expression")
