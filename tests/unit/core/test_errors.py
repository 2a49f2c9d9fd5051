"""Optional dependencies: there when they are there, a sentence with the remedy when not."""

from __future__ import annotations

import math

import pytest

from chronopose.errors import MissingExtra, import_extra


def test_what_is_installed_is_handed_over():
    assert import_extra("math", "math", "formats", "Counting") is math


def test_what_is_missing_is_named_with_what_to_install():
    with pytest.raises(MissingExtra) as caught:
        import_extra("no_such_module_at_all", "no-such-package", "flow", "Optical flow")
    assert str(caught.value) == (
        "Optical flow needs the package 'no-such-package', which is not installed. "
        "Install it with: pip install 'chronopose[flow]'"
    )
    assert isinstance(caught.value.__cause__, ImportError)
