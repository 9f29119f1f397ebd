"""Masks the numbers of payment cards in responses, but for the last four digits."""

import re
import zlib
from typing import Match

from apisix_filter import NEXT, Filter, Request, Response, Verdict, export, log

LARGEST = 8 << 20
"""Bytes of a body after it was unpacked."""

# 13 to 19 digits in a row, or in groups as they are printed on cards; not the
# places of a fraction.
CARD = re.compile(
    r"(?<!\d)(?<!\d\.)(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}|\d{4}([ -])\d{6}\2\d{5}|\d{13,19})(?!\d)"
)
# Of JSON, what can hold one: a string or a number.
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*', re.DOTALL)
# Of a string in JSON, what stands for one character.
UNIT = re.compile(r"\\u[0-9a-fA-F]{4}|\\.|.", re.DOTALL)


@export
class Masking(Filter):
    # The upstream is asked for nothing that the filter cannot unpack.
    def on_request(self, request: Request) -> Verdict:
        request.set_header("accept-encoding", "gzip")
        return NEXT

    def on_response(self, response: Response) -> None:
        kind = (response.header("content-type") or "text/plain").partition(";")[0].strip().lower()
        is_json = kind.endswith("json")
        if not (is_json or kind.startswith("text/") or kind.endswith("xml")):
            return
        body = response.body()
        if body is None:
            return
        # One character for each byte, so that all others stay as they are.
        text = unpacked(response.header("content-encoding"), body).decode("latin-1")
        masked = TOKEN.sub(in_token, text) if is_json else CARD.sub(stars, text)
        if masked != text:
            response.set_body(masked.encode("latin-1"))
            log.info("masked the number of a card")


def unpacked(encoding: str | None, body: bytes) -> bytes:
    if encoding is None or encoding.lower() == "identity":
        return body
    if encoding.lower() not in ("gzip", "x-gzip"):
        # The response is withheld.
        raise ValueError(f"cannot look into a body with content-encoding {encoding}")
    unpacking = zlib.decompressobj(wbits=31)
    plain = unpacking.decompress(body, LARGEST)
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError(f"a body that is not one whole gzip stream of up to {LARGEST} bytes")
    return plain


def in_token(token: Match[str]) -> str:
    text = token[0]
    if not text.startswith('"'):
        # A number that is masked becomes a string: it would be no JSON otherwise.
        card = CARD.fullmatch(text)
        masked = stars(card) if card else text
        return text if masked == text else f'"{masked}"'
    if "\\u" not in text:
        return CARD.sub(stars, text)
    # Digits may be written as \u0034, and what ends in digits may be none.
    units = UNIT.findall(text)
    for card in CARD.finditer("".join(map(meant, units))):
        for place, letter in enumerate(stars(card), card.start()):
            if letter == "*":
                units[place] = "*"
    return "".join(units)


def meant(unit: str) -> str:
    if not unit.startswith("\\u"):
        return unit[-1]
    number = int(unit[2:], 16)
    return chr(number) if number < 128 else "?"


def stars(card: Match[str]) -> str:
    text = card[0]
    if not has_check_digit(re.sub(r"\D", "", text)):
        return text
    return re.sub(r"\d", "*", text[:-4]) + text[-4:]


def has_check_digit(digits: str) -> bool:
    """Luhn's: of numbers that are none of cards, nine in ten fail it."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
