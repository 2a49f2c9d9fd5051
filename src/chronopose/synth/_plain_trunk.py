"""Trunk, neck and skirt of a plain body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from chronopose.synth._patches import BONE, Patch, Ring, smooth, tube
from chronopose.synth._plain_frame import Frame, Layer, bands, chain_shares, cut

TRUNK, SKIRT = 24, 20
"""Vertices around the trunk and the skirt. Multiples of four: a column in front and one behind."""

PELVIS, SPINE, THORAX, NECK, SKULL_BASE = 0.520, 0.640, 0.815, 0.826, 0.868
"""Heights of the landmarks on the body's axis: Human3.6M's pelvis (between the hips), spine (half
way up) and thorax (base of the neck), LSP's neck (between the shoulders, where the throat ends) and
the base of the skull, which MPII calls upper_neck and PoseTrack head_bottom."""

_COLUMNS = np.array([
    # height, half width straight, half width curved, front, back
    (0.466, 0.040, 0.044, 0.028, 0.036), (0.478, 0.068, 0.074, 0.038, 0.054),
    (0.495, 0.086, 0.093, 0.047, 0.064), (0.520, 0.093, 0.102, 0.054, 0.070),
    (0.545, 0.094, 0.101, 0.059, 0.069), (0.575, 0.090, 0.092, 0.058, 0.060),
    (0.605, 0.085, 0.079, 0.056, 0.053), (0.640, 0.084, 0.073, 0.055, 0.051),
    (0.675, 0.089, 0.076, 0.058, 0.055), (0.705, 0.095, 0.082, 0.063, 0.060),
    (0.735, 0.101, 0.088, 0.067, 0.063), (0.762, 0.105, 0.091, 0.064, 0.064),
    (0.785, 0.106, 0.094, 0.056, 0.063), (0.803, 0.100, 0.090, 0.045, 0.058),
    (0.815, 0.088, 0.080, 0.037, 0.053), (0.826, 0.071, 0.064, 0.030, 0.048),
    (0.838, 0.048, 0.043, 0.026, 0.044), (0.852, 0.0345, 0.031, 0.025, 0.040),
    (0.868, 0.0325, 0.029, 0.025, 0.037), (0.890, 0.032, 0.0285, 0.024, 0.036),
    (0.905, 0.026, 0.024, 0.016, 0.032),
])  # fmt: skip


def trunk(frame: Frame) -> Patch:
    """Crotch to the skull, with the landmarks on the body's axis."""
    tall = frame.looks.height
    rings, heights = [], []
    for place, layer in cut([float(z) for z in _COLUMNS[:, 0]], _layers(frame)):
        wide, front, back = _profile(frame, place)
        size = wide * tall + layer.room, (front + back) / 2 * tall + layer.room
        centre = 0.0, (back - front) / 2 * tall, place * tall
        power = 2.0 + 0.7 * smooth(place, 0.50, 0.62) * (1 - smooth(place, 0.79, 0.84))
        rings.append(
            Ring(centre, size, _spine_shares(frame, place), layer.colour, layer.look, power)
        )
        heights.append(place)
    patch = tube(rings, TRUNK, (0.0, 1.0, 0.0), axis=(0.0, 0.0, 1.0), bulge=(0.006 * tall, 0.0))
    patch = _open_front(_shaped(_with_clavicles(patch, frame), frame), frame)
    spots = {
        "pelvis": (PELVIS, 0.0), "spine": (SPINE, 0.007), "thorax": (THORAX, 0.009),
        "neck": (NECK, 0.008), "upper_neck": (SKULL_BASE, 0.004),
        "head_bottom": (SKULL_BASE, 0.004),
    }  # fmt: skip
    for name, (height, depth) in spots.items():
        ring = int(np.abs(np.array(heights) - height).argmin())
        patch = _on_axis(patch, name, ring, depth * tall)
    return patch


def skirt(frame: Frame) -> Patch:
    """A closed skirt from the waist to the fraction ``looks.leg`` of the legs."""
    looks, tall = frame.looks, frame.looks.height
    waist, hip, knee = 0.600, 0.520, 0.283
    hem = hip + (knee - hip) * looks.leg if looks.leg < 1 else knee - 0.05 * (looks.leg - 1)
    flare = 0.015 + 0.05 * looks.loose
    rings = []
    for place in np.linspace(hem, waist, 9).tolist():
        wide, front, back = _profile(frame, max(place, hip))
        out = 0.006 + flare * smooth(hip + 0.03 - place, 0.0, hip + 0.03 - hem)
        size = (wide + out) * tall, ((front + back) / 2 + out) * tall
        centre = 0.0, (back - front) / 2 * tall, place * tall
        rings.append(Ring(centre, size, {"pelvis": 1.0}, looks.trousers, "trousers", 2.2))
    patch = tube(rings, SKIRT, (0.0, 1.0, 0.0), axis=(0.0, 0.0, 1.0), bulge=(-0.01 * tall, -0.01))
    weights = np.zeros_like(patch.weights)
    for vertex, (x, _, z) in enumerate((patch.vertices / tall).tolist()):
        legs = 0.96 * smooth(-z, -hip, -hip + 0.11)
        left = smooth(x, -0.05, 0.05)
        weights[vertex, BONE["pelvis"]] = 1 - legs
        weights[vertex, BONE["left_thigh"]] = legs * left
        weights[vertex, BONE["right_thigh"]] = legs * (1 - left)
    return replace(patch, weights=weights)


