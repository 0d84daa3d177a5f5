"""Protein structure: C-alpha coordinates of every residue, from the protein's tokens and a stream."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.contract import TASKS, TaskSpec, Tokens
from zoo.errors import DataError, SpecError
from zoo.table_task import LabelCells, TableTask
from zoo.task import TargetCodec
from zoo.tasks import chains, parts
from zoo.tasks.base import Head, TaskKind
from zoo.tasks.chains import BOND, SHORTEST
from zoo.tasks.items import Floats
from zoo.tasks.structure_loss import local_loss, row_loss
from zoo.tasks.templates import TemplateReader
from zoo.thinning import evenly_spaced

if TYPE_CHECKING:
    from zoo.results import Figure

WIDTH = 64
"""Width of the trunk of a StructureHead where no hidden width is given."""
HELIX = (0.643, 0.300, 0.298, 0.639)
"""Turn from one C-alpha step to the next in an ideal alpha helix, the commonest of all: a quaternion, w first."""
REACH, FADE = 70.0, 5.0
"""Residues of a chain at which a new StructureHead trusts walk and placement alike, and how fast that changes."""
LOCAL = 3.0
"""Weight of the local loss of the walk beside the loss of the coordinates."""


def waves(position: Tensor, size: int, longest: float) -> Tensor:
    """Map positions (...) to (..., size) sines and cosines (Vaswani et al. 2017), waves up to 2 pi longest.

    Args:
        position: (...) positions.
        size: number of waves, an even number.
        longest: the longest wave is 2 pi times this.
    """
    steps = torch.arange(size // 2, device=position.device) / (size // 2 - 1)
    angle = position.unsqueeze(-1) * torch.exp(-math.log(longest) * steps)
    return torch.cat([angle.sin(), angle.cos()], -1)


def chain_positions(mask: Tensor) -> Tensor:
    """Map a mask (N, L) to features (N, L, 80) of where in its chain a residue is.

    The index i, the relative index 100 i / n, and the number of residues n of the chain, as waves.
    """
    length = mask.sum(1, keepdim=True).clamp_min(1).float()
    index = torch.arange(mask.shape[1], device=mask.device).float().expand(mask.shape)
    size = length.expand(mask.shape)
    return torch.cat([waves(index, 32, 1e4), waves(100 * index / length, 32, 1e3), waves(size, 16, 1e3)], -1)


class StructureHead(Head):
    """Map z (N, dim) and residue tokens (N, L, token_dim) to C-alpha coordinates and a walk, (N, L, 6).

    Tokens, z and chain positions are added; three residual convolutions over five residues follow. From
    these come two chains of coordinates in angstrom: a placement (a linear map, in a frame that the network
    chooses), which says where a residue of a known family lies but is slow to learn, and a walk
    (``chains.walk``), which follows from local sequence but whose errors add up along the chain. The first
    three outputs are the average of the placement and of the walk superposed on it, with a weight for each
    row that begins near the walk for short chains and near the placement for long ones; the last three are
    the walk. Padding changes nothing and gets zeros.
    Where the fold follows from local sequence the placement alone learns little (docs/decisions).

    Args:
        spec: spec of the task, whose num_outputs is L, the number of token positions.
        dim: width of the stream vector.
        token_dim: width of the protein's tokens.
        hidden: width of the trunk, 0 for WIDTH.
        dropout: dropout rate in the trunk.
        templates: training chains that a row is modelled on at most (see TemplateReader); 0 for none. The outputs are
            then the average of the modelled chain and of the above superposed on it, by the trust in the first.
    """

    scale = 10.0
    """Coordinates in angstrom per unit of output."""

    def __init__(
        self,
        spec: TaskSpec,
        dim: int,
        token_dim: int,
        *,
        hidden: int = 0,
        dropout: float = 0.0,
        templates: int = 0,
    ) -> None:
        super().__init__()
        parts.check_head(hidden, dropout)
        if templates < 0:
            raise SpecError(f"StructureHead: templates must be 0 (none) or more, got {templates}")
        self.task = spec.name
        self.length = length = spec.num_outputs
        width = hidden or WIDTH
        self.token = nn.Linear(token_dim, width)
        self.stream = nn.Linear(dim, width)
        self.position = nn.Linear(80, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.mixes = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(3))
        self.outs = nn.ModuleList(nn.Sequential(nn.Dropout(dropout), nn.Linear(width, width)) for _ in range(3))
        self.norm = nn.LayerNorm(width)
        self.place = nn.Linear(width, 3)
        self.turn = nn.Linear(width, 4)
        self.trust = nn.Linear(width, 1)
        with torch.no_grad():
            self.turn.bias.copy_(torch.tensor(HELIX))
            self.trust.weight.zero_()
            self.trust.bias.zero_()
        self.reader = TemplateReader(length, width, templates, dropout) if templates else None
        self.examples = templates > 0

    def remember(self, inputs: Tensor, targets: Tensor) -> None:
        """Take the training chains: codes (M, L) and targets (M, L, 4)."""
        if self.reader is not None:
            self.reader.remember(inputs, targets)

    def forward(self, z: Tensor, tokens: Tokens | None = None) -> Tensor:
        """Map (N, dim) and Tokens of N rows to (N, L, 6) in angstrom: coordinates, and the walk in them."""
        protein = parts.need_tokens(self.task, z, tokens)
        if protein.mask.shape[1] != self.length:
            raise SpecError(
                f"the head of task '{self.task}' got tokens of {protein.mask.shape[1]} positions, but predicts "
                f"{self.length} residues; use an encoder that keeps one token a residue and give the protein "
                "modality and the task the same length"
            )
        real = protein.mask.unsqueeze(-1).to(z.dtype)
        x = self.token(protein.values) + self.stream(z).unsqueeze(1)
        x = x + self.position(chain_positions(protein.mask).to(z.dtype))
        for norm, mix, out in zip(self.norms, self.mixes, self.outs, strict=True):
            x = x + out(F.gelu(mix((norm(x) * real).transpose(1, 2)).transpose(1, 2)))
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 would round 60 angstrom by 0.25
            x, real = self.norm(x.to(self.token.weight.dtype)), real.to(self.token.weight.dtype)
            placed = self.scale * self.place(x)
            walked = chains.superpose(chains.walk(self.turn(x), BOND), placed, real.squeeze(-1))
            count = real.sum(1, keepdim=True).clamp_min(1)
            share = torch.sigmoid(self.trust((x * real).sum(1, keepdim=True) / count) + (REACH - count) / FADE)
            chain = share * walked + (1 - share) * placed
            if self.reader is not None:
                chain = self._modelled(self.reader, x, chain, protein)
            both: Tensor = torch.cat([chain, walked], -1) * real
        return both

    def _modelled(self, reader: TemplateReader, x: Tensor, chain: Tensor, protein: Tokens) -> Tensor:
        """The chain of the templates, averaged with ``chain`` (N, L, 3) by the trust in it."""
        if protein.codes is None:
            raise SpecError(f"the head of task '{self.task}' reads templates, but got tokens without codes")
        modelled, trust = reader(x, protein.codes)
        share = trust.view(-1, 1, 1)
        out: Tensor = share * modelled + (1 - share) * chains.superpose(chain, modelled, protein.mask.to(chain.dtype))
        return out


class CoordinateCodec(TargetCodec):
    """Encode (l, 4) coordinates and marks of resolved residues as (L, 4), cut or filled with zeros."""

    def spec(self) -> TaskSpec:
        """The TaskSpec: an output for each residue, without names."""
        return self.make_spec(self.length)

    def __call__(self, label: npt.ArrayLike, row: str) -> Tensor:
        """Encode one chain; coordinates of residues that are not resolved become 0."""
        xyz = np.asarray(label, dtype=np.float32)
        if xyz.ndim != 2 or xyz.shape[1] != 4:
            raise DataError(
                f"task '{self.task.name}': expected (L, 4) coordinates and mask, got {xyz.shape}", row=row
            )
        xyz = xyz[: self.length]  # a longer protein was cut there, or refused by its processor
        known = xyz[:, 3] > 0
        if not np.isfinite(xyz[known, :3]).all():
            raise DataError(f"task '{self.task.name}': a resolved coordinate is not finite", row=row)
        out = np.zeros((self.length, 4), dtype=np.float32)
        out[: len(xyz), :3] = np.where(known[:, None], xyz[:, :3], 0.0)
        out[: len(xyz), 3] = known
        return torch.from_numpy(out)


@TASKS.register_as("structure")
class Structure(TaskKind):
    """C-alpha coordinates; targets (N, L, 4): x, y, z in angstrom, and 1 where resolved (else 0).

    Predictions are (N, L, 3) in angstrom, in a frame of their own; L = num_outputs. Logits are (N, L, 6): the
    same coordinates, and the walk that went into them (see StructureHead).
    """

    kind = "structure"
    primary = "tm_score"
    codec = CoordinateCodec
    chance_draws = 3
    reads_tokens = True
    float_targets = True

    @classmethod
    def table_classes(
        cls, name: str, told: TableTask, distinct: Callable[[str], list[str]], *, least: int = 2
    ) -> tuple[str, ...]:
        """No classes."""
        return ()

    @classmethod
    def table_label(cls, name: str, told: TableTask, cells: LabelCells) -> npt.NDArray[np.float32] | None:
        """The (L, 4) array of a row's file; (L, 3) coordinates get the mark of residues that are resolved."""
        array = cells.array(told.labels(name)[0])
        if array is not None and array.ndim == 2 and array.shape[1] == 3:
            resolved = np.asarray(np.isfinite(array).all(axis=1))
            return np.concatenate([np.where(resolved[:, None], array, 0.0), resolved[:, None]], 1).astype(np.float32)
        return array

    @classmethod
    def target_shape(cls, spec: TaskSpec) -> tuple[int, ...]:
        """(L, 4): x, y, z in angstrom, and 1 where resolved."""
        return (spec.num_outputs, 4)

    def head(self, dim: int, token_dim: int, hidden: int = 0, dropout: float = 0.0) -> StructureHead:
        """Make a StructureHead without templates; ``hidden`` is the width of its trunk, 0 for WIDTH."""
        return StructureHead(self.spec, dim, token_dim, hidden=hidden, dropout=dropout)

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the (N,) losses of logits: ``row_loss`` of the coordinates + LOCAL ``local_loss`` of the walk."""
        return row_loss(logits[..., :3], target) + LOCAL * local_loss(logits[..., 3:], target)

    def predict(self, logits: Tensor) -> Tensor:
        """Return the coordinates (N, L, 3) in angstrom of logits (N, L, 6), in float32."""
        return logits[..., :3].float()

    def combine(self, predictions: Tensor, weights: Tensor, voting: bool = False) -> Tensor:
        """Take, row by row, the coordinates (N, L, 3) of the stream with the highest weight (the first of equals).

        Streams predict in frames of their own, so their coordinates cannot be averaged; a vote is the same.
        """
        return predictions[weights.argmax(0), torch.arange(predictions.shape[1], device=predictions.device)]

    def _rows(self, prediction: Tensor, target: Tensor) -> list[tuple[Tensor, Tensor]]:
        keep = target[..., 3] > 0
        return [(p[k].double(), t[k, :3].double()) for p, t, k in zip(prediction, target, keep, strict=True)]

    def row_scores(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(N,) TM-scores in [0, 1] with the known correspondence of residues, by tmtools.

        Zhang and Skolnick 2004, eq. 1, over resolved residues, normalised by their number. NaN where fewer
        than SHORTEST are resolved; 0 where a predicted coordinate is not finite.
        """
        return torch.tensor([chains.tm_of(x, y, known=True) for x, y in self._rows(prediction, target)])

    def metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return tm_score, rmsd, lddt_ca and undefined.

        tm_score is the mean of ``row_scores``. rmsd is in angstrom after superposition (lower is better).
        lddt_ca is Mariani et al. 2013 over C-alpha, which does not tell a chain from its mirror image.
        undefined counts the rows with fewer than SHORTEST resolved residues, which enter no mean; a row with
        a coordinate that is not finite scores 0 (rmsd: infinite). NaN where no row is left.
        """
        rmsd, lddt, undefined = [], [], 0
        for x, y in self._rows(prediction, target):
            undefined += len(y) < SHORTEST
            if len(y) < SHORTEST:
                continue
            good = bool(torch.isfinite(x).all())
            rmsd.append(chains.rmsd(x, y) if good else math.inf)
            lddt.append(chains.lddt(x, y) if good else 0.0)
        return {
            "tm_score": self.primary_value(prediction, target),
            "rmsd": parts.nan_mean(rmsd),
            "lddt_ca": parts.nan_mean(lddt),
            "undefined": float(undefined),
        }

    def slow_metrics(self, prediction: Tensor, target: Tensor) -> dict[str, float]:
        """Return tm_align: the mean TM-score of TM-align (Zhang and Skolnick 2005), normalised by the reference.

        It looks for its own alignment of the two chains and so forgives a shift along the sequence; any two
        chains of one kind score well. Rows are treated as in ``row_scores``.
        """
        return {
            "tm_align": parts.nan_mean([chains.tm_of(x, y, known=False) for x, y in self._rows(prediction, target)])
        }

    def constant(self, train_target: Tensor, n: int) -> Tensor:
        """The medoid of at most 40 training chains (evenly spaced in their order), for every row: (n, L, 3).

        Residue i of a row gets residue i of the medoid; see ``extend`` for rows that are longer.
        """
        known = chains.resolved_chains(self.spec.name, train_target)
        some = [known[i] for i in evenly_spaced(len(known), 40)]
        chain = chains.extend(chains.medoid(some), self.spec.num_outputs)
        return torch.from_numpy(chain).float().expand(n, -1, -1).clone()

    def chance(self, train_target: Tensor, n: int, generator: np.random.Generator) -> Tensor:
        """A training chain drawn at random for each row, (n, L, 3), laid out as in ``constant``."""
        known = chains.resolved_chains(self.spec.name, train_target)
        rows = [chains.extend(known[i], self.spec.num_outputs) for i in generator.integers(0, len(known), n)]
        return torch.from_numpy(np.stack(rows)).float() if rows else torch.zeros((0, self.spec.num_outputs, 3))

    def prediction_shape(self) -> tuple[int, ...]:
        """(L, 3): the coordinates of each residue."""
        return (self.spec.num_outputs, 3)

    def lengthened(self, prediction: Tensor, target: Tensor, length: int) -> tuple[Tensor, Tensor]:
        """Add residues that are not resolved."""
        more = (0, 0, 0, length - target.shape[1])
        return F.pad(prediction, more), F.pad(target, more)

    def label_order(self, target: Tensor, train_target: Tensor) -> tuple[Floats, str]:
        """By the number of resolved residues."""
        length = (target[..., 3] > 0).sum(1).double().numpy()
        return parts.rank_shares(length), "longer chains are missing more"

    def describe(self, prediction: Tensor, target: Tensor) -> tuple[str, str]:
        """How many residues are resolved, and how near the prediction is."""
        measured = self.metrics(prediction, target)
        return (
            f"{int((target[0, :, 3] > 0).sum())} resolved residues",
            f"TM-score {measured['tm_score']:.2f}, RMSD {measured['rmsd']:.1f} angstrom",
        )

    def figures(self, prediction: Tensor, target: Tensor, ids: Sequence[str], data: str) -> list[Figure]:
        """The best, the median and the worst chain, laid over the truth."""
        from zoo.tasks.figures import overlaid_chains  # here, for it brings pandas

        return overlaid_chains(self.spec.name, prediction, target, self.row_scores(prediction, target), ids, data)

    def known(self, target: Tensor) -> Tensor:
        """(N,) bool, the rows with SHORTEST resolved residues."""
        return (target[..., 3] > 0).sum(-1) >= SHORTEST
