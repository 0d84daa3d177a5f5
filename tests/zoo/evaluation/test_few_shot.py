"""Episodes and few-shot methods on embeddings made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import nn

from zoo.contract import TaskSpec
from zoo.errors import SpecError
from zoo.evaluation.episodes import (
    EITHER,
    LEAST_QUERIES,
    QUERY,
    SUPPORT,
    draw_episodes,
    draw_labelled,
    enough_rows,
)
from zoo.evaluation.few_shot import (
    apply_heads,
    choose_metric,
    fine_tuned_heads,
    head_accuracy,
    linear_probe,
    mean_recall,
    probe_accuracy,
    prototype_accuracy,
    prototype_scores,
    ridge_predictions,
)
from zoo.evaluation.resampling import mean_interval
from zoo.tasks.parts import VectorHead


def clouds(classes: int, rows: int, spread: float, seed: int = 0) -> tuple[torch.Tensor, np.ndarray[Any, Any]]:
    """Classes at unit vectors, with noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = np.repeat(np.arange(classes), rows)
    centres = torch.eye(classes)
    return centres[labels] + spread * torch.randn(len(labels), classes, generator=generator), labels


# -- episodes ------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 11)), min_size=60, max_size=160),
    st.integers(1, 4),
    st.integers(0, 5),
)
def test_support_and_query_never_share_a_row_or_a_group(rows: list[tuple[int, int]], shots: int, seed: int) -> None:
    labels = np.array([c for c, _ in rows])
    groups = [f"patient {g}" if g else "" for _, g in rows]
    good, _ = enough_rows(labels, shots)
    labels = np.where(np.isin(labels, good), labels, -1)
    try:
        drawn = draw_episodes(labels, shots=shots, episodes=3, queries=6, seed=seed, groups=groups)
    except SpecError:
        return  # a class with too few groups is refused
    for episode in drawn:
        support, query = episode.support.flatten(), episode.query
        assert len(set(support.tolist()) | set(query.tolist())) == len(support) + len(query)
        assert not {groups[i] for i in support if groups[i]} & {groups[i] for i in query if groups[i]}
        assert (labels[episode.support] == episode.classes[:, None]).all()
        assert (labels[query] == episode.classes[episode.truth]).all()
        assert (np.bincount(episode.truth) >= LEAST_QUERIES).all()
        assert (np.bincount(episode.truth) <= 6).all()


def test_equal_seeds_give_equal_episodes_and_rows_of_all_sides_occur() -> None:
    labels = np.repeat([0, 1, 2], 20)
    first = draw_episodes(labels, shots=5, episodes=40, seed=3)
    again = draw_episodes(labels, shots=5, episodes=40, seed=3)
    assert all(
        (a.support == b.support).all() and (a.query == b.query).all() for a, b in zip(first, again, strict=True)
    )
    other = draw_episodes(labels, shots=5, episodes=40, seed=4)
    assert any((a.support != b.support).any() for a, b in zip(first, other, strict=True))
    assert {int(i) for e in first for i in e.support.flatten()} == set(range(60))
    assert all(len(e.query) == 45 for e in first)


def test_ways_draws_classes_anew() -> None:
    drawn = draw_episodes(np.repeat([3, 5, 8, 9], 20), shots=2, episodes=60, ways=2)
    assert all(len(e.classes) == 2 for e in drawn)
    assert len({tuple(e.classes) for e in drawn}) == 6


def test_roles_keep_rows_on_their_side() -> None:
    labels = np.tile([0, 1], 40)
    roles = np.repeat([SUPPORT, QUERY, EITHER, QUERY], 20)
    for episode in draw_episodes(labels, shots=7, episodes=20, roles=roles):
        assert (roles[episode.support] != QUERY).all()
        assert (roles[episode.query] != SUPPORT).all()


