"""Write a tiny folder in the layout of PathVQA on the Hugging Face hub."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

QUESTIONS = (
    ("is there necrosis?", "yes"),
    ("what is present?", "Liver cells"),
    ("is this the colon?", "no"),
    ("where are the cells located?", "in the canals of hering"),
)


def write(folder: Path, seed: int = 0, n: int = 16, paths: bool = False) -> None:
    """Write n questions for training, in two files of row groups of 3, and n // 2 for validation and test.

    Two questions in a row share an image. With ``paths`` the images are named, which those of the hub need not be.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    generator = np.random.default_rng(seed)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    for split, shards, count in (("train", 2, n // 2), ("validation", 1, n // 2), ("test", 1, n // 2)):
        for shard in range(shards):
            rows, data = [], b""
            for i in range(count):
                question, answer = QUESTIONS[i % 4]
                if i % 2 == 0:
                    pixels = generator.integers(0, 60, (20, 24, 3)) + np.array([40 + 25 * (i % 8), 30, 90])
                    buffer = io.BytesIO()
                    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
                    data = buffer.getvalue()
                name = f"{split}_{shard}_{i // 2}.jpg" if paths else None
                rows.append({"image": {"bytes": data, "path": name}, "question": question, "answer": answer})
            table = pa.Table.from_pylist(
                rows, schema=pa.schema([("image", kind), ("question", pa.string()), ("answer", pa.string())])
            )
            pq.write_table(table, folder / "data" / f"{split}-{shard:05d}-of-{shards:05d}.parquet", row_group_size=3)
