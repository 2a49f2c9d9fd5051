"""Models of several kinds at once, for those who only build, save, load or list them."""

from __future__ import annotations

from chronopose.models._base import PoseModel
from chronopose.models._face import FaceModel
from chronopose.models._lift import LiftModel
from chronopose.models._represent import RepresentationModel
from chronopose.models._scene import SceneModel

VideoModel = PoseModel | SceneModel
"""A model that finds people in the frames of a video."""
AnyModel = PoseModel | SceneModel | LiftModel | FaceModel | RepresentationModel
"""A model of any kind of :mod:`chronopose.models._find`."""
