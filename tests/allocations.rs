//! What a call allocates, counted: the work of a call follows what its filters
//! touch, not what the client sent. In one process with the runner, without a
//! socket, because another process's allocator cannot be asked.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use harness::modules;
use protocol::gateway_side::{HttpAction, HttpReqCall, PrepareConf, Reply, decode_reply};
use protocol::{Entry, Frame, FrameBuilder, frame};
use runner::conf_cache::{ConfCache, ConfLimits, Tokens};
use runner::config::{Config, Environment};
use runner::dispatcher::{Dispatcher, ReplyBuilders};
use runner::gateway_link::GatewayLink;
use runner::granting::{Authorities, Granting};
use runner::metrics::AllMetrics;
use runner::module_swap::{ModuleSwap, Said, Trusted};
use runner::plugin_catalog::PluginCatalog;
use runner::tenant::Tenant;
use sandbox::{Engine, EngineSettings, ThreadStart};
use tokio::net::UnixStream;

/// Counts what this thread allocates while it is told to.
struct Counting;

thread_local! {
    static COUNTED: Cell<Option<Allocated>> = const { Cell::new(None) };
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Allocated {
    times: usize,
    bytes: usize,
}

fn count(bytes: usize) {
    COUNTED.with(|counted| {
        if let Some(Allocated { times, bytes: sum }) = counted.get() {
            counted.set(Some(Allocated {
                times: times + 1,
                bytes: sum + bytes,
            }));
        }
    });
}

// SAFETY: every request goes to the system's allocator as it came.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A runner's rooms below the socket.
struct Rooms {
    dispatcher: Dispatcher,
    link: Arc<GatewayLink>,
    builders: ReplyBuilders,
    _gateway: UnixStream,
}

struct Nothing;

impl Environment for Nothing {
    fn get(&self, _: &str) -> Option<String> {
        None
    }
}

impl Rooms {
    async fn new() -> Self {
        let mut config: Config = runner::config::load(None, None, &Nothing).expect("defaults");
        let settings = EngineSettings {
            guest_memory: usize::MAX,
            instances: 8,
            snapshot_memory: 1 << 20,
            cache: None,
            count_instructions: false,
            compiler: None,
            thread_start: ThreadStart::default(),
        };
        let engine = Engine::start(settings).expect("an engine");
        let tenant = Tenant::sole();
        let metrics = AllMetrics::new().expect("metrics").of(&Tenant::sole());
        let folder = modules::examples();
        let (catalog, _) = PluginCatalog::list(&tenant, &folder, 9, &metrics).expect("modules");
        let catalog = Arc::new(catalog);
        let here = tokio::runtime::Handle::current();
        let lifetime = config.configuration_lifetime;
        let key_value = config.key_value.clone();
        let authorities = Authorities::read(&config);
        let config = config.tenants.remove(0);
        let granting = Granting::start(&config, &key_value, &authorities, ThreadStart::default());
        let granting = granting.expect("nothing is granted");
        let limits = ConfLimits::of(&config, lifetime);
        let policies = config.failure_policies;
        let tokens = Tokens::from_random();
        let confs = ConfCache::new(Arc::clone(&catalog), here, policies, limits, tokens);
        let confs = Arc::new(confs);
        let said = Said {
            plugins: config.plugins,
            trusted: Trusted::default(),
            granting: Arc::new(granting),
        };
        let swap = ModuleSwap::new(tenant.clone(), engine, said, catalog, Arc::clone(&confs));
        swap.load_all().await;
        let (ours, gateways) = UnixStream::pair().expect("sockets");
        Rooms {
            dispatcher: Dispatcher::new(tenant, confs, Duration::from_secs(1), metrics),
            link: Arc::new(GatewayLink::new(ours)),
            builders: ReplyBuilders::default(),
            _gateway: gateways,
        }
    }

    /// The reply, and what it took to make it.
    async fn exchange(&mut self, frame: &[u8]) -> (Reply, Allocated) {
        let frame = decoded(frame);
        let (dispatcher, builders) = (&self.dispatcher, &mut self.builders);
        COUNTED.set(Some(Allocated::default()));
        let reply = dispatcher
            .dispatch(frame, &self.link, builders, pending())
            .await;
        let allocated = COUNTED.take().expect("it was counted");
        (decode_reply(decoded(reply)).expect("a reply"), allocated)
    }

    async fn token(&mut self, conf: &str) -> u32 {
        let conf = [Entry::new("probe", conf)];
        let prepare = PrepareConf {
            key: None,
            conf: &conf,
        };
        let mut builder = FrameBuilder::new();
        let frame = prepare.encode(&mut builder).expect("frame").to_vec();
        match self.exchange(&frame).await.0 {
            Reply::PrepareConf { conf_token } => conf_token,
            other => panic!("{other:?}"),
        }
    }

    /// What the third of three equal calls allocates: by then every buffer has
    /// its size.
    async fn call(
        &mut self,
        conf_token: u32,
        headers: &[(String, String)],
        args: &[(String, String)],
    ) -> Allocated {
        let (headers, args) = (entries(headers), entries(args));
        let call = HttpReqCall {
            path: b"/",
            headers: &headers,
            args: &args,
            conf_token,
            ..HttpReqCall::default()
        };
        let mut builder = FrameBuilder::new();
        let frame = call.encode(&mut builder).expect("frame").to_vec();
        let mut last = Allocated::default();
        for _ in 0..3 {
            let (reply, allocated) = self.exchange(&frame).await;
            let Reply::HttpReqCall { action, .. } = reply else {
                panic!("{reply:?}");
            };
            assert!(matches!(action, HttpAction::Rewrite { .. }), "{action:?}");
            last = allocated;
        }
        last
    }
}

fn entries(pairs: &[(String, String)]) -> Vec<Entry<'_>> {
    let pairs = pairs.iter();
    pairs.map(|(name, value)| Entry::new(name, value)).collect()
}

fn decoded(bytes: &[u8]) -> Frame {
    let mut buffer = BytesMut::from(Bytes::copy_from_slice(bytes));
    frame::decode(&mut buffer).expect("in step").expect("whole")
}

fn headers(count: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|number| (format!("x-header-{number}"), "v".repeat(50)))
        .collect()
}

#[tokio::test]
async fn what_no_filter_touches_should_cost_no_allocation() {
    let mut rooms = Rooms::new().await;
    let token = rooms.token(r#"{"set_headers":{"X-A":"1"}}"#).await;
    let few = rooms.call(token, &headers(1), &headers(1)).await;
    let many = rooms.call(token, &headers(90), &headers(90)).await;
    assert_eq!(few, many, "1 header and argument against 90");
}

#[tokio::test]
async fn what_a_filter_reads_should_be_copied_once_on_its_way_to_the_guest() {
    const LONGER: usize = 16 * 1024;
    let mut rooms = Rooms::new().await;
    // `probe` reads every header for its report, which it sends on.
    let token = rooms.token(r#"{"report":"x-report"}"#).await;
    let with = |size: usize| vec![("x-read".to_owned(), "v".repeat(size))];
    let short = rooms.call(token, &with(10), &[]).await;
    let long = rooms.call(token, &with(10 + LONGER), &[]).await;
    let copied = (long.bytes - short.bytes) / LONGER;
    assert_eq!(
        copied, 2,
        "one of what was read, one of what was written: {short:?} {long:?}"
    );
}
