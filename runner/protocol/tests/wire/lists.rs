//! Lists far longer, and entries far smaller, than usual: the verifier's bounds
//! must leave room for them.

use protocol::gateway_side::{self, HttpAction};
use protocol::http_req_call::{self, Action, Rewrite};
use protocol::{Entry, FrameBuilder, prepare_conf};

use crate::describe::framed;
use crate::round_trip::{check_action, owned};

/// The gateway sends at most a hundred headers, but as many arguments as the
/// client likes.
#[test]
fn five_thousand_entries_pass_both_ways() {
    let names: Vec<_> = (0..5000).map(|n| format!("n{n}")).collect();
    let entries: Vec<_> = names.iter().map(|name| Entry::new(name, "v")).collect();
    let frame = &mut FrameBuilder::new();
    let call = gateway_side::HttpReqCall {
        args: &entries,
        headers: &entries,
        ..Default::default()
    };
    let sent = framed(call.encode(frame).expect("fits"));
    let call = http_req_call::Req::decode(sent.payload).expect("well formed");
    assert!(call.args().eq(entries.iter().copied()) && call.headers().eq(entries.iter().copied()));
    let rewrite = Rewrite {
        headers: &entries,
        args: &entries,
        ..Rewrite::default()
    };
    let lists = owned(&entries);
    check_action(
        Action::Rewrite(&rewrite),
        HttpAction::Rewrite {
            path: None,
            headers: lists.clone(),
            args: lists,
            resp_headers: vec![],
            body: None,
        },
    );
}

#[test]
fn lists_of_the_smallest_entries_are_read() {
    for entry in [
        Entry::bare(""),
        Entry::new("", ""),
        Entry::new("n", ""),
        Entry::new("n", "v"),
    ] {
        for count in [1, 2, 100, 5000] {
            let conf = vec![entry; count];
            let frame = &mut FrameBuilder::new();
            let sent = gateway_side::PrepareConf {
                key: None,
                conf: &conf,
            }
            .encode(frame);
            let req = prepare_conf::Req::decode(framed(sent.expect("fits")).payload);
            assert!(
                req.expect("well formed").conf().eq(conf.iter().copied()),
                "{count} x {entry:?}"
            );
        }
    }
}
