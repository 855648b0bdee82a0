//! The tables of `docs/performance.md` and `benches/README.md`, from the lines that the bench has printed.

use std::fmt::Write;

const PEERS: [&str; 4] = ["opentelemetry_sdk", "datadog-opentelemetry", "fastrace", "hand-written"];

/// One line: `versus <case> <unit> ours <n> <peer> <n> ratio <x>`.
pub(crate) struct Line<'a> {
    pub(crate) case: &'a str,
    pub(crate) what: &'a str,
    pub(crate) ours: f64,
    pub(crate) peer: &'a str,
    pub(crate) theirs: f64,
}

pub(crate) fn lines(text: &str) -> Vec<Line<'_>> {
    let line = |line| match str::split_whitespace(line).collect::<Vec<_>>().as_slice() {
        ["versus", case, what, "ours", ours, peer, theirs, "ratio", _] => {
            Some(Line { case, what, ours: ours.parse().ok()?, peer, theirs: theirs.parse().ok()? })
        }
        ["memory", case, "ours", ours, peer, theirs] => {
            Some(Line { case, what: "memory", ours: ours.parse().ok()?, peer, theirs: theirs.parse().ok()? })
        }
        _ => None,
    };
    text.lines().filter_map(line).collect()
}

/// All tables, in Markdown.
pub(crate) fn of(text: &str) -> String {
    let lines = lines(text);
    let mut cases: Vec<&str> = Vec::new();
    for line in &lines {
        // The cost of the scrubbers is beside their findings.
        if !cases.contains(&line.case) && !line.case.starts_with("scan-") {
            cases.push(line.case);
        }
    }
    let mut out = String::new();
    let (whole, cases): (Vec<&str>, Vec<&str>) = cases.into_iter().partition(|case| case.starts_with("whole-"));
    if !whole.is_empty() {
        whole_requests(&mut out, &whole, &lines);
    }
    let (growths, cases): (Vec<&str>, Vec<&str>) = cases.into_iter().partition(|case| case.starts_with("grows-"));
    if !growths.is_empty() {
        growth(&mut out, &growths, &lines);
    }
    let (growing, fixed): (Vec<&str>, Vec<&str>) = cases.into_iter().partition(|case| case.starts_with("hostile-"));
    if growing.is_empty() && fixed.is_empty() {
        return out;
    }
    for (what, title) in [
        ("instructions", "Instructions an operation"),
        ("allocations", "Allocations an operation"),
        ("time", "Time, as a multiple of ours"),
    ] {
        beside_peers(&mut out, title, what, &fixed, &lines);
    }
    grown(&mut out, &growing, &lines);
    out
}

