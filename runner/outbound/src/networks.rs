//! Which addresses are not for filters: whatever the registries of IANA for
//! special purposes (RFC 6890, RFC 8190) do not call globally reachable, and what
//! is outside of the space given out. Must not know names or rules.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A network that no filter reaches unless its rule names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocked {
    /// Its addresses.
    pub network: IpNet,
    /// What it is for, and who says so.
    pub purpose: &'static str,
}

const fn v4(octets: [u8; 4], length: u8, purpose: &'static str) -> Blocked {
    let [a, b, c, d] = octets;
    let network = Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length);
    Blocked {
        network: IpNet::V4(network),
        purpose,
    }
}

const fn v6(start: [u16; 4], length: u8, purpose: &'static str) -> Blocked {
    let [a, b, c, d] = start;
    v6_whole([a, b, c, d, 0, 0, 0, 0], length, purpose)
}

const fn v6_whole(groups: [u16; 8], length: u8, purpose: &'static str) -> Blocked {
    let [a, b, c, d, e, f, g, h] = groups;
    let network = Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length);
    Blocked {
        network: IpNet::V6(network),
        purpose,
    }
}

/// What is blocked, each with its source; narrower networks before those that
/// hold them. Where a registry has exceptions inside of a network (192.0.0.9,
/// 2001:20::/28), they are blocked with it: no web server is there.
pub const BLOCKED: &[Blocked] = &[
    v4([0, 0, 0, 0], 8, "this network, RFC 791"),
    v4([10, 0, 0, 0], 8, "private, RFC 1918"),
    v4([100, 64, 0, 0], 10, "carrier-grade NAT, RFC 6598"),
    v4([127, 0, 0, 0], 8, "loopback, RFC 1122"),
    v4(
        [169, 254, 0, 0],
        16,
        "link-local, RFC 3927; metadata of clouds",
    ),
    v4([172, 16, 0, 0], 12, "private, RFC 1918"),
    v4([192, 0, 0, 0], 24, "protocol assignments, RFC 6890"),
    v4([192, 0, 2, 0], 24, "documentation, RFC 5737"),
    v4([192, 88, 99, 0], 24, "former 6to4 relays, RFC 7526"),
    v4([192, 168, 0, 0], 16, "private, RFC 1918"),
    v4([198, 18, 0, 0], 15, "benchmarks, RFC 2544"),
    v4([198, 51, 100, 0], 24, "documentation, RFC 5737"),
    v4([203, 0, 113, 0], 24, "documentation, RFC 5737"),
    v4([224, 0, 0, 0], 4, "multicast, RFC 5771"),
    v4([255, 255, 255, 255], 32, "broadcast, RFC 8190 and RFC 919"),
    v4([240, 0, 0, 0], 4, "reserved, RFC 1112"),
    v6_whole([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified, RFC 4291"),
    v6_whole([0, 0, 0, 0, 0, 0, 0, 1], 128, "loopback, RFC 4291"),
    v6([0, 0, 0, 0], 96, "IPv4-compatible, deprecated by RFC 4291"),
    v6_whole(
        [0, 0, 0, 0, 0, 0xffff, 0, 0],
        96,
        "IPv4-mapped, RFC 4291; on the wire of no network",
    ),
    v6_whole(
        [0, 0, 0, 0, 0xffff, 0, 0, 0],
        96,
        "IPv4-translated, RFC 2765",
    ),
    v6([0x64, 0xff9b, 1, 0], 48, "local NAT64, RFC 8215"),
    v6([0x100, 0, 0, 0], 64, "discard-only, RFC 6666"),
    v6([0x100, 0, 0, 1], 64, "dummy prefix, RFC 9780"),
    v6([0x2001, 0, 0, 0], 32, "Teredo, RFC 4380"),
    v6([0x2001, 2, 0, 0], 48, "benchmarks, RFC 5180"),
    v6([0x2001, 0, 0, 0], 23, "protocol assignments, RFC 2928"),
    v6([0x2001, 0xdb8, 0, 0], 32, "documentation, RFC 3849"),
    v6([0x2002, 0, 0, 0], 16, "6to4, RFC 3056, retired by RFC 7526"),
    v6([0x3fff, 0, 0, 0], 20, "documentation, RFC 9637"),
    v6([0x5f00, 0, 0, 0], 16, "segment routing, RFC 9602"),
    v6([0xfc00, 0, 0, 0], 7, "unique local, RFC 4193"),
    v6([0xfe80, 0, 0, 0], 10, "link-local, RFC 4291"),
    v6([0xfec0, 0, 0, 0], 10, "site-local, deprecated by RFC 3879"),
    v6([0xff00, 0, 0, 0], 8, "multicast, RFC 4291"),
];

/// All that IANA gives out for the public: RFC 4291, registry "IPv6 Global
/// Unicast Address Assignments".
const GLOBAL_UNICAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What a NAT64 makes IPv4 of (RFC 6052). Public as far as the IPv4 inside is.
const NAT64: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

const OUTSIDE: Blocked = v6([0, 0, 0, 0], 0, "reserved by the IETF, RFC 4291");

/// The address that a connection would be made to: a mapped one is its IPv4
/// (RFC 4291, 2.5.5.2), which is what the kernel makes of it.
#[must_use]
pub fn connected(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// Why filters may not reach this address by default; nothing for one of the
/// public.
#[must_use]
pub fn blocked(address: IpAddr) -> Option<Blocked> {
    let address = connected(address);
    let listed = |address: IpAddr| {
        let mut rows = BLOCKED.iter();
        rows.find(|row| row.network.contains(&address)).copied()
    };
    match address {
        IpAddr::V4(_) => listed(address),
        IpAddr::V6(v6) if NAT64.contains(&v6) => listed(IpAddr::V4(last_four_octets(v6))),
        IpAddr::V6(v6) => {
            listed(address).or_else(|| (!GLOBAL_UNICAST.contains(&v6)).then_some(OUTSIDE))
        }
    }
}

/// Whether a connection may be made to this address where these networks are
/// excepted from those blocked. They are asked for the address that is connected
/// to: the IPv4 of a mapped one, but the IPv6 of one that a NAT64 translates,
/// which never stands for an address of a private network (RFC 6052, 3.1).
#[must_use]
pub fn reachable(address: IpAddr, excepted: &[IpNet]) -> bool {
    let address = connected(address);
    blocked(address).is_none() || excepted.iter().any(|network| network.contains(&address))
}

fn last_four_octets(address: Ipv6Addr) -> Ipv4Addr {
    let [.., a, b, c, d] = address.octets();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn every_blocked_network_should_be_blocked_from_its_first_to_its_last_address() {
        for row in BLOCKED {
            assert_eq!(row.network, row.network.trunc(), "bits after the prefix");
            for address in [row.network.network(), row.network.broadcast()] {
                assert!(blocked(address).is_some(), "{address} of {}", row.network);
                assert!(!reachable(address, &[]), "{address}");
            }
        }
    }

    #[test]
    fn every_special_address_should_be_known_for_what_it_is() {
        for (text, purpose) in [
            ("0.0.0.0", "this network"),
            ("10.255.255.255", "private"),
            ("100.64.0.1", "carrier-grade"),
            ("100.127.255.255", "carrier-grade"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("169.254.169.254", "link-local"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "protocol"),
            ("192.0.2.1", "documentation"),
            ("192.168.1.1", "private"),
            ("198.19.255.255", "benchmarks"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("240.0.0.1", "reserved"),
            ("255.255.255.255", "broadcast"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("::127.0.0.1", "IPv4-compatible"),
            ("::ffff:127.0.0.1", "loopback"),
            ("::ffff:10.1.2.3", "private"),
            ("::ffff:169.254.169.254", "link-local"),
            ("::ffff:0:10.1.2.3", "IPv4-translated"),
            ("64:ff9b::10.1.2.3", "private"),
            ("64:ff9b::169.254.169.254", "link-local"),
            ("64:ff9b::127.0.0.1", "loopback"),
            ("64:ff9b:1::8.8.8.8", "local NAT64"),
            ("64:ff9b:0:1::1", "reserved by the IETF"),
            ("100::1", "discard-only"),
            ("100:0:0:1::1", "dummy"),
            ("2001::1", "Teredo"),
            ("2001:2::1", "benchmarks"),
            ("2001:10::1", "protocol assignments"),
            ("2001:1ff:ffff::1", "protocol assignments"),
            ("2001:db8::1", "documentation"),
            ("2002:a01:203::1", "6to4"),
            ("2002:808:808::1", "6to4"),
            ("3fff:fff::1", "documentation"),
            ("4000::1", "reserved by the IETF"),
            ("5f00::1", "segment routing"),
            ("fd00:ec2::254", "unique local"),
            ("fc00::1", "unique local"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("fec0::1", "site-local"),
            ("ff02::1", "multicast"),
        ] {
            let found = blocked(address(text)).unwrap_or_else(|| panic!("{text} is reachable"));
            assert!(found.purpose.starts_with(purpose), "{text}: {found:?}");
        }
    }

    #[test]
    fn public_addresses_should_be_reachable() {
        for text in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "93.184.215.14",
            "::ffff:93.184.215.14",
            "64:ff9b::93.184.215.14",
            "2001:200::1",
            "2001:470::1",
            "2003::1",
            "2606:2800:21f:cb07::1",
            "3ffe:ffff::1",
        ] {
            assert_eq!(blocked(address(text)), None, "{text}");
            assert!(reachable(address(text), &[]), "{text}");
        }
    }

    #[test]
    fn an_exception_should_open_its_network_and_no_other() {
        for (text, excepted, expected) in [
            ("10.1.2.3", "10.1.2.0/24", true),
            ("10.1.3.3", "10.1.2.0/24", false),
            ("::ffff:10.1.2.3", "10.1.2.0/24", true),
            ("::ffff:10.1.2.3", "::/0", false),
            ("64:ff9b::10.1.2.3", "10.0.0.0/8", false),
            ("64:ff9b::10.1.2.3", "64:ff9b::/96", true),
            ("::10.1.2.3", "10.0.0.0/8", false),
            ("2002:a01:203::1", "10.0.0.0/8", false),
            ("fd00::7", "fd00::/8", true),
            ("fd00::7", "fe80::/10", false),
            ("127.0.0.1", "0.0.0.0/0", true),
        ] {
            let excepted: IpNet = excepted.parse().expect(excepted);
            let reachable = reachable(address(text), &[excepted]);
            assert_eq!(reachable, expected, "{text} with {excepted}");
        }
    }
}
