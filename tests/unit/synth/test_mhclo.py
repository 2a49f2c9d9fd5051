"""MakeHuman's clothes files: the fit by hand, the reading, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from chronopose.errors import FormatError
from chronopose.synth.mhclo import BASE_VERTICES, Binding, read_garment

CLOTH = """# CC0
basemesh hm08
name scarf
tag Female
tag Warm
obj_file scarf.obj
x_scale 0 1 2.0
y_scale 0 2 4.0
z_scale 0 2 0.5
material scarf.mhmat
verts 0
0 1 2 0.5 0.25 0.25 1.0 1.0 1.0
2
1 1 1 1 0 0 0 0 -2
delete_verts
3 - 5 7 9
11 - 12
"""
MESH = """v 0 0 0
v 0 0 0
v 0 0 0
vt 0 0
vt 1 0
vt 1 1
vt 0.5 0.5
f 1/1 2/2 3/3
f 1/4 3/3 2/2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scarf.mhclo").write_text(CLOTH)
    (tmp_path / "scarf.obj").write_text(MESH)
    (tmp_path / "scarf.mhmat").write_text("diffuseColor 1 1 1\ndiffuseTexture scarf.png\n")
    (tmp_path / "scarf.png").write_bytes(b"")
    return tmp_path


def test_three_vertices_are_fitted_as_worked_out_by_hand(folder: Path) -> None:
    # Scales: |4 - 0| / 2 = 2 along x, |8 - 0| / 4 = 2 along y, |0 - 1| / 0.5 = 2 along z.
    body = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 8.0, 1.0]])
    found = read_garment(folder / "scarf.mhclo").binding.fit(body)
    # 0.5 v0 + 0.25 v1 + 0.25 v2 = (1, 2, 0.25), and 1 x 2 is added along every axis.
    np.testing.assert_allclose(found, [[3, 4, 2.25], [0, 8, 1], [4, 0, -4]])


def test_a_body_twice_as_large_is_fitted_by_a_garment_twice_as_large(folder: Path) -> None:
    binding = read_garment(folder / "scarf.mhclo").binding
    body = np.array([[0.0, 0.1, 0.3], [4.0, 0.0, 0.0], [0.0, 8.0, 1.0]])
    np.testing.assert_allclose(binding.fit(2 * body), 2 * binding.fit(body))


def test_the_same_garment_comes_out_in_metres_with_z_up(folder: Path) -> None:
    binding = read_garment(folder / "scarf.mhclo").binding
    body = np.random.default_rng(0).random((3, 3))
    turned = body[:, [0, 2, 1]] * (1, -1, 1) / 10
    wanted = binding.fit(body)[:, [0, 2, 1]] * (1, -1, 1) / 10
    np.testing.assert_allclose(binding.z_up().fit(turned), wanted, atol=1e-12)


def test_seams_of_the_texture_split_vertices_and_triangles_stay(folder: Path) -> None:
    garment = read_garment(folder / "scarf.mhclo")
    assert garment.corners.tolist() == [0, 1, 2, 0]
    assert garment.uv.tolist() == [[0, 0], [1, 0], [1, 1], [0.5, 0.5]]
    assert garment.faces.tolist() == [[0, 1, 2], [3, 2, 1]]


def test_quads_become_two_triangles(folder: Path) -> None:
    (folder / "scarf.obj").write_text(MESH + "v 1 1 1\nf 1/1 2/2 3/3 1/4\n")
    text = CLOTH.replace("delete_verts", "1\ndelete_verts")
    (folder / "scarf.mhclo").write_text(text)
    assert read_garment(folder / "scarf.mhclo").faces[2:].tolist() == [[0, 1, 2], [0, 2, 3]]


def test_tags_hidden_vertices_and_files_are_read(folder: Path) -> None:
    garment = read_garment(folder / "scarf.mhclo")
    assert (garment.name, garment.tags) == ("scarf", ("female", "warm"))
    assert garment.hidden.tolist() == [3, 4, 5, 7, 9, 11, 12]
    assert garment.texture == folder / "scarf.png"
    assert {f.suffix for f in garment.files} == {".mhclo", ".obj", ".mhmat", ".png"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hm08", "hm99", "base mesh 'hm99'"),
        ("x_scale 0 1 2.0\n", "", "'x_scale' is missing"),
        ("x_scale 0 1 2.0", "x_scale 0 1 0", "out of range"),
        ("x_scale 0 1 2.0", "x_scale 0 1", "two vertices and a length"),
        ("0 1 2 0.5", "0 1 19158 0.5", "line 12 names body vertex 19158"),
        ("0 1 2 0.5", "0 1 0.5", "line 12 should hold 1 or 9 numbers"),
        ("0 1 2 0.5", "0 1 2 nan", "line 12 should hold 1 or 9 numbers"),
        ("3 - 5 7", "3 - five 7", "line 16 should hold vertices and ranges"),
        ("3 - 5 7", "3 - 50000 7", "line 16 names body vertex 50000"),
        ("1 1 1 1 0 0 0 0 -2\n", "", "binds 2 vertices, but scarf.obj has 3"),
        ("scarf.obj", "shawl.obj", "obj_file shawl.obj is not beside it"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    folder: Path, old: str, new: str, message: str
) -> None:
    assert old in CLOTH
    (folder / "scarf.mhclo").write_text(CLOTH.replace(old, new))
    with pytest.raises(FormatError, match=message):
        read_garment(folder / "scarf.mhclo")


def test_a_missing_texture_and_a_broken_mesh_are_refused(folder: Path) -> None:
    (folder / "scarf.png").unlink()
    with pytest.raises(FormatError, match=r"texture scarf\.png is missing"):
        read_garment(folder / "scarf.mhclo")
    (folder / "scarf.obj").write_text(MESH.replace("f 1/1 2/2 3/3", "f 1/1 2/2 9/3"))
    with pytest.raises(FormatError, match="do not make a mesh"):
        read_garment(folder / "scarf.mhclo")
    (folder / "scarf.obj").write_text(MESH.replace("f 1/1 2/2 3/3", "f 1/1 two 3/3"))
    with pytest.raises(FormatError, match="line 8 is not what an OBJ file holds"):
        read_garment(folder / "scarf.mhclo")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="Cannot read"):
        read_garment(tmp_path / "nothing.mhclo")


@pytest.mark.data
def test_released_shoes_are_whole_and_bound_to_the_feet(shared_data: Path) -> None:
    path = shared_data / "makehuman_cc0" / "clothes" / "shoes01" / "shoes01.mhclo"
    if not path.is_file():
        pytest.skip("needs shared/data/makehuman_cc0")
    shoes = read_garment(path)
    assert (shoes.name, len(shoes.binding.refs), len(shoes.faces)) == ("shoes01", 1722, 3320)
    assert "shoes" in shoes.tags
    assert isinstance(shoes.binding, Binding)
    np.testing.assert_allclose(shoes.binding.shares.sum(1), 1, atol=2e-5)
    assert 0 <= shoes.uv.min() <= shoes.uv.max() <= 1
    assert shoes.hidden.max() < BASE_VERTICES
    # No vertex of the mesh is left without a face.
    assert len(np.unique(shoes.corners)) == 1722
