"""MIP pictures carry every lesion, reference and physiological region, each in its own style."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusin.quantification.reading import Reading
from fusin.report.figures import (
    MOST_NUMBERED,
    MOST_TURNING,
    MipOverlay,
    mip_overlay,
    region_tile_centre,
    static_mip,
    turning_mip,
    write_mip_png,
)


@pytest.fixture(scope="module")
def overlay(reading: Reading) -> MipOverlay:
    return mip_overlay(reading, angles=12)


def nodes(text: str, css: str) -> list[ET.Element]:
    return [node for node in ET.fromstring(text).iter() if node.get("class") == css]


def points(data: str) -> np.ndarray:
    return np.array([float(v) for v in re.findall(r"-?[\d.]+", data)]).reshape(-1, 2)


@pytest.mark.parametrize("view", ["anterior", "left"])
def test_each_region_is_outlined_in_the_style_of_its_kind(overlay: MipOverlay, view: str) -> None:
    text = static_mip(overlay, view)
    lesions, references, spots = (nodes(text, f"outline-{k}") for k in ("lesion", "reference", "physiological"))
    assert [n.attrib["data-key"] for n in lesions] == ["1", "2", "3", "4", "5"]
    assert [n.attrib["data-key"] for n in references] == ["blood_pool", "liver"]
    assert len(spots) == 3
    styles = {(n.attrib["stroke"], n.get("stroke-dasharray")) for n in (*lesions, *references, *spots)}
    assert len(styles) == 3


def test_outlines_lie_around_the_lesion_they_name(overlay: MipOverlay, reading: Reading) -> None:
    for view, frame in (("anterior", 0), ("left", overlay.mip.quarter)):
        for node, lesion in zip(nodes(static_mip(overlay, view), "outline-lesion"), reading.lesions, strict=True):
            outline = points(node.attrib["d"])
            x, y = overlay.mip.position(lesion.region.centroid_mm(), frame)
            middle = (outline.min(axis=0) + outline.max(axis=0)) / 2
            assert middle == pytest.approx([(x + 0.5) * overlay.scale, (y + 0.5) * overlay.scale], abs=3.5)


def test_numbers_lead_to_the_tiles(overlay: MipOverlay) -> None:
    text = static_mip(overlay)
    assert [n.text for n in nodes(text, "number-lesion")] == ["1", "2", "3", "4", "5"]
    assert {n.attrib["href"] for n in ET.fromstring(text).iter("a")} == {f"#tile-{n}" for n in range(1, 6)}
    assert [n.text for n in nodes(text, "number-reference")] == ["BP", "Li"]


def test_the_still_picture_is_the_first_frame_in_inverted_grey(overlay: MipOverlay) -> None:
    image = next(ET.fromstring(static_mip(overlay)).iter("image"))
    with Image.open(io.BytesIO(base64.b64decode(image.attrib["href"].split(",")[1]))) as picture:
        assert np.array_equal(np.asarray(picture), 255 - overlay.mip.frame(0))


def test_the_turning_picture_holds_half_a_turn_with_a_place_for_each_number(overlay: MipOverlay) -> None:
    data = turning_mip(overlay)
    assert data["frames"] == 6
    with Image.open(io.BytesIO(base64.b64decode(data["picture"].split(",")[1]))) as strip:
        assert strip.size == (overlay.mip.width * 6, overlay.mip.height)
    assert [r["kind"] for r in data["regions"]].count("lesion") == 5
    for region in data["regions"]:
        assert len(region["paths"]) == 6
        assert len(region["labels"]) == (6 if region["text"] else 0)


def test_hundreds_of_lesions_are_outlined_and_the_first_are_numbered(make_reading: Callable[..., Reading]) -> None:
    rng = np.random.default_rng(3)
    spots = [(tuple(rng.uniform((-110, -60, -230), (110, 60, 230))), 9.0, 7.0, "") for _ in range(130)]
    overlay = mip_overlay(make_reading(spots=spots), angles=8)
    text = static_mip(overlay)
    assert len(nodes(text, "outline-lesion")) == 130
    assert len(nodes(text, "number-lesion")) == MOST_NUMBERED
    links = {n.attrib["href"] for n in ET.fromstring(text).iter("a")}
    assert {"#tile-24", "#lesion-25", "#lesion-130"} <= links
    assert [r["kind"] for r in turning_mip(overlay)["regions"]].count("lesion") == MOST_TURNING


def test_the_png_file_is_whole_and_the_same_each_time(reading: Reading, tmp_path: Path) -> None:
    one, two = (write_mip_png(reading, tmp_path / name, dpi=60).read_bytes() for name in ("a.png", "b.png"))
    assert one == two
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]
    with Image.open(io.BytesIO(one)) as image:
        assert min(image.size) > 200


def test_tiles_are_centred_on_the_hottest_voxel_else_on_the_centroid(reading: Reading) -> None:
    region = reading.lesions[0].region
    assert region_tile_centre(region, (1.0, 2.0, 3.0)) == (1.0, 2.0, 3.0)
    assert region_tile_centre(region, None) == pytest.approx(tuple(region.centroid_mm()))
    assert region_tile_centre(region, (1.0, float("nan"), 3.0)) == pytest.approx(tuple(region.centroid_mm()))
