"""ImageMixing: which pixels and labels are mixed with which, by hand, and what must never change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zoo.contract import Batch, ModalitySpec, TaskSpec
from zoo.errors import SpecError, UnknownNameError
from zoo.training.mixing import ImageMixing

SIZE = 8
MODALITIES = {
    "skin": ModalitySpec("skin", "image", (1, SIZE, SIZE)),
    "clinic": ModalitySpec("clinic", "image", (3, 12, 12)),
    "table": ModalitySpec("table", "tabular", (2,), cardinalities=(0, 3)),
}
SKIN = {"skin": MODALITIES["skin"], "table": MODALITIES["table"]}
TASKS = {
    "lesion": TaskSpec("lesion", "classification", 4),
    "signs": TaskSpec("signs", "multilabel", 2),
    "stage": TaskSpec("stage", "ordinal", 3, modalities=("table",)),
}
LESION = {"lesion": TASKS["lesion"]}


def plain(n: int) -> Batch:
    """n rows with an image filled with the row's number, a table, and lesion class row % 4."""
    values = torch.arange(float(n)).view(n, 1, 1, 1).expand(n, 1, SIZE, SIZE).clone()
    all_rows = torch.ones(n, dtype=torch.bool)
    return Batch(
        {"skin": values, "table": torch.stack([torch.arange(float(n)), torch.ones(n)], 1)},
        {"skin": all_rows, "table": all_rows},
        {"lesion": torch.arange(n) % 4},
        {"lesion": all_rows},
        ids=tuple(str(i) for i in range(n)),
    )


def packed(n: int, seed: int) -> Batch:
    """n rows, each with some of three modalities and labels of some of three tasks."""
    g = torch.Generator().manual_seed(seed)
    present = {m: torch.rand(n, generator=g) < 0.7 for m in MODALITIES}
    observed = {t: torch.rand(n, generator=g) < 0.6 for t in TASKS}
    inputs = {m: torch.rand((int(present[m].sum()), *s.shape), generator=g) for m, s in MODALITIES.items()}
    count = {t: int(mask.sum()) for t, mask in observed.items()}
    signs = torch.randint(0, 2, (count["signs"], 2, 2), generator=g).float()
    targets = {
        "lesion": torch.randint(0, 4, (count["lesion"],), generator=g),
        "signs": signs,
        "stage": torch.randint(0, 3, (count["stage"],), generator=g),
    }
    return Batch(inputs, present, targets, observed, ids=tuple(str(i) for i in range(n)))


def one_hot(codes: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(codes, 4).float()


@pytest.mark.parametrize("mode", ["batch", "elem", "pair"])
def test_mixup_is_lam_of_own_and_the_rest_of_the_partner(mode: str) -> None:
    torch.manual_seed(1)
    batch = plain(6)
    mixing = ImageMixing(cutmix_alpha=0.0, mode=mode)  # type: ignore[arg-type]
    made = mixing(batch, LESION, SKIN)
    lams = []
    for i in range(6):
        j = 5 - i
        pixels = made.inputs["skin"][i]
        assert torch.allclose(pixels, pixels[0, 0, 0])
        lam = (float(pixels[0, 0, 0]) - j) / (i - j)  # value = lam i + (1 - lam) j
        assert 0 <= lam <= 1
        expected = lam * one_hot(torch.tensor(i % 4)) + (1 - lam) * one_hot(torch.tensor(j % 4))
        torch.testing.assert_close(made.targets["lesion"][i], expected, atol=1e-4, rtol=0)
        lams.append(lam)
    if mode == "batch":
        assert np.allclose(lams, lams[0], atol=1e-5)
    elif mode == "pair":
        assert np.allclose(lams, lams[::-1], atol=1e-5)
        assert not np.allclose(lams, lams[0], atol=1e-3)
    else:
        assert not np.allclose(lams, lams[::-1], atol=1e-3)
    assert mixing.fired == {"mixup": 6, "cutmix": 0, "none": 0}


@pytest.mark.parametrize("mode", ["batch", "elem", "pair"])
def test_cutmix_fires_and_the_label_share_is_the_area(mode: str) -> None:
    mixing = ImageMixing(mixup_alpha=0.0, mode=mode)  # type: ignore[arg-type]
    boxes = 0
    for seed in range(10):
        torch.manual_seed(seed)
        made = mixing(plain(6), LESION, SKIN)
        for i in range(6):
            image = made.inputs["skin"][i, 0]
            own, other = image == i, image == 5 - i
            assert bool((own | other).all())
            area = float(other.float().mean())
            expected = (1 - area) * one_hot(torch.tensor(i % 4)) + area * one_hot(torch.tensor((5 - i) % 4))
            torch.testing.assert_close(made.targets["lesion"][i], expected)
            if 0 < area < 1:  # the pixels of the partner are a box
                rows, columns = other.nonzero().unbind(1)
                assert len(rows) == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
                boxes += 1
    assert boxes > 20
    assert mixing.fired["cutmix"] > 20
    assert mixing.fired["mixup"] == 0
    assert mixing.fired.total() == 60


def test_both_fire_by_default_and_none_at_probability_zero() -> None:
    torch.manual_seed(0)
    both, never = ImageMixing(mode="pair"), ImageMixing(probability=0.0)
    for _ in range(20):
        both(plain(4), LESION, SKIN)
    assert both.fired["mixup"] > 15
    assert both.fired["cutmix"] > 15
    batch = plain(5)
    made = never(batch, LESION, SKIN)
    assert torch.equal(made.inputs["skin"], batch.inputs["skin"])
    assert torch.equal(made.targets["lesion"], one_hot(batch.targets["lesion"]))
    assert made.targets["lesion"].dtype == torch.float32
    assert never.fired["none"] == 5


def test_same_seed_same_batch_and_the_input_is_left_alone() -> None:
    batch, before = packed(12, 3), packed(12, 3)
    tasks = {t: TASKS[t] for t in ("lesion", "signs")}
    numpy_state = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]
    results = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        results.append(ImageMixing()(batch, tasks, MODALITIES))
    one, two, other = results
    assert all(torch.equal(one.inputs[m], two.inputs[m]) for m in MODALITIES)
    assert all(torch.equal(one.targets[t], two.targets[t]) for t in tasks)
    assert not torch.equal(one.inputs["skin"], other.inputs["skin"])
    for m in MODALITIES:
        assert torch.equal(batch.inputs[m], before.inputs[m])
    assert torch.equal(batch.targets["signs"], before.targets["signs"])
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # type: ignore[index]


