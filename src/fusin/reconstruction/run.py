"""One reconstruction from its configuration to a calibrated image with regions and their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusin.errors import InputError, NotComputable
from fusin.imaging.masks import read_regions
from fusin.imaging.volume import Grid, Region, Volume
from fusin.provenance import NoticeLog
from fusin.reconstruction.acquired import Acquired, digest_of
from fusin.reconstruction.algorithms import Keep, Options, Progress, Reconstruction, State, forget, reconstruct, silent
from fusin.reconstruction.bootstrap import Bootstrap, bootstrap_counts, interval_of
from fusin.reconstruction.config import Config, RegionSettings
from fusin.reconstruction.interfile_image import read_image
from fusin.reconstruction.likelihood import Problem
from fusin.reconstruction.priors import RelativeDifference
from fusin.reconstruction.projector import FloatImage
from fusin.reconstruction.stopping import Stopping
from fusin.stats.results import Estimate

__all__ = ["RegionResult", "Run", "options_of", "run_reconstruction", "settings_of"]

BoolImage = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionResult:
    """Mean and total of a region, with the interval of the method named in them."""

    region: Region
    mean: Estimate
    total: Estimate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """What came of a reconstruction.

    Attributes
    ----------
    config, acquired : as asked and as read
    result : image in counts, state, likelihood
    image : in Bq/mL, or in counts without a calibration
    sd : standard deviation of the bootstrap in the same unit; None without
    regions : in the order of the configuration
    corrections : one sentence each
    """

    config: Config
    acquired: Acquired
    result: Reconstruction
    image: Volume
    sd: Volume | None
    regions: tuple[RegionResult, ...]
    corrections: tuple[str, ...]


def options_of(config: Config, acquired: Acquired) -> Options:
    """Options with the prior and the number of subsets filled in."""
    views = acquired.projector.data_shape[0]
    subsets = config.subsets
    if subsets is None:
        subsets = 1 if config.algorithm == "mlem" or views < 8 else 8
    return Options(
        algorithm=config.algorithm, iterations=config.iterations, subsets=subsets, step=config.step, decay=config.decay,
        angles_deg=acquired.angles_deg, make_prior=None if config.prior is None else _prior_maker(config, acquired.grid),
    )  # fmt: skip


def settings_of(config: Config, acquired: Acquired) -> dict[str, Any]:
    """Everything that a run has to share with the checkpoint that it goes on from."""
    options = options_of(config, acquired)
    prior = config.prior
    return {
        "modality": config.modality,
        "backend": acquired.backend,
        "algorithm": options.algorithm,
        "subsets": options.subsets,
        "step": options.step,
        "decay": options.decay,
        "prior": None if prior is None else [prior.beta, prior.gamma, prior.epsilon_share, prior.kappa],
        "counts": digest_of(acquired.measured.counts),
        "additive": digest_of(acquired.measured.additive),
        "weights": digest_of(acquired.measured.weights),
        "mu": digest_of(None if acquired.mu is None else acquired.mu.values),
        "image": [*acquired.grid.shape, *np.round(acquired.grid.affine, 6).ravel().tolist()],
        **acquired.fingerprint,
    }


def run_reconstruction(
    config: Config,
    acquired: Acquired,
    *,
    log: NoticeLog,
    state: State | None = None,
    progress: Progress = silent,
    keep: Keep = forget,
    replicate_done: Callable[[int], None] = lambda done: None,
) -> Run:
    """Reconstruct, calibrate, and measure regions.

    Parameters
    ----------
    config, acquired : of `read_config` and `acquire`
    log : receives notices
    state : of a checkpoint, to go on from
    progress, keep : see `fusin.reconstruction.algorithms.reconstruct`
    replicate_done : called with the number of bootstrap replicates done

    Raises
    ------
    InputError
        For a region or a reference that cannot be used.
    """
    if config.algorithm in ("bsrem", "map") and config.prior is None:
        log.warning("PRIOR_ABSENT", f"{config.algorithm} without a table [prior] goes towards the maximum of the likelihood alone, "
                    "whose images are noisy", where=config.path.name)  # fmt: skip
    masks = {r.name: _region(r, acquired.grid, config, log) for r in config.regions}
    full = {name: region.mask() for name, region in masks.items()}
    options = options_of(config, acquired)
    if state is not None and state.iteration >= config.iterations:
        log.info("CHECKPOINT_COMPLETE", f"the checkpoint holds {state.iteration} iterations and {config.iterations} were asked "
                 "for: its image is given as it is", raw=state.iteration, used=config.iterations)  # fmt: skip
    found = reconstruct(acquired.projector, acquired.measured, options=options, start=state, log=log, progress=progress,
                        keep=keep, stopping=_stopping(config, acquired, full, log))  # fmt: skip
    spread = None
    if config.replicates:
        spread = bootstrap_counts(
            acquired.projector, acquired.measured, options=found.options, iterations=found.state.iteration,
            replicates=config.replicates, seed=config.seed, regions=full, progress=replicate_done,
        )  # fmt: skip
        if config.replicates < 20:
            log.info("FEW_REPLICATES", f"{config.replicates} bootstrap replicates: their spread is itself uncertain by "
                     f"{100 / np.sqrt(2 * (config.replicates - 1)):.0f} %", used=config.replicates)  # fmt: skip
    return _finished(config, acquired, found, spread, masks, full)


def _finished(
    config: Config, acquired: Acquired, found: Reconstruction, spread: Bootstrap | None, masks: Mapping[str, Region],
    full: Mapping[str, BoolImage],
) -> Run:  # fmt: skip
    scale = 1.0 if acquired.scale is None else acquired.scale
    unit = "{counts}" if acquired.scale is None else "Bq/ml"
    image = _volume(found.image, scale, acquired.grid, unit)
    regions = []
    for name, region in masks.items():
        replicates = np.empty(0) if spread is None else scale * spread.regions[name]
        value = scale * float(found.image[full[name]].mean(dtype=np.float64))
        mean = interval_of(value, replicates, u_relative=acquired.u_relative)
        regions.append(
            RegionResult(region=region, mean=mean, total=_total(mean, region, calibrated=acquired.scale is not None))
        )
    return Run(
        config=config, acquired=acquired, result=found, image=image, regions=tuple(regions),
        sd=None if spread is None else _volume(spread.sd, scale, acquired.grid, unit),
        corrections=(*acquired.measured.corrections, *_last_steps(config, acquired)),
    )  # fmt: skip


def _volume(values: FloatImage, scale: float, grid: Grid, unit: str) -> Volume:
    return Volume(values=np.asarray(values * np.float64(scale), dtype=np.float32), grid=grid, unit=unit)


def _total(mean: Estimate, region: Region, *, calibrated: bool) -> Estimate:
    """Activity of a region in MBq, or its counts: the mean times the volume, or times the voxels."""
    factor = region.volume_ml * 1e-6 if calibrated else float(region.voxels)

    def scaled(value: float | None) -> float | None:
        return None if value is None else value * factor

    return Estimate(value=scaled(mean.value), low=scaled(mean.low), high=scaled(mean.high), method=mean.method, n=mean.n,
                    level=mean.level, note=mean.note)  # fmt: skip


def _last_steps(config: Config, acquired: Acquired) -> tuple[str, ...]:
    sentences: list[str] = []
    calibration = config.calibration
    if calibration is not None and calibration.dead_time_factor != 1.0:
        sentences.append(f"Dead time: all values times {calibration.dead_time_factor:g}.")
    if acquired.scale is not None:
        sentences.append(f"Calibration: {acquired.scale:.6g} Bq/mL per image value, standard uncertainty "
                         f"{100 * acquired.u_relative:.3g} %.")  # fmt: skip
    else:
        sentences.append("Calibration: none, the image is in counts.")
    sentences.append("Decay: " + acquired.decay)
    return tuple(sentences)


def _prior_maker(config: Config, grid: Grid) -> Callable[[Problem], RelativeDifference]:
    settings = config.prior
    assert settings is not None
    sx, sy, sz = grid.spacing_mm

    def make(problem: Problem) -> RelativeDifference:
        kappa = _kappa(problem) if settings.kappa else None
        return RelativeDifference(beta=settings.beta, gamma=settings.gamma, spacing_mm=(sz, sy, sx), kappa=kappa,
                                  epsilon=settings.epsilon_share * problem.unit)  # fmt: skip

    return make


def _kappa(problem: Problem) -> FloatImage:
    """Square root of H'(y / e^2 H 1), the certainty of each voxel, at the uniform image (Fessler and Rogers 1996)."""
    ones = (problem.sensitivity > 0).astype(np.float32)
    total = np.zeros(ones.shape, np.float64)
    for views in problem.subsets:
        expected = problem.expected(ones * np.float32(problem.unit), views)
        reached = problem.projector.forward(ones, views)
        counts = problem.measured.counts[views]
        if problem.measured.weights is not None:
            counts = counts * problem.measured.weights[views]
        share = np.divide(counts * reached, expected**2, out=np.zeros_like(expected), where=expected > 0)
        total += problem.projector.back(share.astype(np.float32), views)
    return np.sqrt(np.maximum(total, 0.0)).astype(np.float32)


