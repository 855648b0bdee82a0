//! The methods that shape the virtual host: exchanges, queues and bindings.

use amq_protocol::{
    protocol::{AMQPClass, exchange, queue},
    types::{FieldTable, ShortString},
};

use super::{
    broker::{At, Broker},
    fault::{Fault, short},
    queue::{Arguments, Queue},
    routing::{Binding, Destination, Exchange, Kind},
};

impl Broker {
    pub(super) fn exchange(&mut self, at: At, method: exchange::AMQPMethod) -> Result<(), Fault> {
        use exchange::AMQPMethod as M;
        let (nowait, reply) = match method {
            M::Declare(declare) => {
                (declare.nowait, self.declare_exchange(&declare).map(|()| M::DeclareOk(exchange::DeclareOk {}))?)
            }
            M::Delete(delete) => {
                self.delete_exchange(&delete)?;
                (delete.nowait, M::DeleteOk(exchange::DeleteOk {}))
            }
            M::Bind(bind) => {
                self.existing_exchange(bind.source.as_str())?;
                self.existing_exchange(bind.destination.as_str())?;
                self.topology.bind(Binding {
                    source: bind.source.into(),
                    destination: Destination::Exchange(bind.destination.into()),
                    routing_key: bind.routing_key.into(),
                    arguments: bind.arguments,
                });
                (bind.nowait, M::BindOk(exchange::BindOk {}))
            }
            M::Unbind(unbind) => {
                self.topology.unbind(&Binding {
                    source: unbind.source.into(),
                    destination: Destination::Exchange(unbind.destination.into()),
                    routing_key: unbind.routing_key.into(),
                    arguments: unbind.arguments,
                });
                (unbind.nowait, M::UnbindOk(exchange::UnbindOk {}))
            }
            M::DeclareOk(_) | M::DeleteOk(_) | M::BindOk(_) | M::UnbindOk(_) => {
                return Err(Fault::command_invalid("a reply from a client"));
            }
        };
        if !nowait {
            self.send(at, AMQPClass::Exchange(reply));
        }
        Ok(())
    }

    fn declare_exchange(&mut self, declare: &exchange::Declare) -> Result<(), Fault> {
        let name = declare.exchange.as_str();
        if declare.passive {
            return match self.topology.exchanges.contains_key(name) || name.is_empty() {
                true => Ok(()),
                false => Err(Fault::no_exchange(name)),
            };
        }
        let kind = match (Kind::named(declare.kind.as_str()), declare.kind.as_str()) {
            (Some(kind), _) => kind,
            (None, "headers") => {
                return Err(Fault::not_implemented("this test double has no headers exchange"));
            }
            (None, other) => {
                let text = format!("unknown exchange type '{other}'");
                return Err(Fault::command_invalid(text));
            }
        };
        if name.is_empty() {
            return Err(default_exchange());
        }
        if let Some(existing) = self.topology.exchanges.get(name) {
            let inequivalent = |arg: &str, received: &str, current: &str| {
                Err(Fault::precondition_failed(format!(
                    "inequivalent arg '{arg}' for exchange '{name}' in vhost '/': received '{received}' but current \
                     is '{current}'"
                )))
            };
            if existing.kind != kind {
                return inequivalent("type", kind.name(), existing.kind.name());
            }
            for (arg, received, current) in [
                ("durable", declare.durable, existing.durable),
                ("auto_delete", declare.auto_delete, existing.auto_delete),
                ("internal", declare.internal, existing.internal),
            ] {
                if received != current {
                    return inequivalent(arg, &received.to_string(), &current.to_string());
                }
            }
            return Ok(());
        }
        if name.starts_with("amq.") {
            let text = format!("exchange name '{name}' contains reserved prefix 'amq.*'");
            return Err(Fault::access_refused(text));
        }
        let exchange = Exchange {
            kind,
            durable: declare.durable,
            auto_delete: declare.auto_delete,
            internal: declare.internal,
            predeclared: false,
        };
        self.topology.exchanges.insert(name.to_owned(), exchange);
        Ok(())
    }

