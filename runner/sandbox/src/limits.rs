//! How much a guest may use, and what counts its memory. Time is counted in
//! `guest_clock`. The numbers come from the operator, never from the guest.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::guest_memory::GuestMemory;

/// The limits of one plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of one instance in bytes, all its memories together.
    pub memory: usize,
    /// Elements of one instance's tables, all together. Interpreted languages
    /// need about ten thousand; a slot of the pool holds twenty thousand in
    /// each.
    pub table_elements: usize,
    /// What one instance may hold of the host at the same time, its own
    /// resources included: streams, timers and the like. They are the host's
    /// memory, which no other limit counts.
    pub handles: usize,
    /// How long a handler may compute in one call.
    pub handler_time: Duration,
    /// How long a handler may take by the clock on the wall, without the waiting
    /// for the gateway: others compute too, and a guest can sleep.
    pub handler_wall_time: Duration,
    /// How long starting an instance and its `configure` may compute together.
    pub configure_time: Duration,
    /// How long they may take by the clock on the wall.
    pub configure_wall_time: Duration,
    /// How long one call may wait for the gateway's answers in total. It must
    /// stay below the gateway's own read timeout of 60 s
    /// (`ext-plugin/init.lua`).
    pub gateway_time: Duration,
    /// How many questions the filters of one call may ask the gateway.
    pub questions: u32,
    /// How long one call may wait in total for services: other servers and the
    /// store, which the operator granted.
    pub services_time: Duration,
    /// How often the filters of one call may ask services.
    pub service_calls: u32,
    /// Bytes that a guest may hand to the host in one function call, its answer
    /// to a handler included. One that hands over more traps.
    pub host_call: usize,
    /// Bytes of a body that a guest may read or write.
    pub body: usize,
    /// Headers, and as many query arguments, that the filters of one call may
    /// change or put into a response.
    pub headers: usize,
    /// Bytes of the name and value of one of them.
    pub header: usize,
    /// Bytes that one call may log; what is more is dropped and counted.
    pub log_per_call: usize,
    /// Bytes that all calls together may log in a second, likewise.
    pub log_per_second: usize,
    /// Calls of the plugin at the same time.
    pub concurrent_calls: u32,
    /// Calls that may wait for one of those to end.
    pub waiting_calls: u32,
    /// How long they wait, and how long a call waits for a free instance.
    pub wait: Duration,
}

/// What a filter may write into a request or response; a copy travels with the
/// call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EditLimits {
    pub(crate) body: usize,
    pub(crate) headers: usize,
    pub(crate) header: usize,
}

impl From<&Limits> for EditLimits {
    fn from(limits: &Limits) -> Self {
        EditLimits {
            body: limits.body,
            headers: limits.headers,
            header: limits.header,
        }
    }
}

impl EditLimits {
    /// For a call that no filter has seen yet: none of its own.
    pub(crate) const NONE: EditLimits = EditLimits {
        body: 0,
        headers: 0,
        header: 0,
    };
}

/// Counts the memory and table elements of one store against its limits.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    all: Arc<GuestMemory>,
    limit: usize,
    used: usize,
    table_limit: usize,
    table_elements: usize,
    /// Set when a growth was refused, so that the trap which usually follows
    /// can be named by its cause.
    pub(crate) refused: bool,
    /// Set when that was for want of memory for all guests.
    pub(crate) all_taken: bool,
}

impl Drop for MemoryMeter {
    fn drop(&mut self) {
        self.all.give_back(self.used);
    }
}

impl MemoryMeter {
    pub(crate) fn new(limits: &Limits, all: Arc<GuestMemory>) -> Self {
        MemoryMeter {
            all,
            limit: limits.memory,
            used: 0,
            table_limit: limits.table_elements,
            table_elements: 0,
            refused: false,
            all_taken: false,
        }
    }

    /// Bytes of all memories.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.used.saturating_add(desired.saturating_sub(current));
        if total > self.limit {
            self.refused = true;
            return Ok(false);
        }
        if !self.all.take(total - self.used) {
            self.all_taken = true;
            return Ok(false);
        }
        self.used = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        if total > self.table_limit {
            self.refused = true;
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }

    // The system or the slot of the pool had less than the limit.

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.refused = true;
        Ok(())
    }
}

/// For tests that are about other things.
#[cfg(test)]
pub(crate) const GENEROUS: Limits = Limits {
    memory: 64 << 20,
    table_elements: 100_000,
    handles: 1024,
    handler_time: Duration::from_secs(10),
    handler_wall_time: Duration::from_secs(20),
    configure_time: Duration::from_secs(10),
    configure_wall_time: Duration::from_secs(20),
    gateway_time: Duration::from_secs(20),
    questions: 64,
    services_time: Duration::from_secs(5),
    service_calls: 32,
    host_call: 20 << 20,
    body: 16 << 20,
    headers: 1000,
    header: 64 << 10,
    log_per_call: 64 << 10,
    log_per_second: 1 << 20,
    concurrent_calls: 100,
    waiting_calls: 100,
    wait: Duration::from_secs(10),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_several_memories_should_add_up() {
        let all = Arc::new(GuestMemory::new(110));
        let limits = Limits {
            memory: 100,
            ..GENEROUS
        };
        let mut meter = MemoryMeter::new(&limits, Arc::clone(&all));
        assert!(meter.memory_growing(0, 60, None).expect("first"));
        assert!(!meter.memory_growing(0, 60, None).expect("second"));
        assert!(meter.refused);
        assert!(
            meter
                .memory_growing(60, 100, None)
                .expect("exactly the limit")
        );
    }

    #[test]
    fn instances_should_share_what_there_is_and_give_it_back() {
        let all = Arc::new(GuestMemory::new(110));
        let meter = || MemoryMeter::new(&GENEROUS, Arc::clone(&all));
        let (mut first, mut second) = (meter(), meter());
        assert!(first.memory_growing(0, 60, None).expect("first"));
        assert!(!second.memory_growing(0, 60, None).expect("second"));
        assert!(second.all_taken && !second.refused);
        drop(first);
        assert!(second.memory_growing(0, 60, None).expect("again"));
        assert_eq!(all.used(), 60);
    }
}
