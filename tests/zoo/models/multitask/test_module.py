"""MultitaskModule on tiny specs with real encoders: the formula, packing, options, training and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor
from torch.nn.functional import cross_entropy, huber_loss
from torch.utils.data import DataLoader

from tests.options import grouped
from zoo.contract import Batch, ModalitySpec, Sample, TaskSpec, collate
from zoo.encoders.base import Encoder
from zoo.encoders.bert import BERTEncoder
from zoo.encoders.tabular import TabularEncoder
from zoo.encoders.vit import ViTEncoder
from zoo.errors import MissingExtraError, SpecError, UnknownNameError
from zoo.fusion.base import Fusion
from zoo.fusion.concat import ConcatFusion
from zoo.fusion.early import EarlyFusion
from zoo.fusion.late import LateFusion
from zoo.models.multitask.modality_dropout import drop_modalities
from zoo.models.multitask.module import MultitaskModule
from zoo.training.optim import Schedule
from zoo.weighting.base import Lambdas, Weighting
from zoo.weighting.fixed import FixedWeighting
from zoo.weighting.jd import AggregatorWeighting

TABLE = ModalitySpec("table", "tabular", (3,), cardinalities=(0, 4, 0))
NOTE = ModalitySpec("note", "text", (6,), vocab_size=12)
SCAN = ModalitySpec("scan", "image", (1, 8, 8))
TWIN = ModalitySpec("twin", "image", (1, 8, 8))
MODALITIES = [TABLE, NOTE, SCAN, TWIN]
SICK = TaskSpec("sick", "classification", 3)
AGE = TaskSpec("age", "regression", 2, modalities=("scan", "twin"))
ASK = TaskSpec("ask", "vqa", 2, ("no", "yes"), reads="note")
TASKS = [SICK, AGE, ASK]
SIZE = {"dim": 8, "depth": 1, "heads": 2}
ENCODERS: dict[str, Callable[[ModalitySpec], Encoder]] = {
    "tabular": partial(TabularEncoder, **SIZE),  # type: ignore[arg-type]
    "text": partial(BERTEncoder, **SIZE),  # type: ignore[arg-type]
    "image": partial(ViTEncoder, patch_size=4, **SIZE),  # type: ignore[arg-type]
}


def make(
    fusion: Callable[[dict[str, int]], Fusion] = ConcatFusion,
    *,
    modalities: list[ModalitySpec] | None = None,
    tasks: list[TaskSpec] | None = None,
    weighting: Weighting | None = None,
    **options: Any,
) -> MultitaskModule:
    torch.manual_seed(0)
    return MultitaskModule(
        MODALITIES if modalities is None else modalities,
        TASKS if tasks is None else tasks,
        encoders=ENCODERS,
        fusion=fusion,
        weighting=weighting,
        **grouped(**options),
    )


def sample(i: int, modalities: Sequence[str], labels: Sequence[str] = ("sick", "age", "ask")) -> Sample:
    """Row i of a fixed imaginary cohort, with these modalities and labels."""
    generator = torch.Generator().manual_seed(i)
    values = {
        "table": torch.cat([torch.randn(1, generator=generator), torch.tensor([i % 4, 0.5 * i])]).float(),
        "note": torch.cat([torch.randint(1, 12, (1 + i % 6,), generator=generator), torch.zeros(5 - i % 6).long()]),
        "scan": torch.randn(1, 8, 8, generator=generator),
        "twin": torch.randn(1, 8, 8, generator=generator),
    }
    known = torch.tensor([[0.1 * i, -1.0], [1.0, float(i % 2)]])
    targets = {"sick": i % 3, "age": known, "ask": i % 2}
    return Sample(f"r{i:02d}", {m: values[m] for m in modalities}, {t: targets[t] for t in labels})


PATTERNS = [
    ("table",), ("note", "scan"), ("table", "note", "scan", "twin"), ("twin",), ("scan", "twin"), ("table", "note"),
]  # fmt: skip


def batch(
    n: int = 9, labels: Sequence[str] = ("sick", "age", "ask"), specs: Sequence[ModalitySpec] = tuple(MODALITIES)
) -> Batch:
    names = {s.name for s in specs}
    rows = [[m for m in PATTERNS[i % len(PATTERNS)] if m in names] for i in range(n)]
    made = collate([sample(i, r, labels) for i, r in enumerate(rows)], specs, TASKS)
    made.validate(specs, TASKS)
    return made


def trainer(**options: Any) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=options.pop("enable_checkpointing", False),
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


def loader(*batches: Batch) -> DataLoader[Any]:
    return DataLoader(list(batches), batch_size=None, collate_fn=lambda b: b)  # type: ignore[arg-type]


def loss_of(module: MultitaskModule, data: Batch) -> tuple[Tensor, Tensor]:
    """The loss that a training step takes, and the table of cells."""
    table, active = module.losses.step(module(data, labelled_only=True), data)
    return module.weighting(table, active), table


# -- the formula -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fusion", [partial(ConcatFusion, auxiliary=True), LateFusion])
def test_the_loss_is_the_sum_over_cells_of_lambda_times_the_mean_loss(fusion: Callable[..., Fusion]) -> None:
    lambdas: Lambdas = {"sick": 0.5, "age": {"scan": 2.0, "twin": 0.25}, "ask": {"note": 3.0}}
    module = make(fusion, weighting=FixedWeighting(lambdas=lambdas)).eval()
    data = batch()
    total, _ = loss_of(module, data)
    output = module(data)
    expected = torch.zeros(())
    for (t, s), rows in output.rows.items():
        logits, losses = output.logits[(t, s)], []
        for k, row in enumerate(rows.tolist()):  # one row at a time, from its own label
            target = sample(row, ()).targets[t]
            if t == "age":
                seen = target[1] > 0
                losses.append(huber_loss(logits[k][seen], target[0][seen]))
            else:
                losses.append(cross_entropy(logits[k : k + 1], torch.tensor([target])))
        value = lambdas[t]
        weight = value if isinstance(value, float) else value.get(s, 1.0)
        expected = expected + weight * torch.stack(losses).mean()
    torch.testing.assert_close(total, expected)


def test_heads_run_on_the_rows_that_their_task_allows() -> None:
    module = make(partial(ConcatFusion, auxiliary=True)).eval()
    data = batch()
    output = module(data)
    has = {m: p.nonzero().squeeze(1).tolist() for m, p in data.present.items()}
    assert output.rows[("sick", "fused")].tolist() == list(range(9))
    assert output.rows[("sick", "table")].tolist() == has["table"]
    assert output.rows[("ask", "fused")].tolist() == has["note"]  # without a question there is no answer
    assert output.rows[("age", "fused")].tolist() == sorted({*has["scan"], *has["twin"]})
    assert ("age", "table") not in output.rows
    assert "table" not in module.heads["age"]  # type: ignore[operator]
    assert output.rows[("ask", "scan")].tolist() == [r for r in has["scan"] if r in has["note"]]


def test_answers_outside_the_vocabulary_are_left_out_of_the_mean() -> None:
    module = make(tasks=[ASK]).eval()
    data = batch(labels=("ask",))
    known, _ = loss_of(module, data)
    rows = module(data).rows[("ask", "fused")]
    position = int(data.observed["ask"].cumsum(0)[rows[0]] - 1)
    data.targets["ask"][position] = -1
    left, _ = loss_of(module, data)
    logits = module(data).logits[("ask", "fused")]
    target = torch.tensor([r % 2 for r in rows.tolist()])
    torch.testing.assert_close(known, cross_entropy(logits, target))
    torch.testing.assert_close(left, cross_entropy(logits[1:], target[1:]))


def test_a_batch_without_labels_has_loss_zero_and_can_be_stepped() -> None:
    module = make()
    data = batch(labels=())
    total, table = loss_of(module, data)
    assert float(total) == 0.0
    assert float(table.abs().sum()) == 0.0
    assert module.eval()(data).predictions["sick"].shape == (9, 3)
    fitted = trainer(max_steps=2)
    fitted.fit(module, loader(data, data))
    assert fitted.global_step == 2
    assert all(bool(p.isfinite().all()) for p in module.parameters())


# -- packing -----------------------------------------------------------------------------------------------

FUSIONS_UNDER_TEST = [
    ConcatFusion,
    partial(ConcatFusion, auxiliary=True),
    partial(EarlyFusion, depth=1, heads=2, auxiliary=True),
    partial(LateFusion, combine="average"),
    partial(LateFusion, combine="learned"),
    partial(LateFusion, combine="voting"),
]


@pytest.mark.parametrize("fusion", FUSIONS_UNDER_TEST)
def test_a_row_does_not_depend_on_the_other_rows(fusion: Callable[..., Fusion]) -> None:
    module = make(fusion).eval()
    samples = [sample(i, PATTERNS[i % 6]) for i in range(9)]
    with torch.no_grad():
        together = module(collate(samples, MODALITIES, TASKS))
        for i, one in enumerate(samples):
            alone = module(collate([one], MODALITIES, TASKS))
            for t in module.tasks:
                where = (together.predicted[t] == i).nonzero().squeeze(1)
                assert (t in alone.predictions) == bool(len(where))
                if len(where):
                    torch.testing.assert_close(
                        alone.predictions[t], together.predictions[t][where], atol=1e-5, rtol=1e-4
                    )


@pytest.mark.parametrize("fusion", FUSIONS_UNDER_TEST)
def test_an_encoder_without_rows_never_runs(fusion: Callable[..., Fusion]) -> None:
    module = make(fusion)
    calls: dict[str, int] = {}

    def spy(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def called(x: Tensor) -> Any:
            calls[name] = calls.get(name, 0) + len(x)
            return method(x)

        return called

    for name, encoder in module.encoders.items():
        for method in ("forward", "embed"):
            if method == "embed" and not module.fusion.reads_embeddings:
                continue
            setattr(encoder, method, spy(name, getattr(encoder, method)))
    data = collate([sample(i, ("table", "scan")) for i in range(4)], MODALITIES, TASKS)
    total, _ = loss_of(module, data)
    total.backward()  # type: ignore[no-untyped-call]
    assert calls == {"table": 4, "scan": 4}
    module.eval()
    assert "ask" not in module(data).predictions  # nobody asked anything


def test_a_shared_encoder_is_the_encoder_of_each_plus_its_mark() -> None:
    module = make(shared_encoders=[["scan", "twin"]]).eval()
    assert len(module.encoders) == 3
    assert set(module.marks) == {"scan", "twin"}
    with torch.no_grad():
        for mark in module.marks.values():
            mark.normal_()
    data = batch()
    encoder = module._encoder("scan")
    assert encoder is module._encoder("twin")
    calls: list[int] = []
    encoder.register_forward_hook(lambda _m, args, _out: calls.append(len(args[0])))
    with torch.no_grad():
        tokens = module._encode(data)
        assert calls == [len(data.inputs["scan"]) + len(data.inputs["twin"])]
        for name in ("scan", "twin"):
            alone = encoder(data.inputs[name])
            torch.testing.assert_close(tokens[name].values, alone.values + module.marks[name])
            torch.testing.assert_close(tokens[name].pooled, alone.pooled + module.marks[name])
            assert torch.equal(tokens[name].mask, alone.mask)


def test_a_group_of_different_shapes_is_refused() -> None:
    with pytest.raises(SpecError, match="cannot share an encoder"):
        make(shared_encoders=[["scan", "note"]])


def test_a_modality_may_be_called_like_a_shared_group() -> None:
    odd = ModalitySpec("shared0", "tabular", (3,), cardinalities=(0, 4, 0))
    module = make(modalities=[odd, SCAN, TWIN], tasks=[SICK], shared_encoders=[["scan", "twin"]])
    assert module._encoder("shared0").spec.name == "shared0"
    assert module._encoder("scan").spec.kind == "image"


# -- late fusion -------------------------------------------------------------------------------------------


def test_late_fusion_averages_the_probabilities_of_the_streams_there_are() -> None:
    module = make(LateFusion).eval()
    output = module(batch())
    for k, row in enumerate(output.predicted["sick"].tolist()):
        streams = PATTERNS[row % 6]
        parts = [output.logits[("sick", s)][(output.rows[("sick", s)] == row)].softmax(-1)[0] for s in streams]
        torch.testing.assert_close(output.predictions["sick"][k], torch.stack(parts).mean(0))


def test_learned_late_fusion_trains_its_weights_and_only_through_them() -> None:
    module = make(partial(LateFusion, combine="learned"), tasks=[SICK], modalities=MODALITIES)
    data = batch(labels=("sick",))
    output = module(data, labelled_only=True)
    loss = module._combination_loss(output, data)
    loss.backward()  # type: ignore[no-untyped-call]
    moved = {n for n, p in module.named_parameters() if p.grad is not None and float(p.grad.abs().sum()) > 0}
    assert moved == {"fusion.combination"}
    module.eval()
    with torch.no_grad():
        prediction, rows = module(data).predictions["sick"], module(data).predicted["sick"]
    nll = -prediction[torch.arange(len(rows)), rows % 3].log()
    one = [k for k, r in enumerate(rows.tolist()) if len(PATTERNS[r % 6]) == 1]
    assert len(one) < len(rows)
    torch.testing.assert_close(loss.detach(), nll.mean())


# -- modality dropout --------------------------------------------------------------------------------------


def test_modality_dropout_keeps_one_and_never_takes_what_a_task_reads() -> None:
    data = batch(30)
    torch.manual_seed(1)
    dropped = dict.fromkeys(data.present, 0)
    for _ in range(20):
        thin = drop_modalities(data, 0.9, keep={"note"})
        thin.validate(MODALITIES, TASKS)
        before = torch.stack([data.present[m] for m in dropped])
        after = torch.stack([thin.present[m] for m in dropped])
        assert not bool((after & ~before).any())
        assert bool((after.any(0) == before.any(0)).all())
        assert torch.equal(thin.present["note"], data.present["note"])
        for m in dropped:
            dropped[m] += int((data.present[m] & ~thin.present[m]).sum())
            packed = dict(zip(data.present[m].nonzero().squeeze(1).tolist(), data.inputs[m], strict=True))
            kept = [packed[r] for r in thin.present[m].nonzero().squeeze(1).tolist()]
            assert all(torch.equal(x, y) for x, y in zip(kept, thin.inputs[m], strict=True))
    assert dropped["note"] == 0
    assert all(n > 0 for m, n in dropped.items() if m != "note")


def test_modality_dropout_spares_every_modality_alike() -> None:
    rows = [sample(i, ("table", "scan"), ("sick",)) for i in range(2000)]
    data = collate(rows, MODALITIES, TASKS)
    torch.manual_seed(0)
    thin = drop_modalities(data, 0.9, keep={"note"})
    table, scan = (int((thin.present[m] & ~thin.present[o]).sum()) for m, o in (("table", "scan"), ("scan", "table")))
    assert table + scan > 1500
    assert abs(table - scan) < 4 * (table + scan) ** 0.5


def test_modality_dropout_is_off_in_evaluation() -> None:
    module = make(modality_dropout=1.0).eval()
    first, again = module(batch()), module(batch())
    assert torch.equal(first.predictions["sick"], again.predictions["sick"])
    assert torch.equal(first.available["fused"], batch().present["table"] | True)


# -- gradients and the optimiser ---------------------------------------------------------------------------


def test_early_fusion_freezes_trunks_and_every_trainable_parameter_learns() -> None:
    module = make(partial(EarlyFusion, depth=1, heads=2))
    frozen = {n for n, p in module.named_parameters() if not p.requires_grad}
    assert frozen
    assert all(n.startswith("encoders.") for n in frozen)
    assert any("trunk" in n for n in frozen)
    total, _ = loss_of(module, batch(18))
    total.backward()  # type: ignore[no-untyped-call]
    silent = [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert silent == []
    assert all(p.grad is None for n, p in module.named_parameters() if n in frozen)


@pytest.mark.parametrize("fusion", [ConcatFusion, LateFusion])
def test_every_parameter_learns_from_a_batch_with_everything(fusion: Callable[..., Fusion]) -> None:
    module = make(fusion)
    total, _ = loss_of(module, batch(18))
    total.backward()  # type: ignore[no-untyped-call]
    assert [n for n, p in module.named_parameters() if p.requires_grad and p.grad is None] == []


def test_optimizer_decays_matrices_only_and_holds_every_parameter_once() -> None:
    module = make(schedule="constant", warmup=0.0, learning_rate=0.02, weight_decay=0.3)
    optimizer = module.configure_optimizers()
    decay, rest = optimizer.param_groups
    assert (decay["weight_decay"], rest["weight_decay"], decay["lr"]) == (0.3, 0.0, 0.02)
    assert all(p.ndim >= 2 for p in decay["params"])
    assert all(p.ndim < 2 for p in rest["params"])
    held = [id(p) for g in optimizer.param_groups for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in module.parameters() if p.requires_grad)


def test_parameters_of_the_weighting_are_not_decayed() -> None:
    from zoo.weighting.uncertainty import UncertaintyWeighting

    module = make(schedule="constant", warmup=0.0, weighting=UncertaintyWeighting())
    own = {id(p) for p in module.weighting.parameters()}
    assert own
    for group in module.configure_optimizers().param_groups:
        for p in group["params"]:
            assert id(p) not in own or group["weight_decay"] == 0.0


def test_schedule_values() -> None:
    cosine = Schedule("cosine", 110, 10)
    assert [cosine(k) for k in (0, 4, 9)] == pytest.approx([1 / 11, 5 / 11, 10 / 11])
    assert cosine(10) == pytest.approx(1.0)
    assert cosine(60) == pytest.approx(0.01 + 0.99 * 0.5)
    assert cosine(110) == pytest.approx(0.01) == pytest.approx(cosine(500))
    exponential = Schedule("exponential", 100, 0)
    assert [exponential(k) for k in (0, 50, 100)] == pytest.approx([1.0, 0.1, 0.01])
    constant = Schedule("constant", 10, 2)
    assert [constant(k) for k in (0, 1, 2, 10)] == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0])


def test_an_endless_training_needs_a_constant_schedule() -> None:
    with pytest.raises(SpecError, match="max_epochs or max_steps"):
        trainer(max_epochs=-1, max_time={"seconds": 1}).fit(make(), loader(batch()))


# -- construction errors -----------------------------------------------------------------------------------


def test_errors_of_construction() -> None:
    with pytest.raises(UnknownNameError, match=r"modality of task 'age' 'twin'.*known"):
        make(modalities=[TABLE, NOTE, SCAN])
    with pytest.raises(SpecError, match="used by two specs"):
        make(modalities=[*MODALITIES, TABLE])
    with pytest.raises(SpecError, match="must make a Fusion"):
        make(lambda dims: torch.nn.Identity())  # type: ignore[arg-type, return-value]


def test_an_encoder_named_for_a_modality_goes_before_its_kind() -> None:
    encoders: dict[str, Callable[[ModalitySpec], Encoder]] = {
        **ENCODERS,
        "twin": partial(ViTEncoder, dim=16, depth=1, heads=2, patch_size=4),
    }
    module = MultitaskModule(MODALITIES, [SICK], encoders=encoders)
    assert module._encoder("twin").dim == 16
    assert module._encoder("scan").dim == 8


# -- training ----------------------------------------------------------------------------------------------


class Spy(L.Callback):
    """Keep the loss of every step."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Remember the loss."""
        self.losses.append(float(outputs["loss"]))


