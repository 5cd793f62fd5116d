"""``fusin reconstruct``: from counts to an image."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusin.cli.console import say, stages, talk
from fusin.cli.options import JsonFlag, OutOption, StrictFlag, finish
from fusin.errors import InputError

if TYPE_CHECKING:
    from fusin.reconstruction.algorithms import State, Step
    from fusin.reconstruction.config import Config, Modality

__all__ = ["register"]

ConfigFile = Annotated[
    Path, typer.Argument(help="TOML file: data, corrections, algorithm, regions.", show_default=False)
]
ResumeOption = Annotated[
    Path | None,
    typer.Option("--resume", help="Go on from the checkpoint.npz of an earlier run with the same settings."),
]
CheckpointOption = Annotated[
    Path | None, typer.Option("--checkpoint", help="File of the checkpoint; checkpoint.npz in --out without it.")
]
IterationsOption = Annotated[
    int | None, typer.Option("--iterations", min=1, help="Instead of the number in the TOML file.")
]
QuietFlag = Annotated[bool, typer.Option("--quiet", help="No line per iteration.")]

INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("reconstruct")(reconstruct)


def reconstruct(
    config: ConfigFile, out: OutOption = None, resume: ResumeOption = None, checkpoint: CheckpointOption = None,
    iterations: IterationsOption = None, quiet: QuietFlag = False, strict: StrictFlag = False, as_json: JsonFlag = False,
) -> None:  # fmt: skip
    """Reconstruct SPECT or PET from counts: MLEM, OSEM, BSREM or MAP with every correction stated.

    \b
    Example: fusin reconstruct fusin-demo/reconstruction/small.toml
    """
    from dataclasses import replace
    from datetime import datetime

    from fusin.provenance import NoticeLog
    from fusin.reconstruction.acquired import acquire
    from fusin.reconstruction.checkpoints import read_checkpoint
    from fusin.reconstruction.config import read_config
    from fusin.reconstruction.run import run_reconstruction, settings_of
    from fusin.report.reconstruct_report import reconstruct_report

    log = NoticeLog(strict=strict)
    asked = read_config(config)
    if iterations is not None:
        asked = replace(asked, iterations=iterations)
    if out is not None and out.exists() and not out.is_dir():
        raise InputError(out.name, "--out", "a file", "a folder, or a name that is free")
    acquired = acquire(asked, log=log)
    settings = settings_of(asked, acquired)
    state = None if resume is None else read_checkpoint(resume, settings)
    place = checkpoint if checkpoint is not None else None if out is None else out / "checkpoint.npz"
    with _Watch(place, settings, asked, quiet=quiet) as watch:
        run = run_reconstruction(asked, acquired, log=log, state=state, progress=watch.step, keep=watch.keep,
                                 replicate_done=lambda done: watch.stage("bootstrap", done, asked.replicates))  # fmt: skip
    output = reconstruct_report(run, log=log, created=datetime.now().astimezone(), files=out is not None)
    if place is not None and out is not None and place.parent == out:
        output = replace(output, written=(place.name,))
    finish(output, out, as_json=as_json)


class _Watch:
    """Progress with the likelihood on standard error, a checkpoint after each iteration, and what to do after Ctrl-C."""

    def __init__(self, place: Path | None, settings: dict[str, Any], config: Config, *, quiet: bool) -> None:
        self._place, self._settings, self._quiet = place, settings, quiet
        self._iterations = config.iterations
        # Arrays of another library need the loops of the likelihood only.
        self._modality: Modality = config.modality if config.backend == "numba" else "matrix"
        self._talk = talk(as_json=True)
        self._bars = stages()
        self._begun = time.monotonic()
        self._done = 0

    def __enter__(self) -> _Watch:
        from fusin.reconstruction.warm_up import compile_kernels, kernels_compiled

        self.stage = self._bars.__enter__()
        if not kernels_compiled(self._modality):
            say(self._talk, "compiling the kernels, once on this computer; it takes up to a minute")
            compile_kernels(self._modality, lambda done, total: self.stage("compiling", done, total))
            self._begun = time.monotonic()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._bars.__exit__(kind, error, None)
        if kind is KeyboardInterrupt:
            say(self._talk, self._after_interrupt())
            raise typer.Exit(INTERRUPTED)

    def step(self, step: Step) -> None:
        """Show a subset on the bar, and an iteration as a line."""
        self.stage("reconstructing", (step.iteration - 1) * step.subsets + step.subset, step.iterations * step.subsets)
        if step.log_likelihood is not None and not self._quiet:
            say(self._talk, f"iteration {step.iteration} of {step.iterations}: log-likelihood {step.log_likelihood:.10g}, "
                f"{time.monotonic() - self._begun:.1f} s")  # fmt: skip

    def keep(self, state: State) -> None:
        """Write the checkpoint."""
        from fusin.reconstruction.checkpoints import write_checkpoint

        self._done = state.iteration
        if self._place is not None:
            write_checkpoint(self._place, state, self._settings)

    def _after_interrupt(self) -> str:
        if self._place is None:
            return "no checkpoint was kept: give --out or --checkpoint to be able to go on"
        if not self._place.is_file():
            return "interrupted before the first image, so there is no checkpoint"
        return f"{self._done} of {self._iterations} iterations are in {self._place.name}; go on with --resume {self._place}"
