"""The words' side: a byte-level CLIP tokenizer of its own small vocabulary and its text model."""

import json
import random
import re
from collections.abc import Iterator

import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.scenes.captions import LANGUAGES, caption
from training.scenes.world import MAKERS, sample

MAX_TOKENS = 32
WIDTH = 128
START, END = "<|startoftext|>", "<|endoftext|>"


def sample_captions(count: int, seed: int = 0) -> Iterator[str]:
    """Captions of trained pictures, both languages in turn."""
    rng = random.Random(seed)
    for index in range(count):
        picture = sample(rng, rng.choice(list(MAKERS)))
        yield caption(picture, rng, LANGUAGES[index % 2]).text


def new_tokenizer(captions: int = 20_000, size: int = 1500) -> CLIPTokenizer:
    """A CLIP tokenizer whose merges come from our captions; any other text still has its bytes."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    bare = CLIPTokenizer(vocab={START: 0, END: 1}, merges=[]).backend_tokenizer
    learner = Tokenizer(BPE(end_of_word_suffix="</w>"))
    learner.normalizer, learner.pre_tokenizer = bare.normalizer, bare.pre_tokenizer
    trainer = BpeTrainer(
        vocab_size=size,
        initial_alphabet=letters,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(sample_captions(captions), trainer)
    learned = learner.model.__getstate__()
    return _from_merges(letters, learned)


def _from_merges(letters: list[str], learned: bytes) -> CLIPTokenizer:
    """CLIP's order of tokens: letters, letters that end a word, merges, start, end."""
    merges = [tuple(pair) for pair in json.loads(learned)["merges"]]
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    tokens += [first + second for first, second in merges]
    tokens = [*dict.fromkeys(tokens), START, END]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)


def known_words(captions: int = 20_000) -> list[str]:
    """Every word that the captions use, lower case: what a prompt may be made of."""
    return sorted({word for text in sample_captions(captions) for word in words_of(text)})


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without digits and marks."""
    return re.findall(r"[^\W\d_]+", text.lower())


def new_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A small CLIP text model for the tokenizer, random weights."""
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=WIDTH * 4,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def tokens(tokenizer: CLIPTokenizer, texts: list[str], device: torch.device) -> torch.Tensor:
    """Token ids of shape (count, MAX_TOKENS), padded and cut as StableDiffusionPipeline does."""
    made = tokenizer(
        texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    )
    return made.input_ids.to(device)
