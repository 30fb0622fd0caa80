from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torchmetrics.image.kid import KernelInceptionDistance

from smalti.errors import SmaltiError
from smalti.metrics import (
    Moments,
    density_coverage,
    frechet_distance,
    frechet_distance_of,
    kernel_distance,
    nearest,
    precision_recall,
)


def features(count: int, dimension: int = 24, shift: float = 0.0, seed: int = 0) -> torch.Tensor:
    """Correlated random features."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(size=(dimension, dimension)) / dimension**0.5
    return torch.from_numpy(random.normal(size=(count, dimension)) @ mixing + shift).float()


A, B = features(4_000), features(3_000, shift=0.2, seed=1)


def test_frechet_distance_is_that_of_scipys_matrix_root() -> None:
    a, b = A.double().numpy(), B.double().numpy()
    sigma_a, sigma_b = np.cov(a.T), np.cov(b.T)
    root = sqrtm(sigma_a @ sigma_b)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(sigma_a + sigma_b - 2 * root.real)
    assert frechet_distance(Moments.of(A), Moments.of(B)) == pytest.approx(expected, rel=1e-6)


def test_kernel_distance_is_the_sum_over_all_pairs() -> None:
    a, b = A[:400].double().numpy(), B[:300].double().numpy()

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / x.shape[1] + 1) ** 3

    def off_diagonal_mean(k: np.ndarray) -> float:
        return (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))

    expected = off_diagonal_mean(kernel(a, a)) + off_diagonal_mean(kernel(b, b)) - 2 * kernel(a, b).mean()
    assert kernel_distance(A[:400], B[:300]).value == pytest.approx(expected, rel=1e-6)


def test_kernel_distance_is_that_of_torchmetrics() -> None:
    class Given(torch.nn.Module):
        """Features that are given as pictures."""

        num_features = A.shape[1]

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures[:, 0, 0]

    peer = KernelInceptionDistance(feature=Given(), subsets=1, subset_size=500, normalize=False)
    peer.set_dtype(torch.float64)
    peer.update(A[:500, None, None].double(), real=True)
    peer.update(B[:500, None, None].double(), real=False)
    assert kernel_distance(B[:500], A[:500]).value == pytest.approx(float(peer.compute()[0]), rel=1e-5)


def test_pairs_are_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = kernel_distance(A, B), precision_recall(A, B), density_coverage(A, B)
    monkeypatch.setattr("smalti.metrics.distribution._BLOCK", 10_000)
    in_blocks = kernel_distance(A, B), precision_recall(A, B), density_coverage(A, B)
    assert in_blocks[0].value == pytest.approx(whole[0].value, rel=1e-9)
    assert in_blocks[1:] == whole[1:]


def test_the_interval_of_the_kernel_distance_holds_the_truth_as_often_as_it_says() -> None:
    truth = kernel_distance(features(6_000, shift=0.3, seed=100), features(6_000, seed=101)).value
    trials = [kernel_distance(features(300, shift=0.3, seed=2 * i), features(300, seed=2 * i + 1)) for i in range(200)]
    held = np.mean([abs(trial.value - truth) <= trial.plus_minus for trial in trials])
    assert 0.90 <= held <= 0.99


def test_the_interval_of_the_frechet_distance_is_as_wide_as_the_spread_of_repeats() -> None:
    reference = Moments.of(features(20_000, seed=101))
    trials = [frechet_distance_of(features(600, shift=0.3, seed=i), reference) for i in range(60)]
    spread = 1.96 * np.std([trial.value for trial in trials])
    assert np.mean([trial.plus_minus for trial in trials]) == pytest.approx(spread, rel=0.3)


def test_the_interval_does_not_take_a_class_for_a_group_of_the_jackknife() -> None:
    # Ten classes far from each other, one after the other, as many of each: samples of a model with labels.
    number = torch.arange(1_000) % 10
    classes = features(1_000) + 20 * torch.nn.functional.one_hot(number, features(1).shape[1])
    ordered = frechet_distance_of(classes, Moments.of(classes)).plus_minus
    mixed = classes[torch.randperm(1_000, generator=torch.Generator().manual_seed(1))]
    shuffled = frechet_distance_of(mixed, Moments.of(classes)).plus_minus
    assert ordered is not None
    assert shuffled is not None
    assert ordered < 3 * shuffled  # 30 times as much, were each group a class


def test_too_few_pictures_have_no_interval() -> None:
    few = frechet_distance_of(A[:10], Moments.of(B))
    assert few.plus_minus is None
    assert "±" not in str(few)


def test_a_set_is_at_no_distance_from_itself() -> None:
    assert frechet_distance(Moments.of(A), Moments.of(A)) == pytest.approx(0, abs=1e-9)
    same = kernel_distance(A[:2_000], A[2_000:])
    assert abs(same.value) < 3 * same.plus_minus


def test_a_singular_covariance_gives_a_finite_distance() -> None:
    few = frechet_distance(Moments.of(A[:10]), Moments.of(B))
    assert np.isfinite(few)
    assert few > frechet_distance(Moments.of(A), Moments.of(B))


def test_moments_are_saved_and_read_as_clean_fid_publishes_them(tmp_path: Path) -> None:
    moments = Moments.of(A)
    moments.save(tmp_path / "ours.npz")
    np.savez(tmp_path / "theirs.npz", mu=moments.mu.numpy(), sigma=moments.sigma.numpy(), other=np.zeros(3))
    for name in ("ours.npz", "theirs.npz"):
        read = Moments.load(tmp_path / name)
        assert torch.equal(read.mu, moments.mu)
        assert torch.equal(read.sigma, moments.sigma)


@pytest.mark.parametrize("content", [{"mu": np.zeros(3)}, {"mu": np.zeros(3), "sigma": np.zeros((2, 2))}])
def test_other_archives_are_refused(tmp_path: Path, content: dict[str, np.ndarray]) -> None:
    np.savez(tmp_path / "odd.npz", **content)
    with pytest.raises(SmaltiError, match=r"odd\.npz"):
        Moments.load(tmp_path / "odd.npz")


@pytest.mark.parametrize("damage", ["empty", "cut", "array"])
def test_damaged_archives_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "odd.npz"
    Moments.of(A).save(path)
    path.write_bytes({"empty": b"", "cut": path.read_bytes()[:200], "array": b""}[damage])
    if damage == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    with pytest.raises(SmaltiError, match=r"odd\.npz"):
        Moments.load(path)


def test_precision_and_coverage_of_known_sets() -> None:
    real = features(500)
    far = real[:200] + 100
    assert precision_recall(far, real) == (0, 0)
    assert density_coverage(far, real) == (0, 0)
    one_mode = real[:1] + 1e-4 * features(300, seed=5)
    precision, recall = precision_recall(one_mode, real)
    assert precision == 1
    assert recall < 0.05
    density, coverage = density_coverage(one_mode, real)
    assert density > 0.5
    assert coverage < 0.1
    precision, recall = precision_recall(features(500, seed=3), real)
    assert min(precision, recall) > 0.5
    assert density_coverage(features(500, seed=3), real)[1] > 0.8


def test_nearest_finds_the_picture_itself() -> None:
    distances, positions = nearest(A[5:9], A, count=2)
    assert positions[:, 0].tolist() == [5, 6, 7, 8]
    assert torch.allclose(distances[:, 0], torch.zeros(4, dtype=torch.float64), atol=1e-6)
    assert (distances[:, 1] > 0).all()


def test_too_few_pictures_are_refused() -> None:
    with pytest.raises(SmaltiError, match="at least 2"):
        kernel_distance(A[:1], B)
    with pytest.raises(SmaltiError, match="3 neighbours"):
        precision_recall(A[:3], B)
