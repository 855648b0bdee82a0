//! `propagation policy`: checks a policy file before a service reads it.

mod explain;
mod lint;
mod scan;

use std::path::PathBuf;

use clap::Subcommand;
use propagation_core::{Peer, Transport};

use super::{Exit, report};

/// Operations on a policy file.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Checks a policy file: errors and warnings with line, column and an excerpt of the file.
    Lint {
        /// The policy file.
        file: PathBuf,
        /// Exit with 1 if there are warnings.
        #[arg(long, value_enum)]
        deny: Option<lint::Denied>,
    },
    /// Explains the effect of a policy on trust, trace context, tracestate and each key of baggage, and names the rule that decides.
    Explain(explain::Arguments),
    /// Reads `key=value` lines from standard input and writes the policy's decision on each as a JSON object.
    ///
    /// Without a file every key is allowed, every detector is on, and values with findings are dropped.
    Scan {
        /// The policy file.
        file: Option<PathBuf>,
        /// The receiver, such as `kafka:orders`. Without it, the first peer of the file's outbound rules.
        #[arg(long, value_name = "TRANSPORT:NAME")]
        peer: Option<String>,
    },
}

/// Returns good without findings, bad with findings, unknown if the file can't be used.
pub(crate) fn run(policy: &Policy) -> Exit {
    let ended = match policy {
        Policy::Lint { file, deny } => lint::run(file, *deny),
        Policy::Explain(arguments) => explain::run(arguments),
        Policy::Scan { file, peer } => scan::run(file.as_deref(), peer.as_deref()),
    };
    ended.unwrap_or_else(report)
}

/// A peer of a transport, where an AMQP queue is named with its prefix.
fn peer_of(transport: Transport, name: &str) -> Peer<'_> {
    match name.strip_prefix("queue/") {
        Some(queue) if transport == Transport::AMQP => Peer::amqp_queue(queue),
        _ => Peer::new(transport, name),
    }
}

type Error = Box<dyn std::error::Error>;

/// Parses a peer as rules name it: `kafka:orders`. Hosts are named as the adapters name them, in lower case and without a port.
fn peer(text: &str, policy: &propagation_core::Policy) -> Result<(Transport, String), Error> {
    let (transport, name) = text.split_once(':').ok_or_else(|| format!("{text:?} is not a peer: TRANSPORT:NAME"))?;
    let transport = transport_of(transport, policy)?;
    if transport != Transport::HTTP {
        return Ok((transport, name.to_owned()));
    }
    let host = match name.split_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => name,
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if host.contains(['/', '<']) {
        return Err(format!("{text:?} is not a peer: a host alone, as in http:api.example.com").into());
    }
    Ok((transport, host))
}

/// Returns a transport that is built in or that the policy declares.
fn transport_of(name: &str, policy: &propagation_core::Policy) -> Result<Transport, Error> {
    if let Some(known) = Transport::BUILT_IN.iter().find(|known| known.as_str() == name) {
        return Ok(*known);
    }
    if let Some(declared) = policy.transports().find(|declared| *declared == name) {
        // The command looks at one peer and exits.
        return Ok(Transport::from_static(declared.to_owned().leak()));
    }
    let known = Transport::BUILT_IN.iter().map(|known| known.as_str()).chain(policy.transports());
    let known = known.collect::<Vec<_>>().join(", ");
    Err(format!("{name:?} is not a transport: {known}; a policy file declares others by `transports`").into())
}
