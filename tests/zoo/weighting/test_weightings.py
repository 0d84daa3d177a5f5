"""Weightings against hand-computed values, and what all of them must keep to."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchjd.aggregation import MGDA, Mean
from torchjd.scalarization import COSMOS, FAMO, PBI, STCH, UW, Constant

from zoo.errors import MissingExtraError, SpecError, UnknownNameError
from zoo.weighting.base import WEIGHTINGS, Weighting
from zoo.weighting.dwa import DWAWeighting
from zoo.weighting.feedback import FeedbackWeighting
from zoo.weighting.fixed import FixedWeighting
from zoo.weighting.jd import AggregatorWeighting, ScalarizerWeighting
from zoo.weighting.uncertainty import UncertaintyWeighting

TASKS = ("age", "sex", "organ")
STREAMS = ("fused", "ct")
CELLS = {(t, s): not (t == "sex" and s == "ct") for t in TASKS for s in STREAMS}
EXISTS = torch.tensor([[True, True], [True, False], [True, True]])
LOSSES = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
NAN = float("nan")


def bound(weighting: Weighting) -> Weighting:
    weighting.bind(TASKS, STREAMS, CELLS)
    return weighting


def masks() -> st.SearchStrategy[torch.Tensor]:
    return st.lists(st.booleans(), min_size=6, max_size=6).map(lambda x: torch.tensor(x).view(3, 2))


def test_registry() -> None:
    assert WEIGHTINGS.names() == [
        "AggregatorWeighting",
        "DWAWeighting",
        "FeedbackWeighting",
        "FixedWeighting",
        "ScalarizerWeighting",
        "UncertaintyWeighting",
    ]


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_defaults_weigh_all_cells_alike(name: str) -> None:
    weighting = bound(WEIGHTINGS.get(name)())
    assert weighting.table().tolist() == EXISTS.float().tolist()
    value = float(weighting(LOSSES, EXISTS).detach())
    assert value == pytest.approx(17.0 / (5 if name == "ScalarizerWeighting" else 1))
    # A cell that does not exist is ignored, whatever ``active`` says.
    assert float(weighting(LOSSES, torch.ones(3, 2, dtype=torch.bool)).detach()) == pytest.approx(value)


@pytest.mark.parametrize("name", WEIGHTINGS.names())
@given(active=masks())
@settings(max_examples=20, deadline=None)
def test_inactive_cells_never_leak(name: str, active: torch.Tensor) -> None:
    weighting = bound(WEIGHTINGS.get(name)())
    clean = torch.where(active, LOSSES, 0.0).requires_grad_()
    dirty = torch.where(active, LOSSES, NAN).requires_grad_()
    one, two = weighting(clean, active), weighting(dirty, active)
    assert torch.isfinite(two)
    assert float(one.detach()) == float(two.detach())
    if not (active & EXISTS).any():
        assert float(two.detach()) == 0
    two.backward()
    assert torch.isfinite(dirty.grad).all()
    assert not dirty.grad[~(active & EXISTS)].any()
    assert all(torch.isfinite(p.grad).all() for p in weighting.parameters())
    assert torch.isfinite(weighting.table()).all()


@pytest.mark.parametrize("name", WEIGHTINGS.names())
@given(steps=st.lists(masks(), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
def test_state_never_drifts_on_inactive_cells(name: str, steps: list[torch.Tensor]) -> None:
    """Whatever happens in between, a cell's weight changes only by what happens while it is active."""
    weighting = bound(WEIGHTINGS.get(name)())
    if name == "ScalarizerWeighting":
        assert not list(weighting.parameters())  # the mean of the active losses has nothing to learn
        return
    parameters = list(weighting.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.5) if parameters else None
    for number, active in enumerate(steps):
        before = weighting.table()
        losses = torch.where(active, LOSSES * (number + 1), NAN)
        total = weighting(losses, active)
        if optimizer is not None:
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
        weighting.on_train_epoch_end(losses, active)
        skills = {t: 0.1 * i for i, t in enumerate(TASKS) if bool(active[i].all())}
        weighting.on_validation_end({**skills, "age": NAN} if not active[0].all() else skills)
        after = weighting.table()
        still = ~active
        if name == "FeedbackWeighting":
            still = ~active.all(1, keepdim=True).expand(3, 2)
        assert torch.equal(after[still], before[still])


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_state_dict_resumes(name: str) -> None:
    def train(weighting: Weighting, start: int, stop: int) -> None:
        optimizer = torch.optim.SGD(weighting.parameters(), lr=0.1) if list(weighting.parameters()) else None
        for step in range(start, stop):
            losses = LOSSES / (step + 1) ** torch.tensor([[1.0, 0.5], [2.0, 1.0], [0.1, 0.2]])
            total = weighting(losses, EXISTS)
            if optimizer is not None:
                optimizer.zero_grad()
                total.backward()
                optimizer.step()
            weighting.on_train_epoch_end(losses, EXISTS)
            weighting.on_validation_end({"age": 0.1 * step, "sex": 0.5, "organ": 0.9})

    straight, first, second = (bound(WEIGHTINGS.get(name)()) for _ in range(3))
    train(straight, 0, 6)
    train(first, 0, 3)
    second.load_state_dict(first.state_dict())
    train(second, 3, 6)
    torch.testing.assert_close(second.table(), straight.table(), atol=0, rtol=0)
    if name not in ("FixedWeighting", "AggregatorWeighting", "ScalarizerWeighting"):
        assert not torch.equal(straight.table(), EXISTS.float())


