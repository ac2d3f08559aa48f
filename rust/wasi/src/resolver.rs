//! Names: what the container's own list says, and what name servers do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::abi::{Errno, Result};
use crate::address::Family;
use crate::dns_client::{Client, Patience, DNS_PORT};
use crate::dns_message::is_name;
use crate::network::OwnAddresses;

const MAX_SERVERS: usize = 3;
/// Limits and defaults of resolv.conf(5).
const MAX_DOTS: u8 = 15;
const MAX_TIMEOUT_SECONDS: u8 = 30;
const MAX_ATTEMPTS: u8 = 5;
const DEFAULT_PATIENCE: Patience = Patience {
    timeout_seconds: 5,
    attempts: 2,
};

/// A line of `/etc/hosts`.
struct Host {
    address: IpAddr,
    names: Vec<String>,
}

/// How a guest's names are looked up; by default none is.
pub struct Resolver {
    servers: Vec<IpAddr>,
    search: Vec<String>,
    hosts: Vec<Host>,
    /// A name with as many dots is tried as it is before the search domains.
    dots: u8,
    patience: Patience,
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver {
            servers: Vec::new(),
            search: Vec::new(),
            hosts: Vec::new(),
            dots: 1,
            patience: DEFAULT_PATIENCE,
        }
    }
}

/// What became of a look-up.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// The addresses; none for a name that has none.
    Addresses(Vec<IpAddr>),
    /// Only a name server could tell, and there is none to be asked.
    NobodyToAsk,
}

impl Resolver {
    /// Adds a name server. `None` for what is no address, and for more than three.
    pub fn add_server(&mut self, text: &str) -> Option<()> {
        let address = text.parse().ok()?;
        (self.servers.len() < MAX_SERVERS).then(|| self.servers.push(address))
    }

    /// Adds a domain in which short names are looked for; the root (`.`) stands for none.
    pub fn add_search(&mut self, domain: &str) -> Option<()> {
        let domain = without_dot(domain);
        if !domain.is_empty() {
            is_name(domain).then(|| self.search.push(domain.to_owned()))?;
        }
        Some(())
    }

    /// Adds a line `ADDRESS NAME…`.
    pub fn add_host(&mut self, line: &str) -> Option<()> {
        let mut words = line.split_ascii_whitespace();
        let address = words.next()?.parse().ok()?;
        let names: Vec<String> = words.map(|name| without_dot(name).to_owned()).collect();
        (!names.is_empty()).then(|| self.hosts.push(Host { address, names }))
    }

    /// Takes an option of resolv.conf(5); those that mean nothing here are passed over. `None` for a number that is
    /// none.
    pub fn add_option(&mut self, word: &str) -> Option<()> {
        let Some((name, value)) = word.split_once(':') else {
            return Some(());
        };
        let number = || value.parse::<u32>().ok();
        let limited = |most: u8| number().map(|number| number.min(u32::from(most)) as u8);
        match name {
            "ndots" => self.dots = limited(MAX_DOTS)?,
            "timeout" => self.patience.timeout_seconds = limited(MAX_TIMEOUT_SECONDS)?.max(1),
            "attempts" => self.patience.attempts = limited(MAX_ATTEMPTS)?.max(1),
            _ => {}
        }
        Some(())
    }

    /// The addresses of a name, which is hostile input.
    ///
    /// Errors: those of [`Client::ask`].
    pub(crate) fn look_up(&self, name: &str, families: &[Family], own: OwnAddresses) -> Result<Found> {
        let wanted = |address: &IpAddr| families.contains(&Family::of(*address));
        let found =
            |addresses: Vec<IpAddr>| Ok(Found::Addresses(addresses.into_iter().filter(wanted).collect()));
        if let Ok(address) = name.parse::<IpAddr>() {
            return found(vec![address]);
        }
        let plain = without_dot(name);
        if !is_name(plain) {
            return found(Vec::new());
        }
        if let Some(addresses) = self.own_list(plain) {
            return found(addresses);
        }
        if self.servers.is_empty() {
            return Ok(Found::NobodyToAsk);
        }
        let client = Client {
            servers: &self.servers,
            port: DNS_PORT,
            own,
            patience: self.patience,
        };
        for candidate in self.candidates(name) {
            let addresses = client.ask(&candidate, families)?;
            if !addresses.is_empty() {
                return found(addresses);
            }
        }
        found(Vec::new())
    }

