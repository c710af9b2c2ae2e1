"""Korean captions, as people write prompts: noun phrases first, a sentence now and then."""

import random

from training.scenes.world import Composition, Figure, Picture, Scene

# Adnominal forms ("빨간 원") and nouns ("빨간색 배경"), the commonest first.
COLOURS = {
    "red": (("빨간", "빨간", "붉은"), ("빨간색", "빨강")),
    "orange": (("주황색", "주황"), ("주황색", "주황")),
    "yellow": (("노란", "노란", "노랑"), ("노란색", "노랑")),
    "green": (("초록색", "초록", "녹색"), ("초록색", "녹색")),
    "blue": (("파란", "파란", "푸른"), ("파란색", "파랑")),
    "purple": (("보라색", "보랏빛"), ("보라색",)),
    "pink": (("분홍색", "분홍", "핑크색"), ("분홍색", "핑크색")),
    "brown": (("갈색",), ("갈색",)),
    "black": (("검은", "검은", "까만"), ("검은색", "검정")),
    "white": (("하얀", "흰"), ("하얀색", "흰색")),
    "gray": (("회색",), ("회색",)),
}
SHAPES = {
    "circle": ("원", "원", "동그라미"),
    "square": ("정사각형", "네모", "사각형"),
    "triangle": ("삼각형", "삼각형", "세모"),
    "star": ("별",),
    "heart": ("하트",),
}
SIZES = {
    "small": ("작은", "작은", "조그만"),
    "medium": ("", "", "", "중간 크기의"),
    "large": ("큰", "큰", "커다란"),
}
COMPLETE_SIZES = {"small": "작은", "medium": "중간 크기의", "large": "큰"}
PLACES = {
    "city": (
        "도시",
        "도시 풍경",
        "도시의 스카이라인",
        "빌딩이 늘어선 도시",
        "고층 건물이 있는 도시",
    ),
    "future": (
        *("하늘을 나는 자동차가 있는 미래 도시", "비행 자동차가 있는 미래 도시", "미래 도시"),
        *("날아다니는 자동차가 있는 미래 도시", "하늘을 나는 차가 있는 미래의 도시 풍경"),
    ),
    "mountains": ("산", "산 풍경", "눈 덮인 산", "산맥", "높은 산", "눈 쌓인 산봉우리"),
    "sea": ("돛단배가 떠 있는 바다", "바다 위의 돛단배", "돛단배가 있는 바다", "요트가 있는 바다"),
    "forest": ("숲", "숲", "소나무 숲", "나무가 우거진 숲", "숲속 풍경"),
    "desert": ("선인장이 있는 사막", "사막의 선인장", "사막", "선인장이 서 있는 사막"),
    "field": (
        *("집과 나무가 있는 들판", "들판의 집과 나무", "들판 위의 집", "나무와 집이 있는 초원"),
        *("시골 들판의 작은 집", "빨간 지붕 집이 있는 들판"),
    ),
}
HOURS = {
    "sunset": ("해 질 녘", "해질녘", "노을 지는", "저녁노을이 진", "해 질 무렵", "석양의"),
    "dawn": ("새벽", "새벽", "동틀 무렵", "이른 아침", "동이 트는"),
    "day": ("낮", "한낮의", "대낮의", "환한 낮", "낮의"),
    "night": ("밤", "밤", "한밤의", "밤의", "깜깜한 밤"),
}
MOMENTS = {
    "sunset": ("해 질 녘", "노을", "저녁노을", "해 질 무렵"),
    "dawn": ("새벽", "이른 아침", "동틀 무렵"),
    "day": ("낮", "한낮", "대낮"),
    "night": ("밤", "한밤중"),
}
SKIES = {"sun": ("해", "태양"), "moon": ("달",), "stars": ("별", "별들"), "clouds": ("구름",)}
ENDINGS = (" 그려 줘", " 그려줘", " 그림", " 그림", " 그려 주세요", ", 플랫 일러스트", ", 예쁘게")


def final_consonant(word: str) -> bool:
    """Whether the last syllable has one (받침), which decides the particle after it."""
    return (ord(word[-1]) - 0xAC00) % 28 != 0


def with_particle(word: str, closed: str, opened: str) -> str:
    """The word with the particle that fits its end: 원이, 하트가."""
    return word + (closed if final_consonant(word) else opened)


