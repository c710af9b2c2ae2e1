"""Korean captions, as people write prompts: noun phrases first, a sentence now and then."""

import random

from training.scenes.things import all_things
from training.scenes.words import (
    ANIMALS,
    FLYERS,
    KOREAN_NUMBERS,
    PEOPLE,
    counter,
    is_usual_colour,
    names_of,
    with_particle,
)
from training.scenes.world import SHAPES, UNDER_WATER, Background, Item, Scene, is_stack

# Adnominal forms ("빨간 자동차") and nouns ("빨간색 배경").
COLOURS = {
    "red": (("빨간", "빨간", "붉은", "빨간색"), ("빨간색", "빨강", "빨간")),
    "orange": (("주황색", "주황"), ("주황색", "주황")),
    "yellow": (("노란", "노란", "노란색"), ("노란색", "노랑", "노란")),
    "green": (("초록색", "초록", "녹색"), ("초록색", "녹색", "초록")),
    "blue": (("파란", "파란", "푸른", "파란색"), ("파란색", "파랑", "파란")),
    "purple": (("보라색", "보랏빛", "보라"), ("보라색", "보라")),
    "pink": (("분홍색", "분홍", "핑크색"), ("분홍색", "핑크색", "분홍")),
    "brown": (("갈색",), ("갈색",)),
    "black": (("검은", "까만", "검은색"), ("검은색", "검정", "검은")),
    "white": (("하얀", "흰", "흰색"), ("하얀색", "흰색", "하얀")),
    "gray": (("회색",), ("회색",)),
}
SHAPE_NAMES = {
    "circle": ("원", "원", "동그라미"),
    "square": ("정사각형", "네모", "사각형"),
    "triangle": ("삼각형", "세모"),
    "star": ("별", "별", "별 모양"),
    "heart": ("하트", "하트", "하트 모양"),
    "diamond": ("마름모",),
}
SIZES = {
    "small": ("작은", "작은", "조그만", "조그마한"),
    "medium": ("", "", "", "", "", "중간 크기의"),
    "large": ("큰", "큰", "커다란", "거대한"),
}
# What stands before the thing ("눈밭의 판다") and where it is ("눈밭에 있는 판다").
GROUNDS = {
    "grass": (
        ("풀밭의", "풀밭 위의", "잔디밭의", "들판의", "초원의"),
        ("풀밭에", "잔디밭에", "들판에"),
    ),
    "beach": (
        ("바닷가의", "해변의", "모래사장의", "모래밭의"),
        ("바닷가에", "해변에", "모래사장에"),
    ),
    "sea": (("바다의", "바다 위의", "물 위의"), ("바다에", "바다 위에", "물 위에")),
    "snow": (("눈밭의", "눈 위의", "눈 속의", "눈 덮인 들판의"), ("눈밭에", "눈 위에", "눈 속에")),
    "city": (("도시의", "시내의", "거리의", "길거리의"), ("도시에", "시내에", "거리에")),
    "forest": (("숲의", "숲속의", "숲 속의"), ("숲에", "숲속에")),
    "hill": (("언덕의", "언덕 위의"), ("언덕에", "언덕 위에")),
    "desert": (("사막의", "사막 위의"), ("사막에", "모래 언덕에")),
    "moon": (("달의", "달 위의", "달 표면의"), ("달에", "달 위에", "달 표면에")),
    UNDER_WATER: (("물속의", "바닷속의", "바다 밑의"), ("물속에", "바닷속에", "바다 밑에")),
}
PLACES = {
    "grass": ("풀밭", "들판", "초원", "잔디밭"),
    "beach": ("바닷가", "해변", "모래사장"),
    "sea": ("바다",),
    "snow": ("눈밭", "눈 덮인 들판"),
    "city": ("도시", "거리", "도시 풍경"),
    "forest": ("숲", "숲속"),
    "hill": ("언덕",),
    "desert": ("사막",),
    "moon": ("달 표면",),
    UNDER_WATER: ("바닷속", "물속"),
}
# Before another word ("밤 풀밭의"), before the thing ("밤의 여우"), as an adverb ("밤에 ... 있는").
SKIES = {
    "day": (
        ("맑은 날", "낮", "화창한 날"),
        ("맑은 날의", "낮의", "파란 하늘 아래의"),
        ("낮에", "맑은 날"),
    ),
    "sunset": (
        ("해 질 녘", "노을 지는", "저녁", "해질녘"),
        ("해 질 녘의", "노을 속의", "석양의", "저녁의"),
        ("해 질 녘에", "저녁에", "노을 질 때"),
    ),
    "night": (
        ("밤", "한밤중", "깜깜한 밤"),
        ("밤의", "한밤중의", "밤하늘 아래의", "밤하늘의"),
        ("밤에", "한밤중에", "깜깜한 밤에"),
    ),
    "rain": (
        ("비 오는", "비 내리는", "비 오는 날"),
        ("비 오는 날의", "빗속의", "비 내리는 날의"),
        ("비 오는 날", "빗속에"),
    ),
}
LIST_WORDS = {"day": "낮", "sunset": "노을", "night": "밤", "rain": "비"}
CORNERS = {
    ("left", "top"): ("왼쪽 위", "왼쪽 위", "왼쪽 위 구석"),
    ("center", "top"): ("위쪽", "맨 위", "위쪽 가운데"),
    ("right", "top"): ("오른쪽 위", "오른쪽 위", "오른쪽 위 구석"),
    ("left", "middle"): ("왼쪽", "왼편"),
    ("center", "middle"): ("가운데", "한가운데", "중앙"),
    ("right", "middle"): ("오른쪽", "오른편"),
    ("left", "bottom"): ("왼쪽 아래", "왼쪽 아래", "왼쪽 아래 구석"),
    ("center", "bottom"): ("아래쪽", "맨 아래", "아래쪽 가운데"),
    ("right", "bottom"): ("오른쪽 아래", "오른쪽 아래", "오른쪽 아래 구석"),
}
ENDINGS = (
    " 그려 줘",
    " 그려줘",
    " 그림",
    " 그림",
    " 그려 주세요",
    " 사진",
    ", 예쁘게",
    " 일러스트",
)
IDLE_WORDS = (
    "귀여운", "예쁜", "아름다운", "행복한", "멋진", "신비로운", "화려한", "오래된", "몽환적인", "따뜻한",
    "외로운", "평화로운", "졸린", "달리는", "춤추는", "사실적인", "동화 같은", "만화풍의", "사랑스러운",
    "용감한", "즐거운", "포근한", "반짝이는", "우아한", "수채화", "유화", "고화질", "감성적인", "버려진",
)  # fmt: skip


