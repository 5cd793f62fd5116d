"""Verbs of the scan: demo, read, audit, measure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fusin.cli.console import RESEARCH, emit_json, print_notices, relative, say, stages, table, talk
from fusin.cli.scan_options import check_out, read_options, study_options, window_limits
from fusin.cli.wording import number
from fusin.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from fusin.imaging.audit import SeriesAudit
    from fusin.quantification.adrenal import AdrenalIndices
    from fusin.quantification.lesions import Lesion
    from fusin.quantification.metrics import RegionMetrics
    from fusin.quantification.reading import Reading
    from fusin.quantification.references import ReferenceRegion
    from fusin.report.job_output import JobOutput

__all__ = ["register"]

SHOWN = 30

DicomDir = Annotated[
    Path, typer.Argument(help="Folder, zip archive, DICOMDIR or file with the PET (and its CT).", show_default=False)
]
OutFolder = Annotated[Path, typer.Option("--out", "-o", help="Folder for everything that is written.")]
OutFolderMaybe = Annotated[
    Path | None, typer.Option("--out", "-o", help="Folder for the table and the JSON; nothing is written without it.")
]
JsonFlag = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output, everything else on standard error.")
]
StrictFlag = Annotated[
    bool, typer.Option("--strict", help="Refuse every adaptation of the header instead of noting it.")
]
SeriesOption = Annotated[
    str | None, typer.Option("--series", help="PET series by UID, number or description, when there is a choice.")
]
PhaseOption = Annotated[int | None, typer.Option("--phase", help="Time point of a 4-D series, from 1.", min=1)]
NormOption = Annotated[
    str, typer.Option("--norm", help="SUV norm: bw, lbm-janmahasatian, lbm-james128, lbm-morgan120, ibw or bsa.")
]
ResidualOption = Annotated[
    str | None,
    typer.Option("--residual", help="Residual activity in MBq at injection, or 'header' for GE's private fields."),
]
HalfLifeFlag = Annotated[
    bool, typer.Option("--half-life-from-code", help="Take a missing half-life from the radionuclide code.")
]
ItemOption = Annotated[
    int | None, typer.Option("--radiopharmaceutical", help="Which of several radiopharmaceuticals, from 1.", min=1)
]
ProtocolOption = Annotated[
    str,
    typer.Option(
        "--protocol", help="What the scan should look like: oncology, aldosteronism-early or aldosteronism-late."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verbs of the scan to the command line."""
    app.command("demo")(demo)
    app.command("read")(read)
    app.command("audit")(audit)
    app.command("measure")(measure)


