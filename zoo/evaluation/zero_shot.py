"""Zero-shot classification: compare embeddings of rows with embeddings of the names of classes that were never seen.

There are no prototypes without examples; what there is are names. Either a linear map between embeddings and names is
learned on seen classes (ESZSL), or the names go through the model's own text stream (as in CLIP).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from zoo.errors import SpecError

Codes = npt.NDArray[np.int64]
STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
"""Values of gamma and lambda that ESZSL chooses from, on standardised embeddings; gamma is a share of N."""
FOLDS = 4


def name_vectors(names: Sequence[str]) -> Tensor:
    """Map L names to (L, F) TF-IDF vectors of their character 2- to 4-grams, of unit length.

    The plain fallback where no sentence encoder is installed: names are alike where their letters are.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    table = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit_transform(names)
    return torch.from_numpy(table.toarray()).float()


def readable(name: str) -> str:
    """A class name as words.

    >>> readable("NK_cell-like")
    'NK cell like'
    """
    return " ".join(name.replace("_", " ").replace("-", " ").split())


def telling(names: Sequence[str]) -> bool:
    """Whether names differ in more than numbers; "type 3" and "type 4" do not, and say nothing of a class.

    >>> telling(["type_3", "type_4"]), telling(["B cell", "T cell"])
    (False, True)
    """
    bare = {"".join(c for c in name if not c.isdigit()) for name in names}
    return len(bare) > 1 or len(names) < 2


def fit_eszsl(vectors: Tensor, labels: Tensor, signatures: Tensor, gamma: float, strength: float) -> Tensor:
    """Learn V (D, A) such that x V s is large for the signature s of the class of x, and small for the others.

    V = (X'X + gamma N I)^-1 X' Y S (S'S + strength I)^-1 with Y of +1 and -1 (Romera-Paredes and Torr, ICML 2015,
    Eq. 6, rows for columns).

    Args:
        vectors: (N, D) embeddings of rows of seen classes, centred.
        labels: (N,) positions in ``signatures``.
        signatures: (S, A) of the seen classes.
        gamma: penalty on the side of the embeddings, as a share of N.
        strength: penalty on the side of the signatures.
    """
    if len(torch.unique(labels)) < 2:
        raise SpecError("zero-shot learning needs rows of at least two seen classes; hold out fewer classes")
    x, s = vectors.double(), signatures.double()
    y = torch.full((len(x), len(s)), -1.0, dtype=torch.float64)
    y[torch.arange(len(x)), labels] = 1.0
    left = x.T @ x + gamma * len(x) * torch.eye(x.shape[1], dtype=torch.float64)
    right = s.T @ s + strength * torch.eye(s.shape[1], dtype=torch.float64)
    first = torch.linalg.solve(left, x.T @ y @ s)
    found: Tensor = torch.linalg.solve(right, first.T).T.float()
    return found


def eszsl_scores(vectors: Tensor, weights: Tensor, signatures: Tensor) -> Tensor:
    """Map (N, D) vectors to their agreement (N, L) with the signatures (L, A) of classes.

    Args:
        vectors: (N, D) of the rows.
        weights: (D, A) learned on seen classes.
        signatures: (L, A) of the classes to choose from.
    """
    return vectors @ weights @ signatures.T


def choose_eszsl(vectors: Tensor, labels: Tensor, signatures: Tensor, seed: int = 0) -> tuple[float, float]:
    """Choose gamma and lambda by holding out seen classes in turn, as the paper's authors do.

    Args:
        vectors: (N, D) of training rows.
        labels: (N,) seen classes.
        signatures: (L, A) of the classes.
        seed: of the folds.

    Returns:
        The pair of STRENGTHS with the best accuracy, averaged over classes, on classes left out in FOLDS folds; 1
        and 1 where there are fewer than four seen classes. A tie goes to the stronger penalties.
    """
    codes = np.unique(labels.numpy())
    if len(codes) < 4:
        return 1.0, 1.0
    shuffled = np.random.default_rng(seed).permutation(codes)
    folds = [f for f in np.array_split(shuffled, min(FOLDS, len(codes) // 2)) if len(f) > 1]
    best, chosen = -1.0, (1.0, 1.0)
    for gamma in reversed(STRENGTHS):
        for strength in reversed(STRENGTHS):
            value = float(np.mean([_left_out(vectors, labels, signatures, f, gamma, strength) for f in folds]))
            if value > best + 1e-12:
                best, chosen = value, (gamma, strength)
    return chosen


def _left_out(
    vectors: Tensor, labels: Tensor, signatures: Tensor, fold: Codes, gamma: float, strength: float
) -> float:
    """Accuracy, averaged over the classes of ``fold``, of a map learned on the other classes."""
    unseen = torch.from_numpy(np.sort(fold))
    out = torch.isin(labels, unseen)
    known = torch.unique(labels[~out])
    weights = fit_eszsl(vectors[~out], torch.searchsorted(known, labels[~out]), signatures[known], gamma, strength)
    choice = unseen[eszsl_scores(vectors[out], weights, signatures[unseen]).argmax(1)]
    return float(np.mean([float((choice[labels[out] == c] == c).float().mean()) for c in unseen.tolist()]))


def shared_space_scores(vectors: Tensor, names: Tensor, centre: Tensor) -> Tensor:
    """Cosine (N, L) of rows (N, D) with names (L, D) that went through the same model.

    Rows are centred on ``centre`` (D,), the mean of training rows, and names on their own mean: streams of different
    modalities lie in different parts of the space (Liang et al., Mind the gap, NeurIPS 2022).

    Args:
        vectors: (N, D) of the rows.
        names: (L, D) of the names of classes.
        centre: (D,) mean of training rows.
    """
    rows = torch.nn.functional.normalize(vectors - centre, dim=-1)
    return rows @ torch.nn.functional.normalize(names - names.mean(0), dim=-1).T
