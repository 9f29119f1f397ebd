//! A connection to one of several addresses, the first that answers. Must not
//! know names: whoever calls has checked the addresses.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long an address has before the next is tried beside it (RFC 8305, 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// How many addresses of one host are tried.
const MOST_ADDRESSES: usize = 8;

/// The addresses of both families in turn (RFC 8305, 4), each once, and not more
/// than are tried.
pub(crate) fn order(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (v6, v4): (Vec<SocketAddr>, Vec<_>) = addresses.iter().partition(|one| one.is_ipv6());
    let mut ordered = Vec::new();
    for at in 0..v6.len().max(v4.len()) {
        for one in [v6.get(at), v4.get(at)].into_iter().flatten() {
            if !ordered.contains(one) {
                ordered.push(*one);
            }
        }
    }
    ordered.truncate(MOST_ADDRESSES);
    ordered
}

/// Tries the addresses in their order: the next as soon as one failed, or beside
/// it after a head start. The attempts that are not needed end with it.
///
/// # Errors
/// The last failure, with its address.
pub(crate) async fn first(addresses: &[SocketAddr]) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut attempts = JoinSet::new();
    let mut failure = None;
    let mut left = addresses.iter().copied();
    loop {
        let wait = match left.next() {
            Some(address) => {
                attempts.spawn(attempt(address));
                Some(HEAD_START)
            }
            None => None,
        };
        let finished = match wait {
            Some(wait) => timeout(wait, attempts.join_next()).await.ok(),
            None => Some(attempts.join_next().await),
        };
        match finished {
            Some(Some(Ok(Ok(connected)))) => return Ok(connected),
            Some(Some(Ok(Err(failed)))) => failure = Some(failed),
            Some(Some(Err(_))) | None => {}
            Some(None) => return Err(failure.unwrap_or_else(Failure::of_no_address)),
        }
    }
}

async fn attempt(address: SocketAddr) -> Result<(TcpStream, SocketAddr), Failure> {
    let failed = |error| Failure {
        address: Some(address),
        error,
    };
    let stream = TcpStream::connect(address).await.map_err(failed)?;
    // One write is one request: nothing is gained by waiting for more.
    stream.set_nodelay(true).map_err(failed)?;
    Ok((stream, address))
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct Failure {
    /// To which address.
    pub(crate) address: Option<SocketAddr>,
    /// What the kernel said.
    pub(crate) error: io::Error,
}

impl Failure {
    fn of_no_address() -> Self {
        Failure {
            address: None,
            error: io::ErrorKind::AddrNotAvailable.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_should_take_turns_and_no_address_come_twice() {
        for (given, expected) in [
            ("", ""),
            ("1.0.0.1", "1.0.0.1"),
            ("1.0.0.1 1.0.0.2 2::1", "2::1 1.0.0.1 1.0.0.2"),
            ("2::1 2::2 1.0.0.1", "2::1 1.0.0.1 2::2"),
            ("1.0.0.1 1.0.0.1 1.0.0.2", "1.0.0.1 1.0.0.2"),
            (
                "1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 1.0.0.8 1.0.0.9",
                "1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 1.0.0.8",
            ),
        ] {
            let socket = |text: &str| SocketAddr::new(text.parse().expect("address"), 80);
            let addresses: Vec<_> = given.split_whitespace().map(socket).collect();
            let expected: Vec<_> = expected.split_whitespace().map(socket).collect();
            assert_eq!(order(&addresses), expected, "{given}");
        }
    }
}
