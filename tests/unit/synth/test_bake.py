"""Baking: what is taken from a folder of assets, what is refused, how shapes are kept."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chronopose.errors import MissingExtra, UsageError
from chronopose.synth._anny_people import People, _our_bones
from chronopose.synth.bake import _assemble, _collect, _picture, _pieces, _uncovered, bake
from chronopose.synth.body import BONES
from chronopose.synth.wardrobe import PAINTS

HEAD = "# {licence}\nbasemesh hm08\nname {name}\n{tag}obj_file {name}.obj\nmaterial {name}.mhmat\n"
SCALES = "x_scale 0 1 1\ny_scale 0 1 1\nz_scale 0 1 1\nverts 0\n"


def put(
    folder: Path, name: str, tag: str = "", licence: str = "CC0", refs: str = "0\n1\n2\n"
) -> None:
    """A triangle bound to three body vertices, with all its files."""
    folder = folder / name
    folder.mkdir(parents=True)
    tagged = f"tag {tag}\n" if tag else ""
    head = HEAD.format(licence=licence, name=name, tag=tagged)
    (folder / f"{name}.mhclo").write_text(head + SCALES + refs)
    (folder / f"{name}.obj").write_text(
        f"# {licence}\nv 0 0 0\nv 0 0 0\nv 0 0 0\nvt 0 0\nf 1/1 2/1 3/1\n"
    )
    (folder / f"{name}.mhmat").write_text(f"# {licence}\ndiffuseTexture {name}.png\n")
    Image.new("RGB", (8, 8), (10, 20, 30)).save(folder / f"{name}.png")


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    for name in ("coat", "gown"):
        put(tmp_path / "clothes", name)
    for name in ("shoes01", "shoes02"):
        put(tmp_path / "clothes", name, tag="Shoes")
    put(tmp_path / "hair", "bob", tag="Female")
    put(tmp_path / "eyebrows", "brow1")
    put(tmp_path / "teeth", "teeth1")
    return tmp_path


def test_assets_are_sorted_by_folder_and_tag(assets: Path) -> None:
    found = [(a.garment.name, a.kind, a.note) for a in _collect(assets)]
    assert found == [
        ("coat", "outfit", ""), ("gown", "outfit", ""), ("shoes01", "shoes", ""),
        ("shoes02", "shoes", ""), ("brow1", "brows", ""), ("bob", "hair", ""),
    ]  # fmt: skip


def test_outfits_and_shoes_are_split_and_brows_are_shared(assets: Path) -> None:
    splits = {p.name: (p.sexes, p.splits) for p in _pieces(_collect(assets), 8)}
    both = ("male", "female")
    assert splits == {
        "coat": (both, ("train",)), "gown": (both, ("test",)),
        "shoes01": (both, ("train",)), "shoes02": (both, ("test",)),
        "bob": (("female",), ("train", "test")), "brow1": (both, ("train", "test")),
    }  # fmt: skip


def test_without_clothes_for_everybody_nothing_is_baked(assets: Path, tmp_path: Path) -> None:
    out = tmp_path / "bank.npz"
    gown = assets / "clothes" / "gown" / "gown.mhclo"
    gown.write_text(gown.read_text().replace("obj_file", "tag Female\nobj_file"))
    with pytest.raises(UsageError, match="1 outfit for male people, and 2 are needed"):
        bake(assets, out)
    with pytest.raises(UsageError, match="There is no folder"):
        bake(assets / "nowhere", out)
    assert not out.exists()


def test_files_that_do_not_say_cc0_are_left_out(assets: Path, tmp_path: Path) -> None:
    put(assets / "clothes", "parka", licence="All rights reserved")
    notes = {a.garment.name: a.note for a in _collect(assets)}
    assert "CC0" in notes["parka"]
    assert notes["coat"] == ""


def test_baking_without_anny_says_what_to_install(
    assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "anny", None)
    with pytest.raises(MissingExtra, match="pip install anny") as caught:
        bake(assets, tmp_path / "bank.npz")
    assert caught.value.exit_code == 8
    assert not (tmp_path / "bank.npz").exists()


def test_a_garment_is_an_outfit_only_if_it_covers_trunk_and_thighs(assets: Path) -> None:
    garment = _collect(assets)[0].garment
    weights = np.zeros((40, len(BONES)))
    weights[:, BONES.index("neck")] = 1
    assert _uncovered(garment, weights) == ["pelvis", "chest", "left_thigh", "right_thigh"]
    put(assets / "clothes", "robe", refs="".join(f"{v % 4}\n" for v in range(120)))
    mesh = assets / "clothes" / "robe" / "robe.obj"
    mesh.write_text(mesh.read_text() + "v 0 0 0\n" * 117)
    robe = next(a.garment for a in _collect(assets) if a.garment.name == "robe")
    weights[:4] = 0
    for vertex, bone in enumerate(("pelvis", "chest", "left_thigh", "right_thigh")):
        weights[vertex, BONES.index(bone)] = 1
    assert _uncovered(robe, weights) == []


def test_bones_of_fingers_toes_and_face_go_with_the_bone_that_carries_them() -> None:
    labels = ["root", "pelvis.L", "upperleg01.L", "upperleg02.L", "lowerleg01.L", "foot.L",
              "toe1-1.L", "toe1-2.L", "spine05", "spine04", "spine03", "spine02", "breast.R",
              "clavicle.R", "shoulder01.R", "upperarm01.R", "lowerarm01.R", "lowerarm02.R",
              "wrist.R", "finger2-1.R", "neck01", "neck02", "head", "jaw"]  # fmt: skip
    parents = [-1, 0, 1, 2, 3, 4, 5, 6, 0, 8, 9, 10, 11, 11, 13, 14, 15, 16, 17, 18, 11, 20, 21, 22]
    found = [BONES[b] for b in _our_bones(labels, parents)]
    assert found == [
        "pelvis", "pelvis", "left_thigh", "left_thigh", "left_shin", "left_foot", "left_toes",
        "left_toes", "pelvis", "spine", "spine", "chest", "chest", "right_clavicle",
        "right_clavicle", "right_upper_arm", "right_forearm", "right_forearm", "right_hand",
        "right_hand", "neck", "neck", "head", "head",
    ]  # fmt: skip


def test_every_person_is_the_mean_plus_their_share_of_the_basis(assets: Path) -> None:
    rng = np.random.default_rng(0)
    shapes, joints = rng.random((4, 12, 3)), rng.random((4, len(BONES), 3))
    skin = (0.5, 0.4, 0.3)
    weights = np.zeros((12, len(BONES)))
    weights[:, 3] = 1
    drawn = People(
        facts=tuple((s, t, skin) for s in ("male", "female") for t in ("train", "test")),
        shapes=shapes, joints=joints, marks=shapes[:, :1], names=("nose",), weights=weights,
        mark_weights=weights[:1], faces=np.array([[5, 6, 7], [9, 7, 6]]),
        paint=np.zeros((12, len(PAINTS))), sources=(),
    )  # fmt: skip
    bank = _assemble(drawn, _pieces(_collect(assets), 8), rank=10)
    # Needed are 0, 1, 2 of the clothes and 5, 6, 7, 9 of the faces; then one mark, then joints.
    assert bank.faces.tolist() == [[3, 4, 5], [6, 5, 4]]
    kept = [0, 1, 2, 5, 6, 7, 9]
    for number, person in enumerate(bank.people):
        found = bank.mean + np.tensordot(person.shape, bank.basis, 1)
        wanted = np.concatenate([shapes[number, kept], shapes[number, :1], joints[number]])
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_shrunk_texture_does_not_take_colour_from_where_it_is_clear(tmp_path: Path) -> None:
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[:, ::2] = (200, 100, 50, 255)
    picture[:, 1::2] = (0, 255, 0, 0)
    Image.fromarray(picture).save(tmp_path / "half.png")
    found = _picture(tmp_path / "half.png", "outfit", 4)
    assert found.shape == (4, 4, 4)
    assert np.abs(found.astype(int) - (200, 100, 50, 128)).max() <= 1


def test_hair_becomes_grey_of_one_brightness_so_that_it_can_be_tinted(tmp_path: Path) -> None:
    for name, colour in (("dark", (30, 20, 10, 255)), ("fair", (220, 200, 120, 255))):
        Image.new("RGBA", (8, 8), colour).save(tmp_path / f"{name}.png")
        found = _picture(tmp_path / f"{name}.png", "hair", 8)
        # 0.72 of 255 is 184.
        assert np.unique(found[..., :3]).tolist() == [184]
