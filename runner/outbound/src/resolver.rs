//! From a host's name to its addresses, without the C library: no thread waits
//! for an answer, nothing is loaded, and no file is opened after the start, so it
//! works where the process may no longer open any. Must not know which addresses
//! are allowed.

use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::parse_resolv_conf;

const RESOLV_CONF: &str = "/etc/resolv.conf";
const DNS: u16 = 53;
/// Answers that are kept for as long as they say, for all clients.
const KEPT_ANSWERS: u64 = 1024;

/// Asks name servers, and remembers answers for their time to live. A clone is
/// the same resolver. What it does in the background it does on the runtime of
/// the client that first asks: all clients of one resolver are of one runtime.
#[derive(Debug, Clone)]
pub struct Resolver {
    inner: TokioResolver,
}

impl Resolver {
    /// With the name servers of /etc/resolv.conf, or the one of this machine
    /// where it names none (resolv.conf(5)), and the names of /etc/hosts; both
    /// are read now and not again. A `search` list is not used: every name is a
    /// whole one.
    ///
    /// # Errors
    /// A sentence, where /etc/resolv.conf cannot be read or understood.
    pub fn of_system() -> Result<Self, String> {
        let text = match fs::read(RESOLV_CONF) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(format!("{RESOLV_CONF} cannot be read: {error}")),
        };
        // What it calls an error is a file without a name server.
        let (servers, options) = match parse_resolv_conf(text) {
            Ok((config, options)) => (config.name_servers, options),
            Err(_) => (
                vec![name_server(SocketAddr::from((Ipv4Addr::LOCALHOST, DNS)))],
                ResolverOpts::default(),
            ),
        };
        Self::build(servers, options)
    }

    /// With these name servers in place of those in /etc/resolv.conf, which is not
    /// read. /etc/hosts is.
    ///
    /// # Errors
    /// A sentence, where there is none.
    pub fn with_name_servers(servers: &[SocketAddr]) -> Result<Self, String> {
        if servers.is_empty() {
            return Err("the list of name servers is empty; name one, or leave it out".into());
        }
        let servers = servers.iter().copied().map(name_server).collect();
        Self::build(servers, ResolverOpts::default())
    }

    fn build(servers: Vec<NameServerConfig>, mut options: ResolverOpts) -> Result<Self, String> {
        options.use_hosts_file = ResolveHosts::Always;
        options.cache_size = KEPT_ANSWERS;
        let config = ResolverConfig::from_name_servers(servers);
        let provider = TokioRuntimeProvider::default();
        let inner = TokioResolver::builder_with_config(config, provider)
            .with_options(options)
            .build()
            .map_err(|error| format!("the resolver cannot start: {error}"))?;
        Ok(Resolver { inner })
    }

    /// All addresses of a name, of both families, as they are written in the
    /// answer.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, NetError> {
        let mut name = Name::from_ascii(host)?;
        name.set_fqdn(true);
        Ok(self.inner.lookup_ip(name).await?.iter().collect())
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = address.port();
    }
    NameServerConfig::new(address.ip(), true, connections)
}
