"""A look at what the network is fed: an augmented batch with its joints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from chronopose.core.boxes import Boxes
from chronopose.core.poses import Poses
from chronopose.core.skeleton import Skeleton
from chronopose.core.tracks import FramePoses
from chronopose.io.atomic import replacing
from chronopose.tensors import ClipBatch
from chronopose.tensors.colours import unnormalise
from chronopose.viz.draw import contact_sheet, draw_poses


def draw_batch(batch: ClipBatch, skeleton: Skeleton, path: Path, most: int = 24) -> None:
    """Write a picture of the first frames of a batch, a clip a row, with the joints drawn in.

    Args:
        batch: What the network is fed.
        skeleton: Names of its joints.
        path: PNG file.
        most: Frames drawn at most.

    Raises:
        FormatError: the file cannot be written.
    """
    count = batch.frames.shape[1]
    clips = max(1, min(len(batch.frames), most // count))
    pixels = unnormalise(batch.frames[:clips]).permute(0, 1, 3, 4, 2).round().byte().numpy()
    height, width = pixels.shape[2:4]
    box = Boxes(
        np.array([[-0.5, -0.5, width - 0.5, height - 0.5]], np.float32), np.ones(1, np.float32)
    )
    tiles = []
    for clip in range(clips):
        for t in range(count):
            visible = batch.visible[clip, t].numpy()
            xy = np.where(visible[:, None], batch.joints[clip, t].numpy(), np.nan)
            poses = Poses(xy[None], visible[None].astype(np.float32), skeleton)
            frame = FramePoses(t, 0.0, np.array([-1]), box, poses)
            tiles.append(draw_poses(np.ascontiguousarray(pixels[clip, t]), frame))
    sheet = contact_sheet(tiles, count if count > 1 else 8)
    with replacing(path) as temporary:
        Image.fromarray(sheet).save(temporary, format="PNG")
