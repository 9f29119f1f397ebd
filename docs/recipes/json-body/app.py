"""Removes fields from the JSON body of a request, and adds others."""

import json
from typing import NoReturn

from apisix_filter import NEXT, Filter, HostError, Request, Stop, Verdict, export


@export
class JsonBody(Filter):
    def configure(self, text: str) -> None:
        configuration = json.loads(text)
        remove, add = configuration.get("remove", []), configuration.get("add", {})
        if not isinstance(remove, list) or not all(isinstance(name, str) for name in remove):
            raise ValueError("`remove` is no list of names")
        if not isinstance(add, dict):
            raise ValueError("`add` is no object")
        # In any case: there are upstreams that read `Role` where `role` is meant.
        self.remove = {name.casefold() for name in [*remove, *add]}
        self.add = add

    def on_request(self, request: Request) -> Verdict:
        try:
            body = request.body()
        except HostError as error:
            if error.kind == "limit":
                return refused(413, "the body is too large")
            raise
        if body is None:
            return NEXT
        # What the filter cannot read it does not let through.
        if not is_json(request.header("content-type")):
            return refused(415, "the body has to be JSON")
        try:
            fields = json.loads(body.decode(), parse_constant=no_number)
        except ValueError:
            return refused(400, "the body is not JSON")
        if not isinstance(fields, dict):
            return refused(400, "the body is not a JSON object")

        kept = {name: value for name, value in fields.items() if name.casefold() not in self.remove}
        try:
            changed = json.dumps({**kept, **self.add}, separators=(",", ":"), allow_nan=False)
        except ValueError:
            return refused(400, "the body has a number that is too large")
        request.set_body(changed)
        return NEXT


def is_json(content_type: str | None) -> bool:
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.startswith("application/") and kind.endswith("+json")


def no_number(name: str) -> NoReturn:
    """For NaN and its like, which Python reads and JSON does not have."""
    raise ValueError(f"{name} is no JSON")


def refused(status: int, reason: str) -> Stop:
    return Stop(status, {"content-type": "text/plain"}, f"{reason}\n")
