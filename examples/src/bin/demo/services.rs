//! The services, one module each.

pub(crate) mod gateway;
pub(crate) mod grpc;
pub(crate) mod health;
pub(crate) mod notifications;
pub(crate) mod orders;
pub(crate) mod payments;
pub(crate) mod shipping;
pub(crate) mod sqs;
