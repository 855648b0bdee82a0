//! The tables of `docs/performance.md`, of the lines that the bench has printed.

use std::fmt::Write;

const PEERS: [&str; 4] = ["opentelemetry_sdk", "datadog-opentelemetry", "fastrace", "hand-written"];

/// One line: `versus <case> <what> ours <n> <peer> <n> ratio <x>`.
struct Line<'a> {
    case: &'a str,
    what: &'a str,
    ours: f64,
    peer: &'a str,
    theirs: f64,
}

fn lines(text: &str) -> Vec<Line<'_>> {
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
        // What the scrubbers cost stands beside what they find.
        if !cases.contains(&line.case) && !line.case.starts_with("scan-") {
            cases.push(line.case);
        }
    }
    let (growing, fixed): (Vec<&str>, Vec<&str>) = cases.into_iter().partition(|case| case.starts_with("hostile-"));
    let mut out = String::new();
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
fn add(out: &mut String, text: std::fmt::Arguments<'_>) {
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

/// One row a kind of input: what the first, a middle and the last size cost.
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
fn grouped(number: f64) -> String {
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
