"""Survival: loss against numbers by hand, estimates against scikit-survival, properties under censoring and ties."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from datamodules.sources.table import Table, TableModality, TableTask
from tests.zoo.intervals import ends
from zoo.contract import TaskSpec
from zoo.errors import DataError, SpecError
from zoo.raw import RawTask
from zoo.tasks import lifetimes
from zoo.tasks.base import task_kind
from zoo.tasks.survival import Survival, SurvivalHead
from zoo.tasks.survival_codec import SurvivalCodec

EDGES = (0.0, 1.0, 3.0, 6.0)


def kind(edges: tuple[float, ...] = EDGES) -> Survival:
    made = task_kind(TaskSpec("death", "survival", len(edges) - 1, unit="years", edges=edges))
    assert isinstance(made, Survival)
    return made


def rows(n: int, seed: int = 0, decimals: int = 1) -> tuple[lifetimes.Floats, lifetimes.Flags, lifetimes.Floats]:
    """Times, events and risks with many ties."""
    generator = np.random.default_rng(seed)
    risk = generator.normal(size=n).round(1)
    time = (generator.exponential(np.exp(-0.5 * risk)) + 0.1).round(decimals) + 0.05
    return time, generator.random(n) < 0.6, risk


# -- loss ------------------------------------------------------------------------------------------------------------


def test_loss_by_hand():
    hazard = torch.tensor([0.2, 0.5, 0.25])
    logits = hazard.logit().expand(7, -1)
    target = torch.tensor([[0.5, 1], [2.0, 1], [2.0, 0], [6.0, 1], [9.0, 0], [9.0, 1], [0.0, 0]])
    expected = [
        -math.log(0.2),  # dies in the first interval
        -math.log(0.8 * 0.5),  # lives through the first, dies in the second
        -math.log(0.8 * 0.5**0.5),  # observed for half of the second
        -math.log(0.8 * 0.5 * 0.25),  # a death at an edge belongs to the interval that ends there
        -math.log(0.8 * 0.5 * 0.75),  # lives beyond the last edge
        -math.log(0.8 * 0.5 * 0.75),  # dies beyond the last edge
        0.0,  # never observed: says nothing
    ]
    torch.testing.assert_close(kind().loss(logits, target), torch.tensor(expected))
    torch.testing.assert_close(kind().combination_loss(kind().predict(logits), target), torch.tensor(expected))
    torch.testing.assert_close(kind().predict(logits[:1]), torch.tensor([[0.8, 0.4, 0.3]]))


def test_hazards_without_inputs_become_the_life_table():
    time, event, _ = rows(300)
    target = torch.from_numpy(np.stack([time, event], 1)).float()
    logits = nn.Parameter(torch.zeros(3))
    optimiser = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = kind((0.0, 0.5, 1.0, 2.0)).loss(logits.expand(len(target), -1), target).mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    expected = []
    for low, high in ((0.0, 0.5), (0.5, 1.0), (1.0, 2.0)):
        inside = (time > low) & (time <= high)
        deaths = int((inside & event).sum())
        exposed = int((time > high).sum()) + deaths + ((time - low)[inside & ~event] / (high - low)).sum()
        expected.append(deaths / exposed)
    np.testing.assert_allclose(torch.sigmoid(logits).detach().numpy(), expected, atol=2e-4)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 12, width=32), st.booleans()), min_size=1, max_size=8),
    st.integers(0, 100),
)
def test_loss_is_finite_with_finite_gradients(labels: list[tuple[float, bool]], seed: int):
    target = torch.tensor([[t, float(e)] for t, e in labels])
    logits = (20 * torch.randn(len(labels), 3, generator=torch.Generator().manual_seed(seed))).requires_grad_()
    for loss in (kind().loss(logits, target), kind().combination_loss(kind().predict(logits), target)):
        assert (loss >= 0).all()
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        assert torch.isfinite(loss).all()
        assert torch.isfinite(gradient).all()


@given(st.floats(0, 8, width=32), st.floats(0, 8, width=32), st.integers(0, 100))
@settings(deadline=None)
def test_a_longer_censored_time_is_never_more_likely(first: float, second: float, seed: int):
    logits = torch.randn(1, 3, generator=torch.Generator().manual_seed(seed)).expand(2, -1)
    low, high = kind().loss(logits, torch.tensor([[min(first, second), 0.0], [max(first, second), 0.0]]))
    assert low <= high + 1e-6


# -- predictions -----------------------------------------------------------------------------------------------------


def test_curves_fall_and_risk_is_minus_the_mean_time():
    curve = kind().predict(torch.randn(20, 3, generator=torch.Generator().manual_seed(0)))
    assert (curve.diff(dim=1) <= 0).all()
    assert (curve >= 0).all()
    assert (curve <= 1).all()
    by_hand = -(0.5 * (1 + 0.8) + 2 * 0.5 * (0.8 + 0.4) + 3 * 0.5 * (0.4 + 0.2))
    assert kind().risk(torch.tensor([[0.8, 0.4, 0.2]])) == pytest.approx(by_hand)
    voted = kind().combine(torch.stack([curve, curve**2, curve**4]), torch.full((3, 20), 1 / 3), voting=True)
    torch.testing.assert_close(voted, curve**2)


def test_a_proportional_head_cannot_cross_curves_and_a_free_one_can():
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    for proportional, parameters in ((True, 4 + 1 + 3), (False, 3 * (4 + 1) + 3)):
        head = SurvivalHead(kind().spec, 4, proportional=proportional)
        assert sum(p.numel() for p in head.parameters()) == parameters
        order = kind().predict(head(z)).detach().argsort(0)
        assert torch.equal(order[:, 0], order[:, 2]) == proportional


def test_overfit():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    z, target = torch.randn(40, 8, generator=generator), torch.rand(40, 2, generator=generator)
    target = torch.stack([6 * target[:, 0], (target[:, 1] < 0.6).float()], 1)
    edges = lifetimes.life_table_edges(target[:, 0].double().numpy(), target[:, 1].numpy() > 0, 20)
    fine = kind(tuple(edges.tolist()))
    head = SurvivalHead(fine.spec, 8, hidden=64)
    optimiser = torch.optim.Adam(head.parameters(), 1e-2)
    for _ in range(400):
        optimiser.zero_grad()
        fine.loss(head(z), target).mean().backward()
        optimiser.step()
    found = fine.metrics(fine.predict(head(z)).detach(), target)
    assert found["concordance"] > 0.97
    assert found["integrated_brier"] < 0.1


# -- metrics ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "seed"), [(10, 0), (30, 1), (300, 2)])
def test_estimates_are_those_of_scikit_survival(n: int, seed: int):
    pytest.importorskip("sksurv")
    from sksurv.metrics import concordance_index_censored, concordance_index_ipcw, integrated_brier_score
    from sksurv.nonparametric import kaplan_meier_estimator
    from sksurv.util import Surv

    time, event, risk = rows(n, seed)
    event[np.argmin(time)] = True
    truth = Surv.from_arrays(event, time)
    assert lifetimes.concordance(time, event, risk) == pytest.approx(
        concordance_index_censored(event, time, risk)[0], abs=1e-12
    )
    until = float(np.quantile(time, 0.8))
    assert lifetimes.uno_concordance(time, event, risk, until) == pytest.approx(
        concordance_index_ipcw(truth, truth, risk, tau=until)[0], abs=1e-12
    )
    curve = lifetimes.kaplan_meier(time, event)
    times, values, ends = kaplan_meier_estimator(event, time, conf_type="log-log")
    np.testing.assert_array_equal(curve.times, times)
    np.testing.assert_allclose(curve.values, values, atol=1e-12)
    inside = (values > 0) & (values < 1)
    np.testing.assert_allclose(np.stack(curve.interval(times))[:, inside], ends[:, inside], atol=1e-6)
    backwards = lifetimes.kaplan_meier(time, event, censoring=True)
    np.testing.assert_allclose(backwards.values, kaplan_meier_estimator(event, time, reverse=True)[1], atol=1e-12)
    grid = np.linspace(time.min() + 0.013, time.max() - 0.017, 9)
    survival = np.exp(-np.exp(0.5 * risk[:, None]) * grid)
    assert lifetimes.integrated_brier(time, event, survival, grid) == pytest.approx(
        integrated_brier_score(truth, truth, survival, grid), abs=1e-12
    )


def test_concordance_by_hand():
    time, event = np.array([1.0, 2.0, 2.0, 3.0]), np.array([True, True, False, False])
    # Comparable: 1 with all others; 2 with the one censored at the same time and with 3.
    assert lifetimes.concordance(time, event, np.array([4.0, 3.0, 2.0, 1.0])) == 1.0
    assert lifetimes.concordance(time, event, np.array([4.0, 2.0, 2.0, 3.0])) == pytest.approx((3 + 0.5) / 5)
    assert math.isnan(lifetimes.concordance(time, np.zeros(4, dtype=bool), time))
    assert math.isnan(lifetimes.concordance(np.ones(2), np.ones(2, dtype=bool), np.arange(2.0)))


def test_concordance_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch):
    time, event, risk = rows(200)
    whole = lifetimes.concordance(time, event, risk)
    monkeypatch.setattr(lifetimes, "BLOCK", 700)
    assert lifetimes.concordance(time, event, risk) == pytest.approx(whole, abs=1e-12)


@given(st.integers(0, 1000), st.integers(2, 40))
@settings(deadline=None, max_examples=50)
def test_turned_risks_turn_the_concordance(seed: int, n: int):
    time, event, risk = rows(n, seed)
    score = lifetimes.concordance(time, event, risk)
    if not math.isnan(score):
        assert lifetimes.concordance(time, event, -risk) == pytest.approx(1 - score)
        assert lifetimes.concordance(time, event, np.zeros(n)) == pytest.approx(0.5)
        assert lifetimes.concordance(time, event, np.exp(risk)) == pytest.approx(score)


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_rows_censored_before_the_first_death_say_nothing(seed: int):
    time, event, risk = rows(30, seed)
    if not event.any():
        return
    early = np.full(5, time[event].min() / 2)
    more = np.concatenate([time, early]), np.concatenate([event, np.zeros(5, dtype=bool)])
    other = np.random.default_rng(seed).normal(size=5)
    assert lifetimes.concordance(*more, np.concatenate([risk, other])) == lifetimes.concordance(time, event, risk)
    after = time[event].min() + np.linspace(0, 3, 7)
    np.testing.assert_allclose(
        lifetimes.kaplan_meier(*more).at(after), lifetimes.kaplan_meier(time, event).at(after), atol=1e-12
    )


def test_metrics_and_bootstrap():
    time, event, risk = rows(150)
    target = torch.from_numpy(np.stack([time, event], 1)).float()
    logits = torch.from_numpy(risk).float()[:, None] + torch.tensor([-2.0, -1.0, -0.5])
    prediction = kind().predict(logits)
    found = kind().metrics(prediction, target)
    assert set(found) == {"concordance", "uno_concordance", "integrated_brier", "calibration_error"}
    assert found["concordance"] == pytest.approx(lifetimes.concordance(target[:, 0].double().numpy(), event, risk))
    assert kind().primary_value(prediction, target) == found["concordance"]
    assert kind().row_scores(prediction, target) is None
    low, high = ends(kind(), prediction, target, resamples=100)
    assert low < found["concordance"] < high
    assert math.isnan(kind().metrics(prediction[:1], target[:1])["concordance"])


def test_baselines():
    time, event, _ = rows(100)
    target = torch.from_numpy(np.stack([time, event], 1)).float()
    curve = lifetimes.kaplan_meier(target[:, 0].double().numpy(), event)
    constant = kind().constant(target, 4)
    np.testing.assert_allclose(constant[0].numpy(), curve.at(np.array(EDGES[1:])), atol=1e-6)
    assert kind().primary_value(constant, target[:4]) == 0.5 or math.isnan(kind().primary_value(constant, target[:4]))
    guesses = kind().chance(target, 100, np.random.default_rng(5))
    assert abs(kind().primary_value(guesses, target) - kind().floor) < 0.1
    assert kind().floor == 0.5


# -- spec and edges --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ((), "needs 4 finite edges"),
        ((0.0, 1.0, 2.0), "needs 4 finite edges"),
        ((0.0, 1.0, 2.0, math.inf), "needs 4 finite edges"),
        ((-1.0, 1.0, 2.0, 3.0), "needs 4 finite edges"),
        ((0.0, 1.0, 1.0, 3.0), "must rise"),
    ],
)
def test_edges_that_are_none(edges: tuple[float, ...], message: str):
    with pytest.raises(SpecError, match=message):
        TaskSpec("death", "survival", 3, edges=edges)


def test_edges_hold_equal_numbers_of_deaths():
    time, event, _ = rows(500, decimals=6)
    edges = lifetimes.life_table_edges(time, event, 8)
    assert edges[0] == 0
    assert edges[-1] == pytest.approx(time[event].max())
    counts = np.histogram(time[event], edges)[0]
    assert counts.min() >= event.sum() // 8 - 1
    assert counts.max() <= event.sum() // 8 + 2
    few = lifetimes.life_table_edges(np.array([2.0, 2.0, 5.0]), np.ones(3, dtype=bool), 8)
    assert few[0] == 0
    assert few[-1] == 5
    assert (np.diff(few) > 0).all()


# -- labels ----------------------------------------------------------------------------------------------------------


def codec(**options: int) -> SurvivalCodec:
    made = SurvivalCodec(**options)
    made.bind(RawTask("death", "survival", unit="years"))
    return made


def labels(time: lifetimes.Floats, event: lifetimes.Flags) -> list[dict[str, float]]:
    return [{"time": float(t), "event": int(e)} for t, e in zip(time, event, strict=True)]


def test_codec_cuts_the_training_times():
    time, event, _ = rows(200, decimals=6)
    made = codec(intervals=8)
    made.fit(labels(time, event))
    spec = made.spec()
    assert (spec.kind, spec.num_outputs, spec.unit, spec.classes) == ("survival", 8, "years", ())
    assert spec.edges == tuple(lifetimes.life_table_edges(time, event, 8))
    assert made({"time": 1.25, "event": 1}, "a").tolist() == [1.25, 1.0]
    few = codec()
    few.fit(labels(np.arange(1.0, 13.0), np.ones(12, dtype=bool)))
    assert few.spec().num_outputs == 2, "an interval has five events or more"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ({"time": -1.0, "event": 1}, "time is -1"),
        ({"time": math.nan, "event": 0}, "time is nan"),
        ({"time": math.inf, "event": 0}, "time is inf"),
        ({"time": 1.0, "event": 2}, "event is 2"),
        ({"time": 1.0, "event": math.nan}, "event is nan"),
        ({"time": 1.0}, "a dict of 'time' and 'event'"),
        (3.0, "a dict of 'time' and 'event'"),
    ],
)
def test_labels_that_are_none(label: object, message: str):
    with pytest.raises(DataError, match=f"task 'death'.*{message}.*row 7"):
        codec()(label, "row 7")
    with pytest.raises(DataError, match=message):
        codec().fit([{"time": 1.0, "event": 1}, label])


def test_no_event_in_training_is_refused():
    for time in (0.0, 2.0):
        with pytest.raises(SpecError, match="none of the 3 training rows has an event after time 0"):
            codec().fit([{"time": time, "event": int(time == 0)}] * 3)
    with pytest.raises(SpecError, match="intervals must be 1 or more"):
        codec(intervals=0)


def test_two_units_are_refused():
    days = RawTask("death", "survival", unit="days")
    with pytest.raises(SpecError, match="in 'days' in one source and in 'years'"):
        Survival.join(RawTask("death", "survival", unit="years"), days)
    Survival.join(days, days)


# -- a table of one's own --------------------------------------------------------------------------------------------

TABLE = "id,age,time,event\na,61,10,1\nb,50,,0\nc,47,3.5,\nd,70,2,0\ne,33,9,1\n"


def table(folder: Path, text: str = TABLE, **told: object) -> Table:
    (folder / "mydata").mkdir(parents=True)
    (folder / "mydata" / "table.csv").write_text(text)
    source = Table(
        id="id",
        modalities={"clinical": TableModality("tabular", columns=("age",))},
        tasks={"death": TableTask("survival", **({"columns": ("time", "event"), "unit": "days"} | told))},
    )
    source.open(folder)
    return source


def test_a_table_gives_times_and_events(tmp_path: Path):
    source = table(tmp_path)
    found = {s.id: s.targets for s in map(source.read, range(len(source)))}
    assert found["a"] == {"death": {"time": 10.0, "event": 1.0}}
    assert found["d"] == {"death": {"time": 2.0, "event": 0.0}}
    assert found["b"] == found["c"] == {}, "an empty time or event is no label"
    assert source.overview().labelled["death"].tolist() == [True, False, False, True, True]
    assert source.card.tasks[0].unit == "days"


@pytest.mark.parametrize("told", [{"columns": ("time",)}, {"columns": (), "column": "time"}, {"classes": ("a",)}])
def test_a_table_must_name_both_columns(tmp_path: Path, told: dict[str, object]):
    with pytest.raises(SpecError, match="survival lists its 'columns'"):
        table(tmp_path, **told)


def test_a_table_says_which_cell_is_wrong(tmp_path: Path):
    source = table(tmp_path, TABLE.replace("10,1", "10,yes"))
    assert source.read(0).targets == {}, "an exception among numbers is no label"
    assert "1 of its 4 cells are none ('yes' in row a); 1 left out as missing" in source.remarks[0]
    two = table(tmp_path / "two", TABLE.replace("10,1", "10,2"))
    with pytest.raises(DataError, match=r"column 'event' holds '?2"):
        two.read(0)


# -- what is shown ---------------------------------------------------------------------------------------------------


def evaluated(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Predictions and targets of rows that die by hazards of their own, and are censored at random."""
    generator = torch.Generator().manual_seed(seed)
    score = torch.randn(n, 1, generator=generator)
    curve = torch.exp(-score.exp() * torch.tensor(EDGES[1:]) / 4)
    time = -4 * torch.rand(n, generator=generator).log() / score[:, 0].exp()
    end = 8 * torch.rand(n, generator=generator)
    return curve, torch.stack([torch.minimum(time, end), (time <= end).float()], 1)


