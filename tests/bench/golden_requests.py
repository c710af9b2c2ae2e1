"""The requests of a golden recording: to the endpoints, good and bad, and to the page's buttons."""

import base64
import io
from typing import Any

from PIL import Image

Values = dict[str, Any]

SCHEDULERS = ("PNDM", "Euler", "Heun", "DPM++ 2M", "DPM++ 2M SDE", "DDIM", "UniPC", "LCM", "PLMS")
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
WORDS_EN, WORDS_KO = "genlab/words-en", "genlab/words-ko"
ENGLISH_ENCODERS = (MINILM, f"{MINILM}:int8", f"{MINILM}:cls", WORDS_EN, f"{WORDS_EN}:mean")
KOREAN_ENCODERS = (WORDS_KO, f"{WORDS_KO}:mean")

HELLO = [
    {"role": "user", "content": "Hello!"},
    {"role": "assistant", "content": "Hi! How are you today?"},
]
SENTENCES = [
    "A man is playing a guitar.",
    "Someone plays the guitar.",
    "The stock market fell sharply today.",
    "Shares lost a lot of value this morning.",
    "It will rain tomorrow.",
]
KOREAN_SENTENCES = [
    "한 남자가 기타를 치고 있어요.",
    "누군가 기타를 연주해요.",
    "오늘 주식이 크게 떨어졌어요.",
    "내일은 비가 올 거예요.",
]
REVIEWS = [
    "I loved every minute of this film.",
    "A dull, lifeless mess that never ends.",
    "It is not bad at all, in fact rather good.",
    "The plot is thin but the actors are wonderful.",
]
KOREAN_REVIEWS = [
    "정말 재미있는 영화였어요.",
    "시간이 아까운 최악의 영화.",
    "그냥 그랬어요. 나쁘지는 않아요.",
]
LESSON = "\n".join(
    f"{label}: {text}"
    for label, texts in {
        "complaint": ("My parcel never arrived.", "The box was broken.", "You charged me twice."),
        "praise": ("I love the new bag.", "Great service.", "It fits perfectly, I am happy."),
    }.items()
    for text in texts
)


def start_picture() -> str:
    """A PNG in base64 to start from: a red square on a blue ground, 96 by 80 pixels."""
    picture = Image.new("RGB", (96, 80), (20, 40, 160))
    picture.paste((220, 30, 30), (30, 20, 66, 60))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _chat() -> list[Values]:
    return [
        *({"message": "Hello, how are you?", "seed": seed} for seed in (0, 1, 2, 4294967295)),
        {"message": "Tell me about yourself.", "temperature": 0, "seed": 1},
        {"message": "안녕하세요! 오늘 기분이 어때요?", "seed": 1},
        {"message": "이름이 뭐예요?", "temperature": 0},
        {"message": "What is my name?", "history": HELLO, "seed": 5},
        {"message": "Tell me a joke.", "system_prompt": "You are a pirate.", "seed": 2},
        {"message": "What do you eat?", "system_prompt": "You are Mina, a cook.", "seed": 3},
        {"message": "농담 하나 해 줘.", "system_prompt": "너는 다정한 로봇이야.", "seed": 3},
        {"message": "Do you like music?", "temperature": 1.6, "top_p": 0.5, "seed": 7},
        {"message": "Do you like music?", "temperature": 2, "top_p": 1, "seed": 7},
        {"message": "Count to ten.", "max_new_tokens": 3, "seed": 1},
        {"message": "Hi", "model": "genlab/small-talk", "history": HELLO * 30, "seed": 1},
    ]


def _next_token() -> list[Values]:
    return [
        {"text": "Hello"},
        {"text": "I am", "k": 3},
        {"text": "I am", "k": 100, "temperature": 0.5},
        {"text": "I am", "temperature": 0},
        {"text": "The weather is", "top_k": 4},
        {"text": "The weather is", "top_p": 0.6, "temperature": 1.5},
        {"text": "The weather is", "top_p": 0.9, "top_k": 2, "model": "genlab/small-talk"},
        {"text": "오늘은", "k": 8},
        {"text": "Hi 🙂", "k": 5},
    ]


