//! The fake `log`: keeps what would be written.

use crate::log::Level;
use crate::testing::call;
use crate::testing::outcome::LogLine;

/// Bytes of one message.
const LIMIT: usize = 8 * 1024;

pub(crate) fn log(level: Level, message: &str) {
    call::with(|call| {
        if level >= call.around.log_level {
            let message = escaped(&message[..message.floor_char_boundary(LIMIT)]);
            call.around.logs.push(LogLine { level, message });
        }
    });
}

pub(crate) fn enabled(level: Level) -> bool {
    call::with(|call| level >= call.around.log_level).unwrap_or(false)
}

fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    line
}
