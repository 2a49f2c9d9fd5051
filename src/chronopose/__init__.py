"""chronopose: human pose in video. A video goes in, tracked poses come out.

Names are loaded when they are first used, so ``import chronopose`` costs nothing and torch starts
only with the first call that needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chronopose._api import Predictor as Predictor
    from chronopose._api import PredictSettings as PredictSettings
    from chronopose._api import lift as lift
    from chronopose._api import load as load
    from chronopose._api import predict as predict
    from chronopose.core.boxes import Boxes as Boxes
    from chronopose.core.crop import CropWindow as CropWindow
    from chronopose.core.poses import Poses as Poses
    from chronopose.core.skeleton import Skeleton as Skeleton
    from chronopose.core.skeletons import get_skeleton as get_skeleton
    from chronopose.core.tracks import FramePoses as FramePoses
    from chronopose.core.tracks import PersonTrack as PersonTrack
    from chronopose.core.tracks import VideoPoses as VideoPoses
    from chronopose.core.video import Clip as Clip
    from chronopose.core.video import VideoInfo as VideoInfo
    from chronopose.errors import ChronoposeError as ChronoposeError
    from chronopose.io.poses import read_poses as read_poses
    from chronopose.io.poses import write_poses as write_poses
    from chronopose.io.video import VideoWriter as VideoWriter
    from chronopose.io.video import open_video as open_video
    from chronopose.models._find import list_models as list_models
    from chronopose.viz.draw import draw_poses as draw_poses

__version__ = "0.1.0"

_HOME = {
    "Boxes": "core.boxes",
    "ChronoposeError": "errors",
    "Clip": "core.video",
    "CropWindow": "core.crop",
    "FramePoses": "core.tracks",
    "PersonTrack": "core.tracks",
    "Poses": "core.poses",
    "PredictSettings": "_api",
    "Predictor": "_api",
    "Skeleton": "core.skeleton",
    "VideoInfo": "core.video",
    "VideoPoses": "core.tracks",
    "VideoWriter": "io.video",
    "draw_poses": "viz.draw",
    "get_skeleton": "core.skeletons",
    "lift": "_api",
    "list_models": "models._find",
    "load": "_api",
    "open_video": "io.video",
    "predict": "_api",
    "read_poses": "io.poses",
    "write_poses": "io.poses",
}
"""Public name -> the module of this package that defines it."""

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    """Load a public name from its module the first time it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names and what the module already holds."""
    return sorted({*globals(), *_HOME})
