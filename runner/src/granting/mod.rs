//! From what the configuration grants to what filters reach: an HTTP client for
//! each plugin with rules of its own, one store for the tenant, secrets. All of
//! it is opened at the start, before the process gives up what it does not need.
//!
//! Must not know how requests are sent or where values lie.

mod authorities;
mod key_value_port;
mod outbound_port;

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use key_value::{Backend, EmbeddedSettings, RedisSettings, Store};
use outbound::{Client, Resolver, Settings};
use sandbox::{Grants, Randomness, Secrets, ThreadStart};
use tokio::runtime::{Builder, Handle, Runtime};

pub use self::authorities::Authorities;
use self::key_value_port::KeyValuePort;
use self::outbound_port::OutboundPort;
use crate::config::{self, HttpGrant, KeyValueSettings, KeyValueStore, TenantConfig};
use crate::tenant::Tenant;

/// Bytes of a response's head.
const RESPONSE_HEADERS: usize = 64 << 10;

/// Requests that may wait for a place, for each that has one.
const WAITING: u32 = 4;

/// How long the end of the process waits for what filters keep.
const LAST_WRITE: Duration = Duration::from_millis(150);

/// Bytes of a key in the store: a guest's 512, behind the name of its plugin,
/// which is that of a file.
const LONGEST_KEY: usize = 512 + 256;

/// What the plugins of one tenant are granted.
pub struct Granting {
    others: OfPlugin,
    named: BTreeMap<String, OfPlugin>,
    store: Option<Store>,
    /// Where requests and the store wait. `None` where nothing is granted that
    /// would.
    _services: Option<Services>,
}

/// What one plugin is granted.
struct OfPlugin {
    /// All but what bears its name.
    reached: Grants,
    /// Sends its requests, and those of the others that have the same grant.
    client: Option<Client>,
    /// Whether it has a part of the tenant's store.
    keeps: bool,
}

/// What is opened once for a tenant.
struct Opened<'a> {
    services: Option<&'a Services>,
    authorities: &'a Authorities,
    system: Option<Resolver>,
}

impl Granting {
    /// Opens what is granted; threads do `thread_start` first.
    ///
    /// # Errors
    /// Where the operator named something that cannot be used: a folder, a file
    /// of certificates, an address.
    pub fn start(
        config: &TenantConfig,
        key_value: &KeyValueSettings,
        authorities: &Authorities,
        thread_start: ThreadStart,
    ) -> Result<Self> {
        let plugins = &config.plugins;
        let all = || plugins.named.values().chain([&plugins.others]);
        let needs_store = all().any(|plugin| plugin.grants.key_value);
        let needs_http = all().any(|plugin| plugin.grants.http.is_some());
        let services = match needs_store || needs_http {
            true => Some(Services(Some(services(thread_start.clone())?))),
            false => None,
        };
        let store = match (&services, needs_store) {
            (Some(services), true) => Some(open_store(
                config,
                key_value,
                services.handle()?,
                &thread_start,
            )?),
            _ => None,
        };
        let mut opened = Opened {
            services: services.as_ref(),
            authorities,
            system: None,
        };
        let others = opened.grants(&plugins.others.grants)?;
        let mut named = BTreeMap::new();
        for (name, plugin) in &plugins.named {
            let grants = opened.grants(&plugin.grants);
            let grants = grants.with_context(|| format!("plugins.{name}.grants"))?;
            named.insert(name.clone(), grants);
        }
        Ok(Granting {
            others,
            named,
            store,
            _services: services,
        })
    }

    /// What the plugin of this name is granted.
    #[must_use]
    pub fn of(&self, name: &str) -> Arc<Grants> {
        let granted = self.named.get(name).unwrap_or(&self.others);
        let store = self.store.as_ref().filter(|_| granted.keeps);
        let client = granted.client.clone();
        Arc::new(Grants {
            http: client.map(|client| Arc::new(OutboundPort::new(client, name)) as _),
            key_value: store.map(|store| Arc::new(KeyValuePort::new(store.clone(), name)) as _),
            ..granted.reached.clone()
        })
    }

    /// What the store of the tenant holds, where it has one that counts.
    #[must_use]
    pub fn stored(&self) -> Option<key_value::Usage> {
        self.store.as_ref()?.usage()
    }

    /// Writes down what filters keep.
    pub async fn close(&self) {
        let Some(store) = &self.store else { return };
        match tokio::time::timeout(LAST_WRITE, store.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!("the last values of filters are lost: {error}"),
            Err(_) => tracing::error!(
                "the last values of filters may be lost: writing them takes more than {} ms",
                LAST_WRITE.as_millis()
            ),
        }
    }
}

