"""Arms, hands, legs, shoes of the left side of a plain body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from chronopose.synth._patches import Array, Patch, Ring, ball, ring_vertices, tube
from chronopose.synth._plain_frame import Frame, Layer, bands, chain_shares, cut

ARM, LEG, SHOE = 12, 14, 12
"""Vertices around an arm, a leg, a shoe."""

_ARM_PLACES = (-0.5, -0.2, -0.08, 0.0, 0.1, 0.22, 0.4, 0.6, 0.78, 0.88, 0.95, 1.0, 1.06, 1.14,
               1.3, 1.5, 1.7, 1.88, 1.95, 2.0, 2.06)  # fmt: skip
_ARM_SIZES = ((-0.5, 0.018), (-0.2, 0.027), (0.0, 0.0310), (0.15, 0.0318), (0.35, 0.0292),
              (0.6, 0.0270), (0.85, 0.0240), (1.0, 0.0230), (1.15, 0.0240), (1.3, 0.0240),
              (1.6, 0.0200), (1.9, 0.0162), (2.06, 0.0150))  # fmt: skip
_LEG_PLACES = (-0.2, -0.1, 0.0, 0.1, 0.2, 0.35, 0.5, 0.65, 0.78, 0.87, 0.94, 1.0, 1.06, 1.13, 1.22,
               1.35, 1.5, 1.65, 1.8, 1.9, 2.0, 2.08)  # fmt: skip
_LEG_SIZES = ((-0.2, 0.036), (-0.1, 0.045), (0.0, 0.0485), (0.12, 0.0490), (0.3, 0.0455),
              (0.6, 0.0395), (0.85, 0.0335), (1.0, 0.0318), (1.12, 0.0310), (1.3, 0.0325),
              (1.5, 0.0298), (1.75, 0.0232), (1.93, 0.0202), (2.08, 0.0195))  # fmt: skip
_SHOE_SIZES = ((0.0, 0.015, 0.034), (0.05, 0.0205, 0.048), (0.2, 0.0225, 0.056),
               (0.34, 0.0220, 0.052),
               (0.50, 0.0245, 0.042), (0.66, 0.0285, 0.034), (0.82, 0.0265, 0.030),
               (0.93, 0.0200, 0.026), (0.98, 0.0120, 0.020))  # fmt: skip
_PALM_SIZES = ((-0.012, 0.0125, 0.0115), (0.004, 0.0145, 0.0125), (0.022, 0.0205, 0.0130),
               (0.042, 0.0240, 0.0125), (0.060, 0.0235, 0.0110), (0.080, 0.0215, 0.0090),
               (0.096, 0.0165, 0.0070))  # fmt: skip


def arm(frame: Frame) -> list[Patch]:
    """The left arm from inside the chest to the wrist, and the hand."""
    looks, tall = frame.looks, frame.looks.height
    shoulder, elbow = frame.at["left_upper_arm"], frame.at["left_forearm"]
    wrist = frame.at["left_hand"]
    line = (
        (-0.5, shoulder - np.array([0.062 * tall, 0, 0.018 * tall])),
        (0.0, shoulder),
        (1.0, elbow),
        (2.06, elbow + 1.06 * (wrist - elbow)),
    )
    room = 0.003 + 0.010 * looks.loose
    sleeve = Layer(-0.5, looks.sleeve, looks.shirt, "shirt", room)
    layers = [sleeve, Layer(looks.sleeve, 2.06, looks.skin, "skin")]
    if looks.pattern == "stripes":
        layers[:1] = bands(sleeve, (looks.shirt, looks.second), 0.22)
    if looks.pattern == "block" and looks.sleeve > 1:
        layers[:1] = [replace(sleeve, last=0.45, colour=looks.second), replace(sleeve, first=0.45)]
    chain = [f"left_{n}" for n in ("clavicle", "upper_arm", "forearm", "hand")]
    rings: list[Ring] = []
    wanted: dict[float, int] = {}
    for place, layer in cut(_ARM_PLACES, layers):
        size = _girth(frame, place, _ARM_SIZES, 0.10) + layer.room
        shares = chain_shares(place, chain, (0.0, 1.0, 2.0), (0.22, 0.2, 0.12))
        wanted.setdefault(round(place, 6), len(rings))
        rings.append(Ring(_along(line, place), (size, size), shares, layer.colour, layer.look))
    patch = tube(rings, ARM, (0.0, 1.0, 0.0))
    for name, place in (("shoulder", 0.0), ("elbow", 1.0), ("wrist", 2.0)):
        patch = patch.marked(f"left_{name}", ring_vertices(wanted[place], ARM))
    return [patch, *_hand(frame)]


def leg(frame: Frame) -> list[Patch]:
    """The left leg from inside the pelvis to the ankle, and the shoe."""
    looks, tall = frame.looks, frame.looks.height
    hip, knee, ankle = (frame.at[f"left_{n}"] for n in ("thigh", "shin", "foot"))
    up = hip + np.array([-0.004 * tall, 0, 0.2 * (hip[2] - knee[2])])
    line = (-0.2, up), (0.0, hip), (1.0, knee), (2.08, knee + 1.08 * (ankle - knee))
    room = 0.002 + 0.012 * looks.loose
    legs = Layer(-0.2, looks.leg, looks.trousers, "trousers", room)
    below = Layer(looks.leg, 2.08, looks.skin, "skin")
    layers = [legs, below] if looks.leg > 1.8 else [legs, *_sock(below, looks.sole)]
    if looks.skirt:
        layers = [Layer(-0.2, 0.15, looks.trousers, "trousers"), replace(below, first=0.15)]
    chain = ["pelvis", "left_thigh", "left_shin", "left_foot"]
    rings: list[Ring] = []
    wanted: dict[float, int] = {}
    for place, layer in cut(_LEG_PLACES, layers):
        hang = layer.room * (1 + max(place, 0)) if layer.room else 0.0
        size = _girth(frame, place, _LEG_SIZES, 0.14) + hang
        bulk = 0.005 * tall * float(np.interp(place, (1.0, 1.3, 1.7, 2.0), (0, 1, 0.4, 0)))
        x, y, z = _along(line, place)
        shares = chain_shares(place, chain, (0.0, 1.0, 2.0), (0.2, 0.16, 0.1))
        wanted.setdefault(round(place, 6), len(rings))
        rings.append(Ring((x, y + bulk, z), (size, size), shares, layer.colour, layer.look))
    patch = tube(rings, LEG, (0.0, 1.0, 0.0))
    for name, place in (("hip", 0.0), ("knee", 1.0), ("ankle", 2.0)):
        patch = patch.marked(f"left_{name}", ring_vertices(wanted[place], LEG))
    return [patch, _shoe(frame)]


def _sock(below: Layer, colour: tuple[float, float, float]) -> list[Layer]:
    return [replace(below, last=1.78), Layer(1.78, below.last, colour, "shoes", 0.002)]


def _girth(frame: Frame, place: float, sizes: Sequence[tuple[float, float]], gain: float) -> float:
    at, radius = zip(*sizes, strict=True)
    slim = 1 - 0.10 * frame.looks.curve if sizes is _ARM_SIZES else 1.0
    wide = 1 + gain * frame.looks.build * (1.0 if place < 1.2 else 0.6)
    return float(np.interp(place, at, radius)) * frame.looks.height * slim * wide


def _along(line: Sequence[tuple[float, Array]], place: float) -> tuple[float, float, float]:
    at = [p for p, _ in line]
    x, y, z = (float(np.interp(place, at, [c[i] for _, c in line])) for i in range(3))
    return x, y, z


def _hand(frame: Frame) -> list[Patch]:
    """A mitten with a thumb, palm towards the thigh."""
    looks, tall, wrist = frame.looks, frame.looks.height, frame.at["left_hand"]
    along = wrist - frame.at["left_forearm"]
    along = along / np.linalg.norm(along)
    rings = []
    for place, wide, thick in _PALM_SIZES:
        x, y, z = (wrist + along * place * tall).tolist()
        shares = chain_shares(place, ["left_forearm", "left_hand"], (0.0,), (0.014,))
        size = thick * tall, wide * tall
        rings.append(Ring((x, y, z), size, shares, looks.skin, "skin", 2.5))
    forward = np.array([0.0, -1.0, 0.0])
    palm = tube(rings, ARM, forward, axis=along, bulge=(0.0, 0.008 * tall))
    tip = along * 0.75 + forward * 0.66
    root = wrist + along * 0.040 * tall + forward * 0.022 * tall
    radii = 0.0075 * tall, 0.0085 * tall, 0.030 * tall
    thumb = ball(root, radii, tip / np.linalg.norm(tip), {"left_hand": 1.0}, looks.skin, "skin")
    return [palm, thumb]


def _shoe(frame: Frame) -> Patch:
    """A shoe, toes turned out a little; heel, big and small toe are marked on it."""
    looks, tall, ankle = frame.looks, frame.looks.height, frame.at["left_foot"]
    ball_of_foot = frame.at["left_toes"]
    way = (ball_of_foot - ankle) * (1, 1, 0)
    along = way / np.linalg.norm(way)
    side = np.cross((0.0, 0.0, 1.0), along)
    length, behind = 0.158 * tall, 0.040 * tall
    bend = (behind + float(np.linalg.norm(way))) / length
    rings = []
    for place, wide, top in _SHOE_SIZES:
        x, y, _ = (ankle + along * (place * length - behind)).tolist()
        shares = chain_shares(place, ["left_foot", "left_toes"], (bend,), (0.12,))
        size = wide * tall, top * tall / 2
        rings.append(Ring((x, y, size[1]), size, shares, looks.shoes, "shoes", 2.8))
    patch = tube(rings, SHOE, (0.0, 0.0, 1.0), axis=along, bulge=(0.006 * tall, 0.008 * tall))
    colours = patch.colours.copy()
    colours[patch.vertices[:, 2] < 0.009 * tall] = looks.sole
    patch = replace(patch, colours=colours)
    toes = {"big_toe": (1.0, -0.010), "small_toe": (0.86, 0.026)}
    for name, (place, out) in toes.items():
        spot = ankle * (1, 1, 0) + along * (place * length - behind) + side * out * tall
        patch = patch.marked(f"left_{name}", [patch.nearest(spot + np.array([0, 0, 0.010 * tall]))])
    heel = ankle * (1, 1, 0) - along * behind + np.array([0, 0, 0.014 * tall])
    return patch.marked("left_heel", [patch.nearest(heel)])
