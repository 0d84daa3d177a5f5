"""The protocol of models: what is missing is named, and a model without vectors or logits predicts all the same."""

from __future__ import annotations

import lightning as L
import pytest
import torch

from zoo.callbacks.few_shot import FewShotCallback
from zoo.contract import Batch, ModalitySpec, Output, Sample, TaskSpec, by_name, collate
from zoo.errors import SpecError
from zoo.evaluation.detection import features, plain_inputs
from zoo.models.base import HasHeads, TaskModel, members, require, task_model
from zoo.models.multitask.module import MultitaskModule
from zoo.models.predict import mean_logits, predict
from zoo.training.collector import Evaluation

TABLE = ModalitySpec("table", "tabular", (2,), cardinalities=(0, 0))
SICK = TaskSpec("sick", "classification", 2, ("no", "yes"))


class Threshold(L.LightningModule):
    """Sick is who has a first column above 0: a model without vectors, logits and heads."""

    def __init__(self) -> None:
        super().__init__()
        self.modalities, self.tasks = by_name([TABLE]), by_name([SICK])
        self.evaluation = Evaluation(self.tasks)

    def predict(self, batch: Batch) -> Output:
        sick = (batch.inputs["table"][:, 0] > 0).float()
        rows = batch.present["table"].nonzero().squeeze(1)
        return Output(predictions={"sick": torch.stack([1 - sick, sick], 1)}, predicted={"sick": rows})


def batches() -> list[Batch]:
    def row(k: int) -> Sample:
        return Sample(f"r{k}", {"table": torch.tensor([k - 2.0, 0.0])} if k else {}, {"sick": torch.tensor(k % 2)})

    return [collate([row(k) for k in part], [TABLE], [SICK]) for part in ((4, 0, 3), (2, 1))]


def test_any_module_that_keeps_the_protocol_predicts() -> None:
    model = task_model(Threshold())
    found = predict(model, batches(), logits=["sick"])
    assert found.ids == ["r0", "r1", "r2", "r3", "r4"]
    assert found.results["sick"].ids == ["r1", "r2", "r3", "r4"]  # r0 has no table
    assert found.results["sick"].prediction.argmax(1).tolist() == [0, 0, 1, 1]
    assert found.vectors.shape == (5, 0)
    assert found.logits == {}
    assert found.present["table"].tolist() == [False, True, True, True, True]


def test_what_needs_vectors_says_so() -> None:
    model = task_model(Threshold())
    found = predict(model, batches(), inputs=lambda b: plain_inputs(b, [TABLE]))
    with pytest.raises(SpecError, match="detection needs a vector of each row; this model makes none"):
        features(found, model.evaluation.kinds["sick"])
    callback = FewShotCallback("sick")
    with pytest.raises(SpecError, match="FewShotCallback needs a vector of each row"):
        callback._keep(batches()[0], model.predict(batches()[0]))


def test_what_a_model_lacks_is_named() -> None:
    with pytest.raises(SpecError, match=r"LightningModule cannot be trained .*: it has no modalities, tasks, eval"):
        task_model(L.LightningModule())
    with pytest.raises(SpecError, match=r"Threshold cannot fine-tune heads: it has no new_head; see zoo.models"):
        require(Threshold(), HasHeads, "fine-tune heads")
    assert {"modalities", "tasks", "evaluation", "predict"} < set(members(TaskModel))
    assert isinstance(MultitaskModule([TABLE], [SICK]), HasHeads)
    assert not isinstance(Threshold(), HasHeads)


def test_listeners_are_given_batches_with_rows() -> None:
    model = Threshold()
    seen: list[tuple[str, ...]] = []
    model.evaluation.listeners.append(lambda batch, output: seen.append(batch.ids))
    for batch in (*batches(), collate([], [TABLE], [SICK])):
        model.evaluation.add(model.predict(batch), batch)
    assert seen == [("r4", "r0", "r3"), ("r2", "r1")]


def test_vectors_are_the_fused_ones_or_the_mean_of_the_available() -> None:
    streams = {"a": torch.tensor([[2.0], [0.0]]), "b": torch.tensor([[4.0], [6.0]])}
    available = {"a": torch.tensor([True, False]), "b": torch.tensor([True, True])}
    mean = Output(streams=streams, available=available).vectors
    assert mean is not None
    assert mean.tolist() == [[3.0], [6.0]]
    assert Output(streams={**streams, "fused": streams["b"]}, available=available).vectors is streams["b"]
    assert Output().vectors is None


def test_logits_are_averaged_over_the_streams_of_a_row() -> None:
    output = Output(
        logits={("t", "a"): torch.tensor([[2.0, 0.0]]), ("t", "b"): torch.tensor([[4.0, 2.0], [1.0, 1.0]])},
        rows={("t", "a"): torch.tensor([0]), ("t", "b"): torch.tensor([0, 2])},
    )
    found = mean_logits(output, "t", 3)
    assert found is not None
    assert found.tolist() == [[3.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    assert mean_logits(output, "other", 3) is None
