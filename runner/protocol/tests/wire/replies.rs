//! Replies that the gateway would misread never leave the runner.

use protocol::gateway_side::{HttpAction, Reply, decode_reply};
use protocol::http_req_call::{self, Action, Rewrite, Stop};
use protocol::http_resp_call::{self, Edits};
use protocol::{EncodeError, Entry, FrameBuilder};

use crate::describe::framed;

#[test]
fn what_the_gateway_would_misread_is_refused() {
    let nameless = [Entry::new("a", "b"), Entry::new("", "b")];
    let no_host = [Entry::bare("HOST")];
    let none = Rewrite::default;
    let empty_name = |list| EncodeError::EmptyName { list };
    for (rewrite, expected) in [
        (
            Rewrite {
                path: Some(b""),
                ..none()
            },
            EncodeError::EmptyPath,
        ),
        (
            Rewrite {
                body: Some(b""),
                ..none()
            },
            EncodeError::EmptyBody,
        ),
        (
            Rewrite {
                headers: &no_host,
                ..none()
            },
            EncodeError::HostRemoved,
        ),
        (
            Rewrite {
                headers: &nameless,
                ..none()
            },
            empty_name("headers"),
        ),
        (
            Rewrite {
                args: &nameless,
                ..none()
            },
            empty_name("args"),
        ),
        (
            Rewrite {
                resp_headers: &nameless,
                ..none()
            },
            empty_name("resp_headers"),
        ),
    ] {
        check(Action::Rewrite(&rewrite), Err(expected));
    }
    let stop = Stop {
        headers: &nameless,
        ..Stop::default()
    };
    check(Action::Stop(&stop), Err(empty_name("headers")));

    let frame = &mut FrameBuilder::new();
    let edits = Edits {
        headers: &nameless,
        ..Edits::default()
    };
    assert_eq!(
        http_resp_call::encode_reply(frame, 1, &edits),
        Err(empty_name("headers"))
    );
    let edits = Edits {
        body: Some(b""),
        ..Edits::default()
    };
    assert_eq!(
        http_resp_call::encode_reply(frame, 1, &edits),
        Err(EncodeError::EmptyBody)
    );
}

#[test]
fn what_is_absent_or_empty_is_left_out() {
    check(Action::None, Ok(HttpAction::None));
    check(Action::Rewrite(&Rewrite::default()), Ok(HttpAction::None));
    let empty = HttpAction::Stop {
        status: 0,
        headers: vec![],
        body: None,
    };
    check(Action::Stop(&Stop::default()), Ok(empty));

    let frame = &mut FrameBuilder::new();
    let reply = http_resp_call::encode_reply(frame, 0, &Edits::default()).expect("small");
    assert_eq!(
        reply,
        [4, 0, 0, 12, 8, 0, 0, 0, 4, 0, 4, 0, 4, 0, 0, 0],
        "an empty table"
    );
}

/// A host that is replaced, a response header or an argument that is removed
/// are all fine.
#[test]
fn the_guards_do_not_reach_further_than_they_must() {
    let host = [Entry::new("Host", "example.com")];
    let bare = [Entry::bare("host")];
    let empty = [Entry::new("x", "")];
    for rewrite in [
        Rewrite {
            headers: &host,
            ..Rewrite::default()
        },
        Rewrite {
            headers: &empty,
            ..Rewrite::default()
        },
        Rewrite {
            args: &bare,
            ..Rewrite::default()
        },
        Rewrite {
            resp_headers: &bare,
            ..Rewrite::default()
        },
    ] {
        let frame = &mut FrameBuilder::new();
        let reply = http_req_call::encode_reply(frame, 1, Action::Rewrite(&rewrite));
        assert!(reply.is_ok(), "{rewrite:?}");
    }
}

fn check(action: Action<'_>, expected: Result<HttpAction, EncodeError>) {
    let mut frame = FrameBuilder::new();
    let action =
        http_req_call::encode_reply(&mut frame, 7, action).map(|bytes| {
            match decode_reply(framed(bytes)) {
                Ok(Reply::HttpReqCall { id: 7, action }) => action,
                other => panic!("{other:?} is not the reply to call 7"),
            }
        });
    assert_eq!(action, expected);
}
