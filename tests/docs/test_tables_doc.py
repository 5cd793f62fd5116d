"""docs/tables.md is the schema of the tables in words: rendered from the same objects that readers and writers use.

After a change of a schema run ``python tests/docs/test_tables_doc.py``, which writes the page again.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from pathlib import Path

import pytest

import fusin.cohort
from fusin.assays import binding_tables, biodistribution_tables, counter_tables, uptake_tables
from fusin.cohort import aldosteronism, avs_table, concordance, findings, follow_up, outcome, paso, toxicity
from fusin.cohort import tables as cohort_tables
from fusin.dosimetry import organ_cases, s_table_files, treatment_files
from fusin.dosimetry.dose_table import TIME_ACTIVITY_TABLE
from fusin.dosimetry.image_notes import REGION_NOTES_TABLE
from fusin.dosimetry.planning_files import LIMITS_TABLE, STUDY_TABLE
from fusin.quantification import tables
from fusin.quantification.tables import LESION_COLUMNS, REFERENCE_COLUMNS, REGION_COLUMNS
from fusin.radiopharmacy.chromatogram_run import PIECE_COLUMNS
from fusin.radiopharmacy.dispensing_files import PATIENT_DOSES
from fusin.radiopharmacy.dispensing_tables import DOSE_COLUMNS
from fusin.radiopharmacy.generator_log import ELUTION_LOG
from fusin.radiopharmacy.generator_tables import ELUTION_COLUMNS
from fusin.radiopharmacy.release_tables import (
    ACTIVITY_COLUMNS,
    EXPIRY_COLUMNS,
    IMPURITY_COLUMNS,
    RELEASE_TEST_COLUMNS,
    SPECIFICATION_COLUMNS,
    TRAIL_COLUMNS,
)
from fusin.receptor import kinetic_files
from fusin.report import (
    counts_report,
    dose_marrow_report,
    dose_organs_report,
    dose_physics_report,
    dose_record_report,
    dose_report,
    image_dose_report,
    kinetics_report,
    pbpk_tables,
    plan_report,
    plan_schedules,
    receptor_simulate_report,
    reconstruct_report,
    suv_study_report,
)
from fusin.tabular.columns import Column
from fusin.tabular.schema import InputColumn, Schema
from fusin.trials.fields import FieldSpec, fields

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"
HEAD = """\
# Tables