def named(figure: Figure, size: str, rng: random.Random) -> str:
    """A shape in words, such as "큰 빨간 원"."""
    colour, shape = rng.choice(COLOURS[figure.colour][0]), rng.choice(SHAPES[figure.shape])
    words = [size, colour, shape] if rng.random() < 0.75 else [colour, size, shape]
    return " ".join(word for word in words if word)


def paired(first: str, second: str, axis: str, rng: random.Random) -> str:
    """Two shapes and their places; `first` is the left or the upper one."""
    before, after = ("왼쪽", "오른쪽") if axis == "across" else ("위", "아래")
    near = "옆" if axis == "across" else ""
    both = f"{with_particle(first, '이', '가')} {before}에, {with_particle(second, '이', '가')} {after}에"
    frames = [
        f"{second} {before}에 있는 {first}",
        f"{first} {after}에 있는 {second}",
        f"{second} {before}에 {first}",
        f"{first} {after}에 {second}",
        f"{second}의 {before}에 있는 {first}",
        f"{first}의 {after}에 있는 {second}",
        f"{before}에는 {first}, {after}에는 {second}",
        f"{before}에 {first}, {after}에 {second}",
        f"{both} 있는 그림",
    ]
    if near:
        frames += [f"{first} 오른쪽 {near}에 {second}", f"{second} 왼쪽 {near}에 {first}"]
    return rng.choice(frames)


def composition_caption(
    picture: Composition, rng: random.Random, complete: bool
) -> tuple[str, tuple[str, ...], bool, bool]:
    """Words for one or two shapes."""
    size = rng.choice(SIZES[picture.size]) if picture.size else ""
    if complete and picture.size:
        size = COMPLETE_SIZES[picture.size]
    words = [named(figure, size, rng) for figure in picture.figures]
    thing = paired(words[0], words[1], picture.axis, rng) if picture.axis else words[0]
    has_background = complete or rng.random() < 0.9
    if has_background:
        adnominal, noun = (rng.choice(forms) for forms in COLOURS[picture.background])
        frames = [f"{ground} 배경에 {thing}" for ground in (adnominal, adnominal, noun)]
        frames += [f"{noun} 배경, {thing}", f"{thing}, {noun} 배경", f"{thing}, 배경은 {noun}"]
        if not picture.axis:
            frames += [f"{adnominal} 배경 위의 {thing}", f"{adnominal} 배경 위에 {thing}"]
            frames += [f"{adnominal} 배경에 있는 {thing}"]
        thing = rng.choice(frames)
    return thing, (), has_background, bool(size)


def sky_phrase(objects: list[str], rng: random.Random) -> str:
    """What is in the sky, as a phrase before a noun: "해와 구름이 떠 있는"."""
    words = [rng.choice(SKIES[name]) for name in objects]
    text = words[0]
    for word in words[1:]:
        text = f"{with_particle(text, '과', '와')} {word}"
    verb = "빛나는" if words[-1].startswith("별") else "떠 있는"
    return f"{with_particle(text, '이', '가')} {rng.choice((verb, '있는', '보이는', verb))}"


def scene_caption(
    picture: Scene, rng: random.Random, complete: bool
) -> tuple[str, tuple[str, ...], bool, bool]:
    """Words for a scene: the time of day, the sky, and the place last."""
    objects = tuple(name for name in picture.objects if complete or rng.random() < 0.75)
    order = list(objects)
    rng.shuffle(order)
    hour, place = rng.choice(HOURS[picture.time]), rng.choice(PLACES[picture.kind])
    if not order:
        text = rng.choice(
            (f"{hour} {place}", f"{hour} {place}", f"{place}, {rng.choice(MOMENTS[picture.time])}")
        )
    else:
        sky = sky_phrase(order, rng)
        moment = rng.choice(MOMENTS[picture.time])
        frames = (
            f"{moment}, {sky} {place}",
            f"{sky} {hour} {place}",
            f"{hour} {place}, {sky} 하늘",
        )
        text = rng.choice(frames)
    return text, objects, True, True


def caption(
    picture: Picture, rng: random.Random, complete: bool
) -> tuple[str, tuple[str, ...], bool, bool]:
    """The words, the named objects, and whether background and size are named."""
    if isinstance(picture, Composition):
        text, *named_parts = composition_caption(picture, rng, complete)
    else:
        text, *named_parts = scene_caption(picture, rng, complete)
    if rng.random() < 0.15 and not text.endswith("그림"):
        text += rng.choice(ENDINGS)
    return text, *named_parts