def test_lambdas_are_set_by_name() -> None:
    weighting = bound(FixedWeighting(lambdas={"age": 2.0, "organ": {"ct": 0.5}, "sex": {"fused": 0}}, default=3.0))
    assert weighting.table().tolist() == [[2.0, 2.0], [0.0, 0.0], [3.0, 0.5]]
    assert float(weighting(LOSSES, EXISTS)) == 2 * 1 + 2 * 2 + 3 * 5 + 0.5 * 6
    # A lambda of zero makes a cell inactive, NaN or not.
    assert float(weighting(torch.where(weighting.table() > 0, LOSSES, NAN), EXISTS)) == 24.0


@pytest.mark.parametrize("name", WEIGHTINGS.names())
def test_every_weighting_takes_base_multipliers(name: str) -> None:
    weighting = bound(WEIGHTINGS.get(name)(lambdas={"age": {"ct": 4.0}}, default=0.5))
    assert weighting.table().tolist() == [[0.5, 4.0], [0.5, 0.0], [0.5, 0.5]]


def test_a_lambda_of_a_task_that_is_left_out_is_not_used() -> None:
    with pytest.warns(UserWarning, match=r"lambda\['structure'\] names no task; tasks: .*; it is not used"):
        weighting = bound(FixedWeighting(lambdas={"structure": 0.3, "age": 2.0}))
    assert weighting.table().tolist() == bound(FixedWeighting(lambdas={"age": 2.0})).table().tolist()


def test_lambda_errors_name_the_cell() -> None:
    with pytest.raises(UnknownNameError, match=r"lambda\['agee'\] names no task; did you mean 'age'\?"):
        bound(FixedWeighting(lambdas={"agee": 1.0}))
    message = r"lambda\['sex'\]\['ct'\] names no \(task, stream\); streams: \('fused',\)"
    with pytest.raises(UnknownNameError, match=message):
        bound(FixedWeighting(lambdas={"sex": {"ct": 1.0}}))
    with pytest.raises(UnknownNameError, match="did you mean 'fused'"):
        bound(FixedWeighting(lambdas={"sex": {"fusd": 1.0}}))
    with pytest.raises(SpecError, match=r"lambda\['sex'\] must be a finite number of at least 0, got -1"):
        bound(FixedWeighting(lambdas={"sex": -1.0}))
    with pytest.raises(SpecError, match="default must be a finite number"):
        FixedWeighting(default=math.inf)
    with pytest.raises(SpecError, match="nothing would train"):
        bound(FixedWeighting(default=0.0))
    with pytest.raises(SpecError, match="call bind"):
        FixedWeighting()(LOSSES, EXISTS)
    with pytest.raises(SpecError, match=r"shape \(3, 2\)"):
        bound(FixedWeighting())(LOSSES[:2], EXISTS[:2])


