//! Which addresses a guest may use: those that it connects and sends to, and those that it listens on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One block of addresses, and one port of them where one is named.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Block {
    address: IpAddr,
    prefix: u32,
    port: Option<u16>,
}

/// The blocks of addresses that a guest may use; none by default.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Pool {
    any: bool,
    blocks: Vec<Block>,
}

impl Pool {
    /// Adds an entry: `any`, `CIDR` or `[CIDR]:PORT`. `None` where it is neither.
    pub fn allow(&mut self, entry: &str) -> Option<()> {
        if entry == "any" {
            self.any = true;
            return Some(());
        }
        let (block, port) = match entry.strip_prefix('[') {
            Some(rest) => {
                let (block, port) = rest.split_once("]:")?;
                (block, Some(port.parse::<u16>().ok().filter(|port| *port > 0)?))
            }
            None => (entry, None),
        };
        let (address, prefix) = block.split_once('/')?;
        let (address, prefix) = (address.parse::<IpAddr>().ok()?, prefix.parse::<u32>().ok()?);
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if prefix > bits {
            return None;
        }
        // Addresses are compared in their plain form, so blocks of mapped ones are IPv4 blocks.
        let (address, prefix) = match address.to_canonical() {
            plain @ IpAddr::V4(_) if bits == 128 && prefix >= 96 => (plain, prefix - 96),
            _ => (address, prefix),
        };
        self.blocks.push(Block {
            address,
            prefix,
            port,
        });
        Some(())
    }

    /// Whether no address may be used.
    pub fn is_empty(&self) -> bool {
        !self.any && self.blocks.is_empty()
    }

    /// Whether the guest may use this address. One to connect to is in the form that `effective` gives.
    pub(crate) fn allows(&self, address: SocketAddr) -> bool {
        self.any || self.names(address)
    }

    /// Whether a block holds this address, whatever `any` allows.
    pub(crate) fn names(&self, address: SocketAddr) -> bool {
        self.blocks.iter().any(|block| block.holds(address))
    }
}

impl Block {
    fn holds(&self, target: SocketAddr) -> bool {
        let differing = match (self.address, target.ip().to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= self.prefix && self.port.is_none_or(|port| port == target.port())
    }
}

/// The address that a connection really goes to: Linux takes the unspecified address for the loopback's.
pub(crate) fn effective(target: SocketAddr) -> SocketAddr {
    let address = match target.ip() {
        IpAddr::V4(address) if address.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(address) if address.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(address) if address.to_ipv4_mapped() == Some(Ipv4Addr::UNSPECIFIED) => {
            IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped())
        }
        address => address,
    };
    SocketAddr::new(address, target.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(entries: &[&str]) -> Pool {
        let mut pool = Pool::default();
        for entry in entries {
            pool.allow(entry).unwrap();
        }
        pool
    }

    fn allows(pool: &Pool, target: &str) -> bool {
        pool.allows(effective(target.parse().unwrap()))
    }

    #[test]
    fn nothing_by_default_and_everything_by_any() {
        assert!(Pool::default().is_empty() && !allows(&Pool::default(), "127.0.0.1:80"));
        let any = pool(&["any"]);
        assert!(!any.is_empty() && allows(&any, "192.0.2.1:1") && allows(&any, "[2001:db8::1]:1"));
    }

    #[test]
    fn blocks_and_ports() {
        let some = pool(&["10.1.0.0/16", "[192.0.2.7/32]:443", "[2001:db8::/32]:53"]);
        for inside in ["10.1.255.255:9", "192.0.2.7:443", "[2001:db8:ffff::1]:53"] {
            assert!(allows(&some, inside), "{inside}");
        }
        for outside in [
            "10.2.0.0:9",
            "192.0.2.7:444",
            "192.0.2.6:443",
            "[2001:db9::]:53",
            "[2001:db8::]:54",
        ] {
            assert!(!allows(&some, outside), "{outside}");
        }
        assert!(allows(&pool(&["0.0.0.0/0"]), "203.0.113.9:1"));
        assert!(!allows(&pool(&["0.0.0.0/0"]), "[2001:db8::1]:1"));
    }

    #[test]
    fn mapped_addresses_are_those_of_ipv4() {
        let some = pool(&["10.0.0.0/8"]);
        assert!(allows(&some, "[::ffff:10.0.0.1]:1") && !allows(&some, "[::ffff:11.0.0.1]:1"));
        assert!(!allows(&pool(&["::/0"]), "[::ffff:10.0.0.1]:1"));
        assert!(allows(&pool(&["::ffff:10.0.0.0/104"]), "10.9.9.9:1"));
    }

    #[test]
    fn the_unspecified_address_is_the_loopback() {
        let some = pool(&["127.0.0.1/32"]);
        assert!(allows(&some, "0.0.0.0:1") && allows(&some, "[::ffff:0.0.0.0]:1"));
        assert!(!allows(&pool(&["0.0.0.0/32"]), "0.0.0.0:1"));
        assert!(!allows(&pool(&["::/128"]), "[::]:1"));
    }

    #[test]
    fn what_is_no_entry() {
        for wrong in [
            "",
            "Any",
            "10.0.0.1",
            "10.0.0.0/33",
            "::/129",
            "[10.0.0.0/8]",
            "[10.0.0.0/8]:0",
            "[10.0.0.0/8]:65536",
            "10.0.0.0/8:80",
            "x/8",
            "10.0.0.0/-1",
        ] {
            assert_eq!(Pool::default().allow(wrong), None, "{wrong}");
        }
    }
}
