//! Where a guest's standard output and error go: into the runner's log under
//! the plugin's name, line by line, within the same limits as the lines of
//! `apisix:filter/log`. There is no other effect, and nothing to wait for.
//!
//! Must not know who writes: a language's `print`, a panic, a C library.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::bindings::apisix::filter::log::Level;
use crate::call_state::Identity;
use crate::host::log;
use crate::printable::LINE_LIMIT;

/// What a guest writes to one of its two outputs.
#[derive(Clone)]
pub(crate) struct Console {
    shared: Arc<Shared>,
}

struct Shared {
    identity: Arc<Identity>,
    level: Level,
    /// Bytes that the call has logged, by whatever way.
    logged: Arc<AtomicUsize>,
    /// Bytes of a line that are kept until it ends.
    line_room: usize,
    begun: Mutex<Begun>,
}

/// A line whose end has not come yet.
#[derive(Default)]
struct Begun {
    line: Vec<u8>,
    quiet: bool,
    request: Option<u32>,
}

impl Console {
    /// `level` is that of its lines; `quiet`: nothing is written.
    pub(crate) fn new(
        identity: Arc<Identity>,
        level: Level,
        logged: Arc<AtomicUsize>,
        quiet: bool,
    ) -> Self {
        let begun = Begun {
            quiet,
            ..Begun::default()
        };
        let secrets = identity.grants.secrets.as_ref();
        let longest = secrets.map_or(0, |secrets| secrets.longest());
        let shared = Shared {
            line_room: LINE_LIMIT + 1 + longest,
            identity,
            level,
            logged,
            begun: Mutex::new(begun),
        };
        Console {
            shared: Arc::new(shared),
        }
    }

    /// From here on lines belong to this call.
    pub(crate) fn begin_call(&self, request: Option<u32>) {
        self.end_line();
        self.with(|begun, _| begun.request = request);
    }

    /// Writes what lacks only its line break.
    pub(crate) fn end_line(&self) {
        self.with(|begun, shared| {
            if !begun.line.is_empty() {
                begun.write(shared);
            }
        });
    }

    fn take(&self, bytes: &[u8]) {
        self.with(|begun, shared| {
            if begun.quiet || !log::enabled(shared.level) {
                return;
            }
            for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                let (text, ends) = match piece.split_last() {
                    Some((b'\n', text)) => (text, true),
                    _ => (piece, false),
                };
                // What a line has beyond its limit is cut off anyway; but a
                // secret that begins before it is to be known as one.
                let room = shared.line_room.saturating_sub(begun.line.len());
                begun.line.extend_from_slice(&text[..text.len().min(room)]);
                // The first line beyond a limit is counted and told; those
                // after it would only take time.
                if ends && !begun.write(shared) {
                    return;
                }
            }
        });
    }

    fn with(&self, work: impl FnOnce(&mut Begun, &Shared)) {
        let begun = self.shared.begun.lock();
        work(
            &mut begun.unwrap_or_else(PoisonError::into_inner),
            &self.shared,
        );
    }
}

impl Begun {
    /// False where the limits allow no more.
    fn write(&mut self, shared: &Shared) -> bool {
        let line = std::mem::take(&mut self.line);
        let is_cut = line.len() >= shared.line_room;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        log::write(
            &shared.identity,
            self.request,
            shared.level,
            log::Message { text: line, is_cut },
            &shared.logged,
        )
    }
}

impl IsTerminal for Console {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Console {
    /// Of WASI 0.3, which is not linked.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

/// Bytes that a guest may write at once.
const AT_ONCE: usize = 64 << 10;

impl OutputStream for Console {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // `check_write` has told the guest; nothing interrupts us in here.
        if bytes.len() > AT_ONCE {
            return Err(StreamError::trap("writes more at once than it may"));
        }
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(AT_ONCE)
    }
}

impl Pollable for Console {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}
