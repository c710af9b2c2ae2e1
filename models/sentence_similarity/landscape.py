"""What the cosines of many sentences show together: groups of like ones, and a map in two dimensions."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_GROUPS = 10  # that are tried
CLEAR = 0.05  # silhouette below which there are no groups to speak of


@dataclass(frozen=True, slots=True)
class Landscape:
    """Groups and map of n sentences.

    Attributes:
        groups: of each sentence, 0 is the largest group; -1 for a sentence without a vector.
        points: x and y of each sentence, shape (n, 2), NaN for one without a vector.
        kept: the share of the vectors' differences (variance) that the two dimensions hold, 0 to 1.
    """

    groups: tuple[int, ...]
    points: np.ndarray
    kept: float


def landscape(cosines: Sequence[Sequence[float]], groups: int = 0) -> Landscape:
    """Group and map sentences by their cosines alone.

    Args:
        cosines: of every sentence with every other, n x n, NaN where there is no vector.
        groups: how many; 0 takes the number with the best silhouette, or one group if none is clear.
    """
    matrix = np.array(cosines, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(np.diagonal(matrix)))
    labels = np.full(len(matrix), -1)
    points = np.full((len(matrix), 2), np.nan)
    kept = 0.0
    if len(known):
        inner = matrix[np.ix_(known, known)]
        labels[known] = _by_size(_grouped(inner, groups))
        points[known], kept = principal_components(inner)
    return Landscape(tuple(labels.tolist()), points, kept)


def principal_components(cosines: np.ndarray) -> tuple[np.ndarray, float]:
    """The first two principal components of unit vectors, from their cosines.

    The centred cosine matrix has the coordinates in its eigenvectors, as PCA of the vectors has them
    in its scores (classical scaling; Torgerson, 1952).

    Returns:
        Coordinates, shape (n, 2), and the share of the variance they hold.
    """
    centred = cosines - cosines.mean(0) - cosines.mean(1)[:, None] + cosines.mean()
    values, directions = np.linalg.eigh(centred)
    values = values.clip(min=0)[::-1]
    points = np.zeros((len(cosines), 2))
    for axis in range(min(2, len(cosines))):
        points[:, axis] = directions[:, -1 - axis] * np.sqrt(values[axis])
    return points, float(values[:2].sum() / values.sum()) if values.sum() > 1e-12 else 1.0


def _grouped(cosines: np.ndarray, groups: int) -> np.ndarray:
    """Agglomerative clusters by the mean cosine distance, one label a sentence."""
    from sklearn.cluster import AgglomerativeClustering
    from sklearn.metrics import silhouette_score

    distances = (1 - cosines).clip(min=0)
    np.fill_diagonal(distances, 0)
    count = len(distances)

    def cut(number: int) -> np.ndarray:
        tree = AgglomerativeClustering(number, metric="precomputed", linkage="average")
        return tree.fit_predict(distances)

    if groups:
        return cut(min(groups, count)) if count > 1 else np.zeros(count, int)
    best, found = CLEAR, np.zeros(count, int)
    for number in range(2, min(MOST_GROUPS, count - 1) + 1):
        labels = cut(number)
        score = float(silhouette_score(distances, labels, metric="precomputed"))
        if score > best:
            best, found = score, labels
    return found


def _by_size(labels: np.ndarray) -> np.ndarray:
    """The same groups, numbered from the largest; among equals the one that comes first."""
    order = [label for label, _ in Counter(labels.tolist()).most_common()]
    number = {label: i for i, label in enumerate(order)}
    return np.array([number[label] for label in labels.tolist()])
