"""Tables of dynamic scans in the shapes that people have them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusin.errors import Ambiguous, FusinError, InputError, NotComputable, StrictRefusal
from fusin.provenance import NoticeLog
from fusin.receptor.input_function import InputFunction, dispersion_corrected, parent_fraction, reaching
from fusin.receptor.kinetic_files import read_blood, read_tacs
from fusin.receptor.kinetic_headers import headers_of, unit_word
from fusin.receptor.kinetics import KineticOptions, input_of

ROWS = [(0, 60, 1.5), (60, 120, 3.0), (120, 300, 4.5), (300, 600, 5.5), (600, 1200, 5.0)]


def written(folder, text, name="TAC.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def table(head, rows, separator=","):
    return "\n".join([separator.join(head), *(separator.join(str(v) for v in r) for r in rows)]) + "\n"


SHAPES = {
    "seconds": table(("start_s", "end_s", "lesion_kBq_mL"), ROWS),
    "minutes": table(("start_min", "end_min", "lesion_kBq_mL"), [(a / 60, b / 60, v) for a, b, v in ROWS]),
    "brackets": table(("Start [s]", "End [s]", "lesion (kBq/mL)"), ROWS),
    "becquerel": table(("start_s", "end_s", "lesion_kBq_mL"), ROWS),
    "mid and duration": table(("mid_s", "duration_s", "lesion_kBq_mL"), [((a + b) / 2, b - a, v) for a, b, v in ROWS]),
    "start and duration": table(("start_s", "duration_s", "lesion_kBq_mL"), [(a, b - a, v) for a, b, v in ROWS]),
    "PMOD": table(("start[seconds]", "end[kBq/cc]", "lesion"), ROWS, "\t"),
    "decimal commas": table(("start_s", "end_s", "lesion_kBq_mL"), [(a, b, str(v).replace(".", ",")) for a, b, v in ROWS], ";"),
    "long": table(("region", "start_s", "end_s", "activity_kBq_mL"), [("lesion", *r) for r in ROWS]),
    "kinfitr": table(("PET", "Times", "StartTime_s", "Duration_s", "Times_s", "lesion_kBq_mL"), []),
    "rows out of order": table(("start_s", "end_s", "lesion_kBq_mL"), ROWS[::-1]),
}  # fmt: skip
SHAPES.pop("kinfitr")


@pytest.mark.parametrize("shape", sorted(SHAPES))
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_every_shape_gives_the_same_curve(tmp_path, shape, ending):
    text = b"\xef\xbb\xbf" + SHAPES[shape].replace("\n", ending).encode()
    path = written(tmp_path, text, "TAC.tsv" if shape == "PMOD" else "TAC.csv")
    (curve,) = read_tacs(path, NoticeLog())
    assert curve.region == "lesion"
    assert curve.unit == "kBq/mL"
    assert curve.frames.end_min == pytest.approx([1, 2, 5, 10, 20])
    assert curve.activity == pytest.approx([1.5, 3.0, 4.5, 5.5, 5.0])


def test_times_without_a_unit_that_could_be_both_are_refused(tmp_path):
    path = written(tmp_path, table(("time", "lesion"), [(5, 1), (10, 2), (20, 3), (60, 2)]))
    with pytest.raises(Ambiguous, match="seconds or minutes"):
        read_tacs(path, NoticeLog())
    assert read_tacs(path, NoticeLog(), time_unit="min")[0].frames.mid_min[-1] == 60


def test_a_region_whose_name_ends_in_a_letter_of_time_keeps_it(tmp_path):
    path = written(tmp_path, table(("mid_s", "lesion_s", "kidney_h"), [(10, 1, 2), (20, 2, 3), (40, 3, 4)]))
    assert [c.region for c in read_tacs(path, NoticeLog())] == ["lesion_s", "kidney_h"]


@pytest.mark.parametrize(
    ("word", "unit"),
    [("kBq/mL", "kBq/mL"), ("kbq_ml", "kBq/mL"), ("Bq/cc", "Bq/mL"), ("MBq_mL", "MBq/mL"), ("nCi/ml", "nCi/mL"), ("SUV", "SUV"),
     ("mbq_ml", ""), ("lesion", "")],
)  # fmt: skip
def test_units_of_activity_are_known_by_their_letters(word, unit):
    assert unit_word(word)[0] == unit


def test_a_prefix_that_could_be_milli_or_mega_is_refused():
    """A factor of a thousand million hangs on the case of one letter."""
    with pytest.raises(InputError, match="capitals"):
        headers_of(["start_s", "lesion_mbq_ml"], "TAC.csv")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (table(("start_s", "end_s", "lesion_kBq_mL"), [(0, 60, 1), (50, 120, 2)]), "frame start"),
        (table(("start_s", "end_s", "lesion_kBq_mL"), [(60, 0, 1)]), "frame end"),
        (table(("start_s", "lesion_kBq_mL"), [(0, 1)]), "end or the duration"),
        (table(("lesion_kBq_mL", "spleen_kBq_mL"), [(0, 1)]), "time of the frames"),
        (table(("start_s", "end_s"), [(0, 1)]), "at least one region"),
        (table(("start_s", "end_min", "lesion_kBq_mL"), [(0, 1, 1)]), "one unit"),
        (table(("start_s", "end_s", "lesion_kBq_mL"), [(0, 60, "high")]), "plain number"),
        (table(("start_s", "end_s", "mid_s", "lesion_kBq_mL"), [(0, 60, 55, 1)]), "middle"),
    ],
)
def test_a_table_that_cannot_be_used_gets_one_sentence(tmp_path, text, match):
    with pytest.raises(InputError, match=match) as caught:
        read_tacs(written(tmp_path, text), NoticeLog())
    assert "\n" not in str(caught.value)


BLOOD = [(0, 0, 0, ""), (10, 50, 60, 1.0), (30, 30, 40, ""), (120, 10, 15, 0.9), (600, 5, 8, ""), (1200, 4, 6, 0.6)]


def blood_of(
    folder, head=("time_s", "whole_blood_kBq_mL", "plasma_kBq_mL", "parent_fraction"), rows=BLOOD, wanted="kBq/mL"
):
    return read_blood(written(folder, table(head, rows), "BLOOD.csv"), NoticeLog(), scan_min=20.0, wanted=wanted)[""]


def test_the_parent_fraction_takes_metabolites_out_of_the_plasma(tmp_path):
    found = input_of(blood_of(tmp_path), KineticOptions(), 20.0, NoticeLog())
    assert found.plasma_at(np.array([2.0, 20.0])) == pytest.approx([15 * 0.9, 6 * 0.6])


def test_percent_and_another_unit_are_converted(tmp_path):
    rows = [(t, 1e3 * b, 1e3 * p, "" if f == "" else 100 * f) for t, b, p, f in BLOOD]
    other = blood_of(tmp_path, ("time_s", "whole_blood_Bq_mL", "plasma_Bq_mL", "parent_percent"), rows)
    assert other.plasma[1] == pytest.approx(blood_of(tmp_path).plasma[1])
    assert other.fraction[1] == pytest.approx(blood_of(tmp_path).fraction[1])


def test_activity_beside_suv_is_refused(tmp_path):
    with pytest.raises(InputError, match="SUV"):
        blood_of(tmp_path, wanted="SUV")


def test_plasma_without_its_parent_fraction_is_taken_with_a_notice(tmp_path):
    found = blood_of(tmp_path, ("time_s", "whole_blood_kBq_mL", "plasma_kBq_mL"), [r[:3] for r in BLOOD])
    log = NoticeLog()
    assert input_of(found, KineticOptions(), 20.0, log).plasma_at(np.array([2.0]))[0] == 15
    assert [n.code for n in log] == ["PLASMA_TAKEN_UNCHANGED"]
    with pytest.raises(StrictRefusal):
        input_of(found, KineticOptions(), 20.0, NoticeLog(strict=True))
    input_of(found, KineticOptions(parent="none"), 20.0, NoticeLog(strict=True))


def test_a_column_of_numbers_named_tissue_is_a_region(tmp_path):
    path = written(tmp_path, table(("time_min", "tissue"), [(1, 1), (2, 2), (5, 3)]))
    assert [c.region for c in read_tacs(path, NoticeLog())] == ["tissue"]


@pytest.mark.parametrize("model", ["hill", "exponential", "power"])
def test_a_model_of_the_parent_fraction_follows_its_samples(model):
    time = np.array([1.0, 3, 8, 15, 30, 45, 60])
    share = {
        "hill": 1 - 0.8 * time**1.7 / (15**1.7 + time**1.7),
        "exponential": 0.6 * np.exp(-0.1 * time) + 0.4 * np.exp(-0.005 * time),
        "power": (1 + (0.06 * time) ** 2.1) ** -0.6,
    }[model]
    found, words = parent_fraction(time, share, np.array([5.0, 50.0]), model=model, where="test")
    near = np.interp([5.0, 50.0], time, share)
    assert found == pytest.approx(near, abs=0.03)
    assert model in words


def test_dispersion_is_undone():
    """Iida 1986: a curve dispersed by exp(-t/tau)/tau comes back."""
    tau, t = 0.1, np.linspace(0.0, 10.0, 4001)
    dispersed = (np.exp(-0.3 * t) - np.exp(-t / tau)) / (1 - 0.3 * tau)
    assert dispersion_corrected(t, dispersed, tau_min=tau)[100:-1] == pytest.approx(np.exp(-0.3 * t)[100:-1], rel=1e-3)


def test_samples_that_end_early_are_continued_with_a_notice_or_refused():
    t = np.linspace(0.0, 57.0, 58)
    source, log = InputFunction(time_min=t, plasma=10 * np.exp(-0.02 * t)), NoticeLog()
    found = reaching(source, 60.0, log, where="blood")
    assert found.plasma_at(np.array([60.0]))[0] == pytest.approx(10 * np.exp(-1.2), rel=1e-6)
    assert [n.code for n in log] == ["INPUT_EXTRAPOLATED"]
    with pytest.raises(NotComputable) as caught:
        reaching(source, 90.0, NoticeLog(), where="blood")
    assert caught.value.code == "INPUT_TOO_SHORT"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(
        st.lists(
            st.sampled_from(["", "0", "1", "-3", "1e400", "nan", "x", "1,5", "60", "inf"]), min_size=3, max_size=3
        ),
        max_size=6,
    ),
    head=st.sampled_from(
        [("start_s", "end_s", "a"), ("time", "a", "b"), ("mid_min", "a_SUV", "weights"), ("region", "time_s", "value")]
    ),
)
def test_no_table_ends_in_a_traceback(tmp_path, cells, head):
    """Whatever stands in a table, it is read or refused in a sentence."""
    path = written(tmp_path, table(head, cells))
    for read in (lambda: read_tacs(path, NoticeLog()), lambda: read_blood(path, NoticeLog(), scan_min=60.0)):
        said = ""
        try:
            said = repr(read())
        except FusinError as err:
            said = str(err)
        assert said
