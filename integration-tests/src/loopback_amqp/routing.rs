//! Exchanges, bindings and where a message goes.

use std::collections::{BTreeMap, BTreeSet};

use amq_protocol::types::FieldTable;

/// The kinds of exchange this double has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Direct,
    Fanout,
    Topic,
}

/// An exchange as it was declared.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) kind: Kind,
    pub(super) durable: bool,
    pub(super) auto_delete: bool,
    pub(super) internal: bool,
    pub(super) predeclared: bool,
}

/// Where a binding leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Destination {
    Queue(String),
    Exchange(String),
}

/// One binding. Its arguments only identify it, as on every exchange but a headers exchange.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Binding {
    pub(super) source: String,
    pub(super) destination: Destination,
    pub(super) routing_key: String,
    pub(super) arguments: FieldTable,
}

/// All exchanges and bindings of the one virtual host.
#[derive(Debug)]
pub(super) struct Topology {
    pub(super) exchanges: BTreeMap<String, Exchange>,
    pub(super) bindings: Vec<Binding>,
}

impl Kind {
    /// The kind of this name, if it is one this double has.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "direct" => Some(Self::Direct),
            "fanout" => Some(Self::Fanout),
            "topic" => Some(Self::Topic),
            _ => None,
        }
    }

    /// Its name in a declaration.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fanout => "fanout",
            Self::Topic => "topic",
        }
    }

    fn matches(self, pattern: &str, routing_key: &str) -> bool {
        match self {
            Self::Direct => pattern == routing_key,
            Self::Fanout => true,
            Self::Topic => topic_matches(pattern, routing_key),
        }
    }
}

impl Topology {
    /// The exchanges that every virtual host begins with.
    pub(super) fn new() -> Self {
        let exchanges = [Kind::Direct, Kind::Fanout, Kind::Topic]
            .map(|kind| {
                let exchange = Exchange { kind, durable: true, auto_delete: false, internal: false, predeclared: true };
                (format!("amq.{}", kind.name()), exchange)
            })
            .into();
        Self { exchanges, bindings: Vec::new() }
    }

    /// The queues that a message published to `exchange` reaches, each once; the default exchange knows no bindings
    /// and is the caller's business. `None` if there is no such exchange.
    pub(super) fn route(&self, exchange: &str, routing_key: &str) -> Option<BTreeSet<String>> {
        self.exchanges.get(exchange)?;
        let mut queues = BTreeSet::new();
        let mut seen = BTreeSet::from([exchange]);
        let mut next = vec![exchange];
        while let Some(name) = next.pop() {
            let Some(exchange) = self.exchanges.get(name) else {
                continue;
            };
            for binding in self.bindings.iter().filter(|b| b.source == name) {
                if !exchange.kind.matches(&binding.routing_key, routing_key) {
                    continue;
                }
                match &binding.destination {
                    Destination::Queue(queue) => {
                        queues.insert(queue.clone());
                    }
                    Destination::Exchange(other) => {
                        if seen.insert(other) {
                            next.push(other);
                        }
                    }
                }
            }
        }
        Some(queues)
    }

    /// Adds a binding; a second one like it changes nothing.
    pub(super) fn bind(&mut self, binding: Binding) {
        if !self.bindings.contains(&binding) {
            self.bindings.push(binding);
        }
    }

    /// Takes a binding away; that there was none is no error.
    pub(super) fn unbind(&mut self, binding: &Binding) {
        self.bindings.retain(|other| other != binding);
        self.delete_unused(&binding.source);
    }

    /// Forgets all bindings to a queue that is no more.
    pub(super) fn forget_queue(&mut self, queue: &str) {
        let gone = Destination::Queue(queue.to_owned());
        let sources: BTreeSet<String> =
            self.bindings.extract_if(.., |binding| binding.destination == gone).map(|binding| binding.source).collect();
        for source in sources {
            self.delete_unused(&source);
        }
    }

    /// Deletes an exchange and every binding from it or to it.
    pub(super) fn delete_exchange(&mut self, name: &str) {
        self.exchanges.remove(name);
        let gone = Destination::Exchange(name.to_owned());
        let sources: BTreeSet<String> = self
            .bindings
            .extract_if(.., |b| b.source == name || b.destination == gone)
            .map(|binding| binding.source)
            .collect();
        for source in sources {
            self.delete_unused(&source);
        }
    }

    /// Whether anything is bound to this exchange.
    pub(super) fn in_use(&self, exchange: &str) -> bool {
        self.bindings.iter().any(|b| b.source == exchange)
    }

    fn delete_unused(&mut self, exchange: &str) {
        let auto_delete = self.exchanges.get(exchange).is_some_and(|e| e.auto_delete);
        if auto_delete && !self.in_use(exchange) {
            self.delete_exchange(exchange);
        }
    }
}

/// Whether a topic pattern matches: `*` is one word, `#` any number of words, none included.
fn topic_matches(pattern: &str, routing_key: &str) -> bool {
    let words = words(routing_key);
    // The numbers of leading words that the pattern so far matches.
    let mut reached = BTreeSet::from([0]);
    for part in self::words(pattern) {
        reached = match part {
            "#" => match reached.first() {
                Some(&least) => (least..=words.len()).collect(),
                None => return false,
            },
            part => reached
                .into_iter()
                .filter(|&at| words.get(at).is_some_and(|word| part == "*" || part == *word))
                .map(|at| at + 1)
                .collect(),
        };
    }
    reached.contains(&words.len())
}

/// The words of a key; an empty key has none, not an empty one.
fn words(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split('.').collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_patterns_match_as_the_manual_says() {
        let cases = [
            ("orders.created", "orders.created", true),
            ("orders.created", "orders.deleted", false),
            ("orders.*", "orders.created", true),
            ("orders.*", "orders", false),
            ("orders.*", "orders.created.eu", false),
            ("*.created", "orders.created", true),
            ("orders.#", "orders", true),
            ("orders.#", "orders.created.eu", true),
            ("#.eu", "orders.created.eu", true),
            ("#.eu", "eu", true),
            ("#", "", true),
            ("#", "a.b", true),
            ("*", "", false),
            ("", "", true),
            ("", "a", false),
            ("#.*", "a", true),
            ("#.*", "", false),
            ("*.#.x.#", "a.b.x", true),
            ("*.#.x.#", "x", false),
            ("a.#.b.#.c", "a.b.b.c", true),
        ];
        for (pattern, key, expected) in cases {
            assert_eq!(topic_matches(pattern, key), expected, "{pattern} / {key}");
        }
    }

    #[test]
    fn exchanges_bound_in_a_circle_deliver_once() {
        let mut topology = Topology::new();
        for (source, destination) in [
            ("amq.fanout", Destination::Exchange("amq.topic".to_owned())),
            ("amq.topic", Destination::Exchange("amq.fanout".to_owned())),
            ("amq.topic", Destination::Queue("q".to_owned())),
            ("amq.fanout", Destination::Queue("q".to_owned())),
        ] {
            topology.bind(Binding {
                source: source.to_owned(),
                destination,
                routing_key: "#".to_owned(),
                arguments: FieldTable::default(),
            });
        }
        let reached = topology.route("amq.fanout", "k").expect("is there");
        assert_eq!(reached, BTreeSet::from(["q".to_owned()]));
        assert_eq!(topology.route("nowhere", "k"), None);
    }
}
