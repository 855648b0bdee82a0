//! A short run of `hostile`: the good client is served beside hostile connections, and the servers' memory stays bounded.
#![cfg(target_os = "linux")]

use std::process::Command;

/// The most that a server of a debug build may hold, in MiB. Without bounds, the 64 connections alone send more.
const MAX_RESIDENT: f64 = 256.0;

#[test]
fn good_client_is_served_beside_hostile_connections() {
    // The program ends on its own after two minutes at the latest.
    let run = Command::new(env!("CARGO_BIN_EXE_hostile")).args(["--connections", "32", "--waves", "2"]).output();
    let run = run.expect("it runs");
    let text = String::from_utf8_lossy(&run.stdout);
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{text}{errors}");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("failed"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 3, "{text}");
    for row in rows {
        let (name, requests, memory) = (row[1], row[3], row[4]);
        let good: u32 = requests.split(' ').next().and_then(|count| count.parse().ok()).expect("a number");
        assert!(good > 20 && requests.ends_with("(0 failed)"), "{name}: {requests}");
        for resident in memory.split(", ").map(|mib| mib.parse::<f64>().expect("a number")) {
            assert!(resident < MAX_RESIDENT, "{name}: {memory} MiB");
        }
    }
}
