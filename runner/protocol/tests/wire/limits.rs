//! The size rule, at its edge and far beyond it.

use protocol::frame::{HEADER_LEN, MAX_PAYLOAD};
use protocol::gateway_side::{self, HttpAction, Reply, decode_reply};
use protocol::http_req_call::{self, Action, Rewrite, Stop};
use protocol::{EncodeError, Entry, FrameBuilder, extra_info, http_resp_call};

use crate::describe::framed;

/// FlatBuffers are padded to four bytes, so the largest payload we write is
/// three bytes short of the limit.
#[test]
fn the_largest_reply_goes_out_and_one_byte_more_is_refused() {
    let body = vec![b'x'; MAX_PAYLOAD];
    let mut frame = FrameBuilder::new();
    let mut stop_of = |length: usize| {
        let stop = Stop {
            status: 200,
            headers: &[],
            body: &body[..length],
        };
        http_req_call::encode_reply(&mut frame, 1, Action::Stop(&stop)).map(<[u8]>::to_vec)
    };
    let overhead = stop_of(1003).expect("small").len() - HEADER_LEN - 1003;
    let largest = MAX_PAYLOAD - 3 - overhead;
    let bytes = stop_of(largest).expect("the largest body");
    assert_eq!(bytes.len(), HEADER_LEN + MAX_PAYLOAD - 3);
    let Ok(Reply::HttpReqCall {
        action: HttpAction::Stop { body, .. },
        ..
    }) = decode_reply(framed(&bytes))
    else {
        panic!("not a Stop");
    };
    assert_eq!(body.map(|body| body.len()), Some(largest));
    let over = EncodeError::TooLarge {
        at_least: MAX_PAYLOAD + 1,
    };
    assert_eq!(stop_of(largest + 1), Err(over));
    assert!(stop_of(1003).is_ok(), "the builder survives a refusal");
}

#[test]
fn every_writer_refuses_what_no_frame_carries() {
    // Slices may overlap: 3 GiB to write, 16 MiB of memory.
    let large = vec![b'x'; MAX_PAYLOAD];
    let headers = [Entry::new(&large, &large); 96];
    let many = vec![Entry::new("n", ""); MAX_PAYLOAD / 13 + 1];
    let too_large = |result: Result<&[u8], EncodeError>| {
        assert!(
            matches!(result, Err(EncodeError::TooLarge { .. })),
            "{:?}",
            result.map(<[u8]>::len)
        );
    };
    let frame = &mut FrameBuilder::new();
    for list in [&headers[..], &many] {
        let stop = Stop {
            status: 0,
            headers: list,
            body: &large,
        };
        too_large(http_req_call::encode_reply(frame, 1, Action::Stop(&stop)));
        let rewrite = Rewrite {
            args: list,
            ..Rewrite::default()
        };
        too_large(http_req_call::encode_reply(
            frame,
            1,
            Action::Rewrite(&rewrite),
        ));
        let edits = http_resp_call::Edits {
            headers: list,
            ..Default::default()
        };
        too_large(http_resp_call::encode_reply(frame, 1, &edits));
        too_large(
            gateway_side::PrepareConf {
                conf: list,
                key: None,
            }
            .encode(frame),
        );
        too_large(
            gateway_side::HttpReqCall {
                args: list,
                ..Default::default()
            }
            .encode(frame),
        );
        too_large(
            gateway_side::HttpRespCall {
                headers: list,
                ..Default::default()
            }
            .encode(frame),
        );
    }
    too_large(extra_info::encode_question(
        frame,
        extra_info::Question::Var(&large),
    ));
    too_large(gateway_side::encode_answer(frame, Some(&large)));
}
