//! A reload under load: a server on a socket answers every request, each extract and each inject by one policy, while the file
//! behind it changes and breaks.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use propagation_core::{Peer, Policy, PropagationContext, Propagator, Reload, Transport};
use tracing::{Event, Metadata, Subscriber, field::Visit, span};

const CLIENTS: usize = 4;
const REQUESTS: usize = 150;
const ALL: &str = "a.1=x,b.1=x,a.2=x,b.2=x";

/// A policy under which only the keys of one letter come in and go out.
fn letter(letter: &str) -> String {
    format!(
        "[[inbound]]\npeers = [\"*\"]\nbaggage = [\"{letter}.*\"]\n[[outbound]]\npeers = [\"*\"]\nbaggage = [\"{letter}.*\"]\n"
    )
}

/// Answers each request with the baggage that it admitted and the baggage that it would send on.
fn serve(listener: &TcpListener, propagator: &Propagator, everything: &PropagationContext) {
    for _ in 0..CLIENTS * REQUESTS {
        let (mut stream, _) = listener.accept().unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let carrier: Vec<(String, Vec<u8>)> = lines
            .map_while(|line| line.ok().filter(|line| !line.is_empty()))
            .filter_map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())))
            .collect();
        let admitted = propagator.extract(&Peer::caller(Transport::HTTP), &carrier).context;
        let admitted = String::from_utf8(admitted.baggage.as_wire().into_owned()).unwrap();
        let mut sent = Vec::new();
        propagator.inject(&Peer::http("api"), everything, &mut sent);
        let sent = sent.into_iter().find(|(name, _)| name == "baggage").map(|(_, value)| value).unwrap_or_default();
        let body = format!("{admitted} {}", String::from_utf8(sent).unwrap());
        write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
    }
}

fn ask(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nhost: api\r\nbaggage: {ALL}\r\n\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned()
}

/// The events of level error on this thread.
#[derive(Default)]
struct Errors(Mutex<Vec<String>>);

impl Subscriber for &'static Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::ERROR
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

