//! The methods that move messages: publish, consume, get, settle.

use std::sync::Arc;

use amq_protocol::protocol::{AMQPClass, basic, confirm};

use super::{
    broker::{At, Broker, Recipient, Subscription, Unsettled},
    dead_letter::RejectReason,
    declare::count,
    fault::{Fault, short},
    message::Published,
    queue::Consumer,
};

/// The one user there is.
pub(super) const USER: &str = "guest";

/// The fate of a message that was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    Requeue,
    Reject,
}

impl Broker {
    /// Any basic method but publish, whose content comes first.
    pub(super) fn basic(&mut self, at: At, method: basic::AMQPMethod) -> Result<(), Fault> {
        use basic::AMQPMethod as M;
        match method {
            M::Qos(qos) => {
                let channel = self.channel(at)?;
                if qos.global {
                    channel.shared_prefetch = qos.prefetch_count;
                    self.touch_all();
                } else {
                    channel.prefetch = qos.prefetch_count;
                }
                self.reply(at, M::QosOk(basic::QosOk {}));
            }
            M::Consume(consume) => self.consume(at, &consume)?,
            M::Cancel(cancel) => {
                self.cancel(at, cancel.consumer_tag.as_str())?;
                if !cancel.nowait {
                    let consumer_tag = cancel.consumer_tag;
                    self.reply(at, M::CancelOk(basic::CancelOk { consumer_tag }));
                }
            }
            M::Get(get) => self.get(at, &get)?,
            M::Ack(ack) => self.settle(at, ack.delivery_tag, ack.multiple, Verdict::Done)?,
            M::Reject(reject) => {
                self.settle(at, reject.delivery_tag, false, verdict(reject.requeue))?;
            }
            M::Nack(nack) => {
                self.settle(at, nack.delivery_tag, nack.multiple, verdict(nack.requeue))?;
            }
            M::RecoverAsync(recover) => self.recover(at, recover.requeue)?,
            M::Recover(recover) => {
                self.recover(at, recover.requeue)?;
                self.reply(at, M::RecoverOk(basic::RecoverOk {}));
            }
            // A client acknowledges the cancel notification of a deleted queue.
            M::CancelOk(_) => {}
            _ => return Err(Fault::command_invalid("a reply from a client")),
        }
        self.serve_all();
        Ok(())
    }

    /// Turns publisher confirms on.
    pub(super) fn confirm(&mut self, at: At, method: &confirm::AMQPMethod) -> Result<(), Fault> {
        let confirm::AMQPMethod::Select(select) = method else {
            return Err(Fault::command_invalid("a reply from a client"));
        };
        self.channel(at)?.confirms = true;
        if !select.nowait {
            let ok = confirm::AMQPMethod::SelectOk(confirm::SelectOk {});
            self.send(at, AMQPClass::Confirm(ok));
        }
        Ok(())
    }

    /// Routes a complete message, returns it if it is unroutable, and confirms it.
    pub(super) fn publish(&mut self, at: At, message: Published) -> Result<(), Fault> {
        let Some(queues) = self.route(&message.exchange, &message.routing_key) else {
            return Err(Fault::no_exchange(&message.exchange));
        };
        let exchange = self.topology.exchanges.get(&message.exchange);
        if exchange.is_some_and(|exchange| exchange.internal) {
            let name = &message.exchange;
            let text = format!("cannot publish to internal exchange '{name}' in vhost '/'");
            return Err(Fault::access_refused(text));
        }
        check_properties(&message)?;
        let channel = self.channel(at)?;
        let confirm = channel.confirms.then(|| {
            channel.published += 1;
            channel.published
        });
        if queues.is_empty() {
            if message.mandatory {
                let returned = basic::AMQPMethod::Return(basic::Return {
                    reply_code: 312,
                    reply_text: short("NO_ROUTE"),
                    exchange: short(&message.exchange),
                    routing_key: short(&message.routing_key),
                });
                self.send_content(at, returned, &message);
            }
        } else {
            self.enqueue(message, queues);
        }
        if let Some(delivery_tag) = confirm {
            let ack = basic::Ack { delivery_tag, multiple: false };
            self.reply(at, basic::AMQPMethod::Ack(ack));
        }
        self.serve_all();
        Ok(())
    }

    fn consume(&mut self, at: At, consume: &basic::Consume) -> Result<(), Fault> {
        let name = self.usable_queue(at, consume.queue.as_str())?;
        let tag = match consume.consumer_tag.as_str() {
            "" => format!("amq.ctag-loopback-{}", self.next_number()),
            tag => tag.to_owned(),
        };
        let channel = self.channel(at)?;
        if channel.subscriptions.contains_key(&tag) {
            let text = format!("attempt to reuse consumer tag '{tag}'");
            return Err(Fault::not_allowed(text));
        }
        let prefetch = channel.prefetch;
        let Some(queue) = self.queues.get_mut(&name) else {
            return Err(Fault::no_queue(&name));
        };
        let taken = queue.consumers.iter().any(|other| other.exclusive);
        if taken || (consume.exclusive && !queue.consumers.is_empty()) {
            let text = format!("queue '{name}' in vhost '/' in exclusive use");
            return Err(Fault::access_refused(text));
        }
        // In front: it has not had its turn yet.
        queue.consumers.push_front(Consumer {
            connection: at.connection,
            channel: at.channel,
            tag: tag.clone(),
            no_ack: consume.no_ack,
            exclusive: consume.exclusive,
            prefetch,
        });
        let subscription = Subscription { queue: name.clone(), unsettled: 0 };
        self.channel(at)?.subscriptions.insert(tag.clone(), subscription);
        if !consume.nowait {
            let consumer_tag = short(&tag);
            let ok = basic::ConsumeOk { consumer_tag };
            self.reply(at, basic::AMQPMethod::ConsumeOk(ok));
        }
        self.touch(&name);
        Ok(())
    }

