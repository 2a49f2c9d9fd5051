"""FaceRecipe: how an expression network is trained, and carrying it out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from chronopose.data.drawn_faces import DrawnFaces
from chronopose.data.expressions._find import open_faces
from chronopose.data.face_batches import hold_size
from chronopose.data.faces import FaceSet, FacesJoined
from chronopose.engine.fit_faces import FaceFit, FaceSettings, fit_faces
from chronopose.engine.plain_run import Resume
from chronopose.errors import UsageError
from chronopose.recipes._recipe import Places, card_facts

WEIGHTS = "weights.safetensors"


class FaceSpec(Protocol):
    """Faces of a recipe, before anything is read."""

    def build(self, places: Places, classes: tuple[str, ...], size: tuple[int, int]) -> FaceSet:
        """Open the set.

        Args:
            places: Folders.
            classes: Of the network, in its order.
            size: Width and height of the network's pictures, pixels.
        """


@dataclass(frozen=True, kw_only=True)
class DrawnSpec:
    """Made-up people drawn by code.

    Args:
        people: How many.
        per_class: Pictures of each expression of each of them.
        seed: Decides who they are.
    """

    people: int
    per_class: int = 1
    seed: int = 0

    def build(self, places: Places, classes: tuple[str, ...], size: tuple[int, int]) -> FaceSet:
        """Draw at training size; nothing is read."""
        side = max(hold_size(size))
        return DrawnFaces(self.people, self.per_class, seed=self.seed, size=side, classes=classes)


@dataclass(frozen=True, kw_only=True)
class ExpressionSpec:
    """A set of the registry; see :mod:`chronopose.data.expressions`.

    Args:
        dataset: Its name.
        split: A part, ``train:3`` or ``test:3`` for a fold; empty for the reported part.
    """

    dataset: str
    split: str = ""

    def build(self, places: Places, classes: tuple[str, ...], size: tuple[int, int]) -> FaceSet:
        """Open the set, with its classes in the network's order.

        Raises:
            UsageError: no data folder was given, or there is no such set or split.
            FormatError: the folder does not hold it.
        """
        if places.data is None:
            raise UsageError(
                f"This recipe needs the pictures of {self.dataset!r}: give the folder with --data."
            )
        faces = open_faces(f"{self.dataset}:{places.data}", self.split)
        return faces if tuple(faces.classes) == classes else FacesJoined([faces], classes)


@dataclass(frozen=True, kw_only=True)
class JoinedSpec:
    """Several sets one after the other."""

    parts: tuple[FaceSpec, ...]

    def build(self, places: Places, classes: tuple[str, ...], size: tuple[int, int]) -> FaceSet:
        """Open all parts."""
        return FacesJoined([p.build(places, classes, size) for p in self.parts], classes)


@dataclass(frozen=True, kw_only=True)
class FaceRecipe:
    """One training of an expression network.

    Args:
        name: As the registry knows it.
        model: Model name, ``MODEL:PRESET``.
        train: Training set.
        val: Judged at the end; None for none.
        settings: How to train.
        overrides: Fields of the model's Config that differ from the preset.
        pretrained: Start the backbone from ImageNet weights, fetched by timm.
        trained_on: What the weights card says they were trained on.
        terms: Terms under which the weights may be used.
        notes: What else a user of the weights should know.
        flags: What the command needs beside the name.
    """

    name: str
    model: str
    train: FaceSpec
    val: FaceSpec | None
    settings: FaceSettings
    overrides: Mapping[str, Any] = field(default_factory=dict)
    pretrained: bool = False
    trained_on: str = ""
    terms: str = ""
    notes: str = ""
    flags: str = ""

    def carry_out(
        self, run_dir: Path | str, *, places: Places, init: Path | str | None = None,
        resume: Resume = "auto", device: str = "auto", quiet: bool = False,
    ) -> FaceFit:  # fmt: skip
        """Train the network, and save its weights with a card.

        Args:
            run_dir: Folder of the run; ends with ``weights.safetensors`` and its card in it.
            places: Folder of the faces, for recipes that need one.
            init: Weights to start from, a file or the folder of a run, of the same Config; None:
                ImageNet weights where the recipe says so, else random ones.
            resume: As for :func:`~chronopose.engine.fit_faces.fit_faces`.
            device: ``auto``, ``cpu`` or ``cuda``.
            quiet: No progress bar.

        Raises:
            UsageError: a folder was not given, or classes differ.
            FormatError: a folder does not hold what it should.
            WeightsError: the weights to start from do not fit.
        """
        import torch

        from chronopose import zoo
        from chronopose.models._find import build_face_model

        torch.manual_seed(self.settings.seed)
        fetch = {"pretrained": True} if self.pretrained and init is None else {}
        model = build_face_model(self.model, None, **self.overrides, **fetch)
        if init is not None:
            file = Path(init) / WEIGHTS if Path(init).is_dir() else init
            model.load_state_dict(zoo.load_face_model(self.model, weights=file).state_dict())
        classes, size = model.codec.classes, model.codec.crop_size
        train = self.train.build(places, classes, size)
        val = None if self.val is None else self.val.build(places, classes, size)
        result = fit_faces(
            model, train, self.settings, run_dir, resume, val=val, device=device, name=self.name,
            quiet=quiet,
        )  # fmt: skip
        command = f"chronopose train {self.name}{self.flags}"
        zoo.save(
            result.model,
            result.run_dir / WEIGHTS,
            {
                **card_facts(self.model, self, command),
                "scores": [] if val is None else [
                    {
                        "data": f"{val.name}, {len(val)} pictures",
                        "metric": f"{name.replace('_', ' ')}, percent",
                        "value": round(value, 2),
                        "command": command,
                    }
                    for name, value in result.validation.items()
                    if math.isfinite(value)
                ],
                "notes": f"{result.steps} steps; averaged weights of the last step. {self.notes}",
            },
        )  # fmt: skip
        return result