def test_the_odd_row_and_a_batch_of_one_stay() -> None:
    torch.manual_seed(0)
    mixing = ImageMixing(cutmix_alpha=0.0)
    made = mixing(plain(5), LESION, SKIN)
    assert bool((made.inputs["skin"][4] == 4).all())
    assert torch.equal(made.targets["lesion"][4], one_hot(torch.tensor(0)))
    assert bool((made.inputs["skin"][:4] != plain(4).inputs["skin"]).all())
    assert mixing.fired == {"mixup": 4, "none": 1, "cutmix": 0}
    one = mixing(plain(1), LESION, SKIN)
    assert bool((one.inputs["skin"] == 0).all())
    assert torch.equal(one.targets["lesion"], one_hot(torch.tensor([0])))
    assert len(mixing(plain(0), LESION, SKIN).targets["lesion"]) == 0


def test_rows_without_image_or_label_stay_and_packed_rows_meet_their_labels() -> None:
    """Rows 0 and 4 have image and label; 1 has no image, 2 no label, 3 neither: only 0 and 4 are mixed."""
    torch.manual_seed(0)
    batch = plain(5)
    has, known = torch.tensor([1, 0, 1, 0, 1]).bool(), torch.tensor([1, 1, 0, 0, 1]).bool()
    batch = replace(
        batch,
        inputs={**batch.inputs, "skin": batch.inputs["skin"][has]},
        present={**batch.present, "skin": has},
        targets={"lesion": torch.tensor([2, 1, 3])},
        observed={"lesion": known},
    )
    made = ImageMixing(cutmix_alpha=0.0)(batch, LESION, SKIN)
    lam = 1 - float(made.inputs["skin"][0, 0, 0, 0]) / 4
    assert 0 < lam < 1
    assert bool((made.inputs["skin"][1] == 2).all())
    expected = torch.tensor([[0, 0, lam, 1 - lam], [0, 1, 0, 0], [0, 0, 1 - lam, lam]])
    torch.testing.assert_close(made.targets["lesion"], expected, atol=1e-5, rtol=0)
    assert torch.equal(made.inputs["table"], batch.inputs["table"])


def test_images_alone() -> None:
    torch.manual_seed(0)
    mixing = ImageMixing(cutmix_alpha=0.0, probability=0.3, mode="elem", mix_labels=False)
    tasks = {"age": TaskSpec("age", "regression", 1), **LESION}
    for _ in range(25):
        batch = plain(8)
        batch.observed["lesion"][3:] = False
        batch.targets["lesion"] = batch.targets["lesion"][:3]
        made = mixing(batch, tasks, SKIN)
        assert torch.equal(made.targets["lesion"], batch.targets["lesion"])
        assert torch.equal(made.inputs["table"], batch.inputs["table"])
    assert mixing.fired["mixup"] / mixing.fired.total() == pytest.approx(0.3, abs=0.1)


