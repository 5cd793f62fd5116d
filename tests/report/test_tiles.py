"""Tiles show the right place, the right way round, at the right scale."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from fusin.imaging.volume import Grid, Region, Volume
from fusin.quantification.reading import Reading
from fusin.report.tiles import Mark, pet_colour_bar, three_planes

AFFINE = np.array([[4.0, 0, 0, -78.0], [0, 4.0, 0, -78.0], [0, 0, 4.0, -78.0], [0, 0, 0, 1.0]])
GRID = Grid(shape=(40, 40, 40), affine=AFFINE)


def cube(low: int = 18, high: int = 22) -> Region:
    mask = np.zeros(GRID.shape, bool)
    mask[low:high, low:high, low:high] = True
    return Region.from_mask("cube", GRID, mask)


def draw(pet: np.ndarray, ct: np.ndarray | None = None, region: Region | None = None, **more: object) -> ET.Element:
    mark = Mark.of(region or cube())
    assert mark is not None
    volume = Volume(values=pet.astype(np.float32), grid=GRID, unit="g/ml{SUVbw}")
    hounsfield = None if ct is None else Volume(values=ct.astype(np.int16), grid=GRID, unit="[hnsf'U]")
    options: dict[str, object] = {"main": mark, "window": (0.0, 10.0), "label": "tile", **more}
    return ET.fromstring(three_planes(volume, hounsfield, (0.0, 0.0, 0.0), **options))  # type: ignore[arg-type]


def pictures(tile: ET.Element, css: str) -> list[np.ndarray]:
    """Decoded pictures of one class, as RGBA."""
    found = []
    for node in tile.iter("image"):
        if node.get("class") == css:
            data = base64.b64decode(node.attrib["href"].split(",")[1])
            with Image.open(io.BytesIO(data)) as image:
                found.append(np.asarray(image.convert("RGBA")).astype(int))
    return found


def index_along(axis: str) -> np.ndarray:
    """0 to 39 along x, y or z of the patient."""
    k, j, i = np.indices(GRID.shape)
    return {"x": i, "y": j, "z": k}[axis]


@pytest.mark.parametrize(
    ("plane", "axis", "direction"),
    [(0, "x", "right"), (0, "y", "down"), (1, "x", "right"), (1, "z", "up"), (2, "y", "right"), (2, "z", "up")],
)
def test_planes_follow_the_radiological_convention(plane: int, axis: str, direction: str) -> None:
    """Patient left on the image right, back down or right, head up."""
    tile = draw(np.zeros(GRID.shape), index_along(axis) * 10.0 - 160.0)
    grey = pictures(tile, "ct")[plane][:, :, 0]
    middle, near, far = len(grey) // 2, len(grey) // 5, len(grey) * 4 // 5
    horizontal, vertical = (
        np.sign(grey[middle, far] - grey[middle, near]),
        np.sign(grey[far, middle] - grey[near, middle]),
    )
    expected = {"right": (1, 0), "down": (0, 1), "up": (0, -1)}[direction]
    assert (horizontal, vertical) == expected


def test_ct_window_runs_from_minus_160_to_240_hu() -> None:
    for hounsfield, level in ((-1000, 0), (-160, 0), (40, 127), (240, 255), (1500, 255)):
        grey = pictures(draw(np.zeros(GRID.shape), np.full(GRID.shape, hounsfield)), "ct")[0]
        assert grey[50, 50, 0] == pytest.approx(level, abs=4)


def test_pet_colours_are_the_hot_map_and_clear_where_there_is_no_uptake() -> None:
    """The colours are held against matplotlib's own ``hot`` map."""
    from matplotlib import colormaps

    for suv in (0.0, 2.5, 5.0, 10.0, 25.0):
        colour = pictures(draw(np.full(GRID.shape, suv), np.zeros(GRID.shape)), "pet")[0][60, 60]
        expected = np.array(colormaps["hot"](min(suv / 10, 1.0))) * 255
        assert colour[:3] == pytest.approx(expected[:3], abs=14)
    assert pictures(draw(np.zeros(GRID.shape), np.zeros(GRID.shape)), "pet")[0][..., 3].max() == 0


