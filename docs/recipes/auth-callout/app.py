"""Asks another server whether a request may pass: it gets the client's token,
and the filter's own key in x-key, which is the secret AUTH_KEY. 200 lets the
request pass, with the user that the answer names; anything else keeps it out.

The configuration is the URL that is asked.
"""

from apisix_filter import NEXT, Filter, Request, Stop, Verdict, export, log
from componentize_py_types import Err
from wit_world.imports import http, secrets
from wit_world.imports.types import HeaderEntry

PATIENCE_MS = 1000
"""How long a client is kept waiting for the answer."""


@export
class AuthCallout(Filter):
    def configure(self, text: str) -> None:
        self.url = text.strip()
        if not self.url.startswith(("https://", "http://")):
            raise ValueError("write the URL that is to be asked")
        try:
            self.key = secrets.get("AUTH_KEY")
        except Err as error:
            raise ValueError(error.value.value) from None

    def on_request(self, request: Request) -> Verdict:
        # Nobody but the server says who it is.
        request.remove_header("x-user")
        token = request.header("authorization")
        if token is None:
            return refused(401)
        headers = [HeaderEntry("authorization", token), HeaderEntry("x-key", self.key)]
        question = http.Request("GET", self.url, headers, None, PATIENCE_MS)
        try:
            answer = http.send(question)
        except Err as error:
            log.error(error.value.value)
            return refused(503)
        if answer.status == 200:
            request.set_header("x-user", answer.body.decode(errors="replace").strip())
            return NEXT
        return refused(401 if answer.status == 401 else 403)


def refused(status: int) -> Stop:
    return Stop(status, {}, "not for you\n")
