"""Texts on which Word2Vec shows in a second what it does: `python -m training.word_vectors.small_world`.

Real text of this size teaches it next to nothing. These are sentences from patterns, in which animals,
days or cities take each other's places, so that their vectors must come together. They are GenLab's own.
"""

import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "tabs" / "sentence_similarity" / "words"
MOST = 24  # sentences of one pattern
Rows = Mapping[str, Sequence[Sequence[str]]]  # a name in the patterns -> what may stand there

ENGLISH_WORDS: Rows = {
    "animal": [["cat", "dog", "horse", "cow", "rabbit", "sheep"]],
    "fruit": [["apple", "pear", "orange", "banana", "peach", "cherry"]],
    "drink": [["coffee", "tea", "milk", "juice"]],
    "day": [["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]],
    "instrument": [["guitar", "piano", "violin", "flute", "drum"]],
    "city": [["Seoul", "Paris", "London", "Rome", "Tokyo"]],
    "season": [["spring", "summer", "autumn", "winter"]],
    "who": [["I", "We", "They"]],
    "capital": [
        ["Seoul", "Paris", "London", "Rome", "Tokyo"],
        ["Korea", "France", "England", "Italy", "Japan"],
    ],
    "royal": [["king", "queen", "prince", "princess"], ["he", "she"] * 2, ["his", "her"] * 2],
    "adult": [["man", "woman"], ["he", "she"], ["his", "her"]],
    "child": [["boy", "girl"], ["he", "she"], ["his", "her"]],
    "parent": [["father", "mother"], ["he", "she"], ["his", "her"]],
}
# {animal} is any of these words; {a|b} is either; {royal.1} is the second word of the row of {royal.0}.
ENGLISH = """
The {animal} {sleeps|rests} in the {barn|yard}.
The {animal} runs across the {field|yard}.
{who} feed the {animal} in the {morning|evening}.
The hungry {animal} {looks for|finds} its food.
The {animal} has four legs and a {long|short} tail.
A {small|big} {animal} is an animal on the farm.
{who} eat a {sweet|ripe} {fruit} after {lunch|dinner}.
{who} put the {fruit} into the {bowl|basket}.
The {ripe|sweet} {fruit} hangs on the tree.
A {ripe|fresh} {fruit} is a sweet fruit.
{who} cut the {fruit} and put it into the cake.
{who} drink a cup of {hot|cold} {drink} in the {morning|evening}.
{who} pour the {hot|cold} {drink} into a cup.
A cup of {drink} stands on the {table|desk}.
{who} order {drink} in the cafe.
{who} have {school|lessons} on {day} {morning|afternoon}.
The {shop|library} is closed on {day}.
On {day} {we|they} meet our friends.
{day} is a {good|busy} day of the week.
The {test|party} is next {day}.
{who} play the {instrument} in a {band|concert}.
{who} practise the {instrument} every {evening|week}.
The {instrument} sounds {lovely|loud} in the concert.
The music of the {instrument} fills the {room|hall}.
In {season} the {weather|wind} is {mild|strong}.
{who} travel every {season} by {train|bus}.
{season} is a season of the year.
The {flowers|trees} look different in {season}.
{who} fly to {city} by plane.
{city} is a big city with many {people|streets}.
The {streets|museums} of {city} are full of visitors.
{who} live in a {hotel|flat} in {city}.
{capital.0} is the capital of {capital.1}.
{who} travel to {capital.0} and see {capital.1}.
{capital.0} is the largest city of {capital.1}.
{who} send a letter to {capital.0} in {capital.1}.
The people of {capital.1} {speak|write} their own language.
The flag of {capital.1} {flies|hangs} in the wind.
The {royal.0} wears {royal.2} {golden|heavy} crown in the palace.
The {royal.0} lives in the {palace|castle} and {royal.1} loves {royal.2} people.
The {royal.0} sits on the throne and {royal.1} rules {royal.2} land.
The people greet the {royal.0} and {royal.1} leaves the {palace|castle}.
The {royal.0} opens {royal.2} palace for the people of the land.
The {adult.0} drives {adult.2} car to {work|town}.
The {adult.0} works in {town|an office} and {adult.1} likes {adult.2} {job|office}.
The {adult.0} buys {adult.2} ticket and {adult.1} takes the {bus|train}.
The {adult.0} reads {adult.2} {newspaper|mail} and {adult.1} goes to work.
The {adult.0} pays {adult.2} rent at the {bank|office}.
The {child.0} takes {child.2} bag to school and {child.1} meets {child.2} teacher.
The {child.0} plays with {child.2} {toys|ball} and {child.1} laughs.
The {child.0} does {child.2} homework and {child.1} learns at school.
The {child.0} asks {child.2} teacher and {child.1} learns to {read|count}.
The {parent.0} cooks {dinner|lunch} for {parent.2} family and {parent.1} sets the table.
The {parent.0} hugs {parent.2} {son|daughter} and {parent.1} tells a story.
The {parent.0} brings {parent.2} children to bed and {parent.1} says good night.
The {parent.0} washes the dishes at home for {parent.2} family.
"""

KOREAN_WORDS: Rows = {
    "animal": [["고양이", "강아지", "토끼", "송아지", "오리"]],
    "fruit": [["사과", "포도", "딸기", "바나나", "복숭아"]],
    "drink": [["커피", "우유", "녹차", "주스"]],
    "day": [["월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일"]],
    "instrument": [["기타", "피아노", "바이올린", "첼로"]],
    "city": [["서울", "파리", "런던", "로마", "도쿄"]],
    "season": [["봄", "여름", "가을", "겨울"]],
    "who": [["나는", "우리는", "친구는", "동생은"]],
    "capital": [
        ["서울", "파리", "런던", "로마", "도쿄"],
        ["한국", "프랑스", "영국", "이탈리아", "일본"],
    ],
    "royal": [["왕", "여왕", "왕자", "공주"], ["남자", "여자"] * 2],
    "family": [["아빠", "엄마", "할아버지", "할머니"], ["남자", "여자"] * 2],
    "person": [["남자", "여자"]],
}
# Nouns without a particle, because "고양이가" and "고양이는" would be two words to Word2Vec.
KOREAN = """
{animal} 한 마리가 {마당에서|들판에서} {놀아요|뛰어요}.
{who} {animal} 먹이를 {아침에|저녁에} 챙겨 줘요.
{animal} 꼬리가 {길어요|짧아요}.
{배고픈|작은} {animal} 한 마리가 먹이를 찾아요.
{animal} 새끼가 {마당에서|외양간에서} 자요.
농장에는 {animal} 세 마리가 살아요.
{who} {잘 익은|달콤한} {fruit} 한 개를 먹어요.
{who} {fruit} 껍질을 벗겨서 접시에 담아요.
{fruit} 맛이 아주 {달아요|달콤해요}.
{fruit} 향기가 {부엌에|방에} 가득해요.
과일 가게에서 {fruit} 한 {상자를|봉지를} 사요.
{who} {아침에|점심에} {따뜻한|차가운} {drink} 한 잔을 마셔요.
{따뜻한|차가운} {drink} 한 잔이 {책상|식탁} 위에 있어요.
컵에 {drink} 한 잔을 {가득|조금} 따라요.
{who} 카페에서 {drink} 두 잔을 시켜요.
{who} {day} {아침에|오후에} 학교 수업이 있어요.
{day} 하루는 {가게|도서관} 문을 닫아요.
{who} {다음|이번} 주 {day} 오후에 친구를 만나요.
{다음|이번} 주 {day} 아침에 시험을 봐요.
{day} 수업은 {아침에|오후에} 시작해요.
{who} {저녁마다|날마다} {instrument} 연습을 해요.
{instrument} 연주 소리가 {공연장에|방에} 울려요.
{who} {공연에서|음악회에서} {instrument} 연주를 들려줘요.
{instrument} 소리가 아주 {아름다워요|맑아요}.
{who} 음악 학원에서 {instrument} 연주를 배워요.
{season} 날씨는 바람이 {시원해요|차가워요}.
{who} {season} 방학에 기차를 타고 여행해요.
{season} 풍경은 다른 계절과 달라요.
{season} 햇살이 {창가에|마당에} 비쳐요.
{who} 비행기를 타고 {city} 구경을 가요.
{city} 거리에는 {사람이|가게가} 아주 많아요.
{who} {city} 호텔에서 하룻밤을 묵어요.
{city} 시내에는 높은 건물이 많아요.
{capital.1} 수도 {capital.0} 시내에 {사람이|가게가} 많아요.
{who} {capital.1} 여행을 하며 {capital.0} 구경을 해요.
{capital.1} 사람들은 {capital.1} 말과 글을 {써요|배워요}.
{capital.1} 국기가 {바람에|하늘에} 펄럭여요.
{capital.1} 지도에서 {capital.0} 자리를 {찾아봐요|짚어 봐요}.
{royal.0} 역할은 {키가 큰|목소리가 좋은} {royal.1} 배우가 맡아요.
{royal.0} 옷을 입은 {royal.1} 배우가 {왕관을|비단옷을} 자랑해요.
궁궐에서 {royal.0} 자리에 앉은 사람은 {royal.1} 어른이에요.
백성들이 궁궐에 사는 {royal.0} 앞에서 {절을|인사를} 해요.
{royal.0} 머리에는 {무거운|빛나는} 왕관이 있어요.
{royal.0} 방은 궁궐에서 가장 {넓어요|화려해요}.
{family.0} 역할은 {키가 큰|목소리가 좋은} {family.1} 배우가 맡아요.
{family.0} 옷을 입은 {family.1} 배우가 식구들을 안아 줘요.
우리 집에서 {family.0} 자리에 앉은 사람은 {family.1} 어른이에요.
{family.0} 요리는 식구들이 모두 {좋아해요|기다려요}.
{family.0} 품에서 {동생이|아기가} 잠들어요.
저녁이면 {family.0} 이야기를 들으며 {식구들이|동생이} 웃어요.
{person.0} 배우가 무대에서 {노래를|춤을} 연습해요.
{person.0} 어른 두 사람이 버스를 타고 회사에 가요.
"""


def corpus(patterns: str, words: Rows) -> str:
    """The sentences, one a line, in a mixed order that is always the same."""
    chance = random.Random(1)
    lines: list[str] = []
    for pattern in patterns.strip().splitlines():
        sentences = [*expand(pattern, words)]
        chance.shuffle(sentences)
        if len(sentences) < MOST <= 2 * len(sentences):
            sentences *= 2
        lines += sentences[:MOST]
    chance.shuffle(lines)
    return "\n".join(lines) + "\n"


def expand(pattern: str, words: Rows) -> Iterator[str]:
    """Every sentence of a pattern."""
    slots = re.findall(r"\{([^}]*)\}", pattern)
    row_name = next((slot.split(".")[0] for slot in slots if "." in slot), None)
    rows = [*zip(*words[row_name], strict=True)] if row_name else [()]
    choices = [_choices(slot, words) for slot in slots]
    parts = re.split(r"\{[^}]*\}", pattern)
    for row in rows:
        for choice in itertools.product(*choices):
            fills = (
                row[int(slot[-1])] if "." in slot else word
                for slot, word in zip(slots, choice, strict=True)
            )
            text = parts[0] + "".join(f + part for f, part in zip(fills, parts[1:], strict=True))
            yield text[0].upper() + text[1:]


def _choices(slot: str, words: Rows) -> Sequence[str]:
    if "." in slot:  # the row decides
        return [""]
    return slot.split("|") if "|" in slot else words[slot][0]


def main() -> None:
    """Write both texts."""
    for language, patterns, words in (
        ("en", ENGLISH, ENGLISH_WORDS),
        ("ko", KOREAN, KOREAN_WORDS),
    ):
        text = corpus(patterns, words)
        (FOLDER / f"small_world_{language}.txt").write_text(text, encoding="utf-8")
        print(language, len(text.splitlines()), "sentences,", len(text.encode()), "bytes")


if __name__ == "__main__":
    main()