/// Formatting into a string cannot fail.
pub(crate) fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn beside_peers(out: &mut String, title: &str, what: &str, cases: &[&str], lines: &[Line<'_>]) {
    let ours_too = what != "time";
    add(out, format_args!("{title}:\n\n| Case |"));
    if ours_too {
        add(out, format_args!(" ours |"));
    }
    for peer in PEERS {
        add(out, format_args!(" {peer} |"));
    }
    let columns = PEERS.len() + usize::from(ours_too);
    add(out, format_args!("\n|---|{}\n", "---:|".repeat(columns)));
    for case in cases {
        let of_case: Vec<&Line<'_>> = lines.iter().filter(|line| line.case == *case && line.what == what).collect();
        let Some(first) = of_case.first() else { continue };
        add(out, format_args!("| {case} |"));
        if ours_too {
            add(out, format_args!(" {} |", grouped(first.ours)));
        }
        for peer in PEERS {
            match of_case.iter().find(|line| line.peer == peer) {
                Some(line) if ours_too => add(out, format_args!(" {} |", grouped(line.theirs))),
                Some(line) => add(out, format_args!(" {:.1} |", line.theirs / line.ours)),
                None => add(out, format_args!(" |")),
            }
        }
        out.push('\n');
    }
    out.push('\n');
}

/// A row for each whole request: instructions and allocations, ours and the peers'.
fn whole_requests(out: &mut String, cases: &[&str], lines: &[Line<'_>]) {
    add(out, format_args!("| Case | ours | peers |\n|---|---:|---|\n"));
    for case in cases {
        let of = |what: &'static str| lines.iter().filter(move |line| line.case == *case && line.what == what);
        let allocations = |peer: &str| of("allocations").find(|line| line.peer == peer).map(|line| line.theirs);
        let Some(first) = of("instructions").next() else { continue };
        let own = of("allocations").next().map_or(0.0, |line| line.ours);
        let peers = of("instructions").filter(|line| line.peer != "none").map(|line| {
            format!("{} {} ({})", line.peer, grouped(line.theirs), allocations(line.peer).unwrap_or_default())
        });
        let peers = peers.collect::<Vec<_>>().join(", ");
        let name = case.trim_start_matches("whole-");
        add(out, format_args!("| {name} | {} ({own}) | {peers} |\n", grouped(first.ours)));
    }
    out.push('\n');
}

/// A row for each kind of configuration or input that grows.
fn growth(out: &mut String, cases: &[&str], lines: &[Line<'_>]) {
    add(out, format_args!("| What grows | instructions (allocations) at each size |\n|---|---|\n"));
    let mut kinds: Vec<&str> = Vec::new();
    for kind in cases.iter().filter_map(|case| Some(case.rsplit_once('-')?.0)) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    for kind in kinds {
        let cells = cases.iter().filter(|case| case.rsplit_once('-').is_some_and(|(of, _)| of == kind)).map(|case| {
            let size = case.rsplit_once('-').map_or("", |(_, size)| size);
            let ours =
                |what: &str| lines.iter().find(|line| line.case == *case && line.what == what).map(|line| line.ours);
            match ours("memory") {
                Some(held) => format!("{size}: {} bytes held", grouped(held)),
                None => format!(
                    "{size}: {} ({})",
                    grouped(ours("instructions").unwrap_or_default()),
                    ours("allocations").unwrap_or_default()
                ),
            }
        });
        let cells = cells.collect::<Vec<_>>().join(" · ");
        add(out, format_args!("| {} | {cells} |\n", kind.trim_start_matches("grows-")));
    }
    out.push('\n');
}

/// One row per kind of input: the costs of the first, a middle and the last size.
fn grown(out: &mut String, cases: &[&str], lines: &[Line<'_>]) {
    const SIZES: [u32; 5] = [1, 4, 8, 64, 256];
    add(
        out,
        format_args!("Instructions for input that grows, ours, and instructions a byte up to 8 KiB:\n\n| Input |"),
    );
    for size in SIZES {
        add(out, format_args!(" {size} KiB |"));
    }
    add(
        out,
        format_args!(" a byte | allocations, bytes held | opentelemetry_sdk, 256 KiB |\n|---|{}\n", "---:|".repeat(8)),
    );
    for kind in cases.iter().filter_map(|case| case.strip_suffix("-1k")) {
        let line = |size: u32, what: &str| {
            let case = format!("{kind}-{size}k");
            lines.iter().find(|line| line.case == case && line.what == what)
        };
        let instructions = |size| line(size, "instructions");
        add(out, format_args!("| {} |", kind.trim_start_matches("hostile-")));
        for size in SIZES {
            add(out, format_args!(" {} |", instructions(size).map_or_else(String::new, |line| grouped(line.ours))));
        }
        let slope = instructions(8).zip(instructions(1)).map(|(eight, one)| (eight.ours - one.ours) / 7168.0);
        let most = |what| (0..9).filter_map(|power| line(1 << power, what)).map(|line| line.ours).fold(0.0, f64::max);
        add(
            out,
            format_args!(" {:.1} | {}, {} |", slope.unwrap_or_default(), most("allocations"), grouped(most("memory"))),
        );
        add(out, format_args!(" {} |\n", instructions(256).map_or_else(String::new, |line| grouped(line.theirs))));
    }
}

/// A number with a comma before each three digits.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = if number < 0.0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
