//! Connections that are open and unused, each to an address that was checked.
//! They are asked for by scheme, host and port, and given only to a request that
//! may reach the very address they are connected to. Must not know rules or
//! requests.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Connection;
use crate::target::{Scheme, Target};

/// How long a connection is kept unused.
const MOST_IDLE: Duration = Duration::from_secs(30);
/// How long it is used at all: so long may a name stand for an address that it
/// no longer has.
const MOST_AGE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    scheme: Scheme,
    host: String,
    port: u16,
}

impl Key {
    fn of(target: &Target) -> Self {
        Key {
            scheme: target.scheme(),
            host: target.host().to_owned(),
            port: target.port(),
        }
    }
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Idle {
    fn is_good(&self) -> bool {
        !self.connection.is_closed()
            && self.since.elapsed() < MOST_IDLE
            && self.connection.opened.elapsed() < MOST_AGE
    }
}

#[derive(Debug, Default)]
struct Shelf {
    idle: HashMap<Key, Vec<Idle>>,
    count: usize,
    /// Whether a task looks after what is here.
    swept: bool,
}

impl Shelf {
    fn sweep(&mut self) {
        for idle in self.idle.values_mut() {
            idle.retain(Idle::is_good);
        }
        self.idle.retain(|_, idle| !idle.is_empty());
        self.count = self.idle.values().map(Vec::len).sum();
    }
}

/// The connections of one client; they end with it.
#[derive(Debug)]
pub(crate) struct Pool {
    shelf: Mutex<Shelf>,
    most: usize,
}

impl Pool {
    /// Keeps so many connections at most.
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Pool {
            shelf: Mutex::default(),
            most,
        })
    }

    /// The one used last of those to an address that this request may reach.
    pub(crate) fn take(
        &self,
        target: &Target,
        may_reach: impl Fn(IpAddr) -> bool,
    ) -> Option<Connection> {
        let mut shelf = self.shelf();
        let idle = shelf.idle.get_mut(&Key::of(target))?;
        let fits = |idle: &Idle| idle.is_good() && may_reach(idle.connection.address.ip());
        let found = idle.iter().rposition(fits).map(|at| idle.remove(at))?;
        shelf.count -= 1;
        Some(found.connection)
    }

    /// Keeps a connection whose last request is answered; must be called on the
    /// client's runtime.
    pub(crate) fn put(self: &Arc<Self>, target: &Target, connection: Connection) {
        let idle = Idle {
            connection,
            since: Instant::now(),
        };
        if !idle.is_good() {
            return;
        }
        let mut shelf = self.shelf();
        if shelf.count >= self.most {
            shelf.sweep();
        }
        if shelf.count >= self.most {
            return;
        }
        shelf.count += 1;
        shelf.idle.entry(Key::of(target)).or_default().push(idle);
        if !std::mem::replace(&mut shelf.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what nobody asks for any more, as long as there is anything.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(MOST_IDLE / 2).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut shelf = pool.shelf();
        shelf.sweep();
        if shelf.count == 0 {
            shelf.swept = false;
            return;
        }
    }
}
