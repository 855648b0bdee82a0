//! Errors of the broker, with RabbitMQ's texts.

use amq_protocol::{
    protocol::{AMQPClass, channel, connection},
    types::ShortString,
};

/// An objection that closes a channel or the whole connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    scope: Scope,
    code: u16,
    text: String,
    class: u16,
    method: u16,
}

/// How much an objection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Channel,
    Connection,
}

impl Fault {
    fn new(scope: Scope, code: u16, name: &str, text: impl AsRef<str>) -> Self {
        Self { scope, code, text: format!("{name} - {}", text.as_ref()), class: 0, method: 0 }
    }

    pub(super) fn access_refused(text: impl AsRef<str>) -> Self {
        Self::new(Scope::Channel, 403, "ACCESS_REFUSED", text)
    }

    pub(super) fn login_refused() -> Self {
        let text = "Login was refused using authentication mechanism PLAIN. \
                    For details see the broker logfile.";
        Self::new(Scope::Connection, 403, "ACCESS_REFUSED", text)
    }

    pub(super) fn not_found(text: impl AsRef<str>) -> Self {
        Self::new(Scope::Channel, 404, "NOT_FOUND", text)
    }

    pub(super) fn no_queue(name: &str) -> Self {
        Self::not_found(format!("no queue '{name}' in vhost '/'"))
    }

    pub(super) fn no_exchange(name: &str) -> Self {
        Self::not_found(format!("no exchange '{name}' in vhost '/'"))
    }

    pub(super) fn resource_locked(queue: &str) -> Self {
        let text = format!(
            "cannot obtain exclusive access to locked queue '{queue}' in vhost '/'. It could be originally declared \
             on another connection or the exclusive property value does not match that of the original declaration."
        );
        Self::new(Scope::Channel, 405, "RESOURCE_LOCKED", text)
    }

    pub(super) fn precondition_failed(text: impl AsRef<str>) -> Self {
        Self::new(Scope::Channel, 406, "PRECONDITION_FAILED", text)
    }

    pub(super) fn frame_error(text: impl AsRef<str>) -> Self {
        Self::new(Scope::Connection, 501, "FRAME_ERROR", text)
    }

    pub(super) fn command_invalid(text: impl AsRef<str>) -> Self {
        Self::new(Scope::Connection, 503, "COMMAND_INVALID", text)
    }

    pub(super) fn channel_error(text: impl AsRef<str>) -> Self {
        Self::new(Scope::Connection, 504, "CHANNEL_ERROR", text)
    }

    pub(super) fn unexpected_frame(text: impl AsRef<str>) -> Self {
        Self::new(Scope::Connection, 505, "UNEXPECTED_FRAME", text)
    }

    pub(super) fn not_allowed(text: impl AsRef<str>) -> Self {
        Self::new(Scope::Connection, 530, "NOT_ALLOWED", text)
    }

    pub(super) fn not_implemented(text: impl AsRef<str>) -> Self {
        Self::new(Scope::Connection, 540, "NOT_IMPLEMENTED", text)
    }

    /// A property list that cannot be decoded: RabbitMQ's channel process dies of it and takes the connection along.
    pub(super) fn undecodable_properties() -> Self {
        Self::new(Scope::Connection, 541, "INTERNAL_ERROR", "")
    }

    /// Names the method that was objected to, unless one is named already.
    pub(super) fn caused_by(mut self, class: u16, method: u16) -> Self {
        if self.class == 0 {
            self.class = class;
            self.method = method;
        }
        self
    }

    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    /// Returns the `close` method for the client.
    pub(super) fn to_close(&self) -> AMQPClass {
        let reply_text = short(&self.text);
        match self.scope {
            Scope::Channel => AMQPClass::Channel(channel::AMQPMethod::Close(channel::Close {
                reply_code: self.code,
                reply_text,
                class_id: self.class,
                method_id: self.method,
            })),
            Scope::Connection => AMQPClass::Connection(connection::AMQPMethod::Close(connection::Close {
                reply_code: self.code,
                reply_text,
                class_id: self.class,
                method_id: self.method,
            })),
        }
    }
}

/// A short string, cut to the 255 octets that one holds.
pub(super) fn short(text: &str) -> ShortString {
    let end = text.floor_char_boundary(255);
    ShortString::try_new(text.get(..end).unwrap_or_default()).unwrap_or_default()
}
