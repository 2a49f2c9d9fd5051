"""A folder as the target of a writer: whole under its name, or not there."""

from __future__ import annotations

import fnmatch
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chronopose.errors import FormatError
from chronopose.io.atomic import write_failure


@contextmanager
def replacing_folder(place: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``place`` when the block ends well and is removed otherwise.

    For large things that one process writes at a time: what a killed one has left is removed first.

    Raises:
        FormatError: the system refused to write.
    """
    pending = place.with_name(f".{place.name}.part")
    shutil.rmtree(pending, ignore_errors=True)
    try:
        pending.mkdir(parents=True)
        yield pending
        shutil.rmtree(place, ignore_errors=True)
        pending.rename(place)
    except OSError as error:
        raise write_failure(place, error) from error
    finally:
        shutil.rmtree(pending, ignore_errors=True)


class PendingFolder:
    """A folder under a temporary name that becomes the target at once, or never.

    Args:
        path: The target. A folder that exists is replaced only if everything in it matches
            ``own``, so that nothing of the user's is lost.
        own: Pattern of the file names that the writer makes.

    Raises:
        FormatError: the folder above does not exist or cannot be written to, the target is a file,
            or it holds files of somebody else.
    """

    def __init__(self, path: str | Path, own: str) -> None:
        self.path = Path(path)
        try:
            self._target = Path(os.path.realpath(self.path))
            parent = self._target.parent
            if self._target.exists() and not self._target.is_dir():
                raise FormatError(
                    f"Cannot write {path}: it is a file. This format is a folder of files; give "
                    f"the name of a folder."
                )
            if not parent.is_dir():
                raise FormatError(
                    f"Cannot write {path}: the folder {parent} does not exist. Make it first, or "
                    f"choose another."
                )
            self._refuse_strangers(own)
            self._token = secrets.token_hex(4)
            self.temporary = self._target.with_name(f".{self._target.name[:40]}.{self._token}.part")
            """The folder to write into; exists and is empty."""
            self.temporary.mkdir()
        except (OSError, ValueError) as error:
            raise write_failure(path, error) from error

    def _refuse_strangers(self, own: str) -> None:
        if not self._target.is_dir():
            return
        with os.scandir(self._target) as entries:
            strange = next((e.name for e in entries if not fnmatch.fnmatch(e.name, own)), None)
        if strange is not None:
            raise FormatError(
                f"Cannot write {self.path}: the folder holds other files ({strange}), which would "
                f"be lost. Give the name of a new folder."
            )

    def commit(self) -> None:
        """Give the temporary folder the target's name.

        Raises:
            FormatError: the disk refused; the temporary folder is removed, an old target is back.
        """
        old = self._target.with_name(f".{self._target.name[:40]}.{self._token}.old")
        try:
            if self._target.is_dir():
                os.replace(self._target, old)
            os.replace(self.temporary, self._target)
        except OSError as error:
            if old.is_dir() and not self._target.exists():
                with suppress(OSError):
                    os.replace(old, self._target)
            self.discard()
            raise write_failure(self.path, error) from error
        shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """Remove the temporary folder; nothing happens if it has gone already."""
        shutil.rmtree(self.temporary, ignore_errors=True)
