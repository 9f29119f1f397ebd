//! The one wasmtime engine of the process: how guests are compiled, where
//! their instances come from, and the clock that interrupts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::account::Account;
use crate::call_state::CallState;
use crate::caretaker::Caretaker;
use crate::code_cache::CodeCache;
use crate::compiler::{Compiler, Target};
use crate::guest_memory::GuestMemory;
use crate::imports::Needed;
use crate::pulse::{Beating, Pulse};
use crate::slots::{Slots, Taken};
use crate::slow_lane::SlowLane;
use crate::{DiskCache, Limits, SandboxError, ThreadStart, host};

/// What the operator may choose about the engine.
#[derive(Debug)]
pub struct EngineSettings {
    /// How many instances may exist at the same time, over all plugins. Each
    /// takes a slot of about 4 GiB of address space, not of memory.
    pub instances: u32,
    /// Bytes that the memories of all instances together may take.
    pub guest_memory: usize,
    /// Bytes that all snapshots of configurations together may take.
    pub snapshot_memory: usize,
    /// Where compiled components are kept, if anywhere.
    pub cache: Option<DiskCache>,
    /// Whether to count the instructions that guests execute, for their
    /// authors: it makes them slower.
    pub count_instructions: bool,
    /// Who compiles; none: this process.
    pub compiler: Option<Arc<dyn Compiler>>,
    /// What the engine's threads do first.
    pub thread_start: ThreadStart,
}

/// Where instances come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocation {
    /// From slots reserved at start.
    Pooled {
        /// How many.
        instances: u32,
    },
    /// Mapped anew for each instance, because the address space is too small
    /// for a pool (`ulimit -v`, 39-bit kernels). Several times slower.
    OnDemand,
}

/// What instances and snapshots take at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Places for instances.
    pub slots: u32,
    /// Those that are not free.
    pub slots_taken: u32,
    /// Those of instances that wait for a call.
    pub slots_kept: u32,
    /// Calls that wait for a place.
    pub slot_waiters: u32,
    /// Bytes of snapshots, as of the last second.
    pub snapshot_bytes: usize,
    /// Bytes of the memories of all instances.
    pub guest_memory: usize,
}

/// Compiles components and makes instances of them.
pub struct Engine {
    wasmtime: wasmtime::Engine,
    allocation: Allocation,
    cache: Option<DiskCache>,
    compiler: Option<Arc<dyn Compiler>>,
    counts_instructions: bool,
    slots: Arc<Slots>,
    plain: Linker<CallState>,
    with_wasi: Linker<CallState>,
    with_wasi_http: Linker<CallState>,
    caretaker: Caretaker,
    pulse: Arc<Pulse>,
    memory: Arc<GuestMemory>,
    _beating: Beating,
    slow_lane: SlowLane,
    /// Slots of instances that are kept for later calls.
    kept: Arc<AtomicU32>,
}

impl Engine {
    /// Starts the engine. Where the address space cannot hold the pool, tries
    /// smaller ones and then none; [`Engine::allocation`] tells.
    ///
    /// # Errors
    /// wasmtime's, where even the simplest configuration is refused.
    pub fn start(settings: EngineSettings) -> Result<Arc<Self>, wasmtime::Error> {
        let counts_instructions = settings.count_instructions;
        let (wasmtime, allocation) = allocate(settings.instances.max(1), counts_instructions)?;
        let mut plain = Linker::new(&wasmtime);
        host::link(&mut plain)?;
        let mut with_wasi = plain.clone();
        host::link_wasi(&mut with_wasi)?;
        let mut with_wasi_http = with_wasi.clone();
        host::wasi_http::link(&mut with_wasi_http)?;
        let slots = match allocation {
            Allocation::Pooled { instances } => instances,
            Allocation::OnDemand => settings.instances.min(ON_DEMAND_INSTANCES),
        };
        let pulse = Arc::new(Pulse::new());
        let weak = wasmtime.weak();
        // Without it nothing would ever interrupt a guest.
        let beating = Beating::start(&pulse, move || match weak.upgrade() {
            Some(engine) => {
                engine.increment_epoch();
                true
            }
            None => false,
        })?;
        Ok(Arc::new(Engine {
            _beating: beating,
            pulse,
            memory: Arc::new(GuestMemory::new(settings.guest_memory)),
            slow_lane: SlowLane::start(&settings.thread_start)?,
            wasmtime,
            allocation,
            cache: settings.cache,
            compiler: settings.compiler,
            counts_instructions,
            slots: Arc::new(Slots::new(slots)),
            plain,
            with_wasi,
            caretaker: Caretaker::start(settings.snapshot_memory, settings.thread_start)?,
            with_wasi_http,
            kept: Arc::default(),
        }))
    }

    /// Where instances come from.
    pub fn allocation(&self) -> Allocation {
        self.allocation
    }

    /// What is in use now.
    pub fn usage(&self) -> Usage {
        let slots = self.slots.usage();
        Usage {
            slots: self.slots.total(),
            slots_taken: slots.taken,
            slots_kept: self.kept.load(Ordering::Relaxed),
            slot_waiters: slots.waiting,
            snapshot_bytes: self.caretaker.snapshot_bytes(),
            guest_memory: self.memory.used(),
        }
    }