def test_curves_of_the_thirds_by_predicted_risk():
    prediction, target = evaluated(300)
    drawn, calibration = kind().figures(prediction, target, [str(i) for i in range(300)], "real")
    assert [s.name for s in drawn.series] == [f"{r} predicted risk" for r in ("lowest", "middle", "highest")]
    order = kind().risk(prediction).argsort(kind="stable")
    for series, group in zip(drawn.series, np.split(order, 3), strict=True):
        time, event = target[group, 0].double().numpy(), target[group, 1].numpy() > 0
        curve = lifetimes.kaplan_meier(time, event)
        assert series.x[0] == 0
        assert series.y[0] == 1
        np.testing.assert_allclose(series.y[2:-1:2], curve.at(np.array(series.x[2:-1:2])))
        assert series.n[0] == 100
        assert [int((time >= x).sum()) for x in series.x] == series.n
        assert all(a >= b for a, b in zip(series.y, series.y[1:], strict=False)), "a survival curve falls"
    ends = [s.y[-1] for s in drawn.series]
    assert ends[0] > ends[1] > ends[2], "a higher predicted risk dies earlier"
    assert "At risk at 0, " in drawn.note
    assert calibration.series[-1].name == "perfect"
    for series in calibration.series[:-1]:
        assert sum(series.n) == 300
        assert all(lo <= y <= hi for lo, y, hi in zip(series.low, series.y, series.high, strict=True))
    assert kind().figures(prediction[:2], target[:2], ["a", "b"], "real") == []
    made_up = kind().figures(prediction, target, [], "simulated")
    assert all(f.data == "simulated" for f in made_up)
    assert all(s.simulated for f in made_up for s in f.series if not s.dashed)


