"""Many lines by their vectors, and the lines nearest to a query: one person's, for one session."""

import threading
from collections.abc import Sequence

import numpy as np

from models.sentence_similarity.events import Encoded

MOST_BYTES = 256 * 2**20  # of one person's vectors
_CHUNK = 1024  # rows brought to float32 at a time


class Index:
    """The vectors of lines, kept as float16, filled while they are computed.

    It is held by the person's session alone. Equal only to itself.

    Attributes:
        lines: what is searched, in the order given.
        model_id: the encoder that made the vectors; a query must come from the same.
        model_name: which model of the server, for a hosted encoder.
        numbers: the number of each line where it came from, from 1.
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
        self.done = np.zeros(len(self.lines), dtype=bool)
        self.truncated = 0
        self._vectors: np.ndarray | None = None
        self._lock = threading.Lock()

    def same(self, other: "Index") -> bool:
        """Whether the other is of the same lines by the same encoder."""
        mine = (self.model_id, self.model_name, self.lines, self.numbers)
        return mine == (other.model_id, other.model_name, other.lines, other.numbers)

    @property
    def ready(self) -> int:
        """How many lines can be searched so far."""
        return int(self.done.sum())

    def add(self, part: Encoded) -> None:
        """Take in vectors of some lines.

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
            self.done[part.rows] = True
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
        cosines = products(vectors, query)
        cosines[~self.done] = -np.inf
        count = min(count, self.ready)
        best = np.argpartition(-cosines, count - 1)[:count]
        best = best[np.lexsort((best, -cosines[best]))]
        return [(int(row), float(min(cosines[row], 1))) for row in best]


def products(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Scalar products of float16 rows (n, dimensions) with a float32 query (dimensions,), float32.

    By torch, which turns float16 into float32 several times faster than numpy does.
    """
    import torch

    rows, wanted = torch.from_numpy(vectors), torch.from_numpy(query.astype(np.float32))
    found, wide = torch.empty(len(rows)), torch.empty(_CHUNK, rows.shape[1])
    for i in range(0, len(rows), _CHUNK):
        some = rows[i : i + _CHUNK]
        # Into the same place each time: fresh memory, a page at a time, takes ten times as long.
        torch.mv(wide[: len(some)].copy_(some), wanted, out=found[i : i + len(some)])
    return found.numpy()
