//! Which configurations are taken, and what the error names where they are not.

use crate::config;

#[track_caller]
fn refused(text: &str, reason: &str) {
    let error = config::parse(text).err();
    assert_eq!(error.as_deref(), Some(reason), "for {text}");
}

#[test]
fn what_is_no_object_is_refused() {
    refused("", "expected an object");
    refused("[]", "expected an object");
    refused("{", "expected a string");
    refused("{} x", "not JSON at byte 3");
    refused(r#"{"body" true}"#, "not JSON at byte 8");
    refused(r#"{"body":true "vars":[]}"#, "not JSON at byte 13");
    refused(r#"{"body":true,}"#, "expected a string");
}

#[test]
fn an_unknown_key_is_named() {
    refused(r#"{"set_pth": "/"}"#, "set_pth: unknown key");
    refused(r#"{"set_status": 200}"#, "set_status: unknown key");
    refused(
        r#"{"response": {"status": 200}}"#,
        "response: status: unknown key",
    );
}

#[test]
fn a_wrong_type_names_its_key() {
    refused(r#"{"report": 1}"#, "report: expected a string");
    refused(r#"{"report": null}"#, "report: expected a string");
    refused(r#"{"body": "yes"}"#, "body: expected true or false");
    refused(r#"{"vars": {}}"#, "vars: expected a list of strings");
    refused(r#"{"vars": [1]}"#, "vars: expected a string");
    refused(r#"{"set_headers": []}"#, "set_headers: expected an object");
    refused(
        r#"{"set_headers": {"x": 1}}"#,
        "set_headers: x: expected a string",
    );
    refused(r#"{"response": true}"#, "response: expected an object");
    refused(
        r#"{"response": {"set_status": "200"}}"#,
        "response: set_status: expected a number from 0 to 65535",
    );
    for number in [r#""200""#, "200.0", "2e2", "-1", "65536", "0200", ""] {
        let text = [r#"{"status": "#, number, "}"].concat();
        refused(&text, "status: expected a number from 0 to 65535");
    }
}

#[test]
fn strings_may_hold_escapes() {
    let table = [
        (r#""plain ä""#, "plain ä"),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e4\u20AC""#, "Aä€"),
        (r#""\ud83d\ude00!""#, "😀!"),
    ];
    for (json, expected) in table {
        let config = config::parse(&[r#"{ "set_body" : "#, json, " }\n"].concat());
        let body = config.map(|config| config.edits.set_body);
        assert_eq!(body, Ok(Some(expected.to_owned())), "for {json}");
    }
}

#[test]
fn broken_strings_are_refused() {
    for string in [
        r#""open"#,
        r#""\x""#,
        r#""\ä""#,
        r#""\u12""#,
        r#""\u12ä4""#,
        r#""\ud83d""#,
        r#""\ud83dA""#,
        r#""\ud83d\u0041""#,
        r#""\ude00""#,
        "\"line\nbreak\"",
    ] {
        let error = config::parse(&[r#"{"set_body":"#, string, "}"].concat()).err();
        let error = error.unwrap_or_default();
        assert!(
            error.starts_with("set_body: not JSON at byte "),
            "{string}: {error}"
        );
    }
}