def test_the_whole_module_memorises_a_batch() -> None:
    module = make(partial(ConcatFusion, auxiliary=True), schedule="constant", learning_rate=1e-2, weight_decay=0.0)
    data, spy = batch(12), Spy()
    trainer(max_epochs=100, callbacks=[spy]).fit(module, loader(data))
    assert spy.losses[-1] < 0.1 * spy.losses[0]
    module.eval()
    output = module(data)
    rows = output.predicted["sick"]
    assert torch.equal(output.predictions["sick"].argmax(-1), rows % 3)
    rows = output.predicted["ask"]
    assert torch.equal(output.predictions["ask"].argmax(-1), rows % 2)
    ages = output.predictions["age"][:, 0]
    assert float((ages.detach() - 0.1 * output.predicted["age"]).abs().max()) < 0.3


@pytest.mark.parametrize("aggregator", ["PCGrad", "MGDA", "UPGrad"])
def test_gradient_aggregation_trains_and_lowers_the_loss(aggregator: str) -> None:
    try:
        weighting = AggregatorWeighting(aggregator=aggregator)
    except MissingExtraError as error:
        pytest.skip(str(error))
    module = make(weighting=weighting, schedule="constant", warmup=0.0, learning_rate=3e-3)
    before = {n: p.detach().clone() for n, p in module.named_parameters()}
    data, spy = batch(12), Spy()
    fitted = trainer(max_steps=6, max_epochs=6, callbacks=[spy])
    fitted.fit(module, loader(data))
    assert fitted.global_step == 6
    assert spy.losses[-1] < spy.losses[0]
    same = [n for n, p in module.named_parameters() if torch.equal(p, before[n])]
    assert [n for n in same if n.startswith("heads")] == []
    assert any(n.startswith("encoders") for n in set(before) - set(same))


