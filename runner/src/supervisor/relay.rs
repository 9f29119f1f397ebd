//! What the process of a tenant writes to stderr goes through this one, whole
//! line by whole line. Several processes with one pipe would tear each other's
//! lines where they are longer than `PIPE_BUF` (pipe(7)), and what a guest says in
//! the middle of its line would begin one.
//!
//! Must not know what the lines say.

use std::io::{self, BufRead, BufReader, PipeReader, Read};

use tokio::sync::oneshot;

/// Bytes of a line; the rest of a longer one is left out. A guest's line has up to
/// 8 KiB, before JSON escapes it.
const LONGEST: u64 = 64 << 10;

/// Passes lines on to `to`, on a thread of its own, until nobody can write any.
/// What is returned is done then.
///
/// # Errors
/// Where there is no thread.
pub fn relay(
    from: PipeReader,
    to: impl Fn(&str) + Send + 'static,
) -> io::Result<oneshot::Receiver<()>> {
    let (here, done) = oneshot::channel::<()>();
    std::thread::Builder::new()
        .name("relay".into())
        .spawn(move || {
            let _here = here;
            pass_on(from, |line| {
                let line = String::from_utf8_lossy(line);
                to(line.strip_suffix('\n').unwrap_or(&line));
            });
        })?;
    Ok(done)
}

fn pass_on(from: impl Read, mut write: impl FnMut(&[u8])) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    let mut is_rest = false;
    loop {
        line.clear();
        match from.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        let ends = line.ends_with(b"\n");
        if !ends {
            line.push(b'\n');
        }
        if !is_rest {
            write(&line);
        }
        is_rest = !ends;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_should_be_passed_on_whole_and_a_long_one_cut() {
        let most = LONGEST as usize;
        let long = "x".repeat(3 * most + 7);
        let text = format!("one\n{long}\n\ntwo");
        let mut lines = Vec::new();
        pass_on(text.as_bytes(), |line| lines.push(line.to_vec()));
        let cut = format!("{}\n", &long[..most]);
        let expected = ["one\n", &cut, "\n", "two\n"].map(|line| line.as_bytes().to_vec());
        assert_eq!(lines, expected);
    }
}
