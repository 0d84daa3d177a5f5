"""A W&B sweep file: what it varies, and how, in the words of Optuna and of the command line."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from experiments.core.study import TRAINER
from zoo.errors import DataError, SpecError, unknown_name

SHIPPED = Path(__file__).resolve().parents[2] / "sweeps"
METHODS = ("grid", "random", "bayes")
DISTRIBUTIONS = ("constant", "categorical", "int_uniform", "uniform", "q_uniform", "log_uniform_values")
TOP_KEYS: tuple[str, ...] = (
    "program",
    "method",
    "parameters",
    "metric",
    "command",
    "early_terminate",
    "run_cap",
    "name",
)
TOP_KEYS += ("description", "project", "entity", "settings")
PARAMETER_KEYS = ("value", "values", "min", "max", "q", "distribution")
MOST_COMBINATIONS = 5000
ARGS = "${args}"


@dataclass(frozen=True)
class Parameter:
    """What a sweep sets: an option of the command line, and the values that it may take.

    Attributes:
        name: dotted key, such as "model.fusion".
        choices: values as W&B writes them on the command line; one for a constant, () for a range.
        low, high: ends of a range.
        step: of a range; 0 for none.
        log: whether the range is searched on a logarithmic scale.
        whole: whether the range holds integers.
    """

    name: str
    choices: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float = 0.0
    log: bool = False
    whole: bool = False

    @property
    def constant(self) -> bool:
        """Whether there is one value only."""
        return len(self.choices) == 1

    def distribution(self) -> Any:
        """The parameter as an Optuna distribution."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        if self.whole:
            return IntDistribution(int(self.low), int(self.high), step=int(self.step) or 1)
        return FloatDistribution(self.low, self.high, step=self.step or None, log=self.log)

    def ends(self) -> tuple[str, ...]:
        """The choices, or both ends of the range, as the command line takes them."""
        return self.choices or tuple(str(int(e) if self.whole else e) for e in (self.low, self.high))

    def grid(self) -> tuple[Any, ...]:
        """Every value, for a grid.

        Raises:
            SpecError: a range without steps has no end of values.
        """
        if self.choices:
            return self.choices
        if self.whole:
            return tuple(range(int(self.low), int(self.high) + 1, int(self.step) or 1))
        if self.step:
            return tuple(self.low + k * self.step for k in range(math.floor((self.high - self.low) / self.step) + 1))
        raise SpecError(f"method grid cannot go through the range of '{self.name}'; give 'values', or q_uniform")


@dataclass(frozen=True)
class SweepFile:
    """What a sweep file says.

    Attributes:
        name: of the file, without its ending.
        method: "grid", "random" or "bayes".
        parameters: what is set, constants included.
        metric: name of what a validation logs.
        maximize: whether the metric is to be large.
        arguments: option -> value that the file's command gives to ``run.py fit`` in every run.
        warmup: validations that no run is stopped before; None where no run is stopped early.
        run_cap: most runs, 0 where the file names none.
    """

    name: str
    method: str
    parameters: tuple[Parameter, ...]
    metric: str
    maximize: bool
    arguments: dict[str, str]
    warmup: int | None
    run_cap: int

    @property
    def varied(self) -> tuple[Parameter, ...]:
        """The parameters that have more than one value."""
        return tuple(p for p in self.parameters if not p.constant)

    @property
    def constants(self) -> dict[str, str]:
        """Parameter -> its only value."""
        return {p.name: p.choices[0] for p in self.parameters if p.constant}

    def combinations(self) -> list[dict[str, Any]]:
        """Every combination of a grid, the last parameter changing fastest."""
        values = [p.grid() for p in self.varied]
        if math.prod(len(v) for v in values) > MOST_COMBINATIONS:
            raise SpecError(f"the grid has more than {MOST_COMBINATIONS} combinations; take method random or bayes")
        names = [p.name for p in self.varied]
        return [dict(zip(names, chosen, strict=True)) for chosen in itertools.product(*values)]


