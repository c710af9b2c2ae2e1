"""Other ways to run all-MiniLM-L6-v2 on a CPU, for speed and for what they cost in quality.

`python -m tests.bench.embedding_trial --data DIR`: bfloat16 and int8 by torch, and ONNX Runtime in float32
and int8 where `pip install onnxruntime onnx onnxscript` was run. Sentences per second of processor time
on one core (a busy machine does not blur it) and Spearman x 100 on STS-B dev, in one run.
"""

import argparse
import copy
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from transformers import AutoModel, AutoTokenizer

from models.sentence_similarity.encoder import WINDOW
from models.sentence_similarity.transformers_engine import mean_pooled
from models.text.language import batches_by_length
from models.torch_tools import by_onednn, in_int8
from models.weights.packages import MINILM, package_folder
from training.corpora import require
from training.word_vectors.evaluation import sts_pairs

RUNS, EVERY, BATCH, LIMIT = 3, 4, 32, 256
States = Callable[[dict[str, torch.Tensor]], torch.Tensor]


def torch_ways(model: torch.nn.Module) -> Iterator[tuple[str, States]]:
    """What ships, the model as it is loaded, and its linear layers in int8 and in bfloat16."""
    starter = copy.deepcopy(model)
    by_onednn(starter)
    eight = copy.deepcopy(model)
    in_int8(eight)
    by_name = {"GenLab": starter, "GenLab, int8": eight, "as transformers loads it": model}
    for name, one in by_name.items():
        yield name, lambda inputs, one=one: one(**inputs).last_hidden_state

    def half(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return model(**inputs).last_hidden_state.float()

    yield "bfloat16 by torch", half


def onnx_ways(model: torch.nn.Module, inputs: dict[str, Any], folder: Path) -> dict[str, States]:
    """ONNX Runtime with the model as it is, and with its weights in int8."""
    import onnxruntime
    from onnxruntime.quantization import quantize_dynamic

    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    torch.onnx.export(
        model,
        kwargs=inputs,
        f=str(folder / "float.onnx"),
        dynamo=True,
        dynamic_shapes=dict.fromkeys(inputs, axes),
        verbose=False,
    )
    quantize_dynamic(folder / "float.onnx", folder / "int8.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1

    def states(name: str) -> States:
        session = onnxruntime.InferenceSession(folder / name, options)
        names = [value.name for value in session.get_inputs()]

        def run(inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            [states, *_] = session.run(None, {name: inputs[name].numpy() for name in names})
            return torch.from_numpy(states)

        return run

    return {"ONNX Runtime": states("float.onnx"), "ONNX Runtime, int8": states("int8.onnx")}


def encode(states: States, tokenizer: Any, sentences: list[str]) -> np.ndarray:
    """Mean-pooled unit vectors, (sentences, 384), batched as GenLab does."""
    vectors = np.empty((len(sentences), 384), np.float32)
    for rows in batches_by_length([len(s) for s in sentences], BATCH, window=WINDOW):
        batch = [sentences[row] for row in rows]
        inputs = dict(
            tokenizer(batch, padding=True, truncation=True, max_length=LIMIT, return_tensors="pt")
        )
        with torch.inference_mode():
            means = mean_pooled(states(inputs), inputs["attention_mask"])
        vectors[rows] = torch.nn.functional.normalize(means).numpy()
    return vectors


def main() -> None:
    """Take turns, and print for each way its median speed and its correlation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the public texts")
    pairs = sts_pairs(require(parser.parse_args().data, "stsb_dev"))
    sentences = list(dict.fromkeys(s for left, right, _ in pairs for s in (left, right)))
    row = {sentence: i for i, sentence in enumerate(sentences)}
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(package_folder(MINILM))
    model = AutoModel.from_pretrained(package_folder(MINILM)).eval()
    with tempfile.TemporaryDirectory() as folder:
        ways = dict(torch_ways(model))
        if importlib.util.find_spec("onnxruntime"):
            example_inputs = dict(tokenizer(sentences[:2], padding=True, return_tensors="pt"))
            ways |= onnx_ways(model, example_inputs, Path(folder))
        speeds: dict[str, list[float]] = {name: [] for name in ways}
        # All of them once for the quality, which warms up; then some of them in turn for the speed.
        vectors = {name: encode(states, tokenizer, sentences) for name, states in ways.items()}
        some = sentences[::EVERY]
        for _ in range(RUNS):
            for name, states in ways.items():
                start = time.process_time()
                encode(states, tokenizer, some)
                speeds[name].append(len(some) / (time.process_time() - start))
    for name, unit in vectors.items():
        cosines = [float(unit[row[a]] @ unit[row[b]]) for a, b, _ in pairs]
        quality = 100 * float(spearmanr(cosines, [score for *_, score in pairs]).statistic)
        speed = statistics.median(speeds[name])
        gain = speed / statistics.median(speeds["GenLab"])
        print(f"{name}: {speed:.0f} sentences/s, {gain:.2f} times GenLab's; {quality:.2f}")


if __name__ == "__main__":
    main()
