"""Many sentences by their vectors: groups of similar ones, a map, and the ones nearest to a query."""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.sentence_similarity.events import Encoded

MOST_GROUPS = 10  # that are tried
CLEAR = 0.05  # silhouette below which there are no groups to speak of
MOST_BYTES = 256 * 2**20  # of one person's vectors
_CHUNK = 1024  # rows converted to float32 at a time


@dataclass(frozen=True, slots=True)
class Landscape:
    """Groups and map of n sentences.

    Attributes:
        groups: of each sentence, 0 is the largest group; -1 for a sentence without a vector.
        points: x and y of each sentence, shape (n, 2), NaN for one without a vector.
        variance: the share of the vectors' variance that the two dimensions hold, 0 to 1.
    """

    groups: tuple[int, ...]
    points: np.ndarray
    variance: float


def landscape(cosines: Sequence[Sequence[float]], groups: int = 0) -> Landscape:
    """Group and map sentences by their cosines alone.

    Args:
        cosines: of every sentence with every other, n x n, NaN where there is no vector.
        groups: how many; 0 takes the number with the best silhouette, or one group if none is clear.
    """
    matrix = np.array(cosines, dtype=np.float64)
    rows = np.flatnonzero(~np.isnan(np.diagonal(matrix)))
    labels = np.full(len(matrix), -1)
    points = np.full((len(matrix), 2), np.nan)
    variance = 0.0
    if len(rows):
        inner = matrix[np.ix_(rows, rows)]
        labels[rows] = _by_size(_group_labels(inner, groups))
        points[rows], variance = principal_components(inner)
    return Landscape(tuple(labels.tolist()), points, variance)


def principal_components(cosines: np.ndarray) -> tuple[np.ndarray, float]:
    """The first two principal components of unit vectors, from their cosines.

    The centred cosine matrix has the coordinates in its eigenvectors, as PCA of the vectors has them
    in its scores (classical scaling; Torgerson, 1952).

    Returns:
        Coordinates, shape (n, 2), and the share of the variance they hold.
    """
    around_mean = cosines - cosines.mean(0) - cosines.mean(1)[:, None] + cosines.mean()
    values, directions = np.linalg.eigh(around_mean)
    values = values.clip(min=0)[::-1]
    points = np.zeros((len(cosines), 2))
    for axis in range(min(2, len(cosines))):
        points[:, axis] = directions[:, -1 - axis] * np.sqrt(values[axis])
    return points, float(values[:2].sum() / values.sum()) if values.sum() > 1e-12 else 1.0


def _group_labels(cosines: np.ndarray, groups: int) -> np.ndarray:
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
    best_score, best_labels = CLEAR, np.zeros(count, int)
    for number in range(2, min(MOST_GROUPS, count - 1) + 1):
        labels = cut(number)
        score = float(silhouette_score(distances, labels, metric="precomputed"))
        if score > best_score:
            best_score, best_labels = score, labels
    return best_labels


def _by_size(labels: np.ndarray) -> np.ndarray:
    """The same groups, numbered from the largest; among equals the one that comes first."""
    order = [label for label, _ in Counter(labels.tolist()).most_common()]
    number = {label: i for i, label in enumerate(order)}
    return np.array([number[label] for label in labels.tolist()])


class Index:
    """The vectors of lines to search, as float16, added while they are computed.

    It lives in the person's session alone. Equal only to itself.

    Attributes:
        lines: what is searched.
        model_id: the encoder that made the vectors; a query must come from the same.
        model_name: which model of the server, for a hosted encoder.
        numbers: the number of each line in its file or box, from 1.
        ready: which lines have a vector so far, booleans of shape (lines,).
        truncated: how many lines the encoder saw only in part.
    """

    def __init__(
        self,
        lines: Sequence[str],
        model_id: str,
        model_name: str = "",
        numbers: Sequence[int] = (),
    ) -> None:
        self.lines = tuple(lines)
        self.numbers = tuple(numbers or range(1, len(self.lines) + 1))
        self.model_id = model_id
        self.model_name = model_name
        self.ready = np.zeros(len(self.lines), dtype=bool)
        self.truncated = 0
        self._vectors: np.ndarray | None = None
        self._lock = threading.Lock()

    def same(self, other: "Index") -> bool:
        """Whether the other is of the same lines by the same encoder."""
        names = ("model_id", "model_name", "lines", "numbers")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    @property
    def size(self) -> int:
        """How many lines can be searched so far."""
        return int(self.ready.sum())

    def add(self, part: Encoded) -> None:
        """Add the vectors of some lines.

        Raises:
            MemoryError: all of them would take more than MOST_BYTES.
        """
        with self._lock:
            if self._vectors is None:
                shape = (len(self.lines), part.vectors.shape[1])
                if 2 * shape[0] * shape[1] > MOST_BYTES:
                    raise MemoryError
                self._vectors = np.zeros(shape, dtype=np.float16)
            self._vectors[part.rows] = np.nan_to_num(part.vectors)
            self.ready[part.rows] = True
            self.truncated += part.truncated

    def nearest(self, query: np.ndarray, count: int) -> list[tuple[int, float]]:
        """The lines at the smallest angle to a query.

        Args:
            query: of length 1, shape (dimensions,).
            count: at most so many.

        Returns:
            (index of the line, cosine), nearest first; equal ones in the order of the lines.
        """
        vectors = self._vectors
        if vectors is None or np.isnan(query).any():
            return []
        cosines = dot_products(vectors, query)
        cosines[~self.ready] = -np.inf
        count = min(count, self.size)
        best = np.argpartition(-cosines, count - 1)[:count]
        best = best[np.lexsort((best, -cosines[best]))]
        return [(int(row), float(min(cosines[row], 1))) for row in best]


def nearest_rows(vectors: np.ndarray, query: np.ndarray, count: int) -> list[tuple[int, float]]:
    """(row, cosine) of the rows at the smallest angle to a query, nearest first.

    Args:
        vectors: of length 1 or all NaN, float32, shape (rows, dimensions); a row of NaN is no hit.
        query: of length 1, shape (dimensions,).
        count: at most so many.
    """
    cosines = vectors @ query
    best = np.argsort(-cosines, kind="stable")[:count]
    return [(int(row), float(cosines[row])) for row in best if not np.isnan(cosines[row])]


def dot_products(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Dot products of float16 rows (n, dimensions) with a float32 query (dimensions,), float32.

    By torch, which turns float16 into float32 several times faster than numpy does.
    """
    import torch

    rows, by = torch.from_numpy(vectors), torch.from_numpy(query.astype(np.float32))
    products, chunk = torch.empty(len(rows)), torch.empty(_CHUNK, rows.shape[1])
    for i in range(0, len(rows), _CHUNK):
        part = rows[i : i + _CHUNK]
        # Into the same memory each time: to allocate it anew takes ten times as long.
        torch.mv(chunk[: len(part)].copy_(part), by, out=products[i : i + len(part)])
    return products.numpy()
