//! How much a guest may use, and what counts its memory. Time is counted in
//! `guest_clock`. The numbers come from the operator, never from the guest.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// The limits of one plugin's instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of one instance in bytes, all its memories together.
    pub memory: usize,
    /// How long a handler may compute in one call.
    pub handler_time: Duration,
    /// How long starting an instance and its `configure` may compute together.
    pub configure_time: Duration,
    /// How much longer either may take by the clock on the wall, without the
    /// waiting for the gateway: others compute too, and a guest can sleep.
    pub idle_time: Duration,
    /// How long one call may wait for the gateway's answers in total. It must
    /// stay below the gateway's own read timeout of 60 s
    /// (`ext-plugin/init.lua`).
    pub gateway_time: Duration,
    /// How many questions the filters of one call may ask the gateway.
    pub questions: u32,
}

/// Elements over all tables of one instance. Interpreted languages need about
/// ten thousand; a slot of the pool holds twenty thousand per table.
const TABLE_ELEMENTS: usize = 100_000;

/// Counts the memory and table elements of one store against its limits.
#[derive(Debug)]
pub(crate) struct MemoryMeter {
    limit: usize,
    used: usize,
    table_elements: usize,
    /// Set when a growth was refused, so that the trap which usually follows
    /// can be named by its cause.
    pub(crate) refused: bool,
}

impl MemoryMeter {
    pub(crate) fn new(limit: usize) -> Self {
        MemoryMeter {
            limit,
            used: 0,
            table_elements: 0,
            refused: false,
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
        if total > TABLE_ELEMENTS {
            self.refused = true;
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_several_memories_should_add_up() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 60, None).expect("first"));
        assert!(!meter.memory_growing(0, 60, None).expect("second"));
        assert!(meter.refused);
        assert!(
            meter
                .memory_growing(60, 100, None)
                .expect("exactly the limit")
        );
    }
}
