"""Cohort: rows, presence, labels, determinism, subsets and the cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datamodules.core.source import SOURCES
from datamodules.phantom import latent
from datamodules.phantom.cohort import VISIT_TASKS, VISITS, PhantomCohort, asked_image, visits
from datamodules.phantom.design import TASK_MODALITIES
from datamodules.phantom.latent import draw_patient
from datamodules.phantom.questions import IMAGE_NAMES
from zoo.contract import Sample
from zoo.errors import DataError, SpecError, UnknownNameError


def _cohort(**arguments: object) -> PhantomCohort:
    cohort = PhantomCohort(**arguments)  # type: ignore[arg-type]
    cohort.open()
    return cohort


def _same(a: Sample, b: Sample) -> bool:
    def equal(x: object, y: object) -> bool:
        if isinstance(x, np.ndarray):
            return isinstance(y, np.ndarray) and x.dtype == y.dtype and np.array_equal(x, y)
        return x == y

    return (
        a.id == b.id
        and a.groups == b.groups
        and list(a.inputs) == list(b.inputs)
        and set(a.targets) == set(b.targets)
        and all(equal(v, b.inputs[k]) for k, v in a.inputs.items())
        and all(equal(v, b.targets[k]) for k, v in a.targets.items())
    )


@pytest.fixture(scope="module")
def cohort() -> PhantomCohort:
    return _cohort(n=60)


def test_it_is_registered_and_its_card_says_simulated(cohort: PhantomCohort) -> None:
    assert SOURCES.get("PhantomCohort") is PhantomCohort
    assert cohort.card.simulated
    assert {m.name for m in cohort.card.modalities} == {m for names in VISITS.values() for m in names}
    assert {t.name for t in cohort.card.tasks} == set(TASK_MODALITIES)
    units = {m.name: m.unit for m in cohort.card.modalities}
    assert (units["ct"], units["eeg"], units["scrna"]) == ("HU", "uV", "counts")


def test_the_index_groups_the_visits_of_a_patient(cohort: PhantomCohort) -> None:
    index = cohort.index
    assert (index["visit"] == "general").sum() == 60
    assert index["group"].nunique() == 60
    assert (index.groupby("group")["patient"].nunique() == 1).all()
    general = index[index["visit"] == "general"]
    expected = [latent.DISEASES[draw_patient(0, p).disease] for p in general["patient"]]
    assert list(general["stratum"]) == expected
    assert set(index["split"]) == {""}


def test_rows_hold_what_they_should(cohort: PhantomCohort) -> None:
    classes = {t.name: t.classes for t in cohort.card.tasks}
    for row in range(len(cohort)):
        sample, line = cohort.read(row), cohort.index.iloc[row]
        patient = draw_patient(0, int(line["patient"]))
        assert sample.id == line["id"]
        assert sample.inputs
        assert set(sample.inputs) <= set(VISITS[line["visit"]])
        for task in VISIT_TASKS[line["visit"]]:
            informed = bool(set(TASK_MODALITIES[task]) & set(sample.inputs))
            if task == "vqa":
                informed = "question" in sample.inputs
            assert (task in sample.targets) == informed, (task, list(sample.inputs))
        assert set(sample.targets) <= set(VISIT_TASKS[line["visit"]])
        if "question" in sample.inputs:
            image = asked_image(patient, tuple(sample.inputs))
            assert image in sample.inputs
            assert IMAGE_NAMES[image] in sample.inputs["question"]
        if "disease" in sample.targets:
            assert sample.targets["disease"] == latent.DISEASES[patient.disease]
        if "response" in sample.targets:
            assert sample.targets["response"] == latent.RESPONSES[patient.calcification ^ patient.promoter]
        for task, value in sample.targets.items():
            if isinstance(value, str) and task != "vqa":
                assert value in classes[task]
        expected = {"organ": patient.organ, "cell_type": patient.cell_type} if line["visit"] == "general" else {}
        assert sample.groups == expected


def test_values_have_the_documented_forms() -> None:
    everything = _cohort(n=2, presence=1.0)
    assert len(everything) == 6
    lines = [everything.index.iloc[i] for i in range(6)]
    found = {line["visit"]: everything.read(i) for i, line in enumerate(lines) if line["patient"] == 0}
    general = found["general"].inputs
    assert set(general) == set(VISITS["general"])
    assert general["ct"].dtype == np.float32
    assert general["ct"].shape == (32, 32)
    assert general["xray"].dtype == np.uint8
    assert general["fundus"].shape == general["pathology"].shape == (32, 32, 3)
    assert isinstance(general["text"], str)
    structure = found["general"].targets["structure"]
    assert structure.shape == (len(general["protein"]), 4)
    assert (structure[:, 3] == 1).all()
    assert set(found["general"].targets["radiographic_findings"]) == set(latent.FINDINGS)
    assert list(found["general"].targets["expression"]) == ["promoter_activity"]
    assert found["neuro"].inputs["eeg"].shape == (8, 200)
    assert not np.array_equal(found["neuro"].inputs["mri"], general["mri"])
    assert found["hand"].inputs["xray"].shape == (32, 32)
    assert _cohort(n=1, size=48, modalities=["oct"], presence=1.0).read(0).inputs["oct"].shape[:2] == (48, 48)


def test_reading_is_a_pure_function_of_seed_and_patient(cohort: PhantomCohort) -> None:
    other = _cohort(n=80)  # a larger cohort starts with the same patients
    for row in reversed(range(0, len(cohort), 7)):
        match = int(np.flatnonzero(other.index["id"] == cohort.index["id"][row])[0])
        assert _same(cohort.read(row), other.read(match))
    different = _cohort(n=3, seed=1, presence=1.0)
    assert not set(different.index["id"]) & set(cohort.index["id"])


def test_a_reader_cannot_spoil_the_memory(cohort: PhantomCohort) -> None:
    row = next(i for i in range(len(cohort)) if "ct" in cohort.read(i).inputs)
    before = cohort.read(row)
    spoiled = cohort.read(row)
    spoiled.inputs["ct"][:] = 0
    spoiled.targets.clear()
    assert _same(cohort.read(row), before)


def test_presence_has_the_stated_probability() -> None:
    drawn = [visits(draw_patient(0, i), 0.4) for i in range(2000)]
    for modality in ("ct", "text", "protein"):
        assert np.mean([modality in d["general"] for d in drawn]) == pytest.approx(0.4, abs=0.035)
    assert np.mean(["hand" in d for d in drawn]) == pytest.approx(0.4, abs=0.035)
    assert np.mean(["neuro" in d for d in drawn]) == pytest.approx(1 - 0.6**2, abs=0.035)
    few = [visits(draw_patient(0, i), 0.01) for i in range(500)]
    assert all(len(set(d["general"]) - {"question"}) >= 1 for d in few)


def test_subsets_only_leave_things_out(cohort: PhantomCohort) -> None:
    part = _cohort(n=60, modalities=["ct", "genomics", "eeg"], tasks=["response", "motor_imagery"])
    assert [m.name for m in part.card.modalities] == ["ct", "eeg", "genomics"]
    assert [t.name for t in part.card.tasks] == ["motor_imagery", "response"]
    assert set(part.index["visit"]) == {"general", "neuro"}
    whole = {name: i for i, name in enumerate(cohort.index["id"])}
    for row in range(len(part)):
        small, large = part.read(row), cohort.read(whole[part.index["id"][row]])
        assert small.inputs
        assert set(small.inputs) == set(large.inputs) & {"ct", "genomics", "eeg"}
        for name, value in small.inputs.items():
            np.testing.assert_array_equal(value, large.inputs[name])
        assert set(small.targets) <= {"response", "motor_imagery"}
    response = next(t for t in part.card.tasks if t.name == "response")
    assert response.modalities == ("ct", "genomics")


def test_a_question_falls_away_without_an_image() -> None:
    part = _cohort(n=20, modalities=["question", "text"], presence=1.0)
    assert all(set(part.read(i).inputs) == {"text"} for i in range(len(part)))
    assert "vqa" not in [t.name for t in part.card.tasks]


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'xray'"):
        PhantomCohort(modalities=["x-ray"])
    with pytest.raises(UnknownNameError, match="unknown task 'bone_aeg'; did you mean 'bone_age'"):
        PhantomCohort(tasks=["bone_aeg"])
    with pytest.raises(SpecError, match=r"labelled for task 'vqa'.*'question'"):
        PhantomCohort(modalities=["ct"], tasks=["vqa"])
    with pytest.raises(SpecError, match="presence must be above 0"):
        PhantomCohort(presence=0.0)
    with pytest.raises(SpecError, match="n must be at least 1, got 0"):
        PhantomCohort(n=0)
    with pytest.raises(DataError, match="no rows found"):
        _cohort(n=1, modalities=["eeg"], presence=1e-6)


def test_the_cache_gives_back_the_same_rows(tmp_path: Path, cohort: PhantomCohort) -> None:
    arguments = {"n": 8, "cache": str(tmp_path)}
    first = _cohort(**arguments)
    rendered = [first.read(i) for i in range(len(first))]
    files = sorted(tmp_path.rglob("*.npz"))
    assert len(files) == len(first)
    assert f"phantom-v{latent.VERSION}-seed0-size32" in str(files[0])
    assert not list(tmp_path.rglob("*.part"))
    second = _cohort(**arguments)
    second._render = None  # type: ignore[method-assign, assignment]  # nothing may be rendered again
    assert all(_same(rendered[i], second.read(i)) for i in range(len(second)))
    _cohort(n=1, cache=str(tmp_path), modalities=["text"], presence=1.0).read(0)
    assert len({f.parent for f in tmp_path.rglob("*.npz")}) == 2  # other arguments, other folder


def test_a_damaged_cache_file_is_named(tmp_path: Path) -> None:
    cohort = _cohort(n=1, cache=str(tmp_path), modalities=["text"], presence=1.0)
    cohort.read(0)
    file = next(tmp_path.rglob("*.npz"))
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(DataError, match=r"damaged.*delete the file.*\.npz"):
        _cohort(n=1, cache=str(tmp_path), modalities=["text"], presence=1.0).read(0)
