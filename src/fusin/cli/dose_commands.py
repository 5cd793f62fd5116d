"""Verbs of the dose: time-activity curves of a table, and the verbs that serve a dose."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fusin.cli import dose_image_commands, dose_organ_commands, dose_physics_commands
from fusin.cli.dose_options import (
    AdministeredOption,
    AverageOption,
    CommonOption,
    DecayOption,
    IntervalOption,
    LevelOption,
    MassOption,
    ModelOption,
    NuclideOption,
    PriorGsdOption,
    PriorOption,
    ResamplesOption,
    SeedOption,
    StartOption,
    TailLimitOption,
    TailOption,
    TeffOption,
    TeffSdOption,
    UncertaintyOption,
    WeightsOption,
    integration_options,
    priors,
    word,
)
from fusin.cli.groups import InputOrVerb
from fusin.cli.options import JsonFlag, OutOption, StrictFlag, finish
from fusin.errors import PartlyFailed

__all__ = ["register"]

TimesTable = Annotated[
    Path | None,
    typer.Argument(
        help="Activities, one row per region and time (CSV, Parquet), or a folder of images.", show_default=False
    ),
]


class _TableOrVerb(InputOrVerb):
    """A group whose first word is a table unless it names one of its verbs."""

    input_word = "one table"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Hand a study of images to its verb where options of that verb follow."""
        own = {option for param in self.params for option in (*param.opts, *param.secondary_opts)}
        study = bool(args) and args[0] not in self.commands and dose_image_commands.are_images(Path(args[0]))
        if study and any(word.startswith("--") and word.split("=")[0] not in own for word in args):
            args = ["images", *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    group = typer.Typer(rich_markup_mode=None, add_completion=False, cls=_TableOrVerb)
    group.callback(invoke_without_command=True)(dose)
    dose_image_commands.register(group)
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
    from fusin.provenance import NoticeLog
    from fusin.report.dose_report import dose_report

    integration = integration_options(
        model=model, weights=weights, average=average, interval=interval, resamples=resamples, seed=seed, level=level, tail=tail,
        start=start, tail_limit=tail_limit, common_percent=common_percent,
    )  # fmt: skip
    known, files = priors(prior or [], nuclide, t_eff_h, t_eff_sd_h, prior_gsd)
    corrected = word(decay_correction, ("none", "start", "admin"), "--decay-correction")
    if dose_image_commands.are_images(table):
        dose_image_commands.run(
            table, out, strict=strict, as_json=as_json, integration=integration, priors=known, files=files,
            reading={"nuclide": nuclide, "administered_mbq": administered_mbq, "decay_correction": corrected,
                     "random_u_percent": uncertainty_percent}, mass_u_percent=mass_u_percent,
        )  # fmt: skip
        return
    options = DoseOptions(
        nuclide=nuclide, administered_mbq=administered_mbq, integration=integration, priors=known, decay_correction=corrected,
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