def _profile(frame: Frame, place: float) -> tuple[float, float, float]:
    """Half width, depth in front and depth behind at a height, fractions of the body height."""
    looks = frame.looks
    heights = _COLUMNS[:, 0]
    straight, curved, front, back = (float(np.interp(place, heights, c)) for c in _COLUMNS.T[1:])
    wide = (1 - looks.curve) * straight + looks.curve * curved
    trunk_only = 1 - smooth(place, 0.77, 0.83)
    belly = smooth(place, 0.53, 0.60) * (1 - smooth(place, 0.64, 0.74))
    wide *= 1 + looks.build * (0.06 + 0.10 * trunk_only * (0.5 + belly))
    front *= 1 + looks.build * (0.06 + 0.10 * trunk_only) + 0.42 * max(looks.build, 0.0) * belly
    back *= 1 + looks.build * (0.06 + 0.08 * trunk_only)
    return wide, front, back


def _layers(frame: Frame) -> list[Layer]:
    """Trousers, shirt, skin from the crotch to the skull."""
    looks = frame.looks
    room = 0.003 + 0.012 * looks.loose
    hem = 0.598 if looks.tucked else 0.532
    collar = 0.828 if looks.pattern != "open" else 0.834
    shirt = Layer(hem, collar, looks.shirt, "shirt", room)
    layers = [Layer(0.466, hem, looks.trousers, "trousers", 0.002)]
    if looks.pattern == "stripes":
        layers += bands(shirt, (looks.shirt, looks.second), 0.036)
    elif looks.pattern == "block":
        layers += [replace(shirt, last=0.715), replace(shirt, first=0.715, colour=looks.second)]
    else:
        layers.append(shirt)
    return [*layers, Layer(collar, 0.905, looks.skin, "skin")]


def _spine_shares(frame: Frame, place: float) -> dict[str, float]:
    chain = ["pelvis", "spine", "chest", "neck", "head"]
    joints = [float(frame.at[name][2]) / frame.looks.height for name in chain[1:]]
    return chain_shares(place, chain, joints, (0.035, 0.05, 0.022, 0.02))


def _with_clavicles(patch: Patch, frame: Frame) -> Patch:
    """The shoulders follow the clavicles."""
    weights = patch.weights.copy()
    reach = float(frame.at["left_upper_arm"][0])
    for vertex, (x, _, z) in enumerate(patch.vertices.tolist()):
        share = 0.85 * smooth(abs(x), 0.25 * reach, 0.95 * reach)
        share *= smooth(z / frame.looks.height, 0.735, 0.80)
        if share:
            weights[vertex] *= 1 - share
            weights[vertex, BONE["left_clavicle" if x > 0 else "right_clavicle"]] += share
    return replace(patch, weights=weights)


def _shaped(patch: Patch, frame: Frame) -> Patch:
    """Bust or chest muscles, buttocks, blades: smooth bumps; the rings stay level."""
    looks, tall = frame.looks, frame.looks.height
    bust = 0.004 + 0.016 * looks.curve * (1 + 0.3 * looks.build)
    bumps = ((0.045, 0.725, -1.0, bust, 0.032), (0.045, 0.515, 1.0, 0.007, 0.036),
             (0.055, 0.750, 1.0, 0.005, 0.045))  # fmt: skip
    vertices = patch.vertices.copy()
    x, y, z = vertices.T / tall
    for across, height, way, size, spread in bumps:
        far = (np.abs(x) - across) ** 2 + (z - height) ** 2
        facing = np.clip(way * y / 0.05, 0, 1)
        vertices[:, 1] += tall * way * size * facing * np.exp(-far / (2 * spread**2))
    return replace(patch, vertices=vertices)


def _open_front(patch: Patch, frame: Frame) -> Patch:
    """An open jacket over the second colour, or checks."""
    looks = frame.looks
    shirt = np.abs(patch.colours - looks.shirt).max(1) < 1e-6
    colours = patch.colours.copy()
    column, row = np.arange(len(colours)) % TRUNK, np.arange(len(colours)) // TRUNK
    if looks.pattern == "open":
        colours[shirt & (np.abs(column - 3 * TRUNK // 4) <= 1)] = looks.second
    if looks.pattern == "checks":
        colours[shirt & (column // 2 % 2 != row % 2)] = looks.second
    return replace(patch, colours=colours)


def _on_axis(patch: Patch, name: str, ring: int, depth: float) -> Patch:
    """A landmark between the front and the back of a ring, ``depth`` behind the middle, metres."""
    back, front = ring * TRUNK + TRUNK // 4, ring * TRUNK + 3 * TRUNK // 4
    far, near = float(patch.vertices[back, 1]), float(patch.vertices[front, 1])
    share = (depth - near) / (far - near)
    return patch.marked(name, [front, back], [1 - share, share])
