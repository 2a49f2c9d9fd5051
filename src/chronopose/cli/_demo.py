"""The procedural video that ``demo`` and ``doctor`` run the main job on."""

from __future__ import annotations

from pathlib import Path


def write_procedural_video(
    path: Path, *, seconds: float, size: tuple[int, int], people: int, seed: int
) -> None:
    """Render moving capsule people with known joints into a video file.

    Args:
        path: The video to write, ``.mp4``.
        seconds: Length.
        size: Width and height, pixels.
        people: How many walk through the picture.
        seed: The same seed gives the same video.
    """
    from chronopose.data.datasets.procedural import render_video
    from chronopose.io.video import VideoWriter

    rate_hz = 25.0
    with VideoWriter(path, size) as writer:
        frames = render_video(
            seed=seed, size=size, frames=round(seconds * rate_hz), people=people, rate_hz=rate_hz
        )
        for image, truth in frames:
            writer.write(image, truth.time_s)
