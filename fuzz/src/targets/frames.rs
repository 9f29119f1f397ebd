//! The frame codec: a stream of bytes, cut into reads of any size, gives the
//! frames that a look at the whole stream gives, and no read is asked to
//! reserve what has not been earned.
//!
//! Must not know what a payload means.

use bytes::BytesMut;
use protocol::frame::{self, HEADER_LEN};
use protocol::{Frame, FrameError};

use super::Depth;
use crate::input::Input;

/// Most that may be reserved while less than that has arrived.
const FIRST_READ: usize = 16 * 1024;

/// Headers.
pub const WORDS: &[&[u8]] = &[
    &[0, 0, 0, 0],
    &[2, 0, 0, 1],
    &[2, 0, 0, 1, 7],
    &[4, 0, 1, 0],
    &[1, 0xff, 0xff, 0xff],
    &[0xff, 0, 0, 4],
    &[3, 0, 0, 5, 1, 2, 3, 4, 5],
];

/// Four bytes say how the rest is cut.
pub fn attack(data: &[u8]) -> Depth {
    let mut input = Input::new(data);
    let cuts = fastrand::Rng::with_seed(u64::from(input.u32()));
    let stream = input.rest();
    let expected = at_once(stream);
    assert_eq!(in_pieces(stream, cuts), expected);
    match expected.0.is_empty() {
        true => Depth::Refused,
        false => Depth::Read,
    }
}

type Outcome = (Vec<(u8, Vec<u8>)>, Option<FrameError>);

/// The frames of a stream, without the codec.
fn at_once(mut stream: &[u8]) -> Outcome {
    let mut frames = Vec::new();
    while let [rpc_type, high, middle, low, rest @ ..] = stream {
        let length = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
        if length == 0 {
            let rpc_type = *rpc_type;
            return (frames, Some(FrameError::Empty { rpc_type }));
        }
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            break;
        };
        frames.push((*rpc_type, payload.to_vec()));
        stream = rest;
    }
    (frames, None)
}

fn in_pieces(mut stream: &[u8], mut cuts: fastrand::Rng) -> Outcome {
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    loop {
        match next(&mut buffer) {
            Ok(Some(frame)) => frames.push((frame.rpc_type, frame.payload.to_vec())),
            Ok(None) if stream.is_empty() => return (frames, None),
            Ok(None) => {
                let most = match cuts.u32(0..4) {
                    0 => stream.len(),
                    1 => frame::missing(&buffer).min(stream.len()),
                    _ => stream.len().min(7),
                };
                let (read, rest) = stream.split_at(cuts.usize(1..=most));
                buffer.extend_from_slice(read);
                stream = rest;
            }
            Err(error) => {
                assert_eq!(
                    frame::decode(&mut buffer),
                    Err(error),
                    "it is not passed over"
                );
                return (frames, Some(error));
            }
        }
    }
}

/// One step of the codec, with what it promises about itself.
fn next(buffer: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let (before, missing) = (buffer.clone(), frame::missing(buffer));
    let room = frame::next_read(buffer);
    assert!((1..=before.len().max(FIRST_READ)).contains(&room), "{room}");
    let found = frame::decode(buffer)?;
    match &found {
        Some(frame) => {
            assert_eq!(missing, 0);
            let taken = before.len() - buffer.len();
            assert_eq!(taken, HEADER_LEN + frame.payload.len());
            assert_eq!(before[taken..], buffer[..]);
        }
        None => {
            assert!(missing > 0);
            assert_eq!(before, *buffer);
        }
    }
    Ok(found)
}
