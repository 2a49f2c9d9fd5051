"""Shards out of written clips: who is cut out, how, and that pixels stay under joints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from written_world import FRAMES, labelled, pictures, write

from chronopose.core.skeletons import COCO17
from chronopose.errors import FormatError, UsageError
from chronopose.io.shards import Shard, decode_crop
from chronopose.synth.labels import LABEL_JOINTS
from chronopose.synth.shards import CropRule, clip_rows, write_shards

NOSE = LABEL_JOINTS.index("nose")
EVERYBODY = CropRule(least_share=0, least_height_px=1, least_visible=0, every=1, quality=95)


def centre_of_light(image: np.ndarray) -> np.ndarray:
    light = np.clip(image.astype(float).sum(-1) - 12, 0, None)
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    return np.array([(light * x).sum(), (light * y).sum()]) / light.sum()


@pytest.mark.parametrize("side_px", [384, 17])
def test_the_lit_pixel_stays_under_its_joint_at_any_scale(tmp_path: Path, side_px: int):
    write(tmp_path)
    rule = replace(EVERYBODY, frames=3, side_px=side_px)
    rows = [r for r in clip_rows(tmp_path, "val", "walk", rule) if r.name.endswith("person 8")]
    assert len(rows) == FRAMES
    for row in rows:
        for jpeg, xy in zip(row.jpeg, row.xy, strict=True):
            # The written pixel is within half a pixel of the nose; crops are not enlarged.
            assert np.abs(centre_of_light(decode_crop(jpeg)) - xy[NOSE]).max() < 0.8


def test_crops_are_as_large_as_the_person_needs_and_not_larger(tmp_path: Path):
    write(tmp_path)
    [row, *_] = clip_rows(tmp_path, "val", "walk", EVERYBODY)
    # Person 5: boxes of 0.4 m, 4 m away are 10 px; 1.8 times that is 18 px.
    assert row.name == "val/walk frame 0 person 5"
    assert decode_crop(row.jpeg[0]).shape == (18, 18, 3)
    np.testing.assert_allclose(row.box, [3.5, 3.5, 13.5, 13.5], atol=1e-4)
    [small, *_] = clip_rows(tmp_path, "val", "walk", replace(EVERYBODY, side_px=9))
    assert decode_crop(small.jpeg[0]).shape == (9, 9, 3)
    np.testing.assert_allclose(small.box, [1.5, 1.5, 6.5, 6.5], atol=1e-4)


def test_frames_beyond_the_ends_repeat(tmp_path: Path):
    write(tmp_path)
    rows = list(clip_rows(tmp_path, "val", "walk", replace(EVERYBODY, frames=3)))
    first, last = rows[1], rows[-1]
    assert first.name.endswith("person 8") and last.name.endswith("person 8")
    assert first.key == 1 and first.jpeg[0] == first.jpeg[1] != first.jpeg[2]
    np.testing.assert_array_equal(first.xy[0], first.xy[1])
    assert last.jpeg[1] == last.jpeg[2] != last.jpeg[0]


def test_who_is_hidden_small_or_not_the_turn_is_left_out(tmp_path: Path):
    write(tmp_path)

    def names(**rule) -> list[str]:
        found = clip_rows(tmp_path, "val", "walk", replace(EVERYBODY, **rule))
        return [r.name.removeprefix("val/walk frame ") for r in found]

    assert len(names()) == 2 * FRAMES
    assert names(every=3) == ["0 person 5", "0 person 8", "3 person 5", "3 person 8"]
    # Person 5 is hidden in frame 3 and half hidden in frame 2: 5 columns of 10.
    assert [n for n in names(least_share=0.6) if n.endswith("5")] == ["0 person 5", "1 person 5"]
    assert [n for n in names(least_height_px=11) if n.endswith("5")] == []
    assert [n for n in names(least_visible=17) if n.endswith("5")] == ["0 person 5", "1 person 5"]


def test_shards_hold_every_row_once_and_replace_those_of_before(tmp_path: Path):
    for name in ("b", "a"):
        write(tmp_path / "set", name)
    out = tmp_path / "out"
    assert write_shards(tmp_path / "set", "val", out, EVERYBODY, rows_a_shard=5) == 16
    files = sorted(out.iterdir())
    assert [f.name for f in files] == [f"val-0000{n}.arrow" for n in range(4)]
    shards = [Shard(f) for f in files]
    assert [len(s) for s in shards] == [5, 5, 5, 1]
    names = [s[i].name for s in shards for i in range(len(s))]
    assert len(set(names)) == 16 and names[0].startswith("val/a") and names[-1].startswith("val/b")
    assert shards[0].joints == LABEL_JOINTS and shards[0].facts["clips"] == 2
    before = [f.read_bytes() for f in files]
    assert write_shards(tmp_path / "set", "val", out, EVERYBODY, rows_a_shard=5) == 16
    assert [f.read_bytes() for f in sorted(out.iterdir())] == before
    assert write_shards(tmp_path / "set", "val", out, EVERYBODY) == 16
    assert [f.name for f in out.iterdir()] == ["val-00000.arrow"]


def test_clips_written_as_video_are_cut_the_same(tmp_path: Path):
    frames = [np.full((80, 100, 3), 40 * n + 40, np.uint8) for n in range(FRAMES)]
    write(tmp_path, pictures="mp4", frames=frames)
    for row in clip_rows(tmp_path, "val", "walk", EVERYBODY):
        number = int(row.name.split()[2])
        assert np.abs(decode_crop(row.jpeg[0]).astype(int) - (40 * number + 40)).max() <= 6


def test_joints_are_those_of_the_labels(tmp_path: Path):
    write(tmp_path)
    row = next(r for r in clip_rows(tmp_path, "val", "walk", EVERYBODY) if "person 8" in r.name)
    truth = labelled()[0]
    width = decode_crop(row.jpeg[0]).shape[1]
    # Crop pixels are picture pixels moved: 1.8 times 20 px is 36 px.
    assert width == 36
    moved = row.xy[0, :17] - truth.xy[0, :17]
    np.testing.assert_allclose(moved - moved[:1], 0, atol=1e-3)
    np.testing.assert_array_equal(row.visibility[0], truth.visibility[0])
    assert LABEL_JOINTS[:17] == COCO17.joints


def test_nothing_to_cut_or_a_rule_that_makes_no_sense_is_refused(tmp_path: Path):
    with pytest.raises(FormatError, match="no whole clip of train"):
        write_shards(tmp_path, "train", tmp_path / "out", EVERYBODY)
    for wrong in ({"frames": 2}, {"side_px": 4}, {"grow": 0.5}, {"every": 0}, {"quality": 99}):
        with pytest.raises(UsageError):
            CropRule(**wrong)
    write(tmp_path, frames=pictures(labelled()))
    (tmp_path / "images/val/walk/000002.png").write_bytes(b"broken")
    with pytest.raises(FormatError, match=r"000002\.png"):
        list(clip_rows(tmp_path, "val", "walk", EVERYBODY))
