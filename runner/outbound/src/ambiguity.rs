//! Text of a URL that two readers could take for two paths or hosts, so that what
//! a rule is asked about and what a server acts on might differ. Refused, never
//! repaired. Must not know rules.

/// Refuses what a URL never needs (RFC 3986 has none of it) and what readers are
/// known to drop or to take for something else.
pub(crate) fn refuse_in_url(url: &str) -> Result<(), String> {
    if url.contains('\\') {
        return Err("the URL has a backslash; write %5C in its query, / in its path".into());
    }
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("the URL has a space or a control character; encode it with %".into());
    }
    Ok(())
}

/// Refuses a path whose encoded parts some servers decode before they look for
/// `/` and `..`, however often they decode, and `..;` which some take for `..`.
pub(crate) fn refuse_in_path(path: &str) -> Result<(), String> {
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'%' {
            refuse_encoded(&bytes[at + 1..])?;
        }
    }
    for segment in path.split('/') {
        if let Some((name, _)) = segment.split_once(';')
            && matches!(name, "." | "..")
        {
            return Err("the URL's path has a dot segment with parameters; leave it out".into());
        }
    }
    Ok(())
}

/// `after` is what follows a percent sign. Encoded percent signs lead to what is
/// there when they are decoded.
fn refuse_encoded(after: &[u8]) -> Result<(), String> {
    if !after.get(..2).is_some_and(is_hex) {
        return Err("the URL's path has a % that encodes nothing; write %25".into());
    }
    let mut rest = after;
    while let Some(inner) = rest.strip_prefix(b"25") {
        rest = inner;
    }
    let Some(encoded) = rest.get(..2) else {
        return Ok(());
    };
    let encoded = encoded.to_ascii_lowercase();
    let what = match encoded.as_slice() {
        b"2e" => "dot",
        b"2f" => "slash",
        b"5c" => "backslash",
        b"00" => "NUL",
        // The first byte of an ASCII character written too long (RFC 3629, 10).
        b"c0" | b"c1" => "overlong character",
        _ => return Ok(()),
    };
    Err(format!(
        "the URL's path has an encoded {what}, which servers read in two ways; leave it out"
    ))
}

fn is_hex(two: &[u8]) -> bool {
    two.iter().all(u8::is_ascii_hexdigit)
}