Tables are tidy: one row per finding, names in snake case with their unit. CSV is for people, Parquet keeps the types.
A missing value is empty, never 0. Columns and their order are a contract: renaming one is a breaking change and stands in
the changelog. Positions are LPS millimetres (x to the patient's left, y to the back, z to the head); SUV is in g/mL.

This page is rendered from the schemas in `fusin.quantification.tables`, `fusin.cohort` and `fusin.trials`.
"""
SCAN = (
    (
        "lesions",
        "`lesions.csv` and `lesions.parquet` of [`fusin read`](read.md): lesions by falling SUVpeak, then the hot regions that "
        "were set aside (status `physiological`). A `tbr_*` column is empty where its reference is absent.",
        LESION_COLUMNS,
    ),
    ("references", "`references.csv` of [`fusin read`](read.md): one row per reference region.", REFERENCE_COLUMNS),
    (
        "regions",
        "`regions.csv` and `regions.parquet` of [`fusin measure`](measure.md): one row per region, in the order of the file.",
        REGION_COLUMNS,
    ),
)
COHORT_HEAD = """\
## Tables that you give

CSV (comma, semicolon or tab, UTF-8), TSV or Parquet. Column names are read without regard to case; blanks and hyphens count as
underscores. Further columns are left alone, and one whose name is close to a documented one is pointed out
(`COLUMN_NOT_USED`). Yes and no may be written `yes`, `no`, `true`, `false`, `1`, `0`. A decimal comma is read where only one
reading is possible. A table that cannot be used is refused with file, row and column; rows count from 1 below the header.
"""
INPUTS = (
    ("findings", "[`fusin compare`](compare.md)", "one row per patient, lesion and tracer", cohort_tables.FINDINGS),
    ("paired counts", "[`fusin compare`](compare.md)", "one row per comparison", cohort_tables.PAIRED_COUNTS),
    ("immunohistochemistry", "[`fusin compare --ihc`](compare.md)", "one row per biopsy", cohort_tables.IHC_SCORES),
    ("patients", "the demonstration, and your own use in Python", "one row per patient", cohort_tables.PATIENTS),
    ("accuracy rows", "[`fusin accuracy`](accuracy.md)", "one row per patient or lesion", cohort_tables.ACCURACY_ROWS),
    ("accuracy counts", "[`fusin accuracy`](accuracy.md)", "one row per study", cohort_tables.ACCURACY_COUNTS),
    ("adrenal PET", "[`fusin subtype`](subtype.md)", "one row per scan and time", aldosteronism.PET_TABLE),
    ("vein samples", "[`fusin subtype --avs`](subtype.md)", "one row per sample", avs_table.AVS_TABLE),
    ("verdicts", "[`fusin subtype --verdicts`](subtype.md)", "one row per patient", aldosteronism.VERDICT_TABLE),
    ("surgery", "[`fusin subtype --paso`](subtype.md)", "one row per operated patient", paso.PASO_TABLE),
    ("follow-up", "[`fusin outcome`](outcome.md)", "one row per patient", follow_up.FOLLOW_UP_TABLE),
    ("response", "[`fusin outcome --response`](outcome.md)", "one row per scan", outcome.RESPONSE_TABLE),
    ("toxicity", "[`fusin outcome --toxicity`](outcome.md)", "one row per event", toxicity.TOXICITY_TABLE),
    ("elution log", "[`fusin generator`](generator.md)", "one row per elution", ELUTION_LOG),
    ("patient doses", "[`fusin dispense`](dispense.md)", "one row per dose", PATIENT_DOSES),
    ("competition", "[`fusin assay binding`](assay.md)", "one row per tube", binding_tables.COMPETITION_TABLE),
    ("saturation", "[`fusin assay saturation`](assay.md)", "one row per tube", binding_tables.SATURATION_TABLE),
    ("counts", "[`fusin assay counts`](assay.md)", "one row per count of a tube", counter_tables.COUNTS_TABLE),
    ("wells", "[`fusin assay uptake`](assay.md)", "one row per tube or per well", uptake_tables.UPTAKE_TABLE),
    ("shares", "[`fusin assay uptake`](assay.md)", "one row per well", uptake_tables.SHARES_TABLE),
    ("tubes", "[`fusin assay biodistribution`](assay.md)", "one row per tube", biodistribution_tables.SAMPLES_TABLE),
    (
        "animals",
        "[`fusin assay biodistribution`](assay.md)",
        "one row per animal",
        biodistribution_tables.ANIMALS_TABLE,
    ),
    ("values", "[`fusin assay biodistribution`](assay.md)", "one row per value", biodistribution_tables.VALUES_TABLE),
    ("means", "[`fusin assay biodistribution`](assay.md)", "one row per organ", biodistribution_tables.SUMMARY_TABLE),
    ("time-activity", "[`fusin dose`](dose.md)", "one row per region and time", TIME_ACTIVITY_TABLE),
    (
        "time-integrated activities",
        "[`fusin dose organs`](dose.md#fusin-dose-organs)",
        "one row per source",
        organ_cases.TIA_TABLE,
    ),
    (
        "S values",
        "[`fusin dose organs`](dose.md#fusin-dose-organs)",
        "one row per source and target",
        s_table_files.S_VALUES_TABLE,
    ),
    (
        "treatment cycles",
        "[`fusin dose record`](dose.md#fusin-dose-record)",
        "one row per administration",
        treatment_files.CYCLES_TABLE,
    ),
    (
        "cycle doses",
        "[`fusin dose record`](dose.md#fusin-dose-record)",
        "one row per cycle and organ",
        treatment_files.CYCLE_DOSES_TABLE,
    ),
    (
        "toxicity beside dose",
        "[`fusin dose record`](dose.md#fusin-dose-record)",
        "one row per graded finding",
        treatment_files.TOXICITY_GRADES_TABLE,
    ),
    (
        "regions of images",
        "[`fusin dose images --notes`](dose.md#fusin-dose-images)",
        "one row per region",
        REGION_NOTES_TABLE,
    ),
    (
        "time-activity curves",
        "[`fusin receptor kinetics`](receptor.md#fusin-receptor-kinetics)",
        "one row per frame",
        kinetic_files.TAC_TABLE,
    ),
    (
        "blood samples",
        "[`fusin receptor kinetics`](receptor.md#fusin-receptor-kinetics)",
        "one row per sample",
        kinetic_files.BLOOD_TABLE,
    ),
    ("plan study", "[`fusin plan`](plan.md)", "one row per organ", STUDY_TABLE),
    ("plan limits", "[`fusin plan`](plan.md)", "one row per limit", LIMITS_TABLE),
)
OUTPUTS = (
    (
        "subtype lines",
        "`tables/subtype-lines.csv` of [`fusin subtype`](subtype.md); `subtype.csv` is a part of it.",
        aldosteronism.SUBTYPE_COLUMNS,
    ),
    (
        "vein sampling",
        "`tables/avs-all.csv` of [`fusin subtype`](subtype.md): one row per judged procedure.",
        avs_table.AVS_RESULT_COLUMNS,
    ),
    (
        "concordance",
        "`tables/concordance-*.csv` of [`fusin subtype`](subtype.md): patients by two methods.",
        concordance.CONCORDANCE_COLUMNS,
    ),
    (
        "surgery outcome",
        "`tables/paso.csv` of [`fusin subtype`](subtype.md): one row per patient.",
        paso.PASO_RESULT_COLUMNS,
    ),
    (
        "change",
        "`tables/response.csv` of [`fusin outcome`](outcome.md): one row per scan after the first.",
        outcome.CHANGE_COLUMNS,
    ),
    (
        "toxicity by term",
        "`tables/toxicity.csv` of [`fusin outcome`](outcome.md): one row per term.",
        toxicity.TOXICITY_COLUMNS,
    ),
    (
        "elutions",
        "`tables/elutions-all.csv` of [`fusin generator`](generator.md): one row per elution.",
        ELUTION_COLUMNS,
    ),
    (
        "peaks and regions",
        "`tables/*-peaks.csv` and `tables/*-regions.csv` of [`fusin chromatogram`](chromatogram.md): one row per peak or region.",
        PIECE_COLUMNS,
    ),
    ("doses", "`tables/doses.csv` of [`fusin dispense`](dispense.md): one row per dose.", DOSE_COLUMNS),
    (
        "release tests",
        "`tables/release-tests.csv` of [`fusin release`](release.md): one row per test.",
        RELEASE_TEST_COLUMNS,
    ),
    (
        "release expiry",
        "`tables/release-expiry.csv` of [`fusin release`](release.md): one row per limit.",
        EXPIRY_COLUMNS,
    ),
    ("release impurities", "`tables/release-impurities.csv` of [`fusin release`](release.md).", IMPURITY_COLUMNS),
    ("release activities", "`tables/release-activities.csv` of [`fusin release`](release.md).", ACTIVITY_COLUMNS),
    (
        "specification",
        "`tables/specification.csv` of [`fusin release specifications`](release.md#fusin-release-specifications).",
        SPECIFICATION_COLUMNS,
    ),
    (
        "record trail",
        "`tables/record-trail.csv` of [`fusin release trail`](release.md#fusin-release-trail).",
        TRAIL_COLUMNS,
    ),
    (
        "consistency",
        "`tables/consistency.csv` of [`fusin evidence check`](evidence.md): one row per check, the worst first.",
        findings.FINDING_COLUMNS,
    ),
    (
        "binding",
        "`tables/binding.csv` of [`fusin assay binding`](assay.md): one row per curve, and one per compound.",
        binding_tables.BINDING_COLUMNS,
    ),
    (
        "ways to Ki",
        "`tables/ki.csv` of [`fusin assay binding`](assay.md): Ki of each compound by every way that its inputs allow.",
        binding_tables.KI_COLUMNS,
    ),
    (
        "saturation results",
        "`tables/saturation.csv` of [`fusin assay saturation`](assay.md): one row per curve, and one per group.",
        binding_tables.SATURATION_COLUMNS,
    ),
    (
        "shares of wells",
        "`tables/wells.csv` of [`fusin assay uptake`](assay.md): one row per well and tracer.",
        uptake_tables.WELL_COLUMNS,
    ),
    (
        "net rates",
        "`tables/rates.csv` of [`fusin assay counts`](assay.md): one row per count.",
        counts_report.RATE_COLUMNS,
    ),
    (
        "uptake of organs",
        "`tables/values.csv` of [`fusin assay biodistribution`](assay.md): one row per animal and organ.",
        biodistribution_tables.VALUE_COLUMNS,
    ),
    (
        "means of organs",
        "`tables/organs.csv` of [`fusin assay biodistribution`](assay.md): one row per group, time and organ.",
        biodistribution_tables.ORGAN_COLUMNS,
    ),
    (
        "exclusions",
        "`tables/exclusions.csv` of [`fusin assay biodistribution`](assay.md): one row per animal or value.",
        biodistribution_tables.EXCLUSION_COLUMNS,
    ),
    (
        "dose regions",
        "`tables/doses.csv` of [`fusin dose`](dose.md): one row per region. `_low` and `_high` are the limits of an interval.",
        dose_report.DOSE_RESULT_COLUMNS,
    ),
    (
        "dose parameters",
        "`tables/parameters.csv` of [`fusin dose`](dose.md): one row per parameter.",
        dose_report.PARAMETER_COLUMNS,
    ),
    (
        "dose models",
        "`tables/models.csv` of [`fusin dose`](dose.md): one row per model.",
        dose_report.CANDIDATE_COLUMNS,
    ),
    ("dose points", "`tables/points.csv` of [`fusin dose`](dose.md): one row per time.", dose_report.POINT_COLUMNS),
    (
        "voxel doses of regions",
        "`tables/voxel-doses.csv` of [`fusin dose images`](dose.md#fusin-dose-images): one row per region.",
        image_dose_report.VOXEL_COLUMNS,
    ),
    (
        "BED of regions",
        "`tables/biology.csv` of [`fusin dose images`](dose.md#fusin-dose-images): one row per region with parameters.",
        image_dose_report.BED_COLUMNS,
    ),
    (
        "budget of regions",
        "`tables/budget.csv` of [`fusin dose images`](dose.md#fusin-dose-images): one row per region and link.",
        image_dose_report.LINK_COLUMNS,
    ),
    (
        "images of a dose",
        "`tables/images.csv` of [`fusin dose images`](dose.md#fusin-dose-images): one row per image.",
        image_dose_report.IMAGE_COLUMNS,
    ),
    (
        "sphere S values",
        "`tables/spheres.csv` of [`fusin dose sphere`](dose.md#fusin-dose-sphere): one row per sphere.",
        dose_physics_report.SPHERE_COLUMNS,
    ),
    (
        "voxel neighbours",
        "`tables/neighbours.csv` of [`fusin dose kernel`](dose.md#fusin-dose-kernel): the source voxel and those that touch it.",
        dose_physics_report.NEIGHBOUR_COLUMNS,
    ),
    (
        "voxel kernel",
        "`tables/kernel.csv` of [`fusin dose kernel`](dose.md#fusin-dose-kernel): one row per voxel.",
        dose_physics_report.KERNEL_COLUMNS,
    ),
    (
        "organ doses",
        "`tables/organs.csv` and `tables/targets.csv` of [`fusin dose organs`](dose.md#fusin-dose-organs): one row per target.",
        dose_organs_report.ORGAN_DOSE_COLUMNS,
    ),
    (
        "dose by source",
        "`tables/sources.csv` of [`fusin dose organs`](dose.md#fusin-dose-organs): one row per target and source.",
        dose_organs_report.SOURCE_DOSE_COLUMNS,
    ),
    (
        "marrow components",
        "`tables/marrow.csv` of [`fusin dose marrow`](dose.md#fusin-dose-marrow): one row per component.",
        dose_marrow_report.MARROW_COLUMNS,
    ),
    (
        "uncertainty budget",
        "`tables/budget.csv` of [`fusin dose budget`](dose.md#fusin-dose-budget): one row per dose and link.",
        dose_marrow_report.BUDGET_COLUMNS,
    ),
    (
        "cycles of a record",
        "`tables/cycles.csv` of [`fusin dose record`](dose.md#fusin-dose-record): one row per administration.",
        dose_record_report.CYCLE_COLUMNS,
    ),
    (
        "dose over the cycles",
        "`tables/courses.csv` of [`fusin dose record`](dose.md#fusin-dose-record): one row per organ and cycle.",
        dose_record_report.COURSE_COLUMNS,
    ),
    (
        "grades beside dose",
        "`tables/grades.csv` of [`fusin dose record`](dose.md#fusin-dose-record): one row per finding.",
        dose_record_report.GRADE_COLUMNS,
    ),
    (
        "dose of a scan",
        "`tables/exposure.csv` of [`fusin dose exposure`](dose.md#fusin-dose-exposure): one row per quantity.",
        dose_record_report.EXPOSURE_COLUMNS,
    ),
    (
        "plan doses",
        "`tables/plan-doses.csv` of [`fusin plan`](plan.md): one row per organ.",
        plan_report.PLAN_DOSE_COLUMNS,
    ),
    (
        "plan limits kept",
        "`tables/plan-limits.csv` of [`fusin plan`](plan.md): one row per limit.",
        plan_report.PLAN_LIMIT_COLUMNS,
    ),
    (
        "plan alternatives",
        "`tables/plan-alternatives.csv` of [`fusin plan`](plan.md): one row per choice of nuclides.",
        plan_report.ALTERNATIVE_COLUMNS,
    ),
    ("plan front", "`tables/plan-front.csv` of [`fusin plan`](plan.md): dose against risk.", plan_report.FRONT_COLUMNS),
    (
        "plan schedules",
        "`tables/plan-schedules.csv` of [`fusin plan`](plan.md#when-to-scan): one row per organ, schedule and method.",
        plan_schedules.SCHEDULE_COLUMNS,
    ),
    (
        "receptor columns",
        "`tables/columns.csv` of [`fusin receptor simulate`](receptor.md#fusin-receptor-simulate): "
        "one row per column of the time course.",
        receptor_simulate_report.RESPONSE_COLUMNS,
    ),
    (
        "receptor scan",
        "`tables/scan.csv` of [`fusin receptor simulate`](receptor.md#fusin-receptor-simulate): "
        "one row per value and column; `dose-response.csv` has the same columns.",
        receptor_simulate_report.SCAN_COLUMNS,
    ),
    (
        "receptor sensitivity",
        "`tables/sensitivity.csv` of [`fusin receptor simulate`](receptor.md#fusin-receptor-simulate): "
        "one row per parameter and output.",
        receptor_simulate_report.SENSITIVITY_COLUMNS,
    ),
    (
        "receptor steady state",
        "`tables/steady-state.csv` of [`fusin receptor simulate`](receptor.md#fusin-receptor-simulate): "
        "one row per column of the time course.",
        receptor_simulate_report.STEADY_COLUMNS,
    ),
    (
        "kinetic parameters",
        "`tables/kinetics.csv` of [`fusin receptor kinetics`](receptor.md#fusin-receptor-kinetics): a row per parameter.",
        kinetics_report.KINETIC_COLUMNS,
    ),
    (
        "kinetic fits",
        "`tables/fits.csv` of [`fusin receptor kinetics`](receptor.md#fusin-receptor-kinetics): one row per region and model.",
        kinetics_report.KINETIC_FIT_COLUMNS,
    ),
    (
        "kinetic frames",
        "`tables/points.csv` of [`fusin receptor kinetics`](receptor.md#fusin-receptor-kinetics): one row per region and frame.",
        kinetics_report.KINETIC_POINT_COLUMNS,
    ),
    (
        "body regions",
        "`tables/regions.csv` of [`fusin receptor pbpk`](receptor.md#fusin-receptor-pbpk): one row per organ and tumour.",
        pbpk_tables.BODY_REGION_COLUMNS,
    ),
    (
        "body curves",
        "`tables/curves.csv` of [`fusin receptor pbpk`](receptor.md#fusin-receptor-pbpk): one row per region and moment.",
        pbpk_tables.BODY_CURVE_COLUMNS,
    ),
    (
        "body answers",
        "`tables/mass-rows.csv` of [`fusin receptor pbpk`](receptor.md#fusin-receptor-pbpk): one row per setting and region; "
        "`sink-rows.csv`, `drug-NAME-rows.csv` and `cxcl12-rows.csv` have the same columns.",
        pbpk_tables.BODY_RESPONSE_COLUMNS,
    ),
    (
        "body amounts",
        "`tables/amounts.csv` of [`fusin receptor pbpk`](receptor.md#fusin-receptor-pbpk): one row per amount and region.",
        pbpk_tables.BODY_AMOUNT_COLUMNS,
    ),
    (
        "body identified",
        "`tables/identified.csv` of [`fusin receptor pbpk`](receptor.md#fusin-receptor-pbpk): one row per number of the body.",
        pbpk_tables.BODY_IDENTIFIED_COLUMNS,
    ),
    (
        "body parameters",
        "`tables/parameters.csv` of [`fusin receptor pbpk`](receptor.md#fusin-receptor-pbpk): one row per number of the body.",
        pbpk_tables.BODY_PARAMETER_COLUMNS,
    ),
    (
        "SUV study measures",
        "`tables/measures.csv` of [`fusin receptor suv-study`](receptor.md#fusin-receptor-suv-study): one row per measure.",
        suv_study_report.SUV_MEASURE_COLUMNS,
    ),
    (
        "SUV study lesions",
        "`tables/lesions.csv` of [`fusin receptor suv-study`](receptor.md#fusin-receptor-suv-study): one row per lesion.",
        suv_study_report.SUV_LESION_COLUMNS,
    ),
    (
        "reconstruction iterations",
        "`tables/iterations.csv` of [`fusin reconstruct`](reconstruct.md): one row per iteration.",
        reconstruct_report.ITERATION_COLUMNS,
    ),
    (
        "reconstruction regions",
        "`tables/regions.csv` of [`fusin reconstruct`](reconstruct.md): one row per region.",
        reconstruct_report.REGION_COLUMNS,
    ),
)


def _cells(column: Column) -> str:
    return f"| `{column.name}` | {column.dtype} | {column.meaning} |"


def _input_cells(column: InputColumn) -> str:
    """A row of an input table: what must be there, what cannot be, and the words that are understood."""
    limits = [
        f"{word} {limit:g}"
        for word, limit in (("at least", column.least), ("at most", column.most))
        if limit is not None and (word, limit) != ("at least", 0)
    ]
    # A list of words is given whole, or not at all where the meaning names each.
    told = all(word in column.meaning for word, _ in column.words)
    words = "" if told else ", ".join(f"`{word}`" for word, _ in column.words)
    meaning = "; ".join(part for part in (column.meaning, " ".join(limits), f"one of {words}" if words else "") if part)
    return f"| `{column.name}` | {column.dtype} | {'yes' if column.required else ''} | {meaning} |"


def _schema(title: str, verb: str, row: str, schema: Schema) -> list[str]:
    key = ", ".join(f"`{name}`" for name in schema.key)
    sentence = f"For {verb}: {row}" + (f" (no two rows with the same {key})." if key else ".")
    head = ["| column | type | needed | meaning |", "|---|---|---|---|"]
    return [f"### {title}", "", sentence, "", *head, *(_input_cells(c) for c in schema.columns), ""]


def _field_cells(spec: FieldSpec) -> str:
    unit = f" [{spec.unit}]" if spec.unit else ""
    return f"| `{spec.name}` | {spec.kind} | {spec.ask}{unit} |"


def _screening() -> list[str]:
    sentence = (
        "For [`fusin screen`](screen.md): one row per patient with a column `id` (or `patient`, `patient_id`) and any of these "
        "fields; a trial asks for some of them. A unit stands at the end of the name (`glucose_mg_dl`) or in the cell; dates "
        "are ISO. `<60` and `>90` are understood. An empty cell is unknown."
    )
    head = ["| field | kind | what it holds |", "|---|---|---|"]
    return ["### screening", "", sentence, "", *head, *(_field_cells(spec) for spec in fields().values()), ""]


def _section(title: str, sentence: str, columns: Iterable[Column], level: str = "##") -> list[str]:
    head = ["| column | type | meaning |", "|---|---|---|"]
    return [f"{level} {title}", "", sentence, "", *head, *map(_cells, columns), ""]


def rendered() -> str:
    """The whole page."""
    lines = [HEAD]
    for title, sentence, columns in SCAN:
        lines += _section(title, sentence, columns)
    lines += [COHORT_HEAD]
    for title, verb, row, schema in INPUTS:
        lines += _schema(title, verb, row, schema)
    lines += _screening()
    lines += ["## Tables of the cohort that are written", ""]
    for title, sentence, columns in OUTPUTS:
        lines += _section(title, sentence, columns, "###")
    return "\n".join(lines).rstrip() + "\n"


def test_the_page_is_what_the_schemas_say():
    assert PAGE.read_text(encoding="utf-8") == rendered(), "run python tests/docs/test_tables_doc.py"


def test_every_schema_of_the_scan_has_its_section():
    schemas = {name for name in tables.__all__ if name.endswith("_COLUMNS")}
    assert schemas == {name for name in schemas if getattr(tables, name) in [columns for _, _, columns in SCAN]}


def test_every_schema_of_the_cohort_has_its_section():
    """A schema that a module of the cohort exports is either an input or an output of this page."""
    listed = [schema for *_, schema in INPUTS] + [columns for *_, columns in OUTPUTS]
    missing = []
    for module in pkgutil.iter_modules(fusin.cohort.__path__):
        loaded = importlib.import_module(f"fusin.cohort.{module.name}")
        for name in loaded.__all__:
            value = getattr(loaded, name)
            if (isinstance(value, Schema) or name.endswith("_COLUMNS")) and value not in listed:
                missing.append(f"{module.name}.{name}")
    assert sorted(set(missing) - {"units.GROUP_COLUMNS"}) == []


@pytest.mark.parametrize(
    ("title", "columns"),
    [(t, c) for t, _, c in (*SCAN, *OUTPUTS)] + [(t, s.columns) for t, _, _, s in INPUTS],
)
def test_column_names_are_distinct_and_their_meaning_fits_a_table_cell(title, columns):
    names = [c.name for c in columns]
    assert len(names) == len(set(names)), title
    assert all(c.meaning and "|" not in c.meaning and "\n" not in c.meaning for c in columns)


if __name__ == "__main__":
    PAGE.write_text(rendered(), encoding="utf-8")
