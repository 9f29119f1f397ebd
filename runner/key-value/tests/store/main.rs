//! A store does the same wherever its values are; and each back end keeps its
//! own promise: a file is there after a restart and a crash, a Redis may go and
//! come back.

mod behaviours;
mod crashes;
mod embedded;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../../../../tests/own_network/redis_server.rs"]
mod redis_server;
mod remote;

use std::path::Path;
use std::time::{Duration, Instant};

use key_value::{Backend, EmbeddedSettings, Limits, RedisSettings, Settings, Store};
use redis_server::RedisServer;
use tempfile::TempDir;
use tokio::runtime::{Handle, Runtime};

/// What happens at all happens within this.
const SOON: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("runtime")
}

fn embedded_settings(folder: &Path) -> EmbeddedSettings {
    EmbeddedSettings {
        flush_interval: Duration::from_millis(50),
        open_wait: SOON,
        ..EmbeddedSettings::in_folder(folder)
    }
}

fn open(backend: Backend, tenant: &str) -> Store {
    let limits = Limits::default();
    let settings = Settings { backend, limits };
    Store::open(settings, tenant, &Handle::current()).expect("store")
}

fn embedded(folder: &Path, tenant: &str) -> Store {
    open(Backend::Embedded(embedded_settings(folder)), tenant)
}

fn redis_settings(server: &RedisServer) -> RedisSettings {
    RedisSettings {
        timeout: SOON,
        ..RedisSettings::at(server.address())
    }
}

/// One of each kind, all of them empty.
struct Stores {
    folder: TempDir,
    server: RedisServer,
}

impl Stores {
    fn new() -> Self {
        Stores {
            folder: tempfile::tempdir().expect("folder"),
            server: RedisServer::start(),
        }
    }

    fn of(&self, tenant: &str, limits: Limits) -> [(&'static str, Store); 3] {
        let embedded = Backend::Embedded(embedded_settings(self.folder.path()));
        let redis = Backend::Redis(redis_settings(&self.server));
        let open = |backend| {
            let settings = Settings { backend, limits };
            Store::open(settings, tenant, &Handle::current()).expect("store")
        };
        [
            ("in memory", Store::in_memory(limits)),
            ("embedded", open(embedded)),
            ("redis", open(redis)),
        ]
    }
}

/// Asks until the answer is the right one.
async fn soon<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(wrong) => assert!(started.elapsed() < SOON, "{what}: still {wrong}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The text of a key, as soon as it is this one.
async fn soon_reads(store: &Store, key: &str, expected: Option<&str>) {
    soon(key, async || match store.get(key).await {
        Ok(value) if value.as_deref() == expected.map(str::as_bytes) => Ok(()),
        other => Err(format!("{other:?} and not {expected:?}")),
    })
    .await;
}
