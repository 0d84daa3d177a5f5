"""Reading of protein chains from PDB, mmCIF and BinaryCIF files: sequence, C-alpha coordinates, secondary structure.

mmCIF and BinaryCIF are read by biotite. PDB files are read by the few records that a chain needs: those of the
sequence, of modified residues, of helices and strands and of the ends of chains are not in what biotite returns
(docs/decisions). Every function raises DataError that names the file.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from datamodules.io.formats.residues import one_letter
from datamodules.io.formats.sequences import open_bytes
from datamodules.io.formats.structure_cif import Lacking, binary_categories, from_categories, text_categories
from datamodules.io.formats.structure_model import Key, Model, Molecule, Polymer, Site
from datamodules.io.formats.structure_pdb import read_pdb
from zoo.errors import DataError

SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif", ".bcif")
"""Endings of the files that can be read, plain or followed by .gz; lower case."""
MOST_BYTES = 2**28
"""Bytes that a file may have after unpacking; the largest entries of the Protein Data Bank in mmCIF have as many."""
_FREE, _RATIO = 2**24, 64
"""A gzip file may unpack to the first and beyond that to so many times its size; coordinates shrink to a fifth."""
_KINDS = {".pdb": "PDB", ".ent": "PDB", ".cif": "mmCIF", ".mmcif": "mmCIF", ".bcif": "BinaryCIF"}

Taken = TypeVar("Taken")


@dataclass(frozen=True)
class Chain:
    """One protein chain of L residues.

    Attributes:
        name: its identifier, as the authors gave it.
        sequence: L letters; modified residues have that of their parent, unknown ones X.
        xyz: (L, 4) x, y, z of the C-alpha in angstrom and 1; zeros where it is not in the file.
        numbers: residue numbers of the authors with insertion code, such as "52A"; "" where there are no atoms.
        secondary: a letter a residue by the file's own records, H in a helix, E in a strand, C elsewhere and "-"
            where there is no C-alpha; None for a file without such records.
    """

    name: str
    sequence: str
    xyz: npt.NDArray[np.float32]
    numbers: tuple[str, ...]
    secondary: str | None


def file_kind(path: Path) -> str:
    """Return "PDB", "mmCIF" or "BinaryCIF" by the ending of a file's name; "" for any other.

    >>> file_kind(Path("1ubq.cif.gz")), file_kind(Path("README"))
    ('mmCIF', '')
    """
    name = path.name.lower().removesuffix(".gz")
    return next((kind for ending, kind in _KINDS.items() if name.endswith(ending)), "")


def stem(name: str) -> str:
    """Return a file name without its ending.

    >>> stem("1ubq.cif.gz"), stem("d1cih__.ent")
    ('1ubq', 'd1cih__')
    """
    bare = name[:-3] if name.lower().endswith(".gz") else name
    return next((bare[: -len(s)] for s in SUFFIXES if bare.lower().endswith(s)), bare)


def protein_chains(path: Path) -> tuple[str, ...]:
    """Identifiers of the protein chains of the first model, as ``read_structure`` takes them.

    They are those that the authors gave. Where several molecules have one, or none as in the output of simulation
    programs, the first keeps it, and the others go by their label of mmCIF, or get ":2" and so on behind it.

    Raises:
        DataError: as ``read_structure``.
    """
    return _guarded(path, lambda model: tuple(_proteins(model)))


def read_structure(path: Path, *, chain: str = "", unobserved: bool = True) -> Chain:
    """Read one protein chain of the first model.

    Of alternate locations, and of alternate residues at one place, the one whose C-alpha has the highest occupancy
    counts (the first of equals). Waters, ligands and nucleic acids are no residues.

    Args:
        path: the file, ending in one of SUFFIXES, perhaps followed by .gz.
        chain: identifier of the chain, see ``protein_chains``; "" takes the first that has a C-alpha.
        unobserved: keep the residues of SEQRES or entity_poly_seq that have no coordinates, with mask 0. Off,
            residues are those with atoms, and a gap in the numbering joins its two sides.

    Raises:
        DataError: the file is missing, broken, too large or of another format, has no such chain or no C-alpha, or
            a coordinate is not finite, or its residues do not fit its SEQRES.
    """
    return _guarded(path, lambda model: _chain(model, chain, unobserved))


def _guarded(path: Path, take: Callable[[Model], Taken]) -> Taken:
    """Read a file and take something of its first model, with every error as one that names the file."""
    kind = file_kind(path)
    if not kind:
        raise DataError(f"the name must end in one of {SUFFIXES}, perhaps followed by .gz", file=path)
    readers: dict[str, Callable[[bytes], Model]] = {
        "PDB": read_pdb,
        "mmCIF": lambda content: from_categories(text_categories(content)),
        "BinaryCIF": lambda content: from_categories(binary_categories(content)),
    }
    try:
        return take(readers[kind](_content(path)))
    except DataError:
        raise
    except (_Unusable, Lacking) as error:
        raise DataError(str(error), file=path) from error
    except Exception as error:  # what damaged bytes can do to the readers has no common base
        raise DataError(
            f"not a readable {kind} file ({type(error).__name__}: {error}); fetch it again or remove it", file=path
        ) from error


def centred(chain: Chain, file: Path, *, max_length: int = 0, crop: bool = False) -> Chain:
    """Bring a chain to at most ``max_length`` residues and its mean C-alpha to zero.

    Args:
        chain: what ``read_structure`` gave.
        file: where it came from, for errors.
        max_length: longest chain; 0 for any.
        crop: keep the first ``max_length`` residues of a longer chain; off, it is refused.

    Raises:
        DataError: the chain is too long, or no C-alpha is left.
    """
    if max_length and len(chain.sequence) > max_length and not crop:
        raise DataError(
            f"the chain has {len(chain.sequence)} residues, more than max_length={max_length}; raise it, or set "
            "crop=true to keep the first ones",
            file=file,
        )
    keep = slice(0, max_length or None)
    xyz = chain.xyz[keep].copy()
    known = xyz[:, 3] > 0
    if not known.any():
        raise DataError(f"no C-alpha among the first {max_length} residues; raise max_length", file=file)
    xyz[known, :3] -= xyz[known, :3].mean(axis=0, dtype=np.float64).astype(np.float32)
    secondary = chain.secondary[keep] if chain.secondary is not None else None
    return Chain(chain.name, chain.sequence[keep], xyz, chain.numbers[keep], secondary)


class _Unusable(Exception):
    """The file can be read, but holds no chain that can be used."""


def _content(path: Path) -> bytes:
    """Read and unpack a file, in bounded memory.

    Raises:
        DataError: it is too large.
    """
    pieces, total = [], 0
    with open_bytes(path) as handle:
        most = min(MOST_BYTES, _FREE + _RATIO * path.stat().st_size)
        try:
            while piece := handle.read(2**20):
                total += len(piece)
                if total > most:
                    raise DataError(
                        f"the file holds more than {most} bytes after unpacking, too many for a structure; check "
                        "what it is, or split it into its chains",
                        file=path,
                    )
                pieces.append(piece)
        except (OSError, EOFError, zlib.error) as error:
            kind = file_kind(path)
            raise DataError(
                f"not a readable {kind} file ({error}); fetch it again or remove it", file=path
            ) from error
    return b"".join(pieces)


# -- from a model to a chain --------------------------------------------------------------------------------


def _proteins(model: Model) -> dict[str, Molecule]:
    """Identifier -> protein chain of a model, of which there must be one."""
    proteins = model.proteins()
    if not proteins:
        raise _Unusable("the first model holds no C-alpha atom; give a protein chain, or remove the file")
    return proteins


def _chain(model: Model, wanted: str, unobserved: bool) -> Chain:
    """Choose a chain and lay its residues out."""
    proteins = _proteins(model)
    if wanted and wanted not in proteins:
        raise _Unusable(f"there is no protein chain '{wanted}'; protein chains of the first model: {list(proteins)}")
    name = wanted or next(iter(proteins))
    sites, polymer = proteins[name].sites, proteins[name].polymer
    places: Polymer = [(key, site.name) for key, site in sites.items()]
    if unobserved and polymer:
        places = _place(sites, polymer, name)
    xyz = np.zeros((len(places), 4), dtype=np.float32)
    letters, numbers = [], []
    for i, (key, residue) in enumerate(places):
        site = sites.get(key) if key is not None else None
        hetero = site.hetero if site else True
        letters.append(one_letter(site.name if site else residue, hetero=hetero, parents=model.parents) or "X")
        numbers.append(site.number if site else "")
        if site is not None and site.xyz is not None:
            if not all(map(math.isfinite, site.xyz)):
                raise _Unusable(
                    f"a C-alpha coordinate is not finite (residue {site.number} of chain '{name}'); mend or remove "
                    "the file"
                )
            xyz[i] = (*site.xyz, 1.0)
    told = bool(model.ranges) and name == proteins[name].name
    secondary = _secondary([key for key, _ in places], xyz[:, 3] > 0, name, model) if told else None
    return Chain(name, "".join(letters), xyz, tuple(numbers), secondary)


def _place(sites: dict[Key, Site], polymer: Polymer, chain: str) -> Polymer:
    """Give every residue of the polymer the key of its atoms, None where it has none."""
    if polymer and polymer[0][0] is not None:
        lost = sorted(set(sites) - {key for key, _ in polymer})
        if lost:
            raise _Unusable(f"residue {lost[0][0]} of chain '{chain}' is not in entity_poly_seq; mend the file")
        return [(key if key in sites else None, name) for key, name in polymer]
    names = [name for _, name in polymer]
    keys = list(sites)
    where = _by_number(sites, names) or _by_segments(sites, names)
    if where is None:
        raise _Unusable(
            f"the residues with atoms of chain '{chain}' do not follow its SEQRES; mend the file, or leave out "
            "residues without coordinates (unobserved=false)"
        )
    at = dict(zip(where, keys, strict=True))
    return [(at.get(i), name) for i, name in enumerate(names)]


def _by_number(sites: dict[Key, Site], names: list[str]) -> list[int] | None:
    """Positions in SEQRES if numbers and positions differ by a constant; None if they do not."""
    keys = list(sites)
    if any(code for _, code in keys) or len({number for number, _ in keys}) != len(keys):
        return None
    for start in (i for i, name in enumerate(names) if name == sites[keys[0]].name):
        where = [start + number - keys[0][0] for number, _ in keys]
        fits = all(0 <= p < len(names) and names[p] == sites[k].name for p, k in zip(where, keys, strict=True))
        if fits and where == sorted(where):
            return where
    return None


def _by_segments(sites: dict[Key, Site], names: list[str]) -> list[int] | None:
    """Positions in SEQRES of unbroken stretches, each at the first place that fits; None if one has no place.

    The place that the jump in the numbering says is tried before any other.
    """
    segments: list[tuple[int, list[str]]] = []
    before: int | None = None
    for (number, _), site in sites.items():
        step = 1 if before is None else number - before
        if before is None or step not in (0, 1):
            segments.append((max(step - 1, 0), []))
        segments[-1][1].append(site.name)
        before = number
    where: list[int] = []
    for gap, segment in segments:
        low = where[-1] + 1 if where else 0
        starts = [low + gap, *range(low, len(names) - len(segment) + 1)]
        found = next((s for s in starts if names[s : s + len(segment)] == segment), None)
        if found is None:
            return None
        where += range(found, found + len(segment))
    return where


def _secondary(keys: list[Key | None], there: npt.NDArray[np.bool_], chain: str, model: Model) -> str:
    """One letter a residue; where a helix and a strand overlap, the helix counts."""
    at = {key: i for i, key in enumerate(keys) if key is not None}
    states = np.full(len(keys), "C")
    for letter in ("E", "H"):
        for of, name, first, last in model.ranges:
            if of != letter or name != chain:
                continue
            if first in at and last in at:
                states[at[first] : at[last] + 1] = letter
            else:  # an end without coordinates
                states[[i for key, i in at.items() if first <= key <= last]] = letter
    states[~there] = "-"
    return "".join(states.tolist())