    pub(crate) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.wasmtime
    }

    pub(crate) fn cache(&self) -> Option<&DiskCache> {
        self.cache.as_ref()
    }

    pub(crate) fn compiler(&self) -> Option<&dyn Compiler> {
        self.compiler.as_deref()
    }

    /// What its code is compiled for.
    pub(crate) fn target(&self) -> Target {
        Target {
            counts_instructions: self.counts_instructions,
            is_short: self.allocation == Allocation::OnDemand,
        }
    }

    /// Whether stores have fuel, by which instructions are counted.
    pub(crate) fn counts_instructions(&self) -> bool {
        self.counts_instructions
    }

    pub(crate) fn linker(&self, needed: Needed) -> &Linker<CallState> {
        match needed {
            Needed::Own => &self.plain,
            Needed::Wasi => &self.with_wasi,
            Needed::WasiHttp => &self.with_wasi_http,
        }
    }

    pub(crate) fn caretaker(&self) -> &Caretaker {
        &self.caretaker
    }

    /// Ticks since the engine was started: a clock for what need not be exact,
    /// which costs nothing to read.
    pub(crate) fn now(&self) -> u64 {
        self.pulse.now()
    }

    /// Where calls go that take long.
    pub(crate) fn slow_lane(&self) -> &SlowLane {
        &self.slow_lane
    }

    /// An account for a plugin.
    pub(crate) fn account(&self, name: Arc<str>, limits: Limits) -> Account {
        let (pulse, memory) = (Arc::clone(&self.pulse), Arc::clone(&self.memory));
        Account::new(name, limits, pulse, memory, Arc::clone(&self.slots))
    }

    /// The right to keep an instance of so many slots for later calls: at most
    /// `most` slots over all filters, and never more than half of all.
    pub(crate) fn keep(&self, slots: u32, most: u32) -> Option<Kept> {
        let most = most.min(self.slots.total() / 2);
        let more = |kept: u32| kept.checked_add(slots).filter(|kept| *kept <= most);
        let kept = self
            .kept
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        kept.is_ok().then(|| Kept {
            all: Arc::clone(&self.kept),
            slots,
        })
    }

    /// Whether others wait for an instance.
    pub(crate) fn is_crowded(&self) -> bool {
        self.slots.is_crowded()
    }

    /// Waits for the right to make an instance that takes so many slots. (How
    /// many may wait is up to each plugin.)
    pub(crate) async fn slots(&self, count: u32, wait: Duration) -> Result<Taken, SandboxError> {
        let taken = self.slots.take(count, wait, u32::MAX).await;
        taken.map_err(|_| SandboxError::Saturated(wait))
    }
}

/// An instance that is kept, until it is dropped.
pub(crate) struct Kept {
    all: Arc<AtomicU32>,
    slots: u32,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.all.fetch_sub(self.slots, Ordering::Relaxed);
    }
}

/// Instances at the same time where each is mapped anew: a stack of 2 MiB and
/// a few MiB of memory each have to fit into an address space that is short.
const ON_DEMAND_INSTANCES: u32 = 64;

/// Tables in one slot of the pool. A component made by wit-component brings
/// two: its own and that of the lowering shim.
pub(crate) const TABLES_PER_SLOT: u32 = 4;

/// Tries ever smaller pools: the reservation fails at once where it does not
/// fit.
fn allocate(
    instances: u32,
    count_instructions: bool,
) -> Result<(wasmtime::Engine, Allocation), wasmtime::Error> {
    let mut wanted = instances;
    while wanted >= 8 || wanted == instances {
        let strategy = InstanceAllocationStrategy::Pooling(pool(wanted));
        let mut config = config(count_instructions);
        if let Ok(engine) = wasmtime::Engine::new(config.allocation_strategy(strategy)) {
            return Ok((engine, Allocation::Pooled { instances: wanted }));
        }
        wanted /= 4;
    }
    let engine = compiling_engine(Target {
        counts_instructions: count_instructions,
        is_short: true,
    })?;
    Ok((engine, Allocation::OnDemand))
}

/// An engine without a pool, whose code fits engines of this kind: a pool
/// changes nothing about code, how memories are reserved does.
pub(crate) fn compiling_engine(target: Target) -> Result<wasmtime::Engine, wasmtime::Error> {
    let mut config = config(target.counts_instructions);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    if target.is_short {
        config
            // Memories that begin small and move when they grow, since there is
            // no room to reserve what each might need.
            .memory_reservation(0)
            .memory_reservation_for_growth(1 << 20)
            .memory_guard_size(0);
    }
    wasmtime::Engine::new(&config)
}

fn config(count_instructions: bool) -> Config {
    let mut config = Config::new();
    config
        // Deadlines: about a tenth of the guest's speed, a third of what fuel
        // costs.
        .epoch_interruption(true)
        .consume_fuel(count_instructions)
        // No guest of ours is concurrent inside; without it an async call is a
        // plain fiber switch.
        .concurrency_support(false)
        // Less to attack: no filter needs it.
        .wasm_memory64(false)
        // A trap is a line in the log; who wants to debug it has other tools.
        .wasm_backtrace_max_frames(None)
        // The guest's own stack; the fiber's 2 MiB stay well above it.
        .max_wasm_stack(512 << 10);
    if let Err(error) = config.enable_incremental_compilation(Arc::new(CodeCache::default())) {
        tracing::warn!("capturing configurations will take longer: {error:#}");
    }
    config
}

fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES_PER_SLOT))
        // Only a count; interpreted languages bring a dozen per component.
        .total_core_instances(instances.saturating_mul(64))
        .max_memories_per_component(8)
        .max_tables_per_component(32)
        .max_core_instances_per_component(64)
        .max_core_instance_size(8 << 20)
        .max_component_instance_size(8 << 20)
        // CPython and SpiderMonkey need more than ten thousand.
        .table_elements(20_000)
        // A slot that was used keeps its pages and is wiped in place: the
        // kernel's page map says which pages were written. Without the scan,
        // all 2 MiB would be wiped each time.
        .linear_memory_keep_resident(2 << 20)
        .table_keep_resident(512 << 10)
        .pagemap_scan(Enabled::Auto);
    pool
}