def demo(
    out: OutFolder = Path("fusin-demo"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Coarse voxels: a few seconds instead of half a minute.")
    ] = False,
    adenoma: Annotated[
        bool, typer.Option("--adenoma", help="A patient with an aldosterone-producing adenoma instead of lesions.")
    ] = False,
    from_counts: Annotated[
        bool, typer.Option("--from-counts", help="Start from simulated counts: reconstruct, read, compute doses.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the noise.", min=0)] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Read a digital patient: DICOM PET/CT is made, read, and reported.

    Example: fusin demo --out fusin-demo
    """
    from fusin.report.demo import run_counts_demo, run_demo

    console = talk(as_json=as_json)
    if from_counts:
        _demo_from_counts(run_counts_demo, out, seed, as_json=as_json, chosen=quick or adenoma)
        return
    with stages() as progress:
        reading, comparison = run_demo(out, quick=quick, adenoma=adenoma, seed=seed, progress=progress)
    if as_json:
        emit_json({**reading.to_json(), "truth": comparison.to_json()})
    _print_reading(console, reading)
    say(console, comparison.sentence())
    say(console, f"Report: {relative(out / 'report.html')}")
    if not adenoma:
        for part in ("cohort", "vial", "bench", "dose", "receptor", "reconstruction"):
            say(console, f"{part.capitalize()}: {relative(out / part / 'report.html')}")


def _demo_from_counts(run: Callable[..., JobOutput], out: Path, seed: int, *, as_json: bool, chosen: bool) -> None:
    """The demonstration that starts from counts; it has one patient and one size."""
    if chosen:
        raise InputError("demo", "--from-counts", "--quick or --adenoma", "--from-counts without them")
    with stages() as progress:
        output = run(out, seed=seed, progress=progress)
    if as_json:
        emit_json(output.document)
    for sentence in output.summary:
        say(talk(as_json=as_json), sentence)
    say(talk(as_json=as_json), f"Report: {relative(out / 'report.html')}")


def read(
    dicom: DicomDir,
    out: OutFolder = Path("fusin-read"),
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="Organ labels: SEG, RTSTRUCT, NIfTI label map or TotalSegmentator folder."),
    ] = None,
    lesions: Annotated[
        Path | None, typer.Option("--lesions", help="Lesions that somebody drew; then no search is made.")
    ] = None,
    reference: Annotated[
        list[str] | None, typer.Option("--reference", help="Drawn reference region: liver=FILE. Repeatable.")
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            "--at",
            help="Reference by a point in LPS mm: liver=x,y,z (3 cm sphere), blood_pool=x,y,z (1 x 2 cm cylinder). Repeatable.",
        ),
    ] = None,
    automatic: Annotated[
        bool, typer.Option("--auto/--no-auto", help="Place the remaining references on the CT.")
    ] = True,
    threshold: Annotated[
        str,
        typer.Option(
            "--threshold", help="blood-pool (2 x mean + 2 SD), percist-blood, liver, liver-max, fixed:SUV, KIND:K[:S]."
        ),
    ] = "blood-pool",
    contour: Annotated[
        str | None,
        typer.Option(
            "--contour", help="Draw each candidate again: percent-max-41, a50p, nestle, gradient, majority-2 ..."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--exclude", help="Box to leave out: name=x0,y0,z0,x1,y1,z1 in LPS mm. Repeatable."),
    ] = None,
    min_volume: Annotated[float, typer.Option("--min-volume", help="Smallest candidate in mL.", min=0)] = 0.3,
    split: Annotated[bool, typer.Option("--split/--no-split", help="Split candidates whose maxima touch.")] = True,
    visual: Annotated[
        list[str] | None, typer.Option("--visual", help="Your answer to a visual rule: RULE_ID=yes or =no. Repeatable.")
    ] = None,
    segment: Annotated[
        bool, typer.Option("--totalsegmentator", help="Label the organs with TotalSegmentator (an extra) first.")
    ] = False,
    adrenals: Annotated[
        bool, typer.Option("--adrenals", help="Compute adrenal indices (needs adrenal labels) and search the adrenals.")
    ] = False,
    series: SeriesOption = None,
    phase: PhaseOption = None,
    residual: ResidualOption = None,
    half_life_from_code: HalfLifeFlag = False,
    radiopharmaceutical: ItemOption = None,
    protocol: ProtocolOption = "oncology",
    window: Annotated[str, typer.Option("--window", help="SUV limits of the pictures.")] = "0,10",
    dicom_out: Annotated[bool, typer.Option("--dicom/--no-dicom", help="Write SEG, SR and parametric map.")] = True,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Write the report.")] = True,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Read a PET/CT: SUV, references, lesion candidates, ratios, readout, report.

    Example: fusin read study --out reading
    """
    from fusin.provenance import NoticeLog
    from fusin.quantification.pipeline import read_study
    from fusin.report.outputs import write_reading

    options = read_options(
        study_options(series, phase, "bw", residual, half_life_from_code, radiopharmaceutical, protocol, strict),
        labels=labels, lesions=lesions, reference=reference, at=at, automatic=automatic, threshold=threshold,
        contour=contour, exclude=exclude, min_volume=min_volume,
        split=split, visual=visual, adrenals=adrenals,
        segment=segment,
    )  # fmt: skip
    limits = window_limits(window)
    check_out(out, dicom)
    log = NoticeLog(strict=strict)
    with stages() as progress:
        reading, study = read_study(dicom, log, options=options, progress=progress)
        # What a writer notes is no adaptation of the scan, so that strict reading does not refuse it.
        writing = NoticeLog()
        writing.extend(log)
        reading = write_reading(
            reading, study, out, writing, dicom=dicom_out, report=report, window=limits, progress=progress
        )
    if as_json:
        emit_json(reading.to_json())
    console = talk(as_json=as_json)
    _print_reading(console, reading)
    say(console, f"Written to {relative(out)}: {', '.join(sorted(reading.outputs.values()))}")


def audit(
    dicom: DicomDir,
    residual: ResidualOption = None,
    half_life_from_code: HalfLifeFlag = False,
    radiopharmaceutical: ItemOption = None,
    protocol: ProtocolOption = "oncology",
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Say for each series whether and how SUV can be computed, from headers alone.

    Example: fusin audit study
    """
    from fusin.imaging.audit import audit_catalogue
    from fusin.imaging.series import scan
    from fusin.provenance import NoticeLog
    from fusin.quantification.protocols import protocol as named_protocol

    options = study_options(None, None, "bw", residual, half_life_from_code, radiopharmaceutical, protocol, strict)
    log = NoticeLog()
    with stages() as progress:
        catalogue = scan(dicom, log, progress=lambda done, total: progress("reading headers", done, total))
    found = audit_catalogue(catalogue, protocol=named_protocol(protocol), options=options.suv, strict=strict)
    if as_json:
        emit_json(found.to_json())
    console = talk(as_json=as_json)
    print_notices(console, found.notices, at_least="info")
    for entry in found.series:
        _print_audit(console, entry)


def _print_audit(console: Console, entry: SeriesAudit) -> None:
    series, plan = entry.series, entry.plan
    say(
        console,
        f"SUV {'yes' if entry.computable else 'no '} {series.modality} {series.description or series.uid} "
        f"({len(series.instances)} files)",
    )
    say(console, f"    {'rule ' + entry.rule if entry.rule else entry.reason}")
    if plan is not None:
        say(
            console,
            f"    factor {number(plan.factor_suvbw_per_bqml, 9)} SUVbw per Bq/mL, uptake {number(entry.uptake_time_min)} min, "
            f"activity {number(plan.activity_mbq)} MBq",
        )
    print_notices(console, (n for n in entry.notices if n.message != entry.reason), at_least="info")


def measure(
    dicom: DicomDir,
    regions: Annotated[
        Path, typer.Argument(help="SEG, RTSTRUCT, NIfTI mask or label map, or a folder with one.", show_default=False)
    ],
    out: OutFolderMaybe = None,
    norm: NormOption = "bw",
    series: SeriesOption = None,
    phase: PhaseOption = None,
    residual: ResidualOption = None,
    half_life_from_code: HalfLifeFlag = False,
    radiopharmaceutical: ItemOption = None,
    protocol: ProtocolOption = "oncology",
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Measure regions that somebody drew.

    Example: fusin measure study/PET regions.dcm
    """
    from dataclasses import replace

    from fusin.provenance import NoticeLog
    from fusin.quantification.measuring import measure_study
    from fusin.report.outputs import write_measured

    options = study_options(series, phase, norm, residual, half_life_from_code, radiopharmaceutical, protocol, strict)
    with stages() as progress:
        measured = measure_study(dicom, regions, NoticeLog(strict=strict), options=options, progress=progress)
    if out is not None:
        measured = replace(measured, outputs=write_measured(measured, out))
    if as_json:
        emit_json(measured.to_json())
    console = talk(as_json=as_json)
    columns = [
        ("region", False),
        *((name, True) for name in ("voxels", "mL", "SUVmax", "SUVmean", "SD", "SUVpeak", "TLU")),
    ]
    title = f"{measured.series['description'] or measured.series['series_uid']} ({measured.series['rule']})"
    console.print(table(title, columns, (_region_row(m) for m in measured.metrics)))
    print_notices(console, measured.notices)
    if out is not None:
        say(console, f"Written to {relative(out)}: {', '.join(sorted(measured.outputs.values()))}")


def _print_reading(console: Console, reading: Reading) -> None:
    """The reading as a person wants it at a glance."""
    series = reading.series
    name, uptake, activity = (
        series["description"] or series["series_uid"],
        series["uptake_time_min"],
        series["activity_mbq"],
    )
    say(console, RESEARCH)
    say(console, f"{name}: rule {series['rule']}, uptake {number(uptake)} min, {number(activity)} MBq")
    columns = [("region", False), ("SUVmean (95 %)", True), ("SD", True), ("mL", True), ("placed", False)]
    console.print(table("References", columns, (_reference_row(r) for r in reading.references)))
    say(console, f"Threshold: {reading.threshold.get('because')}")
    columns = [("#", True), ("identity", False), ("site", False), ("SUVmax", True), ("SUVpeak", True), ("mL", True)]
    columns.append(("TBR blood (95 %)", True))
    title = "Lesions" if any(lesion.status == "given" for lesion in reading.lesions) else "Lesion candidates"
    count = "no search was made" if reading.burden.lesions is None else str(len(reading.lesions))
    console.print(table(f"{title}: {count}", columns, (_lesion_row(lesion) for lesion in reading.lesions[:SHOWN])))
    if len(reading.lesions) > SHOWN:
        say(console, f"... and {len(reading.lesions) - SHOWN} more in lesions.csv")
    if reading.adrenal is not None:
        say(console, f"Adrenals: {_adrenal_line(reading.adrenal)}")
    parameters = reading.provenance.parameters
    if reading.lesions and not (parameters.get("labels") or parameters.get("segment") or parameters.get("lesions")):
        say(console, "Without organ labels, tonsils, adrenals and bowel are candidates too (--labels sets them aside).")
    print_notices(console, reading.notices)


def _adrenal_line(indices: AdrenalIndices) -> str:
    values = (("LI", indices.li), ("LLR", indices.llr), ("LCR", indices.lcr), ("LAR", indices.lar))
    listed = ", ".join(f"{name} {number(value)}" for name, value in values)
    return f"dominant {indices.dominant or '-'}, {listed}"


def _region_row(m: RegionMetrics) -> tuple[str, ...]:
    values = (m.suv_max, m.suv_mean, m.suv_sd, m.suv_peak)
    numbers = (number(value, 4) for value in values)
    return m.name, str(m.voxels), number(m.volume_ml), *numbers, number(m.total_lesion_uptake)


def _reference_row(reference: ReferenceRegion) -> tuple[str, ...]:
    placed = reference.method + (f" {reference.confidence:.2f}" if reference.confidence is not None else "")
    mean = f"{number(reference.mean)} ({number(reference.mean_low)} to {number(reference.mean_high)})"
    return reference.kind.replace("_", " "), mean, number(reference.sd), number(reference.volume_ml), placed


def _lesion_row(lesion: Lesion) -> tuple[str, ...]:
    ratio, m = lesion.tbr("blood_pool"), lesion.metrics
    text = "-" if ratio is None else f"{number(ratio.value)} ({number(ratio.low)} to {number(ratio.high)})"
    numbers = (number(m.suv_max), number(m.suv_peak), number(m.volume_ml))
    return str(lesion.number), lesion.identity, lesion.site or "-", *numbers, text
