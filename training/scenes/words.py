"""Words that captions share: plurals and articles, Korean counters and particles, emoji, labels."""

import json
import random
from functools import cache
from pathlib import Path

from training.scenes.things import Thing, all_things
from training.scenes.world import Item

NO_ARTICLE = {
    "noodles",
    "ramen",
    "sushi",
    "coffee",
    "grapes",
    "cherries",
    "corn",
    "broccoli",
    "bread",
    "toast",
    "cheese",
    "pancakes",
    "french fries",
    "fries",
    "chips",
    "rice",
    "chocolate",
    "beer",
    "wine",
    "popcorn",
    "lightning",
    "fire",
    "earth",
    "books",
    "ice cream",
    "pizza",
}
PLURALS = {
    "bunch of grapes": "bunches of grapes",
    "slice of watermelon": "slices of watermelon",
    "slice of pizza": "slices of pizza",
    "bowl of noodles": "bowls of noodles",
    "cup of coffee": "cups of coffee",
    "mug of coffee": "mugs of coffee",
    "woman": "women",
    "man": "men",
    "spaceman": "spacemen",
    "fish": "fish",
    "sheep": "sheep",
    "deer": "deer",
    "tropical fish": "tropical fish",
    "squid": "squid",
    "octopus": "octopuses",
    "lady": "ladies",
    "puppy": "puppies",
    "doggy": "doggies",
    "kitty": "kitties",
    "bunny": "bunnies",
    "pony": "ponies",
    "baby": "babies",
    "strawberry": "strawberries",
    "smiley": "smileys",
    "wolf": "wolves",
    "mouse": "mice",
    "goose": "geese",
    "bus": "buses",
    "cactus": "cacti",
    "fox": "foxes",
    "walrus": "walruses",
    "hippopotamus": "hippopotamuses",
    "peach": "peaches",
    "cherry": "cherries",
    "sandwich": "sandwiches",
    "church": "churches",
    "torch": "torches",
    "policeman": "policemen",
    "ear of corn": "ears of corn",
    "loaf of bread": "loaves of bread",
    "bowl of rice": "bowls of rice",
    "mug of beer": "mugs of beer",
    "glass of wine": "glasses of wine",
    "bunch of flowers": "bunches of flowers",
    "maple leaf": "maple leaves",
    "face with sunglasses": "faces with sunglasses",
    "volcano": "volcanoes",
    "tomato": "tomatoes",
}


def _keys(text: str) -> frozenset[str]:
    """Keys of one word each, from a text."""
    return frozenset(text.split())


ANIMALS = _keys(
    "cat dog panda fox lion tiger rabbit bear koala monkey pig cow frog elephant giraffe chicken "
    "bird penguin owl duck turtle dinosaur dragon unicorn fish whale dolphin octopus crab butterfly "
    "bee ladybug wolf horse mouse hamster zebra hippo sheep goat camel kangaroo sloth hedgehog "
    "raccoon deer bat rooster chick eagle flamingo parrot peacock swan snake crocodile "
    "tyrannosaurus shark lobster snail ant spider shrimp"
) | {"polar bear", "tropical fish"}
PEOPLE = _keys("astronaut woman man baby alien clown santa princess wizard ninja cook") | {
    "police officer"
}
VEHICLES = _keys(
    "car bus bicycle train airplane rocket taxi ambulance truck tractor motorcycle scooter "
    "helicopter ufo guitar camera computer"
) | {"police car", "fire truck"}
FLYERS = _keys("bird butterfly bee owl bat eagle parrot airplane rocket helicopter ufo dragon")
BOATS = frozenset(("boat", "ship"))
TREES = frozenset(("tree", "pine tree", "palm tree", "cactus", "christmas tree"))
FLOWERS = frozenset(("flower", "rose", "sunflower", "cherry blossom"))
HOUSES = frozenset(("house", "castle", "church", "school"))
USUAL_COLOURS = {"heart": "red", "star": "yellow"}
KOREAN_NUMBERS = {2: ("두", "2"), 3: ("세", "3")}


def plural(name: str) -> str:
    """The plural of an English name."""
    if name in PLURALS:
        return PLURALS[name]
    head, _, last = name.rpartition(" ")
    before = f"{head} " if head else ""
    if last in PLURALS:
        return before + PLURALS[last]
    if name in {
        "noodles",
        "grapes",
        "cherries",
        "books",
        "fries",
        "chips",
        "pancakes",
        "french fries",
    }:
        return name
    if last.endswith(("s", "x", "ch", "sh")):
        return before + last + "es"
    if last.endswith("y") and last[-2:-1] not in "aeiou":
        return before + last[:-1] + "ies"
    return before + last + "s"


def with_article(words: str, name: str) -> str:
    """The words with "a" or "an" where the name takes one."""
    if name in NO_ARTICLE:
        return words
    vowel = words[0] in "aeio" or (words[0] == "u" and not words.startswith(("uni", "ufo")))
    return f"{'an' if vowel else 'a'} {words}"


def counter(key: str) -> str:
    """The Korean counter of a thing."""
    for keys, word in (
        (ANIMALS, "마리"),
        (PEOPLE, "명"),
        (VEHICLES, "대"),
        (BOATS, "척"),
        (TREES, "그루"),
        (FLOWERS, "송이"),
        (HOUSES, "채"),
    ):
        if key in keys:
            return word
    return {"coffee": "잔", "noodles": "그릇", "rice": "그릇", "books": "권"}.get(key, "개")


def is_usual_colour(item: Item, rng: random.Random) -> bool:
    """Whether the colour may stay unsaid: a heart is red, a star is yellow; half of the time."""
    return USUAL_COLOURS.get(item.key) == item.colour and rng.random() < 0.5


def final_consonant(word: str) -> bool:
    """Whether the last syllable has one (받침), which decides the particle after it."""
    return "가" <= word[-1] <= "힣" and (ord(word[-1]) - 0xAC00) % 28 != 0


def with_particle(word: str, after_consonant: str, after_vowel: str) -> str:
    """The word with the particle that fits its end: 곰이, 개가."""
    return word + (after_consonant if final_consonant(word) else after_vowel)


@cache
def emoji_of(data: Path) -> dict[str, str]:
    """The emoji character of each thing, from the icons' table of code points."""
    table = next(iter(sorted(data.glob("iconify-json-fluent-emoji-flat-*/chars.json"))))
    names = {name: code for code, name in json.loads(table.read_text()).items()}
    codes = {key: names.get(thing.icon) for key, thing in all_things().items()}
    return {
        key: "".join(chr(int(part, 16)) for part in code.split("-"))
        for key, code in codes.items()
        if code
    }


@cache
def labels(data: Path, language: str) -> dict[str, str]:
    """Emojibase's label of each thing where no other thing goes by it."""
    table = next(iter(sorted(data.glob(f"emojibase-data-*/{language}/data.json"))))
    by_emoji = {
        row["emoji"].rstrip("\ufe0f"): row["label"] for row in json.loads(table.read_text())
    }
    by_key = {key: by_emoji.get(emoji.rstrip("\ufe0f")) for key, emoji in emoji_of(data).items()}
    own_names = {name for thing in all_things().values() for name in thing.names[language]}
    return {key: label for key, label in by_key.items() if label and label not in own_names}


def names_of(thing: Thing, language: str) -> tuple[str, ...]:
    """A thing's names, the first one three times as likely as each other."""
    names = thing.names[language]
    return (names[0],) * 2 + names
