//! Ours beside the peers: instructions, allocations, and time as a ratio.
//!
//! `cargo bench -p propagation-core --bench versus [-- [--thin-lto] CASE…]` builds an unpublished package, runs each case
//! under callgrind and on its own, and prints one line a figure:
//!
//! `versus <case> <instructions|allocations|time> ours <n> <peer> <n> ratio <x>`
//!
//! Cases that begin with `whole` are in the package `benches/whole`: requests and messages with spans, beside other middleware, in the
//! default release profile; `--thin-lto` builds it with thin LTO. All others are in `benches/peers`: extract and inject alone, beside other
//! propagators, and inputs that grow (`grows-…`). Without a name, those of `benches/peers` are run.
//!
//! A case is named by the beginning of its name. Instructions are those of one operation, warm, averaged. Its preparation
//! (the map that it reads or writes, the request that a layer gets) is not counted, and the cost of an identity layer is subtracted
//! from layers. Time is in nanoseconds, both sides alternating in one process; on a busy machine only its ratio means something.
//!
//! Of inputs that grow, a line `memory <case> ours <n> <peer> <n>` has the most bytes that were held at once, and of a response that
//! streams those that it holds.
//!
//! `… --bench versus -- locked CASE…` prints the locked read-modify-writes of cases of `benches/whole`. It needs `objdump`, too.
//!
//! `… --bench versus -- --table < LINES` makes the tables of `docs/performance.md` of such lines, and `--picture` its picture.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

#[path = "versus/locked.rs"]
mod locked;
#[path = "versus/picture.rs"]
mod picture;
#[path = "versus/table.rs"]
mod table;

