//! A list of header lines: names match in any case, order is kept.

use super::request::lossy;
use crate::{HeaderEntry, HeaderEntryBytes};

pub(super) fn values<'a>(
    headers: &'a [HeaderEntryBytes],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    headers
        .iter()
        .filter(move |header| is(header, name))
        .map(|header| header.value.as_slice())
}

pub(super) fn first<'a>(headers: &'a [HeaderEntryBytes], name: &'a str) -> Option<&'a [u8]> {
    values(headers, name).next()
}

/// The one line that is left takes the place of the first it replaces.
pub(super) fn set(headers: &mut Vec<HeaderEntryBytes>, name: &str, value: &[u8]) {
    let place = headers.iter().position(|header| is(header, name));
    remove(headers, name);
    let line = line(name.as_bytes(), value);
    headers.insert(place.unwrap_or(headers.len()), line);
}

pub(super) fn add(headers: &mut Vec<HeaderEntryBytes>, name: &[u8], value: &[u8]) {
    headers.push(line(name, value));
}

pub(super) fn remove(headers: &mut Vec<HeaderEntryBytes>, name: &str) {
    headers.retain(|header| !is(header, name));
}

pub(super) fn text(headers: &[HeaderEntryBytes]) -> Vec<HeaderEntry> {
    let text = |header: &HeaderEntryBytes| HeaderEntry {
        name: lossy(&header.name),
        value: lossy(&header.value),
    };
    headers.iter().map(text).collect()
}

fn line(name: &[u8], value: &[u8]) -> HeaderEntryBytes {
    HeaderEntryBytes {
        name: name.to_vec(),
        value: value.to_vec(),
    }
}

fn is(header: &HeaderEntryBytes, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name.as_bytes())
}
