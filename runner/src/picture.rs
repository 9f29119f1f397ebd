//! A request or a response before and after a filter, as a person reads it: in
//! lines, those that changed marked and coloured.
//!
//! Must not know what decided, nor where it is printed.

use std::fmt;

use anstyle::{AnsiColor, Style};
use gateway_model::query::{escape_path, join_target};
use gateway_model::{ClientResponse, HttpOutcome, HttpRequest, UpstreamRequest, UpstreamResponse};
use protocol::gateway_side::NamedValue;
use sandbox::is_unseen;

/// Lines of a body that are shown.
const BODY_LINES: usize = 16;

/// Bytes of a body that are shown.
const BODY_BYTES: usize = 2 << 10;

/// The lines to print.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Picture {
    lines: Vec<(Mark, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Same,
    Gone,
    New,
    Note,
}

impl Picture {
    /// Of a request and what becomes of it.
    #[must_use]
    pub fn of_request(before: &HttpRequest, after: &HttpOutcome) -> Self {
        let mut picture = Picture::default();
        match after {
            HttpOutcome::Upstream(after) => picture.passed(before, after),
            HttpOutcome::Client(response) => {
                picture.add(Mark::Same, request_line(before));
                picture.headers(&before.headers, &before.headers);
                picture.body(before.body.as_deref(), before.body.as_deref());
                picture.add(Mark::Note, "is stopped; the client gets");
                picture.add(Mark::New, response.status.to_string());
                picture.headers(&[], &response.headers);
                picture.body(None, Some(&response.body));
            }
        }
        picture
    }

    /// Of a request that comes to nothing.
    #[must_use]
    pub fn before_request(before: &HttpRequest) -> Self {
        let mut picture = Picture::default();
        picture.add(Mark::Same, request_line(before));
        picture.headers(&before.headers, &before.headers);
        picture.body(before.body.as_deref(), before.body.as_deref());
        picture.add(Mark::Note, "fails");
        picture
    }

    /// Of a response that comes to nothing.
    #[must_use]
    pub fn before_response(before: &UpstreamResponse) -> Self {
        let mut picture = Picture::default();
        picture.add(Mark::Same, before.status.to_string());
        picture.headers(&before.headers, &before.headers);
        picture.body(Some(&before.body), Some(&before.body));
        picture.add(Mark::Note, "fails");
        picture
    }

    /// Of a response and what the client gets of it.
    #[must_use]
    pub fn of_response(before: &UpstreamResponse, after: &ClientResponse) -> Self {
        let mut picture = Picture::default();
        let (old, new) = (before.status.to_string(), after.status.to_string());
        picture.changed(old, new);
        picture.headers(&before.headers, &after.headers);
        picture.body(Some(&before.body), Some(&after.body));
        picture.verdict("goes to the client");
        picture
    }

    fn passed(&mut self, before: &HttpRequest, after: &UpstreamRequest) {
        let line = format!("{} {}", after.method, text(&after.path_and_query));
        self.changed(request_line(before), line);
        self.headers(&before.headers, &after.headers);
        self.body(before.body.as_deref(), after.body.as_deref());
        self.verdict("goes to the upstream");
        if !after.response_headers.is_empty() {
            self.add(Mark::Note, "and the response to it will have");
            self.headers(&[], &after.response_headers);
        }
    }

    fn verdict(&mut self, goes: &str) {
        let unchanged = self.lines.iter().all(|(mark, _)| *mark == Mark::Same);
        let how = if unchanged {
            "as it is"
        } else {
            "with these changes"
        };
        self.add(Mark::Note, format!("{goes} {how}"));
    }

    fn add(&mut self, mark: Mark, line: impl Into<String>) {
        self.lines.push((mark, line.into()));
    }

    fn changed(&mut self, before: String, after: String) {
        if before == after {
            self.add(Mark::Same, before);
        } else {
            self.add(Mark::Gone, before);
            self.add(Mark::New, after);
        }
    }

    /// Names whose values are not the same before and after are shown as gone
    /// and new, each in one piece.
    fn headers(&mut self, before: &[NamedValue], after: &[NamedValue]) {
        let same = |name: &[u8]| values(before, name) == values(after, name);
        for header in before {
            let mark = if same(&header.name) {
                Mark::Same
            } else {
                Mark::Gone
            };
            self.add(mark, header_line(header));
        }
        for header in after.iter().filter(|header| !same(&header.name)) {
            self.add(Mark::New, header_line(header));
        }
    }

