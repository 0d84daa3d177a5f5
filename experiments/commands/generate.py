"""The command ``generate``: a trained model makes modalities of the rows of a table from others that they have."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.core.command import COMMANDS, Command, at_least, required
from experiments.core.progress import steps
from experiments.core.written import Written, say_problems, stopped

if TYPE_CHECKING:
    from zoo.bundle.generate import GeneratedRow
    from zoo.bundle.load import Bundle
    from zoo.data import NewRows
    from zoo.generation.request import GenerationRequest

STATE, LINES, PICTURES, GRID = "generate.json", "generated.ndjson", "images", "grid.png"
"""Files and folders that are written."""


@COMMANDS.register
class Generate(Command):
    """Make modalities of rows from others (--model BUNDLE --table rows.csv --make frontal --out DIR).

    The model is the bundle of a model that generates, such as XGeM. Writes generated.ndjson, a line for each row and
    draw, which says what it was made from, with which seed and by which model; pictures lie in the folder images, and
    grid.png shows the first rows. The same command goes on where a killed one stopped, and makes the same files.
    """

    name = "generate"
    group = "training and prediction"

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Model, table, what is made, and how."""
        parser.add_argument("--model", type=Path, help="folder that fit wrote, such as runs/mine/version_0/bundle")
        parser.add_argument("--table", type=Path, help="csv, tsv, Parquet or Arrow file with a row a sample")
        parser.add_argument("--folder", type=Path, help="what paths in cells are relative to; default: the table's")
        parser.add_argument("--make", nargs="+", metavar="MODALITY", help="modalities to make, several together")
        parser.add_argument(
            "--given", nargs="+", metavar="MODALITY", help="modalities that may be told; default: all but those made"
        )
        parser.add_argument("--out", type=Path, help="folder for what is made")
        parser.add_argument("--draws", type=int, default=1, help="how often each row is made")
        parser.add_argument("--seed", type=int, default=0, help="of all random numbers; those of a row follow its id")
        parser.add_argument("--steps", type=int, default=25, help="of the sampler; the paper takes 50")
        parser.add_argument(
            "--guidance", type=float, default=2.0, help="how strongly the prompt counts; 1 for no guidance"
        )
        parser.add_argument("--sampler", default="ddim", help="ddim, ddpm or dpm")
        parser.add_argument("--eta", type=float, default=0.0, help="noise of ddim, 0 to 1")
        parser.add_argument(
            "--independent", action="store_true", help="make several modalities without a look at each other"
        )
        parser.add_argument("--grid", type=int, default=8, help="rows in grid.png; 0 for none")
        parser.add_argument("--device", default="cpu", help="where the model computes, such as cuda")

    def main(self, arguments: Sequence[str]) -> int:
        """Make row after row."""
        options = self.parser().parse_args(list(arguments))
        required(options, self.name, "model", "table", "make", "out")
        at_least(options, draws=1, grid=0)
        from zoo.bundle.load import load
        from zoo.models.base import Generates, require

        bundle = load(options.model, device=options.device)
        request = asked(options)
        require(bundle.model, Generates, "generate")
        request.check(bundle.model.modalities)
        rows = bundle.rows(options.table, options.folder)
        written = Written(options.out, identity(bundle, options, request), {"lines": LINES}, STATE)
        begin = written.begin({"lines": ""})
        if begin:
            print(f"{begin} of {len(rows)} rows are made already; going on", flush=True)
        try:
            make_rows(bundle, rows, request, written)
        except KeyboardInterrupt:
            return stopped(self.name, arguments, written.rows, len(rows))
        written.finish(len(rows))
        say_problems(written.problems, len(rows))
        if options.grid:
            draw_grid(bundle, rows, request, options.grid, options.out / GRID)
        print(f"made: {options.out}/{LINES}" + (f", {options.out}/{GRID}" if options.grid else ""), flush=True)
        return 0


def asked(options: argparse.Namespace) -> GenerationRequest:
    """What the options ask for."""
    from zoo.generation.diffusion.process import SamplingOptions
    from zoo.generation.request import GenerationRequest

    return GenerationRequest(
        tuple(options.make),
        tuple(options.given) if options.given else None,
        options.draws,
        options.seed,
        SamplingOptions(options.steps, options.guidance, options.sampler, options.eta),
        not options.independent,
    )


