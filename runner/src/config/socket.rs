//! Where a gateway finds a tenant, and who may connect there. Must not know how
//! a socket is made.

use std::path::PathBuf;

use nix::unistd::{Gid, Uid};

use super::ConfigError;
use super::env::Environment;
use super::raw::{NameOrNumber, RawSocket};
use super::source::Source;
use crate::socket_owner::{self, Owner};

/// Set by the gateway for the runner it starts
/// (`apisix/plugins/ext-plugin/init.lua`).
const LISTEN_ADDRESS: &str = "APISIX_LISTEN_ADDRESS";

/// A unix socket to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketSettings {
    /// Its path.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Its owner.
    pub owner: Owner,
    /// Its group, unless it stays ours.
    pub group: Option<Gid>,
    /// The users who may connect; empty is whoever may open it.
    pub peers: Vec<u32>,
}

impl Source {
    /// What `section` says of a socket. `given`: an address from elsewhere that
    /// wins, and where it is from.
    pub(super) fn socket(
        &self,
        section: &str,
        raw: &RawSocket,
        given: Option<(String, &'static str)>,
        env: &dyn Environment,
    ) -> Result<SocketSettings, ConfigError> {
        let key = |name: &str| format!("{section}.{name}");
        let path = match given {
            Some((address, from)) => {
                socket_path(&address).map_err(|message| ConfigError::Address { from, message })?
            }
            None => {
                let file = self.expand(&key("file"), &raw.file, env)?;
                let path = socket_path(&file);
                path.map_err(|message| self.value_error(&key("file"), message))?
            }
        };
        let peers = raw.peers.iter().filter_map(|peer| match peer {
            NameOrNumber::Number(number) => Some(*number),
            NameOrNumber::Name(name) => self.user(&key("peers"), name).map(Uid::as_raw),
        });
        Ok(SocketSettings {
            path,
            mode: self.mode(&key("mode"), raw)?,
            owner: match &*raw.owner {
                "auto" => Owner::Auto,
                // Where there is no such user nothing is opened.
                name => self
                    .user(&key("owner"), name)
                    .map_or(Owner::Auto, Owner::User),
            },
            group: raw.group.as_deref().and_then(|name| {
                let group = socket_owner::group(name);
                group
                    .map_err(|message| self.note_missing(&key("group"), message))
                    .ok()
            }),
            peers: peers.collect(),
        })
    }

    /// A user of this machine; where there is none, says so and goes on.
    fn user(&self, key: &str, name: &str) -> Option<Uid> {
        let user = socket_owner::user(name);
        user.map_err(|message| self.note_missing(key, message)).ok()
    }

    fn mode(&self, key: &str, raw: &RawSocket) -> Result<u32, ConfigError> {
        match u32::from_str_radix(&raw.mode, 8) {
            Ok(mode) if mode <= 0o777 => Ok(mode),
            _ => {
                let message = format!("{:?} is not a mode such as \"0660\"", raw.mode);
                Err(self.value_error(key, message))
            }
        }
    }
}

/// `--listen`, then the gateway's variable.
pub(super) fn given_address(
    listen: Option<&str>,
    env: &dyn Environment,
) -> Option<(String, &'static str)> {
    match listen {
        Some(listen) => Some((listen.to_owned(), "--listen")),
        None => Some((env.get(LISTEN_ADDRESS)?, LISTEN_ADDRESS)),
    }
}

/// The path in `unix:PATH`. Anything else with a colon was meant for another
/// kind of socket.
pub(super) fn socket_path(address: &str) -> Result<PathBuf, String> {
    match address.strip_prefix("unix:").unwrap_or(address) {
        "" => Err("the address is empty; give unix:PATH".into()),
        path if address == path && path.contains(':') => Err(format!(
            "{address:?} is not an address of a unix socket; give unix:PATH"
        )),
        path => Ok(PathBuf::from(path)),
    }
}
