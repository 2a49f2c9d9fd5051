"""``chronopose VERB …``: parse, hand over to the file of the verb, turn errors into exit codes.

Every file of this folder without a leading underscore (but this one) is a verb. It has ``HELP``,
``add_arguments(parser)`` and ``run(options) -> int`` and imports nothing heavy at its top, so that
``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import pkgutil
import re
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, DefaultHelpFormatter

from chronopose import __version__
from chronopose.errors import ChronoposeError

INTERRUPTED = 130


class _Help(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Keeps the lines of a verb's description, which hold examples."""


class _Parser(ArgumentParser):
    """A parser whose errors are one sentence, with the nearest known flag as a suggestion."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        text = " ".join(str(message).split())
        unknown = re.search(r"(--[\w-]+)", text) if "nrecognized" in text else None
        if unknown:
            known = [o for a in self._actions for o in a.option_strings if o.startswith("--")]
            near = difflib.get_close_matches(unknown.group(1), known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            text = f"There is no flag {unknown.group(1)}.{hint}"
        print(f"chronopose: {text}", file=sys.stderr)
        print(f"Try '{self.prog.split(' [')[0]} --help'.", file=sys.stderr)
        raise SystemExit(2)


def commands() -> dict[str, ModuleType]:
    """Verb -> module, in the order of their names."""
    package = importlib.import_module("chronopose.cli")
    names = [m.name for m in pkgutil.iter_modules(package.__path__)]
    return {
        name.replace("_", "-"): importlib.import_module(f"chronopose.cli.{name}")
        for name in sorted(names)
        if name != "main" and not name.startswith("_")
    }


def build_parser(verbs: dict[str, ModuleType]) -> ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(
        prog="chronopose",
        description="Human pose in video: a video goes in, tracked poses come out.",
        version=f"chronopose {__version__}",
        allow_abbrev=False,
        formatter_class=_Help,  # also that of every verb
    )
    sub = parser.add_subcommands(dest="verb", metavar="VERB", title="verbs")
    for name, module in verbs.items():
        verb = _Parser(
            description=module.__doc__,
            allow_abbrev=False,
            print_config="--print-config",
        )
        verb.add_argument("--config", action="config", metavar="FILE", help="YAML file with flags")
        module.add_arguments(verb)
        sub.add_subcommand(name, verb, help=module.HELP)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when all went well; otherwise the ``exit_code`` of the error's class (``errors.py``), 2
        for a command that cannot be understood, 130 after Ctrl-C.
    """
    verbs = commands()
    parser = build_parser(verbs)
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        parser.print_help()
        return 2
    options: Any = parser.parse_args(arguments)
    try:
        return int(verbs[options.verb].run(options[options.verb]))
    except ChronoposeError as error:
        print(f"chronopose: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("chronopose: stopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
