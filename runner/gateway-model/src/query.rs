//! Percent-encoding and query strings as nginx and ngx_lua treat them.
//!
//! Must not know whose path or query it is.

use protocol::gateway_side::NamedValue;

/// Escapes a decoded path as APISIX does (`uri_safe_encode`, nginx's
/// `NGX_ESCAPE_URI`): what would end a path, and what no URI may contain.
#[must_use]
pub fn escape_path(path: &[u8]) -> Vec<u8> {
    escape(path, |byte| {
        byte.is_ascii_control() || !byte.is_ascii() || br##" "#%<>?\^`{|}"##.contains(&byte)
    })
}

/// Reads the path of a request line as nginx does (`$uri`): percent-decoded,
/// slashes merged, dot segments resolved, the fragment cut off. `None` where
/// nginx answers 400: a path that does not begin with `/`, leads above the root
/// or has a NUL byte.
#[must_use]
pub fn decode_path(path: &[u8]) -> Option<Vec<u8>> {
    let end = path.iter().position(|byte| *byte == b'#');
    let encoded = &path[..end.unwrap_or(path.len())];
    if !encoded.starts_with(b"/") {
        return None;
    }
    let plain = decode(encoded);
    if plain.contains(&0) {
        return None;
    }
    let segments: Vec<&[u8]> = plain.split(|byte| *byte == b'/').skip(1).collect();
    let last = segments.len() - 1;
    let (mut path, mut begins): (Vec<u8>, Vec<usize>) = (vec![b'/'], vec![]);
    for (index, segment) in segments.into_iter().enumerate() {
        match segment {
            b"" | b"." => {}
            b".." => path.truncate(begins.pop()?),
            segment => {
                begins.push(path.len());
                path.extend_from_slice(segment);
                if index < last {
                    path.push(b'/');
                }
            }
        }
    }
    Some(path)
}

/// Writes arguments as `ngx.encode_args` does, in the order given. (The
/// gateway's order is any: a test should not rely on it.)
#[must_use]
pub fn encode_args(args: &[NamedValue]) -> Vec<u8> {
    let pairs: Vec<_> = args
        .iter()
        .map(|arg| match &arg.value {
            Some(value) => [escape_component(&arg.name), escape_component(value)].join(&b'='),
            None => escape_component(&arg.name),
        })
        .collect();
    pairs.join(&b'&')
}

/// Reads a query as `ngx.req.get_uri_args` does: `z` has no value, `y=` has an
/// empty one, and what has no name is dropped.
#[must_use]
pub fn parse_args(query: &[u8]) -> Vec<NamedValue> {
    let pairs = query.split(|byte| *byte == b'&');
    let args = pairs.map(|pair| match pair.iter().position(|byte| *byte == b'=') {
        Some(at) => NamedValue::new(unescape(&pair[..at]), unescape(&pair[at + 1..])),
        None => NamedValue::bare(unescape(pair)),
    });
    args.filter(|arg| !arg.name.is_empty()).collect()
}

/// Splits at the first `?`.
#[must_use]
pub fn split_target(target: &[u8]) -> (&[u8], Option<&[u8]>) {
    match target.iter().position(|byte| *byte == b'?') {
        Some(at) => (&target[..at], Some(&target[at + 1..])),
        None => (target, None),
    }
}

/// `path?query`, without the mark if there is no query.
#[must_use]
pub fn join_target(path: &[u8], args: &[NamedValue]) -> Vec<u8> {
    match encode_args(args) {
        query if query.is_empty() => path.to_vec(),
        query => [path, &query].join(&b'?'),
    }
}

fn escape_component(text: &[u8]) -> Vec<u8> {
    escape(text, |byte| {
        !byte.is_ascii_alphanumeric() && !b"!'()*-._~".contains(&byte)
    })
}

fn escape(text: &[u8], must: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        if must(*byte) {
            escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            escaped.push(*byte);
        }
    }
    escaped
}

/// In a query a plus is a space.
fn unescape(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    decode(&spaced)
}

/// Percent-decoded, and nothing else.
#[must_use]
pub fn decode(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        plain.push(match (first, hex_pair(tail)) {
            (b'%', Some(byte)) => {
                rest = &tail[2..];
                byte
            }
            (byte, _) => *byte,
        });
    }
    plain
}

fn hex_pair(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(..2)?).ok()?;
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_escaped_as_nginx_escapes_it() {
        for (path, expected) in [
            (&b"/p q%"[..], "/p%20q%25"),
            (b"/a/b-c_d.e~!$&'()*+,;=:@[]", "/a/b-c_d.e~!$&'()*+,;=:@[]"),
            (
                b"/x?y#z\"<>\\^`{|}\x7f",
                "/x%3Fy%23z%22%3C%3E%5C%5E%60%7B%7C%7D%7F",
            ),
            ("/\u{4f60}".as_bytes(), "/%E4%BD%A0"),
        ] {
            assert_eq!(String::from_utf8_lossy(&escape_path(path)), expected);
        }
    }

    #[test]
    fn a_path_should_be_read_as_nginx_reads_it() {
        for (path, expected) in [
            ("/", Some("/")),
            ("/a%20b+c", Some("/a b+c")),
            ("/a//b/./c/../d/", Some("/a/b/d/")),
            ("/a/..", Some("/")),
            ("/a/b/..", Some("/a/")),
            ("/a/.", Some("/a/")),
            ("/a%2fb%2F..", Some("/a/")),
            ("/%zz%4", Some("/%zz%4")),
            ("/a#b", Some("/a")),
            ("/..", None),
            ("/%00", None),
            ("a", None),
            ("", None),
        ] {
            let read = decode_path(path.as_bytes());
            assert_eq!(read, expected.map(Into::into), "{path}");
        }
    }

    #[test]
    fn a_query_reads_and_writes_as_ngx_lua_does_it() {
        let args = parse_args(b"x=1&&y&z=&=n&a+b=%26%3d%zz");
        let expected = [
            NamedValue::new("x", "1"),
            NamedValue::bare("y"),
            NamedValue::new("z", ""),
            NamedValue::new("a b", "&=%zz"),
        ];
        assert_eq!(args, expected);
        assert_eq!(encode_args(&args), b"x=1&y&z=&a%20b=%26%3D%25zz");
    }
}
