"""The gateway, as a filter in Python sees it.

Functions have the names of wit/, with underscores; wit/ says everything about
them. What is not there is None. What the host refuses is a `HostError`.
"""

from __future__ import annotations

import sys
from typing import (
    Callable, Iterable, List, Mapping, Optional, Protocol, Tuple, Type, TypeVar, Union,
)

if sys.platform != "wasi":
    # In a test, not in a component: bindings/ has the names at least.
    import os

    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "bindings"))

from componentize_py_types import Err
from wit_world.imports import chain as _chain
from wit_world.imports import clock as _clock
from wit_world.imports import log as _log
from wit_world.imports import plugin as _plugin
from wit_world.imports import types as _types
from wit_world.imports import variables as _variables
from wit_world.imports.log import Level

# A filter of one phase is built without what belongs to the other.
try:
    from wit_world.imports import request as _request
except ImportError:
    _request = None  # type: ignore[assignment]
try:
    from wit_world.imports import response as _response
except ImportError:
    _response = None  # type: ignore[assignment]

__all__ = [
    "NEXT", "Filter", "HostError", "Level", "Next", "Request", "Response", "Stop", "Verdict",
    "chain", "clock", "export", "log", "plugin", "variables",
]

Text = Union[str, bytes]
"""Text is sent as UTF-8, bytes as they are."""

Headers = Union[Mapping[str, str], Iterable[Tuple[str, str]]]
"""A dict, or pairs where a name comes more than once."""


# What a filter is.


class Next:
    """The request goes on. There is one of it, `NEXT`."""

    def __repr__(self) -> str:
        return "NEXT"


NEXT = Next()


class Stop:
    """The client gets this response; no later filter and no upstream sees the
    request.

    `status` is 200 to 599. For one of 300 or more without a body the gateway
    shows its own page.
    """

    def __init__(self, status: int, headers: Headers = (), body: Text = b"") -> None:
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"a status is 200 to 599, not {status!r}")
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        self.status = status
        self.headers = [(_text(name), _text(value)) for name, value in pairs]
        self.body = _bytes(body)

    def __repr__(self) -> str:
        return f"Stop({self.status}, {self.headers}, {self.body!r})"


Verdict = Union[Next, Stop]


class Filter:
    """What you write: a class of your own with some of these methods, and
    `@export` above it.

    An instance serves one configuration. The runner makes a new one for each
    call unless it is told otherwise, so keep nothing from call to call.
    """

    def configure(self, text: str) -> None:
        """Called once, first, with the configuration of the route.

        An exception refuses it, and its text is the reason. The runner may keep
        the state that this leaves and start from there, so what must differ
        from call to call (a nonce, a time) belongs into a handler.
        """

    def on_request(self, request: Request) -> Verdict:
        """Looks at the request and may change it.

        An exception is logged and fails the call, and what was changed is lost.
        """
        raise NotImplementedError("this filter has no on_request")

    def on_response(self, response: Response) -> None:
        """Looks at the response and may change it.

        An exception is logged, and the client gets an error instead.
        """
        raise NotImplementedError("this filter has no on_response")


F = TypeVar("F", bound=Type[Filter])

exported: List[Type[Filter]] = []


def export(filter_class: F) -> F:
    """Names the class that is this project's filter."""
    exported.append(filter_class)
    return filter_class


