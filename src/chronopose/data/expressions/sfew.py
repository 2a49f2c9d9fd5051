"""SFEW 2.0: faces cut from films, seven expressions.

Layout    ``Train/Happy/*.png``, ``Val/Happy/*.png`` (unverified); the test part has no labels.
Protocol  958 pictures to train, accuracy of the 436 of Val (unverified).
"""

from __future__ import annotations

from collections.abc import Iterator

from chronopose.data.expressions._base import (
    ExpressionSet,
    Face,
    class_folders,
    classes_but,
    first_of,
    pictures_in,
)


class SFEW(ExpressionSet):
    """The folders Train and Val."""

    NAME = "sfew"
    TITLE = "SFEW 2.0"
    CLASSES = classes_but("contempt")
    PARTS = ("train", "val")
    REPORTED = "val"
    PROTOCOL = "train on train, accuracy of val"
    LAYOUT = (
        "Train and Val, in each the folders Angry, Disgust, Fear, Happy, Neutral, Sad, Surprise"
    )
    OWNER = (
        "It is given out by Abhinav Dhall, who ran the EmotiW challenges, to those who sign its "
        "agreement, for research."
    )

    def find(self, part: str) -> Iterator[Face]:
        """Pictures of a part; nobody says who is on them."""
        for half in self.PARTS if part == "all" else (part,):
            home = first_of(self.root, half, f"{half}_aligned_faces")
            if home is None:
                raise self.nothing(f"no folder {half.capitalize()}")
            for expression, folder in class_folders(home):
                for file in pictures_in(folder):
                    yield Face(file, expression)