def name_of(item: Item, rng: random.Random, emoji: dict[str, str], labels: dict[str, str]) -> str:
    """One of the names of a thing or a shape; now and then its emoji."""
    if item.key in SHAPES:
        return rng.choice(SHAPE_NAMES[item.key])
    draw = rng.random()
    if draw < 0.03 and item.key in emoji:
        return emoji[item.key]
    if draw < 0.08 and item.key in labels:
        return labels[item.key]
    return rng.choice(names_of(all_things()[item.key], "ko"))


def describe(item: Item, name: str, rng: random.Random, count: int = 1) -> str:
    """A thing with its size and colour, and its number: "빨간 풍선 세 개"."""
    size = (
        rng.choice(SIZES[item.size]) if count == 1 or (count == 2 and item.size == "small") else ""
    )
    has_colour = item.colour and not is_usual_colour(item, rng)
    colour = rng.choice(COLOURS[item.colour][0]) if has_colour else ""
    if count > 1 and item.key not in SHAPES and name.endswith(("한 잔", "한 조각", "한 그릇")):
        name = all_things()[item.key].names["ko"][0]
    words = " ".join(word for word in (size, colour, name) if word)
    if count == 1:
        return words
    number, digit = KOREAN_NUMBERS[count]
    unit = counter(item.key)
    return rng.choice((
        f"{words} {number} {unit}", f"{words} {number} {unit}", f"{words} {digit}{unit}",
        f"{number} {unit}의 {words}",
    ))  # fmt: skip


def things(scene: Scene, names: list[str], rng: random.Random) -> str:
    """The things of a scene and where they are, without the background."""
    items = scene.items
    if len({(item.key, item.colour) for item in items}) == 1:
        item = items[0]
        words = describe(item, names[0], rng, len(items))
        if len(items) == 1 and item.key in ANIMALS | PEOPLE and rng.random() < 0.04:
            words = rng.choice((f"{words}의 초상화", f"{words} 초상화"))
        if not scene.at_home or (rng.random() < 0.04 and len(items) == 1):
            corner = rng.choice(CORNERS[item.place])
            words = rng.choice(
                (f"{corner}에 있는 {words}", f"{corner}의 {words}", f"{corner}에 {words}")
            )
        return words
    first, second = (describe(i, n, rng) for i, n in zip(items, names, strict=True))
    if scene.at_home:
        both = with_particle(first, "과", "와")
        return rng.choice((
            f"{both} {second}", f"{both} {second}", f"{first}하고 {second}", f"{second} 옆의 {first}",
            f"{second} 옆에 있는 {first}", f"{second} 왼쪽에 있는 {first}",
            f"{first} 오른쪽에 있는 {second}", f"왼쪽에 {first}, 오른쪽에 {second}",
            f"왼쪽에는 {first}, 오른쪽에는 {second}",
        ))  # fmt: skip
    if is_stack(items):
        return rng.choice((
            f"{second} 위의 {first}", f"{second} 위에 있는 {first}", f"{first} 아래의 {second}",
            f"{first} 아래에 있는 {second}", f"위에 {first}, 아래에 {second}",
            f"위에는 {first}, 아래에는 {second}",
        ))  # fmt: skip
    one, other = (rng.choice(CORNERS[item.place]) for item in items)
    return rng.choice((
        f"{one}에 {first}, {other}에 {second}", f"{one}에는 {first}, {other}에는 {second}",
        with_particle(f"{one}의 {first}", "과", "와") + f" {other}의 {second}",
    ))  # fmt: skip