def test_validation_fills_results_and_logs_every_metric() -> None:
    module = make()
    fitted = trainer(max_epochs=1, num_sanity_val_steps=0)
    fitted.fit(module, loader(batch(12)), loader(batch(9), batch(3)))
    assert set(module.evaluation.results["val"]) == {"sick", "age", "ask"}
    assert len(module.evaluation.results["val"]["sick"].ids) == 12
    logged = fitted.logged_metrics
    assert {"val/sick/accuracy", "val/age/pearson", "val/ask/accuracy", "val/skill"} <= set(logged)
    sick = module.evaluation.results["val"]["sick"]
    want = float((sick.prediction.argmax(-1) == sick.target).float().mean())
    assert float(logged["val/sick/accuracy"]) == pytest.approx(want)
    assert {k for k in logged if k.startswith("lambda/")} == {
        "lambda/sick/fused",
        "lambda/age/fused",
        "lambda/ask/fused",
    }


def test_logged_training_losses_are_means_over_the_steps_they_cover() -> None:
    fusion = partial(ConcatFusion, dropout=0.0)
    module = make(fusion, schedule="constant", warmup=0.0, learning_rate=1e-9, weight_decay=0.0)
    data = [batch(9), batch(5)]
    parts = [module.losses.step(module(d, labelled_only=True), d)[0][0, 0] for d in data]
    module.losses.drain()
    fitted = trainer(max_epochs=1, log_every_n_steps=2)
    fitted.fit(module, loader(*data))
    want = ((9 * parts[0] + 5 * parts[1]) / 14).detach()
    assert float(fitted.logged_metrics["train/sick/loss"]) == pytest.approx(float(want), rel=1e-4)


