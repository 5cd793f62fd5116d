"""Quantitative SPECT of 177Lu against planted truth: a cylinder and spheres, counted by one model and reconstructed by another.

Everything goes through the command: projections as DICOM NM, a CT, a TOML file, ``fusin reconstruct --json``. The sensitivity is
measured with a Petri dish through the same simulator, and an activity meter errs by a draw from its stated uncertainty.
``python benchmarks/proof_spect.py`` takes about ten minutes on two cores, prints the tables, and writes
``benchmarks/proof_spect.json`` and the picture of docs/reconstruction-proof.md. ``--work FOLDER`` keeps the files and goes on.
"""

from __future__ import annotations

import json
import math
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from proof import FRAME, command, estimate, kept_folder, markdown, study, write_ct

VIEWS, PIXEL_MM, ROWS, BINS, RADIUS_MM, VIEW_S = 60, 4.8, 48, 62, 200.0, 30.0
SLOPE, INTERCEPT_MM = 0.045, 4.5
TRUE_CPS, METER_U, MU_WATER = 9.37, 0.015, 0.135
BODY_MM, SPHERES_AT_MM = 108.0, 62.0
SEEDS = range(6)
INSERTS = (14, 18, 23, 30, 40, 54)
STARTED = datetime(2026, 3, 2, 9, 30)
CONFIG = """modality = "spect"
[data]
projections = "{name}.dcm"
window = "peak"
[attenuation]
ct = "CT_{phantom}"
energy_kev = 208.37
[scatter]
method = "tew"
lower = "lower"
upper = "upper"
[resolution]
slope = 0.045
intercept_mm = 4.5
[algorithm]
name = "osem"
iterations = 6
subsets = 6
[calibration]
cps_per_mbq = {cps:.6g}
u_percent = {u:.3g}
[bootstrap]
replicates = {replicates}
{regions}"""
REGION = '[[region]]\nname = "{}"\ncentre_mm = [{:.3f}, {:.3f}, {:.3f}]\nradius_mm = {:g}\n'


@dataclass(frozen=True)
class Filling:
    """One phantom with spheres: diameters [mm], concentrations [Bq/mL], place about the axis."""

    name: str
    diameters: tuple[int, ...]
    hot: float
    warm: float
    turn_deg: float
    z: float
    shift: tuple[float, float]

    def places(self) -> dict[int, tuple[float, float, float]]:
        """Middle of each sphere by diameter."""
        angles = np.deg2rad(self.turn_deg + 360.0 / len(self.diameters) * np.arange(len(self.diameters)))
        return {d: (self.shift[0] + SPHERES_AT_MM * float(np.cos(a)), self.shift[1] + SPHERES_AT_MM * float(np.sin(a)), self.z)
                for d, a in zip(self.diameters, angles, strict=True)}  # fmt: skip


FITTED = (
    Filling("inserts", INSERTS, 4e5, 5e4, 0.0, 0.0, (0.0, 0.0)),
    Filling("inserts, moved", INSERTS, 4e5, 5e4, 37.0, 2.0, (2.0, -1.5)),
)
APPLIED = (
    Filling("test 1", (16, 20, 26, 34, 46), 6e5, 5e4, 10.0, 3.1, (1.3, 2.2)),
    Filling("test 2", (15, 19, 28, 37, 50), 3e5, 5e4, 55.0, -5.0, (-2.7, 0.4)),
    Filling("test 3", (17, 22, 25, 32, 44), 8e5, 4e4, 80.0, 1.2, (0.6, -3.0)),
    Filling("test 4", (16, 21, 24, 36, 48), 2.5e5, 6e4, 140.0, -2.2, (-1.1, 1.7)),
)


def camera():
    """The geometry of all acquisitions."""
    from fusin.reconstruction.spect_geometry import SpectGeometry

    return SpectGeometry.circular(views=VIEWS, radius_mm=RADIUS_MM, pixel_mm=PIXEL_MM, rows=ROWS, columns=BINS)


def counted(phantom, geometry, *, seconds: float = VIEW_S, heads: int = 2):
    """Expected counts of a phantom."""
    from fusin.reconstruction.collimator import CollimatorResponse
    from fusin.reconstruction.simulate_spect import ScatterModel, simulate_spect

    return simulate_spect(
        phantom, geometry, response=CollimatorResponse.linear(slope=SLOPE, intercept_mm=INTERCEPT_MM), cps_per_mbq=TRUE_CPS,
        view_time_s=seconds, rng=np.random.default_rng(0), heads=heads, scatter=ScatterModel(), started=STARTED,
        frame_of_reference_uid=FRAME,
    )  # fmt: skip


