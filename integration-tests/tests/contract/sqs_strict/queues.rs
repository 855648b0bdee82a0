//! Attributes of queues, and their list.

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;

use super::{queue, queue_with, refusal};
use crate::contract::sqs::unique;

pub(crate) async fn a_queue_with_other_attributes_is_not_created_again(client: &Client) {
    let url = queue_with(client, &[(QueueAttributeName::DelaySeconds, "1")]).await;
    let name = url.rsplit('/').next().unwrap();
    let create = |delay: &str| {
        let create = client.create_queue().queue_name(name);
        create.attributes(QueueAttributeName::DelaySeconds, delay).send()
    };
    create("1").await.unwrap();
    let error = create("2").await.unwrap_err().into_service_error();
    assert!(error.is_queue_name_exists(), "{error:?}");
}

pub(crate) async fn attributes_of_a_queue_have_their_ranges(client: &Client) {
    use QueueAttributeName::{
        DelaySeconds, FifoQueue, MaximumMessageSize, MessageRetentionPeriod, ReceiveMessageWaitTimeSeconds,
        RedrivePolicy, VisibilityTimeout,
    };
    let dead = queue(client).await;
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{}", dead.rsplit('/').next().unwrap());
    let policy = |arn: &str, most: &str| format!("{{\"deadLetterTargetArn\":\"{arn}\",\"maxReceiveCount\":{most}}}");
    let queue = queue(client).await;
    let set = |name: &QueueAttributeName, value: &str| {
        let set = client.set_queue_attributes().queue_url(&queue);
        set.attributes(name.clone(), value).send()
    };
    for (name, legal) in [
        (VisibilityTimeout, ["0", "43200"]),
        (DelaySeconds, ["900", "0"]),
        (ReceiveMessageWaitTimeSeconds, ["20", "0"]),
        (MaximumMessageSize, ["1024", "1048576"]),
        (MessageRetentionPeriod, ["60", "1209600"]),
        (RedrivePolicy, [policy(&arn, "1").as_str(), &policy(&arn, "1000")]),
    ] {
        for value in legal {
            set(&name, value).await.unwrap();
            let now = attributes(client, &queue, name.clone()).await;
            assert_eq!(now, [(name.clone(), value.to_owned())]);
        }
    }
    for (name, illegal) in [
        (VisibilityTimeout, vec!["43201", "-1", "x", ""]),
        (DelaySeconds, vec!["901"]),
        (ReceiveMessageWaitTimeSeconds, vec!["21"]),
        (MaximumMessageSize, vec!["1023", "1048577"]),
        (MessageRetentionPeriod, vec!["59", "1209601"]),
        (FifoQueue, vec!["true"]),
        (QueueAttributeName::from("Nonsense"), vec!["x"]),
        (
            RedrivePolicy,
            vec![
                "{}",
                "x",
                policy(&arn, "0").as_str(),
                &policy(&arn, "1001"),
                &policy("dummy", "1"),
                &policy(&format!("{arn}x"), "1"),
            ],
        ),
    ] {
        for value in illegal {
            refusal(set(&name, value).await, &format!("{name} {value:?}"));
        }
    }
}

pub(crate) async fn only_the_queue_attributes_asked_for_come(client: &Client) {
    let queue = queue(client).await;
    let delay = attributes(client, &queue, QueueAttributeName::DelaySeconds).await;
    assert_eq!(delay, [(QueueAttributeName::DelaySeconds, "0".to_owned())]);
    let policy = attributes(client, &queue, QueueAttributeName::RedrivePolicy).await;
    assert_eq!(policy, [], "none is set");
    let all = attributes(client, &queue, QueueAttributeName::All).await;
    assert!(all.len() > 10, "{all:?}");
}

pub(crate) async fn queues_are_listed_in_pages(client: &Client) {
    let prefix = unique("pages");
    for suffix in ["a", "b", "c"] {
        let create = client.create_queue().queue_name(format!("{prefix}{suffix}"));
        create.send().await.unwrap();
    }
    let list = || client.list_queues().queue_name_prefix(&prefix).max_results(2);
    let first = list().send().await.unwrap();
    let token = first.next_token().unwrap();
    let second = list().next_token(token).send().await.unwrap();
    assert_eq!(second.next_token(), None);
    let ends: Vec<char> =
        [first.queue_urls(), second.queue_urls()].concat().iter().filter_map(|url| url.chars().last()).collect();
    assert_eq!(ends, ['a', 'b', 'c']);
}

async fn attributes(client: &Client, queue: &str, name: QueueAttributeName) -> Vec<(QueueAttributeName, String)> {
    let get = client.get_queue_attributes().queue_url(queue).attribute_names(name);
    let attributes = get.send().await.unwrap().attributes;
    attributes.into_iter().flatten().collect()
}
