//! What a filter is told to try: a line for each request, its fields between
//! tabs: method, URL, and any of `header NAME VALUE`, `body TEXT` and `timeout
//! MILLISECONDS`. And how what came of it is told. Must not know how a request is
//! sent.

/// One request.
#[derive(Default)]
pub(crate) struct Attempt {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
    pub(crate) timeout_ms: Option<u32>,
}

impl Attempt {
    /// All that a configuration names.
    pub(crate) fn all(text: &str) -> Result<Vec<Attempt>, String> {
        text.lines().map(Attempt::of).collect()
    }

    fn of(line: &str) -> Result<Self, String> {
        let mut fields = line.split('\t');
        let (Some(method), Some(url)) = (fields.next(), fields.next()) else {
            return Err("write METHOD and URL, with a tab between them".into());
        };
        let mut attempt = Attempt {
            method: method.to_owned(),
            url: url.to_owned(),
            ..Attempt::default()
        };
        for field in fields {
            attempt.set(field)?;
        }
        Ok(attempt)
    }

    fn set(&mut self, field: &str) -> Result<(), String> {
        let (what, rest) = field.split_once(' ').unwrap_or((field, ""));
        match what {
            "header" => {
                let (name, value) = rest.split_once(' ').unwrap_or((rest, ""));
                self.headers.push((name.to_owned(), value.to_owned()));
            }
            "body" => self.body = Some(rest.to_owned()),
            "timeout" => {
                let timeout = rest.parse().map_err(|_| "a timeout is milliseconds")?;
                self.timeout_ms = Some(timeout);
            }
            _ => return Err(["no such field: ", what].concat()),
        }
        Ok(())
    }
}

/// The status, and where it leads or else what it says.
pub(crate) fn told(status: u16, location: Option<&str>, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(body);
    [&status.to_string(), " ", location.unwrap_or(&body)].concat()
}