def jar(half_mm: float, warm: float, filling: Filling | None = None):
    """Water in a cylinder, with or without spheres."""
    from fusin.reconstruction.phantoms import Part, Phantom
    from fusin.reconstruction.solids import cylinder, sphere

    parts = [
        Part(
            name="water",
            solid=cylinder((0, 0, 0), (BODY_MM, BODY_MM, half_mm)),
            activity_bq_ml=warm,
            mu_per_cm=MU_WATER,
        )
    ]
    if filling is not None:
        parts += [Part(name=f"sphere {d}", solid=sphere(at, d), activity_bq_ml=filling.hot, mu_per_cm=MU_WATER)
                  for d, at in filling.places().items()]  # fmt: skip
    return Phantom(name="jar", parts=tuple(parts))


def calibrated(rng: np.random.Generator, *, meter: float):
    """Sensitivity of a head from a Petri dish 10 cm below it: 5 mm of water, corrected for what they absorb."""
    from fusin.dosimetry.quantitative_spect import calibration_factor
    from fusin.nuclides import nuclide
    from fusin.provenance import NoticeLog
    from fusin.reconstruction.phantoms import Part, Phantom
    from fusin.reconstruction.scatter_windows import triple_window
    from fusin.reconstruction.solids import cylinder
    from fusin.reconstruction.spect_geometry import SpectGeometry

    dish = cylinder((0, 0, 0), (45, 45, 2.5), turn_deg=(90, 0, 0))
    phantom = Phantom(name="dish", parts=(Part(name="dish", solid=dish, activity_bq_ml=6e6, mu_per_cm=MU_WATER),))
    flat = SpectGeometry.circular(views=1, radius_mm=100.0, pixel_mm=PIXEL_MM, rows=ROWS, columns=BINS)
    seconds, optical = 600.0, MU_WATER * 0.5
    acquisition = counted(phantom, flat, seconds=seconds, heads=1).repeated(rng)
    scatter = triple_window(acquisition, peak="peak", lower="lower", upper="upper", log=NoticeLog())
    net = float(acquisition.of_window("peak").sum() - scatter.counts.sum())
    passed = -math.expm1(-optical) / optical
    mean = 1.0 - 0.5 * math.log(2.0) * seconds / nuclide("Lu-177").half_life_s
    stated = phantom.activity_bq() * 1e-6 * meter
    return calibration_factor(net / passed, duration_s=seconds, activity_mbq=stated * mean, activity_u_relative=METER_U)


def reconstructed(
    folder: Path, name: str, phantom: str, simulation, *, seed, calibration, regions, replicates=0
) -> dict:
    """Write one acquisition, run the command, and hand back its document."""
    from fusin.imaging.dicom_write import InjectionHeader
    from fusin.nuclides import nuclide
    from fusin.reconstruction.spect_dicom_write import write_nm_projections

    injection = InjectionHeader(activity_mbq=400.0, time=STARTED - timedelta(hours=1), nuclide="Lu-177",
                                half_life_s=nuclide("Lu-177").half_life_s)  # fmt: skip
    write_nm_projections(folder / f"{name}.dcm", simulation.repeated(np.random.default_rng([seed, 1])), study=study(),
                         injection=injection, seed_uid=name, heads=2)  # fmt: skip
    text = CONFIG.format(name=name, phantom=phantom, cps=calibration.cps_per_mbq, replicates=replicates,
                         u=100 * calibration.u_cps_per_mbq / calibration.cps_per_mbq,
                         regions="".join(REGION.format(n, *at, r) for n, at, r in regions))  # fmt: skip
    (folder / f"{name}.toml").write_text(text)
    return command(folder / f"{name}.toml", folder / name)


def totals(folder: Path) -> list[dict]:
    """Activity of a cylinder in a region that holds all of it, with ends on the faces of voxels and within voxels."""
    rows = []
    for label, half in (("ends on faces of voxels", 91.2), ("ends within voxels", 93.6)):
        phantom = jar(half, 5e4)
        write_ct(folder / f"CT_{half:g}", phantom, MU_WATER)
        simulation = counted(phantom, camera())
        truth = phantom.activity_bq() * 1e-6
        for seed in SEEDS:
            calibration = calibrated(np.random.default_rng([seed, 2]), meter=1.0)
            found = reconstructed(folder, f"cylinder_{half:g}_{seed}", f"{half:g}", simulation, seed=seed, calibration=calibration,
                                  regions=[("all", (0.0, 0.0, 0.0), 190.0)])  # fmt: skip
            total = estimate(found, "all", "total")
            rows.append({"cylinder": label, "seed": seed, "true_mbq": truth, "mbq": total["value"], "low": total["low"],
                         "high": total["high"], "off_percent": 100.0 * (total["value"] / truth - 1.0)})  # fmt: skip
    return rows


