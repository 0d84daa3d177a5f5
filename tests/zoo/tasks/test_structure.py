"""Structure: an invariant loss that knows left from right, and scores against tmtools and hand-computed numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from tmtools import tm_align
from torch import Tensor

from zoo.contract import TaskSpec, Tokens
from zoo.errors import SpecError
from zoo.tasks import chains
from zoo.tasks.chains import BOND, extend, medoid
from zoo.tasks.structure import HELIX, Structure, StructureHead
from zoo.tasks.structure_loss import local_loss, local_shape, row_loss

MIRROR = torch.tensor([1.0, 1.0, -1.0])


def task(length: int = 20) -> Structure:
    return Structure(TaskSpec("fold", "structure", length, reads="protein", unit="angstrom"))


def helix(n: int, noise: float = 0.0, seed: int = 0) -> Tensor:
    """C-alpha atoms of a right-handed alpha helix: 100 degrees and 1.5 angstrom a residue, radius 2.3."""
    i = np.arange(n)
    x = np.stack([2.3 * np.cos(np.radians(100 * i)), 2.3 * np.sin(np.radians(100 * i)), 1.5 * i], -1)
    return torch.from_numpy(x + np.random.default_rng(seed).normal(0, 1, x.shape) * noise).float()


def walk(n: int, seed: int) -> Tensor:
    steps = np.random.default_rng(seed).normal(size=(n, 3))
    return torch.from_numpy(np.cumsum(3.8 * steps / np.linalg.norm(steps, axis=-1, keepdims=True), 0)).float()


def resolved(x: Tensor, length: int = 0) -> Tensor:
    """Targets (1, L, 4) of a chain (n, 3), padded to ``length``."""
    target = torch.zeros(1, length or len(x), 4)
    target[0, : len(x), :3], target[0, : len(x), 3] = x, 1.0
    return target


def test_loss_by_hand() -> None:
    target = resolved(torch.tensor([[0.0, 0, 0], [3.8, 0, 0], [7.6, 0, 0]]))
    assert row_loss(target[..., :3], target).item() == pytest.approx(0.0, abs=1e-3)
    stretched = target[..., :3] * 2
    # the ends are 3.8 angstrom off and the middle is right; every bond is 3.8 too long
    far = 2 * (math.sqrt(3.8**2 + 0.01) - 0.1) / 10 / 3
    close = 2 * 3.8**2 / (3.8**2 + 2.0**2) / 3
    assert row_loss(stretched, target).item() == pytest.approx(far + close + 0.05 * 3.8**2, rel=1e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), shift=st.floats(-50, 50))
def test_loss_is_invariant_to_motion_and_not_to_reflection(seed: int, shift: float) -> None:
    truth, guess = walk(20, seed), walk(20, seed) + 0.5 * torch.randn(20, 3, generator=torch.manual_seed(seed))
    motion = torch.from_numpy(Rotation.random(random_state=seed).as_matrix()).float()
    target = resolved(truth)
    loss = row_loss(guess[None], target)
    torch.testing.assert_close(row_loss((guess @ motion + shift)[None], target), loss, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(row_loss(guess[None], resolved(truth @ motion + shift)), loss, atol=1e-4, rtol=1e-4)
    assert row_loss((truth * MIRROR)[None], target).item() > row_loss(truth[None], target).item() + 0.01
    assert row_loss((guess * MIRROR)[None], target).item() > loss.item()


def test_a_mirrored_helix_costs() -> None:
    target = resolved(helix(20))
    assert row_loss(helix(20)[None], target).item() < 1e-3
    assert row_loss((helix(20) * MIRROR)[None], target).item() > 0.2


def test_padding_and_unresolved_residues_do_not_matter() -> None:
    target = resolved(helix(16), 20)
    target[0, 5, 3] = 0.0
    guess = torch.cat([helix(16, 1.0), torch.zeros(4, 3)])[None].requires_grad_()
    loss = row_loss(guess, target)
    poisoned = target.clone()
    poisoned[0, 5, :3] = math.nan
    poisoned[0, 16:, :3] = math.nan
    moved = guess.detach().clone()
    moved[0, 5], moved[0, 16:] = 100.0, -70.0
    torch.testing.assert_close(row_loss(moved, poisoned), loss)
    row_loss(guess, poisoned).sum().backward()
    assert guess.grad is not None
    assert torch.isfinite(guess.grad).all()
    assert guess.grad[0, 5].abs().sum() == 0
    assert guess.grad[0, 16:].abs().sum() == 0
    shown, hidden = (task().metrics(x.detach(), target) for x in (guess, moved))
    assert shown == hidden


@pytest.mark.parametrize("guess", ["perfect", "collapsed", "line", "one point"])
@pytest.mark.parametrize("count", [0, 1, 2, 20])
def test_gradients_are_finite(guess: str, count: int) -> None:
    target = resolved(helix(20))
    target[0, count:, 3] = 0.0
    start = {"perfect": helix(20), "collapsed": torch.zeros(20, 3), "one point": torch.full((20, 3), 7.0)}
    x = start.get(guess, torch.arange(20.0)[:, None] * torch.tensor([3.8, 0, 0]))[None].clone().requires_grad_()
    loss = row_loss(x, target)
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    if count == 0:
        assert loss.item() == 0.0


def test_gradient_equals_finite_differences() -> None:
    target = resolved(helix(8))
    x = (helix(8, 1.0)[None] * 1.0).requires_grad_()
    row_loss(x, target).sum().backward()
    assert x.grad is not None
    ones = torch.ones(1, 8, dtype=torch.float64)

    def distance(y: Tensor) -> float:
        return float(((chains.superpose(y, target[..., :3].double(), ones) - target[..., :3]) ** 2).sum())

    z = x.detach().double().requires_grad_()
    ((chains.superpose(z, target[..., :3].double(), ones) - target[..., :3]) ** 2).sum().backward()
    assert z.grad is not None
    step = torch.zeros_like(z)
    step[0, 3, 1] = 1e-4
    numeric = (distance(z.detach() + step) - distance(z.detach() - step)) / 2e-4
    assert z.grad[0, 3, 1].item() == pytest.approx(numeric, rel=1e-4), "least squares: the gradient is exact"


def test_autocast_rounds_neither_coordinates_nor_loss() -> None:
    target, guess = resolved(walk(30, 1)), walk(30, 2)[None]
    head = StructureHead(task(30).spec, 6, 5)
    tokens = Tokens(torch.randn(1, 30, 5), torch.ones(1, 30, dtype=torch.bool), torch.randn(1, 5))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, x = row_loss(guess, target), head(torch.randn(1, 6), tokens)
    torch.testing.assert_close(mixed, row_loss(guess, target))
    assert x.dtype == torch.float32


def test_superposition_equals_scipy() -> None:
    x, y = walk(30, 1).double(), walk(30, 2).double()
    weight = torch.rand(30, generator=torch.manual_seed(0)).double()
    moved = chains.superpose(x[None], y[None], weight[None])[0]
    cx, cy = (weight @ x) / weight.sum(), (weight @ y) / weight.sum()
    best, _ = Rotation.align_vectors((y - cy).numpy(), (x - cx).numpy(), weights=weight.numpy())
    np.testing.assert_allclose(moved.numpy(), best.apply((x - cx).numpy()) + cy.numpy(), atol=1e-6)
    assert chains.rmsd(x, x @ torch.from_numpy(Rotation.random(random_state=0).as_matrix()) + 3) < 1e-6
    assert chains.rmsd(x, x * MIRROR) > 1.0


def tm(x: Tensor, y: Tensor, known: bool = True) -> float:
    """TM-score of x against y straight from tmtools."""
    letters = "A" * len(y)
    pair = [[letters, letters]] if known else []
    return float(tm_align(x.double().numpy(), y.double().numpy(), letters, letters, *pair).tm_norm_chain2)


@pytest.mark.parametrize("length", [8, 25, 60, 120])
@pytest.mark.parametrize("noise", [0.3, 1.0, 2.5])
def test_tm_score_is_that_of_tmtools_over_resolved_residues(length: int, noise: float) -> None:
    y = walk(length, length)
    x = y + noise * torch.randn(length, 3, generator=torch.manual_seed(length))
    target = resolved(y, 130)
    target[0, 2, 3] = 0.0
    guess = torch.zeros(1, 130, 3)
    guess[0, :length] = x
    keep = torch.arange(length) != 2
    assert task(130).row_scores(guess, target).item() == pytest.approx(tm(x[keep], y[keep]), abs=1e-6)
    slow = task(130).slow_metrics(guess, target)
    assert slow["tm_align"] == pytest.approx(tm(x[keep], y[keep], known=False), abs=1e-6)


def test_a_perfect_chain_scores_one_and_its_mirror_image_clearly_less() -> None:
    for chain in (helix(40), walk(40, 0), walk(120, 1)):
        target = resolved(chain)
        turned = chain @ torch.from_numpy(Rotation.random(random_state=0).as_matrix()).float() + 7
        assert task(len(chain)).row_scores(turned[None], target).item() == pytest.approx(1.0, abs=1e-4)
        assert task(len(chain)).row_scores((chain * MIRROR)[None], target).item() < 0.6


def test_tm_score_by_hand() -> None:
    y = walk(60, 0)
    x = y.clone()
    x[12, 2] += 1000.0
    assert task(60).row_scores(x[None], resolved(y)).item() == pytest.approx(59 / 60, abs=1e-4)


def test_tm_score_forgives_no_shift_along_the_chain_but_tm_align_does() -> None:
    y = walk(80, 3)
    shifted = torch.cat([y[6:], y[-1] + 3.8 * torch.arange(1, 7)[:, None]])[None]
    assert task(80).row_scores(shifted, resolved(y)).item() < 0.5
    assert task(80).slow_metrics(shifted, resolved(y))["tm_align"] > 0.85


def test_scores_are_normalised_by_the_reference_and_ignore_motion() -> None:
    target = resolved(helix(40), 50)
    target[0, 10:20, 3] = 0.0
    x = torch.zeros(1, 50, 3)
    x[0, :40] = helix(40) @ torch.from_numpy(Rotation.random(random_state=1).as_matrix()).float() + 5
    got = task(50).metrics(x, target)
    assert got["tm_score"] == pytest.approx(1.0, abs=1e-4)
    assert got["rmsd"] == pytest.approx(0.0, abs=1e-3)
    assert got["lddt_ca"] == pytest.approx(1.0)


def test_lddt_by_hand() -> None:
    y = torch.tensor([[0.0, 0, 0], [4.0, 0, 0], [8.0, 0, 0], [100.0, 0, 0]]).double()
    x = torch.tensor([[0.0, 0, 0], [4.7, 0, 0], [8.0, 0, 0], [0.0, 0, 0]]).double()
    # 0-1 and 1-2 are off by .7: kept at 1, 2, 4, so 3/4; 0-2 is kept at all four; the fourth has no neighbour
    assert chains.lddt(x, y) == pytest.approx((7 / 8 + 3 / 4 + 7 / 8) / 3)
    assert math.isnan(chains.lddt(x[::3], y[::3]))


def test_rows_without_enough_residues_are_counted() -> None:
    target = torch.cat([resolved(helix(20)), resolved(helix(20)), resolved(helix(20))])
    target[1, 4:, 3] = 0.0
    x = target[..., :3].clone()
    x[2, 3] = math.nan
    scores = task().row_scores(x, target)
    assert scores[0] == pytest.approx(1.0)
    assert math.isnan(scores[1])
    assert scores[2] == 0.0
    got = task().metrics(x, target)
    assert got["undefined"] == 1.0
    assert got["tm_score"] == pytest.approx(0.5)
    assert task().slow_metrics(x, target)["tm_align"] == pytest.approx(0.5)
    assert task().primary_value(x, target) == pytest.approx(0.5)
    assert math.isinf(got["rmsd"])


def test_quaternions_compose_and_walk_as_in_scipy() -> None:
    turns = torch.randn(2, 9, 4, generator=torch.manual_seed(0)).double()
    got = chains.walk(turns, 3.8)
    for row, chain in zip(turns, got, strict=True):
        frame, place = Rotation.identity(), np.zeros(3)
        for turn, atom in zip(row.roll(-1, 1).numpy(), chain.numpy(), strict=True):  # SciPy: w last
            frame = frame * Rotation.from_quat(turn)
            place = place + frame.apply([3.8, 0.0, 0.0])
            np.testing.assert_allclose(atom, place, atol=1e-9)


def test_a_walk_of_helix_turns_is_a_right_handed_helix() -> None:
    walked = chains.walk(torch.tensor(HELIX).expand(1, 30, 4), BOND)[0].double()
    assert chains.rmsd(walked, helix(30).double()) < 0.3
    assert chains.rmsd(walked, helix(30).double() * MIRROR) > 2.0


def test_local_shape_by_hand() -> None:
    corner = 3.8 * torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 1, 2]])
    expected = torch.tensor([[2.0**0.5, 3.0**0.5, 6.0**0.5, 1.0]])
    torch.testing.assert_close(local_shape(corner[None])[0], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close((local_shape(corner[None] * MIRROR) - local_shape(corner[None]))[0, 0, 3].item(), -2.0)
    assert local_shape(corner[None, :3]).shape == (1, 0, 4)
    assert local_loss((corner * MIRROR)[None], resolved(corner)).item() == pytest.approx(4.0, rel=1e-5)


@pytest.mark.parametrize("length", [1, 2, 4, 5, 12])
def test_local_loss_knows_no_motion_no_gap_and_no_break(length: int) -> None:
    chain = walk(length, 2)
    motion = torch.from_numpy(Rotation.random(random_state=2).as_matrix()).float()
    assert local_loss((chain @ motion + 9)[None], resolved(chain)).item() == pytest.approx(0.0, abs=1e-5)
    target = resolved(chain)
    target[0, length // 2, 3], target[0, length // 2, :3] = 0.0, math.nan
    x = chain[None].clone()
    x[0, length // 2] += 5.0
    x.requires_grad_()
    local_loss(x, target).sum().backward()
    assert x.grad is not None
    assert x.grad.abs().max() < 1e-4
    broken = resolved(torch.cat([chain, chain + 40.0]))
    assert local_loss(torch.cat([chain, chain - 9.0])[None], broken).item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("length", [20, 200])
def test_a_new_head_walks_short_chains_and_places_long_ones(length: int) -> None:
    torch.manual_seed(0)
    head = StructureHead(task(length).spec, 6, 5).eval()
    tokens = Tokens(torch.randn(1, length, 5), torch.ones(1, length, dtype=torch.bool), torch.randn(1, 5))
    both = head(torch.randn(1, 6), tokens).detach()[0].double()
    gap = chains.rmsd(both[:, :3], both[:, 3:])
    assert gap < 1.0 if length == 20 else gap > 5.0
    assert torch.equal(task(length).predict(both[None])[0], both[:, :3].float())
    steps = (both[1:, 3:] - both[:-1, 3:]).norm(dim=-1)
    torch.testing.assert_close(steps, torch.full_like(steps, BOND), atol=1e-3, rtol=0)


def test_combine_takes_whole_streams() -> None:
    streams = torch.stack([torch.full((3, 20, 3), float(s)) for s in range(3)])
    weights = torch.tensor([[0.5, 0.2, 0.4], [0.3, 0.2, 0.4], [0.2, 0.6, 0.2]])
    assert task().combine(streams, weights)[:, 0, 0].tolist() == [0.0, 2.0, 0.0]


def test_head_ignores_padding_and_refuses_other_lengths() -> None:
    torch.manual_seed(0)
    head = StructureHead(task(20).spec, 6, 5).eval()
    z, values = torch.randn(2, 6), torch.randn(2, 20, 5)
    mask = torch.arange(20)[None] < torch.tensor([[20], [11]])
    one = head(z, Tokens(values, mask, values.mean(1)))
    other = torch.where(mask.unsqueeze(-1), values, 9.0)
    torch.testing.assert_close(head(z, Tokens(other, mask, values.mean(1))), one)
    assert one[1, 11:].abs().sum() == 0
    with pytest.raises(SpecError, match="tokens of 12 positions, but predicts 20 residues"):
        head(z, Tokens(values[:, :12], mask[:, :12], values.mean(1)))


def test_extend_keeps_the_first_residues_and_continues_by_bonds() -> None:
    chain = walk(7, 0).double().numpy()
    longer = extend(chain, 30)
    np.testing.assert_array_equal(longer[:7], chain)
    np.testing.assert_allclose(np.linalg.norm(longer[7] - longer[6]), BOND)
    np.testing.assert_allclose(np.linalg.norm(longer[14] - longer[13]), BOND)
    np.testing.assert_array_equal(extend(chain, 3), chain[:3])


def test_constant_is_the_medoid_and_chance_a_training_chain() -> None:
    family = [helix(18, 0.1, s).double().numpy() for s in range(4)]
    strange = walk(20, 5).double().numpy()
    assert any(medoid([strange, *family]) is member for member in family)
    train = torch.cat([resolved(torch.from_numpy(c).float(), 20) for c in [strange, *family]])
    train[1, 7, 3] = 0.0
    constant = task().constant(train, 2)
    target = resolved(helix(18), 20).expand(2, -1, -1)
    assert task().metrics(constant, target)["tm_score"] > 0.8
    rows = task().chance(train, 40, np.random.default_rng(0))
    near = torch.cdist(rows[:, :18].flatten(1), train[[0, 2, 3, 4], :18, :3].flatten(1)).min(1).values
    assert (near < 1e-3).float().mean() > 0.6, "all but the interpolated chain are copies"
    with pytest.raises(SpecError, match="no training chain has 5 resolved residues"):
        task().constant(train * 0, 1)
