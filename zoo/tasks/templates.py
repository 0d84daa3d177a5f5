"""Templates: a protein's chain from those of its homologues in the training rows, as a part of a network."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.contract import AMINO_ACIDS, PAD
from zoo.tasks.chains import superpose
from zoo.tasks.homologues import Floats, Homologue, Homologues, fill_chain

FEATURES = 5
"""What is told of a template at a residue; see ``TemplateReader``."""
HIDDEN = 32
"""Width of the layer that weighs templates."""
FADE = 0.01
"""Share of the self-score around 0 within which the trust in templates turns."""
HIDE = 0.2
"""Share of training rows that see no template, so that the network learns to do without."""
KEPT = 4096
"""Sequences whose templates are kept in memory."""
ROUNDS = 3
"""Superpositions of a template on the best one, each with less weight on what lies apart."""
FAR = 2.0
"""Distance in angstrom at which a residue of a template counts half in the next superposition."""


def residues(codes: Tensor) -> str:
    """The letters of one row of codes (L,), without padding.

    >>> residues(torch.tensor([1, 2, 0])) == AMINO_ACIDS[:2]
    True
    """
    return "".join(AMINO_ACIDS[c - 1] for c in codes[codes != PAD].tolist())


def on_the_best(found: list[Homologue]) -> list[Floats]:
    """Coordinates of the templates superposed on the first, over the residues that both know.

    Weighted anew in each of ROUNDS by 1 / (1 + (d / FAR)^2), so that a loop that moved does not turn the rest.
    """
    first = torch.from_numpy(found[0].xyz)[None]
    moved = [found[0].xyz]
    for other in found[1:]:
        both = torch.from_numpy(found[0].known & other.known).double()[None]
        x, weight = torch.from_numpy(other.xyz)[None], both
        for _ in range(ROUNDS if both.sum() >= 3 else 0):
            x = superpose(x, first, weight)
            weight = both / (1 + ((x - first) ** 2).sum(-1) / FAR**2)
        moved.append(x[0].numpy())
    return moved


@dataclass(frozen=True)
class Templates:
    """The k templates of a sequence of n residues, superposed.

    Attributes:
        xyz: (k, n, 3) in angstrom, 0 where not known.
        features: (k, n, 4): whether the residues are the same, the share of those that are, score over self-score,
            and log of score over best score.
        known: (k, n) 1 where the template has the residue.
        filled: (n, 3) the mean weighted by squared scores, filled in where no template knows a residue.
        score: of the best, over the self-score.
    """

    xyz: Tensor
    features: Tensor
    known: Tensor
    filled: Tensor
    score: Tensor


def lay_out(found: list[Homologue], self_score: float) -> Templates:
    """Superpose homologues, at least one, and describe them; ``self_score`` is the sequence's own."""
    xyz, known = np.stack(on_the_best(found)), np.stack([t.known for t in found])
    scores = np.array([max(t.score, 1e-3) for t in found])
    ratio = scores / scores[0]
    weight = known * ratio[:, None] ** 2
    mean = (xyz * weight[..., None]).sum(0) / weight.sum(0).clip(1e-12)[:, None]
    share = np.array([t.same.sum() / t.known.sum() for t in found])
    whole = np.array([t.score for t in found]) / max(self_score, 1e-3)
    told = np.broadcast_to(np.stack([share, whole, np.log(ratio)], -1)[:, None], (*known.shape, 3))
    features = np.concatenate([np.stack([t.same for t in found])[..., None], told], -1)
    values = (xyz, features, known, fill_chain(mean, np.any(known, 0)), whole[0])
    return Templates(*(torch.from_numpy(np.asarray(v)).float() for v in values))


def frames(chain: Tensor, real: Tensor) -> Tensor:
    """Frames (N, L, 3, 3), one a residue, as rows, of chains (N, L, 3); they turn with the chain.

    Orthonormal where a residue and both its neighbours are ``real`` (N, L), zero elsewhere.
    """
    ahead, behind, own = chain[:, 2:], chain[:, :-2], chain[:, 1:-1]
    along = nn.functional.normalize(ahead - behind, dim=-1, eps=1e-6)
    aside = 2 * own - ahead - behind
    aside = nn.functional.normalize(aside - (aside * along).sum(-1, keepdim=True) * along, dim=-1, eps=1e-6)
    found = torch.stack([along, aside, torch.linalg.cross(along, aside)], -2)
    inner = real[:, 2:] & real[:, :-2] & real[:, 1:-1]
    return nn.functional.pad(found * inner[..., None, None], (0, 0, 0, 0, 1, 1))


