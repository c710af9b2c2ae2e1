"""Chat models whose files are missing, broken or not to be trusted, and forged conversations."""

import time
from dataclasses import replace

import pytest
import torch

from models.errors import Damaged, InvalidInput, Refused, UntrainedHead
from models.runtime.cache import ModelCache
from models.settings import Settings
from models.weights import sources
from tests import tiny
from tests.chat.test_chat_engine import CPU, answer, ask
from tests.chatting import spec


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("fault", ["missing", "broken"])
def test_a_damaged_starter_names_its_file_and_the_command(tmp_path, monkeypatch, file, fault):
    folder = tiny.llama(tmp_path / "small_talk")
    if fault == "missing":
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(b'{"cut": ')
    monkeypatch.setattr(sources, "STARTERS", tmp_path)
    with pytest.raises(Damaged) as error:
        answer(ModelCache(Settings(GENLAB_DEVICE="cpu")), "small_talk", ask("Hello"))
    assert error.value.params["file"].endswith(file)
    assert error.value.params["command"].startswith("python -m training.small_talk")


def test_a_model_of_another_kind_is_refused(tmp_path, monkeypatch):
    tiny.classifier(tmp_path / "bert")
    monkeypatch.setattr(sources, "STARTERS", tmp_path)
    with pytest.raises(UntrainedHead):
        answer(ModelCache(Settings(GENLAB_DEVICE="cpu")), "bert", ask("Hello"))


def test_pickled_weights_are_refused(tmp_path, monkeypatch):
    folder = tiny.llama(tmp_path / "pickled")
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    monkeypatch.setattr(sources, "STARTERS", tmp_path)
    hub = replace(spec("pickled"), source="hub:org/pickled")
    from models.chat.transformers_engine import TransformersChat

    with pytest.raises(Refused):
        TransformersChat.load(hub, folder, CPU, Settings())


def test_a_long_forged_history_is_refused_quickly():
    start = time.perf_counter()
    with pytest.raises(InvalidInput) as error:
        ask(*["x" * 20_000] * 399)
    assert error.value.code == "invalid_too_long"
    assert time.perf_counter() - start < 1
