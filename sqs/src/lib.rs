//! Carries trace context and allowed baggage over Amazon SQS, for aws-sdk-sqs.