def spheres(folder: Path, fillings, name: str, *, seed: int, replicates: int, meter: float) -> list[dict]:
    """Means of all spheres and of the water between them, with intervals by the bootstrap and the calibration."""
    calibration = calibrated(np.random.default_rng([seed, 3]), meter=meter)
    rows = []
    for number, filling in enumerate(fillings):
        label = f"{name}_{number}"
        simulation = _SIMULATED.setdefault(filling.name, counted(jar(91.2, filling.warm, filling), camera()))
        write_ct(folder / f"CT_{label}", jar(91.2, filling.warm, filling), MU_WATER)
        listed = [(f"sphere {d}", at, d / 2) for d, at in filling.places().items()]
        listed.append(("water", (*filling.shift, filling.z), 20.0))
        found = reconstructed(folder, f"{label}_{seed}", label, simulation, seed=[seed, number], calibration=calibration,
                              regions=listed, replicates=replicates)  # fmt: skip
        noise, water = _noise(found, calibration), estimate(found, "water", "mean")
        for d in filling.diameters:
            mean = estimate(found, f"sphere {d}", "mean")
            rows.append({
                "phantom": filling.name, "seed": seed, "diameter_mm": d, "true_bq_ml": filling.hot, "warm_bq_ml": filling.warm,
                "mean": mean["value"], "u_noise": noise[f"sphere {d}"], "water": water["value"], "u_water": noise["water"],
                "u_calibration": calibration.u_cps_per_mbq / calibration.cps_per_mbq, "meter": meter,
            })  # fmt: skip
    return rows


_SIMULATED: dict = {}


def _noise(found: dict, calibration) -> dict[str, float]:
    """Standard uncertainty of each mean by the bootstrap alone."""
    shared = 1.959964 * calibration.u_cps_per_mbq / calibration.cps_per_mbq
    out = {}
    for region in found["regions"]:
        mean = region["mean"]
        half = 0.5 * (mean["high"] - mean["low"])
        out[region["name"]] = math.sqrt(max(half**2 - (shared * mean["value"]) ** 2, 0.0)) / 1.959964
    return out


def fitted(rows: list[dict]):
    """Recovery of each insert and the curve; the meter that filled them also calibrated the camera, so that it cancels."""
    from fusin.dosimetry.quantitative_spect import fit_recovery
    from fusin.reconstruction.spect_calibration import recovery_coefficient

    found = [recovery_coefficient(r["mean"], r["true_bq_ml"] * r["meter"], u_measured=r["u_noise"], u_truth=0.0,
                                  background=r["warm_bq_ml"] * r["meter"]) for r in rows]  # fmt: skip
    volumes = [math.pi / 6000.0 * r["diameter_mm"] ** 3 for r in rows]
    u = [(e.high - e.low) / (2.0 * 1.959964) for e in found]
    return fit_recovery(volumes, [e.value for e in found], u=u), list(
        zip(volumes, [e.value for e in found], u, strict=True)
    )


def corrected(rows: list[dict], curve) -> list[dict]:
    """Concentrations of the other phantoms after the curve, with intervals, beside the truth."""
    from fusin.reconstruction.spect_calibration import recovered

    out = []
    for r in rows:
        at = curve.at(math.pi / 6000.0 * r["diameter_mm"] ** 3)
        value, u = recovered(r["mean"], r["u_noise"], recovery=at.value, u_recovery=at.u, background=r["water"],
                             u_background=r["u_water"])  # fmt: skip
        half = 1.959964 * math.hypot(u, value * r["u_calibration"])
        out.append({**r, "recovery": at.value, "u_recovery": at.u, "bq_ml": value, "low": value - half, "high": value + half,
                    "held": value - half <= r["true_bq_ml"] <= value + half,
                    "off_percent": 100.0 * (value / r["true_bq_ml"] - 1.0)})  # fmt: skip
    return out


def main(replicates: int = 8) -> dict:
    """Run the proof; returns everything that the page prints."""
    with tempfile.TemporaryDirectory() as name:
        folder = kept_folder(name)
        cylinder = totals(folder)
        inserts, tests = [], []
        for seed in (0, 1):
            # Each seed is a site of its own: its meter errs by a draw from what it states.
            meter = 1.0 + METER_U * float(np.random.default_rng([seed, 4]).standard_normal())
            mine = spheres(folder, FITTED, "inserts", seed=seed, replicates=replicates, meter=meter)
            curve, points = fitted(mine)
            inserts.append({"seed": seed, "b1_ml": curve.b1_ml, "b2": curve.b2, "loss_spread": curve.loss_spread, "points": points,
                            "meter": meter})  # fmt: skip
            tests += corrected(spheres(folder, APPLIED, "test", seed=seed, replicates=replicates, meter=meter), curve)
    return {"cylinder": cylinder, "inserts": inserts, "spheres": tests}