    fn body(&mut self, before: Option<&[u8]>, after: Option<&[u8]>) {
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        if before == after {
            return self.body_lines(Mark::Same, before);
        }
        self.body_lines(Mark::Gone, before);
        self.body_lines(Mark::New, after);
    }

    fn body_lines(&mut self, mark: Mark, body: &[u8]) {
        if body.is_empty() {
            return;
        }
        self.add(Mark::Same, "");
        let shown = &body[..body.len().min(BODY_BYTES)];
        let is_text = |character: char| !character.is_control() || "\t\r\n".contains(character);
        let text = String::from_utf8_lossy(shown);
        if shown.len() == body.len() && !text.chars().all(is_text) {
            return self.add(mark, format!("({} bytes)", body.len()));
        }
        for line in text.lines().take(BODY_LINES) {
            self.add(
                mark,
                line.escape_debug()
                    .to_string()
                    .replace("\\\"", "\"")
                    .replace("\\'", "'"),
            );
        }
        if shown.len() < body.len() || text.lines().nth(BODY_LINES).is_some() {
            self.add(mark, format!("... ({} bytes)", body.len()));
        }
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (mark, line) in &self.lines {
            let (sign, style) = match mark {
                Mark::Same => (' ', Style::new()),
                Mark::Gone => ('-', AnsiColor::Red.on_default()),
                Mark::New => ('+', AnsiColor::Green.on_default()),
                Mark::Note => ('=', Style::new().bold()),
            };
            match line.as_str() {
                "" => writeln!(f)?,
                line => writeln!(f, "  {style}{sign} {line}{style:#}")?,
            }
        }
        Ok(())
    }
}

fn request_line(request: &HttpRequest) -> String {
    let target = request.upstream_uri.clone();
    let target = target.unwrap_or_else(|| join_target(&escape_path(&request.path), &request.args));
    format!("{} {}", request.method, text(&target))
}

fn header_line(header: &NamedValue) -> String {
    let value = header.value.as_deref().unwrap_or_default();
    format!("{}: {}", text(&header.name), text(value))
}

fn values<'a>(headers: &'a [NamedValue], name: &[u8]) -> Vec<Option<&'a [u8]>> {
    let named = headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(name));
    named.map(|header| header.value.as_deref()).collect()
}

/// What came from outside cannot move the cursor.
fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .flat_map(|character| match is_unseen(character) {
            true => character.escape_default().collect::<Vec<_>>(),
            false => vec![character],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_model::request_phase::apply;
    use protocol::gateway_side::HttpAction;

    fn plain(picture: &Picture) -> String {
        anstream::adapter::strip_str(&picture.to_string()).to_string()
    }

    #[test]
    fn a_request_should_be_shown_with_what_changed() {
        let request = HttpRequest::new("POST", "/a b?x=1")
            .header("x-old", "1")
            .header("x-kept", "\x1b[2J")
            .body("one\ntwo");
        let action = HttpAction::Rewrite {
            path: None,
            headers: vec![NamedValue::new("X-New", "2"), NamedValue::bare("x-old")],
            args: vec![NamedValue::new("x", "2")],
            resp_headers: vec![NamedValue::new("X-Later", "3")],
            body: None,
        };
        let picture = Picture::of_request(&request, &apply(action, &request, true));
        assert_eq!(
            plain(&picture),
            "  - POST /a%20b?x=1\n  + POST /a%20b?x=2\n    host: gateway.test\n  - x-old: 1\n    \
             x-kept: \\u{1b}[2J\n  + X-New: 2\n\n    one\n    two\n  = goes to the upstream with \
             these changes\n  = and the response to it will have\n  + x-later: 3\n"
        );
        let same = Picture::of_request(&request, &apply(HttpAction::None, &request, true));
        assert!(plain(&same).ends_with("= goes to the upstream as it is\n"));
    }

    #[test]
    fn a_response_should_be_shown_with_what_changed() {
        let before = UpstreamResponse::new(200, "\0\x01");
        let after = ClientResponse {
            status: 404,
            headers: vec![
                NamedValue::new("content-type", "text/html"),
                NamedValue::new("content-length", "3"),
            ],
            body: b"new".to_vec(),
        };
        assert_eq!(
            plain(&Picture::of_response(&before, &after)),
            "  - 200\n  + 404\n    Content-Type: text/html\n  - Content-Length: 2\n  + \
             content-length: 3\n\n  - (2 bytes)\n\n  + new\n  = goes to the client with these \
             changes\n"
        );
    }
}
