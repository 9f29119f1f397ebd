//! The query. The gateway keeps it in two places, and which one counts depends
//! on what was changed before us and on what we change.

use std::time::Duration;

use sandbox::{RequestCall, UPSTREAM_URI};

use crate::error_reply::CallError;

/// Adds to the edits what is needed for them to arrive.
///
/// # Errors
/// [`CallError`] where the gateway had to be asked, or where the edits cannot
/// be expressed.
pub async fn complete(call: &mut RequestCall, time: Duration) -> Result<(), CallError> {
    match (call.edits().path.is_some(), call.edits().args.is_empty()) {
        (false, false) => send_the_path_too(call, time).await,
        (true, true) => {
            send_the_args_too(call);
            Ok(())
        }
        (false, true) | (true, false) => Ok(()),
    }
}

/// After proxy-rewrite the old query is part of `upstream_uri`, and a change
/// of the arguments alone is lost; with a path it is built anew from both. The
/// gateway encodes that path again, and an encoded slash in it would come out
/// as a plain one: another path, so the call fails instead.
async fn send_the_path_too(call: &mut RequestCall, time: Duration) -> Result<(), CallError> {
    let rewritten = call.ask(UPSTREAM_URI, time).await?;
    if rewritten.is_none_or(|uri| uri.is_empty()) {
        return Ok(());
    }
    let slashes = |path: &[u8]| path.iter().filter(|byte| **byte == b'/').count();
    let slashes_sent = slashes(call.source().path());
    let path = call.decode_rewritten_path().to_vec();
    if slashes(&path) != slashes_sent {
        let path = String::from_utf8_lossy(call.source().path()).into_owned();
        return Err(CallError::Inexpressible(path));
    }
    call.edits_mut().path = Some(path);
    Ok(())
}

/// Before APISIX 3.16 a path alone lost the query. Removing an argument that
/// is not there changes nothing and brings it back.
fn send_the_args_too(call: &mut RequestCall) {
    let mut names: Vec<Vec<u8>> = Vec::new();
    call.source()
        .visit_args(&mut |name, _| names.push(name.to_vec()));
    if names.is_empty() {
        return;
    }
    let mut unused = b"_".to_vec();
    while names.contains(&unused) {
        unused.push(b'_');
    }
    call.edits_mut().remove_arg(unused);
}
