"""A reconstruction for people: pictures, likelihood, regions with their intervals, and every correction that was made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fusin.provenance import Method, NoticeLog
from fusin.reconstruction.run import RegionResult, Run
from fusin.report.job_output import JobOutput, JobSection, JobTable, provenance_of
from fusin.report.reconstruct_figures import image_figure, likelihood_figure
from fusin.report.reconstruct_files import reconstruct_files
from fusin.report.table_text import Shown, estimate_text
from fusin.tabular.columns import Column
from fusin.tabular.rows import to_frame

__all__ = ["ITERATION_COLUMNS", "REGION_COLUMNS", "reconstruct_report"]

ITERATION_COLUMNS = (
    Column("iteration", "int64", "number of the pass over all data"),
    Column(
        "log_likelihood",
        "float64",
        "Poisson log-likelihood without log(y!); empty where the image explains not all counts",
    ),
    Column("objective", "float64", "the same less beta times the prior"),
    Column("change", "float64", "largest stopping metric over its tolerance; empty without a stopping rule"),
)
REGION_COLUMNS = (
    Column("region", "string", "name of the region"),
    Column("volume_ml", "float64", "its voxels [mL]"),
    Column("mean", "float64", "mean of its voxels, in the unit of the image"),
    Column("mean_low", "float64", "lower limit of the 95 % interval"),
    Column("mean_high", "float64", "upper limit"),
    Column("total", "float64", "mean times volume [MBq], or the sum of its voxels [counts]"),
    Column("total_low", "float64", "lower limit of the 95 % interval"),
    Column("total_high", "float64", "upper limit"),
    Column("unit", "string", "of the mean"),
    Column("method", "string", "of the intervals"),
)
_SHOWN_ITERATIONS = (
    Shown(name="iteration", heading="iteration"),
    Shown(name="log_likelihood", heading="log-likelihood", digits=2),
    Shown(name="objective", heading="objective", digits=2),
    Shown(name="change", heading="change / tolerance", digits=2),
)
_METHODS: Mapping[str, Method] = {
    "mlem": Method("mlem", "Maximum likelihood by EM: Shepp LA, Vardi Y, IEEE Trans Med Imaging 1 (1982) 113-122."),
    "osem": Method("osem", "Ordered subsets: Hudson HM, Larkin RS, IEEE Trans Med Imaging 13 (1994) 601-609."),
    "bsrem": Method("bsrem", "Relaxed ordered subsets: Ahn S, Fessler JA, IEEE Trans Med Imaging 22 (2003) 613-626."),
    "map": Method("map", "Preconditioned ascent with an exact line search; with subsets, variance-reduced gradients: Johnson R, "
                  "Zhang T, Adv Neural Inf Process Syst 26 (2013)."),
}  # fmt: skip
_PRIOR = Method(
    "relative-difference", "Relative-difference prior: Nuyts J et al., IEEE Trans Nucl Sci 49 (2002) 56-60."
)
_ORDER = Method("subset-order", "Order of subsets: Herman GT, Meyer LB, IEEE Trans Med Imaging 12 (1993) 600-609.")
_BOOTSTRAP = Method("bootstrap-of-counts", "Bootstrap of projections: Buvat I, Phys Med Biol 47 (2002) 1761-1775.")
_STOP = Method("petric", "Stopping metrics of the PETRIC challenge, SyneRBI/PETRIC, petric.py.")


def reconstruct_report(run: Run, *, log: NoticeLog, created: datetime | None = None, files: bool = True) -> JobOutput:
    """Tables, figures, files and sentences of a reconstruction.

    Parameters
    ----------
    run : of `run_reconstruction`
    log : with the notices so far; receives those of the writers
    created : moment stamped into DICOM files; left empty when None
    files : make the image files too
    """
    sentences = _sentences(run)
    state = run.result.state
    iterations = to_frame(
        [{"iteration": i, "log_likelihood": value, "objective": objective,
          "change": state.changes[i - 1] if i <= len(state.changes) else None}
         for i, (value, objective) in enumerate(zip(state.log_likelihood, state.objective, strict=True), start=1)],
        ITERATION_COLUMNS,
    )  # fmt: skip
    sections = [JobSection(name="image", title="Image", text=tuple(sentences), figures=(image_figure(run),))]
    if run.regions:
        sections.append(
            JobSection(name="regions", title="Regions", tables=(_region_table(run),), text=_region_text(run))
        )
    likelihood = likelihood_figure(run)
    sections.append(JobSection(
        name="iterations", title="Iterations", figures=() if likelihood is None else (likelihood,),
        text=(f"The run ended because {run.result.stopped}.",),
        tables=(JobTable(name="iterations", title="Likelihood by iteration", frame=iterations, shown=_shown_iterations(run)),),
    ))  # fmt: skip
    sections.append(JobSection(name="corrections", title="Corrections", text=run.corrections))
    contents = reconstruct_files(run, log=log, created=created) if files else {}
    return JobOutput(
        title=f"Reconstruction of {run.config.title}", document=_document(run), sections=tuple(sections), files=contents,
        summary=tuple(sentences), notices=log.notices,
        provenance=provenance_of((run.config.path, *run.acquired.inputs), _parameters(run), _methods(run)),
    )  # fmt: skip


def _shown_iterations(run: Run) -> tuple[Shown, ...]:
    left_out = {"objective"} if run.config.prior is None else set()
    left_out |= {"change"} if run.config.stop is None else set()
    return tuple(s for s in _SHOWN_ITERATIONS if s.name not in left_out)


def _document(run: Run) -> dict[str, Any]:
    state, measured = run.result.state, run.acquired.measured
    return {
        "modality": run.config.modality,
        "algorithm": run.config.algorithm,
        "iterations": state.iteration,
        "subsets": run.result.options.subsets,
        "log_likelihood": list(state.log_likelihood),
        "corrections": list(run.corrections),
        "outputs": {},
        "objective": list(state.objective),
        "stopped": run.result.stopped,
        "backend": run.acquired.backend,
        "unit": "Bq/mL" if run.image.unit == "Bq/ml" else "counts",
        "shape": list(run.image.shape),
        "voxel_mm": list(run.image.spacing_mm[::-1]),
        "counts": measured.total_counts,
        "expected_additive": measured.expected_additive,
        "calibration_u_percent": None if run.acquired.scale is None else 100.0 * run.acquired.u_relative,
        "replicates": run.config.replicates,
        "regions": [
            {
                "name": r.region.name,
                "volume_ml": r.region.volume_ml,
                "mean": r.mean.to_json(),
                "total": r.total.to_json(),
            }
            for r in run.regions
        ],
    }


def _parameters(run: Run) -> dict[str, Any]:
    options, prior = run.result.options, run.result.options.prior
    found: dict[str, Any] = {
        "modality": run.config.modality, "algorithm": options.algorithm, "iterations_asked": run.config.iterations,
        "iterations": run.result.state.iteration, "subsets": options.subsets, "corrections": list(run.corrections),
        "replicates": run.config.replicates, "seed": run.config.seed, "backend": run.acquired.backend,
    }  # fmt: skip
    if prior is not None:
        found |= {"beta": prior.beta, "gamma": prior.gamma, "epsilon": prior.epsilon, "kappa": prior.kappa is not None}
    return found


def _methods(run: Run) -> tuple[Method, ...]:
    found = [_METHODS[run.config.algorithm]]
    if run.result.options.subsets > 1:
        found.append(_ORDER)
    if run.config.prior is not None:
        found.append(_PRIOR)
    if run.config.stop is not None:
        found.append(_STOP)
    if run.config.replicates:
        found.append(_BOOTSTRAP)
    return (*found, *run.acquired.methods)


def _sentences(run: Run) -> list[str]:
    state, options = run.result.state, run.result.options
    measured = run.acquired.measured
    named = options.algorithm.upper()
    subsets = f", {options.subsets} subsets" if options.subsets > 1 else ""
    times = "iteration" if state.iteration == 1 else "iterations"
    size = " x ".join(str(n) for n in run.image.shape)
    voxel = " x ".join(f"{s:.4g}" for s in run.image.spacing_mm[::-1])
    found = [
        f"{named}, {state.iteration} {times}{subsets}: {size} voxels of {voxel} mm "
        f"from {measured.total_counts:.7g} counts.",
    ]
    last = state.log_likelihood[-1] if state.log_likelihood else None
    if last is not None:
        found.append(f"Poisson log-likelihood after the last iteration: {last:.10g}.")
    for region in run.regions:
        unit = "Bq/mL" if run.image.unit == "Bq/ml" else "counts"
        found.append(f"{region.region.name}: {estimate_text(region.mean)} {unit}.")
    return found


def _region_table(run: Run) -> JobTable:
    calibrated = run.image.unit == "Bq/ml"
    unit = "Bq/mL" if calibrated else "counts"
    rows = [_region_row(r, unit) for r in run.regions]
    shown = (
        Shown(name="region", heading="region"),
        Shown(name="volume_ml", heading="volume, mL", digits=2),
        Shown(name="mean", heading=f"mean, {unit}", low="mean_low", high="mean_high"),
        Shown(
            name="total", heading="total, MBq" if calibrated else "total, counts", low="total_low", high="total_high"
        ),
    )
    return JobTable(name="regions", title="Means and totals", frame=to_frame(rows, REGION_COLUMNS), shown=shown)


def _region_row(result: RegionResult, unit: str) -> dict[str, Any]:
    return {
        "region": result.region.name, "volume_ml": result.region.volume_ml, "unit": unit, "method": result.mean.method,
        "mean": result.mean.value, "mean_low": result.mean.low, "mean_high": result.mean.high,
        "total": result.total.value, "total_low": result.total.low, "total_high": result.total.high,
    }  # fmt: skip


def _region_text(run: Run) -> tuple[str, ...]:
    methods = {r.mean.method for r in run.regions}
    text = [f"Intervals (95 %): {'; '.join(sorted(methods))}."]
    if run.config.replicates == 0:
        text.append("Without a bootstrap the intervals hold no noise: state replicates in a [bootstrap] table.")
    else:
        text.append(
            "They hold the noise of the counts and the calibration, not what resolution and early stopping take away."
        )
    text.append("No recovery correction was made: small regions are too low by their partial volume.")
    return tuple(text)
