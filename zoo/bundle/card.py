"""The model card of a bundle: README.md in the form of the hub, with YAML in front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from zoo.bundle import files
from zoo.bundle.trust import TaskTrust
from zoo.data import Column, DataModule, Origin, Preprocessing
from zoo.evaluation.summary import TaskResult
from zoo.models.base import TaskModel


@dataclass(frozen=True)
class CardFacts:
    """What a card says beside what model and data say themselves.

    Attributes:
        name: of the model; "" takes that of its class.
        config: name of the configuration that it was trained by; "" for none.
        seed: of the training; "" where it is not known.
        subgroups: lines of Markdown on results by subgroup; () for none.
    """

    name: str = ""
    config: str = ""
    seed: str = ""
    subgroups: Sequence[str] = ()


@dataclass(frozen=True)
class Contents:
    """What lies in a bundle, and what does not.

    Attributes:
        examples_made_up: whether the example inputs were made up, and are no rows of the data.
        keeps_rows: names of the parts that hold training rows.
        left_out: names of the parts whose training rows were left out on request.
        files: sentences on files that parts of the model were made from and that went along.
        elsewhere: arguments that name local files that did not go along, as "name='path'".
    """

    examples_made_up: bool
    keeps_rows: Sequence[str] = ()
    left_out: Sequence[str] = ()
    files: Sequence[str] = ()
    elsewhere: Sequence[str] = ()


def write_card(
    path: Path,
    model: TaskModel,
    data: DataModule,
    preprocessing: Preprocessing,
    trust: Mapping[str, TaskTrust],
    lines: Sequence[TaskResult],
    facts: CardFacts,
    contents: Contents,
) -> None:
    """Write the card: what the model is, what it learned from, how good it is and what it does not know.

    Args:
        path: file to write.
        model: the trained model.
        data: what it was trained on.
        preprocessing: how values become tensors.
        trust: task -> its calibration and thresholds, from validation.
        lines: the figures of the test, a task each.
        facts: what the run says of itself, such as the configuration and versions.
        contents: what lies in the bundle.
    """
    origins = data.origins()
    title = facts.name or f"{type(model).__name__} for {', '.join(model.tasks)}"
    body = [
        f"# {title}",
        "",
        _what(model, facts),
        "",
        *_use(preprocessing, contents.examples_made_up),
        "",
        "## Data",
        "",
        *_data(origins),
        *_notices([*data.left_out(), *data.pipeline.notices]),
        "",
        "## Results on the test split",
        "",
        *_results(lines),
        "",
        "## Subgroups",
        "",
        *(facts.subgroups or ("Nothing was computed by subgroup.",)),
        "",
        "## Trust",
        "",
        *_trust(trust),
        "",
        "## Limits",
        "",
        *_limits(origins, lines, contents),
    ]
    _write(path, _front(title, model, lines, origins), body)


def _front(title: str, model: TaskModel, lines: Sequence[TaskResult], origins: Sequence[Origin]) -> dict[str, Any]:
    """What the hub reads of a card."""
    kinds = sorted({*(m.kind for m in model.modalities.values()), *(t.kind for t in model.tasks.values())})
    return {
        "library_name": "multimodal-zoo",
        "license": "other",
        "tags": kinds,
        "datasets": [o.name for o in origins],
        "model-index": [{"name": title, "results": _index(lines, origins)}],
    }


def _write(path: Path, front: Mapping[str, Any], body: Sequence[str]) -> None:
    head = yaml.safe_dump(dict(front), sort_keys=False, allow_unicode=True)
    path.write_text(f"---\n{head}---\n\n" + "\n".join(body) + "\n", encoding="utf-8")


def _use(preprocessing: Preprocessing, examples_made_up: bool) -> list[str]:
    """How the model is used on new rows."""
    return [
        "## Use",
        "",
        "```python",
        "import zoo",
        "",
        'model = zoo.load("FOLDER")  # this folder',
        'tables = model.predict("new.csv")  # or a DataFrame, or a list of dictionaries',
        "```",
        "",
        "On the command line: `zoo predict --model FOLDER --table new.csv --out DIR`.",
        "",
        *_columns(preprocessing.columns),
        "",
        _examples(examples_made_up),
    ]


def _what(model: TaskModel, facts: CardFacts) -> str:
    inputs = ", ".join(f"`{n}` ({s.kind})" for n, s in model.modalities.items())
    tasks = ", ".join(f"`{n}` ({s.kind})" for n, s in model.tasks.items())
    by = f" Trained by `{facts.config}`" + (f", seed {facts.seed}." if facts.seed else ".") if facts.config else ""
    return f"A {type(model).__name__} that predicts {tasks} from any of {inputs}.{by} It is no medical device."


def _index(lines: Sequence[TaskResult], origins: Sequence[Origin]) -> list[dict[str, Any]]:
    """Results as the hub reads them."""
    title = " + ".join(o.title for o in origins)
    return [
        {
            "task": {"type": "other", "name": line.task},
            "dataset": {"name": title, "type": line.data, "split": "test"},
            "metrics": [{"type": line.metric, "value": round(line.value, 4), "name": f"{line.metric}, n = {line.n}"}],
        }
        for line in lines
        if not line.source and math.isfinite(line.value)
    ]


def _columns(columns: Sequence[Column]) -> list[str]:
    return [
        "| column | of | what stands in it |",
        "|---|---|---|",
        *(f"| `{c.name}` | {c.part} | {c.says} |" for c in columns),
    ]


def _examples(made_up: bool) -> str:
    origin = (
        "values that the preprocessing decoded from random numbers: they are no rows of the data"
        if made_up
        else "two rows of the test split"
    )
    return f"`{files.EXAMPLES}/rows.csv` holds two example inputs, {origin}."


def _data(origins: Sequence[Origin]) -> list[str]:
    told = ["| source | licence | access | train | val | test | data |", "|---|---|---|---|---|---|---|"]
    told += [
        f"| {o.title} ({o.name}) | {o.licence} | {o.access} | {o.rows.get('train', 0)} | {o.rows.get('val', 0)} | "
        f"{o.rows.get('test', 0)} | {'simulated' if o.simulated else 'real'} |"
        for o in origins
    ]
    told += ["", *(f"- {o.name}: {o.citation}. From: {o.where}." for o in origins)]
    return told


def _notices(notices: Sequence[str]) -> list[str]:
    """What the data lack, in the sentences that fit prints."""
    head = ("", "What was left out of the data, and what they lack:", "")
    return [*head, *(f"- {n}." for n in notices)] if notices else []


def _results(lines: Sequence[TaskResult]) -> list[str]:
    if not lines:
        return ["The model was not tested."]
    told = [
        "| task | metric | value (95 % interval) | over | chance | constant | rows | data |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for x in lines:
        ends = f" ({x.low:.3f} to {x.high:.3f})" if math.isfinite(x.low) else ""
        told.append(
            f"| {x.task} | {x.metric} | {x.value:.3f}{ends} | {x.unit} | {x.chance:.3f} | {x.baseline:.3f} | {x.n} | "
            f"{x.data} |"
        )
    return [*told, "", "Chance knows the classes; the constant is the best one of the training rows."]


def _trust(trust: Mapping[str, TaskTrust]) -> list[str]:
    told = [
        "Probabilities are brought to a temperature, and sets and intervals to their coverage, by labelled rows of "
        "the validation split. The coverage holds for rows like those, on average over them.",
        "",
        "| task | validation rows | temperature | threshold for 90 % |",
        "|---|---|---|---|",
    ]
    for task, t in trust.items():
        limit = t.thresholds.get("0.9", [])
        words = ", ".join("none: too few rows" if q is None else f"{q:.3g}" for q in limit) or "no sets for this kind"
        told.append(f"| {task} | {t.rows} | {t.temperature:.3g} | {words} |")
    return told


def _limits(origins: Sequence[Origin], lines: Sequence[TaskResult], contents: Contents) -> list[str]:
    told = [
        "- Research use. The model was tested on the split above alone; other scanners, sites or patients differ."
    ]
    told += [f"- {o.name}: {o.caution}" for o in origins if o.caution]
    invented = [o.name for o in origins if o.simulated]
    if invented:
        told.append(f"- Rows of {', '.join(invented)} are simulated: results on them say nothing of patients.")
    weak = [x.task for x in lines if not x.source and not (x.beats_chance and x.beats_baseline)]
    if weak:
        told.append(f"- The interval of {', '.join(weak)} does not lie above chance and the best constant.")
    if contents.keeps_rows:
        told.append(
            f"- **The weights hold training rows**, which {', '.join(contents.keeps_rows)} looks up; "
            "`--bundle.training_rows false` leaves them out."
        )
    else:
        told.append("- The bundle holds no training rows.")
    if contents.left_out:
        told.append(
            f"- Training rows of {', '.join(contents.left_out)} were left out; results above were found with them."
        )
    told += [f"- {said}, which the model was made from; the licence of its origin holds." for said in contents.files]
    told += [
        f"- The argument {argument} names a local file that is not in the bundle, and must lie there to load it."
        for argument in contents.elsewhere
    ]
    return told
