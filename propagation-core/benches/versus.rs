//! Ours beside the peers: instructions, allocations, and time as a ratio.
//!
//! `cargo bench -p propagation-core --bench versus [-- CASE…]` builds the unpublished package `benches/peers`, runs each case
//! under callgrind and on its own, and prints one line a figure:
//!
//! `versus <case> <instructions|allocations|time> ours <n> <peer> <n> ratio <x>`
//!
//! Instructions are those of one operation, warm, averaged over fifty. Time is in nanoseconds, both sides alternating in one
//! process; on a busy machine only its ratio means something.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

/// How many operations callgrind counts.
const RUNS: u32 = 50;

fn main() -> ExitCode {
    // Cargo passes `--bench`; what is left names cases.
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match run(&wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("versus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[String]) -> Result<(), String> {
    let program = build()?;
    let cases = output(Command::new(&program).arg("list"))?;
    let mut peers_of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in cases.lines() {
        if let Some((case, peer)) = line.split_once(' ') {
            peers_of.entry(case).or_default().push(peer);
        }
    }
    let callgrind =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|ended| ended.success());
    if !callgrind {
        eprintln!("versus: no valgrind here (Debian: apt-get install valgrind), so no instructions");
    }
    for (case, peers) in peers_of {
        if !wanted.is_empty() && !wanted.iter().any(|name| case.starts_with(name.as_str())) {
            continue;
        }
        let peers: Vec<&str> = peers.into_iter().filter(|peer| *peer != "ours").collect();
        if callgrind {
            let ours = instructions(&program, "ours", case)?;
            lines(case, "instructions", ours, &peers, |peer| instructions(&program, peer, case))?;
        }
        let ours = number(Command::new(&program).args(["allocations", "ours", case]))?;
        lines(case, "allocations", ours, &peers, |peer| {
            number(Command::new(&program).args(["allocations", peer, case]))
        })?;
        for peer in peers {
            let both = output(Command::new(&program).args(["time", peer, case]))?;
            let (ours, theirs) = both.trim().split_once(' ').ok_or("no times")?;
            print(case, "time", parse(ours)?, peer, parse(theirs)?);
        }
    }
    Ok(())
}

/// Prints a figure beside each peer's; where a case has no peer, beside nothing.
fn lines(
    case: &str,
    what: &str,
    ours: f64,
    peers: &[&str],
    theirs: impl Fn(&str) -> Result<f64, String>,
) -> Result<(), String> {
    if peers.is_empty() {
        println!("versus {case} {what} ours {ours} none 0 ratio 0");
    }
    for peer in peers {
        print(case, what, ours, peer, theirs(peer)?);
    }
    Ok(())
}

fn print(case: &str, what: &str, ours: f64, peer: &str, theirs: f64) {
    let ratio = if ours > 0.0 { theirs / ours } else { f64::INFINITY };
    println!("versus {case} {what} ours {ours} {peer} {theirs} ratio {ratio:.2}");
}

fn build() -> Result<PathBuf, String> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
    // Beside the workspace's own target, so that neither build disturbs the other.
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
        .join("versus");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .status()
        .map_err(|error| error.to_string())?;
    if built.success() {
        Ok(target.join("release/propagation-peers"))
    } else {
        Err("the peers do not build".to_owned())
    }
}

fn instructions(program: &Path, who: &str, case: &str) -> Result<f64, String> {
    let ended = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=propagation_peers::counted")
        .arg(program)
        .args(["run", who, case, &RUNS.to_string()])
        .stdout(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    let collected =
        said.lines().find_map(|line| line.split_once("Collected : ")).ok_or_else(|| format!("callgrind: {said}"))?;
    Ok((parse(collected.1)? / f64::from(RUNS)).round())
}

fn number(command: &mut Command) -> Result<f64, String> {
    parse(&output(command)?)
}

fn parse(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| format!("{text:?} is not a number"))
}

fn output(command: &mut Command) -> Result<String, String> {
    let ended = command.stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
    if ended.status.success() {
        Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
    } else {
        Err(format!("{command:?} failed"))
    }
}
