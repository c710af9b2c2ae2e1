"""The words' side: a byte-level CLIP tokenizer of its own small vocabulary and its text model."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from training.scenes.captions import LANGUAGES, Lexicon, caption
from training.scenes.sampling import sample
from training.scenes.things import all_things, first_keys

MAX_TOKENS = 48
WIDTH = 128
START, END = "<|startoftext|>", "<|endoftext|>"
FOLDER = "tokenizer"
# In the labels of a four leaf clover; as known words they would promise four of a kind.
FOUR = frozenset(("four", "네"))


def sample_captions(count: int, lexicon: Lexicon, seed: int = 0) -> Iterator[str]:
    """Captions of scenes of all things, both languages in turn."""
    rng, keys = random.Random(f"captions/{seed}"), tuple(all_things())
    for index in range(count):
        yield caption(sample(rng, keys), rng, LANGUAGES[index % 2], lexicon)


def new_tokenizer(lexicon: Lexicon, captions: int = 30_000, size: int = 2500) -> CLIPTokenizer:
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
    learner.train_from_iterator(sample_captions(captions, lexicon), trainer)
    merges = [tuple(pair) for pair in json.loads(learner.model.__getstate__())["merges"]]
    tokens = [*letters, *(letter + "</w>" for letter in letters)]
    tokens += [first + second for first, second in merges]
    tokens = [*dict.fromkeys(tokens), START, END]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)


def compact(file: Path) -> None:
    """Writes a JSON file again without its indentation: a tokenizer shrinks by half."""
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")))


def tokenizer_of(run: Path, lexicon: Lexicon) -> CLIPTokenizer:
    """The run's tokenizer, made and written at the first call."""
    if not (run / FOLDER / "tokenizer_config.json").exists():
        new_tokenizer(lexicon).save_pretrained(run / FOLDER)
    return CLIPTokenizer.from_pretrained(run / FOLDER)


def new_text_encoder(vocabulary: int, start: int, end: int, pad: int) -> CLIPTextModel:
    """A small CLIP text model, random weights."""
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=WIDTH * 4,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=WIDTH,
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=pad,
    )
    return CLIPTextModel(config)


def known_words(things: int, lexicon: Lexicon, captions: int = 80_000) -> dict[str, list[str]]:
    """Every word that captions of the first `things` things use, by language, in lower case."""
    rng, keys = random.Random("words"), first_keys(things)
    words: dict[str, set[str]] = {language: set() for language in LANGUAGES}
    for index in range(captions):
        language = LANGUAGES[index % 2]
        text = caption(sample(rng, keys), rng, language, lexicon).lower()
        words[language].update(re.findall(r"[^\W\d_]+(?:[-'][^\W\d_]+)*", text))
    return {language: sorted(names - FOUR) for language, names in words.items()}


def encoder_for(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A fresh text model for a tokenizer."""
    return new_text_encoder(
        len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    )


def tokens(tokenizer: CLIPTokenizer, texts: list[str], short: bool = False) -> torch.Tensor:
    """Token ids (count, MAX_TOKENS), padded and cut as StableDiffusionPipeline does.

    `short` pads to the longest text only.
    """
    return tokenizer(
        texts,
        padding="longest" if short else "max_length",
        truncation=True,
        max_length=MAX_TOKENS,
        return_tensors="pt",
    ).input_ids