class HostError(Exception):
    """The host did not do what was asked, and changed nothing."""

    kind: str
    """unsupported, wrong-phase, invalid, limit, gateway, denied or other; wit/types.wit says when.
    After `gateway` the call fails, whatever the filter does."""
    message: str
    """What was wrong, and what would have been accepted."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


# What a call is about.


class _Headers:
    """The headers of a request or a response; names match in any case."""

    _host: _HeaderFunctions

    def header(self, name: str) -> Optional[str]:
        """The first value of a header; bytes that are not UTF-8 show as U+FFFD."""
        return _ask(self._host.header, _text(name))

    def header_bytes(self, name: str) -> Optional[bytes]:
        """The first value of a header, byte for byte."""
        return _ask(self._host.header_bytes, _text(name))

    def header_values(self, name: str) -> List[str]:
        """Every value of a header, in the order received."""
        return _ask(self._host.header_values, _text(name))

    def header_values_bytes(self, name: str) -> List[bytes]:
        """Every value of a header, byte for byte."""
        return _ask(self._host.header_values_bytes, _text(name))

    def headers(self) -> List[Tuple[str, str]]:
        """All headers as pairs of name and value; the gateway sends at most 100
        of a request."""
        return [(entry.name, entry.value) for entry in _ask(self._host.headers)]

    def headers_bytes(self) -> List[Tuple[bytes, bytes]]:
        """All headers, byte for byte."""
        return [(entry.name, entry.value) for entry in _ask(self._host.headers_bytes)]

    def set_header(self, name: str, value: Text) -> None:
        """Replaces every value of a header by this one."""
        _put(self._host.set_header, self._host.set_header_bytes, name, value)

    def add_header(self, name: str, value: Text) -> None:
        """Adds a header. On a request it must not be there yet."""
        _put(self._host.add_header, self._host.add_header_bytes, name, value)

    def remove_header(self, name: str) -> None:
        """Removes every value of a header; nothing happens when there is none."""
        _ask(self._host.remove_header, _text(name))


class Request(_Headers):
    """The request, as the filters before this one left it."""

    _host = _request

    def id(self) -> int:
        """The number that the gateway gave this call; 0 is an ordinary one."""
        return _ask(_request.id)

    def method(self) -> str:
        """In upper case, such as `GET`."""
        return _ask(_request.method)

    def source_address(self) -> str:
        """The client's address as text; empty when the gateway sent none."""
        return _ask(_request.source_address)

    def path(self) -> str:
        """Percent-decoded, without the query."""
        return _ask(_request.path)

    def path_bytes(self) -> bytes:
        """The path, byte for byte."""
        return _ask(_request.path_bytes)

    def set_path(self, path: Text) -> None:
        """Replaces the path: decoded, from the first `/`, without a query."""
        if isinstance(path, str):
            _ask(_request.set_path, _text(path))
        else:
            _ask(_request.set_path_bytes, _bytes(path))

    def arg(self, name: str) -> Optional[str]:
        """The first value of a query argument. `?a` and `?a=` are both empty;
        `arg_values` tells them apart."""
        entry = _ask(_request.arg, _text(name))
        return None if entry is None else entry.value or ""

    def arg_bytes(self, name: Text) -> Optional[bytes]:
        """The first value of a query argument, byte for byte."""
        entry = _ask(_request.arg_bytes, _bytes(name))
        return None if entry is None else entry.value or b""

    def arg_values(self, name: str) -> List[Optional[str]]:
        """Every value of a query argument, in order; None where it is value-less (`?a`)."""
        return _ask(_request.arg_values, _text(name))

    def arg_values_bytes(self, name: Text) -> List[Optional[bytes]]:
        """Every value of a query argument, byte for byte."""
        return _ask(_request.arg_values_bytes, _bytes(name))

    def args(self) -> List[Tuple[str, Optional[str]]]:
        """All query arguments; the value is None where there is none (`?a`)."""
        return [(entry.name, entry.value) for entry in _ask(_request.args)]

    def args_bytes(self) -> List[Tuple[bytes, Optional[bytes]]]:
        """All query arguments, byte for byte."""
        return [(entry.name, entry.value) for entry in _ask(_request.args_bytes)]

    def set_arg(self, name: Text, value: Text) -> None:
        """Replaces every value of a query argument by this one."""
        _put_arg(_request.set_arg, _request.set_arg_bytes, name, value)

    def add_arg(self, name: Text, value: Text) -> None:
        """Adds a value and keeps those that are there."""
        _put_arg(_request.add_arg, _request.add_arg_bytes, name, value)

    def remove_arg(self, name: Text) -> None:
        """Removes every value of a query argument."""
        if isinstance(name, str):
            _ask(_request.remove_arg, _text(name))
        else:
            _ask(_request.remove_arg_bytes, _bytes(name))

    def body(self) -> Optional[bytes]:
        """The whole body, up to 16 MiB; None when there is none. It is asked of the gateway."""
        return _ask(_request.body)

    def set_body(self, body: Text) -> None:
        """Replaces the body; it cannot be emptied."""
        _ask(_request.set_body, _bytes(body))

    def set_response_header(self, name: str, value: Text) -> None:
        """Sets a header of the response that will come. A stop does not carry it."""
        _put(_request.set_response_header, _request.set_response_header_bytes, name, value)

    def add_response_header(self, name: str, value: Text) -> None:
        """The same, keeping what filters of this call set before."""
        _put(_request.add_response_header, _request.add_response_header_bytes, name, value)


class Response(_Headers):
    """The upstream's response, as the filters before this one left it."""

    _host = _response

    def id(self) -> int:
        """The number that the gateway gave this call; not that of the request."""
        return _ask(_response.id)

    def status(self) -> int:
        """The status code, 100 to 999."""
        return _ask(_response.status)

    def set_status(self, status: int) -> None:
        """Replaces the status: 200 to 599."""
        if not isinstance(status, int) or not 200 <= status <= 599:
            raise ValueError(f"a status is 200 to 599, not {status!r}")
        _ask(_response.set_status, status)

    def body(self) -> Optional[bytes]:
        """The whole body, up to 16 MiB; None when there is none. It is asked of the gateway."""
        return _ask(_response.body)

    def set_body(self, body: Text) -> None:
        """Replaces the body; it cannot be emptied. Its length and encoding go with the old one."""
        _ask(_response.set_body, _bytes(body))


class variables:
    """Variables of the gateway: nginx's and its own. Each is asked for once per call."""

    @staticmethod
    def get(name: str) -> Optional[str]:
        """A variable's value; None when the gateway does not know it."""
        return _ask(_variables.get, _text(name))

    @staticmethod
    def get_bytes(name: str) -> Optional[bytes]:
        """A variable's value, byte for byte."""
        return _ask(_variables.get_bytes, _text(name))

    @staticmethod
    def get_many(names: Iterable[str]) -> List[Optional[str]]:
        """Several at once, in this order: faster than one after the other."""
        return _ask(_variables.get_many, [_text(name) for name in names])


