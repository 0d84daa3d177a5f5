"""What the readers of structure files gather: molecules of residues, in the order of the file."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from datamodules.io.formats.residues import is_common, one_letter

Key = tuple[int, str]
"""Place of a residue in its chain: author number and insertion code, or the number in the entity and ""."""
Polymer = list[tuple[Key | None, str]]
"""Names of the residues of a chain as they were in the experiment, with keys where these are known."""


@dataclass
class Site:
    """A residue with atoms: of alternate ones, that whose C-alpha has the highest occupancy (the first of equals).

    Attributes:
        number: of the authors, with its insertion code.
        name: of the residue.
        hetero: whether its record is HETATM.
        polymer: whether the file says that it belongs to a chain of residues.
        occupancy: of the C-alpha that is kept.
        xyz: place of the C-alpha in angstrom; None where it is not in the file.
        atoms: names of its atoms with their alternate locations.
    """

    number: str
    name: str
    hetero: bool
    polymer: bool = False
    occupancy: float = -math.inf
    xyz: tuple[float, float, float] | None = None
    atoms: set[tuple[str, str]] = field(default_factory=set)


@dataclass
class Molecule:
    """The residues of one chain.

    Attributes:
        name: identifier that the authors gave the chain; "" for none.
        label: identifier that mmCIF gave it; "" for none.
        segment: segment of its first atom, as CHARMM writes it; "" for none.
        sites: key -> residue.
        polymer: its residues by SEQRES or entity_poly_seq; [] where the file does not say.
        last: key of the residue that came last.
        ended: whether a TER record followed.
    """

    name: str
    label: str = ""
    segment: str = ""
    sites: dict[Key, Site] = field(default_factory=dict)
    polymer: Polymer = field(default_factory=list)
    last: Key = (-(10**9), "")
    ended: bool = False

    def add(self, key: Key, site: Site, atom: tuple[str, str]) -> None:
        """Take an atom; ``site`` holds its place where it is a C-alpha."""
        held = self.sites.setdefault(key, site)
        held.atoms.add(atom)
        self.last = key
        if site.xyz is not None and site.occupancy > held.occupancy:
            held.name, held.hetero, held.occupancy, held.xyz = site.name, site.hetero, site.occupancy, site.xyz

    def is_followed(self, key: Key, atom: tuple[str, str], segment: str) -> bool:
        """Whether an atom of a residue cannot belong to this molecule, though its chain has the same identifier.

        It cannot where it is there already, or where the numbering restarts after TER. In files without identifiers
        of chains, as simulation programs write them, any TER, any step back of the numbering and any other segment
        begins the next molecule.

        Args:
            key: place of the residue.
            atom: name and alternate location.
            segment: of the atom.
        """
        if not self.sites or (key == self.last and not self.ended):
            return False
        if key in self.sites and atom in self.sites[key].atoms:
            return True
        if self.name:
            return self.ended and key[0] <= self.last[0]
        return self.ended or key[0] < self.last[0] or segment != self.segment


@dataclass
class Model:
    """What the first model of a file holds.

    Attributes:
        molecules: in the order of the file.
        parents: name of a modified residue -> name of its parent.
        ranges: (letter, chain, first key, last key) of helices (first) and strands.
    """

    molecules: list[Molecule] = field(default_factory=list)
    parents: dict[str, str] = field(default_factory=dict)
    ranges: list[tuple[str, str, Key, Key]] = field(default_factory=list)

    def proteins(self) -> dict[str, Molecule]:
        """The molecules that have a C-alpha, by identifier, with only their residues.

        Where several have one identifier, the first keeps it; the others go by their label of mmCIF, or get ":2" and
        so on behind it. Only the first has the records of the file that go by chain.
        """
        found: dict[str, Molecule] = {}
        for molecule in self.molecules:
            polymer = {name for _, name in molecule.polymer}
            kept = {key: site for key, site in molecule.sites.items() if self._is_residue(site, polymer)}
            if not any(site.xyz is not None for site in kept.values()):
                continue
            name = molecule.name
            if name in found and molecule.label and molecule.label not in found:
                name = molecule.label
            count = 2
            while name in found:
                name, count = f"{molecule.name}:{count}", count + 1
            found[name] = replace(molecule, sites=kept)
        return found

    def _is_residue(self, site: Site, polymer: set[str]) -> bool:
        """Whether a site is a residue of a protein: an amino acid, or any other thing with a C-alpha in a chain."""
        if site.xyz is None:
            return site.polymer or site.name in polymer or is_common(site.name)
        if site.polymer or not site.hetero or site.name in polymer:
            return True
        return bool(one_letter(site.name, hetero=True, parents=self.parents))
