"""What five frames bring, by the kind of trouble: PCK of tdmi:lite and of its single-frame twin.

Photographs of LSPET become clips over which a camera moves; then every clip is blurred, defocused
or partly covered for some of its frames. Both networks see the same crops.

    python examples/one_frame_or_five.py path/to/lspet
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from chronopose import zoo
from chronopose.data.datasets.lspet import LSPET, CameraMotion
from chronopose.data.loader import ClipShape, Stage, TrainBatches
from chronopose.data.transforms import Augmentation, Blur, Occlude
from chronopose.metrics.pck import LIMB_JOINTS, PCK

TROUBLE = {
    "none": (),
    "motion blur": (Blur(motion_p=1, defocus_p=0, length=(0.05, 0.15), fade=0.5),),
    "defocus": (Blur(motion_p=0, defocus_p=1, radius=(0.01, 0.03), fade=0.5),),
    "occluders": (Occlude(p=1, width=(0.15, 0.35), height=(0.1, 0.3), drift=0.15),),
}


def main(folder: str, batches: int = 10) -> None:
    """Print a table."""
    models = {name: zoo.load(name) for name in ("simple_baseline:lite", "tdmi:lite")}
    several = models["tdmi:lite"]
    data = LSPET(Path(folder), "val", frames=5, motion=CameraMotion())
    shape = ClipShape(count=5, key=several.needs.key)
    stage = Stage(steps=batches, crop_size=several.needs.crop_size, batch_size=50)
    print(f"{'trouble':<14}" + "".join(f"{name:>22}" for name in models))
    for trouble, effects in TROUBLE.items():
        added = Augmentation(geometric=(), effects=effects)
        clips = TrainBatches(data, [stage], shape=shape, augmentation=added, seed=3)
        scores = {n: PCK(m.codec.skeleton, joints=LIMB_JOINTS) for n, m in models.items()}
        for step in range(batches):
            batch = clips[step]
            for name, model in models.items():
                frames = batch.frames[:, [shape.key]] if "baseline" in name else batch.frames
                with torch.inference_mode():
                    found = model.codec.decode(model(frames).heatmaps)
                truth = batch.joints[:, shape.key].numpy()
                scores[name].update(found.xy, truth, batch.visible[:, shape.key].numpy() > 0)
        row = "".join(f"{s.compute().pooled:>22.1f}" for s in scores.values())
        print(f"{trouble:<14}{row}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
