//! Where the pages for operators may be had. They have no password, so they are
//! for this machine only: behind a file with permissions, or on a loopback
//! address.
//!
//! Must not know what is on the pages.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::ConfigError;
use super::env::Environment;
use super::raw::RawAdmin;
use super::source::Source;

/// An address that nobody outside can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// A unix socket.
    Unix(PathBuf),
    /// A port of a loopback address; 0 is one that the system chooses.
    Loopback(SocketAddr),
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AdminAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            AdminAddress::Loopback(address) => write!(f, "{address}"),
        }
    }
}

const WAY_OUT: &str = "give unix:PATH, 127.0.0.1:PORT, [::1]:PORT, or null for no pages";

impl Source {
    /// `sockets` are the gateway's.
    pub(super) fn admin(
        &self,
        raw: &RawAdmin,
        sockets: &[&Path],
        env: &dyn Environment,
    ) -> Result<Option<AdminAddress>, ConfigError> {
        let Some(text) = &raw.listen else {
            return Ok(None);
        };
        let text = self.expand("admin.listen", text, env)?;
        let address = match address(&text) {
            Ok(AdminAddress::Unix(path)) if sockets.contains(&&*path) => {
                Err("is the gateway's socket already; give another path".into())
            }
            address => address,
        };
        address
            .map(Some)
            .map_err(|message| self.value_error("admin.listen", message))
    }
}

/// Reads `unix:PATH` or a loopback address with a port; otherwise a sentence:
/// what is wrong and what would do.
fn address(text: &str) -> Result<AdminAddress, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err(format!("{text:?} names no socket; {WAY_OUT}")),
            path => Ok(AdminAddress::Unix(PathBuf::from(path))),
        };
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Ok(AdminAddress::Loopback(address)),
        Ok(_) => Err(format!(
            "{text:?} can be reached from other machines, and the pages ask for no password; \
             {WAY_OUT}"
        )),
        Err(_) => Err(format!("{text:?} is not an address; {WAY_OUT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_this_machine_should_do() {
        let rows = [
            ("unix:/run/admin.sock", Ok("unix:/run/admin.sock")),
            ("127.0.0.1:9095", Ok("127.0.0.1:9095")),
            ("127.3.2.1:0", Ok("127.3.2.1:0")),
            ("[::1]:9095", Ok("[::1]:9095")),
            ("unix:", Err("names no socket")),
            ("", Err("is not an address")),
            ("/run/admin.sock", Err("give unix:PATH")),
            ("9095", Err("is not an address")),
            ("127.0.0.1", Err("is not an address")),
            ("localhost:9095", Err("is not an address")),
            ("0.0.0.0:9095", Err("can be reached from other machines")),
            ("[::]:9095", Err("can be reached from other machines")),
            ("10.0.0.1:9095", Err("can be reached from other machines")),
            (
                "[::ffff:10.0.0.1]:9095",
                Err("can be reached from other machines"),
            ),
        ];
        for (text, expected) in rows {
            match (address(text), expected) {
                (Ok(address), Ok(expected)) => assert_eq!(address.to_string(), expected),
                (Err(said), Err(expected)) => assert!(said.contains(expected), "{text}: {said}"),
                (read, expected) => panic!("{text}: {read:?} instead of {expected:?}"),
            }
        }
    }
}
