//! The shop's messages: orders as JSON or protobuf, without tracing fields.

use serde::{Deserialize, Serialize};

/// A customer's order, as sent to the gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    /// The shop it is bought in: must be the tenant of the baggage at every service.
    pub(crate) tenant: String,
    pub(crate) email: String,
}

/// An order on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) sku: String,
    pub(crate) quantity: u32,
    pub(crate) tenant: String,
    pub(crate) total_cents: u64,
    /// Where the confirmation goes: business data, in the body where it belongs.
    pub(crate) email: String,
}

/// The price of an article in cents.
pub(crate) fn price(sku: &str) -> Option<u64> {
    match sku {
        "kettle" => Some(3_490),
        "teapot" => Some(2_150),
        "cup" => Some(690),
        _ => None,
    }
}

/// The baggage keys that the policy allows between the shop's services.
pub(crate) const TENANT: &str = "tenant.id";
pub(crate) const FEATURE: &str = "feature.express";
pub(crate) const LOCALE: &str = "locale";
/// Personal data in baggage, from a customer's app and from a careless handler.
pub(crate) const EMAIL: &str = "user.email";
pub(crate) const CONTACT: &str = "customer.contact";

pub(crate) const TOPIC: &str = "orders";
pub(crate) const EXCHANGE: &str = "shop";
pub(crate) const ROUTING_KEY: &str = "paid";
pub(crate) const SHIPPING_QUEUE: &str = "shipping";
pub(crate) const NOTIFICATIONS_QUEUE: &str = "notifications";