    fn delete_exchange(&mut self, delete: &exchange::Delete) -> Result<(), Fault> {
        let name = delete.exchange.as_str();
        if name.is_empty() {
            return Err(default_exchange());
        }
        let Some(existing) = self.topology.exchanges.get(name) else {
            // Deleting an unknown name succeeds.
            return Ok(());
        };
        if existing.predeclared {
            let text = format!("operation not permitted on the exchange '{name}' in vhost '/'");
            return Err(Fault::access_refused(text));
        }
        if delete.if_unused && self.topology.in_use(name) {
            let text = format!("exchange '{name}' in vhost '/' in use");
            return Err(Fault::precondition_failed(text));
        }
        self.topology.delete_exchange(name);
        Ok(())
    }

    fn existing_exchange(&self, name: &str) -> Result<(), Fault> {
        if name.is_empty() {
            Err(default_exchange())
        } else if self.topology.exchanges.contains_key(name) {
            Ok(())
        } else {
            Err(Fault::no_exchange(name))
        }
    }

    pub(super) fn queue(&mut self, at: At, method: queue::AMQPMethod) -> Result<(), Fault> {
        use queue::AMQPMethod as M;
        let (nowait, reply) = match method {
            M::Declare(declare) => (declare.nowait, M::DeclareOk(self.declare_queue(at, &declare)?)),
            M::Bind(bind) => {
                self.existing_exchange(bind.exchange.as_str())?;
                let binding = self.queue_binding(at, &bind.queue, bind.exchange, bind.routing_key)?;
                self.topology.bind(Binding { arguments: bind.arguments, ..binding });
                (bind.nowait, M::BindOk(queue::BindOk {}))
            }
            M::Unbind(unbind) => {
                if self.queues.contains_key(unbind.queue.as_str()) || unbind.queue.as_str().is_empty() {
                    let binding = self.queue_binding(at, &unbind.queue, unbind.exchange, unbind.routing_key)?;
                    self.topology.unbind(&Binding { arguments: unbind.arguments, ..binding });
                }
                (false, M::UnbindOk(queue::UnbindOk {}))
            }
            M::Purge(purge) => {
                let name = self.usable_queue(at, purge.queue.as_str())?;
                let queue = self.queues.get_mut(&name);
                let message_count = queue.map_or(0, |queue| std::mem::take(&mut queue.entries).len());
                let message_count = count(message_count);
                (purge.nowait, M::PurgeOk(queue::PurgeOk { message_count }))
            }
            M::Delete(delete) => {
                let message_count = count(self.delete_queue_if(at, &delete)?);
                (delete.nowait, M::DeleteOk(queue::DeleteOk { message_count }))
            }
            M::DeclareOk(_) | M::BindOk(_) | M::UnbindOk(_) | M::PurgeOk(_) | M::DeleteOk(_) => {
                return Err(Fault::command_invalid("a reply from a client"));
            }
        };
        if !nowait {
            self.send(at, AMQPClass::Queue(reply));
        }
        Ok(())
    }

    fn declare_queue(&mut self, at: At, declare: &queue::Declare) -> Result<queue::DeclareOk, Fault> {
        let name = match declare.queue.as_str() {
            "" if declare.passive => self.usable_queue(at, "")?,
            "" => format!("amq.gen-loopback-{}", self.next_number()),
            name => name.to_owned(),
        };
        if self.queues.contains_key(&name) {
            self.usable_queue(at, &name)?;
            if !declare.passive {
                self.check_equivalence(at, &name, declare)?;
            }
        } else if declare.passive {
            return Err(Fault::no_queue(&name));
        } else if name.starts_with("amq.") && !declare.queue.as_str().is_empty() {
            let text = format!("queue name '{name}' contains reserved prefix 'amq.*'");
            return Err(Fault::access_refused(text));
        } else {
            let arguments = Arguments::read(&declare.arguments, &name)?;
            let owner = declare.exclusive.then_some(at.connection);
            let queue = Queue::new(declare.durable, declare.auto_delete, owner, arguments);
            self.queues.insert(name.clone(), queue);
        }
        self.channel(at)?.last_queue.clone_from(&name);
        let queue = self.queues.get(&name);
        Ok(queue::DeclareOk {
            queue: short(&name),
            message_count: count(queue.map_or(0, |queue| queue.entries.len())),
            consumer_count: count(queue.map_or(0, |queue| queue.consumers.len())),
        })
    }

