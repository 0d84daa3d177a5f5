"""MLPEncoder: its numbers by hand, its errors, and tables of numbers or categories only."""

from __future__ import annotations

import pytest
import torch

from zoo.contract import ModalitySpec
from zoo.encoders.mlp import MLPEncoder
from zoo.errors import SpecError

SPEC = ModalitySpec("ehr", "tabular", (4,), cardinalities=(3, 0, 2, 0))


def test_numbers_by_hand() -> None:
    torch.manual_seed(0)
    encoder = MLPEncoder(SPEC, dim=5, hidden=(7, 6), embedding=2).eval()
    x = torch.tensor([[2.0, 0.5, 1.0, -2.0]])
    first, second, last = encoder.layers[0], encoder.layers[3], encoder.layers[6]
    tables = [t.weight for t in encoder.tables]  # type: ignore[attr-defined]
    fields = torch.cat([torch.tensor([0.5, -2.0]), tables[0][2], tables[1][1]])
    assert first.weight.shape == (7, 2 + 2 * 2)
    expected = (second.weight @ (first.weight @ fields + first.bias).relu() + second.bias).relu()
    torch.testing.assert_close(encoder(x).pooled[0], last.weight @ expected + last.bias)
    tokens = encoder(x)
    assert tokens.values.shape == (1, 1, 5)
    assert tokens.mask.all()


def test_defaults_are_those_of_the_paper() -> None:
    encoder = MLPEncoder(SPEC)
    assert [m.out_features for m in encoder.layers if isinstance(m, torch.nn.Linear)] == [512, 256, 64]
    assert [m.p for m in encoder.layers if isinstance(m, torch.nn.Dropout)] == [0.2, 0.2]


@pytest.mark.parametrize("sizes", [(0, 0), (2, 3)])
def test_numbers_or_categories_only(sizes: tuple[int, int]) -> None:
    encoder = MLPEncoder(ModalitySpec("ehr", "tabular", (2,), cardinalities=sizes), dim=8, hidden=())
    assert encoder(torch.ones(3, 2)).pooled.shape == (3, 8)


@pytest.mark.parametrize("code", [3.0, -1.0])
def test_a_code_outside_its_categories_raises(code: float) -> None:
    with pytest.raises(IndexError):
        MLPEncoder(SPEC, dim=8)(torch.tensor([[code, 0.0, 0.0, 0.0]]))


def test_widths_that_are_none() -> None:
    with pytest.raises(SpecError, match=r"hidden=\(4, 0\) must be 1 or more"):
        MLPEncoder(SPEC, hidden=(4, 0))