def find_sweep(name: str) -> Path:
    """The path of a sweep file here or, by its name alone, in experiments/sweeps."""
    if Path(name).exists():
        return Path(name)
    for shipped in (SHIPPED / name, SHIPPED / f"{name}.yaml"):
        if shipped.is_file():
            return shipped
    raise unknown_name("sweep", Path(name).name, [p.name for p in SHIPPED.glob("*.yaml")])


def load_sweep(path: Path) -> SweepFile:
    """Read a W&B sweep file.

    Raises:
        DataError: it cannot be read, or is no sweep.
        SpecError, UnknownNameError: it says what the local sweep cannot do as it is said.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"it is no readable YAML: {error}", file=path) from error
    if not isinstance(content, dict) or not isinstance(content.get("parameters"), dict):
        raise DataError("it is no sweep: it has no 'parameters' with keys below", file=path)
    for key in content:
        if key not in TOP_KEYS:
            raise unknown_name(f"key of {path.name}", str(key), TOP_KEYS)
    method = content.get("method")
    if method not in METHODS:
        raise unknown_name("method", str(method), METHODS)
    if Path(str(content.get("program"))).name != "run.py":
        raise SpecError(f"program: {content.get('program')!r}; it must be experiments/run.py")
    parameters = tuple(_parameter(str(n), s) for n, s in content["parameters"].items())
    if all(p.constant for p in parameters):
        raise SpecError(f"{path.name} varies nothing: each of its parameters has one value")
    metric, maximize = _metric(content.get("metric"), method)
    cap = content.get("run_cap") or 0
    if not _is_int(cap) or cap < 0:
        raise SpecError(f"run_cap: {cap!r}; it must be a number of runs")
    arguments = _arguments(content.get("command"))
    return SweepFile(
        path.stem, method, parameters, metric, maximize, arguments, _warmup(content.get("early_terminate")), cap
    )


def fill_in(arguments: Mapping[str, str], given: Sequence[str]) -> list[str]:
    """The file's arguments that ``given`` does not replace, with environment variables put in, then ``given``.

    Raises:
        SpecError: an environment variable is not set.
    """
    names = {"--config" if a.partition("=")[0] == "-c" else a.partition("=")[0] for a in given}
    kept = []
    for name, value in arguments.items():
        if name in names:
            continue
        for variable in re.findall(r"\$\{envvar:([A-Z0-9_]*)\}", value):
            if variable not in os.environ:
                raise SpecError(f"the environment variable {variable} is not set; set it, or give {name}")
            value = value.replace(f"${{envvar:{variable}}}", os.environ[variable])
        kept.append(f"{name}={value}")
    return [*kept, *given]


def _parameter(name: str, said: Any) -> Parameter:
    head, _, rest = name.partition(".")
    if head not in ("data", "model", "trainer") or not rest:
        raise SpecError(f"parameter '{name}' is no option of data, model or trainer; write such as model.fusion")
    if head == "trainer" and rest not in TRAINER:
        raise unknown_name("option of the trainer that a sweep can set", rest, TRAINER)
    if rest.removeprefix("init_args.") == "split.seed":
        raise SpecError(f"parameter '{name}': repeat each trial with --seeds instead")
    if not isinstance(said, dict):
        raise SpecError(f"parameter '{name}': got {said!r}; write {{values: [...]}}, or {{min: ..., max: ...}}")
    if "parameters" in said:
        raise SpecError(f"parameter '{name}' is nested; W&B would pass a dictionary. Write one dotted key each")
    for key in said:
        if key not in PARAMETER_KEYS:
            raise unknown_name(f"key of parameter '{name}'", str(key), PARAMETER_KEYS)
    kind = said.get("distribution")
    if kind is not None and kind not in DISTRIBUTIONS:
        hint = "; its ends are exponents, log_uniform_values takes values" if kind == "log_uniform" else ""
        raise SpecError(f"parameter '{name}': distribution '{kind}' is not known here{hint}; known: {DISTRIBUTIONS}")
    if "value" in said or "values" in said:
        return _choice(name, said, kind)
    return _range(name, said, kind)


def _choice(name: str, said: Mapping[str, Any], kind: str | None) -> Parameter:
    values = said["values"] if "values" in said else [said["value"]]
    extra = sorted(set(said) - {"value", "values", "distribution"}) + (
        ["value"] if len({*said} & {"value", "values"}) > 1 else []
    )
    if extra or kind not in (None, "constant" if "value" in said else "categorical"):
        raise SpecError(f"parameter '{name}' has both a list of values and {extra or [kind]}; give one of them")
    if not isinstance(values, list) or not values:
        raise SpecError(f"parameter '{name}': values must be a list that is not empty, got {values!r}")
    choices = tuple(str(v) for v in values)
    if len(set(choices)) < len(choices):
        raise SpecError(f"parameter '{name}' has a value twice: {choices}")
    return Parameter(name, choices)


def _range(name: str, said: Mapping[str, Any], kind: str | None) -> Parameter:
    if "min" not in said or "max" not in said or kind in ("constant", "categorical"):
        raise SpecError(f"parameter '{name}': give value, values, or min and max; got {dict(said)}")
    for key in ("min", "max", "q"):
        value = said.get(key, 1)
        if isinstance(value, str):
            raise SpecError(
                f"parameter '{name}': {key} is the text '{value}'; YAML reads 1.0e-4 as a number, not 1e-4"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise SpecError(f"parameter '{name}': {key} must be a number, got {value!r}")
    low, high, step = said["min"], said["max"], said.get("q", 1 if kind == "q_uniform" else 0)
    whole = _is_int(low) and _is_int(high)
    if kind is None:
        if _is_int(low) != _is_int(high):
            raise SpecError(f"parameter '{name}': min {low} and max {high} must both be whole or both have a point")
        kind = "int_uniform" if whole else "uniform"
    if kind == "int_uniform" and not whole:
        raise SpecError(f"parameter '{name}': int_uniform needs whole ends, got {low} and {high}")
    if "q" in said and (kind != "q_uniform" or step <= 0):
        raise SpecError(f"parameter '{name}': q must be positive, and goes with q_uniform")
    if not low < high or (kind == "log_uniform_values" and low <= 0):
        above = " and above 0" if kind == "log_uniform_values" else ""
        raise SpecError(f"parameter '{name}': min must be below max{above}, got {low} and {high}")
    whole = kind == "int_uniform" or (kind == "q_uniform" and whole and _is_int(step))
    return Parameter(name, (), low, high, step, kind == "log_uniform_values", whole)


def _metric(said: Any, method: str) -> tuple[str, bool]:
    if said is None and method != "bayes":
        return "val/skill", True
    if not isinstance(said, dict) or not str(said.get("name", "")).startswith("val/"):
        raise SpecError(f"metric: {said!r}; name one of the validation, such as val/skill: the test chooses nothing")
    if said.get("goal") not in ("maximize", "minimize"):
        raise SpecError(
            f"metric goal: {said.get('goal')!r}; write maximize or minimize (W&B minimizes where none is)"
        )
    return str(said["name"]), said["goal"] == "maximize"


def _arguments(command: Any) -> dict[str, str]:
    """Option -> value of a command such as [..., "${program}", fit, --config, mtl.yaml, "${args}"]."""
    words = [str(c) for c in command] if isinstance(command, list) else []
    if "fit" not in words or ARGS not in words:
        raise SpecError(
            'command must be such as ["${env}", "${interpreter}", "${program}", fit, --config, mtl.yaml, '
            f'"{ARGS}"]; got {command!r}'
        )
    rest = [w for w in words[words.index("fit") + 1 :] if w != ARGS]
    found: dict[str, str] = {}
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("-") or not (equals or rest):
            raise SpecError(f"command: '{name}' is no option with a value; write --option=value after fit")
        found["--config" if name == "-c" else name] = value if equals else rest.pop(0)
    return found


def _warmup(said: Any) -> int | None:
    if said is None:
        return None
    if not isinstance(said, dict) or said.get("type") != "hyperband" or not _is_int(said.get("min_iter", 1)):
        raise SpecError(f"early_terminate: {said!r}; write such as {{type: hyperband, min_iter: 2, eta: 2}}")
    return int(said.get("min_iter", 1))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
