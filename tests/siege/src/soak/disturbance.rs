//! What comes in the runner's way beside calls: clients that hang up, a module
//! that is replaced while it serves.
//!
//! Must not know whether anybody minds.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use harness::WireClient;
use harness::guests::stopping_with;

use crate::connection::Connection;

/// How often somebody hangs up.
const HANGS_UP_EVERY: Duration = Duration::from_millis(20);

/// The statuses that modules are built with, one after the other.
const FIRST: u16 = 200;
const LAST: u16 = 499;

/// `replaced.wasm`: stops every request with a status. A runner serves what it
/// found when it began.
pub(super) struct Module {
    file: PathBuf,
    on_disk: AtomicU16,
    served: AtomicU16,
}

impl Module {
    pub(super) fn new(folder: PathBuf) -> Result<Self> {
        let module = Module {
            file: folder.join("replaced.wasm"),
            on_disk: AtomicU16::new(FIRST),
            served: AtomicU16::new(FIRST),
        };
        std::fs::write(&module.file, stopping_with(FIRST))?;
        Ok(module)
    }

    /// The status that the present runner answers with.
    pub(super) fn served(&self) -> u16 {
        self.served.load(Ordering::Relaxed)
    }

    /// Puts another module in its place: at one time under another name first,
    /// at another right into the file.
    pub(super) fn replace(&self) -> Result<()> {
        let status = match self.on_disk.load(Ordering::Relaxed) {
            LAST => FIRST,
            status => status + 1,
        };
        let wasm = stopping_with(status);
        match status % 2 {
            0 => {
                // Not an ending that a runner would look at.
                let beside = self.file.with_extension("new");
                std::fs::write(&beside, wasm)?;
                std::fs::rename(&beside, &self.file)?;
            }
            _ => std::fs::File::create(&self.file)?.write_all(&wasm)?,
        }
        self.on_disk.store(status, Ordering::Relaxed);
        Ok(())
    }

    /// A runner has begun: it serves what is there now.
    pub(super) fn process_began(&self) {
        self.served
            .store(self.on_disk.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// Connects, sends less than a frame or does not wait for the reply, and is
/// gone. For ever.
pub(super) async fn hang_up(socket: PathBuf, times: Arc<AtomicU64>) {
    let mut random = fastrand::Rng::with_seed(7);
    loop {
        tokio::time::sleep(HANGS_UP_EVERY).await;
        // Where there is no runner there is nobody to hang up on.
        if hang_up_once(&socket, &mut random).await.is_ok() {
            times.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn hang_up_once(socket: &Path, random: &mut fastrand::Rng) -> Result<()> {
    let mut connection = Connection::open(socket).await?;
    let call = WireClient::simplest_call(random.u32(..));
    let bytes = match random.u8(..4) {
        0 => &call[..random.usize(..call.len())],
        // The largest frame there can be, announced and not sent.
        1 => &[2, 0xff, 0xff, 0xff, 0],
        2 => &call,
        _ => &[],
    };
    connection.send(bytes).await?;
    Ok(())
}
