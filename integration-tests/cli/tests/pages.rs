//! What the repository's pages say and no compiler reads: files of a policy, what the detectors miss, a test shown whole.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
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
    let found = lines.iter().zip(said.lines()).filter(|(_, said)| !said.contains(r#""decision":"allowed""#));
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

/// Every page of the repository: beside the crates, in them, and one folder below.
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

/// Where the links of a page lead to: `[text](there)` and `[text]: there`.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let inline = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let below =
        page.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: ")).map(|(_, to)| to);
    inline.chain(below)
}

/// The anchor that a heading has, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere_and_those_of_published_crates_do_from_anywhere() {
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
