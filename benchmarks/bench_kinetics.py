"""Parametric images per voxel and second, against the same least squares by scipy in a Python loop."""

from __future__ import annotations

import time

import numpy as np
from scipy.optimize import least_squares

from fusin.receptor.compartments import tissue_curve
from fusin.receptor.parametric import ParametricOptions, voxel_values
from fusin.receptor.synthetic_kinetics import bolus_input, dynamic_frames
from timing import FUSIN, Table, print_table, race

VOXELS, LOOP = 40_000, 200


def curves(rng):
    """Noisy curves of voxels with different rates."""
    source, frames = bolus_input(scale_kbq_ml=12.0), dynamic_frames()
    rates = rng.uniform((0.05, 0.1, 0.03, 0.01), (0.6, 0.5, 0.2, 0.08), (400, 4))
    each = [
        tissue_curve(
            "2tcm", dict(zip(("K1", "k2", "k3", "k4"), r, strict=True)), source, frames, vb=0.05, average=False
        )
        for r in rates
    ]
    many = np.tile(np.stack(each), (VOXELS // 400, 1))
    return source, frames, (many * (1 + 0.03 * rng.normal(size=many.shape))).astype(np.float32)


def scipy_fit(curve, source, frames):
    """One voxel as a script would fit it."""

    def misfit(z):
        rates = dict(zip(("K1", "k2", "k3", "k4"), np.exp(z), strict=True))
        return tissue_curve("2tcm", rates, source, frames, vb=0.05, average=False) - curve

    return least_squares(misfit, np.log([0.2, 0.2, 0.1, 0.03]), bounds=(np.log(1e-4), np.log(10.0)))


def scipy_logan(curve, source, frames, area):
    """One voxel's line by numpy."""
    length = np.asarray(frames.duration_min)
    blood = np.interp(frames.mid_min, source.blood_time_min, source.blood)
    tissue = (curve - 0.05 * blood) / 0.95
    total = np.cumsum(tissue * length) - 0.5 * tissue * length
    return np.polyfit(area[-10:] / tissue[-10:], total[-10:] / tissue[-10:], 1)[0]


def tables() -> list[Table]:
    """One table per model."""
    source, frames, many = curves(np.random.default_rng(0))
    area = source.area_until(np.asarray(frames.mid_min))
    found = []
    for model, name, loop in (
        ("2tcm", "scipy least_squares in a loop", lambda c: scipy_fit(c, source, frames)),
        ("logan", "numpy polyfit in a loop", lambda c: scipy_logan(c, source, frames, area)),
    ):
        options = ParametricOptions(model=model)
        times = race({
            FUSIN: lambda o=options: voxel_values(many[:LOOP], frames, source, options=o),
            name: lambda f=loop: [f(c) for c in many[:LOOP]],
        })  # fmt: skip
        start = time.perf_counter()
        voxel_values(many, frames, source, options=options)
        speed = VOXELS / (time.perf_counter() - start)
        remarks = [
            f"fusin fits {speed:,.0f} voxels per second when there are {VOXELS:,}; a few hundred are mostly the table."
        ]
        found.append(Table(f"{model} in {LOOP} voxels of 30 frames", times, remarks))
    return found


def main() -> None:
    """Print all tables."""
    for table in tables():
        print_table(table)


if __name__ == "__main__":
    main()
