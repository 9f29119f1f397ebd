//! What the readers of the gateway's messages have in common: the generated
//! reader agrees with ours, a list is as long as it says, walking a message
//! costs no more than its size, and what was read can be written and read
//! again.
//!
//! Must not know which message it is.

use bytes::Bytes;
use protocol::gateway_side::{self, NamedValue, Sent, decode_sent, set_conf_token};
use protocol::http_req_call::METHODS;
use protocol::{DecodeError, EncodeError, Entries, Entry, Frame, FrameBuilder, RpcType};

use super::Depth;

/// A payload at an address that follows from its length: ours has to read the
/// same at any.
pub(super) fn anywhere(data: &[u8]) -> Bytes {
    let offset = data.len() % 8;
    let mut shifted = vec![0xff; offset];
    shifted.extend_from_slice(data);
    Bytes::from(shifted).slice(offset..)
}

/// Reads lists within the bytes that their payload may refer to.
pub(super) struct Walk {
    left: usize,
}

impl Walk {
    pub(super) fn of(payload: &[u8]) -> Self {
        Walk {
            left: 2 * payload.len() + 64,
        }
    }

    pub(super) fn read(&mut self, entries: Entries<'_>) -> Vec<NamedValue> {
        let announced = entries.len();
        let mut owned = Vec::new();
        for entry in entries {
            let size = entry.name.len() + entry.value.map_or(0, <[u8]>::len) + 16;
            self.left = self.left.checked_sub(size).expect("more than was received");
            owned.push(NamedValue {
                name: entry.name.to_vec(),
                value: entry.value.map(<[u8]>::to_vec),
            });
        }
        assert_eq!(owned.len(), announced, "an entry was not there");
        owned
    }
}

/// Stands for every method without a name, whose number ours does not give.
pub(super) const UNNAMED: u8 = u8::MAX;

fn as_ours(mut sent: Sent) -> Sent {
    if let Sent::HttpReqCall { method, .. } = &mut sent
        && usize::from(*method) >= METHODS.len()
    {
        *method = UNNAMED;
    }
    sent
}

/// Puts a token into the frame, if there is room for one.
pub(super) fn another_token(rpc_type: RpcType, data: &[u8]) {
    let mut frame = vec![rpc_type.byte(), 0, 0, 0];
    frame.extend_from_slice(data);
    let before = frame.clone();
    let patched = set_conf_token(&mut frame, 0xdead_beef);
    let changed = frame.iter().zip(&before).filter(|(new, old)| new != old);
    match patched {
        Ok(()) => assert!(changed.count() <= 4),
        Err(_) => assert_eq!(frame, before),
    }
}

/// What only the generated verifier minds. It asks for even addresses, counts
/// a table's field list each time and bounds the number of tables.
const MINDED: [&str; 3] = ["odd place", "too often", "more tables"];

/// Holds what we read against what the generated reader reads.
pub(super) fn check(
    rpc_type: RpcType,
    data: &[u8],
    read: impl Fn(Bytes) -> Result<Sent, DecodeError>,
) -> Depth {
    let framed = |payload| Frame {
        rpc_type: rpc_type.byte(),
        payload,
    };
    let theirs = decode_sent(&framed(Bytes::copy_from_slice(data)));
    let ours = match (read(anywhere(data)), theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(Some(&ours), theirs.map(as_ours).as_ref());
            ours
        }
        (Ok(ours), Err(error)) => {
            let text = error.to_string();
            let minded = MINDED.iter().any(|minded| text.contains(minded));
            assert!(minded, "{text}, and read as {ours:?}");
            ours
        }
        (Err(error), Ok(theirs)) => panic!("{error}, and they read {theirs:?}"),
        (Err(error), Err(_)) => {
            assert!(!error.to_string().is_empty());
            return Depth::Refused;
        }
    };
    let mut builder = FrameBuilder::new();
    let written = write(&mut builder, &ours).expect("it is small");
    let payload = Bytes::copy_from_slice(&written[protocol::frame::HEADER_LEN..]);
    let expected = in_full(ours);
    assert_eq!(read(payload.clone()), Ok(expected.clone()));
    assert_eq!(decode_sent(&framed(payload)), Ok(Some(expected)));
    Depth::Read
}

fn write<'b>(builder: &'b mut FrameBuilder, sent: &Sent) -> Result<&'b [u8], EncodeError> {
    match sent {
        Sent::PrepareConf { key, conf } => {
            let (key, conf) = (key.as_deref(), &entries(conf)[..]);
            gateway_side::PrepareConf { key, conf }.encode(builder)
        }
        Sent::HttpReqCall {
            id,
            src_ip,
            method,
            path,
            args,
            headers,
            conf_token,
        } => gateway_side::HttpReqCall {
            id: *id,
            src_ip,
            method: *method,
            path: path.as_deref().unwrap_or_default(),
            args: &entries(args),
            headers: &entries(headers),
            conf_token: *conf_token,
        }
        .encode(builder),
        Sent::Answer(result) => gateway_side::encode_answer(builder, result.as_deref()),
        Sent::HttpRespCall {
            id,
            status,
            headers,
            conf_token,
        } => gateway_side::HttpRespCall {
            id: *id,
            status: *status,
            headers: &entries(headers),
            conf_token: *conf_token,
        }
        .encode(builder),
    }
}

/// The gateway always writes a path.
fn in_full(mut sent: Sent) -> Sent {
    if let Sent::HttpReqCall { path, .. } = &mut sent {
        path.get_or_insert_default();
    }
    sent
}

fn entries(owned: &[NamedValue]) -> Vec<Entry<'_>> {
    owned.iter().map(NamedValue::entry).collect()
}
