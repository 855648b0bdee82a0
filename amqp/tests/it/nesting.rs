//! lapin's parser recurses into nested values: `docs/security.md` documents the remedy, and this tests it.

use std::process::{Command, ExitStatus};

use amq_protocol::types::parsing::parse_field_table;

/// Set in the child process: the number of nested arrays to parse.
const DEPTH: &str = "PROPAGATION_TEST_NESTED_ARRAYS";

/// Returns a header table with one key, whose value is this number of nested arrays.
fn table(depth: usize) -> Vec<u8> {
    let length = |level: usize| u32::try_from(5 * (depth - 1 - level)).unwrap().to_be_bytes();
    let arrays: Vec<u8> = (0..depth).flat_map(|level| std::iter::once(b'A').chain(length(level))).collect();
    let mut out = u32::try_from(arrays.len() + 2).unwrap().to_be_bytes().to_vec();
    out.extend([1, b'k']);
    out.extend(arrays);
    out
}

/// Parses and drops the table in a child process, on a thread like lapin's.
fn parsed_in_child(depth: usize, stack: Option<&str>) -> ExitStatus {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "nesting::child_parses_nested_arrays"]).env(DEPTH, depth.to_string());
    match stack {
        Some(bytes) => child.env("RUST_MIN_STACK", bytes),
        None => child.env_remove("RUST_MIN_STACK"),
    };
    child.output().unwrap().status
}

#[test]
fn child_parses_nested_arrays() {
    let Some(depth) = std::env::var(DEPTH).ok().and_then(|depth| depth.parse().ok()) else { return };
    let bytes = table(depth);
    let parser = std::thread::spawn(move || {
        parse_field_table(bytes.as_slice()).is_ok_and(|(_, table)| table.inner().len() == 1)
    });
    assert!(parser.join().unwrap());
}

#[test]
fn larger_stack_survives_nested_arrays() {
    const NESTED: usize = 1_282;
    assert!(parsed_in_child(2, None).success());
    assert!(!parsed_in_child(NESTED, None).success(), "2 MiB overflow");
    assert!(parsed_in_child(NESTED, Some("67108864")).success(), "RUST_MIN_STACK=67108864");
}
