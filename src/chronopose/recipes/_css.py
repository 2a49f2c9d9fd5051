"""CssRecipe: how a representation is learnt without labels, and carrying it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from chronopose.core.skeletons import get_skeleton
from chronopose.data.footage import videos_beside_tracks
from chronopose.data.moments import Footage
from chronopose.engine.fit_css import CssFit, CssSettings, fit_css
from chronopose.engine.plain_run import Resume
from chronopose.errors import UsageError
from chronopose.recipes._recipe import Places, card_facts

if TYPE_CHECKING:
    from chronopose.models.css import CSS

WEIGHTS = "weights.safetensors"
ROOMS = 4
FLAG = {
    "clips": " --synthetic DIR", "videos": " --data DIR", "motion": " --data DIR",
    "procedural": "", "rooms": "",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CssRecipe:
    """One training without labels.

    Args:
        name: As the registry knows it.
        model: Model name, ``css:PRESET``.
        settings: How to train.
        source: ``clips``: people of the set at ``--synthetic``; ``videos``: people of the videos at
            ``--data``, each with its tracks beside it; ``motion``: the motion files at ``--data``
            before virtual cameras; ``procedural``: the same with motion made by code; ``rooms``:
            pictures of people in :data:`ROOMS` rooms, all made by code.
        overrides: Fields of the model's Config that differ from the preset.
        people: Bodies that perform the motion, or are filmed in rooms.
        videos: Videos of each body.
        trained_on: What the weights card says they were trained on.
        terms: Terms under which the weights may be used.
    """

    name: str
    model: str
    settings: CssSettings
    source: Literal["clips", "videos", "motion", "procedural", "rooms"]
    overrides: Mapping[str, Any] = field(default_factory=dict)
    people: int = 60
    videos: int = 6
    trained_on: str = ""
    terms: str = ""

    def carry_out(
        self, run_dir: Path | str, *, places: Places, init: Path | str | None = None,
        resume: Resume = "auto", device: str = "auto", quiet: bool = False,
    ) -> CssFit:  # fmt: skip
        """Train the representation, and save its weights with a card.

        Args:
            run_dir: Folder of the run; ends with ``weights.safetensors`` and its card in it.
            places: Folders of clips, videos or motion.
            init: Weights to start from; None: random ones.
            resume: As for :func:`~chronopose.engine.fit_css.fit_css`.
            device: ``auto``, ``cpu`` or ``cuda``.
            quiet: No progress bar.

        Raises:
            UsageError: a folder was not given, or nothing in it lasts long enough.
            FormatError: a folder does not hold what it should.
            WeightsError: the weights to start from do not fit.
        """
        import torch

        from chronopose import zoo
        from chronopose.models._find import build_representation

        torch.manual_seed(self.settings.seed)
        model: CSS = build_representation(self.model, None, **self.overrides)  # type: ignore[assignment]
        if init is not None:
            model.load_state_dict(zoo.load_representation(self.model, weights=init).state_dict())
        result = fit_css(
            model, footage_of(self, model, places), self.settings, run_dir, resume,
            device=device, name=self.name, quiet=quiet,
        )  # fmt: skip
        zoo.save(
            result.model,
            result.run_dir / WEIGHTS,
            {
                **card_facts(self.model, self, f"chronopose train {self.name}{FLAG[self.source]}"),
                "notes": f"{result.steps} steps without labels; averaged weights of the last step.",
            },
        )
        return result


def footage_of(recipe: CssRecipe, model: CSS, places: Places) -> list[Footage]:
    """What a recipe learns from.

    Raises:
        UsageError: a folder was not given.
        FormatError: a folder does not hold what it should.
    """
    from chronopose.engine.known_people import (
        clip_people,
        pose_people,
        procedural_motions,
        recorded_motions,
    )

    if recipe.source == "clips":
        if places.synthetic is None:
            raise UsageError(
                f"{recipe.name} needs clips of people: make some with 'chronopose synth' and give "
                f"the folder with --synthetic."
            )
        return clip_people(places.synthetic, "train", model.config.crop_size).footage
    if recipe.source == "rooms":
        from chronopose.engine.room_people import room_people, rooms_made_by_code

        return room_people(
            rooms_made_by_code(ROOMS), people=recipe.people, videos=recipe.videos,
            size=model.config.crop_size, seed=recipe.settings.seed,
        ).footage  # fmt: skip
    if recipe.source == "procedural":
        motions = procedural_motions(120)
    elif places.data is None:
        kind = "videos with their tracks" if recipe.source == "videos" else "motion files"
        raise UsageError(f"{recipe.name} needs a folder of {kind}: give it with --data.")
    elif recipe.source == "videos":
        return videos_beside_tracks(
            places.data, model.config.crop_size, get_skeleton(model.config.skeleton)
        )
    else:
        motions = recorded_motions(places.data)
    return pose_people(
        motions, people=recipe.people, videos=recipe.videos, seed=recipe.settings.seed
    ).footage
