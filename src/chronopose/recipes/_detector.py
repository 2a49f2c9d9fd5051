"""DetectorRecipe: how a person detector is trained, and carrying it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from chronopose.engine.fit_detector import (
    DetectorFit,
    DetectorSettings,
    Draw,
    fit_detector,
)
from chronopose.engine.plain_run import Resume
from chronopose.errors import FormatError, UsageError
from chronopose.recipes._recipe import Places, card_facts

if TYPE_CHECKING:
    from chronopose.models.person_detector import PersonDetector

TWIN = "simple_baseline:lite"
"""Pose network whose first stages the detector starts from."""
VIEWS, VIEW_SIZE = 50, (480, 320)
"""Views taken from an environment map, and their width and height, pixels."""
PHOTOGRAPHS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, kw_only=True)
class DetectorRecipe:
    """One training of the person detector.

    Args:
        name: As the registry knows it.
        settings: How to train.
        needs_init: Whether it goes on from the weights of an earlier run.
        emptied: Also stand people into pictures whose own person was painted over and in which
            the weights it starts from see nobody.
        synthetic: Share of the pictures that come from a generated set.
        overrides: Fields of the network's Config that differ from its preset.
        trained_on: What the weights card says it was trained on.
        terms: Terms under which the weights may be used.
    """

    name: str
    settings: DetectorSettings
    needs_init: bool = False
    emptied: bool = False
    synthetic: float = 0.0
    overrides: Mapping[str, Any] = field(default_factory=dict)
    trained_on: str = ""
    terms: str = ""

    def carry_out(
        self, run_dir: Path | str, *, places: Places, init: Path | str | None = None,
        resume: Resume = "auto", device: str = "auto", quiet: bool = False,
    ) -> DetectorFit:  # fmt: skip
        """Train the detector, and save its weights with a card.

        Args:
            run_dir: Folder of the run; ends with ``weights.safetensors`` and its card in it.
            places: Folders of LSPET and of the pictures without people.
            init: Weights of a detector to start from; None: the pose network's first stages.
            resume: As for :func:`~chronopose.engine.fit_detector.fit_detector`.
            device: ``auto``, ``cpu`` or ``cuda``.
            quiet: No progress bar.

        Raises:
            UsageError: a folder was not given.
            FormatError: a folder does not hold what it should.
            WeightsError: the weights to start from do not fit.
        """
        import torch

        from chronopose import zoo
        from chronopose.models._find import override
        from chronopose.models.person_detector import PRESETS, PersonDetector
        from chronopose.pipeline.builtin import load_person_detector

        if places.data is None or places.backdrops is None:
            raise UsageError(
                "This recipe needs the LSPET data set (--data DIR with joints.mat and images/) and "
                "pictures without people (--backdrops DIR with .hdr environment maps or "
                "photographs)."
            )
        if self.needs_init and init is None:
            raise UsageError(
                f"{self.name} goes on from an earlier run: name its weights by --init."
            )
        if self.synthetic and places.synthetic is None:
            raise UsageError(
                f"{self.name} needs a set of synthetic people: make one with 'chronopose synth' "
                f"and give its folder with --synthetic."
            )
        torch.manual_seed(self.settings.seed)
        model: PersonDetector = PersonDetector(override(PRESETS["lite"], self.overrides))
        if init is None:
            model.start_from_pose(zoo.load(TWIN).state_dict())
        else:
            model.load_state_dict(load_person_detector(Path(init)).state_dict())
        result = fit_detector(
            model, _drawing(self, places, model), self.settings, run_dir, resume,
            device=device, name=self.name, quiet=quiet,
        )  # fmt: skip
        zoo.save_detector(
            result.model,
            result.run_dir / "weights.safetensors",
            {
                **card_facts(
                    "person_detector:lite",
                    self,
                    f"chronopose train {self.name} --data DIR --backdrops DIR"
                    + (" --synthetic DIR" if self.synthetic else "")
                    + (" --init FILE" if self.needs_init else ""),
                ),
                "notes": f"{result.steps} steps; averaged weights of the last step.",
            },
        )
        return result


def _drawing(recipe: DetectorRecipe, places: Places, model: PersonDetector) -> Draw:
    """What draws the recipe's pictures."""
    from chronopose.data.emptied import Emptied
    from chronopose.data.mosaic import CrowdPicture, Mosaic
    from chronopose.data.portraits import Portraits
    from chronopose.recipes._synthetic import SyntheticPictures

    assert places.data is not None and places.backdrops is not None
    backdrops = read_backdrops(places.backdrops)
    if recipe.emptied:
        pictures = Emptied(places.data, places.cache).pictures()
        backdrops = 2 * backdrops + without_people(pictures, model)
    portraits = Portraits(places.data, places.cache)
    mosaic = Mosaic(len(portraits), portraits.__getitem__, backdrops)
    if not recipe.synthetic or places.synthetic is None:
        return mosaic.draw
    synthetic = SyntheticPictures(places.synthetic)

    def draw(size: tuple[int, int], rng: np.random.Generator) -> CrowdPicture:
        return (synthetic if rng.random() < recipe.synthetic else mosaic).draw(size, rng)

    return draw


