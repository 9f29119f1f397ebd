//! Bytes that no gateway sends. Nothing may panic, and nothing may cost more
//! than its size.

use bytes::Bytes;
use protocol::gateway_side::{self, decode_reply, set_conf_token};
use protocol::{Entry, Frame, FrameBuilder, RpcType, http_req_call};

use crate::captured::corpus;
use crate::describe;

const MUTATIONS: usize = 200_000;

#[test]
fn mutated_frames_are_read_or_refused() {
    let corpus: Vec<_> = corpus()
        .into_values()
        .filter(|frame| frame.len() < 1000)
        .collect();
    let mut random = Random(0x5eed);
    let mut read = 0;
    for _ in 0..MUTATIONS {
        let mut bytes = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, &mut random);
        }
        // Mostly the frame's own type, now and then another table's bytes.
        let rpc_type = if random.below(8) == 0 {
            random.below(6) as u8
        } else {
            bytes[0]
        };
        let frame = Frame {
            rpc_type,
            payload: Bytes::copy_from_slice(&bytes[4..]),
        };
        read += usize::from(describe::call(frame.clone()).is_ok());
        let _ = decode_reply(frame);
        let _ = set_conf_token(&mut bytes, 7);
    }
    assert!(
        (MUTATIONS / 10..MUTATIONS * 9 / 10).contains(&read),
        "{read} were read: too one-sided"
    );
}

#[test]
fn a_payload_reads_the_same_at_any_address() {
    for (name, bytes) in corpus() {
        let expected = describe::call(describe::framed(&bytes));
        for offset in 0..8 {
            let shifted = [&vec![0xff; offset], &bytes[4..]].concat();
            let payload = Bytes::from(shifted).slice(offset..);
            let frame = Frame {
                rpc_type: bytes[0],
                payload,
            };
            assert_eq!(
                describe::call(frame),
                expected,
                "{name} shifted by {offset}"
            );
        }
    }
}

#[test]
fn any_byte_may_stand_in_a_name_or_value() {
    let any: Vec<u8> = (0..=255).collect();
    let entries = [
        Entry::new(&any, &any),
        Entry::bare(&any),
        Entry::new(&any, ""),
    ];
    let call = gateway_side::HttpReqCall {
        path: &any,
        headers: &entries,
        args: &entries,
        method: 200,
        ..Default::default()
    };
    let mut frame = FrameBuilder::new();
    let call = describe::framed(call.encode(&mut frame).expect("small"));
    let call = http_req_call::Req::decode(call.payload).expect("well formed");
    assert_eq!(call.path(), Some(any.as_slice()));
    assert_eq!(call.headers().collect::<Vec<_>>(), entries);
    assert_eq!(call.args().collect::<Vec<_>>(), entries);
    assert_eq!(call.method(), None);
}

/// 60,000 entries that all are the same entry, with a name of 64 KiB: 300 KB
/// of bytes, 4 GB to walk.
#[test]
fn many_references_to_few_bytes_are_refused() {
    const ENTRIES: u32 = 60_000;
    const NAME: u32 = 64 * 1024;
    let mut payload = Vec::new();
    let mut word = |value: u32| payload.extend_from_slice(&value.to_le_bytes());
    word(24); // the root table
    word(16 | 8 << 16); // its field list: 16 bytes, the table has 8
    word(0); // fields 0 and 1
    word(0); // fields 2 and 3
    word(4 << 16); // field 4 is absent, field 5 is at 4
    word(0);
    word(20); // the root table: its field list is 20 bytes back
    word(4); // headers
    word(ENTRIES);
    for index in 0..ENTRIES {
        word(4 * (ENTRIES - index) + 8); // one entry for all
    }
    word(6 | 8 << 16); // the entry's field list
    word(4);
    word(8); // the entry: its field list is 8 bytes back
    word(4); // name
    word(NAME);
    payload.resize(payload.len() + NAME as usize, b'x');
    let refused = http_req_call::Req::decode(payload.into()).expect_err("too much to walk");
    assert_eq!(
        refused.to_string(),
        "the payload is not a HTTPReqCall.Req: it refers to the same bytes too often"
    );
}

#[test]
fn bytes_that_are_no_message_are_refused_by_every_reader() {
    for payload in [
        &[0][..],
        &[0xff; 4],
        &[0xff; 64],
        &[4, 0, 0, 0],
        b"GET / HTTP/1.1\r\n",
    ] {
        for rpc_type in [
            RpcType::PrepareConf,
            RpcType::HttpReqCall,
            RpcType::HttpRespCall,
        ] {
            let frame = Frame {
                rpc_type: rpc_type.byte(),
                payload: Bytes::from_static(payload),
            };
            assert!(
                describe::call(frame.clone()).is_err(),
                "{rpc_type:?} {payload:?}"
            );
            assert!(decode_reply(frame).is_err(), "{rpc_type:?} {payload:?}");
        }
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    const TELLING: [u32; 8] = [
        0,
        1,
        4,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        0xffff,
        0x0100_0000,
    ];
    let at = 4 + random.below(bytes.len() - 4);
    match random.below(5) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.below(256) as u8,
        2 => {
            let at = at & !3;
            let value = TELLING[random.below(TELLING.len())];
            bytes[at..]
                .iter_mut()
                .zip(value.to_le_bytes())
                .for_each(|(old, new)| *old = new);
        }
        3 => bytes.truncate(at + 1),
        _ => bytes.extend_from_within(at..),
    }
}

/// xorshift64*: the same sequence everywhere, so a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}