def tables(found: dict) -> str:
    """The tables of the page."""
    rows = []
    for label in dict.fromkeys(r["cylinder"] for r in found["cylinder"]):
        mine = [r["off_percent"] for r in found["cylinder"] if r["cylinder"] == label]
        rows.append((label, len(mine), f"{np.mean(mine):+.2f}", f"{min(mine):+.2f} to {max(mine):+.2f}"))
    text = markdown(("cylinder", "seeds", "mean off by [%]", "range [%]"), rows)
    rows = []
    for low, high in ((14, 17), (18, 22), (23, 29), (30, 39), (40, 60)):
        mine = [r for r in found["spheres"] if low <= r["diameter_mm"] <= high]
        off = [r["off_percent"] for r in mine]
        raw = [r["mean"] / r["true_bq_ml"] for r in mine]
        wide = [100.0 * (r["high"] - r["low"]) / 2.0 / r["bq_ml"] for r in mine]
        rows.append((
            f"{low} to {high}", len(mine), f"{np.mean(raw):.2f}", f"{np.mean(off):+.1f}", f"{np.sqrt(np.mean(np.square(off))):.1f}",
            f"±{np.median(wide):.0f}", f"{sum(r['held'] for r in mine)} of {len(mine)}",
        ))  # fmt: skip
    off = [r["off_percent"] for r in found["spheres"]]
    rows.append(("all", len(off), "", f"{np.mean(off):+.1f}", f"{np.sqrt(np.mean(np.square(off))):.1f}", "",
                 f"{sum(r['held'] for r in found['spheres'])} of {len(off)}"))  # fmt: skip
    head = (
        "diameter [mm]",
        "cases",
        "measured / true",
        "corrected: mean off by [%]",
        "rms [%]",
        "median interval [%]",
        "truth within",
    )
    return text + "\n" + markdown(head, rows)


def figure(found: dict, path: Path) -> None:
    """Recovery with its curve, and corrected concentrations over the truth."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    from fusin.dosimetry.quantitative_spect import fit_recovery

    fig, axes = plt.subplots(1, 2, figsize=(9.2, 3.7), constrained_layout=True)
    points = np.array(found["inserts"][0]["points"])
    curve = fit_recovery(points[:, 0], points[:, 1], u=points[:, 2])
    volumes = np.geomspace(1.2, 100.0, 120)
    at = [curve.at(v) for v in volumes]
    value, u = np.array([a.value for a in at]), np.array([a.u for a in at])
    axes[0].fill_between(
        volumes, value - 1.96 * u, value + 1.96 * u, color="#0072B2", alpha=0.18, lw=0, label="95 % of the next sphere"
    )
    axes[0].plot(volumes, value, color="#0072B2", label="R = 1 / (1 + (b1 / V)^b2)")
    axes[0].errorbar(
        points[:, 0],
        points[:, 1],
        1.96 * points[:, 2],
        fmt="o",
        ms=4,
        color="#D55E00",
        label="inserts, 95 % by bootstrap",
    )
    axes[0].set(xscale="log", xlabel="volume [mL]", ylabel="recovery", ylim=(0, 1.02), title="fitted on one phantom")
    axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    for k, low in enumerate((14, 18, 23, 30, 40)):
        mine = [r for r in found["spheres"] if low <= r["diameter_mm"] < (18, 23, 30, 40, 99)[k]]
        for r in mine:
            x = r["diameter_mm"] + (0.25 if r["seed"] else -0.25)
            colour = "#009E73" if r["held"] else "#D55E00"
            true = r["true_bq_ml"]
            axes[1].plot([x, x], [r["low"] / true, r["high"] / true], color=colour, lw=1)
            axes[1].plot(x, r["bq_ml"] / true, "o", ms=3.5, color=colour)
            axes[1].plot(x, r["mean"] / true, "x", ms=4, color="0.55")
    axes[1].axhline(1.0, color="0.3", lw=0.8)
    axes[1].plot([], [], "x", color="0.55", label="as measured")
    axes[1].plot([], [], "o-", color="#009E73", label="corrected, 95 % interval holds the truth")
    axes[1].plot([], [], "o-", color="#D55E00", label="does not")
    axes[1].set(xlabel="diameter [mm]", ylabel="concentration / truth", ylim=(0, 2.2), title="applied to four others")
    axes[1].legend(frameon=False, fontsize=8, loc="upper right")
    fig.savefig(path, dpi=130)


if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    result = main()
    (here / "proof_spect.json").write_text(json.dumps(result, indent=1) + "\n")
    figure(result, here.parent / "docs" / "images" / "proof_spect.png")
    print(tables(result))
