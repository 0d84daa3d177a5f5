"""Images a second from JPEG files into batches, of a zoo source beside ImageFolder.

A folder of simulated photographs, textured and not flat, is written in class folders with a table of their paths.
Then the arms run in turn: a Table whose images are decoded at the smallest scale that suffices, and ImageFolder of
torchvision, which decodes them whole, with Resize, CenterCrop and ToTensor. No arm keeps images in memory.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ("glioma", "meningioma", "none", "pituitary")
ZOO, FOLDER = "zoo, Table", "torchvision, ImageFolder"


def write_images(folder: Path, count: int, side: int, seed: int = 0) -> int:
    """Write ``count`` RGB JPEGs of quality 90 in class folders, and table.csv; return their bytes.

    Each is low-frequency noise (12 x 12 colours, enlarged) with grain of a standard deviation of 6 of 255 levels.

    Args:
        folder: for the class folders and the table.
        count: number of images.
        side: of an image, in pixels.
        seed: of the noise.
    """
    from PIL import Image

    generator = np.random.default_rng(seed)
    sheet = generator.normal(0.0, 6.0, (2 * side, 2 * side, 3)).round().astype(np.int16)
    lines, size = ["path,disease,split"], 0
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for k in range(count):
        coarse = Image.fromarray(generator.integers(20, 236, (12, 12, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC), dtype=np.int16)
        y, x = generator.integers(0, side, 2).tolist()
        pixels = (smooth + sheet[y : y + side, x : x + side]).clip(0, 255).astype(np.uint8)
        path = Path(CLASSES[k % len(CLASSES)]) / f"{k:06d}.jpg"
        Image.fromarray(pixels).save(folder / path, quality=90)
        size += (folder / path).stat().st_size
        lines.append(f"{path.as_posix()},{path.parent},train")
    (folder / "table.csv").write_text("\n".join(lines) + "\n")
    return size


def zoo_batches(folder: Path, side: int, size: int, workers: int, seed: int) -> Iterator[Any]:
    """Yield (B, 3, side, side) in [-1, 1] of one shuffled epoch, from the data module of images.

    Args:
        folder: of the images.
        side: that images are brought to, in pixels.
        size: of a batch.
        workers: processes of the loader.
        seed: of the order.
    """
    from datamodules.core.by_kind import ImagingDataModule
    from datamodules.core.options import LoadingOptions, ProcessingOptions, SamplingOptions, SplitOptions
    from datamodules.modalities.imaging import ImageProcessor
    from datamodules.sources.table import Table, TableModality
    from zoo.table_task import TableTask

    source = Table(
        folder=str(folder),
        modalities={"photo": TableModality("image", column="path", path="{}")},
        tasks={"disease": TableTask("classification")},
        id="path",
        split="split",
    )
    data = ImagingDataModule(
        [source],
        processing=ProcessingOptions(processors={"image": ImageProcessor(size=side, channels=3)}),
        sampling=SamplingOptions(batch_size=size),
        loading=LoadingOptions(num_workers=workers, cache_mib=0),
        split=SplitOptions(seed=seed),
    )
    loader = data.train_dataloader()
    yield None  # all is set up
    for batch in loader:
        yield batch.inputs["photo"], batch.targets["disease"]


def folder_batches(folder: Path, side: int, size: int, workers: int, seed: int) -> Iterator[Any]:
    """Yield (B, 3, side, side) in [0, 1] of one shuffled epoch, from torchvision.

    Args:
        folder: of the images.
        side: that images are brought to, in pixels.
        size: of a batch.
        workers: processes of the loader.
        seed: of the order.
    """
    import torch
    from torchvision import transforms
    from torchvision.datasets import ImageFolder

    steps = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(side), transforms.ToTensor()])
    loader: Any = torch.utils.data.DataLoader(
        ImageFolder(folder, steps),
        batch_size=size,
        shuffle=True,
        num_workers=workers,
        generator=torch.Generator().manual_seed(seed),
    )
    yield None
    yield from loader


ARMS = {ZOO: zoo_batches, FOLDER: folder_batches}


def speed(arm: str, folder: Path, side: int, size: int, workers: int, seed: int) -> tuple[float, int]:
    """Images a second over one epoch, from the start of the workers to the last batch; and the images.

    Args:
        arm: name of the arm.
        folder: of the images.
        side: that images are brought to, in pixels.
        size: of a batch.
        workers: processes of the loader.
        seed: of the order.
    """
    stream = ARMS[arm](folder, side, size, workers, seed)
    next(stream)
    seen, start = 0, time.perf_counter()
    for images, labels in stream:
        if tuple(images.shape[1:]) != (3, side, side) or len(labels) != len(images):
            raise RuntimeError(f"the arm '{arm}' gave images of shape {tuple(images.shape)}, {len(labels)} labels")
        seen += len(images)
    return seen / (time.perf_counter() - start), seen


def compare(
    folder: Path, *, side: int, size: int, workers: Sequence[int], rounds: int
) -> dict[tuple[int, str], list[float]]:
    """Measure the arms in turn for each number of workers: (workers, arm) -> images a second of each round.

    Args:
        folder: of the images.
        side: that images are brought to, in pixels.
        size: of a batch.
        workers: numbers of processes to try.
        rounds: measured rounds of each arm.
    """
    found: dict[tuple[int, str], list[float]] = {(w, arm): [] for w in workers for arm in ARMS}
    for number in range(rounds):
        for (count, arm), speeds in found.items():
            speeds.append(speed(arm, folder, side, size, count, number)[0])
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Write the images, measure, and print images a second and the ratio of the arms."""
    import torch
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(prog="zoo bench images", description=__doc__)
    parser.add_argument("--images", type=int, default=5000, help="images to write (default 5000)")
    parser.add_argument("--pixels", type=int, default=512, help="their sides in pixels (default 512)")
    parser.add_argument("--size", type=int, default=64, help="sides of the batches' images (default 64)")
    parser.add_argument("--batch_size", type=int, default=64, help="images a batch (default 64)")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="worker processes (default 0 2)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each arm (default 3)")
    options = parser.parse_args(argv)
    if min(options.rounds, options.size, options.batch_size) < 1 or options.images < 10 * len(CLASSES):
        parser.error(f"--rounds, --size and --batch_size must be at least 1, --images at least {10 * len(CLASSES)}")
    if options.pixels < options.size or min(options.workers) < 0:
        parser.error("--pixels must be at least --size, and --workers 0 or more")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            size = write_images(Path(folder), options.images, options.pixels)
            found = compare(
                Path(folder),
                side=options.size,
                size=options.batch_size,
                workers=options.workers,
                rounds=options.rounds,
            )
    finally:
        torch.set_num_threads(threads)
    table = Table(
        title=f"{options.images} simulated JPEGs of {options.pixels} px, {size / options.images / 1000:.0f} kB each, "
        f"into batches of {options.batch_size} at {options.size} px, one thread, {options.rounds} rounds in turn"
    )
    for column in ("workers", "arm", "images/s: minimum", "median", "maximum", "/ ImageFolder"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for (workers, arm), speeds in found.items():
        middle = statistics.median(speeds)
        ratio = middle / statistics.median(found[workers, FOLDER])
        told = (f"{v:.0f}" for v in (min(speeds), middle, max(speeds)))
        table.add_row(str(workers), arm, *told, f"{ratio:.2f}")
    console = Console()
    (console if console.is_terminal else Console(width=130)).print(table)
    print("aim: the zoo at least 1.5 times ImageFolder, with the same number of workers")


if __name__ == "__main__":
    main()