def _images() -> list[Values]:
    circle = {"prompt": "a red circle on a blue background"}
    house, star = {"prompt": "a small house by the sea at night"}, {"prompt": "a yellow star"}
    start = {"image": start_picture(), "seed": 1, "num_inference_steps": 10}
    return [
        *({**circle, "seed": seed} for seed in (0, 1, 2)),
        {**circle, "seed": 4294967295, "num_inference_steps": 8},
        {**house, "seed": 3, "guidance_scale": 1},
        {**house, "seed": 3, "guidance_scale": 7.5, "num_inference_steps": 12},
        {**house, "seed": 3, "guidance_scale": 1.5, "num_inference_steps": 1},
        {**star, "seed": 1, "negative_prompt": "green, night"},
        {**star, "seed": 4, "num_images": 4, "num_inference_steps": 10},
        {**star, "seed": 5, "width": 256, "height": 256, "model": "genlab/scenes"},
        *({**circle, "seed": 1, "num_inference_steps": 6, "scheduler": s} for s in SCHEDULERS),
        *({**house, **start, "strength": strength} for strength in (0.1, 0.6, 1)),
        {**house, **start, "scheduler": "DDIM", "num_images": 2},
        {"prompt": "파란 배경에 빨간 동그라미", "seed": 1, "num_inference_steps": 10},
        {"prompt": "a red circle riding a zeppelin " * 20, "seed": 1, "num_inference_steps": 4},
    ]


def _sentiment() -> list[tuple[str, Values]]:
    texts = [*REVIEWS, *KOREAN_REVIEWS, "This 영화 was great", "Good and bad. " * 400]
    models = ("genlab/sentiment-en", "genlab/sentiment-ko")
    why = [REVIEWS[2], KOREAN_REVIEWS[2]]
    many = [*REVIEWS, "", *KOREAN_REVIEWS, "...", "long " * 600]
    return [
        *(("/analyze_sentiment", {"text": text}) for text in texts),
        *(("/analyze_sentiment", {"text": KOREAN_REVIEWS[0], "model": m}) for m in models),
        *(
            ("/explain_sentiment", {"text": text, "method": method, "label": label})
            for text in why
            for method in ("gradients", "leave_out")
            for label in ("", "positive", "negative")
        ),
        ("/analyze_sentiments", {"texts": many}),
        *(("/analyze_sentiments", {"texts": many, "model": model}) for model in models),
    ]


def _similarity() -> list[tuple[str, Values]]:
    cases = [(SENTENCES, model) for model in ("auto", *ENGLISH_ENCODERS)]
    cases += [(KOREAN_SENTENCES, model) for model in ("auto", *KOREAN_ENCODERS)]
    cases += [([SENTENCES[0], *KOREAN_SENTENCES, "word " * 399], "auto")]
    requests: list[tuple[str, Values]] = []
    for texts, model in cases:
        pair = {"sentence_a": texts[0], "sentence_b": texts[1], "model": model}
        lines = [*texts[1:], " ", texts[0]]
        requests += [
            ("/compare_sentences", pair),
            ("/compare_many", {"sentences": [*texts, "?!"], "model": model}),
            ("/search_lines", {"query": texts[0], "lines": lines, "model": model, "k": 3}),
        ]
    return requests


GOOD: list[tuple[str, Values]] = [
    *(("/chat", values) for values in _chat()),
    *(("/next_token", values) for values in _next_token()),
    *(("/generate_image", values) for values in _images()),
    *_sentiment(),
    *_similarity(),
]

BAD: list[tuple[str, Values]] = [
    ("/chat", {"message": "  \n"}),
    ("/chat", {"message": "a" * 20_001}),
    ("/chat", {"message": ["not", "text"]}),
    ("/chat", {"message": "hi", "temperature": 99}),
    ("/chat", {"message": "hi", "top_p": 0}),
    ("/chat", {"message": "hi", "max_new_tokens": 10**9}),
    ("/chat", {"message": "hi", "seed": -2}),
    ("/chat", {"message": "hi", "model": "no such model"}),
    ("/chat", {"message": "hi", "model": "Qwen/Qwen3-0.6B"}),
    ("/chat", {"message": "hi", "model": "openai"}),
    ("/chat", {"message": "hi", "history": "not a list"}),
    ("/chat", {"message": "hi", "history": [{"role": "system", "content": "x"}]}),
    ("/chat", {"message": "hi", "history": HELLO * 300}),
    ("/next_token", {"text": " "}),
    ("/next_token", {"text": "hi", "k": 10**9}),
    ("/next_token", {"text": "hi", "top_k": 1001}),
    ("/next_token", {"text": "hi", "model": "openai"}),
    ("/generate_image", {"prompt": ""}),
    ("/generate_image", {"prompt": "a" * 2001}),
    ("/generate_image", {"prompt": "a quokka"}),
    ("/generate_image", {"prompt": "a", "guidance_scale": -5}),
    ("/generate_image", {"prompt": "a star", "guidance_scale": 0}),
    ("/generate_image", {"prompt": "a", "num_inference_steps": 100_000}),
    ("/generate_image", {"prompt": "a", "width": 65}),
    ("/generate_image", {"prompt": "a star", "width": 512, "height": 512}),
    ("/generate_image", {"prompt": "a", "num_images": 9}),
    ("/generate_image", {"prompt": "a", "seed": 4294967295, "num_images": 2}),
    ("/generate_image", {"prompt": "a", "scheduler": "Bogus"}),
    ("/generate_image", {"prompt": "a star", "scheduler": "Euler a"}),
    ("/generate_image", {"prompt": "a", "image": "no base64 !"}),
    ("/generate_image", {"prompt": "a", "image": "bm8gcGljdHVyZQ=="}),
    ("/generate_image", {"prompt": "a", "strength": 7}),
    ("/generate_image", {"prompt": "a", "model": "CompVis/stable-diffusion-v1-4"}),
    ("/analyze_sentiment", {"text": "\t"}),
    ("/analyze_sentiment", {"text": "a", "model": "../../etc/passwd"}),
    ("/analyze_sentiment", {"text": "a", "model": "nobody/no-such-model"}),
    ("/analyze_sentiments", {"texts": []}),
    ("/explain_sentiment", {"text": "good", "method": "bogus"}),
    ("/explain_sentiment", {"text": "good", "label": "bogus"}),
    ("/compare_sentences", {"sentence_a": "a", "sentence_b": " "}),
    ("/compare_sentences", {"sentence_a": "a", "sentence_b": "b", "model": "openai/none"}),
    ("/compare_sentences", {"sentence_a": "a", "sentence_b": "b", "model": "word2vec"}),
    ("/compare_many", {"sentences": ["alone"]}),
    ("/compare_many", {"sentences": ["many"] * 301}),
    ("/search_lines", {"query": "a", "lines": [" "]}),
    ("/search_lines", {"query": "a", "lines": ["b"], "k": 0}),
]

