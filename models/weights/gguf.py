"""GGUF files: which of several is meant, and the header, read without llama.cpp.

A header that lies aborts the process that trusts it, so what it says is compared with the rest first.
Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import mmap
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from models.contract import ModelSpec
from models.errors import Damaged, NotFound

# ---------------------------------------------------------------- which file

_SHARD = re.compile(r"-\d{5}-of-(\d{5})$")  # how llama.cpp names the parts of a model that is split
_BESIDE = re.compile(r"(^|[-._/])(mmproj|imatrix)", re.I)  # GGUF files that are no language model
_QUANTISATION = re.compile(
    r"(?:^|[-._/])((?:UD-)?(?:(?:I?Q|TQ|MXFP|NVFP)\d\w*|BF16|F(?:P)?(?:16|32)))(?=$|[-._])", re.I
)
_FIRST = ("Q4_K_M", "Q4_0", "Q4_K_S", "Q5_K_M", "Q8_0")  # where none is named; llama.cpp: the first


def quantisation(name: str) -> str:
    """The quantisation that a file's name says ("Q4_K_M"), or "GGUF" where it says none."""
    stem = _SHARD.sub("", re.sub(r"\.gguf$", "", name, flags=re.I))
    matches = _QUANTISATION.findall(stem)
    return matches[-1].upper() if matches else "GGUF"


def choose(names: Iterable[str], tag: str) -> list[str]:
    """The files of the model that is meant, the first of a split one first.

    Args:
        names: all files there are, with forward slashes.
        tag: a quantisation, as llama.cpp and Ollama write it after the colon ("Q4_K_M", in capitals
            or not), or a file's name. "": Q4_K_M if there is one, else the next of _FIRST, else any.

    Raises:
        NotFound: no GGUF model (not_found_gguf), or not this one (not_found_gguf_tag).
    """
    models = models_of(names)
    if not models:
        raise NotFound("not_found_gguf")
    tags = {stem: quantisation(stem) for stem in models}
    if not tag:
        ranks = (next((s for s, q in tags.items() if q == first), None) for first in _FIRST)
        return models[next(filter(None, ranks), next(iter(models)))]
    for stem, files in models.items():
        if tag.lower().endswith(".gguf"):
            fits = tag in {files[0], files[0].rpartition("/")[2]}
        else:
            fits = tag.upper() in {tags[stem], tags[stem].removeprefix("UD-")}
        if fits:
            return files
    there = sorted({q if q != "GGUF" else models[stem][0] for stem, q in tags.items()})
    raise NotFound("not_found_gguf_tag", tag=tag, tags=", ".join(there[:30]))


def models_of(names: Iterable[str]) -> dict[str, list[str]]:
    """Name without ending -> its files; shallow and short ones first, split ones only if whole."""
    models: dict[str, list[str]] = {}
    for name in sorted(names):
        if name.lower().endswith(".gguf") and not _BESIDE.search(name):
            models.setdefault(_SHARD.sub("", name[:-5]), []).append(name)
    whole = {stem: files for stem, files in models.items() if _is_whole(files)}
    return {stem: whole[stem] for stem in sorted(whole, key=lambda s: (s.count("/"), len(s), s))}


def _is_whole(files: Sequence[str]) -> bool:
    shard = _SHARD.search(files[0][:-5])
    return len(files) == (int(shard[1]) if shard else 1)


def tag_of(spec: ModelSpec) -> str:
    """What a GGUF model's source says after the colon: a quantisation, a file's name or nothing."""
    if spec.scheme == "file":
        return spec.name.rpartition("/")[2]
    return spec.name.partition(":")[2] if spec.scheme == "hub" else ""


def files_in(spec: ModelSpec, folder: Path) -> list[Path]:
    """A GGUF model's files in the folder that models/weights/sources.py gives.

    Raises:
        NotFound: it is not there.
    """
    paths = folder.rglob("*") if spec.scheme == "hub" else folder.glob("*")
    names = [path.relative_to(folder).as_posix() for path in paths if path.is_file()]
    return [folder / name for name in choose(names, tag_of(spec))]


# ---------------------------------------------------------------- the header

_NUMBERS = {
    **{0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f"},
    **{7: "<?", 10: "<Q", 11: "<q", 12: "<d"},
}
_STRING, _ARRAY = 8, 9
_MOST_ENTRIES = 10_000
_MOST_ITEMS = 4_000_000  # of an array; the largest vocabularies have some 260,000
_MOST_DIMENSIONS = 4
_BLOCK = 32  # numbers that share a scale in ggml's Q8_0
_ENCODERS = {"t5encoder", "clip", "wavtokenizer-dec", "gemma-embedding"}  # and all berts
_END = 3  # token type "control"
_END_NAMES = {
    *("<|im_end|>", "<|endoftext|>", "<end_of_turn>", "<eos>", "</s>", "<|eot_id|>", "<|end|>"),
}


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """One tensor of a file.

    Attributes:
        shape: the innermost dimension first, as ggml has it.
        kind: ggml's number of its type: 0 float32, 1 float16, 3 Q4_1, 8 Q8_0 ...
        offset: bytes from the beginning of the file.
    """

    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True)
