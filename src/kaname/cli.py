"""The command line. Commands are "module:function" strings, imported when they run; no torch here.

Adding a command: one line in :data:`COMMANDS` (or, for a recipe's verb, in that recipe's ``RECIPE.verbs``).
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import importlib
import itertools
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaname import __version__, helping
from kaname.errors import InputError, refuse_names, shown
from kaname.memory import COMMAND, reuse_memory
from kaname.recipes import RECIPES, recipe_of, target_of

if TYPE_CHECKING:
    from cyclopts import App

SUMMARY = "Train, evaluate, run and ship models that answer where."
COMMANDS = {
    "demo": ("kaname.apps.demo:demo", "Every recipe from nothing to an export, with a page of the results."),
    "compare": ("kaname.apps.compare:compare", "Two files of predictions: differences, intervals, p-values."),
    "models": ("kaname.apps.models:models", "The models that come with the package."),
    "info": ("kaname.apps.info:info", "What a checkpoint or an export holds."),
    "doctor": ("kaname.apps.doctor:doctor", "Versions, device, optional parts and their licences."),
    "convert": ("kaname.apps.convert:convert", "Between label formats, by point name, with visibility."),
    "completion": ("kaname.completion:completion", "Tab completion for bash and zsh."),
    "bench": ("kaname.apps.bench:bench", "Measure this machine with this installation."),
}


def build() -> App:
    """The whole command line as a cyclopts application."""
    from cyclopts import App

    options = {"help_flags": (), "version_flags": (), "result_action": "return_value"}
    app = App(name="kaname", exit_on_error=False, print_error=False, suppress_keyboard_interrupt=False, **options)
    for name, (target, _) in COMMANDS.items():
        app.command(target, name=name, **options)
    for name in RECIPES:
        group = App(name=name, **options)
        for verb in recipe_of(name).verbs:
            group.command(target_of(name, verb), name=verb, **options)
        app.command(group)
    return app


def help_text(words: Sequence[str]) -> str | None:
    """The help that ``words`` ask for, or ``None`` where they ask for none."""
    names = list(itertools.takewhile(lambda word: not word.startswith("-"), words))
    asked = "--help" in words or "-h" in words
    if not names and (asked or not words):
        entries = {name: text for name, (_, text) in COMMANDS.items()}
        entries |= {name: recipe_of(name).summary for name in RECIPES} | {"--version": "Print the version."}
        return helping.listing("kaname COMMAND", SUMMARY, entries)
    if names and names[0] in RECIPES:
        recipe = recipe_of(names[0])
        if len(names) == 1 and (asked or len(words) == 1):
            entries = {verb: text for verb, (_, text) in recipe.verbs.items()}
            return helping.listing(f"kaname {recipe.name} VERB", recipe.summary, entries, "Verbs")
        if asked and len(names) > 1 and names[1] in recipe.verbs:
            return helping.command(names[:2], target_of(*names[:2]))
    if asked and names and names[0] in COMMANDS:
        return helping.command(names[:1], COMMANDS[names[0]][0])
    return None


def main(words: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 2 bad usage or input, 1 a fault of ours, 130 / 143 interrupted."""
    # OpenMP threads that spin while they wait fight with loader processes: measured 30 s against 8 s for one epoch.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # OpenBLAS's spin from the moment when NumPy is imported: measured 30 ms of each further core.
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
    atexit.register(leave)
    reuse_memory(COMMAND)
    open_streams()
    given = list(sys.argv[1:] if words is None else words)
    show_traceback = "--traceback" in given
    given = [word for word in given if word != "--traceback"]
    try:
        with terminable(), warning_in_a_line(), contextlib.redirect_stdout(Shown(sys.stdout)):  # type: ignore[type-var]
            run(given)
        sys.stdout.flush()
        code = 0
    except InputError as error:
        code = fail(str(error), 2, show_traceback)
    except BrokenPipeError:  # the reader of our output has gone, as in `kaname ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except KeyboardInterrupt as stopped:
        code = fail("interrupted", 143 if isinstance(stopped, Terminated) else 130, False)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except Exception as error:
        code = _code_of(error, show_traceback)
    sys.exit(code)