def test_calibration_error_tells_right_from_wrong():
    prediction, target = evaluated(2000)
    right = kind().metrics(prediction, target)["calibration_error"]
    wrong = kind().metrics(prediction**2, target)["calibration_error"]
    assert right < 0.03 < 0.1 < wrong
    assert math.isnan(kind().metrics(prediction[:30], target[:30])["calibration_error"])


def test_rows_in_words():
    prediction = torch.tensor([[0.8, 0.4, 0.2]])
    truth, guess = kind().describe(prediction, torch.tensor([[2.25, 1.0]]))
    assert truth == "death after 2.25 years"
    assert guess == "median by 3 years, mean up to 6: 3 years"
    truth, guess = kind().describe(prediction.clamp_min(0.6), torch.tensor([[4.5, 0.0]]))
    assert truth == "censored at 4.5 years"
    assert guess.startswith("median beyond 6 years")
    assert kind().columns() == ["predicted", "beyond 1 years", "beyond 3 years", "beyond 6 years"]
    assert kind().cells(prediction[0], 0) == pytest.approx([3, 0.8, 0.4, 0.2], abs=1e-6)
    scores = kind().example_scores(prediction.expand(2, -1), torch.tensor([[0.5, 1.0], [5.0, 0.0]]))
    assert scores[0] == pytest.approx(math.log(0.2), abs=1e-5)
    assert scores[1] == pytest.approx(math.log(0.4 * 0.5 ** (2 / 3)), abs=1e-5)


def test_what_can_be_learned_and_what_goes_missing_first():
    target = torch.tensor([[1.0, 0.0], [5.0, 1.0], [3.0, 0.0]])
    assert kind().learnable(target)
    assert not kind().learnable(target[[0, 2]])
    assert not kind().learnable(target[[1, 1]])
    order, words = kind().label_order(target, target)
    assert order.tolist() == [1.0, 0.0, 0.5]
    assert words == "rows of shorter times miss more"
