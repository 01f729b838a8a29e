//! What clients show of each outcome, in their own words.

use crate::clients::{Client, Told};

#[derive(Clone, Copy)]
pub struct Shown {
    /// librdkafka's words.
    pub kcat: &'static str,
    pub sarama: &'static str,
    pub java: &'static str,
}

/// Code 6 below Produce v8, else 56: come again.
pub const NOT_STORED: Shown = Shown {
    kcat: "encountered error: Broker: Not leader for partition (actions Refresh,MsgNotPersisted)",
    sarama: "kafka server: Tried to send a message to a replica that is not the leader for some partition",
    java: "Error: KAFKA_STORAGE_ERROR. Error Message: not stored, try again: ",
};
/// Code 7: come again, it may be stored.
pub const PERHAPS_STORED: Shown = Shown {
    kcat: "encountered error: Broker: Request timed out (actions Retry,MsgPossiblyPersisted)",
    sarama: "kafka server: Request exceeded the user-specified time limit in the request",
    java: "Error: REQUEST_TIMED_OUT. Error Message: perhaps stored: ",
};
/// Code 13, where the configuration wants it: librdkafka and sarama give up.
pub const PUBLISHED: Shown = Shown {
    kcat: "% Delivery failed for message: Broker: Broker disconnected before response received",
    sarama: "kafka server: The server disconnected before a response was received",
    java: "Error: NETWORK_EXCEPTION. Error Message: not stored, try again: the Log Service cannot be reached",
};
/// Closed without an answer: come again.
pub const CLOSED: Shown = Shown {
    kcat: ": Disconnected (after ",
    sarama: "EOF",
    java: "disconnected",
};
/// Code 5 for a topic: ask again.
pub const UNAVAILABLE: Shown = Shown {
    kcat: "Local: Message timed out",
    sarama: "kafka server: In the middle of a leadership election, there is currently no leader for this partition",
    java: "TimeoutException: Topic java not present in metadata after ",
};
/// Code 3 for a topic.
pub const UNKNOWN: Shown = Shown {
    kcat: "Broker: Unknown topic or partition",
    sarama: "kafka server: Request was for a topic or partition that does not exist on this broker",
    java: "TimeoutException: Topic java not present in metadata after ",
};
/// Code 29: give up.
pub const DENIED: Shown = Shown {
    kcat: "Broker: Topic authorization failed",
    sarama: "kafka server: The client is not authorized to access this topic",
    java: "TopicAuthorizationException: Not authorized to access topics: [java]",
};
/// Code 87: give up.
pub const INVALID: Shown = Shown {
    kcat: "encountered error: Broker: Broker failed to validate record (actions Permanent,MsgNotPersisted)",
    sarama: "kafka server: This record has failed the validation on broker and hence will be rejected",
    java: ": the Log Service does not take its content",
};
/// Code 58 for the login, and the reason, for which the raw dialect has no room.
pub const MALFORMED: Shown = Shown {
    kcat: "SASL authentication error: the password does not have the form access-key-id#access-key-secret",
    sarama: "EOF",
    java: "SaslAuthenticationException: the password does not have the form access-key-id#access-key-secret",
};
/// The same for a wrong key.
pub const REFUSED: Shown = Shown {
    kcat: "SASL authentication error: project, access key id or secret is wrong (refusal ",
    sarama: "EOF",
    java: "SaslAuthenticationException: project, access key id or secret is wrong (refusal ",
};

impl Shown {
    pub fn assert_told(&self, client: Client, told: &Told) {
        let words = self.words(client);
        assert!(told.says(words), "{client:?}, no {words:?}: {told:#?}");
    }

    pub fn assert_untold(&self, client: Client, told: &Told) {
        let words = self.words(client);
        assert!(!told.says(words), "{client:?}, {words:?}: {told:#?}");
    }

    fn words(&self, client: Client) -> &'static str {
        match client {
            Client::Kcat | Client::KcatIdempotent => self.kcat,
            Client::Sarama => self.sarama,
            Client::Java => self.java,
        }
    }
}