def open_streams() -> None:
    """Put nothing in the place of streams that the caller has closed, as ``>&-`` and some services do.

    Without this the first file that is opened would get a stream's number, and what libraries print would go into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def leave() -> None:
    """Let a process end without a search for cycles, which took 40 ms: what is left goes back with it.

    Not where torch is: its compiler's libraries say aloud what was not collected.
    """
    if "torch" not in sys.modules:
        gc.freeze()


@contextlib.contextmanager
def warning_in_a_line() -> Iterator[None]:
    """Show this package's warnings in one line, and other packages' as Python does."""
    before, said = warnings.showwarning, set[str]()

    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *rest: Any) -> None:
        if category is UserWarning and Path(filename).is_relative_to(Path(__file__).parent):
            if str(message) not in said:  # Python itself forgets what it has shown whenever filters change
                print(shown(f"warning: {message}"), file=sys.stderr)
            said.add(str(message))
        else:
            before(message, category, filename, lineno, *rest)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


class Shown:
    """A stream without the escapes of names and cards; ``stream`` is the one below, for what draws with escapes."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write text, its control characters written out."""
        return self.stream.write(shown(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command as Ctrl-C does: half-written files are removed."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM into an exception of this process; a process forked from it ends at once."""
    process = os.getpid()

    def end(number: int, frame: object) -> None:
        if os.getpid() != process:
            os._exit(128 + number)
        raise Terminated

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _code_of(error: Exception, show_traceback: bool) -> int:
    """Print the line for an error that no command handled; return its exit code."""
    if getattr(error, "code", None) in (130, 143):
        return fail(str(error), int(error.code), False)  # type: ignore[attr-defined]
    absent = importlib.import_module("kaname.extras").missing(error)
    if absent is not None:
        return fail(str(absent), 2, show_traceback)
    # Before OSError: some of those say that memory or open files ran out.
    known = importlib.import_module("kaname.training.faults").explain(error)
    if known is not None:
        return fail(str(known), 2, show_traceback)
    if isinstance(error, OSError) and (error.filename or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS)):
        # A full disk, a folder without permission, a file that vanished meanwhile.
        return fail(f"{error.filename or 'a file'}: {error.strerror}; check path and disk", 2, show_traceback)
    return fail(f"a bug in kaname: {_one_line(error)} (--traceback shows where)", 1, show_traceback)


def _one_line(error: Exception) -> str:
    """The first line; an error from a loader process gives its reason in the last."""
    lines = f"{type(error).__name__}: {error}".strip().split("\n")
    return f"{lines[-1]} (in a loader process)" if "DataLoader worker" in lines[0] else lines[0]


def run(words: Sequence[str]) -> None:
    """Answer help and version, or hand the words to their command."""
    _refuse_import()
    refuse_names(words)
    text = help_text(words)
    if text is None and list(words) in (["--version"], ["-V"]):
        text = f"kaname {__version__}\n"
    if text is not None:
        sys.stdout.write(text)
        return
    _refuse_unknown(words)
    from cyclopts import CycloptsError

    from kaname.pipeline.flags import normalize_words

    words = normalize_words(words)
    target = target_of(*words[:2]) if words[0] in RECIPES else COMMANDS[words[0]][0]
    try:
        helping.refuse_fractions(words, target)
        build()(words)
    except CycloptsError as error:
        named = " ".join(words[: 2 if words[0] in RECIPES else 1])
        reason = helping.usage_error(error, words, target)
        raise InputError(reason, remedy=f"see `kaname {named} --help`") from error
    except InputError as error:
        raise helping.as_typed(error, words, target) from error


def _refuse_import() -> None:
    """Refuse a call that runs only because a process that was spawned imports the script of its parent."""
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None and getattr(processes.current_process(), "_inheriting", False):
        reason = "this script calls kaname when a loader process imports it, which would start it over and over"
        raise InputError(reason, remedy='put the call below `if __name__ == "__main__":`')


def _refuse_unknown(words: Sequence[str]) -> None:
    from kaname.config import nearest  # here, because help does not need it

    first = words[0]
    if first not in COMMANDS and first not in RECIPES:
        having = [name for name in RECIPES if first in recipe_of(name).verbs]
        if having:
            raise InputError(f"{first} belongs to a recipe", remedy=f"name it first: kaname {'|'.join(having)} {first}")
        raise InputError(f"unknown command {first!r}", remedy=nearest(first, [*COMMANDS, *RECIPES]))
    if first in RECIPES and words[1] not in recipe_of(first).verbs:
        what = "option" if words[1].startswith("-") else "verb"
        remedy = nearest(words[1], list(recipe_of(first).verbs))
        raise InputError(f"unknown {what} {words[1]!r} of {first}", remedy=remedy)


def fail(text: str, code: int, show_traceback: bool) -> int:
    """One line on stderr, and with ``--traceback`` where it came from."""
    if show_traceback:
        traceback.print_exc()
    line = shown(" ".join(text.split("\n")))
    if line:
        with contextlib.suppress(OSError):  # nobody can be told, and the code still says it
            print(line if code > 128 else f"error: {line}", file=sys.stderr, flush=True)
    return code
