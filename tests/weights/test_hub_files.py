"""Which files make a whole model: models/weights/hub_files.py on lists of names and on folders."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.contract import ModelSpec
from models.errors import NotFound, Refused
from models.tasks import CHAT, SENTENCE_SIMILARITY, SENTIMENT, TEXT_TO_IMAGE, Task
from models.weights.hub_files import is_whole, needed_files

TEXTS: dict[str, Any] = {
    "config.json": {"architectures": ["GPT2LMHeadModel"]},
    "generation_config.json": {},
    "tokenizer.json": {},
}
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = {"model.safetensors.index.json": {"weight_map": dict(zip("ab", SHARDS, strict=True))}}
IN_SHARDS = {**TEXTS, **INDEX, SHARDS[0]: "", SHARDS[1]: ""}
WHOLE = {**TEXTS, "model.safetensors": ""}
JUNK = [
    "README.md",
    "modeling.py",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
    "flax_model.msgpack",
    "rust_model.ot",
    "consolidated.safetensors",
    "onnx/model.onnx",
    "onnx/config.json",
    "openvino/openvino_model.bin",
    "training_args.bin",
    ".gitattributes",
]
STEM = "diffusion_pytorch_model"


def pipeline(*halves: str, plain: tuple[str, ...] = ("unet", "vae")) -> dict[str, Any]:
    """A small diffusers repository; halves have .fp16 weights, plain the full ones."""
    index = {
        "_class_name": "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": [None, None],
        "requires_safety_checker": False,
    }
    files = {
        "model_index.json": index,
        "unet/config.json": {},
        "vae/config.json": {},
        "scheduler/scheduler_config.json": {},
        "tokenizer/vocab.json": {},
        "feature_extractor/preprocessor_config.json": {},
    }
    files |= {f"{part}/{STEM}.safetensors": "" for part in plain}
    return files | {f"{part}/{STEM}.fp16.safetensors": "" for part in halves}


ENCODER = {
    **WHOLE,
    "modules.json": [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
        {"path": "3_Normalize", "type": "sentence_transformers.models.Normalize"},
    ],
    "1_Pooling/config.json": {},
    "2_Dense/config.json": {},
    "2_Dense/model.safetensors": "",
}
NORMALIZE = "3_Normalize/config.json"  # newer repositories have it
MODELS = [
    (CHAT, WHOLE),
    (CHAT, IN_SHARDS),
    (SENTIMENT, WHOLE),
    (SENTENCE_SIMILARITY, WHOLE),
    (SENTENCE_SIMILARITY, ENCODER),
    (SENTENCE_SIMILARITY, {**ENCODER, NORMALIZE: {}}),
    (TEXT_TO_IMAGE, pipeline()),
    (TEXT_TO_IMAGE, pipeline("unet", "vae", plain=())),
]


def spec(task: Task) -> ModelSpec:
    return ModelSpec("org/model", task.id, "", "hub:org/model", "model")


def select(task: Task, files: dict[str, Any]) -> set[str]:
    return needed_files(spec(task), files.keys(), files.__getitem__)


def write(folder: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))


@pytest.mark.parametrize(("task", "files"), MODELS)
def test_all_of_a_model_and_nothing_else(task: Task, files: dict[str, Any]) -> None:
    assert select(task, {**files, **dict.fromkeys(JUNK, "")}) == set(files)


@pytest.mark.parametrize(("task", "files"), MODELS)
def test_folder_is_whole_until_a_file_is_missing(
    tmp_path: Path, task: Task, files: dict[str, Any]
) -> None:
    write(tmp_path, files)
    assert is_whole(spec(task), tmp_path)
    for name in files.keys() - {"modules.json", "generation_config.json", NORMALIZE}:
        (tmp_path / name).rename(tmp_path / "away")
        assert not is_whole(spec(task), tmp_path), name
        (tmp_path / "away").rename(tmp_path / name)
    assert is_whole(spec(task), tmp_path)


def test_link_to_a_missing_file_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, TEXTS)
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "blobs" / "gone")
    assert not is_whole(spec(CHAT), tmp_path)


def test_half_precision_is_for_all_components_or_none() -> None:
    def weights(files: dict[str, Any]) -> set[str]:
        choice = select(TEXT_TO_IMAGE, files)
        return {name for name in choice if name.endswith(".safetensors")}

    both = {f"unet/{STEM}.fp16.safetensors", f"vae/{STEM}.fp16.safetensors"}
    plain = {f"unet/{STEM}.safetensors", f"vae/{STEM}.safetensors"}
    assert weights(pipeline("unet", "vae")) == both
    assert weights(pipeline("unet")) == plain
    other = {f"unet/{STEM}.non_ema.safetensors": "", "v1-4.safetensors": ""}
    assert weights(pipeline() | other) == plain
    with pytest.raises(NotFound):  # no one kind is complete
        select(TEXT_TO_IMAGE, pipeline("unet", plain=("vae",)))


def test_half_precision_shards() -> None:
    files = pipeline("vae")
    shards = [f"{STEM}.fp16-0000{i}-of-00002.safetensors" for i in (1, 2)]
    index = f"unet/{STEM}.safetensors.index.fp16.json"
    files[index] = {"weight_map": dict(zip("ab", shards, strict=True))}
    files |= {f"unet/{shard}": "" for shard in shards}
    choice = select(TEXT_TO_IMAGE, files)
    assert {index, *(f"unet/{shard}" for shard in shards)} <= choice
    assert f"unet/{STEM}.safetensors" not in choice


@pytest.mark.parametrize("task", [CHAT, SENTIMENT, SENTENCE_SIMILARITY])
def test_pickled_weights_are_refused(task: Task) -> None:
    with pytest.raises(Refused, match="refused_pickle"):
        select(task, {**TEXTS, "pytorch_model.bin": ""})


def test_one_pickled_component_is_enough_to_refuse() -> None:
    with pytest.raises(Refused, match="refused_pickle"):
        select(TEXT_TO_IMAGE, pipeline(plain=("unet",)) | {f"vae/{STEM}.bin": ""})
    dense = {k: v for k, v in ENCODER.items() if k != "2_Dense/model.safetensors"}
    with pytest.raises(Refused, match="refused_pickle"):
        select(SENTENCE_SIMILARITY, dense | {"2_Dense/pytorch_model.bin": ""})


@pytest.mark.parametrize(
    ("task", "files"),
    [
        (TEXT_TO_IMAGE, WHOLE),
        (TEXT_TO_IMAGE, {"model_index.json": {}}),
        (CHAT, TEXTS),
        (CHAT, {**TEXTS, "model.gguf": "", "model.onnx": ""}),
        (CHAT, {"config.json": {}, "adapter_model.safetensors": ""}),
        (CHAT, {**WHOLE, "config.json": []}),
        (CHAT, {**WHOLE, "config.json": {"architectures": ["BertForMaskedLM"]}}),
        (CHAT, {**WHOLE, "config.json": {"is_encoder_decoder": True}}),
        (CHAT, {**IN_SHARDS, "model.safetensors.index.json": {"weight_map": {"a": "../x"}}}),
        (SENTENCE_SIMILARITY, {**ENCODER, "modules.json": {"path": 1}}),
    ],
)
def test_no_model_of_the_task(task: Task, files: dict[str, Any]) -> None:
    with pytest.raises(NotFound, match="not_found_task"):
        select(task, files)
