"""What the tests of chat on this machine share: tiny models where the page looks for its own."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from models.contract import ModelSpec
from models.runtime.cache import ModelCache
from models.settings import Settings
from models.weights import sources


def spec(name: str = "llama") -> ModelSpec:
    """A chat model in a folder of that name among the starters."""
    return ModelSpec(
        id=f"test/{name}",
        task="chat",
        engine="models.chat.transformers_engine:TransformersChat",
        source=f"starter:{name}",
        label=name,
        cpu_threads=1,
    )


@contextmanager
def own_starters(folder: Path) -> Iterator[tuple[Path, ModelCache]]:
    """Within it starters are looked for in a folder under this one; and a cache to use them with."""
    starters = folder / "models" / "starter"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "STARTERS", starters)
        with closing(ModelCache(Settings(GENLAB_DEVICE="cpu"))) as cache:
            yield starters, cache
