"""Reading of protein chains from PDB, mmCIF and BinaryCIF files: sequence, C-alpha coordinates, secondary structure.

The three formats are read by the few records and categories that a chain needs, which takes a tenth of the time of a
whole parse, and bounds what a broken file can ask for. Every function raises DataError that names the file.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from datamodules.formats.sequences import open_bytes
from zoo.errors import DataError, MissingExtraError

SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif", ".bcif")
"""Endings of the files that can be read, plain or followed by .gz; lower case."""
MOST_BYTES = 2**28
"""Bytes that a file may have after unpacking; the largest entries of the Protein Data Bank in mmCIF have as many."""
_FREE, _RATIO = 2**24, 64
"""A gzip file may unpack to the first and beyond that to so many times its size; coordinates shrink to a fifth."""
_MOST_VALUES = 2**23
"""Values that a column of BinaryCIF may unpack to; the largest entries have some millions of atoms."""
_KINDS = {".pdb": "PDB", ".ent": "PDB", ".cif": "mmCIF", ".mmcif": "mmCIF", ".bcif": "BinaryCIF"}

Key = tuple[int, str]
"""Place of a residue in its chain: author number and insertion code, or the number in the entity and ""."""
Columns = dict[str, list[Any]]
"""Columns of a category of mmCIF: strings, or numbers where the file is binary; "" where a value is unknown."""


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


@dataclass
class _Site:
    """A residue with atoms: of alternate ones, that whose C-alpha has the highest occupancy."""

    number: str
    name: str
    hetero: bool
    occupancy: float = -math.inf
    xyz: tuple[float, float, float] | None = None


@dataclass
class _Model:
    """What the first model of a file holds.

    Attributes:
        chains: chain -> key -> residue, in the order of the file.
        polymers: chain -> names of its residues as they were in the experiment, with keys where these are known.
        parents: name of a modified residue -> name of its parent.
        ranges: (letter, chain, first key, last key) of helices (first) and strands.
    """

    chains: dict[str, dict[Key, _Site]] = field(default_factory=dict)
    polymers: dict[str, list[tuple[Key | None, str]]] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)
    ranges: list[tuple[str, str, Key, Key]] = field(default_factory=list)

    def add(self, chain: str, key: Key, site: _Site) -> None:
        """Take an atom; ``site`` holds it where it is a C-alpha."""
        held = self.chains.setdefault(chain, {}).setdefault(key, site)
        if site.xyz is not None and site.occupancy > held.occupancy:
            held.name, held.hetero, held.occupancy, held.xyz = site.name, site.hetero, site.occupancy, site.xyz


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


def read_structure(path: Path, *, chain: str = "", unobserved: bool = True) -> Chain:
    """Read one protein chain of the first model.

    Of alternate locations, and of alternate residues at one place, the one whose C-alpha has the highest occupancy
    counts (the first of equals). Waters, ligands and nucleic acids are no residues.

    Args:
        path: the file, ending in one of SUFFIXES, perhaps followed by .gz.
        chain: identifier that the authors gave the chain; "" takes the first that has a C-alpha.
        unobserved: keep the residues of SEQRES or entity_poly_seq that have no coordinates, with mask 0. Off,
            residues are those with atoms, and a gap in the numbering joins its two sides.

    Raises:
        DataError: the file is missing, broken, too large or of another format, has no such chain or no C-alpha, or
            a coordinate is not finite, or its residues do not fit its SEQRES.
        MissingExtraError: BinaryCIF without the library msgpack.
    """
    kind = file_kind(path)
    if not kind:
        raise DataError(f"the name must end in one of {SUFFIXES}, perhaps followed by .gz", file=path)
    readers: dict[str, Callable[[bytes], _Model]] = {
        "PDB": _read_pdb,
        "mmCIF": lambda content: _from_categories(_text_categories(content)),
        "BinaryCIF": lambda content: _from_categories(_binary_categories(content)),
    }
    try:
        model = readers[kind](_content(path))
        return _chain(model, chain, unobserved)
    except (DataError, MissingExtraError):
        raise
    except _Unusable as error:
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


def _letter(name: str, parents: dict[str, str]) -> str:
    """One letter of a residue, X for what has no single one; "" for what is no amino acid."""
    from Bio.Data.PDBData import protein_letters_3to1_extended as letters

    found = str(letters.get(name, "") or letters.get(parents.get(name, ""), ""))
    return found if len(found) <= 1 else "X"


def _chain(model: _Model, wanted: str, unobserved: bool) -> Chain:
    """Choose a chain and lay its residues out."""
    seen = {}
    for name, sites in model.chains.items():
        polymer = {residue for _, residue in model.polymers.get(name, [])} if unobserved else set()
        seen[name] = {
            key: site
            for key, site in sites.items()
            if not site.hetero or _letter(site.name, model.parents) or site.name in polymer
        }
    proteins = [name for name, sites in seen.items() if any(s.xyz is not None for s in sites.values())]
    if not proteins:
        raise _Unusable("the first model holds no C-alpha atom; give a protein chain, or remove the file")
    if wanted and wanted not in proteins:
        raise _Unusable(f"there is no protein chain '{wanted}'; protein chains of the first model: {proteins}")
    name = wanted or proteins[0]
    places: list[tuple[Key | None, str]] = [(key, site.name) for key, site in seen[name].items()]
    if unobserved and name in model.polymers:
        places = _place(seen[name], model.polymers[name], name)
    xyz = np.zeros((len(places), 4), dtype=np.float32)
    letters, numbers = [], []
    for i, (key, residue) in enumerate(places):
        site = seen[name].get(key) if key is not None else None
        letters.append(_letter(site.name if site else residue, model.parents) or "X")
        numbers.append(site.number if site else "")
        if site is not None and site.xyz is not None:
            if not all(map(math.isfinite, site.xyz)):
                raise _Unusable(
                    f"a C-alpha coordinate is not finite (residue {site.number} of chain '{name}'); mend or remove "
                    "the file"
                )
            xyz[i] = (*site.xyz, 1.0)
    secondary = _secondary([key for key, _ in places], xyz[:, 3] > 0, name, model) if model.ranges else None
    return Chain(name, "".join(letters), xyz, tuple(numbers), secondary)


def _place(
    sites: dict[Key, _Site], polymer: list[tuple[Key | None, str]], chain: str
) -> list[tuple[Key | None, str]]:
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


def _by_number(sites: dict[Key, _Site], names: list[str]) -> list[int] | None:
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


def _by_segments(sites: dict[Key, _Site], names: list[str]) -> list[int] | None:
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


def _secondary(keys: list[Key | None], there: npt.NDArray[np.bool_], chain: str, model: _Model) -> str:
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


# -- PDB ----------------------------------------------------------------------------------------------------


def _read_pdb(content: bytes) -> _Model:
    """Read the records of the PDB format 3.3 that a chain needs, up to the end of the first model."""
    model = _Model()
    ended: set[str] = set()
    for line in content.decode("latin-1").splitlines():
        record = line[:6].rstrip()
        if record in ("ATOM", "HETATM"):
            chain, hetero = line[21:22].strip(), record == "HETATM"
            if hetero and chain in ended:
                continue  # a ligand, be it an amino acid
            key = (int(line[22:26]), line[26:27].strip())
            site = _Site(f"{key[0]}{key[1]}", line[17:20].strip(), hetero)
            if line[12:16].strip() == "CA":
                site.xyz = (float(line[30:38]), float(line[38:46]), float(line[46:54]))
                site.occupancy = float(line[54:60].strip() or 1.0)
            model.add(chain, key, site)
        elif record == "TER":
            ended.add(line[21:22].strip())
        elif record == "ENDMDL":
            break
        elif record == "SEQRES":
            model.polymers.setdefault(line[11:12].strip(), []).extend((None, n) for n in line[19:70].split())
        elif record == "MODRES":
            model.parents[line[12:15].strip()] = line[24:27].strip()
        elif record == "HELIX" and line[38:40].strip() != "10":  # 10: polyproline
            first, last = (int(line[21:25]), line[25:26].strip()), (int(line[33:37]), line[37:38].strip())
            model.ranges.append(("H", line[19:20].strip(), first, last))
        elif record == "SHEET":
            first, last = (int(line[22:26]), line[26:27].strip()), (int(line[33:37]), line[37:38].strip())
            model.ranges.append(("E", line[21:22].strip(), first, last))
    return model


# -- mmCIF --------------------------------------------------------------------------------------------------

_WANTED: dict[str, tuple[str, ...]] = {
    "atom_site": (
        "group_PDB",
        "label_atom_id",
        "label_comp_id",
        "label_asym_id",
        "label_entity_id",
        "label_seq_id",
        "auth_asym_id",
        "auth_seq_id",
        "pdbx_PDB_ins_code",
        "occupancy",
        "Cartn_x",
        "Cartn_y",
        "Cartn_z",
        "pdbx_PDB_model_num",
    ),
    "entity_poly_seq": ("entity_id", "num", "mon_id"),
    "pdbx_struct_mod_residue": ("label_comp_id", "parent_comp_id"),
    "struct_conf": ("conf_type_id",),
    "struct_sheet_range": (),
}
_ENDS = ("label_seq_id", "auth_asym_id", "auth_seq_id")
_RANGE = (*(f"{end}_{name}" for end in ("beg", "end") for name in _ENDS), "pdbx_beg_PDB_ins_code",
          "pdbx_end_PDB_ins_code")  # fmt: skip
_TOKEN = re.compile(r"'((?:[^']|'(?=\S))*)'(?=\s|$)|\"((?:[^\"]|\"(?=\S))*)\"(?=\s|$)|(#.*)|(\S+)")
_UNKNOWN = (".", "?")


def _tokens(line: str) -> list[str]:
    """Split a line of CIF; a value of . or ? becomes ""."""
    if "'" in line or '"' in line or "#" in line:
        found = [(m, m[1] if m[1] is not None else m[2]) for m in _TOKEN.finditer(line) if m[3] is None]
        return [quoted if quoted is not None else ("" if m[4] in _UNKNOWN else m[4]) for m, quoted in found]
    return ["" if word in _UNKNOWN else word for word in line.split()]


def _text_block(lines: Iterator[str]) -> str:
    """Read the rest of a value between lines that begin with a semicolon."""
    kept: list[str] = []
    for line in lines:
        if line.startswith(";"):
            return "\n".join(kept)
        kept.append(line)
    raise ValueError("a text between semicolons does not end")


def _text_categories(content: bytes) -> dict[str, Columns]:
    """Read the wanted categories of the first block of an mmCIF file."""
    categories: dict[str, Columns] = {}
    lines = iter(content.decode("utf-8", errors="replace").splitlines())
    keys, values = list[str](), list[str]()
    blocks, looping, in_rows = 0, False, False

    def wanted() -> bool:
        return bool(keys) and keys[0][1:].partition(".")[0] in _WANTED

    def close() -> None:
        """Keep the columns that end here, if they are wanted."""
        if wanted():
            if len(values) % len(keys) or (not looping and len(values) != len(keys)):
                raise ValueError(f"{len(values)} values for the {len(keys)} columns that begin with {keys[0]}")
            for k, key in enumerate(keys):
                category, _, column = key[1:].partition(".")
                categories.setdefault(category, {})[column] = list(values[k :: len(keys)])
        keys.clear()
        values.clear()

    for line in lines:
        first = line[:1]
        if first == "_":
            if not looping or in_rows:
                close()
                looping = in_rows = False
            words = _tokens(line)
            keys.append(words[0])
            values += words[1:]
        elif line[:5].lower() in ("loop_", "data_"):
            close()
            looping, in_rows = line[:5].lower() == "loop_", False
            blocks += not looping
            if blocks > 1:
                break
        elif first == ";":
            in_rows = True
            values.append("\n".join((line[1:], _text_block(lines))).strip())
        elif first != "#" and line.strip():
            in_rows = True
            if wanted():
                values += _tokens(line)
            elif not blocks:
                raise ValueError("its first line does not begin with data_")
    close()
    return categories


def _from_categories(categories: dict[str, Columns]) -> _Model:
    """Make a model of the categories of mmCIF, text or binary."""
    atoms = categories.get("atom_site", {})
    lacking = [c for c in ("label_atom_id", "label_comp_id", "Cartn_x", "Cartn_y", "Cartn_z") if c not in atoms]
    if lacking:
        raise _Unusable(f"the category atom_site lacks the columns {lacking}; expected a file of atomic coordinates")
    count = len(atoms["label_atom_id"])
    if any(len(values) != count for values in atoms.values()):
        raise ValueError("the columns of atom_site differ in length")
    empty = [""] * count
    chains = atoms.get("auth_asym_id") or atoms.get("label_asym_id") or empty
    labels, numbers = atoms.get("label_seq_id", empty), atoms.get("auth_seq_id", empty)
    codes, groups = atoms.get("pdbx_PDB_ins_code", empty), atoms.get("group_PDB", empty)
    models, occupancies = atoms.get("pdbx_PDB_model_num", empty), atoms.get("occupancy", empty)
    entities = atoms.get("label_entity_id", empty)
    numbered = {c for c, label in zip(chains, labels, strict=True) if label not in ("", 0)}
    model, entity_of = _Model(), dict[str, str]()
    for i in range(count):
        chain, label = chains[i], labels[i]
        if models[i] != models[0] or (chain in numbered and label in ("", 0)):
            continue
        number = f"{numbers[i] if numbers[i] != '' else label}{codes[i]}"
        key = (int(label), "") if chain in numbered else (int(numbers[i]), str(codes[i]))
        site = _Site(number, atoms["label_comp_id"][i], groups[i] == "HETATM" and chain not in numbered)
        if atoms["label_atom_id"][i] == "CA":
            x, y, z = (float(atoms[c][i]) for c in ("Cartn_x", "Cartn_y", "Cartn_z"))
            site.xyz, site.occupancy = (x, y, z), float(occupancies[i] if occupancies[i] != "" else 1.0)
        model.add(chain, key, site)
        if chain in numbered:
            entity_of.setdefault(chain, str(entities[i]))
    residues = _polymers(categories.get("entity_poly_seq", {}))
    model.polymers = {c: residues[e] for c, e in entity_of.items() if e in residues}
    modified = categories.get("pdbx_struct_mod_residue", {})
    model.parents = dict(zip(modified.get("label_comp_id", []), modified.get("parent_comp_id", []), strict=False))
    for category in ("struct_conf", "struct_sheet_range"):
        model.ranges += _ranges(categories.get(category, {}), category == "struct_conf", numbered)
    return model


def _polymers(columns: Columns) -> dict[str, list[tuple[Key | None, str]]]:
    """Residues of each entity, in order; of several at one place (heterogeneity) the first."""
    found: dict[str, dict[int, str]] = {}
    for entity, number, name in zip(*(columns.get(c, []) for c in _WANTED["entity_poly_seq"]), strict=True):
        found.setdefault(str(entity), {}).setdefault(int(number), name)
    return {e: [((n, ""), names[n]) for n in sorted(names)] for e, names in found.items()}


def _ranges(columns: Columns, conformations: bool, numbered: set[str]) -> Iterator[tuple[str, str, Key, Key]]:
    """Helices and strands of struct_conf, or strands of struct_sheet_range."""
    count = max((len(v) for v in columns.values()), default=0)
    empty = [""] * count
    kinds = columns.get("conf_type_id", empty) if conformations else ["STRN"] * count
    get = {name: columns.get(name, empty) for name in _RANGE}
    for i, kind in enumerate(kinds):
        helix = kind.upper().startswith("HELX") and not kind.upper().startswith("HELX_LH")  # left: polyproline
        if not helix and not kind.upper().startswith("STRN"):
            continue
        chain = get["beg_auth_asym_id"][i]
        ends = []
        for end in ("beg", "end"):
            label, author = get[f"{end}_label_seq_id"][i], get[f"{end}_auth_seq_id"][i]
            code = str(get[f"pdbx_{end}_PDB_ins_code"][i])
            ends.append((int(label), "") if chain in numbered and label != "" else (int(author), code))
        yield "H" if helix else "E", chain, ends[0], ends[1]


# -- BinaryCIF ----------------------------------------------------------------------------------------------

_TYPES = {1: "<i1", 2: "<i2", 3: "<i4", 4: "<u1", 5: "<u2", 6: "<u4", 32: "<f4", 33: "<f8"}


def _binary_categories(content: bytes) -> dict[str, Columns]:
    """Read the wanted categories of the first block of a BinaryCIF file (Sehnal et al. 2020)."""
    try:
        import msgpack  # type: ignore[import-untyped]
    except ImportError as error:
        raise MissingExtraError("msgpack", "structure") from error
    blocks = msgpack.unpackb(content)["dataBlocks"]
    categories: dict[str, Columns] = {}
    for category in blocks[0]["categories"]:
        name = category["name"].removeprefix("_")
        columns = {*_WANTED.get(name, ()), *(_RANGE if name in ("struct_conf", "struct_sheet_range") else ())}
        for column in category["columns"] if name in _WANTED else ():
            if column["name"] in columns:
                decoded = _decode(column["data"]["data"], column["data"]["encoding"])
                if len(decoded) != category["rowCount"]:
                    raise ValueError(f"{len(decoded)} values of {column['name']} in {category['rowCount']} rows")
                values = decoded.tolist()
                if column["mask"] is not None:
                    mask = _decode(column["mask"]["data"], column["mask"]["encoding"]).tolist()
                    values = ["" if m else v for v, m in zip(values, mask, strict=True)]
                categories.setdefault(name, {})[column["name"]] = values
    return categories


def _decode(data: Any, encodings: list[dict[str, Any]]) -> npt.NDArray[Any]:
    """Undo the encodings of an array, the last first; none may claim more values than _MOST_VALUES."""
    values: npt.NDArray[Any] = np.zeros(0)
    for encoding in reversed(encodings):
        kind = encoding["kind"]
        if kind == "ByteArray":
            values = np.frombuffer(data, dtype=_TYPES[encoding["type"]])
        elif kind == "FixedPoint":
            values = values.astype(np.float64) / encoding["factor"]
        elif kind == "IntervalQuantization":
            step = (encoding["max"] - encoding["min"]) / (encoding["numSteps"] - 1)
            values = encoding["min"] + values.astype(np.float64) * step
        elif kind == "Delta":
            values = np.cumsum(values, dtype=np.int64) + encoding["origin"]
        elif kind == "RunLength":
            pairs = values.reshape(-1, 2).astype(np.int64)
            if (pairs[:, 1] < 0).any() or not 0 <= float(pairs[:, 1].astype(np.float64).sum()) <= _MOST_VALUES:
                raise ValueError(f"a run of values is negative, or there are more than {_MOST_VALUES}")
            values = np.repeat(pairs[:, 0], pairs[:, 1])
        elif kind == "IntegerPacking":
            values = _unpack(values, encoding)
        elif kind == "StringArray":
            offsets = _decode(encoding["offsets"], encoding["offsetEncoding"]).tolist()
            text = encoding["stringData"]
            words = [text[a:b] for a, b in pairwise(offsets)]
            picks = _decode(data, encoding["dataEncoding"])
            values = np.array([*words, ""], dtype=object)[picks]  # -1: no value
        else:
            raise ValueError(f"the encoding {kind!r} is unknown")
    return values


def _unpack(values: npt.NDArray[Any], encoding: dict[str, Any]) -> npt.NDArray[np.int64]:
    """Undo IntegerPacking: a value at a limit of its type is added to the next."""
    bits = 8 * int(encoding["byteCount"])
    high = 2**bits - 1 if encoding["isUnsigned"] else 2 ** (bits - 1) - 1
    goes_on = values == high
    if not encoding["isUnsigned"]:
        goes_on |= values == -high - 1
    sums = np.cumsum(values, dtype=np.int64)[~goes_on]
    found: npt.NDArray[np.int64] = np.diff(sums, prepend=0)
    return found
