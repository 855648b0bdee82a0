//! The words of a policy file, and what they stand for.

use std::{collections::BTreeMap, ops::Range};

use serde::Deserialize;
use toml::Spanned;

use super::{
    PolicyFileError,
    error::place,
    shapes::{AllowedKey, ScrubKey, State},
};
use crate::{
    Action, InboundRule, KeyRule, OutboundRule, Policy, PolicyBuilder, Pseudonymizer, Scrub, StateRule, Trust,
    policy::builder::check_peer,
    scrub::{Detector, Detectors},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
struct File {
    profile: Option<Spanned<String>>,
    scrub: Option<Scrubbing>,
    pseudonyms: Option<Pseudonyms>,
    #[serde(default)]
    inbound: Vec<Spanned<Inbound>>,
    #[serde(default)]
    outbound: Vec<Spanned<Outbound>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scrubbing {
    /// Without it, all.
    detectors: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    except: Vec<Spanned<String>>,
    action: Option<Spanned<String>>,
    #[serde(default)]
    patterns: BTreeMap<String, Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pseudonyms {
    current: Spanned<Key>,
    previous: Option<Spanned<Key>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    id: String,
    /// The environment variable that holds the key.
    env: Option<String>,
    /// The file that holds the key; a line end at its end is not part of it.
    file: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inbound {
    name: Option<String>,
    peers: Vec<Spanned<String>>,
    trust: Option<Spanned<String>>,
    mode: Option<Spanned<String>>,
    #[serde(default)]
    baggage: Vec<Spanned<AllowedKey>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outbound {
    name: Option<String>,
    peers: Vec<Spanned<String>>,
    trace_context: Option<bool>,
    tracestate: Option<State>,
    mode: Option<Spanned<String>>,
    #[serde(default)]
    baggage: Vec<Spanned<AllowedKey>>,
}

/// Reads a text, with the place of whatever is wrong.
pub(super) fn read(text: &str) -> Result<Policy, PolicyFileError> {
    let file: File =
        toml::from_str(text).map_err(|error| PolicyFileError::at(text, error.span(), error.message().trim()))?;
    let reader = Reader { text };
    let mut builder = Policy::builder().scrub(reader.scrub(file.scrub, file.pseudonyms)?);
    for rule in file.inbound {
        let span = rule.span();
        builder = reader.checked(span, builder.inbound(reader.inbound(rule.into_inner())?))?;
    }
    for rule in file.outbound {
        let span = rule.span();
        builder = reader.checked(span, builder.outbound(reader.outbound(rule.into_inner())?))?;
    }
    if let Some(profile) = file.profile {
        builder =
            builder.profile(profile.get_ref()).map_err(|error| reader.error(profile.span(), error.to_string()))?;
    }
    builder.build().map_err(|error| PolicyFileError::at(text, None, error.to_string()))
}

/// The line and the column of what a warning is about: a word of a rule, or the rule, or the profile that brought it.
pub(super) fn place_of(text: &str, warning: &crate::policy::Warning) -> (usize, usize) {
    let Ok(file) = toml::from_str::<File>(text) else { return (1, 1) };
    let (inbound, outbound) = (file.inbound.iter().map(Spanned::span), file.outbound.iter().map(Spanned::span));
    let mut rules: Vec<Range<usize>> =
        if warning.direction == "inbound" { inbound.collect() } else { outbound.collect() };
    if warning.index >= rules.len() {
        // Rules past the file's own are the profile's.
        return place(text, file.profile.as_ref().map_or(0, |profile| profile.span().start));
    }
    let rule = rules.swap_remove(warning.index);
    // A table's own span may be that of its header alone: what is below belongs to it, up to the next.
    let below = text.get(rule.end..).unwrap_or_default();
    let end = rule.end + below.find("\n[").unwrap_or(below.len());
    let word = |quote: char| {
        let found = text.get(rule.start..end)?.rfind(&format!("{quote}{}{quote}", warning.word))?;
        (!warning.word.is_empty()).then_some(rule.start + found)
    };
    place(text, word('"').or_else(|| word('\'')).unwrap_or(rule.start))
}

struct Reader<'a> {
    text: &'a str,
}

impl Reader<'_> {
    fn error(&self, span: Range<usize>, message: impl Into<String>) -> PolicyFileError {
        PolicyFileError::at(self.text, Some(span), message)
    }

    /// Builds what there is so far, so that an error names the rule that brought it.
    fn checked(&self, span: Range<usize>, builder: PolicyBuilder) -> Result<PolicyBuilder, PolicyFileError> {
        builder.clone().build().map_err(|error| self.error(span, error.to_string()))?;
        Ok(builder)
    }

    fn inbound(&self, rule: Inbound) -> Result<InboundRule, PolicyFileError> {
        let mut built = InboundRule::peers(self.peers(&rule.peers)?);
        if let Some(name) = &rule.name {
            built = built.named(name);
        }
        if let Some(trust) = &rule.trust {
            built = built.trust(trust_of(trust.get_ref()).ok_or_else(|| {
                let names = "trust, accept-ids, restart-and-link, restart, ignore";
                self.error(trust.span(), format!("{:?} is not a trust: {names}", trust.get_ref()))
            })?);
        }
        if self.reports(rule.mode.as_ref())? {
            built = built.report();
        }
        rule.baggage.into_iter().try_fold(built, |built, key| Ok(built.allow(self.key(key)?)))
    }

    fn outbound(&self, rule: Outbound) -> Result<OutboundRule, PolicyFileError> {
        let mut built = OutboundRule::peers(self.peers(&rule.peers)?);
        if let Some(name) = &rule.name {
            built = built.named(name);
        }
        built = built.trace_context(rule.trace_context.unwrap_or(true));
        built = built.tracestate(match rule.tracestate {
            None | Some(State::AllOrNone(true)) => StateRule::All,
            Some(State::AllOrNone(false)) => StateRule::None,
            Some(State::Keys(keys)) => StateRule::Keys(keys),
        });
        if self.reports(rule.mode.as_ref())? {
            built = built.report();
        }
        rule.baggage.into_iter().try_fold(built, |built, key| Ok(built.allow(self.key(key)?)))
    }

    /// Each peer is tried alone, so that an error points at it.
    fn peers<'p>(&self, peers: &'p [Spanned<String>]) -> Result<Vec<&'p str>, PolicyFileError> {
        for peer in peers {
            let alone = InboundRule::peers([peer.get_ref()]);
            let mut patterns = alone.peer_patterns().iter();
            patterns.try_for_each(check_peer).map_err(|error| self.error(peer.span(), error.to_string()))?;
        }
        Ok(peers.iter().map(|peer| peer.get_ref().as_str()).collect())
    }

    fn reports(&self, mode: Option<&Spanned<String>>) -> Result<bool, PolicyFileError> {
        mode.map_or(Ok(false), |mode| self.is_report(mode.get_ref(), mode.span()))
    }

    fn is_report(&self, mode: &str, span: Range<usize>) -> Result<bool, PolicyFileError> {
        match mode {
            "enforce" => Ok(false),
            "report" => Ok(true),
            other => Err(self.error(span, format!("{other:?} is not a mode: enforce, report"))),
        }
    }

    fn key(&self, key: Spanned<AllowedKey>) -> Result<KeyRule, PolicyFileError> {
        let span = key.span();
        let rule = match key.into_inner() {
            AllowedKey::Name(name) => {
                if name.is_empty() {
                    return Err(self.error(span, "an empty key"));
                }
                return Ok(KeyRule::new(&name));
            }
            AllowedKey::Rule(rule) => *rule,
        };
        if rule.key.is_empty() {
            return Err(self.error(span, "an empty key"));
        }
        let mut built = KeyRule::new(&rule.key);
        if let Some(bytes) = rule.max_length {
            built = built.max_length(bytes);
        }
        if let Some(values) = rule.values {
            built = built.values(values);
        }
        if let Some(pattern) = rule.pattern {
            built = built.pattern(&pattern).map_err(|error| self.error(span.clone(), error.to_string()))?;
        }
        if let Some(mode) = rule.mode
            && self.is_report(&mode, span.clone())?
        {
            built = built.report();
        }
        built = match rule.scrub {
            None | Some(ScrubKey::Switch(true)) => built,
            Some(ScrubKey::Switch(false)) => built.unscrubbed(),
            Some(ScrubKey::Action(name)) => built.action(self.action(&name, span)?),
        };
        Ok(match rule.span_attribute {
            Some(attribute) => built.span_attribute(&attribute),
            None => built,
        })
    }

    fn action(&self, name: &str, span: Range<usize>) -> Result<Action, PolicyFileError> {
        Action::from_name(name)
            .ok_or_else(|| self.error(span, format!("{name:?} is not an action: drop, redact, mask, pseudonymize")))
    }

    fn scrub(&self, scrub: Option<Scrubbing>, pseudonyms: Option<Pseudonyms>) -> Result<Scrub, PolicyFileError> {
        let mut built = Scrub::default();
        if let Some(pseudonyms) = pseudonyms {
            built = built.pseudonyms(self.pseudonyms(&pseudonyms)?);
        }
        let Some(scrub) = scrub else { return Ok(built) };
        if let Some(names) = &scrub.detectors {
            let set =
                names.iter().try_fold(Detectors::none(), |set, name| self.detector(name).map(|one| set.with(one)))?;
            built = built.only(set);
        }
        for name in &scrub.except {
            built = built.without(self.detector(name)?);
        }
        if let Some(action) = &scrub.action {
            built = built.action(self.action(action.get_ref(), action.span())?);
        }
        for (name, expression) in &scrub.patterns {
            built = built
                .pattern(name, expression.get_ref())
                .map_err(|error| self.error(expression.span(), error.to_string()))?;
        }
        if let Some(action) = &scrub.action {
            built.check(None).map_err(|error| self.error(action.span(), error.to_string()))?;
        }
        Ok(built)
    }

    fn detector(&self, name: &Spanned<String>) -> Result<Detector, PolicyFileError> {
        Detector::from_name(name.get_ref()).ok_or_else(|| {
            let known: Vec<&str> = Detector::ALL.iter().map(|detector| detector.name()).collect();
            self.error(name.span(), format!("{:?} is not a detector: {}", name.get_ref(), known.join(", ")))
        })
    }

    fn pseudonyms(&self, pseudonyms: &Pseudonyms) -> Result<Pseudonymizer, PolicyFileError> {
        let wrong = |key: &Spanned<Key>, error: String| self.error(key.span(), error);
        let secret = self.secret(&pseudonyms.current)?;
        let built = Pseudonymizer::new(&pseudonyms.current.get_ref().id, &secret);
        let built = built.map_err(|error| wrong(&pseudonyms.current, error.to_string()))?;
        let Some(previous) = &pseudonyms.previous else { return Ok(built) };
        let secret = self.secret(previous)?;
        built.with_previous(&previous.get_ref().id, &secret).map_err(|error| wrong(previous, error.to_string()))
    }

    /// A key never stands in the policy file itself.
    fn secret(&self, key: &Spanned<Key>) -> Result<Vec<u8>, PolicyFileError> {
        let Key { id, env, file } = key.get_ref();
        match (env, file) {
            (Some(variable), None) => std::env::var(variable)
                .map(String::into_bytes)
                .map_err(|_| self.error(key.span(), format!("the key {id:?}: {variable} is not set, or not UTF-8"))),
            (None, Some(file)) => {
                let mut secret = std::fs::read(file)
                    .map_err(|error| self.error(key.span(), format!("the key {id:?}: {file}: {error}")))?;
                while secret.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
                    secret.pop();
                }
                Ok(secret)
            }
            _ => Err(self.error(key.span(), format!("the key {id:?} needs either `env` or `file`"))),
        }
    }
}

fn trust_of(name: &str) -> Option<Trust> {
    Some(match name {
        "trust" => Trust::Trust,
        "accept-ids" => Trust::AcceptIds,
        "restart-and-link" => Trust::RestartAndLink,
        "restart" => Trust::Restart,
        "ignore" => Trust::Ignore,
        _ => return None,
    })
}