def test_uncertainty_by_hand() -> None:
    weighting = bound(UncertaintyWeighting(lambdas={"sex": 2.0}, initial=0.5))
    active = torch.tensor([[True, False], [True, False], [False, False]])
    expected = (math.exp(-0.5) * 1 + 0.25) + 2 * (math.exp(-0.5) * 3 + 0.25)
    assert float(weighting(LOSSES, active).detach()) == pytest.approx(expected)
    assert float(weighting.table()[1, 0]) == pytest.approx(2 * math.exp(-0.5))


def test_uncertainty_finds_its_minimum() -> None:
    weighting = bound(UncertaintyWeighting(lambdas={"organ": 5.0}))
    optimizer = torch.optim.Adam(weighting.parameters(), lr=0.05)
    for _ in range(600):
        optimizer.zero_grad()
        weighting(LOSSES, EXISTS).backward()
        optimizer.step()
    # d/ds (exp(-s) L + s / 2) = 0 at exp(-s) = 1 / (2 L), whatever lambda.
    expected = torch.where(EXISTS, 1 / (2 * LOSSES), 0.0) * torch.tensor([[1.0], [1.0], [5.0]])
    torch.testing.assert_close(weighting.table(), expected, atol=1e-3, rtol=1e-2)


def test_uncertainty_with_accumulated_gradients_equals_one_step() -> None:
    first, second = bound(UncertaintyWeighting()), bound(UncertaintyWeighting())
    upper = torch.tensor([[True, True], [False, False], [False, False]])
    for weighting in (first, second):
        optimizer = torch.optim.SGD(weighting.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            if weighting is first:
                weighting(LOSSES, upper).backward()
                weighting(LOSSES, EXISTS & ~upper).backward()
            else:
                weighting(LOSSES, EXISTS).backward()
            optimizer.step()
    torch.testing.assert_close(first.table(), second.table())
    assert (first.table()[EXISTS] != 1).all()


def test_uncertainty_in_evaluation_changes_nothing() -> None:
    weighting = bound(UncertaintyWeighting()).eval()
    before = {k: v.clone() for k, v in weighting.state_dict().items()}
    weighting(LOSSES, EXISTS)
    assert all(torch.equal(before[k], v) for k, v in weighting.state_dict().items())


def test_dwa_by_hand() -> None:
    weighting = bound(DWAWeighting())
    active = torch.tensor([[True, False], [True, False], [False, False]])
    weighting.on_train_epoch_end(torch.tensor([[4.0, NAN], [2.0, NAN], [NAN, NAN]]), active)
    assert weighting.table().tolist() == EXISTS.float().tolist()
    weighting.on_train_epoch_end(torch.tensor([[1.0, NAN], [2.0, NAN], [NAN, NAN]]), active)
    slow, fast = math.exp(1.0 / 2), math.exp(0.25 / 2)
    table = weighting.table()
    assert float(table[0, 0]) == pytest.approx(2 * fast / (slow + fast))
    assert float(table[1, 0]) == pytest.approx(2 * slow / (slow + fast))
    assert table[2].tolist() == [1.0, 1.0]
    # An epoch without rows of "age" leaves a gap: its next rate spans it.
    weighting.on_train_epoch_end(
        torch.tensor([[9.0, 0.0], [1.0, 0.0], [0.0, 0.0]]), active & ~EXISTS.new_tensor([[1], [0], [0]])
    )
    assert weighting.history[:, 0, 0].tolist() == [4.0, 1.0]
    assert float(weighting.table()[1, 0]) == pytest.approx(1.0)


def test_dwa_errors() -> None:
    with pytest.raises(SpecError, match="temperature must be positive, got 0"):
        DWAWeighting(temperature=0)
    with pytest.raises(SpecError, match=r"mean loss of \('organ', 'ct'\) is nan"):
        bound(DWAWeighting()).on_train_epoch_end(torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.0, NAN]]), EXISTS)


