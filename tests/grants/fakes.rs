//! What stands behind the ports: another server that says what it is told to, a
//! store in memory, and a call about nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use runner::config::Environment;
use sandbox::{
    Answer, Gateway, GatewayError, Grants, KeyValue, KeyValueError, Outbound, OutboundError,
    OutboundRequest, OutboundResponse, Question, RequestSource, Secrets, Sending, Stored, VisitArg,
    VisitHeader,
};

/// Answers every request alike, after some time.
pub(crate) struct Server {
    pub(crate) result: Result<OutboundResponse, OutboundError>,
    pub(crate) after: Duration,
    pub(crate) asked: Mutex<Vec<OutboundRequest>>,
}

impl Server {
    pub(crate) fn answering(result: Result<OutboundResponse, OutboundError>) -> Arc<Self> {
        Server::slowly(result, Duration::ZERO)
    }

    pub(crate) fn slowly(
        result: Result<OutboundResponse, OutboundError>,
        after: Duration,
    ) -> Arc<Self> {
        Arc::new(Server {
            result,
            after,
            asked: Mutex::default(),
        })
    }
}

impl Outbound for Server {
    fn send(&self, request: OutboundRequest) -> Sending<'_> {
        self.asked.lock().expect("not poisoned").push(request);
        Box::pin(async {
            tokio::time::sleep(self.after).await;
            self.result.clone()
        })
    }
}

pub(crate) fn response(status: u16, body: &'static str) -> OutboundResponse {
    OutboundResponse {
        status,
        headers: vec![("x-of".into(), b"the server".to_vec())],
        body: Bytes::from_static(body.as_bytes()),
    }
}

/// Numbers and texts, and what was asked of it.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) values: Mutex<BTreeMap<String, Bytes>>,
    pub(crate) asked: Mutex<Vec<String>>,
    /// How long every answer takes.
    pub(crate) after: Duration,
}

impl Store {
    fn note(&self, asked: String) {
        self.asked.lock().expect("not poisoned").push(asked);
    }

    fn slowly<'a, T: Send + 'a>(&'a self, result: Result<T, KeyValueError>) -> Stored<'a, T> {
        Box::pin(async {
            tokio::time::sleep(self.after).await;
            result
        })
    }
}

impl KeyValue for Store {
    fn get<'a>(&'a self, key: &'a str) -> Stored<'a, Option<Bytes>> {
        self.note(format!("get {key}"));
        let value = self.values.lock().expect("not poisoned").get(key).cloned();
        self.slowly(Ok(value))
    }

    fn set<'a>(&'a self, key: &'a str, value: Bytes, lifetime: Option<Duration>) -> Stored<'a, ()> {
        self.note(format!("set {key} {lifetime:?}"));
        let mut values = self.values.lock().expect("not poisoned");
        values.insert(key.to_owned(), value);
        self.slowly(Ok(()))
    }

    fn remove<'a>(&'a self, key: &'a str) -> Stored<'a, ()> {
        self.note(format!("remove {key}"));
        self.values.lock().expect("not poisoned").remove(key);
        self.slowly(Ok(()))
    }

    fn increment<'a>(
        &'a self,
        key: &'a str,
        by: i64,
        lifetime: Option<Duration>,
    ) -> Stored<'a, i64> {
        self.note(format!("increment {key} {by} {lifetime:?}"));
        let mut values = self.values.lock().expect("not poisoned");
        let number = values.get(key).map_or(Some(0), |value| {
            std::str::from_utf8(value).ok()?.parse::<i64>().ok()
        });
        let sum = number.map(|number| number + by);
        let sum = sum.ok_or_else(|| KeyValueError::NotANumber(format!("{key} is no number")));
        if let Ok(sum) = sum {
            values.insert(key.to_owned(), sum.to_string().into());
        }
        self.slowly(sum)
    }
}

pub(crate) fn secrets(values: &[(&str, &str)]) -> Arc<Secrets> {
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Arc::new(values.iter().map(pair).collect())
}

/// Every grant there is.
pub(crate) fn everything() -> Grants {
    Grants {
        http: Some(Server::answering(Ok(response(200, "")))),
        key_value: Some(Arc::new(Store::default())),
        secrets: Some(secrets(&[])),
        ..Grants::none()
    }
}

/// Always the same.
pub(crate) struct Request;

impl RequestSource for Request {
    fn id(&self) -> u32 {
        7
    }

    fn method(&self) -> &str {
        "GET"
    }

    fn source_address(&self) -> &[u8] {
        &[192, 0, 2, 7]
    }

    fn path(&self) -> &[u8] {
        b"/"
    }

    fn visit_headers(&self, visit: &mut VisitHeader<'_>) {
        visit(b"authorization", b"Bearer 7");
    }

    fn visit_args(&self, _: &mut VisitArg<'_>) {}
}

/// Nobody asks it.
pub(crate) struct NoGateway;

impl Gateway for NoGateway {
    fn ask<'a>(
        &'a self,
        _: &'a [Question<'a>],
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Vec<Answer>, GatewayError>> + Send + 'a>>
    {
        Box::pin(std::future::ready(Err(GatewayError::Gone)))
    }
}

/// An environment without anything.
pub(crate) struct Nothing;

impl Environment for Nothing {
    fn get(&self, _: &str) -> Option<String> {
        None
    }
}
