"""Corruptions against closed forms, and what every one of them must keep."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from zoo.contract import MODALITIES, PAD, Batch, ModalitySpec
from zoo.errors import SpecError, UnknownNameError
from zoo.evaluation.corruptions.base import CORRUPTIONS, SEVERITIES, corrupt, corruptions_for
from zoo.evaluation.corruptions.curves import area, effective, relative, retention
from zoo.evaluation.corruptions.expression import recover_counts, thin
from zoo.evaluation.resampling import Resampler
from zoo.smiles import VOCABULARY, canonical_smiles, count_atoms, decode_smiles, morgan_counts

SPECS = {
    "image": ModalitySpec("ct", "image", (1, 16, 16), "HU"),
    "signal": ModalitySpec("eeg", "signal", (4, 250), "uV", sampling_rate=250.0),
    "dna": ModalitySpec("genomics", "dna", (40,)),
    "expression": ModalitySpec("scrna", "expression", (30,), "log1p CP10k"),
    "protein": ModalitySpec("protein", "protein", (30,)),
    "text": ModalitySpec("text", "text", (20,), vocab_size=50),
    "molecule": ModalitySpec("drug", "molecule", (64 + 40,), descriptors=64),
    "tabular": ModalitySpec(
        "table", "tabular", (4,), cardinalities=(0, 4, 0, 3), features=("age", "sex", "size", "age_missing")
    ),
}
DRUGS = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
    "C[C@H](N)C(=O)O",
    "c1ccc2[nH]ccc2c1",
    "C",
    "[Na+].[Cl-]",
)


def values_of(spec: ModalitySpec, n: int, seed: int = 0) -> Tensor:
    """Rows as processors make them."""
    g = np.random.default_rng(seed)
    if spec.kind == "image":
        return torch.from_numpy(g.uniform(-1, 1, (n, *spec.shape))).float()
    if spec.kind == "signal":
        return torch.from_numpy(20 * g.standard_normal((n, *spec.shape))).float()
    if spec.kind == "expression":
        counts = g.poisson(2.0, (n, *spec.shape)).astype(float)
        counts[:, 0] = 1.0
        return torch.from_numpy(np.log1p(counts * (1e4 / (counts.sum(1, keepdims=True) + 500)))).float()
    if spec.kind == "tabular":
        sex, known = g.integers(1, 4, n), np.ones(n)
        return torch.from_numpy(np.stack([g.standard_normal(n), sex, g.standard_normal(n), known], 1)).float()
    if spec.kind == "molecule":
        from datamodules.modalities.molecule import MoleculeProcessor

        written = MoleculeProcessor(max_length=spec.shape[0] - spec.descriptors, fingerprint=spec.descriptors)
        return torch.stack([written(DRUGS[k]) for k in g.integers(0, len(DRUGS), n)])
    highest = {"dna": 5, "protein": 21, "text": spec.vocab_size - 1}[spec.kind]
    codes = g.integers(1 if spec.kind != "text" else 5, highest + 1, (n, *spec.shape))
    length = g.integers(3, spec.shape[0] + 1, n)
    codes[np.arange(spec.shape[0]) >= length[:, None]] = PAD
    if spec.kind == "text":
        codes[:, 0] = 2
        codes[np.arange(n), length - 1] = 3
    return torch.from_numpy(codes)


def spec_for(name: str) -> ModalitySpec:
    return next(s for s in SPECS.values() if CORRUPTIONS.get(name)().fits(s))


def apply(name: str, values: Tensor, severity: int, spec: ModalitySpec, seed: int = 0) -> Tensor:
    ids = [f"row {k}" for k in range(len(values))]
    return CORRUPTIONS.get(name)()(values, severity=severity, spec=spec, ids=ids, seed=seed)


# -- all of them ---------------------------------------------------------------------------------------------------


def test_every_kind_has_one_standard_corruption() -> None:
    for kind in MODALITIES:
        fitting = corruptions_for(SPECS[kind])
        assert [c.standard for c in fitting].count(True) == 1, kind
        assert fitting[0].standard
        assert all(len(c.levels) == len(SEVERITIES) and c.unit for c in fitting)


@pytest.mark.parametrize("name", CORRUPTIONS.names())
def test_level_0_changes_nothing_and_the_others_something(name: str) -> None:
    spec = spec_for(name)
    values = values_of(spec, 12)
    before = values.clone()
    assert torch.equal(apply(name, values, 0, spec), before)
    for severity in SEVERITIES[1:]:
        damaged = apply(name, values, severity, spec)
        assert damaged.shape == values.shape
        assert damaged.dtype == values.dtype
        assert torch.isfinite(damaged.float()).all()
    assert not torch.equal(apply(name, values, 5, spec), before)
    assert torch.equal(values, before), "changed in place"
    assert apply(name, values[:0], 3, spec).shape == (0, *spec.shape)


@pytest.mark.parametrize("name", CORRUPTIONS.names())
@given(order=st.permutations(range(6)), cut=st.integers(1, 5), seed=st.integers(0, 3))
@settings(max_examples=8, deadline=None)
def test_damage_depends_on_seed_and_row_alone(name: str, order: list[int], cut: int, seed: int) -> None:
    spec = spec_for(name)
    values, ids = values_of(spec, 6), [f"r{k}" for k in range(6)]
    corruption = CORRUPTIONS.get(name)()
    whole = corruption(values, severity=4, spec=spec, ids=ids, seed=seed)
    part = corruption(values[order[:cut]], severity=4, spec=spec, ids=[ids[k] for k in order[:cut]], seed=seed)
    torch.testing.assert_close(part, whole[order[:cut]], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["GaussianNoise", "PieceMasking", "ElectrodeDrop", "NumberNoise"])
def test_other_seeds_damage_otherwise(name: str) -> None:
    spec = spec_for(name)
    values = values_of(spec, 20)
    assert not torch.equal(apply(name, values, 4, spec, seed=0), apply(name, values, 4, spec, seed=1))


def test_a_batch_is_damaged_where_it_is_asked_for() -> None:
    ct, text = SPECS["image"], SPECS["text"]
    present = {"ct": torch.tensor([True, False, True]), "text": torch.tensor([True, True, False])}
    inputs = {"ct": values_of(ct, 2), "text": values_of(text, 2)}
    batch = Batch(inputs, present, {}, {}, {}, ("a", "b", "c"))
    noise = CORRUPTIONS.get("GaussianNoise")()
    made = corrupt(batch, [ct, text], {"ct": (noise, 3)}, seed=5)
    assert torch.equal(made.inputs["ct"], noise(inputs["ct"], severity=3, spec=ct, ids=["a", "c"], seed=5))
    assert made.inputs["text"] is inputs["text"]
    assert batch.inputs["ct"] is inputs["ct"]


def test_errors_name_what_is_allowed() -> None:
    noise, ct = CORRUPTIONS.get("GaussianNoise")(), SPECS["image"]
    with pytest.raises(SpecError, match="level 6 is unknown"):
        noise(values_of(ct, 1), severity=6, spec=ct, ids=["a"])
    with pytest.raises(SpecError, match=r"does not fit modality 'text'.*'image'"):
        noise(values_of(ct, 1), severity=1, spec=SPECS["text"], ids=["a"])
    with pytest.raises(SpecError, match="2 rows, but 1 ids"):
        noise(values_of(ct, 2), severity=1, spec=ct, ids=["a"])
    with pytest.raises(UnknownNameError, match="did you mean 'GaussianNoise'"):
        corruptions_for(ct, ["GausianNoise"])


# -- images --------------------------------------------------------------------------------------------------------


def test_gaussian_noise_has_its_deviation() -> None:
    spec = ModalitySpec("ct", "image", (1, 64, 64))
    grey = torch.zeros(8, 1, 64, 64)
    for severity, level in ((1, 0.04), (3, 0.12)):
        damaged = (apply("GaussianNoise", grey, severity, spec) * 0.5 + 0.5).double()
        assert float(damaged.mean()) == pytest.approx(0.5, abs=4 * level / math.sqrt(damaged.numel()))
        assert float(damaged.std()) == pytest.approx(level, rel=0.03)


@pytest.mark.parametrize("signal", [0.0, 0.2, 0.5])
def test_rician_noise_has_the_mean_of_the_rice_distribution(signal: float) -> None:
    from scipy.stats import rice

    spec, level = ModalitySpec("mri", "image", (1, 64, 64)), 0.08
    image = torch.full((8, 1, 64, 64), 2 * signal - 1)
    damaged = (apply("RicianNoise", image, 2, spec) * 0.5 + 0.5).double().numpy()
    law = rice(signal / level, scale=level)
    assert damaged.mean() == pytest.approx(law.mean(), abs=4 * law.std() / math.sqrt(damaged.size))
    assert damaged.std() == pytest.approx(law.std(), rel=0.03)
    if signal == 0:
        assert law.mean() == pytest.approx(level * math.sqrt(math.pi / 2))


def test_blur_keeps_the_mean_and_matches_scipy() -> None:
    from scipy.ndimage import gaussian_filter

    spec = ModalitySpec("ct", "image", (1, 100, 100))
    point = torch.full((1, 1, 100, 100), -1.0)
    point[0, 0, 50, 50] = 1.0
    damaged = apply("GaussianBlur", point, 3, spec)[0, 0].double().numpy() * 0.5 + 0.5
    expected = gaussian_filter(point[0, 0].double().numpy() * 0.5 + 0.5, 3.0, radius=9)
    np.testing.assert_allclose(damaged, expected, atol=1e-6)
    assert damaged.sum() == pytest.approx(1.0, abs=1e-4)


def test_brightness_contrast_and_occlusion() -> None:
    spec = SPECS["image"]
    values = values_of(spec, 4) * 0.3
    bright = apply("BrightnessShift", values, 1, spec)
    torch.testing.assert_close(bright, values + 0.2)  # 0.1 of the full scale, which is 2 wide
    flat = apply("ContrastLoss", values, 2, spec)
    torch.testing.assert_close(flat.std((1, 2, 3)), 0.6 * values.std((1, 2, 3)))
    torch.testing.assert_close(flat.mean((1, 2, 3)), values.mean((1, 2, 3)))
    hidden = apply("PatchOcclusion", torch.full_like(values, 0.9), 5, spec)
    side = round(16 * math.sqrt(0.5))
    assert ((hidden == 0).sum((1, 2, 3)) == side * side).all()
    torch.testing.assert_close(hidden[hidden != 0], torch.full_like(hidden[hidden != 0], 0.9))


# -- signals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_signal_noise_has_its_snr(severity: int) -> None:
    spec = ModalitySpec("eeg", "signal", (3, 5000), "uV", sampling_rate=250.0)
    values = values_of(spec, 4) * torch.tensor([1.0, 10.0, 0.1]).view(1, 3, 1) + 7
    noise = (apply("SignalNoise", values, severity, spec) - values).double()
    snr = 10 * torch.log10(values.double().var(-1) / noise.var(-1))
    wanted = CORRUPTIONS.get("SignalNoise").levels[severity]
    torch.testing.assert_close(snr, torch.full_like(snr, wanted), atol=0.3, rtol=0)


def test_electrodes_drop_at_their_rate_and_one_stays() -> None:
    spec = ModalitySpec("eeg", "signal", (20, 4), sampling_rate=100.0)
    values = torch.ones(200, 20, 4)
    flat = (apply("ElectrodeDrop", values, 4, spec) == 0).all(-1)
    assert float(flat.float().mean()) == pytest.approx(0.5, abs=0.04)
    pair = ModalitySpec("eeg", "signal", (2, 4), sampling_rate=100.0)
    assert ((apply("ElectrodeDrop", torch.ones(300, 2, 4), 5, pair) != 0).any(-1).sum(1) >= 1).all()
    assert not CORRUPTIONS.get("ElectrodeDrop")().fits(ModalitySpec("eeg", "signal", (1, 4)))


def test_drift_is_slow_and_line_noise_is_at_50_hz() -> None:
    spec = ModalitySpec("eeg", "signal", (2, 5000), "uV", sampling_rate=250.0)
    values = values_of(spec, 2)
    frequency = np.fft.rfftfreq(5000, 1 / 250)
    for name, low, high in (("BaselineDrift", 0.0, 0.6), ("LineNoise", 49.9, 50.1)):
        added = (apply(name, values, 3, spec) - values).double().numpy()
        power = np.abs(np.fft.rfft(added)) ** 2
        inside = (frequency >= low) & (frequency <= high)
        assert power[..., inside].sum() / power.sum() > 0.97, name
    amplitude = added.std(-1) * math.sqrt(2) / values.double().numpy().std(-1)
    np.testing.assert_allclose(amplitude, 1.0, atol=1e-3)
    assert not CORRUPTIONS.get("LineNoise")().fits(ModalitySpec("eeg", "signal", (2, 500), sampling_rate=100.0))
    flat = torch.zeros(1, 2, 5000)
    assert torch.equal(apply("LineNoise", flat, 5, spec), flat)


# -- expression ----------------------------------------------------------------------------------------------------


def cells(counts: np.ndarray, panel: int) -> Tensor:
    """log1p CP10k of the first ``panel`` genes."""
    return torch.from_numpy(np.log1p(counts[:, :panel] * (1e4 / counts.sum(1, keepdims=True)))).float()


def test_counts_are_recovered_also_behind_a_panel() -> None:
    counts = np.random.default_rng(0).poisson(1.5, (50, 400)).astype(float)
    for panel in (400, 60):
        found, total, known = recover_counts(cells(counts, panel), "log1p CP10k")
        assert known.all()
        np.testing.assert_array_equal(found, counts[:, :panel])
        np.testing.assert_array_equal(total, counts.sum(1))
    assert recover_counts(torch.from_numpy(counts), "counts")[2].all()
    odd = torch.from_numpy(np.random.default_rng(1).normal(size=(5, 20))).float()
    assert not recover_counts(odd, "log1p CP10k")[2].any()
    assert not recover_counts(odd.abs(), "scaled")[2].any()
    assert not recover_counts(torch.zeros(1, 3), "log1p CP10k")[2].any()


def test_thinning_has_the_mean_and_variance_of_a_binomial() -> None:
    draws = np.random.default_rng(0).random((20000, 2))
    kept = thin(np.tile([3.0, 40.0], (20000, 1)), draws, 0.4)
    np.testing.assert_allclose(kept.mean(0), [1.2, 16.0], atol=0.12)
    np.testing.assert_allclose(kept.var(0), [0.72, 9.6], rtol=0.05)
    assert (thin(np.array([5.0, 0.0]), np.array([0.0, 0.5]), 0.5) >= 0).all()


def test_thinned_cells_are_shallower_cells() -> None:
    counts = np.random.default_rng(0).poisson(4.0, (60, 300)).astype(float)
    spec = ModalitySpec("scrna", "expression", (100,), "log1p CP10k")
    thinned = apply("CountThinning", cells(counts, 100), 2, spec)
    found, total, known = recover_counts(thinned, "log1p CP10k")
    assert known.mean() > 0.9
    assert found[known].sum() / counts[known, :100].sum() == pytest.approx(0.6, abs=0.02)
    assert total[known].sum() / counts[known].sum() == pytest.approx(0.6, abs=0.02)
    raw = ModalitySpec("scrna", "expression", (300,), "counts")
    less = apply("CountThinning", torch.from_numpy(counts).float(), 4, raw)
    assert (less <= torch.from_numpy(counts)).all()
    assert float(less.sum() / counts.sum()) == pytest.approx(0.2, abs=0.02)


def test_values_that_are_no_counts_get_zero_inflation() -> None:
    spec = ModalitySpec("scrna", "expression", (300,), "scaled")
    values = torch.randn(40, 300, generator=torch.Generator().manual_seed(0))
    for name in ("CountThinning", "GeneDropout"):
        damaged = apply(name, values, 3, spec)
        gone = damaged == 0
        level = CORRUPTIONS.get(name).levels[3]
        assert float(gone.float().mean()) == pytest.approx(level, abs=0.03)
        assert torch.equal(damaged[~gone], values[~gone])


# -- codes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in CORRUPTIONS if spec_for(n).is_integer])
@given(seed=st.integers(0, 50), severity=st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_codes_stay_in_the_vocabulary_and_padding_stays(name: str, seed: int, severity: int) -> None:
    spec = spec_for(name)
    values = values_of(spec, 9, seed)
    damaged = apply(name, values, severity, spec, seed)
    highest = {"dna": 5, "protein": 21, "text": spec.vocab_size - 1, "molecule": len(VOCABULARY) - 1}[spec.kind]
    assert int(damaged.min()) >= 0
    assert int(damaged.max()) <= highest
    damaged, values = damaged[:, spec.descriptors :], values[:, spec.descriptors :]
    real = (damaged != PAD).sum(1)
    assert (damaged.sign() == (torch.arange(damaged.shape[1]) < real[:, None])).all(), "padding is at the end"
    if name != "PieceDeletion" and spec.kind != "molecule":  # those get longer and shorter
        assert torch.equal(damaged == PAD, values == PAD)
    if spec.kind == "text":
        assert (damaged[:, 0] == 2).all()
        assert (damaged[torch.arange(9), real - 1] == 3).all()


def test_substitutions_come_at_their_rate_and_are_uniform() -> None:
    spec = ModalitySpec("dna", "dna", (500,))
    values = torch.full((80, 500), 2)
    values[:, 0] = 5
    damaged = apply("BaseSubstitution", values, 4, spec)
    assert (damaged[:, 0] == 5).all(), "N stays"
    changed = damaged[:, 1:][damaged[:, 1:] != 2]
    assert len(changed) / values[:, 1:].numel() == pytest.approx(0.2, abs=0.01)
    shares = torch.bincount(changed, minlength=6).double() / len(changed)
    np.testing.assert_allclose(shares[[1, 3, 4]], 1 / 3, atol=0.02)
    protein = ModalitySpec("protein", "protein", (500,))
    others = apply("ResidueSubstitution", torch.full((80, 500), 20), 5, protein)
    assert len(set(others[others != 20].tolist())) == 19
    masked = apply("BaseMasking", values, 5, spec)
    assert float((masked[:, 1:] == 5).float().mean()) == pytest.approx(0.6, abs=0.02)


def test_deleted_pieces_leave_the_others_in_order() -> None:
    spec = SPECS["text"]
    values = torch.tensor([[2, 10, 11, 12, 13, 14, 15, 3, *[0] * 12]])
    kept = apply("PieceDeletion", values, 4, spec)[0]
    body = kept[kept != PAD][1:-1].tolist()
    assert body == sorted(body)
    assert set(body) <= set(range(10, 16))


# -- tables --------------------------------------------------------------------------------------------------------


def test_tables_keep_what_a_corruption_is_not_about() -> None:
    spec = SPECS["tabular"]
    values = values_of(spec, 400)
    noisy = apply("NumberNoise", values, 4, spec)
    assert torch.equal(noisy[:, [1, 3]], values[:, [1, 3]])
    assert float((noisy - values)[:, [0, 2]].std()) == pytest.approx(1.0, abs=0.06)
    unknown = apply("UnknownCategory", values, 3, spec)
    assert torch.equal(unknown[:, [0, 2, 3]], values[:, [0, 2, 3]])
    assert float((unknown[:, 1] == 0).float().mean()) == pytest.approx(0.4, abs=0.08)
    empty = apply("ValuesMissing", values, 4, spec)
    gone = empty[:, 0] == 0
    assert float(gone.float().mean()) == pytest.approx(0.6, abs=0.08)
    assert torch.equal(empty[:, 3], torch.where(gone, 2.0, 1.0)), "the flag says missing"
    assert not CORRUPTIONS.get("UnknownCategory")().fits(ModalitySpec("t", "tabular", (1,), cardinalities=(0,)))


# -- what is read off the curves -----------------------------------------------------------------------------------


TWO = Resampler([str(k) for k in range(60)], resamples=2)


def test_relative_effective_and_area_by_hand() -> None:
    clean = np.array([0.9, 0.88, 0.92])
    levels = [np.array([0.7, 0.7, 0.7]), np.array([0.5, 0.48, 0.52])]
    found = relative(clean, levels, 0.5, TWO)
    np.testing.assert_allclose(found, [0.1 / 0.4, 0.09 / 0.38, 0.11 / 0.42])
    assert np.isnan(relative(np.array([0.5, 0.4, 0.6]), levels, 0.5, TWO)).all(), "no skill, no share of it"
    kept = retention([np.array([0.8, 0.8, 0.8])], [np.array([0.6, 0.6, 0.6])], [0.5], TWO)
    assert kept is not None
    np.testing.assert_allclose(kept, 1 / 3)
    rho = effective(clean, levels[0], kept, 0.5)
    assert rho[0] == pytest.approx(0.7 - (0.5 + 0.4 / 3))
    assert retention([np.array([0.5, 0.4, 0.6])], [levels[0]], [0.5], TWO) is None
    np.testing.assert_allclose(area([0, 2, 4], [clean, *levels]), [0.7, 0.69, 0.71])
    same = effective(clean, 0.5 + 0.25 * (clean - 0.5), np.full(3, 0.25), 0.5)
    np.testing.assert_allclose(same, 0, atol=1e-12)
    with pytest.raises(SpecError, match="two or more rising levels"):
        area([1, 0], [clean, clean])


# -- molecules -----------------------------------------------------------------------------------------------------


def test_a_molecule_written_anew_is_the_same_molecule() -> None:
    spec = SPECS["molecule"]
    values = values_of(spec, 30)
    made = apply("SmilesEnumeration", values, 5, spec)
    assert torch.equal(made[:, :64], values[:, :64])
    changed = 0
    for before, after in zip(values, made, strict=True):
        old, new = decode_smiles(before[64:]), decode_smiles(after[64:])
        assert canonical_smiles(new) == old
        changed += new != old
    assert changed > 10
    some = apply("SmilesEnumeration", values, 2, spec)
    assert all(torch.equal(s, v) or torch.equal(s, m) for s, v, m in zip(some, values, made, strict=True))


def test_masked_atoms_are_wildcards_and_more_of_them_at_worse_levels() -> None:
    spec = SPECS["molecule"]
    values = values_of(spec, 300)
    atoms = sum(count_atoms(decode_smiles(v[64:])) for v in values)
    before: list[set[int]] = [set()] * 300
    for severity, level in enumerate(CORRUPTIONS.get("AtomMasking").levels):
        made = [decode_smiles(v[64:]) for v in apply("AtomMasking", values, severity, spec)]
        masked = [{i for i, a in enumerate(_atoms(m)) if a == "*"} for m in made]
        assert all(a <= b for a, b in zip(before, masked, strict=True))
        assert sum(map(len, masked)) / atoms == pytest.approx(level, abs=4 * math.sqrt(0.25 / atoms))
        assert [count_atoms(m) for m in made] == [count_atoms(decode_smiles(v[64:])) for v in values]
        before = masked
    damaged = apply("AtomMasking", values, 5, spec)
    counted = np.stack([morgan_counts(decode_smiles(v[64:]), 64) for v in damaged])
    assert np.array_equal(damaged[:, :64].numpy(), counted)


def _atoms(smiles: str) -> list[str]:
    return re.findall(r"\[[^\]]*\]|Br|Cl|[A-Zbcnops*]", smiles)


def test_a_corruption_says_how_it_meets_rows() -> None:
    spec = ModalitySpec("cells", "expression", (3,), unit="counts")
    rows = [torch.tensor([[1.0, 0.0, 2.0], [0.5, 0.2, 0.0]]), torch.zeros((0, 3))]
    assert CORRUPTIONS.get("CountThinning")().note(rows, spec) == (
        "CountThinning on 'cells' (counts): counts recovered in 1 of 2 rows; the others get zero-inflation at the "
        "same rate."
    )
    assert CORRUPTIONS.get("GeneDropout")().note(rows, spec) == ""
