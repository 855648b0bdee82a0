//! What the repository's pages say and no compiler reads: files of a policy, what the detectors miss, a test shown whole.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of a page that are written in a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.split_once('\n'))
        .filter(|(said, _)| *said == language)
        .map(|(_, text)| text)
        .collect()
}

/// Runs the command with a key for pseudonyms where the pages say that it is.
fn propagation(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_propagation"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in ["PSEUDONYM_KEY", "PREVIOUS_PSEUDONYM_KEY"] {
        command.env(variable, "0123456789abcdef0123456789abcdef");
    }
    let mut child = command.spawn().expect("it runs");
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

#[test]
fn a_policy_that_a_page_shows_can_be_used() {
    let mut shown = 0;
    for name in ["README.md", "docs/policy.md"] {
        let page = page(name);
        for (number, policy) in
            blocks(&page, "toml").into_iter().filter(|text| text.contains("[[outbound]]")).enumerate()
        {
            shown += 1;
            let path: PathBuf = [env!("CARGO_TARGET_TMPDIR"), &format!("page-{shown}.toml")].iter().collect();
            std::fs::write(&path, policy).expect("written");
            let path = path.to_str().expect("UTF-8");
            for arguments in [
                &["policy", "lint", path][..],
                &["policy", "explain", path, "--peer", "kafka:orders", "--baggage", "tenant.id=blue"],
            ] {
                let output = propagation(arguments, "");
                let said =
                    [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
                assert_eq!(output.status.code(), Some(0), "{name}, policy {number}: {said}");
            }
        }
    }
    assert_eq!(shown, 2);
}

#[test]
fn what_the_docs_say_is_missed_is_missed() {
    let page = page("integration-tests/scrubbing/README.md");
    let section = page.split("## What is known to be missed").nth(1).expect("the section");
    let block = blocks(section, "text").concat();
    let lines: Vec<&str> = block.lines().filter(|line| !line.starts_with('#')).collect();
    let output = propagation(&["policy", "scan"], &lines.join("\n"));
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let found = lines.iter().zip(said.lines()).filter(|(_, said)| !said.contains(r#""verdict":"crosses""#));
    let found: Vec<_> = found.collect();
    assert_eq!((lines.len(), found), (said.lines().count(), vec![]), "take what is found from the list");
    assert!(lines.len() > 50);
}

#[test]
fn the_test_that_the_readme_shows_is_the_whole_test_of_the_crate_it_names() {
    let (readme, test) = (page("README.md"), page("examples/continuity/tests/continuity.rs"));
    let shown = blocks(&readme, "rust,ignore");
    assert_eq!(shown.len(), 1, "what else is shown compiles");
    assert!(test.trim_end().ends_with(shown[0].trim_end()), "{test}");
}
