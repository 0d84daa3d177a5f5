"""combine_streams: late fusion's predictions by hand (MultiMed, Eq. 4)."""

from __future__ import annotations

import pytest
import torch

from zoo.contract import Output, TaskSpec
from zoo.fusion.base import Fusion
from zoo.fusion.concat import ConcatFusion
from zoo.fusion.late import LateFusion
from zoo.models.multitask.combine import combine_streams
from zoo.tasks.base import task_kind

SICK = TaskSpec("sick", "classification", 2)
KIND = task_kind(SICK)
DIMS = {"scan": 4, "note": 4, "table": 4}
LOGITS = {
    "scan": torch.tensor([[2.0, 0.0], [0.0, 1.0]]),
    "note": torch.tensor([[0.0, 3.0], [1.0, 0.0], [0.5, 0.0]]),
    "table": torch.tensor([[0.0, 0.2]]),
}
ROWS = {"scan": [0, 2], "note": [0, 1, 2], "table": [0]}


def output(streams: dict[str, torch.Tensor] = LOGITS) -> Output:
    logits = {("sick", s): v for s, v in streams.items()}
    return Output(logits, {("sick", s): torch.tensor(ROWS[s]) for s in streams}, {}, {})


def late(combine: str) -> LateFusion:
    fusion = LateFusion(DIMS, combine=combine)  # type: ignore[arg-type]
    fusion.bind(("sick",))
    return fusion


def combined(fusion: Fusion, out: Output, detach: bool = False) -> tuple[list[int], torch.Tensor]:
    result = combine_streams("sick", KIND, fusion, out, 4, detach=detach)
    assert result is not None
    return result[0].tolist(), result[1]


def test_average_renormalises_over_the_streams_that_a_row_has() -> None:
    rows, prediction = combined(late("average"), output())
    p = {s: v.softmax(-1) for s, v in LOGITS.items()}
    assert rows == [0, 1, 2]  # row 3 has nothing
    want = torch.stack(
        [(p["scan"][0] + p["note"][0] + p["table"][0]) / 3, p["note"][1], (p["scan"][1] + p["note"][2]) / 2]
    )
    torch.testing.assert_close(prediction, want)


def test_learned_weights_are_used_and_renormalised() -> None:
    fusion = late("learned")
    assert fusion.combination is not None
    with torch.no_grad():
        order = fusion.vectors.order
        fusion.combination[0] = torch.tensor([{"scan": 0.5, "note": 0.3, "table": 0.2}[m] for m in order]).log()
    rows, prediction = combined(fusion, output())
    p = {s: v.softmax(-1) for s, v in LOGITS.items()}
    want = torch.stack(
        [
            0.5 * p["scan"][0] + 0.3 * p["note"][0] + 0.2 * p["table"][0],
            p["note"][1],
            (0.5 * p["scan"][1] + 0.3 * p["note"][2]) / 0.8,
        ]
    )
    assert rows == [0, 1, 2]
    torch.testing.assert_close(prediction, want)


def test_votes_outvote_a_confident_stream_and_averages_decide_ties() -> None:
    _, prediction = combined(late("voting"), output())
    assert prediction[0].argmax().item() == 1  # note and table against scan
    assert float(prediction[0, 1]) == pytest.approx(2 / 3, abs=1e-3)
    scan, note = LOGITS["scan"][1].softmax(-1), LOGITS["note"][2].softmax(-1)
    assert prediction[2].argmax().item() == int((scan + note).argmax())
    torch.testing.assert_close(prediction.sum(-1), torch.ones(3))


def test_detach_trains_the_weights_alone() -> None:
    out = output({s: v.clone().requires_grad_() for s, v in LOGITS.items()})
    fusion = late("learned")
    _, prediction = combined(fusion, out, detach=True)
    prediction[0, 0].backward()  # type: ignore[no-untyped-call]
    assert fusion.combination is not None
    assert fusion.combination.grad is not None
    assert float(fusion.combination.grad.abs().sum()) > 0
    assert all(v.grad is None for v in out.logits.values())


def test_a_single_stream_is_passed_through_and_none_gives_none() -> None:
    rows, prediction = combined(late("average"), output({"note": LOGITS["note"]}))
    assert rows == [0, 1, 2]
    torch.testing.assert_close(prediction, LOGITS["note"].softmax(-1))
    assert combine_streams("sick", KIND, late("average"), output({}), 4) is None


def test_auxiliary_streams_do_not_touch_the_fused_prediction() -> None:
    fusion = ConcatFusion(DIMS, auxiliary=True)
    logits = {("sick", "fused"): torch.tensor([[1.0, 0.0]]), ("sick", "scan"): torch.tensor([[0.0, 9.0]])}
    out = Output(logits, {k: torch.tensor([2]) for k in logits}, {}, {})
    rows, prediction = combined(fusion, out)
    assert rows == [2]
    torch.testing.assert_close(prediction, torch.tensor([[1.0, 0.0]]).softmax(-1))
