use std::path::PathBuf;

use clap::{Args, ValueEnum};
use propagation_core::{Baggage, Direction, Explanation, Peer, Policy, PropagationContext, Verdict};

use super::{Error, Exit};
use crate::{complain, say};

/// Says for each baggage key whether it crosses, and by which rule.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The policy file.
    file: PathBuf,
    /// Which way the baggage goes.
    #[arg(long, value_enum, default_value = "outbound")]
    direction: Way,
    /// Who is on the other side, such as `kafka:orders`.
    #[arg(long, value_name = "TRANSPORT:NAME")]
    peer: String,
    /// A caller's address, for inbound rules that go by it.
    #[arg(long)]
    address: Option<std::net::IpAddr>,
    /// A caller's identity, for inbound rules that go by it.
    #[arg(long)]
    identity: Option<String>,
    /// The baggage, as in its header: `tenant.id=blue,plan=free`.
    #[arg(long)]
    baggage: String,
    /// One JSON object a key instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Way {
    Inbound,
    Outbound,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Error> {
    let policy = Policy::from_file(&arguments.file)?;
    let (transport, name) = super::peer(&arguments.peer)?;
    let mut peer = Peer::new(transport, &name);
    if let Some(address) = arguments.address {
        peer = peer.with_address(address);
    }
    if let Some(identity) = &arguments.identity {
        peer = peer.with_identity(identity);
    }
    let direction = match arguments.direction {
        Way::Inbound => Direction::Inbound,
        Way::Outbound => Direction::Outbound,
    };
    let baggage = Baggage::parse(arguments.baggage.as_bytes());
    let given = arguments.baggage.split(',').filter(|member| !member.trim().is_empty()).count();
    if baggage.len() < given {
        complain(format_args!("{} of {given} members can't be read, and go nowhere", given - baggage.len()));
    }
    let context = PropagationContext::EMPTY.with_baggage(baggage);
    for explanation in policy.explain(direction, &peer, &context) {
        if arguments.json {
            say(super::scan::json(&explanation));
        } else {
            say(line(&explanation));
        }
    }
    Ok(Exit::Good)
}

fn line(explanation: &Explanation) -> String {
    let Explanation { key, verdict, rule, reason, detector, output, .. } = explanation;
    let mut line = format!("{key}: {} by rule {rule:?}", verdict.as_str());
    if let Some(reason) = reason {
        let would = if *verdict == Verdict::Crosses { ", in report mode: would be " } else { ", " };
        line += &format!("{would}{reason}");
    }
    if let Some(detector) = detector {
        line += &format!(" ({detector})");
    }
    match output {
        Some(output) if *verdict == Verdict::Changed => line + &format!(": {output}"),
        _ => line,
    }
}
