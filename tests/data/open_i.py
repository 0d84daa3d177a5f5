"""Write a tiny folder in the published layout of the Indiana chest X-rays (Open-i)."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np

save_picture = runpy.run_path(str(Path(__file__).with_name("pictures.py")))["save_picture"]

TERMS = (
    "Cardiomegaly/borderline", "Opacity/lung/base/left", "Pulmonary Atelectasis/mild", "Calcinosis/lung",
    "Catheters, Indwelling/right", "Scoliosis/mild", "Nodule/lung", "Granulomatous Disease", "Deformity/thoracic",
)  # fmt: skip
REPORT = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
  <meta type="rr"/>
  <uId id="CXR{uid}"/>
  <MedlineCitation Owner="Indiana University" Status="supplied by publisher">
    <Article PubModel="Electronic">
      <ArticleTitle>Indiana University Chest X-ray Collection</ArticleTitle>
      <Abstract>
        <AbstractText Label="COMPARISON">None.</AbstractText>
        <AbstractText Label="INDICATION">Positive TB test &amp; cough</AbstractText>
        <AbstractText Label="FINDINGS">{findings}</AbstractText>
        <AbstractText Label="IMPRESSION">{impression}</AbstractText>
      </Abstract>
    </Article>
  </MedlineCitation>
  <MeSH>
{major}    <automatic>automatic term</automatic>
  </MeSH>
{images}</eCitation>
"""


def write(folder: Path, seed: int = 0, n: int = 15) -> None:
    """Write n reports, every third one normal.

    Report 1 has the irregular image names of the published one. The second last report has no image and is not
    indexed; the last one has no text.
    """
    generator = np.random.default_rng(seed)
    (folder / "ecgen-radiology").mkdir(parents=True, exist_ok=True)
    table = ["uid,filename,projection"]
    for uid in range(1, n + 1):
        terms = ["normal"] if uid % 3 == 0 else [TERMS[uid % 9], TERMS[(uid + 4) % 9]]
        terms = ["No Indexing"] if uid == n - 1 else terms
        said = ", ".join(t.split("/")[0] for t in terms)
        prefix = "CXR1_1_IM-0001" if uid == 1 else f"CXR{uid}_IM-{1000 + uid}"
        images = [] if uid == n - 1 else [f"{prefix}-2001", f"{prefix}-1001"]
        for image, view in zip(images, ("Lateral", "Frontal"), strict=False):
            level = (60 if terms == ["normal"] else 180) + (20 if view == "Frontal" else 0)
            save_picture(folder / "NLMCXR_png" / f"{image}.png", generator, level=level)
            name = image.replace("CXR1_1_", "1_") if uid == 1 else image.removeprefix("CXR")
            table.append(f"{uid},{name}.dcm.png,{view}")
        blocks = "".join(f'  <parentImage id="{i}"><caption>PA and Lateral</caption></parentImage>\n' for i in images)
        text = REPORT.format(
            uid=uid,
            findings="" if uid == n else f"There is {said}.",
            impression="" if uid in (n, 2) else f"Chest number {uid}.",
            major="".join(f"    <major>{t}</major>\n" for t in terms),
            images=blocks,
        )
        (folder / "ecgen-radiology" / f"{uid}.xml").write_text(text, encoding="utf-8")
    (folder / "indiana_projections.csv").write_text("\n".join(table) + "\n")