#[test]
fn reload_under_load_loses_no_request() {
    let errors: &'static Errors = Box::leak(Box::default());
    let directory = std::env::temp_dir().join(format!("propagation-reload-load-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join("policy.toml");
    fs::write(&file, letter("a")).unwrap();
    let open = Policy::from_toml("[[inbound]]\npeers = [\"*\"]\nbaggage = [\"*\"]\n").unwrap();
    let carrier = vec![("baggage".to_owned(), ALL.as_bytes().to_vec())];
    let everything =
        Propagator::builder().policy(open).build().extract(&Peer::caller(Transport::HTTP), &carrier).context;

    let propagator = Propagator::default();
    let reload = Reload::start(propagator.clone(), &file).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (answered, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let wrong = Mutex::new(Vec::new());
    let (mut reloads, mut refused) = (0, 0);
    thread::scope(|threads| {
        threads.spawn(|| serve(&listener, &propagator, &everything));
        for _ in 0..CLIENTS {
            threads.spawn(|| {
                for _ in 0..REQUESTS {
                    let answer = ask(address);
                    let halves: Vec<&str> = answer.split(' ').collect();
                    // The policy may change between the extract and the inject, but not within either.
                    let is_one = |half: &&str| ["a.1=x,a.2=x", "b.1=x,b.2=x"].contains(half);
                    // Asserted at the end: a client that panics would leave the others waiting.
                    if halves.len() != 2 || !halves.iter().all(is_one) {
                        wrong.lock().unwrap().push(answer);
                    }
                    if answered.fetch_add(1, Ordering::Relaxed) + 1 == CLIENTS * REQUESTS {
                        done.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
        crate::events::with_subscriber(errors, || {
            while !done.load(Ordering::Relaxed) {
                for (text, is_good) in [(letter("b"), true), ("peers = [".to_owned(), false), (letter("a"), true)] {
                    fs::write(&file, text).unwrap();
                    let before = propagator.policy();
                    let outcome = reload.force();
                    assert_eq!(outcome.is_ok(), is_good, "{outcome:?}");
                    reloads += usize::from(is_good);
                    refused += usize::from(!is_good);
                    let is_same = std::ptr::eq(&raw const *before, &raw const *propagator.policy());
                    assert_eq!(is_same, !is_good, "a broken reload changes nothing, and a good one something");
                }
            }
        });
    });
    fs::remove_dir_all(directory).unwrap();
    assert_eq!(answered.into_inner(), CLIENTS * REQUESTS);
    assert_eq!(wrong.into_inner().unwrap(), [""; 0]);
    let messages = errors.0.lock().unwrap();
    assert!(reloads >= 2 && refused >= 1, "{reloads} reloads, {refused} refused");
    assert_eq!(messages.len(), refused, "each refusal is logged once");
    assert!(messages.iter().all(|line| line.contains("the policy in force stays")), "{messages:?}");
}

/// A policy file in a directory of its own, and a propagator that it is in force in.
struct Watched {
    directory: std::path::PathBuf,
    file: std::path::PathBuf,
    propagator: Propagator,
}

impl Watched {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("propagation-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("policy.toml");
        fs::write(&file, letter("a")).unwrap();
        Self { directory, file, propagator: Propagator::default() }
    }

    fn save(&self, text: &str) {
        let new = self.directory.join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.file).unwrap();
    }

    /// The letter whose keys cross.
    fn letter(&self) -> String {
        let everyone = Policy::from_toml("[[inbound]]\npeers = [\"*\"]\nbaggage = [\"*\"]\n").unwrap();
        let carrier = vec![("baggage".to_owned(), ALL.as_bytes().to_vec())];
        let everything =
            Propagator::builder().policy(everyone).build().extract(&Peer::caller(Transport::HTTP), &carrier).context;
        let release = self.propagator.policy().release(&Peer::kafka("orders"), &everything);
        release.context.baggage.iter().map(|member| member.key()[..1].to_owned()).next().unwrap_or_default()
    }

    fn wait_for(&self, letter: &str) {
        let began = Instant::now();
        while self.letter() != letter {
            assert!(began.elapsed() < Duration::from_secs(20), "{letter} never comes into force");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn spawned_reload_takes_a_new_file_and_stops() {
    let watched = Watched::new("spawned");
    let reload = Reload::start(watched.propagator.clone(), &watched.file).unwrap();
    let thread = reload.spawn(Duration::from_millis(100)).unwrap();
    watched.save(&letter("b"));
    watched.wait_for("b");
    // A file that is rejected ends nothing.
    watched.save("peers = [");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(watched.letter(), "b");
    watched.save(&letter("a"));
    watched.wait_for("a");
    thread.stop();
    watched.save(&letter("b"));
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(watched.letter(), "a");
}

#[cfg(unix)]
#[test]
fn sighup_reads_the_file_before_its_time() {
    let watched = Watched::new("sighup");
    let reload = Reload::start(watched.propagator.clone(), &watched.file).unwrap();
    let thread = reload.with_sighup(true).spawn(Duration::from_secs(3600)).unwrap();
    watched.save(&letter("b"));
    let status = std::process::Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status();
    assert!(status.unwrap().success());
    watched.wait_for("b");
    thread.stop();
}

#[test]
fn reload_logs_each_loosened_key() {
    let lines: &'static Loosened = Box::leak(Box::default());
    let watched = Watched::new("loosened");
    let reload = Reload::start(watched.propagator.clone(), &watched.file).unwrap();
    watched.save(&(letter("a") + "[[outbound]]\npeers = [\"kafka:orders\"]\nbaggage = [\"a.1\"]\n"));
    crate::events::with_subscriber(lines, || reload.force().unwrap());
    assert!(lines.0.lock().unwrap().is_empty(), "a rule that can never match loosens nothing");
    let more =
        "[[inbound]]\npeers = [\"*\"]\nbaggage = [\"a.*\", \"c\"]\n[[outbound]]\npeers = [\"*\"]\nmode = \"report\"\n";
    watched.save(more);
    crate::events::with_subscriber(lines, || reload.force().unwrap());
    let lines = lines.0.lock().unwrap();
    let line = |words: &[&str]| lines.iter().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(line(&["policy reload allows more", "inbound", "key=\"c\"", "is allowed"]), "{lines:?}");
    assert!(line(&["policy reload allows more", "outbound", "report mode lets every key pass"]), "{lines:?}");
    assert!(!line(&["a.*"]), "{lines:?}");
}

/// The events at level `WARN`, by this thread.
#[derive(Default)]
struct Loosened(Mutex<Vec<String>>);

impl Subscriber for &'static Loosened {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }
}
