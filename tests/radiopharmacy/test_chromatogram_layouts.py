"""Layouts of real instruments, with made-up numbers, through the column maps that the page of the verb shows."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.chromatogram_files import read_chromatogram
from fusin.radiopharmacy.chromatogram_map import ColumnMap, read_column_map
from fusin.radiopharmacy.chromatogram_method import ChromatogramMethod, RegionRule
from fusin.radiopharmacy.hplc import evaluate_hplc
from fusin.radiopharmacy.tlc import evaluate_tlc

PIECES = [12, 15, 1480, 70, 14, 11, 13, 16, 900, 97300, 2100, 40, 15, 12, 610, 14]


def hidex(counts, *, seconds=30.0, factor=1.01):
    """A Hidex 300 SL CSV: lines about the run, then one block of keys for each sample."""
    lines = ["strip in 16 pieces", "Start Time 09:00:00", "Counting type: Low"]
    for number, count in enumerate(counts, start=1):
        cpm = count / seconds * 60.0 * factor
        lines += [
            "Sample start", f"Samp.;{number}", "Repe.;1", f"Vial;{number}", f"WName;P{number}", f"CPM;{cpm:.3f}", "DPM;0",
            "TDCR;0.000", f"Counts;{count}", f"DTime;{factor:.3f}", f"Time;{seconds:g}",
            f"EndTime;02/03/2026 09:{number:02d}:30", "QPE;0.000", "Temp;22.00", "Spectrum",
        ]  # fmt: skip
    return "\r\n".join(lines) + "\r\n"


HIDEX_MAP = """block_start = "Sample start"
x_step = 5
x_first = 2.5
x_unit = "mm"
y_column = "CPM"
y_unit = "cpm"
live_time_column = "Time"
"""


def test_pieces_of_a_strip_from_a_counter_with_one_block_for_each(tmp_path):
    """CPM is corrected for dead time by the counter, CPM = Counts / Time x 60 x DTime; it is not corrected twice."""
    (tmp_path / "strip.csv").write_text(hidex(PIECES))
    (tmp_path / "map.toml").write_text(HIDEX_MAP)
    (trace,) = read_chromatogram(tmp_path / "strip.csv", NoticeLog(), mapping=read_column_map(tmp_path / "map.toml"))
    assert (trace.axis, trace.kind, trace.quantity) == ("mm", "tlc", "rate")
    np.testing.assert_allclose(trace.x, 2.5 + 5.0 * np.arange(16))
    np.testing.assert_allclose(trace.live_time_s, 30.0)
    method = ChromatogramMethod(
        origin_mm=12.5, front_mm=72.5, decay_correction=False,
        regions=(RegionRule(name="origin", mm=(5, 20), role="impurity"), RegionRule(name="product", mm=(35, 60), role="product"),
                 RegionRule(name="front", mm=(65, 75), role="impurity")),
    )  # fmt: skip
    found = evaluate_tlc(trace, method, NoticeLog())
    origin, product, front = PIECES[1] + PIECES[2] + PIECES[3], sum(PIECES[7:12]), PIECES[13] + PIECES[14]
    total = origin + product + front
    assert [p.percent.value for p in found.pieces] == pytest.approx(
        [100 * v / total for v in (origin, product, front)], rel=1e-5
    )
    assert found.pieces[1].area == pytest.approx(1.01 * product, rel=1e-4)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        (ColumnMap(block_start="Sample begin", x_step=5.0, x_unit="mm", y_column="CPM", y_unit="cpm"), "0 blocks"),
        (ColumnMap(block_start="Sample start", x_step=5.0, x_unit="mm", y_column="CPS", y_unit="cps"), "CPS"),
        (ColumnMap(block_start="Sample start", y_column="CPM", y_unit="cpm"), "x_step"),
    ],
)
def test_blocks_that_the_map_does_not_fit_are_refused(tmp_path, mapping, words):
    (tmp_path / "strip.csv").write_text(hidex(PIECES))
    with pytest.raises(InputError) as refused:
        read_chromatogram(tmp_path / "strip.csv", NoticeLog(), mapping=mapping)
    assert words in str(refused.value)


SHIMADZU = """[File Description]


[Configuration]
Instrument Name, Simulated
# of Detectors,2
Detector ID,Detector A,Detector B
Detector Name,Detector A,Detector B
# of Channels,1,1

[LC Chromatogram(Detector A-Ch1)]
Interval(msec),500
R.Time (min),Intensity
{first}
[LC Chromatogram(Detector B-Ch1)]
Interval(msec),500
R.Time (min),Intensity
{second}"""


def test_a_file_of_two_detectors_is_read_by_the_section_that_the_map_names(tmp_path):
    """The layout of the Shimadzu-like example of hplc-py: sections in brackets, an intensity without a unit."""
    x = np.arange(0.0, 12.0, 1 / 120)
    y = 2.0 * np.exp(-0.5 * ((x - 7.0) / 0.1) ** 2)
    texts = [
        "".join(f"{a!r},{b!r}\n" for a, b in zip(x.tolist(), v.tolist(), strict=True)) for v in (y + 1.0, 3 * y + 2.0)
    ]
    (tmp_path / "run.txt").write_text(SHIMADZU.format(first=texts[0], second=texts[1]))
    with pytest.raises(InputError, match="section"):
        read_chromatogram(tmp_path / "run.txt", NoticeLog())
    mapping = ColumnMap(
        section="Detector B-Ch1)", x_column="R.Time (min)", y_column="Intensity", y_unit="mV", channel="uv"
    )
    (trace,) = read_chromatogram(tmp_path / "run.txt", NoticeLog(), mapping=mapping)
    found = evaluate_hplc(trace, ChromatogramMethod(), NoticeLog())
    assert [p.apex for p in found.pieces] == pytest.approx([7.0], abs=0.005)
    assert found.pieces[0].area == pytest.approx(6.0 * 0.1 * np.sqrt(2 * np.pi) * 60.0, rel=0.003)
