"""A bundle: saved, loaded without its data, and refused where anything in it was changed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import zoo
from datamodules.core.multimodal import MultimodalDataModule
from datamodules.core.options import SamplingOptions
from datamodules.sources.table import Table, TableModality
from zoo.bundle import files
from zoo.bundle.load import Bundle
from zoo.bundle.save import learn, save
from zoo.carried import Box
from zoo.contract import Batch, collate
from zoo.encoders.mlp import MLPEncoder
from zoo.encoders.tabular import TabularEncoder
from zoo.errors import DataError, SpecError, UnknownNameError
from zoo.models.multitask.module import MultitaskModule
from zoo.table_task import TableTask

CONFIG = {
    "class_path": "zoo.MultitaskModule",
    "init_args": {
        "encoders": {
            "image": {
                "class_path": "zoo.ViTEncoder",
                "init_args": {"dim": 8, "depth": 1, "heads": 2, "patch_size": 8},
            },
            "text": {"class_path": "zoo.BERTEncoder", "init_args": {"dim": 8, "depth": 1, "heads": 2}},
            "tabular": {"class_path": "zoo.TabularEncoder", "init_args": {"dim": 8, "heads": 2}},
        },
        "fusion": {"class_path": "zoo.ConcatFusion", "init_args": {"dim": 8}},
    },
}
PATTERNS = [
    {"scan": "p0.png", "report": "a round shadow", "age": 50, "smoker": "yes"},
    {"scan": "p1.png"},
    {"report": "clear lungs"},
    {"age": 61.5},
    {"smoker": "no"},
    {"scan": "p2.png", "age": 33},
    {"report": "a shadow", "smoker": "yes"},
    {"scan": "p3.png", "report": "clear"},
    {"age": 44, "smoker": None, "report": float("nan")},
    {"scan": "p4.png", "report": "", "age": 70, "smoker": "no"},
]


def write_table(folder: Path, shift: float = 0.0) -> None:
    folder.mkdir(exist_ok=True)
    draw, rows = np.random.default_rng(0), []
    for k in range(160):
        ill = k % 2
        pixels = draw.integers(0, 120, (16, 16)) + 100 * ill
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"p{k}.png")
        words = "a round shadow" if ill else "clear lungs"
        age = round(float(draw.normal(50 + 10 * ill, 5)), 1) + shift
        smoker = ("yes", "no", "")[k % 3]
        rows.append([f"p{k}.png", words, age, smoker, f"q{k // 2}", ("ill", "healthy")[1 - ill], age / 10])
    names = ["scan", "report", "age", "smoker", "patient", "diagnosis", "severity"]
    pd.DataFrame(rows, columns=names).to_csv(folder / "table.csv", index=False)


def data_of(root: Path, split: str = "") -> MultimodalDataModule:
    table = Table(
        folder="mine",
        modalities={
            "xray": TableModality("image", column="scan", path="{}"),
            "report": TableModality("text"),
            "clinical": TableModality("tabular", columns=("age", "smoker")),
        },
        tasks={"diagnosis": TableTask("classification"), "severity": TableTask("regression")},
        group="patient" if not split else "",
        split=split,
    )
    return MultimodalDataModule([table], root=str(root), sampling=SamplingOptions(batch_size=16))


def model_of(data: MultimodalDataModule) -> MultitaskModule:
    from zoo.bundle.build import build_model, plain

    torch.manual_seed(0)
    made = build_model(plain(CONFIG) | {"class_path": PATH}, data.modality_specs, data.task_specs)
    assert isinstance(made, MultitaskModule)
    return made.eval()


PATH = "zoo.models.multitask.module.MultitaskModule"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MultimodalDataModule, MultitaskModule]:
    root = tmp_path_factory.mktemp("bundle")
    write_table(root / "mine")
    data = data_of(root)
    model = model_of(data)
    save(root / "bundle", model, data, learn(model, data), config=CONFIG)
    return root, data, model


@pytest.fixture
def copied(saved: tuple[Path, object, object], tmp_path: Path) -> Path:
    shutil.copytree(saved[0] / "bundle", tmp_path / "copy")
    return tmp_path / "copy"


def test_predictions_are_those_of_the_model_that_was_saved(saved) -> None:  # type: ignore[no-untyped-def]
    root, data, model = saved
    pipe = data.pipeline
    rows = pipe.rows["test"][:10].tolist()
    batch: Batch = collate([pipe.dataset.processed(r) for r in rows], data.modality_specs, data.task_specs)
    with torch.no_grad():
        output = model.predict(batch)
    bundle = zoo.load(root / "bundle")
    table = pd.read_csv(root / "mine" / "table.csv").iloc[rows]
    found = bundle.predict(table, folder=root / "mine", batch_size=10)
    warm = bundle.trust["diagnosis"].temperature
    expected = bundle.kinds["diagnosis"].tempered(output.predictions["diagnosis"], warm)
    names = [f"p({c})" for c in bundle.model.tasks["diagnosis"].classes]
    assert np.allclose(found["diagnosis"][names].to_numpy(float), expected.numpy(), atol=1e-6)
    spec = bundle.model.tasks["severity"]
    severity = output.predictions["severity"] * spec.scale[0] + spec.mean[0]
    assert np.allclose(found["severity"]["severity"].to_numpy(float), severity[:, 0].numpy(), atol=1e-6)
    wide = found["severity"]["severity high"] - found["severity"]["severity low"]
    assert np.allclose(wide.astype(float), 2 * bundle.trust["severity"].thresholds["0.9"][0])
    assert not found["diagnosis"]["problem"].any()


def test_a_process_of_its_own_elsewhere_without_the_data(saved, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """Ten rows of several missing patterns, with the training table gone."""
    root, _, _ = saved
    images = tmp_path / "new"
    images.mkdir()
    for k in range(5):
        shutil.copy(root / "mine" / f"p{k}.png", images)
    here = zoo.load(root / "bundle").predict(PATTERNS, folder=images)
    shutil.move(root / "bundle", tmp_path / "away")
    shutil.move(root / "mine", tmp_path / "gone")
    try:
        code = (
            "import json, sys, zoo\n"
            f"found = zoo.load({str(tmp_path / 'away')!r}).predict(json.loads(sys.argv[1]), folder={str(images)!r})\n"
            "print(json.dumps({t: f.to_json(double_precision=15) for t, f in found.items()}))\n"
        )
        given = json.dumps([{k: v for k, v in row.items() if v == v} for row in PATTERNS])
        place = Path(__file__).parents[3]
        done = subprocess.run(
            [sys.executable, "-c", code, given],
            cwd=tmp_path, env={"PYTHONPATH": str(place), "OMP_NUM_THREADS": "1", "PATH": ""},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
    finally:
        shutil.move(tmp_path / "away", root / "bundle")
        shutil.move(tmp_path / "gone", root / "mine")
    there = json.loads(done.stdout.splitlines()[-1])
    for task, frame in here.items():
        numbers = frame.select_dtypes("number").astype(float)
        again = pd.DataFrame(json.loads(there[task]))[list(numbers)].to_numpy(float)
        assert np.allclose(numbers.to_numpy(), again, atol=1e-6, equal_nan=True)
    assert here["diagnosis"]["modalities"].tolist()[:3] == ["xray|report|clinical", "xray", "report"]
    assert here["diagnosis"]["predicted"].notna().all()


def test_the_card_says_what_fit_prints_of_the_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_table(tmp_path / "mine")
    path = tmp_path / "mine" / "table.csv"
    rows = pd.read_csv(path)
    rows["part"] = (["train"] * 4 + ["test"] + ["val"]) * 26 + ["train"] * 4
    rows.loc[rows["part"] == "test", "diagnosis"] = "odd"
    rows.loc[rows.index[:3], ["diagnosis", "severity"]] = None
    rows.loc[rows.index[4:6], ["scan", "report", "age", "smoker"]] = None
    rows.to_csv(path, index=False)
    data = data_of(tmp_path, split="part")
    data.print_summary()
    said = capsys.readouterr().out.replace("warning: ", "").splitlines()
    model = model_of(data)
    save(tmp_path / "bundle", model, data, learn(model, data), config=CONFIG)
    card = (tmp_path / "bundle" / files.CARD).read_text()
    found = card.partition("What was left out of the data, and what they lack:\n\n")[2].partition("\n\n##")[0]
    lines = [line.removeprefix("- ").removesuffix(".") for line in found.splitlines()]
    assert set(lines) <= set(said)
    for words in (
        "training has no row of 'odd'",
        "rows of test carry a label",
        "samples have no modality that is read",
    ):
        assert any(words in line for line in lines), (words, lines)


def test_a_changed_training_table_changes_nothing(saved) -> None:  # type: ignore[no-untyped-def]
    root, _, _ = saved
    rows = [{"age": a, "smoker": s} for a in (30, 50.5, 80) for s in ("yes", "no", None)]
    before = zoo.load(root / "bundle").predict(rows)
    kept = (root / "mine" / "table.csv").read_text()
    write_table(root / "mine", shift=60)
    after = zoo.load(root / "bundle").predict(rows)
    (root / "mine" / "table.csv").write_text(kept)
    for task, frame in before.items():
        pd.testing.assert_frame_equal(frame, after[task], check_exact=True)


def test_what_is_new_or_unreadable_is_said_row_by_row(saved, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "broken.png").write_bytes(b"no picture")
    rows = [
        {"age": 50, "smoker": "sometimes"},
        {"age": "<5", "smoker": "yes"},
        {"scan": "broken.png", "age": 40},
        {"scan": "nowhere.png"},
        {},
        {"age": 900, "smoker": "no"},
    ]
    found = zoo.load(saved[0] / "bundle").predict(rows, folder=tmp_path)["diagnosis"]
    new, word, broken, missing, empty, old = found["problem"]
    assert new == "smoker: the category 'sometimes' is new, and counts as unknown"
    assert word == "age: '<5' is no number, and counts as unknown"
    assert broken.startswith("xray: ")
    assert "broken.png" in broken
    assert "nowhere.png" in missing
    assert empty == "no prediction: the row has none of xray, report, clinical"
    assert not old
    assert found["predicted"].notna().tolist() == [True, True, True, False, False, True]
    assert found["modalities"].tolist()[2] == "clinical"
    assert "clinical" in found["unusual_in"][5]


def test_a_table_without_any_known_column_is_refused(saved) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="no column of the table is one that the model reads"):
        zoo.load(saved[0] / "bundle").predict([{"agee": 3}])


def test_the_folder_says_what_it_is(saved) -> None:  # type: ignore[no-untyped-def]
    folder = saved[0] / "bundle"
    card = (folder / files.CARD).read_text()
    assert card.startswith("---\nlibrary_name: multimodal-zoo\n")
    for words in (
        "`age`",
        "yours",
        "112 | 24 | 24",
        "holds no training rows",
        "values that the preprocessing decoded",
    ):
        assert words in card, words
    example = zoo.load(folder).predict(folder / "examples" / "rows.csv")
    assert example["diagnosis"]["predicted"].notna().all()  # made up, since the licence is the user's own
    assert not list(folder.rglob("*.pt"))
    everything = b"".join(p.read_bytes() for p in folder.rglob("*") if p.is_file())
    assert b"q17" not in everything  # no name of a patient


# -- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [files.WEIGHTS, files.MODEL, files.PREPROCESSING, files.CARD, files.MANIFEST])
def test_a_changed_byte(name: str, copied: Path) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    with pytest.raises(DataError, match=r"checksum|cannot be read|states the format"):
        zoo.load(copied)


def reseal(folder: Path, change: object = None) -> None:
    """Write a manifest that fits the files, as one who means harm would."""
    manifest = json.loads((folder / files.MANIFEST).read_text())
    manifest["files"] = {n: files.checksum(folder / n) for n in manifest["files"] if (folder / n).is_file()}
    if callable(change):
        change(manifest)
    manifest["sha256"] = files.manifest_checksum(manifest)
    (folder / files.MANIFEST).write_text(json.dumps(manifest))


def test_a_pickle_and_a_path_that_leaves(copied: Path) -> None:
    (copied / "extra.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(DataError, match=r"does not list, 'extra.pkl'"):
        zoo.load(copied)
    digest = files.checksum(copied / "extra.pkl")
    reseal(copied, lambda m: m["files"].update({"extra.pkl": digest}))
    with pytest.raises(DataError, match=r"'extra.pkl', which could carry code"):
        zoo.load(copied)
    (copied / "extra.pkl").unlink()
    for path in ("../outside.json", "/etc/outside.json", "a\\b.json", "./model.json"):
        reseal(copied, lambda m, p=path: m["files"].update({p: digest}))
        with pytest.raises(DataError, match="a path that leaves the bundle's folder"):
            zoo.load(copied)
        reseal(copied, lambda m, p=path: m["files"].pop(p, None))
    (copied / "link.json").symlink_to(copied / "model.json")
    with pytest.raises(DataError, match="holds a link"):
        zoo.load(copied)


def test_a_future_format_and_no_bundle(copied: Path, tmp_path: Path) -> None:
    reseal(copied, lambda m: m.update(format=99))
    with pytest.raises(DataError, match="format 99, but this version of the zoo reads up to format 1; update"):
        zoo.load(copied)
    with pytest.raises(DataError, match="does not exist"):
        zoo.load(tmp_path / "nowhere")
    with pytest.raises(DataError, match="so it is no bundle"):
        zoo.load(tmp_path)


@pytest.mark.parametrize("path", ["os.system", "subprocess.Popen", "zoo.tables.write_sheet", "torch.nn.Linear"])
def test_no_name_is_imported_that_no_registry_has(path: str, copied: Path) -> None:
    told = json.loads((copied / files.MODEL).read_text())
    for value in (path, {"class_path": path, "init_args": {}}):
        told["init_args"]["encoders"]["image"] = value
        (copied / files.MODEL).write_text(json.dumps(told))
        reseal(copied)
        with pytest.raises(SpecError, match=f"the class '{path}' is in no registry"):
            zoo.load(copied)
    told["class_path"] = path
    (copied / files.MODEL).write_text(json.dumps(told))
    reseal(copied)
    with pytest.raises((SpecError, UnknownNameError), match="no registry"):
        zoo.load(copied)


def test_an_unknown_processor_or_plugin(copied: Path) -> None:
    text = (copied / files.PREPROCESSING).read_text()
    (copied / files.PREPROCESSING).write_text(text.replace('"TextProcessor"', '"Evil"'))
    reseal(copied)
    with pytest.raises(UnknownNameError, match="unknown processor 'Evil'"):
        zoo.load(copied)
    reseal(copied, lambda m: m.update(plugins=["antigravity"]))
    with pytest.raises(
        SpecError, match=r"needs the plugin 'antigravity', which is not in use.*use=\['antigravity'\]"
    ):
        zoo.load(copied)
    assert "antigravity" not in sys.modules


def test_a_model_made_of_python_objects_is_refused_with_the_way_on(saved, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from zoo.bundle.build import plain

    with pytest.raises(SpecError, match="no configuration describes; make it from YAML"):
        plain({"encoders": {"image": partial(MLPEncoder, dim=8)}})
    assert plain({"tabular": TabularEncoder}) == {"tabular": "zoo.encoders.tabular.TabularEncoder"}


def test_it_says_what_it_is(saved) -> None:  # type: ignore[no-untyped-def]
    bundle = zoo.load(saved[0] / "bundle")
    assert isinstance(bundle, Bundle)
    assert "MultitaskModule from xray, report, clinical to diagnosis, severity" in repr(bundle)
    with pytest.raises(SpecError, match=r"coverage 0.7 was not prepared; take one of 0.8, 0.9, 0.95"):
        bundle.predict([{"age": 3}], coverage=0.7)


def test_a_column_of_two_tables_is_one_of_each() -> None:
    """A row that says the sex of a patient has no record made of nothing but the sex."""
    from datamodules.modalities.tabular import TabularProcessor
    from datamodules.preprocessing.fields import by_cards, from_json
    from zoo.raw import RawModality

    raw = [RawModality("clinical", "tabular", ()), RawModality("record", "tabular", ())]
    made = [TabularProcessor() for _ in raw]
    for processor, extra in zip(made, ("age", "dose"), strict=True):
        rows = [{"sex": s, extra: k} for k, s in enumerate("fmfm")]
        processor.fit(raw[0], rows)
    reader = by_cards(raw, dict(zip(("clinical", "record"), made, strict=True)))
    again = from_json(json.loads(json.dumps(reader.as_json())))
    for each in (reader, again):
        assert [m.columns for m in each.modalities.values()] == [("sex", "age"), ("record.sex", "dose")]
        assert each.renamed == {"record.sex": "sex"}
    assert by_cards(raw[:1], {"clinical": made[0]}, taken={"sex": "clinical"}).renamed == {}


def test_a_processor_keeps_no_molecule_that_it_saw(tmp_path: Path) -> None:
    pytest.importorskip("rdkit")
    from datamodules.modalities.molecule import MoleculeProcessor
    from datamodules.preprocessing.store import fitted_state
    from zoo.raw import RawModality

    processor = MoleculeProcessor()
    processor.fit(RawModality("drug", "molecule", ()), ["CCO", "CCN"])
    processor("CCO")
    assert "CCO" not in json.dumps(fitted_state(processor, "p", {}, Box(tmp_path)))
