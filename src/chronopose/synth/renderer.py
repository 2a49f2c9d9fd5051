"""The renderer that this machine can run."""

from __future__ import annotations

import logging
from typing import Literal, get_args

from chronopose.errors import UsageError
from chronopose.synth.render_gl import GLRenderer, OpenGLMissing
from chronopose.synth.render_soft import SoftRenderer
from chronopose.synth.scene import Renderer

Kind = Literal["auto", "gl", "soft"]

_log = logging.getLogger(__name__)


def open_renderer(size: tuple[int, int], kind: Kind = "auto") -> Renderer:
    """Open a renderer; close it at the end.

    Args:
        size: Width and height of every picture, pixels.
        kind: ``gl`` draws with OpenGL, ``soft`` in plain numpy; ``auto`` takes OpenGL where a
            context opens and says in the log which it took.

    Raises:
        OpenGLMissing: ``gl`` was asked for and the package moderngl or a driver is missing.
        UsageError: The kind is unknown or the size is not above zero.
    """
    if kind not in get_args(Kind):
        raise UsageError(
            f"There is no renderer {kind!r}. Choose one of: {', '.join(get_args(Kind))}."
        )
    if min(size) < 1:
        raise UsageError(f"A picture needs a width and height above zero; got {size[0]}×{size[1]}.")
    if kind == "soft":
        return SoftRenderer(size)
    try:
        renderer = GLRenderer(size)
    except OpenGLMissing as error:
        if kind == "gl":
            raise
        _log.warning("Drawing in plain numpy, which is slower. %s", error)
        return SoftRenderer(size)
    _log.info("Drawing with OpenGL on %s.", renderer.device)
    return renderer