class Header:
    """What the file says about itself.

    Attributes:
        values: all entries by name; arrays as lists.
        tensors: all of this file; of a split model it may have none.
    """

    values: dict[str, Any] = field(repr=False)
    tensors: dict[str, TensorPlace] = field(repr=False, default_factory=dict[str, TensorPlace])

    def number(self, name: str, default: int = 0) -> int:
        """An entry of the architecture; of one that differs by layer the largest."""
        value = self.values.get(f"{self.architecture}.{name}", default)
        if isinstance(value, list):
            value = max((v for v in value if isinstance(v, int)), default=default)  # type: ignore[reportUnknownVariableType]
        return value if isinstance(value, int) else default

    def cache_bytes(self, tokens: int) -> int:
        """Bytes of a KV cache for so many tokens: at most so many, windows aside.

        Values in 16 bits; keys in 8 and a scale for each 32 numbers, or in 16 where that does not divide.
        """
        heads = self.number("attention.head_count")
        width = self.number("embedding_length") // heads if heads > 0 else 0
        keys = self.number("attention.key_length", width)
        values = self.number("attention.value_length", width)
        rows = self.number("block_count") * self.number("attention.head_count_kv", heads)
        bits = 16 * values + keys * (16 if keys % _BLOCK else 8 + 16 / _BLOCK)
        return int(tokens * rows * bits / 8)

    @property
    def is_plausible(self) -> bool:
        """Whether the numbers that decide how much memory is taken fit the file's tensors."""
        count = self.values.get("split.tensors.count", len(self.tensors))
        words = self.tensors.get("token_embd.weight")
        width = self.number("embedding_length")
        return (
            self.context_length > 0
            and bool(self.tokens)
            and isinstance(count, int)
            and 0 < self.number("block_count") <= count
            and (words is None or (words.shape[0] == width and prod(words.shape) >= width))
        )

    @property
    def writes_text(self) -> bool:
        """Whether it is a language model and no encoder."""
        kinds = self.architecture in _ENCODERS or "bert" in self.architecture
        return not kinds and self.number("pooling_type") == 0

    @property
    def architecture(self) -> str:
        """The model's kind, such as "llama"."""
        return str(self.values.get("general.architecture", ""))

    @property
    def context_length(self) -> int:
        """Tokens that the model was trained to look at together."""
        length = self.values.get(f"{self.architecture}.context_length")
        return length if isinstance(length, int) else 0

    @property
    def chat_template(self) -> str | None:
        """The file's own template; None for a model that continues text."""
        template = self.values.get("tokenizer.chat_template")
        return template if isinstance(template, str) and template.strip() else None

    @cached_property
    def tokens(self) -> list[bytes]:
        """The vocabulary as it is written in the file."""
        tokens = self.values.get("tokenizer.ggml.tokens")
        return [t for t in tokens if isinstance(t, bytes)] if isinstance(tokens, list) else []

    @cached_property
    def types(self) -> list[int]:
        """1 normal, 2 unknown, 3 control, 4 by the user, 6 a byte; empty where the file says none."""
        types = self.values.get("tokenizer.ggml.token_type")
        return types if isinstance(types, list) else []

    @cached_property
    def ends(self) -> frozenset[int]:
        """Ids that end an answer."""
        ids = (self.values.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot"))
        numbers = {id_ for id_ in ids if isinstance(id_, int) and id_ < len(self.tokens)}
        numbers |= {
            id_
            for id_, kind in enumerate(self.types[: len(self.tokens)])
            if kind == _END and self.tokens[id_].decode("utf-8", "replace") in _END_NAMES
        }
        return frozenset(numbers)


def read(path: Path, label: str) -> Header:
    """Read a header.

    Args:
        path: the file, or the first of a model that is split.
        label: the model's name, for the sentence.

    Raises:
        Damaged: no GGUF file, or its header is cut or makes no sense (damaged_gguf).
        NotFound: an encoder: it writes no text (not_found_task).
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header = _HeaderReader(data).header()
    except (OSError, ValueError, struct.error, KeyError, IndexError):
        raise Damaged("damaged_gguf", model=label, file=path.name) from None
    if not header.writes_text:
        raise NotFound("not_found_task", model=label)
    if not header.is_plausible:
        raise Damaged("damaged_gguf", model=label, file=path.name)
    return header


class _HeaderReader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._at = data, 0

    def header(self) -> Header:
        magic, version, tensors, count = struct.unpack("<4sIQQ", self._bytes(24))
        if magic != b"GGUF" or version not in {2, 3} or max(count, tensors) > _MOST_ENTRIES:
            raise ValueError(magic)
        entries = self._entries(count)
        places = [self._place() for _ in range(tensors)]
        alignment = entries.get("general.alignment", 32)
        begin = -(-self._at // alignment) * alignment if isinstance(alignment, int) else self._at
        return Header(
            entries, {n: TensorPlace(s, kind, begin + offset) for n, s, kind, offset in places}
        )

    def _place(self) -> tuple[str, tuple[int, ...], int, int]:
        name, dimensions = self._string().decode("utf-8", "replace"), self._number("<I")
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            raise ValueError(dimensions)
        shape = tuple(self._number("<Q") for _ in range(dimensions))
        return name, shape, self._number("<I"), self._number("<Q")

    def _entries(self, count: int) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for _ in range(count):
            name = self._string().decode("utf-8", "replace")
            value = self._value(self._number("<I"))
            entries[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return entries

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string()
        if kind != _ARRAY:
            return self._number(_NUMBERS[kind])
        kind, count = self._number("<I"), self._number("<Q")
        if count > _MOST_ITEMS or kind == _ARRAY:
            raise ValueError(count)
        if kind == _STRING:
            return [self._string() for _ in range(count)]
        code = _NUMBERS[kind]
        return list(struct.unpack(f"<{count}{code[1]}", self._bytes(count * struct.calcsize(code))))

    def _string(self) -> bytes:
        return self._bytes(self._number("<Q"))

    def _number(self, code: str) -> Any:
        return struct.unpack(code, self._bytes(struct.calcsize(code)))[0]

    def _bytes(self, count: int) -> bytes:
        if count > len(self._data) - self._at:
            raise ValueError(count)
        self._at += count
        return self._data[self._at - count : self._at]
