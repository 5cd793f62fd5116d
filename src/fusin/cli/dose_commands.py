"""Verbs of the dose: time-activity curves of a table, and the verbs that serve a dose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusin.cli import dose_organ_commands, dose_physics_commands
from fusin.cli.groups import InputOrVerb
from fusin.cli.options import JsonFlag, OutOption, StrictFlag, choice, finish
from fusin.errors import InputError, PartlyFailed

if TYPE_CHECKING:
    from fusin.dosimetry.priors import Prior

__all__ = ["register"]

_MODELS = ("auto", "mono", "bi", "uptake-bi", "tri", "trapezoid", "haenscheid", "madsen", "map")

TimesTable = Annotated[
    Path | None, typer.Argument(help="Activities, one row per region and time (CSV, Parquet).", show_default=False)
]
NuclideOption = Annotated[str, typer.Option("--nuclide", help="Nuclide, such as Lu-177.")]
AdministeredOption = Annotated[float | None, typer.Option("--administered-mbq", help="Administered activity.")]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model", help="auto (AICc), mono, uptake-bi, bi, tri, trapezoid; one scan: haenscheid, madsen; map (prior)."
    ),
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights", help="none, relative (1/activity^2) or given (uncertainty_mbq); given where all rows have one."
    ),
]
AverageOption = Annotated[
    bool, typer.Option("--average/--no-average", help="With auto: average the models, or take the best one.")
]
IntervalOption = Annotated[str, typer.Option("--interval", help="gum (propagation) or bootstrap (parametric).")]
ResamplesOption = Annotated[int, typer.Option("--resamples", help="Draws of the bootstrap.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Of the bootstrap.")]
LevelOption = Annotated[float, typer.Option("--level", help="Level of the intervals.")]
TailOption = Annotated[str, typer.Option("--tail", help="Of trapezoids: physical or fitted.")]
StartOption = Annotated[str, typer.Option("--start", help="Of trapezoids before the first time: zero or flat.")]
TailLimitOption = Annotated[float, typer.Option("--tail-limit", help="Warn of a larger share beyond the last time.")]
DecayOption = Annotated[
    str | None,
    typer.Option("--decay-correction", help="To which moment activities were corrected: none, start or admin."),
]
PriorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--prior", help="population, a table of half-lives (TOML), or the JSON of an earlier cycle. Repeatable."
    ),
]
PriorGsdOption = Annotated[
    float | None, typer.Option("--prior-gsd", help="Further spread of the priors, geometric SD (1.1 between cycles).")
]
TeffOption = Annotated[float | None, typer.Option("--t-eff-h", help="Effective half-life of every region.")]
TeffSdOption = Annotated[float | None, typer.Option("--t-eff-sd-h", help="Its standard deviation.")]
UncertaintyOption = Annotated[
    float | None, typer.Option("--uncertainty-percent", help="Standard uncertainty of every activity.")
]
CommonOption = Annotated[
    float, typer.Option("--common-percent", help="Standard uncertainty that all activities share (calibration).")
]
MassOption = Annotated[float | None, typer.Option("--mass-u-percent", help="Standard uncertainty of every mass.")]


class _TableOrVerb(InputOrVerb):
    """A group whose first word is a table unless it names one of its verbs."""

    input_word = "one table"


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    group = typer.Typer(rich_markup_mode=None, add_completion=False, cls=_TableOrVerb)
    group.callback(invoke_without_command=True)(dose)
    dose_organ_commands.register(group)
    dose_physics_commands.register(group)
    app.add_typer(group, name="dose")


def dose(
    context: typer.Context,
    table: TimesTable = None,
    out: OutOption = None,
    nuclide: NuclideOption = "",
    administered_mbq: AdministeredOption = None,
    model: ModelOption = "auto",
    weights: WeightsOption = None,
    average: AverageOption = True,
    interval: IntervalOption = "gum",
    resamples: ResamplesOption = 500,
    seed: SeedOption = 0,
    level: LevelOption = 0.95,
    tail: TailOption = "physical",
    start: StartOption = "zero",
    tail_limit: TailLimitOption = 0.2,
    decay_correction: DecayOption = None,
    prior: PriorOption = None,
    prior_gsd: PriorGsdOption = None,
    t_eff_h: TeffOption = None,
    t_eff_sd_h: TeffSdOption = None,
    uncertainty_percent: UncertaintyOption = None,
    common_percent: CommonOption = 0.0,
    mass_u_percent: MassOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Time-activity curves of a table, their time-integrated activity and self-dose, with intervals.

    \b
    Example: fusin dose fusin-demo/dose/time_activity.csv --nuclide Lu-177 --administered-mbq 200
    """
    if context.invoked_subcommand is not None:
        return
    if table is None:
        raise typer.BadParameter("a table of activities is missing; fusin dose --help lists the verbs")
    from fusin.dosimetry.dose_table import DoseOptions
    from fusin.dosimetry.time_activity_region import IntegrationOptions
    from fusin.provenance import NoticeLog
    from fusin.report.dose_report import dose_report

    integration = IntegrationOptions(
        model=choice(model, _MODELS, "--model"), weights=_word(weights, ("none", "relative", "given"), "--weights"),
        average=average, resamples=resamples, seed=seed,
        interval=choice(interval, ("gum", "bootstrap"), "--interval"), level=_share(level, "--level"),
        tail=choice(tail, ("physical", "fitted"), "--tail"), start=choice(start, ("zero", "flat"), "--start"),
        tail_limit=_share(tail_limit, "--tail-limit"), common_u=_percent(common_percent, "--common-percent"),
    )  # fmt: skip
    priors, files = _priors(prior or [], nuclide, t_eff_h, t_eff_sd_h, prior_gsd)
    options = DoseOptions(
        nuclide=nuclide, administered_mbq=administered_mbq, integration=integration, priors=priors,
        decay_correction=_word(decay_correction, ("none", "start", "admin"), "--decay-correction"),
        uncertainty_percent=uncertainty_percent, mass_u_percent=mass_u_percent,
    )  # fmt: skip
    output = dose_report(table, options=options, log=NoticeLog(strict=strict), extra_inputs=files)
    finish(output, out, as_json=as_json)
    _report_failed(output.document["regions"])


