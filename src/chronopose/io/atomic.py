"""Writing that leaves the whole file or nothing: a temporary name, then one rename.

The temporary file lies beside its target, so the rename stays on one disk and cannot be seen
half done. A process that is killed outright leaves a hidden ``.NAME.TOKEN.part.SUFFIX`` behind and
never a file under the wanted name; a file that was there before stays as it was.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from chronopose.errors import ChronoposeError, FormatError

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def write_failure(
    path: str | Path, error: Exception, kind: type[ChronoposeError] = FormatError
) -> ChronoposeError:
    """The error to raise when ``path`` could not be written because of ``error``.

    Args:
        path: The file as the user named it.
        error: What the system or a library said.
        kind: Class of the result.
    """
    number = getattr(error, "errno", None)
    reason = os.strerror(number) if number else str(error)
    if number in _FULL:
        return kind(
            f"Cannot write {path}: the disk or its quota is full ({reason}). Nothing was left "
            f"behind; free some space or choose another folder."
        )
    return kind(
        f"Cannot write {path}: {reason}. Nothing was left behind; choose another name or folder."
    )


class PendingFile:
    """A file under a temporary name that becomes the target at once, or never.

    Args:
        path: The target. A symbolic link stays one: the file that it points to is replaced.
        kind: Class of the errors raised here.

    Raises:
        FormatError: (or ``kind``) the folder does not exist or cannot be written to, or the target
            is a folder.
    """

    def __init__(self, path: str | Path, kind: type[ChronoposeError] = FormatError) -> None:
        self.path = Path(path)
        self._kind = kind
        try:
            self._target = Path(os.path.realpath(self.path))
        except (OSError, ValueError) as error:
            raise write_failure(path, error, kind) from error
        folder = self._target.parent
        if os.path.isdir(self._target):
            raise kind(f"Cannot write {path}: it is a folder. Give the name of a file in it.")
        if not os.path.isdir(folder):
            raise kind(
                f"Cannot write {path}: the folder {folder} does not exist. Make it first, or "
                f"choose another."
            )
        stem, token = self._target.stem[:40], secrets.token_hex(4)
        name = f".{stem}.{token}.part{self._target.suffix}"
        self.temporary = self._target.with_name(name)
        """The name to write to, in the target's folder and with its suffix; exists and is empty."""
        try:
            self.temporary.touch(exist_ok=False)
        except OSError as error:
            raise write_failure(path, error, kind) from error

    def commit(self) -> None:
        """Give the temporary file, which must be closed, the target's name.

        Raises:
            FormatError: (or ``kind``) the disk refused; the temporary file is removed.
        """
        try:
            with open(self.temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(self.temporary, self._target)
        except OSError as error:
            self.discard()
            raise write_failure(self.path, error, self._kind) from error

    def discard(self) -> None:
        """Remove the temporary file; nothing happens if it has gone already."""
        with suppress(OSError):
            self.temporary.unlink(missing_ok=True)


@contextmanager
def replacing(path: str | Path, kind: type[ChronoposeError] = FormatError) -> Iterator[Path]:
    """A temporary path that becomes ``path`` when the block ends well and is removed otherwise.

    Raises:
        FormatError: (or ``kind``) the system refused to write, e.g. because the disk is full.
            Other errors of the block pass through.
    """
    pending = PendingFile(path, kind)
    try:
        yield pending.temporary
    except OSError as error:
        pending.discard()
        raise write_failure(path, error, kind) from error
    except BaseException:
        pending.discard()
        raise
    pending.commit()


@contextmanager
def writing(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Like ``open(path, mode)`` for writing, but the whole file appears at once or not at all.

    Args:
        path: The target.
        mode: ``"w"`` (UTF-8, line feeds as given) or ``"wb"``.

    Raises:
        FormatError: the system refused to write; nothing is left behind.
    """
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": ""}
    with replacing(path) as temporary, open(temporary, mode, **text) as file:
        yield file


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8), all or nothing; errors as for :func:`writing`."""
    with writing(path) as file:
        file.write(text)


def write_json(path: str | Path, value: object, *, indent: int | None = 2) -> None:
    """Write a JSON file (UTF-8), all or nothing.

    Raises:
        FormatError: the system refused to write, or the value has no JSON form (NaN included).
    """
    try:
        text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise FormatError(
            f"Cannot write {path}: {error}. Give plain numbers, texts, lists and dicts."
        ) from error
    write_text(path, text + "\n")
