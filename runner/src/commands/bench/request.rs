//! What is sent: the configuration, the request, and the answers to the
//! questions of filters. Encoded once, before anything is measured.
//!
//! Must not know how often and over how many connections.

use std::path::Path;

use anyhow::{Context, Result, bail};
use protocol::gateway_side::{Asked, HttpReqCall, PrepareConf, RepeatedCall, encode_answer};
use protocol::{Entry, FrameBuilder};

use crate::cli::BenchOptions;

/// A browser's, behind a gateway; the names as the gateway sends them.
const HEADERS: [(&str, &str); 15] = [
    ("host", "shop.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "en-GB,en;q=0.7,de;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example.com/catalogue/shoes?page=2"),
    (
        "cookie",
        "session=4b1c7c1e9a5f4d0c8a53c1f2; theme=dark; consent=1; cart=17; \
         _ga=GA1.2.1187201234.1760000000; seen=shoes,jackets,trousers; last=2026-09-17T08:15:42",
    ),
    ("upgrade-insecure-requests", "1"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
    ("x-forwarded-for", "203.0.113.24"),
    ("x-forwarded-proto", "https"),
    ("x-request-id", "7d5e0ad4-3a52-4f0f-9d7e-9a4c6f0f2b11"),
    (
        "authorization",
        "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxNyIsIm5hbWUiOiJBZGEiLCJp\
         YXQiOjE3NjAwMDAwMDB9.bm90IGEgc2lnbmF0dXJlLCBidXQgYXMgbG9uZyBhcyBvbmU",
    ),
];

const ARGS: [(&str, &str); 5] = [
    ("page", "2"),
    ("q", "running shoes"),
    ("sort", "price-ascending"),
    ("colour", "blue"),
    ("session", "4b1c7c1e9a5f4d0c"),
];

/// Where the words above run out.
const MORE: &str = "a value of middling length 0123456789";

/// Everything that goes over a connection.
#[derive(Debug)]
pub(super) struct Traffic {
    /// The frame that is answered with a conf token.
    pub(super) prepare_conf: Vec<u8>,
    /// The request.
    pub(super) call: RepeatedCall,
    /// What filters are told.
    pub(super) answers: Answers,
}

impl Traffic {
    /// Encodes what the options describe.
    pub(super) fn new(options: &BenchOptions) -> Result<Self> {
        Ok(Self {
            prepare_conf: prepare_conf(options)?,
            call: call(options.headers, options.args)?,
            answers: Answers::new(options.body.as_deref())?,
        })
    }
}

fn prepare_conf(options: &BenchOptions) -> Result<Vec<u8>> {
    let confs = confs(options)?;
    let chain: Vec<Entry<'_>> = options
        .plugins
        .iter()
        .zip(confs.iter().cycle())
        .map(|(plugin, conf)| Entry::new(plugin, conf))
        .collect();
    let conf = chain.repeat(options.chain.get() as usize);
    let frame = PrepareConf {
        key: Some(b"route#1#ext-plugin-pre-req#1"),
        conf: &conf,
    };
    let mut builder = FrameBuilder::new();
    let frame = frame
        .encode(&mut builder)
        .context("the configuration cannot be sent")?;
    Ok(frame.to_vec())
}

/// One for each plugin, or one for all of them.
fn confs(options: &BenchOptions) -> Result<Vec<Vec<u8>>> {
    let (given, plugins) = (options.confs.len(), options.plugins.len());
    if given > 1 && given != plugins {
        bail!("{given} times --conf for {plugins} times --plugin: give one for all, or one each");
    }
    options.confs.iter().map(|conf| text_of(conf)).collect()
}

fn text_of(conf: &str) -> Result<Vec<u8>> {
    match conf.strip_prefix('@') {
        Some(file) => std::fs::read(file).with_context(|| format!("--conf {conf}")),
        None => Ok(conf.as_bytes().to_vec()),
    }
}

fn call(headers: usize, args: usize) -> Result<RepeatedCall> {
    let headers = entries(&HEADERS, "x-header", headers);
    let args = entries(&ARGS, "arg", args);
    let call = HttpReqCall {
        src_ip: &[203, 0, 113, 24],
        path: b"/catalogue/shoes",
        args: &borrowed(&args),
        headers: &borrowed(&headers),
        ..HttpReqCall::default()
    };
    RepeatedCall::new(&call).context("the request cannot be sent")
}

/// The first `count` of `known`, and made up ones behind them.
fn entries(known: &[(&str, &str)], stem: &str, count: usize) -> Vec<(String, String)> {
    let known = known
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let more = (1..).map(|number| (format!("{stem}-{number}"), MORE.to_owned()));
    known.chain(more).take(count).collect()
}

fn borrowed(entries: &[(String, String)]) -> Vec<Entry<'_>> {
    entries
        .iter()
        .map(|(name, value)| Entry::new(name, value))
        .collect()
}

/// Frames that answer questions.
#[derive(Debug)]
pub(super) struct Answers {
    variable: Vec<u8>,
    body: Vec<u8>,
    nothing: Vec<u8>,
}

impl Answers {
    fn new(body: Option<&Path>) -> Result<Self> {
        let body = body
            .map(|file| std::fs::read(file).with_context(|| format!("--body {}", file.display())))
            .transpose()?;
        let encoded = |result: Option<&[u8]>| {
            let mut builder = FrameBuilder::new();
            encode_answer(&mut builder, result)
                .map(<[u8]>::to_vec)
                .context("the body is too large for a frame")
        };
        Ok(Self {
            variable: encoded(Some(b"203.0.113.24"))?,
            body: encoded(body.as_deref())?,
            nothing: encoded(None)?,
        })
    }

    /// What the gateway would say, in kind.
    pub(super) fn to(&self, asked: &Asked) -> &[u8] {
        match asked {
            // No other plugin has rewritten the request.
            Asked::Var(name) if name == b"upstream_uri" => &self.nothing,
            Asked::Var(_) => &self.variable,
            Asked::ReqBody => &self.body,
            // There is no response in a request.
            Asked::RespBody => &self.nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::http_req_call::Req;

    #[test]
    fn a_request_should_have_as_many_headers_and_args_as_asked_for() {
        for (headers, args) in [(0, 0), (15, 5), (50, 20)] {
            let call = call(headers, args).expect("a call");
            let payload = call.frame()[protocol::frame::HEADER_LEN..].to_vec();
            let request = Req::decode(payload.into()).expect("a request");
            assert_eq!(request.headers().count(), headers);
            assert_eq!(request.args().count(), args);
        }
    }

    #[test]
    fn the_usual_request_should_keep_the_size_that_figures_are_compared_with() {
        let length = call(15, 5).expect("a call").frame().len();
        assert!((1560..=1600).contains(&length), "{length}");
    }
}
