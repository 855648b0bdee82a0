//! `versus -- locked CASE…`: the locked read-modify-writes of one operation, by the function that makes them and its caller.
//!
//! Those on memory that requests share limit the throughput of many cores: an address can be written by one of them at a time. Callgrind
//! counts how often each instruction runs, `objdump` finds the instructions with a `lock` prefix, and those that exchange memory. A
//! program cannot know which memory is shared: the list is to be read.

use std::{
    collections::{HashMap, HashSet},
    process::Command,
};

use super::{Bench, Case, output};

/// Locked instructions, per operation, by function and caller.
type Counts = HashMap<String, f64>;

/// Prints the locked read-modify-writes of each case, net of the same service without middleware.
pub(crate) fn print(bench: &Bench, cases: &[Case]) -> Result<(), String> {
    let locked = locked_instructions(bench)?;
    for case in cases {
        let ours = counts(bench, &locked, "ours", case)?;
        let around = if case.net { counts(bench, &locked, "none", case)? } else { Counts::new() };
        let total = |counts: &Counts| counts.values().sum::<f64>();
        println!("versus {} locked ours {} none {}", case.name, total(&ours), total(&around));
        let net = |place: &String| ours.get(place).unwrap_or(&0.0) - around.get(place).unwrap_or(&0.0);
        let mut places: Vec<(f64, &String)> = ours.keys().map(|place| (net(place), place)).collect();
        places.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
        for (count, place) in places.into_iter().filter(|(count, _)| *count > 0.0) {
            println!("locked {} {count} {place}", case.name);
        }
    }
    Ok(())
}

/// Returns the addresses of the program's locked instructions, without those of the bench's own allocator.
fn locked_instructions(bench: &Bench) -> Result<HashSet<u64>, String> {
    let listing = output(Command::new("objdump").args(["-d", "-C", "--no-show-raw-insn"]).arg(&bench.program))?;
    let address = |line: &str| {
        let (address, instruction) = line.split_once(':')?;
        let instruction = instruction.trim_start();
        let is_locked =
            instruction.starts_with("lock ") || instruction.starts_with("xchg") && instruction.contains('(');
        let is_own = instruction.contains("::count::");
        u64::from_str_radix(address.trim(), 16).ok().filter(|_| is_locked && !is_own)
    };
    Ok(listing.lines().filter_map(address).collect())
}

fn counts(bench: &Bench, locked: &HashSet<u64>, side: &str, case: &Case) -> Result<Counts, String> {
    let (runs, dump) = bench.dump_of_instructions(side, case)?;
    let (mut counts, mut function, mut is_call) = (Counts::new(), "", false);
    for line in dump.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            function = name;
        } else if line.starts_with("calls=") {
            // The next line has the costs of the called function.
            is_call = true;
        } else if let Some((address, costs)) = line.strip_prefix("0x").and_then(|line| line.split_once(' ')) {
            let is_own = !std::mem::take(&mut is_call);
            let address = u64::from_str_radix(address, 16).ok().filter(|address| is_own && locked.contains(address));
            let times = costs.rsplit(' ').next().and_then(|times| times.parse::<f64>().ok());
            if let (Some(_), Some(times)) = (address, times) {
                *counts.entry(function.replace('\'', " < ")).or_default() += times / runs;
            }
        }
    }
    Ok(counts)
}
