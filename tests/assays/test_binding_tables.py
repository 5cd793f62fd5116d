"""Binding tables as people have them: units in headers, separators, replicates side by side, controls, and mistakes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.assays.binding_tables import read_competition, read_saturation
from fusin.errors import FusinError, InputError
from fusin.provenance import NoticeLog


def read(tmp_path, text, *, encoding="utf-8", reader=read_competition, name="assay.csv", **options):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return reader(path, NoticeLog(), **options)


@pytest.mark.parametrize(
    ("header", "value", "log_molar"),
    [
        ("concentration_nM", "10", -8), ("concentration_pM", "10", -11), ("conc_uM", "10", -5), ("Competitor [µM]", "10", -5),
        ("dose (mM)", "10", -2), ("concentration_M", "1e-8", -8), ("conc (nmol/L)", "10", -8), ("cold_nmol_l", "10", -8),
        ("Concentration/nM", "10", -8), ("log10_concentration_M", "-8", -8), ("log concentration nM", "1", -8),
        ("AMD3100_nM", "10", -8), ("concentration_nm", "10", -8),
    ],
)  # fmt: skip
def test_the_unit_of_a_concentration_is_that_of_its_header(tmp_path, header, value, log_molar):
    found = read(tmp_path, f"{header},cpm\n{value},5\n")
    assert found[0].log_x[0] == pytest.approx(log_molar, abs=1e-12)


def test_a_unit_may_be_given_for_a_column_without_one_but_not_against_one(tmp_path):
    assert read(tmp_path, "concentration,cpm\n10,5\n", unit="uM")[0].log_x[0] == pytest.approx(-5)
    with pytest.raises(InputError, match="concentration_nM"):
        read(tmp_path, "concentration_nM,cpm\n10,5\n", unit="uM")
    with pytest.raises(InputError, match="pM, nM, uM, mM, M"):
        read(tmp_path, "concentration,cpm\n10,5\n", unit="ng/mL")


@pytest.mark.parametrize(
    "text",
    [
        "concentration_nM,cpm\n1.5,100.5\n3,50\n", "concentration_nM;cpm\n1,5;100,5\n3;50\n",
        "concentration_nM\tcpm\n1.5\t100.5\n3\t50\n", "\ufeffconcentration_nM,cpm\r\n1.5,100.5\r\n3,50\r\n",
    ],
)  # fmt: skip
def test_separators_decimal_commas_and_line_ends_do_not_matter(tmp_path, text):
    found = read(tmp_path, text)[0]
    assert found.x_nm == pytest.approx([1.5, 3.0])
    assert found.y == pytest.approx([100.5, 50.0])


def test_zero_is_a_tube_without_compound_and_blocked_tubes_are_complete_displacement(tmp_path):
    found = read(tmp_path, "concentration_nM,cpm,kind\n0,9,sample\n,10,total\n1,5,sample\n1000,1,NSB\n")[0]
    assert found.log_x.tolist() == [-math.inf, -math.inf, pytest.approx(-9.0), math.inf]


def test_replicates_side_by_side_are_points_and_empty_cells_are_none(tmp_path):
    found = read(tmp_path, "concentration_nM,cpm_1,cpm_2,cpm_3\n1,5,6,7\n10,3,,2\n")[0]
    assert found.y.tolist() == [5, 6, 7, 3, 2]


def test_controls_without_a_compound_belong_to_all_of_their_experiment(tmp_path):
    text = "compound,run,concentration_nM,cpm,kind\n,1,0,100,total\n,2,0,200,total\na,1,1,50,\nb,1,1,60,\na,2,1,70,\n"
    found = {(p.compound, p.experiment): p.y.tolist() for p in read(tmp_path, text)}
    assert found == {("a", "1"): [50, 100], ("b", "1"): [60, 100], ("a", "2"): [70, 200]}


def test_the_response_is_named_where_several_columns_could_be_it(tmp_path):
    text = "concentration_nM,cpm,dpm\n1,5,10\n"
    with pytest.raises(InputError, match="--response"):
        read(tmp_path, text)
    assert read(tmp_path, text, response="dpm")[0].y.tolist() == [10]
    assert read(tmp_path, "concentration_nM,od450\n1,5\n")[0].response == "od450"


@pytest.mark.parametrize("heads", ["total_cpm,total_cpm,nonspecific_cpm", "total_cpm,nonspecific_cpm,nonspecific_cpm"])
def test_two_columns_of_one_name_beside_blocked_tubes_are_refused_by_it(tmp_path, heads):
    with pytest.raises(InputError, match="each column once"):
        read(tmp_path, f"concentration_nM,{heads}\n1,50,51,5\n", reader=read_saturation)


def test_total_and_non_specific_columns_side_by_side_become_rows(tmp_path):
    found = read(tmp_path, "concentration_nM,total_cpm,nsb_cpm\n1,50,5\n2,80,9\n4,110,\n", reader=read_saturation)[0]
    assert found.kind.tolist() == ["total", "total", "total", "nonspecific", "nonspecific"]
    assert found.y.tolist() == [50, 80, 110, 5, 9]


MISTAKES = {
    "no unit": ("concentration,cpm\n1,5\n", "the unit in the header"),
    "no concentration": ("time,cpm\n1,5\n", "column of concentrations"),
    "mass concentration": ("concentration_ng_mL,cpm\n1,5\n", "molar"),
    "negative": ("concentration_nM,cpm\n1,5\n-2,5\n", "row 2: concentration_nM"),
    "impossible log": ("log10_concentration_M,cpm\n-9,5\n5,4\n", "1e\\+05 M"),
    "log of nM in a column of M": ("log10_concentration_M,cpm\n3,5\n", "log10 nM - 9"),
    "nM in a column of M": ("concentration_M,cpm\n100,5\n", "look at the unit"),
    "text": ("concentration_nM,cpm\n1,high\n", "row 1: cpm: found 'high'"),
    "missing concentration": ("concentration_nM,cpm\n,5\n", "row 1: concentration_nM"),
    "missing response": ("concentration_nM,cpm\n1,\n", "a response in every row"),
    "no response": ("concentration_nM\n1\n", "column of responses"),
    "empty": ("", "header"),
    "header only": ("concentration_nM,cpm\n", "at least one row"),
    "ragged": ("concentration_nM,cpm\n1,5,3\n", "decimal comma"),
    "ambiguous comma": ("concentration_nM;cpm\n1;1,234\n2;2,345\n", "thousands"),
    "unknown kind": ("concentration_nM,cpm,kind\n1,5,blankish\n", "one of sample, total, nonspecific"),
    "total with a concentration": ("concentration_nM,cpm,kind\n5,5,total\n", "kind total"),
    "controls only": ("compound,concentration_nM,cpm,kind\n,0,5,total\n", "rows of kind sample"),
    "sample without compound": ("compound,concentration_nM,cpm\na,1,5\n,2,5\n", "row 2: compound: found 'nothing'"),
    "sample without experiment": (
        "experiment,concentration_nM,cpm\n1,1,5\n,2,5\n",
        "row 2: experiment: found 'nothing'",
    ),
    "two concentrations": (
        "concentration_nM,log10_concentration_M,cpm\n1,-9,5\n2,-8,5\n",
        "row 2: log10_concentration_M",
    ),
    "counts far below 0": ("concentration_nM,cpm\n1,-980\n2,900\n", "row 1: cpm: found -980"),
    "thousands with a point": ("concentration_nM;cpm\n1;9.800\n10;5.310\n100;800\n", "row 1: cpm: found '9.800'"),
    "log without unit": ("log10_concentration,cpm\n-9,5\n", "log10_concentration_M"),
    "column twice": ("concentration_nM,cpm,cpm\n1,5,6\n", "each column once"),
    "infinite": ("concentration_nM,cpm\ninf,5\n", "finite"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_sentence_with_its_place(tmp_path, mistake):
    text, sentence = MISTAKES[mistake]
    with pytest.raises(InputError, match=sentence) as refused:
        read(tmp_path, text)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_text_and_a_file_that_is_not_there_are_named(tmp_path):
    with pytest.raises(InputError, match="UTF-8"):
        read(tmp_path, "concentration_µM,cpm\n1,5\n", encoding="latin-1")
    with pytest.raises(InputError, match="CSV, TSV or Parquet"):
        read(tmp_path, "x", name="assay.xlsx")
    with pytest.raises(InputError, match="exists"):
        read_competition(tmp_path / "none.csv", NoticeLog())


CELL = st.one_of(st.sampled_from(["", "0", "1", "-1", "1e400", "nan", "inf", "1,5", "abc", "NA", "total", "nsb", "1e-300", "µ"]),
                 st.floats(allow_nan=False).map(str))  # fmt: skip
HEADS = st.lists(
    st.sampled_from(["concentration_nM", "log10_concentration_M", "cpm", "cpm_1", "cpm_2", "kind", "compound", "run", "sd",
                     "hot_nM", "reference", "added", "total_cpm", "nonspecific_cpm", "x", "", "é"]),
    min_size=1, max_size=5,
)  # fmt: skip


@given(heads=HEADS, data=st.data(), separator=st.sampled_from([",", ";", "\t"]))
@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize("reader", [read_competition, read_saturation])
def test_whatever_stands_in_a_file_the_answer_is_a_table_or_a_refusal(tmp_path_factory, reader, heads, data, separator):
    rows = data.draw(st.lists(st.lists(CELL, min_size=len(heads), max_size=len(heads)), max_size=4))
    path = tmp_path_factory.mktemp("fuzz") / "f.csv"
    path.write_text("\n".join(separator.join(r) for r in [heads, *rows]), encoding="utf-8")
    try:
        answer = f"{sum(p.y.size for p in reader(path, NoticeLog()))} points"
    except FusinError as err:
        answer = str(err)
    assert answer
    assert "\n" not in answer
    assert answer != "0 points"


def test_two_columns_of_one_concentration_are_read_as_one_when_they_agree(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("concentration_nM,log10_concentration_M,cpm\n1,-9,9\n3.162,-8.5,5\n0,,9\n", encoding="utf-8")
    log = NoticeLog()
    with pytest.raises(InputError, match="row 3: log10_concentration_M"):
        read_competition(path, log)
    path.write_text("concentration_nM,log10_concentration_M,cpm\n1,-9,9\n3.162,-8.5,5\n", encoding="utf-8")
    found = read_competition(path, log)
    assert found[0].log_x.tolist() == pytest.approx([-9, -8.5], abs=1e-4)
    assert {n.code for n in log} == {"CONCENTRATION_TWICE"}


def test_controls_without_an_experiment_belong_to_all_experiments(tmp_path):
    text = "experiment,kind,concentration_nM,cpm\n1,sample,1,9\n2,sample,1,8\n,nonspecific,,1\n"
    assert [p.y.tolist() for p in read(tmp_path, text)] == [[9.0, 1.0], [8.0, 1.0]]


def test_counts_a_little_below_zero_are_doubted_only_where_they_are_called_counts(tmp_path):
    for name, expected in (("counts", {"NEGATIVE_COUNTS"}), ("net_cpm", set())):
        path = tmp_path / f"{name}.csv"
        path.write_text(f"concentration_nM,{name}\n1,900\n10,400\n100,-3\n", encoding="utf-8")
        log = NoticeLog()
        read_competition(path, log)
        assert {n.code for n in log} == expected


def test_replicates_of_total_and_blocked_tubes_stand_side_by_side(tmp_path):
    text = "concentration_nM,TB1,TB2,NSB1,NSB2\n1,900,910,100,\n10,1500,1510,200,210\n"
    found = read(tmp_path, text, reader=read_saturation)[0]
    assert sorted(found.y[found.kind == "total"].tolist()) == [900, 910, 1500, 1510]
    assert sorted(found.y[found.kind == "nonspecific"].tolist()) == [100, 200, 210]
    with pytest.raises(InputError, match="row 2"):
        read(tmp_path, text.replace("10,1500,1510", ",1500,1510"), reader=read_saturation)


@pytest.mark.parametrize(("start", "word"), [(b"PK\x03\x04", "Excel"), (b"\xff\xfe", "UTF-16"), (b"%PDF-1.7", "PDF")])
def test_a_file_that_is_no_text_is_named(tmp_path, start, word):
    path = tmp_path / "export.csv"
    path.write_bytes(start + bytes(40))
    with pytest.raises(InputError, match=word):
        read_competition(path, NoticeLog())


def test_the_first_line_with_which_excel_names_its_separator_is_understood(tmp_path):
    found = read(tmp_path, "sep=;\r\nconcentration_nM;cpm\r\n0,5;9\r\n1,25;8\r\n")[0]
    assert found.x_nm.tolist() == pytest.approx([0.5, 1.25])


def test_three_decimals_throughout_are_decimals(tmp_path):
    assert read(tmp_path, "concentration_nM,percent\n1,98.120\n10,50.310\n100,8.000\n")[0].y.tolist() == [
        98.12,
        50.31,
        8.0,
    ]
