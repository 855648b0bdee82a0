//! Builds a policy from the words of a file.

use std::{cell::RefCell, collections::HashMap, ops::Range, path::Path};

use toml::Spanned;

use super::{
    PolicyFileError, PolicyFileErrorKind, ReadKey,
    places::{Places, RulePlaces},
    schema::{Inbound, Key, Outbound, Pseudonyms, Scrubbing, Telemetry, parse},
    shapes::{AllowedKey, ScrubKey, State},
};
use crate::{
    InboundRule, KeyRule, OutboundRule, Policy, PolicyError, Scrub, TelemetryLimits, TraceTrust,
    peer::is_transport_name,
    policy::{
        ExistingOutsideHops, PolicyBuilder, Pseudonymizer, ScrubAction, TraceStateRule, pattern::Pattern, source,
    },
    scrub::{Detector, Detectors},
};

/// Compiles a text. Each rule is checked when it is added, and alone: the time is linear in the text.
pub(super) fn read(text: &str, read_key: &ReadKey<'_>) -> Result<(Policy, Places), PolicyFileError> {
    let file = parse(text)?;
    let has_rules = file.profile.is_some() || !file.inbound.is_empty() || !file.outbound.is_empty();
    let is_open = has_rules || file.open == Some(true);
    let reader = Reader { text, read_key, patterns: RefCell::default() };
    let mut places = Places::default();
    let mut builder = Policy::builder().scrub(reader.scrub(file.scrub, file.pseudonyms)?);
    if let Some(treatment) = file.existing_outside_hops {
        builder = builder.existing_outside_hops(reader.outside_hops(&treatment)?);
    }
    if let Some(telemetry) = file.telemetry {
        builder = builder.telemetry_limits(reader.limits(&telemetry)?);
    }
    for transport in &file.transports {
        builder = builder.declare(reader.transport(transport)?);
    }
    for rule in file.inbound {
        let span = rule.span();
        let rule = rule.into_inner();
        let sources = rule.baggage_from_headers.values().chain(rule.baggage_from_claims.values());
        places.inbound.push(RulePlaces::of(&span, &rule.peers, &rule.baggage).with_sources(sources));
        let built = reader.inbound(rule, &builder)?;
        builder
            .check(built.name(), built.peer_patterns(), built.keys())
            .map_err(|error| reader.error(span, error.to_string()))?;
        builder = builder.inbound(built);
    }
    for rule in file.outbound {
        let span = rule.span();
        let rule = rule.into_inner();
        places.outbound.push(RulePlaces::of(&span, &rule.peers, &rule.baggage));
        let built = reader.outbound(rule, &builder)?;
        builder
            .check(built.name(), built.peer_patterns(), built.keys())
            .map_err(|error| reader.error(span, error.to_string()))?;
        builder = builder.outbound(built);
    }
    if let Some(profile) = file.profile {
        places.profile = profile.span();
        builder =
            builder.profile(profile.get_ref()).map_err(|error| reader.error(profile.span(), error.to_string()))?;
    }
    if !is_open {
        let message =
            "no rule and no profile, which would trust every caller; write rules, or `open = true` if that is intended";
        return Err(PolicyFileError::at(text, None, message).of_kind(PolicyFileErrorKind::NoRules));
    }
    let policy = builder.build().map_err(|error| PolicyFileError::at(text, None, error.to_string()))?;
    Ok((policy, places))
}

struct Reader<'a> {
    text: &'a str,
    read_key: &'a ReadKey<'a>,
    /// Patterns by their expression: many rules have the same ones, and each takes a while to compile.
    patterns: RefCell<HashMap<String, Pattern>>,
}