def _action(scene: Scene, rng: random.Random) -> str:
    item = scene.items[0]
    if item.key in FLYERS and item.y < 96:
        return "나는" if rng.random() < 0.5 else "있는"
    if item.key in ANIMALS | PEOPLE and scene.background.ground != UNDER_WATER:
        return rng.choice(("있는", "있는", "앉아 있는", "서 있는"))
    return "있는"


def before(background: Background, what: str, scene: Scene, rng: random.Random) -> str:
    """The things in words with what is said of the background."""
    if background.colour:
        colour = rng.choice(COLOURS[background.colour][1])
        return rng.choice((
            f"{colour} 배경의 {what}", f"{colour} 배경의 {what}", f"{colour} 배경에 {what}",
            f"{colour} 배경 위의 {what}", f"{colour} 배경에 있는 {what}", f"{what}, {colour} 배경",
            f"{colour} 배경, {what}", f"{colour} 바탕에 {what}",
        ))  # fmt: skip
    sky = [rng.choice(forms) for forms in SKIES[background.sky]] if background.sky else [""] * 3
    if not background.ground:
        if background.sky == "day" and scene.items[0].y < 96 and rng.random() < 0.5:
            return rng.choice((f"하늘의 {what}", f"하늘에 있는 {what}"))
        when = f"{sky[2]} {_action(scene, rng)}" if scene.at_home else sky[2]
        return rng.choice((f"{sky[1]} {what}", f"{when} {what}"))
    adnominal, locative = (rng.choice(forms) for forms in GROUNDS[background.ground])
    form = rng.random()
    if not scene.at_home and form >= 0.6:  # "앉아 있는" cannot stand before a place of its own
        where = f"{sky[0]} {rng.choice(PLACES[background.ground])}".strip()
        return f"{where}, {what}" if form < 0.8 else f"{what}, {where}"
    if form < 0.6:
        words = (sky[0], adnominal, what)
    elif form < 0.9:
        words = (sky[2], locative, _action(scene, rng), what)
    else:
        return f"{what}, {' '.join(word for word in (sky[0], rng.choice(PLACES[background.ground])) if word)}"
    return " ".join(word for word in words if word)


def empty(background: Background, rng: random.Random) -> str:
    """A background alone."""
    if background.colour:
        return f"{rng.choice(COLOURS[background.colour][1])} 배경"
    place = rng.choice(PLACES[background.ground or ""])
    sky = rng.choice(SKIES[background.sky][0]) if background.sky else ""
    if (background.sky == "day" and rng.random() < 0.7) or background.ground == "moon":
        sky = ""
    words = " ".join(word for word in (sky, place) if word)
    bare = f"{sky} {rng.choice(('텅 빈', '텅 빈', '빈'))} {place}".strip()
    return rng.choice((words, words, f"아무것도 없는 {words}", f"{words} 풍경", bare))


def as_list(scene: Scene, names: list[str], rng: random.Random) -> str:
    """Keywords with commas: "판다, 눈밭, 밤"."""
    words = []
    for item, name in zip(scene.items, names, strict=False):
        colour = rng.choice(COLOURS[item.colour][0]) if item.colour else ""
        words.append(" ".join(w for w in (rng.choice(SIZES[item.size]), colour, name) if w))
    back = scene.background
    ground = (
        f"{rng.choice(COLOURS[back.colour][1])} 배경"
        if back.colour
        else rng.choice(PLACES[back.ground or ""])
    )
    return ", ".join(w for w in (*words, ground, LIST_WORDS.get(back.sky or "", "")) if w)


def with_opening(text: str, rng: random.Random) -> str:
    """The caption as a request now and then."""
    return text if rng.random() < 0.88 else text + rng.choice(ENDINGS)
