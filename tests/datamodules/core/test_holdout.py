"""Groups that are held out of every split, and of everything that is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from datamodules import MultimodalDataModule
from datamodules.core.options import LoadingOptions, SplitOptions
from datamodules.modalities.text import TextProcessor
from datamodules.phantom import PhantomCohort
from tests.options import grouped
from zoo.errors import SpecError, UnknownNameError
from zoo.raw import RawModality


def cohort() -> PhantomCohort:
    return PhantomCohort(n=120, size=16, modalities=["ct", "scrna"], tasks=["disease", "cell_type"], presence=0.8)


def test_held_out_groups_are_in_no_split() -> None:
    data = MultimodalDataModule(
        [cohort()],
        split=SplitOptions(held_out={"organ": ["liver", "brain"]}),
    )
    pipe = data.pipeline
    assert set(pipe.groups("organ", pipe.rows["ood"])) == {"liver", "brain"}
    for split in ("train", "val", "test"):
        assert not {"liver", "brain"} & set(pipe.groups("organ", pipe.rows[split]))
    plain = MultimodalDataModule([cohort()]).pipeline
    everything = np.sort(np.concatenate(list(plain.rows.values())))
    assert np.array_equal(np.sort(np.concatenate(list(pipe.rows.values()))), everything)
    assert set(pipe.rows["test"].tolist()) <= set(plain.rows["test"].tolist())
    assert sum(len(b) for b in data.split_dataloader("ood")) == len(pipe.rows["ood"])


class Watched(TextProcessor):
    """A text processor that tells what it was fitted on."""

    def fit(self, raw: RawModality, values: Sequence[Any]) -> None:
        self.seen = set(values)
        super().fit(raw, values)


def test_processors_are_fitted_without_them() -> None:
    def prepared(**options: Any) -> Any:
        notes = PhantomCohort(n=120, size=16, modalities=["text"], tasks=["disease"], presence=1.0)
        return MultimodalDataModule([notes], **grouped(processors={"text": Watched()}, **options)).pipeline

    def notes_of(pipe: Any, rows: Any) -> set[str]:
        return {pipe.dataset.raw(int(r)).inputs["text"] for r in rows}

    held, plain = prepared(held_out={"organ": ["liver"]}), prepared()
    assert held.processors["text"].seen == notes_of(held, held.rows["train"])
    assert plain.processors["text"].seen & notes_of(held, held.rows["ood"])
    assert not (held.processors["text"].seen - notes_of(held, held.rows["train"]))


def test_what_cannot_be_held_out_is_refused(tmp_path: object) -> None:
    with pytest.raises(UnknownNameError, match="unknown group 'organs'; did you mean 'organ'"):
        _ = MultimodalDataModule([cohort()], split=SplitOptions(held_out={"organs": ["liver"]})).pipeline
    with pytest.raises(UnknownNameError, match=r"data.split.held_out\['organ'\] 'livr'; did you mean 'liver'"):
        _ = MultimodalDataModule([cohort()], split=SplitOptions(held_out={"organ": ["livr"]})).pipeline
    with pytest.raises(SpecError, match=r"cannot be used with data\.loading\.index"):
        _ = MultimodalDataModule(
            [cohort()], split=SplitOptions(held_out={"organ": ["liver"]}), loading=LoadingOptions(index=str(tmp_path))
        ).pipeline
