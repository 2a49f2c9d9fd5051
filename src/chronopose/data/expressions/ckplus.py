"""CK+: posed expressions that grow from neutral to their peak; the extended Cohn-Kanade set.

Layout    ``cohn-kanade-images/S005/001/S005_001_00000011.png`` and
          ``Emotion/S005/001/*_emotion.txt``; sequences without such a file have no label.
          With ``Landmarks/S005/001/*_landmarks.txt`` beside them faces are cut to their points
          (layout of that folder: unverified); without, pictures are whole frames.
Protocol  The last 3 frames of each of 327 labelled sequences, 981 pictures of 118 persons, 7
          classes; 10 folds of persons: sorted by name and dealt out. Folds that cut a list of
          pictures, as those of a well-known repository do, put a person on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chronopose.data.expressions._base import (
    ExpressionSet,
    Face,
    below,
    class_folders,
    classes_but,
    first_of,
    folders_in,
    pictures_in,
)
from chronopose.errors import FormatError
from chronopose.io.expressions import peak, read_emotion_file, read_landmarks

_OWNER = (
    "It is given out by the Affect Analysis Group of the University of Pittsburgh (Jeffrey Cohn) "
    "to those who sign its agreement, for research; it must not be passed on."
)


class CKPlus(ExpressionSet):
    """The release with emotion files."""

    NAME = "ckplus"
    TITLE = "CK+ (extended Cohn-Kanade)"
    CLASSES = classes_but("neutral")
    FOLDS = 10
    PROTOCOL = "10 folds of persons, the last 3 frames of a sequence, mean accuracy"
    LAYOUT = "cohn-kanade-images and Emotion (and Landmarks, to cut the faces)"
    OWNER = _OWNER

    def find(self, part: str) -> Iterator[Face]:
        """Peak frames of the sequences that have an emotion."""
        images = first_of(self.root, "cohn-kanade-images", "extended-cohn-kanade-images")
        labels = first_of(self.root, "Emotion", "Emotion_labels", "Emotion_labels/Emotion")
        if images is None or labels is None:
            raise self.nothing("no cohn-kanade-images" if images is None else "no Emotion")
        if (inside := below(images, "cohn-kanade-images")).is_dir():
            images = inside
        if (inside := below(labels, "Emotion")).is_dir():
            labels = inside
        for person in folders_in(labels):
            for sequence in folders_in(person):
                expression = _emotion(sequence)
                if expression is None:
                    continue
                frames = pictures_in(below(images, f"{person.name}/{sequence.name}"))
                if not frames:
                    raise FormatError(
                        f"{sequence} has the emotion {expression}, but there is no picture in "
                        f"{images / person.name / sequence.name}. Unpack the pictures anew."
                    )
                for frame in peak(frames):
                    box = self._box(frame, person.name, sequence.name)
                    yield Face(frame, expression, person.name.upper(), box)

    def _box(self, frame: Path, *at: str) -> tuple[float, float, float, float] | None:
        """Extent of the face's points; None without them."""
        file = below(self.root, "/".join(("Landmarks", *at, f"{frame.stem}_landmarks.txt")))
        if not file.is_file():
            return None
        points = read_landmarks(file)
        (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
        return left, top, right, bottom


def _emotion(folder: Path) -> str | None:
    files = sorted(p for p in folder.iterdir() if p.name.lower().endswith("_emotion.txt"))
    if len(files) > 1:
        raise FormatError(
            f"{folder} has {len(files)} emotion files, {files[0].name} and others; one is right."
        )
    return read_emotion_file(files[0]) if files else None


class CKPlus48(ExpressionSet):
    """The copy in folders of classes: ``CK+48/anger/S010_004_00000017.png``, 48x48 pixels."""

    NAME = "ckplus48"
    TITLE = "CK+48"
    CLASSES = classes_but("neutral")
    FOLDS = 10
    PROTOCOL = "10 folds of persons; its pictures are the peak frames already"
    LAYOUT = "CK+48, or the folders anger, contempt, disgust, fear, happy, sadness, surprise"
    OWNER = f"{_OWNER} The small copy is under the same agreement."

    def find(self, part: str) -> Iterator[Face]:
        """All pictures; the person is the part of the name before the first underscore."""
        home = first_of(self.root, "CK+48") or self.root
        for expression, folder in class_folders(home):
            for file in pictures_in(folder):
                person, underscore, _ = file.name.partition("_")
                if not underscore or not person.upper().startswith("S"):
                    raise FormatError(
                        f"{file}: the name must begin with the person, as in "
                        f"S010_004_00000017.png. Folders of other names are read as folder:DIR."
                    )
                yield Face(file, expression, person.upper())
