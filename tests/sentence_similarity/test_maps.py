"""Labels of a map do not cover each other, however the points lie."""

import itertools
import random
import re

import pytest

from tabs.sentence_similarity.maps import WIDTH, Mark, label_boxes, map_svg


def overlap(one, other) -> bool:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide > 0.01 and high > 0.01


def clusters(seed: int, count: int) -> list[tuple[float, float]]:
    chance = random.Random(seed)
    middles = [(chance.uniform(40, 360), chance.uniform(40, 380)) for _ in range(4)]
    return [
        (x + chance.gauss(0, 6), y + chance.gauss(0, 6))
        for x, y in itertools.islice(itertools.cycle(middles), count)
    ]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("word", ["Wednesday", "바이올린", "7"])
def test_no_label_covers_another(seed, word):
    points = clusters(seed, 24)
    boxes = label_boxes([word] * 24, points, 420)
    for one, other in itertools.combinations(boxes, 2):
        assert not overlap(one, other)
    for left, top, right, bottom in boxes:
        assert left >= 0
        assert top >= 0
        assert right <= WIDTH
        assert bottom <= 420


def test_a_point_alone_has_its_label_right_above():
    [box] = label_boxes(["cat"], [(200, 150)], 300)
    assert 150 - box[3] < 6
    assert (box[0] + box[2]) / 2 == 200


def test_points_on_one_spot_and_hostile_labels_break_nothing():
    drawing = map_svg([Mark(1, 1, "<img src=x>")] * 3, "map")
    assert "<img" not in drawing
    assert drawing.count("<circle") == 3
    assert "nan" not in drawing


def test_to_scale_keeps_the_shape():
    square = [Mark(0, 0, "a"), Mark(1, 0, "b"), Mark(1, 1, "c"), Mark(0, 1, "d")]
    drawing = map_svg(square, "map", to_scale=True)
    places = [
        tuple(map(float, p)) for p in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawing)
    ]
    assert places[1][0] - places[0][0] == pytest.approx(places[0][1] - places[3][1], abs=0.2)