def _stopping(config: Config, acquired: Acquired, masks: Mapping[str, BoolImage], log: NoticeLog) -> Stopping | None:
    settings = config.stop
    if settings is None:
        return None
    whole = masks[settings.whole] if settings.whole else np.ones(acquired.grid.shape, bool)
    names = settings.regions
    if names is None:
        names = tuple(n for n in masks if n not in (settings.background, settings.whole))
    reference = None
    if settings.reference is not None:
        volume = read_image(settings.reference, log=log, placement=acquired.placement)
        if not volume.grid.matches(acquired.grid, tolerance_mm=0.05):
            raise InputError(
                settings.reference.name, "grid", volume.shape, f"the grid of the image, {acquired.grid.shape}"
            )
        reference = np.asarray(volume.values, dtype=np.float32) / np.float32(
            1.0 if acquired.scale is None else acquired.scale
        )
    return Stopping(
        whole=whole, background=masks[settings.background], regions={n: masks[n] for n in names}, reference=reference,
        object_tolerance=settings.object_tolerance, region_tolerance=settings.region_tolerance,
        consecutive=settings.consecutive,
    )  # fmt: skip


def _region(settings: RegionSettings, grid: Grid, config: Config, log: NoticeLog) -> Region:
    where = f"{config.path.name}, region {settings.name}"
    if settings.centre_mm is not None:
        points = [grid.to_mm(np.stack(np.broadcast_arrays(
            np.arange(grid.shape[2])[None, :], np.arange(grid.shape[1])[:, None], np.full((1, 1), z)), axis=-1))
            for z in range(grid.shape[0])]  # fmt: skip
        mask = np.stack(
            [((p - np.array(settings.centre_mm)) ** 2).sum(axis=-1) <= settings.radius_mm**2 for p in points]
        )
        found = Region.from_mask(settings.name, grid, mask, source="sphere")
    else:
        assert settings.file is not None
        regions = read_regions(settings.file, grid=grid, log=log)
        wanted = settings.label or settings.name
        chosen = [r for r in regions if wanted in (r.name, str(r.label))]
        if not chosen and len(regions) == 1 and not settings.label:
            chosen = list(regions)
            log.info(
                "REGION_ONLY_ONE",
                f"{settings.name} is the only region of {settings.file.name}, {chosen[0].name}",
                where=where,
                used=chosen[0].name,
            )
        if len(chosen) != 1:
            names = ", ".join(r.name for r in regions) or "none"
            raise InputError(where, "label", wanted, f"one of the regions of {settings.file.name}: {names}")
        one = chosen[0]
        found = Region(name=settings.name, grid=one.grid, start=one.start, crop=one.crop, source=one.source)
    if found.voxels == 0:
        raise NotComputable(f"the mean of {settings.name}", "no centre of a voxel lies in the region",
                            "a region within the image, larger than a voxel", "REGION_BETWEEN_VOXELS")  # fmt: skip
    return found