impl Reader<'_> {
    fn error(&self, span: Range<usize>, message: impl Into<String>) -> PolicyFileError {
        PolicyFileError::at(self.text, Some(span), message)
    }

    fn pattern(&self, expression: String) -> Result<Pattern, PolicyError> {
        if let Some(known) = self.patterns.borrow().get(&expression) {
            return Ok(known.clone());
        }
        let pattern = Pattern::whole(&expression)?;
        self.patterns.borrow_mut().insert(expression, pattern.clone());
        Ok(pattern)
    }

    fn inbound(&self, rule: Inbound, builder: &PolicyBuilder) -> Result<InboundRule, PolicyFileError> {
        let mut built = InboundRule::peers(self.peers(&rule.peers, builder)?);
        if let Some(name) = &rule.name {
            built = built.named(name);
        }
        if let Some(trust) = &rule.trust {
            built = built.trust(self.trust(trust)?);
        }
        if self.reports(rule.mode.as_ref())? {
            built = built.report_only();
        }
        for (header, key) in rule.baggage_from_headers {
            let span = key.span();
            built = built.baggage_from_header(&header, self.key(key)?);
            source::check(&built).map_err(|error| self.error(span, error.to_string()))?;
        }
        for (claim, key) in rule.baggage_from_claims {
            let span = key.span();
            built = built.baggage_from_claim(&claim, self.key(key)?);
            source::check(&built).map_err(|error| self.error(span, error.to_string()))?;
        }
        rule.baggage.into_iter().try_fold(built, |built, key| Ok(built.allow(self.key(key)?)))
    }

    fn transport<'t>(&self, transport: &'t Spanned<String>) -> Result<&'t str, PolicyFileError> {
        let name = transport.get_ref();
        if is_transport_name(name) {
            return Ok(name);
        }
        let message = format!("{name:?} is not a transport: a lower-case letter, then letters, digits, `-` and `_`");
        Err(self.error(transport.span(), message))
    }

    fn trust(&self, trust: &Spanned<String>) -> Result<TraceTrust, PolicyFileError> {
        let name = trust.get_ref().as_str();
        TraceTrust::from_name(name).ok_or_else(|| {
            let message = match renamed_trust(name) {
                Some(now) => format!("trust {name:?} was renamed to {:?}", now.as_str()),
                None => {
                    let known: Vec<&str> = TraceTrust::ALL.iter().map(|trust| trust.as_str()).collect();
                    format!("unknown trust {name:?}; expected one of: {}", known.join(", "))
                }
            };
            self.error(trust.span(), message)
        })
    }

    fn outbound(&self, rule: Outbound, builder: &PolicyBuilder) -> Result<OutboundRule, PolicyFileError> {
        let mut built = OutboundRule::peers(self.peers(&rule.peers, builder)?);
        if let Some(name) = &rule.name {
            built = built.named(name);
        }
        built = built.trace_context(rule.trace_context.unwrap_or(true));
        built = built.tracestate(match rule.tracestate {
            None | Some(State::AllOrNone(true)) => TraceStateRule::All,
            Some(State::AllOrNone(false)) => TraceStateRule::None,
            Some(State::Keys(keys)) => TraceStateRule::Keys(keys),
        });
        if self.reports(rule.mode.as_ref())? {
            built = built.report_only();
        }
        rule.baggage.into_iter().try_fold(built, |built, key| Ok(built.allow(self.key(key)?)))
    }

    /// Each peer is tried alone, so that an error points at it.
    fn peers<'p>(
        &self,
        peers: &'p [Spanned<String>],
        builder: &PolicyBuilder,
    ) -> Result<Vec<&'p str>, PolicyFileError> {
        for peer in peers {
            let alone = InboundRule::peers([peer.get_ref()]);
            let mut patterns = alone.peer_patterns().iter();
            patterns
                .try_for_each(|peer| builder.check_peer(peer))
                .map_err(|error| self.error(peer.span(), error.to_string()))?;
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
        if rule.key.get_ref().is_empty() {
            return Err(self.error(span, "an empty key"));
        }
        let mut built = KeyRule::new(rule.key.get_ref());
        if let Some(bytes) = rule.max_length {
            built = built.max_length(bytes);
        }
        if let Some(values) = rule.values {
            built = built.values(values);
        }
        if let Some(pattern) = rule.pattern {
            let pattern = self.pattern(pattern).map_err(|error| self.error(span.clone(), error.to_string()))?;
            built = built.with_pattern(pattern);
        }
        if let Some(mode) = rule.mode
            && self.is_report(&mode, span.clone())?
        {
            built = built.report_only();
        }
        built = match rule.scrub {
            None | Some(ScrubKey::Switch(true)) => built,
            Some(ScrubKey::Switch(false)) => built.without_scrubbing(),
            Some(ScrubKey::Action(name)) => built.action(self.action(&name, span.clone())?),
        };
        match rule.span_attribute {
            Some(attribute) => built = built.span_attribute(&attribute),
            None if rule.every_span.is_some() => return Err(self.error(span, "every_span needs span_attribute")),
            None => {}
        }
        Ok(built.every_span(rule.every_span.unwrap_or(false)))
    }

    fn outside_hops(&self, treatment: &Spanned<String>) -> Result<ExistingOutsideHops, PolicyFileError> {
        match treatment.get_ref().as_str() {
            "keep" => Ok(ExistingOutsideHops::Keep),
            "restart" => Ok(ExistingOutsideHops::Restart),
            other => Err(self
                .error(treatment.span(), format!("{other:?} is not a value of existing_outside_hops: keep, restart"))),
        }
    }

    fn limits(&self, telemetry: &Telemetry) -> Result<TelemetryLimits, PolicyFileError> {
        let mut limits = TelemetryLimits::default();
        for (key, bytes, limit) in [
            ("max_name_bytes", &telemetry.max_name_bytes, &mut limits.name),
            ("max_value_bytes", &telemetry.max_value_bytes, &mut limits.value),
            ("max_stacktrace_bytes", &telemetry.max_stacktrace_bytes, &mut limits.stacktrace),
        ] {
            let Some(bytes) = bytes else { continue };
            let range = TelemetryLimits::MIN_BYTES..=TelemetryLimits::MAX_BYTES;
            *limit =
                usize::try_from(*bytes.get_ref()).ok().filter(|number| range.contains(number)).ok_or_else(|| {
                    let message = format!(
                        "{key} = {} is out of range: {} to {} bytes",
                        bytes.get_ref(),
                        range.start(),
                        range.end()
                    );
                    self.error(bytes.span(), message)
                })?;
        }
        Ok(limits)
    }

    fn action(&self, name: &str, span: Range<usize>) -> Result<ScrubAction, PolicyFileError> {
        ScrubAction::from_name(name)
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

    /// Reads a pseudonym key from its variable or file: it is never part of the policy file.
    fn secret(&self, key: &Spanned<Key>) -> Result<Vec<u8>, PolicyFileError> {
        let Key { id, env, file } = key.get_ref();
        let unreadable = |message: String| self.error(key.span(), message).of_kind(PolicyFileErrorKind::Unreadable);
        match (env, file) {
            (Some(variable), None) => std::env::var(variable)
                .map(String::into_bytes)
                .map_err(|_| unreadable(format!("the key {id:?}: {variable} is not set, or not UTF-8"))),
            (None, Some(file)) => {
                let mut secret = (self.read_key)(Path::new(file))
                    .map_err(|error| unreadable(format!("the key {id:?}: {file}: {error}")))?;
                while secret.last().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
                    secret.pop();
                }
                Ok(secret)
            }
            _ => Err(self.error(key.span(), format!("the key {id:?} needs either `env` or `file`"))),
        }
    }
}

/// Returns the trust that had this name before 0.1.0.
fn renamed_trust(name: &str) -> Option<TraceTrust> {
    match name {
        "trust" => Some(TraceTrust::Full),
        "accept-ids" => Some(TraceTrust::IdsOnly),
        "restart-and-link" => Some(TraceTrust::RestartWithLink),
        _ => None,
    }
}
