"""Does memory grow with the length of a video? Two generated videos, two processes, one number."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from chronopose.data.datasets.procedural import render_video
from chronopose.errors import ChronoposeError, UsageError
from chronopose.io.video import VideoWriter

POLL_S = 0.05
"""Seconds between two looks at a running process; the kernel keeps the peak in between."""


@dataclass(frozen=True, kw_only=True)
class MemoryReport:
    """Peak resident memory of ``predict`` on a short and on a long video."""

    model: str
    device: str
    minutes: tuple[float, float]
    """Lengths of the two videos."""
    frames: tuple[int, int]
    peak_mb: tuple[float, float]
    """Peak resident memory of the two processes, MB of 10^6 bytes."""
    seconds: tuple[float, float]
    """How long they took."""

    @property
    def growth_mb(self) -> float:
        """Peak of the long video minus peak of the short one, MB."""
        return self.peak_mb[1] - self.peak_mb[0]

    def __str__(self) -> str:
        rows = [
            f"predict with {self.model} on {self.device}, peak resident memory",
            f"{'minutes':>10}{'frames':>10}{'MB':>10}{'frames/s':>10}",
        ]
        for minutes, frames, peak, spent in zip(
            self.minutes, self.frames, self.peak_mb, self.seconds, strict=True
        ):
            rows.append(f"{minutes:10.2f}{frames:10d}{peak:10.1f}{frames / spent:10.1f}")
        rows.append(f"growth {self.growth_mb:+.1f} MB")
        return "\n".join(rows)


def bench_memory(
    minutes_short: float = 1.0,
    minutes_long: float = 20.0,
    *,
    model_name: str = "tdmi:lite",
    device: str = "cpu",
    size: tuple[int, int] = (160, 120),
    rate_hz: float = 10.0,
    folder: str | Path | None = None,
    quiet: bool = False,
) -> MemoryReport:
    """Run ``predict`` on a short and a long generated video and compare the peaks.

    Args:
        minutes_short: Length of the first video, minutes.
        minutes_long: Length of the second one.
        model_name: Model, used with random weights: memory does not depend on what was learnt.
        device: Where it runs.
        size: Width and height of the videos, pixels.
        rate_hz: Frames a second.
        folder: Where the videos and poses are kept; a temporary one otherwise.
        quiet: Do not print the report.

    Raises:
        UsageError: a length is not positive or too short for one frame.
        ChronoposeError: ``predict`` failed; its own message is in it.
    """
    lengths = [round(m * 60 * rate_hz) for m in (minutes_short, minutes_long)]
    if min(lengths) < 1:
        raise UsageError(
            f"A video of {min(minutes_short, minutes_long)} minutes at {rate_hz} frames a second "
            f"has no frame. Give longer ones."
        )
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary)
        place.mkdir(parents=True, exist_ok=True)
        measured = []
        for name, frames in zip(("short", "long"), lengths, strict=True):
            video = place / f"{name}.mp4"
            _write(video, frames, size, rate_hz)
            started = time.perf_counter()
            peak = peak_memory_mb(_command(video, place / "poses", model_name, device))
            measured.append((peak, time.perf_counter() - started))
    report = MemoryReport(
        model=model_name, device=device, minutes=(minutes_short, minutes_long),
        frames=(lengths[0], lengths[1]), peak_mb=(measured[0][0], measured[1][0]),
        seconds=(measured[0][1], measured[1][1]),
    )  # fmt: skip
    if not quiet:
        print(report)
    return report


def peak_memory_mb(command: list[str]) -> float:
    """Run a command to its end and return the peak of its resident memory, MB.

    Raises:
        ChronoposeError: the command failed; the end of what it said is in the message.
    """
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, text=True)
        peak_kb = 0
        try:
            while process.poll() is None:
                peak_kb = max(peak_kb, _high_water_kb(process.pid))
                time.sleep(POLL_S)
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.returncode:
            said.seek(0)
            raise ChronoposeError(
                f"The measured command ended with code {process.returncode}: "
                f"{said.read()[-2000:].strip()}"
            )
    if peak_kb == 0:
        # Without /proc only the largest of all processes waited for is known; macOS says bytes.
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
    return peak_kb * 1024 / 1e6


def _high_water_kb(pid: int) -> int:
    """Peak resident memory of a running process since it began, KiB; 0 if nobody says."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _write(path: Path, frames: int, size: tuple[int, int], rate_hz: float) -> None:
    with VideoWriter(path, size) as writer:
        video = render_video(frames=frames, size=size, people=1, rate_hz=rate_hz)
        for image, truth in video:
            writer.write(image, truth.time_s)


def _command(video: Path, out: Path, model: str, device: str) -> list[str]:
    flags = {
        "--out": str(out), "--model": model, "--weights": "random", "--device": device,
        "--detector": "whole-frame",
    }  # fmt: skip
    command = [sys.executable, "-m", "chronopose.cli.main", "predict", str(video)]
    return [*command, *(word for pair in flags.items() for word in pair), "--overwrite", "--quiet"]