class chain:
    """Values that the filters of one call pass to those after them."""

    @staticmethod
    def get(key: str) -> Optional[str]:
        """The value under a key."""
        return _ask(_chain.get, _text(key))

    @staticmethod
    def set(key: str, value: str) -> None:
        """Sets a value. All of one call may take 64 KiB together."""
        _ask(_chain.set, _text(key), _text(value))

    @staticmethod
    def remove(key: str) -> None:
        """Removes a value; nothing happens when there is none."""
        _ask(_chain.remove, _text(key))


class log:
    """The runner's log, under the plugin's name. `print` and `logging` write there too."""

    @staticmethod
    def write(level: Level, message: object) -> None:
        """Writes one line, of 8 KiB at most."""
        line = str(message).encode("utf-8", "backslashreplace").decode()
        if host_is_there:
            _log.log(level, line)
        else:
            print(level.name, line, file=sys.stderr)

    @staticmethod
    def enabled(level: Level) -> bool:
        """Whether a line would be written: ask before building an expensive one."""
        return not host_is_there or _log.enabled(level)

    @staticmethod
    def trace(message: object) -> None:
        """Every step, for the filter's author."""
        log.write(Level.TRACE, message)

    @staticmethod
    def debug(message: object) -> None:
        """What helps to find a fault."""
        log.write(Level.DEBUG, message)

    @staticmethod
    def info(message: object) -> None:
        """What an operator may want to know."""
        log.write(Level.INFO, message)

    @staticmethod
    def warn(message: object) -> None:
        """What an operator should look at."""
        log.write(Level.WARN, message)

    @staticmethod
    def error(message: object) -> None:
        """What went wrong."""
        log.write(Level.ERROR, message)


class clock:
    """A coarse wall clock."""

    @staticmethod
    def now_ms() -> int:
        """Milliseconds since 1970."""
        return _ask(_clock.now_ms)


class plugin:
    """What this filter is called and how it was configured."""

    @staticmethod
    def name() -> str:
        """The plugin's name in the gateway's configuration."""
        return _ask(_plugin.name)

    @staticmethod
    def configuration_bytes() -> bytes:
        """The configuration exactly as the gateway sent it."""
        return _ask(_plugin.configuration_bytes)


# What stands between Python and the host.

R = TypeVar("R")

host_is_there = False
"""Neither in a test nor while app.py is imported, which is when the component is built."""


def _ask(function: Callable[..., R], *arguments: object) -> R:
    if not host_is_there:
        raise RuntimeError("there is no host yet: ask it in configure or in a handler")
    try:
        return function(*arguments)
    except Err as error:
        raise HostError(_KINDS[type(error.value)], error.value.value) from None


def _put(
    as_text: Callable[[str, str], None],
    in_bytes: Callable[[str, bytes], None],
    name: str,
    value: Text,
) -> None:
    if isinstance(value, str):
        _ask(as_text, _text(name), _text(value))
    else:
        _ask(in_bytes, _text(name), _bytes(value))


def _put_arg(
    as_text: Callable[[str, str], None],
    in_bytes: Callable[[bytes, bytes], None],
    name: Text,
    value: Text,
) -> None:
    if isinstance(name, str) and isinstance(value, str):
        _ask(as_text, _text(name), _text(value))
    else:
        _ask(in_bytes, _bytes(name), _bytes(value))


_KINDS = {
    _types.Error_Unsupported: "unsupported",
    _types.Error_WrongPhase: "wrong-phase",
    _types.Error_Invalid: "invalid",
    _types.Error_Limit: "limit",
    _types.Error_Gateway: "gateway",
    _types.Error_Denied: "denied",
    _types.Error_Other: "other",
}


def _text(value: str) -> str:
    # A value of another type, or one that is not Unicode, would trap on its way
    # to the host; this way it is an exception.
    if not isinstance(value, str):
        raise TypeError(f"expected str, not {type(value).__name__}")
    if not value.isascii():
        value.encode()
    return value


def _bytes(value: Text) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"expected str or bytes, not {type(value).__name__}")


class _HeaderFunctions(Protocol):
    """What the interfaces of requests and responses have in common."""

    def header(self, name: str, /) -> Optional[str]: ...
    def header_bytes(self, name: str, /) -> Optional[bytes]: ...
    def header_values(self, name: str, /) -> List[str]: ...
    def header_values_bytes(self, name: str, /) -> List[bytes]: ...
    def headers(self) -> List[_types.HeaderEntry]: ...
    def headers_bytes(self) -> List[_types.HeaderEntryBytes]: ...
    def set_header(self, name: str, value: str, /) -> None: ...
    def set_header_bytes(self, name: str, value: bytes, /) -> None: ...
    def add_header(self, name: str, value: str, /) -> None: ...
    def add_header_bytes(self, name: str, value: bytes, /) -> None: ...
    def remove_header(self, name: str, /) -> None: ...
