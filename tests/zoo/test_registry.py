"""Registries refuse duplicates and suggest the nearest name; errors carry what a user needs."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.encoders.base import ENCODERS
from zoo.errors import DataError, MissingExtraError, SpecError, UnknownNameError, ZooError, unknown_name
from zoo.fusion.base import FUSIONS
from zoo.registry import Registry, plugins, use_plugins
from zoo.tasks.base import TASKS
from zoo.weighting.base import WEIGHTINGS


def filled() -> Registry[object]:
    registry: Registry[object] = Registry("animal")
    registry.add("Zebra", type("Zebra", (), {}))
    registry.add("Ant", type("Ant", (), {}))
    return registry


def test_names_are_sorted_and_iterated() -> None:
    registry = filled()
    assert registry.names() == ["Ant", "Zebra"] == list(registry)
    assert len(registry) == 2
    assert "Ant" in registry
    assert "ant" not in registry


def test_decorators_return_the_class_and_use_the_name() -> None:
    registry: Registry[object] = Registry("animal")

    @registry.register
    class Cow: ...

    @registry.register_as("steed")
    class Horse: ...

    assert registry.get("Cow") is Cow
    assert registry.get("steed") is Horse
    assert registry.names() == ["Cow", "steed"]


def test_a_second_class_of_a_name_is_refused_and_the_first_stays() -> None:
    registry = filled()
    first = registry.get("Ant")
    with pytest.raises(SpecError, match=r"animal 'Ant' is already registered by .*test_registry"):
        registry.add("Ant", type("Ant", (), {}))
    assert registry.get("Ant") is first


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown animal 'zebr'; did you mean 'Zebra'\? known: Ant, Zebra"):
        filled().get("zebr")
    with pytest.raises(UnknownNameError) as caught:
        filled().get("Qqqqqq")
    assert "did you mean" not in str(caught.value)


def test_nothing_known() -> None:
    assert str(unknown_name("cat", "Tom", [])).endswith("known: none")


def test_keys_are_class_names_in_the_families_of_yaml() -> None:
    for registry in (ENCODERS, FUSIONS, WEIGHTINGS):
        assert registry.names() == [registry.get(n).__name__ for n in registry]
    for kind in TASKS:
        assert TASKS.get(kind).kind == kind


def test_errors_say_file_and_row_and_can_be_caught_as_one() -> None:
    error = DataError("bad value", file="a.csv", row=3)
    assert str(error) == "bad value [file: a.csv] [row: 3]"
    assert (error.file, error.row) == ("a.csv", 3)
    assert str(DataError("bad value")) == "bad value"
    assert str(MissingExtraError("quadprog", "jd")) == "this needs the library 'quadprog': pip install -e '.[jd]'"
    assert all(issubclass(e, ZooError) for e in (SpecError, DataError, UnknownNameError, MissingExtraError))
    assert issubclass(MissingExtraError, ImportError)
    missing = MissingExtraError("imagecodecs", "slides", file="a.tif")
    assert str(missing).endswith("'.[slides]' [file: a.tif]")
    for each in (missing, error):
        again = pickle.loads(pickle.dumps(each))  # as from a worker of the loader
        assert (type(again), str(again), again.file) == (type(each), str(each), each.file)


# -- plugins and start -----------------------------------------------------------------------------------------


def test_a_plugin_that_cannot_be_imported_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpecError, match=r"'no_such_package' cannot be imported: .* install it, or start where"):
        use_plugins(["no_such_package"])
    (tmp_path / "broken_package.py").write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SpecError, match=r"'no_such_library'; mend the package, or install what it needs"):
        use_plugins(["broken_package"])
    with pytest.raises(SpecError, match="mend or uninstall 'broken-dist', which declares it under the entry point"):
        use_plugins(["broken_package"], declared_by="broken-dist")
    assert "broken_package" not in plugins()


def test_every_module_of_a_plugin_is_imported_but_its_main(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "whole_package"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("raise SystemExit(1)\n")
    (package / "deep" / "__init__.py").touch()
    (package / "deep" / "leaf.py").write_text("there = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("zoo.registry._plugins", {})  # other tests start processes that import all plugins
    use_plugins(["whole_package"])
    assert sys.modules["whole_package.deep.leaf"].there
    assert "whole_package" in plugins()


def loaded(code: str, *suspects: str) -> set[str]:
    """Which of some libraries a new process has imported after running ``code``."""
    ask = f"{code}\nimport sys\nprint(*({set(suspects)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_names_and_docstrings_are_read_from_files_without_importing_them() -> None:
    code = (
        "from zoo.contract import MODALITIES, TASKS\n"
        "kinds = {r: r.declared() for r in (MODALITIES, TASKS)}\n"
        "import sys; assert 'torch' not in sys.modules\n"
        "for registry, declared in kinds.items():\n"
        "    assert list(declared) == registry.names() and declared == registry.declared(), declared\n"
        "    assert all(declared.values()), declared"
    )
    assert loaded(code, "datamodules.modalities.imaging") == {"datamodules.modalities.imaging"}


def test_a_class_asked_for_by_name_costs_the_import_of_its_own_module_only() -> None:
    code = (
        "from zoo.encoders.base import ENCODERS\n"
        "assert 'ESMEncoder' in ENCODERS and 'NoSuchEncoder' not in ENCODERS\n"
        "assert ENCODERS.get('MLPEncoder').__module__ == 'zoo.encoders.mlp'"
    )
    assert loaded(code, "zoo.encoders.mlp", "zoo.encoders.vit", "zoo.encoders.esm") == {"zoo.encoders.mlp"}


def test_every_registered_class_is_found_in_the_files() -> None:
    """``get`` and ``in`` go by what the files say; ``names`` by what importing them registers."""
    code = (
        "from zoo.registry import discover_all\n"
        "for registry in discover_all(everything=True):\n"
        "    assert sorted(registry._homes()) == registry.names(), registry.family\n"
        "    assert all(registry.get(n).__module__ == registry._homes()[n][0] for n in registry), registry.family"
    )
    assert loaded(code) == set()


def test_a_plugin_cannot_take_the_name_of_a_class_that_is_not_imported_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "thief.py").write_text(
        "from zoo.encoders.base import ENCODERS\n\n\n@ENCODERS.register\nclass ViTEncoder: ...\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    code = (
        "from zoo.registry import use_plugins\n"
        "try:\n    use_plugins(['thief'])\n"
        "except Exception as error:\n    assert 'registered by zoo.encoders.vit' in str(error), error\n"
        "else:\n    raise AssertionError"
    )
    assert loaded(code, "zoo.encoders.vit") == set()


def test_import_zoo_imports_no_library() -> None:
    assert loaded("import zoo", "torch", "lightning", "numpy", "pandas", "yaml") == set()


def test_listing_data_imports_nothing_that_trains_or_reads() -> None:
    code = (
        "import io\n"
        "from rich.console import Console\n"
        "from datamodules.audit.catalogue import describe, print_list\n"
        "from datamodules.core.source import SOURCES\n"
        "assert print_list(Console(file=io.StringIO())) > 50\n"
        "assert all(describe(name).startswith(name) for name in SOURCES)"
    )
    heavy = ("torch", "lightning", "transformers", "mne", "scanpy", "anndata", "sklearn", "scipy", "skimage")
    assert loaded(code, *heavy, "torchvision", "matplotlib", "biotite", "rdkit", "sksurv", "moabb") == set()