# What has no endpoint: the recipes, Word2Vec, "Words", "Teach it" ... A button's elem_id, and what is
# typed into which elem_id first; all other controls stay as the page shows them.
BUTTONS: list[tuple[str, Values]] = [
    ("chat-start", {"chat-message": "Hello!", "chat-seed": 3}),
    ("chat-start", {"chat-message": "Hi", "chat-seed": 3, "chat-num_return_sequences": 3}),
    ("chat-start", {"chat-message": "Hi", "chat-temperature": 0, "chat-seed": 0}),
    ("chat-start", {"chat-message": " "}),
    ("versus-start", {"versus-message": "Hello!", "chat-seed": 1, "versus-temperature": 0}),
    ("next-start", {"next-text": "The sun"}),
    ("next-start", {"next-text": "The sun", "next-mode": False, "next-top_k": 5}),
    (
        "text_to_image-start",
        {"text_to_image-prompt": "a red circle", "text_to_image-random": False},
    ),
    (
        "text_to_image-start",
        {
            "text_to_image-prompt": "a tree",
            "text_to_image-random": False,
            "text_to_image-num_images": 2,
            "text_to_image-scheduler": "DDIM",
            "text_to_image-style": "night",
        },
    ),
    (
        "text_to_image-explore-start",
        {"text_to_image-prompt": "a tree", "text_to_image-random": False},
    ),
    ("sentiment-start", {"sentiment-text": REVIEWS[0]}),
    ("sentiment-start", {"sentiment-text": KOREAN_REVIEWS[0]}),
    ("sentiment-why-start", {"sentiment-text": REVIEWS[2]}),
    ("sentiment-why-start", {"sentiment-text": REVIEWS[2], "sentiment-why-method": "leave_out"}),
    ("sentiment-file-start", {"sentiment-file-lines": "\n".join([*REVIEWS, *KOREAN_REVIEWS])}),
    (
        "sentiment-two-start",
        {
            "sentiment-two-lines": "\n".join(REVIEWS),
            "sentiment-two-first": "genlab/sentiment-en",
            "sentiment-two-second": "genlab/sentiment-ko",
        },
    ),
    ("teach-start", {"teach-examples-text": LESSON}),
    ("teach-tune", {"teach-examples-text": LESSON, "teach-epochs": 2}),
    (
        "sentence_similarity-start",
        {
            "sentence_similarity-a": SENTENCES[0],
            "sentence_similarity-b": SENTENCES[1],
            "sentence_similarity-also": [f"{MINILM}:int8", WORDS_EN],
        },
    ),
    ("many-start", {"many-lines": "\n".join(SENTENCES)}),
    ("many-start", {"many-lines": "\n".join(KOREAN_SENTENCES), "many-model": WORDS_KO}),
    ("words-start", {"words-words": "coffee"}),
    ("words-start", {"words-words": "king - man + woman", "words-question": "analogy"}),
    ("words-start", {"words-words": "커피", "words-source": WORDS_KO}),
    ("word2vec-start", {}),
    ("word2vec-start", {"word2vec-sg": 1, "word2vec-seed": 7, "word2vec-epochs": 20}),
]
