"""EarthMicrobiome on a tiny file of the same layout, and on the real one."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

from datamodules.sources.tables.emp import COLUMNS, EarthMicrobiome
from zoo.errors import DataError, SpecError

write = runpy.run_path(str(Path(__file__).parents[3] / "data" / "emp.py"))["write"]
FILE = "emp_qiime_mapping_subset_2k.tsv"


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "emp_metadata")
    return tmp_path


def opened(root: Path, **arguments: object) -> EarthMicrobiome:
    source = EarthMicrobiome(**arguments)  # type: ignore[arg-type]
    source.open(root)
    return source


def replace_text(root: Path, old: str, new: str) -> None:
    path = root / "emp_metadata" / FILE
    path.write_text(path.read_text().replace(old, new))


def test_rows(folder):
    source = opened(folder)
    table = pd.read_csv(folder / "emp_metadata" / FILE, sep="\t", dtype=str, keep_default_na=False)
    table = table.set_index("#SampleID")
    assert len(source) == 12
    assert source.card.tasks[0].classes == ("Animal", "Non-saline", "Plant", "Saline")
    for row in range(12):
        sample = source.read(row)
        line = table.loc[sample.id]
        values = sample.inputs["environment"]
        assert tuple(values) == COLUMNS == source.card.modalities[0].features
        assert values["ph"] == float(line["ph"])
        known = line["depth_m"] not in ("", "nan", "Missing: Not provided")
        assert values["depth_m"] == (float(line["depth_m"]) if known else None)
        assert sample.targets == {"environment": line["empo_2"]}
        assert source.group_names()["study"][sample.groups["study"]] == line["study_id"] == source.index["group"][row]


@pytest.mark.parametrize(("target", "classes"), [("empo_1", 2), ("empo_2", 4), ("empo_3", 4), ("env_feature", 4)])
def test_targets(folder, target, classes):
    source = opened(folder, target=target, columns=("ph", "depth_m"))
    assert len(source.card.tasks[0].classes) == classes
    assert tuple(source.read(0).inputs["environment"]) == ("ph", "depth_m")
    assert source.read(0).targets["environment"] in source.card.tasks[0].classes


def test_columns_that_leak_are_refused():
    with pytest.raises(SpecError, match="it leaks the label"):
        EarthMicrobiome(columns=("ph", "host_scientific_name"))
    with pytest.raises(SpecError, match="the column 'read_length_bp' cannot be read"):
        EarthMicrobiome(columns=("read_length_bp",))
    with pytest.raises(SpecError, match="empty"):
        EarthMicrobiome(columns=())
    with pytest.raises(SpecError, match=r"target must be .* got 'empo_0'"):
        EarthMicrobiome(target="empo_0")  # type: ignore[arg-type]


def test_bad_files(folder):
    path = folder / "emp_metadata" / FILE
    first = path.read_text().splitlines()[1].split("\t")[-1]
    replace_text(folder, first, "much")
    with pytest.raises(DataError, match="column 'adiv_faith_pd' holds 'much'") as caught:
        opened(folder).read(0)
    assert caught.value.row == "100.s0"
    replace_text(folder, "much", "inf")
    with pytest.raises(DataError, match="holds 'inf'"):
        opened(folder).read(0)
    replace_text(folder, "\tSaline\t", "\tSalty\t")
    with pytest.raises(DataError, match="empo_2 is 'Salty'"):
        opened(folder)
    replace_text(folder, "study_id", "study")
    with pytest.raises(DataError, match=r"lacks the columns \['study_id'\]"):
        opened(folder)
    path.unlink()
    with pytest.raises(DataError, match="does not exist"):
        opened(folder)


def test_words_and_rare_classes(shared_data):
    columns = ("ph", "env_biome", "env_material", "country")
    source = opened(shared_data, target="env_feature", columns=columns, min_class=10)
    assert source.skipped == {"env_feature of fewer than 10 rows": 163}
    assert len(source) == 2000 - 163
    classes = source.card.tasks[0].classes
    assert len(classes) == 84 - 44
    values = source.read(0).inputs["environment"]
    assert tuple(values) == columns
    assert isinstance(values["env_biome"], str)
    assert {source.index["stratum"][i] for i in range(len(source))} == set(classes)
    for target in ("empo_2", "empo_3"):
        with pytest.raises(SpecError, match="it leaks the label"):
            EarthMicrobiome(target=target, columns=("env_biome",))
    with pytest.raises(SpecError, match="it leaks the label"):
        EarthMicrobiome(target="env_feature", columns=("env_feature",))
    with pytest.raises(SpecError, match="min_class must be at least 1"):
        EarthMicrobiome(min_class=0)


def test_real(shared_data):
    source = opened(shared_data)
    assert len(source) == 2000
    assert source.index["stratum"].value_counts().to_dict() == {
        "Animal": 640,
        "Non-saline": 595,
        "Saline": 386,
        "Plant": 379,
    }
    assert len(source.group_names()["study"]) == 95
    values = [source.read(row).inputs["environment"] for row in range(2000)]
    unknown = {c: sum(v[c] is None for v in values) for c in COLUMNS}
    assert (unknown["ph"], unknown["depth_m"], unknown["adiv_shannon"]) == (1716, 250, 0)
    assert len(opened(shared_data, target="empo_3").card.tasks[0].classes) == 17
    assert len(opened(shared_data, target="env_feature").card.tasks[0].classes) == 84
