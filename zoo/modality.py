"""What a modality is: its spec, and the kinds that say what a spec may hold.

A kind of modality is one registered class that knows everything about itself. Nothing outside the folder of the kinds
compares their names: whoever needs to know something of a kind asks its class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from zoo.codes import shares_of_codes
from zoo.errors import SpecError
from zoo.names import check_name
from zoo.raw import RawModality
from zoo.registry import Registry
from zoo.values import Cell, Shown, digest, shorten

if TYPE_CHECKING:  # data are listed without torch, which takes seconds to import
    from torch import Tensor

WORDS = 200
"""Most characters of a value that is shown in words."""


class ModalityKind:
    """What all modalities of one kind have in common. It holds no state; a class is never made an object.

    A kind of its own is one file: a subclass that is registered in MODALITIES, and its processor. What is said here
    suits a kind whose values are arrays of numbers.

    Attributes:
        rank: number of sizes in the shape of one sample.
        codes: whether the values are codes (torch.long, 0 is padding at the end) and not measurements (float32).
        encoder: name of the encoder class that modalities of this kind take by default.
        processor: name of the processor class that modalities of this kind take by default.
        pixels: whether samples are pictures (C, H, W) in [-1, 1], which can be mixed, jittered and shrunk as such.
        language: whether values are words that a person wrote, in which names of classes can be looked for.
        table: whether a raw value is a dictionary of columns, which a table must then list.
        cheap: whether a value that stands in a table itself may be read for every row before training.
        distinct: whether two equal values are copies of one sample; tables and short texts can be equal by chance.
        one_scale: whether the numbers of ``features`` are on one scale, and should not be standardised one by one.
        transforms: packages of random transforms that can be applied to batches, such as "torchvision.transforms".
        twins: what two values are called of which one is the ``twin`` of the other; "" for kinds without.
    """

    rank: int = 1
    codes: bool = False
    encoder: str = "MLPEncoder"
    processor: str = ""
    pixels: bool = False
    language: bool = False
    table: bool = False
    cheap: bool = False
    distinct: bool = True
    one_scale: bool = False
    transforms: tuple[str, ...] = ()
    twins: str = ""

    @classmethod
    def check(cls, spec: ModalitySpec) -> None:
        """Raise SpecError where ``spec`` contradicts its kind. Here: the number of sizes of its shape."""
        if len(spec.shape) != cls.rank or any(n < 1 for n in spec.shape):
            raise SpecError(
                f"modality '{spec.name}': shape {spec.shape} does not fit kind '{spec.kind}', which takes "
                f"{cls.rank} positive size(s)"
            )

    @classmethod
    def number_of_codes(cls, spec: ModalitySpec) -> int:
        """How many codes there are, padding among them; 0 for a kind of measurements."""
        return spec.vocab_size

    @classmethod
    def read(cls, cell: Cell) -> Any:
        """Read a raw value from a user's table. Here: numbers.

        Raises:
            DataError: the cell or its file is not what the kind needs.
        """
        return cell.numbers()

    @classmethod
    def completed(cls, raw: RawModality, cell: Cell) -> RawModality:
        """What is known of a modality of a user's table once its first file is looked at. Here: nothing more.

        Args:
            raw: what the user says of it.
            cell: the first one that is known.

        Raises:
            DataError: the file says of itself what cannot be.
        """
        return raw

    @classmethod
    def fingerprint(cls, value: Any) -> bytes:
        """Return 16 bytes that raw values of equal content share."""
        if isinstance(value, str):
            return digest(value.encode())
        array = np.ascontiguousarray(value)
        return digest(f"{array.shape}{array.dtype.str}".encode(), array.tobytes())

    @classmethod
    def twin(cls, value: Any) -> bytes | None:
        """The fingerprint of another raw value that says the same; None where there is none."""
        return None

    @classmethod
    def pieces(cls, value: Any) -> set[str]:
        """Pieces of a raw value of which two values share none by chance, such as stretches of letters; {} here."""
        return set()

    @classmethod
    def grey(cls, value: Any) -> npt.NDArray[np.uint8] | None:
        """A raw value as a picture (H, W) of 256 levels, in which near-identical samples are looked for, or None."""
        return None

    @classmethod
    def show(cls, raw: RawModality, value: Any, side: int) -> Shown:
        """Show a raw value to a person. Here: the beginning of its words.

        Args:
            raw: the modality.
            value: one raw value of it.
            side: longest side of a picture, in pixels.
        """
        return Shown(shorten(str(value), WORDS))

    @classmethod
    def features(cls, spec: ModalitySpec, rows: Tensor) -> Tensor:
        """Map packed rows (N, *shape) to plain numbers (N, F), for methods that have no network.

        Here: the share of each code, without padding, or the values as they are.
        """
        if cls.codes:
            return shares_of_codes(rows, cls.number_of_codes(spec))
        return rows.float().flatten(1)


MODALITIES: Registry[ModalityKind] = Registry("modality kind", "modalities")
"""Kinds of modality by ``ModalitySpec.kind``."""


@dataclass(frozen=True)
class ModalitySpec:
    """One modality as an encoder sees it.

    Attributes:
        name: unique name, such as ``"ct"``.
        kind: name of a registered ModalityKind; decides which encoders fit.
        shape: shape of one sample: image (C, H, W); signal (C, T); dna, protein and text (L,) integer codes
            with 0 as padding at the end; expression (G,); tabular (F,).
        unit: physical unit of the values, such as ``"HU"``, ``"uV"``, ``"counts"``; "" for codes.
        vocab_size: number of codes including padding, for kinds whose vocabulary is learned, such as text (0
            elsewhere).
        sampling_rate: in Hz, for signals (0 elsewhere).
        cardinalities: for tabular, one entry a feature: 0 for a number (already standardised), else the
            number of categories; the category code is stored as a float, 0 is the unknown category.
        features: names of channels, genes or columns, where known.
        descriptors: number of values at the front of a row of codes that are no codes but describe the row as a
            whole, such as the counts of a molecule's fingerprint (0 elsewhere).

    Raises:
        SpecError: the name cannot be used, or the values contradict the kind.
        UnknownNameError: no kind of that name is registered.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    unit: str = ""
    vocab_size: int = 0
    sampling_rate: float = 0.0
    cardinalities: tuple[int, ...] = ()
    features: tuple[str, ...] = ()
    descriptors: int = 0

    def __post_init__(self) -> None:
        check_name("modality", self.name)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        MODALITIES.get(self.kind).check(self)

    @property
    def is_integer(self) -> bool:
        """Whether the values are codes (torch.long) rather than measurements (torch.float32)."""
        return MODALITIES.get(self.kind).codes
