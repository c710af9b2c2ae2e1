"""Linear layers by oneDNN: the same answer and the same gradients as torch's own, in every engine."""

import platform

import pytest
import torch

from models.contract import Stop
from models.runtime.cache import ModelCache
from models.select import find
from models.settings import Settings
from models.tasks import SENTENCE_SIMILARITY, SENTIMENT
from models.torch_tools.linear import OneDnnLinear, by_onednn

pytestmark = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "AMD64"} or not torch.backends.mkldnn.is_available(),
    reason="torch takes another way on this processor",
)


@pytest.mark.parametrize("shape", [(1, 24), (3, 7, 24), (0, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_the_answer_is_that_of_torchs_own_product(shape, bias):
    torch.manual_seed(0)
    layer, given = torch.nn.Linear(24, 10, bias=bias), torch.randn(shape)
    with torch.inference_mode():
        expected = given @ layer.weight.T + (layer.bias if bias else 0)
        by_onednn(layer)
        assert isinstance(layer, OneDnnLinear)
        assert torch.allclose(layer(given), expected, atol=1e-5)


def test_where_gradients_are_wanted_they_are_there():
    layer = torch.nn.Linear(4, 2)
    by_onednn(layer)
    given = torch.ones(1, 4, requires_grad=True)
    layer(given).sum().backward()
    assert torch.allclose(given.grad, layer.weight.sum(0, keepdim=True))


def test_half_precision_goes_torchs_own_way():
    layer = torch.nn.Linear(4, 2).bfloat16()
    by_onednn(layer)
    with torch.inference_mode():
        assert layer(torch.ones(1, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("task", "model"),
    [
        (SENTIMENT, "genlab/sentiment-ko"),
        (SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2"),
        (SENTENCE_SIMILARITY, "sentence-transformers/all-MiniLM-L6-v2:cls"),
    ],
)
def test_engines_on_a_cpu_use_it_in_every_linear_layer(task, model):
    cache = ModelCache(Settings(device="cpu", idle_minutes=0))
    with cache.lease(find(task, model), Stop(), lambda _: None) as lease:
        kinds = {
            type(module)
            for module in lease.engine.model.modules()
            if isinstance(module, torch.nn.Linear)
        }
    cache.close()
    assert kinds == {OneDnnLinear}
