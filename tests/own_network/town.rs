//! A network with public, private and link-local addresses, a server on each,
//! and names for some of them. It knows how many connections each server should
//! have seen. Must not know who makes them.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use super::names::Names;
use super::namespace::{give, socket, soon};
use super::servers::{Server, always};

pub(crate) const PUBLIC: &str = "93.184.215.14";
pub(crate) const PUBLIC_V6: &str = "2001:470::1";
pub(crate) const PRIVATE: &str = "10.1.2.3";
pub(crate) const METADATA: &str = "169.254.169.254";
const PUBLIC_WITHOUT_SERVER: &str = "93.184.215.15";
/// The loopback device's own are there anyway.
const GIVEN: &[&str] = &[
    PUBLIC,
    PUBLIC_WITHOUT_SERVER,
    PUBLIC_V6,
    PRIVATE,
    METADATA,
    "192.168.7.7",
    "fd00::7",
    "fe80::7",
    "64:ff9b::a01:203",
    "64:ff9b::5db8:d70e",
    "64:ff9b:1::a01:203",
    "2002:a01:203::1",
];

/// A name, what it stands for, and the address that answers or the kind of
/// error, where no network is excepted.
pub(crate) const NAMES: &[(&str, &str, &str)] = &[
    ("public.test", PUBLIC, PUBLIC),
    ("public-v6.test", PUBLIC_V6, PUBLIC_V6),
    ("mapped-public.test", "::ffff:93.184.215.14", PUBLIC),
    (
        "nat64-public.test",
        "64:ff9b::5db8:d70e",
        "64:ff9b::5db8:d70e",
    ),
    ("loopback.test", "127.0.0.1", "denied"),
    ("loopback-other.test", "127.8.8.8", "denied"),
    ("loopback-v6.test", "::1", "denied"),
    ("unspecified.test", "0.0.0.0", "denied"),
    ("unspecified-v6.test", "::", "denied"),
    ("private.test", PRIVATE, "denied"),
    ("private-home.test", "192.168.7.7", "denied"),
    ("metadata.test", METADATA, "denied"),
    ("unique-local.test", "fd00::7", "denied"),
    ("link-local-v6.test", "fe80::7", "denied"),
    ("mapped.test", "::ffff:10.1.2.3", "denied"),
    ("mapped-loopback.test", "::ffff:127.0.0.1", "denied"),
    ("mapped-metadata.test", "::ffff:169.254.169.254", "denied"),
    ("nat64.test", "64:ff9b::a01:203", "denied"),
    ("nat64-local.test", "64:ff9b:1::a01:203", "denied"),
    ("compatible.test", "::10.1.2.3", "denied"),
    ("six-to-four.test", "2002:a01:203::1", "denied"),
    ("all-private.test", "10.1.2.3 fd00::7 127.0.0.1", "denied"),
    ("private-first.test", "10.1.2.3 93.184.215.14", PUBLIC),
    ("private-v6-first.test", "fd00::7 93.184.215.14", PUBLIC),
    ("private-v4-beside.test", "2001:470::1 10.1.2.3", PUBLIC_V6),
    (
        "public-is-down.test",
        "93.184.215.15 10.1.2.3 fd00::7",
        "unreachable",
    ),
    (
        "next-public.test",
        "93.184.215.15 93.184.215.14 10.1.2.3",
        PUBLIC,
    ),
    ("empty.test", "", "unresolvable"),
];

/// All there is: addresses, servers, names.
pub(crate) struct Town {
    pub(crate) names: Arc<Names>,
    pub(crate) name_server: SocketAddr,
    /// By address; each closes after its answer, so each request is a connection.
    servers: HashMap<&'static str, Server>,
    /// How many connections each should have seen.
    expected: Mutex<HashMap<&'static str, usize>>,
}

impl Town {
    pub(crate) fn build() -> Self {
        GIVEN.iter().for_each(|address| give(address));
        let mut servers = HashMap::new();
        for address in GIVEN.iter().chain(&["127.0.0.1", "::1"]) {
            if *address != PUBLIC_WITHOUT_SERVER {
                let answer = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{address}");
                let script = always(answer.into_bytes());
                servers.insert(*address, Server::start(socket(address, 80), script));
            }
        }
        let mut expected = HashMap::new();
        for (address, server) in &servers {
            // The kernel may know the way to a new address of IPv6 a little later.
            let arrived = soon(|| TcpStream::connect(server.address).is_ok());
            assert!(arrived, "no way to {address}");
            expected.insert(*address, 1);
        }
        let names = Arc::new(Names::default());
        Town {
            name_server: names.serve(),
            names,
            servers,
            expected: Mutex::new(expected),
        }
    }

    /// One more connection, where this is an address with a server.
    pub(crate) fn expect(&self, outcome: &'static str) {
        if self.servers.contains_key(outcome) {
            let mut expected = self.expected.lock().expect("lock");
            *expected.entry(outcome).or_default() += 1;
        }
    }

    /// Every server saw who was sent to it and nobody else. One more connection to
    /// each, which is counted after all that came before, shows that it counts.
    pub(crate) fn check_counts(&self) {
        let mut expected = self.expected.lock().expect("lock");
        for (address, server) in &self.servers {
            TcpStream::connect(server.address).expect("every server can be reached");
            let expected = expected.get_mut(address).expect("a server");
            *expected += 1;
            soon(|| server.connections() >= *expected);
            assert_eq!(server.connections(), *expected, "connections to {address}");
        }
    }

    /// What was asked of the server on this address, in order.
    pub(crate) fn requests(&self, address: &str) -> Vec<String> {
        self.servers[address].requests()
    }

    /// How often anybody came to this address who should not, or should.
    pub(crate) fn should_have_come(&self, address: &str) -> usize {
        self.expected.lock().expect("lock")[address]
    }
}
