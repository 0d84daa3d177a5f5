"""The command ``routes``: how good a generative model is at making each modality from each set of others."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.core.base import BaseDataModule
from experiments.commands.routes import tables
from experiments.commands.routes.probes import ImageProbe
from experiments.commands.routes.rows import Rows, chunks, pixels, real_rows
from experiments.core.command import COMMANDS, Command, at_least, required
from experiments.core.finish import finish, show_table
from experiments.core.progress import steps
from experiments.core.study import Study
from zoo.bundle.load import load
from zoo.callbacks.samples import routes
from zoo.contract import MODALITIES, TaskSpec
from zoo.errors import SpecError, unknown_name
from zoo.evaluation.generated.text_baselines import constant_text, random_texts, retrieved_texts
from zoo.generation.diffusion.process import SamplingOptions
from zoo.generation.request import GenerationRequest
from zoo.models.base import Generates, require
from zoo.results import Result, Table, joint_word

CHUNK = 32
"""Rows that are made at once."""
NOTHING = "nothing"
"""Name of the route that tells nothing."""


@COMMANDS.register
class Routes(Command):
    """Make every modality of test rows from every set of others, and score it (--config FILE --bundle FOLDER).

    Images are scored by a classifier of findings that learns from real training images, and by their distance from
    real images, beside nothing told, prompts of other rows, the nearest training row and the real images themselves.
    Texts are scored by their words and by the findings that rules read in them, beside a constant, a random and a
    retrieved text. Intervals are over patients; the rows are those of the test split of the configuration.
    """

    name = "routes"
    group = "studies"
    takes_configuration = True

    def options(self, parser: argparse.ArgumentParser) -> None:
        """The model, how many rows, and how they are made."""
        add = parser.add_argument
        add("--bundle", type=Path, help="of the model, such as runs/xgem_mini/version_0/bundle")
        add("--findings", default="", help="task whose classes are looked for in images; default: the first task")
        add("--rows", type=int, default=300, help="test rows at most, evenly spaced (default 300)")
        add("--seed", type=int, default=0, help="of all that is made")
        add("--steps", type=int, default=25, help="of the sampler (default 25)")
        add("--guidance", type=float, default=2.0, help="how strongly the prompt counts; 1 for no guidance")
        add("--resamples", type=int, default=500, help="of the bootstrap (default 500)")
        add("--out", type=Path, default=None, help="folder of the results (default runs/routes/CONFIG)")

    def main(self, arguments: Sequence[str]) -> int:
        """Make everything, score it, and print the tables."""
        started = time.monotonic()
        options, rest = self.parser().parse_known_args(list(arguments))
        at_least(options, rows=4, steps=1, resamples=1)
        required(options, self.name, "bundle")
        bundle = load(options.bundle)
        require(bundle.model, Generates, "be asked for modalities")
        study = Study.parse(rest)
        data = study.data()
        if list(data.modality_specs) != list(bundle.preprocessing.modality_specs):
            raise SpecError(
                f"the model of {options.bundle} was trained on other modalities, sizes or vocabularies than those of "
                f"{study.name}; give the configuration that it was trained with"
            )
        look = Look(bundle.model, data, options)
        words = ["simulated" if s else "real" for s in data.pipeline.source_simulated]
        result = Result("routes", f"What {type(bundle.model).__name__} makes from what", config=study.name,
                        data=joint_word(words), seeds=[options.seed])  # fmt: skip
        result.tables = look.tables()
        result.summary = look.summary()
        for table in result.tables:
            show_table(table)
        folder = options.out or Path("runs") / self.name / study.name
        finish(result, folder, started, [self.name, *arguments])
        return 0


class Look:
    """A look at what a model makes of test rows.

    Args:
        model: that generates.
        data: that it was trained on.
        options: of the command.
    """

    def __init__(self, model: Any, data: BaseDataModule, options: argparse.Namespace) -> None:
        self.model, self.data, self.options = model, data, options
        self.names = list(model.modalities)
        self.task = _task(data, options.findings)
        self.classes = list(self.task.classes) if self.task is not None else []
        self.rows = real_rows(data, "test", options.rows, self.names, self.task)
        self.train = real_rows(data, "train", 10**9, self.names, self.task)
        self.vectors = {s: self._vectors(r) for s, r in (("test", self.rows), ("train", self.train))}

    @torch.inference_mode()
    def _vectors(self, rows: Rows) -> dict[str, Tensor]:
        parts = [self.model.encode(b).prompts for b in chunks(rows.batch, 256)]
        return {m: torch.cat([p[m] for p in parts]) for m in self.names}

    def tables(self) -> list[Table]:
        """All tables."""
        found = [tables.prompt_table(self.vectors["test"], self.rows.units, self.options.resamples)]
        pictures = [m for m in self.names if MODALITIES.get(self.model.modalities[m].kind).pixels]
        texts = [m for m in self.names if MODALITIES.get(self.model.modalities[m].kind).language]
        probes = {m: ImageProbe.fit(pixels(self.train.values(m)), self.train.labels) for m in pictures}
        back = [self._reconstructed(m, probes.get(m)) for m in [*pictures, *texts]]
        found.append(tables.reconstruction_table(back))
        for m in pictures:
            found.append(tables.image_table(m, self._image_lines(m, probes[m])))
        for m in texts:
            found.append(self._text_table(m))
        return found

    def summary(self) -> list[str]:
        """What the figures are of."""
        told = self.options
        return [
            f"{len(self.rows)} test rows that have all of {', '.join(self.names)}; {len(self.train)} training rows.",
            f"{told.steps} steps, guidance {told.guidance:g}, seed {told.seed}; one draw a row.",
        ]

    def _routes(self, target: str) -> list[tuple[str, ...]]:
        return [(), *(told for told, made in routes(self.names) if made == target)]

    @torch.inference_mode()
    def _made(self, target: str, told: tuple[str, ...]) -> Tensor:
        """What is made of all test rows by one route."""
        how = SamplingOptions(self.options.steps, self.options.guidance if told else 1.0)
        request = GenerationRequest((target,), told, seed=self.options.seed, sampling=how)
        found, parts = [], chunks(self.rows.batch, CHUNK)
        with steps(f"{target} from {' + '.join(told) or NOTHING}", len(parts)) as progress:
            for number, batch in enumerate(parts, 1):
                made = self.model.generate(batch, request)
                found.append(made[target])
                progress.to(number)
        return torch.cat(found)

    def _neighbours(self, told: tuple[str, ...]) -> list[int]:
        """The training row that is nearest to each test row by the sum of the vectors of what is told."""
        test, train = (torch.stack([self.vectors[s][m] for m in told]).sum(0) for s in ("test", "train"))
        return tables.retrieved(test, train)

    def _image_lines(self, target: str, probe: ImageProbe) -> list[dict[str, object]]:
        real = pixels(self.rows.values(target))
        train = pixels(self.train.values(target))
        lines = []
        for told in self._routes(target):
            name = " + ".join(told)
            made = [(name or NOTHING, pixels(self._made(target, told)))]
            if told:
                made.append((f"nearest training row by {name}", train[self._neighbours(told)]))
            for label, found in made:
                line = tables.image_row(label, found, real, self.rows, probe, self.classes, self.options.resamples)
                lines.append(line)
        return lines

    def _words(self, modality: str, codes: Tensor) -> list[str]:
        preprocessing = self.data.preprocessing()
        return [str(preprocessing.decode(modality, row)) for row in codes]

    def _text_table(self, target: str) -> Table:
        real, train = (self._words(target, r.values(target)) for r in (self.rows, self.train))
        made: dict[str, list[str]] = {"constant": [constant_text(train)] * len(real)}
        made["random training text"] = random_texts(train, len(real), seed=self.options.seed)
        for told in self._routes(target):
            name = " + ".join(told)
            made[name or NOTHING] = self._words(target, self._made(target, told))
            if told:
                made[f"nearest training row by {name}"] = retrieved_texts(train, self._neighbours(told))
        return tables.text_table(target, made, real, self.rows, self.options.resamples)

    @torch.inference_mode()
    def _reconstructed(self, modality: str, probe: ImageProbe | None) -> dict[str, object]:
        """A line of the table of reconstructions."""
        net = self.model.parts.autoencoder(modality)
        parts = [net.decode(net.encode(b.inputs[modality]).mean) for b in chunks(self.rows.batch, CHUNK)]
        back, real = torch.cat(parts), self.rows.values(modality)
        if probe is None:
            return {"modality": modality, "error": tables.word_errors(back, real), "n": len(self.rows)}
        error = float((back - real).abs().mean())
        made, resamples = pixels(back), self.options.resamples
        line = tables.image_row(modality, made, pixels(real), self.rows, probe, self.classes, resamples)
        return {**line, "modality": modality, "error": error}


def _task(data: BaseDataModule, name: str) -> TaskSpec | None:
    """The task whose classes are the findings; None where there is none."""
    specs = {s.name: s for s in data.task_specs if s.classes}
    if name and name not in specs:
        raise unknown_name("task", name, specs)
    return specs[name] if name else next(iter(specs.values()), None)
