"""The filter my-filter: sets a header, refuses some paths, marks the response."""

import json

from apisix_filter import NEXT, Filter, Request, Response, Stop, Verdict, export, log


@export
class MyFilter(Filter):
    # The text is what the route says, by convention JSON. A ValueError refuses
    # it: the runner logs the reason, and every call of the route fails.
    def configure(self, text: str) -> None:
        try:
            configuration = json.loads(text)
        except ValueError as error:
            raise ValueError(f"the configuration is not JSON: {error}") from error
        if not isinstance(configuration, dict):
            raise ValueError("the configuration is not a JSON object")
        for key in ("header", "value"):
            if not isinstance(configuration.get(key), str):
                raise ValueError(f"the configuration needs `{key}`, a string")
        deny = configuration.get("deny", "")
        if not isinstance(deny, str):
            raise ValueError("`deny` has to be a string")
        self.header: str = configuration["header"]
        self.value: str = configuration["value"]
        self.deny = deny

    # Before the upstream sees the request.
    def on_request(self, request: Request) -> Verdict:
        path = request.path()
        if self.deny and path.startswith(self.deny):
            return Stop(403, {"content-type": "text/plain"}, f"{path} is not for you\n")

        request.set_header(self.header, self.value)

        # None where there is no such argument.
        language = request.arg("lang")
        if language:
            request.set_arg("lang", ascii_lower(language))

        log.info(f"passed {path}")
        return NEXT

    # Before the client sees the response; a call of its own, in another instance.
    def on_response(self, response: Response) -> None:
        response.set_header("x-filtered", self.value)


def ascii_lower(text: str) -> str:
    # str.lower knows more letters than those that a language tag is made of.
    return text.encode().lower().decode()