fn main() -> ExitCode {
    // Cargo passes `--bench`; the other arguments name cases.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let made_of_lines: Option<fn(&str) -> String> = match arguments.first().map(String::as_str) {
        Some("--table") => Some(table::of),
        Some("--picture") => Some(picture::of),
        _ => None,
    };
    let done = if let Some(make) = made_of_lines {
        std::io::read_to_string(std::io::stdin()).map_err(|error| error.to_string()).map(|lines| {
            print!("{}", make(&lines));
        })
    } else {
        run(&arguments)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("versus: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A case, as the program lists it.
struct Case {
    name: String,
    grows: bool,
    /// Something is to be subtracted from every side.
    net: bool,
    peers: Vec<String>,
}

/// The figures of a side by case; without the cases in which it panics.
type Figures = HashMap<String, Vec<f64>>;

fn run(arguments: &[String]) -> Result<(), String> {
    let thin_lto = arguments.iter().any(|argument| argument == "--thin-lto");
    if let Some(("locked", wanted)) = arguments.split_first().map(|(first, wanted)| (first.as_str(), wanted)) {
        let bench = Bench::build("whole", thin_lto)?;
        let cases: Vec<Case> = bench.cases()?.into_iter().filter(|case| wanted.contains(&case.name)).collect();
        return locked::print(&bench, &cases);
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    let (whole, alone): (Vec<&String>, Vec<&String>) = wanted.iter().partition(|name| name.starts_with("whole"));
    if !whole.is_empty() {
        measure(&Bench::build("whole", thin_lto)?, &whole)?;
    }
    if whole.is_empty() || !alone.is_empty() {
        measure(&Bench::build("peers", false)?, &alone)?;
    }
    Ok(())
}

fn measure(bench: &Bench, wanted: &[&String]) -> Result<(), String> {
    let mut cases = bench.cases()?;
    cases.retain(|case| wanted.is_empty() || wanted.iter().any(|name| case.name.starts_with(name.as_str())));
    let callgrind =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|ended| ended.success());
    if callgrind {
        let sides = sides(&cases, |side, cases| bench.instructions(side, cases))?;
        print("instructions", &cases, &sides);
    } else {
        eprintln!("versus: no valgrind here (Debian: apt-get install valgrind), so no instructions");
    }
    let sides = sides(&cases, |side, cases| bench.figures("allocations", side, cases))?;
    print("allocations", &cases, &sides);
    for case in &cases {
        let held = |side: &str| sides.get(side)?.get(&case.name)?.get(1).copied();
        let streams = case.name.contains("-stream-");
        if !case.grows && !streams {
            continue;
        }
        if let Some(ours) = held("ours").filter(|_| streams) {
            println!("memory {} ours {ours} none 0", case.name);
        }
        for peer in &case.peers {
            if let (Some(ours), Some(theirs)) = (held("ours"), held(peer)) {
                println!("memory {} ours {ours} {peer} {theirs}", case.name);
            }
        }
    }
    if bench.package == "whole" {
        return Ok(());
    }
    for peer in peers(&cases) {
        // For growing inputs, instructions suffice.
        let timed: Vec<&Case> = cases.iter().filter(|case| !case.grows && case.peers.contains(&peer)).collect();
        let both = bench.figures("time", &peer, &timed)?;
        for case in timed {
            if let Some([ours, theirs]) = both.get(&case.name).map(Vec::as_slice) {
                line(&case.name, "time", *ours, &peer, *theirs);
            }
        }
    }
    Ok(())
}

fn peers(cases: &[Case]) -> Vec<String> {
    let mut peers: Vec<String> = cases.iter().flat_map(|case| case.peers.clone()).collect();
    peers.sort();
    peers.dedup();
    peers
}

/// Prints a figure beside each peer's; where a case has no peer, beside nothing.
fn print(unit: &str, cases: &[Case], sides: &HashMap<String, Figures>) {
    for case in cases {
        let figure = |side: &str| sides.get(side)?.get(&case.name)?.first().copied();
        let around = if case.net { figure("none").unwrap_or_default() } else { 0.0 };
        let Some(ours) = figure("ours").map(|ours| ours - around) else {
            eprintln!("versus: ours panics in {}", case.name);
            continue;
        };
        if case.peers.is_empty() {
            println!("versus {} {unit} ours {ours} none 0 ratio 0", case.name);
        }
        for peer in &case.peers {
            match figure(peer) {
                Some(theirs) => line(&case.name, unit, ours, peer, theirs - around),
                None => eprintln!("versus: {peer} panics in {}", case.name),
            }
        }
    }
}

fn line(case: &str, unit: &str, ours: f64, peer: &str, theirs: f64) {
    let ratio = if ours > 0.0 { theirs / ours } else { f64::INFINITY };
    println!("versus {case} {unit} ours {ours} {peer} {theirs} ratio {ratio:.2}");
}

/// The program that holds all sides.
struct Bench {
    package: &'static str,
    program: PathBuf,
    /// The directory of callgrind's dumps.
    scratch: PathBuf,
}

impl Bench {
    fn build(package: &'static str, thin_lto: bool) -> Result<Self, String> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches").join(package).join("Cargo.toml");
        // Beside the workspace's own target, so that neither build disturbs the other.
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
            .join(if thin_lto { "versus-thin-lto" } else { "versus" });
        let mut build = Command::new(env!("CARGO"));
        build
            .args(["build", "--release", "--locked", "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(&target);
        if thin_lto {
            build.env("CARGO_PROFILE_RELEASE_LTO", "thin");
        }
        if build.status().map_err(|error| error.to_string())?.success() {
            let program = target.join(format!("release/propagation-{package}"));
            Ok(Self { package, program, scratch: target.join("callgrind") })
        } else {
            Err(format!("the package benches/{package} does not build"))
        }
    }

    fn cases(&self) -> Result<Vec<Case>, String> {
        let listed = output(Command::new(&self.program).arg("list"))?;
        let case = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            let (name, grows, net) = (words.next()?, words.next()? == "true", words.next()? == "true");
            Some(Case { name, grows, net, peers: words.collect() })
        };
        Ok(listed.lines().filter_map(case).collect())
    }

    fn figures(&self, mode: &str, side: &str, cases: &[&Case]) -> Result<Figures, String> {
        let mut program = Command::new(&self.program);
        program.arg(mode).arg(side).args(cases.iter().map(|case| &case.name));
        Ok(figures(&output(&mut program)?))
    }

    /// One process for all cases: callgrind dumps its counts after each.
    fn instructions(&self, side: &str, cases: &[&Case]) -> Result<Figures, String> {
        let printed = self.callgrind(&[], side, cases)?;
        let mut counts = figures(&printed);
        let measured =
            printed.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| counts.contains_key(*name));
        let measured: Vec<String> = measured.map(str::to_owned).collect();
        for (nth, name) in measured.iter().enumerate() {
            let total = dumped(&self.scratch.join(format!("out.{}", nth + 1)))?;
            if let Some([runs]) = counts.get(name).map(Vec::as_slice) {
                let each = (total / runs).round();
                counts.insert(name.clone(), vec![each]);
            }
        }
        Ok(counts)
    }

    /// Returns the number of operations of one case, and callgrind's count of each of their instructions, by function and caller.
    fn dump_of_instructions(&self, side: &str, case: &Case) -> Result<(f64, String), String> {
        let options = ["--dump-instr=yes", "--separate-callers=2", "--compress-strings=no", "--compress-pos=no"];
        let counts = figures(&self.callgrind(&options, side, &[case])?);
        let runs = counts.get(&case.name).and_then(|counts| counts.first().copied());
        let dump = std::fs::read_to_string(self.scratch.join("out.1")).map_err(|error| error.to_string())?;
        Ok((runs.ok_or_else(|| format!("{side} panics in {}", case.name))?, dump))
    }

    /// Runs cases of a side under callgrind, which writes a file `out.<n>` for each of them. Returns the program's output.
    fn callgrind(&self, options: &[&str], side: &str, cases: &[&Case]) -> Result<String, String> {
        let _ = std::fs::remove_dir_all(&self.scratch);
        std::fs::create_dir_all(&self.scratch).map_err(|error| error.to_string())?;
        let out = self.scratch.join("out");
        output(
            Command::new("valgrind")
                .args(["-q", "--tool=callgrind", "--collect-atstart=no"])
                .args(options)
                .arg(format!("--toggle-collect=propagation_{}::measure::counted", self.package))
                .arg(format!("--dump-after=propagation_{}::measure::measured", self.package))
                .arg(format!("--callgrind-out-file={}", out.display()))
                .arg(&self.program)
                .args(["run", side])
                .args(cases.iter().map(|case| &case.name)),
        )
    }
}

/// Returns the figures of every side, of the cases that it supports.
fn sides(
    cases: &[Case],
    measure: impl Fn(&str, &[&Case]) -> Result<Figures, String>,
) -> Result<HashMap<String, Figures>, String> {
    let mut sides = HashMap::from([("ours".to_owned(), measure("ours", &cases.iter().collect::<Vec<_>>())?)]);
    let net: Vec<&Case> = cases.iter().filter(|case| case.net).collect();
    sides.insert("none".to_owned(), measure("none", &net)?);
    for peer in peers(cases) {
        let can: Vec<&Case> = cases.iter().filter(|case| case.peers.contains(&peer)).collect();
        sides.insert(peer.clone(), measure(&peer, &can)?);
    }
    Ok(sides)
}

/// The total of a dump of callgrind's.
fn dumped(path: &Path) -> Result<f64, String> {
    let dump = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let total = dump.lines().find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")));
    total.and_then(|total| total.trim().parse().ok()).ok_or_else(|| format!("{}: no total", path.display()))
}

/// Lines of a case's name and its figures.
fn figures(printed: &str) -> Figures {
    let figures = |line: &str| {
        let (case, figures) = line.split_once(' ')?;
        let figures: Result<Vec<f64>, _> = figures.split_whitespace().map(str::parse).collect();
        Some((case.to_owned(), figures.ok()?))
    };
    printed.lines().filter_map(figures).collect()
}

fn output(command: &mut Command) -> Result<String, String> {
    // One peer writes a line to stderr for each header that it refuses; the comparison is not about it.
    let ended =
        command.env("DD_LOG_LEVEL", "OFF").stderr(Stdio::inherit()).output().map_err(|error| error.to_string())?;
    if ended.status.success() {
        Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
    } else {
        Err(format!("{command:?} failed"))
    }
}
