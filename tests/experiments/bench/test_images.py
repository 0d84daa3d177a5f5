"""run.py bench_images: both arms give the same pictures, and the table is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from experiments.bench.images import ARMS, CLASSES, FOLDER, ZOO, main, write_images


def test_both_arms_give_the_same_pictures(tmp_path: Path) -> None:
    size = write_images(tmp_path, 40, 256)
    assert size == sum(p.stat().st_size for p in tmp_path.rglob("*.jpg"))
    assert size > 40 * 256 * 256 / 10  # textured: a flat picture takes a tenth of that
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_dir()) == sorted(CLASSES)
    held: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for arm, serve in ARMS.items():
        stream = serve(tmp_path, 32, 40, 0, 0)
        assert next(stream) is None
        (images, labels), *more = list(stream)
        assert not more
        assert images.shape == (40, 3, 32, 32)
        assert images.dtype == torch.float32
        held[arm] = images, labels
    zoo = held[ZOO][0] * 0.5 + 0.5  # the zoo's images are in [-1, 1]
    apart = (zoo.flatten(1)[:, None] - held[FOLDER][0].flatten(1)[None]).abs().mean(2)
    near = apart.argmin(1)
    assert sorted(near.tolist()) == list(range(40))  # shuffled otherwise, but each picture is there
    assert float(apart.min(1).values.max()) < 0.02
    assert torch.equal(held[ZOO][1], held[FOLDER][1][near])


def test_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(
        ["--images", "40", "--pixels", "64", "--size", "16", "--batch_size", "16", "--workers", "0", "--rounds", "1"]
    )
    said = capsys.readouterr().out
    assert ZOO in said
    assert FOLDER in said
    assert "40 simulated JPEGs of 64 px" in " ".join(said.split())


@pytest.mark.parametrize("wrong", [["--images", "8"], ["--rounds", "0"], ["--pixels", "32"], ["--workers", "-1"]])
def test_refuses(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(wrong)