def without_people(
    pictures: list[NDArray[np.uint8]], model: PersonDetector, least: float = 0.42
) -> list[NDArray[np.uint8]]:
    """The pictures in which a detector sees nobody.

    Args:
        pictures: ``(h, w, 3)`` uint8 RGB.
        model: The detector.
        least: Score from which somebody is seen.
    """
    import torch

    from chronopose.pipeline.builtin import find_people

    training = model.training
    model.eval()
    with torch.inference_mode():
        kept = [
            p
            for p in pictures
            if not len(
                find_people(model, torch.from_numpy(p).permute(2, 0, 1)[None], 192, least)[0][1]
            )
        ]
    model.train(training)
    return kept


def read_backdrops(folder: Path, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Pictures without people: views of environment maps, and photographs as they are.

    Args:
        folder: With ``.hdr`` maps, ``.jpg`` or ``.png`` files.
        seed: Decides the directions of the views.

    Returns:
        ``(h, w, 3)`` uint8 pictures.

    Raises:
        FormatError: the folder has no such file, or one of them is damaged.
    """
    files = sorted(p for p in Path(folder).glob("*") if p.suffix.lower() in (".hdr", *PHOTOGRAPHS))
    if not files:
        raise FormatError(
            f"{folder} holds no pictures without people. Put .hdr environment maps, .jpg or .png "
            f"files there."
        )
    rng = np.random.default_rng(seed)
    pictures: list[NDArray[np.uint8]] = []
    for file in files:
        if file.suffix.lower() == ".hdr":
            pictures += _views(file, rng)
            continue
        try:
            pictures.append(np.asarray(Image.open(file).convert("RGB")))
        except OSError as error:
            raise FormatError(f"Cannot read the picture {file}: {error}. Remove it.") from error
    return pictures


def _views(file: Path, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    from chronopose.synth.camera import look_at
    from chronopose.synth.hdri import environment_from_hdri, to_srgb
    from chronopose.synth.light import look_up

    radiance = environment_from_hdri(file).radiance
    views = []
    for _ in range(VIEWS):
        angle, yaw = np.deg2rad(rng.uniform(35, 90)), rng.uniform(0, 2 * np.pi)
        pitch = rng.normal(-0.1, 0.25)
        ahead = np.array([np.sin(yaw) * np.cos(pitch), np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
        camera = look_at(np.zeros(3), ahead, VIEW_SIZE, VIEW_SIZE[0] / 2 / np.tan(angle / 2))
        light = look_up(radiance, camera.rays())
        typical = np.exp(np.log(light.mean(-1) + 1e-4).mean())
        light = light * rng.uniform(0.1, 0.35) / typical
        views.append(to_srgb(light * (1 + light / 4) / (1 + light)))
    return views