class Library:
    """Known chains, and what was looked up in them. Copies of a module share it, also those of averaged weights.

    Args:
        length: L, the number of residues that rows are padded to.
    """

    def __init__(self, length: int) -> None:
        self.rows = torch.zeros(0, length, 5)
        self._known: Homologues | None = None
        self._found: OrderedDict[tuple[bytes, int, bool], Templates | None] = OrderedDict()

    def __deepcopy__(self, memo: dict[int, Any]) -> Library:
        return self

    def fill(self, rows: Tensor) -> None:
        """Take other chains, (M, L, 5): code of the residue, x, y, z in angstrom, and 1 where resolved."""
        self.rows = rows.detach().cpu().float()
        self._known = None
        self._found.clear()

    def templates(self, row: Tensor, count: int, other: bool) -> Templates | None:
        """What is known of a row of codes (L,) on the CPU; None where no chain aligns to it.

        Args:
            row: codes of a sequence.
            count: templates at most.
            other: leave out chains of the very same sequence.
        """
        key = (row.to(torch.uint8).numpy().tobytes(), count, other)
        if key not in self._found:
            if self._known is None:
                sequences = [residues(r[:, 0].long()) for r in self.rows]
                self._known = Homologues(sequences, list(self.rows[..., 1:].double().numpy()))
            sequence = residues(row)
            found = self._known.nearest(sequence, count, other)
            self._found[key] = lay_out(found, self._known.self_score(sequence)) if found else None
            if len(self._found) > KEPT:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        return self._found[key]


class TemplateReader(nn.Module):
    """Model chains on their homologues among the training chains (AlphaFold 2's template features, in the small).

    A sequence is aligned to the training chains (``Homologues``), in training to those of other sequences. Of the
    ``count`` best, laid along it and superposed on the best, each residue is a weighted mean; the weights are a
    softmax over the templates that know the residue. It begins at squared alignment scores, and a small network adds
    to it what it learns from the residue's own vector and five features: whether the residues are the same, the share
    of those that are, the score over the self-score and over the best score, and the distance from the mean. Residues
    that no template knows are filled in by ``fill_chain``. A learned shift in each residue's own frame follows.

    The trust in the result is near 1 where the best alignment scores positively and near 0 where it does not, as
    between unrelated chains. The weighted mean is nearer the truth than the best template alone (docs/decisions).

    Args:
        length: L, the number of residues that rows are padded to.
        width: of a residue's vector.
        count: templates a sequence at most.
        dropout: dropout rate in the network that weighs.
    """

    keeps_rows = True  # so that a bundle says so, and can leave them out

    def __init__(self, length: int, width: int, count: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.count = count
        self.library = Library(length)
        last = nn.Linear(HIDDEN, 1)
        self.weigh = nn.Sequential(nn.Linear(width + FEATURES, HIDDEN), nn.GELU(), nn.Dropout(dropout), last)
        self.shift = nn.Linear(width, 3)
        for layer in (last, self.shift):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def remember(self, codes: Tensor, chains: Tensor) -> None:
        """Take the training chains: codes (M, L) and targets (M, L, 4)."""
        self.library.fill(torch.cat([codes.unsqueeze(-1).to(chains), chains], -1))

    def get_extra_state(self) -> Tensor:
        """The chains, which are stored with the weights."""
        return self.library.rows

    def set_extra_state(self, state: Tensor) -> None:
        """Take stored chains."""
        self.library.fill(state)

    def look_up(self, codes: Tensor) -> tuple[Tensor, ...]:
        """Map codes (N, L) to the fields of ``Templates``, padded to (N, k, L, ...) or (N, L, 3), and the trust (N,).

        In training no template is of the sequence itself.
        """
        n, length, k = len(codes), codes.shape[1], self.count
        xyz, features = torch.zeros(n, k, length, 3), torch.zeros(n, k, length, FEATURES - 1)
        known, filled, trust = torch.zeros(n, k, length), torch.zeros(n, length, 3), torch.zeros(n)
        for i, row in enumerate(codes.cpu()):
            found = self.library.templates(row, k, self.training)
            if found is not None:
                t, size = found.known.shape
                xyz[i, :t, :size], features[i, :t, :size] = found.xyz, found.features
                known[i, :t, :size], filled[i, :size] = found.known, found.filled
                trust[i] = torch.sigmoid(found.score / FADE)
        return tuple(t.to(codes.device) for t in (xyz, features, known, filled, trust))

    def forward(self, x: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Map residue vectors x (N, L, width) and codes (N, L) to chains (N, L, 3) in angstrom and trust (N,)."""
        xyz, features, known, filled, trust = self.look_up(codes)
        apart = ((xyz - filled.unsqueeze(1)) ** 2).sum(-1, keepdim=True).add(1e-6).sqrt()
        own = x.unsqueeze(1).expand(-1, self.count, -1, -1)
        learned = self.weigh(torch.cat([own, features, (apart / FAR).clamp_max(5.0)], -1)).squeeze(-1)
        logit = 2 * features[..., 3] + learned  # the softmax of the first term are squared scores
        weight = torch.softmax(logit.masked_fill(known == 0, -1e4), 1).unsqueeze(-1)
        chain = torch.where(known.any(1).unsqueeze(-1), (weight * xyz).sum(1), filled)
        chain = chain + torch.einsum("nli,nlij->nlj", self.shift(x), frames(chain, codes != PAD))
        if self.training:
            trust = trust * (torch.rand_like(trust) >= HIDE)
        return chain, trust
