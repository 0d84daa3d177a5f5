"""Reading of mmCIF and BinaryCIF files, by biotite: the categories that a chain needs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from datamodules.io.formats.structure_model import Key, Model, Molecule, Polymer, Site

MOST_VALUES = 2**23
"""Values that a column of BinaryCIF may unpack to; the largest entries have some millions of atoms."""

Columns = dict[str, list[Any]]
"""Columns of a category of mmCIF: strings, or numbers where the file is binary; "" where a value is unknown."""


class Lacking(Exception):
    """The file is no file of atomic coordinates."""


_WANTED: dict[str, tuple[str, ...]] = {
    "atom_site": (
        "group_PDB",
        "type_symbol",
        "label_atom_id",
        "label_alt_id",
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
_RANGED = ("struct_conf", "struct_sheet_range")


def text_categories(content: bytes) -> dict[str, Columns]:
    """Read the wanted categories of the first block of an mmCIF file, by biotite."""
    from biotite.structure.io.pdbx import CIFFile

    text = content.decode("utf-8", errors="replace")
    if not text.lstrip().lower().startswith(("data_", "#")):
        raise ValueError("its first line does not begin with data_")
    return _columns(CIFFile.read(io.StringIO(text)))


def binary_categories(content: bytes) -> dict[str, Columns]:
    """Read the wanted categories of the first block of a BinaryCIF file (Sehnal et al. 2020), by biotite."""
    import msgpack  # type: ignore[import-untyped]
    from biotite.structure.io.pdbx import BinaryCIFFile

    _check_claims(msgpack.unpackb(content))
    return _columns(BinaryCIFFile.read(io.BytesIO(content)))


def _columns(file: Any) -> dict[str, Columns]:
    """The wanted columns of the first block of a file that biotite has read; "" where a value is unknown."""
    block = next(iter(file.values()))
    categories: dict[str, Columns] = {}
    for name, wanted in _WANTED.items():
        if name in block:
            category = block[name]
            columns = [c for c in (*wanted, *(_RANGE if name in _RANGED else ())) if c in category]
            categories[name] = {c: _values(category[c]) for c in columns}
    return categories


def _values(column: Any) -> list[Any]:
    values = column.data.array.tolist()
    if column.mask is None:
        return [str(v) if isinstance(v, bytes) else v for v in values]
    return ["" if hidden else v for v, hidden in zip(values, column.mask.array.tolist(), strict=True)]


def _check_claims(value: Any) -> None:
    """Refuse a BinaryCIF file one of whose encodings claims, or leaves open, more values than MOST_VALUES."""
    if isinstance(value, dict):
        if value.get("kind") == "RunLength" and not 0 <= int(value.get("srcSize", MOST_VALUES + 1)) <= MOST_VALUES:
            raise ValueError(f"runs of values claim to be more than {MOST_VALUES}")
        for inner in value.values():
            _check_claims(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_claims(inner)


def from_categories(categories: dict[str, Columns]) -> Model:
    """Make a model of the categories of mmCIF, text or binary."""
    atoms = categories.get("atom_site", {})
    lacking = [c for c in ("label_atom_id", "label_comp_id", "Cartn_x", "Cartn_y", "Cartn_z") if c not in atoms]
    if lacking:
        raise Lacking(f"the category atom_site lacks the columns {lacking}; expected a file of atomic coordinates")
    count = len(atoms["label_atom_id"])
    if any(len(values) != count for values in atoms.values()):
        raise ValueError("the columns of atom_site differ in length")
    empty = [""] * count
    chains = [str(c) for c in atoms.get("auth_asym_id") or atoms.get("label_asym_id") or empty]
    labels = atoms.get("label_seq_id", empty)
    numbered = {chain for chain, label in zip(chains, labels, strict=True) if label not in ("", 0)}
    model = Model()
    entities = _add_atoms(atoms, count, chains, numbered, model)
    residues = _polymers(categories.get("entity_poly_seq", {}))
    for molecule, entity in zip(model.molecules, entities, strict=True):
        molecule.polymer = residues.get(entity, []) if molecule.name in numbered else []
    modified = categories.get("pdbx_struct_mod_residue", {})
    model.parents = dict(zip(modified.get("label_comp_id", []), modified.get("parent_comp_id", []), strict=False))
    for category in ("struct_conf", "struct_sheet_range"):
        model.ranges += _ranges(categories.get(category, {}), category == "struct_conf", numbered)
    return model


def _add_atoms(atoms: Columns, count: int, chains: list[str], numbered: set[str], model: Model) -> list[str]:
    """Take the atoms of the first model; return the entity of each molecule.

    Residues of polymers are numbered by their entity; others, and ligands, have no such number. Two polymers that
    the authors gave one identifier are told apart by their label_asym_id.
    """
    empty = [""] * count

    def column(name: str) -> list[Any]:
        return atoms.get(name, empty)

    labels, numbers, codes = column("label_seq_id"), column("auth_seq_id"), column("pdbx_PDB_ins_code")
    models, occupancies, alternates = column("pdbx_PDB_model_num"), column("occupancy"), column("label_alt_id")
    current: dict[tuple[str, str], Molecule] = {}
    entities: list[str] = []
    for i in range(count):
        chain, label, name = chains[i], labels[i], str(atoms["label_atom_id"][i])
        polymer = chain in numbered
        if models[i] != models[0] or (polymer and label in ("", 0)):
            continue
        asym = str(column("label_asym_id")[i])
        key = (int(label), "") if polymer else (int(numbers[i]), str(codes[i]))
        hetero = column("group_PDB")[i] == "HETATM"
        number = f"{numbers[i] if numbers[i] != '' else label}{codes[i]}"
        site = Site(number, str(atoms["label_comp_id"][i]), hetero, polymer)
        if name == "CA" and str(column("type_symbol")[i]).upper() != "CA":
            x, y, z = (float(atoms[c][i]) for c in ("Cartn_x", "Cartn_y", "Cartn_z"))
            site.xyz, site.occupancy = (x, y, z), float(occupancies[i] if occupancies[i] != "" else 1.0)
        place, atom = (chain, asym if polymer else ""), (name, str(alternates[i]))
        molecule = current.get(place)
        if molecule is None or (not hetero and molecule.is_followed(key, atom, "")):
            molecule = current[place] = Molecule(chain, asym)
            model.molecules.append(molecule)
            entities.append(str(column("label_entity_id")[i]))
        molecule.add(key, site, atom)
    return entities


def _polymers(columns: Columns) -> dict[str, Polymer]:
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
