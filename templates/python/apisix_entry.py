"""What the component exports: the filter of app.py, called by the runner.

Nothing in here is for filters to use. Its one duty is that whatever a filter
raises, prints or returns arrives at the runner as the interface wants it.
"""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Callable, List, TypeVar

import apisix_filter
import app  # noqa: F401, it names its filter with @export
from apisix_filter import Filter, HostError, Level, Next, Request, Response, Stop, log
from componentize_py_types import Err
from wit_world.imports.types import HeaderEntry

# Not there where the filter is one of responses only.
try:
    from wit_world.exports.request_handler import StopResponse, Verdict_Next, Verdict_Stop
except ImportError:
    pass
if TYPE_CHECKING:
    from wit_world.exports.request_handler import Verdict

if len(apisix_filter.exported) != 1:
    names = [each.__name__ for each in apisix_filter.exported]
    raise ImportError(f"app.py has to have one class with @export above it, not {names or 'none'}")

R = TypeVar("R")

_REQUEST, _RESPONSE = Request(), Response()
_filter: Filter
_seeded = False


class Configuration:
    """Exported as `configuration`."""

    def configure(self, text: str) -> None:
        """Makes the filter that serves the calls of this instance."""
        apisix_filter.host_is_there = True
        sys.stdout, sys.stderr = _Printed(Level.INFO), _Printed(Level.WARN)
        _run(lambda: _configure(text), is_answer=True)


class RequestHandler:
    """Exported as `request-handler`."""

    def on_request(self) -> Verdict:
        """Hands the request to the filter."""
        _seed()
        return _run(_on_request)


class ResponseHandler:
    """Exported as `response-handler`."""

    def on_response(self) -> None:
        """Hands the response to the filter."""
        _seed()
        _run(lambda: _filter.on_response(_RESPONSE))


def _configure(text: str) -> None:
    global _filter
    _filter = apisix_filter.exported[0]()
    _filter.configure(text)


def _seed() -> None:
    """Where the runner starts instances from a captured one, `random` would give all
    of them the same numbers."""
    global _seeded
    if not _seeded and "random" in sys.modules:
        sys.modules["random"].seed()
    _seeded = True


def _on_request() -> Verdict:
    verdict = _filter.on_request(_REQUEST)
    if isinstance(verdict, Next):
        return Verdict_Next()
    if isinstance(verdict, Stop):
        headers = [HeaderEntry(name, value) for name, value in verdict.headers]
        return Verdict_Stop(StopResponse(verdict.status, headers, verdict.body))
    # Not taken for "go on": it may be a `Stop` whose `return` was forgotten.
    raise TypeError(f"on_request returned {verdict!r}; return NEXT or Stop(...)")


def _run(step: Callable[[], R], is_answer: bool = False) -> R:
    """Runs a step of the filter. What it raises becomes the interface's error;
    anything else that leaves here traps."""
    try:
        return step()
    except Exception as error:
        reason = str(error)
        if not (is_answer and isinstance(error, ValueError)):
            # Nobody wrote this text for an operator: say what it is, and where.
            kind = "" if isinstance(error, HostError) else f"{type(error).__name__}: "
            reason = f"{kind}{reason}{_place(error)}"
        raise Err(reason.encode("utf-8", "backslashreplace").decode()) from None
    finally:
        for printed in (sys.stdout, sys.stderr):
            if isinstance(printed, _Printed):
                printed.end()


def _place(error: Exception) -> str:
    """The innermost line of the project's own files that the error came through."""
    place, trace = "", error.__traceback__
    ours = __file__.rpartition("/")[0]
    while trace is not None:
        folder, _, file = trace.tb_frame.f_code.co_filename.rpartition("/")
        if folder == ours and not file.startswith("apisix_"):
            place = f" ({file}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


class _Printed(io.TextIOBase):
    """Makes lines of the log of what is printed. The runner would get it without
    this as well, but late or, since an instance ends with its call, not at all."""

    def __init__(self, level: Level) -> None:
        self._level = level
        self._parts: List[str] = []

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, rest = text.split("\n")
        for line in lines:
            log.write(self._level, "".join([*self._parts, line]))
            self._parts.clear()
        if rest:
            self._parts.append(rest)
        return len(text)

    def end(self) -> None:
        """Writes what no line feed followed."""
        if self._parts:
            self.write("\n")


if "datetime" in sys.modules:
    # strptime imports this when it is called, and hmac.new that, and then it is
    # too late.
    import warnings  # noqa: F401
    import _strptime  # type: ignore[import-not-found]  # noqa: F401

if "logging" in sys.modules:
    # Only where the filter uses it: importing it here would cost every call of
    # every filter the memory that it takes.
    import logging

    class _Handler(logging.Handler):
        """Writes what `logging` collects into the runner's log."""

        def emit(self, record: logging.LogRecord) -> None:
            level = next((ours for theirs, ours in _LEVELS if record.levelno >= theirs), Level.TRACE)
            if log.enabled(level):
                log.write(level, self.format(record))

    _LEVELS = [
        (logging.ERROR, Level.ERROR),
        (logging.WARNING, Level.WARN),
        (logging.INFO, Level.INFO),
        (logging.DEBUG, Level.DEBUG),
    ]
    _root = logging.getLogger()
    if not _root.handlers:
        # The runner's own level decides.
        _root.setLevel(logging.NOTSET)
    _root.handlers[:] = [_Handler()]
