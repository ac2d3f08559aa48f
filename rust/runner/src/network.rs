//! What the plan says of the network: ports that the guest is given, and addresses that it may use.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use formats::launch_plan::LaunchPlan;
use wasi::{ContextBuilder, Network, Refusal};

use crate::failure::Failure;
use crate::output::Output;

/// A port of the guest, with the sockets by which its connections come in.
pub struct Port<'p> {
    /// What the guest finds in LISTEN_FDNAMES; the port's number, as wpod writes it.
    pub name: &'p [u8],
    pub descriptors: Vec<RawFd>,
    /// Whether it is found at the container's own addresses as well.
    pub inside: bool,
}

/// The ports in the order in which the plan first names them, those of sockets that it hands over first.
pub fn ports<'p>(plan: &LaunchPlan<'p>) -> Vec<Port<'p>> {
    let mut ports: Vec<Port<'p>> = Vec::new();
    for listener in plan.listeners() {
        port_of(&mut ports, listener.name)
            .descriptors
            .push(listener.descriptor);
    }
    for number in plan.all("listen-inside") {
        port_of(&mut ports, number.to_bytes()).inside = true;
    }
    ports
}

fn port_of<'v, 'p>(ports: &'v mut Vec<Port<'p>>, name: &'p [u8]) -> &'v mut Port<'p> {
    let index = ports
        .iter()
        .position(|port| port.name == name)
        .unwrap_or_else(|| {
            ports.push(Port {
                name,
                descriptors: Vec::new(),
                inside: false,
            });
            ports.len() - 1
        });
    &mut ports[index]
}

/// Gives the guest its network, and its ports as the next descriptors.
pub fn add(
    plan: &LaunchPlan<'_>,
    output: &Output,
    builder: ContextBuilder,
) -> Result<ContextBuilder, Failure> {
    let speaker = output.clone();
    let given = Given::by(plan);
    let watcher = move |refusal: &Refusal| speaker.say(&refusal_line(refusal, given));
    let mut builder = builder.network(permissions(plan)?, Box::new(watcher));
    for port in ports(plan) {
        let mut sockets: Vec<OwnedFd> = port
            .descriptors
            .iter()
            // SAFETY: the plan names descriptors that were left open for this process, each once.
            .map(|descriptor| unsafe { OwnedFd::from_raw_fd(*descriptor) })
            .collect();
        if port.inside {
            sockets.extend(listen_inside(plan, port.name)?);
        }
        builder = builder
            .listener(port.name, sockets)
            .map_err(|_| Failure::own("a listening socket cannot be given to the guest"))?;
    }
    Ok(builder)
}

/// Listens at the container's own addresses, in whose namespace this process is by now.
fn listen_inside(plan: &LaunchPlan<'_>, port: &[u8]) -> Result<Vec<OwnedFd>, Failure> {
    let number = kernel_calls::text::decimal(port).and_then(|number| u16::try_from(number).ok());
    let number = number.ok_or_else(|| Failure::own("the launch plan has a wrong value for listen-inside"))?;
    let mut sockets = Vec::new();
    each(plan, "own-address", |text| {
        sockets.push(TcpListener::bind((text.parse::<IpAddr>().ok()?, number)));
        Some(())
    })?;
    sockets
        .into_iter()
        .map(|bound| bound.map(OwnedFd::from))
        .collect::<Result<_, _>>()
        .map_err(|error| {
            let errno = kernel_calls::Errno(error.raw_os_error().unwrap_or(libc::EIO));
            Failure::own(format!(
                "cannot listen on port {number} of the container's address: {errno}"
            ))
        })
}

fn permissions(plan: &LaunchPlan<'_>) -> Result<Network, Failure> {
    let mut network = Network::default();
    each(plan, "outgoing", |entry| network.pool.allow(entry))?;
    each(plan, "own-address", |text| {
        network.own.add(text.parse::<IpAddr>().ok()?)
    })?;
    let resolver = &mut network.resolver;
    each(plan, "name-server", |text| resolver.add_server(text))?;
    each(plan, "search", |domain| resolver.add_search(domain))?;
    each(plan, "host", |line| resolver.add_host(line))?;
    each(plan, "resolver-option", |word| resolver.add_option(word))?;
    Ok(network)
}

/// Whether the guest's calls may make sockets: to use other addresses than those of its ports, or to ask for names.
pub fn makes_sockets(plan: &LaunchPlan<'_>) -> bool {
    plan.all("outgoing")
        .chain(plan.all("name-server"))
        .next()
        .is_some()
}

/// Takes each value of a key; `None` is a refusal of the plan.
fn each<'p>(
    plan: &LaunchPlan<'p>,
    key: &'static str,
    mut take: impl FnMut(&'p str) -> Option<()>,
) -> Result<(), Failure> {
    for value in plan.all(key) {
        let taken = value.to_str().ok().and_then(&mut take);
        taken.ok_or_else(|| Failure::own(format!("the launch plan has a wrong value for {key}")))?;
    }
    Ok(())
}

/// What the plan allows at all, for advice.
#[derive(Clone, Copy)]
struct Given {
    /// Blocks of addresses, by `allow=`, or those of an internal network.
    blocks: bool,
    /// An address of its own, on a network.
    address: bool,
}

impl Given {
    fn by(plan: &LaunchPlan<'_>) -> Given {
        Given {
            blocks: plan.all("outgoing").any(|entry| entry.to_bytes() != b"any"),
            address: plan.optional("own-address").is_some(),
        }
    }

    /// The least that would let a guest reach this address.
    fn option_for(self, target: SocketAddr) -> String {
        let address = target.ip().to_canonical();
        if self.blocks && !self.address {
            format!("--network host:allow={target}")
        } else if address.is_loopback() || address.is_unspecified() {
            "--network host".to_owned()
        } else {
            "--network bridge".to_owned()
        }
    }
}

/// What the guest was refused, and which option would allow it.
fn refusal_line(refusal: &Refusal, given: Given) -> String {
    let (what, option) = match refusal {
        Refusal::Reach(target) => (format!("connect to {target}"), given.option_for(*target)),
        Refusal::LookUp(name) => (format!("look up {name}"), "--network bridge".to_owned()),
        Refusal::Listen(address) if address.port() == 0 => {
            (format!("listen on {address}"), "--network bridge".to_owned())
        }
        Refusal::Listen(address) => (format!("listen on {address}"), format!("-p {}", address.port())),
    };
    format!("wpod: the guest may not {what}: {option} would allow it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(target: &str, blocks: bool, address: bool) -> String {
        let refusal = Refusal::Reach(target.parse().unwrap());
        let line = refusal_line(&refusal, Given { blocks, address });
        line.split(": ").nth(2).unwrap().to_owned()
    }

    #[test]
    fn the_least_that_would_allow_it() {
        assert_eq!(
            advice("192.0.2.1:80", false, false),
            "--network bridge would allow it"
        );
        assert_eq!(
            advice("127.0.0.1:80", false, false),
            "--network host would allow it"
        );
        assert_eq!(
            advice("127.0.0.1:80", false, true),
            "--network host would allow it"
        );
        assert_eq!(
            advice("192.0.2.1:80", true, false),
            "--network host:allow=192.0.2.1:80 would allow it"
        );
        assert_eq!(
            advice("192.0.2.1:80", true, true),
            "--network bridge would allow it"
        );
    }
}
