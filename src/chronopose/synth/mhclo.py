"""Reading MakeHuman's clothes, shoes, hair and brows: .mhclo with its .obj and .mhmat.

A .mhclo ties every vertex of a mesh to three vertices of MakeHuman's base mesh hm08, so the mesh
fits every body of that topology: ``vertex = sum_i share_i * body[ref_i] + offset * scale``, where
``scale`` of an axis is the distance of two given body vertices along it over a given number.
MakeHuman's files are in decimetres with y up and z to the front.

Written from the format's description in the MakeHuman community's wiki and the files themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chronopose.errors import FormatError

BASE_VERTICES = 19158
"""Vertices of the base mesh hm08, helpers included."""

_AXES = ("x_scale", "y_scale", "z_scale")


@dataclass(frozen=True)
class Binding:
    """How vertices hang on three vertices of a body each.

    Args:
        refs: ``(n, 3)`` body vertices.
        shares: ``(n, 3)`` their weights, summing to one; they may be negative.
        offsets: ``(n, 3)`` what is added, times the scale of each axis.
        spans: ``(3, 2)`` two body vertices an axis; their distance along it sets the scale.
        units: ``(3,)`` the distance at which the scale is one, above zero.
    """

    refs: NDArray[np.int64]
    shares: NDArray[np.float64]
    offsets: NDArray[np.float64]
    spans: NDArray[np.int64]
    units: NDArray[np.float64]

    def fit(self, body: NDArray[np.floating]) -> NDArray[np.float64]:
        """``(n, 3)`` the bound vertices on a body ``(V, 3)``, in the body's frame and unit."""
        body = np.asarray(body, np.float64)
        axis = np.arange(3)
        scale = np.abs(body[self.spans[:, 0], axis] - body[self.spans[:, 1], axis]) / self.units
        return np.einsum("nk,nka->na", self.shares, body[self.refs]) + self.offsets * scale

    def z_up(self) -> Binding:
        """The same binding for bodies with z up that face -y, in any unit.

        MakeHuman's x, y, z become x, z and -y. The unit drops out: ``units`` and ``offsets`` are
        both in MakeHuman's, so an offset is scaled by the body's own size.
        """
        order = [0, 2, 1]
        return Binding(
            self.refs,
            self.shares,
            self.offsets[:, order] * (1, -1, 1),
            self.spans[order],
            self.units[order],
        )


@dataclass(frozen=True)
class Garment:
    """A mesh that fits a body.

    Args:
        name: As its file says.
        tags: Words of its ``tag`` lines, in lower case.
        binding: Of the mesh's ``n`` vertices, in MakeHuman's frame.
        hidden: ``(d,)`` body vertices beneath it that are not to be drawn.
        corners: ``(m,)`` mesh vertex of every drawn vertex: those on a seam of the texture
            appear once a side.
        uv: ``(m, 2)`` texture coordinates, v up.
        faces: ``(f, 3)`` triangles of drawn vertices, counter-clockwise from outside.
        texture: The picture of its material; None without one.
        files: Every file that was read or is named as the texture.
    """

    name: str
    tags: tuple[str, ...]
    binding: Binding
    hidden: NDArray[np.int64]
    corners: NDArray[np.int64]
    uv: NDArray[np.float64]
    faces: NDArray[np.int64]
    texture: Path | None
    files: tuple[Path, ...]


def read_garment(path: str | Path) -> Garment:
    """Read one ``.mhclo`` and the files it names.

    Raises:
        FormatError: a file is missing, is for another base mesh, or contradicts itself; the
            message names the line.
    """
    path = Path(path)
    head, bound, hidden = _split(path)
    if head.get("basemesh", ["hm08"])[0] != "hm08":
        raise FormatError(
            f"Cannot fit {path}: it is made for the base mesh {head['basemesh'][0]!r}, and only "
            f"hm08 is supported. Export it again for hm08."
        )
    mesh = _named(path, head, "obj_file")
    points, corners, uv, faces = _read_obj(mesh)
    if points != len(bound):
        raise FormatError(
            f"Cannot fit {path}: it binds {len(bound)} vertices, but {mesh.name} has {points}. "
            f"Use the pair of files as they were released."
        )
    files, texture = [path, mesh], None
    if "material" in head:
        material = _named(path, head, "material")
        texture = _diffuse(material)
        files += [material, *([texture] if texture else [])]
    tags = tuple(t.lower() for t in head.get("tag", []))
    name = head.get("name", [path.stem])[0]
    return Garment(
        name, tags, _binding(path, head, bound), hidden, corners, uv, faces, texture, tuple(files)
    )


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Words of the lines that say something, with their numbers."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise FormatError(f"Cannot read {path}: {error.strerror}. Is the folder whole?") from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if words:
            yield number, words


def _split(
    path: Path,
) -> tuple[dict[str, list[str]], list[list[float]], NDArray[np.int64]]:
    """Keywords, the rows of ``verts`` and the numbers of ``delete_verts``."""
    head: dict[str, list[str]] = {}
    bound: list[list[float]] = []
    hidden: list[int] = []
    part = ""
    for number, words in _lines(path):
        if words[0] in ("verts", "weights", "delete_verts"):
            part = words[0]
        elif words[0][0].isalpha():
            head.setdefault(words[0], []).append(" ".join(words[1:]))
        elif part == "verts":
            bound.append(_row(path, number, words))
        elif part == "delete_verts":
            hidden += _ranges(path, number, words)
    if not bound:
        raise FormatError(f"Cannot fit {path}: it binds no vertices (no 'verts' section).")
    return head, bound, np.unique(np.array(hidden, np.int64))


