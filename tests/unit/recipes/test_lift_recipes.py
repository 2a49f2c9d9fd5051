"""Recipes of lifters: what they need, and that carrying one out ends with weights and a card."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from chronopose import zoo
from chronopose.core.skeletons import H36M17
from chronopose.data.cmu_lift import FOUR_VIEWS, Performance, film
from chronopose.data.lift import LiftClip
from chronopose.data.lift_h36m import read_h36m_clips
from chronopose.engine.fit_lift import LiftSettings
from chronopose.errors import FormatError, UsageError
from chronopose.io.h36m import CAMERAS
from chronopose.io.motion import Motion3D
from chronopose.models._find import build_lifter
from chronopose.recipes import Places, find, list_recipes
from chronopose.recipes._lift import LiftRecipe
from chronopose.recipes._run import run

LIFTERS = [n for n, make in list_recipes().items() if make.__module__ == "chronopose.recipes.lift"]
H36M = [n for n in LIFTERS if "h36m" in n]


def clips(frames: int = 12) -> tuple[LiftClip, ...]:
    rng = np.random.default_rng(0)
    xyz = rng.normal((0, 0, 1), 0.3, (frames, 17, 3)).astype(np.float32)
    motion = Motion3D("S", "Wave", xyz, H36M17, "m", "world", 50.0)
    return film(Performance(motion, xyz[:, 10]), FOUR_VIEWS)


@dataclass(frozen=True, kw_only=True)
class Handful:
    """Twelve frames."""

    told: str = "twelve frames"

    def read(self, places: Places) -> tuple[tuple[LiftClip, ...], tuple[LiftClip, ...]]:
        """The same clips twice."""
        return clips(), clips()


def test_there_are_small_lifters_and_those_of_human36m() -> None:
    assert {"dgnet_lite", "temporal_cnn_lite", "temporal_cnn_h36m_t243"} <= set(LIFTERS)
    assert len(H36M) == 5


@pytest.mark.parametrize("name", LIFTERS)
def test_a_recipe_without_a_folder_says_what_the_folder_holds(name: str, tmp_path: Path) -> None:
    wanted = "cameras.pkl" if name in H36M else "cmu_asfamc"
    with pytest.raises(UsageError, match=wanted):
        run(find(name), tmp_path / "run", places=Places(), quiet=True)


@pytest.mark.parametrize("name", H36M)
def test_human36m_recipes_train_as_published(name: str) -> None:
    recipe: Any = find(name)
    chosen = recipe.settings
    assert (chosen.lr, chosen.lr_decay, chosen.batch_size, chosen.stride) == (1e-3, 0.95, 1024, 1)
    assert chosen.bn_momentum == (0.1, 0.001)
    assert (chosen.augmentation.flip, chosen.flip_test) == (True, True)
    assert (chosen.augmentation.bones, chosen.augmentation.noise_px[1]) == (0, 0)


def test_carrying_out_ends_with_weights_and_a_card_that_load(tmp_path: Path) -> None:
    recipe = LiftRecipe(
        name="dgnet_lite", model="dgnet:lite", data=Handful(),  # type: ignore[arg-type]
        settings=LiftSettings(epochs=1, batch_size=16, limit_batches=2),
        overrides={"channels": 8, "frames": 3}, trained_on="twelve frames", terms="none",
    )  # fmt: skip
    fitted = run(recipe, tmp_path, places=Places(), quiet=True, device="cpu")
    assert fitted.steps == 2
    card = json.loads((tmp_path / "weights.json").read_text())
    assert card["command"] == "chronopose train dgnet_lite --data DIR"
    assert [s["metric"] for s in card["scores"]] == [
        "MPJPE, mm, flip test", "P-MPJPE, mm, flip test", "N-MPJPE, mm, flip test",
        "MPJVE, mm a frame, flip test",
    ]  # fmt: skip
    assert_allclose(card["scores"][0]["value"], fitted.validation["mpjpe"], atol=0.005)
    model = zoo.load_lifter("dgnet:lite", weights=tmp_path / "weights.safetensors")
    assert model.needs.frames == 3
    again = replace(recipe, settings=replace(recipe.settings, seed=1))
    start = run(
        again, tmp_path / "b", places=Places(), init=tmp_path / "weights.safetensors", quiet=True,
        device="cpu",
    )  # fmt: skip
    assert start.steps == 2


def write_h36m(folder: Path, *, far: float = 1.0, camera: str = "") -> np.ndarray:
    """Two subjects, one performance each of five frames, in the published layouts."""
    rng = np.random.default_rng(1)
    world = rng.normal((0, 0, 1), 0.3, (5, 32, 3)).astype(np.float32)
    threes = {s: {"Walking 1": world} for s in ("S1", "S9")}
    twos = {s: {"Walking 1": [np.full((6, 17, 2), 500, np.float32)] * 4} for s in ("S1", "S9")}
    sides = [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]
    np.savez(folder / "data_3d_h36m.npz", positions_3d=np.array(threes, object))
    np.savez(
        folder / "data_2d_h36m_gt.npz", positions_2d=np.array(twos, object),
        metadata=np.array({"num_joints": 17, "keypoints_symmetry": sides}, object),
    )  # fmt: skip
    # Looks along the world's +y from 4 m away: x right, y down, z forward.
    turn = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float).T
    lens = {
        "R": turn, "T": np.array([[0, -4.0 * far, 1]]).T, "f": np.array([1145.0, 1145]),
        "c": np.array([512.0, 515]), "k": np.zeros(3), "p": np.zeros(2), "w": 1000, "h": 1002,
    }  # fmt: skip
    names = [n for n in CAMERAS if n != camera]
    content = {(s, n): lens for s in ("S1", "S9") for n in names}
    (folder / "cameras.pkl").write_bytes(pickle.dumps(content))
    return world


def test_human36m_is_turned_into_the_axes_of_each_camera(tmp_path: Path) -> None:
    world = write_h36m(tmp_path)
    found = read_h36m_clips(tmp_path, ("S9",))
    assert [(c.subject, c.action, c.camera) for c in found] == [
        ("S9", "Walking 1", n) for n in CAMERAS
    ]
    # x stays, y is down from the height of 1 m, z is 4 m more than the world's y.
    x, y, z = np.moveaxis(world[:, 0], -1, 0)
    assert_allclose(found[0].xyz[:, 0], np.stack([x, 1 - z, y + 4], -1), atol=1e-5)
    assert found[0].lens is None


def test_a_missing_camera_is_named(tmp_path: Path) -> None:
    write_h36m(tmp_path, camera="55011271")
    with pytest.raises(FormatError, match="no camera S9 55011271"):
        read_h36m_clips(tmp_path, ("S9",))


def test_positions_in_another_unit_are_refused(tmp_path: Path) -> None:
    write_h36m(tmp_path, far=1000.0)
    with pytest.raises(FormatError, match="1 to 15 m are possible"):
        read_h36m_clips(tmp_path, ("S9",))


@pytest.mark.parametrize("name", LIFTERS)
def test_the_network_of_a_recipe_reads_what_the_recipe_gives(name: str) -> None:
    import torch

    recipe: Any = find(name)
    with torch.device("meta"):
        model = build_lifter(recipe.model, None, **recipe.overrides)
    assert model.needs.channels == 2
    assert model.codec.skeleton.joints == H36M17.joints
