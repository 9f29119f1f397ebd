"""Lets requests in that bring a JWT (HS256) which is signed and not expired."""

import base64
import hmac
import json
from typing import Any, Dict

from apisix_filter import NEXT, Filter, Request, Stop, Verdict, clock, export, log


class Refused(Exception):
    """Why a token is not good. For the log: the client is not told."""


@export
class Jwt(Filter):
    def configure(self, text: str) -> None:
        configuration = json.loads(text)
        secrets = configuration.get("secrets")
        if not isinstance(secrets, list) or not secrets:
            raise ValueError("`secrets` is no list of secrets")
        if not all(isinstance(secret, str) and len(secret) >= 32 for secret in secrets):
            # RFC 7518, section 3.2.
            raise ValueError("one of `secrets` has less than 32 characters")
        self.secrets = [secret.encode() for secret in secrets]
        self.leeway_s = configuration.get("leeway_s", 0)
        if not is_number(self.leeway_s):
            raise ValueError("`leeway_s` is no number of seconds")

    def on_request(self, request: Request) -> Verdict:
        try:
            claims = self.claims_of(bearer(request))
        except Refused as reason:
            log.info(f"no valid token: {reason}")
            headers = {"www-authenticate": "Bearer", "content-type": "text/plain"}
            return Stop(401, headers, "a valid token is needed\n")

        # Set or removed on every request, so that no client's own passes.
        subject = claims.get("sub")
        if isinstance(subject, str) and subject:
            request.set_header("x-subject", subject)
        else:
            request.remove_header("x-subject")
        return NEXT

    def claims_of(self, token: str) -> Dict[str, Any]:
        """What the token says, once it is known to be true."""
        signed, _, signature = token.rpartition(".")
        sent = decoded(signature)
        # The algorithm is not the token's to choose.
        made = [hmac.digest(secret, signed.encode(), "sha256") for secret in self.secrets]
        if not any([hmac.compare_digest(sent, each) for each in made]):
            raise Refused("its signature is wrong")

        # Nothing was read before this line that a stranger could have written.
        header, _, payload = signed.partition(".")
        if decoded_object(header).get("alg") != "HS256":
            raise Refused("it does not say HS256")
        claims = decoded_object(payload)
        now = clock.now_ms() / 1000
        if not is_number(claims.get("exp")):
            raise Refused("it has no time of expiry")
        if not now < claims["exp"] + self.leeway_s:
            raise Refused("it is expired")
        if "nbf" in claims and not (is_number(claims["nbf"]) and claims["nbf"] - self.leeway_s <= now):
            raise Refused("it is not valid yet")
        return claims


def bearer(request: Request) -> str:
    values = request.header_values("authorization")
    if len(values) != 1:
        raise Refused("there is not one Authorization header")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer":
        raise Refused("Authorization is not of type Bearer")
    return token.strip()


def decoded(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise Refused("it is not base64url") from None


def decoded_object(part: str) -> Dict[str, Any]:
    try:
        made = json.loads(decoded(part))
    except ValueError:
        raise Refused("it is not JSON") from None
    if not isinstance(made, dict):
        raise Refused("it is not a JSON object")
    return made


def is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
