"""Pretrained encoders on this machine: sentence-transformers, and a BERT's pooled states."""

import os
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from models.bert_program import BertProgram
from models.contract import ModelSpec, Placement, Request, Stop
from models.runtime.batching import Batcher
from models.sentence_similarity.catalog import Pooling, encoder_options
from models.sentence_similarity.encoder import Encoder
from models.settings import Settings
from models.text.language import cheapest_batches
from models.torch_tools import (
    by_onednn,
    in_int8,
    in_turn,
    int8_bytes,
    loading,
    on_cores,
    token_limit,
    torch_dtype,
    weights_bytes,
)

CAPACITY = 16  # requests that may share passes
PASS_LETTERS = 160  # what a pass costs beside its letters, in letters: measured on MiniLM and E5
PADDING_SHARE = 8  # one in so many parts of a letter's cost is what padding costs the program
_MAX_LANES = 8


class _OnTorch(Encoder):
    """An encoder with a tokenizer and a limit of tokens; requests at the same time share its passes."""

    model: Any
    tokenizer: Any
    limit: int  # tokens it takes of a sentence, special ones included

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model.eval()
        self._program: BertProgram | None = None  # for several sentences at once, once it is loaded
        # In int8 each batch sets the scale of its numbers: nobody's vectors may hang on others' sentences.
        self._capacity = 1 if int8_bytes(model) else CAPACITY
        on_cpu = model.device.type == "cpu"
        lanes = min(os.cpu_count() or 1, _MAX_LANES) if on_cpu else 1
        self._passes: Batcher[list[str], np.ndarray] = Batcher(
            self._embed_together,
            most=self.batch,
            weigh=len,
            lanes=lanes,
            spread=lanes,
            turns="sentence_similarity" if on_cpu else "",
        )

    def capacity(self, request: Request) -> int:
        """How many requests are at work at once and share passes."""
        return self._capacity

    def vectors(self, sentences: Sequence[str]) -> np.ndarray:
        """The model's own embeddings, float32, shape (sentences, dimensions)."""
        return self._passes(list(sentences), Stop())

    def _embed_together(self, items: list[list[str]], cores: int) -> list[np.ndarray]:
        """The vectors of several people's sentences, by as little padding as is worth a pass."""
        with on_cores(cores):
            if len(items) == 1:
                # A sentence alone goes the library's way: to trace the program takes as long as 16 of them.
                return [self.embed(items[0], self._program if len(items[0]) > 1 else None)]
            sentences = [sentence for item in items for sentence in item]
            lengths = [len(sentence) for sentence in sentences]
            parts = cheapest_batches(
                lengths, PASS_LETTERS * (PADDING_SHARE if self._program else 1)
            )
            vectors = np.concatenate(
                [self.embed([sentences[i] for i in part], self._program) for part in parts]
            )
            vectors[[i for part in parts for i in part]] = vectors.copy()
            return np.split(vectors, np.cumsum([len(item) for item in items])[:-1])

    @abstractmethod
    def embed(self, sentences: list[str], program: BertProgram | None = None) -> np.ndarray:
        """`vectors` of a few sentences, in one pass; by the program if there is one."""

    @classmethod
    def load(
        cls, spec: ModelSpec, folder: Path | None, placement: Placement, settings: Settings
    ) -> Self:
        """Bring an encoder's folder into memory.

        Raises:
            Refused: pickled weights, or code of its own.
            Damaged: a file is missing or broken.
        """
        assert folder is not None, "an encoder has weights"
        with loading(spec, folder):
            encoder = cls.from_folder(spec, folder, placement)
        by_onednn(encoder.model)
        bert = encoder.transformer()
        encoder._program = BertProgram(bert) if BertProgram.fits(bert) else None
        return encoder

    @classmethod
    @abstractmethod
    def from_folder(cls, spec: ModelSpec, folder: Path, placement: Placement) -> Self:
        """The encoder of a folder, on its device."""

    @abstractmethod
    def transformer(self) -> Any:
        """The network within it that a traced program may stand for; None if nothing may."""

    def too_long(self, sentences: Sequence[str]) -> tuple[int, ...]:
        """Indexes of the sentences that are longer than the encoder reads."""
        # A token has a letter at least, so that only the long ones need counting.
        long = [i for i, sentence in enumerate(sentences) if len(sentence) > self.limit - 2]
        if not long:
            return ()
        ids = self.tokenizer([sentences[i] for i in long], truncation=False, verbose=False)
        return tuple(
            i for i, tokens in zip(long, ids["input_ids"], strict=True) if len(tokens) > self.limit
        )

    def nbytes(self) -> int:
        """Bytes of weights held."""
        return weights_bytes(self.model) + int8_bytes(self.model)


