//! The reader against the generated one behind its verifier: what that accepts
//! reads the same here, whatever the bytes; what it refuses may be read here
//! only where it minds an odd address.

use bytes::Bytes;
use flatbuffers::{ForwardsUOffset, Vector, VerifierOptions};

use crate::wire::a6;
use crate::{Entries, Entry, http_req_call, http_resp_call, prepare_conf};

type Generated<'a> = Option<Vector<'a, ForwardsUOffset<a6::TextEntry<'a>>>>;

const MUTATIONS: usize = 150_000;

#[test]
fn whatever_the_verifier_accepts_should_read_the_same() {
    let corpus = captured();
    let mut state = 0x5eed_u64;
    let mut random = move |limit: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % limit
    };
    let (mut same, mut refused) = (0, 0);
    for _ in 0..MUTATIONS {
        let mut frame = corpus[random(corpus.len())].clone();
        for _ in 0..random(4) {
            let at = 4 + random(frame.len() - 4);
            match random(4) {
                0 => frame[at] = random(256) as u8,
                1 => frame[at] = frame[at].wrapping_add(4),
                2 => frame.truncate(at.max(5)),
                _ => frame[at] ^= 1 << random(8),
            }
        }
        match agree(frame[0], Bytes::copy_from_slice(&frame[4..])) {
            true => same += 1,
            false => refused += 1,
        }
    }
    assert!(
        same > MUTATIONS / 10 && refused > MUTATIONS / 10,
        "{same} and {refused}"
    );
}

/// Whether both accepted it; panics where they differ.
fn agree(rpc_type: u8, payload: Bytes) -> bool {
    let bytes = payload.clone();
    match rpc_type {
        1 => {
            let Some(theirs) = generated::<a6::prepare_conf::Req<'_>>(&bytes) else {
                return false;
            };
            let ours = prepare_conf::Req::decode(payload).expect("the verifier accepts it");
            assert_eq!(ours.key(), theirs.key().map(|key| key.bytes()));
            same(ours.conf(), theirs.conf());
        }
        2 => {
            let Some(theirs) = generated::<a6::httpreq_call::Req<'_>>(&bytes) else {
                return false;
            };
            let ours = http_req_call::Req::decode(payload).expect("the verifier accepts it");
            assert_eq!(ours.id(), theirs.id());
            assert_eq!(ours.conf_token(), theirs.conf_token());
            assert_eq!(ours.src_ip(), theirs.src_ip().unwrap_or_default().bytes());
            assert_eq!(ours.path(), theirs.path().map(|path| path.bytes()));
            let method = http_req_call::METHODS.get(usize::from(theirs.method().0));
            assert_eq!(ours.method(), method.copied());
            same(ours.args(), theirs.args());
            same(ours.headers(), theirs.headers());
        }
        _ => {
            let Some(theirs) = generated::<a6::httpresp_call::Req<'_>>(&bytes) else {
                return false;
            };
            let ours = http_resp_call::Req::decode(payload).expect("the verifier accepts it");
            assert_eq!(ours.id(), theirs.id());
            assert_eq!(ours.conf_token(), theirs.conf_token());
            assert_eq!(ours.status(), theirs.status());
            same(ours.headers(), theirs.headers());
        }
    }
    true
}

fn generated<'a, T>(bytes: &'a [u8]) -> Option<T>
where
    T: flatbuffers::Follow<'a, Inner = T> + flatbuffers::Verifiable + 'a,
{
    let options = VerifierOptions {
        max_depth: 3,
        max_tables: bytes.len() / 8 + 1,
        max_apparent_size: 2 * bytes.len() + 64,
        ignore_missing_null_terminator: true,
    };
    flatbuffers::root_with_opts::<T>(&options, bytes).ok()
}

fn same(ours: Entries<'_>, theirs: Generated<'_>) {
    let theirs: Vec<_> = theirs.iter().flat_map(|list| list.iter()).collect();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.zip(theirs) {
        let theirs = Entry {
            name: theirs.name().unwrap_or_default().bytes(),
            value: theirs.value().map(|value| value.bytes()),
        };
        assert_eq!(ours, theirs);
    }
}

/// Calls that APISIX sent.
fn captured() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/frames");
    let files = std::fs::read_dir(folder).expect("tests/frames");
    let frames = files.map(|file| std::fs::read(file.expect("an entry").path()).expect("a frame"));
    let calls: Vec<_> = frames
        .filter(|frame| matches!(frame.first(), Some(1 | 2 | 4)) && frame.len() > 8)
        .filter(|frame| frame.len() < 4000 && frame.len() == length(frame))
        .collect();
    assert!(calls.len() > 20, "{}", calls.len());
    calls
}

fn length(frame: &[u8]) -> usize {
    4 + u32::from_be_bytes([0, frame[1], frame[2], frame[3]]) as usize
}
