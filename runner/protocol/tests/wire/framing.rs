//! Cutting frames out of a stream that arrives in any pieces.

use bytes::{Bytes, BytesMut};
use protocol::frame::{self, HEADER_LEN, MAX_PAYLOAD};
use protocol::{Frame, FrameError};

use crate::captured::corpus;

#[test]
fn a_frame_torn_anywhere_waits_and_then_comes_out_whole() {
    let corpus = corpus();
    for (name, bytes) in corpus.iter().filter(|(_, bytes)| bytes.len() < 1000) {
        for cut in 0..bytes.len() {
            let mut buffer = BytesMut::from(&bytes[..cut]);
            assert_eq!(frame::decode(&mut buffer), Ok(None), "{name} cut at {cut}");
            let missing = if cut < HEADER_LEN {
                HEADER_LEN - cut
            } else {
                bytes.len() - cut
            };
            assert_eq!(frame::missing(&buffer), missing, "{name} cut at {cut}");
            buffer.extend_from_slice(&bytes[cut..]);
            assert_eq!(frame::missing(&buffer), 0, "{name} cut at {cut}");
            let whole = frame::decode(&mut buffer)
                .expect("a good header")
                .expect("a whole frame");
            assert_eq!(whole.payload, bytes[HEADER_LEN..], "{name} cut at {cut}");
            assert!(buffer.is_empty(), "{name} cut at {cut}");
        }
    }
}

#[test]
fn frames_in_one_read_come_out_in_order() {
    let corpus = corpus();
    let mut buffer: BytesMut = corpus.values().flatten().copied().collect();
    for (name, bytes) in &corpus {
        let next = frame::decode(&mut buffer)
            .expect("a good header")
            .expect("a whole frame");
        let expected = Frame {
            rpc_type: bytes[0],
            payload: bytes[HEADER_LEN..].to_vec().into(),
        };
        assert_eq!(next, expected, "{name}");
    }
    assert_eq!(frame::decode(&mut buffer), Ok(None));
}

#[test]
fn a_header_alone_decides_what_it_can() {
    let largest = MAX_PAYLOAD;
    for (header, expected, missing) in [
        (&[][..], Ok(None), 4),
        (&[2, 0, 0], Ok(None), 1),
        (&[2, 0, 0, 1], Ok(None), 1),
        (&[9, 0, 0, 2, 0], Ok(None), 1),
        (&[4, 0xff, 0xff, 0xff], Ok(None), largest),
        (&[0, 0, 0, 0], Err(FrameError::Empty { rpc_type: 0 }), 0),
        (
            &[2, 0, 0, 0, 1, 2],
            Err(FrameError::Empty { rpc_type: 2 }),
            0,
        ),
    ] {
        let mut buffer = BytesMut::from(header);
        assert_eq!(frame::missing(&buffer), missing, "{header:?}");
        assert_eq!(frame::decode(&mut buffer), expected, "{header:?}");
        assert_eq!(buffer, header, "nothing is consumed");
    }
}

#[test]
fn a_type_without_meaning_is_still_a_frame() {
    let mut buffer = BytesMut::from(&[200, 0, 0, 2, 7, 8, 1][..]);
    let frame = frame::decode(&mut buffer).expect("in step").expect("whole");
    assert_eq!((frame.rpc_type, frame.known_type()), (200, None));
    assert_eq!(frame.payload, Bytes::from_static(&[7, 8]));
    assert_eq!(buffer, [1].as_slice(), "the next frame has begun");
}

/// Whoever follows `next_read` holds at most twice what was sent, and still
/// gets 16 MiB in few reads.
#[test]
fn memory_follows_what_has_arrived() {
    let mut arrived = vec![4, 0xff, 0xff, 0xff];
    let mut reads = 0;
    while frame::missing(&arrived) > 0 {
        let room = frame::next_read(&arrived);
        assert!(
            room <= arrived.len().max(16 * 1024),
            "{room} for {}",
            arrived.len()
        );
        arrived.resize(arrived.len() + room.min(frame::missing(&arrived)), 0);
        reads += 1;
    }
    assert!(reads <= 12, "{reads} reads");
    let mut buffer = BytesMut::from(&arrived[..]);
    let whole = frame::decode(&mut buffer)
        .expect("the largest is allowed")
        .expect("whole");
    assert_eq!(whole.payload.len(), MAX_PAYLOAD);
}