    fn check_equivalence(&self, at: At, name: &str, declare: &queue::Declare) -> Result<(), Fault> {
        let Some(existing) = self.queues.get(name) else {
            return Ok(());
        };
        if existing.owner != declare.exclusive.then_some(at.connection) {
            return Err(Fault::resource_locked(name));
        }
        for (arg, received, current) in
            [("durable", declare.durable, existing.durable), ("auto_delete", declare.auto_delete, existing.auto_delete)]
        {
            if received != current {
                return Err(Fault::precondition_failed(format!(
                    "inequivalent arg '{arg}' for queue '{name}' in vhost '/': received '{received}' but current is \
                     '{current}'"
                )));
            }
        }
        let arguments = Arguments::read(&declare.arguments, name)?;
        match existing.arguments.difference(&arguments) {
            None => Ok(()),
            Some(arg) => {
                Err(Fault::precondition_failed(format!("inequivalent arg '{arg}' for queue '{name}' in vhost '/'")))
            }
        }
    }

    fn delete_queue_if(&mut self, at: At, delete: &queue::Delete) -> Result<usize, Fault> {
        let name = delete.queue.as_str();
        if !name.is_empty() && !self.queues.contains_key(name) {
            // Deleting an unknown name succeeds.
            return Ok(0);
        }
        let name = self.usable_queue(at, name)?;
        let Some(queue) = self.queues.get(&name) else {
            return Ok(0);
        };
        if delete.if_unused && !queue.consumers.is_empty() {
            let text = format!("queue '{name}' in vhost '/' in use");
            return Err(Fault::precondition_failed(text));
        }
        if delete.if_empty && !queue.entries.is_empty() {
            let text = format!("queue '{name}' in vhost '/' is not empty");
            return Err(Fault::precondition_failed(text));
        }
        Ok(self.delete_queue(&name))
    }

    fn queue_binding(
        &mut self,
        at: At,
        queue: &ShortString,
        exchange: ShortString,
        routing_key: ShortString,
    ) -> Result<Binding, Fault> {
        let name = self.usable_queue(at, queue.as_str())?;
        // Both names empty: the queue just declared, by its own name.
        let routing_key = if queue.as_str().is_empty() && routing_key.as_str().is_empty() {
            name.clone()
        } else {
            routing_key.into()
        };
        Ok(Binding {
            source: exchange.into(),
            destination: Destination::Queue(name),
            routing_key,
            arguments: FieldTable::default(),
        })
    }

    /// The queue of this name, or the last one the channel declared for an empty name, if it is there and not
    /// another connection's own.
    pub(super) fn usable_queue(&mut self, at: At, name: &str) -> Result<String, Fault> {
        let name = match name {
            "" => match self.channel(at)?.last_queue.clone() {
                last if last.is_empty() => {
                    return Err(Fault::not_found("no previously declared queue"));
                }
                last => last,
            },
            name => name.to_owned(),
        };
        match self.queues.get(&name) {
            None => Err(Fault::no_queue(&name)),
            Some(queue) if queue.owner.is_some_and(|owner| owner != at.connection) => {
                Err(Fault::resource_locked(&name))
            }
            Some(_) => Ok(name),
        }
    }
}

/// A number of things as the protocol counts them.
pub(super) fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn default_exchange() -> Fault {
    Fault::access_refused("operation not permitted on the default exchange")
}
