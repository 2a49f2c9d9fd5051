"""Optical flow of synthetic people, proven: it warps the next frame onto this one.

    python examples/synthetic_flow.py [OUT.png] [ENVIRONMENT_MAPS BANK]

Writes the frame, its depth, the difference to the next frame, and what is left of it after the
next frame was warped; prints the mean of both where a pixel can be seen in both frames.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

from chronopose.synth.assets import open_assets
from chronopose.synth.film import draw_frames
from chronopose.synth.renderer import open_renderer
from chronopose.synth.scenario import ClipPlan, make_scenario


def main(out: str = "runs/synthetic_flow.png", *assets: str) -> None:
    """Draw two frames and compare them."""
    plan = ClipPlan(seed=700, frames=8, people=(4, 5))
    scenario = make_scenario(plan, open_assets(*(Path(a) for a in assets)))
    renderer = open_renderer(plan.size)
    here, after = draw_frames(scenario, renderer, frames=range(3, 5), flow=True)
    renderer.close()
    flow = here.layers.flow
    y, x = np.mgrid[: plan.size[1], : plan.size[0]] + flow[..., ::-1].transpose(2, 0, 1)

    def warp(layer: np.ndarray, order: int = 1) -> np.ndarray:
        return map_coordinates(layer.astype(float), [y, x], order=order, mode="nearest")

    warped = np.stack([warp(after.image[..., c]) for c in range(3)], -1)
    inside = (x >= 0) & (x <= plan.size[0] - 1) & (y >= 0) & (y <= plan.size[1] - 1)
    depth = [np.where(np.isfinite(d.layers.depth), d.layers.depth, 99) for d in (here, after)]
    both = inside & (np.abs(warp(depth[1], 0) - depth[0]) < 0.2)
    image = here.image.astype(float)
    still, left = (np.abs(i - image).mean(-1) * both for i in (after.image, warped))
    print(f"{both.mean():.0%} of the pixels are seen in both frames")
    print(f"difference in grey levels: {still[both].mean():.2f}, warped {left[both].mean():.2f}")
    panels = [np.clip((9 - depth[0]) / 7, 0, 1) * 255, still * 4, left * 4]
    row = [here.image, *(np.repeat(np.clip(p, 0, 255)[..., None], 3, -1) for p in panels)]
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(row, 1).astype(np.uint8)).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
