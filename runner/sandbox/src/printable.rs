//! Text of a guest on its way into the log: whatever it is, it stays one line
//! and cannot pass for anything else.

/// Bytes of one line; `wit/log.wit` promises it.
pub(crate) const LINE_LIMIT: usize = 8 << 10;

/// Bytes of what a guest says of its failure: the log has many of those, and a
/// configuration that was refused keeps its reason.
const REASON_LIMIT: usize = 1 << 10;

/// The message on one line: control characters escaped, a long one cut.
pub(crate) fn printable(message: &str) -> String {
    cut(message, LINE_LIMIT)
}

/// The same for the reason of a failure.
pub(crate) fn reason(message: &str) -> String {
    cut(message, REASON_LIMIT)
}

/// Whether a character moves what stands around it, or breaks the line, instead
/// of being seen: control characters, the separators and marks of direction of
/// Unicode.
#[must_use]
pub fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

fn cut(message: &str, limit: usize) -> String {
    let mut end = message.len().min(limit);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let mut line = String::with_capacity(end);
    for character in message[..end].chars() {
        // Escapes are longer than what they stand for.
        if line.len() >= limit {
            end = 0;
            break;
        }
        match is_unseen(character) {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    if end < message.len() {
        line.push_str(" [cut]");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_line_should_stay_one_line() {
        assert_eq!(printable("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
    }

    #[test]
    fn a_long_line_should_be_cut_between_characters() {
        let cut = printable(&"\u{20ac}".repeat(LINE_LIMIT));
        assert!(cut.len() <= LINE_LIMIT + " [cut]".len());
        assert!(cut.ends_with("\u{20ac} [cut]"));
    }
}