def test_without_ct_the_pet_stands_alone_in_inverted_grey() -> None:
    tile = draw(np.full(GRID.shape, 10.0))
    assert len(pictures(tile, "pet-alone")) == 3
    assert not pictures(tile, "ct")
    assert pictures(tile, "pet-alone")[0][60, 60, :3].max() == 0


def test_outside_the_volume_nothing_is_shown_as_uptake() -> None:
    tile = draw(np.full(GRID.shape, 10.0), region=cube(2, 38))
    picture = pictures(tile, "pet-alone")[0]
    assert tuple(picture[0, 0, :3]) == (255, 255, 255)
    assert picture[75, 75, 0] == 0


@pytest.mark.parametrize("plane", [0, 1, 2])
def test_the_outline_has_the_size_of_the_region_on_the_scale_of_the_bar(plane: int) -> None:
    """The 2 cm bar and the 16 mm cube are drawn independently and must agree."""
    tile = draw(np.zeros(GRID.shape), np.zeros(GRID.shape))
    bar = next(line for line in tile.iter("line") if line.get("stroke-width") == "2")
    per_mm = (float(bar.attrib["x2"]) - float(bar.attrib["x1"])) / 20.0
    outlines = [node.attrib["d"] for node in tile.iter("path") if node.get("class") == "outline"]
    points = np.array([float(v) for v in re.findall(r"-?[\d.]+", outlines[plane])]).reshape(-1, 2)
    assert np.ptp(points, axis=0) / per_mm == pytest.approx([16.0, 16.0], abs=1.2)
    assert points.mean(axis=0) == pytest.approx([80.0, 80.0], abs=1.5)


def test_large_lesions_widen_the_field_of_view() -> None:
    small, large = draw(np.zeros(GRID.shape)), draw(np.zeros(GRID.shape), region=cube(0, 40))
    widths = []
    for tile in (small, large):
        bar = next(line for line in tile.iter("line") if line.get("stroke-width") == "2")
        text = next(node.text or "" for node in tile.iter("text") if (node.text or "").endswith(" cm"))
        centimetres = float(text.split()[0])
        widths.append(160.0 / ((float(bar.attrib["x2"]) - float(bar.attrib["x1"])) / (10 * centimetres)))
    assert widths[0] == pytest.approx(150.0, rel=0.02)
    assert widths[1] == pytest.approx(1.7 * 160.0, rel=0.02)


def test_neighbours_are_outlined_only_where_the_plane_meets_them() -> None:
    mask = np.zeros(GRID.shape, bool)
    mask[19:22, 19:22, 26:30] = True
    beside = Mark.of(Region.from_mask("beside", GRID, mask))
    far = Mark.of(cube(0, 3))
    assert beside is not None
    assert far is not None
    tile = draw(np.zeros(GRID.shape), np.zeros(GRID.shape), others=[beside, far])
    assert len([n for n in tile.iter("path") if n.get("class") == "outline-other"]) == 2


def test_an_empty_region_has_no_mark() -> None:
    assert Mark.of(Region.from_mask("none", GRID, np.zeros(GRID.shape, bool))) is None


def test_the_tile_of_a_lesion_is_hottest_in_the_middle(make_reading: Callable[..., Reading]) -> None:
    reading = make_reading(with_ct=False)
    lesion = reading.lesions[3]
    mark = Mark.of(lesion.region)
    assert mark is not None
    assert lesion.metrics.max_mm is not None
    text = three_planes(reading.pet, None, lesion.metrics.max_mm, main=mark, window=(0, 10), label="x")
    for picture in pictures(ET.fromstring(text), "pet-alone"):
        middle = picture.shape[0] // 2
        near = picture[middle - 12 : middle + 12, middle - 12 : middle + 12, 0]
        assert picture[middle - 2 : middle + 2, middle - 2 : middle + 2, 0].min() <= near.min() + 25


def test_colour_bars_have_the_highest_value_on_top() -> None:
    for fused, top in ((True, 200), (False, 0)):
        with Image.open(io.BytesIO(base64.b64decode(pet_colour_bar(fused).split(",")[1]))) as image:
            column = np.asarray(image.convert("RGB"))[:, 0, 0].astype(int)
        assert column[0] == pytest.approx(top, abs=20)
        assert abs(column[0] - column[-1]) > 150
