"""Charts: what they show, and that colour is never the only sign."""

import re

import pytest

from tabs.shared.charts import Bar, Curve, bars, curves, shade, shade_legend
from tabs.shared.theme import CSS


@pytest.mark.parametrize(
    ("probability", "name"), [(1, 1), (0.9, 1), (0.89, 2), (0.5, 2), (0.2, 3), (0.05, 4), (0, 5)]
)
def test_the_less_likely_the_stronger_the_shade(probability, name):
    assert shade(probability) == f"chance-{name}"


def test_each_shade_has_an_underline_of_its_own():
    borders = [re.search(rf"\.chance-{n} {{[^}}]*(border-bottom: [^;]+)", CSS) for n in range(2, 6)]
    assert len({border[1] for border in borders if border}) == 4
    assert all(f"chance-{n}" in shade_legend() for n in range(1, 6))


def test_a_bar_is_as_long_as_its_number_says():
    html = bars([Bar("a", 0.925, "positive"), Bar("b", 0.075, "negative"), Bar("c", 0.0004)])
    assert re.findall(r"width:([\d.]+)%", html) == ["92.50", "7.50", "0.04"]
    assert re.findall(r'bar-number">([^<]+)<', html) == ["92.5%", "7.5%", "&lt; 0.1%"]


def test_a_curve_goes_through_its_points():
    html = curves([Curve("", [(0, 0), (1, 1), (2, 4)])], "Squares", mark=1)
    points = re.search(r'points="([^"]+)"', html)
    places = [tuple(map(float, pair.split(","))) for pair in points[1].split()]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y2 == pytest.approx(4 * (y0 - y1), abs=0.5)
    assert f'class="mark" x1="{x1:.1f}"' in html
    assert curves([], "") == ""
