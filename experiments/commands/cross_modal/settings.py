"""The settings that ``run.py cross_modal`` compares: which modalities, generated or not, a model is given.

A further setting is one more registered class here; tables and figures take it up by themselves.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from datamodules.synthesis.modality import GeneratedModality
from datamodules.synthesis.rows import GeneratedRows
from experiments.core.job import TrainingJob
from zoo.contract import MODALITIES, TASKS
from zoo.errors import SpecError, unknown_name
from zoo.registry import Registry


@dataclass(frozen=True)
class Plan:
    """What a configuration offers.

    Attributes:
        task: that is learned.
        image, metadata: the real modalities; image is "" where there are no pictures at all.
        record: the generated records, "" for none.
        painted: the images generated from metadata, "" for none.
        trip: the images generated from records (a round trip), or the records of generated images, "" for none.
        further: the generated training rows, "" for none.
        dataset: name of the data.
    """

    task: str
    image: str
    metadata: str
    record: str = ""
    painted: str = ""
    trip: str = ""
    further: str = ""
    dataset: str = ""

    @property
    def direction(self) -> str:
        """Which modality is generated."""
        return "image_to_text" if self.record else "text_to_image"

    def job(self, seed: int, modalities: tuple[str, ...], *changes: str) -> TrainingJob:
        """A training from some modalities, without further rows unless they are asked for."""
        without = f"data.processing.generated.{self.further}.share=0"
        if self.further and not any(c.startswith(f"data.processing.generated.{self.further}.") for c in changes):
            changes = (without, *changes)
        return TrainingJob("network", seed, (self.task,), modalities, changes=changes)


def make_plan(pipeline: Any, name: str) -> Plan:
    """Read from prepared data what can be compared.

    Raises:
        SpecError: nothing is generated, or there is not one task of classes.
    """
    if not pipeline.generated:
        raise SpecError("nothing is generated: give data.processing.generated (see ham10000_mini.yaml)")
    kinds = {s.name: TASKS.get(s.kind) for s in pipeline.task_specs}
    tasks = [name for name, kind in kinds.items() if kind.fixed_classes() and not kind.ordered]
    if len(tasks) != 1:
        raise SpecError(f"cross_modal compares one task of classes, but the data have {tasks}; name it in data.tasks")
    made: dict[str, Any] = pipeline.generated
    whole = {n: g for n, g in made.items() if isinstance(g, GeneratedModality)}
    rows = {n: g for n, g in made.items() if isinstance(g, GeneratedRows)}
    records = [n for n, g in whole.items() if MODALITIES.get(g.generator.makes).table]
    painted = [n for n, g in whole.items() if MODALITIES.get(g.generator.makes).pixels and g.metadata]
    trips = [n for n, g in whole.items() if g.record]
    first = next(iter(made.values()))
    real = [s.name for s in pipeline.modality_specs if s.name not in made]
    tables = [s.name for s in pipeline.modality_specs if MODALITIES.get(s.kind).table and s.name in real]
    images = [s.name for s in pipeline.modality_specs if MODALITIES.get(s.kind).pixels and s.name in real]
    metadata = first.metadata or (tables[0] if tables else "")
    image = first.image or first.learns_from or (images[0] if images else "")
    if not metadata:
        raise SpecError("cross_modal needs metadata: a tabular modality beside the images")
    return Plan(
        tasks[0],
        image,
        metadata,
        records[0] if records else "",
        painted[0] if painted else "",
        trips[0] if trips else "",
        next(iter(rows), ""),
        name,
    )


class Setting(ABC):
    """What one line of the tables is trained from.

    Attributes:
        order: its place in tables, from the top.
        key: its name in tables.
        about: one sentence.
    """

    order: int = 0
    key: str = ""
    about: str = ""

    @abstractmethod
    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """The training that it needs; None where the configuration does not offer it."""


SETTINGS: Registry[Setting] = Registry("setting", "commands.cross_modal")
"""Settings by class name."""


@SETTINGS.register
class ImageOnly(Setting):
    """A model of the image alone."""

    order = 1
    key, about = "image", "a model of the real image alone"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """The image."""
        return plan.job(seed, (plan.image,)) if plan.image else None


@SETTINGS.register
class MetadataOnly(Setting):
    """A model of the metadata alone."""

    order = 2
    key, about = "metadata", "a model of the metadata alone"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """The table."""
        return plan.job(seed, (plan.metadata,))


@SETTINGS.register
class Real(Setting):
    """Image and metadata, nothing generated."""

    order = 3
    key, about = "fusion", "image and metadata, nothing generated"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """Both; where all images are generated, the generated ones."""
        seen = plan.image or plan.painted
        return plan.job(seed, (seen, plan.metadata)) if seen else None


@SETTINGS.register
class WithRecords(Setting):
    """Image, metadata and generated records."""

    order = 4
    key, about = "fusion+records", "image, metadata and records that a generator made without the label"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """All three."""
        return plan.job(seed, (plan.image, plan.metadata, plan.record)) if plan.record and plan.image else None


@SETTINGS.register
class Leaky(Setting):
    """The published pipeline: records made with the diagnosis in the prompt."""

    order = 5
    key = "fusion+records leaky"
    about = "LEAKS: records made with the label of every row in the prompt, as the published pipeline does"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """All three, the records leaking."""
        if not plan.record or not plan.image:
            return None
        leak = f"data.processing.generated.{plan.record}.generator.leaky_replication=true"
        return plan.job(seed, (plan.image, plan.metadata, plan.record), leak)


@SETTINGS.register
class ImageRecords(Setting):
    """Image and generated records, no real metadata."""

    order = 6
    key, about = "image+records", "the image and generated records, without the real metadata"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """Image and records."""
        return plan.job(seed, (plan.image, plan.record)) if plan.record and plan.image else None


@SETTINGS.register
class MetadataRecords(Setting):
    """Metadata and generated records."""

    order = 7
    key, about = "metadata+records", "metadata and generated records, without the image"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """Metadata and records."""
        return plan.job(seed, (plan.metadata, plan.record)) if plan.record else None


def _fused(plan: Plan) -> tuple[str, ...]:
    seen = plan.image or plan.painted
    return tuple(m for m in (seen, plan.metadata, plan.record) if m)


@SETTINGS.register
class Concat(Setting):
    """Simple concatenation: no recipe, plain cross-entropy."""

    order = 8
    key, about = "concat", "simple concatenation with cross-entropy and nothing of the recipe"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """Everything, concatenated."""
        plain = (
            "model.fusion=ConcatFusion",
            "model.training.losses=null",
            "model.training.refinement=null",
            "model.training.mixing=null",
        )
        return plan.job(seed, _fused(plan), *plain)


@SETTINGS.register
class Gated(Setting):
    """Gated fusion in the place of the configured one."""

    order = 9
    key, about = "gated", "gated fusion"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """Everything, gated."""
        return plan.job(seed, _fused(plan), "model.fusion=GatedFusion")


@SETTINGS.register
class GeneratedOnly(Setting):
    """Generated images alone."""

    order = 10
    key, about = "synthetic image", "a model of generated images alone"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """The generated image."""
        return plan.job(seed, (plan.painted,)) if plan.painted else None


@SETTINGS.register
class Synthetic(Setting):
    """Generated images beside the metadata, in training and test alike."""

    order = 11
    key = "synthetic image + metadata"
    about = "images generated from metadata beside the metadata; the real images only taught the generator"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """Generated image and metadata."""
        return plan.job(seed, (plan.painted, plan.metadata)) if plan.painted and plan.image else None


@SETTINGS.register
class StandardAugmentation(Setting):
    """Real images under conventional augmentation."""

    order = 12
    key, about = "+ standard augmentation", "real image and metadata, the images augmented by the usual alterations"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """As configured, the processor's augmentation on."""
        if not plan.further:
            return None
        return plan.job(seed, (plan.image, plan.metadata), f"data.processing.processors.{plan.image}.augment=true")


