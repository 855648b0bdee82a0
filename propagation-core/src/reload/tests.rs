//! Every way in which a file is saved or breaks, by a clock that the tests turn.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use super::*;
use crate::{Peer, Policy, PropagationContext, TraceTrust, Transport};

/// A sound policy: callers are restarted, one key crosses to one peer, and one detector's findings are redacted.
const SOUND: &str = r#"# Policy of the shop.
[scrub]
action = "redact"
patterns = { employee = 'E\d{6}' }

[[inbound]]
name = "partners"
peers = ["identity:partner-*"]
trust = "ids-only"
baggage = ["plan"]

[[inbound]]
peers = ["*"]
trust = "restart"

[[outbound]]
peers = ["kafka:orders"]
baggage = [{ key = "tenant.id", max_length = 8 }]

[[outbound]]
peers = ["*"]
trace_context = false
"#;

/// A reload whose policies and clock the test has in hand.
struct Watched {
    directory: PathBuf,
    file: PathBuf,
    reload: Reload,
    policies: Arc<Mutex<Vec<Policy>>>,
    now: Cell<Instant>,
}

impl Watched {
    fn new(text: &str) -> Self {
        let directory = directory();
        let file = directory.join("policy.toml");
        fs::write(&file, text).unwrap();
        Self::of(directory, file)
    }

