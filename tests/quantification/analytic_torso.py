"""A small analytic patient for the placement tests: shapes in LPS millimetres, painted on a PET grid.

Levels follow a supine adult: z = 0 at the top of the iliac crests (L4), lung apex near 385, vertex near 640. It is
written apart from `fusin.imaging.phantom`, so that placement is judged on two independent anatomies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage as ndi

from fusin.imaging.volume import Grid, Region, Volume

VERTEBRAE_Z = {
    "L5": -40, "L4": -3, "L3": 33, "L2": 68, "L1": 101, "T12": 132, "T11": 160, "T10": 186, "T9": 211, "T8": 235,
    "T7": 258, "T6": 280, "T5": 301, "T4": 321, "T3": 340, "T2": 358, "T1": 376,
}  # fmt: skip
UPTAKE = {
    "body": 0.5, "fat": 0.25, "lung": 0.45, "bone": 0.9, "marrow": 1.8, "heart": 1.7, "aorta": 1.7, "liver": 1.3,
    "spleen": 5.5, "kidney": 3.5, "stomach": 0.8, "bowel": 0.9, "bladder": 25.0, "brain": 0.15, "muscle": 0.55,
}  # fmt: skip


@dataclass
class Torso:
    """PET (SUVbw) and CT (HU) on one grid, with the true organs."""

    pet: Volume
    ct: Volume
    organs: dict[str, Region] = field(default_factory=dict)


def ellipsoid(x, y, z, centre, half):
    """Inside of an axis-aligned ellipsoid."""
    return sum(((c - m) / h) ** 2 for c, m, h in zip((x, y, z), centre, half, strict=True)) < 1.0


def make_torso(
    *,
    spacing_mm=(4.0728, 4.0728, 3.0),
    z_range=(-230.0, 650.0),
    seed=0,
    noise=0.10,
    contrast=False,
    mirrored=False,
    fatty_liver=False,
    lesion_near_aorta=False,
    splenectomy=False,
    arms="up",
    size=1.0,
    lean=0.0,
    shift=(0.0, 0.0),
    ct_noise_hu=25.0,
    trabecular_hu=160.0,
):
    """Paint a patient; `seed` moves the organs by a few millimetres and draws the noise."""
    rng = np.random.default_rng(seed)
    jitter = {name: rng.normal(0.0, 4.0, 3) for name in ("liver", "spleen", "kidney_l", "kidney_r", "aorta", "heart")}
    nx, ny = int(560 / spacing_mm[0]), int(330 / spacing_mm[1])
    nz = int((z_range[1] - z_range[0]) / spacing_mm[2])
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = [-0.5 * (nx - 1) * spacing_mm[0] + shift[0], -150.0 + shift[1], z_range[0]]
    grid = Grid(shape=(nz, ny, nx), affine=affine, frame_of_reference_uid="1.2.3")
    x0 = affine[0, 3] + np.arange(nx) * spacing_mm[0] - shift[0]
    y0 = affine[1, 3] + np.arange(ny) * spacing_mm[1] - shift[1]
    z0 = affine[2, 3] + np.arange(nz) * spacing_mm[2]
    z, y, x = (a.astype(np.float32) for a in np.meshgrid(z0, y0, x0, indexing="ij", sparse=True))
    x, y = x / size, y / size
    x = x - lean * 18.0 * np.sin((z - 50.0) / 90.0)
    if mirrored:
        x = -x
    ct = np.full(grid.shape, -1000.0, np.float32)
    pet = np.zeros(grid.shape, np.float32)
    organs: dict[str, np.ndarray] = {}

    def paint(where, hu, suv, name=None):
        ct[where] = hu
        pet[where] = suv
        if name:
            organs[name] = where

    where = _body(x, y, z, arms)
    skin, trunk = where
    paint(skin, -100.0, UPTAKE["fat"])
    paint(trunk, 50.0, UPTAKE["muscle"])
    _cavities(x, y, z, trunk, paint, jitter, contrast)
    _organs(x, y, z, trunk, paint, jitter, contrast, fatty_liver, splenectomy)
    _skeleton(x, y, z, trunk, skin, paint, trabecular_hu)
    _vessels(x, y, z, paint, jitter, contrast)
    if lesion_near_aorta:
        at = _aorta_centre(215.0, jitter)
        paint(ellipsoid(x, y, z, (at[0] - 2, at[1] - 26, 215.0), (10, 10, 14)), 45.0, 12.0, "lesion")
    couch = (np.abs(y * size - 138.0 + 0.0006 * (x * size) ** 2) < 4.0) & (np.abs(x * size) < 210.0) & (z > -1e9)
    ct[couch & (ct < -500)] = -80.0
    sigma = [6.0 / 2.3548 / s for s in spacing_mm[::-1]]
    pet = ndi.gaussian_filter(pet, sigma)
    grain = ndi.gaussian_filter(rng.standard_normal(pet.shape).astype(np.float32), sigma)
    pet += noise * (grain / grain.std()) * np.sqrt(np.maximum(pet, 0.02))
    ct = ndi.gaussian_filter(ct, 0.45) + ct_noise_hu * rng.standard_normal(ct.shape).astype(np.float32)
    ct = np.clip(np.rint(ct), -1024, 3071).astype(np.int16)
    return Torso(
        pet=Volume(values=np.maximum(pet, 0.0).astype(np.float32), grid=grid, unit="g/ml{SUVbw}"),
        ct=Volume(values=ct, grid=grid, unit="[hnsf'U]"),
        organs={name: Region.from_mask(name, grid, mask) for name, mask in organs.items()},
    )


def _body(x, y, z, arms):
    """Outer body and the part inside the subcutaneous fat."""
    width = np.interp(z, [-400, -200, -60, 0, 60, 150, 250, 350, 385, 410, 430, 900],
                      [165, 165, 178, 165, 152, 160, 170, 175, 150, 80, 62, 62])  # fmt: skip
    depth = np.interp(z, [-400, -200, -60, 0, 60, 150, 250, 350, 385, 410, 430, 900],
                      [95, 95, 112, 108, 106, 112, 115, 105, 95, 75, 62, 62])  # fmt: skip
    neck_y = np.interp(z, [385, 430, 900], [0, 22, 22])
    chest = (np.abs(x / width) ** 2.6 + np.abs((y - neck_y) / depth) ** 2.6 < 1) & (z < 455)
    head = ellipsoid(x, y, z, (0, 15, 540), (80, 98, 108))
    skin = chest | head
    if arms == "up":
        for side in (-1, 1):
            skin |= (((x - side * 175) / 45) ** 2 + ((y - 20) / 45) ** 2 < 1) & (z > 385) & (z < 700)
    elif arms == "down":
        for side in (-1, 1):
            skin |= (((x - side * 215) / 38) ** 2 + ((y - 25) / 42) ** 2 < 1) & (z > -150) & (z < 370)
    # Two legs with a gap below the perineum.
    skin &= ~((np.abs(x) < 12) & (z < -150))
    fat = 20.0
    trunk = (np.abs(x / (width - fat)) ** 2.6 + np.abs((y - neck_y) / (depth - fat)) ** 2.6 < 1) & (z < 455)
    trunk |= ellipsoid(x, y, z, (0, 15, 540), (76, 94, 104))
    if arms in ("up", "down"):
        cx, cy, r = (175, 20, 33) if arms == "up" else (215, 25, 28)
        band = (z > 385) & (z < 700) if arms == "up" else (z > -150) & (z < 370)
        for side in (-1, 1):
            trunk |= (((x - side * cx) / r) ** 2 + ((y - cy) / r) ** 2 < 1) & band
    trunk &= skin & ~((np.abs(x) < 24) & (z < -140))
    return skin, trunk


def _spine_y(z):
    return np.interp(z, [-150, -60, 0, 60, 130, 250, 330, 400, 500], [62, 40, 22, 18, 28, 46, 42, 28, 24])


def _aorta_centre(z, jitter):
    """Axis of the descending aorta: left-anterior of the spine, to the midline at the hiatus."""
    left = np.interp(z, [0, 60, 130, 200, 310, 340], [4, 6, 10, 24, 30, 26]) + 0.4 * jitter["aorta"][0]
    front = np.interp(z, [0, 130, 200, 310, 340], [-36, -38, -30, -18, -20]) + 0.4 * jitter["aorta"][1]
    return left, _spine_y(z) + front


def _cavities(x, y, z, trunk, paint, jitter, contrast):
    """Lungs with domes, mediastinum and heart, trachea."""
    for side, dome in ((-1, 215.0), (1, 200.0)):
        u = (x - side * 78) / 66
        v = (y - 2) / 92
        top = 388 - 130 * np.clip((np.abs(u) ** 2 + np.abs(v) ** 2), 0, 1) ** 2 * 0.5
        # The base is a dome that falls to the costophrenic recess at the rim, deepest behind.
        rim = np.clip((((x - side * 72) / 60) ** 2 + ((y + 12) / 78) ** 2), 0, 1.4)
        base = dome - (60 + 45 * np.clip(y / 80, 0, 1)) * rim**1.8
        lung = (np.abs(u) ** 2.4 + np.abs(v) ** 2.4 < 1) & (z < top) & (z > base) & trunk
        paint(lung, -820.0, UPTAKE["lung"], "lung_right" if side < 0 else "lung_left")
    mediastinum = ellipsoid(x, y, z, (4, 18, 300), (32, 70, 120)) & (z > 195)
    paint(mediastinum & trunk, 10.0, UPTAKE["body"])
    heart = ellipsoid(x, y, z, np.add((28, -28, 232), jitter["heart"]), (58, 46, 48)) & (z > 185)
    paint(heart & trunk, 180.0 if contrast else 42.0, UPTAKE["heart"], "heart")
    trachea = (((x) / 9) ** 2 + ((y + 2) / 9) ** 2 < 1) & (z > 312) & (z < 430)
    for side in (-1, 1):
        t = (314 - z) / 45
        trachea |= (((x - side * (4 + 34 * t)) / 7) ** 2 + ((y + 2) / 7) ** 2 < 1) & (z > 270) & (z <= 314)
    paint(trachea, -980.0, 0.2, "trachea")


def _organs(x, y, z, trunk, paint, jitter, contrast, fatty_liver, splenectomy):
    """Abdominal organs below the domes."""
    lung_rim_r = np.clip((((x + 72) / 60) ** 2 + ((y + 12) / 78) ** 2), 0, 1.4)
    roof = 213.0 - (60 + 45 * np.clip(y / 80, 0, 1)) * lung_rim_r**1.8
    boost = 60.0 if contrast else 0.0
    # Behind y = 42 lie the back's muscles.
    fat = (np.abs(x / 128) ** 2.6 + np.abs((y + 5) / 82) ** 2.6 < 1) & (z < 190) & (z > -120) & (y < 42)
    free = fat & trunk
    paint(free & (z < 130), -95.0, UPTAKE["fat"])
    for k, (bx, by, bz) in enumerate([(-50, -40, 30), (40, -45, 25), (0, -50, -10), (70, -30, -20), (-60, -30, -50),
                                      (20, -40, -60), (0, -55, 55), (95, -10, 60), (-98, -5, 10)]):  # fmt: skip
        paint(ellipsoid(x, y, z, (bx, by, bz), (32, 24, 26)) & trunk, 30.0, UPTAKE["bowel"])
        if k % 2:
            paint(ellipsoid(x, y, z, (bx, by - 6, bz), (18, 10, 14)) & trunk, -700.0, 0.5)
    below_left = z < 198 - 50 * np.clip((((x - 72) / 60) ** 2 + ((y + 12) / 78) ** 2), 0, 1.4) ** 1.8
    stomach = ellipsoid(x, y, z, (65, -32, 150), (44, 38, 52)) & trunk & below_left
    paint(stomach, 25.0, UPTAKE["stomach"])
    paint(ellipsoid(x, y, z, (65, -50, 160), (30, 16, 25)) & stomach, -900.0, 0.4)
    dx, dy, dz = jitter["liver"]
    liver = ellipsoid(x, y, z, (-70 + dx, -8 + dy, 140 + dz), (72, 80, 82))
    liver |= ellipsoid(x, y, z, (10 + dx, -45 + dy, 165 + dz), (62, 32, 38))
    liver &= (z < roof) & trunk & (np.abs(x / 140) ** 2.6 + np.abs(y / 92) ** 2.6 < 1)
    paint(liver, (5.0 if fatty_liver else 58.0) + boost, UPTAKE["liver"], "liver")
    gall = ellipsoid(x, y, z, (-48, -60, 85), (17, 20, 24)) & trunk
    paint(gall, 8.0, 0.6, "gallbladder")
    if "liver":
        vessels = ellipsoid(x, y, z, (-25 + dx, 5 + dy, 150 + dz), (14, 9, 60))
        paint(vessels & liver, 42.0 + 2 * boost, UPTAKE["heart"], "cava")
    for side, name in ((1, "kidney_l"), (-1, "kidney_r")):
        cz = 88 if side > 0 else 70
        kidney = ellipsoid(x, y, z, np.add((side * 60, 26, cz), jitter[name]), (27, 26, 54)) & trunk
        paint(kidney, 35.0 + 2 * boost, UPTAKE["kidney"], "kidney_left" if side > 0 else "kidney_right")
    if not splenectomy:
        spleen = ellipsoid(x, y, z, np.add((98, 26, 163), jitter["spleen"]), (29, 45, 48))
        spleen &= trunk & below_left & (np.abs(x / 140) ** 2.6 + np.abs(y / 92) ** 2.6 < 1)
        paint(spleen, 48.0 + boost, UPTAKE["spleen"], "spleen")
    bladder = ellipsoid(x, y, z, (0, -40, -110), (36, 32, 32))
    paint(bladder & trunk, 5.0, UPTAKE["bladder"], "urinary_bladder")


def _skeleton(x, y, z, trunk, skin, paint, trabecular_hu):
    """Vertebrae with canal and arch, ribs, sternum, pelvis, femurs and skull."""
    sy = _spine_y(z)
    for name, vz in VERTEBRAE_Z.items():
        wide = 24 if name[0] == "L" else 17
        tall = 14 if name[0] == "L" else 11
        deep = 17 if name[0] == "L" else 14
        cy = float(_spine_y(vz))
        near = np.abs(z - vz) < tall
        body = ((x / wide) ** 2 + ((y - cy) / deep) ** 2 < 1) & near
        core = ((x / (wide - 3)) ** 2 + ((y - cy) / (deep - 3)) ** 2 < 1) & (np.abs(z - vz) < tall - 2)
        paint(body, 420.0, UPTAKE["bone"])
        paint(core, trabecular_hu, UPTAKE["marrow"], f"vertebrae_{name}")
        canal = (x / 11) ** 2 + ((y - cy - deep - 9) / 9) ** 2 < 1
        ring = (x / 17) ** 2 + ((y - cy - deep - 9) / 15) ** 2 < 1
        spinous = (np.abs(x) < 4) & (y > cy + deep + 20) & (y < cy + deep + 42)
        arch = ((ring & ~canal) | spinous) & (np.abs(z - vz) < tall - 3)
        transverse = (np.abs(x) < 38) & (np.abs(y - cy - deep - 6) < 5) & (np.abs(z - vz) < 6) & ~canal
        paint((arch | transverse) & (y > cy + deep - 3) & trunk, 380.0, UPTAKE["bone"])
        disc = ((x / wide) ** 2 + ((y - cy) / deep) ** 2 < 1) & (z >= vz + tall) & (z < vz + tall + 9)
        paint(disc & trunk, 85.0, 0.4)
    neck = ((x / 13) ** 2 + ((y - sy) / 12) ** 2 < 1) & (z > 385) & (z < 450)
    paint(neck, 250.0, 1.2)
    wall = (np.abs(x / 138) ** 2.6 + np.abs((y + 2) / 90) ** 2.6 >= 1) & (
        np.abs(x / 149) ** 2.6 + np.abs(y / 96) ** 2.6 < 1
    )
    ribs = wall & (((z + 0.55 * y) % 26) < 8) & (z > 85 - 0.8 * (y - 60)) & (z < 370) & trunk & (np.abs(x) > 25)
    paint(ribs, 300.0, 1.1)
    paint((np.abs(x) < 18) & (np.abs(y + 88) < 6) & (z > 200) & (z < 350) & skin, 200.0, 1.3)
    for side in (-1, 1):
        wing = np.abs(((x - side * 92) / 34) ** 2 + ((y - 15) / 62) ** 2 + ((z + 60) / 60) ** 2 - 1) < 0.22
        paint(wing & (side * x > 60) & (z < 0) & trunk, 350.0, 1.2)
        hip = ellipsoid(x, y, z, (side * 92, 5, -115), (26, 26, 26))
        paint(hip, 380.0, 0.9)
        femur = (((x - side * 95) / 14) ** 2 + ((y - 5) / 14) ** 2 < 1) & (z < -100)
        paint(femur, 700.0, 0.4)
    sacrum = ((x / (48 + 0.15 * (z + 60))) ** 2 + ((y - sy - 4) / 20) ** 2 < 1) & (z > -150) & (z < -58)
    paint(sacrum & trunk, 230.0, 1.6)
    skull = ellipsoid(x, y, z, (0, 15, 545), (74, 92, 95))
    paint(skull & (z > 485), 800.0, 0.6)
    paint(ellipsoid(x, y, z, (0, 15, 545), (68, 86, 89)) & (z > 492), 35.0, UPTAKE["brain"], "brain")


def _vessels(x, y, z, paint, jitter, contrast):
    """Aorta: ascending, arch, descending and abdominal."""
    lumen = 320.0 if contrast else 42.0
    left, front = _aorta_centre(z, jitter)
    aorta = (
        ((x - left) ** 2 + (y - front) ** 2 < np.interp(z, [0, 130, 300], [9, 11.5, 13.5]) ** 2) & (z > 5) & (z < 330)
    )
    aorta |= ((x + 14) ** 2 + (y + 30) ** 2 < 15**2) & (z > 265) & (z < 330)
    t = np.clip((y + 30) / (float(_aorta_centre(330.0, jitter)[1]) + 30), 0, 1)
    aorta |= (
        ((x - (-14 + 42 * t)) ** 2 + (z - 332) ** 2 < 13**2) & (y > -40) & (y < _aorta_centre(330.0, jitter)[1] + 8)
    )
    paint(aorta, lumen, UPTAKE["aorta"], "aorta")