def test_too_few_rows_are_counted_and_refused() -> None:
    labels = np.array([0] * 30 + [1] * 12 + [2] * 25 + [-1] * 9)
    assert enough_rows(labels, 10) == ([0, 2], {1: 12})
    with pytest.raises(SpecError, match=r"10 shots and 5 queries need more rows.*\{1: 12\}"):
        draw_episodes(labels, shots=10)
    kept = np.where(labels == 1, -1, labels)
    assert draw_episodes(kept, shots=10, episodes=1)[0].classes.tolist() == [0, 2]
    with pytest.raises(SpecError, match="3 ways cannot be drawn from 2 classes"):
        draw_episodes(kept, shots=10, ways=3)
    with pytest.raises(SpecError, match="cannot be drawn from 0 classes"):
        draw_episodes(np.full(5, -1), shots=1)
    with pytest.raises(SpecError, match="queries at least 5"):
        draw_episodes(kept, shots=10, queries=4)
    with pytest.raises(SpecError, match="a class has too few groups"):
        draw_episodes(np.repeat([0, 1], 20), shots=3, episodes=1, groups=["one"] * 20 + ["two"] * 20)


def test_draws_without_classes() -> None:
    roles = np.array([SUPPORT] * 12 + [QUERY] * 9)
    for episode in draw_labelled(roles, shots=10, episodes=5, queries=6):
        assert episode.support.shape == (1, 10)
        assert (roles[episode.support] == SUPPORT).all()
        assert (roles[episode.query] == QUERY).all()
        assert len(set(episode.query.tolist())) == 6
    with pytest.raises(SpecError, match="13 shots and 5 queries need more rows than the 12 to learn from and the 9"):
        draw_labelled(roles, shots=13)


# -- methods -------------------------------------------------------------------------------------------------


def test_prototypes_by_hand() -> None:
    support = torch.tensor([[[0.0, 0.0], [2.0, 0.0]], [[0.0, 4.0], [0.0, 6.0]]])
    query = torch.tensor([[1.0, 0.0], [1.0, 5.0], [0.0, 1.0]])
    assert prototype_scores(support, query).tolist() == [[0.0, -26.0], [-25.0, -1.0], [-2.0, -16.0]]
    cosine = prototype_scores(support, query, "cosine")
    assert cosine[2].tolist() == [0.0, 1.0]
    assert cosine[1, 1].item() == pytest.approx(5 / 26**0.5)
    with pytest.raises(SpecError, match="metric 'manhattan' is unknown"):
        prototype_scores(support, query, "manhattan")


def test_every_method_is_exact_where_classes_are_points() -> None:
    vectors, labels = clouds(4, 20, 0.0)
    drawn = draw_episodes(labels, shots=5, episodes=4)
    head = VectorHead(TaskSpec("t", "classification", 4), 4)
    for shots in (1, 5):
        for metric in ("euclidean", "cosine"):
            assert prototype_accuracy(vectors, drawn, shots, metric).tolist() == [1.0] * 4
        assert probe_accuracy(vectors, drawn, shots).tolist() == [1.0] * 4
        assert head_accuracy(head, vectors, drawn, shots, steps=20).tolist() == [1.0] * 4


def test_curves_rise_with_the_shots_and_noise_is_chance() -> None:
    vectors, labels = clouds(4, 80, 0.9)
    drawn = draw_episodes(labels, shots=20, episodes=30)
    one, many = (prototype_accuracy(vectors, drawn, k, "euclidean").mean() for k in (1, 20))
    assert many > one + 0.1
    noise = torch.randn(320, 4, generator=torch.Generator().manual_seed(0))
    found = mean_interval(prototype_accuracy(noise, drawn, 20, "euclidean"))
    low, high = found.low, found.high
    assert low < 0.25 < high


