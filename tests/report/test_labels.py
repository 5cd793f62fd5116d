"""Numbers beside lesions can be read: inside the picture, apart from each other, off the lesions."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.report.labels import place_labels

SIZE = 12.0


def text_box(label: object, text: str) -> tuple[float, float, float, float]:
    """Box that a text covers."""
    half = 0.31 * SIZE * len(text) + 1.0
    return (label.x - half, label.y - SIZE / 2, label.x + half, label.y + SIZE / 2)  # type: ignore[attr-defined]


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] - 1e-6 and b[0] < a[2] - 1e-6 and a[1] < b[3] - 1e-6 and b[1] < a[3] - 1e-6


@settings(max_examples=30, deadline=None)
@given(spots=st.lists(st.tuples(st.floats(10, 290), st.floats(10, 490)), max_size=14))
def test_texts_stay_inside_and_apart(spots: list[tuple[float, float]]) -> None:
    boxes = [(x - 5, y - 5, x + 5, y + 5) for x, y in spots]
    texts = [str(n + 1) for n in range(len(spots))]
    taken = [
        text_box(label, text)
        for label, text in zip(place_labels(boxes, texts, width=300, height=500, size=SIZE), texts, strict=True)
    ]
    assert len(taken) == len(spots)
    assert all(b[0] >= -1e-6 and b[1] >= -1e-6 and b[2] <= 300 + 1e-6 and b[3] <= 500 + 1e-6 for b in taken)
    assert not any(overlap(a, b) for a, b in itertools.combinations(taken, 2))


def test_a_text_gives_way_to_a_neighbouring_lesion() -> None:
    boxes = [(100, 100, 110, 110), (114, 92, 130, 108)]
    label = place_labels(boxes, ["1", "2"], width=300, height=300, size=SIZE)[0]
    assert not overlap(text_box(label, "1"), boxes[1])


def test_a_text_stays_on_its_side_while_the_film_turns() -> None:
    """Without memory, a number would jump from one side to the other between two frames."""
    boxes = [(100.0, 100.0, 110.0, 110.0)]
    before = place_labels(boxes, ["1"], width=300, height=300, size=SIZE, avoid=[(110, 60, 200, 150)])
    after = place_labels(boxes, ["1"], width=300, height=300, size=SIZE, before=before)
    assert (before[0].x < 105) == (after[0].x < 105)


def test_far_texts_have_a_leader_and_near_ones_have_none() -> None:
    near = place_labels([(100, 100, 110, 110)], ["1"], width=300, height=300, size=SIZE)[0]
    assert not near.leader
    walls = [(60.0, 60.0, 150.0, 150.0)]
    far = place_labels([(100, 100, 110, 110)], ["1"], width=300, height=300, size=SIZE, avoid=walls * 9)[0]
    assert far.leader
