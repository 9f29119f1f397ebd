//! PrepareConf: who gets which token, and what a token stands for.

use std::collections::HashSet;

use harness::WireClient;
use protocol::gateway_side::{HttpAction, HttpReqCall, PrepareConf, Reply};
use protocol::{Entry, FrameBuilder};

use crate::{connect, exchange, runner};

/// Ten PrepareConf at the same time, each on a connection of its own.
pub(crate) struct TokenRow {
    pub(crate) from: &'static str,
    what: &'static str,
    /// The gateway's key and the configuration of `probe`, by number.
    prepare: fn(usize) -> (Option<String>, Option<String>),
    /// How many different tokens come of it.
    tokens: usize,
}

const TOGETHER: usize = 10;

fn adding(value: usize) -> Option<String> {
    Some(format!(r#"{{"set_headers":{{"x":"{value}"}}}}"#))
}

pub(crate) const TOKENS: &[TokenRow] = &[
    TokenRow {
        from: "Go TestPrepareConf, TestPrepareConfConcurrentlyWithoutKey",
        what: "no key, no conf: one token, a departure (ten there)",
        prepare: |_| (None, None),
        tokens: 1,
    },
    TokenRow {
        from: "Go TestPrepareConfConcurrentlyWithTheSameKey",
        what: "one key, one content: one token",
        prepare: |_| (Some("key".into()), adding(0)),
        tokens: 1,
    },
    TokenRow {
        from: "Go TestPrepareConfConcurrentlyWithTheSameKey",
        what: "one key, ten contents: ten tokens, a departure (one there)",
        prepare: |number| (Some("key".into()), adding(100 + number)),
        tokens: 10,
    },
    TokenRow {
        from: "Go TestPrepareConfConcurrentlyWithTheDifferentKey",
        what: "ten keys, one content: one token, a departure (ten there)",
        prepare: |number| (Some(number.to_string()), adding(1)),
        tokens: 1,
    },
    TokenRow {
        from: "APISIX sanity 17",
        what: "the keys of routes and of global rules are alike",
        prepare: |number| match number % 2 {
            0 => (Some("route#1#ext-plugin-pre-req#1".into()), adding(2)),
            _ => (
                Some("global_rule#1#ext-plugin-post-req#1".into()),
                adding(2),
            ),
        },
        tokens: 1,
    },
    TokenRow {
        from: "Java conf-handler fetch-more-times; Python test_cache, test_set_config_by_token",
        what: "ten keys, ten contents: ten tokens",
        prepare: |number| (Some(number.to_string()), adding(200 + number)),
        tokens: 10,
    },
];

fn prepare(client: &mut WireClient, key: Option<String>, conf: Option<String>) -> u32 {
    let entry = conf.as_deref().map(|conf| Entry::new("probe", conf));
    let request = PrepareConf {
        key: key.as_deref().map(str::as_bytes),
        conf: entry.as_slice(),
    };
    let mut builder = FrameBuilder::new();
    match client.exchange(request.encode(&mut builder).expect("frame")) {
        Ok(Reply::PrepareConf { conf_token }) => conf_token,
        other => panic!("{other:?} instead of a token"),
    }
}

/// What a call on a token does to the request header `x`.
fn call(client: &mut WireClient, conf_token: u32) -> Option<Vec<u8>> {
    let call = HttpReqCall {
        id: 233,
        path: b"/",
        conf_token,
        ..HttpReqCall::default()
    };
    let mut builder = FrameBuilder::new();
    match exchange(client, call.encode(&mut builder).expect("frame")) {
        Ok(Reply::HttpReqCall {
            id: 233,
            action: HttpAction::None,
        }) => None,
        Ok(Reply::HttpReqCall {
            id: 233,
            action: HttpAction::Rewrite { mut headers, .. },
        }) => headers.pop().expect("x").value,
        other => panic!("token {conf_token}: {other:?}"),
    }
}

/// Go TestGetRuleConfCheckConf; Java conf-handler add; Python test_get_config_by_token
#[test]
fn equal_configurations_should_share_a_token_whatever_their_keys() {
    let runner = runner();
    for row in TOKENS {
        let prepare_and_call = |number| {
            let mut client = connect(&runner);
            let (key, conf) = (row.prepare)(number);
            let token = prepare(&mut client, key, conf.clone());
            let value =
                call(&mut client, token).map(|value| String::from_utf8(value).expect("UTF-8"));
            let expected = value.is_none() == conf.is_none()
                && value.is_none_or(|value| {
                    conf.is_some_and(|conf| conf.contains(&format!(r#""{value}""#)))
                });
            assert!(expected, "{}: {}: {number}", row.from, row.what);
            token
        };
        let tokens: HashSet<u32> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..TOGETHER)
                .map(|number| scope.spawn(move || prepare_and_call(number)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        assert_eq!(tokens.len(), row.tokens, "{}: {}", row.from, row.what);
    }
}

/// APISIX conf_token 2; Java conf-handler fetch-more-times; Java call-handler
/// filter-and-config
#[test]
fn a_token_should_serve_every_connection_and_every_time() {
    let runner = runner();
    let mut workers = [connect(&runner), connect(&runner), connect(&runner)];
    let token = prepare(&mut workers[0], Some("key".into()), adding(7));
    for round in 0..34 {
        for (worker, client) in workers.iter_mut().enumerate() {
            let value = call(client, token);
            assert_eq!(
                value.as_deref(),
                Some(&b"7"[..]),
                "worker {worker}, round {round}"
            );
        }
    }
}
