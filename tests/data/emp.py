"""Write a tiny table in the layout of emp_metadata: numbers with gaps, the ontology, the study."""

from __future__ import annotations

from pathlib import Path

import numpy as np

NUMBERS = [
    "latitude_deg",
    "longitude_deg",
    "depth_m",
    "altitude_m",
    "elevation_m",
    "temperature_deg_c",
    "ph",
    "salinity_psu",
    "oxygen_mg_per_l",
    "phosphate_umol_per_l",
    "ammonium_umol_per_l",
    "nitrate_umol_per_l",
    "sulfate_umol_per_l",
    "adiv_observed_otus",
    "adiv_chao1",
    "adiv_shannon",
    "adiv_faith_pd",
]
WORDS = ("env_biome", "env_material", "country")
PLACES = (("urban biome", "feces", "USA"), ("cropland biome", "soil", "GAZ:Italy"), ("marine biome", "leaf", ""))
LABELS = (
    ("Host-associated", "Animal", "Animal surface", "animal-associated habitat", "Homo sapiens"),
    ("Free-living", "Non-saline", "Soil (non-saline)", "vineyard", ""),
    ("Host-associated", "Plant", "Plant surface", "kelp forest", "Vitis vinifera"),
    ("Free-living", "Saline", "Water (saline)", "sea water", ""),
)


def write(folder: Path, seed: int = 0, n: int = 12) -> None:
    """Write ``n`` samples of studies of two; the third number is often unknown, written in three ways."""
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    head = ["#SampleID", "study_id", "empo_1", "empo_2", "empo_3", "env_feature", "host_scientific_name"]
    head += [*WORDS, *NUMBERS]
    lines = ["\t".join(head)]
    for i in range(n):
        values = [f"{v:.3f}" for v in generator.normal(i % 4, 1.0, len(NUMBERS))]
        values[2] = ("", "nan", "Missing: Not provided", values[2])[i % 4]
        lines.append("\t".join([f"{100 + i // 2}.s{i}", str(100 + i // 2), *LABELS[i % 4], *PLACES[i % 3], *values]))
    (folder / "emp_qiime_mapping_subset_2k.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