    /// The addresses that need no server: lines of hosts, and the loopback's own name (RFC 6761).
    fn own_list(&self, name: &str) -> Option<Vec<IpAddr>> {
        let listed: Vec<IpAddr> = self
            .hosts
            .iter()
            .filter(|host| host.names.iter().any(|known| known.eq_ignore_ascii_case(name)))
            .map(|host| host.address)
            .collect();
        if !listed.is_empty() {
            return Some(listed);
        }
        let last = name.rsplit('.').next().unwrap_or(name);
        let loopback = || vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        last.eq_ignore_ascii_case("localhost").then(loopback)
    }

    /// The whole names that a name may stand for, in the order in which they are tried.
    fn candidates(&self, name: &str) -> Vec<String> {
        let plain = without_dot(name).to_owned();
        if name.ends_with('.') {
            return vec![plain];
        }
        let dots = plain.bytes().filter(|byte| *byte == b'.').count();
        let searched = self
            .search
            .iter()
            .map(|domain| format!("{plain}.{domain}"))
            .filter(|name| is_name(name));
        let mut all: Vec<String> = searched.collect();
        let place = if dots >= usize::from(self.dots) {
            0
        } else {
            all.len()
        };
        all.insert(place, plain);
        all
    }
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Which addresses a look-up is for, where the guest does not say it: none that it could not reach.
pub(crate) fn families(wanted: Option<Family>, own: OwnAddresses) -> Vec<Family> {
    if let Some(family) = wanted {
        return vec![family];
    }
    let any = own.is_empty();
    let reachable = |family: &Family| any || own.towards(*family, family.unspecified()).is_some();
    let mut all = vec![Family::V4, Family::V6];
    all.retain(reachable);
    all
}

/// The port of a service: a number, or one of a few names (getaddrinfo(3) reads /etc/services).
pub(crate) fn service_port(service: &str) -> Result<u16> {
    match service {
        "" => Ok(0),
        "ftp" => Ok(21),
        "ssh" => Ok(22),
        "smtp" => Ok(25),
        "domain" => Ok(53),
        "http" => Ok(80),
        "ntp" => Ok(123),
        "imap" => Ok(143),
        "https" => Ok(443),
        "imaps" => Ok(993),
        number => number.parse().map_err(|_| Errno::NOENT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver() -> Resolver {
        let mut made = Resolver::default();
        for line in ["10.0.0.1 web www.example.", "fd00::1 web", "10.0.0.2 WEB db"] {
            made.add_host(line).unwrap();
        }
        for domain in ["example.org", "corp.", "."] {
            made.add_search(domain).unwrap();
        }
        made
    }

    fn listed(name: &str, families: &[Family]) -> Vec<String> {
        match resolver()
            .look_up(name, families, OwnAddresses::default())
            .unwrap()
        {
            Found::Addresses(all) => all.iter().map(IpAddr::to_string).collect(),
            Found::NobodyToAsk => vec!["nobody".into()],
        }
    }

    #[test]
    fn the_list_of_hosts_wins() {
        let both = [Family::V4, Family::V6];
        assert_eq!(listed("web", &both), ["10.0.0.1", "fd00::1", "10.0.0.2"]);
        assert_eq!(listed("Web.", &[Family::V6]), ["fd00::1"]);
        assert_eq!(listed("WWW.example", &both), ["10.0.0.1"]);
        assert_eq!(listed("db", &[Family::V6]), Vec::<String>::new());
        assert_eq!(listed("localhost", &both), ["127.0.0.1", "::1"]);
        assert_eq!(listed("a.localhost.", &[Family::V4]), ["127.0.0.1"]);
        assert_eq!(listed("other", &both), ["nobody"]);
    }

    #[test]
    fn addresses_are_names_of_themselves() {
        assert_eq!(listed("192.0.2.1", &[Family::V4]), ["192.0.2.1"]);
        assert_eq!(listed("2001:db8::1", &[Family::V4, Family::V6]), ["2001:db8::1"]);
        assert_eq!(listed("192.0.2.1", &[Family::V6]), Vec::<String>::new());
    }

    #[test]
    fn hostile_names_are_not_asked_for() {
        let long = "a.".repeat(127) + "b";
        for name in [
            "",
            ".",
            "a..b",
            "a b",
            "\u{202e}",
            "a\x1b[2J",
            "a/../b",
            &long,
            &"x".repeat(64),
        ] {
            assert_eq!(listed(name, &[Family::V4]), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn short_names_are_looked_for_in_the_domains_first() {
        let mut made = resolver();
        assert_eq!(made.candidates("db"), ["db.example.org", "db.corp", "db"]);
        assert_eq!(made.candidates("a.b"), ["a.b", "a.b.example.org", "a.b.corp"]);
        assert_eq!(made.candidates("db."), ["db"]);
        made.add_option("ndots:2").unwrap();
        assert_eq!(made.candidates("a.b"), ["a.b.example.org", "a.b.corp", "a.b"]);
        made.add_option("ndots:0").unwrap();
        assert_eq!(made.candidates("db")[0], "db");
        let long = ["y".repeat(63).as_str(); 3].join(".") + "." + &"z".repeat(59);
        assert_eq!(made.candidates(&long), std::slice::from_ref(&long));
    }

    #[test]
    fn options_and_values_that_are_none() {
        let mut made = Resolver::default();
        for word in [
            "rotate",
            "edns0",
            "timeout:1",
            "attempts:99",
            "ndots:99",
            "no-aaaa:x",
        ] {
            assert_eq!(made.add_option(word), Some(()), "{word}");
        }
        let patience = Patience {
            timeout_seconds: 1,
            attempts: 5,
        };
        assert_eq!((made.dots, made.patience), (15, patience));
        for word in ["ndots:", "timeout:x", "attempts:-1"] {
            assert_eq!(made.add_option(word), None, "{word}");
        }
        for line in ["", "10.0.0.1", "x web", "10.0.0.0/8 web"] {
            assert_eq!(made.add_host(line), None, "{line}");
        }
        for domain in ["a b", "a..b"] {
            assert_eq!(made.add_search(domain), None, "{domain}");
        }
        for server in ["127.0.0.53", "::1", "10.0.0.1"] {
            assert_eq!(made.add_server(server), Some(()));
        }
        assert_eq!(made.add_server("10.0.0.2"), None);
        assert_eq!(Resolver::default().add_server("dns.example"), None);
    }

    #[test]
    fn versions_that_a_guest_can_reach() {
        let mut own = OwnAddresses::default();
        assert_eq!(families(None, own), [Family::V4, Family::V6]);
        own.add("10.88.0.2".parse().unwrap()).unwrap();
        assert_eq!(families(None, own), [Family::V4]);
        assert_eq!(families(Some(Family::V6), own), [Family::V6]);
    }

    #[test]
    fn services_are_numbers_or_a_few_names() {
        assert_eq!(service_port(""), Ok(0));
        assert_eq!(service_port("8080"), Ok(8080));
        assert_eq!(service_port("https"), Ok(443));
        assert_eq!(service_port("65536"), Err(Errno::NOENT));
        assert_eq!(service_port("nothing"), Err(Errno::NOENT));
    }
}