def test_a_trainer_predicts_rows_without_labels() -> None:
    module = make()
    (got,) = trainer().predict(module, loader(batch(9, labels=()))) or []
    assert got.predicted["sick"].tolist() == list(range(9))  # type: ignore[union-attr]
    wanted = module.eval()(batch(9, labels=())).predictions["sick"]
    torch.testing.assert_close(got.predictions["sick"], wanted)  # type: ignore[union-attr]


# -- averaged weights and checkpoints ----------------------------------------------------------------------


class Weights(L.Callback):
    """Keep a copy of one parameter after each step, and what validation sees of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.trained: list[Tensor] = []
        self.validated: list[Tensor] = []

    def _copy(self, module: L.LightningModule) -> Tensor:
        return dict(module.named_parameters())[self.name].detach().clone()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Copy the trained weights."""
        self.trained.append(self._copy(pl_module))

    def on_validation_batch_start(
        self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Copy the weights that are evaluated."""
        self.validated.append(self._copy(pl_module))


def test_averaged_weights_are_the_ones_that_are_evaluated() -> None:
    module = make(schedule="constant", warmup=0.0, learning_rate=1e-2)
    name = next(n for n, p in module.heads.named_parameters(prefix="heads") if p.ndim == 2)
    kept = Weights(name)
    buffers = {n: b.clone() for n, b in module.encoders.named_buffers()}
    fitted = trainer(
        max_epochs=2, num_sanity_val_steps=0, callbacks=[kept, EMAWeightAveraging(decay=0.8, use_buffers=False)]
    )
    fitted.fit(module, loader(*[batch(9)] * 3), loader(batch(5)))
    average = kept.trained[0]
    after = []
    for weights in kept.trained[1:]:
        average = 0.8 * average + 0.2 * weights
        after.append(average)
    torch.testing.assert_close(kept.validated[0], after[1])
    torch.testing.assert_close(kept.validated[1], after[4])
    torch.testing.assert_close(dict(module.named_parameters())[name].detach(), after[4])
    assert not torch.allclose(after[4], kept.trained[-1])
    assert all(torch.equal(b, buffers[n]) for n, b in module.encoders.named_buffers())


def test_averaging_integer_buffers_is_refused() -> None:
    with pytest.raises(SpecError, match=r"encoders\.table\.numbers.*use_buffers: false"):
        trainer(max_epochs=1, callbacks=[EMAWeightAveraging(decay=0.9)]).fit(make(), loader(batch(9)))
    trainer(max_epochs=1, callbacks=[EMAWeightAveraging(decay=0.9)]).fit(
        make(modalities=[SCAN, TWIN], tasks=[SICK]), loader(batch(9, labels=("sick",), specs=(SCAN, TWIN)))
    )


def test_a_checkpoint_loads_under_weights_only_and_predicts_the_same(tmp_path: Path) -> None:
    module = make(
        LateFusion, hidden=4, weighting=FixedWeighting(lambdas={"ask": 0.5}), shared_encoders=[["scan", "twin"]]
    )
    fitted = trainer(max_epochs=1)
    data = batch()
    fitted.fit(module, loader(data))
    path = tmp_path / "last.ckpt"
    fitted.save_checkpoint(path)
    again = MultitaskModule.load_from_checkpoint(
        path, weights_only=True, encoders=ENCODERS, fusion=LateFusion, weighting=FixedWeighting()
    )
    a, b = module.eval()(data), again.eval()(data)
    assert a.predictions.keys() == {"sick", "age", "ask"}
    for t in a.predictions:
        assert torch.equal(a.predictions[t], b.predictions[t])
    assert list(again.tasks.values()) == TASKS
    assert list(again.modalities.values()) == MODALITIES
    assert torch.equal(again.weighting.table(), module.weighting.table())  # lambda travels as a buffer
    with pytest.raises(RuntimeError, match="state_dict"):
        MultitaskModule.load_from_checkpoint(path, weights_only=True, encoders=ENCODERS)  # another fusion


def test_defaults_load_from_a_checkpoint_without_arguments(tmp_path: Path) -> None:
    module = MultitaskModule([TABLE], [SICK])
    fitted = trainer(max_epochs=1)
    data = batch(4, labels=("sick",), specs=(TABLE,))
    fitted.fit(module, loader(collate([sample(i, ("table",), ("sick",)) for i in range(4)], [TABLE], [SICK])))
    fitted.save_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    again = MultitaskModule.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert torch.equal(module.eval()(data).predictions["sick"], again.eval()(data).predictions["sick"])


def test_two_steps_are_reproducible() -> None:
    ends = []
    for _ in range(2):
        module = make(modality_dropout=0.3)
        L.seed_everything(3)
        trainer(max_epochs=2).fit(module, loader(batch(9)))
        ends.append(torch.cat([p.detach().flatten() for p in module.parameters()]).numpy())
    assert np.array_equal(ends[0], ends[1])
