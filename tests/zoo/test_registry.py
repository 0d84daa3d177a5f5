"""Registries refuse duplicates and suggest the nearest name; errors carry what a user needs."""

from __future__ import annotations

import pytest

from zoo.encoders import ENCODERS
from zoo.errors import DataError, MissingExtraError, SpecError, UnknownNameError, ZooError, unknown_name
from zoo.fusion import FUSIONS
from zoo.registry import Registry
from zoo.tasks.base import TASKS
from zoo.weighting import WEIGHTINGS


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
