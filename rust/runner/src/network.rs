//! What the plan says of the network: ports that the guest is given, and addresses that it may use.

use std::net::{IpAddr, TcpListener};
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
    let watcher = move |refusal: &Refusal| speaker.say(&refusal_line(refusal));
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

/// What the guest was refused, and which option would allow it.
fn refusal_line(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Reach(target) => {
            format!("wpod: the guest may not connect to {target}: --network host would allow it")
        }
        Refusal::LookUp(name) => {
            format!("wpod: the guest may not look up {name}: --network host would allow it")
        }
        Refusal::Listen(address) if address.port() == 0 => {
            format!("wpod: the guest may not listen on {address}: --network host would allow it")
        }
        Refusal::Listen(address) => {
            let port = address.port();
            format!("wpod: the guest may not listen on {address}: -p {port} would publish that port")
        }
    }
}
