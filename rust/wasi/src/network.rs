//! What a guest may do with the network: the addresses that it may use, and those that are its own.
//!
//! # Theory of operation
//! A guest never names a socket of the host, only addresses, and every address is looked at here before the kernel
//! sees it. There are three sources of permission:
//!
//! * A *published port* is a listening socket that was made for the guest. A guest that binds to its number, instead of
//!   taking the descriptor that it was given, gets that same socket.
//! * The *pool* says which other addresses may be connected to, sent to and listened on.
//! * *Own addresses* are those of a guest on a network that it shares with others, in a network namespace that is not
//!   its own: all that it binds is bound to them, and so is what it connects, so that its traffic carries its address.
//!   The loopback of such a namespace belongs to nobody, and is refused unless the pool names it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::abi::{Errno, Result};
use crate::address::Family;
use crate::listener::Listener;
use crate::pool::{effective, Pool};
use crate::resolver::Resolver;

/// What a guest was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// To connect or to send there.
    Reach(SocketAddr),
    /// To take connections or datagrams there.
    Listen(SocketAddr),
    /// To look this name up: only characters of host names.
    LookUp(String),
}

/// The addresses of a guest on a network.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct OwnAddresses {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl OwnAddresses {
    /// Adds one. `None` where there is one of its version already, or where it is no address that one host alone has.
    pub fn add(&mut self, address: IpAddr) -> Option<()> {
        let single = !(address.is_unspecified() || address.is_loopback() || address.is_multicast());
        match address {
            IpAddr::V4(plain) if single && self.v4.is_none() => self.v4 = Some(plain),
            IpAddr::V6(plain) if single && self.v6.is_none() && plain.to_ipv4_mapped().is_none() => {
                self.v6 = Some(plain);
            }
            _ => return None,
        }
        Some(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.v4.is_none() && self.v6.is_none()
    }

    /// The own address from which a socket reaches `target`.
    pub(crate) fn towards(&self, family: Family, target: IpAddr) -> Option<IpAddr> {
        match (family, target.to_canonical()) {
            (Family::V4, _) => self.v4.map(IpAddr::V4),
            (Family::V6, IpAddr::V4(_)) => self.v4.map(|own| IpAddr::V6(own.to_ipv6_mapped())),
            (Family::V6, IpAddr::V6(_)) => self.v6.map(IpAddr::V6),
        }
    }

    /// The own address that a guest means which binds to `wanted`: that one, or any for the unspecified address. An
    /// IPv6 socket takes IPv4 connections where there is no IPv6.
    fn meant(&self, family: Family, wanted: IpAddr) -> Option<IpAddr> {
        if wanted.to_canonical().is_unspecified() {
            let wide = self.towards(family, wanted);
            return wide.or_else(|| self.towards(family, IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        }
        self.towards(family, wanted)
            .filter(|own| own.to_canonical() == wanted.to_canonical())
    }
}

/// What one guest may do with the network; nothing by default.
#[derive(Default)]
pub struct Network {
    pub pool: Pool,
    pub own: OwnAddresses,
    pub resolver: Resolver,
    published: Vec<(u16, Arc<Listener>)>,
}

impl Network {
    /// Makes a port the guest's, by the number that its listener's name is.
    pub(crate) fn publish(&mut self, name: &[u8], listener: &Arc<Listener>) {
        let number = std::str::from_utf8(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|port| *port > 0);
        if let Some(port) = number {
            self.published.push((port, Arc::clone(listener)));
        }
    }

    /// The listener that a guest means which binds to this address.
    pub(crate) fn published_at(&self, wanted: SocketAddr) -> Option<Arc<Listener>> {
        let address = wanted.ip().to_canonical();
        let own = match address {
            IpAddr::V4(plain) => self.own.v4 == Some(plain),
            IpAddr::V6(plain) => self.own.v6 == Some(plain),
        };
        let (_, listener) = self
            .published
            .iter()
            .find(|(port, _)| *port == wanted.port())
            .filter(|_| own || address.is_unspecified())?;
        Some(Arc::clone(listener))
    }

    /// The address that is bound for a guest that wants `wanted`.
    ///
    /// Errors: `ADDRNOTAVAIL` for what is not its own, `ACCES` for what the pool does not hold.
    pub(crate) fn bindable(&self, family: Family, wanted: SocketAddr) -> Result<SocketAddr> {
        let address = if self.own.is_empty() {
            wanted
        } else {
            let own = self.own.meant(family, wanted.ip());
            SocketAddr::new(own.ok_or(Errno::ADDRNOTAVAIL)?, wanted.port())
        };
        if self.pool.allows(address) {
            Ok(address)
        } else {
            Err(Errno::ACCES)
        }
    }

    /// The address that a guest really reaches which wants `target`. `None` where it may not.
    pub(crate) fn reachable(&self, target: SocketAddr) -> Option<SocketAddr> {
        let target = effective(target);
        // Of a namespace that others share the loopback is nobody's.
        let allowed = if !self.own.is_empty() && target.ip().to_canonical().is_loopback() {
            self.pool.names(target)
        } else {
            self.pool.allows(target)
        };
        allowed.then_some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(pool: &[&str], own: &[&str]) -> Network {
        let mut network = Network::default();
        for entry in pool {
            network.pool.allow(entry).unwrap();
        }
        for address in own {
            network.own.add(address.parse().unwrap()).unwrap();
        }
        network
    }

    fn bound(network: &Network, family: Family, wanted: &str) -> std::result::Result<String, Errno> {
        let bindable = network.bindable(family, wanted.parse().unwrap());
        bindable.map(|address| address.to_string())
    }

    #[test]
    fn one_address_of_each_version_is_the_guests_own() {
        let mut own = OwnAddresses::default();
        for wrong in [
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.1",
            "::",
            "::1",
            "ff02::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(own.add(wrong.parse().unwrap()), None, "{wrong}");
        }
        assert_eq!(own.add("10.88.0.2".parse().unwrap()), Some(()));
        assert_eq!(own.add("10.88.0.3".parse().unwrap()), None);
        assert_eq!(own.add("fd00::2".parse().unwrap()), Some(()));
        assert_eq!(own.add("fd00::3".parse().unwrap()), None);
    }

    #[test]
    fn without_an_own_address_the_pool_says_what_is_bound() {
        let any = network(&["any"], &[]);
        assert_eq!(bound(&any, Family::V4, "0.0.0.0:80").as_deref(), Ok("0.0.0.0:80"));
        let some = network(&["127.0.0.0/8", "[::1/128]:80"], &[]);
        assert_eq!(
            bound(&some, Family::V4, "127.0.0.1:80").as_deref(),
            Ok("127.0.0.1:80")
        );
        assert_eq!(bound(&some, Family::V6, "[::1]:80").as_deref(), Ok("[::1]:80"));
        for outside in ["0.0.0.0:80", "[::1]:81", "[::]:80", "10.0.0.1:80"] {
            assert_eq!(bound(&some, Family::V6, outside), Err(Errno::ACCES), "{outside}");
        }
        assert_eq!(
            bound(&network(&[], &[]), Family::V4, "0.0.0.0:0"),
            Err(Errno::ACCES)
        );
    }

    #[test]
    fn with_one_it_is_what_is_bound() {
        let both = network(&["any"], &["10.88.0.2", "fd00::2"]);
        assert_eq!(
            bound(&both, Family::V4, "0.0.0.0:80").as_deref(),
            Ok("10.88.0.2:80")
        );
        assert_eq!(
            bound(&both, Family::V4, "10.88.0.2:0").as_deref(),
            Ok("10.88.0.2:0")
        );
        assert_eq!(bound(&both, Family::V6, "[::]:80").as_deref(), Ok("[fd00::2]:80"));
        assert_eq!(
            bound(&both, Family::V6, "[::ffff:10.88.0.2]:80").as_deref(),
            Ok("[::ffff:10.88.0.2]:80")
        );
        for other in [
            "127.0.0.1:80",
            "10.88.0.3:80",
            "[::1]:80",
            "[fd00::3]:80",
            "[::ffff:127.0.0.1]:80",
        ] {
            for family in [Family::V4, Family::V6] {
                assert_eq!(bound(&both, family, other), Err(Errno::ADDRNOTAVAIL), "{other}");
            }
        }
        let narrow = network(&["any"], &["10.88.0.2"]);
        assert_eq!(
            bound(&narrow, Family::V6, "[::]:80").as_deref(),
            Ok("[::ffff:10.88.0.2]:80")
        );
        assert_eq!(
            bound(
                &network(&["192.0.2.0/24"], &["10.88.0.2"]),
                Family::V4,
                "0.0.0.0:80"
            ),
            Err(Errno::ACCES)
        );
        assert_eq!(
            bound(&network(&["any"], &["fd00::2"]), Family::V4, "0.0.0.0:80"),
            Err(Errno::ADDRNOTAVAIL)
        );
    }

    #[test]
    fn the_loopback_of_a_shared_namespace_must_be_named() {
        let loopback = [
            "127.0.0.1:80",
            "127.9.9.9:80",
            "0.0.0.0:80",
            "[::1]:80",
            "[::]:80",
            "[::ffff:127.0.0.1]:80",
        ];
        let reaches = |network: &Network, target: &str| network.reachable(target.parse().unwrap()).is_some();
        let (plain, shared) = (network(&["any"], &[]), network(&["any"], &["10.88.0.2"]));
        let named = network(&["any", "127.0.0.0/8", "::1/128"], &["10.88.0.2"]);
        for target in loopback {
            assert!(reaches(&plain, target), "{target}");
            assert!(!reaches(&shared, target), "{target}");
            assert!(reaches(&named, target), "{target}");
        }
        assert!(reaches(&shared, "10.88.0.2:80") && reaches(&shared, "192.0.2.1:80"));
    }

    #[test]
    fn a_published_port_is_found_by_its_number() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = Arc::new(Listener::new(vec![socket.into()]).unwrap());
        let mut network = network(&[], &["10.88.0.2"]);
        network.publish(b"8080", &listener);
        network.publish(b"metrics", &listener);
        let found = |wanted: &str| network.published_at(wanted.parse().unwrap()).is_some();
        assert!(found("0.0.0.0:8080") && found("[::]:8080") && found("10.88.0.2:8080"));
        assert!(found("[::ffff:10.88.0.2]:8080"));
        assert!(!found("0.0.0.0:8081") && !found("127.0.0.1:8080") && !found("10.88.0.3:8080"));
    }
}
