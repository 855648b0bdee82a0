//! Baggage from the application's own headers and claims, by allow-list.

use std::borrow::Cow;

use super::{Admission, InboundRule, KeyRule, PolicyError};
use crate::{Baggage, FieldName, RejectReason, Rejection, model, model::Member};

/// A value of the application's own that an inbound rule takes as baggage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaggageSource<'a> {
    /// A header, by its lower-case name.
    Header(&'a str),
    /// A claim about the caller, by its name.
    Claim(&'a str),
}

impl std::fmt::Display for BaggageSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Claim(name) => write!(f, "claim {name}"),
        }
    }
}

/// One entry of a rule's `baggage_from_headers` or `baggage_from_claims`.
#[derive(Clone, Debug)]
pub(crate) struct SourceRule {
    origin: Origin,
    pub(super) key: KeyRule,
}

#[derive(Clone, Debug)]
enum Origin {
    Header(FieldName),
    /// Not the name of a header: an error when the policy is built.
    IllegalHeader(Box<str>),
    Claim(Box<str>),
}

impl SourceRule {
    pub(super) fn header_value(header: &str, key: KeyRule) -> Self {
        let origin = FieldName::new(header).map_or_else(|| Origin::IllegalHeader(header.into()), Origin::Header);
        Self { origin, key }
    }

    pub(super) fn claim_value(claim: &str, key: KeyRule) -> Self {
        Self { origin: Origin::Claim(claim.into()), key }
    }

    /// Returns the header to read, or `None` for a claim.
    pub(crate) fn header(&self) -> Option<&FieldName> {
        if let Origin::Header(name) = &self.origin { Some(name) } else { None }
    }

    pub(crate) fn source(&self) -> BaggageSource<'_> {
        match &self.origin {
            Origin::Header(name) => BaggageSource::Header(name.as_str()),
            Origin::IllegalHeader(name) => BaggageSource::Header(name),
            Origin::Claim(name) => BaggageSource::Claim(name),
        }
    }

    /// Sets the member of a value, unless the value breaks a rule. It replaces members of the caller with the same key, and wins over
    /// other members of the caller if the limits are exceeded.
    pub(crate) fn admit(
        &self,
        rule: &InboundRule,
        value: Result<Cow<'_, str>, RejectReason>,
        admission: &mut Admission,
    ) {
        let evaluated = value.and_then(|value| self.evaluate(rule, &value));
        let (own, reported) = match evaluated {
            Ok(evaluated) => evaluated,
            Err(reason) => return admission.rejections.push(self.rejection(rule, reason)),
        };
        if let Some(reason) = reported {
            admission.rejections.push(self.rejection(rule, reason).reported());
        }
        let Some(member) = own.iter().next() else { return };
        self.copy_attribute(rule, &member, admission);
        let baggage = &mut admission.context.baggage;
        if baggage.set(member.key(), &member.value()).is_ok() {
            return;
        }
        let callers = std::mem::replace(baggage, own.clone());
        baggage.merge(&callers);
        let kept = |member: &Member<'_>| baggage.member(member.key()).is_some();
        let dropped = callers.iter().filter(|member| !kept(member));
        admission.rejections.extend(dropped.map(|member| {
            let rejection = Rejection::new("baggage", RejectReason::TooManyMembers);
            rejection.with_key(member.key().as_bytes()).with_rule(rule.name().clone())
        }));
    }

    /// Returns the member as baggage of its own, and the reason for which it would be rejected outside of report mode.
    pub(super) fn evaluate(
        &self,
        rule: &InboundRule,
        value: &str,
    ) -> Result<(Baggage, Option<RejectReason>), RejectReason> {
        if value.len() > Baggage::MAX_BYTES {
            return Err(RejectReason::TooManyBytes);
        }
        let mut own = Baggage::new();
        own.set(self.key.key.as_str(), value).map_err(|_| RejectReason::TooManyBytes)?;
        let Some(member) = own.iter().next() else { return Err(RejectReason::Malformed) };
        let listed = listed(rule, &member);
        for key in std::iter::once(&self.key).chain(listed) {
            match key.violation(&member) {
                Some(reason) if rule.reports() || key.reports() => return Ok((own, Some(reason))),
                Some(reason) => return Err(reason),
                None => {}
            }
        }
        Ok((own, None))
    }

    fn rejection(&self, rule: &InboundRule, reason: RejectReason) -> Rejection {
        Rejection::new("baggage", reason).with_key(self.key.key.as_str().as_bytes()).with_rule(rule.name().clone())
    }

    /// Copies the value to the span attribute of its key, in place of a value of the caller.
    fn copy_attribute(&self, rule: &InboundRule, member: &Member<'_>, admission: &mut Admission) {
        let listed = listed(rule, member).and_then(|key| key.span_attribute.as_deref());
        if let Some(name) = self.key.span_attribute.as_deref().or(listed) {
            admission.attributes.retain(|attribute| attribute.key != name);
            admission.attributes.push(super::admit::attribute_of(name, member));
        }
    }
}

/// Returns the rule of the key in the rule's `baggage` list, which the value has to satisfy, too.
fn listed<'r>(rule: &'r InboundRule, member: &Member<'_>) -> Option<&'r KeyRule> {
    rule.keys().iter().find(|key| key.matches(member))
}

/// Checks the sources of a rule: headers and keys must be legal, and each key has one source.
pub(super) fn check(rule: &InboundRule) -> Result<(), PolicyError> {
    for (at, entry) in rule.sources().iter().enumerate() {
        let key = entry.key.key.as_str();
        let earlier = rule.sources().iter().take(at).find(|earlier| earlier.key.key.as_str() == key);
        let problem = match (&entry.origin, earlier) {
            (Origin::IllegalHeader(name), _) => format!("{name:?} is not the name of a header"),
            (Origin::Claim(name), _) if name.is_empty() => "a claim without a name".to_owned(),
            _ if !entry.key.key.is_exact() || !model::is_token(key.as_bytes()) => {
                format!("{} cannot become {key:?}: expected one baggage key, without `*`", entry.source())
            }
            (_, Some(earlier)) => {
                format!("the key {key:?} has two sources, {} and {}", earlier.source(), entry.source())
            }
            _ => continue,
        };
        return Err(PolicyError::InvalidSource { rule: rule.name().to_string(), cause: problem });
    }
    Ok(())
}
