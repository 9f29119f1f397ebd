//! A request before and after, as a person reads it: the request in lines,
//! those that changed marked and coloured. What the gateway would do with the
//! reply is told here in short; the tests hold a complete model of it.

use std::fmt;

use anstyle::{AnsiColor, Style};
use protocol::Entry;
use protocol::gateway_side::{HttpAction, NamedValue, Reply};
use protocol::http_req_call::Req;

/// The lines to print.
pub(super) struct Picture {
    lines: Vec<(Mark, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Same,
    Gone,
    New,
    Note,
}

impl Picture {
    pub(super) fn new(before: &Req, after: &Reply) -> Self {
        let mut picture = Picture { lines: Vec::new() };
        match after {
            Reply::HttpReqCall {
                action: HttpAction::None,
                ..
            } => {
                picture.request(before, None);
                picture.add(Mark::Note, "goes to the upstream as it is");
            }
            Reply::HttpReqCall {
                action: action @ HttpAction::Rewrite { .. },
                ..
            } => {
                picture.request(before, Some(action));
                picture.add(Mark::Note, "goes to the upstream with these changes");
            }
            Reply::HttpReqCall {
                action:
                    HttpAction::Stop {
                        status,
                        headers,
                        body,
                    },
                ..
            } => {
                picture.request(before, None);
                picture.add(Mark::Note, "is stopped; the client gets");
                picture.add(Mark::New, format!("{status}"));
                picture.headers(Mark::New, headers);
                picture.add(Mark::New, text(body.as_deref().unwrap_or_default()));
            }
            other => picture.add(Mark::Note, format!("the runner answers {other:?}")),
        }
        picture
    }

    fn add(&mut self, mark: Mark, line: impl Into<String>) {
        self.lines.push((mark, line.into()));
    }

    fn request(&mut self, before: &Req, rewrite: Option<&HttpAction>) {
        let old_line = request_line(before, before.path().unwrap_or_default(), &[]);
        let Some(HttpAction::Rewrite {
            path,
            headers,
            args,
            ..
        }) = rewrite
        else {
            self.add(Mark::Same, old_line);
            return self.kept_headers(before, &[]);
        };
        let path = path.as_deref().or(before.path()).unwrap_or_default();
        let new_line = request_line(before, path, args);
        if old_line == new_line {
            self.add(Mark::Same, old_line);
        } else {
            self.add(Mark::Gone, old_line);
            self.add(Mark::New, new_line);
        }
        self.kept_headers(before, headers);
        self.headers(Mark::New, headers);
    }

    fn kept_headers(&mut self, before: &Req, replaced: &[NamedValue]) {
        for entry in before.headers() {
            let changed = replaced
                .iter()
                .any(|new| new.name.eq_ignore_ascii_case(entry.name));
            let line = format!(
                "{}: {}",
                text(entry.name),
                text(entry.value.unwrap_or_default())
            );
            self.add(if changed { Mark::Gone } else { Mark::Same }, line);
        }
    }

    fn headers(&mut self, mark: Mark, headers: &[NamedValue]) {
        for header in headers {
            if let Some(value) = &header.value {
                self.add(mark, format!("{}: {}", text(&header.name), text(value)));
            }
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
            writeln!(f, "  {style}{sign} {line}{style:#}")?;
        }
        Ok(())
    }
}

/// Method, path and query as they would be with these argument changes.
fn request_line(request: &Req, path: &[u8], args: &[NamedValue]) -> String {
    let touched = |name: &[u8]| args.iter().any(|new| new.name == name);
    let kept = request.args().filter(|old| !touched(old.name));
    let new = args.iter().filter(|new| new.value.is_some());
    let new = new.map(|new| Entry {
        name: &new.name,
        value: new.value.as_deref(),
    });
    let query: Vec<String> = kept.chain(new).map(|arg| argument(&arg)).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    let method = request.method().unwrap_or("?");
    format!("{method} {}{mark}{}", text(path), query.join("&"))
}

fn argument(arg: &Entry<'_>) -> String {
    match arg.value {
        Some(value) => format!("{}={}", text(arg.name), text(value)),
        None => text(arg.name),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