    fn of(directory: PathBuf, file: PathBuf) -> Self {
        let policies = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&policies);
        let reload = Reload::start(move |policy| sink.lock().unwrap().push(policy), &file).unwrap();
        Self { directory, file, reload, policies, now: Cell::new(Instant::now()) }
    }

    fn poll(&self, after: u64) -> Result<Progress, PolicyFileError> {
        self.now.set(self.now.get() + Duration::from_millis(after));
        self.reload.poll(self.now.get(), Mode::IfChanged)
    }

    /// Reads twice, a second apart; returns whether a new version came into force.
    fn settle(&self) -> Result<bool, PolicyFileError> {
        self.poll(0)?;
        self.poll(1000).map(|progress| progress == Progress::Applied)
    }

    fn policy(&self) -> Policy {
        self.policies.lock().unwrap().last().unwrap().clone()
    }

    fn versions(&self) -> usize {
        self.policies.lock().unwrap().len()
    }

    /// Saves as most tools do: a new file takes the name of the old one.
    fn rename(&self, text: &[u8]) {
        let new = self.directory.join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.file).unwrap();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn directory() -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("propagation-watched-{}-{count}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// Whether a policy still is [`SOUND`] where it counts.
fn is_sound(policy: &Policy) -> bool {
    let mut context = PropagationContext::EMPTY;
    context.baggage.set("tenant.id", "blue").unwrap();
    let stranger = policy.admit(&Peer::caller(Transport::HTTP), context.clone());
    let crosses = |peer: &Peer<'_>| !policy.release(peer, &context).context.baggage.is_empty();
    stranger.trust == TraceTrust::Restart
        && stranger.context.baggage.is_empty()
        && crosses(&Peer::kafka("orders"))
        && !crosses(&Peer::kafka("other"))
}

fn stricter() -> String {
    SOUND.replace("\"tenant.id\", max_length = 8", "\"tenant.id\", max_length = 4")
}

#[test]
fn file_cut_at_any_byte_is_rejected_however_it_is_saved() {
    type Save = fn(&Watched, &[u8]);
    let in_place: Save = |watched, bytes| fs::write(&watched.file, bytes).unwrap();
    let by_rename: Save = |watched, bytes| watched.rename(bytes);
    for save in [in_place, by_rename] {
        let watched = Watched::new(SOUND);
        let whole = SOUND.trim_end().len();
        for end in 0..whole {
            for tail in ["", "\n", " \r\n"] {
                save(&watched, &[&SOUND.as_bytes()[..end], tail.as_bytes()].concat());
                let error = watched.settle().expect_err(&format!("cut at {end}"));
                assert!(!error.to_string().is_empty());
            }
        }
        assert_eq!(watched.versions(), 1);
        // Without its last line end it is the same policy.
        save(&watched, &SOUND.as_bytes()[..whole]);
        assert!(watched.settle().unwrap());
        assert!(is_sound(&watched.policy()));
    }
}

#[test]
fn file_cut_with_other_line_ends_is_rejected() {
    for (in_force, saved) in
        [(SOUND.to_owned(), SOUND.replace('\n', "\r\n")), (SOUND.replace('\n', "\r\n"), SOUND.to_owned())]
    {
        let watched = Watched::new(&in_force);
        for end in 0..saved.trim_end().len() {
            watched.rename(&saved.as_bytes()[..end]);
            watched.settle().expect_err(&format!("cut at {end}"));
        }
        assert_eq!(watched.versions(), 1);
        watched.rename(saved.as_bytes());
        assert!(watched.settle().unwrap());
        assert!(is_sound(&watched.policy()));
    }
}

#[test]
fn file_cut_at_a_table_is_rejected_in_a_swapped_directory() {
    // As Kubernetes mounts a ConfigMap: policy.toml -> ..data/policy.toml, and ..data -> a directory for each version.
    let directory = directory();
    let version = |name: &str, text: &str| {
        fs::create_dir_all(directory.join(name)).unwrap();
        fs::write(directory.join(name).join("policy.toml"), text).unwrap();
        let link = directory.join("..data_tmp");
        std::os::unix::fs::symlink(name, &link).unwrap();
        fs::rename(link, directory.join("..data")).unwrap();
    };
    version("..1", SOUND);
    let file = directory.join("policy.toml");
    std::os::unix::fs::symlink("..data/policy.toml", &file).unwrap();
    let watched = Watched::of(directory.clone(), file);
    let tables = SOUND.match_indices("\n[").map(|(at, _)| at + 1);
    for (turn, end) in tables.enumerate() {
        version(&format!("..cut{turn}"), &SOUND[..end]);
        watched.settle().expect_err("cut");
        assert_eq!(watched.versions(), 1);
    }
    version("..2", &stricter());
    assert!(watched.settle().unwrap());
    assert!(is_sound(&watched.policy()));
}

#[test]
fn file_without_a_rule_is_rejected() {
    let watched = Watched::new(SOUND);
    for text in [
        "",
        " \n\t\r\n",
        "\u{feff}",
        "\u{feff}\n",
        "# Policy of the shop, to be written.",
        "\u{feff}# a comment\n",
        "[scrub]\naction = \"mask\"\n",
        "open = false\n",
        "inbound = []\noutbound = []\n",
    ] {
        watched.rename(text.as_bytes());
        let error = watched.settle().expect_err(text);
        assert_eq!(error.kind(), PolicyFileErrorKind::NoRules, "{text:?}: {error}");
        assert_eq!(Policy::from_file(&watched.file).unwrap_err().kind(), PolicyFileErrorKind::NoRules, "{text:?}");
        assert_eq!(Policy::lint_toml(text).unwrap_err().kind(), PolicyFileErrorKind::NoRules, "{text:?}");
        assert!(watched.reload.force().is_err(), "{text:?}");
    }
    for bytes in [&b"\xff\xfeo\0"[..], b"\0\0\0\0", b"\xe2\x82"] {
        watched.rename(bytes);
        watched.settle().expect_err("not a text");
    }
    assert_eq!(watched.versions(), 1);
    watched.rename(b"open = true\n");
    assert!(watched.settle().unwrap());
    watched.rename(format!("\u{feff}{SOUND}").as_bytes());
    assert!(watched.settle().unwrap());
    assert!(is_sound(&watched.policy()));
}

#[test]
fn file_that_is_being_written_waits_until_it_is_stable() {
    let watched = Watched::new(SOUND);
    let new = stricter();
    // Truncated, then written in pieces, a third of a second apart.
    for end in [0, 10, 120, 260, 300, new.len()] {
        fs::write(&watched.file, &new[..end]).unwrap();
        assert!(matches!(watched.poll(333), Ok(Progress::Pending(_))), "{end}");
        assert_eq!(watched.versions(), 1);
    }
    assert!(matches!(watched.poll(999), Ok(Progress::Pending(_))));
    assert_eq!(watched.poll(1).unwrap(), Progress::Applied);
    // A version that comes and goes within a second never comes into force.
    fs::write(&watched.file, "open = true").unwrap();
    assert!(matches!(watched.poll(0), Ok(Progress::Pending(_))));
    fs::write(&watched.file, &new).unwrap();
    assert_eq!(watched.poll(500).unwrap(), Progress::Unchanged);
    fs::write(&watched.file, "open = true").unwrap();
    assert!(matches!(watched.poll(600), Ok(Progress::Pending(_))));
    assert_eq!(watched.versions(), 2);
}

#[test]
fn rejected_version_is_reported_once_and_taken_when_mended() {
    let watched = Watched::new(SOUND);
    watched.rename(b"peers = nonsense");
    watched.settle().expect_err("nonsense");
    for _ in 0..3 {
        assert_eq!(watched.poll(1000).unwrap(), Progress::Unchanged);
    }
    assert!(watched.reload.poll(watched.now.get(), Mode::Always).is_ok_and(|it| matches!(it, Progress::Pending(_))));
    watched.rename(stricter().as_bytes());
    assert!(watched.settle().unwrap());
}

#[test]
fn version_of_the_same_length_and_time_is_noticed() {
    let watched = Watched::new(SOUND);
    let old = SystemTime::now() - Duration::from_secs(3600);
    let touch = |path: &Path| fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    touch(&watched.file);
    assert_eq!(watched.poll(0).unwrap(), Progress::Unchanged);
    let new = watched.directory.join("new");
    fs::write(&new, stricter()).unwrap();
    touch(&new);
    fs::rename(new, &watched.file).unwrap();
    assert!(watched.settle().unwrap());
}

#[test]
fn missing_file_is_tried_again() {
    let watched = Watched::new(SOUND);
    fs::remove_file(&watched.file).unwrap();
    for _ in 0..2 {
        assert_eq!(watched.poll(1000).unwrap_err().kind(), PolicyFileErrorKind::Unreadable);
    }
    fs::create_dir(&watched.file).unwrap();
    assert_eq!(watched.poll(1000).unwrap_err().kind(), PolicyFileErrorKind::Unreadable);
    fs::remove_dir(&watched.file).unwrap();
    fs::write(&watched.file, stricter()).unwrap();
    assert!(watched.settle().unwrap());
}

#[test]
fn fifo_and_giant_file_are_rejected_at_once() {
    let watched = Watched::new(SOUND);
    fs::remove_file(&watched.file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&watched.file).status().unwrap().success());
    let began = Instant::now();
    let error = watched.poll(1000).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
    assert!(Policy::from_file(&watched.file).unwrap_err().to_string().contains("not a regular file"));
    fs::remove_file(&watched.file).unwrap();
    // A sparse file: no byte of it is on the disk.
    fs::File::create(&watched.file).unwrap().set_len(1 << 40).unwrap();
    let error = watched.poll(1000).unwrap_err();
    assert!(error.to_string().contains("limit"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(watched.versions(), 1);
}

#[cfg(feature = "pseudonymize")]
#[test]
fn key_files_are_watched_and_waited_for() {
    let directory = directory();
    let (file, key) = (directory.join("policy.toml"), directory.join("key"));
    let text = format!(
        "[pseudonyms]\ncurrent = {{ id = \"k\", file = {key:?} }}\n{}",
        SOUND.replace("redact", "pseudonymize")
    );
    fs::write(&file, &text).unwrap();
    fs::write(&key, "0123456789abcdef0123456789abcdef\n").unwrap();
    let watched = Watched::of(directory, file);

    // Another key, and nothing else, is a new version.
    fs::write(&key, "another key that is long enough").unwrap();
    assert!(watched.settle().unwrap());
    // The beginning of the key, or too little of it, is none.
    for cut in ["another key that is long", "another", ""] {
        fs::write(&key, cut).unwrap();
        watched.settle().expect_err(cut);
    }
    assert_eq!(watched.versions(), 2);
    // A new policy comes into force as soon as its key is there.
    fs::remove_file(&key).unwrap();
    watched.rename(text.replace("max_length = 8", "max_length = 4").as_bytes());
    assert_eq!(watched.settle().unwrap_err().kind(), PolicyFileErrorKind::Unreadable);
    assert_eq!(watched.poll(1000).unwrap_err().kind(), PolicyFileErrorKind::Unreadable);
    fs::write(&key, "a third key that is long enough").unwrap();
    assert!(watched.settle().unwrap());
    assert_eq!(watched.versions(), 3);
}

#[test]
fn forced_reload_takes_the_beginning_of_the_file_in_force() {
    let watched = Watched::new(SOUND);
    let beginning = &SOUND[..SOUND.rfind("[[outbound]]").unwrap()];
    watched.rename(beginning.as_bytes());
    assert_eq!(watched.settle().unwrap_err().kind(), PolicyFileErrorKind::Truncated);
    watched.reload.force().unwrap();
    assert_eq!(watched.versions(), 2);
    // Without force, a comment at the end shows the intention.
    let shorter = &beginning[..beginning.rfind("[[outbound]]").unwrap()];
    watched.rename(shorter.as_bytes());
    watched.settle().expect_err("cut");
    watched.rename(format!("{shorter}# No rules behind these.\n").as_bytes());
    assert!(watched.settle().unwrap());
}

#[test]
fn blocking_reload_waits_for_the_second_read() {
    let watched = Watched::new(SOUND);
    watched.reload.reload().unwrap();
    assert_eq!(watched.versions(), 1);
    watched.rename(stricter().as_bytes());
    let began = Instant::now();
    watched.reload.reload().unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(watched.versions(), 2);
}