class SentenceTransformerSimilarity(_OnTorch):
    """An encoder trained so that sentences of one meaning get vectors at a small angle.

    Source: Reimers and Gurevych, Sentence-BERT, EMNLP 2019.
    """

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.tokenizer = model.tokenizer
        in_turn(self.tokenizer)
        self.limit = model.max_seq_length or self.tokenizer.model_max_length
        if prompt := model.prompts.get(
            model.default_prompt_name or ""
        ):  # stands before each sentence
            self.limit -= len(self.tokenizer.tokenize(prompt))

    @classmethod
    def from_folder(cls, spec: ModelSpec, folder: Path, placement: Placement) -> Self:
        """A sentence-transformers folder; a plain model gets mean pooling.

        The option int8 counts on a CPU only.
        """
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(
            str(folder),
            device=placement.device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": torch_dtype(placement), "use_safetensors": True},
        )
        if encoder_options(spec).int8 and placement.device == "cpu":
            in_int8(model)
        return cls(model)

    def transformer(self) -> Any:
        """The first of its modules, where only a pooling and a length follow."""
        from sentence_transformers.sentence_transformer.modules import (
            Normalize,
            Pooling,
            Transformer,
        )

        first, *others = self.model
        plain = type(first) is Transformer and all(type(m) in {Pooling, Normalize} for m in others)
        return first.auto_model if plain and self.model.truncate_dim is None else None

    def embed(self, sentences: list[str], program: BertProgram | None = None) -> np.ndarray:
        """The library's encode, float32, shape (sentences, dimensions)."""
        if program:
            return self._embed_by_program(program, sentences)
        with torch.inference_mode():
            vectors = self.model.encode(sentences, convert_to_tensor=True, show_progress_bar=False)
        return vectors.float().cpu().numpy()

    @torch.inference_mode()
    def _embed_by_program(self, program: BertProgram, sentences: list[str]) -> np.ndarray:
        model = self.model
        prompt = model.prompts.get(model.default_prompt_name or "")
        features = model.preprocess(sentences, prompt=prompt)
        states = program(features["input_ids"], features["attention_mask"])
        features["token_embeddings"] = states
        for module in [*model][1:]:
            features = module(features)
        return features["sentence_embedding"].numpy()


class BertSimilarity(_OnTorch):
    """A BERT's last hidden states, pooled as the spec's options say.

    BERT never learned to compare sentences: its vectors point into a narrow cone, so that any two
    sentences have a high cosine (Ethayarajh, EMNLP 2019).
    """

    def __init__(self, model: Any, tokenizer: Any, pooling: Pooling) -> None:
        super().__init__(model)
        self.tokenizer = tokenizer
        in_turn(tokenizer)
        self.pooling: Pooling = pooling
        self.limit = token_limit(model, tokenizer)

    @classmethod
    def from_folder(cls, spec: ModelSpec, folder: Path, placement: Placement) -> Self:
        """A transformers encoder; a missing pooler is not used and no fault."""
        from transformers import AutoModel, AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModel.from_pretrained(
            folder, dtype=torch_dtype(placement), use_safetensors=True, trust_remote_code=False
        )
        return cls(model.to(placement.device), tokenizer, encoder_options(spec).pooling)

    def transformer(self) -> Any:
        """All of it."""
        return self.model

    def embed(self, sentences: list[str], program: BertProgram | None = None) -> np.ndarray:
        """Pooled last hidden states, float32, shape (sentences, hidden size)."""
        settings = {"padding": True, "truncation": True, "max_length": self.limit}
        inputs = self.tokenizer(sentences, **settings, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            if program:
                states = program(inputs["input_ids"], inputs["attention_mask"])
            else:
                states = self.model(**inputs).last_hidden_state.float()
        if self.pooling == "cls":
            return states[:, 0].cpu().numpy()
        return mean_pooled(states, inputs["attention_mask"]).cpu().numpy()


def mean_pooled(states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over the tokens that are there: without the mask, padding would count as words.

    Args:
        states: shape (sentences, tokens, hidden size).
        mask: 1 for a token and 0 for padding, shape (sentences, tokens).

    Returns:
        Shape (sentences, hidden size).
    """
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1).clamp(min=1)
