//! Every frame captured from the gateway, against what another decoder read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use protocol::gateway_side::{PatchError, set_conf_token};

use crate::describe;

/// Name and bytes of every frame in `tests/frames`.
pub(crate) fn corpus() -> BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(directory()).expect("tests/frames is there");
    let frames: BTreeMap<_, _> = files
        .map(|file| file.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| {
            let name = path
                .file_name()
                .expect("a file has a name")
                .to_string_lossy()
                .into_owned();
            (name, std::fs::read(&path).expect("a readable frame"))
        })
        .collect();
    assert!(frames.len() > 100, "the frames are missing");
    frames
}

#[test]
fn every_captured_frame_reads_as_the_other_decoder_read_it() {
    let expected = std::fs::read_to_string(directory().join("decoded.txt")).expect("decoded.txt");
    let mut expected: BTreeMap<_, _> = expected
        .trim_end()
        .split("\n\n")
        .filter_map(|frame| frame.split_once('\n'))
        .collect();
    for (name, bytes) in corpus() {
        let text = describe::call(describe::framed(&bytes)).expect(&name);
        assert_eq!(
            Some(text.as_str()),
            expected.remove(name.as_str()),
            "{name}"
        );
    }
    assert_eq!(expected, BTreeMap::new(), "described but not there");
}

#[test]
fn a_captured_call_takes_another_token() {
    for (name, mut bytes) in corpus() {
        let before = describe::call(describe::framed(&bytes)).expect(&name);
        let patched = set_conf_token(&mut bytes, 0xdead_beef);
        if name.contains("call") {
            assert_eq!(patched, Ok(()), "{name}");
        } else {
            assert_eq!(patched, Err(PatchError::NotACall), "{name}");
        }
        let after = describe::call(describe::framed(&bytes)).expect(&name);
        let token = |text: &str| {
            text.split(' ')
                .find(|word| word.starts_with("token="))
                .map(str::to_owned)
        };
        if let Some(old) = token(&before) {
            assert_eq!(
                after,
                before.replacen(&old, "token=3735928559", 1),
                "{name}"
            );
        }
    }
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/frames")
}