/// A runtime of its own. `None` only while it is dropped.
struct Services(Option<Runtime>);

impl Services {
    fn handle(&self) -> Result<&Handle> {
        let runtime = self.0.as_ref();
        let handle = runtime.map(Runtime::handle);
        handle.context("nothing to send requests with")
    }
}

/// A runtime within another must not be waited for, also where a start fails.
impl Drop for Services {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn services(thread_start: ThreadStart) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("services")
        .on_thread_start(move || thread_start.run())
        .enable_all()
        .build()
}

impl Opened<'_> {
    fn grants(&mut self, granted: &config::Grants) -> Result<OfPlugin> {
        let client = match &granted.http {
            Some(http) => Some(self.client(http).context("grants.http")?),
            None => None,
        };
        let secrets = granted.secrets.as_ref().map(|secrets| {
            let text = |(name, value): (&String, &Result<config::SecretText, String>)| {
                let value = value.as_ref().ok()?;
                Some((name.clone(), value.reveal().to_string()))
            };
            Arc::new(secrets.iter().filter_map(text).collect::<Secrets>())
        });
        let reached = Grants {
            http: None,
            key_value: None,
            secrets,
            clock_resolution: granted.clock_resolution,
            random: match granted.fixed_random {
                true => Randomness::Fixed,
                false => Randomness::Real,
            },
        };
        Ok(OfPlugin {
            reached,
            client,
            keeps: granted.key_value,
        })
    }

    fn client(&mut self, grant: &HttpGrant) -> Result<Client> {
        let services = self.services.context("nothing to send requests with")?;
        let settings = Settings {
            rules: grant.allow.clone(),
            time: grant.time,
            connect_time: grant.connect_time,
            request_body: grant.request_body,
            response_body: grant.response_body,
            response_headers: RESPONSE_HEADERS,
            concurrent: grant.concurrent,
            waiting: grant.concurrent.saturating_mul(WAITING),
        };
        let resolver = self.resolver(grant)?;
        let roots = self.authorities.of(grant);
        let roots = roots.map_err(|error| anyhow!("{error}"))?;
        let client = Client::new(settings, resolver, roots, services.handle()?.clone());
        client.map_err(anyhow::Error::msg)
    }

    fn resolver(&mut self, grant: &HttpGrant) -> Result<Resolver> {
        if !grant.nameservers.is_empty() {
            return Resolver::with_name_servers(&grant.nameservers).map_err(anyhow::Error::msg);
        }
        if self.system.is_none() {
            self.system = Some(Resolver::of_system().map_err(anyhow::Error::msg)?);
        }
        self.system
            .clone()
            .ok_or_else(|| anyhow!("no name servers"))
    }
}

fn open_store(
    config: &TenantConfig,
    settings: &KeyValueSettings,
    services: &Handle,
    thread_start: &ThreadStart,
) -> Result<Store> {
    let limits = key_value::Limits {
        max_key_bytes: LONGEST_KEY,
        max_bytes: config.key_value_size,
        ..key_value::Limits::default()
    };
    let open = |backend| {
        let settings = key_value::Settings { backend, limits };
        Store::open(settings, config.tenant.name(), services)
    };
    let folders = match &settings.store {
        KeyValueStore::Redis(address) => {
            let redis = RedisSettings {
                timeout: settings.time,
                ..RedisSettings::at(address)
            };
            return open(Backend::Redis(redis)).context("key_value.redis");
        }
        KeyValueStore::Embedded(folders) => folders,
    };
    let mut refusals = Vec::new();
    for folder in folders {
        let folder = own_folder(folder, &config.tenant);
        let thread_start = thread_start.clone();
        let embedded = EmbeddedSettings {
            thread_start: Arc::new(move || thread_start.run()),
            ..EmbeddedSettings::in_folder(&folder)
        };
        match open(Backend::Embedded(embedded)) {
            Ok(store) => {
                tracing::info!("what filters keep is in {}", folder.display());
                return Ok(store);
            }
            Err(error) => refusals.push(error.to_string()),
        }
    }
    bail!(
        "nothing can be kept for filters: {}; set key_value.folder to a folder of the user who \
         runs this",
        refusals.join("; ")
    )
}

/// A folder of its own for each tenant, so that its process has to see no
/// other's.
#[must_use]
pub fn own_folder(folder: &Path, tenant: &Tenant) -> PathBuf {
    make(folder);
    folder.join(tenant.name())
}

/// Makes a folder and its parent; whoever uses it says what is wrong.
pub fn make(folder: &Path) {
    if let Some(parent) = folder.parent() {
        let _ = std::fs::DirBuilder::new().mode(0o755).create(parent);
    }
    let _ = std::fs::DirBuilder::new().mode(0o700).create(folder);
}