def _row(path: Path, number: int, words: Sequence[str]) -> list[float]:
    """One bound vertex: three vertices, three shares, three offsets, or one vertex alone."""
    try:
        row = [float(w) for w in words]
    except ValueError:
        row = []
    if len(row) == 1:
        row = [row[0]] * 3 + [1.0, 0.0, 0.0] + [0.0] * 3
    if len(row) != 9 or not np.isfinite(row).all():
        raise FormatError(
            f"Cannot fit {path}: line {number} should hold 1 or 9 numbers; got {' '.join(words)!r}."
        )
    _inside(path, number, row[:3])
    return row


def _ranges(path: Path, number: int, words: Sequence[str]) -> list[int]:
    """Numbers and ranges ``first - last``, ends included."""
    found: list[int] = []
    try:
        place = 0
        while place < len(words):
            first = last = int(words[place])
            if place + 2 < len(words) and words[place + 1] == "-":
                last = int(words[place + 2])
                place += 2
            place += 1
            _inside(path, number, (first, last))
            found += range(first, last + 1)
    except ValueError as error:
        raise FormatError(
            f"Cannot fit {path}: line {number} should hold vertices and ranges 'a - b'; "
            f"got {' '.join(words)[:60]!r}."
        ) from error
    return found


def _inside(path: Path, number: int, vertices: Sequence[float]) -> None:
    if min(vertices) < 0 or max(vertices) >= BASE_VERTICES:
        raise FormatError(
            f"Cannot fit {path}: line {number} names body vertex {int(max(vertices))}; hm08 has "
            f"vertices 0 to {BASE_VERTICES - 1}."
        )


def _binding(path: Path, head: dict[str, list[str]], bound: list[list[float]]) -> Binding:
    table = np.array(bound)
    spans, units = np.zeros((3, 2), np.int64), np.ones(3)
    offsets = table[:, 6:9]
    for axis, key in enumerate(_AXES):
        if key not in head:
            raise FormatError(f"Cannot fit {path}: the line {key!r} is missing.")
        words = head[key][0].split()
        try:
            first, last, unit = int(words[0]), int(words[1]), float(words[2])
        except (ValueError, IndexError) as error:
            raise FormatError(
                f"Cannot fit {path}: {key} should be two vertices and a length; got {words}."
            ) from error
        if not 0 <= min(first, last) <= max(first, last) < BASE_VERTICES or not unit > 0:
            raise FormatError(f"Cannot fit {path}: {key} {head[key][0]} is out of range.")
        spans[axis], units[axis] = (first, last), unit
    return Binding(table[:, :3].astype(np.int64), table[:, 3:6], offsets, spans, units)


def _named(path: Path, head: dict[str, list[str]], key: str) -> Path:
    if key not in head:
        raise FormatError(f"Cannot fit {path}: the line {key!r} is missing.")
    found = path.parent / head[key][0].strip()
    if not found.is_file():
        raise FormatError(f"Cannot fit {path}: {key} {found.name} is not beside it.")
    return found


def _diffuse(material: Path) -> Path | None:
    """The picture a .mhmat names as its colours."""
    for _, words in _lines(material):
        if words[0] == "diffuseTexture" and len(words) > 1:
            found = material.parent / " ".join(words[1:])
            if not found.is_file():
                raise FormatError(f"Cannot use {material}: its texture {found.name} is missing.")
            return found
    return None


def _read_obj(
    path: Path,
) -> tuple[int, NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Number of vertices, mesh vertex and texture coordinates of the drawn ones, triangles."""
    points, coordinates = 0, [(0.0, 0.0)]
    seen: dict[tuple[int, int], int] = {}
    faces: list[tuple[int, int, int]] = []
    for number, words in _lines(path):
        try:
            if words[0] == "v":
                points += 1
            elif words[0] == "vt":
                coordinates.append((float(words[1]), float(words[2])))
            elif words[0] == "f":
                ring = [seen.setdefault(_corner(w), len(seen)) for w in words[1:]]
                faces += [(ring[0], ring[k], ring[k + 1]) for k in range(1, len(ring) - 1)]
        except (ValueError, IndexError) as error:
            raise FormatError(
                f"Cannot read {path}: line {number} is not what an OBJ file holds: "
                f"{' '.join(words)[:60]!r}."
            ) from error
    table = np.array(list(seen), np.int64).reshape(-1, 2)
    if not faces or table[:, 0].max() >= points or table[:, 1].max() >= len(coordinates):
        raise FormatError(
            f"Cannot read {path}: {len(faces)} faces over {points} vertices do not make a mesh."
        )
    uv = np.array(coordinates)[table[:, 1]]
    return points, table[:, 0], uv, np.array(faces, np.int64)


def _corner(word: str) -> tuple[int, int]:
    """``vertex/texture/normal`` with 1-based numbers: vertex from 0, texture 0 for none."""
    parts = word.split("/")
    vertex, texture = int(parts[0]) - 1, int(parts[1]) if len(parts) > 1 and parts[1] else 0
    if vertex < 0 or texture < 0:
        raise ValueError(word)
    return vertex, texture
