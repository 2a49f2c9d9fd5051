"""The measurement of untangle: what it exchanges, and that it counts what comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from chronopose.bench.exchanged_ids import after, alike, exchange, labels_of, main
from chronopose.cli.main import main as chronopose
from chronopose.data.datasets.synthtrack import SynthTrack
from chronopose.refine.untangle import Meeting


def test_two_people_are_exchanged_and_exchanged_back_and_a_set_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chronopose(["synth", "--out", str(tmp_path), "--clips", "1", "--seed", "3", "--size",
                       "96x64", "--frames", "8", "--people", "2..2", "--difficulty", "clean",
                       "--renderer", "soft", "--quiet"]) == 0  # fmt: skip
    [sequence] = SynthTrack(root=tmp_path, split="train").sequences()
    truth = labels_of(sequence)
    a, b = truth.ids.tolist()
    met = Meeting(a, b, 2, 5, 2 / 25, 5 / 25)
    wrong = exchange(truth, met)
    assert not alike(after(wrong, met), after(truth, met))
    assert alike([wrong.person(a).select(wrong.person(a).frame_index < 4)],
                 [truth.person(a).select(truth.person(a).frame_index < 4)])  # fmt: skip
    assert alike(exchange(wrong, met).tracks, truth.tracks)
    capsys.readouterr()
    main(str(tmp_path), "train")
    assert capsys.readouterr().out.endswith(" exchanges given back, 0 clips exchanged wrongly\n")