    fn cancel(&mut self, at: At, tag: &str) -> Result<(), Fault> {
        let Some(subscription) = self.channel(at)?.subscriptions.remove(tag) else {
            // RabbitMQ accepts cancelling an unknown consumer.
            return Ok(());
        };
        if let Some(queue) = self.queues.get_mut(&subscription.queue) {
            queue.consumers.retain(|other| {
                (other.connection, other.channel, other.tag.as_str()) != (at.connection, at.channel, tag)
            });
        }
        self.delete_if_abandoned(&subscription.queue);
        Ok(())
    }

    fn get(&mut self, at: At, get: &basic::Get) -> Result<(), Fault> {
        let name = self.usable_queue(at, get.queue.as_str())?;
        // Expired messages are removed before a delivery.
        self.touch(&name);
        self.serve_all();
        let front = self.queues.get_mut(&name).and_then(|queue| {
            let entry = queue.entries.pop_front()?;
            Some((entry, count(queue.entries.len())))
        });
        let Some((entry, message_count)) = front else {
            self.reply(at, basic::AMQPMethod::GetEmpty(basic::GetEmpty {}));
            return Ok(());
        };
        let message = Arc::clone(&entry.message);
        let redelivered = entry.redelivered;
        let to = if get.no_ack { Recipient::Forgetful } else { Recipient::Getter };
        let Some(delivery_tag) = self.hand_out(at, &name, entry, to) else {
            return Ok(());
        };
        let ok = basic::AMQPMethod::GetOk(basic::GetOk {
            delivery_tag,
            redelivered,
            exchange: short(&message.exchange),
            routing_key: short(&message.routing_key),
            message_count,
        });
        self.send_content(at, ok, &message);
        Ok(())
    }

    fn settle(&mut self, at: At, tag: u64, multiple: bool, verdict: Verdict) -> Result<(), Fault> {
        let channel = self.channel(at)?;
        let settled: Vec<Unsettled> = if multiple && tag == 0 {
            std::mem::take(&mut channel.unsettled).into_values().collect()
        } else {
            let Some(last) = channel.unsettled.remove(&tag) else {
                let text = format!("unknown delivery tag {tag}");
                return Err(Fault::precondition_failed(text));
            };
            let mut settled = Vec::new();
            if multiple {
                let later = channel.unsettled.split_off(&tag);
                let earlier = std::mem::replace(&mut channel.unsettled, later);
                settled.extend(earlier.into_values());
            }
            settled.push(last);
            settled
        };
        self.finish(at, settled, verdict)
    }

    fn recover(&mut self, at: At, requeue: bool) -> Result<(), Fault> {
        if !requeue {
            return Err(Fault::not_implemented("requeue=false"));
        }
        let unsettled = std::mem::take(&mut self.channel(at)?.unsettled);
        self.finish(at, unsettled.into_values().collect(), Verdict::Requeue)
    }

    fn finish(&mut self, at: At, settled: Vec<Unsettled>, verdict: Verdict) -> Result<(), Fault> {
        let channel = self.channel(at)?;
        let shares = channel.shared_prefetch != 0;
        for unsettled in &settled {
            if let Some(tag) = &unsettled.consumer
                && let Some(subscription) = channel.subscriptions.get_mut(tag)
            {
                subscription.unsettled = subscription.unsettled.saturating_sub(1);
            }
        }
        for unsettled in settled {
            self.touch(&unsettled.queue);
            match verdict {
                Verdict::Done => {}
                Verdict::Requeue => self.requeue(unsettled),
                Verdict::Reject => {
                    self.die(&unsettled.queue, &unsettled.entry.message, RejectReason::Rejected);
                }
            }
        }
        if shares {
            self.touch_all();
        }
        Ok(())
    }

    fn reply(&self, at: At, method: basic::AMQPMethod) {
        self.send(at, AMQPClass::Basic(method));
    }
}

/// Validates message properties as RabbitMQ does.
fn check_properties(message: &Published) -> Result<(), Fault> {
    if let Some(user) = message.properties().user_id()
        && user.as_str() != USER
    {
        let text = format!("user_id property set to '{user}' but authenticated user was '{USER}'");
        return Err(Fault::precondition_failed(text));
    }
    if let Some(expiration) = message.properties().expiration()
        && expiration.as_str().parse::<u32>().is_err()
    {
        let text = format!("invalid expiration '{expiration}'");
        return Err(Fault::precondition_failed(text));
    }
    Ok(())
}

fn verdict(requeue: bool) -> Verdict {
    if requeue { Verdict::Requeue } else { Verdict::Reject }
}
