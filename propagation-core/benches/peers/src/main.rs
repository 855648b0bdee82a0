//! One side of the cases that `versus` measures.
//!
//! `list`, or `run|allocations|time SIDE CASE…`, where a side is `ours`, a peer, or `none`: the surroundings of the operation,
//! which are subtracted from both. Each mode prints a line a case.

mod by_hand;
mod cases;
mod count;
mod grows;
mod input;
mod layer;
mod measure;
mod ours;
mod peers;
mod streams;
mod texts;

use cases::{Case, What};
use measure::Operation;
use peers::Peer;

#[global_allocator]
static ALLOCATOR: count::Counting = count::Counting;

/// How many operations are averaged.
fn runs(case: &Case) -> u32 {
    match case.what {
        What::Scan => 1,
        _ if case.grows => 4,
        _ => 50,
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["list"] => list(),
        ["run", side, wanted @ ..] => each(side, wanted, |case, operation| {
            let runs = runs(case);
            (measure::warm(operation, runs.div_ceil(2)) && measure::measured(operation, runs)).then(|| runs.to_string())
        }),
        ["allocations", side, wanted @ ..] => each(side, wanted, |case, operation| {
            measure::warm(operation, runs(case)).then(|| {
                let (allocations, most) = measure::allocations(operation, runs(case));
                let held = if case.name.starts_with("grows-stream") { measure::held(operation) } else { most };
                format!("{allocations} {held}")
            })
        }),
        ["time", peer, wanted @ ..] => each(peer, wanted, |case, theirs| {
            let mut ours = ours::operation(case);
            (measure::warm(theirs, 100) && measure::warm(&mut *ours, 100)).then(|| {
                let (ours, theirs) = measure::times(&mut *ours, theirs);
                format!("{ours} {theirs}")
            })
        }),
        _ => panic!("list | run|allocations|time SIDE CASE…"),
    }
}

/// A line a case: its name, whether it is one of a growing row, whether something is to be subtracted, and the peers that can do it.
fn list() {
    for case in cases::all() {
        let peers: Vec<&str> = peers::ALL.iter().copied().filter(|peer| Peer::can(peer, &case)).collect();
        let net = case.what == What::Layer;
        println!("{} {} {} {}", case.name, case.grows, net, peers.join(" "));
    }
}

/// Measures a side in the cases that are wanted, and prints its figures, or `panics`.
fn each(side: &str, wanted: &[&str], mut measure: impl FnMut(&Case, &mut dyn Operation) -> Option<String>) {
    let peer = Peer::named(side);
    for case in cases::all().iter().filter(|case| wanted.contains(&case.name.as_str())) {
        let mut operation = match &peer {
            Some(peer) => peer.operation(case),
            None if side == "none" => layer::identity(input::headers(case)),
            None => ours::operation(case),
        };
        let said = measure(case, &mut *operation);
        println!("{} {}", case.name, said.as_deref().unwrap_or("panics"));
    }
}
