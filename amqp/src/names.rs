//! Names that a service declares. Only these become parts of span names and metric attributes.

use std::sync::Arc;

/// The declared exchanges with their routing keys, and the declared queues.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    exchanges: Arc<[(Template, Box<[Template]>)]>,
    queues: Arc<[Box<str>]>,
}

impl Names {
    /// Declares an exchange and the routing keys that are used with it.
    pub(crate) fn with_exchange<I>(&self, exchange: &str, routing_keys: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let keys = routing_keys.into_iter().map(|key| Template::new(key.as_ref())).collect();
        let declared = [(Template::new(exchange), keys)];
        Self { exchanges: self.exchanges.iter().cloned().chain(declared).collect(), queues: Arc::clone(&self.queues) }
    }

    /// Declares queues that are reached through the default exchange.
    pub(crate) fn with_queues<I>(&self, queues: I) -> Self
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let new = queues.into_iter().map(|queue| queue.as_ref().into());
        Self { exchanges: Arc::clone(&self.exchanges), queues: self.queues.iter().cloned().chain(new).collect() }
    }

    /// Finds the first declared exchange and routing key, or template, that match.
    pub(crate) fn find(&self, exchange: &str, routing_key: &str) -> Option<(&Template, &Template)> {
        let declared = self.exchanges.iter().filter(|(name, _)| name.matches(exchange));
        declared
            .flat_map(|(name, keys)| keys.iter().map(move |key| (name, key)))
            .find(|(_, key)| key.matches(routing_key))
    }

    pub(crate) fn has_queue(&self, queue: &str) -> bool {
        self.queues.iter().any(|declared| **declared == *queue)
    }
}

/// A name, or a pattern of words separated by dots, as in the bindings of topic exchanges.
///
/// `#` matches any number of words, `*` and `{…}` one word. Within a word, `*` matches any number of characters.
#[derive(Clone, Debug)]
pub(crate) struct Template(Box<str>);

impl Template {
    fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns `true` if it can match more than one name.
    pub(crate) fn is_pattern(&self) -> bool {
        self.0.split('.').any(|word| word == "#" || word.contains('*') || is_placeholder(word))
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        if !self.is_pattern() {
            return *self.0 == *text;
        }
        let pattern: Vec<&str> = self.0.split('.').collect();
        let words: Vec<&str> = text.split('.').collect();
        matches(&pattern, &words, |word| *word == "#", |word, text| matches_word(word, text))
    }
}

fn is_placeholder(word: &str) -> bool {
    word.len() > 2 && word.starts_with('{') && word.ends_with('}')
}

fn matches_word(pattern: &str, word: &str) -> bool {
    if pattern == "*" || is_placeholder(pattern) {
        return true;
    }
    matches(pattern.as_bytes(), word.as_bytes(), |byte| *byte == b'*', |byte, other| byte == other)
}

/// Matches a sequence against a pattern with stars.
///
/// Takes time linear in both for one star, at most their product for several: only the last star is retried.
fn matches<T>(pattern: &[T], text: &[T], is_star: impl Fn(&T) -> bool, same: impl Fn(&T, &T) -> bool) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while let Some(next) = text.get(read) {
        match pattern.get(at) {
            Some(star) if is_star(star) => {
                at += 1;
                retry = Some((at, read));
            }
            Some(expected) if same(expected, next) => (at, read) = (at + 1, read + 1),
            _ => match retry {
                Some((after, from)) => {
                    (at, read) = (after, from + 1);
                    retry = Some((after, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(is_star))
}

/// Returns `true` for a queue name that the broker or a client library generated, and for direct reply-to.
pub(crate) fn is_generated(queue: &str) -> bool {
    ["amq.gen-", "amq.rabbitmq.reply-to"].iter().any(|prefix| queue.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_matches_words_as_bindings_do() {
        for (template, key, expected) in [
            ("paid", "paid", true),
            ("paid", "paid.late", false),
            ("", "", true),
            ("", "paid", false),
            ("orders.*", "orders.paid", true),
            ("orders.*", "orders", false),
            ("orders.*", "orders.paid.late", false),
            ("orders.#", "orders", true),
            ("orders.#", "orders.paid.late", true),
            ("#.late", "orders.paid.late", true),
            ("#.late", "orders.paid", false),
            ("#", "", true),
            ("#", "anna@example.com", true),
            ("user.{id}.created", "user.anna.created", true),
            ("user.{id}.created", "user.anna.x.created", false),
            ("user.*.#.done", "user.anna.a.b.done", true),
            ("user.*.#.done", "user.done", false),
            ("user-*", "user-4711", true),
            ("user-*", "account-4711", false),
            ("*.*.*", "a.b", false),
            ("ORDERS.*", "orders.paid", false),
        ] {
            assert_eq!(Template::new(template).matches(key), expected, "{template} {key}");
        }
    }

    #[test]
    fn hostile_key_is_matched_in_bounded_time() {
        let template = Template::new("#.a.#.a.#.a.#.a.#.a.#.a.#.b");
        let began = std::time::Instant::now();
        for _ in 0..100 {
            assert!(!template.matches(&"a.".repeat(127)));
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(1));
    }
}