def identity(bundle: Bundle, options: argparse.Namespace, request: GenerationRequest) -> dict[str, Any]:
    """What generated files are of: model, table and request.

    Args:
        bundle: of the model.
        options: of the command line, which name the table.
        request: what was asked for.
    """
    from zoo.bundle.files import checksum

    told = json.loads(json.dumps(asdict(request)))
    return {"model": bundle.manifest["sha256"], "table": checksum(options.table), "request": told}


def make_rows(bundle: Bundle, rows: NewRows, request: GenerationRequest, written: Written) -> None:
    """Make the rows that are not written yet, a few at a time.

    Args:
        bundle: of the model.
        rows: of the table.
        request: what is to be made.
        written: takes a line for each row and draw.
    """
    from zoo.bundle.generate import ROWS, generate_part

    with steps("making", len(rows), written.rows) as progress:
        for start in range(written.rows, len(rows), ROWS):
            stop = min(start + ROWS, len(rows))
            made = generate_part(bundle.model, bundle.preprocessing, rows, range(start, stop), request)
            lines = [line_of(one, request, written.folder) for one in made]
            problems = [one.problem for one in made if one.draw == 0]
            written.add({"lines": "".join(json.dumps(line) + "\n" for line in lines)}, stop, problems)
            progress.to(stop)


def line_of(made: GeneratedRow, request: GenerationRequest, folder: Path) -> dict[str, Any]:
    """A line of generated.ndjson; pictures and long arrays are written beside it.

    Args:
        made: one draw of one row.
        request: what was asked for.
        folder: of the line's file.
    """
    values = {m: _stored(v, folder, f"{made.row:06d}-{made.draw}-{m}") for m, v in made.values.items()}
    return {
        "row": made.row,
        "id": made.id,
        "draw": made.draw,
        "seed": request.seed,
        "generated": True,
        "told": list(made.told),
        "made": values,
        "problem": made.problem,
    }


def _stored(value: object, folder: Path, name: str) -> Any:
    """A value as JSON holds it: a text, numbers of a short array, or the path of a file that is written here."""
    import numpy as np

    if isinstance(value, str | int | float) or value is None:
        return value
    if isinstance(value, dict):
        return {k: _stored(v, folder, f"{name}-{k}") for k, v in value.items()}
    array = np.asarray(value)
    if array.dtype == np.uint8 and array.ndim in (2, 3):
        from PIL import Image

        path = folder / PICTURES / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(array.squeeze(2) if array.ndim == 3 and array.shape[2] == 1 else array).save(path)
        return str(path.relative_to(folder))
    path = folder / "arrays" / f"{name}.npy"
    path.parent.mkdir(exist_ok=True)
    np.save(path, array)
    return str(path.relative_to(folder))


def draw_grid(bundle: Bundle, rows: NewRows, request: GenerationRequest, count: int, path: Path) -> None:
    """Draw what the first rows have, as the model sees it, and what was made of it.

    Args:
        bundle: of the model.
        rows: of the table.
        request: what was asked for.
        count: number of rows.
        path: png file to write.
    """
    from zoo.bundle.generate import ROWS, generate_part
    from zoo.rendering.grid import save_grid

    count = min(count, len(rows), ROWS)
    read = rows.read(0, count)
    made = generate_part(bundle.model, bundle.preprocessing, rows, range(count), request)
    names = list(bundle.model.modalities)
    heads = [f"real {m}" for m in names]
    heads += [f"generated {m}, draw {d}" for d in range(request.draws) for m in request.targets]
    show = bundle.preprocessing.show
    cells = []
    for k, row in enumerate(read):
        decoded = {m: bundle.preprocessing.decode(m, x) for m, x in row.sample.inputs.items()}
        line = [show(m, decoded[m], 128) if m in decoded else None for m in names]
        for one in made[k * request.draws : (k + 1) * request.draws]:
            line += [show(m, one.values[m], 128) if m in one.values else None for m in request.targets]
        cells.append(line)
    save_grid(path, heads, [row.sample.id for row in read], cells)
