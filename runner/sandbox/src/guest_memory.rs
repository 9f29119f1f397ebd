//! What the memories of all instances take together, so that many guests cannot
//! take what no one of them may. Knows neither instances nor plugins.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The memory of all guests.
#[derive(Debug)]
pub(crate) struct GuestMemory {
    most: usize,
    used: AtomicUsize,
}

impl GuestMemory {
    pub(crate) fn new(most: usize) -> Self {
        GuestMemory {
            most,
            used: AtomicUsize::new(0),
        }
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// The most that all may take.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Takes so many bytes; false where there are not so many left.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.most);
        let order = Ordering::Relaxed;
        self.used.fetch_update(order, order, more).is_ok()
    }

    /// Gives so many bytes back that were taken.
    pub(crate) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
