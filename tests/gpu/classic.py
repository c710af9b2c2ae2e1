"""What the GPU's tests of pictures share: v1-4's architecture through the page's own loader."""

import gc

from models.contract import Finished, ModelSpec, Stop
from models.runtime.jobs import run
from models.select import find
from models.tasks import TEXT_TO_IMAGE
from models.text_to_image.events import ImagesDone
from models.text_to_image.requests import ImageRequest

SPEC = find(TEXT_TO_IMAGE, "CompVis/stable-diffusion-v1-4")
SLACK = 64 * 2**20  # bytes that CUDA's libraries keep for themselves


def allocation() -> int:
    """Bytes of tensors on the GPU, after what nobody holds is gone."""
    import torch

    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated()


def draw(cache, spec: ModelSpec = SPEC, **values):
    """The last ImagesDone, and all events."""
    request = {"prompt": "a cat", "seed": 1, "num_inference_steps": 3, "width": 256, "height": 256}
    events = list(run(cache, spec, ImageRequest.of(**{**request, **values})))
    assert isinstance(events[-1], Finished)
    return [e for e in events if isinstance(e, ImagesDone)][-1], events


def engine_of(cache, spec: ModelSpec = SPEC):
    """The loaded engine."""
    with cache.lease(spec, Stop(), lambda event: None) as lease:
        return lease.engine
