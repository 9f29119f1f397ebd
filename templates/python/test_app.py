"""Tests of the filter as ordinary Python: `python3 -m unittest`, or pytest.

The host is not there, so a test brings the request. What the built component
does is in cases.yaml: `runner test .`.
"""

import unittest
from unittest.mock import Mock

from apisix_filter import NEXT, Stop
from app import MyFilter

CONFIGURATION = '{"header": "x-team", "value": "blue", "deny": "/admin"}'


def configured(text: str = CONFIGURATION) -> MyFilter:
    made = MyFilter()
    made.configure(text)
    return made


def a_request(path: str, language: str | None = None) -> Mock:
    request = Mock()
    request.path.return_value = path
    request.arg.return_value = language
    return request


class OnRequest(unittest.TestCase):
    def test_sets_the_header_and_goes_on(self) -> None:
        request = a_request("/hello", language="EN-gb")
        self.assertIs(configured().on_request(request), NEXT)
        request.set_header.assert_called_once_with("x-team", "blue")
        request.set_arg.assert_called_once_with("lang", "en-gb")

    def test_stops_what_is_denied(self) -> None:
        verdict = configured().on_request(a_request("/admin/users"))
        assert isinstance(verdict, Stop)
        self.assertEqual(verdict.status, 403)
        self.assertEqual(verdict.body, b"/admin/users is not for you\n")


class Configure(unittest.TestCase):
    def test_says_what_is_missing(self) -> None:
        with self.assertRaisesRegex(ValueError, "value"):
            configured('{"header": "x-team"}')


if __name__ == "__main__":
    unittest.main()
