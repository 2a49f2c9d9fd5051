"""The nouns: skeletons, boxes, crop windows, poses, tracks and video facts. Numpy only."""

from chronopose.core.boxes import Boxes
from chronopose.core.crop import CropWindow
from chronopose.core.labels import NO_ID, LabelledFrame, LabelledSequence, Visibility
from chronopose.core.poses import Poses, Space
from chronopose.core.skeleton import JointMap, Skeleton
from chronopose.core.skeletons import SKELETONS, find_skeleton, get_skeleton, joint_name
from chronopose.core.tracks import FramePoses, HistoryStep, PersonTrack, VideoPoses
from chronopose.core.video import Clip, VideoInfo

__all__ = [
    "NO_ID",
    "SKELETONS",
    "Boxes",
    "Clip",
    "CropWindow",
    "FramePoses",
    "HistoryStep",
    "JointMap",
    "LabelledFrame",
    "LabelledSequence",
    "PersonTrack",
    "Poses",
    "Skeleton",
    "Space",
    "VideoInfo",
    "VideoPoses",
    "Visibility",
    "find_skeleton",
    "get_skeleton",
    "joint_name",
]