def test_the_probe_is_scikit_learns() -> None:
    vectors, labels = clouds(3, 10, 1.0)
    support = vectors.reshape(3, 10, 3)
    model = LogisticRegression(max_iter=1000).fit(vectors.numpy(), labels)
    query = torch.randn(50, 3, generator=torch.Generator().manual_seed(1))
    assert linear_probe(support, query).tolist() == model.predict(query.numpy()).tolist()


@pytest.mark.parametrize("hidden", [0, 6])
def test_heads_start_from_the_prototypes_and_learn_each_episode_alone(hidden: int) -> None:
    torch.manual_seed(0)
    vectors, labels = clouds(3, 20, 0.5)
    drawn = draw_episodes(labels, shots=4, episodes=3)
    support = torch.stack([vectors[e.support] for e in drawn])
    head = VectorHead(TaskSpec("t", "classification", 3), 3, hidden=hidden)
    before = {n: p.clone() for n, p in head.named_parameters()}
    start = fine_tuned_heads(head, support, steps=0)
    logits = apply_heads(head, start, vectors[drawn[0].query][None].expand(3, -1, -1))
    if not hidden:
        wanted = prototype_scores(support[0], vectors[drawn[0].query])
        apart = logits[0] * 2 * ((support[0] - support[0].mean(1, keepdim=True)) ** 2).sum(-1).mean() - wanted
        assert torch.allclose(apart, apart[:, :1].expand_as(apart), atol=1e-4)  # they differ by a number a row
    together = fine_tuned_heads(head, support, steps=30)
    alone = fine_tuned_heads(head, support[1:2], steps=30)
    for name, value in together.items():
        assert torch.allclose(value[1], alone[name][0], atol=1e-5)
        assert not torch.equal(value, start[name])
    assert all(torch.equal(before[n], p) for n, p in head.named_parameters())
    target = torch.arange(3).repeat_interleave(4).expand(3, -1)
    rows = support.flatten(1, 2)
    losses = [
        nn.functional.cross_entropy(apply_heads(head, p, rows).flatten(0, 1), target.flatten())
        for p in (start, together)
    ]
    assert losses[1] < losses[0]


def test_one_shot_heads_are_finite() -> None:
    heads = fine_tuned_heads(
        VectorHead(TaskSpec("t", "classification", 2), 2), torch.tensor([[[[0.0, 0.0]], [[1.0, 1.0]]]]), steps=5
    )
    assert all(bool(torch.isfinite(v).all()) for v in heads.values())
    same = fine_tuned_heads(VectorHead(TaskSpec("t", "classification", 2), 2), torch.ones(1, 2, 1, 2), steps=5)
    assert all(bool(torch.isfinite(v).all()) for v in same.values())


@pytest.mark.parametrize("outputs", [1, 2])
def test_ridge_learns_a_line(outputs: int) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 3, generator=generator)
    weights = torch.tensor([[1.0, 0.0], [-2.0, 1.0], [0.5, 3.0]])[:, :outputs]
    guess = ridge_predictions(x[:20], x[:20] @ weights + 1.0, x[20:])
    assert guess.shape == (20, outputs)
    assert torch.allclose(guess, x[20:] @ weights + 1.0, atol=0.15)


def test_the_metric_is_chosen_on_seen_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = np.repeat([0, 1], 40)
    direction = torch.tensor([[1.0, 0.3], [1.0, -0.3]])[labels]
    length = 1 + 9 * torch.rand(80, 1, generator=generator)
    assert choose_metric(direction * length, labels, 1) == ("cosine", 2)
    assert choose_metric(torch.tensor([[1.0], [2.0]])[labels], labels, 1) == ("euclidean", 2)
    assert choose_metric(torch.zeros(0, 1), np.zeros(0, dtype=np.int64), 1) == ("euclidean", 0)
    assert choose_metric(torch.zeros(9, 1), np.array([0] * 8 + [1]), 2) == ("euclidean", 0)


def test_mean_recall_by_hand() -> None:
    assert mean_recall(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 1]), 2) == 1.0
    assert mean_recall(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]), 2) == 0.5