def test_feedback_by_hand() -> None:
    weighting = bound(FeedbackWeighting(temperature=0.5, momentum=0.75))
    weighting.on_validation_end({"age": 0.2, "organ": 0.7, "sex": NAN})
    mean = 0.45
    raw = [math.exp((mean - 0.2) / 0.5), math.exp((mean - 0.7) / 0.5)]
    target = [r / (sum(raw) / 2) for r in raw]
    table = weighting.table()
    assert table[0].tolist() == pytest.approx([0.75 + 0.25 * target[0]] * 2)
    assert table[2].tolist() == pytest.approx([0.75 + 0.25 * target[1]] * 2)
    assert table[1].tolist() == [1.0, 0.0]
    for _ in range(40):
        weighting.on_validation_end({"age": -5.0, "organ": 1.0, "sex": 1.0})
    assert weighting.table()[:, 0].tolist() == pytest.approx([3.0, 0.2, 0.2], abs=1e-3)
    with pytest.raises(UnknownNameError, match="unknown task 'agee'"):
        weighting.on_validation_end({"agee": 0.1})
    with pytest.raises(SpecError, match="momentum must be in"):
        FeedbackWeighting(momentum=1.0)
    with pytest.raises(SpecError, match="low <= 1 <= high"):
        FeedbackWeighting(low=2.0)


PART = torch.tensor([[True, False], [True, False], [False, True]])  # losses 1, 3, 6: cells 0, 2, 4 of 5


@pytest.mark.parametrize(
    ("scalarizer", "expected"),
    [
        ("Mean", 10 / 3),
        ("Sum", 10.0),
        ("GeometricMean", 18 ** (1 / 3)),
        (STCH(mu=0.5), 0.5 * math.log(sum(math.exp(x / 3 / 0.5) for x in (1, 3, 6)))),
        (Constant(torch.tensor([1.0, 10.0, 2.0, 10.0, 3.0])), 1 + 6 + 18.0),
        (
            COSMOS(2.0, torch.tensor([1.0, 9.0, 1.0, 9.0, 1.0])),
            10 - 2 * 10 / math.sqrt(3) / math.sqrt(46),
        ),
        (
            PBI(5.0, torch.tensor([1.0, 9.0, 1.0, 9.0, 1.0])),
            10 / math.sqrt(3) + 5 * math.sqrt(46 - 100 / 3),
        ),
    ],
)
def test_scalarizers_with_missing_tasks(scalarizer: object, expected: float) -> None:
    weighting = bound(ScalarizerWeighting(scalarizer=scalarizer))  # type: ignore[arg-type]
    losses = torch.where(PART, LOSSES, NAN).requires_grad_()
    value = weighting(losses, PART)
    assert float(value.detach()) == pytest.approx(expected, rel=1e-5)
    value.backward()
    # The logged table is the slope of the result.
    torch.testing.assert_close(weighting.table(), losses.grad)


def test_random_scalarizer_has_weights_that_sum_to_one() -> None:
    weighting = bound(ScalarizerWeighting(scalarizer="Random"))
    losses = LOSSES.clone().requires_grad_()
    weighting(losses, PART).backward()
    assert float(losses.grad.sum()) == pytest.approx(1.0)
    state = torch.random.get_rng_state()
    assert float(weighting.table().sum()) == pytest.approx(1.0)
    assert torch.equal(state, torch.random.get_rng_state())


@pytest.mark.parametrize("name", ["UW", "IMTLL"])
def test_learning_scalarizers_refuse_missing_tasks(name: str) -> None:
    weighting = bound(ScalarizerWeighting(scalarizer=name))
    assert [p.numel() for p in weighting.parameters()] == [5]
    assert float(weighting(LOSSES, EXISTS).detach()) == pytest.approx(17.0 * (0.5 if name == "UW" else 1.0))
    with pytest.raises(SpecError, match=r"3 of 5 are here.* UncertaintyWeighting"):
        weighting(LOSSES, PART)