@SETTINGS.register
class SyntheticAugmentation(Setting):
    """Real and generated training rows together."""

    order = 13
    key, about = (
        "+ synthetic augmentation",
        "real image and metadata, and as many training rows with generated images",
    )

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """As configured, half of the visits generated."""
        if not plan.further:
            return None
        return plan.job(seed, (plan.image, plan.metadata), f"data.processing.generated.{plan.further}.share=0.5")


@SETTINGS.register
class SyntheticSupervision(Setting):
    """Training on generated images alone, test on real ones."""

    order = 14
    key, about = "synthetic supervision", "trained on generated images with metadata, tested on real ones"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """As configured, every visit generated."""
        if not plan.further:
            return None
        return plan.job(seed, (plan.image, plan.metadata), f"data.processing.generated.{plan.further}.share=1.0")


@SETTINGS.register
class RoundTrip(Setting):
    """Images made from records that were made from images."""

    order = 15
    key, about = "round trip", "image, metadata, records, and images generated from the records"

    def job(self, plan: Plan, seed: int) -> TrainingJob | None:
        """Everything and the trip."""
        kept = tuple(m for m in (plan.image, plan.metadata, plan.record, plan.trip) if m)
        return plan.job(seed, kept) if plan.trip else None


def chosen_settings(names: list[str] | None) -> list[Setting]:
    """The settings of the given keys or class names; all where none is named.

    Raises:
        UnknownNameError: an unknown one.
    """
    by_key = {SETTINGS.get(n).key: n for n in SETTINGS}
    for name in names or ():
        if name not in by_key and name not in SETTINGS:
            raise unknown_name("setting", name, by_key)
    chosen = [SETTINGS.get(by_key.get(n, n))() for n in (names or SETTINGS)]
    return sorted(chosen, key=lambda s: s.order)
