"""Which files of a hub repository make a whole model: for a download, and for what is cached here.

Safetensors, or one GGUF model where that is meant. A pickle (.bin, .pt, .ckpt) can run code when it is read, so it is never wanted,
and neither is a repository's own Python.
"""

import json
import re
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any

from models.contract import ModelSpec
from models.errors import ModelError, NotFound, Refused
from models.tasks import hub_files
from models.weights import gguf
from models.weights.safetensors_files import PICKLES

Read = Callable[[str], Any]  # the name of a small JSON file -> what is in it

_TEXT = (".json", ".txt", ".model", ".jinja", ".spm", ".codes", ".tiktoken")
_STEMS = ("model", "diffusion_pytorch_model")  # what transformers and diffusers call their weights
_VOCABULARY = re.compile(r"(tokenizer|tokenizer_config|vocab)\.json|.+\.(txt|model|spm|codes)")
_WRITES_TEXT = re.compile(r"CausalLM|LMHead|ForConditionalGeneration")
_LORA_FILE = "pytorch_lora_weights.safetensors"  # as diffusers and peft's trainers name it
_NO_WEIGHTS = ("Pooling", "Normalize", "Dropout")  # modules of sentence-transformers


def needed_files(spec: ModelSpec, names: Set[str], read: Read) -> set[str]:
    """Choose the files that a model's task needs.

    Args:
        spec: the model; its task's row in models/tasks.py says which rule below counts.
        names: every file there is, with forward slashes.
        read: gives the content of one of them, a JSON file.

    Raises:
        Refused: the weights are pickled only (refused_pickle).
        NotFound: no model of this task (not_found_task); of a GGUF model, as `gguf.choose`.
    """
    if spec.quantisation:
        return set(gguf.choose(names, gguf.tag_of(spec)))
    if file := spec.name.partition(":")[2]:  # one file of the repository is meant
        if file not in names:
            raise NotFound("not_found_file")
        return {file}
    try:
        return hub_files(spec, names, read)
    except (KeyError, TypeError, ValueError, AttributeError):  # not JSON, or not what it should be
        raise NotFound("not_found_task") from None


def is_whole(spec: ModelSpec, folder: Path) -> bool:
    """Whether a folder holds all that `needed_files` names; a link to a missing file does not count."""
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    try:
        needed_files(spec, names, lambda name: json.loads((folder / name).read_bytes()))
    except (ModelError, OSError):
        return False
    return True


def transformer_files(names: Set[str], read: Read, prefix: str = "") -> set[str]:
    """A transformers model with its tokenizer."""
    texts = _texts(names, prefix)
    _require(f"{prefix}config.json" in texts and _has_vocabulary(texts, prefix))
    return texts | _weights(names, prefix, read)


def language_model_files(names: Set[str], read: Read) -> set[str]:
    """A transformers model that writes text."""
    _require(_continues_text(read("config.json")))
    return transformer_files(names, read)


def encoder_files(names: Set[str], read: Read) -> set[str]:
    """A sentence-transformers model (modules.json names a folder for each step), or a plain one."""
    if "modules.json" not in names:
        return transformer_files(names, read)
    files = _texts(names, "")
    for module in read("modules.json"):
        prefix = f"{module['path']}/" if module["path"] else ""
        kind = module["type"].rpartition(".")[2]
        if kind == "Transformer":
            files |= transformer_files(names, read, prefix)
        else:
            _require(kind == "Normalize" or f"{prefix}config.json" in names)  # older: no file
            files |= _texts(names, prefix)
            files |= set() if kind in _NO_WEIGHTS else _weights(names, prefix, read)
    return files


def pipeline_files(names: Set[str], read: Read) -> set[str]:
    """A diffusers pipeline: model_index.json names a folder for each component."""
    _require("model_index.json" in names)
    index = read("model_index.json")
    files, models = {"model_index.json"}, list[str]()
    for name, kind in index.items():
        if not (isinstance(kind, list) and len(kind) == 2 and all(kind)):
            continue  # a plain setting, or a component that was left out
        prefix = f"{name}/"
        texts = _texts(names, prefix)
        if kind[1].endswith("Scheduler"):
            _require(f"{prefix}scheduler_config.json" in texts)
        elif "Tokenizer" in kind[1]:
            _require(_has_vocabulary(texts, prefix))
        elif kind[1].endswith(("Processor", "FeatureExtractor")):
            _require(bool(texts))
        else:
            _require(f"{prefix}config.json" in texts)
            models.append(prefix)
        files |= texts
    _require(bool(models))
    try:  # half the bytes, but diffusers takes a variant for all components or none
        return files.union(*(_weights(names, prefix, read, ".fp16") for prefix in models))
    except ModelError:
        return files.union(*(_weights(names, prefix, read) for prefix in models))


def autoencoder_files(names: Set[str], read: Read) -> set[str]:
    """An autoencoder on its own, such as TAESD."""
    _require("config.json" in names)
    return {"config.json"} | _weights(names, "", read)


def lora_files(names: Set[str], read: Read) -> set[str]:
    """The one LoRA of a repository: the file that diffusers writes, or the only one there is.

    Of a repository with several that means, once one of them was fetched by its name, that one.

    Raises:
        Refused: it is pickled (refused_pickle).
        NotFound: there are several, which the sentence names, or none (not_found_lora).
    """
    files = sorted(n for n in names if n.endswith(".safetensors"))
    if _LORA_FILE in files:
        return {_LORA_FILE}
    if len(files) == 1:
        return {files[0]}
    if not files and any(n.endswith(PICKLES) for n in names):
        raise Refused("refused_pickle")
    if not files:
        raise NotFound("not_found_file")
    raise NotFound("not_found_lora", files=", ".join(files[:12]))


def _continues_text(config: dict[str, Any]) -> bool:
    names = config.get("architectures") or []
    may_write = not names or any(_WRITES_TEXT.search(name) for name in names)
    return may_write and not config.get("is_encoder_decoder")


def _texts(names: Set[str], prefix: str) -> set[str]:
    """The configurations and vocabularies right under prefix, without the indexes of weights."""
    here = {n for n in names if n.startswith(prefix) and "/" not in n[len(prefix) :]}
    return {n for n in here if n.endswith(_TEXT) and ".index." not in n}


def _weights(names: Set[str], prefix: str, read: Read, kind: str = "") -> set[str]:
    """One file of weights, or an index with all the shards it names; kind is "" or ".fp16"."""
    for stem in _STEMS:
        whole = f"{prefix}{stem}{kind}.safetensors"
        if whole in names:
            return {whole}
        index = f"{prefix}{stem}.safetensors.index{kind}.json"
        if index in names:
            shards = {prefix + name for name in read(index)["weight_map"].values()}
            if shards <= names:
                return shards | {index}
    if any(n.startswith(prefix) and n.endswith(PICKLES) for n in names):
        raise Refused("refused_pickle")
    raise NotFound("not_found_task")


def _has_vocabulary(texts: Set[str], prefix: str) -> bool:
    return any(_VOCABULARY.fullmatch(name[len(prefix) :]) for name in texts)


def _require(holds: bool) -> None:
    if not holds:
        raise NotFound("not_found_task")