def test_scalarizer_errors() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'Mean'"):
        ScalarizerWeighting(scalarizer="Meen")
    with pytest.raises(SpecError, match="use DWAWeighting"):
        ScalarizerWeighting(scalarizer="DWA")
    with pytest.raises(SpecError, match="again after the step"):
        ScalarizerWeighting(scalarizer=FAMO(5))
    with pytest.raises(SpecError, match=r"\['mu'\].*torchjd.scalarization.STCH"):
        ScalarizerWeighting(scalarizer="STCH")
    with pytest.raises(SpecError, match=r"log_var has shape \(3,\), but there are 5 cells"):
        bound(ScalarizerWeighting(scalarizer=UW(3)))


def two_tasks() -> tuple[torch.nn.Parameter, torch.nn.Parameter, torch.Tensor]:
    """Conflicting gradients (1, 0) and (-1, 1) of a shared vector, and a parameter of task 1 alone."""
    shared = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
    own = torch.nn.Parameter(torch.tensor(2.0))
    losses = torch.stack([shared[0] * 1.0, shared[1] - shared[0] + own * 3.0])
    return shared, own, losses


def two(weighting: AggregatorWeighting) -> AggregatorWeighting:
    weighting.bind(("a", "b"), ("fused",), {("a", "fused"): True, ("b", "fused"): True})
    return weighting


def test_aggregation_by_hand() -> None:
    shared, own, losses = two_tasks()
    weighting = two(AggregatorWeighting(aggregator="PCGrad"))
    assert weighting.manual_backward_needed
    objectives = weighting.objectives(losses[:, None], torch.tensor([[True], [True]]))
    weights = weighting.aggregate_backward(objectives, [shared], [own])
    # PCGrad: g1 - (g1.g2 / |g2|^2) g2 = (.5, .5), g2 - (g1.g2 / |g1|^2) g1 = (0, 1); their sum.
    assert shared.grad.tolist() == pytest.approx([0.5, 1.5])
    assert weights is None or weights.tolist() == pytest.approx([2.0, 1.5])
    assert float(own.grad) == 3.0
    assert not hasattr(shared, "jac")


def test_aggregation_of_one_group_equals_the_mean() -> None:
    shared, own, losses = two_tasks()
    weighting = two(AggregatorWeighting(aggregator=Mean(), chunk=2, lambdas={"b": 4.0}))
    idle = torch.nn.Parameter(torch.zeros(2))
    objectives = weighting.objectives(losses[:, None], torch.tensor([[True], [True]]))
    assert [float(x.detach()) for x in objectives] == [1.0, 24.0]
    weighting.aggregate_backward(objectives, [shared, own, idle])
    assert shared.grad.tolist() == pytest.approx([(1 - 4) / 2, 4 / 2])
    assert float(own.grad) == 6.0
    assert idle.grad.tolist() == [0.0, 0.0]


def test_aggregation_with_missing_tasks() -> None:
    shared, _, losses = two_tasks()
    weighting = two(AggregatorWeighting(aggregator=MGDA()))
    table = torch.stack([losses[0], torch.tensor(NAN)])[:, None]
    objectives = weighting.objectives(table, torch.tensor([[True], [False]]))
    assert len(objectives) == 1
    weighting.aggregate_backward(objectives, [shared])
    assert shared.grad.tolist() == [1.0, 0.0]
    assert weighting.aggregate_backward([], [shared]) is None
    with pytest.raises(SpecError, match="1 parameters are both"):
        weighting.aggregate_backward(objectives, [shared], [shared])
    assert "2 backward passes" in weighting.cost_note(2)


def test_aggregator_errors() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'UPGrad'"):
        AggregatorWeighting(aggregator="UPGrd")
    with pytest.raises(SpecError, match=r"no default for \['n_byzantine'\]"):
        AggregatorWeighting(aggregator="Krum")
    with pytest.raises(SpecError, match="chunk"):
        AggregatorWeighting(chunk=0)


def test_a_missing_solver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchjd._mixins

    monkeypatch.setattr(torchjd._mixins, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"torchjd\[quadprog_projector\].*\[jd\]"):
        AggregatorWeighting(aggregator="UPGrad")