def test_label_smoothing_is_that_of_timm() -> None:
    from timm.data.mixup import mixup_target

    torch.manual_seed(0)
    made = ImageMixing(cutmix_alpha=0.0, label_smoothing=0.1)(plain(4), LESION, SKIN)
    lam = 1 - float(made.inputs["skin"][0, 0, 0, 0]) / 3
    torch.testing.assert_close(made.targets["lesion"], mixup_target(torch.arange(4), 4, lam, 0.1), atol=1e-5, rtol=0)


def test_multilabel_by_hand() -> None:
    torch.manual_seed(0)
    batch = plain(2)
    value = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 0.0]]])  # the second label of row 1 is unknown
    batch = replace(batch, targets={"signs": value}, observed={"signs": torch.ones(2).bool()})
    made = ImageMixing(cutmix_alpha=0.0)(batch, {"signs": TASKS["signs"]}, SKIN)
    lam = 1 - float(made.inputs["skin"][0, 0, 0, 0])
    expected = torch.tensor([[[lam, 0.0], [1.0, 0.0]], [[1 - lam, 0.0], [1.0, 0.0]]])
    torch.testing.assert_close(made.targets["signs"], expected, atol=1e-6, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 13),
    seed=st.integers(0, 10**6),
    mode=st.sampled_from(["batch", "elem", "pair"]),
    smoothing=st.sampled_from([0.0, 0.2]),
)
def test_properties(n: int, seed: int, mode: str, smoothing: float) -> None:
    """Shares sum to 1; who has no label, or no image, keeps image, labels and masks; nothing else is touched."""
    torch.manual_seed(seed)
    batch = packed(n, seed)
    mixing = ImageMixing(mode=mode, label_smoothing=smoothing)  # type: ignore[arg-type]
    made = mixing(batch, TASKS, MODALITIES)
    soft = made.targets["lesion"]
    assert soft.shape == (int(batch.observed["lesion"].sum()), 4)
    assert soft.dtype == torch.float32
    torch.testing.assert_close(soft.sum(1), torch.ones(len(soft)))
    assert bool(((made.targets["signs"] >= 0) & (made.targets["signs"] <= 1)).all())
    assert torch.equal(made.targets["stage"], batch.targets["stage"])
    assert torch.equal(made.inputs["table"], batch.inputs["table"])
    assert made.present is batch.present
    assert made.observed is batch.observed
    assert made.ids == batch.ids
    labelled = batch.observed["lesion"] | batch.observed["signs"]
    images = batch.present["skin"] | batch.present["clinic"]
    for m in ("skin", "clinic"):
        still = ~labelled[batch.present[m]]
        assert torch.equal(made.inputs[m][still], batch.inputs[m][still])
    blind = ~images[batch.observed["lesion"]]
    hard = one_hot(batch.targets["lesion"]) * (1 - smoothing) + smoothing / 4
    assert torch.equal(soft[blind], hard[blind])
    assert mixing.fired.total() == sum(int(batch.present[m].sum()) for m in ("skin", "clinic"))


def test_what_cannot_be_mixed_is_refused_by_name() -> None:
    stage = {"stage": TaskSpec("stage", "ordinal", 3)}
    with pytest.raises(SpecError, match="task 'stage' of kind 'ordinal' cannot be mixed"):
        ImageMixing().bind(stage, SKIN)
    assert ImageMixing(mix_labels=False).bind(stage, SKIN) == (["skin"], [])
    assert ImageMixing().bind(TASKS, MODALITIES) == (["skin", "clinic"], ["lesion", "signs"])
    with pytest.raises(UnknownNameError, match="did you mean 'skin'"):
        ImageMixing(modalities=["skn"]).bind(LESION, SKIN)
    with pytest.raises(SpecError, match="'table' is of kind 'tabular'"):
        ImageMixing(modalities=["table"]).bind(LESION, SKIN)
    with pytest.raises(SpecError, match="is an image"):
        ImageMixing().bind(LESION, {"table": MODALITIES["table"]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixup_alpha": 0.0, "cutmix_alpha": 0.0}, "one > 0"),
        ({"mixup_alpha": -1.0}, "both must be >= 0"),
        ({"probability": 1.5}, "probability must be from 0 to 1, got 1.5"),
        ({"mix_labels": False, "label_smoothing": 0.1}, "0 where mix_labels is false"),
        ({"mode": "half"}, "mode 'half' is unknown"),
    ],
)
def test_options_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        ImageMixing(**options)  # type: ignore[arg-type]