def _report_failed(regions: list[dict[str, Any]]) -> None:
    """Exit with 4 where some regions of a table could not be integrated."""
    failed = tuple(r["reason"] for r in regions if r["model"] is None)
    if failed:
        raise PartlyFailed(failed, len(regions) - len(failed))


def _word(text: str | None, allowed: tuple[str, ...], option: str) -> Any:
    return None if text is None else choice(text, allowed, option)


def _share(value: float, option: str) -> float:
    if not 0.0 < value < 1.0:
        raise InputError(option, "share", value, "a fraction between 0 and 1 (0.95, not 95)")
    return value


def _percent(value: float, option: str) -> float:
    if not 0.0 <= value < 100.0:
        raise InputError(option, "percentage", value, "a percentage from 0 to below 100")
    return value / 100.0


def _priors(
    named: list[str], nuclide: str, t_eff_h: float | None, t_eff_sd_h: float | None, gsd: float | None
) -> tuple[tuple[Prior, ...], tuple[Path, ...]]:
    """Priors in the order of the options, and the files they came from."""
    from fusin.dosimetry.priors import Prior, lognormal_prior, population_priors, read_priors
    from fusin.nuclides import nuclide as nuclide_of

    if t_eff_h is not None and named:
        raise InputError("--t-eff-h", "option", "--prior beside it", "one statement of the half-life")
    if t_eff_sd_h is not None and t_eff_h is None:
        raise InputError("--t-eff-sd-h", "option", "no half-life", "--t-eff-h with it")
    found: list[Prior] = []
    files: list[Path] = []
    for name in named:
        if name == "population":
            found += population_priors()
        else:
            files.append(Path(name))
            found += read_priors(Path(name), nuclide_of(nuclide).name if nuclide else "")
    if t_eff_h is not None and t_eff_sd_h is not None:
        found.append(lognormal_prior(mean_h=t_eff_h, sd_h=t_eff_sd_h))
    elif t_eff_h is not None:
        if not 0 < t_eff_h < float("inf"):
            raise InputError("--t-eff-h", "effective half-life", t_eff_h, "a positive number of hours")
        found.append(
            Prior(id="given", regions=(), nuclide="", median_h=t_eff_h, gsd=None, source="given by the user", tag="O")
        )
    if gsd is not None:
        found = [p.widened(gsd) for p in found]
    return tuple(found), tuple(files)
