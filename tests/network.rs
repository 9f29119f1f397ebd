//! What filters reach of other servers and stores: the real runner, its second
//! wall up, in a network of the test's own with public, private and link-local
//! addresses, a server on each and a name server that lies; a filter tries what
//! it is told to, through each interface there is, and a gateway asks it. No
//! packet leaves that network.

#[path = "network/addresses.rs"]
mod addresses;
#[path = "network/auth_callout.rs"]
mod auth_callout;
#[path = "own_network/authority.rs"]
mod authority;
#[path = "network/limits.rs"]
mod limits;
#[path = "own_network/names.rs"]
mod names;
#[path = "own_network/namespace.rs"]
mod namespace;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "own_network/redis_server.rs"]
mod redis_server;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "own_network/servers.rs"]
mod servers;
#[path = "network/stage.rs"]
mod stage;
#[path = "network/stores.rs"]
mod stores;
#[path = "network/tenants.rs"]
mod tenants;
#[path = "network/tls.rs"]
mod tls;
#[path = "own_network/town.rs"]
mod town;
