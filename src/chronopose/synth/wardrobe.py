"""People and what they wear: shapes, skin, outfits, shoes, hair and brows, made into bodies.

Every person is a mean shape plus a weighted sum of basis shapes; clothes, shoes, hair and brows
hang on the body's vertices (:class:`chronopose.synth.mhclo.Binding`), so all of them fit all
people. Nobody is undressed: a bank without outfit and shoes for some of its people cannot be made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from chronopose.errors import FormatError, UsageError
from chronopose.synth._patches import strongest
from chronopose.synth._plain_looks import HAIRS, Colour
from chronopose.synth.body import BONES, Body, Landmark, Surface
from chronopose.synth.mhclo import Binding

SPLITS = ("train", "test")
SEXES = ("male", "female")
KINDS = ("outfit", "shoes", "hair", "brows")
"""What a :class:`Piece` can be. Everybody wears an outfit and shoes."""

PAINTS = ("lips", "blush", "white", "iris", "pupil")
"""Shares of colour that are painted over the skin, in this order."""

_HAIR_REACH = 0.010
"""Scalp nearer than this to hair takes its colour, metres, so that no skin shines through."""


@dataclass(frozen=True)
class Piece:
    """An outfit, a pair of shoes, hair or brows.

    Args:
        name: Unique in the bank.
        kind: One of :data:`KINDS`.
        sexes: Who wears it, of :data:`SEXES`.
        splits: Where it is used, of :data:`SPLITS`.
        binding: Its vertices on the bank's body vertices, z up.
        hidden: ``(d,)`` body vertices beneath it; a face all of whose vertices are hidden is not
            drawn.
        corners, uv, faces: As of :class:`chronopose.synth.mhclo.Garment`.
        texture: ``(h, w, 4)`` uint8 sRGB with coverage; hair and brows in grey, tinted later.
    """

    name: str
    kind: str
    sexes: tuple[str, ...]
    splits: tuple[str, ...]
    binding: Binding
    hidden: NDArray[np.int64]
    corners: NDArray[np.int64]
    uv: NDArray[np.float32]
    faces: NDArray[np.int64]
    texture: NDArray[np.uint8]


@dataclass(frozen=True)
class Person:
    """One adult of the bank.

    Args:
        sex: Of :data:`SEXES`; says which pieces are worn.
        split: Of :data:`SPLITS`.
        skin: sRGB in [0, 1].
        shape: ``(K,)`` float32, weights of the basis shapes.
    """

    sex: str
    split: str
    skin: Colour
    shape: NDArray[np.float32]


@dataclass(frozen=True)
class Wearing:
    """Everything that makes one body; :meth:`Bank.choose` draws one, :meth:`Bank.dress` makes it.

    Args:
        key: Name of the body.
        person: Shape and skin.
        outfit, shoes, brows: What is worn.
        hair: None for a shaved head.
        hair_colour: sRGB.
        tints: Of outfit and shoes, sRGB that multiplies their textures.
    """

    key: str
    person: Person
    outfit: Piece
    shoes: Piece
    brows: Piece | None
    hair: Piece | None
    hair_colour: Colour
    tints: tuple[Colour, Colour]


@dataclass(frozen=True)
class Bank:
    """Shapes, skin and wardrobe of many people; bodies come from :meth:`body`.

    Rows of ``mean`` and ``basis`` are ``B`` body vertices, then a marker for each of ``marks``,
    then the ``J`` joints of :data:`BONES`. A marker is a point inside or on the body that moves
    with its own bones: on a joint it stays there in every pose.

    Args:
        mean: ``(B + M + J, 3)`` float32, metres, z up, facing -y.
        basis: ``(K, B + M + J, 3)`` float32, metres.
        bones, weights: ``(B + M, 4)`` as of :class:`Body`.
        faces: ``(F, 3)`` triangles of body vertices, the skin with eyes.
        paint: ``(B, len(PAINTS))`` float32 in [0, 1].
        marks: Landmark names.
        people, pieces: Who and what there is.

    Raises:
        FormatError: the parts do not fit together, or somebody has nothing to wear.
    """

    mean: NDArray[np.float32]
    basis: NDArray[np.float32]
    bones: NDArray[np.uint8]
    weights: NDArray[np.float32]
    faces: NDArray[np.int64]
    paint: NDArray[np.float32]
    marks: tuple[str, ...]
    people: tuple[Person, ...]
    pieces: tuple[Piece, ...]

    def __post_init__(self) -> None:
        self._check_shapes()
        self._check_pieces()
        for sex, split in sorted({(p.sex, p.split) for p in self.people}):
            for kind in ("outfit", "shoes"):
                if not self.wardrobe(kind, sex, split):
                    raise FormatError(
                        f"The bank has {split} people ({sex}) but no {kind} for them, and nobody "
                        f"is drawn undressed. Bake it again with more assets."
                    )

    def _check_shapes(self) -> None:
        count, marks = len(self.paint), len(self.marks)
        rows = count + marks + len(BONES)
        want = {
            "mean": (rows, 3), "basis": (len(self.basis), rows, 3), "bones": (count + marks, 4),
            "weights": (count + marks, 4), "faces": (len(self.faces), 3),
            "paint": (count, len(PAINTS)),
        }  # fmt: skip
        for name, shape in want.items():
            if np.shape(getattr(self, name)) != shape:
                raise FormatError(
                    f"The bank's {name} should be {shape}; it is {np.shape(getattr(self, name))}."
                )
        _below("faces", self.faces, count)
        _below("bones", self.bones, len(BONES))
        if not np.isfinite(self.mean).all() or not np.isfinite(self.basis).all():
            raise FormatError("The bank's shapes are not all finite numbers.")
        if not np.allclose(self.weights.sum(1), 1, atol=1e-5) or (self.weights < 0).any():
            raise FormatError("The bank's skin weights do not sum to one.")
        for person in self.people:
            known = person.sex in SEXES and person.split in SPLITS
            if not known or np.shape(person.shape) != (len(self.basis),):
                raise FormatError(
                    f"A person of the bank is {person.sex!r}, {person.split!r} with "
                    f"{np.size(person.shape)} shape weights for {len(self.basis)} basis shapes."
                )

    def _check_pieces(self) -> None:
        for piece in self.pieces:
            if piece.kind not in KINDS:
                raise FormatError(f"Piece {piece.name!r} is a {piece.kind!r}, not of {KINDS}.")
            binding, count = piece.binding, len(self.paint)
            _below(f"{piece.name}: refs", binding.refs, count)
            _below(f"{piece.name}: spans", binding.spans, count)
            _below(f"{piece.name}: hidden", piece.hidden, count)
            _below(f"{piece.name}: corners", piece.corners, len(binding.refs))
            _below(f"{piece.name}: faces", piece.faces, len(piece.corners))
            if len(piece.uv) != len(piece.corners) or not (binding.units > 0).all():
                raise FormatError(f"Piece {piece.name!r} of the bank contradicts itself.")

    def wardrobe(self, kind: str, sex: str, split: str) -> tuple[Piece, ...]:
        """The pieces of a kind for a sex in a split, in the file's order."""
        return tuple(
            p for p in self.pieces if p.kind == kind and sex in p.sexes and split in p.splits
        )

    def body(self, seed: int, split: str = "train") -> Body:
        """The dressed adult ``seed``; the same seed of the same bank is the same person.

        Args:
            seed: At least zero.
            split: ``"train"`` or ``"test"``: other people in other clothes.

        Raises:
            UsageError: the split is unknown, the bank has nobody in it, or the seed is negative.
        """
        return self.dress(self.choose(seed, split))

    def choose(self, seed: int, split: str = "train") -> Wearing:
        """Draw a person, between two of the bank of one sex, and what they wear.

        Raises:
            UsageError: the split is unknown, the bank has nobody in it, or the seed is negative.
        """
        if seed < 0:
            raise UsageError(f"Bodies are numbered from 0; got {seed}.")
        people = [p for p in self.people if p.split == split]
        if split not in SPLITS or not people:
            have = sorted({p.split for p in self.people})
            raise UsageError(f"The bank has nobody in the split {split!r}. It has: {have}.")
        rng = np.random.default_rng([seed, SPLITS.index(split)])
        one = people[int(rng.integers(len(people)))]
        alike = [p for p in people if p.sex == one.sex]
        other, share = alike[int(rng.integers(len(alike)))], 0.5 * rng.random() ** 2
        shape = ((1 - share) * one.shape + share * other.shape).astype(np.float32)
        skin = _shift(one.skin, rng, 0.03)
        sex = one.sex

        def pick(kind: str) -> Piece | None:
            pieces = self.wardrobe(kind, sex, split)
            return pieces[int(rng.integers(len(pieces)))] if pieces else None

        outfit, shoes, brows, hair = (pick(kind) for kind in ("outfit", "shoes", "brows", "hair"))
        assert outfit is not None and shoes is not None
        shaved = rng.random() < (0.12 if sex == "male" else 0.0)
        return Wearing(
            f"bank/{split}/{seed}",
            Person(sex, split, skin, shape),
            outfit,
            shoes,
            brows,
            None if shaved else hair,
            _shift(HAIRS[int(rng.integers(len(HAIRS)))], rng, 0.03),
            (_tint(rng), _tint(rng)),
        )

    def dress(self, wearing: Wearing) -> Body:
        """The body of a person with everything that was chosen, standing on the ground."""
        shape = wearing.person.shape
        # Double precision: processors that order sums differently agree in the end.
        rows = self.mean + np.tensordot(shape.astype(np.float64), self.basis, 1)
        count, marks = len(self.paint), len(self.marks)
        worn = (wearing.outfit, wearing.shoes, wearing.hair, wearing.brows)
        pieces = [p for p in worn if p is not None]
        parts = [p.binding.fit(rows[:count])[p.corners] for p in pieces]
        covered = np.zeros(count, bool)
        for piece in pieces:
            covered[piece.hidden] = True
        seen = self.faces[~covered[self.faces].all(1)]
        kept, flat = np.unique(seen, return_inverse=True)
        markers = np.arange(count, count + marks)
        bases = np.concatenate([kept, markers])
        starts = np.cumsum([len(bases), *(len(p) for p in parts)])
        vertices = np.concatenate([rows[bases], *parts])
        feet = np.concatenate([rows[kept], *parts])[:, 2].min()
        vertices[:, 2] -= feet
        joints = rows[count + marks :]
        bones, weights = self._skinning(bases, pieces)
        drawn = [p.faces for p in pieces]
        inside = _within_trousers(parts[1], parts[0], joints)
        drawn[1] = drawn[1][~inside[drawn[1]].all(1)]
        faces = [flat.reshape(-1, 3), *(f + s for f, s in zip(drawn, starts, strict=False))]
        colours = np.ones((len(vertices), 3), np.float32)
        hair = parts[pieces.index(wearing.hair)][_covers(wearing.hair)] if wearing.hair else None
        colours[: len(kept)] = self._skin_colours(kept, rows, hair, wearing)
        first = len(kept)
        return Body(
            key=wearing.key,
            vertices=vertices.round(5).astype(np.float32),
            faces=np.concatenate(faces).astype(np.int32),
            uv=np.concatenate([np.zeros((len(bases), 2)), *(p.uv for p in pieces)]).astype(
                np.float32
            ),
            colours=colours,
            bones=bones,
            weights=weights,
            joints=(joints - (0, 0, feet)).round(5).astype(np.float32),
            surfaces=_surfaces([len(f) for f in faces], pieces, wearing),
            landmarks={
                name: Landmark(np.array([first + k]), np.ones(1, np.float32))
                for k, name in enumerate(self.marks)
            },
        )

    def _skinning(
        self, bases: NDArray[np.int64], pieces: Sequence[Piece]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Bones and weights of all vertices; pieces mix those of the body beneath."""
        all_bones, all_weights = [self.bones[bases]], [self.weights[bases]]
        dense = np.zeros((len(self.bones), len(BONES)))
        np.put_along_axis(dense, self.bones.astype(np.int64), self.weights, 1)
        for piece in pieces:
            mixed = np.einsum("nk,nkj->nj", piece.binding.shares, dense[piece.binding.refs])
            bones, weights = strongest(np.maximum(mixed, 0))
            all_bones.append(bones[piece.corners])
            all_weights.append(weights[piece.corners])
        return np.concatenate(all_bones), np.concatenate(all_weights)

    def _skin_colours(
        self,
        kept: NDArray[np.int64],
        rows: NDArray[np.float64],
        hair: NDArray[np.float64] | None,
        wearing: Wearing,
    ) -> NDArray[np.float32]:
        """``(len(kept), 3)`` skin, lips, eyes, and scalp below hair."""
        skin = np.array(wearing.person.skin)
        eye = HAIRS[1] if wearing.person.skin[0] < 0.7 else (0.30, 0.36, 0.38)
        over = np.array([skin * (0.82, 0.55, 0.55), skin * (0.95, 0.80, 0.78), (0.90, 0.88, 0.86),
                         eye, (0.04, 0.03, 0.03)])  # fmt: skip
        grain = np.random.default_rng(len(kept)).random((len(kept), 1)) - 0.5
        colours = skin + 0.02 * grain
        for share, colour in zip(self.paint[kept].T, over, strict=True):
            colours = colours + share[:, None] * (colour - colours)
        if hair is not None and len(hair):
            near = cKDTree(hair).query(rows[kept], distance_upper_bound=_HAIR_REACH)[0]
            scalp = (near < _HAIR_REACH) & (self.paint[kept].sum(1) == 0)
            colours[scalp] = 0.35 * colours[scalp] + 0.65 * 0.7 * np.array(wearing.hair_colour)
        return colours.clip(0, 1).astype(np.float32)


def _covers(piece: Piece) -> NDArray[np.bool_]:
    """``(m,)`` whether the texture covers what lies beneath a drawn vertex."""
    high, wide = piece.texture.shape[:2]
    across = (piece.uv[:, 0] * wide).astype(int).clip(0, wide - 1)
    down = ((1 - piece.uv[:, 1]) * high).astype(int).clip(0, high - 1)
    covers: NDArray[np.bool_] = piece.texture[down, across, 3] >= 128
    return covers


def _within_trousers(
    shoes: NDArray[np.float64], outfit: NDArray[np.float64], joints: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """``(m,)`` whether a vertex of shoes or socks is inside a trouser leg, where it may poke out.

    It is, if it lies above the hem and nearer to the line through the shin than the cloth beside
    it (5 mm of grace).
    """
    inside = np.zeros(len(shoes), bool)
    for side, sign in (("left", 1), ("right", -1)):
        knee, ankle = (joints[BONES.index(f"{side}_{n}")] for n in ("shin", "foot"))
        cloth = outfit[(outfit[:, 2] < 0.5 * (knee[2] + ankle[2])) & (sign * outfit[:, 0] > 0)]
        own = np.flatnonzero(sign * shoes[:, 0] > 0)
        if not len(cloth) or not len(own):
            continue
        along = (ankle - knee) / np.linalg.norm(ankle - knee)
        near = cloth[cKDTree(cloth).query(shoes[own])[1]]
        radii = [np.linalg.norm(np.cross(p - knee, along), axis=1) for p in (shoes[own], near)]
        above = shoes[own, 2] > cloth[:, 2].min() + 0.01
        inside[own] = above & (radii[0] < radii[1] + 0.005)
    return inside


def _surfaces(
    counts: Sequence[int], pieces: Sequence[Piece], wearing: Wearing
) -> tuple[Surface, ...]:
    """Skin from vertex colours, then every piece with its texture and tint."""
    red, green, blue = wearing.hair_colour
    tints = {
        "outfit": wearing.tints[0], "shoes": wearing.tints[1], "hair": wearing.hair_colour,
        "brows": (0.7 * red, 0.7 * green, 0.7 * blue),
    }  # fmt: skip
    found = [Surface("skin", 0, counts[0])]
    for piece, count in zip(pieces, counts[1:], strict=True):
        start = found[-1].last
        end = start + count
        found.append(Surface(piece.kind, start, end, piece.texture, tints[piece.kind], thin=True))
    return tuple(found)


def _below(name: str, index: NDArray[np.integer], count: int) -> None:
    if index.size and not 0 <= index.min() <= index.max() < count:
        raise FormatError(
            f"The bank's {name} point at {index.max()} where there are {count} entries. "
            f"The file is damaged; bake it again."
        )


def _shift(colour: Colour, rng: np.random.Generator, amount: float) -> Colour:
    moved = np.array(colour) * (0.92 + 0.16 * rng.random()) + amount * (rng.random(3) - 0.5)
    red, green, blue = moved.clip(0.02, 1).tolist()
    return red, green, blue


def _tint(rng: np.random.Generator) -> Colour:
    """White often, else darker and slightly coloured; the texture stays readable."""
    if rng.random() < 0.3:
        return 1.0, 1.0, 1.0
    light, colour = 0.55 + 0.45 * rng.random(), 0.35 * rng.random()
    red, green, blue = (light * (1 - colour * rng.random(3))).tolist()
    return red, green, blue
