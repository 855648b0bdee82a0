//! Contents of the pages that no compiler checks: policy files, values that the detectors miss, the test in the README, links.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the blocks of a page in a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced
        .filter_map(|block| block.split_once('\n'))
        .filter(|(printed, _)| *printed == language)
        .map(|(_, text)| text)
        .collect()
}

/// Runs the command with a pseudonym key in the variables that the pages name.
fn propagation(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_propagation"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in ["PSEUDONYM_KEY", "PREVIOUS_PSEUDONYM_KEY"] {
        command.env(variable, "0123456789abcdef0123456789abcdef");
    }
    let mut child = command.spawn().expect("it runs");
    // A command that reads nothing may have exited.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("it ends")
}

#[test]
fn policies_on_the_pages_are_valid() {
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
                let printed = [output.stdout, output.stderr]
                    .map(|printed| String::from_utf8_lossy(&printed).into_owned())
                    .concat();
                assert_eq!(output.status.code(), Some(0), "{name}, policy {number}: {printed}");
            }
        }
    }
    assert_eq!(shown, 2);
}

#[test]
fn values_listed_as_missed_are_missed() {
    let page = page("integration-tests/scrubbing/README.md");
    let section = page.split("## Known misses").nth(1).expect("the section");
    let block = blocks(section, "text").concat();
    let lines: Vec<&str> = block.lines().filter(|line| !line.starts_with('#')).collect();
    let output = propagation(&["policy", "scan"], &lines.join("\n"));
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    let found = lines.iter().zip(printed.lines()).filter(|(_, printed)| !printed.contains(r#""decision":"allowed""#));
    let found: Vec<_> = found.collect();
    assert_eq!((lines.len(), found), (printed.lines().count(), vec![]), "remove found values from the list");
    assert!(lines.len() > 50);
}

#[test]
fn test_in_the_readme_is_that_of_the_crate() {
    let (readme, test) = (page("README.md"), page("examples/continuity/tests/continuity.rs"));
    let shown = blocks(&readme, "rust,ignore");
    assert_eq!(shown.len(), 1, "all other blocks compile");
    assert!(test.trim_end().ends_with(shown[0].trim_end()), "{test}");
}

/// Collects the pages of the repository down to a depth.
fn pages(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let skipped = |name: &str| name.starts_with('.') || ["target", "node_modules", "src"].contains(&name);
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    for path in entries.filter(|path| !skipped(&path.file_name().unwrap_or_default().to_string_lossy())) {
        if path.is_dir() && depth > 0 {
            pages(&path, depth - 1, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Returns the targets of the links of a page: `[text](target)` and `[text]: target`.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let inline = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let below =
        page.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: ")).map(|(_, to)| to);
    inline.chain(below)
}

/// Returns the anchor of a heading, as GitHub builds it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_leads_to_a_page_and_heading() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    pages(&root, 2, &mut found);
    let (mut followed, mut broken) = (0, Vec::new());
    for path in &found {
        let page = std::fs::read_to_string(path).expect("UTF-8");
        let manifest = std::fs::read_to_string(path.with_file_name("Cargo.toml")).unwrap_or_default();
        let published = manifest.contains("\nreadme = ") && !manifest.contains("publish = false");
        for link in links(&page).filter(|link| !link.starts_with("http")) {
            followed += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((link, ""));
            let there = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            let there = if there.is_dir() && !fragment.is_empty() { there.join("README.md") } else { there };
            let has_anchor = || {
                let there = std::fs::read_to_string(&there).unwrap_or_default();
                there.lines().any(|line| line.starts_with('#') && anchor(line.trim_start_matches('#')) == fragment)
            };
            let leads = there.exists() && (fragment.is_empty() || has_anchor());
            if !leads || (published && !file.is_empty()) {
                broken.push(format!("{}: {link}", path.display()));
            }
        }
    }
    assert!(broken.is_empty() && followed > 20, "{followed} links, {broken:#?}");
}
