"""Templates: chains modelled on their homologues among the training rows."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from scipy.spatial.transform import Rotation
from torch import Tensor

from datamodules import MultimodalDataModule
from datamodules.core.options import SamplingOptions
from datamodules.phantom import PhantomCohort
from zoo import ESMEncoder, MultitaskModule
from zoo.contract import AMINO_ACIDS, TaskSpec, Tokens
from zoo.errors import SpecError
from zoo.models.multitask.options import HeadOptions
from zoo.tasks import chains
from zoo.tasks.homologues import Homologues
from zoo.tasks.structure import StructureHead
from zoo.tasks.templates import FADE, TemplateReader, frames, residues

LENGTH = 40
ENCODERS = {"protein": partial(ESMEncoder, dim=16, depth=1)}
FOLD = TaskSpec("fold", "structure", LENGTH, reads="protein", unit="angstrom")
HEADS = HeadOptions(by_task={"structure": partial(StructureHead, templates=3)})


def codes(sequence: str) -> Tensor:
    """A row of codes, padded to LENGTH."""
    known = [AMINO_ACIDS.index(letter) + 1 for letter in sequence]
    return torch.tensor(known + [0] * (LENGTH - len(known)))


def chain(n: int, seed: int) -> Tensor:
    """A row of targets (LENGTH, 4): n resolved residues of a random walk."""
    generator = np.random.default_rng(seed)
    out = torch.zeros(LENGTH, 4)
    steps = generator.normal(size=(n, 3))
    steps *= 3.8 / np.linalg.norm(steps, axis=1, keepdims=True)
    out[:n] = torch.cat([torch.from_numpy(steps.cumsum(0)).float(), torch.ones(n, 1)], 1)
    return out


FIRST = "MKTAYIAKQRQISFVKSHFSRQLEERLGLI"
SECOND = FIRST[:10] + "A" + FIRST[11:20] + "G" + FIRST[21:]
OTHER = "WWPGHCWWNDPGCCHWPWNGDCHPGWCNDP"


def reader(*rows: tuple[str, Tensor], count: int = 3, width: int = 8) -> TemplateReader:
    """A reader that knows some chains."""
    made = TemplateReader(LENGTH, width, count)
    made.remember(torch.stack([codes(s) for s, _ in rows]), torch.stack([c for _, c in rows]))
    return made


def read(made: TemplateReader, *sequences: str) -> tuple[Tensor, Tensor]:
    """What it says of sequences, whose vectors are zero."""
    return made(torch.zeros(len(sequences), LENGTH, 8), torch.stack([codes(s) for s in sequences]))


def test_a_known_sequence_gets_its_own_chain_and_in_training_that_of_another() -> None:
    one, two = chain(30, 1), chain(30, 2)
    made = reader((FIRST, one), (SECOND, two), count=1).eval()
    x, trust = read(made, FIRST)
    torch.testing.assert_close(x[0, :30], one[:30, :3])
    assert trust.item() > 0.99
    made.train()
    x, _ = read(made, FIRST)
    torch.testing.assert_close(x[0, :30], two[:30, :3])


def test_templates_are_superposed_and_averaged_by_squared_scores() -> None:
    one, two = chain(30, 1), chain(30, 1)
    two[:30, :3] += 0.5 * torch.randn(30, 3, generator=torch.manual_seed(0))
    turned = two.clone()
    turned[:30, :3] = two[:30, :3] @ torch.from_numpy(Rotation.random(random_state=3).as_matrix()).float() + 7
    made = reader((FIRST, one), (SECOND, turned), count=2).eval()
    known = Homologues([FIRST, SECOND], [one.double().numpy(), two.double().numpy()])
    first, second = known.nearest(FIRST, 2)
    weight = (second.score / first.score) ** 2
    fit = chains.superpose(turned[None, :30, :3], one[None, :30, :3], torch.ones(1, 30))[0]
    expected = (one[:30, :3] + weight * fit) / (1 + weight)
    assert chains.rmsd(read(made, FIRST)[0][0, :30], expected) < 0.05  # they are superposed by weights of closeness


def test_the_result_turns_with_the_chains_and_does_not_depend_on_other_rows() -> None:
    one, two = chain(30, 1), chain(30, 2)
    turn = torch.from_numpy(Rotation.random(random_state=1).as_matrix()).float()

    def turned(c: Tensor) -> Tensor:
        return torch.cat([c[:, :3] @ turn + torch.tensor([1.0, 2.0, 3.0]), c[:, 3:]], 1) * c[:, 3:]

    made, moved = (
        reader((FIRST, one), (SECOND, two)).eval(),
        reader((FIRST, turned(one)), (SECOND, turned(two))).eval(),
    )
    torch.nn.init.normal_(made.shift.bias)
    torch.nn.init.normal_(made.weigh[3].weight)
    moved.load_state_dict({k: v for k, v in made.state_dict().items() if "extra" not in k} | {
        "_extra_state": moved.library.rows
    })  # fmt: skip
    a, b = read(made, FIRST)[0][0, :30], read(moved, FIRST)[0][0, :30]
    assert chains.rmsd(a, b) < 1e-3
    assert chains.rmsd(a, one[:30, :3]) > 0.1
    together, _ = read(made, FIRST[:22], FIRST, OTHER)
    torch.testing.assert_close(together[1, :30], a)


def test_frames_are_orthonormal_within_a_chain_and_zero_at_its_ends() -> None:
    found = frames(chain(30, 4)[None, :, :3], (codes(FIRST) > 0)[None])[0]
    torch.testing.assert_close(found[1:29] @ found[1:29].transpose(1, 2), torch.eye(3).expand(28, 3, 3))
    assert not found[29:].any()
    assert not found[0].any()


def test_unrelated_and_empty_libraries_are_not_trusted() -> None:
    _, trust = read(reader((FIRST, chain(30, 1))).eval(), OTHER)
    assert trust.item() < 0.05
    known = Homologues([FIRST], [chain(30, 1).double().numpy()])
    ratio = known.nearest(OTHER, 1)[0].score / known.self_score(OTHER)
    assert trust.item() == pytest.approx(1 / (1 + np.exp(-ratio / FADE)), rel=1e-3)
    x, trust = read(TemplateReader(LENGTH, 8, 3).eval(), FIRST)
    assert trust.item() == 0
    assert torch.isfinite(x).all()


def test_residues_that_no_template_knows_are_filled_in() -> None:
    gap = chain(30, 1)
    gap[12:15] = 0
    x, _ = read(reader((FIRST, gap)).eval(), FIRST)
    steps = torch.linalg.vector_norm(x[0, 12:16] - x[0, 11:15], dim=-1)
    assert steps.max() - steps.min() < 1e-3  # evenly along the straight line


def test_gradients_are_finite_where_rows_are_short_or_unknown() -> None:
    made = reader((FIRST, chain(30, 1)), (SECOND, chain(30, 2))).train()
    x = torch.randn(3, LENGTH, 8, requires_grad=True)
    out, trust = made(x, torch.stack([codes(FIRST), codes(OTHER), codes("MK")]))
    (out.square().sum() * 1e-3 + trust.sum()).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in made.parameters())


def test_the_head_follows_templates_as_far_as_they_are_trusted() -> None:
    one = chain(30, 1)
    plain, head = StructureHead(FOLD, 6, 5).eval(), StructureHead(FOLD, 6, 5, templates=2).eval()
    head.load_state_dict(plain.state_dict() | {k: v for k, v in head.state_dict().items() if k.startswith("reader")})
    assert head.examples
    assert not plain.examples
    head.remember(codes(FIRST)[None], one[None])
    z, mask = torch.randn(1, 6), (codes(FIRST) > 0)[None]
    values, pooled = torch.randn(1, LENGTH, 5), torch.randn(1, 5)
    known = Tokens(values, mask, pooled, codes(FIRST)[None])
    assert chains.rmsd(head(z, known)[0, :30, :3], one[:30, :3]) < 0.1
    unknown = Tokens(values, mask, pooled, codes(OTHER)[None])
    a, b = head(z, unknown)[0, :30, :3], plain(z, unknown)[0, :30, :3]
    assert chains.rmsd(a, b) < chains.rmsd(a, one[:30, :3])
    with pytest.raises(SpecError, match="without codes"):
        head(z, Tokens(values, mask, pooled))


def test_copies_share_the_library_and_the_state_holds_it() -> None:
    made = reader((FIRST, chain(30, 1)))
    twin = copy.deepcopy(made)
    made.remember(codes(SECOND)[None], chain(30, 2)[None])
    assert twin.library is made.library
    fresh = TemplateReader(LENGTH, 8, 3)
    fresh.load_state_dict(made.state_dict())
    assert residues(fresh.library.rows[0, :, 0].long()) == SECOND
    torch.testing.assert_close(read(fresh.eval(), SECOND)[0], read(made.eval(), SECOND)[0])


def proteins() -> MultimodalDataModule:
    """Simulated chains."""
    source = PhantomCohort(n=60, presence=1.0, modalities=["protein"], tasks=["structure"])
    return MultimodalDataModule([source], sampling=SamplingOptions(batch_size=16))


def test_a_fit_shows_the_training_chains_and_a_checkpoint_keeps_them(tmp_path: Path) -> None:
    data = proteins()
    module = MultitaskModule(
        data.modality_specs,
        data.task_specs,
        ENCODERS,
        heads=HEADS,
    )
    fitted = L.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        callbacks=[EMAWeightAveraging(decay=0.9, use_buffers=False)],
    )
    fitted.fit(module, datamodule=data)
    head = module.heads["structure"]["fused"]  # type: ignore[index]
    assert len(head.reader.library.rows) == len(data.pipeline.rows["train"])
    path = tmp_path / "last.ckpt"
    fitted.save_checkpoint(path)
    again = MultitaskModule.load_from_checkpoint(path, weights_only=True, encoders=ENCODERS, heads=HEADS)
    batch = next(iter(data.test_dataloader()))
    torch.testing.assert_close(
        again.eval()(batch).predictions["structure"], module.eval()(batch).predictions["structure"]
    )


def test_a_fit_without_a_data_module_says_what_templates_need() -> None:
    data = proteins()
    module = MultitaskModule(
        data.modality_specs,
        data.task_specs,
        ENCODERS,
        heads=HEADS,
    )
    fitted = L.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False)
    with pytest.raises(SpecError, match=r"model\.heads\.by_task"):
        fitted.fit(module, data.train_dataloader())
    with pytest.raises(SpecError, match="StructureHead: templates must be 0"):
        MultitaskModule(
            data.modality_specs,
            data.task_specs,
            heads=HeadOptions(by_task={"structure": partial(StructureHead, templates=-1)}),
        )
