"""Few-shot methods on embeddings: prototypes, linear probe, fine-tuned heads, ridge; their accuracy over episodes.

Rows are embedded once, before; nothing here trains an encoder.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from zoo.errors import SpecError
from zoo.evaluation.episodes import Codes, Episode, draw_episodes, enough_rows

Floats = npt.NDArray[np.float64]
METRICS = ("euclidean", "cosine")


def prototype_scores(support: Tensor, query: Tensor, metric: str = "euclidean") -> Tensor:
    """Similarity of queries (Q, D) to the class means of a support (W, k, D): (Q, W), higher is nearer.

    Prototypical networks (Snell et al., NeurIPS 2017) with the squared Euclidean distance; "cosine" is that of
    SimpleShot (Wang et al. 2019) where vectors were centred on the training rows before.

    Args:
        support: (W, k, D) vectors of k rows of each class.
        query: (Q, D) vectors of the rows that are asked.
        metric: one of METRICS.

    Raises:
        SpecError: ``metric`` is none of METRICS.
    """
    if metric not in METRICS:
        raise SpecError(f"metric {metric!r} is unknown; metrics: {METRICS}")
    means = support.mean(1)
    if metric == "euclidean":
        return -((query[:, None] - means[None]) ** 2).sum(-1)
    return nn.functional.normalize(query, dim=-1) @ nn.functional.normalize(means, dim=-1).T


def linear_probe(support: Tensor, query: Tensor, strength: float = 1.0) -> Codes:
    """Positions (Q,) that a logistic regression learned on a support (W, k, D) gives to queries (Q, D).

    Args:
        support: standardised embeddings to learn from.
        query: standardised embeddings to be asked.
        strength: C of scikit-learn's LogisticRegression.
    """
    from sklearn.linear_model import LogisticRegression

    ways, shots, width = support.shape
    model = LogisticRegression(C=strength, max_iter=1000)
    model.fit(support.reshape(ways * shots, width).numpy(), np.repeat(np.arange(ways), shots))
    found: Codes = model.predict(query.numpy()).astype(np.int64)
    return found


def fine_tuned_heads(
    head: nn.Module, support: Tensor, *, steps: int = 200, learning_rate: float = 2e-3
) -> dict[str, Tensor]:
    """Fine-tune one copy of a head an episode on its support, all at once; the encoders stay as they are.

    Every copy starts from the prototypes: its last linear layer is set so that the softmax is that of the negative
    squared distances to the class means over twice the variance within classes (as in Triantafillou et al., ICLR
    2020). Then Adam makes ``steps`` full-batch steps on the cross-entropy.

    Args:
        head: maps (N, D) to logits (N, W), and ends in a linear layer; layers before it are taken as they are.
        support: (E, W, k, D) embeddings of about unit variance.
        steps: of Adam, 0 for the prototypes themselves.
        learning_rate: of Adam.

    Returns:
        Parameters stacked over episodes (E, ...), by name, for ``apply_heads``.
    """
    count, ways, shots, width = support.shape
    head = copy.deepcopy(head).eval()
    rows = support.reshape(count, ways * shots, width)
    target = torch.arange(ways).repeat_interleave(shots)
    stacked = {n: p.detach().expand(count, *p.shape).clone() for n, p in head.named_parameters()}
    name, last = [(n, m) for n, m in head.named_modules() if isinstance(m, nn.Linear)][-1]
    hidden = _inputs_of(head, last, rows.reshape(-1, width)).reshape(count, ways, shots, -1)
    means = hidden.mean(2)
    spread = ((hidden - means.unsqueeze(2)) ** 2).sum(-1).mean((1, 2))
    apart = ((means - means.mean(1, keepdim=True)) ** 2).sum(-1).mean(1)
    scale = torch.where(spread > 1e-6, spread, apart).clamp_min(1e-6)[:, None]
    stacked[f"{name}.weight"] = means / scale[..., None]
    stacked[f"{name}.bias"] = -(means**2).sum(-1) / (2 * scale)
    for value in stacked.values():
        value.requires_grad_(True)
    optimizer = torch.optim.Adam(stacked.values(), lr=learning_rate)
    with torch.enable_grad():
        for _ in range(steps):
            optimizer.zero_grad()
            logits = apply_heads(head, stacked, rows)
            loss = nn.functional.cross_entropy(logits.flatten(0, 1), target.repeat(count), reduction="sum") / len(
                target
            )  # a sum over episodes, which do not meet: each gets the gradient of its own mean
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return {n: v.detach() for n, v in stacked.items()}


def _inputs_of(head: nn.Module, layer: nn.Module, rows: Tensor) -> Tensor:
    """What reaches ``layer`` when ``head`` maps ``rows``."""
    kept: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    try:
        with torch.no_grad():
            head(rows)
    finally:
        hook.remove()
    return kept[0]


def apply_heads(head: nn.Module, stacked: Mapping[str, Tensor], rows: Tensor) -> Tensor:
    """Map rows (E, N, D) to logits (E, N, W), each episode by its own copy of ``head``.

    Args:
        head: whose structure all copies have.
        stacked: parameter -> (E, ...) values of the copies.
        rows: (E, N, D) vectors of each episode.
    """
    from torch.func import functional_call, vmap

    logits: Tensor = vmap(lambda parameters, x: functional_call(head, parameters, (x,)))(dict(stacked), rows)
    return logits


def mean_recall(choice: Codes, truth: Codes, ways: int) -> float:
    """Accuracy averaged over the classes of an episode, so that each counts the same.

    Args:
        choice: (Q,) predicted classes.
        truth: (Q,) true classes.
        ways: number of classes of the episode.

    >>> mean_recall(np.array([0, 0, 1]), np.array([0, 0, 0]), 1)
    0.6666666666666666
    """
    return float(np.mean([(choice[truth == k] == k).mean() for k in range(ways)]))


def prototype_accuracy(vectors: Tensor, episodes: Sequence[Episode], shots: int, metric: str) -> Floats:
    """(E,) accuracy by prototypes of ``shots`` rows a class; ``vectors`` (N, D) by row number.

    Args:
        vectors: (N, D) by row number.
        episodes: E draws of rows.
        shots: rows of each class to learn from.
        metric: one of METRICS.
    """
    return np.array(
        [
            mean_recall(
                prototype_scores(vectors[e.support[:, :shots]], vectors[e.query], metric).argmax(1).numpy(),
                e.truth,
                len(e.classes),
            )
            for e in episodes
        ]
    )


def probe_accuracy(vectors: Tensor, episodes: Sequence[Episode], shots: int) -> Floats:
    """(E,) accuracy by a linear probe; ``vectors`` (N, D) are standardised.

    Args:
        vectors: (N, D) by row number.
        episodes: E draws of rows.
        shots: rows of each class to learn from.
    """
    return np.array(
        [
            mean_recall(linear_probe(vectors[e.support[:, :shots]], vectors[e.query]), e.truth, len(e.classes))
            for e in episodes
        ]
    )


def head_accuracy(
    head: nn.Module, vectors: Tensor, episodes: Sequence[Episode], shots: int, steps: int = 200, chunk: int = 200
) -> Floats:
    """(E,) accuracy by fine-tuned heads, see ``fine_tuned_heads``; ``chunk`` episodes are trained at once.

    Args:
        head: to begin with.
        vectors: (N, D) by row number.
        episodes: E draws of rows.
        shots: rows of each class to learn from.
        steps: of the training of each head.
        chunk: episodes that are trained at once.
    """
    found = []
    for start in range(0, len(episodes), chunk):
        part = episodes[start : start + chunk]
        rows = torch.stack([vectors[e.support[:, :shots]] for e in part])
        stacked = fine_tuned_heads(head, rows, steps=steps)
        for k, episode in enumerate(part):
            own = {n: v[k : k + 1] for n, v in stacked.items()}
            choice = apply_heads(head, own, vectors[episode.query][None])[0].argmax(1).numpy()
            found.append(mean_recall(choice, episode.truth, len(episode.classes)))
    return np.array(found)


def ridge_predictions(support: Tensor, values: Tensor, query: Tensor) -> Tensor:
    """Predict (Q, K) targets of queries (Q, D) by a ridge regression learned on k rows (k, D) with values (k, K).

    Its strength is chosen by leave-one-out on the support (scikit-learn's RidgeCV), for each target.

    Args:
        support: (k, D) vectors to learn from.
        values: (k, K) their targets.
        query: (Q, D) vectors of the rows that are asked.
    """
    from sklearn.linear_model import RidgeCV

    model = RidgeCV(alphas=np.logspace(-1, 5, 13), alpha_per_target=values.shape[1] > 1)
    model.fit(support.double().numpy(), values.double().numpy())
    return torch.from_numpy(model.predict(query.double().numpy()).reshape(len(query), -1)).float()


def choose_metric(
    vectors: Tensor, labels: Codes, shots: int, *, seed: int = 0, episodes: int = 50
) -> tuple[str, int]:
    """The metric of METRICS that prototypes do better with on classes that were seen in training.

    Held-out classes have no say in it. Where fewer than two classes have rows for it the Euclidean distance is taken,
    which Snell et al. (2017) found better.

    Args:
        vectors: (N, D) by row number.
        labels: (N,) classes that were seen in training; -1 for rows without one.
        shots: rows of each class to learn from.
        seed: of the draws.
        episodes: how many to draw.

    Returns:
        The metric, and the number of classes that it was chosen on (0 for none).
    """
    good, _ = enough_rows(labels, shots)
    if len(good) < 2:
        return METRICS[0], 0
    kept = np.where(np.isin(labels, good), labels, -1)
    drawn = draw_episodes(kept, shots=shots, episodes=episodes, seed=seed)
    scores = [float(prototype_accuracy(vectors, drawn, shots, m).mean()) for m in METRICS]
    return METRICS[int(np.argmax(scores))], len(good)
