"""The public texts that starters are trained and judged on: where each comes from, and its hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Corpus:
    """One file of a data folder."""

    path: str
    source: str
    licence: str
    sha256: str


NLTK = "https://github.com/nltk/nltk_data (packages/corpora/"
RT_SOURCE = NLTK + "sentence_polarity.zip), less the lines that also stand in SST-2 dev or test"
NSMC_SOURCE = "https://github.com/e9t/nsmc"
CHITCHAT = "https://github.com/microsoft/botframework-cli (packages/qnamaker/docs/qnaFormat)"
CHATTERBOT = "https://github.com/gunthercox/chatterbot-corpus (chatterbot_corpus/data)"
CORPORA = {
    "rt_neg": Corpus(
        "rt_polarity_en/rt-polarity.neg",
        RT_SOURCE,
        "CC BY 4.0",
        "9bc72f2a3500eac565e47e28bec17a2e8a4c6ae6a0bec61899f3b7917da2cf2e",
    ),
    "rt_pos": Corpus(
        "rt_polarity_en/rt-polarity.pos",
        RT_SOURCE,
        "CC BY 4.0",
        "6ecdfbc6c18cfea7387a8520280b97a6a735bd98956698bbb2d14eb26284291c",
    ),
    "movie_reviews": Corpus(
        "movie_reviews_en/movie_reviews.zip",
        NLTK + "movie_reviews.zip)",
        "CC BY 4.0",
        "a41211ae685019137410268134db6a1a14428c89b671eb83056151a878539008",
    ),
    "sst2_dev": Corpus(
        "sst2_en/dev.tsv",
        "https://github.com/clairett/pytorch-sentiment-classification (data/SST2/dev.tsv)",
        "not stated: for reporting only",
        "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359",
    ),
    "nsmc_train": Corpus(
        "nsmc_ko/train.txt.gz",
        NSMC_SOURCE + " (raw reviews, 150,000 drawn evenly, less the texts of its test file)",
        "CC0 1.0",
        "468e5add8a76947ea904e34ae4e3e785a73c84d4a2d85045c4be96566c59b1b4",
    ),
    "nsmc_dev": Corpus(
        "nsmc_ko/dev.txt",
        NSMC_SOURCE + " (the first 10,000 rows of ratings_test.txt)",
        "CC0 1.0",
        "968d40e6d992ffe8b7b8a811e9e34407e085f110267a3b4c6e7ed5a693df0dff",
    ),
    "novels": Corpus(
        "novels_en/novels.tar.gz",
        "https://github.com/computationalstylistics/100_english_novels (50 from before 1924)",
        "public domain by age",
        "beef5c295f4fbb57231afbbc826a46622f9569817e50d81f36273e0cd6e574fd",
    ),
    "self_dialogue": Corpus(
        "self_dialogue_en/self_dialogue.jsonl.gz",
        "https://github.com/jfainberg/self_dialogue_corpus",
        "BSD-3-Clause",
        "8dc14ff76b8ecd22b7d2d515ee65cc2cffc2b9540e086035e17c4a7b45807b00",
    ),
    "songys": Corpus(
        "chatbot_ko_songys/ChatbotData.csv",
        "https://github.com/songys/Chatbot_data",
        "MIT",
        "287eb129695b577321c80ad397bb3c2279164d4ca577874d129fd3db5b30afe2",
    ),
    "stsb_dev": Corpus(
        "stsb_en/sts-dev.csv",
        "https://ixa2.si.ehu.eus/stswiki/index.php/STSbenchmark",
        "scores CC BY-SA 4.0: for reporting only",
        "5d7e944d8b02734b07bfdb5df67db3420c64bed153fcaa1ba47ad03480cf4234",
    ),
    "korsts_dev": Corpus(
        "korsts_ko/sts-dev.tsv",
        "https://github.com/kakaobrain/kor-nlu-datasets (KorSTS)",
        "CC BY-SA 4.0: for reporting only",
        "d835b65b424401fbcce6be28a78159df8d61f5b19977ea7a0b83b8cb6105f393",
    ),
    "analogies": Corpus(
        "word_eval_en/questions-words.txt",
        "https://github.com/piskvorky/gensim (gensim/test/test_data/questions-words.txt)",
        "Apache-2.0: for reporting only",
        "8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36",
    ),
    "chitchat_en_friendly": Corpus(
        "chitchat_ms_en_ko/english/qna_chitchat_friendly.qna",
        CHITCHAT,
        "MIT",
        "7a1e06dc6ab82a6dc0fdb198212a0d49493819c77659f0059c9cb441b5c16be9",
    ),
    "chitchat_en_professional": Corpus(
        "chitchat_ms_en_ko/english/qna_chitchat_professional.qna",
        CHITCHAT,
        "MIT",
        "bc68f9dfb5d6073f2f30255be44d9288a7cf301bc61282dc461e95cdbd286a81",
    ),
    "chitchat_en_witty": Corpus(
        "chitchat_ms_en_ko/english/qna_chitchat_witty.qna",
        CHITCHAT,
        "MIT",
        "d08fc9cf7a41a25145147642158a35a32fa86d4c14655bfdb7ec471946d52a79",
    ),
    "chitchat_en_caring": Corpus(
        "chitchat_ms_en_ko/english/qna_chitchat_caring.qna",
        CHITCHAT,
        "MIT",
        "d3adfdfc65849958fe74f95afccd2d73d3d524e9ec687d2247176ac1ea1d5beb",
    ),
    "chitchat_en_enthusiastic": Corpus(
        "chitchat_ms_en_ko/english/qna_chitchat_enthusiastic.qna",
        CHITCHAT,
        "MIT",
        "7e15feb8bd4d61ce46a3d26f47534d143fc18adbc837fcc22dc9116b778f627b",
    ),
    "chitchat_ko": Corpus(
        "chitchat_ms_en_ko/korean/qna_chitchat_friendly.qna",
        CHITCHAT,
        "MIT",
        "1bcce083ddf2d4e9a4731ec2f5ef8b7119a9b0916411951d6584fa2afe5664ad",
    ),
    "trivia_en": Corpus(
        "chatterbot_en_ko/english/trivia.yml",
        CHATTERBOT,
        "BSD-3-Clause",
        "3a9de77e6d82803d1ea3eba48cf6543c884908f4c4f50501fed69f88112994dc",
    ),
    "trivia_ko": Corpus(
        "chatterbot_en_ko/korean/trivia.yml",
        CHATTERBOT,
        "BSD-3-Clause",
        "3d8a1b9f05a7163b1a62433a47d4a154ba96fe29cb60384867d65bb95bb0525e",
    ),
    "tasks_en": Corpus(
        "self_instruct_seed_en/seed_tasks.jsonl",
        "https://github.com/yizhongw/self-instruct (data/seed_tasks.jsonl)",
        "Apache-2.0",
        "7779004fa198fdf27cf70a159363879d8a26c53329e11b436af17b3941875f48",
    ),
    "tasks_by_users_en": Corpus(
        "self_instruct_seed_en/user_oriented_instructions.jsonl",
        "https://github.com/yizhongw/self-instruct (human_eval/user_oriented_instructions.jsonl)",
        "Apache-2.0",
        "81d60a117db495cecedecd9193504fd07c5b5a42f6699ef6b0f9da10fc22f42e",
    ),
}


def require(data: Path, name: str) -> Path:
    """Return the path of a corpus in the data folder, after checking its hash.

    Raises:
        SystemExit: With one sentence, when the file is absent or is another file.
    """
    corpus = CORPORA[name]
    path = data / corpus.path
    if not path.is_file():
        raise SystemExit(
            f"{path} is not there: get it from {corpus.source} (sha256 {corpus.sha256})."
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != corpus.sha256:
        raise SystemExit(f"{path} has sha256 {digest}; the starters rest on {corpus.sha256}.")
    return path
