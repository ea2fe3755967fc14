//! Empty: this package only names where librdkafka comes from.
